#include <algorithm>
#include <cmath>
#include <tuple>

#include <warpwright/base/error.hpp>
#include <warpwright/tuning/kernel_tuner.hpp>

#include "favoured_block.hpp"

namespace warpwright {
namespace {

constexpr std::uint64_t max_grid = 2147483647;
constexpr std::uint64_t shared_step = 1024;

void check(const Workload& workload, const RecommendOptions& options, const GpuProperties& gpu) {
  const auto bad = [](const std::string& what) { throw Error(ErrorCode::bad_input, what); };
  if (workload.elements == 0) bad("workload.elements is 0; there is nothing to compute");
  if (workload.elements_per_thread == 0) bad("workload.elements_per_thread is 0; it must be at least 1");
  if (!(options.min_occupancy >= 0 && options.min_occupancy <= 1))
    bad("min_occupancy is " + std::to_string(options.min_occupancy) + "; it must be from 0 to 1");
  if (options.min_block < 1 || options.max_block < options.min_block)
    bad("min_block is " + std::to_string(options.min_block) + " and max_block " + std::to_string(options.max_block) +
        "; right is 1 <= min_block <= max_block");
  if (options.grid_stride && !gpu.sm_count)
    throw Error(ErrorCode::unsupported,
                "grid_stride needs the number of SMs, which " + gpu.name + " alone does not tell; name a device");
}

constexpr std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

double distance_to_favoured(const KernelConfig& config) {
  return std::abs(std::log2(static_cast<double>(config.block_size.count()) / detail::favoured_block));
}

// Of a function that was compiled for one block, that one; else every number of whole warps.
std::vector<Dim3> block_candidates(const GpuProperties& gpu, const KernelConfig& kernel,
                                   const RecommendOptions& options) {
  if (kernel.required_block) return {*kernel.required_block};
  std::vector<Dim3> blocks;
  const int most = std::min(options.max_block, gpu.max_threads_per_block);
  blocks.reserve(static_cast<std::size_t>(std::max(most, 0) / gpu.warp_size));
  for (int threads = gpu.warp_size; threads <= most; threads += gpu.warp_size)
    if (threads >= options.min_block) blocks.push_back(Dim3{threads});
  return blocks;
}

// The best `most`, best first. Ranks are sorted and recommendations copied once: they are some hundred bytes each.
std::vector<Recommendation> best_of(const std::vector<Recommendation>& found, std::size_t most) {
  struct Rank {
    double score, distance;
    std::size_t place;
  };
  std::vector<Rank> ranks;
  ranks.reserve(found.size());
  // What differs by less than a thousandth is no reason to prefer an unusual block.
  for (const Recommendation& one : found)
    ranks.push_back({std::round(one.score * 1000), distance_to_favoured(one.config), ranks.size()});
  std::sort(ranks.begin(), ranks.end(), [](const Rank& a, const Rank& b) {
    return std::tuple(-a.score, a.distance, a.place) < std::tuple(-b.score, b.distance, b.place);
  });
  if (ranks.size() > most) ranks.resize(most);
  std::vector<Recommendation> best;
  best.reserve(ranks.size());
  for (const Rank& rank : ranks) best.push_back(found[rank.place]);
  return best;
}

}  // namespace

std::string_view to_string(SweepAxis axis) noexcept {
  switch (axis) {
    case SweepAxis::block:
      return "block";
    case SweepAxis::registers:
      return "registers";
    case SweepAxis::shared:
      return "shared";
  }
  return "unknown";
}

KernelTuner KernelTuner::for_device(const DeviceInfo& device) {
  auto gpu = device_properties(device);
  if (!gpu) throw Error(ErrorCode::unsupported, unknown_occupancy_reason(device));
  return KernelTuner(*std::move(gpu));
}

KernelTuner KernelTuner::for_architecture(std::string_view architecture) {
  return KernelTuner(architecture_properties(architecture));
}

std::vector<Recommendation> KernelTuner::recommend(const Workload& workload, const KernelConfig& kernel,
                                                   const RecommendOptions& options) const {
  check(workload, options, gpu_);
  (void)calculate_occupancy(kernel);  // refuses what is no kernel
  const std::vector<Dim3> candidates = block_candidates(gpu_, kernel, options);
  std::vector<Recommendation> found;
  found.reserve(candidates.size());
  const Dim3& cluster = kernel.cluster_size;
  const auto cluster_blocks = static_cast<std::uint64_t>(cluster.count());
  for (const Dim3& block : candidates) {
    const auto per_block = static_cast<std::uint64_t>(block.count());
    Recommendation candidate;
    candidate.config = kernel;
    candidate.config.block_size = block;
    candidate.config.shared_memory = kernel.shared_memory + options.shared_per_thread * per_block;
    candidate.config.grid_size.reset();
    const std::uint64_t wanted = divide_up(workload.elements, workload.elements_per_thread);  // threads with work
    std::uint64_t blocks = divide_up(wanted, per_block);
    if (options.grid_stride) {
      const OccupancyInfo alone = calculate_occupancy(candidate.config);
      const auto at_a_time =
          static_cast<std::uint64_t>(alone.blocks_per_sm) * static_cast<std::uint64_t>(*gpu_.sm_count);
      blocks = std::min(blocks, std::max<std::uint64_t>(1, at_a_time));
    }
    blocks = divide_up(blocks, cluster_blocks) * cluster_blocks;  // a grid is made of whole clusters
    if (blocks > max_grid) continue;
    candidate.config.grid_size =
        Dim3(static_cast<std::int64_t>(blocks) / (cluster.y * cluster.z), cluster.y, cluster.z);
    candidate.occupancy = calculate_occupancy(candidate.config);
    if (!candidate.occupancy.launchable() || candidate.occupancy.occupancy < options.min_occupancy) continue;
    // With a stride every thread takes part until the last round.
    const std::uint64_t rounds = divide_up(wanted, blocks * per_block);
    candidate.lane_efficiency =
        static_cast<double>(wanted) / (static_cast<double>(rounds) * static_cast<double>(blocks * per_block));
    candidate.score =
        candidate.occupancy.occupancy * candidate.occupancy.tail_efficiency.value_or(1) * candidate.lane_efficiency;
    found.push_back(candidate);
  }
  return best_of(found, options.max_results);
}

std::vector<SweepPoint> KernelTuner::sweep(const KernelConfig& config, SweepAxis axis) const {
  std::vector<std::int64_t> values;
  std::int64_t current = 0;
  switch (axis) {
    case SweepAxis::block:
      current = config.block_size.count();
      for (int threads = gpu_.warp_size; threads <= gpu_.max_threads_per_block; threads += gpu_.warp_size)
        values.push_back(threads);
      break;
    case SweepAxis::registers:
      current = config.registers_per_thread;
      for (int registers = 1; registers <= gpu_.max_registers_per_thread; ++registers) values.push_back(registers);
      break;
    case SweepAxis::shared: {
      current = static_cast<std::int64_t>(config.shared_memory.count);
      const std::uint64_t most = std::max(gpu_.shared_per_block_optin, gpu_.shared_per_block).count;
      for (std::uint64_t bytes = 0; bytes <= most; bytes += shared_step)
        values.push_back(static_cast<std::int64_t>(bytes));
      break;
    }
  }
  const auto place = std::lower_bound(values.begin(), values.end(), current);
  if (place == values.end() || *place != current) values.insert(place, current);

  std::vector<SweepPoint> points;
  points.reserve(values.size());
  for (const std::int64_t value : values) {
    KernelConfig point = config;
    if (axis == SweepAxis::block && value != current) point.block_size = Dim3{value};
    if (axis == SweepAxis::registers) point.registers_per_thread = static_cast<int>(value);
    if (axis == SweepAxis::shared) point.shared_memory = Bytes{static_cast<std::uint64_t>(value)};
    points.push_back({value, calculate_occupancy(point)});
  }
  return points;
}

}  // namespace warpwright
