// What a device is and allows, as plain data: no handle, no vendor type.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/device_id.hpp>
#include <warpwright/base/units.hpp>

namespace warpwright {

enum class DeviceKind { gpu, cpu, accelerator, simulated };
std::string_view to_string(DeviceKind kind) noexcept;

// Absent optionals mean "the driver does not tell", never 0.
struct DeviceInfo {
  DeviceId id;
  DeviceKind kind = DeviceKind::gpu;
  std::string name;          // "NVIDIA H100 80GB HBM3"
  std::string vendor;        // "NVIDIA Corporation"
  std::string architecture;  // "sm_90", "gfx90a", or the OpenCL device version for others
  std::string driver;        // driver version as the vendor writes it
  std::string toolkit;       // compiler version: "NVRTC 13.0", "OpenCL C 1.2 PoCL 3.1"
  std::string uuid;          // empty if unknown
  std::string pci_bus_id;    // "0000:3b:00.0", empty if unknown

  int multiprocessors = 0;  // SMs or compute units
  int warp_size = 0;        // 0 if unknown
  std::int64_t max_threads_per_block = 0;
  std::array<std::int64_t, 3> max_block{};
  std::array<std::int64_t, 3> max_grid{};  // in blocks; 0 = no limit known
  Bytes shared_per_block{};                // without opt-in (OpenCL local memory)
  std::optional<Bytes> shared_per_block_optin;
  std::optional<Bytes> shared_per_multiprocessor;
  std::optional<Bytes> reserved_shared_per_block;
  std::optional<int> registers_per_block;
  std::optional<int> registers_per_multiprocessor;
  std::optional<int> max_threads_per_multiprocessor;
  std::optional<int> max_blocks_per_multiprocessor;
  Bytes global_memory{};
  std::optional<Bytes> constant_memory;
  std::optional<Bytes> l2_cache;  // the last-level cache
  // Who says so: "driver", "CUDA driver" (asked about the same card), "table", "OpenCL", "simulated"; empty if the size
  // is absent.
  std::string l2_cache_source;
  std::optional<int> clock_mhz;
  std::optional<int> memory_clock_mhz;
  std::optional<int> memory_bus_bits;
  std::optional<int> copy_engines;
  std::array<std::int64_t, 2> max_image{};  // width and height of an image in pixels; 0: the device offers no images

  bool supports_cooperative_launch = false;
  bool supports_clusters = false;
  bool supports_graphs = false;
  bool supports_float64 = false;
  bool supports_float16 = false;

  bool offers_images() const { return max_image[0] > 0 && max_image[1] > 0; }
  // The shared memory a block may use at most, static plus dynamic.
  Bytes shared_limit() const { return shared_per_block_optin.value_or(shared_per_block); }
};

}  // namespace warpwright
