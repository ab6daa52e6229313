#include "document.hpp"

#include <algorithm>
#include <tomlplusplus.hpp>
#include <utility>

#include "words.hpp"

namespace warpwright::spec::detail {
namespace {

std::size_t line_of(const toml::source_region& region) { return region.begin.line; }
std::size_t column_of(const toml::source_region& region) { return region.begin.column; }

Node convert(const toml::node& source) {
  Node node;
  node.line = line_of(source.source());
  node.column = column_of(source.source());
  switch (source.type()) {
    case toml::node_type::table:
      node.kind = Node::Kind::table;
      for (const auto& [key, value] : *source.as_table()) {
        node.members.push_back(
            {std::string(key.str()), convert(value), line_of(key.source()), column_of(key.source())});
      }
      std::stable_sort(node.members.begin(), node.members.end(), [](const Member& a, const Member& b) {
        return std::pair(a.line, a.column) < std::pair(b.line, b.column);
      });
      break;
    case toml::node_type::array:
      node.kind = Node::Kind::array;
      for (const auto& item : *source.as_array()) node.items.push_back(convert(item));
      break;
    case toml::node_type::string:
      node.kind = Node::Kind::string;
      node.text = source.as_string()->get();
      break;
    case toml::node_type::integer:
      node.kind = Node::Kind::integer;
      node.integer = source.as_integer()->get();
      break;
    case toml::node_type::floating_point:
      node.kind = Node::Kind::real;
      node.real = source.as_floating_point()->get();
      break;
    case toml::node_type::boolean:
      node.kind = Node::Kind::boolean;
      node.boolean = source.as_boolean()->get();
      break;
    default:
      node.kind = Node::Kind::date;
      break;
  }
  return node;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  std::size_t start = 0;
  while (start <= text.size()) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

// The column of the first character of a string's content, if the content stands in the file as it is: quotes of one
// character, no escapes, and nothing but ASCII before it on the line (columns count characters, not bytes).
std::size_t text_column_of(const Node& node, const std::vector<std::string_view>& lines) {
  if (!node.is(Node::Kind::string) || node.line == 0 || node.line > lines.size() || node.column == 0) return 0;
  const std::string_view line = lines[node.line - 1];
  if (node.column > line.size()) return 0;
  const auto ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  if (!std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(node.column), ascii)) return 0;
  const char quote = line[node.column - 1];
  if (quote != '"' && quote != '\'') return 0;
  const std::string_view content = line.substr(node.column, node.text.size());
  if (content != node.text || node.column + node.text.size() >= line.size()) return 0;
  return line[node.column + node.text.size()] == quote ? node.column + 1 : 0;
}

void locate(const Node& node, const std::string& path, const std::vector<std::string_view>& lines,
            Locations& locations) {
  for (const auto& member : node.members) {
    const std::string key = join_key(path, member.key);
    if (member.value.is(Node::Kind::table) || member.value.is(Node::Kind::array)) {
      locations.add(key, member.line, member.column);
    } else {
      locations.add(key, member.value.line, member.value.column, text_column_of(member.value, lines));
    }
    locate(member.value, key, lines, locations);
  }
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const std::string key = join_index(path, i);
    locations.add(key, node.items[i].line, node.items[i].column, text_column_of(node.items[i], lines));
    locate(node.items[i], key, lines, locations);
  }
}

// toml++ says what its state machine expected; the usual mistakes deserve to be called by their name.
std::string explain(std::string_view description) {
  const auto mentions = [&](std::string_view part) { return description.find(part) != std::string_view::npos; };
  if (mentions("parsing string") && (mentions("unescaped control characters") || mentions("end-of-file"))) {
    return "not valid TOML: this string has no closing quote on its line";
  }
  if (mentions("could not determine value type")) {
    return "not valid TOML: this is no value; strings need quotes, as in name = \"stencil5\"";
  }
  if (mentions("expected value, saw")) return "not valid TOML: there is no value after the '='";
  if (mentions("cannot redefine existing")) {
    const auto cut = description.find("cannot redefine existing");
    return "not valid TOML: " + std::string(description.substr(cut)) + ": it is there twice; remove one";
  }
  if (const auto cut = description.find(": ");
      description.starts_with("Error while parsing") && cut != std::string_view::npos) {
    return "not valid TOML: " + std::string(description.substr(cut + 2)) + " (in a " +
           std::string(description.substr(20, cut - 20)) + ")";
  }
  return "not valid TOML: " + std::string(description);
}

}  // namespace

const Member* Node::find(std::string_view key) const {
  for (const auto& member : members) {
    if (member.key == key) return &member;
  }
  return nullptr;
}

std::string Node::describe() const {
  switch (kind) {
    case Kind::table:
      return "a table";
    case Kind::array:
      return items.empty() ? "an empty array" : "an array";
    case Kind::string:
      return "the string \"" + excerpt(text, 40) + "\"";
    case Kind::integer:
      return "the integer " + std::to_string(integer);
    case Kind::real:
      return "the number " + to_string(Value(real));
    case Kind::boolean:
      return boolean ? "the boolean true" : "the boolean false";
    case Kind::date:
      return "a date or time";
  }
  return "something else";
}

Document parse_toml(std::string_view text, const std::filesystem::path& file) {
  Document document;
  document.file = file;
  document.file_name = file.empty() ? std::string("specification") : file.string();
  const toml::parse_result result = toml::parse(text, std::string_view(document.file_name));
  if (!result) {
    const toml::parse_error& error = result.error();
    InputPosition position;
    position.file = document.file_name;
    position.line = error.source().begin.line;
    position.column = error.source().begin.column;
    throw Error(ErrorCode::bad_input, explain(error.description()), position);
  }
  document.root = convert(result.table());
  document.locations = Locations(document.file_name);
  locate(document.root, {}, split_lines(text), document.locations);
  return document;
}

std::string join_key(std::string_view path, std::string_view key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  std::string joined(path);
  if (!joined.empty()) joined += '.';
  if (bare) return joined += key;
  return joined += '"' + std::string(key) + '"';
}

std::string join_index(std::string_view path, std::size_t index) {
  return std::string(path) + "[" + std::to_string(index) + "]";
}

}  // namespace warpwright::spec::detail
