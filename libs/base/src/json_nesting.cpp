#include <warpwright/base/json_nesting.hpp>

namespace warpwright {

std::optional<std::size_t> json_nested_too_deep(std::string_view text) noexcept {
  std::size_t level = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\')
        ++at;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++level > most_json_levels) return at;
    } else if ((c == ']' || c == '}') && level > 0) {
      --level;
    }
  }
  return std::nullopt;
}

}  // namespace warpwright
