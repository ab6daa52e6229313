#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/tuning/comparison.hpp>

#include "fake_evaluation.hpp"

namespace warpwright::tuning {
namespace {

using ::testing::HasSubstr;

Problem two_knobs() {
  Problem problem;
  problem.name = "fake";
  problem.source.dialect = SourceText{"fake.kernel", "kernel"};
  problem.dimensions.set("n", std::int64_t{1024});
  problem.parameters = {
      {"block", {std::int64_t{32}, std::int64_t{64}, std::int64_t{512}}, {}, ParameterRole::define, true, {}},
      {"items", {std::int64_t{1}, std::int64_t{2}}, {}, ParameterRole::define, true, {}}};
  Launch launch;
  launch.entry = "fake";
  launch.block = {Expression::parse("block")};
  launch.grid = {Expression::parse("ceil_div(n, block * items)")};
  problem.launches = {launch};
  return problem;
}

Configuration configuration(std::int64_t block, std::int64_t items) {
  Configuration made;
  made.set("block", Value{block});
  made.set("items", Value{items});
  return made;
}

// Blocks of 64 are 2 % slower than blocks of 32; items of 2 give wrong results.
FakeOutcome model(const Configuration& asked) {
  FakeOutcome outcome;
  outcome.time_ns = std::get<std::int64_t>(asked.at("block")) == 64 ? 1'020'000 : 1'000'000;
  if (std::get<std::int64_t>(asked.at("items")) == 2) outcome.status = TrialStatus::wrong_result;
  return outcome;
}

// A clock that jumps by 30 % from round to round, and noise of each configuration's own.
double jumpy(const Configuration& asked, int round) {
  const auto block = static_cast<int>(std::get<std::int64_t>(asked.at("block")));
  return (round % 2 == 0 ? 1.0 : 1.3) * (1 + 0.004 * ((round * 7 + block / 32 * 3) % 5));
}

class CompareTest : public ::testing::Test {
 protected:
  CompareTest() { evaluation_.final_noise = jumpy; }
  ComparisonResult compare(const std::vector<Configuration>& configurations) {
    return compare_configurations(problem_, evaluation_, clock_, configurations);
  }
  Problem problem_ = two_knobs();
  ManualClock clock_;
  FakeEvaluation evaluation_{clock_, model};
};

TEST_F(CompareTest, TwoPercentSlowerIsToldApartUnderACommonDisturbance) {
  const auto result = compare({configuration(64, 1), configuration(32, 1)});
  ASSERT_EQ(result.configurations.size(), 2u);
  EXPECT_EQ(result.fastest, 1u);
  EXPECT_EQ(result.configurations[0].samples.size(), 50u);
  EXPECT_NEAR(result.configurations[0].ratio.median, 1.02, 0.01);
  EXPECT_GT(result.configurations[0].ratio.interval.low, 1.0);
  EXPECT_FALSE(result.configurations[0].tie);
  EXPECT_TRUE(result.configurations[1].tie);
  EXPECT_EQ(result.configurations[1].ratio.median, 1);
}

TEST_F(CompareTest, AKernelAgainstItselfIsATie) {
  const auto result = compare({configuration(32, 1), configuration(32, 1)});
  ASSERT_TRUE(result.fastest.has_value());
  EXPECT_TRUE(result.configurations[0].tie);
  EXPECT_TRUE(result.configurations[1].tie);
}

TEST_F(CompareTest, WrongAndUnlaunchableOnesTakeNoPart) {
  const auto result = compare({configuration(32, 2), configuration(512, 1), configuration(64, 1)});
  EXPECT_EQ(result.configurations[0].trial.status, TrialStatus::wrong_result);
  EXPECT_EQ(result.configurations[1].trial.status, TrialStatus::pruned);
  EXPECT_TRUE(result.configurations[0].samples.empty());
  EXPECT_FALSE(result.configurations[0].tie);
  EXPECT_EQ(result.fastest, 2u);
  const auto none = compare({configuration(32, 2)});
  EXPECT_FALSE(none.fastest.has_value());
}

TEST_F(CompareTest, WhatIsWrongAtAnotherSizeTakesNoPartAndHasItsStatus) {
  problem_.verify_sizes = {Configuration{{"n", std::int64_t{100}}}};
  evaluation_.again = [](const Configuration& asked, const Configuration& dimensions) {
    return std::get<std::int64_t>(asked.at("block")) == 32 && !dimensions.empty() ? TrialStatus::crashed
                                                                                  : TrialStatus::ok;
  };
  const auto result = compare({configuration(32, 1), configuration(64, 1)});
  EXPECT_EQ(result.configurations[0].trial.status, TrialStatus::crashed);
  EXPECT_THAT(result.configurations[0].trial.message, HasSubstr("second verification at size n=100"));
  EXPECT_TRUE(result.configurations[0].samples.empty());
  EXPECT_EQ(result.fastest, 1u);
  EXPECT_EQ(evaluation_.compiled.size(), 2u) << "nothing is compiled twice";
  evaluation_.reference_failure = [](const Configuration&) { return std::optional<std::string>("no memory"); };
  try {
    compare({configuration(64, 1)});
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("key 'verify.sizes[0]': the reference fails at n=100"));
  }
}

TEST_F(CompareTest, BadInputIsNamed) {
  EXPECT_THROW(compare({}), Error);
  Configuration incomplete;
  incomplete.set("block", Value{std::int64_t{32}});
  try {
    compare({incomplete});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("parameter 'items'"));
  }
}

TEST_F(CompareTest, ATimeThatCannotBeIsNotTheFastest) {
  // 1 GB that must cross a memory of 1 TB/s takes 1 ms; blocks of 32 claim 10 % less.
  problem_.metrics = {{"GB/s", Expression::parse("1000000000 / time_ns")}};
  Argument buffer;
  buffer.name = "x";
  buffer.type = DataType::uint8;
  buffer.size = Expression::parse("1000000000");
  problem_.arguments = {buffer};
  evaluation_.info.device.kind = DeviceKind::gpu;
  evaluation_.info.device.memory_clock_mhz = 1000;
  evaluation_.info.device.memory_bus_bits = 4000;  // 1 TB/s
  evaluation_.info.device.l2_cache = Bytes{1};
  evaluation_.final_noise = [](const Configuration& asked, int) {
    return std::get<std::int64_t>(asked.at("block")) == 32 ? 0.9 : 1.0;
  };
  const auto result = compare({configuration(32, 1), configuration(64, 1)});
  EXPECT_EQ(result.fastest, 1u);
  EXPECT_THAT(result.configurations[0].impossible, HasSubstr("GB/s"));
  EXPECT_EQ(result.configurations[1].impossible, "");
  EXPECT_FALSE(compare({configuration(32, 1)}).fastest);
}

}  // namespace
}  // namespace warpwright::tuning
