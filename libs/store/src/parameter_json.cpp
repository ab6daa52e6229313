// Parameters as JSON: of problems on their way to workers, and in the records of sessions.
#include <array>

#include <warpwright/store/json.hpp>

#include "json_reader.hpp"

namespace warpwright::store::detail {
namespace {

constexpr std::array all_roles{ParameterRole::define, ParameterRole::template_argument, ParameterRole::option,
                               ParameterRole::block};

}  // namespace

Json parameter_json(const Parameter& parameter) {
  Json object;
  object["name"] = text_json(parameter.name);
  Json& values = object["values"] = Json::array();
  for (const Value& value : parameter.values) values.push_back(to_json(value));
  if (parameter.default_value) object["default"] = to_json(*parameter.default_value);
  object["role"] = to_string(parameter.role);
  object["ordered"] = parameter.ordered;
  return object;
}

Parameter read_parameter(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  Parameter parameter;
  parameter.name = object.text("name");
  parameter.values = object.list("values", read_value);
  parameter.default_value = object.maybe("default", read_value);
  parameter.role = object.get(
      "role", [](const Json& role, const Where& here) { return read_enum<ParameterRole>(role, here, all_roles); });
  parameter.ordered = object.boolean("ordered");
  return parameter;
}

}  // namespace warpwright::store::detail
