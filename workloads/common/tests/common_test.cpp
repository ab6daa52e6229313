#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <limits>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>

#include "workloads/common/error_measure.hpp"
#include "workloads/common/matrix.hpp"
#include "workloads/common/philox.h"
#include "workloads/common/random.hpp"
#include "workloads/common/sizes.hpp"

namespace warpwright::workloads {
namespace {

std::string message_of(const Sizes& sizes) {
  try {
    check(sizes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "";
}

double error_of(const std::vector<double>& values, const std::vector<double>& reference) {
  return relative_max_error(std::span<const double>(values), std::span<const double>(reference));
}

TEST(Philox, KnownAnswers) {
  // kat_vectors of Random123, the authors' implementation.
  const PhiloxBlock zero = philox_4x32_10(PhiloxBlock{{0, 0, 0, 0}}, 0, 0);
  const std::array<std::uint32_t, 4> of_zero{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  const std::uint32_t all = 0xffffffff;
  const PhiloxBlock ones = philox_4x32_10(PhiloxBlock{{all, all, all, all}}, all, all);
  const std::array<std::uint32_t, 4> of_ones{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  const PhiloxBlock pi =
      philox_4x32_10(PhiloxBlock{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0);
  const std::array<std::uint32_t, 4> of_pi{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
  for (std::size_t lane = 0; lane < 4; ++lane) {
    EXPECT_EQ(zero.word[lane], of_zero[lane]);
    EXPECT_EQ(ones.word[lane], of_ones[lane]);
    EXPECT_EQ(pi.word[lane], of_pi[lane]);
  }
}

TEST(Philox, UniformsAreTheSameInBothPrecisions) {
  EXPECT_EQ(philox_uniform(0), 0.5 / 8388608.0);
  EXPECT_EQ(philox_uniform(0xffffffff), 8388607.5 / 8388608.0);
  for (std::uint32_t word = 12345; word < 4000000000u; word += 7654321) {
    const double uniform = philox_uniform(word);
    EXPECT_EQ(static_cast<double>(static_cast<float>(uniform)), uniform);
    const float in_float = (static_cast<float>(word >> 9) + 0.5f) * 1.1920928955078125e-07f;
    EXPECT_EQ(static_cast<double>(in_float), uniform);
  }
}

TEST(Draws, LayoutOfCounterAndKey) {
  const Draws draws(7, Stage::oscillators);
  const PhiloxBlock block = philox_4x32_10(PhiloxBlock{{3, 5, 2, 1}}, 7, 4);
  EXPECT_EQ(draws.uniform(3, 5, 9, 1), philox_uniform(block.word[1]));
  const double u2 = philox_uniform(block.word[2]);
  const double u3 = philox_uniform(block.word[3]);
  EXPECT_EQ(draws.normal(3, 5, 10, 1), std::sqrt(-2.0 * std::log(u2)) * std::cos(2.0 * std::numbers::pi * u3));
  EXPECT_EQ(draws.normal(3, 5, 11, 1), std::sqrt(-2.0 * std::log(u2)) * std::sin(2.0 * std::numbers::pi * u3));
}

TEST(Draws, ArraysAreTheElements) {
  const Draws draws(99, Stage::reservoir);
  std::vector<double> uniforms(10);
  std::vector<double> normals(10);
  draws.uniforms(setup_frame, 2, uniforms);
  draws.normals(setup_frame, 2, normals);
  for (std::size_t i = 0; i < uniforms.size(); ++i) {
    EXPECT_EQ(uniforms[i], draws.uniform(setup_frame, 2, i));
    EXPECT_EQ(normals[i], draws.normal(setup_frame, 2, i));
  }
}

TEST(Draws, NormalsHaveTheMomentsOfANormalDistribution) {
  std::vector<double> values(400000);
  Draws(1, Stage::inference).normals(0, 0, values);
  double mean = 0.0;
  double square = 0.0;
  double fourth = 0.0;
  for (const double value : values) {
    mean += value;
    square += value * value;
    fourth += value * value * value * value;
  }
  const double count = static_cast<double>(values.size());
  // Four standard errors: variances 1, 2 and 96 of z, z^2 and z^4.
  EXPECT_NEAR(mean / count, 0.0, 4.0 * std::sqrt(1.0 / count));
  EXPECT_NEAR(square / count, 1.0, 4.0 * std::sqrt(2.0 / count));
  EXPECT_NEAR(fourth / count, 3.0, 4.0 * std::sqrt(96.0 / count));
}

TEST(Sizes, SetsOfTheSpecification) {
  EXPECT_EQ(default_sizes().oscillators, 900u);
  EXPECT_EQ(contract_sizes().oscillators, 1024u);
  EXPECT_EQ(contract_sizes().frame, default_sizes());
  const auto all = tuning_sizes();
  ASSERT_EQ(all.size(), 24u);
  EXPECT_EQ(all.front().oscillators, 256u);
  EXPECT_EQ(all.front().reservoir_units, 1000u);
  EXPECT_EQ(all.front().observations, 28u);
  EXPECT_EQ(all.back().oscillators, 8192u);
  EXPECT_EQ(all.back().reservoir_units, 8192u);
  EXPECT_EQ(all.back().batch, 256u);
  EXPECT_EQ(scaled_sizes(900, 1), default_sizes());
  EXPECT_THROW(scaled_sizes(8, 1), Error);
  EXPECT_THROW(scaled_sizes(900, 0), Error);
}

TEST(Sizes, WhatIsWrongIsNamed) {
  EXPECT_EQ(message_of(default_sizes()), "");
  Sizes none;
  none.oscillators = 0;
  EXPECT_EQ(message_of(none), "the number of oscillators must be at least 2 (one has nothing to couple to), not 0");
  Sizes few_units;
  few_units.reservoir_units = 899;
  EXPECT_EQ(message_of(few_units),
            "the number of reservoir units must be at least that of the oscillators (900), not 899");
  for (std::size_t Sizes::*size : {&Sizes::observations, &Sizes::modes, &Sizes::history, &Sizes::bins, &Sizes::qubits,
                                   &Sizes::policies, &Sizes::horizon, &Sizes::substeps, &Sizes::batch}) {
    Sizes sizes;
    sizes.*size = 0;
    EXPECT_NE(message_of(sizes), "");
  }
  Sizes still;
  still.frame_time = std::chrono::duration<double>(0.0);
  EXPECT_EQ(message_of(still), "the time of a frame must be positive and finite, not 0.000000 s");
}

TEST(Sizes, RowsArePadded) {
  EXPECT_EQ(leading_dimension(900), 928u);
  EXPECT_EQ(leading_dimension(1024), 1024u);
  EXPECT_EQ(leading_dimension(1), 32u);
  Matrix matrix(3, 33);
  EXPECT_EQ(matrix.stride(), 64u);
  EXPECT_EQ(matrix.storage().size(), 192u);
  matrix(2, 32) = 5.0;
  EXPECT_EQ(matrix.storage()[2 * 64 + 32], 5.0);
  EXPECT_EQ(matrix.row(2).size(), 33u);
  EXPECT_EQ(matrix.row(2).back(), 5.0);
}

TEST(ErrorMeasure, RelativeToTheLargestReference) {
  EXPECT_DOUBLE_EQ(error_of({1.0, 2.0, 4.5}, {1.0, 2.0, 4.0}), 0.125);
  EXPECT_DOUBLE_EQ(error_of({0.5, 4.0}, {0.0, 4.0}), 0.125);
  EXPECT_DOUBLE_EQ(error_of({0.0, 0.0}, {1e-22, 0.0}), 1.0) << "small quantities count as much as large ones";
  EXPECT_EQ(error_of({0.0}, {0.0}), 0.0);
  EXPECT_GT(error_of({1e-20}, {0.0}), 1.0);
}

TEST(ErrorMeasure, WhatIsNotFiniteIsInfinitelyFar) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isinf(error_of({1.0, nan}, {1.0, 1.0})));
  EXPECT_TRUE(std::isinf(error_of({1.0, 1.0}, {nan, 1.0})));
  const std::vector<float> infinite{std::numeric_limits<float>::infinity()};
  const std::vector<double> zero{0.0};
  EXPECT_TRUE(std::isinf(phase_error(std::span<const float>(infinite), std::span<const double>(zero))));
}

TEST(ErrorMeasure, PhasesAreWrapped) {
  const std::vector<double> values{3.1, 0.0};
  const std::vector<double> reference{-3.1, 2.0 * std::numbers::pi};
  const double error = phase_error(std::span<const double>(values), std::span<const double>(reference));
  EXPECT_NEAR(error, (2.0 * std::numbers::pi - 6.2) / std::numbers::pi, 1e-14);
  EXPECT_EQ(wrap_phase(std::numbers::pi), std::numbers::pi);
  EXPECT_EQ(wrap_phase(-std::numbers::pi), std::numbers::pi);
  EXPECT_NEAR(wrap_phase(7.0), 7.0 - 2.0 * std::numbers::pi, 1e-15);
}

TEST(ErrorMeasure, NothingIsComparedWithNothing) {
  EXPECT_THROW(error_of({}, {}), Error);
  EXPECT_THROW(error_of({1.0}, {1.0, 2.0}), Error);
}

TEST(ErrorMeasure, LimitsFollowThePrecision) {
  EXPECT_EQ(error_limit(Precision::fp64), 1e-10);
  EXPECT_EQ(error_limit(Precision::fp32), 1e-4);
  EXPECT_EQ(error_limit(Precision::tf32), 1e-2);
  EXPECT_EQ(error_limit(Precision::bf16), 1e-2);
  EXPECT_EQ(transfer_entropy_limit, 1e-5);
}

}  // namespace
}  // namespace warpwright::workloads
