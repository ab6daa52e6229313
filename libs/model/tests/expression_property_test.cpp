#include <array>
#include <gtest/gtest.h>
#include <limits>
#include <memory>
#include <optional>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/model/expression.hpp>

namespace warpwright {
namespace {

__extension__ using Wide = __int128;

// A second, independent reading of the language for integers: a tree that evaluates itself by recursion in 128 bits.
struct Tree {
  std::string op;  // empty: a number; "n": a name
  std::int64_t number = 0;
  std::vector<std::shared_ptr<Tree>> operands;
};
using TreePtr = std::shared_ptr<Tree>;

constexpr std::array<const char*, 3> names{"x", "y", "z"};

TreePtr leaf() {
  auto tree = std::make_shared<Tree>();
  if (*rc::gen::inRange(0, 3) == 0) {
    tree->op = "n";
    tree->number = *rc::gen::inRange(0, 3);
  } else {
    tree->number = *rc::gen::weightedOneOf<std::int64_t>(
        {{8, rc::gen::inRange<std::int64_t>(0, 12)},
         {1, rc::gen::inRange<std::int64_t>(0, std::numeric_limits<std::int64_t>::max())}});
  }
  return tree;
}

TreePtr random_tree(int depth) {
  if (depth == 0 || *rc::gen::inRange(0, 5) == 0) return leaf();
  auto tree = std::make_shared<Tree>();
  tree->op = *rc::gen::element<std::string>("+", "-", "*", "//", "%", "&", "|", "^", "<", "<=", "==", "!=", "and", "or",
                                            "not", "neg", "~", "if", "**", ">>");
  const int count = tree->op == "not" || tree->op == "neg" || tree->op == "~" ? 1 : tree->op == "if" ? 3 : 2;
  for (int i = 0; i < count; ++i) tree->operands.push_back(random_tree(depth - 1));
  return tree;
}

// nullopt where the language reports an error.
std::optional<std::int64_t> reference(const Tree& tree, const std::vector<Value>& values) {
  const auto at = [&](std::size_t i) { return reference(*tree.operands[i], values); };
  const auto fit = [](Wide x) -> std::optional<std::int64_t> {
    if (x > std::numeric_limits<std::int64_t>::max() || x < std::numeric_limits<std::int64_t>::min())
      return std::nullopt;
    return static_cast<std::int64_t>(x);
  };
  if (tree.op.empty()) return tree.number;
  if (tree.op == "n") return std::get<std::int64_t>(values[static_cast<std::size_t>(tree.number)]);
  const auto a = at(0);
  if (!a) return std::nullopt;
  if (tree.op == "and") return *a != 0 ? at(1) : a;
  if (tree.op == "or") return *a != 0 ? a : at(1);
  if (tree.op == "if") return *a != 0 ? at(1) : at(2);
  if (tree.op == "not") return *a == 0;
  if (tree.op == "neg") return fit(-static_cast<Wide>(*a));
  if (tree.op == "~") return ~*a;
  const auto b = at(1);
  if (!b) return std::nullopt;
  const Wide x = *a, y = *b;
  if (tree.op == "+") return fit(x + y);
  if (tree.op == "-") return fit(x - y);
  if (tree.op == "*") return fit(x * y);
  if (tree.op == "//" || tree.op == "%") {
    if (y == 0) return std::nullopt;
    Wide quotient = x / y;
    while (quotient * y > x && y > 0) --quotient;
    while (quotient * y < x && y < 0) --quotient;
    return fit(tree.op == "%" ? x - quotient * y : quotient);
  }
  if (tree.op == "&") return *a & *b;
  if (tree.op == "|") return *a | *b;
  if (tree.op == "^") return *a ^ *b;
  if (tree.op == "<") return x < y;
  if (tree.op == "<=") return x <= y;
  if (tree.op == "==") return x == y;
  if (tree.op == "!=") return x != y;
  if (tree.op == ">>") {
    if (y < 0) return std::nullopt;
    Wide result = x;
    for (Wide i = 0; i < y && result != 0 && result != -1; ++i)
      result = (result - (result % 2 != 0 && result < 0 ? 1 : 0)) / 2;
    return fit(result);
  }
  if (tree.op == "**") {
    if (y < 0) return std::nullopt;  // a fraction, or a division by zero: kept out of the comparison below
    Wide result = 1;
    if (x == 0 || x == 1) return y == 0 ? 1 : *a;
    if (x == -1) return y % 2 == 0 ? 1 : -1;
    for (Wide i = 0; i < y; ++i) {
      result *= x;
      if (!fit(result)) return std::nullopt;
    }
    return fit(result);
  }
  return std::nullopt;
}

// True if a negative exponent is met on the way: the result is then a float, which the reference does not model.
bool meets_fraction(const Tree& tree, const std::vector<Value>& values) {
  if (tree.op == "**") {
    const auto exponent = reference(*tree.operands[1], values);
    if (!exponent || *exponent < 0) return true;
  }
  for (const auto& operand : tree.operands) {
    if (meets_fraction(*operand, values)) return true;
  }
  return false;
}

int level_of(const Tree& tree) {
  if (tree.op.empty() || tree.op == "n") return 14;
  if (tree.op == "if") return 0;
  if (tree.op == "or") return 1;
  if (tree.op == "and") return 2;
  if (tree.op == "not") return 3;
  if (tree.op == "<" || tree.op == "<=" || tree.op == "==" || tree.op == "!=") return 4;
  if (tree.op == "|") return 5;
  if (tree.op == "^") return 6;
  if (tree.op == "&") return 7;
  if (tree.op == ">>") return 8;
  if (tree.op == "+" || tree.op == "-") return 9;
  if (tree.op == "*" || tree.op == "//" || tree.op == "%") return 10;
  if (tree.op == "neg" || tree.op == "~") return 11;
  return 12;  // **
}

// With the fewest parentheses the grammar allows, or with all of them.
std::string print(const Tree& tree, int minimum, bool all) {
  const int level = level_of(tree);
  const auto operand = [&](std::size_t i, int needed) { return print(*tree.operands[i], needed, all); };
  std::string text;
  if (tree.op.empty()) {
    text = std::to_string(tree.number);
  } else if (tree.op == "n") {
    text = names[static_cast<std::size_t>(tree.number)];
  } else if (tree.op == "if") {
    text = operand(1, 1) + " if " + operand(0, 1) + " else " + operand(2, 0);
  } else if (tree.op == "not") {
    text = "not " + operand(0, 3);
  } else if (tree.op == "neg" || tree.op == "~") {
    text = (tree.op == "neg" ? "-" : "~") + operand(0, 11);
  } else if (tree.op == "**") {
    text = operand(0, 13) + "**" + operand(1, 11);
  } else {
    const int left = level == 4 ? 5 : level;  // comparisons chain, they do not associate
    text = operand(0, left) + " " + tree.op + " " + operand(1, level + 1);
  }
  const bool needed = level < minimum;
  return needed || (all && level < 14) ? "(" + text + ")" : text;
}

std::optional<std::int64_t> language(const std::string& text, const std::vector<Value>& values) {
  const std::vector<std::string> known(names.begin(), names.end());
  const auto bound = Expression::parse(text).bind(known);
  try {
    const auto result = bound.evaluate(values);
    RC_ASSERT(bound.test(values) == result.truthy());
    return as_integer(result.scalar());
  } catch (const Error& error) {
    RC_ASSERT(error.code() == ErrorCode::bad_input);
    return std::nullopt;
  }
}

std::vector<Value> random_values() {
  std::vector<Value> values;
  for (std::size_t i = 0; i < names.size(); ++i) values.push_back(*rc::gen::inRange<std::int64_t>(-6, 40));
  return values;
}

// The same tree with the values in place of the names: everything is then folded when parsed.
TreePtr substituted(const Tree& tree, const std::vector<Value>& values) {
  auto result = std::make_shared<Tree>(tree);
  if (tree.op == "n") {
    const auto value = std::get<std::int64_t>(values[static_cast<std::size_t>(tree.number)]);
    result->op = "";
    result->number = value < 0 ? -value : value;
    if (value < 0) {
      auto negative = std::make_shared<Tree>();
      negative->op = "neg";
      negative->operands.push_back(result);
      return negative;
    }
  }
  for (auto& operand : result->operands) operand = substituted(*operand, values);
  return result;
}

RC_GTEST_PROP(ExpressionProperty, PrintedTextEvaluatesLikeTheTree, ()) {
  const TreePtr tree = random_tree(*rc::gen::inRange(1, 6));
  const auto values = random_values();
  RC_PRE(!meets_fraction(*tree, values));
  const auto expected = reference(*tree, values);
  for (const bool all_parentheses : {false, true}) {
    const std::string text = print(*tree, 0, all_parentheses);
    RC_LOG() << text << "\n";
    RC_ASSERT(language(text, values) == expected);
  }
  const std::string constant = print(*substituted(*tree, values), 0, false);
  RC_LOG() << constant << "\n";
  RC_ASSERT(language(constant, values) == expected);
}

RC_GTEST_PROP(ExpressionProperty, ConjunctsTogetherAreTheWhole, ()) {
  std::string text;
  const int parts = *rc::gen::inRange(1, 5);
  for (int i = 0; i < parts; ++i) text += (i > 0 ? " and " : "") + print(*random_tree(3), 3, false);
  const auto values = random_values();
  const std::vector<std::string> known(names.begin(), names.end());
  const auto whole = Expression::parse(text);
  bool all = true;
  try {
    for (const auto& part : whole.conjuncts()) all = all && part.bind(known).test(values);
    RC_ASSERT(whole.bind(known).test(values) == all);
  } catch (const Error&) {
    // An error of evaluation in the order of the text: the whole must fail likewise.
    RC_ASSERT_THROWS_AS(whole.bind(known).test(values), Error);
  }
}

RC_GTEST_PROP(ExpressionProperty, AnyTextIsReadOrRefused, ()) {
  // Words of the language in any order: mostly wrong, sometimes right, never anything but a value or bad_input.
  const auto words = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
      "x", "1", "2.5", "'s'", "(", ")", "[", "]", ",", "+", "-", "*", "**", "//", "%", "<", "==", "and", "or", "not",
      "in", "if", "else", "for", "min", "range", "max(", "math.", ".", "None", "True", "~", "<<", "|", "=", "\\", "\"",
      "9223372036854775807"));
  std::string text;
  for (const auto& word : words) text += word + " ";
  const ExpressionValue five(Value(std::int64_t{5}));
  try {
    Expression::parse(text).evaluate([&](std::string_view) { return &five; }).describe();
  } catch (const Error& error) {
    RC_ASSERT(error.code() == ErrorCode::bad_input);
  }
}

RC_GTEST_PROP(ExpressionProperty, LiteralsReadBack, (const std::string& raw, std::int64_t i, double d)) {
  std::string text = raw;
  std::erase(text, '\0');
  for (const Value& value : {Value(text), Value(i), Value(d)}) {
    const std::string literal = to_literal(value);
    RC_LOG() << literal << "\n";
    RC_ASSERT(Expression::parse(literal).evaluate(nullptr).scalar() == value);
    RC_ASSERT(Expression::constant(value).evaluate(nullptr).scalar() == value);
  }
}

}  // namespace
}  // namespace warpwright
