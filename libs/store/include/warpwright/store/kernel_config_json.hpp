// How a profile of the simple form of PerformanceTuner keeps the launch of its winner.
#pragma once

#include <optional>

#include <warpwright/model/occupancy.hpp>
#include <warpwright/store/json.hpp>

namespace warpwright::store {

inline constexpr const char* kernel_config_key = "kernel_config";

Json kernel_config_json(const KernelConfig& config);
// nullopt where `details` of a profile has none, or not in this form.
std::optional<KernelConfig> kernel_config_of(const Json& details);

}  // namespace warpwright::store
