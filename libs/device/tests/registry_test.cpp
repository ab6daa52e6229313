#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>

#include <warpwright/base/error.hpp>
#include <warpwright/device/backend.hpp>

#include "error_of.hpp"

namespace warpwright::device {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

DeviceInfo device_of(const std::string& id, DeviceKind kind) {
  DeviceInfo info;
  info.id = DeviceId::parse(id);
  info.kind = kind;
  info.name = "Device " + id;
  return info;
}

class ListedBackend final : public Backend {
 public:
  ListedBackend(std::string name, std::vector<DeviceInfo> devices, ProbeResult probe = {})
      : name_(std::move(name)), devices_(std::move(devices)), probe_(std::move(probe)) {}
  std::string name() const override { return name_; }
  ProbeResult probe() const override { return probe_; }
  std::vector<DeviceInfo> devices() const override { return devices_; }
  std::unique_ptr<Context> open(const DeviceId& id) const override {
    find_device(*this, id);
    return nullptr;
  }
  std::unique_ptr<Compiler> compiler(const DeviceInfo&) const override { return nullptr; }
  std::unique_ptr<Telemetry> telemetry(const DeviceInfo&) const override { return nullptr; }

 private:
  std::string name_;
  std::vector<DeviceInfo> devices_;
  ProbeResult probe_;
};

void add(BackendRegistry& registry, const std::string& name, std::vector<DeviceInfo> devices, ProbeResult probe = {}) {
  registry.add(std::make_unique<ListedBackend>(name, std::move(devices), std::move(probe)));
}

TEST(BackendRegistry, FindsByNameAndById) {
  BackendRegistry registry;
  add(registry, "cuda", {});
  add(registry, "opencl", {device_of("opencl:0:1", DeviceKind::cpu)});
  EXPECT_EQ(registry.all().size(), 2u);
  EXPECT_EQ(registry.find("opencl").name(), "opencl");
  EXPECT_EQ(registry.find(DeviceId::parse("cuda:3")).name(), "cuda");
  EXPECT_EQ(registry.describe(DeviceId::parse("opencl:0:1")).name, "Device opencl:0:1");
}

TEST(BackendRegistry, UnknownNamesAreCorrected) {
  BackendRegistry registry;
  EXPECT_THAT(error_of([&] { registry.find("cuda"); }).what(), HasSubstr("this program has none"));
  add(registry, "cuda", {});
  add(registry, "opencl", {});
  const Error error = error_of([&] { registry.find("openlc"); });
  EXPECT_EQ(error.code(), ErrorCode::not_found);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("did you mean 'opencl'?"), HasSubstr("there are: cuda, opencl")));
  EXPECT_THAT(error_of([&] { registry.find("metal"); }).what(), ::testing::Not(HasSubstr("did you mean")));
}

TEST(BackendRegistry, ANameIsRegisteredOnce) {
  BackendRegistry registry;
  add(registry, "cuda", {});
  EXPECT_EQ(error_of([&] { add(registry, "cuda", {}); }).code(), ErrorCode::internal);
  EXPECT_EQ(registry.all().size(), 1u);
}

TEST(BackendRegistry, MissingDevicesSayWhatThereIs) {
  BackendRegistry registry;
  ProbeResult broken;
  broken.reason = "libcuda.so.1 is missing";
  broken.remedy = "install the driver";
  add(registry, "cuda", {}, broken);
  add(registry, "sim", {device_of("sim:0", DeviceKind::simulated), device_of("sim:1", DeviceKind::simulated)});
  Error error = error_of([&] { registry.describe(DeviceId::parse("cuda:0")); });
  EXPECT_EQ(error.code(), ErrorCode::unavailable);
  EXPECT_THAT(error.what(),
              AllOf(HasSubstr("cuda:0"), HasSubstr("libcuda.so.1 is missing"), HasSubstr("install the driver")));
  error = error_of([&] { registry.describe(DeviceId::parse("sim:2")); });
  EXPECT_EQ(error.code(), ErrorCode::not_found);
  EXPECT_THAT(error.what(),
              AllOf(HasSubstr("no device sim:2"), HasSubstr("sim:0 (Device sim:0), sim:1 (Device sim:1)")));
}

TEST(BackendRegistry, TheBestDeviceIsNeverASimulation) {
  const auto best = [](const std::vector<std::pair<std::string, DeviceKind>>& devices) -> std::string {
    BackendRegistry registry;
    for (const auto& [id, kind] : devices) {
      const DeviceInfo info = device_of(id, kind);
      // Backends with several devices list them together.
      bool known = false;
      for (const auto& backend : registry.all()) known = known || backend->name() == info.id.backend;
      if (known) continue;
      std::vector<DeviceInfo> own;
      for (const auto& [other, other_kind] : devices)
        if (DeviceId::parse(other).backend == info.id.backend) own.push_back(device_of(other, other_kind));
      add(registry, info.id.backend, own);
    }
    const auto found = registry.best_device();
    return found ? found->id.to_string() : "none";
  };
  EXPECT_EQ(best({}), "none");
  EXPECT_EQ(best({{"sim:0", DeviceKind::simulated}}), "none");
  EXPECT_EQ(best({{"sim:0", DeviceKind::simulated}, {"opencl:0:0", DeviceKind::cpu}}), "opencl:0:0");
  EXPECT_EQ(best({{"opencl:0:0", DeviceKind::cpu}, {"opencl:1:0", DeviceKind::accelerator}}), "opencl:1:0");
  EXPECT_EQ(best({{"opencl:0:0", DeviceKind::accelerator}, {"opencl:1:0", DeviceKind::gpu}}), "opencl:1:0");
  EXPECT_EQ(best({{"opencl:0:0", DeviceKind::gpu}, {"cuda:0", DeviceKind::gpu}, {"cuda:1", DeviceKind::gpu}}),
            "cuda:0");
}

}  // namespace
}  // namespace warpwright::device
