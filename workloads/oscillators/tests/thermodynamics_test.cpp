// Temperature, fluctuations, heat and entropy production of the underdamped network against closed forms, by ensembles
// of rotors with fixed seeds and tolerances of their own standard errors.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <numbers>
#include <utility>
#include <vector>

#include "ensemble.hpp"
#include "workloads/oscillators/oracle.hpp"

namespace warpwright::workloads::oscillators {
namespace {

using namespace testing;

// Runs steps with the noise of one frame per call.
class Ensemble {
 public:
  Ensemble(State state, Force force, std::vector<double> torque, Underdamped parameters, std::uint32_t seed)
      : state_(std::move(state)),
        force_(std::move(force)),
        torque_(std::move(torque)),
        parameters_(parameters),
        draws_(seed, Stage::oscillators),
        normals_(state_.phases.size()) {}

  const State& steps(std::size_t count) {
    for (std::size_t m = 0; m < count; ++m) {
      draws_.normals(frame_, static_cast<std::uint32_t>(m), normals_);
      step(state_, force_, torque_, parameters_, normals_);
    }
    ++frame_;
    return state_;
  }

 private:
  State state_;
  Force force_;
  std::vector<double> torque_;
  Underdamped parameters_;
  Draws draws_;
  std::vector<double> normals_;
  std::uint32_t frame_ = 0;
};

// n rotors without coupling, v ~ N(mean, T).
Ensemble free_rotors(std::size_t n, double mean_velocity, double torque, Underdamped parameters, std::uint32_t seed) {
  std::vector<double> velocities = initial_velocities(n, parameters.temperature, Draws(seed, Stage::oscillators));
  for (double& v : velocities) v += mean_velocity;
  const std::vector<double> torques_of_all(n, torque);
  return Ensemble(start(std::vector<double>(n, 0.0), velocities, no_force(), torques_of_all), no_force(),
                  torques_of_all, parameters, seed + 1000);
}

TEST(Thermostat, NoiseOfOneStepHasItsVariance) {
  // From rest: v = sqrt(T (1 - e^{-2 gamma h})) xi. Noise times h, for example, makes the temperature T h.
  const Underdamped parameters{0.05, 0.8, 3.0};
  const std::size_t n = 40000;
  const std::vector<double> none(n, 0.0);
  Ensemble run(start(none, none, no_force(), none), no_force(), none, parameters, 1);
  std::vector<double> squares;
  for (const double v : run.steps(1).velocities) squares.push_back(v * v);
  const Mean square = mean_of(squares);
  EXPECT_NEAR(square.value, 3.0 * (1.0 - std::exp(-2.0 * 0.8 * 0.05)), 4.0 * square.error);
}

TEST(Thermostat, VelocitiesForgetExponentiallyAndPositionsDiffuse) {
  const Underdamped parameters{0.05, 1.0, 2.0};
  const std::size_t n = 20000;
  Ensemble run = free_rotors(n, 0.0, 0.0, parameters, 2);
  const std::vector<double> at_0 = run.steps(0).velocities;
  const auto correlation = [&](const State& state) {
    std::vector<double> products(n);
    for (std::size_t i = 0; i < n; ++i) products[i] = at_0[i] * state.velocities[i];
    return mean_of(products);
  };
  const auto square_distance = [&](const State& state) {
    std::vector<double> squares(n);
    for (std::size_t i = 0; i < n; ++i) squares[i] = state.phases[i] * state.phases[i];
    return mean_of(squares);
  };
  const Mean at_half = correlation(run.steps(10));
  EXPECT_NEAR(at_half.value, 2.0 * std::exp(-0.5), 4.0 * at_half.error);
  const Mean at_one = correlation(run.steps(10));
  EXPECT_NEAR(at_one.value, 2.0 * std::exp(-1.0), 4.0 * at_one.error);
  // <x^2> = (2 T / gamma^2) (gamma t - 1 + e^{-gamma t}), whose slope tends to 2 T / gamma.
  const Mean at_ten = square_distance(run.steps(180));
  EXPECT_NEAR(at_ten.value, 4.0 * (10.0 - 1.0 + std::exp(-10.0)), 4.0 * at_ten.error);
}

TEST(Thermostat, VelocitiesOfACoupledNetworkAreNormal) {
  const std::size_t n = 30;
  const double temperature = 2.0;
  const Underdamped parameters{0.05, 1.0, temperature};
  const Force force = coupling_force(symmetric_coupling(n, 3), 4.0);
  const std::vector<double> none(n, 0.0);
  const Draws draws(3, Stage::oscillators);
  Ensemble run(start(initial_phases(n, draws), initial_velocities(n, 1.0, draws), force, none), force, none, parameters,
               3);
  run.steps(200);
  std::vector<double> velocities;
  std::vector<double> squares;
  for (int sample = 0; sample < 150; ++sample) {
    for (const double v : run.steps(80).velocities) {
      velocities.push_back(v / std::sqrt(temperature));
      squares.push_back(v * v);
    }
  }
  EXPECT_LT(distance_from_normal(velocities), 1.95);
  const Mean square = mean_of(squares);
  EXPECT_NEAR(square.value, temperature, 3.0 * square.error);
}

TEST(Thermostat, EulerMaruyamaIsTooHotWhereBaoabIsNot) {
  // gamma = 2, h = 0.1: T / (1 - gamma h / 2) = 1.111.
  const double friction = 2.0;
  const double h = 0.1;
  const std::size_t n = 50000;
  const Draws draws(4, Stage::oscillators);
  std::vector<double> euler(n, 0.0);
  std::vector<double> normals(n);
  for (std::uint32_t m = 0; m < 40; ++m) {
    draws.normals(1, m, normals);
    for (std::size_t i = 0; i < n; ++i) {
      euler[i] += -friction * euler[i] * h + std::sqrt(2.0 * friction * h) * normals[i];
    }
  }
  const auto square = [](std::vector<double> values) {
    for (double& v : values) v *= v;
    return mean_of(values);
  };
  const Mean hot = square(euler);
  EXPECT_NEAR(hot.value, 1.0 / (1.0 - friction * h / 2.0), 4.0 * hot.error);
  const Mean right = square(free_rotors(n, 0.0, 0.0, Underdamped{h, friction, 1.0}, 4).steps(40).velocities);
  EXPECT_NEAR(right.value, 1.0, 4.0 * right.error);
}

TEST(EntropyProduction, OfADrivenFreeRotor) {
  // sigma = Om^2 / (gamma T) of each rotor; the torque is Om itself here.
  const Underdamped parameters{0.02, 0.5, 1.0};
  const std::size_t n = 2000;
  Ensemble run = free_rotors(n, 1.0 / 0.5, 1.0, parameters, 5);
  const State& state = run.steps(1000);
  const Mean heat = mean_of(state.heat);
  EXPECT_NEAR(heat.value / 20.0, 2.0, 4.0 * heat.error / 20.0);
  EXPECT_NEAR(entropy_production_rate(state, 1.0, 20.0), static_cast<double>(n) * heat.value / 20.0, 1e-6);
  Ensemble warm = free_rotors(n, 1.0 / 0.5, 1.0, Underdamped{0.02, 0.5, 2.0}, 5);
  EXPECT_NEAR(entropy_production_rate(warm.steps(1000), 2.0, 20.0) / static_cast<double>(n), 1.0, 0.05);
}

TEST(EntropyProduction, IsZeroAtEquilibrium) {
  const std::size_t n = 20;
  const Underdamped parameters{0.02, 0.5, 1.0};
  const Force force = coupling_force(symmetric_coupling(n, 6), 4.0);
  const std::vector<double> none(n, 0.0);
  const Draws draws(6, Stage::oscillators);
  Ensemble run(start(initial_phases(n, draws), initial_velocities(n, 1.0, draws), force, none), force, none, parameters,
               6);
  double before = total_heat(run.steps(1000));
  std::vector<double> rates;
  for (int block = 0; block < 40; ++block) {
    const double now = total_heat(run.steps(250));
    rates.push_back((now - before) / 5.0);
    before = now;
  }
  const Mean sigma = mean_of(rates);
  // Blocks lie end to end, so heat that one gives the next takes back: the error is an upper bound.
  EXPECT_NEAR(sigma.value, 0.0, 3.0 * sigma.error);
}

TEST(EntropyProduction, OfACouplingWithoutPotentialIsPositive) {
  // Three rotors that chase each other: no potential exists, and heat flows for ever.
  Matrix chase(3, 3);
  chase(0, 1) = chase(1, 2) = chase(2, 0) = 1.0;
  const Underdamped parameters{0.02, 0.5, 1.0};
  const Force force = coupling_force(chase, 9.0);
  const std::vector<double> none(3, 0.0);
  Ensemble run(start({0.0, 2.0, 4.0}, none, force, none), force, none, parameters, 7);
  double before = total_heat(run.steps(2000));
  std::vector<double> rates;
  for (int block = 0; block < 100; ++block) {
    const double now = total_heat(run.steps(1000));
    rates.push_back((now - before) / 20.0);
    before = now;
  }
  const Mean sigma = mean_of(rates);
  EXPECT_GT(sigma.value, 3.0 * sigma.error);
}

TEST(EntropyProduction, OfShortRunsObeysTheFluctuationTheorem) {
  // <exp(-ds)> = 1 with ds = Q/T + [(v_t - Om/gamma)^2 - (v_0 - Om/gamma)^2] / (2T), at t = 0.5.
  const Underdamped parameters{0.01, 0.5, 1.0};
  const double drift = 1.0 / 0.5;
  const std::size_t n = 40000;
  Ensemble run = free_rotors(n, drift, 1.0, parameters, 8);
  const std::vector<double> v_0 = run.steps(0).velocities;
  const State& state = run.steps(50);
  std::vector<double> weights(n);
  std::vector<double> productions(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double before = v_0[i] - drift;
    const double after = state.velocities[i] - drift;
    productions[i] = state.heat[i] + (after * after - before * before) / 2.0;
    weights[i] = std::exp(-productions[i]);
  }
  const Mean weight = mean_of(weights);
  EXPECT_NEAR(weight.value, 1.0, 4.0 * weight.error);
  EXPECT_LT(weight.error, 0.02);
  const Mean production = mean_of(productions);
  EXPECT_NEAR(production.value, 2.0 * 0.5, 4.0 * production.error) << "sigma t, from the steady state";
}

TEST(FirstLaw, EnergyIsWorkMinusHeat) {
  const std::size_t n = 8;
  const double strength = 4.0;
  const Matrix c = symmetric_coupling(n, 9);
  const Force force = coupling_force(c, strength);
  const std::vector<double> torque(n, 0.7);
  // Root mean square of d(kinetic + U) - (W - Q) over runs.
  const auto defect = [&](double h) {
    double squares = 0.0;
    const int runs = 60;
    for (std::uint32_t seed = 0; seed < runs; ++seed) {
      const Draws draws(seed, Stage::oscillators);
      const State first = start(initial_phases(n, draws), initial_velocities(n, 1.0, draws), force, torque);
      Ensemble run(first, force, torque, Underdamped{h, 0.5, 1.0}, seed);
      const State& last = run.steps(static_cast<std::size_t>(std::lround(2.0 / h)));
      const double change = kinetic_energy(last) + coupling_energy(c, strength, last.phases) - kinetic_energy(first) -
                            coupling_energy(c, strength, first.phases);
      const double difference = change - (total_work(last) - total_heat(last));
      squares += difference * difference / runs;
    }
    return std::sqrt(squares);
  };
  EXPECT_LT(defect(0.02), 1e-2) << "the energies exchanged are of the order of 10";
  EXPECT_NEAR(defect(0.1) / defect(0.05), 4.0, 1.0) << "second order in h";
}

TEST(Springs, EveryNormalModeHoldsHalfT) {
  // A ring: modes are waves cos(2 pi m j / n) of stiffness k + 2 s (1 - cos(2 pi m / n)).
  const std::size_t n = 8;
  const double spring = 0.8;
  const double temperature = 1.5;
  Matrix ring(n, n);
  for (std::size_t i = 0; i < n; ++i) ring(i, (i + 1) % n) = ring((i + 1) % n, i) = 1.0;
  const Force force = spring_force(ring, spring);
  const std::vector<double> none(n, 0.0);
  std::vector<std::vector<double>> kinetic(n / 2 + 1);
  std::vector<std::vector<double>> potential(n / 2 + 1);
  Ensemble run(start(none, none, force, none), force, none, Underdamped{0.1, 1.0, temperature}, 10);
  run.steps(300);
  for (int sample = 0; sample < 3000; ++sample) {
    const State& state = run.steps(40);
    for (std::size_t m = 0; m <= n / 2; ++m) {
      double q = 0.0;
      double p = 0.0;
      double norm = 0.0;
      for (std::size_t j = 0; j < n; ++j) {
        const double wave = std::cos(2.0 * std::numbers::pi * static_cast<double>(m * j) / static_cast<double>(n));
        q += wave * state.phases[j];
        p += wave * state.velocities[j];
        norm += wave * wave;
      }
      const double stiffness =
          1.0 +
          2.0 * spring * (1.0 - std::cos(2.0 * std::numbers::pi * static_cast<double>(m) / static_cast<double>(n)));
      kinetic[m].push_back(p * p / norm / 2.0);
      potential[m].push_back(stiffness * q * q / norm / 2.0);
    }
  }
  for (std::size_t m = 0; m <= n / 2; ++m) {
    const Mean k = mean_of(kinetic[m]);
    const Mean u = mean_of(potential[m]);
    // BAOAB has the positions of springs exactly and their velocities up to stiffness h^2 / 4, here at most 1.05 %.
    EXPECT_NEAR(k.value, temperature / 2.0, 4.0 * k.error + 0.012 * temperature / 2.0) << "mode " << m;
    EXPECT_NEAR(u.value, temperature / 2.0, 4.0 * u.error) << "mode " << m;
  }
}

}  // namespace
}  // namespace warpwright::workloads::oscillators
