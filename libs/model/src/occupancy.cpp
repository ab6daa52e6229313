#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include <warpwright/base/error.hpp>
#include <warpwright/model/occupancy_model.hpp>

namespace warpwright {

using namespace occupancy_detail;

namespace {

// Above every limit of every device, and far from overflow in 32 bits: larger inputs mean the same.
constexpr std::int64_t enough_threads = 1 << 16;
constexpr int enough_registers = 1 << 12;
// Binary code of compute capability 6.0 also runs on its siblings, which have four sub-partitions.
constexpr std::uint32_t sibling_parts = 4;

// `unit` is a power of two: all allocation units and numbers of sub-partitions are.
constexpr std::uint32_t round_up(std::uint32_t value, std::uint32_t unit) { return (value + unit - 1) & ~(unit - 1); }

// Quotients by multiplication, exact while numerator * divisor < 2^31: the error of the product is numerator * (divisor
// * reciprocal - 2^31) / 2^31 of one, and the bracket is below the divisor. What is divided are the warps,
// register units and barriers of an SM, a few hundred at most.
constexpr std::uint32_t most_divisor = enough_threads / warp_size;
constexpr std::array<std::uint32_t, most_divisor + 1> reciprocals = [] {
  std::array<std::uint32_t, most_divisor + 1> table{};  // of 0: 0
  for (std::uint32_t i = 1; i <= most_divisor; ++i)
    table[i] = static_cast<std::uint32_t>(((std::uint64_t{1} << 31) + i - 1) / i);
  return table;
}();
static_assert(enough_registers / registers_per_unit <= most_divisor);
constexpr std::uint32_t divide(std::uint32_t numerator, std::uint32_t divisor) {
  return static_cast<std::uint32_t>((std::uint64_t{numerator} * reciprocals[divisor]) >> 31);
}

constexpr std::uint32_t unlimited_if(bool condition, std::uint32_t blocks) {
  return blocks | keep_if(condition, unlimited);
}

constexpr std::uint32_t bit_of(LaunchRefusal refusal) { return 1u << static_cast<int>(refusal); }
constexpr std::uint32_t bit_if(bool condition, LaunchRefusal refusal) {
  return static_cast<std::uint32_t>(condition) << static_cast<int>(refusal);
}

// For a count of a device's description; what is negative there is taken as 0.
constexpr std::uint32_t number(int count) { return static_cast<std::uint32_t>(std::max(count, 0)); }

constexpr std::int64_t product_of(const Dim3& sizes) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(sizes.x, sizes.y, &product) || __builtin_mul_overflow(product, sizes.z, &product))
    return std::numeric_limits<std::int64_t>::max();
  return product;
}

// Not inlined: building messages would burden the fast path.
[[noreturn, gnu::noinline]] void bad(const char* field, std::int64_t value, const char* right) {
  throw Error(ErrorCode::bad_input, std::string(field) + " is " + std::to_string(value) + "; it must be " + right);
}

// Messages are made only once something is wrong.
[[noreturn, gnu::noinline]] void refuse_input(const KernelConfig& config);

bool good_bounds(const KernelConfig& config) {
  return (!config.required_block || positive(*config.required_block)) &&
         (!config.required_cluster || positive(*config.required_cluster)) &&
         (!config.max_cluster_blocks || *config.max_cluster_blocks >= 1);
}

inline void check_input(const KernelConfig& config) {
  const bool good = positive(config.block_size) &&
                    (config.registers_per_thread | config.barriers | config.virtual_resources) >= 0 &&
                    carveout_of(config) <= 100 && (is_one(config.cluster_size) || positive(config.cluster_size)) &&
                    (!config.grid_size || positive(*config.grid_size)) &&
                    (!config.max_threads_per_block || *config.max_threads_per_block >= 1) &&
                    (!bound_to_sizes(config) || good_bounds(config));
  if (!good) refuse_input(config);
}

void refuse_input(const KernelConfig& config) {
  const auto check = [](const Dim3& sizes, const char* field) {
    if (!positive(sizes)) bad(field, std::min({sizes.x, sizes.y, sizes.z}), "at least 1");
  };
  check(config.block_size, "block_size");
  if (config.grid_size) check(*config.grid_size, "grid_size");
  check(config.cluster_size, "cluster_size");
  if (config.registers_per_thread < 0) bad("registers_per_thread", config.registers_per_thread, "0 or more");
  if (config.barriers < 0) bad("barriers", config.barriers, "0 or more");
  if (config.virtual_resources < 0) bad("virtual_resources", config.virtual_resources, "0 or more");
  if (config.carveout_percent && (*config.carveout_percent < 0 || *config.carveout_percent > 100))
    bad("carveout_percent", *config.carveout_percent, "from 0 to 100");
  if (config.max_threads_per_block && *config.max_threads_per_block < 1)
    bad("max_threads_per_block", *config.max_threads_per_block, "at least 1");
  if (config.required_block) check(*config.required_block, "required_block");
  if (config.required_cluster) check(*config.required_cluster, "required_cluster");
  if (config.max_cluster_blocks && *config.max_cluster_blocks < 1)
    bad("max_cluster_blocks", *config.max_cluster_blocks, "at least 1");
  throw Error(ErrorCode::internal, "a kernel configuration was refused without a reason");
}

constexpr std::uint32_t clamp(Bytes bytes) { return static_cast<std::uint32_t>(std::min(bytes.count, enough_bytes)); }

// The refusals of shapes: block, grid and cluster. The bit of a LaunchRefusal is its number.
std::uint32_t shape_refusals(const KernelConfig& config, std::int64_t threads, bool clustered, bool has_clusters) {
  std::uint32_t refusals = bit_if(config.block_size.z > max_block_z, LaunchRefusal::block_shape);
  if (config.grid_size)
    refusals |= bit_if(
        config.grid_size->x > max_grid_x || config.grid_size->y > max_grid_yz || config.grid_size->z > max_grid_yz,
        LaunchRefusal::grid_shape);
  if (config.max_threads_per_block)
    refusals |= bit_if(threads > *config.max_threads_per_block, LaunchRefusal::launch_bounds);
  if (bound_to_sizes(config)) {
    if (config.required_block)
      refusals |= bit_if(config.block_size != *config.required_block, LaunchRefusal::required_block);
    if (config.required_cluster)
      refusals |= bit_if(config.cluster_size != *config.required_cluster, LaunchRefusal::required_cluster);
    if (config.max_cluster_blocks)
      refusals |= bit_if(product_of(config.cluster_size) > *config.max_cluster_blocks, LaunchRefusal::required_cluster);
  }
  if (clustered) {
    const auto& cluster = config.cluster_size;
    refusals |= bit_if(!has_clusters || (config.grid_size && (config.grid_size->x % cluster.x != 0 ||
                                                              config.grid_size->y % cluster.y != 0 ||
                                                              config.grid_size->z % cluster.z != 0)),
                       LaunchRefusal::cluster);
  }
  return refusals;
}

}  // namespace

std::int64_t Dim3::count() const { return product_of(*this); }

std::string Dim3::to_string() const {
  return std::to_string(x) + " x " + std::to_string(y) + " x " + std::to_string(z);
}

KernelConfig KernelConfig::with_resources(const KernelResources& resources) const {
  KernelConfig config = *this;
  if (resources.registers_per_thread) config.registers_per_thread = *resources.registers_per_thread;
  if (resources.static_shared) config.static_shared_memory = *resources.static_shared;
  if (resources.barriers) config.barriers = *resources.barriers;
  if (resources.max_threads_per_block) config.max_threads_per_block = resources.max_threads_per_block;
  if (resources.required_block) config.required_block = Dim3(*resources.required_block);
  if (resources.max_cluster_blocks) config.max_cluster_blocks = resources.max_cluster_blocks;
  if (resources.required_cluster) {
    config.required_cluster = Dim3(*resources.required_cluster);
    if (is_one(config.cluster_size)) config.cluster_size = *config.required_cluster;
  }
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
    case LaunchRefusal::required_block:
      return "required_block";
    case LaunchRefusal::cluster:
      return "cluster";
    case LaunchRefusal::required_cluster:
      return "required_cluster";
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

OccupancyRules::OccupancyRules(const GpuProperties& gpu)
    : max_threads_(number(gpu.max_threads_per_block)),
      max_warps_(number(gpu.max_warps_per_sm)),
      max_blocks_(number(gpu.max_blocks_per_sm)),
      max_registers_(number(gpu.max_registers_per_thread)),
      block_register_units_(number(gpu.registers_per_block) / register_unit),
      part_shift_(static_cast<std::uint32_t>(std::countr_zero(number(gpu.sub_partitions)))),
      part_register_units_((number(gpu.registers_per_sm) >> part_shift_) / register_unit),
      shared_per_sm_(clamp(gpu.shared_per_sm)),
      shared_unit_(number(gpu.shared_unit)),
      reserved_shared_(clamp(gpu.reserved_shared_per_block)),
      default_shared_(clamp(gpu.shared_per_block)),
      most_shared_(clamp(std::max(gpu.shared_per_block_optin, gpu.shared_per_block))),
      barriers_(gpu.barriers_limit ? number(gpu.barriers_per_sm) : 0),
      virtual_resources_(number(gpu.virtual_resources_per_sm)),
      sm_count_(number(gpu.sm_count.value_or(0))),
      partitioned_caching_(gpu.partitioned_caching),
      has_clusters_(gpu.compute_major >= 9),
      checks_siblings_(gpu.compute_major == 6 && gpu.compute_minor == 0) {
  const std::uint32_t counted = gpu.compute_major >= 8 ? reserved_shared_ : 0;
  default_cap_ = default_shared_ + counted;
  raised_cap_ = gpu.compute_major >= 7 ? clamp(gpu.shared_per_block_optin) + counted : default_cap_;
  optin_cap_ = most_shared_ + reserved_shared_ > default_shared_ ? raised_cap_ : default_cap_;
  std::uint32_t largest = 0;
  bool any = false;
  const auto add = [&](std::uint32_t size) {
    const std::uint32_t step = size >> carveout_shift;
    if (step >= carveout_steps) return;
    carveouts_[step / 64] |= std::uint64_t{1} << (step % 64);
    largest = std::max(largest, step << carveout_shift);
    any = true;
  };
  for (const std::uint32_t size : gpu.carveout_sizes()) add(size);
  if (!any && shared_per_sm_ % (1u << carveout_shift) == 0) add(shared_per_sm_);
  carveouts_end_at_all_ = largest == shared_per_sm_ && std::max(default_cap_, raised_cap_) <= shared_per_sm_;
}

std::uint32_t OccupancyRules::permitted_dynamic(const KernelConfig& config) const {
  if (config.max_dynamic_shared) return clamp(*config.max_dynamic_shared);
  const std::uint32_t fixed = clamp(config.static_shared_memory);
  return std::max(most_shared_, fixed) - fixed;
}

std::uint32_t OccupancyRules::shared_cap(const KernelConfig& config) const {
  if (!config.shared_opt_in) return default_cap_;
  if (!config.max_dynamic_shared) return optin_cap_;
  const std::uint32_t wanted =
      clamp(config.static_shared_memory) + reserved_shared_ + clamp(*config.max_dynamic_shared);
  return wanted > default_shared_ ? raised_cap_ : default_cap_;
}

std::uint32_t OccupancyRules::shared_capacity(const KernelConfig& config) const {
  return capacity_of(carveout_of(config), config.carveout_percent.has_value(), 0);
}

std::uint32_t OccupancyRules::wanted_shared(std::uint32_t percent) const {
  return static_cast<std::uint32_t>(std::uint64_t{shared_per_sm_} * percent / 100);
}

// The first size of at least `step` steps; carveout_steps where there is none.
inline std::uint32_t OccupancyRules::carveout_from(std::uint32_t step) const {
  static_assert(carveout_steps == 2 * 64);
  if (step < 64 && carveouts_[0] >> step != 0) [[likely]]
    return step + static_cast<std::uint32_t>(std::countr_zero(carveouts_[0] >> step));
  const std::uint32_t above = std::max(step, 64u) - 64;
  if (above >= 64 || carveouts_[1] >> above == 0) return carveout_steps;
  return 64 + above + static_cast<std::uint32_t>(std::countr_zero(carveouts_[1] >> above));
}

// The smallest size that holds both what is wanted and one block.
std::uint32_t OccupancyRules::capacity_of(std::uint32_t percent, bool chosen, std::uint32_t needed) const {
  const std::uint32_t wanted = wanted_shared(percent);
  const std::uint32_t step = (std::max(wanted, needed) + (1u << carveout_shift) - 1) >> carveout_shift;
  const std::uint32_t found = carveout_from(step);
  // Sizes that end with all of the memory answer for every step, also where none was chosen.
  if (!carveouts_end_at_all_ && ((!chosen && needed <= shared_per_sm_) || found == carveout_steps))
    return shared_per_sm_;
  return found << carveout_shift;
}

// The hardware wants room as if the warps filled every sub-partition.
inline bool OccupancyRules::registers_fit(std::uint32_t units, std::uint32_t warps) const {
  return units * round_up(warps, 1u << part_shift_) <= block_register_units_;
}

inline std::uint32_t OccupancyRules::warps_by_registers(std::uint32_t units) const {
  return divide(part_register_units_, units) << part_shift_;
}

inline std::uint32_t OccupancyRules::blocks_by_registers(std::uint32_t units, std::uint32_t warps) const {
  return keep_if(registers_fit(units, warps), divide(warps_by_registers(units), warps));
}

void OccupancyRules::set_waves(const KernelConfig& config, OccupancyInfo& info) const {
  if (!config.grid_size || sm_count_ == 0 || info.blocks_per_sm == 0 || info.clusters_unknown) return;
  const auto blocks = static_cast<std::uint64_t>(config.grid_size->count());
  const std::uint64_t at_a_time = static_cast<std::uint64_t>(info.blocks_per_sm) * sm_count_;
  const std::uint64_t whole = blocks / at_a_time + (blocks % at_a_time != 0 ? 1 : 0);
  info.waves = static_cast<double>(blocks) / static_cast<double>(at_a_time);
  info.tail_efficiency = std::min(1.0, *info.waves / static_cast<double>(whole));
}

OccupancyInfo OccupancyRules::calculate(const KernelConfig& config) const {
  check_input(config);
  return calculate_checked(config);
}

OccupancyInfo OccupancyRules::calculate_checked(const KernelConfig& config) const {
  const std::int64_t all_threads = product_of(config.block_size);
  const auto threads = static_cast<std::uint32_t>(std::min(all_threads, enough_threads));
  const std::uint32_t warps = (threads + warp_size - 1) / warp_size;
  const bool clustered = !is_one(config.cluster_size);
  // A bit for each LaunchRefusal: the order of the bits is the order of the checks. A limit of 0 blocks sets one.
  std::uint32_t refusals = shape_refusals(config, all_threads, clustered, has_clusters_);
  std::uint32_t excused = 0;  // of those that a limit sets: another one is told in their place
  const std::uint32_t most_blocks = refusals == 0 ? max_blocks_ : 0;

  const auto registers = static_cast<std::uint32_t>(std::min(config.registers_per_thread, enough_registers));
  const std::uint32_t units = (registers + registers_per_unit - 1) / registers_per_unit;  // of a warp
  const bool too_many_registers = registers > max_registers_;
  std::uint32_t by_registers = keep_if(!too_many_registers, blocks_by_registers(units, warps));
  if (registers == 0) by_registers = unlimited;
  std::uint32_t by_warps = keep_if(threads <= max_threads_, divide(max_warps_, warps));
  GlobalCaching caching = GlobalCaching::off;
  if (partitioned_caching_ && config.caching != GlobalCaching::off) {
    const bool fits = !too_many_registers && registers_fit(units, warps);
    std::uint32_t in_halves = fits ? divide(warps_by_registers(units) / 2, warps) * 2 : 0;
    if (registers == 0) in_halves = unlimited;
    const bool half_is_full = fits && in_halves == 0;
    // Caching that is not strict gives way where it would leave no block.
    if (!half_is_full || config.caching == GlobalCaching::strict) {
      caching = config.caching;
      by_registers = in_halves;
      by_warps = threads <= max_threads_ ? divide(max_warps_ / 2, warps) * 2 : 0;
      if (half_is_full) {
        refusals |= bit_of(LaunchRefusal::register_caching);
        excused |= bit_of(LaunchRefusal::registers_per_block);
      }
    }
  }
  // The driver refuses on compute capability 6.0 what would not fit its siblings.
  if (checks_siblings_ && registers > 0 && by_registers > 0 &&
      (units * round_up(warps, sibling_parts) > block_register_units_ ||
       divide((part_register_units_ << part_shift_) / sibling_parts, units) * sibling_parts < warps)) {
    by_registers = 0;
    refusals |= bit_of(LaunchRefusal::register_partition);
    excused |= bit_of(LaunchRefusal::registers_per_block);
  }

  std::uint64_t fixed = config.static_shared_memory.count, dynamic = config.shared_memory.count;
  if ((fixed | dynamic) > enough_bytes) [[unlikely]] {
    fixed = std::min(fixed, enough_bytes);
    dynamic = std::min(dynamic, enough_bytes);
  }
  const std::uint32_t shared = round_up(static_cast<std::uint32_t>(fixed + dynamic) + reserved_shared_, shared_unit_);
  // Without a number of its own the function is permitted what the cap leaves.
  bool shared_fits = shared <= (config.shared_opt_in ? optin_cap_ : default_cap_);
  if (config.max_dynamic_shared && config.shared_opt_in) {
    shared_fits = shared <= shared_cap(config);
    if (shared_fits && dynamic > permitted_dynamic(config)) {
      shared_fits = false;
      refusals |= bit_of(LaunchRefusal::dynamic_shared_limit);
      excused |= bit_of(LaunchRefusal::shared_memory);
    }
  }
  const std::uint32_t capacity =
      capacity_of(carveout_of(config), config.carveout_percent.has_value(), keep_if(shared_fits, shared));
  const bool no_shared = shared == 0;
  const std::uint32_t by_shared =
      keep_if(shared_fits, unlimited_if(no_shared, capacity / (shared + static_cast<std::uint32_t>(no_shared))));

  const auto barriers = std::min(static_cast<std::uint32_t>(config.barriers), most_divisor);
  std::uint32_t by_barriers = unlimited_if(barriers == 0, divide(barriers_, barriers));
  if (barriers_ == 0) by_barriers = unlimited;
  std::uint32_t by_virtual = unlimited;
  if (config.virtual_resources > 0 && virtual_resources_ > 0) {
    by_virtual = virtual_resources_ / static_cast<std::uint32_t>(config.virtual_resources);
    refusals |= bit_if(by_virtual == 0, LaunchRefusal::virtual_resources);
  }

  const std::uint32_t blocks = std::min(std::min(std::min(by_warps, most_blocks), std::min(by_registers, by_shared)),
                                        std::min(by_barriers, by_virtual));
  const auto factor = [&](std::uint32_t limit, OccupancyResource resource) {
    return static_cast<std::uint32_t>(limit == blocks) << static_cast<int>(resource);
  };
  const std::uint32_t factors =
      factor(by_warps, OccupancyResource::warps) | factor(max_blocks_, OccupancyResource::blocks) |
      factor(by_registers, OccupancyResource::registers) | factor(by_shared, OccupancyResource::shared_memory) |
      factor(by_barriers, OccupancyResource::barriers) | factor(by_virtual, OccupancyResource::virtual_resources);
  const std::uint32_t found = bit_if(threads > max_threads_, LaunchRefusal::block_too_large) |
                              bit_if(too_many_registers, LaunchRefusal::registers_per_thread) |
                              bit_if(by_registers == 0, LaunchRefusal::registers_per_block) |
                              bit_if(by_warps == 0, LaunchRefusal::register_caching) |
                              bit_if(by_shared == 0, LaunchRefusal::shared_memory) |
                              bit_if(by_barriers == 0, LaunchRefusal::barriers);
  refusals |= found & ~excused;

  const std::uint32_t active_warps = blocks * warps;
  OccupancyInfo info;
  info.occupancy = static_cast<double>(active_warps) / static_cast<double>(max_warps_);
  info.blocks_per_sm = static_cast<int>(blocks);
  info.active_warps_per_sm = static_cast<int>(active_warps);
  info.max_warps_per_sm = static_cast<int>(max_warps_);
  info.warps_per_block = static_cast<int>(warps);
  info.limits.warps = static_cast<int>(by_warps);
  info.limits.blocks = static_cast<int>(max_blocks_);
  info.limits.registers = BlockLimit(static_cast<int>(by_registers));
  info.limits.shared_memory = BlockLimit(static_cast<int>(by_shared));
  info.limits.barriers = BlockLimit(static_cast<int>(by_barriers));
  info.limits.virtual_resources = BlockLimit(static_cast<int>(by_virtual));
  info.limiting_factors = LimitingFactors::from_bits(factors);
  constexpr int no_refusal = 16;  // above the last one; its low four bits are `none`
  info.refusal = static_cast<LaunchRefusal>(std::countr_zero(refusals | (1u << no_refusal)) % no_refusal);
  info.registers_allocated_per_block = static_cast<int>(units * register_unit * warps);
  info.shared_allocated_per_block = Bytes{shared};
  info.shared_capacity_per_sm = Bytes{capacity};
  info.caching = caching;
  info.clusters_unknown = clustered;
  if (config.grid_size) set_waves(config, info);
  return info;
}

OccupancyModel::OccupancyModel(const GpuProperties& gpu)
    : rules_(gpu),
      max_threads_(rules_.max_threads_),
      max_warps_(rules_.max_warps_),
      max_blocks_(rules_.max_blocks_),
      most_registers_(std::min(rules_.max_registers_, most_units * registers_per_unit)),
      shared_bias_(rules_.reserved_shared_ + rules_.shared_unit_ - 1),
      shared_mask_(~(rules_.shared_unit_ - 1)),
      cap_(rules_.optin_cap_) {
  for (std::uint32_t warps = 1; warps <= most_warps; ++warps) {
    for (std::uint32_t units = 1; units <= most_units; ++units) {
      const std::uint32_t by_warps = max_warps_ / warps, by_registers = rules_.blocks_by_registers(units, warps);
      const std::uint32_t least = std::min(std::min(by_warps, max_blocks_), by_registers);
      const auto factor = [&](std::uint32_t limit, OccupancyResource resource) {
        return static_cast<std::uint32_t>(limit == least) << static_cast<int>(resource);
      };
      by_warps_and_registers_[units * (most_warps + 1) + warps] = {
          static_cast<std::uint16_t>(by_registers), static_cast<std::uint16_t>(by_warps),
          static_cast<std::uint16_t>(least),
          static_cast<std::uint16_t>(factor(by_warps, OccupancyResource::warps) |
                                     factor(max_blocks_, OccupancyResource::blocks) |
                                     factor(by_registers, OccupancyResource::registers))};
    }
  }
  for (std::uint32_t warps = 0; warps <= std::min(max_warps_, most_active_warps); ++warps)
    by_active_warps_[warps] = static_cast<double>(warps) / static_cast<double>(max_warps_);
  by_barriers_.fill(unlimited);
  if (rules_.barriers_ > 0)
    for (std::uint32_t barriers = 1; barriers <= most_barriers; ++barriers)
      by_barriers_[barriers] = rules_.barriers_ / barriers;
  for (std::uint32_t percent = 0; percent <= 100; ++percent)
    wanted_steps_[percent] =
        static_cast<std::uint8_t>((rules_.wanted_shared(percent) + (1u << carveout_shift) - 1) >> carveout_shift);
  for (std::uint32_t step = 0; step < carveout_steps; ++step)
    capacity_steps_[step] =
        static_cast<std::uint8_t>(rules_.capacity_of(0, true, step << carveout_shift) >> carveout_shift);
  constexpr std::uint32_t most_limit = std::numeric_limits<std::uint16_t>::max();
  // No configuration is usual on a device to which the tables do not apply: sizes of the carve-out that do not end with
  // all memory, or blocks that warps or barriers refuse. None in the built-in table but 6.0, for its own rule of
  // registers.
  const bool tables_hold = rules_.carveouts_end_at_all_ && !rules_.checks_siblings_ && max_threads_ <= most_threads &&
                           max_warps_ >= most_warps && max_warps_ <= most_active_warps && max_blocks_ > 0 &&
                           (rules_.barriers_ == 0 || rules_.barriers_ >= most_barriers) &&
                           rules_.part_register_units_ << rules_.part_shift_ <= most_limit;
  if (!tables_hold) most_registers_ = 0;
}

OccupancyInfo calculate_occupancy(const GpuProperties& gpu, const KernelConfig& config) {
  return OccupancyRules(gpu).calculate(config);
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
    case LaunchRefusal::required_block:
      return "the block is " + config.block_size.to_string() + " threads, the kernel was compiled for blocks of " +
             (*config.required_block).to_string() + " and no other (.reqntid, __block_size__)";
    case LaunchRefusal::required_cluster:
      if (config.required_cluster && config.cluster_size != *config.required_cluster)
        return "the cluster is " + config.cluster_size.to_string() +
               " blocks, the kernel was compiled for clusters of " + (*config.required_cluster).to_string() +
               " and no other (__cluster_dims__)";
      return "the cluster has " + number(config.cluster_size.count()) + " blocks, the kernel was compiled for " +
             number(*config.max_cluster_blocks) + " at most (the third number of __launch_bounds__)";
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
      const auto cap =
          OccupancyRules(gpu).shared_cap(config) - (gpu.compute_major >= 8 ? clamp(gpu.reserved_shared_per_block) : 0);
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
             number(OccupancyRules(gpu).permitted_dynamic(config));
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
  const OccupancyRules model(gpu);
  const std::uint64_t cap = model.shared_cap(config);
  std::uint64_t capacity = model.shared_capacity(config);
  if (capacity == 0) capacity = gpu.carveouts[1];  // one block alone raises an empty carve-out to the first size
  const auto unit = static_cast<std::uint64_t>(gpu.shared_unit);
  const std::uint64_t slice =
      blocks == 1 ? cap : std::min(cap, capacity / static_cast<std::uint64_t>(blocks) / unit * unit);
  const std::uint64_t fixed = gpu.reserved_shared_per_block.count + clamp(config.static_shared_memory);
  if (slice < fixed) return std::nullopt;
  std::uint64_t dynamic = slice - fixed;
  if (config.shared_opt_in) dynamic = std::min<std::uint64_t>(dynamic, model.permitted_dynamic(config));
  return Bytes{dynamic};
}

BlockSizeAnswer best_block_size(const GpuProperties& gpu, const KernelConfig& config) {
  const int most =
      std::min(gpu.max_threads_per_block, config.max_threads_per_block.value_or(gpu.max_threads_per_block));
  const int sm_threads = gpu.max_warps_per_sm * gpu.warp_size;
  BlockSizeAnswer best;
  const OccupancyRules model(gpu);
  KernelConfig candidate = config;
  candidate.grid_size.reset();
  if (config.required_block) {
    candidate.block_size = *config.required_block;
    const OccupancyInfo info = model.calculate(candidate);
    if (!info.launchable()) return best;
    best.block_size = static_cast<int>(candidate.block_size.count());
    best.blocks_per_sm = info.blocks_per_sm;
    if (gpu.sm_count) best.min_grid = best.blocks_per_sm * *gpu.sm_count;
    return best;
  }
  check_input(candidate);
  int best_threads = 0;
  for (int size =
           static_cast<int>(round_up(static_cast<std::uint32_t>(most), static_cast<std::uint32_t>(gpu.warp_size)));
       size > 0 && best_threads < sm_threads; size -= gpu.warp_size) {
    const int block = std::min(size, most);
    candidate.block_size = Dim3{block};
    const OccupancyInfo info = model.calculate_checked(candidate);
    const int threads = info.blocks_per_sm * block;
    if (threads <= best_threads) continue;
    best_threads = threads;
    best.block_size = block;
    best.blocks_per_sm = info.blocks_per_sm;
  }
  if (gpu.sm_count && best.block_size > 0) best.min_grid = best.blocks_per_sm * *gpu.sm_count;
  return best;
}

}  // namespace warpwright
