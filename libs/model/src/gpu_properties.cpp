#include <algorithm>
#include <charconv>
#include <limits>

#include <warpwright/base/error.hpp>
#include <warpwright/model/gpu_properties.hpp>

namespace warpwright {
namespace {

// Sizes in KiB. One line per distinct design; several compute capabilities may share it.
struct Row {
  int compute;  // 10 * major + minor
  int warps, blocks;
  int kilo_registers_per_block;
  int sub_partitions;
  int shared_per_sm, shared_optin;
  int shared_unit;
  int barriers;
};

// Blocks, granularities, sub-partitions and barriers follow NVIDIA's occupancy calculator of CUDA 13.5; warps, shared
// memory and registers its published architecture traits. A test compares the first group with the calculator's header
// where a toolkit is installed. Shared memory of 10.7 is the largest carve-out of that header; the traits of
// libcu++ 3.3 repeat the 228 KiB of 10.0.
constexpr Row rows[] = {
    {50, 64, 32, 64, 4, 64, 48, 256, 64},    {52, 64, 32, 64, 4, 96, 48, 256, 64},
    {53, 64, 32, 32, 4, 64, 48, 256, 64},    {60, 64, 32, 64, 2, 64, 48, 256, 64},
    {61, 64, 32, 64, 4, 96, 48, 256, 64},    {62, 64, 32, 32, 4, 64, 48, 256, 64},
    {70, 64, 32, 64, 4, 96, 96, 256, 64},    {72, 64, 32, 64, 4, 96, 96, 256, 64},
    {75, 32, 16, 64, 4, 64, 64, 256, 32},    {80, 64, 32, 64, 4, 164, 163, 128, 64},
    {86, 48, 16, 64, 4, 100, 99, 128, 16},   {87, 48, 16, 64, 4, 164, 163, 128, 16},
    {88, 48, 16, 64, 4, 100, 99, 128, 16},   {89, 48, 24, 64, 4, 100, 99, 128, 24},
    {90, 64, 32, 64, 4, 228, 227, 128, 64},  {100, 64, 32, 64, 4, 228, 227, 128, 64},
    {101, 48, 24, 64, 4, 228, 227, 128, 24}, {103, 64, 32, 64, 4, 228, 227, 128, 32},
    {107, 32, 16, 64, 4, 328, 327, 128, 16}, {110, 48, 24, 64, 4, 228, 227, 128, 24},
    {120, 48, 24, 64, 4, 100, 99, 128, 24},  {121, 48, 24, 64, 4, 100, 99, 128, 24},
};

// In KiB; a size above the SM's shared memory is left out.
constexpr std::uint32_t carveouts_volta[] = {0, 8, 16, 32, 64, 96};
constexpr std::uint32_t carveouts_turing[] = {32, 64};
constexpr std::uint32_t carveouts_ampere[] = {0, 8, 16, 32, 64, 100, 132, 164, 196, 228, 328};
template <std::size_t count>
constexpr bool in_steps(const std::uint32_t (&sizes)[count]) {
  return std::all_of(sizes, sizes + count, [](std::uint32_t size) { return size % 4 == 0 && size < 512; });
}
static_assert(in_steps(carveouts_volta) && in_steps(carveouts_turing) && in_steps(carveouts_ampere));

std::string architecture_name(int compute) { return "sm_" + std::to_string(compute); }

GpuProperties from_row(const Row& row) {
  constexpr std::uint64_t kib = 1024;
  GpuProperties gpu;
  gpu.architecture = architecture_name(row.compute);
  gpu.name = gpu.architecture;
  gpu.compute_major = row.compute / 10;
  gpu.compute_minor = row.compute % 10;
  gpu.max_warps_per_sm = row.warps;
  gpu.max_blocks_per_sm = row.blocks;
  gpu.registers_per_block = row.kilo_registers_per_block * 1024;
  gpu.sub_partitions = row.sub_partitions;
  gpu.shared_per_sm = Bytes{static_cast<std::uint64_t>(row.shared_per_sm) * kib};
  gpu.shared_per_block_optin = Bytes{static_cast<std::uint64_t>(row.shared_optin) * kib};
  gpu.reserved_shared_per_block = Bytes{gpu.compute_major >= 8 ? kib : 0};
  gpu.shared_unit = row.shared_unit;
  gpu.barriers_per_sm = row.barriers;
  gpu.barriers_limit = gpu.compute_major >= 9;
  gpu.virtual_resources_per_sm = gpu.compute_major >= 10 ? 128 : 0;
  gpu.partitioned_caching = row.compute == 52 || row.compute == 53 || row.compute == 61 || row.compute == 62;
  gpu.provenance = "table";
  gpu.carveouts.fill(std::numeric_limits<std::uint32_t>::max());
  std::span<const std::uint32_t> sizes;
  if (gpu.compute_major >= 8)
    sizes = carveouts_ampere;
  else if (row.compute == 75)
    sizes = carveouts_turing;
  else if (gpu.compute_major == 7)
    sizes = carveouts_volta;
  for (const std::uint32_t size : sizes)
    if (size * kib <= gpu.shared_per_sm.count)
      gpu.carveouts[static_cast<std::size_t>(gpu.carveout_count++)] = static_cast<std::uint32_t>(size * kib);
  return gpu;
}

const Row* find_row(int compute) {
  const auto* found =
      std::find_if(std::begin(rows), std::end(rows), [&](const Row& row) { return row.compute == compute; });
  return found == std::end(rows) ? nullptr : found;
}

// The row of the nearest older design, for a compute capability without a row.
const Row* find_older_row(int compute) {
  const Row* older = nullptr;
  for (const Row& row : rows)
    if (row.compute < compute) older = &row;
  return older;
}

std::string row_list() {
  std::string text;
  for (const auto& name : known_architectures()) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// 90 of "sm_90", "sm_90a", "compute_90", "90" and "9.0"; nullopt for other text.
std::optional<int> parse_compute(std::string_view text) {
  for (const std::string_view prefix : {"sm_", "compute_", "SM_"})
    if (text.starts_with(prefix)) {
      text.remove_prefix(prefix.size());
      break;
    }
  int major = 0;
  const char* end = text.data() + text.size();
  auto [at, status] = std::from_chars(text.data(), end, major);
  if (status != std::errc{} || major < 0 || major > 999 || at == text.data() || text.front() == '-')
    return std::nullopt;
  if (at != end && *at == '.') {
    int minor = 0;
    const auto rest = std::from_chars(at + 1, end, minor);
    if (rest.ec != std::errc{} || rest.ptr != end || minor < 0 || minor > 9 || major > 99) return std::nullopt;
    return major * 10 + minor;
  }
  if (at != end && (*at == 'a' || *at == 'f')) ++at;
  if (at != end || major < 10) return std::nullopt;
  return major;
}

// A live value replaces the table's; a difference is worth a note.
template <class T>
void replace(GpuProperties& gpu, T& value, const std::optional<T>& live, const char* what) {
  if (!live || *live == value) return;
  const auto text = [](const T& number) {
    if constexpr (std::is_same_v<T, Bytes>)
      return std::to_string(number.count);
    else
      return std::to_string(number);
  };
  gpu.notes.push_back(std::string(what) + ": the driver reports " + text(*live) + ", the table of " + gpu.architecture +
                      " says " + text(value) + "; the driver's value is used");
  value = *live;
}

bool tells_every_limit(const DeviceInfo& device) {
  return device.max_threads_per_multiprocessor && device.max_blocks_per_multiprocessor &&
         device.registers_per_multiprocessor && device.registers_per_block && device.shared_per_multiprocessor &&
         device.shared_per_block_optin && device.reserved_shared_per_block;
}

}  // namespace

const std::vector<std::string>& known_architectures() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Row& row : rows) list.push_back(architecture_name(row.compute));
    return list;
  }();
  return names;
}

GpuProperties architecture_properties(std::string_view architecture) {
  const auto compute = parse_compute(architecture);
  if (!compute) {
    const auto close = closest_match(architecture, known_architectures());
    throw Error(ErrorCode::bad_input, "'" + std::string(architecture) + "' is not an architecture of NVIDIA's" +
                                          (close ? "; did you mean '" + *close + "'?" : "") +
                                          "; write sm_90, 90 or 9.0; known are " + row_list());
  }
  const Row* row = find_row(*compute);
  if (row == nullptr)
    throw Error(ErrorCode::unsupported,
                "there is no occupancy table for " + architecture_name(*compute) + "; there is one for " + row_list());
  return from_row(*row);
}

std::optional<GpuProperties> device_properties(const DeviceInfo& device) {
  if (!device.architecture.starts_with("sm_")) return std::nullopt;
  const auto compute = parse_compute(device.architecture);
  if (!compute) return std::nullopt;
  const Row* row = find_row(*compute);
  const bool guessed = row == nullptr;
  if (guessed) row = find_older_row(*compute);
  if (row == nullptr || (guessed && !tells_every_limit(device))) return std::nullopt;
  GpuProperties gpu = from_row(*row);
  if (device.warp_size != 0 && device.warp_size != gpu.warp_size) return std::nullopt;
  gpu.name = device.name;
  if (device.multiprocessors > 0) gpu.sm_count = device.multiprocessors;
  gpu.provenance = "table and driver";
  if (device.max_threads_per_block > 0 && device.max_threads_per_block <= 1024)
    replace(gpu, gpu.max_threads_per_block, std::optional(static_cast<int>(device.max_threads_per_block)),
            "threads per block");
  if (device.max_threads_per_multiprocessor)
    replace(gpu, gpu.max_warps_per_sm, std::optional(*device.max_threads_per_multiprocessor / gpu.warp_size),
            "warps per SM");
  replace(gpu, gpu.max_blocks_per_sm, device.max_blocks_per_multiprocessor, "blocks per SM");
  replace(gpu, gpu.registers_per_sm, device.registers_per_multiprocessor, "registers per SM");
  replace(gpu, gpu.registers_per_block, device.registers_per_block, "registers per block");
  replace(gpu, gpu.shared_per_sm, device.shared_per_multiprocessor, "shared memory per SM");
  if (device.shared_per_block.count > 0)
    replace(gpu, gpu.shared_per_block, std::optional(device.shared_per_block), "shared memory per block");
  replace(gpu, gpu.shared_per_block_optin, device.shared_per_block_optin, "shared memory per block with opt-in");
  replace(gpu, gpu.reserved_shared_per_block, device.reserved_shared_per_block, "reserved shared memory per block");
  if (guessed) {
    // What the driver replaced was another architecture's.
    gpu.notes = {
        "no table knows " + architecture_name(*compute) +
        ": warps, blocks, registers and shared memory of an SM are the driver's own answers; allocation units, "
        "sub-partitions, carve-out sizes and barriers, which no driver tells, are taken to be those of " +
        gpu.architecture + "; the driver's own number of blocks decides"};
    gpu.architecture = architecture_name(*compute);
    gpu.compute_major = *compute / 10;
    gpu.compute_minor = *compute % 10;
    gpu.provenance = "driver";
  }
  if (device.id.backend == "opencl" && gpu.shared_per_block_optin > gpu.shared_per_block) {
    gpu.shared_per_block_optin = gpu.shared_per_block;
    gpu.notes.push_back("shared memory per block with opt-in: only CUDA has the opt-in, OpenCL stops at " +
                        std::to_string(gpu.shared_per_block.count) + " bytes");
  }
  return gpu;
}

std::string unknown_occupancy_reason(const DeviceInfo& device) {
  if (device.architecture.starts_with("sm_"))
    return "there is no occupancy table for " + device.architecture +
           ", and its driver does not tell all limits of a multiprocessor; only the driver's own query can tell";
  return "how many blocks share a multiprocessor of " + device.name + " (" + std::string(to_string(device.kind)) +
         ", " + device.id.backend +
         ") is told by no query of its driver: the granularity of its registers and local memory, and the most "
         "work-groups "
         "at a time, are unknown";
}

}  // namespace warpwright
