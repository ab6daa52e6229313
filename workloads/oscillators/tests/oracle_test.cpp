// Forces, energies and the two integrators against closed forms. Those of ensembles are in thermodynamics_test.cpp,
// those that take long in order_slow_test.cpp.
#include "workloads/oscillators/oracle.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <numbers>
#include <span>
#include <vector>

#include <warpwright/base/error.hpp>

#include "ensemble.hpp"
#include "workloads/common/error_measure.hpp"
#include "workloads/common/sizes.hpp"

namespace warpwright::workloads::oscillators {
namespace {

using namespace testing;

std::vector<double> force_at(const Force& force, const std::vector<double>& phases) {
  std::vector<double> result(phases.size());
  force(phases, result);
  return result;
}

double distance(const std::vector<double>& values, const std::vector<double>& reference) {
  return relative_max_error(std::span<const double>(values), std::span<const double>(reference));
}

TEST(Force, EqualsTheTwoMatrixVectorProducts) {
  const std::size_t n = 50;
  const Matrix c = some_coupling(n, 1);
  const std::vector<double> th = initial_phases(n, Draws(1, Stage::oscillators));
  std::vector<double> expected(n);
  for (std::size_t i = 0; i < n; ++i) {
    double c_sin = 0.0;
    double c_cos = 0.0;
    for (std::size_t j = 0; j < n; ++j) {
      c_sin += c(i, j) * std::sin(th[j]);
      c_cos += c(i, j) * std::cos(th[j]);
    }
    expected[i] = 4.0 / 50.0 * (std::cos(th[i]) * c_sin - std::sin(th[i]) * c_cos);
  }
  EXPECT_LT(distance(force_at(coupling_force(c, 4.0), th), expected), 1e-13);
}

TEST(Force, OfAllToAllEqualsTheGeneralPath) {
  const std::size_t n = 40;
  const std::vector<double> th = initial_phases(n, Draws(2, Stage::oscillators));
  const Matrix all = coupling::all_to_all(n);
  EXPECT_LT(distance(force_at(all_to_all_force(n, 3.0), th), force_at(coupling_force(all, 3.0), th)), 1e-13);
}

TEST(Force, ChangesWithTheCoupling) {
  const std::vector<double> th = initial_phases(30, Draws(3, Stage::oscillators));
  const auto first = force_at(coupling_force(some_coupling(30, 1), 4.0), th);
  const auto second = force_at(coupling_force(some_coupling(30, 2), 4.0), th);
  EXPECT_GT(distance(first, second), 0.1);
  const auto none = force_at(coupling_force(Matrix(30, 30), 4.0), th);
  for (const double value : none) EXPECT_EQ(value, 0.0);
}

TEST(Force, PullsTowardsTheSource) {
  // Only 0 listens to 1, which is a quarter turn ahead: F_0 = (K/n) sin(pi/2).
  Matrix c(2, 2);
  c(0, 1) = 1.0;
  EXPECT_EQ(force_at(coupling_force(c, 3.0), {0.0, std::numbers::pi / 2.0}), (std::vector<double>{1.5, 0.0}));
}

TEST(Force, DoesNotChangeIfAllPhasesTurn) {
  const std::size_t n = 30;
  const Matrix c = some_coupling(n, 4);
  const std::vector<double> th = initial_phases(n, Draws(4, Stage::oscillators));
  std::vector<double> turned = th;
  for (double& phase : turned) phase += 1.234;
  EXPECT_LT(distance(force_at(coupling_force(c, 4.0), turned), force_at(coupling_force(c, 4.0), th)), 1e-12);
  EXPECT_NEAR(coupling_energy(c, 4.0, turned), coupling_energy(c, 4.0, th), 1e-12);
}

TEST(Force, ByRowSumDoesNotDependOnTheScaleOfTheCoupling) {
  const std::size_t n = 20;
  Matrix c = some_coupling(n, 5);
  const std::vector<double> th = initial_phases(n, Draws(5, Stage::oscillators));
  const auto force = force_at(coupling_force(c, 4.0, Normaliser::row_sum), th);
  for (double& value : c.storage()) value *= 0.01;
  EXPECT_LT(distance(force_at(coupling_force(c, 4.0, Normaliser::row_sum), th), force), 1e-12);
  EXPECT_GT(distance(force_at(coupling_force(c, 4.0), th), force), 0.5);
  const auto of_all = force_at(coupling_force(coupling::all_to_all(n), 4.0, Normaliser::row_sum), th);
  const auto by_count = force_at(all_to_all_force(n, 4.0 * 20.0 / 19.0), th);
  EXPECT_LT(distance(of_all, by_count), 1e-12);
  for (const double value : force_at(coupling_force(Matrix(n, n), 4.0, Normaliser::row_sum), th)) EXPECT_EQ(value, 0.0);
}

TEST(Force, StrongPresetIsNotNormalised) {
  const std::size_t n = 20;
  const std::vector<double> th = initial_phases(n, Draws(6, Stage::oscillators));
  const auto strong = force_at(coupling_force(some_coupling(n, 6), 0.5, Normaliser::none), th);
  EXPECT_LT(distance(force_at(coupling_force(some_coupling(n, 6), 0.5 * 20.0), th), strong), 1e-12);
}

// -dU/dth_i by central differences: counts pairs once and finds every term of the energy without a force.
TEST(Energy, ForceIsItsGradient) {
  const std::size_t n = 12;
  const Matrix c = symmetric_coupling(n, 7);
  const std::vector<double> th = initial_phases(n, Draws(7, Stage::oscillators));
  const double d = 1e-5;
  std::vector<double> phases(n);
  std::vector<double> springs(n);
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<double> up = th;
    std::vector<double> down = th;
    up[i] += d;
    down[i] -= d;
    phases[i] = -(coupling_energy(c, 4.0, up) - coupling_energy(c, 4.0, down)) / (2.0 * d);
    springs[i] = -(spring_energy(c, 0.3, 1.0, up) - spring_energy(c, 0.3, 1.0, down)) / (2.0 * d);
  }
  EXPECT_LT(distance(force_at(coupling_force(c, 4.0), th), phases), 1e-8);
  EXPECT_LT(distance(force_at(spring_force(c, 0.3, 1.0), th), springs), 1e-8);
}

TEST(Energy, OfEqualPhasesCountsEachPairOnce) {
  const std::size_t n = 10;
  EXPECT_NEAR(coupling_energy(coupling::all_to_all(n), 4.0, std::vector<double>(n, 0.7)), -4.0 / 20.0 * 90.0, 1e-12);
}

TEST(OrderParameter, OfKnownPhases) {
  EXPECT_NEAR(order_parameter(std::vector<double>{0.3, 0.3, 0.3}).r, 1.0, 1e-15);
  EXPECT_NEAR(order_parameter(std::vector<double>{0.3, 0.3, 0.3}).psi, 0.3, 1e-15);
  EXPECT_NEAR(order_parameter(std::vector<double>{0.0, std::numbers::pi}).r, 0.0, 1e-15);
  EXPECT_NEAR(order_parameter(std::vector<double>{0.0, std::numbers::pi / 2.0}).psi, std::numbers::pi / 4.0, 1e-15);
}

// Two oscillators: the difference obeys d phi/dt = -K sin(phi), so tan(phi/2) falls as e^{-K t}. First order in time, K
// divided by n = 2, attraction: each of these would change the law.
TEST(Overdamped, TwoOscillatorsFollowTheClosedForm) {
  const double strength = 3.0;
  const double time = 1.0;
  const double start_phi = 2.5;
  const double expected = 2.0 * std::atan(std::tan(start_phi / 2.0) * std::exp(-strength * time));
  const Force force = coupling_force(coupling::all_to_all(2), strength);
  const std::vector<double> frequencies{1.0, 1.0};
  const std::vector<double> normals{0.0, 0.0};
  const auto run = [&](auto integrate, double h) {
    std::vector<double> phases{0.0, start_phi};
    for (int m = 0; m < static_cast<int>(std::lround(time / h)); ++m) {
      integrate(std::span<double>(phases), force, frequencies, Overdamped{h, 0.0}, normals);
    }
    EXPECT_NEAR(phases[0] + phases[1], start_phi + 2.0 * time, 1e-12) << "the mean turns at omega";
    return phases[1] - phases[0] - expected;
  };
  EXPECT_NEAR(run(euler_maruyama_step, 1e-3), 0.0, 5e-3);
  EXPECT_NEAR(run(euler_maruyama_step, 1e-2) / run(euler_maruyama_step, 5e-3), 2.0, 0.1) << "first order";
  EXPECT_NEAR(run(heun_step, 1e-2), 0.0, 1e-3);
  EXPECT_NEAR(run(heun_step, 1e-2) / run(heun_step, 5e-3), 4.0, 0.3) << "second order";
}

TEST(Overdamped, EnergyNeverRisesWithoutNoise) {
  const std::size_t n = 25;
  const double strength = 2.0;
  const Matrix c = symmetric_coupling(n, 8);
  const Force force = coupling_force(c, strength);
  std::vector<double> phases = initial_phases(n, Draws(8, Stage::oscillators));
  const std::vector<double> frequencies(n, 1.0);
  const std::vector<double> normals(n, 0.0);
  double energy = coupling_energy(c, strength, phases);
  const double first = energy;
  for (int m = 0; m < 400; ++m) {
    euler_maruyama_step(phases, force, frequencies, Overdamped{0.24, 0.0}, normals);
    const double next = coupling_energy(c, strength, phases);
    EXPECT_LE(next, energy + 1e-12) << "step " << m;
    energy = next;
  }
  EXPECT_LT(energy, first - 1.0);
}

TEST(Overdamped, FreePhasesDiffuse) {
  const std::size_t n = 20000;
  const Draws draws(9, Stage::oscillators);
  const std::vector<double> frequencies(n, 0.5);
  std::vector<double> normals(n);
  for (auto* integrate : {&euler_maruyama_step, &heun_step}) {
    std::vector<double> phases(n, 0.0);
    for (std::uint32_t m = 0; m < 20; ++m) {
      draws.normals(0, m, normals);
      integrate(phases, no_force(), frequencies, Overdamped{0.05, 0.7}, normals);
    }
    std::vector<double> squares;
    for (const double phase : phases) squares.push_back((phase - 0.5) * (phase - 0.5));
    const Mean square = mean_of(squares);
    EXPECT_NEAR(square.value, 2.0 * 0.7, 4.0 * square.error) << "2 D t";
  }
}

TEST(Overdamped, OrderOfIdenticalOscillators) {
  EXPECT_NEAR(order_of_identical_oscillators(1.5, 0.5), 0.724, 5e-4);
  EXPECT_NEAR(order_of_identical_oscillators(2.0, 0.5), 0.8315, 5e-5);
  EXPECT_NEAR(order_of_identical_oscillators(3.0, 0.5), 0.902, 5e-4);
  // Short and coarse; order_slow_test.cpp holds the tolerance of the specification.
  EXPECT_NEAR(mean_order_overdamped(500, 2.0, Overdamped{0.02, 0.5}, 2500, 700, 10), 0.8315, 0.02);
  EXPECT_LT(mean_order_overdamped(500, 0.5, Overdamped{0.02, 0.5}, 1500, 700, 10), 0.15) << "below K_c = 2 D";
}

TEST(Overdamped, ThresholdOfALorentzian) {
  // Quantiles of a Lorentzian of half-width 0.5: K_c = 1, r = sqrt(1 - 2 Del / K).
  const std::size_t n = 1000;
  const double half_width = 0.5;
  std::vector<double> frequencies(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double u = (static_cast<double>(i) + 0.5) / static_cast<double>(n);
    frequencies[i] = half_width * std::tan(std::numbers::pi * (u - 0.5));
  }
  const std::vector<double> normals(n, 0.0);
  const auto order = [&](double strength) {
    const Force force = all_to_all_force(n, strength);
    std::vector<double> phases = initial_phases(n, Draws(11, Stage::oscillators));
    double sum = 0.0;
    for (int m = 0; m < 2000; ++m) {
      euler_maruyama_step(phases, force, frequencies, Overdamped{0.02, 0.0}, normals);
      if (m >= 1000) sum += order_parameter(phases).r;
    }
    return sum / 1000.0;
  };
  EXPECT_NEAR(order(2.0), std::sqrt(0.5), 0.02);
  EXPECT_NEAR(order(4.0), std::sqrt(0.75), 0.02);
  EXPECT_LT(order(0.5), 0.15) << "below K_c";
}

TEST(Underdamped, AFreeRotorTurnsAtItsFrequency) {
  const std::vector<double> omega{1.3, -0.4};
  const double friction = 0.5;
  const auto torque = torques(omega, friction);
  EXPECT_DOUBLE_EQ(torque[0], 0.65);
  State state = start({0.0, 0.0}, {0.0, 0.0}, no_force(), torque);
  const std::vector<double> normals{0.0, 0.0};
  const Underdamped cold{1e-2, friction, 0.0};
  for (int m = 0; m < 4000; ++m) step(state, no_force(), torque, cold, normals);
  // v(t) = omega (1 - e^{-gamma t}) up to O(h^2).
  EXPECT_NEAR(state.velocities[0], 1.3, 1e-4);
  EXPECT_NEAR(state.velocities[1], -0.4, 1e-4);
  EXPECT_NEAR(state.phases[0], 1.3 * (40.0 - 2.0), 1e-3);
}

TEST(Underdamped, ASpringOscillatesAtItsFrequency) {
  // Without friction BAOAB is the leapfrog, of second order: x = cos(sqrt(k) t).
  const Force spring = spring_force(Matrix(1, 1), 1.0, 4.0);
  const std::vector<double> torque{0.0};
  const auto error = [&](double h) {
    State state = start({1.0}, {0.0}, spring, torque);
    for (int m = 0; m < static_cast<int>(std::lround(3.0 / h)); ++m) {
      step(state, spring, torque, Underdamped{h, 0.0, 1.0}, std::vector<double>{1.7});
    }
    return state.phases[0] - std::cos(6.0);
  };
  EXPECT_NEAR(error(1e-3), 0.0, 1e-5);
  EXPECT_NEAR(error(2e-2) / error(1e-2), 4.0, 0.05);
}

TEST(Frame, HasTheStepsThatFit) {
  EXPECT_EQ(steps_per_frame(default_sizes().frame_time.count(), Underdamped{}.time_step), 10u);
  EXPECT_EQ(steps_per_frame(0.01, 0.5), 1u);
  EXPECT_THROW(steps_per_frame(0.0, 1e-3), Error);
  EXPECT_THROW(steps_per_frame(0.01, -1.0), Error);
}

TEST(Frame, DrawsItsOwnNumbers) {
  const std::size_t n = 40;
  const Draws draws(12, Stage::oscillators);
  const Force force = coupling_force(some_coupling(n, 12), 4.0);
  const auto torque = torques(natural_frequencies(n, draws), 0.1);
  const State first = start(initial_phases(n, draws), initial_velocities(n, 1.0, draws), force, torque);
  const auto run = [&](std::uint32_t frame) {
    State state = first;
    run_frame(state, force, torque, Underdamped{}, 10, draws, frame);
    return state;
  };
  EXPECT_EQ(run(5).velocities, run(5).velocities);
  EXPECT_GT(distance(run(6).velocities, run(5).velocities), 1e-3) << "no two frames share their noise";
  for (const double phase : run(5).phases) EXPECT_LE(std::fabs(phase), std::numbers::pi);

  State by_steps = first;
  std::vector<double> normals(n);
  for (std::uint32_t m = 0; m < 10; ++m) {
    for (std::size_t i = 0; i < n; ++i) normals[i] = draws.normal(5, m, i);
    step(by_steps, force, torque, Underdamped{}, normals);
  }
  EXPECT_EQ(run(5).velocities, by_steps.velocities);
  EXPECT_LT(phase_error(std::span<const double>(run(5).phases), std::span<const double>(by_steps.phases)), 1e-14);
}

TEST(Start, HasTheDistributionsOfTheSpecification) {
  const std::size_t n = 20000;
  const Draws draws(13, Stage::oscillators);
  const Mean velocity = mean_of(initial_velocities(n, 2.0, draws));
  EXPECT_NEAR(velocity.value, 0.0, 4.0 * velocity.error);
  EXPECT_NEAR(velocity.error * std::sqrt(static_cast<double>(n)), std::sqrt(2.0), 0.03);
  const Mean frequency = mean_of(natural_frequencies(n, draws));
  EXPECT_NEAR(frequency.value, 1.0, 4.0 * frequency.error);
  EXPECT_NEAR(frequency.error * std::sqrt(static_cast<double>(n)), 0.1, 0.003);
  const Mean phase = mean_of(initial_phases(n, draws));
  EXPECT_NEAR(phase.value, std::numbers::pi, 4.0 * phase.error);
}

TEST(Oscillators, WhatIsWrongIsAnError) {
  std::vector<double> force(3);
  EXPECT_THROW(coupling_force(Matrix(2, 3), 4.0), Error);
  EXPECT_THROW(coupling_force(Matrix(), 4.0), Error);
  EXPECT_THROW(spring_force(Matrix(3, 2), 1.0), Error);
  EXPECT_THROW(coupling_force(Matrix(2, 2), 4.0)(std::vector<double>(3), force), Error);
  EXPECT_THROW(all_to_all_force(2, 4.0)(std::vector<double>(3), force), Error);
  EXPECT_THROW(coupling_energy(Matrix(2, 2), 4.0, std::vector<double>(3)), Error);
  EXPECT_THROW(start({0.0, 0.0}, {0.0}, no_force(), std::vector<double>(2)), Error);
  EXPECT_THROW(start({0.0, 0.0}, {0.0, 0.0}, no_force(), std::vector<double>(1)), Error);
}

}  // namespace
}  // namespace warpwright::workloads::oscillators
