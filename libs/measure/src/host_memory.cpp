#include "host_memory.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

namespace warpwright::measure {
namespace {

std::optional<std::uint64_t> number_in(std::string_view text) {
  text.remove_prefix(std::min(text.size(), text.find_first_of("0123456789")));
  std::uint64_t number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc()) return std::nullopt;
  return number;
}

// The number in a file of one line; nullopt for "max" and where there is no such file.
std::optional<std::uint64_t> number_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string line;
  if (!std::getline(stream, line)) return std::nullopt;
  return number_in(line);
}

// The number behind `key` in a file of lines such as "MemAvailable:  1234 kB"; 0 where it is not there.
std::uint64_t value_of(const std::filesystem::path& file, std::string_view key) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (!line.starts_with(key) || line.size() <= key.size() || (line[key.size()] != ':' && line[key.size()] != ' '))
      continue;
    return number_in(std::string_view(line).substr(key.size())).value_or(0);
  }
  return 0;
}

std::uint64_t room(std::uint64_t limit, std::uint64_t used, std::uint64_t reclaimable) {
  const std::uint64_t held = used - std::min(used, reclaimable);
  return limit - std::min(limit, held);
}

}  // namespace

std::optional<Bytes> available_host_memory(const std::filesystem::path& root) {
  std::optional<std::uint64_t> least;
  const auto consider = [&](std::uint64_t bytes) { least = std::min(least.value_or(bytes), bytes); };
  const auto memory = root / "proc/meminfo";
  if (const std::uint64_t available = value_of(memory, "MemAvailable"); available > 0)
    consider((available + value_of(memory, "SwapFree")) * 1024);

  // "0::/path" of version 2, "9:memory:/path" of version 1; a limit holds for all groups below it.
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool unified = controllers.empty();
    if (!unified && controllers.find("memory") == std::string::npos) continue;
    const std::filesystem::path mount = root / (unified ? "sys/fs/cgroup" : "sys/fs/cgroup/memory");
    std::filesystem::path group = std::filesystem::path(line.substr(second + 1)).relative_path().lexically_normal();
    for (;;) {
      const std::filesystem::path folder = mount / group;
      const auto limit = number_of(folder / (unified ? "memory.max" : "memory.limit_in_bytes"));
      const auto used = number_of(folder / (unified ? "memory.current" : "memory.usage_in_bytes"));
      if (limit && used)
        consider(
            room(*limit, *used, value_of(folder / "memory.stat", unified ? "inactive_file" : "total_inactive_file")));
      if (group.empty() || group == group.parent_path()) break;
      group = group.parent_path();
    }
  }
  if (!least) return std::nullopt;
  return Bytes{*least};
}

}  // namespace warpwright::measure
