// Names of devices as users write them: "cuda:0", "opencl:0:1" (platform:device), "sim:0".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace warpwright {

struct DeviceId {
  std::string backend;
  std::vector<int> ordinals;  // one for cuda and sim, two (platform, device) for opencl

  // Throws Error(bad_input) that says what a right id looks like.
  static DeviceId parse(std::string_view text);
  std::string to_string() const;
  bool operator==(const DeviceId&) const = default;
};

}  // namespace warpwright
