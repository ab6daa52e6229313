#include "correlation_fit.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "vectors.hpp"

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

// Residue classes of a sum over the observations: each is summed by itself, then all in a fixed order.
constexpr std::size_t classes = 8;

// Covariances of one data set and what the likelihood makes of them, column by column of the lower triangle: the rows
// of a column wait for nothing but the columns before, and lie side by side.
struct Columns {
  std::size_t count = 0, stride = 0;
  const float* others = nullptr;       // products of correlations
  const float* const* more = nullptr;  // one more factor of each column; may be null
  const double* targets = nullptr;
  float* factor = nullptr;
  float* z_sums = nullptr;  // [class][row] of the products of the factor and the solution
  double* own = nullptr;    // what is left of each variance
};

template <class Sum>
[[gnu::always_inline]] inline void add_classes(const Sum (&s)[classes], Sum& sum) {
  sum = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

// Cholesky factor of the covariances and solution of factor * z = targets, with mean and variance profiled out.
template <class Version>
[[gnu::always_inline]] inline double log_likelihood(const Columns& columns, double noise) {
  using Vector = typename Version::Vector;
  const std::size_t n = columns.count, stride = columns.stride;
  double log_determinant = 0, squares = 0;
  std::fill(columns.own, columns.own + n, 1 + noise);
  std::fill(columns.z_sums, columns.z_sums + classes * stride, 0.0F);
  for (std::size_t j = 0; j < n; ++j) {
    float* column = columns.factor + j * stride;
    // Columns that are not there yet count as zeros.
    if (j % classes == 0) std::fill(column, column + classes * stride, 0.0F);
    const double pivot = std::sqrt(std::max(columns.own[j], 1e-6));
    float sums_of_row[classes];
    for (std::size_t c = 0; c < classes; ++c) sums_of_row[c] = columns.z_sums[c * stride + j];
    float known = 0;
    add_classes(sums_of_row, known);
    const double rest = columns.targets[j] - static_cast<double>(known);
    const float z = static_cast<float>(rest / pivot), inverse = static_cast<float>(1 / pivot);
    log_determinant += std::log(pivot);
    squares += rest / pivot * (rest / pivot);
    for (std::size_t i = (j + 1) / Version::width * Version::width; i < n; i += Version::width) {
      Vector sums[classes] = {}, x;
      for (std::size_t m = 0; m < j; m += classes) {
        const float* before = columns.factor + m * stride;
        for (std::size_t c = 0; c < classes; ++c) {
          load(x, before + c * stride + i);
          sums[c] += x * before[c * stride + j];
        }
      }
      Vector covariance;
      load(covariance, columns.others + j * stride + i);
      if (columns.more != nullptr) {
        load(x, columns.more[j] + i);
        covariance *= x;
      }
      add_classes(sums, x);
      covariance = (covariance - x) * inverse;
      store(column + i, covariance);
    }
    float* z_sums = columns.z_sums + j % classes * stride;
    for (std::size_t i = j + 1; i < n; ++i) {
      const double part = column[i];
      columns.own[i] -= part * part;
      z_sums[i] += column[i] * z;
    }
  }
  const auto count = static_cast<double>(n);
  return -0.5 * count * std::log(squares / count + 1e-12) - log_determinant;
}

double log_likelihood_plain(const Columns& columns, double noise) { return log_likelihood<Wide>(columns, noise); }
#if WARPWRIGHT_WIDE_VERSION
[[gnu::target("avx2")]] double log_likelihood_wide(const Columns& columns, double noise) {
  return log_likelihood<Wide>(columns, noise);
}
[[gnu::target("avx512f")]] double log_likelihood_widest(const Columns& columns, double noise) {
  return log_likelihood<Widest>(columns, noise);
}
#endif

using LogLikelihood = double (*)(const Columns&, double);
LogLikelihood best_log_likelihood() {
#if WARPWRIGHT_WIDE_VERSION
  if (has_widest()) return &log_likelihood_widest;
  if (has_wide()) return &log_likelihood_wide;
#endif
  return &log_likelihood_plain;
}

// The covariances of one data set under changing lengths.
class Likelihood {
 public:
  Likelihood(const CandidatePool& pool, const std::vector<std::uint16_t>& codes, const std::vector<double>& targets)
      : pool_(pool),
        targets_(targets),
        n_(targets.size()),
        stride_((n_ + lanes - 1) / lanes * lanes),
        codes_(pool.dimensions() * n_),
        others_(n_ * stride_),
        factor_((n_ + classes) * stride_),
        z_sums_(classes * stride_),
        own_(n_),
        more_(n_) {
    for (std::size_t j = 0; j < n_; ++j)
      for (std::size_t d = 0; d < pool.dimensions(); ++d) codes_[d * n_ + j] = codes[j * pool.dimensions() + d];
  }

  // Correlations in one dimension of every position that was observed with every observation, so that covariances are
  // products of rows.
  struct Expanded {
    Floats values;
    std::vector<std::size_t> start;  // of a position's row
  };

  Expanded expand(const std::vector<float>& table, std::size_t d) const {
    constexpr std::size_t none = ~std::size_t{0};
    const std::uint16_t* codes = codes_.data() + d * n_;
    Expanded expanded;
    expanded.start.assign(pool_.values(d), none);
    for (std::size_t j = 0; j < n_; ++j) {
      std::size_t& start = expanded.start[codes[j]];
      if (start != none) continue;
      start = expanded.values.size();
      expanded.values.resize(start + stride_, 1.0F);
      const float* values = table.data() + static_cast<std::size_t>(codes[j]) * pool_.values(d);
      for (std::size_t i = 0; i < n_; ++i) expanded.values[start + i] = values[codes[i]];
    }
    return expanded;
  }

  // Product over all dimensions but `skipped`.
  void prepare(const std::vector<Expanded>& expanded, std::size_t skipped) {
    for (std::size_t j = 0; j < n_; ++j) {
      const std::size_t begin = j / lanes * lanes;
      float* column = others_.data() + j * stride_;
      std::fill(column + begin, column + stride_, 1.0F);
      for (std::size_t d = 0; d < expanded.size(); ++d) {
        if (d == skipped) continue;
        const float* with = row(expanded[d], d, j);
        for (std::size_t i = begin; i < stride_; ++i) column[i] *= with[i];
      }
    }
  }

  double operator()(const Expanded* expanded, std::size_t dimension, double noise) {
    static const LogLikelihood best = best_log_likelihood();
    if (expanded != nullptr)
      for (std::size_t j = 0; j < n_; ++j) more_[j] = row(*expanded, dimension, j);
    Columns columns;
    columns.count = n_;
    columns.stride = stride_;
    columns.others = others_.data();
    columns.more = expanded != nullptr ? more_.data() : nullptr;
    columns.targets = targets_.data();
    columns.factor = factor_.data();
    columns.z_sums = z_sums_.data();
    columns.own = own_.data();
    return best(columns, noise);
  }

 private:
  static constexpr std::size_t lanes = 16;

  const float* row(const Expanded& expanded, std::size_t d, std::size_t j) const {
    return expanded.values.data() + expanded.start[codes_[d * n_ + j]];
  }

  const CandidatePool& pool_;
  const std::vector<double>& targets_;
  std::size_t n_, stride_;
  std::vector<std::uint16_t> codes_;  // [dimension][observation]
  Floats others_, factor_, z_sums_;
  std::vector<double> own_;
  std::vector<const float*> more_;
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
  std::vector<Likelihood::Expanded> tables;
  for (std::size_t d = 0; d < all; ++d) tables.push_back(likelihood.expand(table_of(pool, d, fit.lengths[d]), d));
  likelihood.prepare(tables, all);
  double best = likelihood(nullptr, all, fit.noise) + priors;
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    for (std::size_t d = 0; d < all; ++d) {
      likelihood.prepare(tables, d);
      for (const double factor : {0.5, 2.0}) {
        const double length = std::clamp(fit.lengths[d] * factor, 0.05, 20.0);
        Likelihood::Expanded table = likelihood.expand(table_of(pool, d, length), d);
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
