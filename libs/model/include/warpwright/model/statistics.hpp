// Robust statistics of timing samples. All functions take samples in any order and throw Error(bad_input) when empty.
#pragma once

#include <cstddef>
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
// `confidence`); the whole range where the samples are too few.
struct Interval {
  double low = 0, high = 0;
};
Interval median_interval(std::span<const double> samples, double confidence = 0.95);

}  // namespace warpwright
