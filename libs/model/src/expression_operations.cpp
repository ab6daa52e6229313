#include "expression_operations.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include "value_order.hpp"

namespace warpwright::detail {
namespace {

constexpr std::int64_t smallest = std::numeric_limits<std::int64_t>::min();
__extension__ using Wide = unsigned __int128;

bool is_sequence(const Cell& cell) { return cell.kind == Cell::Kind::string || cell.kind == Cell::Kind::list; }

std::uint64_t magnitude(std::int64_t x) {
  return x < 0 ? 0 - static_cast<std::uint64_t>(x) : static_cast<std::uint64_t>(x);
}

// The quotient rounded once, as Python does: converting both to double first would round up to three times.
double true_quotient(std::int64_t x, std::int64_t y) {
  constexpr std::uint64_t exact = std::uint64_t{1} << 53;
  const std::uint64_t a = magnitude(x), b = magnitude(y);
  if (a == 0 || (a <= exact && b <= exact)) return static_cast<double>(x) / static_cast<double>(y);
  const int shift = 64 + std::countl_zero(a);
  const Wide dividend = static_cast<Wide>(a) << shift;
  // At least 64 significant bits remain, so a sticky last bit makes the one rounding below exact.
  const Wide quotient = dividend / b | static_cast<Wide>(dividend % b != 0);
  const double result = std::ldexp(static_cast<double>(quotient), -shift);
  return (x < 0) != (y < 0) ? -result : result;
}

double floored_modulo(double x, double y) {
  double remainder = std::fmod(x, y);
  if (remainder != 0) {
    if ((y < 0) != (remainder < 0)) remainder += y;
  } else {
    remainder = std::copysign(0.0, y);
  }
  return remainder;
}

// CPython's float_floor_div: the floor of the exact quotient, not of the rounded one.
double floored_quotient(double x, double y) {
  const double remainder = std::fmod(x, y);
  double quotient = (x - remainder) / y;
  if (remainder != 0 && (y < 0) != (remainder < 0)) quotient -= 1;
  if (quotient == 0) return std::copysign(0.0, x / y);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n\f\v");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n\f\v") - first + 1);
}

}  // namespace

bool Operations::integer_power(std::int64_t base, std::int64_t exponent, Cell& out) {
  if (exponent < 0) {
    if (base == 0) return fail(FailureReason::division_by_zero, Cell::integer(base), Cell::integer(exponent));
    return real_binary(Op::power, static_cast<double>(base), static_cast<double>(exponent), out);
  }
  std::int64_t result = 1, square = base;
  bool overflow = false;  // of the square; harmless unless a factor still needs it
  for (auto rest = exponent; rest > 0; rest >>= 1) {
    if ((rest & 1) != 0 && (overflow || __builtin_mul_overflow(result, square, &result))) {
      return fail(FailureReason::overflow, Cell::integer(base), Cell::integer(exponent));
    }
    overflow = overflow || __builtin_mul_overflow(square, square, &square);
  }
  out = Cell::integer(result);
  return true;
}

bool Operations::integer_binary(Op op, std::int64_t x, std::int64_t y, Cell& out) {
  const auto overflow = [&] { return fail(FailureReason::overflow, Cell::integer(x), Cell::integer(y)); };
  switch (op) {
    case Op::divide:
      if (y == 0) return fail(FailureReason::division_by_zero, Cell::integer(x), Cell::integer(y));
      out = Cell::real(true_quotient(x, y));
      return true;
    case Op::power:
      return integer_power(x, y, out);
    case Op::bit_or:
      out = Cell::integer(x | y);
      return true;
    case Op::bit_xor:
      out = Cell::integer(x ^ y);
      return true;
    case Op::bit_and:
      out = Cell::integer(x & y);
      return true;
    case Op::shift_left: {
      if (y < 0) return fail(FailureReason::negative_shift, Cell::integer(x), Cell::integer(y));
      if (x == 0) return out = Cell::integer(0), true;
      if (y > 62) return x == -1 && y == 63 ? (out = Cell::integer(smallest), true) : overflow();
      std::int64_t result = 0;
      if (__builtin_mul_overflow(x, std::int64_t{1} << y, &result)) return overflow();
      out = Cell::integer(result);
      return true;
    }
    case Op::shift_right:
      if (y < 0) return fail(FailureReason::negative_shift, Cell::integer(x), Cell::integer(y));
      out = Cell::integer(y > 63 ? (x < 0 ? -1 : 0) : x >> y);
      return true;
    default: {
      std::int64_t result = 0;
      if (!integer_arithmetic(op, x, y, result)) return false;
      out = Cell::integer(result);
      return true;
    }
  }
}

bool Operations::real_binary(Op op, double x, double y, Cell& out) {
  switch (op) {
    case Op::add:
      out = Cell::real(x + y);
      return true;
    case Op::subtract:
      out = Cell::real(x - y);
      return true;
    case Op::multiply:
      out = Cell::real(x * y);
      return true;
    case Op::divide:
    case Op::floor_divide:
    case Op::modulo:
      if (y == 0) return fail(FailureReason::division_by_zero, Cell::real(x), Cell::real(y));
      out = Cell::real(op == Op::divide ? x / y : op == Op::modulo ? floored_modulo(x, y) : floored_quotient(x, y));
      return true;
    default: {  // power
      if (x == 0 && y < 0) return fail(FailureReason::division_by_zero, Cell::real(x), Cell::real(y));
      if (x < 0 && std::isfinite(x) && std::isfinite(y) && y != std::floor(y)) {
        return fail(FailureReason::complex_result, Cell::real(x), Cell::real(y));
      }
      const double result = std::pow(x, y);
      if (std::isinf(result) && std::isfinite(x) && std::isfinite(y)) {
        return fail(FailureReason::overflow, Cell::real(x), Cell::real(y));
      }
      out = Cell::real(result);
      return true;
    }
  }
}

bool Operations::sequence_binary(Op op, Cell x, Cell y, Cell& out) {
  if (op == Op::add && x.kind == y.kind) {
    if (x.kind == Cell::Kind::string) {
      if (x.s->size() + y.s->size() > max_list_size) return fail(FailureReason::too_long);
      if (!work((x.s->size() + y.s->size()) / 4 + 8)) return false;
      out = Cell::string(arena_.own(*x.s + *y.s));
      return true;
    }
    const std::size_t count = x.l->size() + y.l->size();
    if (count > max_list_size) return fail(FailureReason::too_long);
    if (!arena_.charge_elements(count)) return fail(FailureReason::too_much_work);
    CellList* list = arena_.make_list();
    list->reserve(count);
    list->insert(list->end(), x.l->begin(), x.l->end());
    list->insert(list->end(), y.l->begin(), y.l->end());
    out = Cell::list(list);
    return true;
  }
  if (op == Op::multiply && (x.is_integral() || y.is_integral())) {
    const Cell sequence = is_sequence(x) ? x : y;
    const std::int64_t times = std::max<std::int64_t>(0, is_sequence(x) ? y.i : x.i);
    const std::size_t length = sequence.kind == Cell::Kind::string ? sequence.s->size() : sequence.l->size();
    std::size_t total = 0;
    if (__builtin_mul_overflow(length, static_cast<std::size_t>(times), &total) || total > max_list_size) {
      return fail(FailureReason::too_long);
    }
    if (!arena_.charge_elements(total)) return fail(FailureReason::too_much_work);
    if (sequence.kind == Cell::Kind::string) {
      std::string text;
      for (std::size_t i = 0; i < total; i += length) text += *sequence.s;
      out = Cell::string(arena_.own(std::move(text)));
      return true;
    }
    CellList* list = arena_.make_list();
    list->reserve(total);
    for (std::size_t i = 0; i < total; i += length) list->insert(list->end(), sequence.l->begin(), sequence.l->end());
    out = Cell::list(list);
    return true;
  }
  return fail(FailureReason::operand_type, x, y);
}

bool Operations::binary(Op op, Cell x, Cell y, Cell& out) {
  if (x.is_integral() && y.is_integral()) {
    const bool both_boolean = x.kind == Cell::Kind::boolean && y.kind == Cell::Kind::boolean;
    if (!integer_binary(op, x.i, y.i, out)) return false;
    if (both_boolean && (op == Op::bit_or || op == Op::bit_xor || op == Op::bit_and)) out.kind = Cell::Kind::boolean;
    return true;
  }
  const bool bitwise =
      op == Op::bit_or || op == Op::bit_xor || op == Op::bit_and || op == Op::shift_left || op == Op::shift_right;
  if (x.is_number() && y.is_number() && !bitwise) return real_binary(op, x.number(), y.number(), out);
  if ((op == Op::add || op == Op::multiply) && (is_sequence(x) || is_sequence(y)))
    return sequence_binary(op, x, y, out);
  return fail(FailureReason::operand_type, x, y);
}

bool Operations::unary(Op op, Cell x, Cell& out) {
  if (x.is_integral()) {
    if (op == Op::negative && x.i == smallest) return fail(FailureReason::overflow, x);
    out = Cell::integer(op == Op::negative ? -x.i : op == Op::invert ? ~x.i : x.i);
    return true;
  }
  if (x.kind != Cell::Kind::real || op == Op::invert) return fail(FailureReason::operand_type, x);
  out = Cell::real(op == Op::negative ? -x.d : x.d);
  return true;
}

bool Operations::equal(const Cell& x, const Cell& y, bool& out) {
  if (x.is_integral() && y.is_integral()) return out = x.i == y.i, true;
  if (x.is_number() && y.is_number()) {
    if (x.kind == Cell::Kind::real && y.kind == Cell::Kind::real) return out = x.d == y.d, true;
    out = x.kind == Cell::Kind::real ? compare_numbers(y.i, x.d) == 0 : compare_numbers(x.i, y.d) == 0;
    return true;
  }
  if (x.kind != y.kind) return out = false, true;
  switch (x.kind) {
    case Cell::Kind::string:
      return work(x.s->size() / 64) && (out = *x.s == *y.s, true);
    case Cell::Kind::list: {
      out = x.l->size() == y.l->size();
      for (std::size_t i = 0; out && i < x.l->size(); ++i) {
        if (!work(1) || !equal((*x.l)[i], (*y.l)[i], out)) return false;
      }
      return true;
    }
    default:
      return out = true, true;  // None
  }
}

bool Operations::order(const Cell& x, const Cell& y, std::partial_ordering& out) {
  if (x.is_integral() && y.is_integral()) return out = x.i <=> y.i, true;
  if (x.is_number() && y.is_number()) {
    if (x.kind == Cell::Kind::real && y.kind == Cell::Kind::real)
      out = x.d <=> y.d;
    else if (x.kind == Cell::Kind::real)
      out = 0 <=> compare_numbers(y.i, x.d);
    else
      out = compare_numbers(x.i, y.d);
    return true;
  }
  if (x.kind != y.kind || !is_sequence(x)) return fail(FailureReason::unorderable, x, y);
  if (x.kind == Cell::Kind::string) return work(x.s->size() / 64) && (out = x.s->compare(*y.s) <=> 0, true);
  for (std::size_t i = 0; i < std::min(x.l->size(), y.l->size()); ++i) {
    bool same = false;
    if (!work(1) || !equal((*x.l)[i], (*y.l)[i], same)) return false;
    if (!same) return order((*x.l)[i], (*y.l)[i], out);
  }
  out = x.l->size() <=> y.l->size();
  return true;
}

bool Operations::contains(const Cell& item, const Cell& container, bool& out) {
  if (container.kind == Cell::Kind::string) {
    if (item.kind != Cell::Kind::string) return fail(FailureReason::operand_type, item, container);
    if (!work((item.s->size() * container.s->size()) / 16)) return false;
    out = container.s->find(*item.s) != std::string::npos;
    return true;
  }
  if (container.kind != Cell::Kind::list) return fail(FailureReason::not_iterable, container);
  out = false;
  for (const Cell& element : *container.l) {
    if (!work(1) || !equal(item, element, out)) return false;
    if (out) return true;
  }
  return true;
}

bool Operations::compare(Op op, const Cell& x, const Cell& y, bool& out) {
  if (op == Op::equal) return equal(x, y, out);
  if (op == Op::not_equal) return equal(x, y, out) && (out = !out, true);
  if (op == Op::in) return contains(x, y, out);
  if (op == Op::not_in) return contains(x, y, out) && (out = !out, true);
  std::partial_ordering ordering = std::partial_ordering::unordered;
  if (!order(x, y, ordering)) return false;
  switch (op) {
    case Op::less:
      out = ordering < 0;
      break;
    case Op::less_equal:
      out = ordering <= 0;
      break;
    case Op::greater:
      out = ordering > 0;
      break;
    default:
      out = ordering >= 0;
      break;
  }
  return true;
}

bool Operations::make_list(const Cell* elements, std::size_t count, Cell& out) {
  if (!arena_.charge_elements(count)) return fail(FailureReason::too_much_work);
  CellList* list = arena_.make_list();
  list->assign(elements, elements + count);
  out = Cell::list(list);
  return true;
}

bool Operations::elements(Cell container, Cell& out) {
  if (container.kind == Cell::Kind::list) return out = container, true;
  if (container.kind != Cell::Kind::string) return fail(FailureReason::not_iterable, container);
  const std::string& text = *container.s;
  if (text.size() > max_list_size) return fail(FailureReason::too_long);
  if (!arena_.charge_elements(4 * text.size())) return fail(FailureReason::too_much_work);
  CellList* list = arena_.make_list();
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i + 1;  // a character is one UTF-8 sequence
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80u) ++end;
    list->push_back(Cell::string(arena_.own(text.substr(i, end - i))));
    i = end;
  }
  out = Cell::list(list);
  return true;
}

bool Operations::index(Cell container, Cell position, Cell& out) {
  if (!is_sequence(container)) return fail(FailureReason::not_iterable, container);
  if (!position.is_integral()) return fail(FailureReason::index_type, position);
  Cell list = Cell::none();
  if (!elements(container, list)) return false;
  const auto size = static_cast<std::int64_t>(list.l->size());
  const std::int64_t at = position.i < 0 ? position.i + size : position.i;
  if (at < 0 || at >= size) return fail(FailureReason::index_range, position, Cell::integer(size));
  out = (*list.l)[static_cast<std::size_t>(at)];
  return true;
}

// ---- functions ------------------------------------------------------------------------------------------------------

const std::array<FunctionInfo, 20>& functions() {
  static constexpr std::array<FunctionInfo, 20> table{
      {{"min", Function::min, 1, -1, false},       {"max", Function::max, 1, -1, false},
       {"abs", Function::abs, 1, 1, false},        {"int", Function::to_int, 1, 1, false},
       {"float", Function::to_float, 1, 1, false}, {"bool", Function::to_bool, 1, 1, false},
       {"round", Function::round, 1, 2, false},    {"pow", Function::pow, 2, 2, false},
       {"len", Function::len, 1, 1, false},        {"sum", Function::sum, 1, 2, false},
       {"any", Function::any, 1, 1, false},        {"all", Function::all, 1, 1, false},
       {"range", Function::range, 1, 3, false},    {"list", Function::list, 1, 1, false},
       {"gcd", Function::gcd, 0, -1, true},        {"ceil", Function::ceil, 1, 1, true},
       {"floor", Function::floor, 1, 1, true},     {"ceil_div", Function::ceil_div, 2, 2, false},
       {"log2", Function::log2, 1, 1, true},       {"sqrt", Function::sqrt, 1, 1, true}}};
  return table;
}

bool Operations::extreme(Function function, const Cell* arguments, std::size_t count, Cell& out) {
  if (count == 1) {
    Cell list = Cell::none();
    if (!elements(arguments[0], list)) return false;
    if (list.l->empty()) return fail(FailureReason::empty);
    arguments = list.l->data();
    count = list.l->size();
  }
  const Cell* best = arguments;
  for (std::size_t i = 1; i < count; ++i) {
    bool better = false;
    if (!work(1) || !compare(function == Function::min ? Op::less : Op::greater, arguments[i], *best, better))
      return false;
    if (better) best = arguments + i;
  }
  out = *best;
  return true;
}

bool Operations::real_to_integer(double x, const Cell& origin, Cell& out) {
  if (!std::isfinite(x)) return fail(FailureReason::not_finite, origin);
  if (!(x >= -0x1p63 && x < 0x1p63)) return fail(FailureReason::overflow, origin);
  out = Cell::integer(static_cast<std::int64_t>(x));
  return true;
}

bool Operations::to_integer(const Cell& x, Cell& out) {
  if (x.is_integral()) return out = Cell::integer(x.i), true;
  if (x.kind == Cell::Kind::real) return real_to_integer(x.d, x, out);
  if (x.kind != Cell::Kind::string) return fail(FailureReason::operand_type, x);
  std::string_view text = trimmed(*x.s);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  std::int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec == std::errc::result_out_of_range) return fail(FailureReason::overflow, x);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size()) {
    return fail(FailureReason::not_a_number, x);
  }
  out = Cell::integer(value);
  return true;
}

bool Operations::to_real(const Cell& x, Cell& out) {
  if (x.is_number()) return out = Cell::real(x.number()), true;
  if (x.kind != Cell::Kind::string) return fail(FailureReason::operand_type, x);
  std::string_view text = trimmed(*x.s);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size()) {
    return fail(FailureReason::not_a_number, x);
  }
  out = Cell::real(value);
  return true;
}

bool Operations::round(const Cell* arguments, std::size_t count, Cell& out) {
  const Cell& x = arguments[0];
  if (!x.is_number()) return fail(FailureReason::operand_type, x);
  if (count == 1 || arguments[1].kind == Cell::Kind::none) {
    if (x.is_integral()) return out = Cell::integer(x.i), true;
    double whole = std::floor(x.d);
    const double rest = x.d - whole;
    if (rest > 0.5 || (rest == 0.5 && std::fmod(whole, 2) != 0)) whole += 1;  // half to even
    return real_to_integer(whole, x, out);
  }
  if (!arguments[1].is_integral()) return fail(FailureReason::index_type, arguments[1]);
  const std::int64_t digits = arguments[1].i;
  if (x.is_integral()) {
    if (digits >= 0) return out = Cell::integer(x.i), true;
    if (digits < -19) return out = Cell::integer(0), true;
    std::uint64_t unit = 1;
    for (std::int64_t i = 0; i < -digits; ++i) unit *= 10;
    const std::uint64_t size = magnitude(x.i), rest = size % unit;
    std::uint64_t rounded = size - rest;
    if (rest > unit - rest || (rest == unit - rest && (rounded / unit) % 2 != 0)) {
      if (__builtin_add_overflow(rounded, unit, &rounded)) return fail(FailureReason::overflow, x);
    }
    if (rounded > magnitude(smallest) - (x.i < 0 ? 0 : 1)) return fail(FailureReason::overflow, x);
    out = Cell::integer(static_cast<std::int64_t>(x.i < 0 ? 0 - rounded : rounded));
    return true;
  }
  if (!std::isfinite(x.d)) return out = x, true;
  if (digits < 0) return fail(FailureReason::domain, x, arguments[1]);
  if (digits > 330) return out = x, true;  // beyond the last digit of the smallest double
  // Decimal text is the exact value correctly rounded, half to even: what Python does.
  std::array<char, 700> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), x.d, std::chars_format::fixed, static_cast<int>(digits))
          .ptr;
  double value = 0;
  std::from_chars(text.data(), end, value);
  out = Cell::real(value);
  return true;
}

bool Operations::range(const Cell* arguments, std::size_t count, Cell& out) {
  for (std::size_t i = 0; i < count; ++i) {
    if (!arguments[i].is_integral()) return fail(FailureReason::index_type, arguments[i]);
  }
  const std::int64_t first = count == 1 ? 0 : arguments[0].i;
  const std::int64_t last = count == 1 ? arguments[0].i : arguments[1].i;
  const std::int64_t step = count == 3 ? arguments[2].i : 1;
  if (step == 0) return fail(FailureReason::zero_step);
  std::uint64_t size = 0;
  if (step > 0 ? first < last : first > last) {
    const std::uint64_t distance = step > 0 ? static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first)
                                            : static_cast<std::uint64_t>(first) - static_cast<std::uint64_t>(last);
    size = (distance - 1) / magnitude(step) + 1;
  }
  if (size > max_list_size) return fail(FailureReason::too_long);
  if (!arena_.charge_elements(size)) return fail(FailureReason::too_much_work);
  CellList* list = arena_.make_list();
  list->reserve(size);
  for (std::uint64_t i = 0; i < size; ++i) {
    list->push_back(Cell::integer(
        static_cast<std::int64_t>(static_cast<std::uint64_t>(first) + i * static_cast<std::uint64_t>(step))));
  }
  out = Cell::list(list);
  return true;
}

bool Operations::sum(const Cell* arguments, std::size_t count, Cell& out) {
  Cell list = Cell::none();
  if (!elements(arguments[0], list)) return false;
  Cell total = count == 2 ? arguments[1] : Cell::integer(0);
  if (total.kind == Cell::Kind::string) return fail(FailureReason::operand_type, total);
  for (const Cell& element : *list.l) {
    if (!work(1) || !binary(Op::add, total, element, total)) return false;
  }
  out = total;
  return true;
}

bool Operations::greatest_common_divisor(const Cell* arguments, std::size_t count, Cell& out) {
  std::uint64_t result = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!arguments[i].is_integral()) return fail(FailureReason::index_type, arguments[i]);
    std::uint64_t other = magnitude(arguments[i].i);
    while (other != 0) {
      result %= other;
      std::swap(result, other);
    }
  }
  if (result > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return fail(FailureReason::overflow, arguments[0]);
  out = Cell::integer(static_cast<std::int64_t>(result));
  return true;
}

bool Operations::call(Function function, const Cell* arguments, std::size_t count, Cell& out) {
  const Cell x = count > 0 ? arguments[0] : Cell::none();
  switch (function) {
    case Function::min:
    case Function::max:
      return extreme(function, arguments, count, out);
    case Function::abs:
      if (x.kind == Cell::Kind::real) return out = Cell::real(std::abs(x.d)), true;
      if (!x.is_integral()) return fail(FailureReason::operand_type, x);
      if (x.i == smallest) return fail(FailureReason::overflow, x);
      out = Cell::integer(std::abs(x.i));
      return true;
    case Function::to_int:
      return to_integer(x, out);
    case Function::to_float:
      return to_real(x, out);
    case Function::to_bool:
      out = Cell::boolean(truthy(x));
      return true;
    case Function::round:
      return round(arguments, count, out);
    case Function::pow:
      return binary(Op::power, x, arguments[1], out);
    case Function::len: {
      if (!is_sequence(x)) return fail(FailureReason::operand_type, x);
      const auto begins_character = [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; };
      out = Cell::integer(x.kind == Cell::Kind::list ? static_cast<std::int64_t>(x.l->size())
                                                     : std::count_if(x.s->begin(), x.s->end(), begins_character));
      return true;
    }
    case Function::sum:
      return sum(arguments, count, out);
    case Function::any:
    case Function::all: {
      Cell list = Cell::none();
      if (!elements(x, list) || !work(list.l->size())) return false;
      const auto holds = [](const Cell& cell) { return truthy(cell); };
      out = Cell::boolean(function == Function::any ? std::any_of(list.l->begin(), list.l->end(), holds)
                                                    : std::all_of(list.l->begin(), list.l->end(), holds));
      return true;
    }
    case Function::range:
      return range(arguments, count, out);
    case Function::list:
      return elements(x, out);
    case Function::gcd:
      return greatest_common_divisor(arguments, count, out);
    case Function::ceil:
    case Function::floor:
      if (x.is_integral()) return out = Cell::integer(x.i), true;
      if (x.kind != Cell::Kind::real) return fail(FailureReason::operand_type, x);
      return real_to_integer(function == Function::ceil ? std::ceil(x.d) : std::floor(x.d), x, out);
    case Function::ceil_div: {
      const Cell y = arguments[1];
      if (!x.is_number() || !y.is_number()) return fail(FailureReason::operand_type, x, y);
      if (!x.is_integral() || !y.is_integral()) {
        if (y.number() == 0) return fail(FailureReason::division_by_zero, x, y);
        out = Cell::real(-floored_quotient(-x.number(), y.number()));
        return true;
      }
      std::int64_t floored = 0, rest = 0;
      if (!integer_arithmetic(Op::floor_divide, x.i, y.i, floored) || !integer_arithmetic(Op::modulo, x.i, y.i, rest))
        return false;
      out = Cell::integer(floored + (rest != 0 ? 1 : 0));
      return true;
    }
    case Function::log2:
    case Function::sqrt:
      if (!x.is_number()) return fail(FailureReason::operand_type, x);
      if (function == Function::log2 ? x.number() <= 0 : x.number() < 0) return fail(FailureReason::domain, x);
      out = Cell::real(function == Function::log2 ? std::log2(x.number()) : std::sqrt(x.number()));
      return true;
  }
  return fail(FailureReason::operand_type, x);
}

}  // namespace warpwright::detail
