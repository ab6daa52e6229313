// Robust statistics of timing samples. All functions take samples in any order and throw Error(bad_input) when empty.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace warpwright {

// Linear interpolation between order statistics (type 7 of Hyndman and Fan, 1996, as numpy's default); p in [0, 1].
double quantile(std::span<const double> samples, double p);
double median(std::span<const double> samples);
// quantile(0.75) - quantile(0.25)
double interquartile_range(std::span<const double> samples);
// Median of |x - median(x)|, not scaled: {1,2,3,4,100} gives 1.
double median_absolute_deviation(std::span<const double> samples);

// Distribution-free confidence interval of the median from order statistics (binomial, exact coverage at least
// `confidence`); the whole range where the samples are too few, and then with the confidence of that: 0.75 for three
// samples, 0 for one.
struct Interval {
  double low = 0, high = 0;
  double confidence = 0.95;
};
Interval median_interval(std::span<const double> samples, double confidence = 0.95);

// Two series taken in turns, compared pair by pair, so that what slows both down cancels out: median of first[i] /
// second[i], and its distribution-free interval. Throws Error(bad_input) for series of different lengths.
struct PairedRatio {
  double median = 1;
  Interval interval{1, 1, 1};  // as it is for a series and itself
};
PairedRatio paired_ratio(std::span<const double> first, std::span<const double> second, double confidence = 0.95);

// Change from the first to the last sample relative to the median (Theil-Sen slope), where the Mann-Kendall test calls
// the trend significant at 1 %; nullopt where it is chance or there are fewer than 8 samples. Samples in the order
// taken.
std::optional<double> trend(std::span<const double> samples);

}  // namespace warpwright
