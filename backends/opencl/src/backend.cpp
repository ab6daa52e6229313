#include "backend.hpp"

#include <filesystem>
#include <mutex>
#include <optional>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/opencl/backend.hpp>

namespace warpwright::opencl {

namespace {

constexpr const char* install_loader = "install the package ocl-icd-libopencl1";
constexpr const char* install_driver = "install pocl-opencl-icd for a CPU device, or your GPU vendor's OpenCL driver";

class OpenclBackend final : public device::Backend {
 public:
  explicit OpenclBackend(Options options) : options_(std::move(options)) {}
  OpenclBackend(std::shared_ptr<const Api> api, Options options) : options_(std::move(options)) {
    std::call_once(loaded_once_, [&] { loaded_.api = std::move(api); });
  }

  std::string name() const override { return "opencl"; }

  device::ProbeResult probe() const override {
    device::ProbeResult result;
    device::Component loader{"OpenCL loader (libOpenCL.so.1)", false, "", ""};
    device::Component platform{"OpenCL platform", false, "", ""};
    device::Component device{"OpenCL device", false, "", ""};
    std::optional<device::Component> linker;
    const LoadedApi& loaded = load();
    if (loaded.api == nullptr) {
      loader.detail = loaded.reason;
      loader.remedy = install_loader;
      platform.detail = device.detail = "not looked for without the loader";
      platform.remedy = device.remedy = install_driver;
    } else {
      loader.present = true;
      loader.detail = loaded.api->library;
      const Enumeration found = enumerate(*loaded.api);
      platform.present = !found.platforms.empty();
      for (const auto& text : found.platforms) platform.detail += (platform.detail.empty() ? "" : ", ") + text;
      if (!platform.present) {
        platform.detail = found.failure.empty() ? "no OpenCL driver is installed" : found.failure;
        platform.remedy = install_driver;
      }
      device.present = !found.devices.empty();
      for (const auto& entry : found.devices)
        device.detail += (device.detail.empty() ? "" : ", ") + entry.info.id.to_string() + " " + entry.info.name;
      if (!device.present) {
        device.detail = "no platform has an available device";
        device.remedy = install_driver;
      }
      // A platform that fails beside others that work is worth a line, but does not make the backend unusable.
      if (platform.present && !found.failure.empty()) {
        auto& detail = device.detail;
        detail += (detail.empty() ? "" : "; ") + found.failure;
      }
      if (found.pocl && !options_.program_folders.empty()) linker = pocl_linker();
    }
    result.components = {loader, platform, device};
    result.usable = loader.present && platform.present && device.present;
    for (const auto& component : result.components) {
      if (component.present) continue;
      result.reason = component.name + ": " + component.detail;
      result.remedy = component.remedy;
      break;
    }
    // PoCL also looks in folders of its own, so a linker that is not found here is no reason to give up its devices.
    if (linker) result.components.push_back(*std::move(linker));
    return result;
  }

  std::vector<DeviceInfo> devices() const override {
    std::vector<DeviceInfo> infos;
    if (const auto& api = load().api)
      for (auto& found : enumerate(*api).devices) infos.push_back(std::move(found.info));
    return infos;
  }

  std::unique_ptr<device::Context> open(const DeviceId& id) const override {
    return open_context(load().api, find(id));
  }

  std::unique_ptr<device::Compiler> compiler(const DeviceInfo& device) const override {
    return make_compiler(load().api, find(device.id));
  }

  std::unique_ptr<device::Telemetry> telemetry(const DeviceInfo&) const override { return nullptr; }

 private:
  device::Component pocl_linker() const {
    device::Component linker{"linker of PoCL (ld)", false, "", ""};
    for (const auto& folder : options_.program_folders) {
      const std::filesystem::path program = folder / "ld";
      std::error_code error;
      if (!std::filesystem::is_regular_file(program, error) || ::access(program.c_str(), X_OK) != 0) continue;
      linker.present = true;
      linker.detail = program.string();
      return linker;
    }
    linker.detail = "no 'ld' on the PATH; PoCL links every kernel with it and ends the process where it is missing";
    linker.remedy = "install binutils";
    return linker;
  }

  // On the first use, so that a program that never asks for OpenCL does not open it.
  const LoadedApi& load() const {
    std::call_once(loaded_once_, [&] { loaded_ = load_api(options_.loader_library); });
    return loaded_;
  }

  FoundDevice find(const DeviceId& id) const {
    if (const auto& api = load().api) {
      Enumeration enumeration = enumerate(*api);
      for (auto& found : enumeration.devices)
        if (found.info.id == id) return std::move(found);
      // It may be one of those that could not be listed.
      if (!enumeration.failure.empty())
        throw Error(ErrorCode::unavailable, "device " + id.to_string() + " cannot be used: " + enumeration.failure);
    }
    device::find_device(*this, id);  // throws the error that says which devices there are, or what is missing
    throw Error(ErrorCode::unavailable, "device " + id.to_string() + " appeared while it was looked for; try again");
  }

  Options options_;
  mutable std::once_flag loaded_once_;
  mutable LoadedApi loaded_;
};

}  // namespace

std::unique_ptr<device::Backend> make_backend() { return make_backend(Options()); }

std::unique_ptr<device::Backend> make_backend(const Options& options) {
  return std::make_unique<OpenclBackend>(options);
}

std::unique_ptr<device::Backend> make_backend(const std::string& loader_library) {
  Options options;
  options.loader_library = loader_library;
  return make_backend(options);
}

std::unique_ptr<device::Backend> make_backend(std::shared_ptr<const Api> api, const Options& options) {
  return std::make_unique<OpenclBackend>(std::move(api), options);
}

}  // namespace warpwright::opencl
