// A Gaussian process over a fixed list of candidates whose predictions are brought up to date one candidate at a time,
// and only where that is asked for: a search looks at the few candidates that may be best, so most of the work of
// updating all of them after every observation would be wasted.
// The Cholesky factor of the observations' covariances grows by one row with each observation. For a candidate the
// solution of (factor x v = covariances with the observations) is kept as far as it is calculated; going on by one row
// costs one product of two vectors, and whole blocks of rows go on at once. The covariance is a product over the
// dimensions of a table of correlations between positions, which serves ordered and unordered parameters alike; for
// every position the correlations with all observations are held in a row, so that covariances are products of rows.
// Several outputs (objective, cost, the constant 1) share the factor; since the mean is linear in the outputs, the
// constant's mean lets the caller shift and scale outputs afterwards. Single precision: the noise term (1e-4 and more)
// is far above its rounding, and the memory traffic halves. Sums run in a fixed number of lanes, so results are the
// same on every processor. Private to this library.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "vectors.hpp"

namespace warpwright::detail {

// Positions of the candidates' values, one candidate after another.
struct CandidateTable {
  std::size_t dimensions = 0;
  std::vector<std::uint16_t> codes;
  std::vector<std::uint32_t> values;  // how many positions a dimension has
  std::size_t size() const { return dimensions == 0 ? 0 : codes.size() / dimensions; }
  const std::uint16_t* at(std::size_t candidate) const { return codes.data() + candidate * dimensions; }
};

// correlations[d][a * values[d] + b]: symmetric, 1 on the diagonal.
using Correlations = std::vector<std::vector<float>>;

// What predictions are made of, as plain pointers, so that one body of code serves every instruction set.
struct GaussianRows {
  const float* with_observations = nullptr;
  const std::size_t* first_value = nullptr;
  std::size_t stride = 0, dimensions = 0;
  const float* factor = nullptr;
  const std::size_t* row_start = nullptr;
  const float* block_factor = nullptr;
  const float* inverse_pivots = nullptr;
  const std::array<float, 4>* weights = nullptr;
  std::size_t rows = 0;
  const float** with = nullptr;  // room for a pointer for each dimension
};

// Thread-compatible. The table must outlive it and keep its size.
class GaussianProcess {
 public:
  static constexpr std::size_t outputs = 3;
  using Outputs = std::array<float, outputs>;
  using Weights = std::array<float, outputs + 1>;  // of the outputs; the last place is free
  static constexpr std::size_t most_foreseen = 4;  // as many sums as fit into registers
  // Rows up to which candidates can be predicted side by side; and up to which a few are: beyond, the solutions of few
  // are wanted soon, and making them twice costs more.
  static constexpr std::size_t most_rows_at_once = 256, rows_for_few = 64, few = 1024;

  struct Prediction {
    Outputs mean{};
    float variance = 1;
    std::uint32_t rows = 0;  // observations that it takes into account
  };

  // Room for `capacity` observations, expected ones included.
  GaussianProcess(const CandidateTable& candidates, std::size_t capacity);

  // Forgets all observations and takes other correlations.
  void reset(const Correlations& correlations, float noise);
  // `codes`: positions of the values, which need not be a candidate's. Nothing happens where there is no room. Returns
  // what was predicted there before.
  Prediction observe(const std::uint16_t* codes, const Outputs& values);
  // Observes the mean itself: means stay, variances shrink. For questions whose answers are outstanding. Nothing
  // happens where there is no room.
  void expect(const std::uint16_t* codes);
  // Takes back every expect(), which must be the last things that were observed.
  void forget_expected();

  std::size_t observations() const { return rows_ - expected_; }
  std::size_t rows() const { return rows_; }
  std::size_t capacity() const { return capacity_; }
  // Takes all observations into account for these candidates (each once).
  void update(const std::vector<std::size_t>& candidates);
  // The same for many candidates, faster where the model is small: then no solutions are kept, and the next update of a
  // candidate makes its own again.
  void predict(const std::vector<std::size_t>& candidates);
  // What update() would give for up to most_foreseen candidates (each once) that are not up to date. They stay as they
  // are until accept() makes it their prediction, which has to come before anything else is observed.
  void foresee(const std::size_t* candidates, std::size_t count, Prediction* predictions);
  void accept(std::size_t candidate, const Prediction& foreseen);
  // As far as it was brought up to date.
  const Prediction& prediction(std::size_t candidate) const { return predictions_[candidate]; }
  bool is_up_to_date(std::size_t candidate) const { return predictions_[candidate].rows == rows_; }

 private:
  Prediction add_row(const std::uint16_t* codes, const Outputs* values);
  void add_to_block(const float* row, float inverse);
  // Takes the first `rows` rows into account.
  void advance(std::size_t rows, const std::uint16_t* codes, float* solution, Prediction& prediction);
  GaussianRows described(std::size_t rows);
  float* solution_of(std::size_t candidate);
  void make_place(std::size_t candidate);  // for its solution

  static constexpr std::size_t most_together = 16, places_together = 64;
  static constexpr std::uint32_t no_place = ~std::uint32_t{0};

  const CandidateTable& candidates_;
  std::size_t capacity_, stride_;
  Correlations held_;
  float noise_ = 0;
  std::size_t rows_ = 0, expected_ = 0;
  std::vector<std::size_t> first_value_;  // of a dimension, in `with_observations_`
  Floats with_observations_;              // [position of a dimension][observation]: correlations
  std::vector<const float*> with_;        // scratch
  std::vector<std::size_t> row_start_;    // of a row in `factor_`
  Floats factor_;                         // rows padded with zeros to whole groups of lanes
  Floats block_factor_;                   // the same in blocks of rows, column by column; see solve_block()
  std::vector<float> inverse_pivots_;
  std::vector<Weights> weights_;
  Floats covariances_, fresh_;
  // Solutions have places in the order in which candidates are first updated: they are few, and stay in the cache.
  std::vector<Floats> solutions_;      // places_together of them each
  std::vector<std::uint32_t> places_;  // of the candidates
  std::size_t places_taken_ = 0;
  std::vector<Prediction> predictions_;
  std::vector<std::size_t> beyond_;  // candidates that took expected rows into account
};

}  // namespace warpwright::detail
