#include "words.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <warpwright/base/error.hpp>
#include <warpwright/model/value.hpp>

namespace warpwright::spec::detail {
namespace {

constexpr std::size_t short_list = 14;

constexpr auto reserved_words = std::to_array<std::string_view>(
    {"and",  "or",  "not",   "if",   "else", "in",    "is",    "for",      "lambda", "True", "False",
     "None", "min", "max",   "abs",  "int",  "float", "bool",  "round",    "pow",    "len",  "sum",
     "any",  "all", "range", "list", "gcd",  "ceil",  "floor", "ceil_div", "log2",   "sqrt", "math"});

}  // namespace

bool is_identifier(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && letter(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

bool is_reserved_word(std::string_view text) {
  return text == "time_ns" || std::find(reserved_words.begin(), reserved_words.end(), text) != reserved_words.end();
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates, std::string_view kind) {
  std::string text;
  if (const auto match = closest_match(word, candidates)) text += "; did you mean '" + *match + "'?";
  if (!candidates.empty() && candidates.size() <= short_list) {
    const std::string list = std::string(kind) + ": " + join(candidates);
    text += text.empty() ? "; " + list : " (" + list + ")";
  }
  return text;
}

std::string one_of(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i != 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

std::string join(const std::vector<std::string>& words, std::string_view separator) {
  std::string text;
  for (const auto& word : words) {
    if (!text.empty()) text += separator;
    text += word;
  }
  return text;
}

std::string plain_number(double number) {
  const bool whole = number == std::floor(number) && std::abs(number) < 1e15;
  return whole ? std::to_string(static_cast<long long>(number)) : to_string(Value(number));
}

std::string excerpt(std::string_view text, std::size_t limit) {
  std::string out;
  std::size_t length = std::min(text.size(), limit);
  // Never end inside a UTF-8 sequence.
  while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) --length;
  for (const char c : text.substr(0, length)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  if (length < text.size()) out += "...";
  return out;
}

}  // namespace warpwright::spec::detail
