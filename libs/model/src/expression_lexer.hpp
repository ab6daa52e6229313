// Tokens of the constraint language.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace warpwright::detail {

struct Token {
  enum class Kind : std::uint8_t { end, integer, real, string, name, symbol };
  Kind kind = Kind::end;
  std::uint32_t begin = 0, end = 0;
  std::string_view text;      // as written
  std::uint64_t integer = 0;  // at most 2^63, which only a minus sign makes valid
  double real = 0;
  std::string string;  // escapes resolved
  bool is(std::string_view symbol_or_word) const {
    return (kind == Kind::symbol || kind == Kind::name) && text == symbol_or_word;
  }
};

// The last token is of kind end. Throws Error(bad_input) with the column.
std::vector<Token> tokenize(std::string_view text);

// The error of every complaint about expression text: message with text and column, position().column from 1.
[[noreturn]] void throw_syntax_error(std::string_view text, std::size_t offset, const std::string& what);

}  // namespace warpwright::detail
