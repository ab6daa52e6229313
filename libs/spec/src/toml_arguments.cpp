// Reading [[argument]]: element types, access, structures.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/model/image.hpp>

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

// Keys that say what an argument is, and do not go with `image` or `sampler`.
void refuse_beside(const Section& section, std::string_view kind, const std::vector<std::string>& keys,
                   const std::string& why) {
  for (const std::string& key : keys) {
    if (section.has(key)) section.fail(key, "does not go with '" + std::string(kind) + "': " + why);
  }
}

void read_image(const Section& section, Argument& argument) {
  refuse_beside(section, "image", {"sampler", "type", "size", "value", "layout", "symbol"},
                "an image has its format, width and height, an access and an init");
  const std::string example = "image = { width = \"width\", height = \"height\", format = \"rgba_unorm8\" }";
  if (!section.find("image")->is(Node::Kind::table)) {
    wrong_type(section.document(), *section.find("image"), section.key("image"), "a table such as " + example);
  }
  const Section image = *section.section("image", {"width", "height", "format"});
  image.require("width", "width = \"width\"");
  image.require("height", "height = \"height\"");
  const std::string text = image.required_string("format", "rgba_unorm8");
  const auto format = parse_image_format(text);
  if (!format) {
    std::vector<std::string> known;
    for (const ImageFormat& one : image_formats()) known.push_back(to_string(one));
    std::string nearest;
    if (const auto match = closest_match(text, known)) nearest = "; did you mean '" + *match + "'?";
    image.fail("format", "'" + excerpt(text, 40) + "' is not an image format" + nearest +
                             "; it is r, rg or rgba, '_' and float32, float16, uint8, uint16, uint32, int8, int16, "
                             "int32, unorm8, unorm16, snorm8 or snorm16");
  }
  argument.type = format->type;
  argument.components = format->channels;
  argument.image = ImageArgument{*image.expression("width", "\"width\""), *image.expression("height", "\"height\""),
                                 format->normalized};
  argument.size = image_pixels(argument.image->width, argument.image->height);
}

// The word of `key` among those of an enumeration; `otherwise` where the key is absent.
template <class Word>
Word read_word(const Section& section, std::string_view key, Word otherwise, const std::vector<Word>& all) {
  const auto text = section.string(key, to_string(otherwise));
  if (!text) return otherwise;
  std::vector<std::string> known;
  for (const Word word : all) {
    if (*text == to_string(word)) return word;
    known.emplace_back(to_string(word));
  }
  section.fail(key, "expected " + one_of(known) + ", found '" + excerpt(*text, 40) + "'");
}

void read_sampler(const Section& section, Argument& argument) {
  refuse_beside(section, "sampler", {"type", "size", "value", "layout", "symbol", "init", "access"},
                "a sampler has addressing, filter and normalized, and is passed by value");
  if (!section.find("sampler")->is(Node::Kind::table)) {
    wrong_type(
        section.document(), *section.find("sampler"), section.key("sampler"),
        "a table such as sampler = { addressing = \"clamp_to_edge\", filter = \"nearest\", normalized = false }");
  }
  const Section sampler = *section.section("sampler", {"addressing", "filter", "normalized"});
  SamplerSettings settings;
  using A = ImageAddressing;
  settings.addressing = read_word<A>(sampler, "addressing", settings.addressing,
                                     {A::none, A::clamp_to_edge, A::clamp, A::repeat, A::mirrored_repeat});
  settings.filter =
      read_word<ImageFilter>(sampler, "filter", settings.filter, {ImageFilter::nearest, ImageFilter::linear});
  settings.normalized = sampler.boolean("normalized").value_or(false);
  argument.sampler = settings;
  argument.access = Access::scalar;
}

}  // namespace

void read_arguments(const Section& root, Problem& problem) {
  const std::vector<std::string> keys = {"name",   "type",  "size",   "init",  "access",
                                         "symbol", "value", "layout", "image", "sampler"};
  std::uint64_t position = 0;
  for (const Section& section : root.sections("argument", keys)) {
    ++position;
    Argument argument;
    argument.position = section.document().locations.at(section.path());
    argument.name = section.required_string("name", "in");
    if (section.has("image")) {
      read_image(section, argument);
    } else if (section.has("sampler")) {
      read_sampler(section, argument);
      problem.arguments.push_back(std::move(argument));
      continue;
    } else {
      read_type(section, problem, argument);
    }
    argument.access = read_access(section);
    argument.restored = argument.access == Access::scratch && section.has("init");
    if (!argument.image) argument.size = section.expression("size", "\"width * height\"");
    argument.value = section.expression("value", "\"width\" or 0.5");
    if (const auto symbol = section.string("symbol", "coefficients")) argument.symbol = *symbol;
    argument.fill = read_fill(section, argument, position);
    problem.arguments.push_back(std::move(argument));
  }
}

}  // namespace warpwright::spec::detail
