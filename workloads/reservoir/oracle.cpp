#include "workloads/reservoir/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>

namespace warpwright::workloads::reservoir {
namespace {

void require_shapes(std::size_t rows, std::size_t columns, std::size_t x, std::size_t y) {
  if (columns != x || rows != y) {
    throw Error(ErrorCode::bad_input, "a matrix of " + std::to_string(rows) + " x " + std::to_string(columns) +
                                          " takes " + std::to_string(columns) + " values to " + std::to_string(rows) +
                                          ", not " + std::to_string(x) + " to " + std::to_string(y));
  }
}

double length(std::span<const double> x) {
  double sum = 0.0;
  for (const double value : x) sum += value * value;
  return std::sqrt(sum);
}

template <class AnyMatrix>
void any_step(std::span<double> state, const AnyMatrix& input_weights, const AnyMatrix& recurrent,
              std::span<const double> input, const Parameters& parameters, const Draws& draws, std::uint32_t frame) {
  const std::size_t units = state.size();
  std::vector<double> u(input.begin(), input.end());
  for (double& value : u) value *= parameters.input_scale;
  std::vector<double> from_input(units);
  std::vector<double> from_units(units);
  std::vector<double> uniforms(units);
  multiply(input_weights, u, from_input);
  multiply(recurrent, state, from_units);
  draws.uniforms(frame, 0, uniforms);
  const double a = parameters.leak;
  for (std::size_t i = 0; i < units; ++i) {
    const double xi = parameters.noise * (2.0 * uniforms[i] - 1.0);
    state[i] = (1.0 - a) * state[i] + a * std::tanh(from_input[i] + from_units[i] + xi);
  }
}

}  // namespace

SparseMatrix compress(const Matrix& matrix) {
  SparseMatrix sparse;
  sparse.rows = matrix.rows();
  sparse.columns_count = matrix.columns();
  sparse.row_begin.push_back(0);
  for (std::size_t i = 0; i < matrix.rows(); ++i) {
    for (std::size_t j = 0; j < matrix.columns(); ++j) {
      if (matrix(i, j) == 0.0) continue;
      sparse.columns.push_back(j);
      sparse.values.push_back(matrix(i, j));
    }
    sparse.row_begin.push_back(sparse.columns.size());
  }
  return sparse;
}

void multiply(const Matrix& matrix, std::span<const double> x, std::span<double> y) {
  require_shapes(matrix.rows(), matrix.columns(), x.size(), y.size());
  for (std::size_t i = 0; i < matrix.rows(); ++i) {
    double sum = 0.0;
    for (std::size_t j = 0; j < matrix.columns(); ++j) sum += matrix(i, j) * x[j];
    y[i] = sum;
  }
}

void multiply(const SparseMatrix& matrix, std::span<const double> x, std::span<double> y) {
  require_shapes(matrix.rows, matrix.columns_count, x.size(), y.size());
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    double sum = 0.0;
    for (std::size_t k = matrix.row_begin[i]; k < matrix.row_begin[i + 1]; ++k) {
      sum += matrix.values[k] * x[matrix.columns[k]];
    }
    y[i] = sum;
  }
}

Matrix random_weights(std::size_t rows, std::size_t columns, double density, const Draws& draws, std::uint32_t array) {
  std::vector<double> kept(rows * columns);
  std::vector<double> values(rows * columns);
  draws.uniforms(setup_frame, array, kept);
  draws.uniforms(setup_frame, array + 1, values);
  Matrix weights(rows, columns);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) {
      const std::size_t element = i * columns + j;
      weights(i, j) = kept[element] < density ? 2.0 * values[element] - 1.0 : 0.0;
    }
  }
  return weights;
}

Weights make_weights(std::size_t units, std::size_t inputs, const Draws& draws, double radius, double density) {
  if (units == 0 || inputs == 0) {
    throw Error(ErrorCode::bad_input, "a reservoir needs at least one unit and one input, not " +
                                          std::to_string(units) + " and " + std::to_string(inputs));
  }
  Weights weights{random_weights(units, inputs, density, draws, 0), random_weights(units, units, density, draws, 2)};
  for (std::size_t i = 0; i < units; ++i) weights.recurrent(i, i) = 0.0;
  const double found = spectral_radius(compress(weights.recurrent));
  if (!(found > 0.0)) {
    throw Error(ErrorCode::bad_input, "the recurrent weights of " + std::to_string(units) +
                                          " units have a spectral radius of 0, which cannot be scaled: take more units "
                                          "or a higher density");
  }
  for (double& value : weights.recurrent.storage()) value *= radius / found;
  return weights;
}

double spectral_radius(const SparseMatrix& matrix, std::size_t k) {
  if (matrix.rows == 0 || matrix.rows != matrix.columns_count || k == 0) {
    throw Error(ErrorCode::bad_input, "a spectral radius needs a square matrix and k of at least 1, not " +
                                          std::to_string(matrix.rows) + " x " + std::to_string(matrix.columns_count) +
                                          " and " + std::to_string(k));
  }
  std::vector<double> x(matrix.rows);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::cos(static_cast<double>(i * i + 1));
  std::vector<double> next(matrix.rows);
  const double at_start = length(x);
  for (double& value : x) value /= at_start;
  // log |A^k x|, with x normalised after each product so that nothing overflows.
  double log_growth = 0.0;
  for (std::size_t m = 0; m < k; ++m) {
    multiply(matrix, x, next);
    const double growth = length(next);
    if (growth == 0.0) return 0.0;
    log_growth += std::log(growth);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = next[i] / growth;
  }
  return std::exp(log_growth / static_cast<double>(k));
}

std::vector<double> min_max_normalised(std::span<const double> input) {
  std::vector<double> result(input.size(), 0.0);
  if (input.empty()) return result;
  const double min = *std::min_element(input.begin(), input.end());
  const double max = *std::max_element(input.begin(), input.end());
  if (max == min) return result;
  for (std::size_t i = 0; i < input.size(); ++i) result[i] = (input[i] - min) / (max - min);
  return result;
}

void step(std::span<double> state, const Matrix& input_weights, const Matrix& recurrent, std::span<const double> input,
          const Parameters& parameters, const Draws& draws, std::uint32_t frame) {
  any_step(state, input_weights, recurrent, input, parameters, draws, frame);
}

void step(std::span<double> state, const SparseMatrix& input_weights, const SparseMatrix& recurrent,
          std::span<const double> input, const Parameters& parameters, const Draws& draws, std::uint32_t frame) {
  any_step(state, input_weights, recurrent, input, parameters, draws, frame);
}

std::vector<std::uint8_t> encode(std::span<const double> state, std::span<double> thresholds) {
  if (thresholds.size() > state.size()) {
    throw Error(ErrorCode::bad_input, "each of " + std::to_string(thresholds.size()) +
                                          " windows needs a unit of its own, and there are only " +
                                          std::to_string(state.size()));
  }
  std::vector<std::uint8_t> bits(thresholds.size());
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const double above = state[i] - thresholds[i];
    bits[i] = above > 0.0 ? 1 : 0;
    thresholds[i] += above > 0.0 ? 0.01 : above < 0.0 ? -0.01 : 0.0;
  }
  return bits;
}

std::vector<std::uint8_t> encode_directly(std::span<const double> input) {
  std::vector<std::uint8_t> bits(input.size());
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = input[i] > 0.5 ? 1 : 0;
  return bits;
}

std::vector<double> spike_times(double f, double duration_seconds, std::size_t neuron, const Draws& draws,
                                std::uint32_t frame) {
  if (!(f >= 0.0 && f <= 1.0)) {
    throw Error(ErrorCode::bad_input, "what a spike train codes must be from 0 to 1, not " + std::to_string(f));
  }
  if (!(duration_seconds > 0.0)) {
    throw Error(ErrorCode::bad_input,
                "a spike train must last longer than 0 s, not " + std::to_string(duration_seconds) + " s");
  }
  const double rate = 1.0 + 99.0 * f;  // Hz
  std::vector<double> times;
  double time = 0.0;
  for (std::uint32_t spike = 0; times.size() < most_spikes; ++spike) {
    time += -std::log(1.0 - draws.uniform(frame, spike, neuron)) / rate;
    if (time >= duration_seconds) break;
    times.push_back(time);
  }
  return times;
}

}  // namespace warpwright::workloads::reservoir
