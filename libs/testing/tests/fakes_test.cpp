#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/testing/noise.hpp>
#include <warpwright/testing/virtual_clock.hpp>

namespace warpwright::test {
namespace {

TEST(VirtualClock, GoesWhereItIsSet) {
  VirtualClock clock(Nanoseconds{5});
  EXPECT_EQ(clock.now(), Nanoseconds{5});
  EXPECT_EQ(clock.now(), Nanoseconds{5});
  clock.advance(Nanoseconds{10});
  EXPECT_EQ(clock.now(), Nanoseconds{15});
  clock.set(Nanoseconds{100});
  EXPECT_EQ(clock.now(), Nanoseconds{100});
  clock.set_tick(Nanoseconds{1});
  EXPECT_EQ(clock.now(), Nanoseconds{100});
  EXPECT_EQ(clock.now(), Nanoseconds{101});
}

TEST(VirtualClock, NeverGoesBack) {
  VirtualClock clock(Nanoseconds{50});
  EXPECT_THROW(clock.advance(Nanoseconds{-1}), Error);
  EXPECT_THROW(clock.set(Nanoseconds{49}), Error);
  EXPECT_THROW(clock.set_tick(Nanoseconds{-1}), Error);
  EXPECT_EQ(clock.now(), Nanoseconds{50});
}

TEST(NoisySamples, AreSeededAndOneSided) {
  NoiseModel model;
  model.truth = Nanoseconds{1000};
  model.spread = 0.05;
  const auto samples = NoisySamples(model, 3).take(1000);
  EXPECT_EQ(NoisySamples(model, 3).take(1000), samples);
  EXPECT_NE(NoisySamples(model, 4).take(1000), samples);
  for (const auto sample : samples) ASSERT_GE(sample, model.truth);
  auto sorted = samples;
  std::sort(sorted.begin(), sorted.end());
  // The median of |N(0, s)| is 0.6745 s; the bound is four standard errors of a median of 1000.
  EXPECT_NEAR(sorted[500].count(), 1000 * (1 + 0.6745 * 0.05), 5.0);
}

TEST(NoisySamples, HaveTheFaultsAskedFor) {
  NoiseModel model;
  model.truth = Nanoseconds{1000};
  model.spread = 0;
  model.outlier_probability = 0.1;
  model.lucky_probability = 0.05;
  const auto samples = NoisySamples(model, 1).take(4000);
  const auto count = [&](double value) { return std::count(samples.begin(), samples.end(), Nanoseconds{value}); };
  // Four standard deviations of a binomial.
  EXPECT_NEAR(static_cast<double>(count(5000)), 400, 76);
  EXPECT_NEAR(static_cast<double>(count(500)), 200, 56);
  EXPECT_EQ(count(5000) + count(500) + count(1000), 4000);
  model.outlier_probability = model.lucky_probability = 0;
  model.drift_per_sample = 0.5;
  EXPECT_EQ(NoisySamples(model, 1).take(3),
            (std::vector<Nanoseconds>{Nanoseconds{1000}, Nanoseconds{1500}, Nanoseconds{2000}}));
}

}  // namespace
}  // namespace warpwright::test
