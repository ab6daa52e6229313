#include <algorithm>
#include <cstdint>
#include <fmt/format.h>
#include <optional>
#include <string>

#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/launch_occupancy.hpp>
#include <warpwright/model/occupancy.hpp>

namespace warpwright::measure {
namespace {

const KernelResources* find(const std::vector<KernelResources>& resources, const std::string& entry) {
  const auto found =
      std::find_if(resources.begin(), resources.end(), [&](const KernelResources& one) { return one.entry == entry; });
  return found == resources.end() ? nullptr : &*found;
}

// Why a cooperative launch would fail although one block of it fits: all of its blocks must be on the device at once.
std::optional<std::string> grid_too_large(const GpuProperties& gpu, const LaunchGeometry& geometry, int blocks_per_sm) {
  if (!geometry.cooperative || !gpu.sm_count || blocks_per_sm == 0) return std::nullopt;
  const double blocks = static_cast<double>(geometry.grid[0]) * static_cast<double>(geometry.grid[1]) *
                        static_cast<double>(geometry.grid[2]);
  const auto at_once = static_cast<std::int64_t>(blocks_per_sm) * static_cast<std::int64_t>(*gpu.sm_count);
  if (blocks <= static_cast<double>(at_once)) return std::nullopt;
  return fmt::format(
      "its cooperative grid has {:.0f} blocks, the device holds {} at once ({} on each of {} multiprocessors)", blocks,
      at_once, blocks_per_sm, *gpu.sm_count);
}

}  // namespace

OccupancyCheck check_occupancy(const Problem& problem, const Configuration& configuration,
                               const std::vector<KernelResources>& resources, const DeviceInfo& device) {
  OccupancyCheck check;
  const auto gpu = device_properties(device);
  if (!gpu) return check;
  const std::vector<std::string> entries = measure::entry_names(problem, configuration);
  const Scope scope = problem.scope(configuration);
  for (std::size_t i = 0; i < problem.launches.size(); ++i) {
    const KernelResources* needs = find(resources, entries[i]);
    if (needs == nullptr || !needs->registers_per_thread) continue;
    const LaunchGeometry geometry = evaluate_geometry(problem.launches[i], scope);
    if (geometry.repeat == 0) continue;
    KernelConfig config;
    config.block_size = geometry.block;
    config.grid_size = Dim3(geometry.grid);
    config.cluster_size = geometry.cluster;
    config.shared_memory = geometry.dynamic_shared;
    config = config.with_resources(*needs);
    const OccupancyInfo info = calculate_occupancy(*gpu, config);
    LaunchOccupancy launch;
    launch.entry = entries[i];
    launch.blocks_per_sm = info.blocks_per_sm;
    launch.active_warps_per_sm = info.active_warps_per_sm;
    launch.max_warps_per_sm = info.max_warps_per_sm;
    for (const auto factor : info.limiting_factors.list()) launch.limiting_factors.emplace_back(to_string(factor));
    check.launches.push_back(std::move(launch));
    if (check.refusal) continue;
    std::optional<std::string> reason = grid_too_large(*gpu, geometry, info.blocks_per_sm);
    if (!info.launchable()) reason = refusal_reason(*gpu, config, info);
    if (reason) check.refusal = "kernel '" + entries[i] + "' cannot be launched: " + *reason;
  }
  return check;
}

std::vector<KernelResources> merge_resources(std::vector<KernelResources> known,
                                             const std::vector<KernelResources>& compiled) {
  for (KernelResources& one : known) {
    const KernelResources* other = find(compiled, one.entry);
    if (other == nullptr) continue;
    if (!one.barriers) one.barriers = other->barriers;
    if (!one.spill_stores) one.spill_stores = other->spill_stores;
    if (!one.spill_loads) one.spill_loads = other->spill_loads;
    if (!one.required_block) one.required_block = other->required_block;
    if (!one.required_cluster) one.required_cluster = other->required_cluster;
    if (!one.max_cluster_blocks) one.max_cluster_blocks = other->max_cluster_blocks;
  }
  return known;
}

}  // namespace warpwright::measure
