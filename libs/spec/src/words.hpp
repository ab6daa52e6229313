// Words of the error messages: what a name may be, and what was probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace warpwright::spec::detail {

// Letters, digits and '_', not starting with a digit.
bool is_identifier(std::string_view text);
// Words that expressions give a meaning to (operators, functions, constants), and `time_ns`.
bool is_reserved_word(std::string_view text);

// "; did you mean 'x'?" where one candidate is close, and the list of all where it is short: "; known: a, b, c".
// `kind` is the word before the list. Empty if neither helps.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates, std::string_view kind);

// "a, b or c"
std::string one_of(const std::vector<std::string>& words);
// "a, b, c"
std::string join(const std::vector<std::string>& words, std::string_view separator = ", ");
// 64 and not 64.0 where the number is whole: as a person would write it.
std::string plain_number(double number);
// At most `limit` bytes of `text` on one line, control characters replaced, "..." where something was cut.
std::string excerpt(std::string_view text, std::size_t limit = 80);

}  // namespace warpwright::spec::detail
