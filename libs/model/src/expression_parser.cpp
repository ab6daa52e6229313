#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include <warpwright/base/error.hpp>

#include "expression_lexer.hpp"
#include "expression_syntax.hpp"

namespace warpwright::detail {
namespace {

// Binding strengths, loosest first, as in Python's grammar.
enum Level : int {
  level_or = 1,
  level_and,
  level_not,
  level_comparison,
  level_bit_or,
  level_bit_xor,
  level_bit_and,
  level_shift,
  level_sum,
  level_product,
  level_unary,
  level_power
};

struct Infix {
  std::string_view symbol;
  Level level;
  Op op;
};
constexpr std::array<Infix, 20> infixes{{{"or", level_or, Op::or_jump},
                                         {"and", level_and, Op::and_jump},
                                         {"<", level_comparison, Op::less},
                                         {"<=", level_comparison, Op::less_equal},
                                         {">", level_comparison, Op::greater},
                                         {">=", level_comparison, Op::greater_equal},
                                         {"==", level_comparison, Op::equal},
                                         {"!=", level_comparison, Op::not_equal},
                                         {"in", level_comparison, Op::in},
                                         {"|", level_bit_or, Op::bit_or},
                                         {"^", level_bit_xor, Op::bit_xor},
                                         {"&", level_bit_and, Op::bit_and},
                                         {"<<", level_shift, Op::shift_left},
                                         {">>", level_shift, Op::shift_right},
                                         {"+", level_sum, Op::add},
                                         {"-", level_sum, Op::subtract},
                                         {"*", level_product, Op::multiply},
                                         {"/", level_product, Op::divide},
                                         {"//", level_product, Op::floor_divide},
                                         {"%", level_product, Op::modulo}}};
constexpr std::array<std::string_view, 9> keywords{"if", "else", "for", "in", "not", "and", "or", "is", "lambda"};

class Parser {
 public:
  Parser(ExpressionTree& tree, Syntax& syntax) : tree_(tree), syntax_(syntax), tokens_(tokenize(tree.text)) {}

  std::int32_t run() {
    if (current().kind == Token::Kind::end) fail(current(), "the expression is empty");
    const std::int32_t root = conditional();
    if (current().kind != Token::Kind::end) fail_unexpected();
    return root;
  }

 private:
  const Token& current() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  std::uint32_t last_end() const { return at_ == 0 ? 0 : tokens_[at_ - 1].end; }
  bool accept(std::string_view symbol) {
    if (!current().is(symbol)) return false;
    ++at_;
    return true;
  }
  [[noreturn]] void fail(const Token& token, const std::string& what) const {
    throw_syntax_error(tree_.text, token.begin, what);
  }
  static std::string shown(const Token& token) {
    return token.kind == Token::Kind::end ? "the end of the expression" : "'" + excerpt(token.text, 40) + "'";
  }

  // Counts every way in which the parser calls itself without bound.
  class Nesting {
   public:
    explicit Nesting(Parser& parser) : parser_(parser) {
      if (++parser_.nesting_ > max_expression_nesting) {
        parser_.fail(parser_.current(), "nested more than " + std::to_string(max_expression_nesting) + " levels deep");
      }
    }
    ~Nesting() { --parser_.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    Parser& parser_;
  };

  [[noreturn]] void fail_unexpected() const {
    const Token& token = current();
    if (token.is(")") || token.is("]")) fail(token, "'" + std::string(token.text) + "' has no opening counterpart");
    if (token.is(",")) fail(token, "a list of values needs brackets: [a, b]");
    if (token.is("is")) fail(token, "'is' is not part of the language; write '=='");
    if (token.is("not")) fail(token, "expected 'in' after 'not', found " + shown(next()));
    if (token.is("if")) fail(token, "'if' needs an 'else' part: x if condition else y");
    if (token.is("for")) fail(token, "a comprehension needs brackets: [x for y in z]");
    if (token.is(".")) fail(token, "attributes are not part of the language; only math.NAME is known");
    fail(token, "expected an operator or the end of the expression, found " + shown(token));
  }

  std::int32_t add(NodeKind kind, Op op, Span outer, const std::vector<std::int32_t>& children) {
    Node node;
    node.kind = kind;
    node.op = op;
    node.span = node.outer = outer;
    node.first = static_cast<std::uint32_t>(syntax_.links.size());
    node.count = static_cast<std::uint32_t>(children.size());
    syntax_.links.insert(syntax_.links.end(), children.begin(), children.end());
    syntax_.nodes.push_back(node);
    return static_cast<std::int32_t>(syntax_.nodes.size() - 1);
  }
  std::int32_t add_constant(Cell value, Span span) {
    const std::int32_t node = add(NodeKind::constant, Op::constant, span, {});
    syntax_.nodes.back().value = value;
    return node;
  }
  std::uint32_t begin_of(std::int32_t node) const { return syntax_.nodes[static_cast<std::size_t>(node)].outer.begin; }

  // x if c else y
  std::int32_t conditional() {
    const std::int32_t value = level(level_or);
    if (!current().is("if")) return value;
    const Token& word = current();
    ++at_;
    const std::int32_t condition = level(level_or);
    if (!accept("else"))
      fail(current(),
           "'if' in column " + std::to_string(word.begin + 1) + " needs an 'else' part, found " + shown(current()));
    const Nesting nesting(*this);
    const std::int32_t other = conditional();
    return add(NodeKind::conditional, Op::constant, {begin_of(value), last_end()}, {condition, value, other});
  }

  const Infix* infix() const {
    const Token& token = current();
    if (token.kind != Token::Kind::symbol && token.kind != Token::Kind::name) return nullptr;
    for (const auto& candidate : infixes) {
      if (candidate.symbol == token.text) return &candidate;
    }
    return nullptr;
  }

  // The comparison operator at the current token, and how many tokens it takes.
  std::optional<std::pair<Op, std::size_t>> comparison() const {
    if (current().is("not") && next().is("in")) return std::pair{Op::not_in, std::size_t{2}};
    const Infix* op = infix();
    if (op == nullptr || op->level != level_comparison) return std::nullopt;
    return std::pair{op->op, std::size_t{1}};
  }

  // An operand and all operators that bind at least as strongly as `minimum`.
  std::int32_t level(int minimum) {
    std::int32_t left = prefix(minimum);
    while (true) {
      if (minimum <= level_power && current().is("**")) {
        ++at_;
        const Nesting nesting(*this);
        const std::int32_t right = level(level_unary);  // right-associative, and 2**-1 is legal
        left = add(NodeKind::binary, Op::power, {begin_of(left), last_end()}, {left, right});
        continue;
      }
      if (minimum <= level_comparison && comparison()) {
        left = comparison_chain(left);
        continue;
      }
      const Infix* op = infix();
      if (op == nullptr || op->level < minimum || op->level == level_comparison) return left;
      if (op->level <= level_and) {
        std::vector<std::int32_t> operands{left};
        while (accept(op->symbol)) operands.push_back(level(op->level + 1));
        left = add(NodeKind::logical, op->op, {begin_of(left), last_end()}, operands);
        continue;
      }
      ++at_;
      const std::int32_t right = level(op->level + 1);
      left = add(NodeKind::binary, op->op, {begin_of(left), last_end()}, {left, right});
    }
  }

  std::int32_t comparison_chain(std::int32_t left) {
    std::vector<std::int32_t> operands{left};
    std::vector<Op> ops;
    while (const auto op = comparison()) {
      at_ += op->second;
      ops.push_back(op->first);
      operands.push_back(level(level_comparison + 1));
    }
    const std::int32_t node = add(NodeKind::comparison, Op::constant, {begin_of(left), last_end()}, operands);
    syntax_.nodes.back().value = Cell::integer(static_cast<std::int64_t>(syntax_.comparison_ops.size()));
    syntax_.comparison_ops.insert(syntax_.comparison_ops.end(), ops.begin(), ops.end());
    return node;
  }

  std::int32_t prefix(int minimum) {
    const Token& token = current();
    if (token.is("not")) {
      if (minimum > level_not)
        fail(token, "'not' binds more loosely than the operator before it: put it in parentheses");
      ++at_;
      const Nesting nesting(*this);
      const std::int32_t operand = level(level_not);
      return add(NodeKind::unary, Op::logical_not, {token.begin, last_end()}, {operand});
    }
    const Op op = token.is("-")   ? Op::negative
                  : token.is("+") ? Op::positive
                  : token.is("~") ? Op::invert
                                  : Op::constant;
    if (op == Op::constant) return postfix();
    ++at_;
    const Nesting nesting(*this);
    // The smallest 64-bit integer has a magnitude that does not fit without its sign.
    const bool extreme = current().kind == Token::Kind::integer && current().integer == std::uint64_t{1} << 63;
    if (op == Op::negative && extreme && !next().is("**")) {
      ++at_;
      return add_constant(Cell::integer(std::numeric_limits<std::int64_t>::min()), {token.begin, last_end()});
    }
    const std::int32_t operand = level(level_unary);
    return add(NodeKind::unary, op, {token.begin, last_end()}, {operand});
  }

  std::int32_t postfix() {
    std::int32_t value = atom();
    while (current().is("[")) {
      const Token& bracket = current();
      ++at_;
      const Nesting nesting(*this);
      if (current().is("]")) fail(current(), "an index is missing between the brackets");
      if (current().is(":")) fail(current(), "slices are not part of the language");
      const std::int32_t index = conditional();
      if (current().is(":")) fail(current(), "slices are not part of the language");
      close(bracket, "]");
      value = add(NodeKind::binary, Op::index, {begin_of(value), last_end()}, {value, index});
    }
    if (current().is("(")) fail(current(), "only the named functions can be called");
    return value;
  }

  void close(const Token& opening, std::string_view symbol) {
    if (accept(symbol)) return;
    if (current().is(")") || current().is("]")) {
      fail(current(), "'" + std::string(current().text) + "' closes the '" + std::string(opening.text) +
                          "' of column " + std::to_string(opening.begin + 1) + ", which needs '" + std::string(symbol) +
                          "'");
    }
    if (current().kind == Token::Kind::end) {
      fail(opening,
           "the '" + std::string(opening.text) + "' is never closed: '" + std::string(symbol) + "' is missing");
    }
    if (!current().is(",") && !current().is("for")) fail_in_brackets(symbol);
    fail_unexpected();
  }
  [[noreturn]] void fail_in_brackets(std::string_view symbol) const {
    if (current().is("is") || current().is("not") || current().is("if") || current().is(".")) fail_unexpected();
    fail(current(), "expected an operator or '" + std::string(symbol) + "', found " + shown(current()));
  }

  std::int32_t atom() {
    const Token& token = current();
    const Span span{token.begin, token.end};
    switch (token.kind) {
      case Token::Kind::integer:
        if (token.integer > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
          fail(token, "the integer " + std::string(token.text) + " does not fit in 64 bits");
        }
        ++at_;
        return add_constant(Cell::integer(static_cast<std::int64_t>(token.integer)), span);
      case Token::Kind::real:
        ++at_;
        return add_constant(Cell::real(token.real), span);
      case Token::Kind::string:
        ++at_;
        return add_constant(Cell::string(tree_.owned.own(token.string)), span);
      case Token::Kind::end:
        fail(token, at_ == 0 ? "the expression is empty" : "a value is missing after " + shown(tokens_[at_ - 1]));
      case Token::Kind::name:
        return word();
      case Token::Kind::symbol:
        break;
    }
    if (token.is("(")) return parenthesised();
    if (token.is("[")) {
      ++at_;
      const Nesting nesting(*this);
      return sequence(token, "]", {});
    }
    if (token.is(")") || token.is("]") || token.is(",")) {
      if (at_ == 0) fail_unexpected();
      fail(token, "a value is missing before " + shown(token));
    }
    if (at_ > 0 && token.is("*") && (tokens_[at_ - 1].is("(") || tokens_[at_ - 1].is(","))) {
      fail(token, "unpacking with '*' is not part of the language");
    }
    fail(token, "expected a value, found " + shown(token));
  }

  std::int32_t word() {
    const Token& token = current();
    const Span span{token.begin, token.end};
    if (token.is("True") || token.is("true")) return ++at_, add_constant(Cell::boolean(true), span);
    if (token.is("False") || token.is("false")) return ++at_, add_constant(Cell::boolean(false), span);
    if (token.is("None")) return ++at_, add_constant(Cell::none(), span);
    if (token.is("lambda")) fail(token, "lambdas are not part of the language; write the condition itself");
    if (std::find(keywords.begin(), keywords.end(), token.text) != keywords.end()) {
      fail(token, "expected a value, found the word '" + std::string(token.text) + "'");
    }
    if (next().is(".")) return member();
    if (next().is("(")) {
      ++at_;
      return call(token, token, false);
    }
    ++at_;
    return add(NodeKind::name, Op::name, span, {});
  }

  // math.ceil(x)
  std::int32_t member() {
    const Token& module = current();
    at_ += 2;
    const Token& name = current();
    if (module.text != "math") {
      fail(module, "attributes are not part of the language, only math.NAME is known; found '" +
                       excerpt(module.text, 40) + ".'");
    }
    if (name.kind != Token::Kind::name) fail(name, "the name of a function is missing after 'math.'");
    ++at_;
    if (!current().is("(")) fail(name, "'math." + excerpt(name.text, 40) + "' must be called: math.ceil(x)");
    return call(module, name, true);
  }

  std::int32_t call(const Token& first, const Token& token, bool in_math) {
    const std::string_view name = token.text;
    const std::string prefix = in_math ? "math." : "";
    const FunctionInfo* info = nullptr;
    std::vector<std::string> known;
    for (const auto& candidate : functions()) {
      if (in_math && !candidate.in_math) continue;
      known.emplace_back(candidate.name);
      if (candidate.name == name) info = &candidate;
    }
    if (info == nullptr) {
      std::string message = "unknown function '" + prefix + excerpt(name, 40) + "'";
      if (const auto match = closest_match(excerpt(name, 40), known)) {
        message += "; did you mean '" + prefix + *match + "'?";
      } else {
        message += "; known are";
        for (const auto& candidate : known) message += " " + prefix + candidate;
      }
      fail(token, message);
    }
    const Token& bracket = current();
    ++at_;
    const Nesting nesting(*this);
    const std::int32_t node = sequence(bracket, ")", info);
    Node& made = syntax_.nodes[static_cast<std::size_t>(node)];
    made.span.begin = made.outer.begin = first.begin;
    const auto count = static_cast<int>(made.count);
    if (count < info->min_arguments || (info->max_arguments >= 0 && count > info->max_arguments)) {
      std::string expected = std::to_string(info->min_arguments);
      if (info->max_arguments < 0) expected = "at least " + expected;
      if (info->max_arguments > info->min_arguments) expected += " to " + std::to_string(info->max_arguments);
      fail(token, "'" + prefix + std::string(name) + "' takes " + expected +
                      (expected == "1" ? " argument" : " arguments") + ", found " + std::to_string(count));
    }
    return node;
  }

  std::int32_t parenthesised() {
    const Token& opening = current();
    ++at_;
    const Nesting nesting(*this);
    if (current().is(")")) return ++at_, add(NodeKind::list, Op::make_list, {opening.begin, last_end()}, {});
    const std::int32_t first = conditional();
    if (!current().is(",")) {
      if (current().is("for")) fail(current(), "a comprehension needs brackets: [x for y in z]");
      close(opening, ")");
      syntax_.nodes[static_cast<std::size_t>(first)].outer = {opening.begin, last_end()};
      return first;
    }
    std::vector<std::int32_t> elements{first};
    while (accept(",")) {
      if (current().is(")")) break;
      elements.push_back(conditional());
    }
    close(opening, ")");
    return add(NodeKind::list, Op::make_list, {opening.begin, last_end()}, elements);
  }

  // The inside of [...] or of a call, after the opening bracket, and the closing one.
  std::int32_t sequence(const Token& opening, std::string_view closing, const FunctionInfo* function) {
    std::vector<std::int32_t> elements;
    bool comprehended = false;
    while (!current().is(closing) && !comprehended) {
      elements.push_back(conditional());
      if (elements.size() == 1 && current().is("for")) {
        elements.front() = comprehension(elements.front());
        comprehended = true;
      } else if (!accept(",")) {
        break;
      }
    }
    close(opening, closing);
    const Span span{opening.begin, last_end()};
    if (function != nullptr) {
      const std::int32_t node = add(NodeKind::call, Op::call, span, elements);
      syntax_.nodes.back().function = function->function;
      return node;
    }
    if (!comprehended) return add(NodeKind::list, Op::make_list, span, elements);
    Node& node = syntax_.nodes[static_cast<std::size_t>(elements.front())];
    node.span = node.outer = span;
    return elements.front();
  }

  // "element for x in xs if c ...": the element is parsed already.
  std::int32_t comprehension(std::int32_t element) {
    std::vector<std::int32_t> children{element};
    std::vector<Clause> clauses;
    while (current().is("for") || (current().is("if") && !clauses.empty())) {
      Clause clause;
      if (accept("for")) {
        const Token& variable = current();
        if (variable.kind != Token::Kind::name ||
            std::find(keywords.begin(), keywords.end(), variable.text) != keywords.end()) {
          fail(variable, "the name of a variable must follow 'for', found " + shown(variable));
        }
        clause.variable = variable.text;
        ++at_;
        if (!accept("in"))
          fail(current(), "expected 'in' after 'for " + excerpt(variable.text, 40) + "', found " + shown(current()));
      } else {
        ++at_;
      }
      // Not a conditional expression: its 'if' would be ambiguous.
      children.push_back(level(level_or));
      clauses.push_back(clause);
    }
    const std::int32_t node = add(NodeKind::comprehension, Op::constant, {begin_of(element), last_end()}, children);
    syntax_.nodes.back().value = Cell::integer(static_cast<std::int64_t>(syntax_.clauses.size()));
    syntax_.clauses.insert(syntax_.clauses.end(), clauses.begin(), clauses.end());
    return node;
  }

  ExpressionTree& tree_;
  Syntax& syntax_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int nesting_ = 0;
};

// Operands of `and` at the top, through parentheses.
void collect_conjuncts(const Syntax& syntax, std::int32_t index, std::vector<Span>& found) {
  const Node& node = syntax.nodes[static_cast<std::size_t>(index)];
  if (node.kind != NodeKind::logical || node.op != Op::and_jump) {
    found.push_back(node.span);
    return;
  }
  for (const std::int32_t child : syntax.children(node)) collect_conjuncts(syntax, child, found);
}

}  // namespace

std::shared_ptr<const ExpressionTree> parse_expression(std::string_view text) {
  if (text.size() > max_expression_text) {
    throw_syntax_error(text, max_expression_text, "longer than " + std::to_string(max_expression_text) + " characters");
  }
  auto tree = std::make_shared<ExpressionTree>();
  tree->text = text;
  Syntax syntax;
  const std::int32_t root = Parser(*tree, syntax).run();
  std::vector<Span> conjuncts;
  collect_conjuncts(syntax, root, conjuncts);
  if (conjuncts.size() > 1) tree->conjuncts = std::move(conjuncts);
  compile(syntax, root, *tree);
  return tree;
}

}  // namespace warpwright::detail
