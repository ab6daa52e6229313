// A Gaussian process whose predictions over a fixed list of candidates are kept up to date with every observation.
// Row i of the inverse Cholesky factor applied to the candidates' covariances is held for all candidates, so that an
// observation costs (observations x candidates) multiplications and a prediction costs nothing. The covariance is a
// product over the dimensions of a table of correlations between positions, which serves ordered and unordered
// parameters alike. Several outputs (objective, cost, the constant 1) share the rows; since the mean is linear in the
// outputs, the constant's mean lets the caller shift and scale outputs afterwards. Single precision: the noise term
// (1e-4 and more) is far above its rounding, and the memory traffic halves. Private to this library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace warpwright::detail {

// Positions of the candidates' values, one column a dimension.
struct CandidateTable {
  std::vector<std::vector<std::uint16_t>> columns;
  std::vector<std::uint32_t> values;  // how many positions a dimension has
  std::size_t size() const { return columns.empty() ? 0 : columns.front().size(); }
};

// correlations[d][a * values[d] + b]: symmetric, 1 on the diagonal.
using Correlations = std::vector<std::vector<float>>;

// Thread-compatible. The table must outlive it.
class GaussianProcess {
 public:
  GaussianProcess(const CandidateTable& candidates, Correlations correlations, float noise, std::size_t outputs);

  void observe(std::size_t candidate, const std::vector<float>& outputs);
  // Observes the mean itself: means stay, variances shrink. For questions whose answers are outstanding.
  void expect(std::size_t candidate);
  // Takes back every expect(), which must be the last things that were observed.
  void forget_expected();

  std::size_t observations() const { return rows_.size(); }
  const std::vector<float>& mean(std::size_t output) const { return means_[output]; }
  const std::vector<float>& variance() const { return variance_; }

 private:
  float add_row(std::size_t candidate);  // returns 1 / pivot

  const CandidateTable& candidates_;
  Correlations correlations_;
  float noise_;
  std::vector<std::vector<float>> rows_;     // [observation][candidate]
  std::vector<std::vector<float>> weights_;  // [output][observation]
  std::vector<std::vector<float>> means_;    // [output][candidate]
  std::vector<float> variance_;
  std::size_t expected_ = 0;
};

}  // namespace warpwright::detail
