// Sessions that go on: what was kept counts, stays a candidate and keeps its ordinal, whatever the strategy asks now.
#include <algorithm>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>

#include <warpwright/base/error.hpp>
#include <warpwright/tuning/session.hpp>

#include "fake_evaluation.hpp"

namespace warpwright::tuning {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Problem problem_of_48() {
  Problem problem;
  problem.name = "fake";
  problem.source.dialect = SourceText{"fake.kernel", "kernel"};
  problem.dimensions.set("n", std::int64_t{1024});
  for (const auto& [name, count] : {std::pair("a", 4), std::pair("b", 4), std::pair("c", 3)}) {
    Parameter parameter;
    parameter.name = name;
    for (std::int64_t value = 0; value < count; ++value) parameter.values.emplace_back(value);
    problem.parameters.push_back(std::move(parameter));
  }
  Launch launch;
  launch.entry = "fake";
  launch.block = {Expression::parse("32")};
  launch.grid = {Expression::parse("n")};
  problem.launches = {launch};
  return problem;
}

class SessionResume : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    folder_ = std::filesystem::temp_directory_path() / ("warpwright-resume-" + name);
    std::filesystem::remove_all(folder_);
    options_.session_folder = folder_;
    options_.strategy_settings.seed = 3;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // No two runs measure the same times, so a strategy that learns asks otherwise each time.
  SessionRecord run() {
    ++run_;
    FakeEvaluation evaluation(clock_, [this](const Configuration& configuration) {
      FakeOutcome outcome;
      double sum = 1000;
      for (const auto& [name, value] : configuration)
        sum += 100 * std::abs(static_cast<double>((std::get<std::int64_t>(value) + run_) % 4) - 2);
      outcome.time_ns = sum;
      return outcome;
    });
    evaluation.compile_slots = 3;
    evaluation.info.compiler = compiler_;
    evaluation.info.device.driver = driver_;
    SessionRecord result = run_session(problem_, *space_, registry_, evaluation, clock_, options_);
    ran_ = evaluation.ran;
    return result;
  }
  SessionRecord resume(std::uint64_t budget) {
    options_.resume = true;
    options_.max_evaluations = budget;
    return run();
  }
  std::string refusal() {
    try {
      resume(20);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::conflict);
      return error.what();
    }
    ADD_FAILURE() << "it was continued";
    return {};
  }

  Problem problem_ = problem_of_48();
  std::unique_ptr<Space> space_ = problem_.build_space();
  StrategyRegistry registry_ = StrategyRegistry::with_defaults();
  ManualClock clock_;
  std::filesystem::path folder_;
  SessionOptions options_;
  std::string compiler_ = "fake 1.0", driver_ = "driver 1";
  std::vector<Configuration> ran_;
  std::int64_t run_ = 0;
};

TEST_F(SessionResume, EveryStrategyKeepsWhatWasMeasured) {
  for (const StrategyInfo& strategy : registry_.list()) {
    SCOPED_TRACE(strategy.name);
    std::filesystem::remove_all(folder_);
    options_.strategy = strategy.name;
    options_.resume = false;
    options_.max_evaluations = 12;
    std::map<std::string, Trial> kept;
    for (const Trial& trial : run().trials) kept.emplace(trial.configuration.describe(), trial);
    ASSERT_EQ(kept.size(), 12u);
    for (const std::uint64_t budget : {20u, 30u, 8u, 100u}) {
      const SessionRecord result = resume(budget);
      EXPECT_EQ(result.strategy, strategy.name);
      EXPECT_EQ(result.resumed_from, kept.size());
      EXPECT_EQ(result.evaluations, std::min(space_->size(), std::max<std::uint64_t>(budget, kept.size())));
      std::set<std::string> configurations;
      std::set<std::uint64_t> ordinals;
      for (const Trial& trial : result.trials) {
        EXPECT_TRUE(configurations.insert(trial.configuration.describe()).second) << "counts twice";
        EXPECT_TRUE(ordinals.insert(trial.ordinal).second) << "ordinal " << trial.ordinal << " twice";
        const auto before = kept.find(trial.configuration.describe());
        if (before == kept.end()) continue;
        EXPECT_EQ(trial.ordinal, before->second.ordinal);
        EXPECT_EQ(trial.samples, before->second.samples);
      }
      for (const auto& [configuration, trial] : kept) EXPECT_TRUE(configurations.contains(configuration)) << "lost";
      std::size_t again = 0;
      for (const Configuration& configuration : ran_) again += kept.contains(configuration.describe()) ? 1 : 0;
      EXPECT_LE(again, 1u) << "only the second verification of the winner";
      EXPECT_EQ(store::Journal::read(folder_).trials.size(), result.trials.size()) << "recorded once each";
      for (const Trial& trial : result.trials) kept.emplace(trial.configuration.describe(), trial);
    }
    EXPECT_EQ(kept.size(), space_->size());
  }
}

TEST_F(SessionResume, TheStrategyOfTheSessionStaysWhateverTheBudgetIs) {
  options_.max_evaluations = 5;
  EXPECT_EQ(run().strategy, "auto");
  const SessionRecord result = resume(1000);
  EXPECT_EQ(result.strategy, "auto");
  EXPECT_EQ(result.stop_reason, "space exhausted");
  EXPECT_EQ(result.evaluations, space_->size());
  options_.strategy = "random";
  EXPECT_THAT(refusal(), HasSubstr("strategy (session: auto; now: random)"));
}

TEST_F(SessionResume, NewTrialsTakeTheOrdinalsThatAreFree) {
  options_.strategy = "random";
  options_.max_evaluations = 6;
  const SessionRecord whole = run();
  // As if it had been killed while the trials 2 and 4 were under way.
  std::filesystem::path file = folder_ / store::Journal::file_name;
  std::filesystem::rename(file, folder_ / "whole");
  std::filesystem::create_directory(folder_ / "copy");
  std::filesystem::rename(folder_ / "whole", folder_ / "copy" / store::Journal::file_name);
  const store::JournalContents contents = store::Journal::read(folder_ / "copy");
  {
    store::Journal journal = store::Journal::create(folder_, contents.header);
    for (const Trial& trial : contents.trials)
      if (trial.ordinal != 2 && trial.ordinal != 4) journal.append(trial);
  }
  const SessionRecord result = resume(8);
  EXPECT_EQ(result.resumed_from, 4u);
  ASSERT_EQ(result.trials.size(), 8u);
  for (std::size_t i = 0; i < result.trials.size(); ++i) {
    EXPECT_EQ(result.trials[i].ordinal, i);
    if (i < whole.trials.size()) {
      EXPECT_EQ(result.trials[i].configuration, whole.trials[i].configuration) << "as if nothing had happened";
    }
  }
}

TEST_F(SessionResume, AJournalWithTrialsAndOrdinalsTwiceIsReadAsOne) {
  options_.strategy = "random";
  options_.max_evaluations = 6;
  const SessionRecord first = run();
  const store::JournalContents contents = store::Journal::read(folder_);
  {
    store::Journal journal = store::Journal::resume(folder_, contents.header).first;
    Trial again = first.trials[1];
    again.ordinal = 5;
    again.samples.assign(5, Nanoseconds(77));
    journal.append(again);
    Trial another = first.trials[0];
    another.ordinal = 3;
    another.configuration = space_->at(0);
    for (std::uint64_t index = 0; std::any_of(first.trials.begin(), first.trials.end(), [&](const Trial& trial) {
           return trial.configuration == another.configuration;
         });)
      another.configuration = space_->at(++index);
    journal.append(another);
  }
  const SessionRecord result = resume(9);
  EXPECT_EQ(result.resumed_from, 7u);
  ASSERT_EQ(result.trials.size(), 9u);
  std::set<std::uint64_t> ordinals;
  for (const Trial& trial : result.trials) EXPECT_TRUE(ordinals.insert(trial.ordinal).second);
  EXPECT_EQ(result.trials[1].configuration, first.trials[1].configuration);
  EXPECT_THAT(result.trials[1].samples, Contains(Nanoseconds(77))) << "the last record of a configuration counts";
  EXPECT_EQ(result.trials[3].configuration, first.trials[3].configuration) << "the first with an ordinal keeps it";
}

TEST_F(SessionResume, WhatMadeTheTimesBelongsToTheSession) {
  options_.max_evaluations = 5;
  run();
  options_.timing.cache = measure::CacheMode::warm;
  EXPECT_THAT(refusal(), HasSubstr("cache mode (session: 'cold'; now: 'warm')"));
  options_.timing.cache = measure::CacheMode::cold;
  compiler_ = "fake 2.0";
  EXPECT_THAT(refusal(), HasSubstr("compiler (session: 'fake 1.0'; now: 'fake 2.0')"));
  compiler_ = "fake 1.0";
  problem_.source.dialect->text = "another kernel";
  EXPECT_THAT(refusal(), AllOf(HasSubstr("the source changed"), Not(HasSubstr("dimension"))));
  problem_.source.dialect->text = "kernel";
  problem_.dimensions.set("n", std::int64_t{1000});
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("problem dimension 'n' (session: 1024; now: 1000)"), Not(HasSubstr("source"))));
  problem_.dimensions.set("n", std::int64_t{1024});

  driver_ = "driver 2";
  options_.timing.min_samples = 7;
  const SessionRecord result = resume(8);
  EXPECT_EQ(result.evaluations, 8u);
  EXPECT_THAT(result.warnings, AllOf(Contains(HasSubstr("another driver (session: 'driver 1'; now: 'driver 2')")),
                                     Contains(HasSubstr("another min_samples (session: 5; now: 7)"))));
}

// The evaluations are those of the whole session, the time limit is one of each run.
TEST_F(SessionResume, WhatWasSpentBeforeIsNoPartOfTheTimeOfThisRun) {
  std::vector<StrategySettings> seen;
  registry_.add({"probe", "", {}, true}, [&](const Space& space, const StrategySettings& settings) {
    seen.push_back(settings);
    return make_random(space, settings);
  });
  options_.strategy = "probe";
  options_.max_evaluations = 5;
  options_.time_limit = Nanoseconds(1e12);
  const SessionRecord first = run();
  Nanoseconds spent{};
  for (const Trial& trial : first.trials)
    spent += trial.times.compile_wall + trial.times.copy + trial.times.verify + trial.times.measure;
  EXPECT_GT(spent.count(), 0);
  resume(8);
  EXPECT_EQ(seen.back().budget.evaluations, 8u);
  EXPECT_NEAR(seen.back().budget.cost->count(), 1e12 + spent.count(), 1);
  EXPECT_EQ(seen.back().initial.size(), 5u);
}

}  // namespace
}  // namespace warpwright::tuning
