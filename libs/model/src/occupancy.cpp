#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include <warpwright/base/error.hpp>
#include <warpwright/model/occupancy.hpp>

namespace warpwright {
namespace {

// Above every limit of every device, and far from overflow in 32 bits: larger inputs mean the same.
constexpr std::int64_t enough_threads = 1 << 16;
constexpr std::uint64_t enough_bytes = std::uint64_t{1} << 28;
constexpr int enough_registers = 1 << 12;
// Least and most threads of a dimension and blocks of a grid; the same for every compute capability of the table.
constexpr std::int64_t max_block_z = 64;
constexpr std::int64_t max_grid_x = 2147483647;
constexpr std::int64_t max_grid_yz = 65535;
constexpr int unlimited = std::numeric_limits<int>::max();

// Of every row of the table; device_properties() takes no device that differs. As constants they cost no division.
constexpr std::uint32_t warp_size = 32;
constexpr std::uint32_t register_unit = 256;

// `unit` is a power of two: all allocation units and numbers of sub-partitions are.
constexpr std::uint32_t round_up(std::uint32_t value, std::uint32_t unit) { return (value + unit - 1) & ~(unit - 1); }

// Exact quotients of small numbers by multiplication: divisions are most of the cost of a calculation. For numerators
// up to 2047 and divisors up to 32, since numerator * (divisor * reciprocal - 2^16) < 2^16.
constexpr std::uint32_t most_divisor = 32;
constexpr std::array<std::uint32_t, most_divisor + 1> reciprocals = [] {
  std::array<std::uint32_t, most_divisor + 1> table{};
  for (std::uint32_t i = 1; i <= most_divisor; ++i) table[i] = (65536 + i - 1) / i;
  return table;
}();
constexpr std::uint32_t divide_small(std::uint32_t numerator, std::uint32_t divisor) {
  return divisor <= most_divisor && numerator < 2048 ? (numerator * reciprocals[divisor]) >> 16 : numerator / divisor;
}

// Not inlined: building messages would burden the fast path.
[[noreturn, gnu::noinline]] void bad(const char* field, std::int64_t value, const char* right) {
  throw Error(ErrorCode::bad_input, std::string(field) + " is " + std::to_string(value) + "; it must be " + right);
}

// Messages are made only once something is wrong.
[[noreturn, gnu::noinline]] void refuse_input(const KernelConfig& config);

inline void check_input(const KernelConfig& config) {
  const auto positive = [](const Dim3& sizes) { return std::min(std::min(sizes.x, sizes.y), sizes.z) >= 1; };
  const bool good = positive(config.block_size) && positive(config.cluster_size) &&
                    (!config.grid_size || positive(*config.grid_size)) &&
                    (config.registers_per_thread | config.barriers | config.virtual_resources) >= 0 &&
                    (!config.carveout_percent || static_cast<unsigned>(*config.carveout_percent) <= 100) &&
                    (!config.max_threads_per_block || *config.max_threads_per_block >= 1);
  if (!good) refuse_input(config);
}

void refuse_input(const KernelConfig& config) {
  const auto positive = [](const Dim3& sizes, const char* field) {
    if (sizes.x < 1 || sizes.y < 1 || sizes.z < 1) bad(field, std::min({sizes.x, sizes.y, sizes.z}), "at least 1");
  };
  positive(config.block_size, "block_size");
  if (config.grid_size) positive(*config.grid_size, "grid_size");
  positive(config.cluster_size, "cluster_size");
  if (config.registers_per_thread < 0) bad("registers_per_thread", config.registers_per_thread, "0 or more");
  if (config.barriers < 0) bad("barriers", config.barriers, "0 or more");
  if (config.virtual_resources < 0) bad("virtual_resources", config.virtual_resources, "0 or more");
  if (config.carveout_percent && (*config.carveout_percent < 0 || *config.carveout_percent > 100))
    bad("carveout_percent", *config.carveout_percent, "from 0 to 100");
  if (config.max_threads_per_block && *config.max_threads_per_block < 1)
    bad("max_threads_per_block", *config.max_threads_per_block, "at least 1");
  throw Error(ErrorCode::internal, "a kernel configuration was refused without a reason");
}

inline std::uint32_t clamp(Bytes bytes) { return static_cast<std::uint32_t>(std::min(bytes.count, enough_bytes)); }

// The next size that an SM's shared memory can be set to.
std::uint32_t align_to_carveout(const GpuProperties& gpu, std::uint32_t bytes) {
  // Counting the smaller ones has no branch to mispredict.
  unsigned smaller = 0;
  for (const std::uint32_t size : gpu.carveouts) smaller += size < bytes ? 1u : 0u;
  return smaller < static_cast<unsigned>(gpu.carveout_count) ? gpu.carveouts[smaller]
                                                             : static_cast<std::uint32_t>(gpu.shared_per_sm.count);
}

bool has_carveout(const GpuProperties& gpu) { return gpu.carveout_count > 0; }

std::uint32_t preferred_capacity(const GpuProperties& gpu, const KernelConfig& config) {
  const auto all = static_cast<std::uint32_t>(gpu.shared_per_sm.count);
  if (!has_carveout(gpu) || !config.carveout_percent) return all;
  return align_to_carveout(
      gpu, static_cast<std::uint32_t>(std::uint64_t{all} * static_cast<std::uint32_t>(*config.carveout_percent) / 100));
}

// The dynamic shared memory the function is permitted, where it opted in.
[[gnu::always_inline]] inline std::uint32_t permitted_dynamic(const GpuProperties& gpu, const KernelConfig& config) {
  if (config.max_dynamic_shared) return clamp(*config.max_dynamic_shared);
  const std::uint32_t most = clamp(std::max(gpu.shared_per_block_optin, gpu.shared_per_block));
  const std::uint32_t fixed = clamp(config.static_shared_memory);
  return fixed < most ? most - fixed : 0;
}

// Shared memory a block may have, the reserve included.
[[gnu::always_inline]] inline std::uint32_t shared_cap(const GpuProperties& gpu, const KernelConfig& config) {
  const std::uint32_t reserved = clamp(gpu.reserved_shared_per_block);
  std::uint32_t cap = clamp(gpu.shared_per_block);
  if (config.shared_opt_in && gpu.compute_major >= 7 &&
      clamp(config.static_shared_memory) + reserved + permitted_dynamic(gpu, config) > cap)
    cap = clamp(gpu.shared_per_block_optin);
  return gpu.compute_major >= 8 ? cap + reserved : cap;
}

// The exponent of a power of two.
constexpr unsigned shift_of(std::uint32_t power) { return static_cast<unsigned>(std::countr_zero(power)); }

struct RegisterLimit {
  int blocks = unlimited;
  LaunchRefusal refusal = LaunchRefusal::none;
};

// Registers of a warp, and whether a block of `warps` passes the check at launch: the hardware wants room as if the
// warps filled every sub-partition.
bool passes_register_check(const GpuProperties& gpu, std::uint32_t per_warp, std::uint32_t warps, int sub_partitions) {
  return per_warp * round_up(warps, static_cast<std::uint32_t>(sub_partitions)) <=
         static_cast<std::uint32_t>(gpu.registers_per_block);
}

// `caching` gives way (is set to off) where it would leave no block.
RegisterLimit register_limit(const GpuProperties& gpu, std::uint32_t registers, std::uint32_t warps,
                             GlobalCaching& caching) {
  RegisterLimit limit;
  if (registers == 0) return limit;
  limit.blocks = 0;
  if (registers > static_cast<std::uint32_t>(gpu.max_registers_per_thread)) {
    limit.refusal = LaunchRefusal::registers_per_thread;
    return limit;
  }
  const std::uint32_t per_warp =
      round_up(registers * static_cast<std::uint32_t>(gpu.warp_size), static_cast<std::uint32_t>(gpu.register_unit));
  if (!passes_register_check(gpu, per_warp, warps, gpu.sub_partitions)) {
    limit.refusal = LaunchRefusal::registers_per_block;
    return limit;
  }
  const auto parts = static_cast<std::uint32_t>(gpu.sub_partitions);
  const std::uint32_t warps_per_part = divide_small(
      (static_cast<std::uint32_t>(gpu.registers_per_sm) >> shift_of(parts)) / register_unit, per_warp / register_unit);
  if (caching != GlobalCaching::off) {
    limit.blocks = static_cast<int>(divide_small(warps_per_part * (parts / 2), warps) * 2);
    if (limit.blocks == 0 && caching == GlobalCaching::on) caching = GlobalCaching::off;
    if (limit.blocks == 0 && caching == GlobalCaching::strict) limit.refusal = LaunchRefusal::register_caching;
  }
  if (caching == GlobalCaching::off) {
    limit.blocks = static_cast<int>(divide_small(warps_per_part * parts, warps));
    if (limit.blocks == 0) limit.refusal = LaunchRefusal::registers_per_block;
  }
  // Binary code of compute capability 6.0 also runs on its siblings, which have four sub-partitions; the driver refuses
  // here what would not fit there.
  if (limit.blocks > 0 && gpu.compute_major == 6 && gpu.compute_minor == 0) {
    constexpr std::uint32_t sibling_parts = 4;
    const std::uint32_t sibling_warps =
        static_cast<std::uint32_t>(gpu.registers_per_sm) / sibling_parts / per_warp * sibling_parts;
    if (!passes_register_check(gpu, per_warp, warps, sibling_parts) || sibling_warps < warps) {
      limit.blocks = 0;
      limit.refusal = LaunchRefusal::register_partition;
    }
  }
  return limit;
}

LaunchRefusal shape_refusal(const GpuProperties& gpu, const KernelConfig& config, std::int64_t threads) {
  if (threads > gpu.max_threads_per_block) return LaunchRefusal::block_too_large;
  if (config.block_size.z > max_block_z) return LaunchRefusal::block_shape;
  if (config.grid_size &&
      (config.grid_size->x > max_grid_x || config.grid_size->y > max_grid_yz || config.grid_size->z > max_grid_yz))
    return LaunchRefusal::grid_shape;
  if (config.max_threads_per_block && threads > *config.max_threads_per_block) return LaunchRefusal::launch_bounds;
  if (config.cluster_size != Dim3{1}) {
    const auto& cluster = config.cluster_size;
    if (gpu.compute_major < 9) return LaunchRefusal::cluster;
    if (config.grid_size && (config.grid_size->x % cluster.x != 0 || config.grid_size->y % cluster.y != 0 ||
                             config.grid_size->z % cluster.z != 0))
      return LaunchRefusal::cluster;
  }
  return LaunchRefusal::none;
}

void set_waves(const GpuProperties& gpu, const KernelConfig& config, OccupancyInfo& info) {
  if (!config.grid_size || !gpu.sm_count || *gpu.sm_count < 1 || info.blocks_per_sm == 0 || info.clusters_unknown)
    return;
  const auto blocks = static_cast<std::uint64_t>(config.grid_size->count());
  const std::uint64_t at_a_time =
      static_cast<std::uint64_t>(info.blocks_per_sm) * static_cast<std::uint64_t>(*gpu.sm_count);
  const std::uint64_t whole = blocks / at_a_time + (blocks % at_a_time != 0 ? 1 : 0);
  info.waves = static_cast<double>(blocks) / static_cast<double>(at_a_time);
  info.tail_efficiency = std::min(1.0, *info.waves / static_cast<double>(whole));
}

}  // namespace

std::int64_t Dim3::count() const {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(x, y, &product) || __builtin_mul_overflow(product, z, &product))
    return std::numeric_limits<std::int64_t>::max();
  return product;
}

std::string Dim3::to_string() const {
  return std::to_string(x) + " x " + std::to_string(y) + " x " + std::to_string(z);
}

KernelConfig KernelConfig::with_resources(const KernelResources& resources) const {
  KernelConfig config = *this;
  if (resources.registers_per_thread) config.registers_per_thread = *resources.registers_per_thread;
  if (resources.static_shared) config.static_shared_memory = *resources.static_shared;
  if (resources.barriers) config.barriers = *resources.barriers;
  if (resources.max_threads_per_block) config.max_threads_per_block = resources.max_threads_per_block;
  return config;
}

std::string_view to_string(GlobalCaching caching) noexcept {
  switch (caching) {
    case GlobalCaching::off:
      return "off";
    case GlobalCaching::on:
      return "on";
    case GlobalCaching::strict:
      return "strict";
  }
  return "unknown";
}

std::string_view to_string(OccupancyResource resource) noexcept {
  switch (resource) {
    case OccupancyResource::warps:
      return "warps";
    case OccupancyResource::blocks:
      return "blocks";
    case OccupancyResource::registers:
      return "registers";
    case OccupancyResource::shared_memory:
      return "shared_memory";
    case OccupancyResource::barriers:
      return "barriers";
    case OccupancyResource::virtual_resources:
      return "virtual_resources";
  }
  return "unknown";
}

std::optional<OccupancyResource> parse_occupancy_resource(std::string_view text) {
  for (int i = 0; i < occupancy_resource_count; ++i)
    if (to_string(static_cast<OccupancyResource>(i)) == text) return static_cast<OccupancyResource>(i);
  return std::nullopt;
}

std::string_view to_string(LaunchRefusal refusal) noexcept {
  switch (refusal) {
    case LaunchRefusal::none:
      return "none";
    case LaunchRefusal::block_too_large:
      return "block_too_large";
    case LaunchRefusal::block_shape:
      return "block_shape";
    case LaunchRefusal::grid_shape:
      return "grid_shape";
    case LaunchRefusal::launch_bounds:
      return "launch_bounds";
    case LaunchRefusal::cluster:
      return "cluster";
    case LaunchRefusal::registers_per_thread:
      return "registers_per_thread";
    case LaunchRefusal::registers_per_block:
      return "registers_per_block";
    case LaunchRefusal::register_partition:
      return "register_partition";
    case LaunchRefusal::register_caching:
      return "register_caching";
    case LaunchRefusal::shared_memory:
      return "shared_memory";
    case LaunchRefusal::dynamic_shared_limit:
      return "dynamic_shared_limit";
    case LaunchRefusal::barriers:
      return "barriers";
    case LaunchRefusal::virtual_resources:
      return "virtual_resources";
  }
  return "unknown";
}

std::vector<OccupancyResource> LimitingFactors::list() const {
  std::vector<OccupancyResource> resources;
  for (int i = 0; i < occupancy_resource_count; ++i)
    if (contains(static_cast<OccupancyResource>(i))) resources.push_back(static_cast<OccupancyResource>(i));
  return resources;
}

std::string LimitingFactors::to_string() const {
  std::string text;
  for (const auto resource : list()) text += (text.empty() ? "" : ", ") + std::string(warpwright::to_string(resource));
  return text.empty() ? "none" : text;
}

std::optional<int> OccupancyLimits::of(OccupancyResource resource) const {
  switch (resource) {
    case OccupancyResource::warps:
      return warps;
    case OccupancyResource::blocks:
      return blocks;
    case OccupancyResource::registers:
      return registers;
    case OccupancyResource::shared_memory:
      return shared_memory;
    case OccupancyResource::barriers:
      return barriers;
    case OccupancyResource::virtual_resources:
      return virtual_resources;
  }
  return std::nullopt;
}

OccupancyInfo calculate_occupancy(const GpuProperties& gpu, const KernelConfig& config) {
  check_input(config);
  const std::int64_t all_threads = config.block_size.count();
  const auto threads = static_cast<std::uint32_t>(std::min(all_threads, enough_threads));
  const std::uint32_t warps = (threads + warp_size - 1) / warp_size;
  LaunchRefusal refusal = shape_refusal(gpu, config, all_threads);
  const auto refuse_if = [&](bool condition, LaunchRefusal reason) {
    if (condition && refusal == LaunchRefusal::none) refusal = reason;
  };

  // Registers come first: they may switch partitioned caching off, which the warps' limit depends on.
  GlobalCaching caching = gpu.partitioned_caching ? config.caching : GlobalCaching::off;
  const auto registers = static_cast<std::uint32_t>(std::min(config.registers_per_thread, enough_registers));
  const RegisterLimit by_registers = register_limit(gpu, registers, warps, caching);
  refuse_if(by_registers.blocks == 0, by_registers.refusal);

  const auto sm_warps = static_cast<std::uint32_t>(gpu.max_warps_per_sm);
  int by_warps = 0;
  if (threads <= static_cast<std::uint32_t>(gpu.max_threads_per_block)) {
    by_warps = static_cast<int>(caching == GlobalCaching::off ? divide_small(sm_warps, warps)
                                                              : divide_small(sm_warps / 2, warps) * 2);
    refuse_if(by_warps == 0, LaunchRefusal::register_caching);
  }

  const std::uint32_t dynamic = clamp(config.shared_memory);
  const std::uint32_t shared =
      round_up(clamp(config.static_shared_memory) + clamp(gpu.reserved_shared_per_block) + dynamic,
               static_cast<std::uint32_t>(gpu.shared_unit));
  std::uint32_t capacity = preferred_capacity(gpu, config);
  int by_shared = unlimited;
  if (shared > shared_cap(gpu, config)) {
    by_shared = 0;
    refuse_if(true, LaunchRefusal::shared_memory);
  } else if (config.shared_opt_in && dynamic > permitted_dynamic(gpu, config)) {
    by_shared = 0;
    refuse_if(true, LaunchRefusal::dynamic_shared_limit);
  } else if (shared > 0) {
    // A carve-out too small for one block is raised to the next size that holds it.
    if (capacity < shared) capacity = align_to_carveout(gpu, shared);
    by_shared = static_cast<int>(capacity / shared);
    refuse_if(by_shared == 0, LaunchRefusal::shared_memory);
  }

  int by_barriers = unlimited;
  if (gpu.barriers_limit && config.barriers > 0) {
    by_barriers = static_cast<int>(
        divide_small(static_cast<std::uint32_t>(gpu.barriers_per_sm), static_cast<std::uint32_t>(config.barriers)));
    refuse_if(by_barriers == 0, LaunchRefusal::barriers);
  }
  int by_virtual = unlimited;
  if (gpu.virtual_resources_per_sm > 0 && config.virtual_resources > 0) {
    by_virtual = gpu.virtual_resources_per_sm / config.virtual_resources;
    refuse_if(by_virtual == 0, LaunchRefusal::virtual_resources);
  }

  const int least =
      std::min(std::min(std::min(by_warps, gpu.max_blocks_per_sm), std::min(by_registers.blocks, by_shared)),
               std::min(by_barriers, by_virtual));
  const int blocks = refusal == LaunchRefusal::none ? least : 0;
  LimitingFactors factors;
  factors.add_if(by_warps == blocks, OccupancyResource::warps);
  factors.add_if(gpu.max_blocks_per_sm == blocks, OccupancyResource::blocks);
  factors.add_if(by_registers.blocks == blocks, OccupancyResource::registers);
  factors.add_if(by_shared == blocks, OccupancyResource::shared_memory);
  factors.add_if(by_barriers == blocks, OccupancyResource::barriers);
  factors.add_if(by_virtual == blocks, OccupancyResource::virtual_resources);

  const auto limit = [](int count) { return count == unlimited ? std::optional<int>() : std::optional<int>(count); };
  const int active_warps = blocks * static_cast<int>(warps);
  OccupancyInfo info;
  info.occupancy = static_cast<double>(active_warps) / static_cast<double>(gpu.max_warps_per_sm);
  info.blocks_per_sm = blocks;
  info.active_warps_per_sm = active_warps;
  info.max_warps_per_sm = gpu.max_warps_per_sm;
  info.warps_per_block = static_cast<int>(warps);
  info.limits.warps = by_warps;
  info.limits.blocks = gpu.max_blocks_per_sm;
  info.limits.registers = limit(by_registers.blocks);
  info.limits.shared_memory = limit(by_shared);
  info.limits.barriers = limit(by_barriers);
  info.limits.virtual_resources = limit(by_virtual);
  info.limiting_factors = factors;
  info.refusal = refusal;
  info.registers_allocated_per_block = static_cast<int>(round_up(registers * warp_size, register_unit) * warps);
  info.shared_allocated_per_block = Bytes{shared};
  info.shared_capacity_per_sm = Bytes{capacity};
  info.caching = caching;
  info.clusters_unknown = config.cluster_size != Dim3{1};
  if (config.grid_size) set_waves(gpu, config, info);
  return info;
}

std::string refusal_reason(const GpuProperties& gpu, const KernelConfig& config, const OccupancyInfo& info) {
  const auto number = [](auto value) { return std::to_string(value); };
  const std::string threads = number(config.block_size.count());
  const std::uint32_t shared = clamp(config.static_shared_memory) + clamp(config.shared_memory);
  switch (info.refusal) {
    case LaunchRefusal::none:
      return {};
    case LaunchRefusal::block_too_large:
      return "the block has " + threads + " threads, " + gpu.name + " allows " + number(gpu.max_threads_per_block);
    case LaunchRefusal::block_shape:
      return "the block is " + config.block_size.to_string() + " threads; its third dimension may be 64 at most";
    case LaunchRefusal::grid_shape:
      return "the grid is " + config.grid_size->to_string() + " blocks; 2147483647 x 65535 x 65535 are allowed";
    case LaunchRefusal::launch_bounds:
      return "the block has " + threads + " threads, the kernel was compiled for " +
             number(*config.max_threads_per_block) + " at most (__launch_bounds__ or its registers)";
    case LaunchRefusal::cluster:
      if (gpu.compute_major < 9) return "clusters need compute capability 9.0, " + gpu.name + " is " + gpu.architecture;
      return "the grid of " + config.grid_size->to_string() + " blocks is no multiple of the cluster of " +
             config.cluster_size.to_string();
    case LaunchRefusal::registers_per_thread:
      return "the kernel needs " + number(config.registers_per_thread) + " registers a thread, " + gpu.name +
             " allows " + number(gpu.max_registers_per_thread);
    case LaunchRefusal::registers_per_block:
    case LaunchRefusal::register_partition: {
      const int parts = info.refusal == LaunchRefusal::register_partition ? 4 : gpu.sub_partitions;
      const auto per_warp = info.registers_allocated_per_block / info.warps_per_block;
      const auto filled = static_cast<int>(
          round_up(static_cast<std::uint32_t>(info.warps_per_block), static_cast<std::uint32_t>(parts)));
      return number(info.warps_per_block) + " warps of " + number(config.registers_per_thread) +
             " registers a thread take " + number(per_warp * filled) + " registers a block (" + number(filled) +
             " warps fill the sub-partitions, " + number(per_warp) + " for each), " + gpu.name + " allows " +
             number(gpu.registers_per_block) +
             (info.refusal == LaunchRefusal::register_partition
                  ? "; the check is that of compute capability 6.1, whose binaries are shared"
                  : "");
    }
    case LaunchRefusal::register_caching:
      return "with strict partitioned caching a block must fit into half an SM, and this one does not";
    case LaunchRefusal::shared_memory: {
      const auto cap = shared_cap(gpu, config) - (gpu.compute_major >= 8 ? clamp(gpu.reserved_shared_per_block) : 0);
      std::string text = "the block needs " + number(shared) + " bytes of shared memory (" +
                         number(config.static_shared_memory.count) + " static, " + number(config.shared_memory.count) +
                         " dynamic), " + gpu.name + " allows " + number(cap);
      if (cap < gpu.shared_per_block_optin.count)
        text += " without opt-in and " + number(gpu.shared_per_block_optin.count) + " with it";
      return text;
    }
    case LaunchRefusal::dynamic_shared_limit:
      return "the launch asks for " + number(config.shared_memory.count) +
             " bytes of dynamic shared memory, the function's attribute permits " +
             number(permitted_dynamic(gpu, config));
    case LaunchRefusal::barriers:
      return "the block has " + number(config.barriers) + " barriers, an SM of " + gpu.name + " has " +
             number(gpu.barriers_per_sm);
    case LaunchRefusal::virtual_resources:
      return "the block needs " + number(config.virtual_resources) + " virtual resources, an SM of " + gpu.name +
             " has " + number(gpu.virtual_resources_per_sm);
  }
  return {};
}

int naive_blocks_per_sm(const GpuProperties& gpu, const KernelConfig& config) {
  check_input(config);
  const std::int64_t threads = std::min(config.block_size.count(), enough_threads);
  const std::int64_t warps = (threads + gpu.warp_size - 1) / gpu.warp_size;
  const std::int64_t shared = clamp(config.static_shared_memory) + clamp(config.shared_memory);
  const std::int64_t registers = std::min(config.registers_per_thread, enough_registers) * threads;
  std::int64_t blocks = std::min<std::int64_t>(gpu.max_blocks_per_sm, gpu.max_warps_per_sm / warps);
  if (shared > 0) blocks = std::min(blocks, static_cast<std::int64_t>(gpu.shared_per_sm.count) / shared);
  if (registers > 0) blocks = std::min(blocks, gpu.registers_per_sm / registers);
  return static_cast<int>(blocks);
}

std::optional<Bytes> max_dynamic_shared_for(const GpuProperties& gpu, const KernelConfig& config, int blocks) {
  check_input(config);
  if (blocks < 1) bad("blocks", blocks, "at least 1");
  const std::uint64_t cap = shared_cap(gpu, config);
  std::uint64_t capacity = preferred_capacity(gpu, config);
  if (capacity == 0) capacity = gpu.carveouts[1];  // one block alone raises an empty carve-out to the first size
  const auto unit = static_cast<std::uint64_t>(gpu.shared_unit);
  const std::uint64_t slice =
      blocks == 1 ? cap : std::min(cap, capacity / static_cast<std::uint64_t>(blocks) / unit * unit);
  const std::uint64_t fixed = gpu.reserved_shared_per_block.count + clamp(config.static_shared_memory);
  if (slice < fixed) return std::nullopt;
  std::uint64_t dynamic = slice - fixed;
  if (config.shared_opt_in) dynamic = std::min<std::uint64_t>(dynamic, permitted_dynamic(gpu, config));
  return Bytes{dynamic};
}

BlockSizeAnswer best_block_size(const GpuProperties& gpu, const KernelConfig& config) {
  const int most =
      std::min(gpu.max_threads_per_block, config.max_threads_per_block.value_or(gpu.max_threads_per_block));
  const int sm_threads = gpu.max_warps_per_sm * gpu.warp_size;
  BlockSizeAnswer best;
  KernelConfig candidate = config;
  candidate.grid_size.reset();
  int best_threads = 0;
  for (int size =
           static_cast<int>(round_up(static_cast<std::uint32_t>(most), static_cast<std::uint32_t>(gpu.warp_size)));
       size > 0 && best_threads < sm_threads; size -= gpu.warp_size) {
    candidate.block_size = Dim3{std::min(size, most)};
    const OccupancyInfo info = calculate_occupancy(gpu, candidate);
    const int threads = info.blocks_per_sm * std::min(size, most);
    if (threads <= best_threads) continue;
    best_threads = threads;
    best.block_size = std::min(size, most);
    best.blocks_per_sm = info.blocks_per_sm;
  }
  if (gpu.sm_count && best.block_size > 0) best.min_grid = best.blocks_per_sm * *gpu.sm_count;
  return best;
}

}  // namespace warpwright
