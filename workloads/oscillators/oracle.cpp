#include "workloads/oscillators/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/base/error.hpp>

#include "workloads/common/error_measure.hpp"

namespace warpwright::workloads::oscillators {
namespace {

void require_square(const Matrix& coupling) {
  if (coupling.rows() == 0 || coupling.rows() != coupling.columns()) {
    throw Error(ErrorCode::bad_input, "the coupling must be square and not empty, not " +
                                          std::to_string(coupling.rows()) + " x " + std::to_string(coupling.columns()));
  }
}

void require_length(std::size_t length, std::size_t n, const std::string& name) {
  if (length != n) {
    throw Error(ErrorCode::bad_input, name + " must have one value for each of " + std::to_string(n) +
                                          " oscillators, not " + std::to_string(length));
  }
}

double scale_of_row(std::span<const double> row, double strength, Normaliser normaliser) {
  switch (normaliser) {
    case Normaliser::oscillators:
      return strength / static_cast<double>(row.size());
    case Normaliser::row_sum: {
      const double sum = std::accumulate(row.begin(), row.end(), 0.0);
      return sum > 0.0 ? strength / sum : 0.0;
    }
    case Normaliser::none:
      break;
  }
  return strength;
}

// torque + F at the phases
void evaluate(const Force& force, std::span<const double> phases, std::span<const double> torque,
              std::span<double> total) {
  force(phases, total);
  for (std::size_t i = 0; i < total.size(); ++i) total[i] += torque[i];
}

}  // namespace

Force coupling_force(const Matrix& coupling, double strength, Normaliser normaliser) {
  require_square(coupling);
  return [coupling, strength, normaliser](std::span<const double> th, std::span<double> force) {
    const std::size_t n = coupling.rows();
    require_length(th.size(), n, "the phases");
    for (std::size_t i = 0; i < n; ++i) {
      double sum = 0.0;
      for (std::size_t j = 0; j < n; ++j) sum += coupling(i, j) * std::sin(th[j] - th[i]);
      force[i] = scale_of_row(coupling.row(i), strength, normaliser) * sum;
    }
  };
}

Force all_to_all_force(std::size_t n, double strength) {
  return [n, strength](std::span<const double> th, std::span<double> force) {
    require_length(th.size(), n, "the phases");
    // The term j = i is sin(0): it may be left in.
    double sum_sin = 0.0;
    double sum_cos = 0.0;
    std::vector<double> sin_th(n);
    std::vector<double> cos_th(n);
    for (std::size_t i = 0; i < n; ++i) {
      sum_sin += sin_th[i] = std::sin(th[i]);
      sum_cos += cos_th[i] = std::cos(th[i]);
    }
    const double scale = strength / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i) force[i] = scale * (cos_th[i] * sum_sin - sin_th[i] * sum_cos);
  };
}

Force spring_force(const Matrix& coupling, double spring, double anchor) {
  require_square(coupling);
  return [coupling, spring, anchor](std::span<const double> x, std::span<double> force) {
    const std::size_t n = coupling.rows();
    require_length(x.size(), n, "the positions");
    for (std::size_t i = 0; i < n; ++i) {
      double sum = 0.0;
      for (std::size_t j = 0; j < n; ++j) sum += coupling(i, j) * (x[i] - x[j]);
      force[i] = -spring * sum - anchor * x[i];
    }
  };
}

double coupling_energy(const Matrix& coupling, double strength, std::span<const double> th) {
  require_square(coupling);
  const std::size_t n = coupling.rows();
  require_length(th.size(), n, "the phases");
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) sum += coupling(i, j) * std::cos(th[j] - th[i]);
  }
  return -strength / (2.0 * static_cast<double>(n)) * sum;
}

double spring_energy(const Matrix& coupling, double spring, double anchor, std::span<const double> x) {
  require_square(coupling);
  const std::size_t n = coupling.rows();
  require_length(x.size(), n, "the positions");
  double between = 0.0;
  double to_anchor = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) between += coupling(i, j) * (x[i] - x[j]) * (x[i] - x[j]);
    to_anchor += x[i] * x[i];
  }
  return spring / 4.0 * between + anchor / 2.0 * to_anchor;
}

OrderParameter order_parameter(std::span<const double> phases) {
  std::complex<double> sum = 0.0;
  for (const double th : phases) sum += std::polar(1.0, th);
  return {std::abs(sum) / static_cast<double>(phases.size()), std::arg(sum)};
}

std::vector<double> torques(std::span<const double> frequencies, double friction) {
  std::vector<double> torque(frequencies.begin(), frequencies.end());
  for (double& value : torque) value *= friction;
  return torque;
}

void euler_maruyama_step(std::span<double> phases, const Force& force, std::span<const double> frequencies,
                         const Overdamped& parameters, std::span<const double> normals) {
  const double h = parameters.time_step;
  const double noise = std::sqrt(2.0 * parameters.diffusion * h);
  std::vector<double> slope(phases.size());
  evaluate(force, phases, frequencies, slope);
  for (std::size_t i = 0; i < phases.size(); ++i) phases[i] += h * slope[i] + noise * normals[i];
}

void heun_step(std::span<double> phases, const Force& force, std::span<const double> frequencies,
               const Overdamped& parameters, std::span<const double> normals) {
  const double h = parameters.time_step;
  const double noise = std::sqrt(2.0 * parameters.diffusion * h);
  std::vector<double> slope(phases.size());
  evaluate(force, phases, frequencies, slope);
  std::vector<double> predicted(phases.size());
  for (std::size_t i = 0; i < phases.size(); ++i) predicted[i] = phases[i] + h * slope[i] + noise * normals[i];
  std::vector<double> slope_there(phases.size());
  evaluate(force, predicted, frequencies, slope_there);
  for (std::size_t i = 0; i < phases.size(); ++i) {
    phases[i] += h / 2.0 * (slope[i] + slope_there[i]) + noise * normals[i];
  }
}

State start(std::vector<double> phases, std::vector<double> velocities, const Force& force,
            std::span<const double> torque) {
  const std::size_t n = phases.size();
  require_length(velocities.size(), n, "the velocities");
  require_length(torque.size(), n, "the torques");
  State state{std::move(phases), std::move(velocities), std::vector<double>(n), std::vector<double>(n),
              std::vector<double>(n)};
  evaluate(force, state.phases, torque, state.force);
  return state;
}

std::vector<double> initial_phases(std::size_t n, const Draws& draws) {
  std::vector<double> phases(n);
  draws.uniforms(setup_frame, 0, phases);
  for (double& th : phases) th *= 2.0 * std::numbers::pi;
  return phases;
}

std::vector<double> initial_velocities(std::size_t n, double temperature, const Draws& draws) {
  std::vector<double> velocities(n);
  draws.normals(setup_frame, 1, velocities);
  for (double& v : velocities) v *= std::sqrt(temperature);
  return velocities;
}

std::vector<double> natural_frequencies(std::size_t n, const Draws& draws) {
  std::vector<double> frequencies(n);
  draws.normals(setup_frame, 2, frequencies);
  for (double& omega : frequencies) omega = 1.0 + 0.1 * omega;
  return frequencies;
}

void step(State& state, const Force& force, std::span<const double> torque, const Underdamped& parameters,
          std::span<const double> normals) {
  const double h = parameters.time_step;
  const double decay = std::exp(-parameters.friction * h);
  const double noise = std::sqrt(parameters.temperature * (1.0 - std::exp(-2.0 * parameters.friction * h)));
  const std::size_t n = state.phases.size();
  for (std::size_t i = 0; i < n; ++i) {
    double& th = state.phases[i];
    double& v = state.velocities[i];
    v += h / 2.0 * state.force[i];  // B
    const double th_before = th;
    th += h / 2.0 * v;  // A
    const double v_before = v;
    v = decay * v + noise * normals[i];  // O
    state.heat[i] += (v_before * v_before - v * v) / 2.0;
    th += h / 2.0 * v;  // A
    state.work[i] += torque[i] * (th - th_before);
  }
  evaluate(force, state.phases, torque, state.force);
  for (std::size_t i = 0; i < n; ++i) state.velocities[i] += h / 2.0 * state.force[i];  // B
}

double kinetic_energy(const State& state) {
  double sum = 0.0;
  for (const double v : state.velocities) sum += v * v;
  return sum / 2.0;
}

double total_heat(const State& state) { return std::accumulate(state.heat.begin(), state.heat.end(), 0.0); }

double total_work(const State& state) { return std::accumulate(state.work.begin(), state.work.end(), 0.0); }

double entropy_production_rate(const State& state, double temperature, double elapsed_seconds) {
  return total_heat(state) / (temperature * elapsed_seconds);
}

std::size_t steps_per_frame(double frame_seconds, double time_step) {
  if (!(frame_seconds > 0.0) || !(time_step > 0.0)) {
    throw Error(ErrorCode::bad_input, "the time of a frame and the step must be positive, not " +
                                          std::to_string(frame_seconds) + " s and " + std::to_string(time_step) + " s");
  }
  return static_cast<std::size_t>(std::max(1.0, std::round(frame_seconds / time_step)));
}

void run_frame(State& state, const Force& force, std::span<const double> torque, const Underdamped& parameters,
               std::size_t steps, const Draws& draws, std::uint32_t frame) {
  std::vector<double> normals(state.phases.size());
  for (std::size_t m = 0; m < steps; ++m) {
    draws.normals(frame, static_cast<std::uint32_t>(m), normals);
    step(state, force, torque, parameters, normals);
  }
  for (double& th : state.phases) th = wrap_phase(th);
}

}  // namespace warpwright::workloads::oscillators
