#include "gaussian_process.hpp"

#include <algorithm>
#include <cmath>

namespace warpwright::detail {

GaussianProcess::GaussianProcess(const CandidateTable& candidates, Correlations correlations, float noise,
                                 std::size_t outputs)
    : candidates_(candidates),
      correlations_(std::move(correlations)),
      noise_(noise),
      weights_(outputs),
      means_(outputs, std::vector<float>(candidates.size(), 0.0F)),
      variance_(candidates.size(), 1.0F) {}

float GaussianProcess::add_row(std::size_t candidate) {
  const std::size_t count = candidates_.size();
  std::vector<float> row(count, 1.0F);
  for (std::size_t d = 0; d < candidates_.columns.size(); ++d) {
    const std::uint16_t* column = candidates_.columns[d].data();
    const float* table = correlations_[d].data() + static_cast<std::size_t>(column[candidate]) * candidates_.values[d];
    for (std::size_t c = 0; c < count; ++c) row[c] *= table[column[c]];
  }
  float pivot = 1.0F + noise_;
  float* const target = row.data();
  // Four rows at a time: the target is read and written a quarter as often.
  std::size_t i = 0;
  for (; i + 4 <= rows_.size(); i += 4) {
    const float *r0 = rows_[i].data(), *r1 = rows_[i + 1].data(), *r2 = rows_[i + 2].data(), *r3 = rows_[i + 3].data();
    const float w0 = r0[candidate], w1 = r1[candidate], w2 = r2[candidate], w3 = r3[candidate];
    pivot -= w0 * w0 + w1 * w1 + w2 * w2 + w3 * w3;
    for (std::size_t c = 0; c < count; ++c) target[c] -= (w0 * r0[c] + w1 * r1[c]) + (w2 * r2[c] + w3 * r3[c]);
  }
  for (; i < rows_.size(); ++i) {
    const float* r = rows_[i].data();
    const float w = r[candidate];
    pivot -= w * w;
    for (std::size_t c = 0; c < count; ++c) target[c] -= w * r[c];
  }
  const float inverse = 1.0F / std::sqrt(std::max(pivot, noise_));
  float* const variance = variance_.data();
  for (std::size_t c = 0; c < count; ++c) {
    target[c] *= inverse;
    variance[c] -= target[c] * target[c];
  }
  rows_.push_back(std::move(row));
  return inverse;
}

void GaussianProcess::observe(std::size_t candidate, const std::vector<float>& outputs) {
  const std::size_t before = rows_.size();
  const float inverse = add_row(candidate);
  const float* row = rows_.back().data();
  for (std::size_t o = 0; o < means_.size(); ++o) {
    float weight = outputs[o];
    for (std::size_t i = 0; i < before; ++i) weight -= rows_[i][candidate] * weights_[o][i];
    weight *= inverse;
    weights_[o].push_back(weight);
    float* const mean = means_[o].data();
    for (std::size_t c = 0; c < candidates_.size(); ++c) mean[c] += row[c] * weight;
  }
}

void GaussianProcess::expect(std::size_t candidate) {
  add_row(candidate);
  for (auto& weights : weights_) weights.push_back(0.0F);
  ++expected_;
}

void GaussianProcess::forget_expected() {
  for (; expected_ > 0; --expected_) {
    const float* row = rows_.back().data();
    for (std::size_t c = 0; c < variance_.size(); ++c) variance_[c] += row[c] * row[c];
    rows_.pop_back();
    for (auto& weights : weights_) weights.pop_back();
  }
}

}  // namespace warpwright::detail
