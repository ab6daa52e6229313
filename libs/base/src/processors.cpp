#include <algorithm>
#include <cerrno>
#include <exception>
#include <fstream>
#include <sched.h>
#include <string>

#include <warpwright/base/processors.hpp>

namespace warpwright {
namespace {

// "max 100000", "150000 100000"
std::optional<double> limit_of_version_2(const std::filesystem::path& folder) {
  std::ifstream file(folder / "cpu.max");
  double quota = 0, period = 0;
  if (file >> quota >> period && quota > 0 && period > 0) return quota / period;
  return std::nullopt;
}

std::optional<double> limit_of_version_1(const std::filesystem::path& folder) {
  std::ifstream quota_file(folder / "cpu.cfs_quota_us"), period_file(folder / "cpu.cfs_period_us");
  double quota = 0, period = 0;
  if (quota_file >> quota && period_file >> period && quota > 0 && period > 0) return quota / period;
  return std::nullopt;
}

// The least limit from mount/group upwards to `mount`.
template <class LimitOf>
std::optional<double> least_limit(const std::filesystem::path& mount, const std::filesystem::path& group,
                                  const LimitOf& limit_of) {
  std::optional<double> least;
  const auto look = [&](const std::filesystem::path& folder) {
    if (const auto limit = limit_of(folder)) least = std::min(least.value_or(*limit), *limit);
  };
  look(mount);
  std::filesystem::path folder = mount;
  for (const auto& part : group.relative_path()) {
    if (part == "..") break;  // outside what is mounted here
    folder /= part;
    look(folder);
  }
  return least;
}

int processors_of_affinity() {
  // The kernel refuses masks that are smaller than its own.
  for (std::size_t processors = 1024; processors <= (std::size_t{1} << 20); processors *= 4) {
    cpu_set_t* set = CPU_ALLOC(processors);
    if (set == nullptr) break;
    const std::size_t size = CPU_ALLOC_SIZE(processors);
    const int status = ::sched_getaffinity(0, size, set);
    const int error = errno;
    const int count = status == 0 ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (status == 0) return std::max(1, count);
    if (error != EINVAL) break;
  }
  return 1;
}

}  // namespace

std::optional<double> control_group_processors(const std::filesystem::path& groups,
                                               const std::filesystem::path& mount) {
  std::optional<double> least;
  std::ifstream file(groups);
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::filesystem::path group = line.substr(second + 1);
    std::optional<double> limit;
    if (controllers.empty()) {
      limit = least_limit(mount, group, limit_of_version_2);
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      limit = least_limit(mount / controllers, group, limit_of_version_1);
    }
    if (limit) least = std::min(least.value_or(*limit), *limit);
  }
  return least;
}

int available_processors() {
  const int allowed = processors_of_affinity();
  try {
    const std::optional<double> limit = control_group_processors();
    if (limit && *limit < allowed) return std::max(1, static_cast<int>(*limit));
  } catch (const std::exception&) {  // no memory for a path: the mask is an answer as well
  }
  return allowed;
}

}  // namespace warpwright
