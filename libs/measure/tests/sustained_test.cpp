#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/measure/sustained.hpp>
#include <warpwright/model/statistics.hpp>

#include "host_device.hpp"

namespace warpwright::measure {
namespace {

using ::testing::Each;
using testing::Host;
using testing::HostCompiler;
using testing::HostContext;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::StepClock;

// Two kernels on a device that boosts for 100 ms. "hungry" takes 1.0 ms in a boost and 1.3 ms at the power limit,
// "modest" 1.1 ms always. After a turn of the other one the clock takes 100 ms to follow.
class Sustained : public ::testing::Test {
 protected:
  Sustained() : context(host), compiler(host), stream(context.create_stream()) {
    host.info.kind = DeviceKind::gpu;
    host.kernels["hungry"] = [this](const testing::Call&) { spend("hungry", limits && boosted_out() ? 1.3e6 : 1e6); };
    host.kernels["modest"] = [this](const testing::Call&) { spend("modest", 1.1e6); };
    module = context.load(compiler.compile({}));
    for (const char* name : {"hungry", "modest"}) kernels[name] = module->kernel(name);
  }
  bool boosted_out() const { return host.device_time.count() > 100e6 && (host.device_time - since).count() > 100e6; }
  void spend(const std::string& name, double nanoseconds) {
    if (name != running) since = host.device_time;
    running = name;
    // The fake adds 1 us to each launch.
    host.device_time += Nanoseconds{nanoseconds - 1000};
  }
  SustainedWork work(const std::string& name, double estimate) {
    return {[this, name] { prepared.push_back(name); },
            {},
            [this, name] { stream->launch(*kernels.at(name), {}, {}); },
            Nanoseconds{estimate}};
  }
  SustainedTimes run(const std::function<std::optional<bool>()>& limited, CacheFlusher* flusher = nullptr) {
    const std::vector<SustainedWork> works{work("hungry", 1e6), work("modest", 1.1e6)};
    return run_sustained(context, *stream, flusher, works, limited, options, clock);
  }
  std::optional<bool> telemetry() const { return limits && host.device_time.count() > 100e6; }

  Host host;
  HostContext context;
  HostCompiler compiler;
  std::unique_ptr<device::Stream> stream;
  std::unique_ptr<device::Module> module;
  std::map<std::string, std::unique_ptr<device::Kernel>> kernels;
  StepClock clock;
  SustainedOptions options;
  bool limits = true;
  std::string running;
  Nanoseconds since{};
  std::vector<std::string> prepared;
};

TEST_F(Sustained, TimesAreThoseOfTheSettledClock) {
  clock.pass(Nanoseconds{1e9});
  const SustainedTimes times = run([&] {
    clock.pass(Nanoseconds{60e6});
    return telemetry();
  });
  ASSERT_TRUE(times.power_limited);
  ASSERT_THAT(times.samples, SizeIs(2));
  EXPECT_THAT(times.samples[0], SizeIs(6));
  for (const Nanoseconds sample : times.samples[0]) EXPECT_NEAR(sample.count(), 1.3e6, 1e4);
  for (const Nanoseconds sample : times.samples[1]) EXPECT_NEAR(sample.count(), 1.1e6, 1e4);
  // The probe, the settling in turns, and six rounds.
  EXPECT_GE(host.device_time.count(), 0.2e9 + 6e9 + 12 * 0.5e9);
  EXPECT_EQ(prepared.size(), 1 + 12 + 12u);
}

TEST_F(Sustained, WithoutThePowerLimitNothingButTheProbeRuns) {
  limits = false;
  int looks = 0;
  const SustainedTimes times = run([&] {
    ++looks;
    clock.pass(Nanoseconds{60e6});
    return telemetry();
  });
  EXPECT_FALSE(times.power_limited);
  EXPECT_THAT(times.samples, IsEmpty());
  EXPECT_GT(looks, 5);
  EXPECT_LT(host.device_time.count(), 1.2e9);
  EXPECT_EQ(prepared.size(), 1u);
}

TEST_F(Sustained, WithoutTelemetryTheProbeEndsAtOnce) {
  EXPECT_FALSE(run([] { return std::optional<bool>(); }).power_limited);
  EXPECT_LT(host.device_time.count(), 0.1e9);
}

TEST_F(Sustained, RunsWithSomethingBeforeThemAreTimedAlone) {
  CacheFlusher flusher(context, compiler, *stream);
  options.rounds = 2;
  options.settle = Nanoseconds{1e9};
  const SustainedTimes times = run(
      [&] {
        clock.pass(Nanoseconds{60e6});
        return telemetry();
      },
      &flusher);
  ASSERT_TRUE(times.power_limited);
  for (const Nanoseconds sample : times.samples[1]) EXPECT_NEAR(sample.count(), 1.1e6, 1) << "no flush in it";
  EXPECT_GT(host.count("fill"), 1000);
}

TEST_F(Sustained, ARunLongerThanABlockIsMeasured) {
  options.block = Nanoseconds{0.5e6};
  options.settle = Nanoseconds{2e6};
  options.probe = Nanoseconds{0.4e6};
  const SustainedTimes times = run([] { return std::optional<bool>(true); });
  ASSERT_TRUE(times.power_limited);
  EXPECT_THAT(times.samples[1], Each(Nanoseconds{1.1e6}));
}

}  // namespace
}  // namespace warpwright::measure
