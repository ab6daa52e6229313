#include "configuration_argument.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <warpwright/base/error.hpp>

#include "command.hpp"

namespace warpwright::app {

Configuration parse_configuration(const std::string& text, const std::string& flag,
                                  const std::vector<std::string>& names) {
  Configuration wanted;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    std::string part = text.substr(begin, comma - begin);
    part.erase(0, part.find_first_not_of(' '));
    auto [name, value] = parse_assignment(part, flag);
    if (!names.empty() && std::find(names.begin(), names.end(), name) == names.end()) {
      const auto close = closest_match(name, names);
      throw Error(ErrorCode::bad_input,
                  fmt::format("{}: there is no parameter '{}'{}; the parameters are {}", flag, name,
                              close ? "; did you mean '" + *close + "'?" : "", fmt::join(names, ", ")));
    }
    wanted.set(name, std::move(value));
    begin = comma + 1;
  }
  return wanted;
}

}  // namespace warpwright::app
