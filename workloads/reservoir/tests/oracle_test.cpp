#include "workloads/reservoir/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <span>
#include <vector>

#include <warpwright/base/error.hpp>

#include "workloads/common/error_measure.hpp"
#include "workloads/common/history.hpp"
#include "workloads/common/random.hpp"

namespace warpwright::workloads::reservoir {
namespace {

const Draws draws_of_tests(21, Stage::reservoir);

std::vector<double> random_values(std::size_t count, double least, double most, std::uint32_t array) {
  std::vector<double> values(count);
  draws_of_tests.uniforms(setup_frame, 500 + array, values);
  for (double& value : values) value = least + (most - least) * value;
  return values;
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

struct SparseWeights {
  explicit SparseWeights(const Weights& weights)
      : input(compress(weights.input)), recurrent(compress(weights.recurrent)) {}
  SparseMatrix input;
  SparseMatrix recurrent;
};

TEST(Weights, AreSparseAndUniform) {
  const std::size_t n = 300;
  const Matrix w = random_weights(n, n, 0.1, draws_of_tests, 0);
  double kept = 0.0;
  double sum = 0.0;
  double squares = 0.0;
  for (const double value : w.storage()) {
    kept += value != 0.0;
    sum += value;
    squares += value * value;
    EXPECT_LT(std::fabs(value), 1.0);
  }
  const double elements = static_cast<double>(n * n);
  EXPECT_NEAR(kept / elements, 0.1, 4.0 * std::sqrt(0.09 / elements));
  EXPECT_NEAR(sum / kept, 0.0, 4.0 * std::sqrt(1.0 / 3.0 / kept));
  EXPECT_NEAR(squares / kept, 1.0 / 3.0, 4.0 * std::sqrt(4.0 / 45.0 / kept));
}

TEST(Weights, HaveTheirRadiusAndNoSelfConnection) {
  const Weights weights = make_weights(400, 300, draws_of_tests);
  EXPECT_NEAR(spectral_radius(compress(weights.recurrent)), 0.9, 1e-9);
  for (std::size_t i = 0; i < 400; ++i) EXPECT_EQ(weights.recurrent(i, i), 0.0);
  EXPECT_EQ(weights.input.rows(), 400u);
  EXPECT_EQ(weights.input.columns(), 300u);
  EXPECT_NEAR(spectral_radius(compress(make_weights(400, 1, draws_of_tests, 0.95).recurrent)), 0.95, 1e-9);
}

TEST(SpectralRadius, OfKnownMatrices) {
  // Turns by 1 rad and stretches by 2.5: a complex pair, whose Rayleigh quotient is 2.5 cos(1).
  Matrix turn(2, 2);
  turn(0, 0) = turn(1, 1) = 2.5 * std::cos(1.0);
  turn(0, 1) = -2.5 * std::sin(1.0);
  turn(1, 0) = 2.5 * std::sin(1.0);
  EXPECT_NEAR(spectral_radius(compress(turn)), 2.5, 1e-12);
  Matrix shear(2, 2);
  shear(0, 0) = 3.0;
  shear(0, 1) = 7.0;
  shear(1, 1) = -1.0;
  EXPECT_NEAR(spectral_radius(compress(shear)), 3.0, 0.01);
  Matrix nilpotent(2, 2);
  nilpotent(0, 1) = 5.0;
  EXPECT_EQ(spectral_radius(compress(nilpotent)), 0.0);
}

TEST(SpectralRadius, OfRandomWeightsFollowsTheCircularLaw) {
  // sqrt(p R / 3) = 5.77 at R = 1000.
  Matrix w = random_weights(1000, 1000, 0.1, draws_of_tests, 2);
  for (std::size_t i = 0; i < 1000; ++i) w(i, i) = 0.0;
  EXPECT_NEAR(spectral_radius(compress(w)), std::sqrt(0.1 * 1000.0 / 3.0), 0.25);
}

TEST(Step, OfAnExampleByHand) {
  Matrix input(2, 1);
  input(0, 0) = 0.5;
  Matrix recurrent(2, 2);
  recurrent(0, 1) = 0.8;
  recurrent(1, 0) = -0.6;
  std::vector<double> state{0.2, -0.4};
  step(state, input, recurrent, std::vector<double>{1.5}, Parameters{0.3, 0.0, 2.0}, draws_of_tests, 0);
  EXPECT_DOUBLE_EQ(state[0], 0.7 * 0.2 + 0.3 * std::tanh(0.5 * 3.0 + 0.8 * -0.4));
  EXPECT_DOUBLE_EQ(state[1], 0.7 * -0.4 + 0.3 * std::tanh(-0.6 * 0.2)) << "all units see the state before the step";
}

TEST(Step, NoiseIsUniformAndFresh) {
  const std::size_t units = 20000;
  const SparseMatrix none_in = compress(Matrix(units, 1));
  SparseMatrix none;
  none.rows = none.columns_count = units;
  none.row_begin.assign(units + 1, 0);
  std::vector<double> first(units, 0.0);
  std::vector<double> second(units, 0.0);
  const Parameters all_new{1.0, 0.01, 1.0};
  step(first, none_in, none, std::vector<double>{0.0}, all_new, draws_of_tests, 0);
  step(second, none_in, none, std::vector<double>{0.0}, all_new, draws_of_tests, 1);
  double sum = 0.0;
  double squares = 0.0;
  double products = 0.0;
  for (std::size_t i = 0; i < units; ++i) {
    EXPECT_LE(std::fabs(first[i]), std::tanh(0.01));
    sum += first[i];
    squares += first[i] * first[i];
    products += first[i] * second[i];
  }
  const double count = static_cast<double>(units);
  const double variance = 1e-4 / 3.0;
  EXPECT_NEAR(sum / count, 0.0, 4.0 * std::sqrt(variance / count));
  EXPECT_NEAR(squares / count, variance, 0.03 * variance);
  EXPECT_NEAR(products / count, 0.0, 4.0 * variance / std::sqrt(count)) << "two frames are independent";
}

TEST(Step, SparseEqualsDense) {
  const Weights weights = make_weights(200, 150, draws_of_tests);
  const SparseWeights sparse(weights);
  const std::vector<double> input = random_values(150, 0.0, 1.0, 0);
  std::vector<double> dense_state = random_values(200, -1.0, 1.0, 1);
  std::vector<double> sparse_state = dense_state;
  for (std::uint32_t frame = 0; frame < 5; ++frame) {
    step(dense_state, weights.input, weights.recurrent, input, Parameters{}, draws_of_tests, frame);
    step(sparse_state, sparse.input, sparse.recurrent, input, Parameters{}, draws_of_tests, frame);
    EXPECT_LT(relative_max_error(std::span<const double>(sparse_state), std::span<const double>(dense_state)), 1e-13);
  }
}

TEST(Reservoir, StaysBetweenMinusOneAndOne) {
  const SparseWeights weights(make_weights(300, 200, draws_of_tests));
  std::vector<double> state = random_values(300, -1.0, 1.0, 2);
  for (std::uint32_t frame = 0; frame < 100; ++frame) {
    step(state, weights.input, weights.recurrent, random_values(200, -10.0, 10.0, 10 + frame), Parameters{},
         draws_of_tests, frame);
    for (const double value : state) EXPECT_LE(std::fabs(value), 1.0);
  }
}

TEST(Reservoir, ForgetsItsStart) {
  const SparseWeights weights(make_weights(1000, 10, draws_of_tests));
  const std::vector<double> input(10, 0.0);
  std::vector<double> one = random_values(1000, -1.0, 1.0, 3);
  std::vector<double> other = random_values(1000, -1.0, 1.0, 4);
  EXPECT_GT(distance(one, other), 10.0);
  for (std::uint32_t frame = 0; frame < 500; ++frame) {
    step(one, weights.input, weights.recurrent, input, Parameters{0.3, 0.0, 1.0}, draws_of_tests, frame);
    step(other, weights.input, weights.recurrent, input, Parameters{0.3, 0.0, 1.0}, draws_of_tests, frame);
  }
  EXPECT_LT(distance(one, other), 1e-3);
}

TEST(Reservoir, RemembersItsInput) {
  const SparseWeights weights(make_weights(300, 200, draws_of_tests));
  const std::vector<double> input = random_values(200, 0.0, 1.0, 5);
  std::vector<double> changed = input;
  changed[17] += 0.5;
  std::vector<double> one(300, 0.0);
  std::vector<double> other(300, 0.0);
  step(one, weights.input, weights.recurrent, input, Parameters{}, draws_of_tests, 0);
  step(other, weights.input, weights.recurrent, changed, Parameters{}, draws_of_tests, 0);
  EXPECT_GT(distance(one, other), 0.01);
  // The difference of one frame is still there in the next.
  step(one, weights.input, weights.recurrent, input, Parameters{}, draws_of_tests, 1);
  step(other, weights.input, weights.recurrent, input, Parameters{}, draws_of_tests, 1);
  EXPECT_GT(distance(one, other), 0.005);
}

TEST(Input, NormalisedByMinimumAndMaximum) {
  EXPECT_EQ(min_max_normalised(std::vector<double>{-3.0, -1.0, 1.0}), (std::vector<double>{0.0, 0.5, 1.0}));
  EXPECT_EQ(min_max_normalised(std::vector<double>{2.0, 2.0}), (std::vector<double>{0.0, 0.0}));
  EXPECT_TRUE(min_max_normalised(std::vector<double>{}).empty());
}

TEST(Encoding, TakesTheFirstUnitsOnly) {
  std::vector<double> thresholds{0.0, 0.5, -0.5};
  const std::vector<double> state{0.1, 0.4, -0.5, 0.9, 0.9};
  EXPECT_EQ(encode(state, thresholds), (std::vector<std::uint8_t>{1, 0, 0}));
  EXPECT_EQ(thresholds, (std::vector<double>{0.01, 0.49, -0.5}));
}

TEST(Encoding, BitsAreBalancedByTheRunningMedian) {
  // An input that is never negative pushes many units off zero for good; each bit is 1 half of the time all the same.
  const std::size_t n = 100;
  const SparseWeights weights(make_weights(120, n, draws_of_tests));
  std::vector<double> state(120, 0.0);
  std::vector<double> thresholds(n, 0.0);
  History history(500, n);
  std::vector<double> ones(n, 0.0);
  double zero_threshold_off = 0.0;
  std::vector<double> positive(n, 0.0);
  for (std::uint32_t frame = 0; frame < 1000; ++frame) {
    step(state, weights.input, weights.recurrent, random_values(n, 0.0, 1.0, 1000 + frame), Parameters{},
         draws_of_tests, frame);
    const std::vector<std::uint8_t> bits = encode(state, thresholds);
    history.push(bits);
    if (frame < 500) continue;
    for (std::size_t i = 0; i < n; ++i) {
      ones[i] += bits[i] / 500.0;
      positive[i] += (state[i] > 0.0) / 500.0;
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    EXPECT_NEAR(ones[i], 0.5, 0.12) << "unit " << i;
    zero_threshold_off += std::fabs(positive[i] - 0.5) / static_cast<double>(n);
  }
  EXPECT_GT(zero_threshold_off, 0.25) << "with a threshold of 0 they would not be";
  EXPECT_TRUE(history.full());
}

TEST(Encoding, WithoutReservoir) {
  EXPECT_EQ(encode_directly(std::vector<double>{0.4, 0.5, 0.6}), (std::vector<std::uint8_t>{0, 0, 1}));
}

TEST(Spikes, ArePoissonTrains) {
  const double duration = 2.0;
  for (const double f : {0.0, 0.25, 1.0}) {
    const double rate = 1.0 + 99.0 * f;
    const std::size_t neurons = 4000;
    double sum = 0.0;
    double squares = 0.0;
    for (std::size_t neuron = 0; neuron < neurons; ++neuron) {
      const std::vector<double> times = spike_times(f, duration, neuron, draws_of_tests, 3);
      EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
      if (!times.empty()) {
        EXPECT_GT(times.front(), 0.0);
        EXPECT_LT(times.back(), duration);
      }
      const double count = static_cast<double>(times.size());
      sum += count;
      squares += count * count;
    }
    const double mean = sum / static_cast<double>(neurons);
    const double variance = squares / static_cast<double>(neurons) - mean * mean;
    EXPECT_NEAR(mean, rate * duration, 4.0 * std::sqrt(rate * duration / static_cast<double>(neurons)));
    EXPECT_NEAR(variance / mean, 1.0, 4.0 * std::sqrt(2.0 / static_cast<double>(neurons))) << "Fano factor";
  }
}

TEST(Spikes, AreSpreadOverTime) {
  // Of a Poisson train half of the spikes are in the first half of the time.
  double early = 0.0;
  double all = 0.0;
  for (std::size_t neuron = 0; neuron < 200; ++neuron) {
    for (const double time : spike_times(0.5, 1.0, neuron, draws_of_tests, 4)) {
      early += time < 0.5;
      all += 1.0;
    }
  }
  EXPECT_NEAR(early / all, 0.5, 4.0 * std::sqrt(0.25 / all));
  EXPECT_NE(spike_times(0.5, 1.0, 0, draws_of_tests, 4), spike_times(0.5, 1.0, 1, draws_of_tests, 4));
  EXPECT_NE(spike_times(0.5, 1.0, 0, draws_of_tests, 4), spike_times(0.5, 1.0, 0, draws_of_tests, 5));
}

TEST(Spikes, AreAtMostAThousand) { EXPECT_EQ(spike_times(1.0, 100.0, 0, draws_of_tests, 0).size(), most_spikes); }

TEST(Reservoir, WhatIsWrongIsAnError) {
  EXPECT_THROW(make_weights(0, 1, draws_of_tests), Error);
  EXPECT_THROW(make_weights(1, 0, draws_of_tests), Error);
  EXPECT_THROW(make_weights(1, 1, draws_of_tests), Error) << "one unit without self-connection";
  EXPECT_THROW(spectral_radius(compress(Matrix(2, 3))), Error);
  EXPECT_THROW(spectral_radius(compress(Matrix(2, 2)), 0), Error);
  std::vector<double> state(3);
  EXPECT_THROW(step(state, Matrix(2, 1), Matrix(3, 3), std::vector<double>(1), Parameters{}, draws_of_tests, 0), Error);
  EXPECT_THROW(step(state, Matrix(3, 1), Matrix(3, 3), std::vector<double>(2), Parameters{}, draws_of_tests, 0), Error);
  std::vector<double> thresholds(4);
  EXPECT_THROW(encode(state, thresholds), Error);
  EXPECT_THROW(spike_times(1.1, 1.0, 0, draws_of_tests, 0), Error);
  EXPECT_THROW(spike_times(0.5, 0.0, 0, draws_of_tests, 0), Error);
}

}  // namespace
}  // namespace warpwright::workloads::reservoir
