// The constraint and size language: one Python expression over named values, evaluated by our own parser.
// Grammar, precedence and results follow Python 3 (`7 // 2`, `-7 % 3 == 2`, chained comparisons, `and`/`or` that yield
// an operand), with deliberate differences: integers are 64-bit and report overflow instead of growing; round() takes a
// negative number of digits for integers only; `true` and `false` mean True and False; and only the listed functions
// exist: min max abs int float bool round pow len sum any all range list gcd ceil floor ceil_div log2 sqrt (ceil,
// floor, gcd, log2 and sqrt also as math.X). List comprehensions `[e for x in xs if c]` are part of the grammar, also
// as the only argument of a function without brackets; lambdas, slices, attributes and keyword arguments are not.
// Method: precedence climbing to a syntax tree, then postfix code on a small stack machine: evaluation neither recurses
// nor allocates for numbers (constraints are tested tens of millions of times), and parts without names are computed
// once, when parsed. A tree walked by recursion was rejected: a long chain of operators makes it as deep as the text is
// long. Bounds: text of 64 KiB, nesting of 200, lists of 1,000,000 elements, and a work budget for each evaluation
// (about a second at worst), so that no text can exhaust stack, memory or time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <warpwright/model/value.hpp>

namespace warpwright {

// What an expression can yield: None, a scalar, or a list (tuples and ranges are lists).
struct ExpressionValue;
using ExpressionList = std::vector<ExpressionValue>;
struct ExpressionValue : std::variant<std::monostate, std::int64_t, double, bool, std::string, ExpressionList> {
  using variant::variant;
  ExpressionValue(const Value& value);  // implicit: every Value is an ExpressionValue
  // Throws Error(bad_input) for None and lists.
  Value scalar() const;
  bool truthy() const;  // as Python's bool()
  // Python's repr(): for messages.
  std::string describe() const;
};

namespace detail {
struct ExpressionTree;
struct ExpressionAccess;
}  // namespace detail

// Slots resolved to positions of a name list; evaluation does no look-up. Immutable, thread-safe.
class BoundExpression {
 public:
  // values[i] belongs to names[i] given to bind(). Throws Error(bad_input) on division by zero, overflow or type
  // errors; the message has the text of the failing sub-expression.
  ExpressionValue evaluate(std::span<const Value> values) const;
  // evaluate(values).truthy(), without making an ExpressionValue.
  bool test(std::span<const Value> values) const;

 private:
  friend class Expression;
  friend struct detail::ExpressionAccess;
  std::shared_ptr<const detail::ExpressionTree> tree_;
  std::vector<std::int32_t> slot_of_name_;  // position in the list given to bind() of each name of the tree
  std::size_t name_count_ = 0;              // length of that list
};

// Immutable, cheap to copy, thread-safe. A default-constructed one is empty: it has no text and no names, and
// evaluating or binding it throws Error(bad_input).
class Expression {
 public:
  // Looks a name up; null if unknown. The pointer must stay valid until the next call.
  using Lookup = std::function<const ExpressionValue*(std::string_view)>;

  // Throws Error(bad_input); position().column is the column in `text` (from 1), the message says what was found and
  // what would be right ("did you mean" for misspelt functions; `&&` suggests `and`).
  static Expression parse(std::string_view text);
  // A constant, for specifications that give a plain number where an expression is allowed.
  static Expression constant(const Value& value);

  const std::string& text() const;
  // Free names in order of first appearance, each once (comprehension variables are not free).
  const std::vector<std::string>& names() const;

  // Every free name is looked up first, so an unknown one throws even where it would not be reached: Error(bad_input)
  // naming the expression and the name. Evaluation errors as BoundExpression::evaluate.
  ExpressionValue evaluate(const Lookup& lookup) const;
  // Throws Error(bad_input) if a free name is not among `names`, with a "did you mean".
  BoundExpression bind(std::span<const std::string> names) const;

  // The operands of a top-level `and`, as expressions of their own (just this one if there is none).
  std::vector<Expression> conjuncts() const;

 private:
  friend struct detail::ExpressionAccess;
  std::shared_ptr<const detail::ExpressionTree> tree_;
};

// Names and values of one evaluation: problem dimensions, the configuration, extras; later entries shadow earlier ones.
// Thread-compatible.
class Scope {
 public:
  void set(std::string_view name, ExpressionValue value);
  const ExpressionValue* find(std::string_view name) const;
  std::vector<std::string> names() const;
  Expression::Lookup lookup() const;  // refers to this scope

  // Evaluate and convert; the error names `what` ("grid[0] of launch 'gemm'"), the expression and the value found, and
  // for an unknown name the closest known one. An integer may be a float without fraction (64 / 2) or a boolean.
  std::int64_t integer(const Expression& expression, std::string_view what) const;
  // As integer(), and at least `minimum`.
  std::int64_t integer_at_least(const Expression& expression, std::int64_t minimum, std::string_view what) const;
  double number(const Expression& expression, std::string_view what) const;

 private:
  std::vector<std::pair<std::string, ExpressionValue>> entries_;
};

}  // namespace warpwright
