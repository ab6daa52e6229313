// DeviceInfo from the driver's attributes.
#pragma once

#include <string>

#include <warpwright/model/device_info.hpp>

#include "driver.hpp"

namespace warpwright::cuda {

// Needs no context. `driver_version` and `toolkit` are taken as given. Throws Error if the driver does not know the
// device or hides an attribute that every GPU has; attributes that may be missing are left absent.
DeviceInfo describe_device(const CudaDriver& driver, int ordinal, const std::string& driver_version,
                           const std::string& toolkit);

// "GPU-5a3c9a1e-....": as nvidia-smi writes it.
std::string format_uuid(const abi::Uuid& uuid, bool multi_instance);

}  // namespace warpwright::cuda
