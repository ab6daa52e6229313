#include <algorithm>
#include <cmath>
#include <cstdint>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/histogram.hpp>
#include <warpwright/base/rng.hpp>

namespace warpwright {
namespace {

Nanoseconds ns(double count) { return Nanoseconds{count}; }

TEST(Percentile, RanksAreExact) {
  EXPECT_EQ(Percentile::percent(99).rank(160), 159u) << "libraries that round say 158";
  EXPECT_EQ(Percentile::percent(99.9).rank(1000), 999u) << "in doubles 999.0000000000001";
  EXPECT_EQ(Percentile::percent(99.99).rank(10000), 9999u);
  EXPECT_EQ(Percentile::percent(50).rank(1), 1u);
  EXPECT_EQ(Percentile::percent(0.000001).rank(5), 1u);
  EXPECT_EQ(Percentile::percent(100).rank(7), 7u);
  EXPECT_EQ(Percentile::percent(99).rank(0), 0u);
  const std::uint64_t many = 3'000'000'000'000'000'001;
  EXPECT_EQ(Percentile::percent(50).rank(many), 1'500'000'000'000'000'001u);
}

TEST(Percentile, TailsAreTheNearestDoubles) {
  EXPECT_EQ(Percentile::percent(99).tail(), 0.01);
  EXPECT_EQ(Percentile::percent(99.9).tail(), 0.001);
  EXPECT_EQ(Percentile::percent(99.99).tail(), 0.0001);
  EXPECT_EQ(Percentile::percent(90).share(), 0.9);
  EXPECT_EQ(Percentile::percent(99.9).name(), "p99.9");
  EXPECT_EQ(Percentile::percent(50).name(), "p50");
  for (const double wrong : {0.0, -1.0, 100.1, std::numeric_limits<double>::quiet_NaN()})
    EXPECT_THROW(Percentile::percent(wrong), Error) << wrong;
}

TEST(LogLinearScale, BucketsAreContiguousAndNarrow) {
  for (const unsigned bits : {2u, 3u, 10u, 17u}) {
    const LogLinearScale scale{bits};
    for (std::size_t bucket = 0; bucket < (std::size_t{40} << bits); bucket += 1 + bucket / 977) {
      const std::uint64_t first = scale.first_of(bucket), last = scale.last_of(bucket);
      ASSERT_LE(first, last);
      ASSERT_EQ(scale.bucket_of(first), bucket);
      ASSERT_EQ(scale.bucket_of(last), bucket);
      ASSERT_EQ(scale.bucket_of(last + 1), bucket + 1);
      ASSERT_LE(static_cast<double>(last - first), std::ldexp(static_cast<double>(first), -static_cast<int>(bits)));
    }
  }
}

TEST(Histogram, HasTheSizeOfThePublishedLayout) {
  // 1 ns to 60 s at three digits: 26 groups of buckets, 27,648 counters.
  const LogLinearScale scale{10};
  EXPECT_GT(scale.bucket_of(60'000'000'000), 26u * 1024);
  EXPECT_LT(scale.bucket_of(60'000'000'000), 27'648u);
}

TEST(Histogram, PercentilesAreTightUpperBoundsOfTheSortedSamples) {
  Rng rng(7);
  std::vector<double> samples;
  Histogram histogram;
  for (int i = 0; i < 20'000; ++i) {
    samples.push_back(1000 * std::exp(3 * rng.normal()));
    histogram.add(ns(samples.back()));
  }
  std::sort(samples.begin(), samples.end());
  for (const double p : {0.1, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const Percentile percentile = Percentile::percent(p);
    const double exact = samples[percentile.rank(samples.size()) - 1];
    const double found = histogram.percentile(percentile)->count();
    EXPECT_GE(found, exact) << p;
    EXPECT_LE(found, exact * 1.001 + 1) << p;
  }
  EXPECT_EQ(histogram.percentile(Percentile::percent(100)), histogram.maximum());
}

TEST(Histogram, TellsOneLateRequestInAHundredAndSixtyFromNone) {
  Histogram histogram;
  histogram.add(ns(1000), 158);
  histogram.add(ns(90000), 2);
  EXPECT_EQ(histogram.percentile(Percentile::percent(99)), ns(90000));
}

TEST(Histogram, CountsWhatIsOutOfRange) {
  Histogram histogram({.low = ns(100), .high = ns(1e6), .digits = 2});
  histogram.add(ns(3), 2);
  histogram.add(ns(500));
  histogram.add(ns(1e6));
  histogram.add(ns(1e6 + 1));
  histogram.add(ns(std::numeric_limits<double>::infinity()));
  EXPECT_EQ(histogram.total(), 6u);
  EXPECT_EQ(histogram.below(), 2u);
  EXPECT_EQ(histogram.above(), 2u);
  EXPECT_EQ(histogram.minimum(), ns(3));
  EXPECT_EQ(histogram.percentile(Percentile::percent(10)), ns(100));
  EXPECT_TRUE(std::isinf(histogram.percentile(Percentile::percent(90))->count()));
  ASSERT_EQ(histogram.buckets().size(), 2u);
  EXPECT_LE(histogram.buckets()[0].first, ns(500));
  EXPECT_GE(histogram.buckets()[0].last, ns(500));
}

TEST(Histogram, OfNothingSaysNothing) {
  const Histogram histogram;
  EXPECT_EQ(histogram.percentile(Percentile::percent(50)), std::nullopt);
  EXPECT_EQ(histogram.minimum(), std::nullopt);
  EXPECT_EQ(histogram.maximum(), std::nullopt);
  EXPECT_TRUE(histogram.buckets().empty());
}

TEST(Histogram, MergedIsTheHistogramOfAllSamples) {
  Rng rng(3);
  Histogram first, second, all;
  first.merge(second);
  EXPECT_EQ(first.total(), 0u);
  for (int i = 0; i < 1000; ++i) {
    const Nanoseconds duration = ns(rng.uniform() * 70e9);
    (i % 3 == 0 ? first : second).add(duration);
    all.add(duration);
  }
  first.merge(second);
  EXPECT_EQ(first.total(), 1000u);
  EXPECT_EQ(first.above(), all.above());
  EXPECT_EQ(first.minimum(), all.minimum());
  EXPECT_EQ(first.maximum(), all.maximum());
  for (const double p : {1.0, 50.0, 80.0, 99.0})
    EXPECT_EQ(first.percentile(Percentile::percent(p)), all.percentile(Percentile::percent(p)));
}

TEST(Histogram, RefusesWhatIsNoDurationAndNoRange) {
  Histogram histogram;
  EXPECT_THROW(histogram.add(ns(-1)), Error);
  EXPECT_THROW(histogram.add(ns(std::numeric_limits<double>::quiet_NaN())), Error);
  EXPECT_EQ(histogram.total(), 0u);
  EXPECT_THROW(Histogram({.low = ns(5), .high = ns(5), .digits = 3}), Error);
  EXPECT_THROW(Histogram({.low = ns(-5), .high = ns(5), .digits = 3}), Error);
  EXPECT_THROW(Histogram({.low = ns(1), .high = ns(1e17), .digits = 3}), Error);
  EXPECT_THROW(Histogram({.low = ns(1), .high = ns(5), .digits = 6}), Error);
  EXPECT_THROW(histogram.merge(Histogram({.low = ns(1), .high = ns(5), .digits = 3})), Error);
}

}  // namespace
}  // namespace warpwright
