// libnvidia-ml.so.1 for tests: one GPU that is always at the same clocks.
#include <cstring>

#include "fault_state.hpp"
#include "nvml_abi.hpp"

using namespace warpwright::cuda;
namespace faults = warpwright::faults;
using nvml_abi::Result;

#define ENTER(name) \
  if (const int code = faults::enter(name); code != 0) return static_cast<Result>(code)

extern "C" {

Result nvmlInit_v2() {
  ENTER("nvmlInit_v2");
  return nvml_abi::success;
}

Result nvmlShutdown() {
  ENTER("nvmlShutdown");
  return nvml_abi::success;
}

const char* nvmlErrorString(Result) { return "the fake was asked to fail"; }

Result nvmlSystemGetDriverVersion(char* version, unsigned length) {
  ENTER("nvmlSystemGetDriverVersion");
  std::strncpy(version, "580.00", length);
  return nvml_abi::success;
}

Result nvmlDeviceGetHandleByPciBusId_v2(const char*, nvml_abi::DeviceHandle* device) {
  ENTER("nvmlDeviceGetHandleByPciBusId_v2");
  static int tag = 0;
  *device = reinterpret_cast<nvml_abi::DeviceHandle>(&tag);
  return nvml_abi::success;
}

Result nvmlDeviceGetClockInfo(nvml_abi::DeviceHandle, nvml_abi::ClockType type, unsigned* megahertz) {
  ENTER("nvmlDeviceGetClockInfo");
  *megahertz = type == nvml_abi::clock_memory ? 2619 : 1980;
  return nvml_abi::success;
}

Result nvmlDeviceGetMaxClockInfo(nvml_abi::DeviceHandle, nvml_abi::ClockType type, unsigned* megahertz) {
  ENTER("nvmlDeviceGetMaxClockInfo");
  *megahertz = type == nvml_abi::clock_memory ? 2619 : 1980;
  return nvml_abi::success;
}

Result nvmlDeviceGetTemperature(nvml_abi::DeviceHandle, nvml_abi::TemperatureSensor, unsigned* celsius) {
  ENTER("nvmlDeviceGetTemperature");
  *celsius = 45;
  return nvml_abi::success;
}

Result nvmlDeviceGetPowerUsage(nvml_abi::DeviceHandle, unsigned* milliwatts) {
  ENTER("nvmlDeviceGetPowerUsage");
  *milliwatts = 300000;
  return nvml_abi::success;
}

Result nvmlDeviceGetCurrentClocksEventReasons(nvml_abi::DeviceHandle, unsigned long long* reasons) {
  ENTER("nvmlDeviceGetCurrentClocksEventReasons");
  *reasons = 0;
  return nvml_abi::success;
}

}  // extern "C"
