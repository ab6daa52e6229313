#include <cmath>
#include <gtest/gtest.h>
#include <limits>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/verify.hpp>

#include "problems.hpp"

namespace warpwright::measure {
namespace {

using testing::bytes_of;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

Comparison floats(const std::vector<float>& expected, const std::vector<float>& found, double rtol = 1e-5,
                  double atol = 1e-6) {
  return compare(bytes_of(expected), bytes_of(found), DataType::float32, Tolerance{rtol, atol}, "out");
}

template <class T>
Comparison integers(DataType type, const std::vector<T>& expected, const std::vector<T>& found, double rtol = 0,
                    double atol = 0) {
  return compare(bytes_of(expected), bytes_of(found), type, Tolerance{rtol, atol}, "out");
}

TEST(Compare, AllNanAgainstFiniteIsNotFiniteWhateverTheTolerance) {
  for (const double tolerance : {0.0, 1e-5, 1e30}) {
    const Comparison result = floats({1, 2, 3}, {nan, nan, nan}, tolerance, tolerance);
    EXPECT_EQ(result.status, TrialStatus::not_finite) << tolerance;
    EXPECT_EQ(result.mismatch->wrong, 3u);
  }
}

TEST(Compare, OneNanOrInfinityFails) {
  EXPECT_EQ(floats({1, 2, 3}, {1, nan, 3}).status, TrialStatus::not_finite);
  EXPECT_EQ(floats({1, 2, 3}, {1, 2, infinity}, 1e30, 1e30).status, TrialStatus::not_finite);
  EXPECT_EQ(floats({1, infinity}, {1, -infinity}, 10, 10).status, TrialStatus::not_finite);
  EXPECT_EQ(floats({nan}, {infinity}).status, TrialStatus::not_finite);
}

TEST(Compare, NanAndInfinityPassWhereTheReferenceHasThem) {
  EXPECT_EQ(floats({nan, infinity, -infinity, 1}, {-nan, infinity, -infinity, 1.000001f}).status, TrialStatus::ok);
}

TEST(Compare, FiniteWhereTheReferenceIsNotIsWrong) {
  EXPECT_EQ(floats({nan}, {1}).status, TrialStatus::wrong_result);
  EXPECT_EQ(floats({infinity}, {std::numeric_limits<float>::max()}, 1, 1).status, TrialStatus::wrong_result);
}

TEST(Compare, NegativeReferenceIsNotForgiven) {
  const Comparison result = floats({-1, -2, -3, -4}, {100, 200, 300, 400}, 0.01, 0);
  EXPECT_EQ(result.status, TrialStatus::wrong_result);
  EXPECT_EQ(result.mismatch->wrong, 4u);
  EXPECT_EQ(floats({-1, -2}, {-1.005f, -2.01f}, 0.01, 0).status, TrialStatus::ok);
}

TEST(Compare, ReportsFirstWrongElementAndCount) {
  std::vector<float> expected(10000, 0.5f), found = expected;
  found[4999] = 0.25f;
  found[9000] = 7;
  const Comparison result = floats(expected, found);
  EXPECT_EQ(result.status, TrialStatus::wrong_result);
  EXPECT_EQ(result.mismatch->argument, "out");
  EXPECT_EQ(result.mismatch->index, 4999u);
  EXPECT_EQ(result.mismatch->expected, "0.5");
  EXPECT_EQ(result.mismatch->found, "0.25");
  EXPECT_EQ(result.mismatch->wrong, 2u);
  EXPECT_EQ(result.mismatch->total, 10000u);
}

TEST(Compare, PrintsEnoughDigitsToTellValuesApart) {
  const float one = 1, next = std::nextafter(1.0f, 2.0f);
  const Comparison result = floats({one}, {next}, 0, 0);
  EXPECT_EQ(result.mismatch->expected, "1");
  EXPECT_EQ(result.mismatch->found, "1.0000001");
}

TEST(Compare, TheLimitItselfPasses) {
  const std::vector<double> expected{8}, found{9};
  EXPECT_EQ(compare(bytes_of(expected), bytes_of(found), DataType::float64, Tolerance{0.125, 0}, "out").status,
            TrialStatus::ok);
  EXPECT_EQ(compare(bytes_of(expected), bytes_of(found), DataType::float64, Tolerance{0, 1}, "out").status,
            TrialStatus::ok);
  EXPECT_EQ(compare(bytes_of(expected), bytes_of(found), DataType::float64, Tolerance{0.12, 0}, "out").status,
            TrialStatus::wrong_result);
}

TEST(Compare, ZerosOfBothSignsAreEqualAndDenormalsAreNumbers) {
  EXPECT_EQ(floats({0.0f, -0.0f}, {-0.0f, 0.0f}, 0, 0).status, TrialStatus::ok);
  const float denormal = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(floats({denormal}, {0.0f}, 0, 0).status, TrialStatus::wrong_result);
  EXPECT_EQ(floats({denormal}, {0.0f}, 0, 1e-30).status, TrialStatus::ok);
}

TEST(Compare, HugeDoublesDoNotOverflowIntoAPass) {
  const double huge = std::numeric_limits<double>::max();
  const std::vector<double> expected{huge}, found{-huge};
  EXPECT_EQ(compare(bytes_of(expected), bytes_of(found), DataType::float64, Tolerance{0.5, 0}, "out").status,
            TrialStatus::wrong_result);
}

TEST(Compare, SixteenBitFloatsUseTheirTolerance) {
  for (const DataType type : {DataType::float16, DataType::bfloat16}) {
    const auto to_bits = type == DataType::float16 ? float_to_half : float_to_bfloat16;
    const std::vector<std::uint16_t> expected{to_bits(1.0f), to_bits(-2.0f)};
    const std::vector<std::uint16_t> near{to_bits(1.0078125f), to_bits(-2.015625f)};
    EXPECT_EQ(compare(bytes_of(expected), bytes_of(near), type, Tolerance{0.01, 0}, "out").status, TrialStatus::ok);
    const Comparison exact = compare(bytes_of(expected), bytes_of(near), type, Tolerance{0, 0}, "out");
    EXPECT_EQ(exact.status, TrialStatus::wrong_result);
    EXPECT_EQ(exact.mismatch->found, "1.0078125");
    const std::vector<std::uint16_t> bad{0xFFFF, to_bits(-2.0f)};
    EXPECT_EQ(compare(bytes_of(expected), bytes_of(bad), type, Tolerance{1, 1}, "out").status, TrialStatus::not_finite);
  }
}

TEST(Compare, IntegersAreExactUnlessTold) {
  EXPECT_EQ(integers<std::int32_t>(DataType::int32, {1, 2}, {1, 3}).status, TrialStatus::wrong_result);
  EXPECT_EQ(integers<std::int32_t>(DataType::int32, {1, 2}, {1, 3}, 0, 1).status, TrialStatus::ok);
  EXPECT_EQ(integers<std::int8_t>(DataType::int8, {-128}, {127}, 0, 254).status, TrialStatus::wrong_result);
  EXPECT_EQ(integers<std::int8_t>(DataType::int8, {-128}, {127}, 0, 255).status, TrialStatus::ok);
  EXPECT_EQ(integers<std::uint8_t>(DataType::uint8, {200}, {100}, 0.5, 0).status, TrialStatus::ok);
  EXPECT_EQ(integers<std::uint8_t>(DataType::uint8, {200}, {99}, 0.5, 0).status, TrialStatus::wrong_result);
  EXPECT_EQ(integers<std::uint8_t>(DataType::uint8, {200}, {99}).mismatch->found, "99");
}

TEST(Compare, DifferencesBeyondTheExactnessOfDoublesAreSeen) {
  const std::int64_t large = std::int64_t{1} << 60;
  EXPECT_EQ(integers<std::int64_t>(DataType::int64, {large}, {large + 1}).status, TrialStatus::wrong_result);
  const auto lowest = std::numeric_limits<std::int64_t>::min();
  const auto highest = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(integers<std::int64_t>(DataType::int64, {lowest}, {highest}, 0, 1).status, TrialStatus::wrong_result);
  EXPECT_EQ(integers<std::uint64_t>(DataType::uint64, {~0ull}, {~0ull - 1}).status, TrialStatus::wrong_result);
}

TEST(Compare, RefusesBadSizesAndTolerances) {
  const std::vector<float> one{1}, two{1, 2};
  EXPECT_THROW(compare(bytes_of(one), bytes_of(two), DataType::float32, Tolerance{0, 0}, "out"), Error);
  EXPECT_THROW(compare(bytes_of(one), bytes_of(one), DataType::float32, Tolerance{-1, 0}, "out"), Error);
  EXPECT_THROW(compare(bytes_of(one), bytes_of(one), DataType::float32, Tolerance{0, nan}, "out"), Error);
}

TEST(Compare, EmptyOutputsPass) { EXPECT_EQ(floats({}, {}).status, TrialStatus::ok); }

// Units in the last place: steps to the next value of the element's own type.
TEST(Compare, TheNormwisePartIsScaledByTheExpectedOutput) {
  const std::vector<float> expected{1e-6f, -200, 3, std::numeric_limits<float>::infinity(), std::nanf("")};
  const Output output{"y", 0, 0, {}, 0, 1e-3};
  const Tolerance tolerance = Tolerance::of(output, bytes_of(expected), DataType::float32);
  EXPECT_DOUBLE_EQ(tolerance.anywhere, 0.2) << "of the finite elements";
  auto found = expected;
  found[0] = 0.19f;
  EXPECT_EQ(compare(bytes_of(expected), bytes_of(found), DataType::float32, tolerance, "y").status, TrialStatus::ok);
  found[2] = 3.21f;
  EXPECT_EQ(compare(bytes_of(expected), bytes_of(found), DataType::float32, tolerance, "y").status,
            TrialStatus::wrong_result);
  const std::vector<std::int32_t> integers{1000, 5};
  const Tolerance whole = Tolerance::of(output, bytes_of(integers), DataType::int32);
  EXPECT_EQ(
      compare(bytes_of(integers), bytes_of(std::vector<std::int32_t>{1000, 6}), DataType::int32, whole, "y").status,
      TrialStatus::ok);
  EXPECT_EQ(
      compare(bytes_of(integers), bytes_of(std::vector<std::int32_t>{1000, 7}), DataType::int32, whole, "y").status,
      TrialStatus::wrong_result);
}

TEST(Compare, CountsWhatZeroWouldPassFor) {
  const auto passing = [](const std::vector<float>& expected, const Tolerance& tolerance) {
    return describe_expected(bytes_of(expected), DataType::float32, tolerance, "y").passing_zero;
  };
  EXPECT_EQ(passing({1e-6f, -1e-6f, 0, 1, 2e-5f}, {0, 1e-5}), 2u);
  EXPECT_EQ(passing({1e-6f, 5}, {1, 0}), 2u) << "a relative tolerance of 1 takes anything down to 0";
  EXPECT_EQ(passing({1e-45f, 1e-44f, 1}, {0, 0, 3}), 1u) << "3 steps from 0";
  const ReferenceOutput ints =
      describe_expected(bytes_of(std::vector<std::int32_t>{0, 1, -2, 9}), DataType::int32, {0, 2}, "y");
  EXPECT_EQ(ints.passing_zero, 2u);
  EXPECT_EQ(ints.largest, 9);
}

TEST(CompareUlp, CountsStepsOfTheTypeAcrossPowersOfTwoAndZero) {
  const auto within = [](auto expected, auto found, DataType type, std::uint32_t ulp) {
    return compare(bytes_of(std::vector{expected}), bytes_of(std::vector{found}), type, Tolerance{0, 0, ulp}, "out")
               .status == TrialStatus::ok;
  };
  const float one = 1.0F, next = std::nextafter(one, 2.0F), before = std::nextafter(one, 0.0F);
  EXPECT_FALSE(within(one, next, DataType::float32, 0));
  EXPECT_TRUE(within(one, next, DataType::float32, 1));
  EXPECT_TRUE(within(one, before, DataType::float32, 1)) << "half the distance, still one step";
  EXPECT_FALSE(within(before, next, DataType::float32, 1));
  EXPECT_TRUE(within(before, next, DataType::float32, 2));
  const float tiny = std::numeric_limits<float>::denorm_min();
  EXPECT_TRUE(within(-tiny, tiny, DataType::float32, 2));
  EXPECT_FALSE(within(-tiny, tiny, DataType::float32, 1));
  EXPECT_TRUE(within(-0.0F, 0.0F, DataType::float32, 1));
  EXPECT_FALSE(within(1.0F, -1.0F, DataType::float32, 1000000));
  EXPECT_TRUE(within(1.0, std::nextafter(1.0, 2.0), DataType::float64, 1));
  EXPECT_FALSE(within(-1e308, 1e308, DataType::float64, 4000000000U));
  const std::uint16_t half = float_to_half(2.0F), brain = float_to_bfloat16(2.0F);
  EXPECT_TRUE(within(half, static_cast<std::uint16_t>(half + 3), DataType::float16, 3));
  EXPECT_FALSE(within(half, static_cast<std::uint16_t>(half + 4), DataType::float16, 3));
  EXPECT_TRUE(within(brain, static_cast<std::uint16_t>(brain - 1), DataType::bfloat16, 1));
  EXPECT_TRUE(within(7, 9, DataType::int32, 2));
  EXPECT_FALSE(within(7, 10, DataType::int32, 2));
}

TEST(CompareUlp, NanAndInfinityNeverPassByUnits) {
  const float beyond = std::numeric_limits<float>::infinity(), largest = std::numeric_limits<float>::max();
  const auto status = [](float expected, float found) {
    return compare(bytes_of(std::vector{expected}), bytes_of(std::vector{found}), DataType::float32,
                   Tolerance{0, 0, 1000}, "out")
        .status;
  };
  EXPECT_EQ(status(largest, beyond), TrialStatus::not_finite) << "one step apart in the bits";
  EXPECT_EQ(status(beyond, largest), TrialStatus::wrong_result);
  EXPECT_EQ(status(1.0F, std::nanf("")), TrialStatus::not_finite);
}

}  // namespace
}  // namespace warpwright::measure
