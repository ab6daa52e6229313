// Exact comparison of numbers across types, as Python does it: an int64 is never rounded to a double first.
#pragma once

#include <compare>
#include <cstdint>

#include <warpwright/model/value.hpp>

namespace warpwright::detail {

std::partial_ordering compare_numbers(std::int64_t a, double b) noexcept;

// A total order in which python_equal values are equivalent: numbers by value, then strings. NaN has no place in it;
// callers refuse it beforehand.
bool value_less(const Value& a, const Value& b);

// Python's repr() of a double: shortest round-trip, never mistaken for an integer.
std::string double_text(double value);

// A string literal in single quotes that the expression parser reads back unchanged.
std::string quoted(std::string_view text);

}  // namespace warpwright::detail
