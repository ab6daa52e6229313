#include "workloads/policy/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>

#include "workloads/common/matrix.hpp"
#include "workloads/common/random.hpp"
#include "workloads/inference/oracle.hpp"

namespace warpwright::workloads::policy {
namespace {

void check_size(std::size_t found, std::size_t wanted, const char* what) {
  if (found != wanted) {
    throw Error(ErrorCode::bad_input,
                std::string(what) + " must have " + std::to_string(wanted) + " values, not " + std::to_string(found));
  }
}

void check_settings(const Settings& settings) {
  if (settings.policies.empty() || settings.horizon < 1 || settings.sub_steps < 1 || settings.modes < 1) {
    throw Error(ErrorCode::bad_input, "policies, steps of the horizon, sub-steps and modes must be at least one each");
  }
  if (!(settings.duration > 0) || !(settings.relaxation > 0) || !(settings.diffusion > 0) ||
      !(settings.mode_rate > 0) || !(settings.mode_variance >= 0) || !(settings.preference_precision > 0)) {
    throw Error(ErrorCode::bad_input,
                "the duration of a step, the rates, the diffusion and the precision of the preference must be above 0, "
                "and the variance of the modes not below 0");
  }
}

// o_0 + J phi, m values.
std::vector<double> predicted_observation(const inference::Model& model, const Matrix& matrix,
                                          std::span<const double> phi) {
  std::vector<double> result(model.sensors, model.offset);
  for (std::size_t k = 0; k < model.sensors; ++k) {
    for (std::size_t i = 0; i < model.windows; ++i) result[k] += matrix(k, i) * phi[i];
  }
  return result;
}

// tr(Sig_h) = sum_k (sum_i J_ki^2 var_i + 1/po).
double predicted_variance(const inference::Model& model, const Matrix& matrix, std::span<const double> variance) {
  double trace = 0;
  for (std::size_t k = 0; k < model.sensors; ++k) {
    for (std::size_t i = 0; i < model.windows; ++i) trace += matrix(k, i) * matrix(k, i) * variance[i];
    trace += 1 / model.observation_precision;
  }
  return trace;
}

}  // namespace

std::vector<Policy> default_policies() {
  return {{0.95, 100, Sensing::adaptive},
          {1.0, 100, Sensing::uniform},
          {1.2, 150, Sensing::uniform},
          {0.85, 120, Sensing::adaptive},
          {1.1, 80, Sensing::adaptive}};
}

std::vector<std::size_t> sensed_windows(const Policy& policy, std::span<const double> variance) {
  const std::size_t n = variance.size();
  if (policy.windows > n) {
    throw Error(ErrorCode::bad_input,
                "a policy cannot sense " + std::to_string(policy.windows) + " windows of " + std::to_string(n));
  }
  std::vector<std::size_t> sensed;
  if (policy.mode == Sensing::uniform) {
    // floor((j + 0.5) n/n_s) in whole numbers.
    for (std::size_t j = 0; j < policy.windows; ++j) sensed.push_back((2 * j + 1) * n / (2 * policy.windows));
    return sensed;
  }
  sensed.resize(n);
  std::iota(sensed.begin(), sensed.end(), std::size_t{0});
  std::stable_sort(sensed.begin(), sensed.end(),
                   [&](std::size_t a, std::size_t b) { return variance[a] > variance[b]; });
  sensed.resize(policy.windows);
  std::sort(sensed.begin(), sensed.end());
  return sensed;
}

std::vector<double> sensing_strengths(std::span<const std::size_t> sensed, std::size_t n) {
  std::vector<double> s(n);
  for (const std::size_t i : sensed) {
    s[i] += 1;
    if (i > 0) s[i - 1] += 0.09;
    if (i + 1 < n) s[i + 1] += 0.09;
  }
  return s;
}

std::vector<double> initial_modes(const Draws& draws, const Settings& settings) {
  std::vector<double> modes(settings.modes);
  draws.normals(setup_frame, 0, modes);
  for (double& a : modes) a *= std::sqrt(settings.mode_variance);
  return modes;
}

std::vector<double> advance_modes(std::span<const double> modes, const Draws& draws, std::uint32_t frame,
                                  std::uint32_t step, const Settings& settings) {
  const double decay = std::exp(-settings.mode_rate * settings.duration);
  const double noise = std::sqrt(settings.mode_variance * (1 - decay * decay));
  std::vector<double> result(modes.size());
  draws.normals(frame, step, result);
  for (std::size_t e = 0; e < modes.size(); ++e) result[e] = decay * modes[e] + noise * result[e];
  return result;
}

std::vector<double> spread_modes(std::span<const double> modes, std::size_t n) {
  const std::size_t n_a = modes.size();
  std::vector<double> result(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t k = i * n_a / n;
    result[i] = modes[k];
    if (k > 0) result[i] += 0.3 * modes[k - 1];
    if (k + 1 < n_a) result[i] += 0.3 * modes[k + 1];
  }
  return result;
}

std::vector<double> drive(const Matrix& coupling, std::span<const double> modes, std::size_t n, Drive kind) {
  std::vector<double> source = spread_modes(modes, n);
  for (double& value : source) value = std::sin(value);
  if (kind == Drive::identity) return source;
  std::vector<double> result(n);
  for (std::size_t i = 0; i < n; ++i) {
    double row_sum = 0;
    for (std::size_t j = 0; j < n; ++j) {
      row_sum += coupling(i, j);
      result[i] += coupling(i, j) * source[j];
    }
    result[i] = row_sum > 0 ? result[i] / row_sum : 0;
  }
  return result;
}

std::vector<double> control(Belief& belief, double gain) {
  std::vector<double> u(belief.phi.size());
  for (std::size_t i = 0; i < u.size(); ++i) {
    u[i] = -gain * belief.phi[i];
    belief.phi[i] += u[i];
  }
  return u;
}

Belief evolve(const Belief& belief, std::span<const double> driven, const Draws& draws, std::uint32_t frame,
              std::size_t step, std::size_t policy, const Settings& settings) {
  const std::size_t n = belief.phi.size();
  const double gw = settings.relaxation;
  Belief result = belief;
  if (settings.evolution == Evolution::exact) {
    const double decay = std::exp(-gw * settings.duration);
    const double v_s = settings.diffusion / gw;
    for (std::size_t i = 0; i < n; ++i) {
      result.phi[i] = decay * belief.phi[i] + (1 - decay) / gw * driven[i];
      result.variance[i] = v_s + (belief.variance[i] - v_s) * decay * decay;
    }
    return result;
  }
  const double hs = settings.duration / static_cast<double>(settings.sub_steps);
  if (gw * hs >= 1) {
    throw Error(ErrorCode::bad_input, "a sub-step of " + std::to_string(hs) + " s wipes out a state that relaxes at " +
                                          std::to_string(gw) + " 1/s; it needs more sub-steps");
  }
  std::vector<double> xi(n);
  for (std::size_t sub_step = 0; sub_step < settings.sub_steps; ++sub_step) {
    if (settings.evolution == Evolution::sampled) {
      draws.normals(frame, static_cast<std::uint32_t>(step * settings.sub_steps + sub_step), xi,
                    1 + static_cast<std::uint32_t>(policy));
    }
    for (std::size_t i = 0; i < n; ++i) {
      result.phi[i] += hs * (driven[i] - gw * result.phi[i]);
      if (settings.evolution == Evolution::sampled) result.phi[i] += std::sqrt(2 * settings.diffusion * hs) * xi[i];
      result.variance[i] = (1 - gw * hs) * (1 - gw * hs) * result.variance[i] + 2 * settings.diffusion * hs;
    }
  }
  return result;
}

std::vector<double> sense(std::span<const double> variance, std::span<const double> strengths, double precision) {
  std::vector<double> result(variance.size());
  // 1/(1/var + po s) in the form that leaves what is not sensed as it was, to the last digit: no information, not a
  // negative one.
  for (std::size_t i = 0; i < result.size(); ++i)
    result[i] = variance[i] / (1 + precision * strengths[i] * variance[i]);
  return result;
}

double information_gain(std::span<const double> before, std::span<const double> after) {
  double sum = 0;
  for (std::size_t i = 0; i < before.size(); ++i) sum += std::log(before[i] / after[i]);
  return 0.5 * sum;
}

Choice choose(const inference::Model& model, const Matrix& coupling, std::span<const double> mean,
              std::span<const double> variance, std::span<const double> modes, const Draws& draws, std::uint32_t frame,
              const Settings& settings) {
  check_settings(settings);
  const std::size_t n = model.windows;
  check_size(mean.size(), n, "the mean");
  check_size(variance.size(), n, "the variance");
  check_size(modes.size(), settings.modes, "the modes");
  if (settings.drive == Drive::coupled && (coupling.rows() != n || coupling.columns() != n)) {
    throw Error(ErrorCode::bad_input, "the coupling of " + std::to_string(n) + " windows must be square of that size");
  }
  const Matrix matrix = inference::observation_matrix(model);

  Choice choice;
  std::vector<std::vector<double>> driven;  // by step, the same for all policies
  std::vector<double> a(modes.begin(), modes.end());
  for (std::size_t h = 0; h < settings.horizon; ++h) {
    a = advance_modes(a, draws, frame, static_cast<std::uint32_t>(h), settings);
    if (h == 0) choice.modes = a;
    driven.push_back(drive(coupling, a, n, settings.drive));
  }

  const double pc = settings.preference_precision;
  for (std::size_t p = 0; p < settings.policies.size(); ++p) {
    const Policy& policy = settings.policies[p];
    const auto strengths = sensing_strengths(sensed_windows(policy, variance), n);
    Outcome outcome;
    outcome.belief.phi.assign(mean.begin(), mean.end());
    outcome.belief.variance.assign(variance.begin(), variance.end());
    for (std::size_t h = 0; h < settings.horizon; ++h) {
      const auto u = control(outcome.belief, policy.gain);
      if (h == 0) outcome.first_control = u;
      outcome.belief = evolve(outcome.belief, driven[h], draws, frame, h, p, settings);

      Step step;
      for (const double o_hat : predicted_observation(model, matrix, outcome.belief.phi)) {
        step.risk += 0.5 * pc * (o_hat - settings.preferred) * (o_hat - settings.preferred);
      }
      step.ambiguity = 0.5 * pc * predicted_variance(model, matrix, outcome.belief.variance);
      step.constant = static_cast<double>(model.sensors) / 2 * std::log(2 * std::numbers::pi / pc);
      const auto sensed = sense(outcome.belief.variance, strengths, model.observation_precision);
      step.information = information_gain(outcome.belief.variance, sensed);
      outcome.belief.variance = sensed;

      outcome.value += step.risk + step.ambiguity + step.constant - step.information;
      outcome.steps.push_back(step);
    }
    choice.outcomes.push_back(outcome);
    if (outcome.value < choice.outcomes[choice.chosen].value) choice.chosen = p;
  }
  choice.control = choice.outcomes[choice.chosen].first_control;
  return choice;
}

std::vector<double> softmax(std::span<const Outcome> outcomes, double beta) {
  std::vector<double> result;
  if (outcomes.empty()) return result;
  double least = outcomes[0].value;  // taken off, so that nothing overflows
  for (const Outcome& outcome : outcomes) least = std::min(least, outcome.value);
  double sum = 0;
  for (const Outcome& outcome : outcomes) {
    result.push_back(std::exp(-beta * (outcome.value - least)));
    sum += result.back();
  }
  for (double& probability : result) probability /= sum;
  return result;
}

namespace {

struct Acceleration {
  double x = 0, y = 0;
};

// -mu_E r/|r|^3.
Acceleration gravity(const Orbit& orbit) {
  const double r = std::hypot(orbit.x, orbit.y);
  return {-earth_gravity * orbit.x / (r * r * r), -earth_gravity * orbit.y / (r * r * r)};
}

}  // namespace

Orbit circular_orbit() { return {orbit_radius, 0, 0, std::sqrt(earth_gravity / orbit_radius)}; }

Orbit advance(const Orbit& orbit, double seconds) {
  const Acceleration before = gravity(orbit);
  Orbit result = orbit;
  result.x += seconds * orbit.vx + seconds * seconds / 2 * before.x;
  result.y += seconds * orbit.vy + seconds * seconds / 2 * before.y;
  const Acceleration after = gravity(result);
  result.vx += seconds / 2 * (before.x + after.x);
  result.vy += seconds / 2 * (before.y + after.y);
  return result;
}

double energy(const Orbit& orbit) {
  return (orbit.vx * orbit.vx + orbit.vy * orbit.vy) / 2 - earth_gravity / std::hypot(orbit.x, orbit.y);
}

}  // namespace warpwright::workloads::policy
