#include <fmt/format.h>

#include <warpwright/base/error.hpp>
#include <warpwright/sim/backend.hpp>

#include "compiler.hpp"
#include "context.hpp"

namespace warpwright::sim {

namespace {

class SimTelemetry final : public device::Telemetry {
 public:
  explicit SimTelemetry(std::shared_ptr<const World> world) : world_(std::move(world)) {}
  device::TelemetrySample sample() override { return world_->options.telemetry(); }
  std::vector<std::string> throttling(const device::TelemetrySample& sample) const override {
    std::vector<std::string> words;
    const std::uint64_t bits = sample.throttle_reasons.value_or(0);
    // The bits of NVML, so that what is tested here reads like the real thing.
    if ((bits & 0x4) != 0) words.emplace_back(device::power_cap);
    if ((bits & (0x8 | 0x80)) != 0) words.emplace_back("hardware slowdown");
    if ((bits & (0x20 | 0x40)) != 0) words.emplace_back("thermal slowdown");
    return words;
  }

 private:
  std::shared_ptr<const World> world_;
};

class SimBackend final : public device::Backend {
 public:
  explicit SimBackend(std::shared_ptr<const World> world) : world_(std::move(world)) {}

  std::string name() const override { return "sim"; }
  device::ProbeResult probe() const override {
    device::ProbeResult result;
    result.usable = true;
    result.components.push_back(
        {"simulated device", true, fmt::format("{} (no hardware needed)", world_->devices.size()), ""});
    return result;
  }
  std::vector<DeviceInfo> devices() const override { return world_->devices; }
  std::unique_ptr<device::Context> open(const DeviceId& id) const override {
    return open_context(world_, device::find_device(*this, id));
  }
  std::unique_ptr<device::Compiler> compiler(const DeviceInfo& device) const override {
    return make_compiler(world_, device::find_device(*this, device.id));
  }
  std::unique_ptr<device::Telemetry> telemetry(const DeviceInfo&) const override {
    return world_->options.telemetry ? std::make_unique<SimTelemetry>(world_) : nullptr;
  }

 private:
  std::shared_ptr<const World> world_;
};

void check_options(const Options& options) {
  const auto positive = [](double value, const char* name) {
    if (!(value > 0))
      throw Error(ErrorCode::bad_input, fmt::format("sim::Options::{} must be positive, not {}", name, value));
  };
  positive(options.devices, "devices");
  positive(options.to_device_rate, "to_device_rate");
  positive(options.to_host_rate, "to_host_rate");
  positive(options.pageable_to_device_rate, "pageable_to_device_rate");
  positive(options.pageable_to_host_rate, "pageable_to_host_rate");
  positive(options.device_rate, "device_rate");
  positive(options.duplex_factor, "duplex_factor");
  // A host whose calls take no time would poll for ever.
  positive(options.host_call.count(), "host_call");
  if (options.duplex_factor > 1)
    throw Error(ErrorCode::bad_input,
                fmt::format("sim::Options::duplex_factor must be at most 1, not {}", options.duplex_factor));
}

}  // namespace

DeviceInfo default_device() {
  DeviceInfo info;
  info.id = {"sim", {0}};
  info.kind = DeviceKind::simulated;
  info.name = "Simulated H100";
  info.vendor = "Warpwright";
  info.architecture = "sm_90";
  info.driver = "1";
  info.toolkit = "sim 1";
  info.multiprocessors = 132;
  info.warp_size = 32;
  info.max_threads_per_block = 1024;
  info.max_block = {1024, 1024, 64};
  info.max_grid = {2147483647, 65535, 65535};
  info.shared_per_block = Bytes{48 << 10};
  info.shared_per_block_optin = Bytes{227 << 10};
  info.shared_per_multiprocessor = Bytes{228 << 10};
  info.reserved_shared_per_block = Bytes{1 << 10};
  info.registers_per_block = 65536;
  info.registers_per_multiprocessor = 65536;
  info.max_threads_per_multiprocessor = 2048;
  info.max_blocks_per_multiprocessor = 32;
  info.global_memory = Bytes{std::uint64_t{80} << 30};
  info.constant_memory = Bytes{64 << 10};
  info.l2_cache = Bytes{50 << 20};
  info.l2_cache_source = "simulated";
  info.clock_mhz = 1980;
  info.memory_clock_mhz = 2619;
  info.memory_bus_bits = 5120;
  info.copy_engines = 3;
  info.supports_cooperative_launch = true;
  info.supports_clusters = true;
  info.supports_graphs = true;
  info.supports_float64 = true;
  info.supports_float16 = true;
  return info;
}

std::unique_ptr<device::Backend> make_backend() { return make_backend(Options{}); }

std::unique_ptr<device::Backend> make_backend(Options options) {
  check_options(options);
  auto world = std::make_shared<World>();
  world->behaviours = built_in_behaviours();
  for (const auto& [name, behaviour] : options.behaviours) {
    if (!behaviour.run) throw Error(ErrorCode::bad_input, "sim::Options::behaviours: '" + name + "' has no function");
    world->behaviours[name] = behaviour;
  }
  for (int d = 0; d < options.devices; ++d) {
    world->devices.push_back(options.device);
    world->devices.back().id = {"sim", {d}};
    world->devices.back().kind = DeviceKind::simulated;
  }
  world->options = std::move(options);
  return std::make_unique<SimBackend>(std::move(world));
}

}  // namespace warpwright::sim
