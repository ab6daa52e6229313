// Typed access to one table of a specification. Every getter throws Error(bad_input) with the position, what was found
// and what would be right; keys outside the list are refused when the section is opened.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/model/configuration.hpp>
#include <warpwright/model/expression.hpp>

#include "document.hpp"

namespace warpwright::spec::detail {

// Views of a Document, which must outlive them. Thread-compatible.
class Section {
 public:
  // `node` must be a table ("expected a table" otherwise). An empty list of keys allows any.
  Section(const Document& document, const Node& node, std::string path, std::vector<std::string> keys);

  const Document& document() const { return *document_; }
  const Node& node() const { return *node_; }
  const std::string& path() const { return path_; }
  std::string key(std::string_view name) const { return join_key(path_, name); }

  bool has(std::string_view name) const { return node_->find(name) != nullptr; }
  const Node* find(std::string_view name) const;
  // `example` is what a line of the file would look like: source = "stencil.kernel".
  const Node& require(std::string_view name, std::string_view example) const;

  std::string required_string(std::string_view name, std::string_view example) const;
  std::optional<std::string> string(std::string_view name, std::string_view example) const;
  std::optional<bool> boolean(std::string_view name) const;
  std::optional<double> number(std::string_view name, std::string_view example) const;
  std::optional<std::uint64_t> seed(std::string_view name) const;
  // Empty if the key is absent.
  std::vector<std::string> strings(std::string_view name, std::string_view example) const;
  std::optional<Expression> expression(std::string_view name, std::string_view example) const;
  // 1 to 3 expressions, as an array or one alone; empty if the key is absent.
  std::vector<Expression> geometry(std::string_view name, std::string_view example) const;
  std::optional<Section> section(std::string_view name, std::vector<std::string> keys) const;
  // An array of tables; empty if the key is absent.
  std::vector<Section> sections(std::string_view name, std::vector<std::string> keys) const;

  [[noreturn]] void fail(std::string_view name, const std::string& message) const;

 private:
  const Document* document_;
  const Node* node_;
  std::string path_;
};

[[noreturn]] void fail_at(const Document& document, std::string_view path, const std::string& message);
[[noreturn]] void wrong_type(const Document& document, const Node& node, std::string_view path,
                             std::string_view expected);

// A number, string or boolean; NaN and infinities are refused.
Value to_value(const Document& document, const Node& node, std::string_view path);
double to_number(const Document& document, const Node& node, std::string_view path, std::string_view example);
std::string to_text(const Document& document, const Node& node, std::string_view path, std::string_view example);
// A string in the expression language, or a plain number or boolean.
Expression to_expression(const Document& document, const Node& node, std::string_view path, std::string_view example);
// A table of values, in the order of the file.
Configuration to_configuration(const Document& document, const Node& node, std::string_view path,
                               std::string_view example);
// The names of a table's keys, in order.
std::vector<std::string> keys_of(const Node& table);

}  // namespace warpwright::spec::detail
