#include <warpwright/model/device_info.hpp>

namespace warpwright {

std::string_view to_string(DeviceKind kind) noexcept {
  switch (kind) {
    case DeviceKind::gpu:
      return "gpu";
    case DeviceKind::cpu:
      return "cpu";
    case DeviceKind::accelerator:
      return "accelerator";
    case DeviceKind::simulated:
      return "simulated";
  }
  return "unknown";
}

}  // namespace warpwright
