#include <cmath>
#include <gtest/gtest.h>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/model/statistics.hpp>

namespace warpwright {
namespace {

TEST(Statistics, QuantilesAreType7) {
  const std::vector<double> samples{7, 1, 3, 10};  // numpy.quantile gives the same
  EXPECT_DOUBLE_EQ(quantile(samples, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(samples, 0.25), 2.5);
  EXPECT_DOUBLE_EQ(quantile(samples, 0.5), 5);
  EXPECT_DOUBLE_EQ(quantile(samples, 0.75), 7.75);
  EXPECT_DOUBLE_EQ(quantile(samples, 0.9), 9.1);
  EXPECT_DOUBLE_EQ(quantile(samples, 1), 10);
  EXPECT_DOUBLE_EQ(interquartile_range(samples), 5.25);
  EXPECT_DOUBLE_EQ(quantile(std::vector<double>{4}, 0.3), 4);
}

TEST(Statistics, Medians) {
  EXPECT_DOUBLE_EQ(median(std::vector<double>{3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median(std::vector<double>{4, 1, 2, 3}), 2.5);
  EXPECT_DOUBLE_EQ(median_absolute_deviation(std::vector<double>{1, 2, 3, 4, 100}), 1);
  EXPECT_DOUBLE_EQ(median_absolute_deviation(std::vector<double>{5, 5, 5}), 0);
  EXPECT_DOUBLE_EQ(median_absolute_deviation(std::vector<double>{1, 2, 3, 4}), 1);
}

TEST(Statistics, InfiniteSamplesStayInfinite) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(median(std::vector<double>{1, infinity, infinity}), infinity);
  EXPECT_EQ(quantile(std::vector<double>{infinity, infinity}, 0.5), infinity);
}

TEST(Statistics, RefusesWhatHasNoAnswer) {
  EXPECT_THROW(median({}), Error);
  EXPECT_THROW(interquartile_range({}), Error);
  EXPECT_THROW(median_absolute_deviation({}), Error);
  EXPECT_THROW(median_interval({}), Error);
  EXPECT_THROW(median(std::vector<double>{1, std::nan("")}), Error);
  EXPECT_THROW(quantile(std::vector<double>{1}, 1.5), Error);
  EXPECT_THROW(quantile(std::vector<double>{1}, std::nan("")), Error);
  EXPECT_THROW(median_interval(std::vector<double>{1}, 1), Error);
}

std::vector<double> ranks(int n) {
  std::vector<double> samples;
  for (int i = n; i >= 1; --i) samples.push_back(i);
  return samples;
}

TEST(MedianInterval, OrderStatisticsOfTheBinomialTables) {
  // Ranks of the exact 95 % interval as tabulated for the sign test (e.g. Conover, Practical Nonparametric Statistics).
  const auto expect = [](int n, double low, double high) {
    const auto interval = median_interval(ranks(n));
    EXPECT_EQ(interval.low, low) << n;
    EXPECT_EQ(interval.high, high) << n;
  };
  expect(6, 1, 6);
  expect(8, 1, 8);
  expect(9, 2, 8);
  expect(10, 2, 9);
  expect(15, 4, 12);
  expect(20, 6, 15);
  expect(25, 8, 18);
  expect(50, 18, 33);
  expect(100, 40, 61);
}

TEST(MedianInterval, WholeRangeWhereSamplesAreTooFew) {
  for (int n = 1; n <= 5; ++n) {
    const auto interval = median_interval(ranks(n));
    EXPECT_EQ(interval.low, 1);
    EXPECT_EQ(interval.high, n);
  }
  EXPECT_EQ(median_interval(ranks(5), 0.90).high, 5);
  EXPECT_EQ(median_interval(ranks(7), 0.99).low, 1);
}

TEST(MedianInterval, ManySamplesDoNotUnderflow) {
  const auto interval = median_interval(ranks(100000));
  // Normal approximation: n/2 -+ 1.96 sqrt(n)/2.
  EXPECT_NEAR(interval.low, 50000 - 309.9, 2);
  EXPECT_NEAR(interval.high, 50001 + 309.9, 2);
}

TEST(MedianInterval, CoversTheMedianAsOftenAsPromised) {
  Rng rng(11);
  int covered = 0;
  constexpr int runs = 4000;
  for (int run = 0; run < runs; ++run) {
    std::vector<double> samples(17);
    for (auto& x : samples) x = rng.uniform();
    const auto interval = median_interval(samples);
    covered += interval.low <= 0.5 && 0.5 <= interval.high ? 1 : 0;
  }
  // Exact coverage for 17 samples: 1 - 2 P(B <= 4) = 0.951; within five standard deviations of 4000 runs.
  EXPECT_NEAR(covered, runs * 0.951, 68);
}

TEST(MedianInterval, SaysHowSureItIsWhereSamplesAreTooFew) {
  EXPECT_EQ(median_interval(std::vector<double>{1, 2, 3, 4, 5, 6}).confidence, 0.95);
  EXPECT_DOUBLE_EQ(median_interval(std::vector<double>{1, 2, 3, 4, 5}).confidence, 1 - 2.0 / 32);
  EXPECT_DOUBLE_EQ(median_interval(std::vector<double>{1, 2, 3}).confidence, 0.75);
  EXPECT_DOUBLE_EQ(median_interval(std::vector<double>{1}).confidence, 0);
  EXPECT_EQ(median_interval(std::vector<double>(12, 1.0), 0.998).confidence, 0.998);
}

TEST(PairedRatio, WhatSlowsBothDownCancelsOut) {
  std::vector<double> first, second;
  for (int i = 0; i < 40; ++i) {
    const double clock = i % 2 == 0 ? 1.0 : 1.4;  // a clock that jumps by 40 %
    first.push_back(102 * clock + 0.1 * (i % 3));
    second.push_back(100 * clock + 0.1 * (i % 5));
  }
  const PairedRatio ratio = paired_ratio(first, second);
  EXPECT_NEAR(ratio.median, 1.02, 0.003);
  EXPECT_GT(ratio.interval.low, 1.01);
  EXPECT_LT(ratio.interval.high, 1.03);
  const PairedRatio self = paired_ratio(first, first);
  EXPECT_EQ(self.median, 1);
  EXPECT_EQ(self.interval.low, 1);
  EXPECT_THROW(paired_ratio(first, std::vector<double>{1}), Error);
}

TEST(Trend, DriftIsFoundAndNoiseIsNot) {
  EXPECT_FALSE(trend(std::vector<double>{1, 2, 3, 4, 5, 6, 7}).has_value()) << "too few";
  std::vector<double> drifting;
  for (int i = 0; i < 32; ++i) drifting.push_back(100 * (1 + 0.14 * i / 31) + (i % 3));
  ASSERT_TRUE(trend(drifting).has_value());
  EXPECT_NEAR(*trend(drifting), 0.14, 0.02);
  std::vector<double> falling(drifting.rbegin(), drifting.rend());
  ASSERT_TRUE(trend(falling).has_value());
  EXPECT_NEAR(*trend(falling), -0.14, 0.02);
  EXPECT_FALSE(trend(std::vector<double>(20, 3.0)).has_value());
  Rng rng(3);
  int alarms = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<double> noise;
    for (int i = 0; i < 20; ++i) noise.push_back(100 * (1 + 0.02 * std::abs(rng.normal())));
    if (trend(noise)) ++alarms;
  }
  EXPECT_LT(alarms, 40) << "1 % expected";
  EXPECT_GT(alarms, 4);
}

}  // namespace
}  // namespace warpwright
