#include "workloads/frame/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <utility>

#include <warpwright/base/error.hpp>

#include "workloads/common/error_measure.hpp"
#include "workloads/control/oracle.hpp"
#include "workloads/coupling/oracle.hpp"

namespace warpwright::workloads::frame {
namespace {

// What the sign step of the running median moves it by, as in reservoir::encode().
constexpr double median_step = 0.01;

void require_input(std::span<const double> x, std::size_t n) {
  if (x.size() != n) {
    throw Error(ErrorCode::bad_input, "the input x of a frame has " + std::to_string(n) +
                                          " values, one for each window, not " + std::to_string(x.size()));
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (!std::isfinite(x[i])) {
      throw Error(ErrorCode::bad_input, "x[" + std::to_string(i) + "] is " + std::to_string(x[i]) +
                                            ": the input of a frame must be finite numbers");
    }
  }
}

double largest_magnitude(std::span<const double> values) {
  double largest = 0.0;
  for (const double value : values) largest = std::max(largest, std::fabs(value));
  return largest;
}

void encode(const Model& model, State& state, std::span<const double> x, const Decisions& decisions, Outputs& outputs) {
  const Draws draws(model.settings.seed, Stage::reservoir);
  reservoir::step(state.units, model.input_weights, model.recurrent, x, model.reservoir, draws, state.frame);
  outputs.margins.resize(state.thresholds.size());
  for (std::size_t i = 0; i < outputs.margins.size(); ++i) {
    outputs.margins[i] = std::fabs(state.units[i] - state.thresholds[i]);
  }
  const std::vector<double> before = state.thresholds;
  outputs.bits = reservoir::encode(state.units, state.thresholds);
  const double doubtful = decisions.margin * largest_magnitude(state.units);
  for (std::size_t i = 0; i < decisions.bits.size() && i < outputs.bits.size(); ++i) {
    if (decisions.bits[i] == outputs.bits[i] || outputs.margins[i] > doubtful) continue;
    outputs.bits[i] = decisions.bits[i];
    state.thresholds[i] = before[i] + (decisions.bits[i] == 1 ? median_step : -median_step);
  }
  outputs.units = state.units;
  outputs.thresholds = state.thresholds;
}

void couple(const Model& model, State& state, Outputs& outputs) {
  state.history.push(outputs.bits);
  const bool runs = state.history.full() && (!state.coupled || state.coupling_age + 1 >= model.settings.flow_period);
  if (runs) {
    outputs.flow = transfer_entropy::all_pairs(state.history, model.sizes.bins, flow_lag);
    if (state.coupled) {
      coupling::update(state.coupling, outputs.flow->corrected, model.settings.coupling_rate);
    } else {
      state.coupling = coupling::normalised(outputs.flow->corrected);
    }
    state.coupled = true;
    state.coupling_age = 0;
  } else if (state.coupled) {
    ++state.coupling_age;
  }
  outputs.coupling = state.coupling;
  outputs.coupling_age = state.coupling_age;
}

void evolve(const Model& model, State& state, Outputs& outputs) {
  const oscillators::Force force = oscillators::coupling_force(state.coupling, model.settings.strength);
  const std::vector<double> torque = oscillators::torques(model.frequencies, model.oscillators.friction);
  oscillators::State rotors = oscillators::start(state.phases, state.velocities, force, torque);
  oscillators::run_frame(rotors, force, torque, model.oscillators, model.steps,
                         Draws(model.settings.seed, Stage::oscillators), state.frame);
  outputs.phases = rotors.phases;
  outputs.velocities = rotors.velocities;
  outputs.order = oscillators::order_parameter(rotors.phases);
  outputs.potential = oscillators::coupling_energy(state.coupling, model.settings.strength, rotors.phases);
  outputs.kinetic = oscillators::kinetic_energy(rotors);
  outputs.heats = rotors.heat;
  outputs.heat = oscillators::total_heat(rotors);
  outputs.entropy_production = oscillators::entropy_production_rate(
      rotors, model.oscillators.temperature, static_cast<double>(model.steps) * model.oscillators.time_step);
  state.phases = rotors.phases;
  state.velocities = rotors.velocities;
}

void infer_and_choose(const Model& model, State& state, const Decisions& decisions, Outputs& outputs) {
  outputs.observation = inference::observe(outputs.probabilities, model.sizes.observations);
  outputs.inference = inference::infer(model.inference, outputs.observation, model.settings.inference);
  outputs.choice = policy::choose(model.inference, state.coupling, outputs.inference.mean, outputs.inference.variance,
                                  state.modes, Draws(model.settings.seed, Stage::inference), state.frame, model.policy);
  policy::Choice& choice = outputs.choice;
  if (decisions.policy && *decisions.policy < choice.outcomes.size() && *decisions.policy != choice.chosen) {
    double largest = 0.0;
    for (const policy::Outcome& outcome : choice.outcomes) largest = std::max(largest, std::fabs(outcome.value));
    const double margin = choice.outcomes[*decisions.policy].value - choice.outcomes[choice.chosen].value;
    if (margin <= decisions.margin * largest) {
      choice.chosen = *decisions.policy;
      choice.control = choice.outcomes[choice.chosen].first_control;
    }
  }
  state.modes = choice.modes;
}

void synchronise(const Model& model, State& state, Outputs& outputs) {
  outputs.populations =
      synchronisation::frame(state.coupling, model.bridge, {state.phases, outputs.wave_phases}, model.synchronisation);
  outputs.agreement = synchronisation::order(outputs.populations);
  // The channel of n inputs and an error of 0.1.
  outputs.information = synchronisation::mutual_information(synchronisation::symmetric_channel(model.sizes.oscillators),
                                                            synchronisation::source_from_magnitudes(outputs.mean));
  state.phases = outputs.populations.al;
  const auto remember = [](std::vector<double>& series, double value) {
    series.push_back(value);
    if (series.size() > proxy_frames) series.erase(series.begin());
  };
  remember(state.order_a, outputs.agreement.r_a);
  remember(state.order_b, outputs.agreement.r_b);
  // Three frames are the least of which a correlation one frame apart says anything.
  if (state.order_a.size() >= 3) outputs.proxy = synchronisation::causal_proxy(state.order_a, state.order_b);
}

}  // namespace

Model make_model(const Sizes& sizes, const Settings& settings) {
  check(sizes);
  if (sizes.batch != 1) {
    throw Error(ErrorCode::bad_input,
                "a frame runs one instance; a batch of " + std::to_string(sizes.batch) + " is not offered");
  }
  if (sizes.bins != 2) {
    throw Error(ErrorCode::bad_input,
                "the frame's encoding makes bits, that is 2 bins, not " + std::to_string(sizes.bins));
  }
  if (settings.flow_period == 0) {
    throw Error(ErrorCode::bad_input, "the period of the information flow must be at least 1 frame, not 0");
  }
  Model model;
  model.sizes = sizes;
  model.settings = settings;
  const reservoir::Weights weights =
      reservoir::make_weights(sizes.reservoir_units, sizes.oscillators, Draws(settings.seed, Stage::reservoir));
  model.input_weights = reservoir::compress(weights.input);
  model.recurrent = reservoir::compress(weights.recurrent);
  model.reservoir.noise = settings.noise;
  model.frequencies = oscillators::natural_frequencies(sizes.oscillators, Draws(settings.seed, Stage::oscillators));
  model.steps = oscillators::steps_per_frame(sizes.frame_time.count(), model.oscillators.time_step);
  model.propagation.dt = sizes.frame_time.count();
  model.inference.windows = sizes.oscillators;
  model.inference.sensors = sizes.observations;
  model.policy.horizon = sizes.horizon;
  model.policy.sub_steps = sizes.substeps;
  model.policy.modes = sizes.modes;
  // The policies are those of 900 windows; they sense as many windows as there are, if there are fewer.
  for (policy::Policy& each : model.policy.policies) each.windows = std::min(each.windows, sizes.oscillators);
  model.bridge = synchronisation::natural_frequencies(Draws(settings.seed, Stage::synchronisation), sizes.oscillators);
  return model;
}

State initial_state(const Model& model) {
  const std::size_t n = model.sizes.oscillators;
  const Draws draws(model.settings.seed, Stage::oscillators);
  State state(model.sizes);
  state.units.assign(model.sizes.reservoir_units, 0.0);
  state.thresholds.assign(n, 0.0);
  state.coupling = coupling::all_to_all(n);
  state.phases = oscillators::initial_phases(n, draws);
  for (double& phase : state.phases) phase = wrap_phase(phase);
  state.velocities = oscillators::initial_velocities(n, model.oscillators.temperature, draws);
  state.modes = policy::initial_modes(Draws(model.settings.seed, Stage::inference), model.policy);
  return state;
}

Outputs advance(const Model& model, State& state, std::span<const double> x, const Decisions& decisions) {
  require_input(x, model.sizes.oscillators);
  Outputs outputs;
  encode(model, state, x, decisions, outputs);
  couple(model, state, outputs);
  evolve(model, state, outputs);
  const quantum::State wave = quantum::propagate(state.coupling, quantum::prepare(state.phases), model.propagation);
  outputs.probabilities = quantum::probabilities(wave);
  outputs.wave_phases = quantum::phases(wave);
  const double largest = *std::ranges::max_element(outputs.probabilities);
  for (std::size_t i = 0; i < decisions.wave_phases.size() && i < outputs.wave_phases.size(); ++i) {
    if (outputs.probabilities[i] < least_amplitude * least_amplitude * largest) {
      outputs.wave_phases[i] = decisions.wave_phases[i];
    }
  }
  infer_and_choose(model, state, decisions, outputs);
  control::Result moved = control::apply(outputs.choice.control, {}, outputs.inference.mean);
  outputs.output = std::move(moved.output);
  outputs.mean = std::move(moved.mean);
  synchronise(model, state, outputs);
  ++state.frame;
  return outputs;
}

std::vector<float> example_input(std::size_t n, std::uint32_t seed, std::uint32_t frame) {
  // No stage of the frame has this key, so its noise is nobody else's.
  const Draws draws(seed, static_cast<Stage>(0));
  std::vector<double> noise(n);
  draws.uniforms(frame, 0, noise);
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double place = static_cast<double>(i) / static_cast<double>(n);
    const double wave = std::sin(2.0 * std::numbers::pi * (3.0 * place - 0.05 * frame));
    x[i] = static_cast<float>(0.5 + 0.3 * wave + 0.2 * (2.0 * noise[i] - 1.0));
  }
  return x;
}

}  // namespace warpwright::workloads::frame
