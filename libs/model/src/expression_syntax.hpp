// The syntax tree between parser and compiler; alive only while an expression is parsed.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "expression_tree.hpp"

namespace warpwright::detail {

enum class NodeKind : std::uint8_t {
  constant,
  name,
  unary,
  binary,
  logical,
  comparison,
  conditional,
  list,
  call,
  comprehension
};

// A node of the syntax tree. Children lie consecutively in Syntax::links, because most nodes have one to three.
struct Node {
  NodeKind kind = NodeKind::constant;
  Op op = Op::constant;  // unary, binary; or_jump or and_jump of a logical node
  Function function = Function::min;
  Cell value = Cell::none();  // constant
  std::uint32_t first = 0, count = 0;
  Span span;   // without enclosing parentheses
  Span outer;  // with them
};

// One "for x in xs" or "if c" of a comprehension; the children of the node are the element, then one per clause.
struct Clause {
  std::string_view variable;  // empty for "if"
};

struct Syntax {
  std::vector<Node> nodes;
  std::vector<std::int32_t> links;
  std::vector<Op> comparison_ops;  // of comparison nodes: `count - 1` from `value.i` on
  std::vector<Clause> clauses;     // of comprehensions: `count - 1` from `value.i` on
  std::span<const std::int32_t> children(const Node& node) const { return {links.data() + node.first, node.count}; }
};

// Turns the tree below `root` into code, names and constants of `tree`; parts without names are computed once, here.
void compile(const Syntax& syntax, std::int32_t root, ExpressionTree& tree);

}  // namespace warpwright::detail
