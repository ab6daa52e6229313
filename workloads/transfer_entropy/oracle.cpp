#include "workloads/transfer_entropy/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>

namespace warpwright::workloads::transfer_entropy {
namespace {

void require_pair(std::size_t source_length, std::size_t target_length, std::size_t lag) {
  if (source_length != target_length) {
    throw Error(ErrorCode::bad_input, "source and target must have the same length, not " +
                                          std::to_string(source_length) + " and " + std::to_string(target_length));
  }
  if (lag < 1 || lag >= target_length) {
    throw Error(ErrorCode::bad_input, "the lag must be at least 1 and less than the length of the series (" +
                                          std::to_string(target_length) + "), not " + std::to_string(lag));
  }
}

void require_finite(std::span<const double> series) {
  for (std::size_t t = 0; t < series.size(); ++t) {
    if (!std::isfinite(series[t])) {
      throw Error(ErrorCode::bad_input, "the series has a value that is not finite at index " + std::to_string(t));
    }
  }
}

// sum of c log2 c
double sum_g(const std::vector<std::uint32_t>& cells) {
  double sum = 0.0;
  for (const std::uint32_t c : cells) {
    if (c > 0) sum += c * std::log2(c);
  }
  return sum;
}

double occupied(const std::vector<std::uint32_t>& cells) {
  return static_cast<double>(cells.size() - static_cast<std::size_t>(std::count(cells.begin(), cells.end(), 0u)));
}

}  // namespace

std::vector<std::uint8_t> symbols(std::span<const double> series, std::size_t bins) {
  if (bins < 2 || bins > 256) {
    throw Error(ErrorCode::bad_input, "the number of bins must be from 2 to 256, not " + std::to_string(bins));
  }
  if (series.empty()) throw Error(ErrorCode::bad_input, "a series without values has no symbols");
  require_finite(series);
  const double min = *std::min_element(series.begin(), series.end());
  const double max = *std::max_element(series.begin(), series.end());
  std::vector<std::uint8_t> result(series.size(), 0);
  if (max == min) return result;
  const double b = static_cast<double>(bins);
  for (std::size_t t = 0; t < series.size(); ++t) {
    result[t] = static_cast<std::uint8_t>(std::min(b - 1.0, std::floor(b * (series[t] - min) / (max - min))));
  }
  return result;
}

Counts count(std::span<const std::uint8_t> source, std::span<const std::uint8_t> target, std::size_t bins,
             std::size_t lag) {
  require_pair(source.size(), target.size(), lag);
  Counts counts;
  counts.bins = bins;
  counts.samples = target.size() - lag;
  counts.xyz.resize(bins * bins * bins);
  counts.xy.resize(bins * bins);
  counts.yz.resize(bins * bins);
  counts.y.resize(bins);
  for (std::size_t t = 0; t < counts.samples; ++t) {
    const std::size_t x = source[t];
    const std::size_t y = target[t];
    const std::size_t z = target[t + lag];
    if (std::max({x, y, z}) >= bins) {
      throw Error(ErrorCode::bad_input, "a symbol is " + std::to_string(std::max({x, y, z})) +
                                            " where there are only " + std::to_string(bins) + " bins");
    }
    ++counts.xyz[(x * bins + y) * bins + z];
    ++counts.xy[x * bins + y];
    ++counts.yz[y * bins + z];
    ++counts.y[y];
  }
  return counts;
}

Estimate estimate(const Counts& counts) {
  const double n = static_cast<double>(counts.samples);
  const double raw = (sum_g(counts.xyz) + sum_g(counts.y) - sum_g(counts.xy) - sum_g(counts.yz)) / n;
  const double cells = occupied(counts.xyz) - occupied(counts.xy) - occupied(counts.yz) + occupied(counts.y);
  const double bias = cells / (2.0 * n * std::numbers::ln2);
  return {raw, std::max(0.0, raw - bias)};
}

double conditional_entropy(const Counts& counts) {
  // H(Z|Y) = sum p(y,z) log2[p(y) / p(y,z)]
  return (sum_g(counts.y) - sum_g(counts.yz)) / static_cast<double>(counts.samples);
}

std::vector<Estimate> lag_scan(std::span<const std::uint8_t> source, std::span<const std::uint8_t> target,
                               std::size_t bins, std::size_t first_lag, std::size_t last_lag) {
  std::vector<Estimate> result;
  for (std::size_t lag = first_lag; lag <= last_lag; ++lag) {
    result.push_back(estimate(count(source, target, bins, lag)));
  }
  return result;
}

Flow all_pairs(const History& history, std::size_t bins, std::size_t lag) {
  const std::size_t n = history.series();
  std::vector<std::vector<std::uint8_t>> series;
  for (std::size_t j = 0; j < n; ++j) series.push_back(history.read(j));
  Flow flow{Matrix(n, n), Matrix(n, n)};
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      if (i == j) continue;
      const Estimate from_j_to_i = estimate(count(series[j], series[i], bins, lag));
      flow.raw(i, j) = from_j_to_i.raw;
      flow.corrected(i, j) = from_j_to_i.corrected;
    }
  }
  return flow;
}

double continuous(std::span<const double> source, std::span<const double> target, std::size_t lag,
                  std::size_t neighbours) {
  require_pair(source.size(), target.size(), lag);
  require_finite(source);
  require_finite(target);
  const std::size_t n = target.size() - lag;
  if (neighbours < 1 || n <= neighbours) {
    throw Error(ErrorCode::bad_input,
                "nearest neighbours need at least one neighbour and more samples than that, not " +
                    std::to_string(neighbours) + " of " + std::to_string(n));
  }
  const auto x = source.first(n);
  const auto y = target.first(n);
  const auto z = target.subspan(lag, n);

  // digamma(c) = -gamma + sum_{k<c} 1/k for whole c.
  std::vector<double> digamma(n + 1);
  digamma[1] = -std::numbers::egamma;
  for (std::size_t c = 2; c <= n; ++c) digamma[c] = digamma[c - 1] + 1.0 / static_cast<double>(c - 1);

  double sum = 0.0;
  std::vector<double> nearest(neighbours);  // the smallest distances so far, ascending
  for (std::size_t i = 0; i < n; ++i) {
    std::fill(nearest.begin(), nearest.end(), INFINITY);
    for (std::size_t j = 0; j < n; ++j) {
      if (j == i) continue;
      const double d = std::max({std::fabs(x[j] - x[i]), std::fabs(y[j] - y[i]), std::fabs(z[j] - z[i])});
      if (d >= nearest.back()) continue;
      nearest.back() = d;
      std::inplace_merge(nearest.begin(), nearest.end() - 1, nearest.end());
    }
    const double eps = nearest.back();
    std::size_t n_y = 0;
    std::size_t n_xy = 0;
    std::size_t n_yz = 0;
    for (std::size_t j = 0; j < n; ++j) {
      if (j == i || !(std::fabs(y[j] - y[i]) < eps)) continue;
      ++n_y;
      if (std::fabs(x[j] - x[i]) < eps) ++n_xy;
      if (std::fabs(z[j] - z[i]) < eps) ++n_yz;
    }
    sum += digamma[n_y + 1] - digamma[n_xy + 1] - digamma[n_yz + 1];
  }
  const double nats = digamma[neighbours] + sum / static_cast<double>(n);
  return nats / std::numbers::ln2;
}

}  // namespace warpwright::workloads::transfer_entropy
