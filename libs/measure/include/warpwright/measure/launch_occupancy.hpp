// The occupancy of a configuration's launches, from what its binary needs: before the device sees it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <warpwright/model/device_info.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright::measure {

struct OccupancyCheck {
  std::vector<LaunchOccupancy>
      launches;                        // in the problem's order; empty where the device's limits are not known exactly
  std::optional<std::string> refusal;  // a launch would fail, and why: 0 blocks per SM, or a cooperative grid that is
                                       // not on the device all at once
};

// Launches whose entry has no registers in `resources` are left out. Throws as evaluate_geometry() does.
OccupancyCheck check_occupancy(const Problem& problem, const Configuration& configuration,
                               const std::vector<KernelResources>& resources, const DeviceInfo& device);

// `known` with the numbers that only `compiled` tells (barriers, spills) put in, entry by entry.
std::vector<KernelResources> merge_resources(std::vector<KernelResources> known,
                                             const std::vector<KernelResources>& compiled);

}  // namespace warpwright::measure
