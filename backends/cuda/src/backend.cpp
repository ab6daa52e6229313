#include <exception>
#include <utility>

#include <warpwright/cuda/backend.hpp>

#include "backend_impl.hpp"
#include "context.hpp"
#include "device_info.hpp"
#include "toolkit.hpp"

namespace warpwright::cuda {

namespace {

class CudaBackend final : public device::Backend {
 public:
  CudaBackend(Options options, Loaders loaders)
      : options_(std::move(options)),
        driver_(std::move(loaders.driver)),
        nvrtc_(std::move(loaders.nvrtc)),
        nvml_(std::move(loaders.nvml)) {}

  std::string name() const override { return "cuda"; }
  device::ProbeResult probe() const override;
  std::vector<DeviceInfo> devices() const override;
  std::unique_ptr<device::Context> open(const DeviceId& id) const override;
  std::unique_ptr<device::Compiler> compiler(const DeviceInfo& device) const override {
    return make_device_compiler(nvrtc_.get(), device, options_);
  }
  std::unique_ptr<device::Telemetry> telemetry(const DeviceInfo& device) const override;

 private:
  DeviceInfo describe(const CudaDriver& driver, int ordinal) const;
  std::string list_devices(const CudaDriver& driver) const;
  std::string driver_detail() const;
  std::string nvrtc_detail() const;
  std::string headers_detail() const;

  Options options_;
  Lazy<CudaDriver> driver_;
  Lazy<Nvrtc> nvrtc_;
  Lazy<Nvml> nvml_;
};

// A component from `ask`, which gives the detail of what is there and throws Unavailable for what is not.
template <class Ask>
device::Component component(std::string name, bool required, Ask&& ask) {
  device::Component result;
  result.name = std::move(name);
  result.required = required;
  try {
    result.detail = ask();
    result.present = true;
  } catch (const Unavailable& error) {
    result.detail = error.reason();
    if (error.native()) result.detail += " (" + error.native()->name + ")";
    result.remedy = error.remedy();
  }
  return result;
}

template <class Library>
std::shared_ptr<const Library> get_or_null(const Lazy<Library>& lazy) {
  try {
    return lazy.get();
  } catch (const Error&) {
    return nullptr;
  }
}

std::string CudaBackend::driver_detail() const {
  const auto driver = driver_.get();
  const auto nvml = get_or_null(nvml_);
  const auto version = nvml != nullptr ? nvml->driver_version() : std::nullopt;
  return (version ? "driver " + *version + ", " : "") + "CUDA " + driver->version_text() + ", " +
         driver->path().string() + ", " + std::to_string(driver->device_count()) +
         (driver->device_count() == 1 ? " device" : " devices");
}

std::string CudaBackend::nvrtc_detail() const {
  const auto nvrtc = nvrtc_.get();
  std::string text = "NVRTC " + nvrtc->version_text() + ", " + nvrtc->path().string();
  const auto driver = get_or_null(driver_);
  if (driver != nullptr && nvrtc->major() > driver->version() / 1000) {
    text += "; newer than the driver (CUDA " + driver->version_text() + "), which may refuse its binaries";
  }
  return text;
}

std::string CudaBackend::headers_detail() const {
  const auto nvrtc = get_or_null(nvrtc_);
  const auto headers = find_toolkit_headers(options_, nvrtc != nullptr ? nvrtc->path() : std::filesystem::path{});
  if (headers.include) return headers.include->string();
  if (nvrtc != nullptr && nvrtc->has_bundled_headers() && !options_.bundled_headers_folder.empty())
    return "those that NVRTC " + nvrtc->version_text() + " brings, unpacked below " +
           options_.bundled_headers_folder.string() + " when a kernel includes one";
  std::string text = "cuda_fp16.h not found in";
  const char* separator = " ";
  for (const auto& folder : headers.looked_in) text += std::exchange(separator, ", ") + folder.string();
  throw Unavailable(
      text,
      "install the toolkit's headers (package cuda-cudart-dev) or set CUDA_HOME; without them kernels cannot "
      "include cuda_fp16.h and the like");
}

device::ProbeResult CudaBackend::probe() const {
  device::ProbeResult result;
  try {
    result.components.push_back(component("CUDA driver (libcuda.so.1)", true, [&] { return driver_detail(); }));
    result.components.push_back(component("NVRTC", true, [&] { return nvrtc_detail(); }));
    result.components.push_back(component("CUDA toolkit headers", false, [&] { return headers_detail(); }));
    result.components.push_back(
        component("NVML (libnvidia-ml.so.1)", false, [&] { return nvml_.get()->path().string(); }));
    const device::Component& driver = result.components.front();
    if (!driver.present) {
      result.reason = driver.detail;
      result.remedy = driver.remedy;
    } else if (driver_.get()->device_count() == 0) {
      result.reason = "the CUDA driver sees no GPU";
      result.remedy = "check `nvidia-smi` and CUDA_VISIBLE_DEVICES";
    } else {
      result.usable = true;
    }
  } catch (const std::exception& error) {
    result.usable = false;
    result.reason = error.what();
  }
  return result;
}

DeviceInfo CudaBackend::describe(const CudaDriver& driver, int ordinal) const {
  const auto nvml = get_or_null(nvml_);
  const auto nvrtc = get_or_null(nvrtc_);
  const auto version = nvml != nullptr ? nvml->driver_version() : std::nullopt;
  return describe_device(driver, ordinal, version.value_or("CUDA driver API " + driver.version_text()),
                         nvrtc != nullptr ? "NVRTC " + nvrtc->version_text() : "");
}

std::vector<DeviceInfo> CudaBackend::devices() const {
  std::vector<DeviceInfo> devices;
  const auto driver = get_or_null(driver_);
  if (driver == nullptr) return devices;
  for (int ordinal = 0; ordinal < driver->device_count(); ++ordinal) devices.push_back(describe(*driver, ordinal));
  return devices;
}

std::string CudaBackend::list_devices(const CudaDriver& driver) const {
  if (driver.device_count() == 0) return "there are none";
  std::string text = "there are";
  const char* separator = " ";
  for (int ordinal = 0; ordinal < driver.device_count(); ++ordinal) {
    const DeviceInfo info = describe(driver, ordinal);
    text += std::exchange(separator, ", ") + info.id.to_string() + " (" + info.name + ")";
  }
  return text;
}

std::unique_ptr<device::Context> CudaBackend::open(const DeviceId& id) const {
  const auto driver = driver_.get();
  if (id.backend != "cuda" || id.ordinals.size() != 1 || id.ordinals[0] < 0 ||
      id.ordinals[0] >= driver->device_count()) {
    throw Error(ErrorCode::not_found, "no CUDA device '" + id.to_string() + "'; " + list_devices(*driver));
  }
  const int ordinal = id.ordinals[0];
  abi::Device device = 0;
  driver->check(driver->api().device_get(&device, ordinal), "find the device");
  return std::make_unique<CudaContext>(
      std::make_shared<const PrimaryContext>(driver, device, describe(*driver, ordinal)));
}

std::unique_ptr<device::Telemetry> CudaBackend::telemetry(const DeviceInfo& device) const {
  const auto nvml = get_or_null(nvml_);
  return nvml != nullptr ? make_telemetry(nvml, device.pci_bus_id) : nullptr;
}

}  // namespace

std::unique_ptr<device::Backend> make_backend(Options options, Loaders loaders) {
  return std::make_unique<CudaBackend>(std::move(options), std::move(loaders));
}

std::unique_ptr<device::Backend> make_backend(Options options) {
  Loaders loaders{[library = options.driver_library] { return CudaDriver::load(library); },
                  [options] { return Nvrtc::load(options); },
                  [library = options.nvml_library] { return Nvml::load(library); }};
  return make_backend(std::move(options), std::move(loaders));
}

std::unique_ptr<device::Backend> make_backend() { return make_backend(Options{}); }

}  // namespace warpwright::cuda
