#include "device_query.hpp"

#include <array>
#include <cctype>
#include <fmt/format.h>
#include <sstream>
#include <string_view>

#include "cache_size.hpp"

namespace warpwright::opencl {

namespace {

std::string tidy(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\0') break;
    const bool blank = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (blank && (result.empty() || result.back() == ' ')) continue;
    result += blank ? ' ' : c;
  }
  if (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

// `query(capacity, value, size)` is one of the clGet...Info functions with its other arguments bound.
template <class Query>
std::string query_text(Query&& query) {
  std::size_t size = 0;
  if (query(std::size_t{0}, nullptr, &size) != abi::success || size == 0) return {};
  std::string text(size, '\0');
  if (query(size, text.data(), nullptr) != abi::success) return {};
  return tidy(text);
}

std::string platform_text(const Api& api, abi::Platform platform, abi::Uint name) {
  return query_text([&](std::size_t capacity, void* value, std::size_t* size) {
    return api.get_platform_info(platform, name, capacity, value, size);
  });
}

bool has_extension(const std::string& extensions, std::string_view wanted) {
  std::istringstream words(extensions);
  for (std::string word; words >> word;)
    if (word == wanted) return true;
  return false;
}

DeviceKind kind_of(abi::Bitfield type) {
  if ((type & abi::device_type_gpu) != 0) return DeviceKind::gpu;
  if ((type & abi::device_type_cpu) != 0) return DeviceKind::cpu;
  return DeviceKind::accelerator;
}

std::string format_uuid(const std::array<unsigned char, 16>& bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", bytes[i]);
  }
  return text;
}

void add_nvidia_attributes(const Api& api, abi::Device device, DeviceInfo& info) {
  const auto number = [&](abi::Uint name) { return device_value<abi::Uint>(api, device, name); };
  const auto major = number(abi::device_compute_capability_major_nv);
  const auto minor = number(abi::device_compute_capability_minor_nv);
  if (major && minor) info.architecture = fmt::format("sm_{}{}", *major, *minor);
  if (const auto registers = number(abi::device_registers_per_block_nv))
    info.registers_per_block = static_cast<int>(*registers);
  if (const auto warp = number(abi::device_warp_size_nv)) info.warp_size = static_cast<int>(*warp);
  if (const auto engines = number(abi::device_attribute_async_engine_count_nv))
    info.copy_engines = static_cast<int>(*engines);
  const auto bus = number(abi::device_pci_bus_id_nv);
  const auto slot = number(abi::device_pci_slot_id_nv);
  const auto domain = number(abi::device_pci_domain_id_nv);
  // The slot is device * 8 + function in the encoding of PCI configuration space.
  if (bus && slot)
    info.pci_bus_id = fmt::format("{:04x}:{:02x}:{:02x}.{:x}", domain.value_or(0), *bus, *slot >> 3, *slot & 7u);
}

FoundDevice describe(const Api& api, abi::Platform platform, abi::Device device, DeviceId id,
                     const std::string& platform_version) {
  FoundDevice found;
  found.platform = platform;
  found.device = device;
  DeviceInfo& info = found.info;
  info.id = std::move(id);
  const auto text = [&](abi::Uint name) { return device_text(api, device, name); };
  const auto size = [&](abi::Uint name) { return device_value<std::size_t>(api, device, name).value_or(0); };
  const auto large = [&](abi::Uint name) { return Bytes{device_value<abi::Ulong>(api, device, name).value_or(0)}; };
  const auto number = [&](abi::Uint name) { return device_value<abi::Uint>(api, device, name).value_or(0); };

  info.kind = kind_of(device_value<abi::Bitfield>(api, device, abi::device_type).value_or(0));
  info.name = text(abi::device_name);
  info.vendor = text(abi::device_vendor);
  info.architecture = text(abi::device_version);
  info.driver = text(abi::driver_version);
  // The platform's version names the compiler (on PoCL with its LLVM), the language is the one asked for by default.
  info.toolkit = "OpenCL C 1.2 " + platform_version;
  info.multiprocessors = static_cast<int>(number(abi::device_max_compute_units));
  info.max_threads_per_block = static_cast<std::int64_t>(size(abi::device_max_work_group_size));
  std::array<std::size_t, 16> sizes{};  // devices may have more than three dimensions; three are asked of all
  if (api.get_device_info(device, abi::device_max_work_item_sizes, sizeof(sizes), sizes.data(), nullptr) ==
      abi::success)
    for (std::size_t d = 0; d < 3; ++d) info.max_block[d] = static_cast<std::int64_t>(sizes[d]);
  info.shared_per_block = large(abi::device_local_mem_size);
  info.global_memory = large(abi::device_global_mem_size);
  if (const Bytes constant = large(abi::device_max_constant_buffer_size); constant.count > 0)
    info.constant_memory = constant;
  if (const abi::Uint clock = number(abi::device_max_clock_frequency); clock > 0)
    info.clock_mhz = static_cast<int>(clock);

  if (device_value<abi::Bool>(api, device, abi::device_image_support) == abi::yes)
    info.max_image = {static_cast<std::int64_t>(size(abi::device_image2d_max_width)),
                      static_cast<std::int64_t>(size(abi::device_image2d_max_height))};

  const std::string extensions = text(abi::device_extensions);
  info.supports_float64 = has_extension(extensions, "cl_khr_fp64");
  info.supports_float16 = has_extension(extensions, "cl_khr_fp16");
  found.nvidia_compiler_options = has_extension(extensions, "cl_nv_compiler_options");
  found.amd_attributes = has_extension(extensions, "cl_amd_device_attribute_query");
  if (has_extension(extensions, "cl_khr_device_uuid"))
    if (const auto uuid = device_value<std::array<unsigned char, 16>>(api, device, abi::device_uuid_khr))
      info.uuid = format_uuid(*uuid);
  if (has_extension(extensions, "cl_nv_device_attribute_query")) add_nvidia_attributes(api, device, info);
  if (found.amd_attributes) {
    // AMD's device name is the architecture ("gfx90a:sramecc+:xnack-"), the board name is for people.
    info.architecture = info.name;
    if (const std::string board = text(abi::device_board_name_amd); !board.empty()) info.name = board;
    if (const auto width = device_value<abi::Uint>(api, device, abi::device_wavefront_width_amd))
      info.warp_size = static_cast<int>(*width);
  }
  if (has_extension(extensions, "cl_khr_pci_bus_info"))
    if (const auto pci = device_value<abi::PciBusInfo>(api, device, abi::device_pci_bus_info_khr))
      info.pci_bus_id = fmt::format("{:04x}:{:02x}:{:02x}.{:x}", pci->domain, pci->bus, pci->device, pci->function);
  find_cache_size(info, large(abi::device_global_mem_cache_size), api.cuda_library);
  return found;
}

}  // namespace

std::string device_text(const Api& api, abi::Device device, abi::Uint name) {
  return query_text([&](std::size_t capacity, void* value, std::size_t* size) {
    return api.get_device_info(device, name, capacity, value, size);
  });
}

bool is_pocl(const Api& api, abi::Device device) {
  return device_text(api, device, abi::device_version).find(" PoCL ") != std::string::npos;
}

Enumeration enumerate(const Api& api) {
  Enumeration result;
  const auto fail = [&](std::string_view call, abi::Int status) {
    if (!result.failure.empty()) result.failure += "; ";
    result.failure += fmt::format("{} failed ({}, code {})", call, status_name(status), status);
  };
  abi::Uint count = 0;
  abi::Int status = api.get_platform_ids(0, nullptr, &count);
  // The loader's way to say "none".
  if (status == abi::platform_not_found_khr || (status == abi::success && count == 0)) return result;
  std::vector<abi::Platform> platforms(count);
  if (status == abi::success) status = api.get_platform_ids(count, platforms.data(), &count);
  if (status != abi::success) {
    fail("clGetPlatformIDs", status);
    return result;
  }
  // The second call may list fewer, never more than there is room for.
  platforms.resize(std::min<std::size_t>(platforms.size(), count));
  for (std::size_t p = 0; p < platforms.size(); ++p) {
    const std::string name = platform_text(api, platforms[p], abi::platform_name);
    const std::string version = platform_text(api, platforms[p], abi::platform_version);
    result.platforms.push_back(fmt::format("{} ({})", name.empty() ? "unnamed platform" : name, version));
    abi::Uint devices_count = 0;
    status = api.get_device_ids(platforms[p], abi::device_type_all, 0, nullptr, &devices_count);
    if (status == abi::device_not_found || (status == abi::success && devices_count == 0)) continue;
    std::vector<abi::Device> devices(devices_count);
    if (status == abi::success)
      status = api.get_device_ids(platforms[p], abi::device_type_all, devices_count, devices.data(), &devices_count);
    if (status != abi::success) {
      fail(fmt::format("clGetDeviceIDs of platform {} ({})", p, name), status);
      continue;
    }
    devices.resize(std::min<std::size_t>(devices.size(), devices_count));
    for (std::size_t d = 0; d < devices.size(); ++d) {
      // A device that is not available keeps its number, so that the others keep theirs when it comes back.
      if (device_value<abi::Bool>(api, devices[d], abi::device_available) == abi::no) continue;
      result.pocl = result.pocl || is_pocl(api, devices[d]);
      DeviceId id{"opencl", {static_cast<int>(p), static_cast<int>(d)}};
      result.devices.push_back(describe(api, platforms[p], devices[d], std::move(id), version));
    }
  }
  return result;
}

}  // namespace warpwright::opencl
