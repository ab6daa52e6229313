// Theoretical occupancy: how many blocks of a kernel one multiprocessor holds at a time, and what stops it from holding
// more. On NVIDIA GPUs, without clusters, it is exact, that is, equal to NVIDIA's own calculation; tests compare it
// with NVIDIA's header where a CUDA toolkit is installed. The quotient of resources that people compute by hand
// (naive_blocks_per_sm) is an upper bound only: it knows no allocation units, no sub-partitions, no reserved memory.
//
// Method: blocks per SM = minimum of six limits, each in whole blocks.
//   warps      warps of an SM / warps of a block
//   blocks     a constant of the architecture
//   registers  given to each warp in units, and each warp lives in one sub-partition with its own share of the
//   registers shared     rounded up to a unit after the driver's reserve is added; what the SM offers follows the
//   carve-out barriers   from compute capability 9.0 on virtual    from compute capability 10.0 on
// A kernel that cannot be launched at all has 0 blocks, and a LaunchRefusal that says why: an answer, not an error.
//
// Functions are pure and thread-safe. calculate_occupancy() allocates nothing.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/model/gpu_properties.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright {

// Blocks or threads per dimension.
struct Dim3 {
  std::int64_t x = 1, y = 1, z = 1;
  constexpr Dim3() = default;
  constexpr Dim3(std::int64_t x_size, std::int64_t y_size = 1, std::int64_t z_size = 1)
      : x(x_size), y(y_size), z(z_size) {}
  constexpr Dim3(const std::array<std::int64_t, 3>& sizes) : x(sizes[0]), y(sizes[1]), z(sizes[2]) {}
  constexpr bool operator==(const Dim3&) const = default;
  // The largest 64-bit integer where the product is beyond it. Sizes must be positive.
  std::int64_t count() const;
  std::string to_string() const;  // "256 x 4 x 1"
};

// Threads or blocks per dimension that a function was compiled for, absent where it takes any: a std::optional<Dim3> in
// use and by conversion, but three eighths of its size, since configurations are copied and read by the million. No
// device has sizes beyond 32 bits; the nearest one stands for them. Value type.
class RequiredSize {
 public:
  constexpr RequiredSize() = default;  // absent
  constexpr RequiredSize(const Dim3& sizes) : x_(clamp(sizes.x)), y_(clamp(sizes.y)), z_(clamp(sizes.z)) {}
  constexpr bool has_value() const { return x_ != none; }
  constexpr explicit operator bool() const { return has_value(); }
  constexpr Dim3 operator*() const { return {x_, y_, z_}; }
  constexpr operator std::optional<Dim3>() const { return has_value() ? std::optional(**this) : std::nullopt; }
  constexpr bool operator==(const RequiredSize&) const = default;

 private:
  static constexpr std::int32_t none = std::numeric_limits<std::int32_t>::min();
  static constexpr std::int32_t clamp(std::int64_t size) {
    constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
    return static_cast<std::int32_t>(size > most ? most : size < -most ? -most : size);
  }
  std::int32_t x_ = none, y_ = none, z_ = none;
};

// Whether loads may use a partitioned first-level cache (compute capability 5.2, 5.3, 6.1 and 6.2 with -dlcm=ca; others
// ignore it). `on` gives way where it would leave no block, `strict` does not.
enum class GlobalCaching : std::uint8_t { off, on, strict };
std::string_view to_string(GlobalCaching caching) noexcept;

// A kernel and its launch, as far as they decide occupancy.
struct KernelConfig {
  Dim3 block_size{256};
  std::optional<Dim3> grid_size{};  // blocks; absent: waves are not told
  Bytes shared_memory{};            // dynamic, per block
  int registers_per_thread = 0;     // 0: registers do not limit
  Bytes static_shared_memory{};     // per block, without the driver's reserve
  int virtual_resources = 0;        // 0: none
  // True: the function attribute for dynamic shared memory is raised, to max_dynamic_shared or, where that is absent,
  // to the most the device allows; so the launchers of this library do. False: no opt-in, 48 KiB in all.
  bool shared_opt_in = true;
  GlobalCaching caching = GlobalCaching::off;
  int barriers = 0;                            // named barriers of a block; 0 and 1 mean the same
  std::optional<int> carveout_percent{};       // 0..100; absent: the driver's choice
  std::optional<int> max_threads_per_block{};  // of the function: __launch_bounds__
  // Of the function: the only block and cluster it can be launched with (.reqntid, __block_size__, __cluster_dims__),
  // and the most blocks of a cluster.
  RequiredSize required_block{}, required_cluster{};
  std::optional<int> max_cluster_blocks{};
  std::optional<Bytes> max_dynamic_shared{};
  Dim3 cluster_size{1};  // blocks

  // This configuration with what the binary needs in place of its own numbers, where `resources` tells. A cluster that
  // the binary requires is taken where this configuration has none.
  KernelConfig with_resources(const KernelResources& resources) const;
};

enum class OccupancyResource : std::uint8_t { warps, blocks, registers, shared_memory, barriers, virtual_resources };
inline constexpr int occupancy_resource_count = 6;
// "warps", "blocks", "registers", "shared_memory", "barriers", "virtual_resources".
std::string_view to_string(OccupancyResource resource) noexcept;
std::optional<OccupancyResource> parse_occupancy_resource(std::string_view text);

// A set of resources. Value type.
class LimitingFactors {
 public:
  constexpr void add(OccupancyResource resource) { bits_ |= std::uint32_t{1} << static_cast<int>(resource); }
  constexpr bool contains(OccupancyResource resource) const {
    return ((bits_ >> static_cast<int>(resource)) & 1u) != 0;
  }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool operator==(const LimitingFactors&) const = default;
  // Bit i is the resource with number i.
  static constexpr LimitingFactors from_bits(std::uint32_t bits) {
    LimitingFactors factors;
    factors.bits_ = bits;
    return factors;
  }
  std::vector<OccupancyResource> list() const;
  std::string to_string() const;  // "registers, warps"; "none" if empty

 private:
  std::uint32_t bits_ = 0;
};

// Why a launch would fail. The order is the order of the checks.
enum class LaunchRefusal : std::uint8_t {
  none,
  block_too_large,  // more threads than the device allows
  block_shape,      // a dimension beyond its own limit
  grid_shape,
  launch_bounds,     // more threads than the function was compiled for
  required_block,    // another block than the only one the function was compiled for
  cluster,           // no clusters on this architecture, or a grid that is no multiple of it
  required_cluster,  // another cluster than the function was compiled for
  registers_per_thread,
  registers_per_block,   // the warps of a block, rounded up to fill all sub-partitions, need more than a block may have
  register_partition,    // compute capability 6.0: what would not fit its siblings is refused too
  register_caching,      // strict partitioned caching: a half SM has no room
  shared_memory,         // more per block than allowed
  dynamic_shared_limit,  // more dynamic memory than the function's attribute permits
  barriers,
  virtual_resources
};
// Stable words as above.
std::string_view to_string(LaunchRefusal refusal) noexcept;

// A number of blocks, absent where a resource does not limit: a std::optional<int> in use and by conversion, but half
// its size and written without a branch. Value type.
class BlockLimit {
 public:
  constexpr BlockLimit() = default;  // absent
  // The largest integer is no limit.
  constexpr explicit BlockLimit(int blocks) : blocks_(blocks) {}
  constexpr bool has_value() const { return blocks_ != none; }
  constexpr explicit operator bool() const { return has_value(); }
  constexpr int operator*() const { return blocks_; }
  constexpr int value_or(int other) const { return has_value() ? blocks_ : other; }
  constexpr operator std::optional<int>() const { return has_value() ? std::optional(blocks_) : std::nullopt; }
  constexpr bool operator==(const BlockLimit&) const = default;
  friend constexpr bool operator==(const BlockLimit& a, const std::optional<int>& b) {
    return static_cast<std::optional<int>>(a) == b;
  }

 private:
  static constexpr int none = std::numeric_limits<int>::max();
  int blocks_ = none;
};

// Blocks that each resource alone would allow; absent where it does not limit.
struct OccupancyLimits {
  int warps = 0, blocks = 0;
  BlockLimit registers, shared_memory, barriers, virtual_resources;
  std::optional<int> of(OccupancyResource resource) const;
  bool operator==(const OccupancyLimits&) const = default;
};

// Trivially copyable.
struct OccupancyInfo {
  double occupancy = 0;  // active warps / the SM's most
  int blocks_per_sm = 0;
  int active_warps_per_sm = 0;
  int max_warps_per_sm = 0;
  int warps_per_block = 0;
  OccupancyLimits limits;
  // All that are equal to blocks_per_sm. Empty for a refusal that is no limit of an SM (launch bounds, shapes,
  // clusters).
  LimitingFactors limiting_factors;
  LaunchRefusal refusal = LaunchRefusal::none;
  int registers_allocated_per_block = 0;
  Bytes shared_allocated_per_block{};          // reserve and rounding included
  Bytes shared_capacity_per_sm{};              // what the carve-out leaves for shared memory
  GlobalCaching caching = GlobalCaching::off;  // after giving way
  // Blocks per cluster > 1: how many clusters run at a time depends on which SMs of a product are fused off, and only a
  // driver can tell. blocks_per_sm is then what one SM alone would hold.
  bool clusters_unknown = false;
  // Of the grid, if it and the number of SMs are known: grid / (blocks_per_sm * SMs).
  std::optional<double> waves;
  std::optional<double> tail_efficiency;  // waves / its next whole number

  // Being no aggregate, it is filled member by member; compilers clear a whole aggregate first, which took a quarter of
  // the time of a calculation.
  OccupancyInfo() noexcept {}

  bool operator==(const OccupancyInfo&) const = default;
  bool launchable() const { return refusal == LaunchRefusal::none; }
};

// Throws Error(bad_input) naming the field for what is no question: a dimension below 1, a negative number of
// registers, barriers or virtual resources, a carve-out outside 0..100.
OccupancyInfo calculate_occupancy(const GpuProperties& gpu, const KernelConfig& config);

// "9 warps of 224 registers need 86016 registers in a block, sm_80 allows 65536"; empty if launchable.
std::string refusal_reason(const GpuProperties& gpu, const KernelConfig& config, const OccupancyInfo& info);

// min(blocks, warps, bytes, registers) without any rounding: never below the exact number.
int naive_blocks_per_sm(const GpuProperties& gpu, const KernelConfig& config);

// ---- what would raise it
// ---------------------------------------------------------------------------------------------

// One change of one number.
struct OccupancyChange {
  enum class What : std::uint8_t {
    registers_per_thread,
    shared_memory,
    barriers,
    block_size,
    carveout_percent,
    max_dynamic_shared
  };
  What what = What::registers_per_thread;
  std::int64_t from = 0, to = 0;  // shared_memory: static plus dynamic; block_size: threads; -1: the driver's choice
};

// Changes that together raise occupancy.
struct OccupancySuggestion {
  std::vector<OccupancyChange> changes;
  KernelConfig config;  // with the changes made
  double occupancy_before = 0, occupancy_after = 0;
  std::string describe() const;  // "3 registers fewer per thread: 62.5 % -> 75 %"
};

// The smallest steps that help: first the least cut of what limits at this block size, then the nearest other block
// size, then a setting (carve-out, opt-in). Each was tried with calculate_occupancy(). Empty at full occupancy.
std::vector<OccupancySuggestion> suggest_occupancy(const GpuProperties& gpu, const KernelConfig& config);

// ---- derived questions
// -----------------------------------------------------------------------------------------------

// The most dynamic shared memory with which `blocks` blocks share an SM as far as shared memory goes; the other limits
// stay. nullopt if there is none. Throws Error(bad_input) unless blocks is positive.
std::optional<Bytes> max_dynamic_shared_for(const GpuProperties& gpu, const KernelConfig& config, int blocks);

struct BlockSizeAnswer {
  int block_size = 0;  // 0: no block size can be launched
  int blocks_per_sm = 0;
  std::optional<int> min_grid;  // blocks that fill the device
};
// The block size with most threads on an SM, the larger one where several have: NVIDIA's rule. A start for tuning,
// never its end. config.block_size is not used; of a function with a required block it is that one.
BlockSizeAnswer best_block_size(const GpuProperties& gpu, const KernelConfig& config);

}  // namespace warpwright
