#include <array>
#include <type_traits>
#include <utility>

#include "library.hpp"
#include "nvml.hpp"
#include "unavailable.hpp"

namespace warpwright::cuda {

namespace {

constexpr const char* nvml_remedy =
    "NVML comes with the NVIDIA driver; a container needs the driver capability 'utility'";

// The bits that mean the clock was held down. Idle is no load, and application and display clocks are settings in force
// before the run: neither makes a measurement different from the next one.
struct Reason {
  std::uint64_t bit;
  std::string_view words;
};
constexpr Reason reasons[] = {{nvml_abi::reason_software_power_cap, device::power_cap},
                              {nvml_abi::reason_hardware_slowdown, "hardware slowdown"},
                              {nvml_abi::reason_sync_boost, "sync boost group"},
                              {nvml_abi::reason_software_thermal, "thermal limit (software)"},
                              {nvml_abi::reason_hardware_thermal, "thermal limit (hardware)"},
                              {nvml_abi::reason_hardware_power_brake, "power brake"}};

class NvmlTelemetry final : public device::Telemetry {
 public:
  NvmlTelemetry(std::shared_ptr<const Nvml> nvml, nvml_abi::DeviceHandle device)
      : nvml_(std::move(nvml)), device_(device) {}

  device::TelemetrySample sample() override {
    device::TelemetrySample sample;
    sample.sm_clock_mhz = clock(nvml_abi::clock_sm);
    sample.memory_clock_mhz = clock(nvml_abi::clock_memory);
    sample.temperature_celsius = temperature();
    unsigned milliwatts = 0;
    if (ask(nvml_->api().device_get_power, &milliwatts)) sample.power_milliwatt = static_cast<int>(milliwatts);
    // The old name goes away in new drivers, the new one is missing in old ones.
    unsigned long long bits = 0;
    if (ask(nvml_->api().device_get_event_reasons, &bits) || ask(nvml_->api().device_get_throttle_reasons, &bits)) {
      sample.throttle_reasons = bits;
    }
    return sample;
  }

  std::vector<std::string> throttling(const device::TelemetrySample& sample) const override {
    std::vector<std::string> words;
    for (const Reason& reason : reasons) {
      if (sample.throttle_reasons && (*sample.throttle_reasons & reason.bit) != 0) words.emplace_back(reason.words);
    }
    return words;
  }

 private:
  template <class Value>
  bool ask(nvml_abi::Result (*function)(nvml_abi::DeviceHandle, Value*), Value* value) const {
    return function != nullptr && function(device_, value) == nvml_abi::success;
  }

  std::optional<int> clock(nvml_abi::ClockType type) const {
    unsigned megahertz = 0;
    if (nvml_->api().device_get_clock == nullptr ||
        nvml_->api().device_get_clock(device_, type, &megahertz) != nvml_abi::success) {
      return std::nullopt;
    }
    return static_cast<int>(megahertz);
  }

  std::optional<int> temperature() const {
    nvml_abi::Temperature reading{nvml_abi::temperature_version_1, nvml_abi::sensor_gpu, 0};
    if (ask(nvml_->api().device_get_temperature_v, &reading)) return reading.celsius;
    unsigned celsius = 0;
    if (nvml_->api().device_get_temperature != nullptr &&
        nvml_->api().device_get_temperature(device_, nvml_abi::sensor_gpu, &celsius) == nvml_abi::success) {
      return static_cast<int>(celsius);
    }
    return std::nullopt;
  }

  std::shared_ptr<const Nvml> nvml_;
  nvml_abi::DeviceHandle device_;
};

}  // namespace

std::shared_ptr<const Nvml> Nvml::load(const std::filesystem::path& library) {
  std::vector<std::string> names = {"libnvidia-ml.so.1", "/usr/local/nvidia/lib64/libnvidia-ml.so.1",
                                    "/usr/lib/wsl/lib/libnvidia-ml.so.1"};
  if (!library.empty()) names = {library.string()};
  std::vector<std::string> failures;
  auto opened = SharedLibrary::open_first(names, failures);
  if (!opened) {
    throw Unavailable("no NVML: " + names.front() + " not found (" + failures.front() + ")", nvml_remedy);
  }
  nvml_abi::Functions functions;
  std::string missing;
  nvml_abi::for_each_function(functions, [&](auto& pointer, const char* symbol, bool required) {
    pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(opened->symbol(symbol));
    if (pointer == nullptr && required) missing += std::string(missing.empty() ? "" : ", ") + symbol;
  });
  if (!missing.empty()) {
    throw Unavailable("NVML in " + opened->path().string() + " lacks " + missing, nvml_remedy);
  }
  return std::make_shared<const Nvml>(functions, opened->path());
}

Nvml::Nvml(const nvml_abi::Functions& functions, std::filesystem::path path)
    : functions_(functions), path_(std::move(path)) {
  const nvml_abi::Result result = functions_.init();
  if (result == nvml_abi::success) return;
  const char* text = functions_.error_string != nullptr ? functions_.error_string(result) : nullptr;
  const std::string words = text != nullptr ? text : "error " + std::to_string(result);
  throw Unavailable("NVML in " + path_.string() + " does not start: " + words, nvml_remedy,
                    NativeError{static_cast<std::int64_t>(result), words});
}

Nvml::~Nvml() { functions_.shutdown(); }

std::optional<std::string> Nvml::driver_version() const {
  // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE is 80.
  std::array<char, 96> text{};
  if (functions_.system_get_driver_version == nullptr ||
      functions_.system_get_driver_version(text.data(), static_cast<unsigned>(text.size() - 1)) != nvml_abi::success) {
    return std::nullopt;
  }
  return std::string(text.data());
}

nvml_abi::DeviceHandle Nvml::find(const std::string& pci_bus_id) const {
  nvml_abi::DeviceHandle device = nullptr;
  if (pci_bus_id.empty()) return nullptr;
  if (functions_.device_get_handle_by_pci_bus_id(pci_bus_id.c_str(), &device) != nvml_abi::success) return nullptr;
  return device;
}

std::unique_ptr<device::Telemetry> make_telemetry(std::shared_ptr<const Nvml> nvml, const std::string& pci_bus_id) {
  const nvml_abi::DeviceHandle device = nvml->find(pci_bus_id);
  if (device == nullptr) return nullptr;
  return std::make_unique<NvmlTelemetry>(std::move(nvml), device);
}

}  // namespace warpwright::cuda
