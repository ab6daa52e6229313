#include "workloads/coupling/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <vector>

#include <warpwright/base/error.hpp>

#include "workloads/common/history.hpp"
#include "workloads/common/random.hpp"
#include "workloads/transfer_entropy/oracle.hpp"

namespace warpwright::workloads::coupling {
namespace {

// Flow of up to `most` bits, with a diagonal that must not matter.
Matrix some_flow(std::size_t n, double most, std::uint32_t seed) {
  Matrix flow(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    Draws(seed, Stage::coupling).uniforms(setup_frame, static_cast<std::uint32_t>(i), flow.row(i));
    for (double& value : flow.row(i)) value *= most;
    flow(i, i) = 100.0;
  }
  return flow;
}

double max_of(const Matrix& matrix) { return *std::max_element(matrix.storage().begin(), matrix.storage().end()); }

void expect_coupling(const Matrix& c) {
  for (std::size_t i = 0; i < c.rows(); ++i) {
    for (std::size_t j = 0; j < c.columns(); ++j) {
      EXPECT_GE(c(i, j), 0.0);
      EXPECT_LE(c(i, j), 1.0);
    }
    EXPECT_EQ(c(i, i), 0.0);
    for (std::size_t j = c.columns(); j < c.stride(); ++j) EXPECT_EQ(c.storage()[i * c.stride() + j], 0.0);
  }
}

TEST(Coupling, RangeDiagonalAndMaximum) {
  for (const double most : {1e-6, 0.01, 3.0}) {
    const Matrix c = normalised(some_flow(40, most, 1));
    expect_coupling(c);
    EXPECT_EQ(max_of(c), 1.0);
  }
}

TEST(Coupling, KeepsTheDirectionOfTheFlow) {
  Matrix flow(3, 3);
  flow(0, 1) = 0.2;
  flow(2, 0) = 0.8;
  const Matrix c = normalised(flow);
  EXPECT_DOUBLE_EQ(c(0, 1), 0.25);
  EXPECT_DOUBLE_EQ(c(2, 0), 1.0);
  EXPECT_EQ(c(1, 0), 0.0);
  EXPECT_EQ(c(0, 2), 0.0);
}

TEST(Coupling, NormalisingTwiceIsNormalisingOnce) {
  const Matrix once = normalised(some_flow(33, 0.4, 2));
  EXPECT_EQ(normalised(once), once);
}

TEST(Coupling, DoesNotDependOnTheUnitOfTheFlow) {
  const Matrix flow = some_flow(20, 0.4, 3);
  Matrix scaled = flow;
  for (double& value : scaled.storage()) value *= 4.0;
  EXPECT_EQ(normalised(scaled), normalised(flow));
}

TEST(Coupling, FollowsAPermutationOfTheWindows) {
  const std::size_t n = 35;
  const Matrix flow = some_flow(n, 0.4, 4);
  const auto permuted = [&](const Matrix& m) {
    Matrix result(n, n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) result(i, j) = m(i * 3 % n, j * 3 % n);
    }
    return result;
  };
  EXPECT_EQ(normalised(permuted(flow)), permuted(normalised(flow)));
  Matrix before = normalised(some_flow(n, 1.0, 5));
  Matrix permuted_before = permuted(before);
  update(before, flow);
  update(permuted_before, permuted(flow));
  EXPECT_EQ(permuted_before, permuted(before));
}

TEST(Coupling, OfNoFlowIsAllToAll) {
  EXPECT_EQ(normalised(Matrix(5, 5)), all_to_all(5));
  EXPECT_EQ(normalised(some_flow(5, 5e-11, 6)), all_to_all(5)) << "what is left of rounding is no flow";
  EXPECT_LT(normalised(some_flow(5, 1e-8, 6))(0, 1), 1.0);
  EXPECT_EQ(all_to_all(3)(0, 1), 1.0);
  EXPECT_EQ(all_to_all(3)(1, 1), 0.0);
}

TEST(Coupling, MovesATenthOfTheWay) {
  Matrix c(2, 2);
  c(0, 1) = 0.5;
  c(1, 0) = 1.0;
  Matrix flow(2, 2);
  flow(0, 1) = 0.3;
  update(c, flow);
  EXPECT_DOUBLE_EQ(c(0, 1), 0.55);
  EXPECT_DOUBLE_EQ(c(1, 0), 0.9);
}

TEST(Coupling, ConvergesToASteadyFlow) {
  const Matrix flow = some_flow(12, 0.2, 7);
  const Matrix target = normalised(flow);
  Matrix c = all_to_all(12);
  const double distance = std::fabs(c(0, 1) - target(0, 1));
  for (int frame = 0; frame < 50; ++frame) {
    update(c, flow);
    expect_coupling(c);
  }
  EXPECT_NEAR(std::fabs(c(0, 1) - target(0, 1)), distance * std::pow(0.9, 50), 1e-12);
}

TEST(CouplingGate, OpensAboveTheGateOnly) {
  Matrix c = all_to_all(3);
  c(0, 1) = 0.4;
  c(0, 2) = 0.4;
  Matrix flow(3, 3);
  flow(0, 1) = 0.25;  // above the gate
  flow(0, 2) = 0.2;   // at the gate
  flow(1, 0) = 1.0;   // full already
  update_gated(c, flow, 0.2);
  EXPECT_DOUBLE_EQ(c(0, 1), 0.4 + 0.1 * 0.25);
  EXPECT_DOUBLE_EQ(c(0, 2), 0.9 * 0.4);
  EXPECT_DOUBLE_EQ(c(1, 0), 1.0);
  EXPECT_DOUBLE_EQ(c(2, 1), 0.9);
  expect_coupling(c);
}

// A gate of the states, abs(v_i v_j) / (abs(v_i) abs(v_j)), is always 1: here the gate tells pairs apart.
TEST(CouplingGate, ReadsInformationNotStates) {
  const Matrix flow = some_flow(30, 0.4, 8);
  Matrix c = normalised(some_flow(30, 1.0, 9));
  const Matrix before = c;
  update_gated(c, flow, 0.2);
  std::size_t opened = 0;
  for (std::size_t i = 0; i < 30; ++i) {
    for (std::size_t j = 0; j < 30; ++j) opened += c(i, j) > before(i, j);
  }
  EXPECT_GT(opened, 300u);
  EXPECT_LT(opened, 600u);
}

TEST(Coupling, SymmetricCopy) {
  const Matrix c = normalised(some_flow(9, 1.0, 10));
  const Matrix s = symmetric(c);
  for (std::size_t i = 0; i < 9; ++i) {
    for (std::size_t j = 0; j < 9; ++j) {
      EXPECT_EQ(s(i, j), s(j, i));
      EXPECT_DOUBLE_EQ(s(i, j), 0.5 * (c(i, j) + c(j, i)));
    }
  }
}

// From a ring buffer: series 1 follows series 0, series 2 is alone.
TEST(Coupling, OfWhatFlowsInAHistory) {
  History history(200, 3);
  const Draws draws(11, Stage::coupling);
  std::uint8_t last = 0;
  for (std::uint32_t t = 0; t < 200; ++t) {
    const auto coin = [&](std::size_t j) { return static_cast<std::uint8_t>(draws.uniform(t, 0, j) < 0.5); };
    history.push(std::vector<std::uint8_t>{coin(0), last, coin(2)});
    last = coin(0);
  }
  const Matrix c = normalised(transfer_entropy::all_pairs(history, 2, 1).corrected);
  EXPECT_EQ(c(1, 0), 1.0);
  EXPECT_LT(c(0, 1), 0.1);
  EXPECT_LT(c(1, 2), 0.1);
}

TEST(Coupling, WhatIsWrongIsAnError) {
  Matrix negative(2, 2);
  negative(0, 1) = -0.1;
  Matrix unknown(2, 2);
  unknown(1, 0) = NAN;
  Matrix c = all_to_all(2);
  EXPECT_THROW(all_to_all(0), Error);
  EXPECT_THROW(normalised(Matrix(2, 3)), Error);
  EXPECT_THROW(normalised(Matrix()), Error);
  EXPECT_THROW(normalised(negative), Error);
  EXPECT_THROW(normalised(unknown), Error);
  EXPECT_THROW(update(c, Matrix(3, 3)), Error);
  EXPECT_THROW(update(c, Matrix(2, 2), 1.5), Error);
  EXPECT_THROW(update_gated(c, negative, 0.1), Error);
  EXPECT_THROW(update_gated(c, Matrix(2, 2), -1.0), Error);
  EXPECT_THROW(symmetric(Matrix(2, 3)), Error);
  EXPECT_EQ(c, all_to_all(2)) << "what is refused changes nothing";
}

}  // namespace
}  // namespace warpwright::workloads::coupling
