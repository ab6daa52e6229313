#include "correlation_fit.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace warpwright::detail {
namespace {

float correlation(bool graded, std::uint32_t values, std::uint32_t a, std::uint32_t b, double length) {
  if (a == b) return 1.0F;
  if (!graded) return static_cast<float>(std::exp(-1.0 / length));
  const double distance = std::abs(static_cast<double>(a) - static_cast<double>(b)) / static_cast<double>(values - 1);
  const double q = std::sqrt(3.0) * distance / length;
  return static_cast<float>((1 + q) * std::exp(-q));
}

std::vector<float> table_of(const CandidatePool& pool, std::size_t d, double length) {
  const std::uint32_t n = pool.values(d);
  const bool graded = pool.ordered(d) && n > 2;
  // Depends on the distance alone.
  std::vector<float> by_distance(n);
  for (std::uint32_t a = 0; a < n; ++a) by_distance[a] = correlation(graded, n, 0, a, length);
  std::vector<float> table(static_cast<std::size_t>(n) * n);
  for (std::uint32_t a = 0; a < n; ++a)
    for (std::uint32_t b = 0; b < n; ++b)
      table[static_cast<std::size_t>(a) * n + b] = by_distance[a > b ? a - b : b - a];
  return table;
}

// The covariances of one data set under changing lengths.
class Likelihood {
 public:
  Likelihood(const CandidatePool& pool, const std::vector<std::uint16_t>& codes, const std::vector<double>& targets)
      : pool_(pool),
        codes_(codes),
        targets_(targets),
        n_(targets.size()),
        stride_((n_ + lanes - 1) / lanes * lanes),
        others_(n_ * stride_, 1.0F),
        factor_(n_ * stride_),
        z_(stride_) {}

  // Product over all dimensions but `skipped`.
  void prepare(const Correlations& tables, std::size_t skipped) {
    for (std::size_t i = 0; i < n_; ++i) {
      float* row = others_.data() + i * stride_;
      std::fill(row, row + i, 1.0F);
      for (std::size_t d = 0; d < tables.size(); ++d) {
        if (d == skipped) continue;
        multiply(tables[d], d, i, row);
      }
    }
  }

  double operator()(const std::vector<float>* table, std::size_t dimension, double noise) {
    double log_determinant = 0, squares = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      float* row = factor_.data() + i * stride_;
      std::copy_n(others_.data() + i * stride_, i, row);
      if (table != nullptr) multiply(*table, dimension, i, row);
      std::fill(row + i, row + stride_, 0.0F);
      double own = 1 + noise;
      for (std::size_t j = 0; j < i; ++j) {
        const float* other = factor_.data() + j * stride_;
        row[j] = (row[j] - product(row, other, j)) * inverse_[j];
        own -= static_cast<double>(row[j]) * static_cast<double>(row[j]);
      }
      const double pivot = std::sqrt(std::max(own, 1e-6));
      const double rest = targets_[i] - static_cast<double>(product(row, z_.data(), i));
      z_[i] = static_cast<float>(rest / pivot);
      inverse_.resize(i + 1);
      inverse_[i] = static_cast<float>(1 / pivot);
      log_determinant += std::log(pivot);
      squares += rest / pivot * (rest / pivot);
    }
    const auto count = static_cast<double>(n_);
    return -0.5 * count * std::log(squares / count + 1e-12) - log_determinant;
  }

 private:
  static constexpr std::size_t lanes = 8;

  void multiply(const std::vector<float>& table, std::size_t d, std::size_t i, float* row) const {
    const std::size_t dimensions = pool_.dimensions();
    const float* values = table.data() + static_cast<std::size_t>(codes_[i * dimensions + d]) * pool_.values(d);
    for (std::size_t j = 0; j < i; ++j) row[j] *= values[codes_[j * dimensions + d]];
  }

  // In lanes, so that it is fast and the same everywhere. Beyond `count` one of the rows is zero.
  static float product(const float* a, const float* b, std::size_t count) {
    float sums[lanes] = {};
    for (std::size_t i = 0; i < count; i += lanes)
      for (std::size_t lane = 0; lane < lanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
    for (std::size_t half = lanes / 2; half > 0; half /= 2)
      for (std::size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
    return sums[0];
  }

  const CandidatePool& pool_;
  const std::vector<std::uint16_t>& codes_;
  const std::vector<double>& targets_;
  std::size_t n_, stride_;
  std::vector<float> others_, factor_, inverse_, z_;
};

}  // namespace

Correlations correlations(const CandidatePool& pool, const std::vector<double>& lengths) {
  Correlations tables;
  for (std::size_t d = 0; d < pool.dimensions(); ++d) tables.push_back(table_of(pool, d, lengths[d]));
  return tables;
}

CorrelationLengths fit_correlations(const CandidatePool& pool, const std::vector<std::uint16_t>& codes,
                                    std::vector<double> targets, const CorrelationLengths& start, double prior_length,
                                    int sweeps) {
  CorrelationLengths fit = start;
  const double mean = std::accumulate(targets.begin(), targets.end(), 0.0) /
                      static_cast<double>(std::max<std::size_t>(1, targets.size()));
  for (double& target : targets) target -= mean;
  Likelihood likelihood(pool, codes, targets);
  const auto prior = [&](double length) {
    const double factor = std::log(length / prior_length);
    return -0.5 * factor * factor;
  };
  const std::size_t all = pool.dimensions();
  double priors = 0;
  for (const double length : fit.lengths) priors += prior(length);
  Correlations tables = correlations(pool, fit.lengths);
  likelihood.prepare(tables, all);
  double best = likelihood(nullptr, all, fit.noise) + priors;
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    for (std::size_t d = 0; d < all; ++d) {
      likelihood.prepare(tables, d);
      for (const double factor : {0.5, 2.0}) {
        const double length = std::clamp(fit.lengths[d] * factor, 0.05, 20.0);
        std::vector<float> table = table_of(pool, d, length);
        const double others = priors - prior(fit.lengths[d]) + prior(length);
        const double value = likelihood(&table, d, fit.noise) + others;
        if (value > best) {
          best = value;
          priors = others;
          fit.lengths[d] = length;
          tables[d] = std::move(table);
        }
      }
    }
    likelihood.prepare(tables, all);
    for (const double factor : {0.25, 4.0}) {
      const double noise = std::clamp(fit.noise * factor, 1e-4, 0.3);
      const double value = likelihood(nullptr, all, noise) + priors;
      if (value > best) best = value, fit.noise = noise;
    }
  }
  return fit;
}

}  // namespace warpwright::detail
