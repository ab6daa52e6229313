// How large a device's last-level cache is. CL_DEVICE_GLOBAL_MEM_CACHE_SIZE is no answer on GPUs: NVIDIA's says 4.12
// MiB for the 60 MiB of an H200, AMD's the 16 KiB of one L1 cache. So it is asked of the same card's CUDA driver,
// looked up, or left open for whoever can measure it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <warpwright/model/device_info.hpp>

namespace warpwright::opencl {

// What CUDA's driver says about a card; absent where it does not.
struct CardProperties {
  std::optional<Bytes> l2_cache;
  std::optional<int> memory_clock_mhz, memory_bus_bits;
};

// About the card with this PCI bus id ("0000:3b:00.0"). nullopt where `library` cannot be opened or does not know the
// card. Never throws; the library stays loaded.
std::optional<CardProperties> ask_cuda_driver(const std::string& library, const std::string& pci_bus_id);

// The largest last-level cache of the GPUs of an architecture ("sm_90", "gfx90a:sramecc+:xnack-"); nullopt for one that
// is not in the table. Larger than a product's own cache costs a flush microseconds; smaller would leave data behind.
std::optional<Bytes> largest_cache(std::string_view architecture);

// Fills in l2_cache and l2_cache_source, and from the CUDA driver what else it knows and OpenCL does not. `reported` is
// the value of the query (0: none), trusted of devices that are no NVIDIA or AMD GPUs. `cuda_library` empty: not asked.
void find_cache_size(DeviceInfo& info, Bytes reported, const std::string& cuda_library);

}  // namespace warpwright::opencl
