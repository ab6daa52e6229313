// What the parser hands to the evaluator: postfix code over small cells. Postfix code needs no recursion, so the length
// of an expression never threatens the call stack, and arithmetic on numbers allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/model/expression.hpp>

namespace warpwright::detail {

// Bounds that keep hostile text harmless; real expressions stay far below.
inline constexpr std::size_t max_expression_text = 64 * 1024;
inline constexpr int max_expression_nesting = 200;
inline constexpr std::size_t max_list_size = 1'000'000;
// Work units of one evaluation: a loop step costs one and its body, a list element made costs four (16 bytes each).
inline constexpr std::int64_t evaluation_work = 20'000'000;
// Folding constants at parse time must stay cheap for the whole text.
inline constexpr std::int64_t folding_work = 400'000;

struct Cell;
using CellList = std::vector<Cell>;

// A value during evaluation; strings and lists belong to an Arena, an ExpressionTree or the caller.
struct Cell {
  enum class Kind : std::uint8_t { none, boolean, integer, real, string, list };
  Kind kind;
  union {
    std::int64_t i;  // also 0 or 1 of a boolean
    double d;
    const std::string* s;
    const CellList* l;
  };

  static Cell none() { return make(Kind::none, 0); }
  static Cell boolean(bool value) { return make(Kind::boolean, value ? 1 : 0); }
  static Cell integer(std::int64_t value) { return make(Kind::integer, value); }
  static Cell real(double value) {
    Cell cell;
    cell.kind = Kind::real;
    cell.d = value;
    return cell;
  }
  static Cell string(const std::string* value) {
    Cell cell;
    cell.kind = Kind::string;
    cell.s = value;
    return cell;
  }
  static Cell list(const CellList* value) {
    Cell cell;
    cell.kind = Kind::list;
    cell.l = value;
    return cell;
  }
  // Refers to the string in `value`.
  static Cell of(const Value& value);

  bool is_integral() const { return kind == Kind::integer || kind == Kind::boolean; }
  bool is_number() const { return is_integral() || kind == Kind::real; }
  double number() const { return kind == Kind::real ? d : static_cast<double>(i); }

 private:
  static Cell make(Kind kind, std::int64_t value) {
    Cell cell;
    cell.kind = kind;
    cell.i = value;
    return cell;
  }
};

bool truthy(const Cell& cell) noexcept;
std::string_view type_name(const Cell& cell) noexcept;
// Python's repr(), cut off with "..." after about `limit` characters.
std::string describe(const Cell& cell, std::size_t limit = 200);

// Owns what one evaluation creates, and counts its work. Constructing one allocates nothing.
class Arena {
 public:
  explicit Arena(std::int64_t work = evaluation_work) : work_(work) {}
  // False when the budget is spent.
  bool charge(std::size_t units) {
    work_ -= static_cast<std::int64_t>(units);
    return work_ >= 0;
  }
  bool charge_elements(std::size_t count) { return charge(4 * count + 4); }
  std::int64_t work_left() const { return work_; }
  const std::string* own(std::string text) {
    strings_.push_back(std::make_unique<std::string>(std::move(text)));
    return strings_.back().get();
  }
  CellList* make_list() {
    lists_.push_back(std::make_unique<CellList>());
    return lists_.back().get();
  }
  // A deep copy of `value` that lives as long as this arena.
  Cell copy(const ExpressionValue& value);

 private:
  std::int64_t work_;
  std::vector<std::unique_ptr<std::string>> strings_;
  std::vector<std::unique_ptr<CellList>> lists_;
};

enum class Op : std::uint8_t {
  constant,
  name,
  local,
  make_list,
  negative,
  positive,
  invert,
  logical_not,
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  bit_or,
  bit_xor,
  bit_and,
  shift_left,
  shift_right,
  less,
  less_equal,
  greater,
  greater_equal,
  equal,
  not_equal,
  in,
  not_in,
  index,
  call,
  jump,
  jump_if_false,  // the latter takes the condition off the stack
  or_jump,
  and_jump,  // keep the operand and jump where it decides, else drop it
  chain,     // a < b < c: compare, keep b where true, else leave False and jump
  loop_begin,
  loop_next,
  list_begin,
  list_append
};

enum class Function : std::uint8_t {
  min,
  max,
  abs,
  to_int,
  to_float,
  to_bool,
  round,
  pow,
  len,
  sum,
  any,
  all,
  range,
  list,
  gcd,
  ceil,
  floor,
  ceil_div,
  log2,
  sqrt
};

struct FunctionInfo {
  std::string_view name;
  Function function;
  int min_arguments, max_arguments;  // max -1: any number
  bool in_math;                      // also written math.NAME
};
const std::array<FunctionInfo, 20>& functions();

struct Instruction {
  Op op;
  std::uint8_t sub = 0;  // Function of a call, comparison Op of a chain
  std::int32_t a = 0;    // constant, name, local, count or jump target
  std::int32_t b = 0;    // second local or target
};

struct Span {
  std::uint32_t begin = 0, end = 0;
};

struct ExpressionTree {
  std::string text;
  std::vector<std::string> names;
  std::vector<Instruction> code;
  std::vector<Span> spans;  // source of each instruction
  std::vector<Cell> constants;
  Arena owned{folding_work};    // strings and lists of the constants
  std::int32_t locals = 0;      // cells before the operand stack
  std::int32_t frame_size = 0;  // locals and operand stack together
  std::vector<Span> conjuncts;  // operands of a top-level `and`; empty if there is none
};

// Throws Error(bad_input) with the column.
std::shared_ptr<const ExpressionTree> parse_expression(std::string_view text);

enum class FailureReason : std::uint8_t {
  none,
  overflow,
  division_by_zero,
  operand_type,
  unorderable,
  not_iterable,
  empty,
  index_range,
  index_type,
  domain,
  complex_result,
  negative_shift,
  not_finite,
  not_a_number,
  zero_step,
  too_long,
  too_much_work
};

// Why and where an evaluation stopped; a and b are the operands at fault, alive as long as the arena and the inputs.
struct Failure {
  FailureReason reason = FailureReason::none;
  Op op = Op::constant;
  Function function = Function::min;
  std::int32_t instruction = 0;
  Cell a = Cell::none(), b = Cell::none();
};
// "integer division by zero in 'a // b'"
std::string describe(const Failure& failure, const ExpressionTree& tree);

// Where names come from: cells or values, through slots if there are any.
struct NameSource {
  const Cell* cells = nullptr;
  const Value* values = nullptr;
  const std::int32_t* slots = nullptr;
  Cell load(std::int32_t name) const {
    const std::int32_t position = slots != nullptr ? slots[name] : name;
    return cells != nullptr ? cells[position] : Cell::of(values[position]);
  }
};

// Runs code[begin, end), which leaves one cell. False on failure. Throws nothing but std::bad_alloc.
bool run(const ExpressionTree& tree, std::size_t begin, std::size_t end, const NameSource& names, Arena& arena,
         Cell& result, Failure& failure);
inline bool run(const ExpressionTree& tree, const NameSource& names, Arena& arena, Cell& result, Failure& failure) {
  return run(tree, 0, tree.code.size(), names, arena, result, failure);
}

// The way from the public classes to their insides, for the rest of this library.
struct ExpressionAccess {
  // Null for an empty expression.
  static const std::shared_ptr<const ExpressionTree>& tree(const Expression& expression) { return expression.tree_; }
};

// Text cut to a length that fits a message, between characters.
std::string cut(std::string_view text, std::size_t limit);
// The same on one line, without control characters.
std::string excerpt(std::string_view text, std::size_t limit = 120);

}  // namespace warpwright::detail
