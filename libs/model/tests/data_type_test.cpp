#include <bit>
#include <cmath>
#include <cstdint>
#include <gtest/gtest.h>
#include <limits>
#include <set>

#include <warpwright/model/data_type.hpp>

namespace warpwright {
namespace {

TEST(DataType, NamesAndSizes) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(DataType::float64); ++i) {
    const auto type = static_cast<DataType>(i);
    names.insert(to_string(type));
    EXPECT_EQ(parse_data_type(to_string(type)), type);
    EXPECT_GT(size_of(type), 0u);
  }
  EXPECT_EQ(names.size(), 12u);
  EXPECT_EQ(size_of(DataType::float16), 2u);
  EXPECT_EQ(size_of(DataType::uint64), 8u);
  EXPECT_TRUE(is_floating(DataType::bfloat16));
  EXPECT_FALSE(is_floating(DataType::int32));
  EXPECT_EQ(parse_data_type("half"), DataType::float16);
  EXPECT_EQ(parse_data_type("double"), DataType::float64);
  EXPECT_EQ(parse_data_type("float33"), std::nullopt);
  for (const auto& name : data_type_names()) EXPECT_TRUE(parse_data_type(name)) << name;
}

// The value of a half by the definition of the format, in double, where it is exact.
double half_value(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const double magnitude = exponent == 0    ? std::ldexp(fraction, -24)
                           : exponent == 31 ? (fraction == 0 ? std::numeric_limits<double>::infinity() : std::nan(""))
                                            : std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Half, EveryPatternConvertsExactlyAndBack) {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float value = half_to_float(bits);
    const double expected = half_value(bits);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << i;
      ASSERT_TRUE(std::isnan(half_to_float(float_to_half(value)))) << i;
      continue;
    }
    ASSERT_EQ(static_cast<double>(value), expected) << i;
    ASSERT_EQ(std::signbit(value), (bits & 0x8000) != 0) << i;
    ASSERT_EQ(float_to_half(value), bits) << i;
  }
}

TEST(Half, RoundsToNearestEvenBetweenAllNeighbours) {
  for (std::uint32_t i = 0; i < 0x7C00; ++i) {  // finite, positive
    const auto low = static_cast<std::uint16_t>(i);
    const auto high = static_cast<std::uint16_t>(i + 1);
    const float a = half_to_float(low);
    const float b = i + 1 == 0x7C00 ? 65536.0f : half_to_float(high);
    const float middle = (a + b) / 2;  // exact: 12 significant bits
    const std::uint16_t even = (low & 1) == 0 ? low : high;
    ASSERT_EQ(float_to_half(middle), even) << i;
    ASSERT_EQ(float_to_half(std::nextafter(middle, 0.0f)), low) << i;
    ASSERT_EQ(float_to_half(std::nextafter(middle, 1e9f)), high) << i;
    ASSERT_EQ(float_to_half(-middle), even | 0x8000) << i;
  }
}

TEST(Half, Extremes) {
  EXPECT_EQ(float_to_half(65504.0f), 0x7BFF);
  EXPECT_EQ(float_to_half(65519.99f), 0x7BFF);
  EXPECT_EQ(float_to_half(65520.0f), 0x7C00);
  EXPECT_EQ(float_to_half(1e38f), 0x7C00);
  EXPECT_EQ(float_to_half(-std::numeric_limits<float>::infinity()), 0xFC00);
  EXPECT_EQ(float_to_half(0x1p-24f), 1);
  EXPECT_EQ(float_to_half(0x1p-25f), 0) << "half way to the smallest subnormal goes to even";
  EXPECT_EQ(float_to_half(0x1.8p-25f), 1);
  EXPECT_EQ(float_to_half(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(float_to_half(-0.0f), 0x8000);
  EXPECT_TRUE(std::isnan(half_to_float(float_to_half(std::bit_cast<float>(0x7F800001u)))))
      << "a signalling NaN is no infinity";
}

TEST(Bfloat16, EveryPatternConvertsExactlyAndBack) {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float value = bfloat16_to_float(bits);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(value)))) << i;
      continue;
    }
    ASSERT_EQ(std::bit_cast<std::uint32_t>(value), i << 16);
    ASSERT_EQ(float_to_bfloat16(value), bits) << i;
  }
}

TEST(Bfloat16, RoundsToNearestEvenBetweenAllNeighbours) {
  for (std::uint32_t i = 0; i < 0x7F80; ++i) {
    const std::uint32_t low = i << 16, middle = low | 0x8000u;
    const auto even = static_cast<std::uint16_t>((i & 1) == 0 ? i : i + 1);
    ASSERT_EQ(float_to_bfloat16(std::bit_cast<float>(middle)), even) << i;
    ASSERT_EQ(float_to_bfloat16(std::bit_cast<float>(middle - 1)), i) << i;
    ASSERT_EQ(float_to_bfloat16(std::bit_cast<float>(middle + 1)), i + 1) << i;
  }
  EXPECT_EQ(float_to_bfloat16(std::numeric_limits<float>::max()), 0x7F80);
  EXPECT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(std::bit_cast<float>(0x7F800001u)))));
}

}  // namespace
}  // namespace warpwright
