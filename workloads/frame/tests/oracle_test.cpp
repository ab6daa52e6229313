// What one stage of the frame hands to the next, and one frame to the next. The stages themselves are tested where they
// are.
#include "workloads/control/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>

#include "workloads/common/error_measure.hpp"
#include "workloads/coupling/oracle.hpp"
#include "workloads/frame/oracle.hpp"

namespace warpwright::workloads::frame {
namespace {

// Small, with more units than windows and a ring buffer that is full after six frames.
Sizes small_sizes() {
  Sizes sizes = scaled_sizes(18, 1);
  sizes.reservoir_units = 30;
  sizes.history = 6;
  sizes.modes = 7;
  return sizes;
}

std::vector<double> input(const Model& model, std::uint32_t frame) {
  const std::vector<float> x = example_input(model.sizes.oscillators, model.settings.seed, frame);
  return {x.begin(), x.end()};
}

Outputs run(const Model& model, State& state, std::size_t frames) {
  Outputs outputs;
  for (std::size_t f = 0; f < frames; ++f) outputs = advance(model, state, input(model, state.frame));
  return outputs;
}

template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "";
}

TEST(Frame, SameSeedSameFrames) {
  const Model model = make_model(small_sizes());
  State a = initial_state(model);
  State b = initial_state(make_model(small_sizes()));
  const Outputs first = run(model, a, 9);
  const Outputs second = run(model, b, 9);
  EXPECT_EQ(first.output, second.output);
  EXPECT_EQ(first.coupling, second.coupling);
  EXPECT_EQ(a.phases, b.phases);
  EXPECT_EQ(a.modes, b.modes);

  const Model other = make_model(small_sizes(), {.seed = 2});
  State c = initial_state(other);
  EXPECT_NE(run(other, c, 9).output, first.output);
}

TEST(Frame, InputsChangeOutputs) {
  const Model model = make_model(small_sizes());
  State state = initial_state(model);
  run(model, state, 8);
  State changed = state;
  Outputs as_it_was;
  Outputs other;
  // A single frame moves units by less than their distance from the medians.
  for (int f = 0; f < 5; ++f) {
    std::vector<double> x = input(model, state.frame);
    as_it_was = advance(model, state, x);
    for (double& value : x) value = -4.0 * value;
    other = advance(model, changed, x);
  }
  EXPECT_NE(as_it_was.units, other.units);
  EXPECT_NE(as_it_was.bits, other.bits);
  EXPECT_NE(as_it_was.coupling, other.coupling);
  EXPECT_NE(as_it_was.phases, other.phases);
  EXPECT_NE(as_it_was.output, other.output);
}

TEST(Frame, CouplingIsAllToAllUntilTheRingBufferIsFull) {
  const Model model = make_model(small_sizes());
  State state = initial_state(model);
  const Outputs early = run(model, state, 5);
  EXPECT_FALSE(early.flow.has_value());
  EXPECT_EQ(early.coupling, coupling::all_to_all(18));
  // The first flow is taken as a whole, later ones by a tenth.
  const Outputs first = run(model, state, 1);
  ASSERT_TRUE(first.flow.has_value());
  EXPECT_EQ(first.coupling, coupling::normalised(first.flow->corrected));
  Matrix expected = first.coupling;
  const Outputs second = run(model, state, 1);
  coupling::update(expected, second.flow->corrected, 0.1);
  EXPECT_EQ(second.coupling, expected);
}

TEST(Frame, FlowRunsEveryKthFrameAndFreshnessIsCounted) {
  const Model model = make_model(small_sizes(), {.flow_period = 3});
  State state = initial_state(model);
  run(model, state, 5);
  std::vector<bool> runs;
  std::vector<std::size_t> ages;
  for (int f = 0; f < 7; ++f) {
    const Outputs outputs = run(model, state, 1);
    runs.push_back(outputs.flow.has_value());
    ages.push_back(outputs.coupling_age);
  }
  EXPECT_THAT(runs, testing::ElementsAre(true, false, false, true, false, false, true));
  EXPECT_THAT(ages, testing::ElementsAre(0, 1, 2, 0, 1, 2, 0));
}

TEST(Frame, RingBufferHoldsTheFirstUnitsOfEachFrame) {
  const Model model = make_model(small_sizes());
  State state = initial_state(model);
  std::vector<std::vector<std::uint8_t>> bits;
  for (int f = 0; f < 8; ++f) bits.push_back(run(model, state, 1).bits);
  for (std::size_t t = 0; t < 6; ++t) {
    for (std::size_t i = 0; i < 18; ++i) EXPECT_EQ(state.history.at(t, i), bits[t + 2][i]);
  }
  const Outputs outputs = run(model, state, 1);
  EXPECT_EQ(outputs.bits.size(), 18U);
  EXPECT_EQ(outputs.units.size(), 30U);
  for (std::size_t i = 0; i < 18; ++i) {
    const double moved = outputs.bits[i] == 1 ? 0.01 : -0.01;
    EXPECT_EQ(outputs.bits[i] == 1, outputs.units[i] > outputs.thresholds[i] - moved);
  }
}

TEST(Frame, CouplingChangesForcesWaveChoiceAndAgreement) {
  const Model model = make_model(small_sizes());
  State state = initial_state(model);
  run(model, state, 4);
  State uncoupled = state;
  uncoupled.coupling = Matrix(18, 18);
  uncoupled.coupling(0, 1) = 1.0;  // of 306 pairs one
  const std::vector<double> x = input(model, state.frame);
  const Outputs with = advance(model, state, x);
  const Outputs without = advance(model, uncoupled, x);
  EXPECT_NE(with.velocities, without.velocities);
  EXPECT_NE(with.phases, without.phases);
  EXPECT_NE(with.wave_phases, without.wave_phases);
  EXPECT_NE(with.choice.outcomes.front().belief.phi, without.choice.outcomes.front().belief.phi);
  EXPECT_NE(with.populations.al, without.populations.al);
  EXPECT_EQ(with.bits, without.bits);
}

TEST(Frame, StagesAreWiredAsSpecified) {
  const Model model = make_model(small_sizes());
  State state = initial_state(model);
  run(model, state, 7);
  const State before = state;
  const Outputs outputs = run(model, state, 1);

  const auto wave = quantum::propagate(outputs.coupling, quantum::prepare(outputs.phases), model.propagation);
  EXPECT_EQ(outputs.wave_phases, quantum::phases(wave));
  EXPECT_EQ(outputs.observation, inference::observe(quantum::probabilities(wave), 2));
  EXPECT_EQ(outputs.inference.mean,
            inference::infer(model.inference, outputs.observation, model.settings.inference).mean);
  EXPECT_EQ(outputs.choice.control, outputs.choice.outcomes[outputs.choice.chosen].first_control);
  const auto moved = control::apply(outputs.choice.control, {}, outputs.inference.mean);
  EXPECT_EQ(outputs.output, moved.output);
  EXPECT_EQ(outputs.mean, moved.mean);
  // S8 takes the phases of S4 and S5, and the mean that S7 has moved.
  const auto after = synchronisation::frame(outputs.coupling, model.bridge, {outputs.phases, outputs.wave_phases});
  EXPECT_EQ(outputs.populations.al, after.al);
  EXPECT_EQ(outputs.populations.be, after.be);
  EXPECT_DOUBLE_EQ(outputs.information,
                   synchronisation::mutual_information(synchronisation::symmetric_channel(18),
                                                       synchronisation::source_from_magnitudes(moved.mean)));
  // What the next frame begins with.
  EXPECT_EQ(state.phases, after.al);
  EXPECT_EQ(state.velocities, outputs.velocities);
  EXPECT_EQ(state.modes, outputs.choice.modes);
  EXPECT_EQ(state.units, outputs.units);
  EXPECT_EQ(state.thresholds, outputs.thresholds);
  EXPECT_EQ(state.coupling, outputs.coupling);
  EXPECT_EQ(state.frame, before.frame + 1);
  EXPECT_NE(state.modes, before.modes);
}

// S6A starts at the prior mean in each frame: what was inferred before leaves no trace.
TEST(Frame, InferenceStartsAnew) {
  const Model model = make_model(small_sizes());
  State state = initial_state(model);
  run(model, state, 2);
  const Outputs outputs = run(model, state, 1);
  const inference::Settings one{.tolerance = -1.0, .iterations = 1};
  Model first_step = model;
  first_step.settings.inference = one;
  const std::vector<double> start(18, model.inference.prior_mean);
  State again = initial_state(model);
  run(model, again, 2);
  const Outputs short_run = advance(first_step, again, input(model, again.frame));
  EXPECT_EQ(short_run.inference.mean,
            inference::iterate(model.inference, inference::observation_matrix(model.inference), outputs.observation,
                               start, one.kappa));
}

TEST(Frame, IterationsOfTheInferenceSuffice) {
  const Model model = make_model(small_sizes());
  State state = initial_state(model);
  for (int f = 0; f < 8; ++f) {
    const auto energies = run(model, state, 1).inference.free_energies;
    EXPECT_LT(std::fabs(energies.back() - energies[energies.size() - 2]), 1e-4);
  }
}

TEST(Frame, SeriesOfTheProxyHaveFiftyFrames) {
  Sizes sizes = small_sizes();
  sizes.history = 60;
  const Model model = make_model(sizes);
  State state = initial_state(model);
  EXPECT_EQ(run(model, state, 2).proxy.balance, 1.0);
  run(model, state, 50);
  EXPECT_EQ(state.order_a.size(), 50U);
  const Outputs outputs = run(model, state, 1);
  EXPECT_EQ(state.order_a.size(), 50U);
  EXPECT_EQ(state.order_a.back(), outputs.agreement.r_a);
  EXPECT_EQ(state.order_b.back(), outputs.agreement.r_b);
  EXPECT_EQ(outputs.proxy.a_to_b, synchronisation::causal_proxy(state.order_a, state.order_b).a_to_b);
}

// Where rounding may have turned a bit, the bit of who is compared counts, with all that follows from it.
TEST(Frame, DecisionsAreTakenOverWithinTheMarginOnly) {
  const Model model = make_model(small_sizes());
  State state = initial_state(model);
  run(model, state, 7);
  State same = state;
  const std::vector<double> x = input(model, state.frame);
  const Outputs own = advance(model, state, x);
  const auto closest = static_cast<std::size_t>(std::ranges::min_element(own.margins) - own.margins.begin());
  const auto clearest = static_cast<std::size_t>(std::ranges::max_element(own.margins) - own.margins.begin());
  double largest = 0.0;
  for (const double unit : own.units) largest = std::max(largest, std::fabs(unit));

  Decisions decisions;
  decisions.bits = own.bits;
  decisions.bits[closest] = static_cast<std::uint8_t>(1 - decisions.bits[closest]);
  decisions.bits[clearest] = static_cast<std::uint8_t>(1 - decisions.bits[clearest]);
  decisions.margin = 1.0001 * own.margins[closest] / largest;
  const Outputs taken = advance(model, same, x, decisions);
  EXPECT_EQ(taken.bits[closest], decisions.bits[closest]);
  EXPECT_NEAR(std::fabs(taken.thresholds[closest] - own.thresholds[closest]), 0.02, 1e-12);
  EXPECT_EQ(taken.bits[clearest], own.bits[clearest]);
  EXPECT_EQ(taken.thresholds[clearest], own.thresholds[clearest]);
}

TEST(Frame, PhasesOfWeakSitesAreTakenOver) {
  const Model model = make_model(small_sizes());
  State state = initial_state(model);
  State same = state;
  const std::vector<double> x = input(model, 0);
  const Outputs own = advance(model, state, x);
  Decisions decisions;
  decisions.wave_phases.assign(18, 1.25);
  const Outputs taken = advance(model, same, x, decisions);
  const double largest = *std::ranges::max_element(own.probabilities);
  for (std::size_t i = 0; i < 18; ++i) {
    EXPECT_EQ(taken.wave_phases[i], own.probabilities[i] < 1e-4 * largest ? 1.25 : own.wave_phases[i]);
  }
}

TEST(Frame, AnotherPolicyIsTakenOverWithinTheMarginOnly) {
  const Model model = make_model(small_sizes());
  State state = initial_state(model);
  State narrow = state;
  State wide = state;
  const std::vector<double> x = input(model, 0);
  const Outputs own = advance(model, state, x);
  Decisions decisions;
  decisions.policy = own.choice.chosen == 0 ? 1 : 0;
  decisions.margin = 1e-9;
  EXPECT_EQ(advance(model, narrow, x, decisions).choice.chosen, own.choice.chosen);
  decisions.margin = 1e9;
  const Outputs taken = advance(model, wide, x, decisions);
  EXPECT_EQ(taken.choice.chosen, *decisions.policy);
  EXPECT_EQ(taken.choice.control, own.choice.outcomes[*decisions.policy].first_control);
}

TEST(Frame, BadInputIsRefusedByName) {
  const Model model = make_model(small_sizes());
  State state = initial_state(model);
  EXPECT_THAT(message_of([&] { advance(model, state, std::vector<double>(17)); }),
              testing::HasSubstr("has 18 values, one for each window, not 17"));
  std::vector<double> x(18, 0.5);
  x[3] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(message_of([&] { advance(model, state, x); }), testing::HasSubstr("x[3] is nan"));
  EXPECT_EQ(state.frame, 0U);
  Sizes sizes = small_sizes();
  sizes.batch = 2;
  EXPECT_THAT(message_of([&] { make_model(sizes); }), testing::HasSubstr("a batch of 2 is not offered"));
  sizes = small_sizes();
  sizes.bins = 3;
  EXPECT_THAT(message_of([&] { make_model(sizes); }), testing::HasSubstr("2 bins, not 3"));
  EXPECT_THAT(message_of([&] { make_model(small_sizes(), {.flow_period = 0}); }),
              testing::HasSubstr("at least 1 frame"));
}

TEST(Frame, ExampleInputIsAFunctionOfSeedAndFrame) {
  const std::vector<float> x = example_input(64, 1, 5);
  EXPECT_EQ(x, example_input(64, 1, 5));
  EXPECT_NE(x, example_input(64, 1, 6));
  EXPECT_NE(x, example_input(64, 2, 5));
  EXPECT_THAT(x, testing::Each(testing::AllOf(testing::Ge(0.0F), testing::Le(1.0F))));
}

}  // namespace
}  // namespace warpwright::workloads::frame
