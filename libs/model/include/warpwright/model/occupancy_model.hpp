// The occupancy of <warpwright/model/occupancy.hpp> for many questions about one device: for searches and sweeps.
//
// Method: what a device makes of warps, registers, barriers and carve-outs is in tables, made once; a question takes a
// few look-ups, one division for shared memory and the minimum of the limits. No branch depends on the limits or
// on the carve-out, which change from question to question in a sweep: a misprediction costs as much as half a
// calculation. Inline, since the call with its saved registers took a seventh of the time.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>

#include <warpwright/model/gpu_properties.hpp>
#include <warpwright/model/occupancy.hpp>

namespace warpwright {

namespace occupancy_detail {

// Above every limit of every device, and far from overflow in 32 bits: larger inputs mean the same.
inline constexpr std::uint64_t enough_bytes = std::uint64_t{1} << 28;
// Least and most threads of a dimension and blocks of a grid; the same for every compute capability of the table.
inline constexpr std::int64_t max_block_z = 64;
inline constexpr std::int64_t max_grid_x = 2147483647;
inline constexpr std::int64_t max_grid_yz = 65535;
inline constexpr std::uint32_t unlimited = std::numeric_limits<int>::max();

// Of every row of the table; device_properties() takes no device that differs. As constants they cost no division.
inline constexpr std::uint32_t warp_size = 32;
inline constexpr std::uint32_t register_unit = 256;
inline constexpr std::uint32_t registers_per_unit = register_unit / warp_size;  // of a thread
// All sizes that a carve-out can have are multiples of this.
inline constexpr unsigned carveout_shift = 12;
inline constexpr std::uint32_t carveout_steps = 128;

// Choices without a branch: what limits is as good as random in a sweep, and a misprediction costs as much as half a
// calculation. Compilers make a branch of the conditional operator where it saves a division or a load.
constexpr std::uint32_t keep_if(bool condition, std::uint32_t value) {
  return value & (0u - static_cast<std::uint32_t>(condition));
}

// Without a branch for each number: one that is not below 1 has no sign bit after 1 is taken off.
constexpr bool positive(const Dim3& sizes) {
  const auto less = [](std::int64_t size) { return static_cast<std::uint64_t>(size) - 1; };
  return static_cast<std::int64_t>(less(sizes.x) | less(sizes.y) | less(sizes.z)) >= 0;
}

constexpr bool is_one(const Dim3& sizes) { return ((sizes.x ^ 1) | (sizes.y ^ 1) | (sizes.z ^ 1)) == 0; }

// Of the SM's shared memory; 100 where the configuration leaves it to the driver.
inline std::uint32_t carveout_of(const KernelConfig& config) {
  const std::optional<int> percent = config.carveout_percent;
  std::uint32_t share = 100;
  if (__builtin_expect_with_probability(percent.has_value(), 1, 0.5)) share = static_cast<std::uint32_t>(*percent);
  __asm__("" : "+r"(share));  // hides the 100: compilers would follow it with a branch
  return share;
}

// Of dimensions up to 1024.
constexpr std::uint32_t threads_of(const Dim3& block) {
  return static_cast<std::uint32_t>(block.x) * static_cast<std::uint32_t>(block.y) *
         static_cast<std::uint32_t>(block.z);
}

// Whether the function was compiled for one block or cluster, or with a bound of clusters.
constexpr bool bound_to_sizes(const KernelConfig& config) {
  return config.required_block || config.required_cluster || config.max_cluster_blocks;
}

constexpr bool usual_grid(const Dim3& grid) {
  return positive(grid) && grid.x <= max_grid_x && grid.y <= max_grid_yz && grid.z <= max_grid_yz;
}

}  // namespace occupancy_detail

// The numbers of one device as the calculation uses them; made in a few nanoseconds. calculate_occupancy() makes one
// for each call. Immutable, thread-safe, trivially copyable.
class OccupancyRules {
 public:
  explicit OccupancyRules(const GpuProperties& gpu);

  // As calculate_occupancy().
  OccupancyInfo calculate(const KernelConfig& config) const;
  // The same of a configuration whose numbers are known to make sense, as after calculate() with another block size.
  OccupancyInfo calculate_checked(const KernelConfig& config) const;
  // Bytes of dynamic shared memory that the function's attribute permits, where it opted in.
  std::uint32_t permitted_dynamic(const KernelConfig& config) const;
  // Most bytes of shared memory of a block, the driver's reserve included.
  std::uint32_t shared_cap(const KernelConfig& config) const;
  // Bytes of shared memory of an SM with the configuration's carve-out, before it is raised to hold a block.
  std::uint32_t shared_capacity(const KernelConfig& config) const;

 private:
  friend class OccupancyModel;
  void set_waves(const KernelConfig& config, OccupancyInfo& info) const;
  bool registers_fit(std::uint32_t units, std::uint32_t warps) const;
  std::uint32_t warps_by_registers(std::uint32_t units) const;
  std::uint32_t blocks_by_registers(std::uint32_t units, std::uint32_t warps) const;
  std::uint32_t wanted_shared(std::uint32_t percent) const;
  std::uint32_t capacity_of(std::uint32_t percent, bool chosen, std::uint32_t needed) const;
  std::uint32_t carveout_from(std::uint32_t step) const;

  std::uint32_t max_threads_, max_warps_, max_blocks_;
  std::uint32_t max_registers_;  // of a thread
  // Registers in units of what a warp gets them in: of a block, and of one of 2^part_shift_ sub-partitions.
  std::uint32_t block_register_units_, part_shift_, part_register_units_;
  std::uint32_t shared_per_sm_, shared_unit_, reserved_shared_;  // bytes, as all of shared memory
  std::uint32_t default_shared_, most_shared_;                   // of a block, without opt-in and with it
  // What shared_cap() answers without opt-in, with one that needs more than the default, and with one to the most.
  std::uint32_t default_cap_, raised_cap_, optin_cap_;
  // Bit i of all: 4 KiB * i is a size of the carve-out.
  std::array<std::uint64_t, occupancy_detail::carveout_steps / 64> carveouts_{};
  std::uint32_t barriers_, virtual_resources_;  // of an SM; 0: they do not limit
  std::uint32_t sm_count_;                      // 0: unknown
  bool carveouts_end_at_all_, partitioned_caching_, has_clusters_, checks_siblings_;
};

// The same calculation for many questions about one device, as KernelTuner and searches ask them: limits by warps,
// registers and barriers and the sizes of the carve-out come from tables (9 KB) made once, in microseconds. What is
// rare (no registers, no opt-in or a limit of its own, more than 16 barriers, clusters, a required block, partitioned
// caching, virtual resources, blocks beyond a limit of threads; every question about compute capability 6.0) goes to
// OccupancyRules and takes longer. Tests compare both. Immutable, thread-safe, trivially copyable.
class OccupancyModel {
 public:
  explicit OccupancyModel(const GpuProperties& gpu);

  // As calculate_occupancy().
  OccupancyInfo calculate(const KernelConfig& config) const;

 private:
  // Most threads and warps of a block, registers of a thread in units of 8, and named barriers of a block.
  static constexpr std::uint32_t most_threads = 1024, most_warps = 32, most_units = 32, most_barriers = 16;
  static constexpr std::uint32_t most_active_warps = 64;  // of an SM

  bool is_usual(const KernelConfig& config, std::uint32_t percent) const;
  OccupancyInfo calculate_usual(const KernelConfig& config, std::uint32_t percent) const;

  OccupancyRules rules_;
  std::uint32_t max_threads_, max_warps_, max_blocks_;
  std::uint32_t most_registers_;  // 0: the tables do not apply to this device
  std::uint32_t shared_bias_, shared_mask_, cap_;
  // By registers of a warp and warps of a block, and which of the three is the least (LimitingFactors).
  struct WarpLimits {
    std::uint16_t by_registers, by_warps, least, factors;
  };
  std::array<WarpLimits, (most_units + 1) * (most_warps + 1)> by_warps_and_registers_{};
  std::array<std::uint32_t, most_barriers + 1> by_barriers_{};
  std::array<double, most_active_warps + 1> by_active_warps_{};                  // occupancy
  std::array<std::uint8_t, 101> wanted_steps_{};                                 // by percentage; in 4 KiB
  std::array<std::uint8_t, occupancy_detail::carveout_steps> capacity_steps_{};  // the size that holds so many 4 KiB
};

// Rare inputs and inputs that are refused for their own size, which the general calculation answers. One condition a
// field and none that depends on two: in a sweep each is always or never met.
[[gnu::always_inline]] inline bool OccupancyModel::is_usual(const KernelConfig& config, std::uint32_t percent) const {
  using namespace occupancy_detail;
  const auto below = [](std::int64_t size) { return static_cast<std::uint64_t>(size) - 1; };
  const Dim3& block = config.block_size;
  // The rotation takes the bound of the third dimension, 64, to that of the others.
  static_assert(max_block_z * 16 == most_threads);
  if ((below(block.x) | below(block.y) | std::rotl(below(block.z), 4)) >= most_threads) return false;
  if (static_cast<std::uint32_t>(config.registers_per_thread) - 1 >= most_registers_) return false;
  if ((config.static_shared_memory.count | config.shared_memory.count) >= enough_bytes) return false;
  if (static_cast<std::uint32_t>(config.barriers) > most_barriers) return false;
  if (config.max_dynamic_shared || !config.shared_opt_in) return false;
  if (config.virtual_resources != 0 || config.caching != GlobalCaching::off) return false;
  const Dim3& cluster = config.cluster_size;
  if (cluster.x != 1 || cluster.y != 1 || cluster.z != 1) return false;
  if (bound_to_sizes(config)) return false;
  const std::uint32_t threads = threads_of(block);
  if (config.max_threads_per_block && static_cast<std::int64_t>(threads) > *config.max_threads_per_block) return false;
  return threads <= max_threads_ && percent <= 100;
}

[[gnu::always_inline]] inline OccupancyInfo OccupancyModel::calculate(const KernelConfig& config) const {
  const std::uint32_t percent = occupancy_detail::carveout_of(config);
  return is_usual(config, percent) ? calculate_usual(config, percent) : rules_.calculate(config);
}

[[gnu::always_inline]] inline OccupancyInfo OccupancyModel::calculate_usual(const KernelConfig& config,
                                                                            std::uint32_t percent) const {
  using namespace occupancy_detail;
  const std::uint32_t threads = threads_of(config.block_size);
  const std::uint32_t warps = (threads + warp_size - 1) / warp_size;
  const std::uint32_t units = (static_cast<std::uint32_t>(config.registers_per_thread) + registers_per_unit - 1) /
                              registers_per_unit;  // of a warp
  const WarpLimits& limits = by_warps_and_registers_[units * (most_warps + 1) + warps];

  const auto wanted_bytes = static_cast<std::uint32_t>(config.static_shared_memory.count + config.shared_memory.count);
  const std::uint32_t shared = (wanted_bytes + shared_bias_) & shared_mask_;
  const std::uint32_t fits = 0u - static_cast<std::uint32_t>(shared <= cap_);
  const std::uint32_t step =
      std::max<std::uint32_t>(wanted_steps_[percent], ((shared & fits) + (1u << carveout_shift) - 1) >> carveout_shift);
  const std::uint32_t capacity = static_cast<std::uint32_t>(capacity_steps_[step]) << carveout_shift;
  const auto no_shared = static_cast<std::uint32_t>(shared == 0);
  const std::uint32_t by_shared = ((capacity / (shared + no_shared)) | ((0u - no_shared) & unlimited)) & fits;
  const std::uint32_t by_barriers = by_barriers_[static_cast<std::uint32_t>(config.barriers)];

  const std::uint32_t least = limits.least;
  const std::uint32_t blocks = std::min(std::min(least, by_barriers), by_shared);
  const std::uint32_t active_warps = blocks * warps;
  OccupancyInfo info;
  info.occupancy = by_active_warps_[active_warps];
  info.blocks_per_sm = static_cast<int>(blocks);
  info.active_warps_per_sm = static_cast<int>(active_warps);
  info.max_warps_per_sm = static_cast<int>(max_warps_);
  info.warps_per_block = static_cast<int>(warps);
  info.limits.warps = limits.by_warps;
  info.limits.blocks = static_cast<int>(max_blocks_);
  info.limits.registers = BlockLimit(limits.by_registers);
  info.limits.shared_memory = BlockLimit(static_cast<int>(by_shared));
  info.limits.barriers = BlockLimit(static_cast<int>(by_barriers));
  info.limits.virtual_resources = BlockLimit();
  info.limiting_factors = LimitingFactors::from_bits(
      keep_if(least == blocks, limits.factors) |
      static_cast<std::uint32_t>(by_shared == blocks) << static_cast<int>(OccupancyResource::shared_memory) |
      static_cast<std::uint32_t>(by_barriers == blocks) << static_cast<int>(OccupancyResource::barriers));
  // Warps and barriers refuse nothing usual, see the constructor. Registers are checked before shared memory.
  constexpr auto by_memory = static_cast<std::uint32_t>(LaunchRefusal::shared_memory);
  constexpr auto by_register = static_cast<std::uint32_t>(LaunchRefusal::registers_per_block);
  std::uint32_t refusal = keep_if(by_shared == 0, by_memory);
  refusal ^= keep_if(least == 0, refusal ^ by_register);
  info.refusal = static_cast<LaunchRefusal>(refusal);
  info.registers_allocated_per_block = static_cast<int>(units * warps * register_unit);
  info.shared_allocated_per_block = Bytes{shared};
  info.shared_capacity_per_sm = Bytes{capacity};
  info.caching = GlobalCaching::off;
  info.clusters_unknown = false;
  // Once and last, so that questions without a grid pay for one condition.
  if (config.grid_size) {
    if (usual_grid(*config.grid_size))
      rules_.set_waves(config, info);
    else
      info = rules_.calculate(config);
  }
  return info;
}

}  // namespace warpwright
