// What operators and functions do, with Python's results. Every member returns false on failure and says why in
// `failure`.
#pragma once

#include "expression_tree.hpp"

namespace warpwright::detail {

class Operations {
 public:
  Operations(Arena& arena, Failure& failure) : arena_(arena), failure_(failure) {}

  // add, subtract, multiply, floor_divide, modulo of integers: the hot path of constraints.
  bool integer_arithmetic(Op op, std::int64_t x, std::int64_t y, std::int64_t& out) {
    switch (op) {
      case Op::add:
        if (!__builtin_add_overflow(x, y, &out)) return true;
        break;
      case Op::subtract:
        if (!__builtin_sub_overflow(x, y, &out)) return true;
        break;
      case Op::multiply:
        if (!__builtin_mul_overflow(x, y, &out)) return true;
        break;
      case Op::modulo:
        if (y == 0) return fail(FailureReason::division_by_zero, Cell::integer(x), Cell::integer(y));
        if (y == -1) return out = 0, true;  // the processor traps on the smallest integer
        out = x % y;
        if (out != 0 && (out < 0) != (y < 0)) out += y;
        return true;
      default:
        if (y == 0) return fail(FailureReason::division_by_zero, Cell::integer(x), Cell::integer(y));
        if (y == -1 && x == INT64_MIN) break;
        const std::int64_t quotient = x / y;
        out = quotient - (quotient * y != x && (x < 0) != (y < 0) ? 1 : 0);
        return true;
    }
    return fail(FailureReason::overflow, Cell::integer(x), Cell::integer(y));
  }

  // Operands are taken by value: `out` may be one of them.
  bool binary(Op op, Cell x, Cell y, Cell& out);
  bool unary(Op op, Cell x, Cell& out);
  bool compare(Op op, const Cell& x, const Cell& y, bool& out);
  bool index(Cell container, Cell position, Cell& out);
  bool call(Function function, const Cell* arguments, std::size_t count, Cell& out);
  bool make_list(const Cell* elements, std::size_t count, Cell& out);
  // The list to iterate over: a list itself, or the characters of a string.
  bool elements(Cell container, Cell& out);
  bool equal(const Cell& x, const Cell& y, bool& out);

 private:
  bool fail(FailureReason reason, Cell a = Cell::none(), Cell b = Cell::none()) {
    failure_.reason = reason;
    failure_.a = a;
    failure_.b = b;
    return false;
  }
  bool work(std::size_t units) { return arena_.charge(units) || fail(FailureReason::too_much_work); }

  bool integer_binary(Op op, std::int64_t x, std::int64_t y, Cell& out);
  bool real_binary(Op op, double x, double y, Cell& out);
  bool sequence_binary(Op op, Cell x, Cell y, Cell& out);
  bool integer_power(std::int64_t base, std::int64_t exponent, Cell& out);
  bool order(const Cell& x, const Cell& y, std::partial_ordering& out);
  bool contains(const Cell& item, const Cell& container, bool& out);
  bool extreme(Function function, const Cell* arguments, std::size_t count, Cell& out);
  bool to_integer(const Cell& x, Cell& out);
  bool to_real(const Cell& x, Cell& out);
  bool round(const Cell* arguments, std::size_t count, Cell& out);
  bool real_to_integer(double x, const Cell& origin, Cell& out);
  bool range(const Cell* arguments, std::size_t count, Cell& out);
  bool sum(const Cell* arguments, std::size_t count, Cell& out);
  bool greatest_common_divisor(const Cell* arguments, std::size_t count, Cell& out);

  Arena& arena_;
  Failure& failure_;
};

}  // namespace warpwright::detail
