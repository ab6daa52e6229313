#include "section.hpp"

#include <cmath>
#include <utility>

#include "words.hpp"

namespace warpwright::spec::detail {

void fail_at(const Document& document, std::string_view path, const std::string& message) {
  throw Error(ErrorCode::bad_input, message, document.locations.at(path));
}

void wrong_type(const Document& document, const Node& node, std::string_view path, std::string_view expected) {
  fail_at(document, path, "expected " + std::string(expected) + ", found " + node.describe());
}

Value to_value(const Document& document, const Node& node, std::string_view path) {
  switch (node.kind) {
    case Node::Kind::integer:
      return node.integer;
    case Node::Kind::boolean:
      return node.boolean;
    case Node::Kind::string:
      return node.text;
    case Node::Kind::real:
      if (!std::isfinite(node.real)) {
        fail_at(document, path, "a value must be finite, found " + to_string(Value(node.real)));
      }
      return node.real;
    default:
      wrong_type(document, node, path, "a number, a string or a boolean");
  }
}

double to_number(const Document& document, const Node& node, std::string_view path, std::string_view example) {
  if (node.is(Node::Kind::integer)) return static_cast<double>(node.integer);
  if (!node.is(Node::Kind::real)) wrong_type(document, node, path, "a number such as " + std::string(example));
  if (!std::isfinite(node.real)) {
    fail_at(document, path,
            "expected a finite number such as " + std::string(example) + ", found " + to_string(Value(node.real)));
  }
  return node.real;
}

std::string to_text(const Document& document, const Node& node, std::string_view path, std::string_view example) {
  if (!node.is(Node::Kind::string)) {
    wrong_type(document, node, path, "a string such as \"" + std::string(example) + "\"");
  }
  if (node.text.empty()) {
    fail_at(document, path, "must not be empty; expected a string such as \"" + std::string(example) + "\"");
  }
  return node.text;
}

Expression to_expression(const Document& document, const Node& node, std::string_view path, std::string_view example) {
  if (node.is(Node::Kind::string)) {
    try {
      return Expression::parse(node.text);
    } catch (const Error& error) {
      const std::size_t column = error.position() ? error.position()->column : 0;
      throw Error(ErrorCode::bad_input, error.message(),
                  document.locations.at(path, column > 0 ? column - 1 : Locations::no_offset));
    }
  }
  if (node.is(Node::Kind::integer) || node.is(Node::Kind::real) || node.is(Node::Kind::boolean)) {
    return Expression::constant(to_value(document, node, path));
  }
  wrong_type(document, node, path, "a number or an expression in a string, such as " + std::string(example));
}

Configuration to_configuration(const Document& document, const Node& node, std::string_view path,
                               std::string_view example) {
  if (!node.is(Node::Kind::table)) wrong_type(document, node, path, "a table such as " + std::string(example));
  std::vector<Configuration::Entry> entries;
  for (const auto& member : node.members) {
    entries.emplace_back(member.key, to_value(document, member.value, join_key(path, member.key)));
  }
  return Configuration(std::move(entries));
}

std::vector<std::string> keys_of(const Node& table) {
  std::vector<std::string> keys;
  for (const auto& member : table.members) keys.push_back(member.key);
  return keys;
}

Section::Section(const Document& document, const Node& node, std::string path, std::vector<std::string> keys)
    : document_(&document), node_(&node), path_(std::move(path)) {
  if (!node.is(Node::Kind::table)) {
    std::string expected = "a table";
    if (!keys.empty()) expected += " with the keys " + join(keys);
    wrong_type(document, node, path_, expected);
  }
  if (keys.empty()) return;
  for (const auto& member : node.members) {
    bool known = false;
    for (const auto& valid : keys) known = known || valid == member.key;
    if (known) continue;
    InputPosition position = document.locations.at(key(member.key));
    position.line = member.line;
    position.column = member.column;
    throw Error(ErrorCode::bad_input, "unknown key" + suggestion(member.key, keys, "valid keys here"), position);
  }
}

const Node* Section::find(std::string_view name) const {
  const Member* member = node_->find(name);
  return member ? &member->value : nullptr;
}

const Node& Section::require(std::string_view name, std::string_view example) const {
  const Node* found = find(name);
  if (!found) fail(name, "is required and missing; write for example: " + std::string(example));
  return *found;
}

std::string Section::required_string(std::string_view name, std::string_view example) const {
  return to_text(*document_, require(name, std::string(name) + " = \"" + std::string(example) + "\""), key(name),
                 example);
}

std::optional<std::string> Section::string(std::string_view name, std::string_view example) const {
  const Node* found = find(name);
  if (!found) return std::nullopt;
  return to_text(*document_, *found, key(name), example);
}

std::optional<bool> Section::boolean(std::string_view name) const {
  const Node* found = find(name);
  if (!found) return std::nullopt;
  if (!found->is(Node::Kind::boolean)) wrong_type(*document_, *found, key(name), "true or false");
  return found->boolean;
}

std::optional<double> Section::number(std::string_view name, std::string_view example) const {
  const Node* found = find(name);
  if (!found) return std::nullopt;
  return to_number(*document_, *found, key(name), example);
}

std::optional<std::uint64_t> Section::seed(std::string_view name) const {
  const Node* found = find(name);
  if (!found) return std::nullopt;
  if (!found->is(Node::Kind::integer) || found->integer < 0) {
    wrong_type(*document_, *found, key(name), "an integer that is not negative, such as 1");
  }
  return static_cast<std::uint64_t>(found->integer);
}

std::vector<std::string> Section::strings(std::string_view name, std::string_view example) const {
  std::vector<std::string> result;
  const Node* found = find(name);
  if (!found) return result;
  if (!found->is(Node::Kind::array)) {
    wrong_type(*document_, *found, key(name), "an array of strings such as " + std::string(example));
  }
  for (std::size_t i = 0; i < found->items.size(); ++i) {
    const Node& item = found->items[i];
    if (!item.is(Node::Kind::string)) {
      wrong_type(*document_, item, join_index(key(name), i), "a string, as in " + std::string(example));
    }
    result.push_back(item.text);
  }
  return result;
}

std::optional<Expression> Section::expression(std::string_view name, std::string_view example) const {
  const Node* found = find(name);
  if (!found) return std::nullopt;
  return to_expression(*document_, *found, key(name), example);
}

std::vector<Expression> Section::geometry(std::string_view name, std::string_view example) const {
  std::vector<Expression> result;
  const Node* found = find(name);
  if (!found) return result;
  if (!found->is(Node::Kind::array)) {
    result.push_back(to_expression(*document_, *found, key(name), example));
    return result;
  }
  if (found->items.empty() || found->items.size() > 3) {
    fail(name, "expected 1 to 3 entries (x, y, z), such as " + std::string(example) + ", found " +
                   std::to_string(found->items.size()));
  }
  for (std::size_t i = 0; i < found->items.size(); ++i) {
    result.push_back(to_expression(*document_, found->items[i], join_index(key(name), i), example));
  }
  return result;
}

std::optional<Section> Section::section(std::string_view name, std::vector<std::string> keys) const {
  const Node* found = find(name);
  if (!found) return std::nullopt;
  return Section(*document_, *found, key(name), std::move(keys));
}

std::vector<Section> Section::sections(std::string_view name, std::vector<std::string> keys) const {
  std::vector<Section> result;
  const Node* found = find(name);
  if (!found) return result;
  if (!found->is(Node::Kind::array)) {
    wrong_type(*document_, *found, key(name),
               "an array of tables, each under its own [[" + key(name) + "]] (two brackets)");
  }
  for (std::size_t i = 0; i < found->items.size(); ++i) {
    result.emplace_back(*document_, found->items[i], join_index(key(name), i), keys);
  }
  return result;
}

void Section::fail(std::string_view name, const std::string& message) const { fail_at(*document_, key(name), message); }

}  // namespace warpwright::spec::detail
