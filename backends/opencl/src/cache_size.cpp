#include "cache_size.hpp"

#include <algorithm>
#include <array>
#include <dlfcn.h>

namespace warpwright::opencl {

namespace {

constexpr std::uint64_t mebibyte = 1 << 20;

struct Row {
  std::string_view architecture;
  std::uint64_t mebibytes;
};
// Of the product with most, from the vendors' product pages and white papers. AMD's have the Infinity Cache where there
// is one: it lies behind the L2.
constexpr std::array table{
    Row{"sm_50", 2},    Row{"sm_52", 3},     Row{"sm_53", 1},    Row{"sm_60", 4},    Row{"sm_61", 3},
    Row{"sm_62", 1},    Row{"sm_70", 6},     Row{"sm_72", 1},    Row{"sm_75", 6},    Row{"sm_80", 40},
    Row{"sm_86", 6},    Row{"sm_87", 4},     Row{"sm_89", 96},   Row{"sm_90", 60},   Row{"sm_100", 128},
    Row{"sm_103", 128}, Row{"sm_110", 32},   Row{"sm_120", 128}, Row{"sm_121", 24},  Row{"gfx803", 2},
    Row{"gfx900", 4},   Row{"gfx906", 4},    Row{"gfx908", 8},   Row{"gfx90a", 8},   Row{"gfx940", 256},
    Row{"gfx941", 256}, Row{"gfx942", 256},  Row{"gfx950", 256}, Row{"gfx1010", 4},  Row{"gfx1011", 4},
    Row{"gfx1012", 4},  Row{"gfx1030", 128}, Row{"gfx1031", 96}, Row{"gfx1032", 32}, Row{"gfx1034", 16},
    Row{"gfx1100", 96}, Row{"gfx1101", 64},  Row{"gfx1102", 32}, Row{"gfx1151", 32}, Row{"gfx1200", 32},
    Row{"gfx1201", 64},
};

// Of the CUDA driver interface; the CUDA backend has them all.
constexpr int attribute_memory_clock_khz = 36, attribute_bus_bits = 37, attribute_l2_bytes = 38;

}  // namespace

std::optional<CardProperties> ask_cuda_driver(const std::string& library, const std::string& pci_bus_id) {
  if (library.empty() || pci_bus_id.empty()) return std::nullopt;
  // Never closed: the driver starts threads. Where the card's OpenCL works it is loaded already.
  void* const handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return std::nullopt;
  const auto init = reinterpret_cast<int (*)(unsigned)>(::dlsym(handle, "cuInit"));
  const auto find = reinterpret_cast<int (*)(int*, const char*)>(::dlsym(handle, "cuDeviceGetByPCIBusId"));
  const auto ask = reinterpret_cast<int (*)(int*, int, int)>(::dlsym(handle, "cuDeviceGetAttribute"));
  int device = 0;
  if (init == nullptr || find == nullptr || ask == nullptr || init(0) != 0 || find(&device, pci_bus_id.c_str()) != 0)
    return std::nullopt;
  const auto value = [&](int attribute) -> std::optional<int> {
    int number = 0;
    return ask(&number, attribute, device) == 0 && number > 0 ? std::optional(number) : std::nullopt;
  };
  CardProperties card;
  if (const auto bytes = value(attribute_l2_bytes)) card.l2_cache = Bytes{static_cast<std::uint64_t>(*bytes)};
  if (const auto khz = value(attribute_memory_clock_khz)) card.memory_clock_mhz = *khz / 1000;
  card.memory_bus_bits = value(attribute_bus_bits);
  return card;
}

std::optional<Bytes> largest_cache(std::string_view architecture) {
  // AMD's names go on with features: "gfx90a:sramecc+:xnack-".
  const std::string_view name = architecture.substr(0, architecture.find(':'));
  const auto row = std::find_if(table.begin(), table.end(), [&](const Row& r) { return r.architecture == name; });
  return row == table.end() ? std::nullopt : std::optional(Bytes{row->mebibytes * mebibyte});
}

void find_cache_size(DeviceInfo& info, Bytes reported, const std::string& cuda_library) {
  const bool nvidia = info.architecture.starts_with("sm_");
  const bool untrusted = info.kind == DeviceKind::gpu && (nvidia || info.architecture.starts_with("gfx"));
  if (nvidia) {
    if (const auto card = ask_cuda_driver(cuda_library, info.pci_bus_id)) {
      info.memory_clock_mhz = card->memory_clock_mhz;
      info.memory_bus_bits = card->memory_bus_bits;
      info.l2_cache = card->l2_cache;
      if (info.l2_cache) info.l2_cache_source = "CUDA driver";
    }
  }
  if (!info.l2_cache && untrusted) {
    info.l2_cache = largest_cache(info.architecture);
    if (info.l2_cache) info.l2_cache_source = "table";
  }
  if (info.l2_cache || untrusted || reported.count == 0) return;
  info.l2_cache = reported;
  info.l2_cache_source = "OpenCL";
}

}  // namespace warpwright::opencl
