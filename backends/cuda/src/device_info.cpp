#include "device_info.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <optional>

namespace warpwright::cuda {

namespace {

// The answers by which a driver says that it has no such property; any other failure is one.
bool not_told(abi::Result result) { return result == abi::invalid_value || result == abi::not_supported; }

class Attributes {
 public:
  Attributes(const CudaDriver& driver, abi::Device device) : driver_(driver), device_(device) {}

  int must(abi::DeviceAttribute attribute) const {
    int value = 0;
    const abi::Result result = driver_.api().device_get_attribute(&value, attribute, device_);
    if (result != abi::success) {
      driver_.fail(result, Call::general, "read device attribute " + std::to_string(attribute));
    }
    return value;
  }
  // Absent where the driver does not know the attribute.
  std::optional<int> known(abi::DeviceAttribute attribute) const {
    int value = 0;
    const abi::Result result = driver_.api().device_get_attribute(&value, attribute, device_);
    if (not_told(result)) return std::nullopt;
    driver_.check(result, "read a device attribute");
    return value;
  }
  // Absent also where the driver says 0: no such limit is 0.
  std::optional<int> maybe(abi::DeviceAttribute attribute) const {
    const auto value = known(attribute);
    return value.value_or(0) > 0 ? value : std::nullopt;
  }
  std::optional<Bytes> maybe_bytes(abi::DeviceAttribute attribute) const {
    const auto value = maybe(attribute);
    return value ? std::optional(Bytes{static_cast<std::uint64_t>(*value)}) : std::nullopt;
  }

 private:
  const CudaDriver& driver_;
  abi::Device device_;
};

std::optional<int> to_mhz(std::optional<int> khz) { return khz ? std::optional(*khz / 1000) : std::nullopt; }

}  // namespace

std::string format_uuid(const abi::Uuid& uuid, bool multi_instance) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text = multi_instance ? "MIG-" : "GPU-";
  for (std::size_t i = 0; i < sizeof(uuid.bytes); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    const auto byte = static_cast<std::uint8_t>(uuid.bytes[i]);
    text += digits[byte >> 4];
    text += digits[byte & 0xf];
  }
  return text;
}

DeviceInfo describe_device(const CudaDriver& driver, int ordinal, const std::string& driver_version,
                           const std::string& toolkit) {
  const abi::Functions& api = driver.api();
  abi::Device device = 0;
  driver.check(api.device_get(&device, ordinal), "find the device");
  const Attributes attributes(driver, device);

  DeviceInfo info;
  info.id = DeviceId{"cuda", {ordinal}};
  info.kind = DeviceKind::gpu;
  info.vendor = "NVIDIA Corporation";
  info.driver = driver_version;
  info.toolkit = toolkit;
  std::array<char, 256> text{};
  driver.check(api.device_get_name(text.data(), static_cast<int>(text.size() - 1), device), "read the device's name");
  info.name = text.data();
  const int major = attributes.must(abi::compute_capability_major);
  const int minor = attributes.must(abi::compute_capability_minor);
  info.architecture = "sm_" + std::to_string(major) + std::to_string(minor);
  if (api.device_get_uuid != nullptr) {
    abi::Uuid uuid{};
    const abi::Result result = api.device_get_uuid(&uuid, device);
    if (!not_told(result)) {
      driver.check(result, "read the device's UUID");
      info.uuid = format_uuid(uuid, info.name.find(" MIG ") != std::string::npos);
    }
  }
  if (api.device_get_pci_bus_id != nullptr) {
    text.fill(0);
    const abi::Result result = api.device_get_pci_bus_id(text.data(), static_cast<int>(text.size() - 1), device);
    if (!not_told(result)) {
      driver.check(result, "read the device's PCI bus id");
      info.pci_bus_id = text.data();
      std::transform(info.pci_bus_id.begin(), info.pci_bus_id.end(), info.pci_bus_id.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    }
  }

  info.multiprocessors = attributes.must(abi::multiprocessor_count);
  info.warp_size = attributes.must(abi::device_warp_size);
  info.max_threads_per_block = attributes.must(abi::max_threads_per_block);
  info.max_block = {attributes.must(abi::max_block_dim_x), attributes.must(abi::max_block_dim_y),
                    attributes.must(abi::max_block_dim_z)};
  info.max_grid = {attributes.must(abi::max_grid_dim_x), attributes.must(abi::max_grid_dim_y),
                   attributes.must(abi::max_grid_dim_z)};
  info.shared_per_block = Bytes{static_cast<std::uint64_t>(attributes.must(abi::max_shared_memory_per_block))};
  info.shared_per_block_optin = attributes.maybe_bytes(abi::max_shared_memory_per_block_optin);
  info.shared_per_multiprocessor = attributes.maybe_bytes(abi::max_shared_memory_per_multiprocessor);
  // Before compute capability 8.0 this one is really 0.
  if (const auto reserved = attributes.known(abi::reserved_shared_memory_per_block); reserved.value_or(-1) >= 0) {
    info.reserved_shared_per_block = Bytes{static_cast<std::uint64_t>(*reserved)};
  }
  info.registers_per_block = attributes.maybe(abi::max_registers_per_block);
  info.registers_per_multiprocessor = attributes.maybe(abi::max_registers_per_multiprocessor);
  info.max_threads_per_multiprocessor = attributes.maybe(abi::max_threads_per_multiprocessor);
  info.max_blocks_per_multiprocessor = attributes.maybe(abi::max_blocks_per_multiprocessor);
  std::size_t memory = 0;
  driver.check(api.device_total_memory(&memory, device), "read the size of the device's memory");
  info.global_memory = Bytes{memory};
  info.constant_memory = attributes.maybe_bytes(abi::total_constant_memory);
  info.l2_cache = attributes.maybe_bytes(abi::l2_cache_size);
  if (info.l2_cache) info.l2_cache_source = "driver";
  info.clock_mhz = to_mhz(attributes.maybe(abi::clock_rate_khz));
  info.memory_clock_mhz = to_mhz(attributes.maybe(abi::memory_clock_rate_khz));
  info.memory_bus_bits = attributes.maybe(abi::global_memory_bus_width);
  info.copy_engines = attributes.maybe(abi::async_engine_count);

  info.supports_cooperative_launch = attributes.maybe(abi::cooperative_launch).has_value();
  info.supports_clusters = attributes.maybe(abi::cluster_launch).has_value();
  info.supports_graphs = driver.has_graphs();
  info.supports_float64 = true;
  // Half precision arithmetic came with compute capability 5.3.
  info.supports_float16 = major > 5 || (major == 5 && minor >= 3);
  return info;
}

}  // namespace warpwright::cuda
