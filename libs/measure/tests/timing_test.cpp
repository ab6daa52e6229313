#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/rng.hpp>
#include <warpwright/measure/timing.hpp>
#include <warpwright/model/statistics.hpp>

#include "host_device.hpp"

namespace warpwright::measure {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Gt;
using testing::Host;
using testing::HostCompiler;
using testing::HostContext;
using testing::StepClock;

std::vector<Nanoseconds> times(const std::vector<double>& values) {
  std::vector<Nanoseconds> result;
  for (const double value : values) result.emplace_back(value);
  return result;
}

double median_of(const std::vector<Nanoseconds>& samples) {
  std::vector<double> values;
  for (const Nanoseconds sample : samples) values.push_back(sample.count());
  return median(values);
}

TEST(EnoughSamples, AtLeastMinimumAndAtMostMaximum) {
  TimingOptions options;
  options.min_samples = 3;
  options.max_samples = 5;
  options.target_precision = 0;
  EXPECT_FALSE(enough_samples({}, Nanoseconds{1e18}, options));
  EXPECT_FALSE(enough_samples(times({1, 1}), Nanoseconds{1e18}, options));
  EXPECT_FALSE(enough_samples(times({1, 2, 3}), Nanoseconds{0}, options));
  EXPECT_TRUE(enough_samples(times({1, 2, 3, 4, 5}), Nanoseconds{0}, options));
  options.max_samples = 2;  // the maximum wins over a larger minimum
  EXPECT_TRUE(enough_samples(times({1, 2}), Nanoseconds{0}, options));
}

TEST(EnoughSamples, TimeBudgetEndsAfterTheMinimum) {
  TimingOptions options;
  options.min_samples = 2;
  options.target_precision = 0;
  options.time_budget = Nanoseconds{1000};
  EXPECT_FALSE(enough_samples(times({1, 2}), Nanoseconds{999}, options));
  EXPECT_TRUE(enough_samples(times({1, 2}), Nanoseconds{1000}, options));
}

TEST(EnoughSamples, PreciseSeriesEndsEarlyAndNoisyOneDoesNot) {
  TimingOptions options;
  EXPECT_TRUE(enough_samples(times({100, 100.5, 100, 99.9, 100.1}), Nanoseconds{0}, options));
  EXPECT_FALSE(enough_samples(times({100, 120, 100, 90, 110}), Nanoseconds{0}, options));
  EXPECT_FALSE(enough_samples(times({100, 100, 100, 100, 200}), Nanoseconds{0}, options))
      << "five give the whole range";
  // One outlier among many does not hold up a median.
  std::vector<double> many(20, 100.0);
  many.push_back(500);
  EXPECT_TRUE(enough_samples(times(many), Nanoseconds{0}, options));
}

TEST(EnoughSamples, StopsOnTheSamplesItWasToldAboutOnMadeUpNoise) {
  Rng rng(5);
  TimingOptions options;
  options.max_samples = 1000;
  std::vector<Nanoseconds> samples;
  while (!enough_samples(samples, Nanoseconds{0}, options))
    samples.emplace_back(1000 * (1 + 0.03 * std::abs(rng.normal())));
  EXPECT_GT(samples.size(), 5u);
  EXPECT_LT(samples.size(), 200u);
  EXPECT_NEAR(median_of(samples), 1000 * (1 + 0.03 * 0.6745), 20);
}

class TimeWork : public ::testing::Test {
 protected:
  TimeWork() : context(host), compiler(host), stream(context.create_stream()), flusher(context, compiler, *stream) {
    host.kernels["k"] = [](const testing::Call&) {};
    module = context.load(compiler.compile({}));
    kernel = module->kernel("k");
    host.operations.clear();
  }
  std::vector<Nanoseconds> run(const TimingOptions& options, const std::function<void()>& before = {}) {
    return time_work(
               context, *stream, &flusher, before, [this] { stream->launch(*kernel, {}, {}); }, options, clock)
        .samples;
  }

  Host host;
  HostContext context;
  HostCompiler compiler;
  std::unique_ptr<device::Stream> stream;
  CacheFlusher flusher;
  StepClock clock;
  std::unique_ptr<device::Module> module;
  std::unique_ptr<device::Kernel> kernel;
};

TEST_F(TimeWork, WarmUpStaysOutOfTheSamples) {
  // The first launches of a real kernel, in ms: the reported time is that of the settled ones.
  host.launch_times = {Nanoseconds{127e3}, Nanoseconds{31e3}, Nanoseconds{27e3}, Nanoseconds{25e3}, Nanoseconds{25e3},
                       Nanoseconds{25e3},  Nanoseconds{25e3}, Nanoseconds{25e3}, Nanoseconds{25e3}, Nanoseconds{25e3}};
  TimingOptions options;
  options.max_samples = 8;
  const auto samples = run(options);
  EXPECT_GE(samples.size(), 5u);
  EXPECT_DOUBLE_EQ(median_of(samples), 25e3);
  EXPECT_EQ(samples.front(), Nanoseconds{31e3});
}

TEST_F(TimeWork, ColdSampleIsBeforeFlushEventWorkEvent) {
  TimingOptions options;
  options.warmup = 0;
  options.min_samples = options.max_samples = 1;
  EXPECT_EQ(flusher.size(), Bytes{128 << 10});
  run(options, [this] { host.operations.emplace_back("before"); });
  EXPECT_THAT(host.operations, ElementsAre("before", "reset persisting", "fill 131072", "read 131072", "read 131072",
                                           "record", "launch k", "record"));
}

TEST_F(TimeWork, ColdSamplesNeedAFlusherAndWarmOnesDoNot) {
  const auto launch = [this] { stream->launch(*kernel, {}, {}); };
  TimingOptions options;
  EXPECT_THROW(time_work(context, *stream, nullptr, {}, launch, options, clock), Error);
  options.cache = CacheMode::warm;
  EXPECT_FALSE(time_work(context, *stream, nullptr, {}, launch, options, clock).samples.empty());
}

TEST_F(TimeWork, SamplesExcludeBeforeAndFlush) {
  TimingOptions options;
  options.min_samples = options.max_samples = 3;
  EXPECT_THAT(run(options, [this] { host.device_time += Nanoseconds{7777}; }), Each(Nanoseconds{1000}));
}

TEST_F(TimeWork, EachRunIsSetUpAgain) {
  for (const CacheMode cache : {CacheMode::cold, CacheMode::warm}) {
    TimingOptions options;
    options.cache = cache;
    options.warmup = 2;
    options.min_samples = options.max_samples = 4;
    host.operations.clear();
    run(options, [this] { host.operations.emplace_back("before"); });
    EXPECT_EQ(host.count("before"), 6);
    EXPECT_EQ(host.count("launch"), 6);
    EXPECT_EQ(host.count("fill"), cache == CacheMode::cold ? 4 : 0);
  }
}

TEST_F(TimeWork, WarmShortKernelsAreBatchedToTheSpan) {
  TimingOptions options;
  options.cache = CacheMode::warm;
  options.min_samples = options.max_samples = 1;
  const auto samples = run(options);
  EXPECT_THAT(samples, ElementsAre(Nanoseconds{1000}));
  EXPECT_EQ(host.count("launch"), 1 + 1 + 100);  // warm-up, lead, batch
}

TEST_F(TimeWork, BatchGrowsWhenTheFirstRunWasSlow) {
  host.launch_times = {Nanoseconds{40e3}};  // the warm-up; the kernel itself takes 1 us
  TimingOptions options;
  options.cache = CacheMode::warm;
  options.min_samples = options.max_samples = 1;
  EXPECT_THAT(run(options), ElementsAre(Nanoseconds{1000}));
  EXPECT_EQ(host.count("launch"), 1 + 1 + 3 + 1 + 100);
}

TEST_F(TimeWork, WarmLongKernelsAreTimedOneByOne) {
  host.launch_times.assign(20, Nanoseconds{60e3});
  TimingOptions options;
  options.cache = CacheMode::warm;
  options.min_samples = options.max_samples = 2;
  EXPECT_THAT(run(options), ElementsAre(Nanoseconds{60e3}, Nanoseconds{60e3}));
  EXPECT_EQ(host.count("launch"), 1 + 2 * 2);
}

TEST_F(TimeWork, ZeroAndNegativeTimesBecomeTheSmallestTickSeen) {
  host.launch_times = {Nanoseconds{1}, Nanoseconds{0}, Nanoseconds{1024}, Nanoseconds{-8}, Nanoseconds{512}};
  TimingOptions options;
  options.min_samples = options.max_samples = 4;
  EXPECT_THAT(run(options), ElementsAre(Nanoseconds{512}, Nanoseconds{1024}, Nanoseconds{512}, Nanoseconds{512}));
}

TEST_F(TimeWork, OnlyZerosBecomeTheTimersResolution) {
  host.launch_times.assign(10, Nanoseconds{0});
  TimingOptions options;
  options.min_samples = options.max_samples = 3;
  EXPECT_THAT(run(options), Each(Nanoseconds{500}));
}

TEST_F(TimeWork, BudgetCountsVirtualDeviceTimeAndWallTime) {
  TimingOptions options;
  options.target_precision = -1;  // never reached
  options.max_samples = 1000;
  options.time_budget = Nanoseconds{20e3};
  EXPECT_EQ(run(options).size(), 20u);  // 1 us each on the device
  const auto samples = run(options, [this] { clock.pass(Nanoseconds{5e3}); });
  EXPECT_EQ(samples.size(), 5u);  // four would do, five are the minimum
}

TEST_F(TimeWork, RefusedLaunchHasNoSamples) {
  int launches = 0;
  host.kernels["k"] = [&](const testing::Call&) {
    if (++launches == 4) throw Error(ErrorCode::launch, "out of resources");
  };
  EXPECT_THROW(run({}), Error);
}

}  // namespace
}  // namespace warpwright::measure
