// S6B against closed forms: the Ornstein-Uhlenbeck step, one window followed by hand, order of convergence, statistics
// of the modes and of the sampled mode.
#include "workloads/policy/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <numbers>
#include <numeric>
#include <vector>

#include <warpwright/base/error.hpp>

#include "workloads/common/error_measure.hpp"
#include "workloads/common/matrix.hpp"
#include "workloads/common/random.hpp"
#include "workloads/inference/oracle.hpp"

namespace warpwright::workloads::policy {
namespace {

using std::numbers::pi;

const Draws draws(17, Stage::inference);

std::vector<double> normals(std::size_t n, std::uint32_t step, double scale = 1) {
  std::vector<double> values(n);
  Draws(18, Stage::inference).normals(0, step, values);
  for (double& value : values) value *= scale;
  return values;
}

Matrix random_coupling(std::size_t n) {
  Matrix coupling(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    Draws(19, Stage::inference).uniforms(0, static_cast<std::uint32_t>(i), coupling.row(i));
    coupling(i, i) = 0;
  }
  return coupling;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double mean_square(const std::vector<double>& values) {
  return std::inner_product(values.begin(), values.end(), values.begin(), 0.0) / static_cast<double>(values.size());
}

// The frame of the specification: a belief of S6A about windows of spread 0.25.
struct Case {
  inference::Model model;
  Matrix coupling;
  inference::Result posterior;
  std::vector<double> modes;
};

Case default_case() {
  Case result;
  const std::size_t n = result.model.windows;
  result.coupling = random_coupling(n);
  auto observation = normals(result.model.sensors, 1, 0.25);
  for (double& o : observation) o += result.model.offset;
  result.posterior = inference::infer(result.model, observation);
  result.modes = initial_modes(draws, {});
  return result;
}

Choice choose_in(const Case& c, const Settings& settings) {
  return choose(c.model, c.coupling, c.posterior.mean, c.posterior.variance, c.modes, draws, 3, settings);
}

Settings undriven() {
  Settings settings;
  settings.mode_variance = 0;
  return settings;
}

Settings with_policies(Settings settings, std::vector<Policy> policies) {
  settings.policies = std::move(policies);
  return settings;
}

double summed_risk(const Outcome& outcome) {
  double sum = 0;
  for (const Step& step : outcome.steps) sum += step.risk;
  return sum;
}

double summed_information(const Outcome& outcome) {
  double sum = 0;
  for (const Step& step : outcome.steps) sum += step.information;
  return sum;
}

// ---- What is sensed.

TEST(PolicySensing, UniformSetsAreEvenlySpread) {
  const std::vector<double> variance(900, 1.0);
  const auto hundred = sensed_windows({1, 100, Sensing::uniform}, variance);
  const auto more = sensed_windows({1, 150, Sensing::uniform}, variance);
  ASSERT_EQ(hundred.size(), 100u);
  ASSERT_EQ(more.size(), 150u);
  for (std::size_t j = 0; j < 100; ++j) EXPECT_EQ(hundred[j], 9 * j + 4);
  for (std::size_t j = 0; j < 150; ++j) EXPECT_EQ(more[j], 6 * j + 3);
  EXPECT_EQ(sensed_windows({1, 3, Sensing::uniform}, std::vector<double>(10, 1.0)),
            (std::vector<std::size_t>{1, 5, 8}));
}

TEST(PolicySensing, AdaptiveSetsAreTheLeastKnown) {
  EXPECT_EQ(sensed_windows({1, 3, Sensing::adaptive}, std::vector<double>{1, 5, 2, 5, 9, 5}),
            (std::vector<std::size_t>{1, 3, 4}))
      << "ties go to the lower index";
  // Six of nine windows are seen by no sensor; the first of them are taken.
  const inference::Model model;
  const auto variance = inference::variances(model, inference::observation_matrix(model));
  const auto sensed = sensed_windows({1, 100, Sensing::adaptive}, variance);
  std::vector<std::size_t> expected;
  for (std::size_t i = 0; expected.size() < 100; ++i) {
    if (i % 9 < 3 || i % 9 > 5) expected.push_back(i);
  }
  EXPECT_EQ(sensed, expected);
  EXPECT_THROW(sensed_windows({1, 4, Sensing::adaptive}, std::vector<double>(3, 1.0)), Error);
  EXPECT_TRUE(sensed_windows({1, 0, Sensing::uniform}, variance).empty());
}

TEST(PolicySensing, StrengthsHaveTheShapeOfASensor) {
  const std::vector<double> expected{1.09, 1.09, 0.09, 0, 0.09, 1};
  EXPECT_LT(relative_max_error<double>(sensing_strengths(std::vector<std::size_t>{0, 1, 5}, 6), expected), 1e-15);
}

TEST(PolicySensing, LowersTheVarianceAndGainsInformation) {
  const std::vector<double> before{0.5, 2, 0.1};
  const auto after = sense(before, std::vector<double>{1, 0.09, 0}, 4);
  EXPECT_NEAR(after[0], 1 / (2 + 4.0), 1e-15);
  EXPECT_NEAR(after[1], 1 / (0.5 + 0.36), 1e-15);
  EXPECT_NEAR(after[2], 0.1, 1e-16);
  EXPECT_NEAR(information_gain(before, after), 0.5 * std::log(3) + 0.5 * std::log(1.72), 1e-14);
  EXPECT_EQ(information_gain(before, before), 0);
}

TEST(PolicySensing, ASupersetGainsNoLess) {
  const std::vector<double> variance(60, 0.3);
  std::vector<std::size_t> sensed;
  double before = 0;
  for (std::size_t i = 0; i < 60; i += 4) {
    sensed.push_back(i);
    const double gain = information_gain(variance, sense(variance, sensing_strengths(sensed, 60), 56));
    EXPECT_GT(gain, before);
    before = gain;
  }
}

// ---- Drive.

TEST(PolicyModes, StartAndStepsAreTheDrawsOfTheLayout) {
  const Settings settings;
  const auto start = initial_modes(draws, settings);
  ASSERT_EQ(start.size(), 100u);
  EXPECT_NEAR(start[6], 0.1 * draws.normal(setup_frame, 0, 6), 1e-16);
  const auto next = advance_modes(start, draws, 4, 2, settings);
  const double decay = std::exp(-0.001);
  EXPECT_NEAR(next[6], decay * start[6] + std::sqrt(0.01 * (1 - decay * decay)) * draws.normal(4, 2, 6), 1e-16);
}

TEST(PolicyModes, StayNormalOfVarianceCAndForgetAtTheirRate) {
  Settings settings;
  settings.modes = 40000;
  settings.duration = 5;  // lam D_h = 0.5: the step is exact for any length
  const auto start = initial_modes(draws, settings);
  auto modes = start;
  for (std::uint32_t step = 0; step < 3; ++step) modes = advance_modes(modes, draws, 0, step, settings);
  const double count = 40000;
  EXPECT_NEAR(mean_of(modes), 0, 4 * std::sqrt(0.01 / count));
  EXPECT_NEAR(mean_square(start), 0.01, 4 * 0.01 * std::sqrt(2 / count));
  EXPECT_NEAR(mean_square(modes), 0.01, 4 * 0.01 * std::sqrt(2 / count));
  const double correlation = std::inner_product(modes.begin(), modes.end(), start.begin(), 0.0) / count / 0.01;
  EXPECT_NEAR(correlation, std::exp(-1.5), 4 / std::sqrt(count));
}

TEST(PolicyModes, SpreadOverTheWindows) {
  const std::vector<double> modes{1, 10, 100};
  const std::vector<double> expected{4, 4, 40.3, 40.3, 103, 103};
  EXPECT_LT(relative_max_error<double>(spread_modes(modes, 6), expected), 1e-15);
  // n no multiple of n_a, and every mode is read.
  std::vector<double> many(100);
  std::iota(many.begin(), many.end(), 0.0);
  const auto spread = spread_modes(many, 256);
  for (std::size_t i = 3; i < 250; ++i) {
    EXPECT_NEAR(spread[i], 1.6 * std::floor(static_cast<double>(i) * 100 / 256), 1e-12);
  }
}

TEST(PolicyModes, DriveIsTheCoupledMeanOfSines) {
  Matrix coupling(4, 4);
  coupling(0, 1) = 1;
  coupling(0, 2) = 3;
  coupling(1, 0) = coupling(1, 2) = coupling(1, 3) = 0.2;
  coupling(3, 0) = 0.7;  // row 2 couples to nothing
  const std::vector<double> modes{0.1, -0.5, 1.2, 2};
  const auto a = spread_modes(modes, 4);
  const auto result = drive(coupling, modes, 4, Drive::coupled);
  EXPECT_NEAR(result[0], 0.25 * std::sin(a[1]) + 0.75 * std::sin(a[2]), 1e-15);
  EXPECT_NEAR(result[1], (std::sin(a[0]) + std::sin(a[2]) + std::sin(a[3])) / 3, 1e-15);
  EXPECT_EQ(result[2], 0);
  EXPECT_NEAR(result[3], std::sin(a[0]), 1e-15);
  const auto preset = drive({}, modes, 4, Drive::identity);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(preset[i], std::sin(a[i]));
}

// ---- Control and evolution.

TEST(PolicyControl, IsMinusTheGainTimesTheState) {
  Belief belief{{1, -2}, {0.3, 0.4}};
  const auto u = control(belief, 0.9);
  EXPECT_EQ(u, (std::vector<double>{-0.9, 1.8}));
  EXPECT_NEAR(belief.phi[0], 0.1, 1e-15);
  EXPECT_NEAR(belief.phi[1], -0.2, 1e-15);
  EXPECT_EQ(belief.variance, (std::vector<double>{0.3, 0.4}));
  Belief untouched{{1, -2}, {0.3, 0.4}};
  for (const double value : control(untouched, 0)) EXPECT_EQ(value, 0);
  EXPECT_EQ(untouched.phi, (std::vector<double>{1, -2}));
}

TEST(PolicyEvolution, ExactStepInClosedForm) {
  const Belief before{{2, -1}, {1, 0.001}};
  const std::vector<double> driven{0.5, 3};
  const auto after = evolve(before, driven, draws, 0, 0, 0, {});
  for (std::size_t i = 0; i < 2; ++i) {
    // Towards drive/gw and D/gw, with rates gw and 2 gw.
    EXPECT_NEAR(after.phi[i], driven[i] / 10 + (before.phi[i] - driven[i] / 10) * std::exp(-0.1), 1e-15);
    EXPECT_NEAR(after.variance[i], 0.01 + (before.variance[i] - 0.01) * std::exp(-0.2), 1e-15);
  }
}

TEST(PolicyEvolution, TwoHalvesAreTheWhole) {
  const Belief before{normals(50, 2), std::vector<double>(50, 0.7)};
  const auto driven = normals(50, 3);
  Settings half;
  half.duration = 0.005;
  const auto whole = evolve(before, driven, draws, 0, 0, 0, {});
  const auto halves = evolve(evolve(before, driven, draws, 0, 0, 0, half), driven, draws, 0, 0, 0, half);
  EXPECT_LT(relative_max_error<double>(halves.phi, whole.phi), 1e-14);
  EXPECT_LT(relative_max_error<double>(halves.variance, whole.variance), 1e-14);
}

TEST(PolicyEvolution, SubStepsConvergeToFirstOrder) {
  const Belief before{normals(50, 4), std::vector<double>(50, 0.7)};
  const auto driven = normals(50, 5);
  const auto exact = evolve(before, driven, draws, 0, 0, 0, {});
  double previous_phi = 0, previous_variance = 0;
  for (const std::size_t sub_steps : {25u, 50u, 100u, 200u, 400u}) {
    Settings settings;
    settings.evolution = Evolution::sub_stepped;
    settings.sub_steps = sub_steps;
    const auto result = evolve(before, driven, draws, 0, 0, 0, settings);
    const double phi = relative_max_error<double>(result.phi, exact.phi);
    const double variance = relative_max_error<double>(result.variance, exact.variance);
    if (previous_phi > 0) {
      EXPECT_NEAR(previous_phi / phi, 2, 0.02) << sub_steps;
      EXPECT_NEAR(previous_variance / variance, 2, 0.02) << sub_steps;
    }
    if (sub_steps == 100) {
      EXPECT_LT(phi, 1e-4);
    }
    previous_phi = phi;
    previous_variance = variance;
  }
}

// The noise of the sampled mode has the mean 0 and exactly the variance that the variance's own recurrence adds.
TEST(PolicyEvolution, SampledNoiseHasTheVarianceOfTheBelief) {
  const std::size_t n = 40000;
  Settings settings;
  settings.evolution = Evolution::sampled;
  settings.duration = 0.1;  // gw D_h = 1
  settings.sub_steps = 40;
  const Belief before{std::vector<double>(n, 1.5), std::vector<double>(n, 0.0)};
  const std::vector<double> driven(n, 2.0);
  auto sampled = evolve(before, driven, draws, 0, 0, 0, settings);
  settings.evolution = Evolution::sub_stepped;
  const auto mean = evolve(before, driven, draws, 0, 0, 0, settings);
  EXPECT_EQ(sampled.variance, mean.variance) << "noise is in phi only";
  const double variance = mean.variance[0];
  for (std::size_t i = 0; i < n; ++i) sampled.phi[i] -= mean.phi[i];
  EXPECT_NEAR(mean_of(sampled.phi), 0, 4 * std::sqrt(variance / static_cast<double>(n)));
  EXPECT_NEAR(mean_square(sampled.phi), variance, 4 * variance * std::sqrt(2 / static_cast<double>(n)));
}

TEST(PolicyEvolution, SampledNoiseIsThatOfItsPlace) {
  Settings settings;
  settings.evolution = Evolution::sampled;
  settings.sub_steps = 1;
  const Belief before{std::vector<double>(8, 0.0), std::vector<double>(8, 1.0)};
  const std::vector<double> nothing(8, 0.0);
  const auto after = evolve(before, nothing, draws, 5, 2, 3, settings);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(after.phi[i], std::sqrt(2 * 0.1 * 0.01) * draws.normal(5, 2, i, 4), 1e-16);
  }
  settings.sub_steps = 2;
  const auto twice = evolve(before, nothing, draws, 5, 2, 3, settings);
  const double first = draws.normal(5, 4, 0, 4), second = draws.normal(5, 5, 0, 4);
  EXPECT_NEAR(twice.phi[0], std::sqrt(2 * 0.1 * 0.005) * (first * (1 - 0.05) + second), 1e-16);
}

TEST(PolicyEvolution, RefusesSubStepsThatWipeOutTheState) {
  Settings settings;
  settings.evolution = Evolution::sub_stepped;
  settings.duration = 0.1;
  settings.sub_steps = 1;  // gw hs = 1
  const Belief before{{1}, {1}};
  EXPECT_THROW(evolve(before, std::vector<double>{0}, draws, 0, 0, 0, settings), Error);
  settings.sub_steps = 2;
  EXPECT_NO_THROW(evolve(before, std::vector<double>{0}, draws, 0, 0, 0, settings));
}

// ---- The choice.

// One window, one sensor on it, one mode, two steps: everything by hand.
TEST(Policy, OneWindowByHand) {
  inference::Model model;
  model.windows = model.sensors = 1;
  model.observation_precision = 4;
  Settings settings = with_policies({}, {{0.6, 1, Sensing::uniform}});
  settings.horizon = 2;
  settings.modes = 1;
  settings.drive = Drive::identity;
  settings.mode_variance = 1;
  settings.preference_precision = 3;
  settings.preferred = 1.1;
  const std::vector<double> start{0.8};
  const auto choice = choose(model, {}, std::vector<double>{2}, std::vector<double>{0.5}, start, draws, 9, settings);

  const double relax = std::exp(-0.1), keep = std::exp(-0.001), noise = std::sqrt(1 - std::exp(-0.002));
  double a = 0.8, phi = 2, variance = 0.5, value = 0;
  ASSERT_EQ(choice.outcomes.size(), 1u);
  for (std::uint32_t h = 0; h < 2; ++h) {
    const double u = -0.6 * phi;
    if (h == 0) {
      EXPECT_NEAR(choice.control[0], u, 1e-15);
    }
    phi += u;
    a = keep * a + noise * draws.normal(9, h, 0);
    if (h == 0) {
      EXPECT_NEAR(choice.modes[0], a, 1e-15);
    }
    phi = relax * phi + (1 - relax) / 10 * std::sin(a);
    variance = 0.01 + (variance - 0.01) * relax * relax;
    const double off = 1 + phi - 1.1, risk = 1.5 * off * off, ambiguity = 1.5 * (variance + 0.25);
    const double constant = 0.5 * std::log(2 * pi / 3), information = 0.5 * std::log(1 + 4 * variance);
    const Step& step = choice.outcomes[0].steps[h];
    EXPECT_NEAR(step.risk, risk, 1e-14);
    EXPECT_NEAR(step.ambiguity, ambiguity, 1e-14);
    EXPECT_NEAR(step.constant, constant, 1e-14);
    EXPECT_NEAR(step.information, information, 1e-14);
    value += risk + ambiguity + constant - information;
    variance = 1 / (1 / variance + 4);
  }
  EXPECT_NEAR(choice.outcomes[0].value, value, 1e-13);
  EXPECT_NEAR(choice.outcomes[0].belief.phi[0], phi, 1e-14);
  EXPECT_NEAR(choice.outcomes[0].belief.variance[0], variance, 1e-14);
}

// With the default numbers what is learned dominates, so that the policy which senses most wins.
TEST(Policy, InformationDominatesByDefault) {
  const Case c = default_case();
  const auto choice = choose_in(c, {});
  EXPECT_EQ(choice.chosen, 2u);
  for (const Outcome& outcome : choice.outcomes) {
    EXPECT_GT(summed_information(outcome), 180);
    EXPECT_LT(summed_information(outcome), 945);
    EXPECT_LT(summed_risk(outcome), 0.2) << "a control that corrects what is left, and not the first estimate again";
    for (const Step& step : outcome.steps) EXPECT_GE(step.information, 0);
  }
  for (std::size_t i = 0; i < 900; ++i) EXPECT_EQ(choice.control[i], -1.2 * c.posterior.mean[i]);
  EXPECT_EQ(choice.modes, advance_modes(c.modes, draws, 3, 0, {}));
}

TEST(Policy, WithoutDriveAndSensingTheGainOfOneWins) {
  auto c = default_case();
  std::fill(c.modes.begin(), c.modes.end(), 0.0);
  auto policies = default_policies();
  for (Policy& policy : policies) policy.windows = 0;
  const auto choice = choose_in(c, with_policies(undriven(), policies));
  EXPECT_EQ(choice.chosen, 1u);
  EXPECT_NEAR(choice.outcomes[1].steps[0].risk, 0, 1e-25);
  for (const Outcome& outcome : choice.outcomes) EXPECT_EQ(summed_information(outcome), 0);
}

TEST(Policy, RiskAfterOneStepFollowsTheGain) {
  auto c = default_case();
  std::fill(c.modes.begin(), c.modes.end(), 0.0);
  for (const Evolution evolution : {Evolution::exact, Evolution::sub_stepped}) {
    Settings settings = with_policies(
        undriven(), {{0, 10, Sensing::uniform}, {0.85, 10, Sensing::uniform}, {1.2, 10, Sensing::uniform}});
    settings.evolution = evolution;
    const auto choice = choose_in(c, settings);
    const double none = choice.outcomes[0].steps[0].risk;
    EXPECT_GT(none, 1e-3);
    EXPECT_NEAR(choice.outcomes[1].steps[0].risk / none, 0.15 * 0.15, 1e-12);
    EXPECT_NEAR(choice.outcomes[2].steps[0].risk / none, 0.2 * 0.2, 1e-12);
    // The horizon is chained: two steps correct twice.
    EXPECT_NEAR(choice.outcomes[1].steps[1].risk / choice.outcomes[0].steps[1].risk, std::pow(0.15, 4), 1e-12);
    for (const double u : choice.outcomes[0].first_control) EXPECT_EQ(u, 0);
  }
}

TEST(Policy, SensingLowersTheVarianceOfLaterSteps) {
  const Case c = default_case();
  const auto choice = choose_in(
      c, with_policies({}, {{1, 0, Sensing::uniform}, {1, 100, Sensing::adaptive}, {1, 300, Sensing::adaptive}}));
  const auto& outcomes = choice.outcomes;
  for (std::size_t p = 0; p < 3; ++p) {
    EXPECT_EQ(outcomes[p].steps[0].ambiguity, outcomes[0].steps[0].ambiguity) << "before the first sensing";
  }
  EXPECT_LT(mean_of(outcomes[1].belief.variance), mean_of(outcomes[0].belief.variance));
  EXPECT_LT(mean_of(outcomes[2].belief.variance), mean_of(outcomes[1].belief.variance));
  EXPECT_GT(outcomes[2].steps[0].information, outcomes[1].steps[0].information) << "a superset";
  EXPECT_GT(outcomes[1].steps[0].information, outcomes[0].steps[0].information);
  // What was sensed is known: the second look tells less.
  EXPECT_LT(outcomes[1].steps[1].information, outcomes[1].steps[0].information);
}

TEST(Policy, AmbiguityIsThatOfTheDecayedPosterior) {
  const Case c = default_case();
  const auto choice = choose_in(c, {});
  const auto matrix = inference::observation_matrix(c.model);
  double trace = 100 / c.model.observation_precision;
  for (std::size_t k = 0; k < 100; ++k) {
    for (std::size_t i = 0; i < 900; ++i) {
      trace += matrix(k, i) * matrix(k, i) * (0.01 + (c.posterior.variance[i] - 0.01) * std::exp(-0.2));
    }
  }
  for (const Outcome& outcome : choice.outcomes) EXPECT_NEAR(outcome.steps[0].ambiguity, 0.5 * trace, 1e-12);
}

TEST(Policy, PoliciesShareModesAndHaveTheirOwnNoise) {
  const Case c = default_case();
  Settings settings = with_policies({}, {{0.9, 50, Sensing::uniform}, {0.9, 50, Sensing::uniform}});
  auto choice = choose_in(c, settings);
  EXPECT_EQ(choice.outcomes[0].value, choice.outcomes[1].value);
  EXPECT_EQ(choice.outcomes[0].belief.phi, choice.outcomes[1].belief.phi);
  EXPECT_EQ(choice.chosen, 0u) << "the first of equals";
  settings.evolution = Evolution::sampled;
  choice = choose_in(c, settings);
  EXPECT_NE(choice.outcomes[0].belief.phi, choice.outcomes[1].belief.phi);
  EXPECT_EQ(choice.outcomes[0].belief.variance, choice.outcomes[1].belief.variance);
}

TEST(Policy, DriveMovesTheState) {
  const Case c = default_case();
  auto still = c;
  std::fill(still.modes.begin(), still.modes.end(), 0.0);
  Settings settings = with_policies({}, {{1, 0, Sensing::uniform}});
  settings.horizon = 1;
  const auto driven = choose_in(c, settings);
  // A gain of one leaves what the drive adds.
  const auto push = drive(c.coupling, driven.modes, 900, Drive::coupled);
  for (std::size_t i = 0; i < 900; ++i) {
    EXPECT_NEAR(driven.outcomes[0].belief.phi[i], (1 - std::exp(-0.1)) / 10 * push[i], 1e-15);
  }
  settings.mode_variance = 0;
  const auto undisturbed = choose_in(still, settings);
  for (const double phi : undisturbed.outcomes[0].belief.phi) EXPECT_EQ(phi, 0);
}

TEST(Policy, SubSteppedIsNearExact) {
  const Case c = default_case();
  Settings settings;
  const auto exact = choose_in(c, settings);
  settings.evolution = Evolution::sub_stepped;
  const auto stepped = choose_in(c, settings);
  EXPECT_EQ(stepped.chosen, exact.chosen);
  for (std::size_t p = 0; p < 5; ++p) {
    EXPECT_NEAR(stepped.outcomes[p].value / exact.outcomes[p].value, 1, 1e-3);
    EXPECT_EQ(stepped.outcomes[p].first_control, exact.outcomes[p].first_control);
  }
}

TEST(Policy, Softmax) {
  std::vector<Outcome> outcomes(3);
  outcomes[0].value = -5000;
  outcomes[1].value = -5000 + std::log(2);
  outcomes[2].value = 100;
  const auto p = softmax(outcomes);
  EXPECT_NEAR(p[0], 2.0 / 3, 1e-12);
  EXPECT_NEAR(p[1], 1.0 / 3, 1e-12);
  EXPECT_EQ(p[2], 0);
  EXPECT_NEAR(softmax(outcomes, 2)[0], 0.8, 1e-12);
}

TEST(Policy, SaysWhatIsWrong) {
  const Case c = default_case();
  const std::vector<double> short_vector(899, 1.0);
  EXPECT_THROW(choose(c.model, c.coupling, short_vector, c.posterior.variance, c.modes, draws, 0), Error);
  EXPECT_THROW(choose(c.model, c.coupling, c.posterior.mean, short_vector, c.modes, draws, 0), Error);
  EXPECT_THROW(choose(c.model, Matrix(2, 2), c.posterior.mean, c.posterior.variance, c.modes, draws, 0), Error);
  EXPECT_THROW(choose(c.model, c.coupling, c.posterior.mean, c.posterior.variance, short_vector, draws, 0), Error);
  EXPECT_THROW(choose_in(c, with_policies({}, {})), Error);
  EXPECT_THROW(choose_in(c, with_policies({}, {{1, 901, Sensing::uniform}})), Error);
  for (double Settings::*value : {&Settings::duration, &Settings::relaxation, &Settings::diffusion,
                                  &Settings::mode_rate, &Settings::preference_precision}) {
    Settings settings;
    settings.*value = 0;
    EXPECT_THROW(choose_in(c, settings), Error);
  }
}

// ---- Orbit.

TEST(PolicyOrbit, ReturnsAfterItsPeriod) {
  const double period = 2 * pi * std::sqrt(orbit_radius * orbit_radius * orbit_radius / earth_gravity);
  EXPECT_NEAR(period / 60, 92.4, 0.05);
  Orbit orbit = circular_orbit();
  const int steps = 10000;
  for (int step = 0; step < steps; ++step) orbit = advance(orbit, period / steps);
  EXPECT_NEAR(orbit.x / orbit_radius, 1, 1e-5);
  EXPECT_NEAR(orbit.y / orbit_radius, 0, 1e-5);
}

TEST(PolicyOrbit, EnergyDoesNotDrift) {
  Orbit orbit = circular_orbit();
  const double before = energy(orbit), momentum = orbit.x * orbit.vy - orbit.y * orbit.vx;
  EXPECT_NEAR(before / (-earth_gravity / (2 * orbit_radius)), 1, 1e-14);
  for (int step = 0; step < 100; ++step) {
    orbit = advance(orbit);
    EXPECT_LT(std::abs(energy(orbit) / before - 1), 0.01);
  }
  EXPECT_NEAR((orbit.x * orbit.vy - orbit.y * orbit.vx) / momentum, 1, 1e-12) << "central forces keep it";
}

// The law of gravity shows on an ellipse only.
TEST(PolicyOrbit, AnEllipseKeepsItsEnergyToo) {
  Orbit orbit = circular_orbit();
  orbit.vy *= 1.2;
  const double before = energy(orbit);
  double farthest = 0;
  for (int step = 0; step < 1200; ++step) {
    orbit = advance(orbit, 10);
    EXPECT_NEAR(energy(orbit) / before, 1, 1e-4);
    farthest = std::max(farthest, std::hypot(orbit.x, orbit.y));
  }
  // v^2 = 1.44 mu_E/r: semi-major axis r/(2 - 1.44).
  EXPECT_NEAR(farthest / (orbit_radius * (2 / 0.56 - 1)), 1, 1e-3);
}

TEST(PolicyOrbit, IsOfSecondOrder) {
  const auto error = [](int steps) {
    Orbit orbit = circular_orbit();
    for (int step = 0; step < steps; ++step) orbit = advance(orbit, 1200.0 / steps);
    const double angle = 1200 * std::sqrt(earth_gravity / orbit_radius) / orbit_radius;
    return std::hypot(orbit.x - orbit_radius * std::cos(angle), orbit.y - orbit_radius * std::sin(angle));
  };
  EXPECT_NEAR(error(40) / error(80), 4, 0.1);
}

}  // namespace
}  // namespace warpwright::workloads::policy
