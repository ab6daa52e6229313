#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "value_order.hpp"

namespace warpwright {
namespace detail {

std::partial_ordering compare_numbers(std::int64_t a, double b) noexcept {
  if (std::isnan(b)) return std::partial_ordering::unordered;
  if (b >= 0x1p63) return std::partial_ordering::less;
  if (b < -0x1p63) return std::partial_ordering::greater;
  const auto whole = static_cast<std::int64_t>(b);
  if (a != whole) return a <=> whole;
  return 0.0 <=> b - static_cast<double>(whole);
}

namespace {

struct Number {
  bool is_double = false;
  std::int64_t integer = 0;
  double real = 0;
};

std::optional<Number> number_of(const Value& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) return Number{false, *i, 0};
  if (const auto* d = std::get_if<double>(&value)) return Number{true, 0, *d};
  if (const auto* b = std::get_if<bool>(&value)) return Number{false, *b ? 1 : 0, 0};
  return std::nullopt;
}

std::partial_ordering compare(const Number& a, const Number& b) {
  if (a.is_double && b.is_double) return a.real <=> b.real;
  if (a.is_double) return 0 <=> compare_numbers(b.integer, a.real);
  if (b.is_double) return compare_numbers(a.integer, b.real);
  return a.integer <=> b.integer;
}

}  // namespace

bool value_less(const Value& a, const Value& b) {
  const auto x = number_of(a), y = number_of(b);
  if (x && y) return compare(*x, *y) < 0;
  if (x || y) return x.has_value();
  return std::get<std::string>(a) < std::get<std::string>(b);
}

std::string double_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 32> buffer{};
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::abs(value), std::chars_format::scientific).ptr;
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const std::size_t mark = text.find('e');
  const int exponent = std::atoi(buffer.data() + mark + 1);
  std::string digits(1, text[0]);
  if (mark > 2) digits += text.substr(2, mark - 2);

  // Python switches to the exponent form outside 1e-4 .. 1e16.
  std::string result = std::signbit(value) ? "-" : "";
  const auto count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    result += digits[0];
    if (count > 1) result += "." + digits.substr(1);
    result += exponent < 0 ? "e-" : "e+";
    if (std::abs(exponent) < 10) result += '0';
    return result + std::to_string(std::abs(exponent));
  }
  if (exponent < 0) return result + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  if (count <= exponent + 1)
    return result + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') + ".0";
  const auto point = static_cast<std::size_t>(exponent + 1);
  return result + digits.substr(0, point) + "." + digits.substr(point);
}

std::string quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    switch (c) {
      case '\'':
        result += "\\'";
        break;
      case '\\':
        result += "\\\\";
        break;
      case '\n':
        result += "\\n";
        break;
      case '\r':
        result += "\\r";
        break;
      case '\t':
        result += "\\t";
        break;
      default:
        result += c;
    }
  }
  return result + "'";
}

}  // namespace detail

std::string to_string(const Value& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) return std::to_string(*i);
  if (const auto* d = std::get_if<double>(&value)) return detail::double_text(*d);
  if (const auto* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  return std::get<std::string>(value);
}

std::string to_literal(const Value& value) {
  if (const auto* s = std::get_if<std::string>(&value)) return detail::quoted(*s);
  return to_string(value);
}

bool python_equal(const Value& a, const Value& b) {
  const auto x = detail::number_of(a), y = detail::number_of(b);
  if (x && y) return detail::compare(*x, *y) == 0;
  if (x || y) return false;
  return std::get<std::string>(a) == std::get<std::string>(b);
}

std::optional<double> as_number(const Value& value) {
  const auto number = detail::number_of(value);
  if (!number) return std::nullopt;
  return number->is_double ? number->real : static_cast<double>(number->integer);
}

std::optional<std::int64_t> as_integer(const Value& value) {
  const auto number = detail::number_of(value);
  if (!number) return std::nullopt;
  if (!number->is_double) return number->integer;
  if (!(number->real >= -0x1p63 && number->real < 0x1p63) || number->real != std::floor(number->real))
    return std::nullopt;
  return static_cast<std::int64_t>(number->real);
}

Value parse_value(std::string_view text) {
  if (text == "true" || text == "True") return true;
  if (text == "false" || text == "False") return false;
  if (text.size() >= 2 && (text.front() == '\'' || text.front() == '"') && text.back() == text.front()) {
    return std::string(text.substr(1, text.size() - 2));
  }
  if (text == "inf" || text == "+inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();

  // from_chars knows no leading '+', and reads "inf" and "infinity" in any case, which are words here.
  std::string_view number = text;
  if (number.size() > 1 && number.front() == '+' && number[1] != '-') number.remove_prefix(1);
  if (!number.empty() && number.find_first_not_of("0123456789+-.eE") == std::string_view::npos) {
    const char* const end = number.data() + number.size();
    std::int64_t integer = 0;
    const auto whole = std::from_chars(number.data(), end, integer);
    if (whole.ec == std::errc() && whole.ptr == end) return integer;
    double real = 0;
    const auto fraction = std::from_chars(number.data(), end, real);
    if (fraction.ec == std::errc() && fraction.ptr == end) return real;
  }
  return std::string(text);
}

}  // namespace warpwright
