#include <algorithm>
#include <cmath>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/model/statistics.hpp>

namespace warpwright {
namespace {

std::vector<double> sorted_copy(std::span<const double> samples) {
  if (samples.empty()) throw Error(ErrorCode::bad_input, "statistics need at least one sample");
  std::vector<double> sorted(samples.begin(), samples.end());
  if (std::any_of(sorted.begin(), sorted.end(), [](double x) { return std::isnan(x); })) {
    throw Error(ErrorCode::bad_input, "a sample is not a number (NaN)");
  }
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

double quantile_of_sorted(const std::vector<double>& sorted, double p) {
  if (!(p >= 0 && p <= 1)) throw Error(ErrorCode::bad_input, "a quantile needs a probability between 0 and 1");
  const double position = p * static_cast<double>(sorted.size() - 1);
  const auto index = static_cast<std::size_t>(position);
  if (index + 1 >= sorted.size()) return sorted.back();
  const double fraction = position - static_cast<double>(index);
  const double low = sorted[index], high = sorted[index + 1];
  if (fraction == 0 || low == high) return low;
  return low + (high - low) * fraction;
}

}  // namespace

double quantile(std::span<const double> samples, double p) { return quantile_of_sorted(sorted_copy(samples), p); }

double median(std::span<const double> samples) { return quantile(samples, 0.5); }

double interquartile_range(std::span<const double> samples) {
  const auto sorted = sorted_copy(samples);
  return quantile_of_sorted(sorted, 0.75) - quantile_of_sorted(sorted, 0.25);
}

double median_absolute_deviation(std::span<const double> samples) {
  const double middle = median(samples);
  std::vector<double> deviations;
  deviations.reserve(samples.size());
  for (const double x : samples) deviations.push_back(std::abs(x - middle));
  return median(deviations);
}

Interval median_interval(std::span<const double> samples, double confidence) {
  if (!(confidence > 0 && confidence < 1)) {
    throw Error(ErrorCode::bad_input, "a confidence level must lie between 0 and 1");
  }
  const auto sorted = sorted_copy(samples);
  const std::size_t n = sorted.size();
  // The median lies between the k-th smallest and the k-th largest sample with probability 1 - 2 P(B <= k - 1), B
  // binomial (n, 1/2): take the largest k that keeps the promise. Logarithms, because 2^-n leaves the doubles at 1075.
  const double allowed = (1 - confidence) / 2;
  double log_term = -static_cast<double>(n) * std::log(2.0);
  double tail = 0;
  std::size_t k = 0;
  while (2 * (k + 1) <= n + 1) {
    tail += std::exp(log_term);
    if (tail > allowed) break;
    log_term += std::log(static_cast<double>(n - k)) - std::log(static_cast<double>(k + 1));
    ++k;
  }
  if (k == 0) return {sorted.front(), sorted.back(), 1 - std::exp2(1 - static_cast<double>(n))};
  return {sorted[k - 1], sorted[n - k], confidence};
}

PairedRatio paired_ratio(std::span<const double> first, std::span<const double> second, double confidence) {
  if (first.size() != second.size()) throw Error(ErrorCode::bad_input, "paired series must be of one length");
  std::vector<double> ratios;
  ratios.reserve(first.size());
  for (std::size_t i = 0; i < first.size(); ++i) ratios.push_back(first[i] / second[i]);
  return {median(ratios), median_interval(ratios, confidence)};
}

std::optional<double> trend(std::span<const double> samples) {
  constexpr std::size_t fewest = 8;       // below that the normal approximation of the statistic is poor
  constexpr double significant = 2.5758;  // 1 %, two-sided
  const std::size_t n = samples.size();
  if (n < fewest) return std::nullopt;
  double score = 0;
  std::vector<double> slopes;
  slopes.reserve(n * (n - 1) / 2);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i + 1; j < n; ++j) {
      const double difference = samples[j] - samples[i];
      score += difference > 0 ? 1 : difference < 0 ? -1 : 0;
      slopes.push_back(difference / static_cast<double>(j - i));
    }
  }
  // Variance of the score with correction for ties (Kendall, Rank Correlation Methods, chapter 4).
  const auto term = [](double count) { return count * (count - 1) * (2 * count + 5); };
  double variance = term(static_cast<double>(n));
  const auto sorted = sorted_copy(samples);
  for (std::size_t i = 0; i < n;) {
    std::size_t end = i;
    while (end < n && sorted[end] == sorted[i]) ++end;
    variance -= term(static_cast<double>(end - i));
    i = end;
  }
  variance /= 18;
  if (variance <= 0 || std::abs(score) <= 1) return std::nullopt;
  const double z = (std::abs(score) - 1) / std::sqrt(variance);
  if (z < significant) return std::nullopt;
  return median(slopes) * static_cast<double>(n - 1) / median(samples);
}

}  // namespace warpwright
