#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <warpwright/base/json_nesting.hpp>
#include <warpwright/spec/read.hpp>

#include "check.hpp"
#include "checker.hpp"
#include "json_positions.hpp"
#include "t1_reader.hpp"
#include "words.hpp"

namespace warpwright::spec {
namespace detail {

T1Reader::T1Reader(std::string_view text, const std::filesystem::path& file)
    : text_(text), file_(file), file_name_(file.empty() ? std::string("T1 specification") : file.string()) {
  if (const auto deep = json_nested_too_deep(text)) {
    const auto [line, column] = line_and_column(text, *deep);
    throw Error(ErrorCode::bad_input, "nested deeper than " + std::to_string(most_json_levels) + " levels",
                InputPosition{file_name_, line, column, {}});
  }
  try {
    root_ = T1Json::parse(text);
  } catch (const T1Json::parse_error& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: <what we want>"
    std::string what = error.what();
    if (const auto cut = what.find(": "); cut != std::string::npos) what = what.substr(cut + 2);
    const auto [line, column] = line_and_column(text, error.byte == 0 ? 0 : error.byte - 1);
    throw Error(ErrorCode::bad_input, "not valid JSON: " + excerpt(what, 200),
                InputPosition{file_name_, line, column, {}});
  }
  locations_ = locate_json(text, file_name_);
}

Problem T1Reader::run() {
  if (!root_.is_object()) fail("", "a T1 file is a JSON object; found " + std::string(root_.type_name()));
  const T1Json* space = member(root_, "ConfigurationSpace");
  const T1Json* kernel = member(root_, "KernelSpecification");
  const bool has_kernel = kernel && kernel->is_object();
  if (space ? !space->is_object() : !has_kernel) {
    throw Error(ErrorCode::bad_input,
                "this JSON is no T1 specification: there is no object \"ConfigurationSpace\". A specification is TOML "
                "(schema = 1) or T1 JSON with ConfigurationSpace and KernelSpecification",
                InputPosition{file_name_, 0, 0, {}});
  }
  problem_.file = file_;
  note_unused(root_, "", {"General", "ConfigurationSpace", "Search", "Budget", "KernelSpecification"});
  if (const T1Json* general = member(root_, "General"); general && general->is_object()) {
    note_unused(*general, "/General",
                {"FormatVersion", "LoggingLevel", "TimeUnit", "OutputFile", "OutputFormat", "BenchmarkName"});
    if (const std::string output = text_of(*general, "OutputFile"); !output.empty()) {
      warn("/General/OutputFile", "'" + excerpt(output) + "' is not written: say where results go on the command line");
    }
    problem_.name = text_of(*general, "BenchmarkName");
  }
  for (const char* name : {"Search", "Budget"}) {
    if (const T1Json* json = member(root_, name)) {
      warn(std::string("/") + name, excerpt(json->dump(-1, ' ', false, T1Json::error_handler_t::replace)) +
                                        " is not used: the command line decides it");
    }
  }
  if (has_kernel) read_sizes(*kernel, "/KernelSpecification");
  if (space) read_space(*space);
  if (has_kernel) {
    read_kernel(*kernel, "/KernelSpecification");
  } else {
    obstruct("/KernelSpecification", "is missing: there is a space, but no kernel to run");
  }
  if (problem_.name.empty()) problem_.name = file_.stem().empty() ? "kernel" : file_.stem().string();
  if (!unused_.empty()) problem_.warnings.push_back("fields that are not used: " + join(unused_));
  return std::move(problem_);
}

void T1Reader::fail(const std::string& pointer, const std::string& message) const {
  throw Error(ErrorCode::bad_input, message, locations_.at(pointer));
}

void T1Reader::warn(const std::string& pointer, const std::string& message) {
  problem_.warnings.push_back((pointer.empty() ? std::string() : pointer + ": ") + message);
}

void T1Reader::obstruct(const std::string& pointer, const std::string& message) {
  warn(pointer, message);
  problem_.obstacles.push_back(problem_.warnings.back());
}

void T1Reader::warn_unusable(const std::string& pointer, const std::string& message) {
  obstruct(pointer, message);
  launch_understood_ = false;
}

void T1Reader::note_unused(const T1Json& object, const std::string& pointer, const std::vector<std::string>& known) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_null() || std::find(known.begin(), known.end(), key) != known.end()) continue;
    unused_.push_back(pointer + "/" + excerpt(key, 40));
  }
}

const T1Json* T1Reader::member(const T1Json& object, const char* name) const {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string T1Reader::text_of(const T1Json& object, const char* name) const {
  const T1Json* found = member(object, name);
  return found && found->is_string() ? found->get<std::string>() : std::string();
}

Expression T1Reader::parse_space_expression(const std::string& text, const std::string& pointer) const {
  try {
    return Expression::parse(text);
  } catch (const Error& error) {
    const std::size_t column = error.position() ? error.position()->column : 0;
    throw Error(ErrorCode::bad_input, error.message(),
                locations_.at(pointer, column > 0 ? column - 1 : Locations::no_offset));
  }
}

// ---- the space ------------------------------------------------------------------------------------------------------

void T1Reader::read_space(const T1Json& space) {
  const std::string pointer = "/ConfigurationSpace";
  note_unused(space, pointer, {"TuningParameters", "Conditions"});
  static const T1Json none = T1Json::array();
  const T1Json* parameters = member(space, "TuningParameters");
  if (!parameters) parameters = &none;
  if (!parameters->is_array()) {
    fail(pointer + "/TuningParameters", "expected an array of objects with Name, Type and Values");
  }
  for (std::size_t i = 0; i < parameters->size(); ++i) {
    read_parameter((*parameters)[i], pointer + "/TuningParameters/" + std::to_string(i));
  }
  if (const T1Json* conditions = member(space, "Conditions")) {
    if (!conditions->is_array()) fail(pointer + "/Conditions", "expected an array of objects with Expression");
    for (std::size_t i = 0; i < conditions->size(); ++i) {
      read_condition((*conditions)[i], pointer + "/Conditions/" + std::to_string(i));
    }
  }
  std::set<std::string> seen;
  const Checker checker(problem_, locations_);
  for (const auto& parameter : problem_.parameters) {
    const std::string at = parameter.position.key + "/Name";
    checker.check_name(at, parameter.name, "a parameter");
    if (!seen.insert(parameter.name).second) {
      fail(at, "the parameter '" + parameter.name + "' is declared twice; remove one");
    }
  }
  check_space(problem_, locations_);
}

void T1Reader::read_parameter(const T1Json& json, const std::string& pointer) {
  if (!json.is_object()) fail(pointer, "expected an object with Name, Type and Values");
  note_unused(json, pointer, {"Name", "Type", "Values", "Default"});
  Parameter parameter;
  parameter.position = locations_.at(pointer);
  parameter.name = text_of(json, "Name");
  if (parameter.name.empty()) fail(pointer + "/Name", "is required and missing: the name of the parameter");
  std::string type = text_of(json, "Type");
  const std::vector<std::string> types = {"int", "uint", "float", "bool", "string"};
  if (!type.empty() && std::find(types.begin(), types.end(), type) == types.end()) {
    warn(pointer + "/Type", "'" + excerpt(type, 40) + "' is not one of " + one_of(types) +
                                "; the values are taken as "
                                "they are written");
    type.clear();
  }
  const T1Json* values = member(json, "Values");
  if (!values) fail(pointer + "/Values", "is required and missing: the list of values of '" + parameter.name + "'");
  parameter.values = read_values(*values, pointer + "/Values", type);
  parameter.ordered = std::all_of(parameter.values.begin(), parameter.values.end(), [](const Value& value) {
    return std::holds_alternative<std::int64_t>(value) || std::holds_alternative<double>(value);
  });
  if (const T1Json* value = member(json, "Default")) read_default(parameter, *value, pointer + "/Default", type);
  problem_.parameters.push_back(std::move(parameter));
}

namespace {

// A JSON value as the expression language has it; nullopt for objects.
std::optional<ExpressionValue> expression_value(const T1Json& json) {
  if (json.is_boolean()) return ExpressionValue(json.get<bool>());
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    return std::nullopt;
  }
  if (json.is_number_integer()) return ExpressionValue(json.get<std::int64_t>());
  if (json.is_number_float()) return ExpressionValue(json.get<double>());
  if (json.is_string()) return ExpressionValue(json.get<std::string>());
  if (!json.is_array()) return std::nullopt;
  ExpressionList list;
  for (const auto& item : json) {
    if (item.is_array()) return std::nullopt;
    auto value = expression_value(item);
    if (!value) return std::nullopt;
    list.push_back(std::move(*value));
  }
  return ExpressionValue(std::move(list));
}

}  // namespace

std::optional<Value> T1Reader::convert(const ExpressionValue& value, const std::string& type) const {
  if (std::holds_alternative<std::monostate>(value) || std::holds_alternative<ExpressionList>(value))
    return std::nullopt;
  const Value scalar = value.scalar();
  if (const double* real = std::get_if<double>(&scalar); real && !std::isfinite(*real)) return std::nullopt;
  if (type == "int" || type == "uint") {
    const auto integer = as_integer(scalar);
    if (!integer || (type == "uint" && *integer < 0)) return std::nullopt;
    return Value(*integer);
  }
  if (type == "float") {
    const auto number = as_number(scalar);
    if (!number) return std::nullopt;
    return Value(*number);
  }
  if (type == "bool") {
    const auto integer = as_integer(scalar);
    if (!integer || *integer < 0 || *integer > 1) return std::nullopt;
    return Value(*integer == 1);
  }
  if (type == "string" && !std::holds_alternative<std::string>(scalar)) return Value(to_string(scalar));
  return scalar;
}

std::vector<Value> T1Reader::read_values(const T1Json& json, const std::string& pointer, const std::string& type) {
  std::optional<ExpressionValue> list;
  if (json.is_string()) {
    const Expression expression = parse_space_expression(json.get<std::string>(), pointer);
    if (!expression.names().empty()) {
      fail(pointer,
           "a value list cannot name '" + expression.names().front() + "'; write the values, such as \"[1, 2, 4]\"");
    }
    try {
      list = expression.evaluate([](std::string_view) -> const ExpressionValue* { return nullptr; });
    } catch (const Error& error) {
      fail(pointer, error.message());
    }
  } else {
    list = expression_value(json);
  }
  if (!list || !std::holds_alternative<ExpressionList>(*list)) {
    fail(pointer, "expected a list of values, such as \"[1, 2, 4]\"" +
                      (list ? ", found " + excerpt(list->describe()) : std::string()));
  }
  std::vector<Value> values;
  std::set<std::string> seen;
  for (const auto& item : std::get<ExpressionList>(*list)) {
    const auto value = convert(item, type);
    if (!value) {
      fail(pointer, excerpt(item.describe(), 40) + " is not a value of type " +
                        (type.empty() ? "number, bool or string" : type));
    }
    const auto number = as_number(*value);
    if (!seen.insert(number ? to_string(Value(*number)) : to_literal(*value)).second) {
      const bool twice =
          std::any_of(values.begin(), values.end(), [&](const Value& other) { return python_equal(other, *value); });
      if (twice) {
        warn(pointer, "the value " + to_literal(*value) + " is listed twice; once is enough");
        continue;
      }
    }
    values.push_back(*value);
  }
  if (values.empty()) fail(pointer, "the list is empty; give at least one value");
  return values;
}

void T1Reader::read_default(Parameter& parameter, const T1Json& json, const std::string& pointer,
                            const std::string& type) {
  const T1Json* scalar = &json;
  if (json.is_array() && json.size() == 1) scalar = &json[0];  // some files have a list of one
  std::optional<ExpressionValue> found = expression_value(*scalar);
  std::optional<Value> value;
  if (found) value = convert(*found, type);
  if (!value && scalar->is_string() && type != "string") {
    // "16" for a number: what Python files written by hand sometimes hold.
    value = convert(ExpressionValue(parse_value(scalar->get<std::string>())), type);
  }
  if (value) {
    for (const auto& listed : parameter.values) {
      if (python_equal(listed, *value)) {
        parameter.default_value = listed;
        return;
      }
    }
  }
  warn(pointer, "the default " + excerpt(json.dump(-1, ' ', false, T1Json::error_handler_t::replace), 40) + " of '" +
                    parameter.name + "' is not one of its values (" + list_values(parameter.values) +
                    "); the first value is used");
}

void T1Reader::read_condition(const T1Json& json, const std::string& pointer) {
  const std::string text = json.is_string() ? json.get<std::string>() : text_of(json, "Expression");
  const std::string at = json.is_string() ? pointer : pointer + "/Expression";
  if (text.empty()) fail(at, "is required and missing: an expression such as \"block_size_x * block_size_y <= 1024\"");
  if (json.is_object()) note_unused(json, pointer, {"Expression", "Parameters"});
  Constraint constraint;
  constraint.text = text;
  const std::string own = rewritten(text, ParameterNames::values);
  constraint.expression = parse_space_expression(own, at);
  constraint.position = locations_.at(at);
  if (const T1Json* listed = member(json, "Parameters"); listed && listed->is_array()) {
    std::set<std::string> names;
    for (const auto& name : *listed) {
      if (name.is_string()) names.insert(name.get<std::string>());
    }
    std::vector<std::string> missing, surplus;
    const auto& used = constraint.expression->names();
    for (const auto& name : used) {
      const bool dimension = std::find(sizes_.begin(), sizes_.end(), name) != sizes_.end();
      if (names.count(name) == 0 && !dimension) missing.push_back(name);
    }
    for (const auto& name : names) {
      if (std::find(used.begin(), used.end(), name) == used.end()) surplus.push_back(excerpt(name, 40));
    }
    if (!missing.empty()) {
      warn(pointer + "/Parameters",
           "the list lacks " + join(missing) + ", which the expression uses; the expression counts");
    }
    if (!surplus.empty()) {
      warn(pointer + "/Parameters", "the list names " + join(surplus) + ", which the expression does not use");
    }
  }
  problem_.constraints.push_back(std::move(constraint));
}

}  // namespace detail

Problem read_t1(std::string_view text, const std::filesystem::path& file) { return detail::T1Reader(text, file).run(); }

}  // namespace warpwright::spec
