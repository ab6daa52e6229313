#include <algorithm>
#include <atomic>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include <warpwright/base/error.hpp>
#include <warpwright/tuning/session.hpp>

#include "../src/time_account.hpp"
#include "fake_evaluation.hpp"

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
  problem.parameters = {{"block",
                         {std::int64_t{32}, std::int64_t{64}, std::int64_t{128}, std::int64_t{512}},
                         {},
                         ParameterRole::define,
                         true,
                         {}},
                        {"items",
                         {std::int64_t{1}, std::int64_t{2}, std::int64_t{3}, std::int64_t{4}, std::int64_t{5}},
                         {},
                         ParameterRole::define,
                         true,
                         {}}};
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
  outcome.time_ns =
      1000.0 + 10.0 * std::abs(static_cast<double>(block - 64)) + 100.0 * std::abs(static_cast<double>(items - 3));
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
  const SessionResult result = run(options, sometimes);
  EXPECT_EQ(result.by_status[static_cast<std::size_t>(TrialStatus::launch_failed)], 3u);
  EXPECT_TRUE(result.best);
}

TEST_F(SessionTest, WhatIsOddAboutTheReferenceIsInTheReport) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.info.reference_outputs = {{"y", 1000, 3, 0, 1.0}, {"z", 1000, 0, 900, 1e-6}, {"w", 1000, 0, 5, 1.0}};
  const SessionResult result = run({}, evaluation);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("output 'y' holds 3 NaN among 1000 elements")));
  EXPECT_THAT(result.warnings, Contains(HasSubstr("900 of 1000 elements of output 'z' would pass as 0")));
  EXPECT_THAT(result.warnings, ::testing::Not(Contains(HasSubstr("'w'")))) << "fewer than one in a hundred";
}

TEST_F(SessionTest, WrongConfigurationsHaveNoTimeAndPrunedOnesAreNeverCompiled) {
  FakeEvaluation evaluation(clock_, model);
  const SessionResult result = run({}, evaluation);
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
  const SessionResult result = run({}, evaluation);
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

TEST_F(SessionTest, TheNextRunWaitsAtTheDevice) {
  FakeEvaluation plain(clock_, model), queueing(clock_, model);
  plain.compile_slots = queueing.compile_slots = 8;
  queueing.queues_runs = true;
  const SessionResult alone = run({}, plain);
  const SessionResult result = run({}, queueing);
  EXPECT_EQ(plain.most_given, 1u);
  EXPECT_EQ(queueing.most_given, 2u);
  ASSERT_EQ(result.trials.size(), alone.trials.size());
  for (std::size_t i = 0; i < alone.trials.size(); ++i) {
    EXPECT_EQ(result.trials[i].configuration, alone.trials[i].configuration);
    EXPECT_EQ(result.trials[i].status, alone.trials[i].status);
  }
  EXPECT_EQ(result.best, alone.best);
  const auto& times = result.times;
  EXPECT_NEAR(times.measure.count(), alone.times.measure.count(), 1) << "what a run took is its own";
  const Nanoseconds parts =
      times.startup + times.compile_wait + times.copy + times.verify + times.measure + times.tuner + times.finish;
  EXPECT_NEAR(parts.count(), times.total.count(), 1);
}

TEST_F(SessionTest, NoMoreIsUnderWayThanKeepsTheDeviceBusy) {
  const auto most_under_way = [&](Nanoseconds compile_time, Nanoseconds longer, std::size_t runs_before) {
    FakeEvaluation evaluation(clock_, [&](const Configuration& configuration) {
      FakeOutcome outcome = model(configuration);
      outcome.longer = longer;
      return outcome;
    });
    evaluation.compile_slots = 8;
    evaluation.compile_time = compile_time;
    std::size_t most = 0;
    evaluation.on_wait = [&] {
      if (evaluation.ran.size() >= runs_before)
        most = std::max(most, evaluation.compiling() + evaluation.waiting_runs());
    };
    EXPECT_EQ(run({}, evaluation).evaluations, 20u);
    return most;
  };
  // The baseline and those that began before anything was known of how long they take come first.
  EXPECT_LE(most_under_way(Nanoseconds(1e5), Nanoseconds(5e6), 6), 5u) << "a slow device: one at it, four to come";
  EXPECT_GE(most_under_way(Nanoseconds(1e8), Nanoseconds(1e4), 3), 8u) << "slow compilers: all of them work";
}

TEST_F(SessionTest, NothingIsQueuedBehindALongRun) {
  FakeEvaluation evaluation(clock_, [](const Configuration& configuration) {
    FakeOutcome outcome = model(configuration);
    outcome.longer = Nanoseconds(2e9);
    return outcome;
  });
  evaluation.compile_slots = 8;
  evaluation.queues_runs = true;
  // Before the first result nothing is known of how long they take.
  std::size_t given = 0;
  evaluation.on_wait = [&] {
    if (evaluation.ran.size() > 4) given = std::max(given, evaluation.waiting_runs());
  };
  run({}, evaluation);
  EXPECT_EQ(given, 1u);
}

TEST_F(SessionTest, AStopEndsWithWhatTheDeviceWasGiven) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.compile_slots = 8;
  evaluation.queues_runs = true;
  std::atomic<bool> stop{false};
  std::size_t given = 0;
  evaluation.on_wait = [&] {
    if (evaluation.waiting_runs() == 2 && evaluation.compiling() > 2 && !stop.exchange(true))
      given = evaluation.ran.size();
  };
  SessionOptions options;
  options.stop = &stop;
  const SessionResult result = run(options, evaluation);
  EXPECT_TRUE(result.interrupted);
  EXPECT_EQ(evaluation.waiting_runs(), 0u);
  EXPECT_GT(given, 0u);
  EXPECT_EQ(evaluation.ran.size(), given) << "nothing was begun after the stop";
  // Every run has its record; the baseline ran by itself.
  std::size_t recorded = 0;
  for (const auto& trial : result.trials)
    if (trial.times.measure.count() > 0) ++recorded;
  EXPECT_GE(recorded + 1, evaluation.ran.size());
}

TEST(TimeAccount, WorkBesideCompilersIsWaitingUnlessItKeptOneWaiting) {
  ManualClock clock;
  TimeAccount account(clock, {});
  account.enter(TimeAccount::Part::beside_compilers);
  clock.advance(Nanoseconds(100));
  account.settle(false);
  clock.advance(Nanoseconds(20));
  account.settle(true);
  clock.advance(Nanoseconds(3));
  const SessionTimes times = account.finish();
  EXPECT_EQ(times.compile_wait.count(), 100);
  EXPECT_EQ(times.tuner.count(), 23) << "what nobody settled is the tuner's";
  EXPECT_EQ(times.total.count(), 123);
}

// 20 of talking to the device delay nothing while it would have waited for compilers anyway.
TEST(TimeAccount, TalkingToADeviceWithNothingToDoIsWaitingUnlessItKeptACompilerWaiting) {
  for (const bool kept_waiting : {false, true}) {
    ManualClock clock;
    TimeAccount account(clock, {});
    account.enter(TimeAccount::Part::device);
    clock.advance(Nanoseconds(120));
    account.device_done(Nanoseconds(10), Nanoseconds(20), Nanoseconds(70), {}, TimeAccount::Next::compiling);
    account.enter(TimeAccount::Part::beside_compilers);
    account.settle(kept_waiting);
    const SessionTimes times = account.finish();
    EXPECT_EQ(times.tuner.count(), kept_waiting ? 20 : 0);
    EXPECT_EQ(times.compile_wait.count(), kept_waiting ? 0 : 20);
  }
}

TEST(TimeAccount, WhatIsLeftOfOneRunMayBeOfTheNext) {
  ManualClock clock;
  TimeAccount account(clock, {});
  account.enter(TimeAccount::Part::device);
  // The first result of 100 is seen 30 late, when the second run of 100 has begun; between both lay 5.
  clock.advance(Nanoseconds(130));
  account.device_done(Nanoseconds(10), Nanoseconds(20), Nanoseconds(70), {}, TimeAccount::Next::running);
  clock.advance(Nanoseconds(75));
  account.device_done(Nanoseconds(10), Nanoseconds(20), Nanoseconds(70), {}, TimeAccount::Next::held_up);
  const SessionTimes times = account.finish();
  EXPECT_EQ(times.measure.count(), 140);
  EXPECT_EQ(times.tuner.count(), 5);
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

// Exhaustive search that tells what it was asked for and has heard nothing of yet.
class ObservedSearch final : public SearchAlgorithm {
 public:
  ObservedSearch(const Space& space, std::set<std::uint64_t>& outstanding)
      : inner_(make_exhaustive(space)), outstanding_(outstanding) {}
  std::vector<std::uint64_t> ask(std::size_t count) override {
    auto indices = inner_->ask(count);
    outstanding_.insert(indices.begin(), indices.end());
    return indices;
  }
  void tell(std::uint64_t index, const SearchOutcome& outcome) override {
    outstanding_.erase(index);
    inner_->tell(index, outcome);
  }

 private:
  std::unique_ptr<SearchAlgorithm> inner_;
  std::set<std::uint64_t>& outstanding_;
};

class AskingAhead : public SessionTest {
 protected:
  AskingAhead() {
    strategies_.add({"observed", "shows its open questions", {}, false},
                    [this](const Space& space, const StrategySettings&) {
                      return std::make_unique<ObservedSearch>(space, outstanding_);
                    });
    options_.strategy = "observed";
    evaluation_.compile_slots = 2;
  }
  SessionResult run_observed() { return run_session(problem_, *space_, strategies_, evaluation_, clock_, options_); }
  // Configurations that were asked for and given to no compiler yet.
  std::size_t ahead() const {
    return static_cast<std::size_t>(std::count_if(outstanding_.begin(), outstanding_.end(), [&](std::uint64_t index) {
      const auto& compiled = evaluation_.compiled;
      return std::find(compiled.begin(), compiled.end(), space_->at(index)) == compiled.end();
    }));
  }

  StrategyRegistry strategies_ = StrategyRegistry::with_defaults();
  std::set<std::uint64_t> outstanding_;
  SessionOptions options_;
  FakeEvaluation evaluation_{clock_, model};
};

TEST_F(AskingAhead, TheNextConfigurationIsThereWhenACompilerIsFree) {
  std::size_t times = 0, most = 0;
  evaluation_.on_wait = [&] {
    most = std::max(most, ahead());
    times += ahead();
  };
  EXPECT_EQ(run_observed().evaluations, 20u);
  EXPECT_EQ(most, 1u);
  EXPECT_GT(times, 5u);
  EXPECT_TRUE(outstanding_.empty());
}

TEST_F(AskingAhead, NotWhereResultsComeFirstOrTheDeviceIsDisturbed) {
  evaluation_.overlap = false;
  std::size_t while_compiling = 0, while_running = 0, most = 0;
  evaluation_.on_wait = [&] {
    most = std::max(most, ahead());
    (evaluation_.waiting_runs() == 0 ? while_compiling : while_running) += ahead();
  };
  EXPECT_EQ(run_observed().evaluations, 20u);
  EXPECT_EQ(most, 1u);
  EXPECT_GT(while_compiling, 2u);
  EXPECT_EQ(while_running, 0u);
}

TEST_F(AskingAhead, NotWhereOneConfigurationFollowsTheOther) {
  evaluation_.compile_slots = 1;
  evaluation_.on_wait = [&] {
    if (evaluation_.compiling() > 0 && evaluation_.can_run()) {
      EXPECT_EQ(ahead(), 0u);
    }
  };
  options_.max_evaluations = 3;
  EXPECT_EQ(run_observed().evaluations, 3u);
}

TEST_F(AskingAhead, NothingBeyondTheBudget) {
  options_.max_evaluations = 7;
  EXPECT_EQ(run_observed().evaluations, 7u);
  EXPECT_TRUE(outstanding_.empty());
}

TEST_F(SessionTest, TimeLimitStopsAndKeepsWhatWasMeasured) {
  SessionOptions options;
  options.time_limit = Nanoseconds(15e6);
  const SessionResult result = run(options);
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

// ---- the end --------------------------------------------------------------------------------------------------------

TEST_F(SessionTest, WhatFailsOnFreshInputsNeverWins) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.again = [](const Configuration& configuration, const Configuration& dimensions) {
    return value_of(configuration, "items") == 3 && dimensions.empty() ? TrialStatus::timed_out : TrialStatus::ok;
  };
  SessionOptions options;
  options.session_folder = folder_;
  options.racing = false;
  const SessionResult result = run(options, evaluation);
  ASSERT_TRUE(result.best);
  EXPECT_NE(value_of(*result.best, "items"), 3);
  EXPECT_TRUE(result.reverified);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("items=3 failed the second verification: timed_out")));
  // Nothing that fails is timed again.
  ASSERT_EQ(evaluation.interleaved.size(), 1u);
  for (const auto& configuration : evaluation.interleaved.front()) EXPECT_NE(value_of(configuration, "items"), 3);
  // Those that are fast enough to be finalists have their real status, here and in the journal.
  const auto failed = [](const std::vector<Trial>& trials) {
    return std::count_if(trials.begin(), trials.end(), [](const Trial& trial) {
      EXPECT_TRUE(trial.status != TrialStatus::timed_out || (!trial.median && trial.samples.empty()));
      return trial.status == TrialStatus::timed_out && value_of(trial.configuration, "items") == 3;
    });
  };
  EXPECT_EQ(failed(result.trials), 3);
  EXPECT_EQ(result.by_status[static_cast<std::size_t>(TrialStatus::timed_out)], 3u);
  const auto journal = store::Journal::read(folder_);
  EXPECT_EQ(journal.trials.size(), result.trials.size());
  EXPECT_EQ(failed(journal.trials), 3);
}

// Two configurations; the baseline is the faster one, and wrong at a size of [verify] only.
TEST_F(SessionTest, ABaselineThatIsWrongAtAnotherSizeNeverWinsAndTheSessionEnds) {
  problem_.parameters = {{"items", {std::int64_t{1}, std::int64_t{2}}, {}, ParameterRole::define, true, {}}};
  problem_.launches.front().block = {Expression::parse("64")};
  problem_.launches.front().grid = {Expression::parse("ceil_div(n, 64 * items)")};
  problem_.verify_sizes = {Configuration{{"n", std::int64_t{100}}}};
  space_ = problem_.build_space();
  const auto times = [](const Configuration& configuration) {
    FakeOutcome outcome;
    outcome.time_ns = 1000.0 * static_cast<double>(value_of(configuration, "items"));
    return outcome;
  };
  const auto wrong = [](const Configuration& configuration, const Configuration& dimensions) {
    return value_of(configuration, "items") == 1 && !dimensions.empty() ? TrialStatus::out_of_bounds : TrialStatus::ok;
  };
  SessionOptions options;
  options.session_folder = folder_;
  FakeEvaluation evaluation(clock_, times);
  evaluation.again = wrong;
  const SessionResult result = run(options, evaluation);
  ASSERT_TRUE(result.best);
  EXPECT_EQ(value_of(*result.best, "items"), 2);
  EXPECT_THAT(result.verification, HasSubstr("yes, on fresh inputs and 1 other size"));
  EXPECT_FALSE(result.speedup);
  ASSERT_TRUE(result.baseline);
  EXPECT_EQ(result.baseline->status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.baseline->message, HasSubstr("second verification at size n=100"));
  EXPECT_THAT(result.warnings, Contains(HasSubstr("the baseline (items=1) failed the second verification")));
  EXPECT_EQ(result.trials.at(0).status, TrialStatus::out_of_bounds);
  // The race against what turned out to be wrong stopped the winner early; now it was measured to the end.
  for (const Trial& trial : {result.trials.at(1), store::Journal::read(folder_).trials.at(1)}) {
    EXPECT_EQ(trial.status, TrialStatus::ok);
    EXPECT_EQ(trial.samples.size(), 50u);
    EXPECT_FALSE(trial.bound);
  }
  EXPECT_EQ(result.best_median, Nanoseconds(2000));
  ASSERT_EQ(result.finalists.size(), 1u);
  EXPECT_EQ(result.finalists.front().samples.size(), 50u);

  // Resumed, it is known to be wrong, and nothing is measured.
  FakeEvaluation again(clock_, times);
  again.again = wrong;
  options.resume = true;
  const SessionResult resumed = run(options, again);
  ASSERT_TRUE(resumed.best);
  EXPECT_EQ(value_of(*resumed.best, "items"), 2);
  EXPECT_EQ(resumed.baseline->status, TrialStatus::out_of_bounds);
  EXPECT_EQ(resumed.resumed_from, 2u);
  EXPECT_TRUE(again.ran.empty());
  for (const auto& configuration : again.verified_again) EXPECT_EQ(value_of(configuration, "items"), 2);

  // Both wrong: the session ends without a winner.
  FakeEvaluation hopeless(clock_, times);
  hopeless.again = [](const Configuration&, const Configuration&) { return TrialStatus::wrong_result; };
  const SessionResult none = run({}, hopeless);
  EXPECT_FALSE(none.best);
  EXPECT_TRUE(none.finalists.empty());
  EXPECT_EQ(none.by_status[static_cast<std::size_t>(TrialStatus::wrong_result)], 2u);
  EXPECT_FALSE(make_profile(problem_, none, measure::CacheMode::cold));
}

// Where everything is wrong somewhere the session does not try a whole space for that.
TEST_F(SessionTest, ReplacingWhatFailsEndsAtSomeTime) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.again = [&](const Configuration&, const Configuration&) {
    clock_.advance(Nanoseconds(100e9));
    return TrialStatus::wrong_result;
  };
  SessionOptions options;
  options.racing = false;
  options.finalists = 1;
  const SessionResult result = run(options, evaluation);
  EXPECT_FALSE(result.best);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("gave up after 2 configurations failed the second verification")));
}

TEST_F(SessionTest, ASizeAtWhichTheReferenceFailsIsToldBeforeAnythingIsMeasured) {
  problem_.verify_sizes = {Configuration{{"n", std::int64_t{100}}}, Configuration{{"n", std::int64_t{7}}}};
  FakeEvaluation evaluation(clock_, model);
  evaluation.reference_failure = [](const Configuration& dimensions) -> std::optional<std::string> {
    if (dimensions.empty() || value_of(dimensions, "n") != 7) return std::nullopt;
    return "the reference kernel writes behind the end of 'y'";
  };
  try {
    run({}, evaluation);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_THAT(error.what(), HasSubstr("[verify] sizes: the reference fails at n=7"));
    EXPECT_THAT(error.what(), HasSubstr("writes behind the end of 'y'"));
  }
  EXPECT_TRUE(evaluation.ran.empty());

  // The same later, with fresh inputs: an error about the reference, and no configuration is blamed for it.
  problem_.verify_sizes.clear();
  FakeEvaluation late(clock_, model);
  late.reference_failure = [](const Configuration&) { return std::optional<std::string>("no memory"); };
  SessionOptions options;
  options.session_folder = folder_;
  try {
    run(options, late);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the reference fails with fresh inputs: no memory"));
  }
  for (const auto& trial : store::Journal::read(folder_).trials)
    EXPECT_EQ(trial.message.find("second verification"), std::string::npos);
}

// What was compiled in the search is not compiled again at its end, also where another size needs no binary of its own.
TEST_F(SessionTest, NothingIsCompiledTwice) {
  problem_.verify_sizes = {Configuration{{"n", std::int64_t{100}}}};
  FakeEvaluation evaluation(clock_, model);
  const SessionResult result = run({}, evaluation);
  EXPECT_TRUE(result.reverified);
  std::set<std::string> unique;
  for (const auto& configuration : evaluation.compiled)
    EXPECT_TRUE(unique.insert(configuration.describe()).second) << configuration.describe();
}

// Binaries that a session lacks, as after a resumption, are compiled with all compilers at once.
TEST_F(SessionTest, MissingBinariesAreCompiledTogether) {
  SessionOptions options;
  options.session_folder = folder_;
  run(options);
  FakeEvaluation evaluation(clock_, model);
  evaluation.compile_slots = 4;
  std::size_t most = 0;
  evaluation.on_wait = [&] { most = std::max(most, evaluation.compiling()); };
  options.resume = true;
  run(options, evaluation);
  EXPECT_EQ(most, 4u);
}

// Choosing and reporting are apart: a configuration that is lucky in the rounds that choose is not reported by them.
TEST_F(SessionTest, TheSpeedupIsOfRoundsThatChoseNothing) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.final_noise = [](const Configuration& configuration, int round) {
    return value_of(configuration, "block") == 64 && value_of(configuration, "items") == 3 && round < 25 ? 0.5 : 1.0;
  };
  const SessionResult result = run({}, evaluation);
  EXPECT_EQ(result.best_median, Nanoseconds(1000));
  EXPECT_NEAR(*result.speedup, 1.52, 0.001);
  ASSERT_TRUE(result.speedup_interval);
  EXPECT_NEAR(result.speedup_interval->low, 1.52, 0.001);
  EXPECT_EQ(result.speedup_interval->confidence, 0.95);
  const auto profile = make_profile(problem_, result, measure::CacheMode::cold);
  ASSERT_TRUE(profile && profile->paired_speedup);
  EXPECT_EQ(profile->paired_speedup->median, *result.speedup);
  EXPECT_EQ(profile->paired_speedup->interval.low, result.speedup_interval->low);
  EXPECT_EQ(profile->samples, 25);
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

TEST_F(SessionTest, RacingTellsRunsWhatToBeatAndKeepsTheBound) {
  FakeEvaluation evaluation(clock_, model);
  const SessionResult result = run({}, evaluation);
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
  const SessionResult result = run(options, evaluation);
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
  const SessionResult result = run({}, evaluation);
  for (const auto& incumbent : evaluation.incumbents) EXPECT_FALSE(incumbent.has_value());
  ASSERT_TRUE(result.best);
  EXPECT_EQ(value_of(*result.best, "items"), 3);
}

// Configurations of one true speed under noise that hits both alike: a tie, decided by the space's order. One that is 2
// % slower under the same noise is told apart.
TEST_F(SessionTest, PairedSamplesDecideTies) {
  const auto nearly_equal = [](const Configuration& configuration) {
    FakeOutcome outcome = model(configuration);
    if (outcome.status != TrialStatus::ok || outcome.compile_status != TrialStatus::ok) return outcome;
    const auto block = value_of(configuration, "block"), items = value_of(configuration, "items");
    if (items == 3) outcome.time_ns = block == 32 || block == 128 ? 1000 : 1020;
    return outcome;
  };
  FakeEvaluation evaluation(clock_, nearly_equal);
  evaluation.final_noise = [](const Configuration& configuration, int round) {
    const double clock = round % 2 == 0 ? 1.0 : 1.3;  // a clock that falls by a third every other round
    const double own = 1 + 0.002 * ((round * 7 + static_cast<int>(value_of(configuration, "block"))) % 5);
    return clock * own;
  };
  SessionOptions options;
  options.racing = false;
  const SessionResult result = run(options, evaluation);
  ASSERT_TRUE(result.best);
  EXPECT_EQ(value_of(*result.best, "block"), 32) << "first in the space's order";
  ASSERT_EQ(result.ties.size(), 2u);
  EXPECT_EQ(value_of(result.ties.at(0), "block"), 32);
  EXPECT_EQ(value_of(result.ties.at(1), "block"), 128);
  for (const auto& finalist : result.finalists) {
    if (value_of(finalist.configuration, "block") == 64 && value_of(finalist.configuration, "items") == 3) {
      EXPECT_NEAR(finalist.ratio.median, 1.02, 0.008);
      EXPECT_GT(finalist.ratio.interval.low, 1);
    }
  }
}

TEST_F(SessionTest, ATimeThatCannotBeNeverWins) {
  // 1200 bytes must cross a memory of 1 GB/s, and two configurations claim 1000 and 1100 ns.
  Argument buffer;
  buffer.name = "x";
  buffer.type = DataType::uint8;
  buffer.size = Expression::parse("1201");
  problem_.arguments = {buffer};
  problem_.metrics = {{"GB/s", Expression::parse("1200 / time_ns")}};
  FakeEvaluation evaluation(clock_, model);
  evaluation.info.device.kind = DeviceKind::gpu;
  evaluation.info.device.memory_clock_mhz = 1;
  evaluation.info.device.memory_bus_bits = 4000;
  evaluation.info.device.l2_cache = Bytes{1};
  SessionOptions options;
  options.racing = false;
  const SessionResult result = run(options, evaluation);
  ASSERT_TRUE(result.best);
  EXPECT_EQ(value_of(*result.best, "block"), 64);
  EXPECT_EQ(value_of(*result.best, "items"), 1) << "1200 ns, the fastest that can be";
  std::size_t impossible = 0;
  for (const Trial& trial : result.trials) {
    if (trial.conditions.impossible.empty()) continue;
    ++impossible;
    EXPECT_EQ(value_of(trial.configuration, "block"), 64);
    EXPECT_TRUE(trial.ok()) << "it is correct all the same";
  }
  EXPECT_EQ(impossible, 2u);
  for (const Finalist& finalist : result.finalists) EXPECT_GT(finalist.median.count(), 1140);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("2 configurations took less time than the device can")));
}

// At the power limit blocks of 64 are 40 % slower, so that 32 with items 3 wins: 1320 against 1400.
double hungry_blocks(const Configuration& configuration) { return value_of(configuration, "block") == 64 ? 1.4 : 1.0; }

TEST_F(SessionTest, AtThePowerLimitTheSettledClockDecides) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.sm_clock_mhz = 1980;
  evaluation.at_power_limit = hungry_blocks;
  const SessionResult result = run({}, evaluation);
  ASSERT_TRUE(result.best);
  EXPECT_TRUE(result.power_limited);
  EXPECT_EQ(result.clock, ClockState::sustained);
  EXPECT_EQ(value_of(*result.best, "block"), 32);
  EXPECT_EQ(value_of(*result.best, "items"), 3);
  EXPECT_NEAR(result.best_median.count(), 1320, 1);
  ASSERT_EQ(evaluation.sustained.size(), 1u);
  EXPECT_EQ(value_of(evaluation.sustained[0].front(), "block"), 64) << "the fastest in bursts is probed";
  EXPECT_TRUE(std::is_sorted(evaluation.estimates.begin(), evaluation.estimates.end()));
  // The baseline, block 32 and items 1, is not slowed down: 1520 by 1320.
  EXPECT_NEAR(result.speedup.value(), 1520.0 / 1320, 1e-6);
  bool seen = false;
  for (const Finalist& finalist : result.finalists) {
    ASSERT_TRUE(finalist.boost && finalist.sustained);
    EXPECT_EQ(finalist.median, *finalist.sustained);
    if (value_of(finalist.configuration, "block") != 64 || value_of(finalist.configuration, "items") != 3) continue;
    seen = true;
    EXPECT_NEAR(finalist.boost->count(), 1000, 1);
    EXPECT_NEAR(finalist.sustained->count(), 1400, 1);
    EXPECT_NEAR(finalist.ratio.median, 1400.0 / 1320, 1e-6);
  }
  EXPECT_TRUE(seen);
  const auto profile = make_profile(problem_, result, measure::CacheMode::cold);
  ASSERT_TRUE(profile);
  EXPECT_EQ(profile->details.at("clock"), "sustained");
  EXPECT_NEAR(profile->details.at("boost_ns").get<double>(), 1320, 1);
  EXPECT_NEAR(profile->details.at("sustained_ns").get<double>(), 1320, 1);
}

TEST_F(SessionTest, BoostTimesDecideWhereTheyAreAskedFor) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.sm_clock_mhz = 1980;
  evaluation.at_power_limit = hungry_blocks;
  SessionOptions options;
  options.clock = ClockState::boost;
  const SessionResult result = run(options, evaluation);
  EXPECT_TRUE(result.power_limited);
  EXPECT_EQ(result.clock, ClockState::boost);
  EXPECT_EQ(value_of(*result.best, "block"), 64);
  EXPECT_NEAR(result.best_median.count(), 1000, 2);
  const auto profile = make_profile(problem_, result, measure::CacheMode::cold);
  EXPECT_EQ(profile->details.at("clock"), "boost");
  EXPECT_NEAR(profile->details.at("sustained_ns").get<double>(), 1400, 2);
}

TEST_F(SessionTest, BelowThePowerLimitAndWithoutTelemetryNothingIsSustained) {
  FakeEvaluation unlimited(clock_, model);
  unlimited.sm_clock_mhz = 1980;
  const SessionResult result = run({}, unlimited);
  EXPECT_EQ(unlimited.sustained.size(), 1u);
  EXPECT_FALSE(result.power_limited);
  EXPECT_EQ(result.clock, ClockState::boost);
  EXPECT_FALSE(result.finalists.front().sustained);
  EXPECT_FALSE(make_profile(problem_, result, measure::CacheMode::cold)->details.contains("clock"));

  FakeEvaluation blind(clock_, model);
  blind.at_power_limit = hungry_blocks;
  EXPECT_FALSE(run({}, blind).power_limited);
  EXPECT_TRUE(blind.sustained.empty());
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
  const SessionResult result = run(options, evaluation);
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
