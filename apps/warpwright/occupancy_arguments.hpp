// What `warpwright occupancy` and `warpwright recommend` ask about: a device or an architecture, and what a kernel
// needs.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/device/backend.hpp>
#include <warpwright/model/device_info.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/tuning/kernel_tuner.hpp>

#include "kernel_file.hpp"

namespace warpwright::app {

struct OccupancyArguments {
  std::string architecture, device;
  std::string registers, static_shared, dynamic_shared, max_dynamic_shared, carveout, barriers, launch_bounds;
  std::string caching = "off";
  KernelFileArguments kernel;
  void add_to(CLI::App& command);
};

// What is asked about, before any file is read.
struct OccupancyTarget {
  std::optional<KernelTuner> tuner;  // absent where --kernel alone tells, or the device's limits are not known exactly
  std::optional<DeviceInfo> device;
  KernelTarget kernel_target;
};
// Throws Error(bad_input) naming the flag.
OccupancyTarget read_target(const OccupancyArguments& arguments, const device::BackendRegistry& backends);

// Puts the numbers of the flags over those of `config`. Throws Error(bad_input) naming the flag.
void read_kernel_numbers(const OccupancyArguments& arguments, KernelConfig& config);

// The question, with the kernel's file read.
struct OccupancyQuestion {
  std::optional<KernelTuner> tuner;  // absent where the device's limits are not known exactly
  std::optional<DeviceInfo> device;
  KernelConfig config;  // without block and grid
  std::optional<KernelFile> file;
};
// Throws Error(bad_input) naming the flag.
OccupancyQuestion read_question(const OccupancyArguments& arguments, const device::BackendRegistry& backends);

// "256", "16x16", "8,8,4". Throws Error(bad_input) naming the flag.
Dim3 parse_dim3(const std::string& text, const std::string& flag);
// A whole number from `low` to `high`. Throws Error(bad_input) naming the flag.
std::int64_t parse_whole(const std::string& text, const std::string& flag, std::int64_t low, std::int64_t high);

// "256", "16x8".
std::string shape_text(const Dim3& sizes);
// "256 x 1 x 1 threads, 33 registers, 0 bytes of static and 0 bytes of dynamic shared memory".
std::string describe(const KernelConfig& config);
// What both commands print of an occupancy.
store::Json to_json(const OccupancyInfo& info);
store::Json to_json(const KernelConfig& config);
// "62.5 %".
std::string percent(double fraction);

}  // namespace warpwright::app
