// The part of NVML (libnvidia-ml.so.1) that this backend uses, declared by ourselves; see cuda_abi.hpp for why.
#pragma once

#include <cstddef>
#include <cstdint>

namespace warpwright::cuda::nvml_abi {

// nvmlReturn_t.
enum Result : std::uint32_t {
  success = 0,
  uninitialized = 1,
  invalid_argument = 2,
  not_supported = 3,
  no_permission = 4,
  not_found = 6,
  insufficient_size = 7,
  driver_not_loaded = 9,
  library_not_found = 12,
  function_not_found = 13,
  gpu_is_lost = 15,
  operating_system = 17,
  library_version_mismatch = 18,
  argument_version_mismatch = 25,
  unknown = 999
};

// nvmlClockType_t.
enum ClockType : std::uint32_t { clock_graphics = 0, clock_sm = 1, clock_memory = 2 };

// nvmlTemperatureSensors_t.
enum TemperatureSensor : std::uint32_t { sensor_gpu = 0 };

// nvmlTemperature_v1_t: the argument of nvmlDeviceGetTemperatureV (drivers of CUDA 12.8 and newer).
struct Temperature {
  std::uint32_t version;
  TemperatureSensor sensor;
  std::int32_t celsius;
};
static_assert(sizeof(Temperature) == 12 && offsetof(Temperature, sensor) == 4 && offsetof(Temperature, celsius) == 8);
// The structure's size in the low bytes, its version number 1 in the top byte.
inline constexpr std::uint32_t temperature_version_1 = 0x100000C;

// nvmlClocksEventReason* bits.
inline constexpr std::uint64_t reason_gpu_idle = 0x1;
inline constexpr std::uint64_t reason_application_clocks = 0x2;
inline constexpr std::uint64_t reason_software_power_cap = 0x4;
inline constexpr std::uint64_t reason_hardware_slowdown = 0x8;
inline constexpr std::uint64_t reason_sync_boost = 0x10;
inline constexpr std::uint64_t reason_software_thermal = 0x20;
inline constexpr std::uint64_t reason_hardware_thermal = 0x40;
inline constexpr std::uint64_t reason_hardware_power_brake = 0x80;
inline constexpr std::uint64_t reason_display_clocks = 0x100;

struct DeviceTag;
using DeviceHandle = DeviceTag*;  // nvmlDevice_t

struct Functions {
  Result (*init)() = nullptr;
  Result (*shutdown)() = nullptr;
  const char* (*error_string)(Result result) = nullptr;
  Result (*system_get_driver_version)(char* version, unsigned length) = nullptr;
  Result (*device_get_handle_by_pci_bus_id)(const char* id, DeviceHandle* device) = nullptr;
  Result (*device_get_clock)(DeviceHandle device, ClockType type, unsigned* megahertz) = nullptr;
  Result (*device_get_max_clock)(DeviceHandle device, ClockType type, unsigned* megahertz) = nullptr;
  Result (*device_get_temperature_v)(DeviceHandle device, Temperature* temperature) = nullptr;
  Result (*device_get_temperature)(DeviceHandle device, TemperatureSensor sensor, unsigned* celsius) = nullptr;
  Result (*device_get_power)(DeviceHandle device, unsigned* milliwatts) = nullptr;
  Result (*device_get_event_reasons)(DeviceHandle device, unsigned long long* reasons) = nullptr;
  Result (*device_get_throttle_reasons)(DeviceHandle device, unsigned long long* reasons) = nullptr;
};

// Calls visit(pointer, symbol, required) for every function. A missing optional one makes its value unavailable.
template <class FunctionTable, class Visitor>
void for_each_function(FunctionTable& functions, Visitor&& visit) {
  visit(functions.init, "nvmlInit_v2", true);
  visit(functions.shutdown, "nvmlShutdown", true);
  visit(functions.error_string, "nvmlErrorString", false);
  visit(functions.system_get_driver_version, "nvmlSystemGetDriverVersion", false);
  visit(functions.device_get_handle_by_pci_bus_id, "nvmlDeviceGetHandleByPciBusId_v2", true);
  visit(functions.device_get_clock, "nvmlDeviceGetClockInfo", false);
  visit(functions.device_get_max_clock, "nvmlDeviceGetMaxClockInfo", false);
  visit(functions.device_get_temperature_v, "nvmlDeviceGetTemperatureV", false);
  visit(functions.device_get_temperature, "nvmlDeviceGetTemperature", false);
  visit(functions.device_get_power, "nvmlDeviceGetPowerUsage", false);
  visit(functions.device_get_event_reasons, "nvmlDeviceGetCurrentClocksEventReasons", false);
  visit(functions.device_get_throttle_reasons, "nvmlDeviceGetCurrentClocksThrottleReasons", false);
}

}  // namespace warpwright::cuda::nvml_abi
