#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <set>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/inputs.hpp>

#include "problems.hpp"

namespace warpwright::measure {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using testing::values_of;

ErrorCode code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::internal;
}

TEST(Generate, ConstantFillsEveryType) {
  EXPECT_THAT(values_of<float>(generate(FillConstant{0.5}, DataType::float32, 4)), Each(0.5f));
  EXPECT_THAT(values_of<std::uint8_t>(generate(FillConstant{255}, DataType::uint8, 3)), Each(255));
  EXPECT_THAT(values_of<std::int64_t>(generate(FillConstant{-3}, DataType::int64, 2)), Each(-3));
  EXPECT_THAT(values_of<std::uint16_t>(generate(FillConstant{1}, DataType::float16, 2)), Each(0x3C00));
  EXPECT_THAT(values_of<std::uint16_t>(generate(FillConstant{1}, DataType::bfloat16, 2)), Each(0x3F80));
  EXPECT_TRUE(generate(FillConstant{1}, DataType::float64, 0).empty());
}

TEST(Generate, RefusesValuesTheTypeCannotHold) {
  EXPECT_EQ(code_of([] { generate(FillConstant{0.5}, DataType::int32, 1); }), ErrorCode::bad_input);
  EXPECT_EQ(code_of([] { generate(FillConstant{256}, DataType::uint8, 1); }), ErrorCode::bad_input);
  EXPECT_EQ(code_of([] { generate(FillConstant{-1}, DataType::uint64, 1); }), ErrorCode::bad_input);
  EXPECT_EQ(code_of([] { generate(FillConstant{1e39}, DataType::float32, 1); }), ErrorCode::bad_input);
  EXPECT_EQ(code_of([] { generate(FillConstant{70000}, DataType::float16, 1); }), ErrorCode::bad_input);
  EXPECT_EQ(code_of([] { generate(FillUniform{0.1, 0.9, 1}, DataType::int32, 1); }), ErrorCode::bad_input);
  EXPECT_EQ(code_of([] { generate(FillUniform{1, 0, 1}, DataType::float32, 1); }), ErrorCode::bad_input);
  EXPECT_EQ(code_of([] { generate(FillUniform{0, 300, 1}, DataType::uint8, 1); }), ErrorCode::bad_input);
  EXPECT_EQ(code_of([] { generate(FillConstant{0}, DataType::float64, ~0ull); }), ErrorCode::bad_input);
}

TEST(Generate, UniformIntegersReachBothEnds) {
  const auto values = values_of<std::int8_t>(generate(FillUniform{-2, 2, 7}, DataType::int8, 1000));
  EXPECT_EQ(std::set<int>(values.begin(), values.end()), (std::set<int>{-2, -1, 0, 1, 2}));
  const auto all = values_of<std::uint8_t>(generate(FillUniform{0, 255, 7}, DataType::uint8, 20000));
  EXPECT_EQ(std::set<int>(all.begin(), all.end()).size(), 256u);
  // The whole range of 64 bits, whose ends are no doubles.
  const auto wide =
      values_of<std::uint64_t>(generate(FillUniform{0, 18446744073709551615.0, 7}, DataType::uint64, 1000));
  EXPECT_TRUE(std::any_of(wide.begin(), wide.end(), [](std::uint64_t v) { return v >> 63 != 0; }));
  const auto fixed = values_of<std::int64_t>(generate(FillUniform{5, 5, 7}, DataType::int64, 10));
  EXPECT_THAT(fixed, Each(5));
}

TEST(Generate, UniformFloatsCoverTheRange) {
  const auto values = values_of<float>(generate(FillUniform{-1, 3, 7}, DataType::float32, 20000));
  EXPECT_GE(*std::min_element(values.begin(), values.end()), -1);
  EXPECT_LE(*std::max_element(values.begin(), values.end()), 3);
  EXPECT_NEAR(std::accumulate(values.begin(), values.end(), 0.0) / 20000, 1.0, 0.05);
}

TEST(Generate, NormalHasItsMomentsAndSaturatesIntegers) {
  const auto values = values_of<double>(generate(FillNormal{2, 3, 7}, DataType::float64, 20000));
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / 20000;
  double variance = 0;
  for (const double value : values) variance += (value - mean) * (value - mean) / 20000;
  EXPECT_NEAR(mean, 2, 0.1);
  EXPECT_NEAR(std::sqrt(variance), 3, 0.1);
  const auto bytes = values_of<std::uint8_t>(generate(FillNormal{128, 1000, 7}, DataType::uint8, 1000));
  EXPECT_GT(std::count(bytes.begin(), bytes.end(), 0), 100);
  EXPECT_GT(std::count(bytes.begin(), bytes.end(), 255), 100);
}

TEST(Generate, IotaCounts) {
  EXPECT_THAT(values_of<std::int32_t>(generate(FillIota{-1, 2}, DataType::int32, 3)), ElementsAre(-1, 1, 3));
  EXPECT_THAT(values_of<float>(generate(FillIota{0, 0.5}, DataType::float32, 3)), ElementsAre(0.0f, 0.5f, 1.0f));
  EXPECT_EQ(code_of([] { generate(FillIota{0, 1}, DataType::uint8, 257); }), ErrorCode::bad_input);
}

TEST(Generate, FormulasTakeTheIndexAndTheDimensions) {
  Scope dimensions;
  dimensions.set("n", std::int64_t{3});
  const auto filled = [&](const char* text, DataType type, std::uint64_t elements) {
    return generate(resolved(FillFormula{Expression::parse(text)}, dimensions, "init"), type, elements);
  };
  EXPECT_THAT(values_of<std::uint16_t>(filled("index % n * n", DataType::uint16, 5)), ElementsAre(0, 3, 6, 0, 3));
  EXPECT_THAT(values_of<float>(filled("1 / n if index // n == index % n else 0", DataType::float32, 4)),
              ElementsAre(1.0f / 3, 0.0f, 0.0f, 0.0f));
  EXPECT_EQ(code_of([&] { filled("index", DataType::uint8, 257); }), ErrorCode::bad_input);
  EXPECT_EQ(code_of([&] { filled("'a' if index == 2 else 0", DataType::float32, 3); }), ErrorCode::bad_input);
  EXPECT_EQ(code_of([&] { filled("index + m", DataType::float32, 3); }), ErrorCode::bad_input);
  const FillFormula rows{Expression::parse("10 * row + column"), Expression::parse("n")};
  EXPECT_THAT(values_of<float>(generate(resolved(rows, dimensions, "init"), DataType::float32, 5)),
              ElementsAre(0.0f, 1.0f, 2.0f, 10.0f, 11.0f));
  dimensions.set("index", std::int64_t{7});  // a dimension of that name hides the number
  EXPECT_THAT(values_of<float>(filled("index", DataType::float32, 2)), ElementsAre(7.0f, 7.0f));
}

TEST(Generate, SameSeedSameBytesAndSaltChangesOnlyRandomFills) {
  const FillUniform uniform{0, 1, 42};
  const auto once = generate(uniform, DataType::float32, 100);
  EXPECT_EQ(generate(uniform, DataType::float32, 100), once);
  EXPECT_NE(generate(FillUniform{0, 1, 43}, DataType::float32, 100), once);
  const auto salted = generate(uniform, DataType::float32, 100, 5);
  EXPECT_NE(salted, once);
  EXPECT_EQ(generate(uniform, DataType::float32, 100, 5), salted);
  EXPECT_EQ(generate(FillIota{}, DataType::float32, 100, 5), generate(FillIota{}, DataType::float32, 100));
  // More elements begin with the same ones.
  auto longer = generate(uniform, DataType::float32, 200);
  longer.resize(once.size());
  EXPECT_EQ(longer, once);
}

// Frozen: a stored reference must stay valid on another machine and in a later version.
TEST(Generate, BytesAreFrozen) {
  EXPECT_THAT(values_of<std::int32_t>(generate(FillUniform{0, 999, 1}, DataType::int32, 4)),
              ElementsAre(702, 520, 574, 391));
  EXPECT_THAT(values_of<double>(generate(FillUniform{0, 1, 1}, DataType::float64, 2)),
              ElementsAre(0x1.67e55eda1f8e2p-1, 0x1.0a76ab2c8e6c9p-1));
}

}  // namespace
}  // namespace warpwright::measure
