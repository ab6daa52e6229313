// How many processors this process may use, which is not how many the machine has: batch systems and MPI bind processes
// to a few cores, containers have a limit of processor time.
#pragma once

#include <filesystem>
#include <optional>

namespace warpwright {

// At least 1: the processors of the calling thread's affinity mask, or, where that is less, the whole processors' worth
// of time that its control group has. Reads the system anew each time. Thread-safe, does not throw.
int available_processors();

// Processors' worth of time that the control groups named in `groups` leave to their members: the least limit of each
// group and of those above it, from `cpu.max` (version 2) or `cpu.cfs_quota_us` (version 1) below `mount`. nullopt
// where there is no limit. A group that is not below `mount`, as in containers, is taken to be `mount` itself.
std::optional<double> control_group_processors(const std::filesystem::path& groups = "/proc/self/cgroup",
                                               const std::filesystem::path& mount = "/sys/fs/cgroup");

}  // namespace warpwright
