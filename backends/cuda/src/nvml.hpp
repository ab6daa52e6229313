// NVML as a table of functions, and telemetry on top of it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <warpwright/device/telemetry.hpp>

#include "nvml_abi.hpp"

namespace warpwright::cuda {

// Initialised while it lives. Thread-safe, as NVML is.
class Nvml {
 public:
  // Opens libnvidia-ml.so.1 (or `library`). Throws Error(unavailable).
  static std::shared_ptr<const Nvml> load(const std::filesystem::path& library = {});
  explicit Nvml(const nvml_abi::Functions& functions, std::filesystem::path path = {});
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  const nvml_abi::Functions& api() const noexcept { return functions_; }
  const std::filesystem::path& path() const noexcept { return path_; }
  // "580.65.06"; nullopt if NVML does not tell.
  std::optional<std::string> driver_version() const;
  // Null if NVML does not know the device. By PCI bus id: the numbering of CUDA and of NVML differ.
  nvml_abi::DeviceHandle find(const std::string& pci_bus_id) const;

 private:
  nvml_abi::Functions functions_;
  std::filesystem::path path_;
};

// Null if NVML does not know the device.
std::unique_ptr<device::Telemetry> make_telemetry(std::shared_ptr<const Nvml> nvml, const std::string& pci_bus_id);

}  // namespace warpwright::cuda
