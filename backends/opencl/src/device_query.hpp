// What OpenCL says about platforms and devices, as the plain data of the model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <warpwright/device/backend.hpp>
#include <warpwright/model/device_info.hpp>

#include "api.hpp"

namespace warpwright::opencl {

struct FoundDevice {
  DeviceInfo info;
  abi::Platform platform = nullptr;
  abi::Device device = nullptr;
  bool nvidia_compiler_options = false;  // cl_nv_compiler_options: "-cl-nv-verbose" reports registers
  bool amd_attributes = false;           // cl_amd_device_attribute_query: free memory can be asked for
};

struct Enumeration {
  std::vector<FoundDevice> devices;
  std::vector<std::string> platforms;  // names and versions
  bool pocl = false;                   // one of the devices is PoCL's
  std::string failure;                 // why there is no platform, or which of them failed; empty if all answered
};

// Never throws for what a driver answers; a platform that fails is named in `failure` and the others are listed.
Enumeration enumerate(const Api& api);

// Whether it is a device of PoCL, by its version text ("OpenCL 3.0 PoCL HSTR: ...").
bool is_pocl(const Api& api, abi::Device device);

// A string with trailing NULs and white space cut off and runs of blanks made one; empty if the call fails.
std::string device_text(const Api& api, abi::Device device, abi::Uint name);

template <class T>
std::optional<T> device_value(const Api& api, abi::Device device, abi::Uint name) {
  T value{};
  if (api.get_device_info(device, name, sizeof(value), &value, nullptr) != abi::success) return std::nullopt;
  return value;
}

}  // namespace warpwright::opencl
