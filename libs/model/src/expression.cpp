#include <algorithm>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/model/expression.hpp>

#include "expression_tree.hpp"
#include "value_order.hpp"

namespace warpwright {
namespace detail {

Cell Cell::of(const Value& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) return integer(*i);
  if (const auto* d = std::get_if<double>(&value)) return real(*d);
  if (const auto* b = std::get_if<bool>(&value)) return boolean(*b);
  return string(std::get_if<std::string>(&value));
}

bool truthy(const Cell& cell) noexcept {
  switch (cell.kind) {
    case Cell::Kind::none:
      return false;
    case Cell::Kind::boolean:
    case Cell::Kind::integer:
      return cell.i != 0;
    case Cell::Kind::real:
      return cell.d != 0;
    case Cell::Kind::string:
      return !cell.s->empty();
    case Cell::Kind::list:
      return !cell.l->empty();
  }
  return false;
}

std::string_view type_name(const Cell& cell) noexcept {
  switch (cell.kind) {
    case Cell::Kind::none:
      return "None";
    case Cell::Kind::boolean:
      return "bool";
    case Cell::Kind::integer:
      return "int";
    case Cell::Kind::real:
      return "float";
    case Cell::Kind::string:
      return "str";
    case Cell::Kind::list:
      return "list";
  }
  return "?";
}

std::string describe(const Cell& cell, std::size_t limit) {
  switch (cell.kind) {
    case Cell::Kind::none:
      return "None";
    case Cell::Kind::boolean:
      return cell.i != 0 ? "True" : "False";
    case Cell::Kind::integer:
      return std::to_string(cell.i);
    case Cell::Kind::real:
      return double_text(cell.d);
    case Cell::Kind::string:
      return detail::quoted(cut(*cell.s, std::max<std::size_t>(limit, 8)));
    case Cell::Kind::list:
      break;
  }
  std::string text = "[";
  for (std::size_t i = 0; i < cell.l->size(); ++i) {
    if (i > 0) text += ", ";
    if (text.size() >= limit) {
      text += "...";
      break;
    }
    text += describe((*cell.l)[i], limit - text.size());
  }
  return text + "]";
}

Cell Arena::copy(const ExpressionValue& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) return Cell::integer(*i);
  if (const auto* d = std::get_if<double>(&value)) return Cell::real(*d);
  if (const auto* b = std::get_if<bool>(&value)) return Cell::boolean(*b);
  if (const auto* s = std::get_if<std::string>(&value)) return Cell::string(own(*s));
  if (const auto* list = std::get_if<ExpressionList>(&value)) {
    CellList cells;
    cells.reserve(list->size());
    for (const auto& element : *list) cells.push_back(copy(element));
    CellList* made = make_list();
    *made = std::move(cells);
    return Cell::list(made);
  }
  return Cell::none();
}

namespace {

// Symbols of operators and names of functions, as the user writes them.
std::string operator_text(const Failure& failure) {
  switch (failure.op) {
    case Op::negative:
    case Op::subtract:
      return "-";
    case Op::positive:
    case Op::add:
      return "+";
    case Op::invert:
      return "~";
    case Op::multiply:
      return "*";
    case Op::divide:
      return "/";
    case Op::floor_divide:
      return "//";
    case Op::modulo:
      return "%";
    case Op::power:
      return "**";
    case Op::bit_or:
      return "|";
    case Op::bit_xor:
      return "^";
    case Op::bit_and:
      return "&";
    case Op::shift_left:
      return "<<";
    case Op::shift_right:
      return ">>";
    case Op::less:
      return "<";
    case Op::less_equal:
      return "<=";
    case Op::greater:
      return ">";
    case Op::greater_equal:
      return ">=";
    case Op::in:
      return "in";
    case Op::not_in:
      return "not in";
    case Op::index:
      return "[]";
    case Op::call:
      for (const auto& info : functions()) {
        if (info.function == failure.function) return std::string(info.name);
      }
      break;
    default:
      break;
  }
  return "for";
}

bool is_binary(Op op) { return (op >= Op::add && op <= Op::shift_right) || (op >= Op::less && op <= Op::index); }

std::string cause(const Failure& failure) {
  const std::string symbol = operator_text(failure);
  const std::string a = describe(failure.a, 60), b = describe(failure.b, 60);
  const std::string type_a(type_name(failure.a)), type_b(type_name(failure.b));
  const std::string both = is_binary(failure.op) ? a + " " + symbol + " " + b : symbol + " of " + a;
  switch (failure.reason) {
    case FailureReason::none:
      break;
    case FailureReason::overflow:
      return "overflow: the result of " + both + " is beyond 64 bits";
    case FailureReason::division_by_zero:
      return "division by zero: " + both;
    case FailureReason::operand_type:
      if (is_binary(failure.op)) return "'" + symbol + "' does not work on " + type_a + " and " + type_b + ": " + both;
      return "'" + symbol + "' does not work on " + type_a + ": " + a;
    case FailureReason::unorderable:
      return "'" + symbol + "' cannot order " + type_a + " and " + type_b + ": " + a + ", " + b;
    case FailureReason::not_iterable:
      return "'" + symbol + "' needs a list, found " + type_a + ": " + a;
    case FailureReason::empty:
      return "'" + symbol + "' of an empty list";
    case FailureReason::index_range:
      return "index " + a + " is outside a list of " + b + (failure.b.i == 1 ? " element" : " elements");
    case FailureReason::index_type:
      return "'" + symbol + "' needs an integer, found " + type_a + ": " + a;
    case FailureReason::domain:
      if (failure.function == Function::round)
        return "'round' to fewer than 0 digits works on integers only, found " + a;
      return "'" + symbol + "' is not defined for " + a;
    case FailureReason::complex_result:
      return "the result of " + a + " ** " + b + " is a complex number";
    case FailureReason::negative_shift:
      return "shift by a negative number of bits: " + both;
    case FailureReason::not_finite:
      return "'" + symbol + "' cannot make an integer of " + a;
    case FailureReason::not_a_number:
      return "'" + symbol + "' cannot read a number in " + a;
    case FailureReason::zero_step:
      return "the step of a range is 0";
    case FailureReason::too_long:
      return "a list or string would have more than " + std::to_string(max_list_size) + " elements";
    case FailureReason::too_much_work:
      return "the evaluation takes too much work: smaller ranges and fewer loops are needed";
  }
  return "unknown cause";
}

// Turns the result into a value of the public kind. A list may be shared many times over inside, so copying is work
// too.
bool to_value(const Cell& cell, Arena& arena, ExpressionValue& out) {
  switch (cell.kind) {
    case Cell::Kind::none:
      out = std::monostate{};
      break;
    case Cell::Kind::boolean:
      out = cell.i != 0;
      break;
    case Cell::Kind::integer:
      out = cell.i;
      break;
    case Cell::Kind::real:
      out = cell.d;
      break;
    case Cell::Kind::string:
      if (!arena.charge(cell.s->size() / 16 + 1)) return false;
      out = *cell.s;
      break;
    case Cell::Kind::list: {
      ExpressionList list;
      for (const Cell& element : *cell.l) {
        if (!arena.charge(4) || !to_value(element, arena, list.emplace_back())) return false;
      }
      out = std::move(list);
      break;
    }
  }
  return true;
}

[[noreturn]] void throw_failure(const Failure& failure, const ExpressionTree& tree) {
  throw Error(ErrorCode::bad_input, "cannot evaluate '" + excerpt(tree.text) + "': " + describe(failure, tree));
}

[[noreturn]] void throw_empty() { throw Error(ErrorCode::bad_input, "the expression is empty"); }

ExpressionValue evaluate_tree(const ExpressionTree& tree, const NameSource& names, Arena& arena) {
  Cell result = Cell::none();
  Failure failure;
  if (!run(tree, names, arena, result, failure)) throw_failure(failure, tree);
  ExpressionValue value;
  if (!to_value(result, arena, value)) {
    failure.reason = FailureReason::too_much_work;
    throw_failure(failure, tree);
  }
  return value;
}

}  // namespace

std::string describe(const Failure& failure, const ExpressionTree& tree) {
  const Span span = tree.spans.at(static_cast<std::size_t>(failure.instruction));
  const std::string_view part = std::string_view(tree.text).substr(span.begin, span.end - span.begin);
  std::string text = cause(failure);
  if (part != tree.text) text += ", in '" + excerpt(part, 80) + "'";
  return text;
}

}  // namespace detail

// ---- ExpressionValue ------------------------------------------------------------------------------------------------

ExpressionValue::ExpressionValue(const Value& value) {
  std::visit([this](const auto& x) { variant::operator=(x); }, value);
}

Value ExpressionValue::scalar() const {
  if (const auto* i = std::get_if<std::int64_t>(this)) return *i;
  if (const auto* d = std::get_if<double>(this)) return *d;
  if (const auto* b = std::get_if<bool>(this)) return *b;
  if (const auto* s = std::get_if<std::string>(this)) return *s;
  throw Error(ErrorCode::bad_input, "expected a number, a boolean or a string, found " + describe());
}

bool ExpressionValue::truthy() const {
  if (const auto* i = std::get_if<std::int64_t>(this)) return *i != 0;
  if (const auto* d = std::get_if<double>(this)) return *d != 0;
  if (const auto* b = std::get_if<bool>(this)) return *b;
  if (const auto* s = std::get_if<std::string>(this)) return !s->empty();
  if (const auto* l = std::get_if<ExpressionList>(this)) return !l->empty();
  return false;
}

std::string ExpressionValue::describe() const {
  detail::Arena arena;
  return detail::describe(arena.copy(*this), 2000);
}

// ---- BoundExpression ------------------------------------------------------------------------------------------------

namespace {

void check_bound(const detail::ExpressionTree* tree, std::size_t values, std::size_t names) {
  if (tree == nullptr) detail::throw_empty();
  if (values < names) {
    throw Error(ErrorCode::internal, "expression '" + detail::excerpt(tree->text) + "' is bound to " +
                                         std::to_string(names) + " names and got " + std::to_string(values) +
                                         " values");
  }
}

}  // namespace

ExpressionValue BoundExpression::evaluate(std::span<const Value> values) const {
  check_bound(tree_.get(), values.size(), name_count_);
  detail::Arena arena;
  return detail::evaluate_tree(*tree_, {nullptr, values.data(), slot_of_name_.data()}, arena);
}

bool BoundExpression::test(std::span<const Value> values) const {
  check_bound(tree_.get(), values.size(), name_count_);
  detail::Arena arena;
  detail::Cell result = detail::Cell::none();
  detail::Failure failure;
  if (!detail::run(*tree_, {nullptr, values.data(), slot_of_name_.data()}, arena, result, failure)) {
    detail::throw_failure(failure, *tree_);
  }
  return detail::truthy(result);
}

// ---- Expression -----------------------------------------------------------------------------------------------------

Expression Expression::parse(std::string_view text) {
  Expression expression;
  expression.tree_ = detail::parse_expression(text);
  return expression;
}

Expression Expression::constant(const Value& value) {
  auto tree = std::make_shared<detail::ExpressionTree>();
  tree->text = to_literal(value);
  const auto* text = std::get_if<std::string>(&value);
  tree->constants.push_back(text != nullptr ? detail::Cell::string(tree->owned.own(*text)) : detail::Cell::of(value));
  tree->code.push_back({detail::Op::constant});
  tree->spans.push_back({0, static_cast<std::uint32_t>(tree->text.size())});
  tree->frame_size = 1;
  Expression expression;
  expression.tree_ = std::move(tree);
  return expression;
}

const std::string& Expression::text() const {
  static const std::string none;
  return tree_ ? tree_->text : none;
}

const std::vector<std::string>& Expression::names() const {
  static const std::vector<std::string> none;
  return tree_ ? tree_->names : none;
}

ExpressionValue Expression::evaluate(const Lookup& lookup) const {
  if (!tree_) detail::throw_empty();
  detail::Arena arena;
  std::vector<detail::Cell> cells;
  cells.reserve(tree_->names.size());
  for (const auto& name : tree_->names) {
    const ExpressionValue* value = lookup ? lookup(name) : nullptr;
    if (value == nullptr) {
      throw Error(ErrorCode::bad_input,
                  "expression '" + detail::excerpt(tree_->text) + "' names the unknown '" + name + "'");
    }
    cells.push_back(arena.copy(*value));
  }
  return detail::evaluate_tree(*tree_, {cells.data(), nullptr, nullptr}, arena);
}

BoundExpression Expression::bind(std::span<const std::string> names) const {
  if (!tree_) detail::throw_empty();
  BoundExpression bound;
  bound.tree_ = tree_;
  bound.name_count_ = names.size();
  for (const auto& name : tree_->names) {
    const auto known = std::find(names.begin(), names.end(), name);
    if (known == names.end()) {
      std::string message = "expression '" + detail::excerpt(tree_->text) + "' names the unknown '" + name + "'";
      const std::vector<std::string> candidates(names.begin(), names.end());
      if (const auto match = closest_match(name, candidates)) {
        message += "; did you mean '" + *match + "'?";
      } else if (!candidates.empty()) {
        message += "; known are";
        for (std::size_t i = 0; i < candidates.size(); ++i) message += (i > 0 ? ", " : " ") + candidates[i];
      }
      throw Error(ErrorCode::bad_input, message);
    }
    bound.slot_of_name_.push_back(static_cast<std::int32_t>(known - names.begin()));
  }
  return bound;
}

std::vector<Expression> Expression::conjuncts() const {
  if (!tree_ || tree_->conjuncts.empty()) return {*this};
  std::vector<Expression> parts;
  for (const auto& span : tree_->conjuncts)
    parts.push_back(parse(tree_->text.substr(span.begin, span.end - span.begin)));
  return parts;
}

// ---- Scope ----------------------------------------------------------------------------------------------------------

void Scope::set(std::string_view name, ExpressionValue value) {
  for (auto& entry : entries_) {
    if (entry.first == name) {
      entry.second = std::move(value);
      return;
    }
  }
  entries_.emplace_back(std::string(name), std::move(value));
}

const ExpressionValue* Scope::find(std::string_view name) const {
  const auto entry = std::find_if(entries_.begin(), entries_.end(), [&](const auto& e) { return e.first == name; });
  return entry == entries_.end() ? nullptr : &entry->second;
}

std::vector<std::string> Scope::names() const {
  std::vector<std::string> all;
  for (const auto& entry : entries_) all.push_back(entry.first);
  return all;
}

Expression::Lookup Scope::lookup() const {
  return [this](std::string_view name) { return find(name); };
}

namespace {

ExpressionValue evaluate_for(const Scope& scope, const Expression& expression, std::string_view what) {
  for (const auto& name : expression.names()) {
    if (scope.find(name) != nullptr) continue;
    std::string message = std::string(what) + ": expression '" + detail::excerpt(expression.text()) +
                          "' names the unknown '" + name + "'";
    if (const auto match = closest_match(name, scope.names())) message += "; did you mean '" + *match + "'?";
    throw Error(ErrorCode::bad_input, message);
  }
  try {
    return expression.evaluate(scope.lookup());
  } catch (const Error& error) {
    throw Error(error.code(), std::string(what) + ": " + error.message());
  }
}

[[noreturn]] void refuse(const Expression& expression, std::string_view what, std::string_view wanted,
                         const std::string& found) {
  std::string message = std::string(what) + " must be " + std::string(wanted) + ", found ";
  message += found == expression.text() ? found : found + " from '" + detail::excerpt(expression.text()) + "'";
  throw Error(ErrorCode::bad_input, message);
}

}  // namespace

std::int64_t Scope::integer(const Expression& expression, std::string_view what) const {
  const ExpressionValue value = evaluate_for(*this, expression, what);
  if (!std::holds_alternative<std::monostate>(value) && !std::holds_alternative<ExpressionList>(value)) {
    if (const auto integer = as_integer(value.scalar())) return *integer;
  }
  refuse(expression, what, "an integer", value.describe());
}

std::int64_t Scope::integer_at_least(const Expression& expression, std::int64_t minimum, std::string_view what) const {
  const std::int64_t value = integer(expression, what);
  if (value < minimum) {
    refuse(expression, what, minimum == 1 ? "a positive integer" : "at least " + std::to_string(minimum),
           std::to_string(value));
  }
  return value;
}

double Scope::number(const Expression& expression, std::string_view what) const {
  const ExpressionValue value = evaluate_for(*this, expression, what);
  if (!std::holds_alternative<std::monostate>(value) && !std::holds_alternative<ExpressionList>(value)) {
    if (const auto number = as_number(value.scalar())) return *number;
  }
  refuse(expression, what, "a number", value.describe());
}

}  // namespace warpwright
