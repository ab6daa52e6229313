// The value of a tunable parameter or problem dimension.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace warpwright {

using Value = std::variant<std::int64_t, double, bool, std::string>;

// As Python's str() writes it, except that booleans are "true"/"false": 3, 0.5, 1.0, true, row. Doubles are written
// shortest-round-trip and always with '.', 'e', "inf" or "nan", so that a double never reads back as an integer.
std::string to_string(const Value& value);
// Like to_string, with strings in single quotes: for messages and constraint texts.
std::string to_literal(const Value& value);
// Python's ==: numbers and booleans compare by value across types (1 == 1.0 == true); strings equal only strings.
bool python_equal(const Value& a, const Value& b);
// The number in the value (booleans are 0 and 1); nullopt for strings.
std::optional<double> as_number(const Value& value);
// The exact integer in the value: an int64, a bool, or a double with an integral value in range; else nullopt.
std::optional<std::int64_t> as_integer(const Value& value);
// Reads a literal as written on a command line: 3, 0.5, 1e3, true, false, or else a string (quotes are dropped).
Value parse_value(std::string_view text);

}  // namespace warpwright
