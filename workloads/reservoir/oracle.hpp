// S1: a leaky echo-state reservoir (Jaeger 2001) that turns what each window sees into one bit per frame.
//
//   rs' = (1 - a) rs + a tanh(W_in u + W rs + xi), xi_i uniform on (-nu, nu)
//   bit_i = [rs_i > th_i] for the first n units; th_i is their running median.
// The sparse weights are random; W is scaled once to a spectral radius below 1, so that the reservoir forgets its
// start. The radius is measured by growth: a Rayleigh quotient of a matrix that is not symmetric says anything from 0.1
// to 3.6 where 5.8 is true. Units have no dimension; time is in frames, that of spike trains in s.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "workloads/common/matrix.hpp"
#include "workloads/common/random.hpp"

namespace warpwright::workloads::reservoir {

// A matrix by its non-zeros: row i has columns[row_begin[i]] to columns[row_begin[i + 1] - 1] with their values.
struct SparseMatrix {
  std::size_t rows = 0;
  std::size_t columns_count = 0;
  std::vector<std::size_t> row_begin;  // rows + 1
  std::vector<std::size_t> columns;
  std::vector<double> values;
};
SparseMatrix compress(const Matrix& matrix);

// y = A x. The spans must not overlap. Throws Error(bad_input) if the sizes do not fit.
void multiply(const Matrix& matrix, std::span<const double> x, std::span<double> y);
void multiply(const SparseMatrix& matrix, std::span<const double> x, std::span<double> y);

// rows x columns: each element is kept with probability `density` and then uniform on (-1, 1). The uniforms are those
// of the set-up frame at element row * columns + column, array `array` for what is kept and `array + 1` for the values.
Matrix random_weights(std::size_t rows, std::size_t columns, double density, const Draws& draws, std::uint32_t array);

// W_in (R x n, arrays 0 and 1) and W (R x R, arrays 2 and 3, zero diagonal, scaled to `radius`).
struct Weights {
  Matrix input;
  Matrix recurrent;
};

// Throws Error(bad_input) for no unit or no input, and if W has a radius of 0, which cannot be scaled.
Weights make_weights(std::size_t units, std::size_t inputs, const Draws& draws, double radius = 0.9,
                     double density = 0.1);

// |A^k x|^(1/k) for a fixed x in general position: tends to the spectral radius also where the largest eigenvalues are
// a complex pair; off by a few tenths of a percent at k = 1000. 0 if A^k x vanishes. Throws Error(bad_input) if A is
// not square or k is 0.
double spectral_radius(const SparseMatrix& matrix, std::size_t k = 1000);

// u of the inputs: (x - min) / (max - min), all 0 if max = min.
std::vector<double> min_max_normalised(std::span<const double> input);

struct Parameters {
  double leak = 0.3;    // a
  double noise = 0.01;  // nu
  double input_scale = 1.0;
};

// One frame: rs (R values) from u (n values). xi_i = nu (2 u_i - 1) with the uniforms of (frame, step 0, unit). The
// matrices are both dense or both sparse. Throws Error(bad_input) if the sizes do not fit.
void step(std::span<double> state, const Matrix& input_weights, const Matrix& recurrent, std::span<const double> input,
          const Parameters& parameters, const Draws& draws, std::uint32_t frame);
void step(std::span<double> state, const SparseMatrix& input_weights, const SparseMatrix& recurrent,
          std::span<const double> input, const Parameters& parameters, const Draws& draws, std::uint32_t frame);

// bit_i = [rs_i > th_i] for i < thresholds.size() = n <= R, then th_i += 0.01 sign(rs_i - th_i): the first n units
// speak, and a unit is compared with the median before this frame. Throws Error(bad_input) if there are fewer units.
std::vector<std::uint8_t> encode(std::span<const double> state, std::span<double> thresholds);

// The minimal encoding without reservoir: bit_i = [x_i > 0.5].
std::vector<std::uint8_t> encode_directly(std::span<const double> input);

// The variant that codes by rate: a Poisson train of 1 + 99 f Hz, f in [0, 1], by intervals -ln(1 - u) / rate with the
// uniform of (frame, step = number of the spike, neuron). Times in s, ascending, below `duration_seconds`, at most
// 1000. Throws Error(bad_input) for f outside [0, 1] and a duration that is not positive.
std::vector<double> spike_times(double f, double duration_seconds, std::size_t neuron, const Draws& draws,
                                std::uint32_t frame);

inline constexpr std::size_t most_spikes = 1000;

}  // namespace warpwright::workloads::reservoir
