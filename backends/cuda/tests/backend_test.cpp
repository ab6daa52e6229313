// Probing, telemetry and the search for libraries.
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>

#include "backend_impl.hpp"
#include "fake_driver.hpp"
#include "toolkit.hpp"

namespace warpwright::cuda {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// --- a fake NVML ---
struct FakeNvml {
  int initialised = 0;
  nvml_abi::Result init_result = nvml_abi::success;
  bool known = true;
  bool temperature_v = true;
  std::string asked;
};
FakeNvml* nvml = nullptr;

nvml_abi::Functions nvml_functions() {
  nvml_abi::Functions f;
  f.init = [] {
    if (nvml->init_result == nvml_abi::success) ++nvml->initialised;
    return nvml->init_result;
  };
  f.shutdown = [] {
    --nvml->initialised;
    return nvml_abi::success;
  };
  f.error_string = [](nvml_abi::Result) -> const char* { return "Driver/library version mismatch"; };
  f.system_get_driver_version = [](char* text, unsigned length) {
    std::snprintf(text, length, "580.65.06");
    return nvml_abi::success;
  };
  f.device_get_handle_by_pci_bus_id = [](const char* id, nvml_abi::DeviceHandle* device) {
    nvml->asked = id;
    *device = reinterpret_cast<nvml_abi::DeviceHandle>(0x10);
    return nvml->known ? nvml_abi::success : nvml_abi::not_found;
  };
  f.device_get_clock = [](nvml_abi::DeviceHandle, nvml_abi::ClockType type, unsigned* mhz) {
    *mhz = type == nvml_abi::clock_sm ? 1755 : 2619;
    return nvml_abi::success;
  };
  f.device_get_temperature_v = [](nvml_abi::DeviceHandle, nvml_abi::Temperature* t) {
    if (t->version != nvml_abi::temperature_version_1) return nvml_abi::argument_version_mismatch;
    t->celsius = 61;
    return nvml->temperature_v ? nvml_abi::success : nvml_abi::not_supported;
  };
  f.device_get_temperature = [](nvml_abi::DeviceHandle, nvml_abi::TemperatureSensor, unsigned* celsius) {
    *celsius = 60;
    return nvml_abi::success;
  };
  f.device_get_power = [](nvml_abi::DeviceHandle, unsigned* milliwatts) {
    *milliwatts = 345678;
    return nvml_abi::success;
  };
  f.device_get_event_reasons = [](nvml_abi::DeviceHandle, unsigned long long* bits) {
    *bits = 0x1 | 0x2 | 0x4 | 0x40;
    return nvml_abi::success;
  };
  return f;
}

class NvmlTest : public ::testing::Test {
 protected:
  NvmlTest() { nvml = &fake; }
  ~NvmlTest() override { nvml = nullptr; }
  FakeNvml fake;
};

TEST_F(NvmlTest, SamplesAndNamesThrottling) {
  {
    const auto library = std::make_shared<const Nvml>(nvml_functions());
    EXPECT_EQ(library->driver_version(), "580.65.06");
    const auto telemetry = make_telemetry(library, "0000:3b:00.0");
    ASSERT_NE(telemetry, nullptr);
    EXPECT_EQ(fake.asked, "0000:3b:00.0");
    auto sample = telemetry->sample();
    EXPECT_EQ(sample.sm_clock_mhz, 1755);
    EXPECT_EQ(sample.memory_clock_mhz, 2619);
    EXPECT_EQ(sample.temperature_celsius, 61);
    EXPECT_EQ(sample.power_milliwatt, 345678);
    EXPECT_EQ(sample.throttle_reasons, 0x47u);
    EXPECT_THAT(telemetry->throttling(sample), ElementsAre("power cap", "thermal limit (hardware)"));
    sample.throttle_reasons = 0x103;
    EXPECT_THAT(telemetry->throttling(sample), IsEmpty()) << "idle and settings hold no clock down";
    sample.throttle_reasons.reset();
    EXPECT_THAT(telemetry->throttling(sample), IsEmpty());
    fake.temperature_v = false;
    EXPECT_EQ(telemetry->sample().temperature_celsius, 60);
  }
  EXPECT_EQ(fake.initialised, 0);
}

TEST_F(NvmlTest, WhatIsMissingIsAbsent) {
  auto functions = nvml_functions();
  functions.device_get_clock = nullptr;
  functions.device_get_power = nullptr;
  functions.device_get_temperature = nullptr;
  functions.device_get_temperature_v = nullptr;
  functions.system_get_driver_version = nullptr;
  functions.device_get_throttle_reasons = std::exchange(functions.device_get_event_reasons, nullptr);
  const auto library = std::make_shared<const Nvml>(functions);
  EXPECT_FALSE(library->driver_version());
  const auto sample = make_telemetry(library, "0000:3b:00.0")->sample();
  EXPECT_FALSE(sample.sm_clock_mhz || sample.memory_clock_mhz || sample.temperature_celsius || sample.power_milliwatt);
  EXPECT_EQ(sample.throttle_reasons, 0x47u) << "by the older function";
}

TEST_F(NvmlTest, UnknownDevicesHaveNoTelemetry) {
  fake.known = false;
  const auto library = std::make_shared<const Nvml>(nvml_functions());
  EXPECT_EQ(make_telemetry(library, "0000:3b:00.0"), nullptr);
  EXPECT_EQ(make_telemetry(library, ""), nullptr);
}

TEST_F(NvmlTest, AFailedStartIsUnavailableAndNotShutDown) {
  fake.init_result = nvml_abi::library_version_mismatch;
  try {
    Nvml library(nvml_functions());
    FAIL();
  } catch (const Unavailable& error) {
    EXPECT_THAT(error.what(), HasSubstr("version mismatch"));
  }
  EXPECT_EQ(fake.initialised, 0);
}

// --- probing ---
Loaders nothing() {
  return {[]() -> std::shared_ptr<const CudaDriver> { throw Unavailable("no driver", "buy one"); },
          []() -> std::shared_ptr<const Nvrtc> { throw Unavailable("no NVRTC", "install it"); },
          []() -> std::shared_ptr<const Nvml> { throw Unavailable("no NVML", "start it"); }};
}

TEST_F(NvmlTest, ProbeOfAWorkingMachine) {
  FakeDriver driver;
  Loaders loaders = nothing();
  int opened = 0;
  loaders.driver = [&] {
    ++opened;
    return std::make_shared<const CudaDriver>(driver.functions(), "/lib/libcuda.so.1");
  };
  loaders.nvml = [] { return std::make_shared<const Nvml>(nvml_functions(), "/lib/libnvidia-ml.so.1"); };
  const auto backend = make_backend(Options{}, loaders);
  EXPECT_EQ(opened, 0) << "opened before it was needed";
  const auto probe = backend->probe();
  EXPECT_TRUE(probe.usable);
  EXPECT_EQ(probe.reason, "");
  ASSERT_EQ(probe.components.size(), 4u);
  EXPECT_TRUE(probe.components[0].present);
  EXPECT_EQ(probe.components[0].detail, "driver 580.65.06, CUDA 13.0, /lib/libcuda.so.1, 2 devices");
  EXPECT_EQ(probe.components[0].remedy, "");
  EXPECT_FALSE(probe.components[1].present);
  EXPECT_EQ(probe.components[1].detail, "no NVRTC");
  EXPECT_EQ(probe.components[1].remedy, "install it");
  EXPECT_TRUE(probe.components[1].required);
  EXPECT_FALSE(probe.components[2].required);
  EXPECT_TRUE(probe.components[3].present);
  const auto devices = backend->devices();
  ASSERT_EQ(devices.size(), 2u);
  EXPECT_EQ(devices[1].id.to_string(), "cuda:1");
  EXPECT_EQ(devices[1].driver, "580.65.06");
  EXPECT_EQ(devices[1].toolkit, "");
  EXPECT_NE(backend->telemetry(devices[1]), nullptr);
  EXPECT_EQ(fake.asked, "0000:5e:00.0");
  EXPECT_THROW(backend->compiler(devices[0]), Unavailable);
  EXPECT_EQ(opened, 1);
  EXPECT_EQ(driver.created["context"], 0) << "looking opens no context";
}

TEST(Probe, WithoutADriverTheReasonAndTheRemedyAreTold) {
  Options options;
  options.driver_library = "libwarpwright-has-no-such.so.1";
  options.nvml_library = options.driver_library;
  const auto backend = make_backend(options);
  for (int i = 0; i < 2; ++i) {
    const auto probe = backend->probe();
    EXPECT_FALSE(probe.usable);
    EXPECT_THAT(probe.reason, HasSubstr("no CUDA driver: libwarpwright-has-no-such.so.1 not found"));
    EXPECT_THAT(probe.remedy, HasSubstr("NVIDIA driver"));
    EXPECT_THAT(probe.components[3].detail, HasSubstr("no NVML"));
  }
  EXPECT_THAT(backend->devices(), IsEmpty());
  EXPECT_THROW(backend->open(DeviceId{"cuda", {0}}), Unavailable);
  EXPECT_EQ(backend->telemetry(DeviceInfo{}), nullptr);
}

TEST(Probe, NoDeviceAndNoPermissionAreTold) {
  for (const auto& [result, words] :
       std::initializer_list<std::pair<abi::Result, const char*>>{{abi::no_device, "CUDA_VISIBLE_DEVICES"},
                                                                  {abi::unknown, "/dev/nvidia-uvm"},
                                                                  {abi::system_driver_mismatch, "differ in version"}}) {
    FakeDriver driver;
    driver.failing_function = "cuInit";
    driver.failure = result;
    Loaders loaders = nothing();
    loaders.driver = [&] { return std::make_shared<const CudaDriver>(driver.functions(), "libcuda.so.1"); };
    const auto probe = make_backend(Options{}, loaders)->probe();
    EXPECT_FALSE(probe.usable);
    EXPECT_THAT(probe.reason, HasSubstr("cuInit"));
    EXPECT_THAT(probe.remedy, HasSubstr(words));
  }
  FakeDriver driver;
  driver.device_count = 0;
  Loaders loaders = nothing();
  loaders.driver = [&] { return std::make_shared<const CudaDriver>(driver.functions(), "libcuda.so.1"); };
  const auto probe = make_backend(Options{}, loaders)->probe();
  EXPECT_FALSE(probe.usable);
  EXPECT_THAT(probe.reason, HasSubstr("no GPU"));
}

// The toolkit's link-time library has every symbol of a driver: it shows that all our names exist.
TEST(Probe, TheLinkTimeLibraryHasEverySymbolAndIsRecognised) {
  fs::path library;
  for (const auto& folder : toolkit_folders(Options{})) {
    for (const char* name :
         {"lib64/stubs/libcuda.so", "lib/stubs/libcuda.so", "targets/x86_64-linux/lib/stubs/libcuda.so"}) {
      if (library.empty() && fs::exists(folder / name)) library = folder / name;
    }
  }
  if (library.empty()) GTEST_SKIP() << "no toolkit with a link-time libcuda.so is installed";
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(handle, nullptr) << dlerror();
  abi::Functions functions;
  abi::for_each_function(functions, [&](auto&, const char* symbol, abi::Need) {
    EXPECT_NE(dlsym(handle, symbol), nullptr) << symbol << " (older than CUDA 12.4?)";
  });
  dlclose(handle);
  Options options;
  options.driver_library = library;
  const auto probe = make_backend(options)->probe();
  EXPECT_FALSE(probe.usable);
  EXPECT_THAT(probe.reason, HasSubstr(library.filename().string()));
  EXPECT_THAT(probe.remedy, HasSubstr("stubs"));
}

TEST(Probe, ALibraryThatIsNoDriverIsRefused) {
  Options options;
  options.driver_library = "libm.so.6";
  options.nvrtc_library = "libm.so.6";
  options.nvml_library = "libm.so.6";
  const auto probe = make_backend(options)->probe();
  EXPECT_THAT(probe.reason, HasSubstr("lacks cuInit, "));
  EXPECT_THAT(probe.components[1].detail, HasSubstr("lacks nvrtcGetErrorString"));
  EXPECT_THAT(probe.components[3].detail, HasSubstr("lacks nvmlInit_v2"));
}

// --- toolkits ---
class ToolkitTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root = fs::path(::testing::TempDir()) / ("warpwright-toolkit-" + std::to_string(::getpid()));
    fs::remove_all(root);
    options.use_default_toolkit_folders = false;
  }
  void TearDown() override { fs::remove_all(root); }
  fs::path file(const fs::path& name) {
    fs::create_directories((root / name).parent_path());
    write_file_atomically(root / name, "");
    return root / name;
  }
  fs::path root;
  Options options;
};

TEST_F(ToolkitTest, VersionsAreOrderedAsNumbers) {
  for (const char* name : {"cuda-9.2", "cuda-13.0", "cuda-12.10", "cuda-12.9", "other-99"}) {
    fs::create_directories(root / name);
  }
  EXPECT_THAT(versioned_toolkits(root),
              ElementsAre(root / "cuda-13.0", root / "cuda-12.10", root / "cuda-12.9", root / "cuda-9.2"));
  EXPECT_THAT(versioned_toolkits(root / "nowhere"), IsEmpty());
}

TEST_F(ToolkitTest, NamedToolkitsComeBeforeTheLoadersPath) {
  const auto library = file("kit/lib64/libnvrtc.so.12");
  options.toolkit_folders = {root / "kit"};
  EXPECT_THAT(nvrtc_candidates(options),
              ElementsAre(library.string(), "libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"));
  options.nvrtc_library = "/somewhere/libnvrtc.so";
  EXPECT_THAT(nvrtc_candidates(options), ElementsAre("/somewhere/libnvrtc.so"));
}

TEST_F(ToolkitTest, HeadersBelongToTheLoadedLibrary) {
  const auto library = file("cuda-12.9/targets/x86_64-linux/lib/libnvrtc.so.12");
  file("cuda-12.9/include/cuda_fp16.h");
  file("cuda-13.0/include/cuda_fp16.h");
  fs::create_directories(root / "cuda-13.0/include/cccl");
  options.toolkit_folders = {root / "cuda-13.0"};
  EXPECT_THAT(find_toolkit_headers(options, library).include_folders(),
              ElementsAre(fs::canonical(root) / "cuda-12.9/include"));
  EXPECT_THAT(find_toolkit_headers(options, "libnvrtc.so").include_folders(),
              ElementsAre(root / "cuda-13.0/include", root / "cuda-13.0/include/cccl"));
  options.toolkit_folders = {root / "empty"};
  const auto none = find_toolkit_headers(options, {});
  EXPECT_FALSE(none.include);
  EXPECT_THAT(none.include_folders(), IsEmpty());
  EXPECT_THAT(none.looked_in, Not(IsEmpty()));
  EXPECT_EQ(none.looked_in.front(), root / "empty/include");
}

TEST_F(ToolkitTest, AMissingCompilerSaysWhereItWasLookedFor) {
  options.nvrtc_library = root / "libnvrtc.so";
  try {
    make_nvrtc_compiler("sm_90", options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_THAT(error.what(), HasSubstr((root / "libnvrtc.so").string()));
    EXPECT_THAT(error.what(), HasSubstr("install the CUDA toolkit"));
  }
}

TEST(OldNvrtc, IsTooOld) {
  nvrtc_abi::Functions functions;
  functions.get_error_string = [](nvrtc_abi::Result) -> const char* { return "NVRTC_ERROR_INTERNAL_ERROR"; };
  functions.version = [](int* major, int* minor) {
    *major = 11;
    *minor = 8;
    return nvrtc_abi::success;
  };
  try {
    Nvrtc nvrtc(functions, "/lib/libnvrtc.so.11.2");
    FAIL();
  } catch (const Unavailable& error) {
    EXPECT_THAT(error.reason(), HasSubstr("NVRTC 11.8 in /lib/libnvrtc.so.11.2 is too old"));
    EXPECT_THAT(error.remedy(), HasSubstr("12 or 13"));
  }
  functions.version = [](int*, int*) { return nvrtc_abi::internal_error; };
  EXPECT_THROW(Nvrtc{functions}, Unavailable);
}

TEST(CompileTarget, FitsTheDevice) {
  const std::vector<int> nvrtc13 = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};
  EXPECT_EQ(compile_target(9, 0, nvrtc13), "sm_90a");
  EXPECT_EQ(compile_target(8, 0, nvrtc13), "sm_80");
  EXPECT_EQ(compile_target(10, 3, nvrtc13), "sm_103a");
  EXPECT_EQ(compile_target(12, 0, nvrtc13), "sm_120a");
  EXPECT_EQ(compile_target(6, 1, nvrtc13), std::nullopt);
  EXPECT_EQ(compile_target(13, 0, nvrtc13), std::nullopt);
  // Code for an older minor version of the same major one runs, without the architecture-specific features.
  EXPECT_EQ(compile_target(8, 9, {80, 86}), "sm_86");
  EXPECT_EQ(compile_target(10, 3, {90, 100}), "sm_100");
  EXPECT_EQ(compile_target(8, 8, {80, 87}), "sm_80");
  EXPECT_EQ(compile_target(8, 7, {80, 86}), std::nullopt) << "integrated GPUs are another family";
  EXPECT_EQ(compile_target(9, 0, {80, 86}), std::nullopt);
}

}  // namespace
}  // namespace warpwright::cuda
