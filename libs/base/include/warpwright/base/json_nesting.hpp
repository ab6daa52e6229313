// A bound for the nesting of JSON that comes from outside. The JSON library reads any depth, but writing, copying and
// comparing a value recurse: a file of nothing but brackets would overflow the stack.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace warpwright {

inline constexpr std::size_t most_json_levels = 256;

// Offset of the first bracket or brace that opens a level beyond most_json_levels; nullopt where none does. Looks at
// brackets outside of strings only, so any text may be given. Pure; linear in the length of the text.
std::optional<std::size_t> json_nested_too_deep(std::string_view text) noexcept;

}  // namespace warpwright
