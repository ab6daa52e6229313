// Reading [[argument]]: element types, access, structures.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "toml_parts.hpp"
#include "words.hpp"

namespace warpwright::spec::detail {
namespace {

Access read_access(const Section& section) {
  const auto text = section.string("access", "in");
  if (!text || *text == "in") return Access::in;
  if (*text == "out") return Access::out;
  if (*text == "inout") return Access::inout;
  if (*text == "constant") return Access::constant;
  if (*text == "scalar") return Access::scalar;
  if (*text == "scratch") return Access::scratch;
  if (*text == "local") return Access::local;
  section.fail("access",
               "'" + excerpt(*text, 40) + "' is not an access" +
                   suggestion(*text, {"in", "out", "inout", "constant", "scalar", "scratch", "local"}, "accesses"));
}

// "float32x4" into type and components; nullopt if it is none.
struct ElementType {
  DataType type = DataType::float32;
  int components = 1;
};
std::optional<ElementType> parse_element_type(std::string_view text) {
  ElementType result;
  std::string_view base = text;
  if (const auto x = text.rfind('x'); x != std::string::npos && x + 1 < text.size() && x > 0) {
    const std::string_view count = text.substr(x + 1);
    for (const int components : {2, 3, 4, 8, 16}) {
      if (count == std::to_string(components)) {
        result.components = components;
        base = text.substr(0, x);
      }
    }
  }
  const auto type = parse_data_type(base);
  if (!type) return std::nullopt;
  result.type = *type;
  return result;
}

[[noreturn]] void not_a_type(const Section& section, const std::string& text, const std::vector<std::string>& also) {
  const auto x = text.rfind('x');
  if (x != std::string::npos && parse_data_type(std::string_view(text).substr(0, x))) {
    section.fail("type", "'" + excerpt(text, 40) +
                             "' is not a vector type; a vector has 2, 3, 4, 8 or 16 components, as in " +
                             text.substr(0, x) + "x4");
  }
  // A vector of something else: the part that is wrong is compared.
  std::string base = text;
  for (const char* width : {"x2", "x3", "x4", "x8", "x16"}) {
    if (text.ends_with(width)) base = text.substr(0, text.size() - std::string_view(width).size());
  }
  std::vector<std::string> known = data_type_names();
  known.insert(known.end(), also.begin(), also.end());
  section.fail("type", "'" + excerpt(text, 40) + "' is not an element type" + suggestion(base, known, "types"));
}

std::vector<StructField> read_layout(const Section& section) {
  std::vector<StructField> fields;
  for (const Section& field : section.sections("layout", {"name", "type", "value", "offset"})) {
    StructField& read = fields.emplace_back();
    read.name = field.string("name", "width").value_or("");
    const std::string text = field.required_string("type", "float32");
    const auto type = parse_element_type(text);
    if (!type) not_a_type(field, text, {});
    read.type = type->type;
    read.components = type->components;
    field.require("value", "value = \"width\", or \"[0.5, 1.0]\" for the components of a vector");
    read.value = *field.expression("value", "\"width\"");
    if (const auto offset = field.seed("offset")) {
      read.offset = static_cast<std::int64_t>(std::min<std::uint64_t>(*offset, std::uint64_t{1} << 40));
    }
  }
  if (fields.empty()) {
    section.fail("layout",
                 "the structure has no members; write for example: layout = [{ type = \"int32\", value = \"width\" }]");
  }
  return fields;
}

// A parameter of element types: "float16", "float32".
bool chooses_types(const Parameter& parameter) {
  return !parameter.values.empty() &&
         std::all_of(parameter.values.begin(), parameter.values.end(), [](const Value& value) {
           const auto* text = std::get_if<std::string>(&value);
           return text != nullptr && parse_data_type(*text);
         });
}

void read_type(const Section& section, const Problem& problem, Argument& argument) {
  const std::string text = section.required_string("type", "float32");
  if (text == "bytes") {
    section.require("layout",
                    "layout = [{ type = \"int32\", value = \"width\" }, { type = \"float32\", value = 0.5 }]");
    argument.type = DataType::uint8;
    argument.fields = read_layout(section);
    return;
  }
  if (section.has("layout"))
    section.fail("layout", "belongs to type = \"bytes\"; found type = \"" + excerpt(text, 40) + "\"");
  std::vector<std::string> choosing;
  for (const Parameter& parameter : problem.parameters) {
    if (!chooses_types(parameter)) continue;
    choosing.push_back(parameter.name);
    std::string base = text;
    for (const int components : {2, 3, 4, 8, 16}) {
      const std::string width = "x" + std::to_string(components);
      if (text != parameter.name + width) continue;
      argument.components = components;
      base = parameter.name;
    }
    if (base != parameter.name) continue;
    argument.type_parameter = base;
    const Value& first = parameter.default_value ? *parameter.default_value : parameter.values.front();
    argument.type = *parse_data_type(std::get<std::string>(first));
    return;
  }
  const auto type = parse_element_type(text);
  if (!type) not_a_type(section, text, choosing);
  argument.type = type->type;
  argument.components = type->components;
}

}  // namespace

void read_arguments(const Section& root, Problem& problem) {
  const std::vector<std::string> keys = {"name", "type", "size", "init", "access", "symbol", "value", "layout"};
  std::uint64_t position = 0;
  for (const Section& section : root.sections("argument", keys)) {
    ++position;
    Argument argument;
    argument.position = section.document().locations.at(section.path());
    argument.name = section.required_string("name", "in");
    read_type(section, problem, argument);
    argument.access = read_access(section);
    argument.restored = argument.access == Access::scratch && section.has("init");
    argument.size = section.expression("size", "\"width * height\"");
    argument.value = section.expression("value", "\"width\" or 0.5");
    if (const auto symbol = section.string("symbol", "coefficients")) argument.symbol = *symbol;
    argument.fill = read_fill(section, argument, position);
    problem.arguments.push_back(std::move(argument));
  }
}

}  // namespace warpwright::spec::detail
