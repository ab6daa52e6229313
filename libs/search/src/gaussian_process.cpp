#include "gaussian_process.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

// Wider vector instructions where the processor has them. The lanes are written out and products are not fused with
// sums (-ffp-contract=off), so every version gives the same bits.
#if defined(__x86_64__) && defined(__GNUC__)
#define WARPWRIGHT_WIDE_VERSION 1
#else
#define WARPWRIGHT_WIDE_VERSION 0
#endif

namespace warpwright::detail {
namespace {

constexpr std::size_t lanes = 16;

constexpr std::size_t whole_lanes(std::size_t count) { return (count + lanes - 1) / lanes * lanes; }

// Eight floats in one register where the processor has such; written as the compilers' vector type because arrays of
// sums are not reliably kept in registers.
using Eight [[gnu::vector_size(32)]] = float;

[[gnu::always_inline]] inline void load(Eight& eight, const float* from) { std::memcpy(&eight, from, sizeof eight); }

[[gnu::always_inline]] inline float product(const float* a, const float* b, std::size_t count) {
  Eight low{}, high{}, x, y;
  for (std::size_t i = 0; i < count; i += lanes) {
    load(x, a + i);
    load(y, b + i);
    low += x * y;
    load(x, a + i + 8);
    load(y, b + i + 8);
    high += x * y;
  }
  low += high;
  return ((low[0] + low[4]) + (low[2] + low[6])) + ((low[1] + low[5]) + (low[3] + low[7]));
}

// What a candidate's solution is made of, as plain pointers, so that one body serves every instruction set.
struct Rows {
  const float* with_observations = nullptr;
  const std::size_t* first_value = nullptr;
  std::size_t stride = 0, dimensions = 0;
  const float* factor = nullptr;
  const std::size_t* row_start = nullptr;
  const float* block_factor = nullptr;
  const float* inverse_pivots = nullptr;
  const GaussianProcess::Outputs* weights = nullptr;
  std::size_t rows = 0;
};

// Where block b begins: each has as many columns as its last row, of `lanes` numbers.
constexpr std::size_t block_start(std::size_t b) { return lanes * lanes * (b * (b + 1) / 2); }

// `lanes` rows of the solution at once, from `first` on: products with what is solved before, column by column, then
// the inverse of the triangle on the diagonal. Nothing waits for the row before.
[[gnu::always_inline]] inline void solve_block(const float* block, std::size_t first, const float* covariances,
                                               float* solution) {
  Eight low[4] = {}, high[4] = {}, x;
  for (std::size_t i = 0; i < first; i += 4) {
    for (std::size_t k = 0; k < 4; ++k) {
      const float* column = block + (i + k) * lanes;
      const float value = solution[i + k];
      load(x, column);
      low[k] += x * value;
      load(x, column + 8);
      high[k] += x * value;
    }
  }
  Eight rest_low, rest_high;
  load(rest_low, covariances + first);
  load(rest_high, covariances + first + 8);
  rest_low -= (low[0] + low[1]) + (low[2] + low[3]);
  rest_high -= (high[0] + high[1]) + (high[2] + high[3]);
  float rest[lanes];
  std::memcpy(rest, &rest_low, sizeof rest_low);
  std::memcpy(rest + 8, &rest_high, sizeof rest_high);
  for (std::size_t k = 0; k < 4; ++k) low[k] = high[k] = Eight{};
  const float* triangle = block + first * lanes;
  for (std::size_t i = 0; i < lanes; i += 4) {
    for (std::size_t k = 0; k < 4; ++k) {
      load(x, triangle + (i + k) * lanes);
      low[k] += x * rest[i + k];
      load(x, triangle + (i + k) * lanes + 8);
      high[k] += x * rest[i + k];
    }
  }
  rest_low = (low[0] + low[1]) + (low[2] + low[3]);
  rest_high = (high[0] + high[1]) + (high[2] + high[3]);
  std::memcpy(solution + first, &rest_low, sizeof rest_low);
  std::memcpy(solution + first + 8, &rest_high, sizeof rest_high);
}

[[gnu::always_inline]] inline void advance_body(const Rows& rows, const std::uint16_t* codes,
                                                float* __restrict covariances, float* __restrict solution,
                                                GaussianProcess::Prediction& prediction) {
  const std::size_t from = prediction.rows, begin = from / lanes * lanes, end = whole_lanes(rows.rows);
  const float* first = rows.with_observations + (rows.first_value[0] + codes[0]) * rows.stride;
  for (std::size_t i = begin; i < end; ++i) covariances[i] = first[i];
  for (std::size_t d = 1; d < rows.dimensions; ++d) {
    const float* with = rows.with_observations + (rows.first_value[d] + codes[d]) * rows.stride;
    for (std::size_t i = begin; i < end; ++i) covariances[i] *= with[i];
  }
  float variance = prediction.variance;
  GaussianProcess::Outputs mean = prediction.mean;
  std::size_t r = from;
  while (r < rows.rows) {
    if (r % lanes == 0 && r + lanes <= rows.rows) {
      solve_block(rows.block_factor + block_start(r / lanes), r, covariances, solution);
      for (const std::size_t end_of_block = r + lanes; r < end_of_block; ++r) {
        const float value = solution[r];
        variance -= value * value;
        for (std::size_t o = 0; o < GaussianProcess::outputs; ++o) mean[o] += value * rows.weights[r][o];
      }
      continue;
    }
    // Rows of the factor end in zeros, so what stands here only has to be a number.
    if (r % lanes == 0)
      for (std::size_t lane = 0; lane < lanes; ++lane) solution[r + lane] = 0.0F;
    const float known = product(rows.factor + rows.row_start[r], solution, whole_lanes(r));
    const float value = (covariances[r] - known) * rows.inverse_pivots[r];
    solution[r] = value;
    variance -= value * value;
    for (std::size_t o = 0; o < GaussianProcess::outputs; ++o) mean[o] += value * rows.weights[r][o];
    ++r;
  }
  prediction.variance = variance;
  prediction.mean = mean;
  prediction.rows = static_cast<std::uint32_t>(rows.rows);
}

void advance_plain(const Rows& rows, const std::uint16_t* codes, float* covariances, float* solution,
                   GaussianProcess::Prediction& prediction) {
  advance_body(rows, codes, covariances, solution, prediction);
}

using Advance = void (*)(const Rows&, const std::uint16_t*, float*, float*, GaussianProcess::Prediction&);

#if WARPWRIGHT_WIDE_VERSION
[[gnu::target("avx2")]] void advance_wide(const Rows& rows, const std::uint16_t* codes, float* covariances,
                                          float* solution, GaussianProcess::Prediction& prediction) {
  advance_body(rows, codes, covariances, solution, prediction);
}
Advance best_advance() { return __builtin_cpu_supports("avx2") != 0 ? &advance_wide : &advance_plain; }
#else
Advance best_advance() { return &advance_plain; }
#endif

}  // namespace

GaussianProcess::GaussianProcess(const CandidateTable& candidates, std::size_t capacity)
    : candidates_(candidates),
      capacity_(capacity),
      stride_(whole_lanes(capacity)),
      covariances_(stride_),
      fresh_(stride_),
      // Not initialised: most of it is never touched.
      solutions_(std::make_unique_for_overwrite<float[]>(stride_ * std::max<std::size_t>(1, candidates.size()))),
      predictions_(candidates.size()) {
  std::size_t values = 0, size = 0;
  for (const std::uint32_t count : candidates.values) {
    first_value_.push_back(values);
    values += count;
  }
  with_observations_.assign(values * stride_, 0.0F);
  for (std::size_t r = 0; r < stride_; ++r) {
    row_start_.push_back(size);
    size += whole_lanes(r);
  }
  factor_.assign(size, 0.0F);
  block_factor_.assign(block_start(stride_ / lanes), 0.0F);
}

void GaussianProcess::reset(const Correlations& correlations, float noise) {
  held_ = correlations;
  noise_ = noise;
  rows_ = expected_ = 0;
  inverse_pivots_.clear();
  weights_.clear();
  beyond_.clear();
  predictions_.assign(candidates_.size(), Prediction{});
}

void GaussianProcess::advance(const std::uint16_t* codes, float* solution, Prediction& prediction) {
  static const Advance best = best_advance();
  Rows rows;
  rows.with_observations = with_observations_.data();
  rows.first_value = first_value_.data();
  rows.stride = stride_;
  rows.dimensions = candidates_.dimensions;
  rows.factor = factor_.data();
  rows.row_start = row_start_.data();
  rows.block_factor = block_factor_.data();
  rows.inverse_pivots = inverse_pivots_.data();
  rows.weights = weights_.data();
  rows.rows = rows_;
  best(rows, codes, covariances_.data(), solution, prediction);
}

GaussianProcess::Prediction GaussianProcess::add_row(const std::uint16_t* codes, const Outputs* values) {
  Prediction own;
  advance(codes, fresh_.data(), own);
  float* row = factor_.data() + row_start_[rows_];
  std::fill(row, row + whole_lanes(rows_), 0.0F);
  std::copy(fresh_.begin(), fresh_.begin() + static_cast<std::ptrdiff_t>(rows_), row);
  const float inverse = 1.0F / std::sqrt(std::max(own.variance + noise_, noise_));
  inverse_pivots_.push_back(inverse);
  add_to_block(row, inverse);
  Outputs weights{};
  if (values != nullptr)
    for (std::size_t o = 0; o < outputs; ++o) weights[o] = ((*values)[o] - own.mean[o]) * inverse;
  weights_.push_back(weights);
  for (std::size_t d = 0; d < candidates_.dimensions; ++d) {
    const std::uint32_t count = candidates_.values[d];
    const float* table = held_[d].data() + static_cast<std::size_t>(codes[d]) * count;
    float* target = with_observations_.data() + first_value_[d] * stride_ + rows_;
    for (std::uint32_t v = 0; v < count; ++v) target[v * stride_] = table[v];
  }
  ++rows_;
  return own;
}

void GaussianProcess::add_to_block(const float* row, float inverse) {
  const std::size_t lane = rows_ % lanes, first = rows_ - lane;
  float* block = block_factor_.data() + block_start(rows_ / lanes);
  if (lane == 0) std::fill(block, block + (first + lanes) * lanes, 0.0F);
  for (std::size_t i = 0; i < first; ++i) block[i * lanes + lane] = row[i];
  // The next row of the inverse of the triangle on the diagonal.
  float* triangle = block + first * lanes;
  for (std::size_t j = 0; j < lane; ++j) {
    float sum = 0;
    for (std::size_t m = j; m < lane; ++m) sum += row[first + m] * triangle[j * lanes + m];
    triangle[j * lanes + lane] = -sum * inverse;
  }
  triangle[lane * lanes + lane] = inverse;
}

GaussianProcess::Prediction GaussianProcess::observe(const std::uint16_t* codes, const Outputs& values) {
  return rows_ < capacity_ ? add_row(codes, &values) : Prediction{};
}

void GaussianProcess::expect(const std::uint16_t* codes) {
  if (rows_ == capacity_) return;
  add_row(codes, nullptr);
  ++expected_;
}

void GaussianProcess::forget_expected() {
  const std::size_t kept = rows_ - expected_;
  for (const std::size_t c : beyond_) {
    Prediction& prediction = predictions_[c];
    const float* solution = solutions_.get() + c * stride_;
    for (; prediction.rows > kept; --prediction.rows)
      prediction.variance += solution[prediction.rows - 1] * solution[prediction.rows - 1];
  }
  beyond_.clear();
  rows_ = kept;
  expected_ = 0;
  inverse_pivots_.resize(kept);
  weights_.resize(kept);
}

const GaussianProcess::Prediction& GaussianProcess::update(std::size_t candidate) {
  Prediction& prediction = predictions_[candidate];
  if (prediction.rows == rows_) return prediction;
  if (expected_ > 0 && prediction.rows <= rows_ - expected_) beyond_.push_back(candidate);
  advance(candidates_.at(candidate), solutions_.get() + candidate * stride_, prediction);
  return prediction;
}

}  // namespace warpwright::detail
