// Clocks, temperature and throttling of a device while it works. Reads only; never changes a setting.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace warpwright::device {

// An absent value is "unavailable", never 0.
struct TelemetrySample {
  std::optional<int> sm_clock_mhz;
  std::optional<int> memory_clock_mhz;
  std::optional<int> temperature_celsius;
  std::optional<int> power_milliwatt;
  std::optional<std::uint64_t> throttle_reasons;  // vendor bit mask
};

// The word for a clock that is held down by the limit of the device's power, on every backend.
inline constexpr std::string_view power_cap = "power cap";

// Thread-safe. Calls may block on a wedged driver.
class Telemetry {
 public:
  virtual ~Telemetry() = default;
  virtual TelemetrySample sample() = 0;
  // Words for the bits of throttle_reasons that mean the clock was held down; empty if none.
  virtual std::vector<std::string> throttling(const TelemetrySample& sample) const = 0;
};

}  // namespace warpwright::device
