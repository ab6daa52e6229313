#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/measure/racing.hpp>
#include <warpwright/measure/timing.hpp>

namespace warpwright::measure {
namespace {

std::vector<Nanoseconds> times(const std::vector<double>& values) {
  std::vector<Nanoseconds> result;
  for (const double value : values) result.emplace_back(value);
  return result;
}

const Incumbent steady{Nanoseconds{100e3}, Nanoseconds{101e3}, 0.01};

TEST(Racing, IncumbentOfSamples) {
  const Incumbent incumbent = Incumbent::of(times({4, 1, 2, 3, 5}));
  EXPECT_EQ(incumbent.median, Nanoseconds{3});
  EXPECT_EQ(incumbent.upper_quartile, Nanoseconds{4});
  EXPECT_DOUBLE_EQ(incumbent.noise, 2.0 / 3);
  EXPECT_THROW(Incumbent::of({}), Error);
}

TEST(Racing, TwoSamplesDecideOnlyBeyondThreeTimes) {
  EXPECT_FALSE(hopeless({}, steady));
  EXPECT_FALSE(hopeless(times({500e3}), steady)) << "it may be an outlier";
  EXPECT_FALSE(hopeless(times({500e3, 299e3}), steady));
  EXPECT_TRUE(hopeless(times({500e3, 301e3}), steady));
  EXPECT_FALSE(hopeless(times({150e3, 150e3}), steady)) << "two samples are too few for a small difference";
}

TEST(Racing, ThreeSamplesDecideByTheirMinimum) {
  EXPECT_TRUE(hopeless(times({110e3, 110e3, 110e3}), steady));
  EXPECT_FALSE(hopeless(times({110e3, 110e3, 100e3}), steady)) << "one fast run shows that the others were disturbed";
  EXPECT_FALSE(hopeless(times({103e3, 103e3, 103e3}), steady)) << "within the widened quartile of 103.02 us";
  EXPECT_TRUE(hopeless(times({103.1e3, 103.1e3, 103.1e3}), steady));
  const Incumbent noisy{Nanoseconds{100e3}, Nanoseconds{120e3}, 0.3};
  EXPECT_FALSE(hopeless(times({190e3, 190e3, 190e3}), noisy)) << "a noisy incumbent is not sure of itself";
}

TEST(Racing, LaunchLatencyDoesNotCondemnShortKernels) {
  const Incumbent shorter{Nanoseconds{5e3}, Nanoseconds{5e3}, 0};
  EXPECT_FALSE(hopeless_with_latency(Nanoseconds{200e3}, shorter));
  EXPECT_TRUE(hopeless_with_latency(Nanoseconds{300e3}, shorter));
  EXPECT_FALSE(hopeless_with_latency(Nanoseconds{1150e3}, steady));
  EXPECT_TRUE(hopeless_with_latency(Nanoseconds{1250e3}, steady));
}

TEST(Racing, EndsSamplingBeforeTheMinimumOfSamples) {
  TimingOptions options;
  options.min_samples = 10;
  options.incumbent = steady;
  EXPECT_FALSE(enough_samples(times({500e3}), Nanoseconds{0}, options));
  EXPECT_TRUE(enough_samples(times({500e3, 500e3}), Nanoseconds{0}, options));
  EXPECT_TRUE(enough_samples(times({150e3, 150e3, 150e3}), Nanoseconds{0}, options));
  EXPECT_FALSE(enough_samples(times({100e3, 100e3, 100e3}), Nanoseconds{0}, options));
  options.incumbent.reset();
  EXPECT_FALSE(enough_samples(times({500e3}), Nanoseconds{0}, options));
}

// One-sided noise of 3 % with outliers of five times: an equal configuration must survive, one 20 % slower must not.
TEST(Racing, EqualSurvivesAndSlowerIsStoppedOnMadeUpNoise) {
  Rng rng(11);
  const auto draw = [&](double truth) {
    const double factor = rng.uniform() < 0.05 ? 5 : 1 + 0.03 * std::abs(rng.normal());
    return Nanoseconds{truth * factor};
  };
  std::vector<Nanoseconds> best;
  for (int i = 0; i < 30; ++i) best.push_back(draw(1e6));
  const Incumbent incumbent = Incumbent::of(best);
  int equal_stopped = 0, slower_stopped = 0;
  const auto stopped = [&](double truth) {  // looked at after each sample, as the timing loop does
    std::vector<Nanoseconds> samples;
    for (int i = 0; i < 10; ++i) {
      samples.push_back(draw(truth));
      if (hopeless(samples, incumbent)) return true;
    }
    return false;
  };
  for (int round = 0; round < 1000; ++round) {
    if (stopped(1e6)) ++equal_stopped;
    if (stopped(1.2e6)) ++slower_stopped;
  }
  // Two outliers in a row (0.25 %) or three runs of more than 10 % noise.
  EXPECT_LE(equal_stopped, 10);
  EXPECT_GE(slower_stopped, 990);
}

}  // namespace
}  // namespace warpwright::measure
