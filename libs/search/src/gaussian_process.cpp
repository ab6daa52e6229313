#include "gaussian_process.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "vectors.hpp"

namespace warpwright::detail {
namespace {

using Prediction = GaussianProcess::Prediction;
using Rows = GaussianRows;

constexpr std::size_t lanes = 16;

constexpr std::size_t whole_lanes(std::size_t count) { return (count + lanes - 1) / lanes * lanes; }

// The sum of `lanes` numbers in the one order that all versions share.
[[gnu::always_inline]] inline float sum_of(const Eight& eight) {
  const Four quads =
      __builtin_shufflevector(eight, eight, 0, 1, 2, 3) + __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
  const Four pairs = quads + __builtin_shufflevector(quads, quads, 2, 3, 0, 1);
  return pairs[0] + pairs[1];
}
[[gnu::always_inline]] inline float sum_of(const Eight (&parts)[2]) { return sum_of(parts[0] + parts[1]); }
[[gnu::always_inline]] inline float sum_of(const Sixteen (&parts)[1]) {
  const Sixteen& all = parts[0];
  return sum_of(__builtin_shufflevector(all, all, 0, 1, 2, 3, 4, 5, 6, 7) +
                __builtin_shufflevector(all, all, 8, 9, 10, 11, 12, 13, 14, 15));
}

// lane_masks + lanes - k: all ones in lane k alone.
struct LaneMasks {
  std::int32_t values[2 * lanes] = {};
  constexpr LaneMasks() { values[lanes] = -1; }
};
constexpr LaneMasks lane_masks;

// Where block b begins: each has as many columns as its last row, of `lanes` numbers.
constexpr std::size_t block_start(std::size_t b) { return lanes * lanes * (b * (b + 1) / 2); }

// Covariances with the observations from `begin` to `end`, both whole lanes.
template <class Version>
[[gnu::always_inline]] inline void covariances_with(const Rows& rows, const std::uint16_t* codes, std::size_t begin,
                                                    std::size_t end, float* covariances) {
  const float** with = rows.with;
  for (std::size_t d = 0; d < rows.dimensions; ++d)
    with[d] = rows.with_observations + (rows.first_value[d] + codes[d]) * rows.stride;
  for (std::size_t i = begin; i < end; i += Version::width) {
    typename Version::Vector product, x;
    load(product, with[0] + i);
    for (std::size_t d = 1; d < rows.dimensions; ++d) {
      load(x, with[d] + i);
      product *= x;
    }
    store(covariances + i, product);
  }
}

// Means and variance with one more row: the weights' last place is free for the value itself. The variance is kept
// negated here, so that it is a sum as well.
[[gnu::always_inline]] inline void take_in(Four& state, const GaussianProcess::Weights& weights, float value) {
  Four with;
  load(with, weights.data());
  with[3] = value;
  state += with * value;
}

// `lanes` rows at once, from `first` on, of the solutions of `Count` candidates: products with what is solved before,
// column by column, then the inverse of the triangle on the diagonal. Nothing waits for the row before, and a column is
// fetched once for all candidates.
template <class Version, std::size_t Count>
[[gnu::always_inline]] inline void solve_blocks(const Rows& rows, std::size_t first, const float* const* covariances,
                                                float* const* solutions, Four* const* states) {
  using Vector = typename Version::Vector;
  constexpr std::size_t width = Version::width, parts = lanes / width;
  const float* block = rows.block_factor + block_start(first / lanes);
  Vector sums[Count][4][parts] = {}, x;
  for (std::size_t i = 0; i < first; i += 4) {
    for (std::size_t k = 0; k < 4; ++k) {
      for (std::size_t p = 0; p < parts; ++p) {
        load(x, block + (i + k) * lanes + p * width);
        for (std::size_t c = 0; c < Count; ++c) sums[c][k][p] += x * solutions[c][i + k];
      }
    }
  }
  const float* triangle = block + first * lanes;
  for (std::size_t c = 0; c < Count; ++c) {
    float rest[lanes];
    for (std::size_t p = 0; p < parts; ++p) {
      load(x, covariances[c] + first + p * width);
      x -= (sums[c][0][p] + sums[c][1][p]) + (sums[c][2][p] + sums[c][3][p]);
      store(rest + p * width, x);
      for (std::size_t k = 0; k < 4; ++k) sums[c][k][p] = Vector{};
    }
    for (std::size_t i = 0; i < lanes; i += 4) {
      for (std::size_t k = 0; k < 4; ++k) {
        for (std::size_t p = 0; p < parts; ++p) {
          load(x, triangle + (i + k) * lanes + p * width);
          sums[c][k][p] += x * rest[i + k];
        }
      }
    }
    for (std::size_t p = 0; p < parts; ++p)
      store(solutions[c] + first + p * width, (sums[c][0][p] + sums[c][1][p]) + (sums[c][2][p] + sums[c][3][p]));
  }
  Four taken[Count];
  for (std::size_t c = 0; c < Count; ++c) taken[c] = *states[c];
  for (std::size_t r = first; r < first + lanes; ++r)
    for (std::size_t c = 0; c < Count; ++c) take_in(taken[c], rows.weights[r], solutions[c][r]);
  for (std::size_t c = 0; c < Count; ++c) *states[c] = taken[c];
}

// The rows up to `end` of one block, one after another, of the solutions of `Count` candidates: of each from its own
// row of `from` on, which is in the block; those of the block before that are solved. A row waits for the row before,
// so the candidates take turns.
template <class Version, std::size_t Count>
[[gnu::always_inline]] inline void solve_rows(const Rows& rows, const std::size_t* from, std::size_t end,
                                              const float* const* covariances, float* const* solutions,
                                              Four* const* states) {
  using Vector = typename Version::Vector;
  constexpr std::size_t width = Version::width, parts = lanes / width, together = 4;
  std::size_t begin = from[0];
  for (std::size_t c = 1; c < Count; ++c) begin = std::min(begin, from[c]);
  const std::size_t first = begin / lanes * lanes;
  // Products with what lies before the block wait for nothing: several rows at once.
  float before[Count][lanes + together][lanes];
  for (std::size_t c = 0; c < Count; ++c) {
    for (std::size_t group = from[c]; group < end; group += together) {
      Vector sums[together][parts] = {}, x, y;
      const float* factor[together];
      for (std::size_t k = 0; k < together; ++k) factor[k] = rows.factor + rows.row_start[std::min(group + k, end - 1)];
      for (std::size_t i = 0; i < first; i += lanes) {
        for (std::size_t p = 0; p < parts; ++p) {
          load(y, solutions[c] + i + p * width);
          for (std::size_t k = 0; k < together; ++k) {
            load(x, factor[k] + i + p * width);
            sums[k][p] += x * y;
          }
        }
      }
      for (std::size_t k = 0; k < together; ++k)
        for (std::size_t p = 0; p < parts; ++p) store(before[c][group - first + k] + p * width, sums[k][p]);
    }
    // What a candidate has already is passed over below, but has to be a number.
    for (std::size_t row = begin; row < from[c]; ++row)
      for (std::size_t p = 0; p < parts; ++p) store(before[c][row - first] + p * width, Vector{});
  }
  // The block's own numbers stay in registers.
  Vector own[Count][parts] = {};
  Four taken[Count];
  for (std::size_t c = 0; c < Count; ++c) {
    taken[c] = *states[c];
    if (from[c] > first)
      for (std::size_t p = 0; p < parts; ++p) load(own[c][p], solutions[c] + first + p * width);
  }
  for (std::size_t row = begin; row < end; ++row) {
    const float* factor = rows.factor + rows.row_start[row] + first;
    for (std::size_t c = 0; c < Count; ++c) {
      Vector sums[parts], x;
      for (std::size_t p = 0; p < parts; ++p) {
        load(sums[p], before[c][row - first] + p * width);
        if (row == first) continue;  // whose row of the factor ends where the block begins
        load(x, factor + p * width);
        sums[p] += x * own[c][p];
      }
      const float value = (covariances[c][row] - sum_of(sums)) * rows.inverse_pivots[row];
      const bool is_new = row >= from[c];
      for (std::size_t p = 0; p < parts; ++p) {
        typename Version::Mask here;
        load(here, lane_masks.values + (is_new ? lanes - (row - first) : 0) + p * width);
        own[c][p] = here ? value : own[c][p];
      }
      Four next = taken[c];
      take_in(next, rows.weights[row], value);
      taken[c] = is_new ? next : taken[c];
    }
  }
  for (std::size_t c = 0; c < Count; ++c) {
    *states[c] = taken[c];
    // Rows of the factor end in zeros, so what stands behind the last row only has to be a number.
    for (std::size_t p = 0; p < parts; ++p) store(solutions[c] + first + p * width, own[c][p]);
  }
}

// One candidate on its way to more rows.
struct Advance {
  const std::uint16_t* codes;
  float* covariances;  // scratch
  float* solution;
  Prediction* prediction;
};

constexpr std::size_t most_advances = GaussianProcess::most_foreseen;

// Candidates whose next rows are made in the same way.
struct Together {
  std::size_t count = 0;
  std::size_t from[most_advances];
  const float* covariances[most_advances];
  float* solutions[most_advances];
  Four* states[most_advances];

  void add(const Advance& advance, std::size_t row, Four* state) {
    from[count] = row;
    covariances[count] = advance.covariances;
    solutions[count] = advance.solution;
    states[count++] = state;
  }
};

// Takes all rows into account for up to most_advances candidates.
template <class Version>
[[gnu::always_inline]] inline void advance_body(const Rows& rows, const Advance* advances, std::size_t count) {
  Four states[most_advances];
  std::size_t begin = rows.rows;
  for (std::size_t c = 0; c < count; ++c) {
    const Prediction& from = *advances[c].prediction;
    const std::size_t first = from.rows / lanes * lanes;
    begin = std::min(begin, first);
    covariances_with<Version>(rows, advances[c].codes, first, whole_lanes(rows.rows), advances[c].covariances);
    states[c] = Four{from.mean[0], from.mean[1], from.mean[2], -from.variance};
  }
  for (std::size_t first = begin; first < rows.rows; first += lanes) {
    const std::size_t end = std::min(first + lanes, rows.rows);
    // Rows in whole blocks and rows one by one sum in different orders, so which it is depends on a candidate's own
    // rows alone.
    Together whole, single;
    for (std::size_t c = 0; c < count; ++c) {
      const std::size_t from = advances[c].prediction->rows;
      if (from >= end) continue;
      (from <= first && end - first == lanes ? whole : single).add(advances[c], std::max(from, first), &states[c]);
    }
    if constexpr (Version::width == lanes) {
      if (whole.count == 4) solve_blocks<Version, 4>(rows, first, whole.covariances, whole.solutions, whole.states);
      if (whole.count == 3) solve_blocks<Version, 3>(rows, first, whole.covariances, whole.solutions, whole.states);
      if (whole.count == 2) solve_blocks<Version, 2>(rows, first, whole.covariances, whole.solutions, whole.states);
      if (whole.count == 1) solve_blocks<Version, 1>(rows, first, whole.covariances, whole.solutions, whole.states);
      if (single.count == 4)
        solve_rows<Version, 4>(rows, single.from, end, single.covariances, single.solutions, single.states);
      if (single.count == 3)
        solve_rows<Version, 3>(rows, single.from, end, single.covariances, single.solutions, single.states);
      if (single.count == 2)
        solve_rows<Version, 2>(rows, single.from, end, single.covariances, single.solutions, single.states);
      if (single.count == 1)
        solve_rows<Version, 1>(rows, single.from, end, single.covariances, single.solutions, single.states);
    } else {  // there are registers for one
      for (std::size_t k = 0; k < whole.count; ++k)
        solve_blocks<Version, 1>(rows, first, whole.covariances + k, whole.solutions + k, whole.states + k);
      for (std::size_t k = 0; k < single.count; ++k)
        solve_rows<Version, 1>(rows, single.from + k, end, single.covariances + k, single.solutions + k,
                               single.states + k);
    }
  }
  for (std::size_t c = 0; c < count; ++c) {
    Prediction& to = *advances[c].prediction;
    to.mean = {states[c][0], states[c][1], states[c][2]};
    to.variance = -states[c][3];
    to.rows = static_cast<std::uint32_t>(rows.rows);
  }
}

// Predictions of Version::width candidates that no observation was taken into account for, side by side in the lanes:
// the same sums in the same order as advance_body, but no sum across a register. The solutions are not kept.
template <class Version>
[[gnu::always_inline]] inline void predict_body(const Rows& rows, const std::uint16_t* const* codes,
                                                Prediction* const* predictions) {
  using Vector = typename Version::Vector;
  constexpr std::size_t width = Version::width, most = GaussianProcess::most_rows_at_once;
  float by_candidate[width][most];
  Vector covariances[most], solution[most];
  const std::size_t padded = whole_lanes(rows.rows);
  for (std::size_t c = 0; c < width; ++c) covariances_with<Version>(rows, codes[c], 0, padded, by_candidate[c]);
  for (std::size_t r = 0; r < rows.rows; ++r)
    for (std::size_t c = 0; c < width; ++c) covariances[r][c] = by_candidate[c][r];
  std::size_t first = 0;
  for (; first + lanes <= rows.rows; first += lanes) {
    const float* block = rows.block_factor + block_start(first / lanes);
    Vector rest[lanes];
    for (std::size_t l = 0; l < lanes; ++l) {
      Vector sums[4] = {};
      for (std::size_t i = 0; i < first; i += 4)
        for (std::size_t k = 0; k < 4; ++k) sums[k] += solution[i + k] * block[(i + k) * lanes + l];
      rest[l] = covariances[first + l] - ((sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
    const float* triangle = block + first * lanes;
    for (std::size_t l = 0; l < lanes; ++l) {
      Vector sums[4] = {};
      // Beyond the diagonal are zeros.
      for (std::size_t i = 0; i <= l; i += 4)
        for (std::size_t k = 0; k < 4; ++k) sums[k] += rest[i + k] * triangle[(i + k) * lanes + l];
      solution[first + l] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    }
  }
  for (std::size_t r = first; r < rows.rows; ++r) {
    const float* factor = rows.factor + rows.row_start[r];
    Vector sums[lanes] = {};
    for (std::size_t i = 0; i < first; i += lanes)
      for (std::size_t l = 0; l < lanes; ++l) sums[l] += solution[i + l] * factor[i + l];
    for (std::size_t l = 0; first + l < r; ++l) sums[l] += solution[first + l] * factor[first + l];
    for (std::size_t half = lanes / 2; half > 0; half /= 2)
      for (std::size_t l = 0; l < half; ++l) sums[l] += sums[l + half];
    solution[r] = (covariances[r] - sums[0]) * rows.inverse_pivots[r];
  }
  Vector mean[GaussianProcess::outputs] = {}, variance = Vector{} + 1.0F;
  for (std::size_t r = 0; r < rows.rows; ++r) {
    variance -= solution[r] * solution[r];
    for (std::size_t o = 0; o < GaussianProcess::outputs; ++o) mean[o] += solution[r] * rows.weights[r][o];
  }
  for (std::size_t c = 0; c < width; ++c) {
    predictions[c]->mean = {mean[0][c], mean[1][c], mean[2][c]};
    predictions[c]->variance = variance[c];
    predictions[c]->rows = static_cast<std::uint32_t>(rows.rows);
  }
}

struct Versions {
  void (*advance)(const Rows&, const Advance*, std::size_t);
  void (*predict)(const Rows&, const std::uint16_t* const*, Prediction* const*);
  std::size_t width;  // candidates that predict() takes
};

void advance_plain(const Rows& rows, const Advance* advances, std::size_t count) {
  advance_body<Wide>(rows, advances, count);
}
void predict_plain(const Rows& rows, const std::uint16_t* const* codes, Prediction* const* predictions) {
  predict_body<Wide>(rows, codes, predictions);
}

#if WARPWRIGHT_WIDE_VERSION
[[gnu::target("avx2")]] void advance_wide(const Rows& rows, const Advance* advances, std::size_t count) {
  advance_body<Wide>(rows, advances, count);
}
[[gnu::target("avx2")]] void predict_wide(const Rows& rows, const std::uint16_t* const* codes,
                                          Prediction* const* predictions) {
  predict_body<Wide>(rows, codes, predictions);
}
[[gnu::target("avx512f")]] void advance_widest(const Rows& rows, const Advance* advances, std::size_t count) {
  advance_body<Widest>(rows, advances, count);
}
[[gnu::target("avx512f")]] void predict_widest(const Rows& rows, const std::uint16_t* const* codes,
                                               Prediction* const* predictions) {
  predict_body<Widest>(rows, codes, predictions);
}
#endif

Versions best_versions() {
#if WARPWRIGHT_WIDE_VERSION
  if (has_widest()) return {&advance_widest, &predict_widest, Widest::width};
  if (has_wide()) return {&advance_wide, &predict_wide, Wide::width};
#endif
  return {&advance_plain, &predict_plain, Wide::width};
}

const Versions& versions() {
  static const Versions best = best_versions();
  return best;
}

}  // namespace

GaussianProcess::GaussianProcess(const CandidateTable& candidates, std::size_t capacity)
    : candidates_(candidates),
      capacity_(capacity),
      stride_(whole_lanes(capacity)),
      with_(candidates.dimensions),
      covariances_(most_foreseen * stride_),
      fresh_(stride_),
      places_(candidates.size(), no_place),
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
  places_.assign(candidates_.size(), no_place);
  places_taken_ = 0;
}

float* GaussianProcess::solution_of(std::size_t candidate) {
  const std::size_t place = places_[candidate];
  return solutions_[place / places_together].data() + place % places_together * stride_;
}

void GaussianProcess::advance(std::size_t rows, const std::uint16_t* codes, float* solution, Prediction& prediction) {
  const Advance advance{codes, covariances_.data(), solution, &prediction};
  versions().advance(described(rows), &advance, 1);
}

GaussianRows GaussianProcess::described(std::size_t rows) {
  GaussianRows described;
  described.with_observations = with_observations_.data();
  described.first_value = first_value_.data();
  described.stride = stride_;
  described.dimensions = candidates_.dimensions;
  described.factor = factor_.data();
  described.row_start = row_start_.data();
  described.block_factor = block_factor_.data();
  described.inverse_pivots = inverse_pivots_.data();
  described.weights = weights_.data();
  described.rows = rows;
  described.with = with_.data();
  return described;
}

GaussianProcess::Prediction GaussianProcess::add_row(const std::uint16_t* codes, const Outputs* values) {
  Prediction own;
  advance(rows_, codes, fresh_.data(), own);
  float* row = factor_.data() + row_start_[rows_];
  std::fill(row, row + whole_lanes(rows_), 0.0F);
  std::copy(fresh_.begin(), fresh_.begin() + static_cast<std::ptrdiff_t>(rows_), row);
  const float inverse = 1.0F / std::sqrt(std::max(own.variance + noise_, noise_));
  inverse_pivots_.push_back(inverse);
  add_to_block(row, inverse);
  Weights weights{};
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
    const float* solution = solution_of(c);
    for (; prediction.rows > kept; --prediction.rows)
      prediction.variance += solution[prediction.rows - 1] * solution[prediction.rows - 1];
  }
  beyond_.clear();
  rows_ = kept;
  expected_ = 0;
  inverse_pivots_.resize(kept);
  weights_.resize(kept);
}

void GaussianProcess::make_place(std::size_t candidate) {
  if (places_[candidate] != no_place) return;
  if (places_taken_ == solutions_.size() * places_together) solutions_.emplace_back(places_together * stride_);
  places_[candidate] = static_cast<std::uint32_t>(places_taken_++);
  if (predictions_[candidate].rows == 0) return;
  Prediction again;  // predict() keeps no solution
  advance(predictions_[candidate].rows, candidates_.at(candidate), solution_of(candidate), again);
}

void GaussianProcess::foresee(const std::size_t* candidates, std::size_t count, Prediction* predictions) {
  Advance advances[most_foreseen];
  for (std::size_t i = 0; i < count; ++i) {
    make_place(candidates[i]);
    predictions[i] = predictions_[candidates[i]];
    advances[i] = {candidates_.at(candidates[i]), covariances_.data() + i * stride_, solution_of(candidates[i]),
                   predictions + i};
  }
  versions().advance(described(rows_), advances, count);
}

void GaussianProcess::accept(std::size_t candidate, const Prediction& foreseen) {
  Prediction& prediction = predictions_[candidate];
  if (expected_ > 0 && prediction.rows < rows_ && prediction.rows <= rows_ - expected_) beyond_.push_back(candidate);
  prediction = foreseen;
}

void GaussianProcess::update(const std::vector<std::size_t>& candidates) {
  std::array<std::size_t, most_foreseen> group{};
  std::array<Prediction, most_foreseen> foreseen;
  std::size_t waiting = 0;
  const auto take_group = [&] {
    foresee(group.data(), waiting, foreseen.data());
    for (std::size_t i = 0; i < waiting; ++i) accept(group[i], foreseen[i]);
    waiting = 0;
  };
  for (const std::size_t candidate : candidates) {
    if (is_up_to_date(candidate)) continue;
    group[waiting] = candidate;
    if (++waiting == most_foreseen) take_group();
  }
  if (waiting > 0) take_group();
}

void GaussianProcess::predict(const std::vector<std::size_t>& candidates) {
  if (rows_ > (candidates.size() > few ? most_rows_at_once : rows_for_few) || expected_ > 0) {
    update(candidates);
    return;
  }
  const GaussianRows rows = described(rows_);
  const std::size_t width = versions().width;
  std::array<const std::uint16_t*, most_together> codes{};
  std::array<Prediction*, most_together> predictions{};
  std::size_t waiting = 0;
  const auto take_group = [&] {
    // The last group is filled up with its first: what is the same twice does no harm.
    for (std::size_t i = waiting; i < width; ++i) codes[i] = codes[0], predictions[i] = predictions[0];
    versions().predict(rows, codes.data(), predictions.data());
    waiting = 0;
  };
  std::vector<std::size_t> others;
  for (const std::size_t candidate : candidates) {
    if (predictions_[candidate].rows > 0) {
      others.push_back(candidate);
      continue;
    }
    codes[waiting] = candidates_.at(candidate);
    predictions[waiting] = &predictions_[candidate];
    if (++waiting == width) take_group();
  }
  if (waiting > 0) take_group();
  update(others);
}

}  // namespace warpwright::detail
