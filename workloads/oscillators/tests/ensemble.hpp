// What the tests of the oscillators share: couplings, statistics with their errors, and runs without a coupling.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>
#include <vector>

#include "workloads/common/matrix.hpp"
#include "workloads/common/random.hpp"
#include "workloads/coupling/oracle.hpp"
#include "workloads/oscillators/oracle.hpp"

namespace warpwright::workloads::oscillators::testing {

// Any coupling: uniform on (0, 1), not symmetric, zero diagonal.
inline Matrix some_coupling(std::size_t n, std::uint32_t seed) {
  Matrix c(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    Draws(seed, Stage::oscillators).uniforms(setup_frame, 100 + static_cast<std::uint32_t>(i), c.row(i));
    c(i, i) = 0.0;
  }
  return c;
}

inline Matrix symmetric_coupling(std::size_t n, std::uint32_t seed) {
  return coupling::symmetric(some_coupling(n, seed));
}

inline Force no_force() {
  return [](std::span<const double>, std::span<double> force) { std::fill(force.begin(), force.end(), 0.0); };
}

// Mean with its standard error for independent values.
struct Mean {
  double value = 0.0;
  double error = 0.0;
};

inline Mean mean_of(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  const double count = static_cast<double>(values.size());
  const double mean = sum / count;
  double squares = 0.0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, std::sqrt(squares / (count - 1.0) / count)};
}

// Largest distance between the distribution of the values and the standard normal one (Kolmogorov and Smirnov), times
// sqrt(count): above 1.95 with probability 0.001 for independent values.
inline double distance_from_normal(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const double count = static_cast<double>(values.size());
  double distance = 0.0;
  for (std::size_t k = 0; k < values.size(); ++k) {
    const double normal = 0.5 * std::erfc(-values[k] / std::numbers::sqrt2);
    distance = std::max({distance, std::fabs(normal - static_cast<double>(k) / count),
                         std::fabs(normal - static_cast<double>(k + 1) / count)});
  }
  return distance * std::sqrt(count);
}

// I1(y) / I0(y) with y = K r / D, solved for r > 0: order parameter of identical oscillators, all coupled to each other
// (Sakaguchi 1988). 0 below K_c = 2 D.
inline double order_of_identical_oscillators(double strength, double diffusion) {
  double r = 1.0;
  for (int iteration = 0; iteration < 2000; ++iteration) {
    const double y = strength * r / diffusion;
    r = std::cyl_bessel_i(1.0, y) / std::cyl_bessel_i(0.0, y);
  }
  return r;
}

// Mean r of 4A from equal phases, `dropped` steps left out.
inline double mean_order_overdamped(std::size_t n, double strength, const Overdamped& parameters, std::size_t steps,
                                    std::size_t dropped, std::uint32_t seed) {
  const Draws draws(seed, Stage::oscillators);
  const Force force = all_to_all_force(n, strength);
  std::vector<double> phases = initial_phases(n, draws);
  const std::vector<double> frequencies(n, 0.0);
  std::vector<double> normals(n);
  double sum = 0.0;
  for (std::size_t m = 0; m < steps; ++m) {
    draws.normals(0, static_cast<std::uint32_t>(m), normals);
    euler_maruyama_step(phases, force, frequencies, parameters, normals);
    if (m >= dropped) sum += order_parameter(phases).r;
  }
  return sum / static_cast<double>(steps - dropped);
}

}  // namespace warpwright::workloads::oscillators::testing
