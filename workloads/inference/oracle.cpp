#include "workloads/inference/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>

#include "workloads/common/matrix.hpp"

namespace warpwright::workloads::inference {
namespace {

void check_size(std::size_t found, std::size_t wanted, const char* what) {
  if (found != wanted)
    throw Error(ErrorCode::bad_input,
                std::string(what) + " must have " + std::to_string(wanted) + " values, not " + std::to_string(found));
}

void check_model(const Model& model) {
  if (model.sensors < 1 || model.sensors > model.windows)
    throw Error(ErrorCode::bad_input, "a model needs at least one sensor and no more sensors than windows");
  if (!(model.observation_precision > 0) || !(model.prior_precision > 0))
    throw Error(ErrorCode::bad_input, "the precisions of observations and of the prior must be above 0");
}

// o - o_0 - J mu.
std::vector<double> residual(const Model& model, const Matrix& matrix, std::span<const double> observation,
                             std::span<const double> mean) {
  const std::size_t n = model.windows, m = model.sensors;
  std::vector<double> result(m);
  for (std::size_t k = 0; k < m; ++k) {
    double predicted = 0;
    for (std::size_t i = 0; i < n; ++i) predicted += matrix(k, i) * mean[i];
    result[k] = observation[k] - model.offset - predicted;
  }
  return result;
}

}  // namespace

Model::Model() : observation_precision(photon_count(8)) {}

double photon_count(double magnitude) {
  const double flux = 1e7 * std::pow(10, -magnitude / 2.5);  // photons per second and square metre
  const double area = 1, exposure = 0.01, efficiency = 0.9;  // m^2, s, 1
  return flux * area * exposure * efficiency;
}

std::size_t sensor_centre(std::size_t sensor, std::size_t windows, std::size_t sensors) {
  return (2 * sensor + 1) * windows / (2 * sensors);  // floor((k + 0.5) n/m) in whole numbers
}

Matrix observation_matrix(const Model& model) {
  check_model(model);
  const std::size_t n = model.windows, m = model.sensors;
  Matrix matrix(m, n);
  for (std::size_t k = 0; k < m; ++k) {
    const std::size_t centre = sensor_centre(k, n, m);
    matrix(k, centre) = 1;
    if (centre > 0) matrix(k, centre - 1) = 0.3;
    if (centre + 1 < n) matrix(k, centre + 1) = 0.3;
  }
  return matrix;
}

std::vector<double> observe(std::span<const double> probabilities, std::size_t sensors) {
  const std::size_t n = probabilities.size(), m = sensors;
  if (m < 1 || m > n)
    throw Error(ErrorCode::bad_input, "there must be at least one sensor and no more sensors than probabilities");
  std::vector<double> observation(m);
  for (std::size_t k = 0; k < m; ++k) {
    const std::size_t begin = k * n / m, end = (k + 1) * n / m;
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += static_cast<double>(n) * probabilities[i];
    observation[k] = sum / static_cast<double>(end - begin);
  }
  return observation;
}

std::vector<double> weighted_error(const Model& model, const Matrix& matrix, std::span<const double> observation,
                                   std::span<const double> mean) {
  auto e = residual(model, matrix, observation, mean);
  for (double& value : e) value *= model.observation_precision;
  return e;
}

std::vector<double> iterate(const Model& model, const Matrix& matrix, std::span<const double> observation,
                            std::span<const double> mean, double kappa) {
  const std::size_t n = model.windows, m = model.sensors;
  const auto e = weighted_error(model, matrix, observation, mean);
  std::vector<double> gradient(n);
  for (std::size_t k = 0; k < m; ++k)
    for (std::size_t i = 0; i < n; ++i) gradient[i] += matrix(k, i) * e[k];
  std::vector<double> result(n);
  for (std::size_t i = 0; i < n; ++i)
    result[i] = mean[i] + kappa * (gradient[i] - model.prior_precision * (mean[i] - model.prior_mean));
  return result;
}

std::vector<double> variances(const Model& model, const Matrix& matrix) {
  const std::size_t n = model.windows, m = model.sensors;
  std::vector<double> result(n);
  for (std::size_t i = 0; i < n; ++i) {
    double squares = 0;
    for (std::size_t k = 0; k < m; ++k) squares += matrix(k, i) * matrix(k, i);
    result[i] = 1 / (model.prior_precision + model.observation_precision * squares);
  }
  return result;
}

double divergence_from_prior(const Model& model, std::span<const double> mean, std::span<const double> variance) {
  const double pp = model.prior_precision;
  double sum = 0;
  for (std::size_t i = 0; i < mean.size(); ++i) {
    const double shift = mean[i] - model.prior_mean;
    sum += pp * (variance[i] + shift * shift) - 1 - std::log(pp * variance[i]);
  }
  return 0.5 * sum;
}

double free_energy(const Model& model, const Matrix& matrix, std::span<const double> observation,
                   std::span<const double> mean, std::span<const double> variance) {
  const std::size_t n = model.windows, m = model.sensors;
  const double po = model.observation_precision;
  double misfit = 0;
  for (const double r : residual(model, matrix, observation, mean)) misfit += r * r;
  double spread = 0;
  for (std::size_t k = 0; k < m; ++k)
    for (std::size_t i = 0; i < n; ++i) spread += matrix(k, i) * matrix(k, i) * variance[i];
  return 0.5 * po * misfit + 0.5 * po * spread + static_cast<double>(m) / 2 * std::log(2 * std::numbers::pi / po) +
         divergence_from_prior(model, mean, variance);
}

double curvature_bound(const Model& model, const Matrix& matrix) {
  const std::size_t n = model.windows, m = model.sensors;
  // The row sums of J J^T are J (J^T 1).
  std::vector<double> column_sums(n);
  for (std::size_t k = 0; k < m; ++k)
    for (std::size_t i = 0; i < n; ++i) column_sums[i] += matrix(k, i);
  double largest = 0;
  for (std::size_t k = 0; k < m; ++k) {
    double row = 0;
    for (std::size_t i = 0; i < n; ++i) row += matrix(k, i) * column_sums[i];
    largest = std::max(largest, row);
  }
  return model.observation_precision * largest + model.prior_precision;
}

Result infer(const Model& model, std::span<const double> observation, const Settings& settings) {
  check_model(model);
  check_size(observation.size(), model.sensors, "the observation");
  const auto matrix = observation_matrix(model);
  const double limit = 2 / curvature_bound(model, matrix);
  if (!(settings.kappa > 0) || !(settings.kappa < limit))
    throw Error(ErrorCode::bad_input, "kappa must be above 0 and below 2/L = " + std::to_string(limit) + ", not " +
                                          std::to_string(settings.kappa) + ": the iteration would diverge");
  Result result;
  result.mean.assign(model.windows, model.prior_mean);
  result.variance = variances(model, matrix);
  result.free_energies.push_back(free_energy(model, matrix, observation, result.mean, result.variance));
  while (result.iterations < settings.iterations) {
    result.mean = iterate(model, matrix, observation, result.mean, settings.kappa);
    ++result.iterations;
    const double before = result.free_energies.back();
    result.free_energies.push_back(free_energy(model, matrix, observation, result.mean, result.variance));
    if (std::abs(result.free_energies.back() - before) < settings.tolerance) break;
  }
  return result;
}

}  // namespace warpwright::workloads::inference
