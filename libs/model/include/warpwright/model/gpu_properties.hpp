// What an NVIDIA multiprocessor can hold, as plain data: the numbers that decide occupancy.
//
// A row of the built-in table describes an architecture without any device. A device that is there is described by the
// same row with what its driver reports put over it, because a driver knows its own product better than any table. The
// granularities, sub-partitions, carve-out sizes and barriers are in no driver query: for a device without a row those
// of the nearest older architecture are assumed, and a note says so.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/model/device_info.hpp>

namespace warpwright {

// Thread-compatible value type.
struct GpuProperties {
  std::string name;          // of the device, or of the architecture ("sm_90")
  std::string architecture;  // "sm_90"
  int compute_major = 0, compute_minor = 0;
  std::optional<int> sm_count;  // absent for an architecture: it belongs to the product

  int warp_size = 32;
  int max_threads_per_block = 1024;
  int max_warps_per_sm = 0;
  int max_blocks_per_sm = 0;

  int registers_per_sm = 65536;
  int registers_per_block = 65536;
  int max_registers_per_thread = 255;
  int register_unit = 256;  // registers are given to a warp in multiples of this
  int sub_partitions = 4;   // each warp lives in one; the register file is divided among them

  Bytes shared_per_sm{};
  Bytes shared_per_block{48 * 1024};  // without opt-in
  Bytes shared_per_block_optin{};
  Bytes reserved_shared_per_block{};  // taken by the driver from every block
  int shared_unit = 0;                // bytes; a block's shared memory is rounded up to a multiple of this
  // Sizes that the shared memory of an SM can be set to, ascending, then the largest integer. None where it is fixed.
  // Multiples of 4 KiB below 512 KiB.
  std::array<std::uint32_t, 12> carveouts{};
  int carveout_count = 0;

  int barriers_per_sm = 0;
  bool barriers_limit = false;       // false: the number of named barriers does not limit the blocks of an SM
  int virtual_resources_per_sm = 0;  // 0: there are none
  bool partitioned_caching = false;  // -dlcm=ca splits each SM in two halves

  std::string provenance;          // "table", or "table and driver"
  std::vector<std::string> notes;  // where a live value replaced another one of the table

  std::span<const std::uint32_t> carveout_sizes() const {
    return {carveouts.data(), static_cast<std::size_t>(carveout_count)};
  }
};

// The row for "sm_90", also "sm_90a", "90", "9.0" or "compute_90". Throws Error(bad_input) for text that is no
// architecture, Error(unsupported) listing the rows there are for one without a row.
GpuProperties architecture_properties(std::string_view architecture);

// "sm_50", "sm_52", ..., oldest first.
const std::vector<std::string>& known_architectures();

// The row of the device's architecture with the driver's values put over it. Of an NVIDIA device without a row: the
// driver's values, and what no driver tells as in the nearest older row, with a note. nullopt where that is not enough:
// the device is not NVIDIA's, or its driver does not tell all limits of a multiprocessor. Never throws.
std::optional<GpuProperties> device_properties(const DeviceInfo& device);

// Why device_properties() has no answer for this device, in one sentence.
std::string unknown_occupancy_reason(const DeviceInfo& device);

}  // namespace warpwright
