#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/tuning/session.hpp>

#include "fake_evaluation.hpp"

#include <filesystem>
#include <set>

namespace warpwright::tuning {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

std::int64_t value_of(const Configuration& configuration, const char* name) {
  return std::get<std::int64_t>(configuration.at(name));
}

Problem small_problem() {
  Problem problem;
  problem.name = "fake";
  problem.source.dialect = SourceText{"fake.kernel", "kernel"};
  problem.dimensions.set("n", std::int64_t{1024});
  problem.parameters = {{"block", {std::int64_t{32}, std::int64_t{64}, std::int64_t{128}, std::int64_t{512}}, {}, ParameterRole::define, true, {}},
                        {"items", {std::int64_t{1}, std::int64_t{2}, std::int64_t{3}, std::int64_t{4}, std::int64_t{5}}, {}, ParameterRole::define, true, {}}};
  Launch launch;
  launch.entry = "fake";
  launch.block = {Expression::parse("block")};
  launch.grid = {Expression::parse("ceil_div(n, block * items)")};
  problem.launches = {launch};
  return problem;
}

// Fastest at block 64, items 3; items 4 gives a wrong result that would be fastest of all, items 5 does not compile.
FakeOutcome model(const Configuration& configuration) {
  FakeOutcome outcome;
  const auto block = value_of(configuration, "block");
  const auto items = value_of(configuration, "items");
  outcome.time_ns = 1000.0 + 10.0 * std::abs(static_cast<double>(block - 64)) + 100.0 * std::abs(static_cast<double>(items - 3));
  if (items == 4) {
    outcome.status = TrialStatus::wrong_result;
    outcome.time_ns = 1;
  }
  if (items == 5) outcome.compile_status = TrialStatus::compile_failed;
  return outcome;
}

class SessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("warpwright-session-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  SessionResult run(const SessionOptions& options, FakeEvaluation& evaluation) {
    return run_session(problem_, *space_, StrategyRegistry::with_defaults(), evaluation, clock_, options);
  }
  SessionResult run(const SessionOptions& options) {
    FakeEvaluation evaluation(clock_, model);
    return run(options, evaluation);
  }

  Problem problem_ = small_problem();
  std::unique_ptr<Space> space_ = problem_.build_space();
  ManualClock clock_;
  std::filesystem::path folder_;
};

TEST_F(SessionTest, FindsTheFastestCorrectConfiguration) {
  const SessionResult result = run({});
  EXPECT_EQ(result.strategy, "exhaustive");
  EXPECT_EQ(result.stop_reason, "space exhausted");
  EXPECT_EQ(result.evaluations, 20u);
  ASSERT_TRUE(result.best);
  EXPECT_EQ(value_of(*result.best, "block"), 64);
  EXPECT_EQ(value_of(*result.best, "items"), 3);
  EXPECT_EQ(result.by_status[static_cast<std::size_t>(TrialStatus::wrong_result)], 3u);
  EXPECT_EQ(result.by_status[static_cast<std::size_t>(TrialStatus::compile_failed)], 3u);
  EXPECT_EQ(result.by_status[static_cast<std::size_t>(TrialStatus::pruned)], 5u) << "blocks of 512 threads";
  // The baseline is block 32, items 1: 1000 + 320 + 200.
  ASSERT_TRUE(result.speedup);
  EXPECT_NEAR(*result.speedup, 1.52, 0.001);
  EXPECT_TRUE(result.reverified);
  EXPECT_THAT(result.verification, HasSubstr("re-verified: yes"));
}

TEST_F(SessionTest, WrongConfigurationsHaveNoTimeAndPrunedOnesAreNeverCompiled) {
  FakeEvaluation evaluation(clock_, model);
  const SessionResult result = run({}, evaluation);
  for (const auto& trial : result.trials) {
    EXPECT_EQ(trial.ok(), trial.median.has_value());
    EXPECT_EQ(trial.ok(), !trial.samples.empty());
    if (!trial.ok()) {
      EXPECT_FALSE(trial.message.empty());
    }
  }
  for (const auto& configuration : evaluation.compiled) EXPECT_NE(value_of(configuration, "block"), 512);
}

TEST_F(SessionTest, TimePartsAddUpToTheTotal) {
  SessionOptions options;
  options.time_before = Nanoseconds(7e6);
  const Nanoseconds begin = clock_.now();
  const SessionResult result = run(options);
  const auto& times = result.times;
  EXPECT_NEAR((clock_.now() - begin + options.time_before).count(), times.total.count(), 1);
  EXPECT_NEAR(times.startup.count(), 12e6, 1);
  // 10 runs with the baseline, which is one of them: 9 ok and 3 wrong.
  EXPECT_NEAR(times.copy.count(), 12 * 1e5, 1);
  EXPECT_NEAR(times.verify.count(), 12 * 2e5, 1);
  EXPECT_NEAR(times.measure.count(), 12 * 3e5, 1);
  EXPECT_GT(times.compile_wait.count(), 0);
  EXPECT_GT(times.compile_cpu.count(), 0);
  EXPECT_GT(times.finish.count(), 0);
}

TEST_F(SessionTest, RestartsOfWorkersCountAsStartUp) {
  FakeEvaluation evaluation(clock_, model);
  int waits = 0;
  evaluation.on_wait = [&] {
    if (++waits == 4) {  // during a run
      clock_.advance(Nanoseconds(3e6));
      evaluation.restarts += Nanoseconds(3e6);
    }
  };
  const SessionResult result = run({}, evaluation);
  EXPECT_NEAR(result.times.startup.count(), 8e6, 1);
}

TEST_F(SessionTest, BudgetCountsUniqueEvaluations) {
  SessionOptions options;
  options.strategy = "random";
  options.strategy_settings.seed = 7;
  options.max_evaluations = 6;
  const SessionResult result = run(options);
  EXPECT_EQ(result.evaluations, 6u);
  EXPECT_EQ(result.stop_reason, "6 evaluations");
  std::set<std::string> unique;
  for (const auto& trial : result.trials) unique.insert(trial.configuration.describe());
  EXPECT_EQ(unique.size(), 6u);
}

TEST_F(SessionTest, SameSeedSameOrderWhateverTheParallelism) {
  SessionOptions options;
  options.strategy = "random";
  options.strategy_settings.seed = 7;
  options.max_evaluations = 12;
  const SessionResult sequential = run(options);
  FakeEvaluation parallel(clock_, model);
  parallel.compile_slots = 4;
  const SessionResult overlapped = run(options, parallel);
  ASSERT_EQ(sequential.trials.size(), overlapped.trials.size());
  for (std::size_t i = 0; i < sequential.trials.size(); ++i) {
    EXPECT_EQ(sequential.trials[i].configuration, overlapped.trials[i].configuration);
    EXPECT_EQ(sequential.trials[i].ordinal, i);
  }
}

TEST_F(SessionTest, CpuDevicesAlternateCompilingAndRunning) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.overlap = false;
  evaluation.compile_slots = 4;
  bool overlapped = false, compiled_in_parallel = false;
  evaluation.on_wait = [&] {
    overlapped = overlapped || (evaluation.compiling() > 0 && !evaluation.can_run());
    compiled_in_parallel = compiled_in_parallel || evaluation.compiling() > 1;
  };
  const SessionResult result = run({}, evaluation);
  EXPECT_EQ(result.evaluations, 20u);
  EXPECT_FALSE(overlapped);
  EXPECT_TRUE(compiled_in_parallel);
}

TEST_F(SessionTest, TimeLimitStopsAndKeepsWhatWasMeasured) {
  SessionOptions options;
  options.time_limit = Nanoseconds(15e6);
  const SessionResult result = run(options);
  EXPECT_EQ(result.strategy, "random");
  EXPECT_EQ(result.stop_reason, "time limit");
  EXPECT_GT(result.evaluations, 0u);
  EXPECT_LT(result.evaluations, 20u);
}

TEST_F(SessionTest, StopFlagEndsInOrder) {
  FakeEvaluation evaluation(clock_, model);
  std::atomic<bool> stop{false};
  evaluation.on_wait = [&] { stop = evaluation.ran.size() >= 4; };
  SessionOptions options;
  options.stop = &stop;
  options.session_folder = folder_;
  const SessionResult result = run(options, evaluation);
  EXPECT_TRUE(result.interrupted);
  EXPECT_EQ(result.stop_reason, "interrupted");
  EXPECT_TRUE(result.best) << "what was measured is reported";
  EXPECT_EQ(store::Journal::read(folder_).trials.size(), result.trials.size());
}

TEST_F(SessionTest, ResumeMeasuresNothingTwice) {
  SessionOptions options;
  options.strategy = "random";
  options.strategy_settings.seed = 3;
  options.session_folder = folder_;
  options.max_evaluations = 8;
  const SessionResult first = run(options);
  options.resume = true;
  options.max_evaluations = 20;
  FakeEvaluation evaluation(clock_, model);
  const SessionResult second = run(options, evaluation);
  EXPECT_EQ(second.resumed_from, 8u);
  EXPECT_EQ(second.evaluations, 20u);
  std::set<std::string> before;
  for (const auto& trial : first.trials) before.insert(trial.configuration.describe());
  // The final comparison and the second verification run known configurations again; the search does not.
  std::size_t runs_of_known = 0;
  for (const auto& configuration : evaluation.ran) runs_of_known += before.count(configuration.describe());
  EXPECT_LE(runs_of_known, 1u) << "only the second verification of the winner";
  EXPECT_EQ(store::Journal::read(folder_).trials.size(), 20u);
  for (std::size_t i = 0; i < first.trials.size(); ++i)
    EXPECT_EQ(first.trials[i].configuration, second.trials[i].configuration);
}

TEST_F(SessionTest, ResumeRefusesAnotherProblem) {
  SessionOptions options;
  options.session_folder = folder_;
  options.max_evaluations = 3;
  run(options);
  problem_.source.dialect->text = "another kernel";
  options.resume = true;
  try {
    run(options);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::conflict);
  }
}

TEST_F(SessionTest, AnOccupiedFolderIsNotOverwritten) {
  SessionOptions options;
  options.session_folder = folder_;
  options.max_evaluations = 3;
  run(options);
  try {
    run(options);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::conflict);
  }
}

TEST_F(SessionTest, WinnerThatFailsOnFreshInputsLosesItsPlace) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.fails_again = [](const Configuration& configuration) { return value_of(configuration, "items") == 3; };
  const SessionResult result = run({}, evaluation);
  ASSERT_TRUE(result.best);
  EXPECT_NE(value_of(*result.best, "items"), 3);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("failed the second verification")));
}

TEST_F(SessionTest, FailingBaselineIsSaidAndGivesNoSpeedup) {
  problem_.baseline = Configuration{{"block", std::int64_t{32}}, {"items", std::int64_t{4}}};
  const SessionResult result = run({});
  EXPECT_FALSE(result.speedup);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("the baseline")));
  EXPECT_TRUE(result.best);
}

TEST_F(SessionTest, NothingCorrectGivesNoWinner) {
  FakeEvaluation evaluation(clock_, [](const Configuration&) {
    FakeOutcome outcome;
    outcome.status = TrialStatus::not_finite;
    return outcome;
  });
  const SessionResult result = run({}, evaluation);
  EXPECT_FALSE(result.best);
  EXPECT_FALSE(make_profile(problem_, result, measure::CacheMode::cold));
}

TEST_F(SessionTest, MaximisedMetricDecides) {
  problem_.metrics = {{"slowness", Expression::parse("time_ns / items")}};
  problem_.objective = {"slowness", false};
  const SessionResult result = run({});
  ASSERT_TRUE(result.best);
  EXPECT_EQ(value_of(*result.best, "items"), 1);
  EXPECT_EQ(value_of(*result.best, "block"), 128);
}

TEST_F(SessionTest, ProfileHoldsTheWinner) {
  const SessionResult result = run({});
  const auto profile = make_profile(problem_, result, measure::CacheMode::cold);
  ASSERT_TRUE(profile);
  EXPECT_EQ(profile->configuration, *result.best);
  EXPECT_EQ(profile->key.kernel, "fake");
  EXPECT_EQ(profile->key.cache_mode, "cold");
  EXPECT_GT(profile->samples, 0);
  EXPECT_NEAR(*profile->speedup(), *result.speedup, 1e-9);
}

TEST_F(SessionTest, ProgressReportsCountsAndBest) {
  std::vector<std::uint64_t> seen;
  SessionOptions options;
  options.progress = [&](const Progress& progress) {
    seen.push_back(progress.evaluations);
    EXPECT_EQ(progress.planned, 20u);
    EXPECT_NE(progress.last, nullptr);
  };
  run(options);
  EXPECT_EQ(seen.size(), 20u);
  EXPECT_EQ(seen.back(), 20u);
}

}  // namespace
}  // namespace warpwright::tuning
