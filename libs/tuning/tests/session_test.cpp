// What a session reports of its trials, and by which rules it ends, races, stops and resumes.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include <warpwright/base/error.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/store/session_record.hpp>

#include "session_fixture.hpp"

namespace warpwright::tuning {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

TEST_F(SessionTest, FindsTheFastestCorrectConfiguration) {
  const SessionRecord result = run({});
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

// The first configuration shows what is wrong with all; of a later one it is its own outcome.
TEST_F(SessionTest, ALaunchThatDoesNotFitTheKernelEndsTheSessionAtItsFirstConfiguration) {
  const auto misfit = [](bool everywhere) {
    return [everywhere](const Configuration& configuration) {
      FakeOutcome outcome = model(configuration);
      if (everywhere || value_of(configuration, "items") == 2) {
        outcome.status = TrialStatus::launch_failed;
        outcome.specification_mistake = true;
      }
      return outcome;
    };
  };
  FakeEvaluation evaluation(clock_, misfit(true));
  try {
    run({}, evaluation);
    FAIL() << "the session went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_THAT(error.what(), HasSubstr("failed on purpose"));
  }
  EXPECT_EQ(evaluation.ran.size(), 1u);
  FakeEvaluation sometimes(clock_, misfit(false));
  SessionOptions options;
  options.racing = false;  // the fake lets slow ones end as censored whatever they did
  const SessionRecord result = run(options, sometimes);
  EXPECT_EQ(result.by_status[static_cast<std::size_t>(TrialStatus::launch_failed)], 3u);
  EXPECT_TRUE(result.best);
}

TEST_F(SessionTest, WhatIsOddAboutTheReferenceIsInTheReport) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.info.reference_outputs = {{"y", 1000, 3, 0, 1.0}, {"z", 1000, 0, 900, 1e-6}, {"w", 1000, 0, 5, 1.0}};
  const SessionRecord result = run({}, evaluation);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("output 'y' holds 3 NaN among 1000 elements")));
  EXPECT_THAT(result.warnings, Contains(HasSubstr("900 of 1000 elements of output 'z' would pass as 0")));
  EXPECT_THAT(result.warnings, ::testing::Not(Contains(HasSubstr("'w'")))) << "fewer than one in a hundred";
}

TEST_F(SessionTest, WrongConfigurationsHaveNoTimeAndPrunedOnesAreNeverCompiled) {
  FakeEvaluation evaluation(clock_, model);
  const SessionRecord result = run({}, evaluation);
  for (const auto& trial : result.trials) {
    const bool timed = trial.ok() || trial.status == TrialStatus::censored;
    EXPECT_EQ(timed, trial.median.has_value());
    EXPECT_EQ(timed, !trial.samples.empty());
    if (!trial.ok()) {
      EXPECT_FALSE(trial.message.empty());
    }
  }
  for (const auto& configuration : evaluation.compiled) EXPECT_NE(value_of(configuration, "block"), 512);
}

// 224 registers a thread and 9 warps: they would have to fill 12 warps' room, which a block of sm_80 does not get.
TEST_F(SessionTest, WhatHasNoOccupancyIsCompiledButNeverLaunched) {
  problem_.parameters[0].values = {std::int64_t{128}, std::int64_t{288}};
  space_ = problem_.build_space();
  FakeEvaluation evaluation(clock_, [](const Configuration& configuration) {
    FakeOutcome outcome;
    outcome.resources.resize(1);
    outcome.resources[0].entry = "fake";
    outcome.resources[0].registers_per_thread = value_of(configuration, "items") == 5 ? 224 : 33;
    outcome.resources[0].barriers = 1;
    return outcome;
  });
  evaluation.info.device.id = {"cuda", {0}};
  evaluation.info.device.kind = DeviceKind::gpu;
  evaluation.info.device.architecture = "sm_80";
  evaluation.info.device.max_threads_per_block = 1024;
  evaluation.info.device.max_block = {1024, 1024, 64};
  const SessionRecord result = run({}, evaluation);
  ASSERT_EQ(result.trials.size(), 10u);
  EXPECT_EQ(result.by_status[static_cast<std::size_t>(TrialStatus::resource_exceeded)], 1u);
  for (const Trial& trial : result.trials) {
    const auto block = value_of(trial.configuration, "block");
    const bool refused = block == 288 && value_of(trial.configuration, "items") == 5;
    EXPECT_EQ(trial.status, refused ? TrialStatus::resource_exceeded : TrialStatus::ok)
        << trial.configuration.describe();
    ASSERT_EQ(trial.occupancy.size(), 1u);
    ASSERT_EQ(trial.resources.size(), 1u) << "a refused trial still says what it needed";
    EXPECT_EQ(trial.occupancy[0].entry, "fake");
    EXPECT_EQ(trial.occupancy[0].max_warps_per_sm, 64);
    EXPECT_THAT(trial.occupancy[0].limiting_factors, Contains("registers"));
    if (refused) {
      EXPECT_EQ(trial.occupancy[0].blocks_per_sm, 0);
      EXPECT_THAT(trial.message, HasSubstr("kernel 'fake' cannot be launched: 9 warps of 224 registers"));
      EXPECT_TRUE(trial.samples.empty());
    } else if (value_of(trial.configuration, "items") != 5) {
      EXPECT_EQ(trial.occupancy[0].blocks_per_sm, block == 128 ? 12 : 5);
      EXPECT_DOUBLE_EQ(trial.occupancy[0].occupancy(), block == 128 ? 0.75 : 45.0 / 64);
    }
  }
  for (const auto& configuration : evaluation.ran)
    EXPECT_FALSE(value_of(configuration, "block") == 288 && value_of(configuration, "items") == 5);
}

TEST_F(SessionTest, BudgetCountsUniqueEvaluations) {
  SessionOptions options;
  options.strategy = "random";
  options.strategy_settings.seed = 7;
  options.max_evaluations = 6;
  const SessionRecord result = run(options);
  EXPECT_EQ(result.evaluations, 6u);
  EXPECT_EQ(result.stop_reason, "6 evaluations");
  std::set<std::string> unique;
  for (const auto& trial : result.trials) unique.insert(trial.configuration.describe());
  EXPECT_EQ(unique.size(), 6u);
}

TEST_F(SessionTest, TimeLimitStopsAndKeepsWhatWasMeasured) {
  SessionOptions options;
  options.time_limit = Nanoseconds(15e6);
  const SessionRecord result = run(options);
  EXPECT_EQ(result.strategy, "auto");
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
  const SessionRecord result = run(options, evaluation);
  EXPECT_TRUE(result.interrupted);
  EXPECT_EQ(result.stop_reason, "interrupted");
  EXPECT_TRUE(result.best) << "what was measured is reported";
  EXPECT_EQ(store::Journal::read(folder_).trials.size(), result.trials.size());
}

TEST_F(SessionTest, LeavesARecordOfAllThatItReturns) {
  SessionOptions options;
  options.session_folder = folder_;
  options.max_evaluations = 12;
  const SessionRecord result = run(options);
  const SessionRecord read = store::read_session(folder_);
  EXPECT_TRUE(read.complete);
  EXPECT_EQ(store::to_json(read).dump(1), store::to_json(result).dump(1));
  ASSERT_EQ(read.trials.size(), result.trials.size());
  // Ordinals are those of the questions; the order in which trials end is another.
  for (std::size_t i = 0; i < read.trials.size(); ++i) {
    EXPECT_EQ(read.trials[i].configuration, result.trials[i].configuration);
    ASSERT_TRUE(read.trials[i].since_start);
    EXPECT_GT(*read.trials[i].since_start, Nanoseconds{});
    EXPECT_LE(*read.trials[i].since_start, result.times.total);
  }
  ASSERT_TRUE(read.comparison);
  EXPECT_EQ(read.comparison->choosing_rounds + read.comparison->reported_rounds, read.finalists.front().samples.size());
  EXPECT_EQ(read.baseline_samples.size(), read.finalists.front().samples.size());
}

TEST_F(SessionTest, ARecordThatCannotBeWrittenCostsAWarning) {
  // A folder that is not empty stands in its place.
  std::filesystem::create_directories(folder_ / store::SessionRecord::file_name / "in the way");
  SessionOptions options;
  options.session_folder = folder_;
  options.max_evaluations = 5;
  const SessionRecord result = run(options);
  EXPECT_TRUE(result.best);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("the record of the session was not written")));
  EXPECT_EQ(store::Journal::read(folder_).trials.size(), 5u);
}

TEST_F(SessionTest, ResumeMeasuresNothingTwice) {
  SessionOptions options;
  options.strategy = "random";
  options.strategy_settings.seed = 3;
  options.session_folder = folder_;
  options.max_evaluations = 8;
  const SessionRecord first = run(options);
  options.resume = true;
  options.max_evaluations = 20;
  FakeEvaluation evaluation(clock_, model);
  const SessionRecord second = run(options, evaluation);
  EXPECT_EQ(second.resumed_from, 8u);
  EXPECT_EQ(second.evaluations, 20u);
  std::set<std::string> before;
  for (const auto& trial : first.trials) before.insert(trial.configuration.describe());
  // The final comparison and the second verification run known configurations again; the search does not.
  for (const auto& configuration : evaluation.ran) EXPECT_EQ(before.count(configuration.describe()), 0u);
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

TEST_F(SessionTest, ProfileHoldsTheWinner) {
  const SessionRecord result = run({});
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

TEST_F(SessionTest, RacingTellsRunsWhatToBeatAndKeepsTheBound) {
  FakeEvaluation evaluation(clock_, model);
  const SessionRecord result = run({}, evaluation);
  ASSERT_TRUE(result.best);
  EXPECT_EQ(value_of(*result.best, "block"), 64);
  EXPECT_EQ(value_of(*result.best, "items"), 3);
  // The baseline's run knows no best; it is the first of the space, so every later run of the search has it to beat.
  EXPECT_FALSE(evaluation.incumbents.at(0).has_value());
  EXPECT_EQ(evaluation.deadlines.at(0), Nanoseconds{});
  ASSERT_TRUE(evaluation.incumbents.at(1).has_value());
  EXPECT_NEAR(evaluation.incumbents.at(1)->median.count(), 1521, 1.5);
  EXPECT_GT(evaluation.deadlines.at(1), Nanoseconds{});
  EXPECT_LT(evaluation.deadlines.at(1), Nanoseconds{10e9});
  const auto& last = *std::find_if(evaluation.incumbents.rbegin(), evaluation.incumbents.rend(),
                                   [](auto& bar) { return bar.has_value(); });
  EXPECT_NEAR(last->median.count(), 1001, 1.5);
  std::size_t censored = 0;
  for (const auto& trial : result.trials) {
    if (trial.status != TrialStatus::censored) {
      EXPECT_FALSE(trial.bound.has_value());
      continue;
    }
    ++censored;
    ASSERT_TRUE(trial.bound.has_value());
    EXPECT_EQ(*trial.bound, *std::min_element(trial.samples.begin(), trial.samples.end()));
    EXPECT_GT(*trial.bound, result.best_median);
    EXPECT_LT(trial.samples.size(), 5u);
  }
  EXPECT_GT(censored, 0u);
  EXPECT_EQ(result.by_status[static_cast<std::size_t>(TrialStatus::censored)], censored);
}

TEST_F(SessionTest, WithoutRacingEverySampleIsTaken) {
  SessionOptions options;
  options.racing = false;
  FakeEvaluation evaluation(clock_, model);
  const SessionRecord result = run(options, evaluation);
  for (const auto& incumbent : evaluation.incumbents) EXPECT_FALSE(incumbent.has_value());
  for (const auto& trial : result.trials) {
    EXPECT_EQ(trial.samples.size(), trial.ok() ? 5u : 0u);
  }
  EXPECT_EQ(result.by_status[static_cast<std::size_t>(TrialStatus::censored)], 0u);
}

TEST_F(SessionTest, ObjectivesOtherThanTimeDoNotRace) {
  problem_.metrics.push_back({"slowness", Expression::parse("-time_ns")});
  problem_.objective.metric = "slowness";
  problem_.objective.minimise = false;  // the largest -time: the same winner by another road
  FakeEvaluation evaluation(clock_, model);
  const SessionRecord result = run({}, evaluation);
  for (const auto& incumbent : evaluation.incumbents) EXPECT_FALSE(incumbent.has_value());
  ASSERT_TRUE(result.best);
  EXPECT_EQ(value_of(*result.best, "items"), 3);
}

TEST_F(SessionTest, DriftAndThrottlingAreReported) {
  FakeEvaluation evaluation(clock_, [](const Configuration& configuration) {
    FakeOutcome outcome = model(configuration);
    if (value_of(configuration, "items") == 1) outcome.drift = 0.14;
    if (value_of(configuration, "items") == 2) outcome.throttling = {"software power cap"};
    return outcome;
  });
  SessionOptions options;
  options.racing = false;
  options.timing.min_samples = 16;
  const SessionRecord result = run(options, evaluation);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("3 configurations drifted while it was sampled, by up to 12.3 %")));
  EXPECT_THAT(result.warnings,
              Contains(HasSubstr("the clock was held down during 3 of 20 configurations: software power cap")));
  for (const auto& trial : result.trials) {
    const bool drifts = value_of(trial.configuration, "items") == 1 && value_of(trial.configuration, "block") != 512;
    EXPECT_EQ(trial.conditions.drift.has_value(), drifts) << trial.configuration.describe();
  }
}

}  // namespace
}  // namespace warpwright::tuning
