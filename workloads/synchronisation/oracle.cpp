#include "workloads/synchronisation/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <limits>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>

#include "workloads/common/error_measure.hpp"
#include "workloads/common/matrix.hpp"
#include "workloads/common/random.hpp"

namespace warpwright::workloads::synchronisation {
namespace {

void check_channel(const Matrix& channel, std::size_t n) {
  if (n == 0 || channel.rows() != n || channel.columns() != n) {
    throw Error(ErrorCode::bad_input, "a channel for a source of " + std::to_string(n) +
                                          " symbols must be square of that size, not " +
                                          std::to_string(channel.rows()) + " x " + std::to_string(channel.columns()));
  }
}

// omega_i + (K_1/n) sum_j C_ij sin(own_j - own_i) + K_x sin(other_i - own_i).
std::vector<double> velocity(const Matrix& coupling, const std::vector<double>& omega, const std::vector<double>& own,
                             const std::vector<double>& other, const Settings& settings) {
  const std::size_t n = own.size();
  std::vector<double> result(n);
  for (std::size_t i = 0; i < n; ++i) {
    double pull = 0;
    for (std::size_t j = 0; j < n; ++j) pull += coupling(i, j) * std::sin(own[j] - own[i]);
    result[i] =
        omega[i] + settings.within / static_cast<double>(n) * pull + settings.across * std::sin(other[i] - own[i]);
  }
  return result;
}

// |mean e^{i phase}|.
double coherence(const std::vector<double>& phase) {
  std::complex<double> sum = 0;
  for (const double angle : phase) sum += std::polar(1.0, angle);
  return std::abs(sum) / static_cast<double>(phase.size());
}

// D_x = KL(P(.|x) || p_y) = sum_y P(y|x) ln(P(y|x)/p_y), in nats.
double divergence(std::span<const double> row, const std::vector<double>& received) {
  double sum = 0;
  for (std::size_t y = 0; y < row.size(); ++y)
    if (row[y] > 0) sum += row[y] * std::log(row[y] / received[y]);
  return sum;
}

// Of earlier(t) and later(t + 1).
double lagged_correlation(std::span<const double> earlier, std::span<const double> later) {
  const std::size_t count = earlier.size() - 1;
  double mean_x = 0, mean_y = 0;
  for (std::size_t t = 0; t < count; ++t) {
    mean_x += earlier[t] / static_cast<double>(count);
    mean_y += later[t + 1] / static_cast<double>(count);
  }
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t t = 0; t < count; ++t) {
    const double x = earlier[t] - mean_x, y = later[t + 1] - mean_y;
    xx += x * x;
    yy += y * y;
    xy += x * y;
  }
  // What rounding alone leaves of a constant series correlates perfectly, and says nothing.
  const auto changes = [count](double squares, double mean) {
    return squares > static_cast<double>(count) * (1e-12 * mean) * (1e-12 * mean);
  };
  return changes(xx, mean_x) && changes(yy, mean_y) ? xy / std::sqrt(xx * yy) : 0;
}

double flow(double correlation) {
  const double rest = 1 - correlation * correlation;
  return -0.5 * std::log2(std::max(rest, std::numeric_limits<double>::epsilon()));
}

}  // namespace

Frequencies natural_frequencies(const Draws& draws, std::size_t n) {
  Frequencies result;
  result.a.resize(n);
  result.b.resize(n);
  draws.uniforms(setup_frame, 0, result.a);
  draws.uniforms(setup_frame, 1, result.b);
  for (double& omega : result.a) omega = 1 + 0.1 * omega;
  for (double& omega : result.b) omega = 1 + 0.1 * omega;
  return result;
}

Populations advance(const Matrix& coupling, const Frequencies& frequencies, const Populations& populations,
                    const Settings& settings) {
  const std::size_t n = populations.al.size();
  if (populations.be.size() != n || frequencies.a.size() != n || frequencies.b.size() != n || coupling.rows() != n ||
      coupling.columns() != n)
    throw Error(ErrorCode::bad_input, "two populations of " + std::to_string(n) +
                                          " need as many frequencies each and a square coupling of that size");
  const auto d_al = velocity(coupling, frequencies.a, populations.al, populations.be, settings);
  const auto d_be = velocity(coupling, frequencies.b, populations.be, populations.al, settings);
  Populations result = populations;
  for (std::size_t i = 0; i < n; ++i) {
    result.al[i] = wrap_phase(populations.al[i] + settings.step * d_al[i]);
    result.be[i] = wrap_phase(populations.be[i] + settings.step * d_be[i]);
  }
  return result;
}

Populations frame(const Matrix& coupling, const Frequencies& frequencies, const Populations& populations,
                  const Settings& settings) {
  Populations result = populations;
  for (int step = 0; step < settings.steps; ++step) result = advance(coupling, frequencies, result, settings);
  return result;
}

Order order(const Populations& populations) {
  const std::size_t n = populations.al.size();
  if (n == 0 || populations.be.size() != n)
    throw Error(ErrorCode::bad_input, "the order of two populations needs as many phases of both, and at least one");
  std::vector<double> difference(n);
  for (std::size_t i = 0; i < n; ++i) difference[i] = populations.be[i] - populations.al[i];
  return {coherence(difference), coherence(populations.al), coherence(populations.be)};
}

Matrix symmetric_channel(std::size_t n, double error) {
  if (n < 2 || !(error >= 0 && error <= 1))
    throw Error(ErrorCode::bad_input, "a symmetric channel needs at least 2 symbols and an error between 0 and 1");
  Matrix result(n, n);
  for (std::size_t x = 0; x < n; ++x) {
    for (std::size_t y = 0; y < n; ++y) result(x, y) = x == y ? 1 - error : error / static_cast<double>(n - 1);
  }
  return result;
}

std::vector<double> source_from_magnitudes(std::span<const double> mean) {
  const std::size_t n = mean.size();
  double sum = 0;
  for (const double mu : mean) sum += std::abs(mu);
  std::vector<double> result(n);
  for (std::size_t x = 0; x < n; ++x) result[x] = sum > 0 ? std::abs(mean[x]) / sum : 1 / static_cast<double>(n);
  return result;
}

std::vector<double> source_from_softmax(std::span<const double> mean) {
  if (mean.empty()) return {};
  const double largest = *std::max_element(mean.begin(), mean.end());  // taken off, so that nothing overflows
  double sum = 0;
  for (const double mu : mean) sum += std::exp(mu - largest);
  std::vector<double> result(mean.size());
  for (std::size_t x = 0; x < mean.size(); ++x) result[x] = std::exp(mean[x] - largest) / sum;
  return result;
}

std::vector<double> transmit(const Matrix& channel, std::span<const double> source) {
  const std::size_t n = source.size();
  check_channel(channel, n);
  std::vector<double> result(n);
  for (std::size_t x = 0; x < n; ++x)
    for (std::size_t y = 0; y < n; ++y) result[y] += channel(x, y) * source[x];
  return result;
}

double entropy(std::span<const double> distribution) {
  double sum = 0;
  for (const double p : distribution)
    if (p > 0) sum -= p * std::log2(p);
  return sum;
}

double mutual_information(const Matrix& channel, std::span<const double> source) {
  const std::size_t n = source.size();
  const auto received = transmit(channel, source);
  double noise = 0;
  for (std::size_t x = 0; x < n; ++x) noise += source[x] * entropy(channel.row(x));
  return entropy(received) - noise;
}

CapacityStep capacity_step(const Matrix& channel, std::span<const double> source) {
  const std::size_t n = source.size();
  const auto received = transmit(channel, source);
  CapacityStep result;
  result.source.resize(n);
  double z = 0;
  for (std::size_t x = 0; x < n; ++x) {
    const double d = divergence(channel.row(x), received);
    result.source[x] = source[x] * std::exp(d);
    result.upper = std::max(result.upper, d);
    z += result.source[x];
  }
  for (double& p : result.source) p /= z;
  result.lower = std::log(z);
  return result;
}

Capacity capacity(const Matrix& channel, double tolerance, int iterations) {
  const std::size_t n = channel.rows();
  check_channel(channel, n);
  Capacity result;
  result.source.assign(n, 1 / static_cast<double>(n));
  while (result.iterations < iterations) {
    const auto step = capacity_step(channel, result.source);
    result.nats = step.lower;
    result.source = step.source;
    ++result.iterations;
    if (step.upper - step.lower < tolerance) break;
  }
  return result;
}

CausalProxy causal_proxy(std::span<const double> r_a, std::span<const double> r_b) {
  if (r_a.size() != r_b.size() || r_a.size() < 3)
    throw Error(ErrorCode::bad_input, "the causal proxy needs two series of one length, of at least 3 frames");
  CausalProxy result;
  result.a_to_b = flow(lagged_correlation(r_a, r_b));
  result.b_to_a = flow(lagged_correlation(r_b, r_a));
  const double sum = result.a_to_b + result.b_to_a;
  result.balance = sum > 0 ? 1 - std::abs(result.a_to_b - result.b_to_a) / sum : 1;
  return result;
}

}  // namespace warpwright::workloads::synchronisation
