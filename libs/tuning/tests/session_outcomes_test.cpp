// One configuration costs one configuration: whatever the expressions of a specification give for one of them, the
// session and the comparison go on with the others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/tuning/comparison.hpp>
#include <warpwright/tuning/session.hpp>

#include "fake_evaluation.hpp"

namespace warpwright::tuning {
namespace {

using ::testing::HasSubstr;

// Three configurations, x = 0, 1 and 2, of which x = 1 is made hostile.
Problem problem_of(const std::string& block = "64", const std::string& grid = "16") {
  Problem problem;
  problem.name = "hostile";
  problem.source.dialect = SourceText{"hostile.kernel", "kernel"};
  problem.dimensions.set("n", std::int64_t{64});
  problem.parameters = {
      {"x", {std::int64_t{0}, std::int64_t{1}, std::int64_t{2}}, {}, ParameterRole::define, true, {}}};
  Launch launch;
  launch.entry = "hostile";
  launch.block = {Expression::parse(block)};
  launch.grid = {Expression::parse(grid)};
  problem.launches = {launch};
  return problem;
}

FakeOutcome model(const Configuration& configuration) {
  FakeOutcome outcome;
  outcome.time_ns = 1000 - 100.0 * static_cast<double>(std::get<std::int64_t>(configuration.at("x")));
  return outcome;
}

SessionRecord tune(const Problem& problem) {
  ManualClock clock;
  FakeEvaluation evaluation(clock, model);
  evaluation.info.device.max_grid = {2147483647, 65535, 65535};
  return run_session(problem, *problem.build_space(), StrategyRegistry::with_defaults(), evaluation, clock, {});
}

ComparisonResult compare(const Problem& problem) {
  ManualClock clock;
  FakeEvaluation evaluation(clock, model);
  evaluation.info.device.max_grid = {2147483647, 65535, 65535};
  std::vector<Configuration> configurations;
  for (std::int64_t x = 0; x < 3; ++x) configurations.push_back(Configuration{{"x", x}});
  return compare_configurations(problem, evaluation, clock, configurations);
}

void expect_one_lost(const Problem& problem, TrialStatus status, const std::string& words) {
  const SessionRecord tuned = tune(problem);
  ASSERT_EQ(tuned.trials.size(), 3u);
  EXPECT_EQ(tuned.stop_reason, "space exhausted");
  EXPECT_EQ(tuned.trials[0].status, TrialStatus::ok) << tuned.trials[0].message;
  EXPECT_EQ(to_string(tuned.trials[1].status), to_string(status)) << tuned.trials[1].message;
  EXPECT_THAT(tuned.trials[1].message, HasSubstr(words));
  EXPECT_EQ(tuned.trials[2].status, TrialStatus::ok) << tuned.trials[2].message;
  EXPECT_FALSE(tuned.trials[1].median);
  EXPECT_TRUE(tuned.trials[1].samples.empty());
  ASSERT_TRUE(tuned.best);
  EXPECT_EQ(tuned.best->at("x"), Value(std::int64_t{2}));

  const ComparisonResult compared = compare(problem);
  ASSERT_EQ(compared.configurations.size(), 3u);
  EXPECT_EQ(to_string(compared.configurations[1].trial.status), to_string(status));
  EXPECT_THAT(compared.configurations[1].trial.message, HasSubstr(words));
  EXPECT_EQ(compared.fastest, 2u);
}

TEST(SessionOutcomes, GeometryThatCannotBeIsPruned) {
  struct Case {
    const char* value;
    const char* words;
  };
  const Case grids[] = {{"0 if x == 1 else 16", "grid[0] of launch 'hostile' must be a positive integer, found 0"},
                        {"-16 if x == 1 else 16", "found -16"},
                        {"n / 3 if x == 1 else 16", "must be an integer"},
                        {"n // (x - 1) if x == 1 else 16", "division by zero"},
                        {"2 ** 62 if x == 1 else 16", "the device allows"},
                        {"2 ** 62 * 4 if x == 1 else 16", "overflow"},
                        {"1e300 if x == 1 else 16", "must be an integer"},
                        {"(1e308 * 10) if x == 1 else 16", "must be an integer"},
                        {"'wide' if x == 1 else 16", "must be an integer"}};
  for (const Case& one : grids) {
    SCOPED_TRACE(one.value);
    expect_one_lost(problem_of("64", one.value), TrialStatus::pruned, one.words);
  }
  const Case blocks[] = {{"0 if x == 1 else 64", "block[0] of launch 'hostile' must be a positive integer, found 0"},
                         {"64.5 if x == 1 else 64", "must be an integer"},
                         {"2 ** 62 if x == 1 else 64", "the device allows 256"}};
  for (const Case& one : blocks) {
    SCOPED_TRACE(one.value);
    expect_one_lost(problem_of(one.value), TrialStatus::pruned, one.words);
  }
  const Case shared[] = {{"-1 if x == 1 else 0", "shared of launch 'hostile' must be at least 0, found -1"},
                         {"0.5 if x == 1 else 0", "must be an integer"},
                         {"2 ** 40 if x == 1 else 0", "dynamic shared memory"}};
  for (const Case& one : shared) {
    SCOPED_TRACE(one.value);
    Problem problem = problem_of();
    problem.launches[0].shared = Expression::parse(one.value);
    expect_one_lost(problem, TrialStatus::pruned, one.words);
  }
  const Case repeats[] = {{"-1 if x == 1 else 1", "repeat of launch 'hostile'"},
                          {"1 / 3 if x == 1 else 1", "must be an integer"}};
  for (const Case& one : repeats) {
    SCOPED_TRACE(one.value);
    Problem problem = problem_of();
    problem.launches[0].repeat = Expression::parse(one.value);
    expect_one_lost(problem, TrialStatus::pruned, one.words);
  }
}

TEST(SessionOutcomes, AnObjectiveThatIsNoNumberIsNotFinite) {
  for (const auto& [value, words] : {std::pair("1e308 * 10 - 1e308 * 10 if x == 1 else n / time_ns", "is nan"),
                                     std::pair("1e308 * 10 if x == 1 else n / time_ns", "is inf"),
                                     std::pair("n / (x - 1) if x == 1 else n / time_ns", "division by zero"),
                                     std::pair("'fast' if x == 1 else n / time_ns", "must be a number")}) {
    SCOPED_TRACE(value);
    Problem problem = problem_of();
    problem.metrics = {{"rate", Expression::parse(value)}};
    problem.objective = {"rate", false};
    expect_one_lost(problem, TrialStatus::not_finite, words);
  }
}

TEST(SessionOutcomes, AnotherMetricThatIsNoNumberIsLeftOut) {
  Problem problem = problem_of();
  problem.metrics = {{"rate", Expression::parse("1 / (x - 1)")}, {"n", Expression::parse("n")}};
  const SessionRecord tuned = tune(problem);
  ASSERT_EQ(tuned.trials.size(), 3u);
  EXPECT_TRUE(tuned.trials[1].ok());
  EXPECT_FALSE(tuned.trials[1].metrics.contains("rate"));
  EXPECT_EQ(tuned.trials[1].metrics.at("n"), 64);
  EXPECT_EQ(tuned.trials[2].metrics.at("rate"), 1);
}

TEST(SessionOutcomes, WhereTheBaselineIsTheHostileOneTheOthersAreTuned) {
  Problem problem = problem_of("64", "x * n");
  const SessionRecord tuned = tune(problem);
  ASSERT_TRUE(tuned.baseline);
  EXPECT_EQ(tuned.baseline->status, TrialStatus::pruned);
  ASSERT_TRUE(tuned.best);
  EXPECT_FALSE(tuned.speedup);
  ASSERT_FALSE(tuned.warnings.empty());
  EXPECT_THAT(tuned.warnings.front(), HasSubstr("the baseline (x=0) failed: pruned"));
}

}  // namespace
}  // namespace warpwright::tuning
