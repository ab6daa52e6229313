// What a session knows after some trials, without a session.
#include "../src/session_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "session_fixture.hpp"

namespace warpwright::tuning {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SessionLogTest : public SessionTest {
 protected:
  static Trial trial(std::uint64_t ordinal, double time, TrialStatus status = TrialStatus::ok) {
    Trial trial;
    trial.ordinal = ordinal;
    trial.status = status;
    if (status != TrialStatus::ok && status != TrialStatus::censored) return trial;
    trial.samples.assign(5, Nanoseconds(time));
    trial.median = Nanoseconds(time);
    if (status == TrialStatus::censored) trial.bound = Nanoseconds(time);
    return trial;
  }

  SessionOptions options_;
  Evaluator evaluator_{problem_, options_.timing};
};

TEST_F(SessionLogTest, TheBestCorrectTrialIsWhatOthersRaceAgainst) {
  SessionLog log(*space_, options_, evaluator_, clock_.now());
  EXPECT_FALSE(log.incumbent());
  EXPECT_EQ(log.run_deadline().count(), 0);
  log.add(trial(0, 2000), clock_.now());
  log.add(trial(1, 10, TrialStatus::wrong_result), clock_.now());
  log.add(trial(2, 20, TrialStatus::censored), clock_.now());
  ASSERT_TRUE(log.incumbent());
  EXPECT_EQ(log.incumbent()->median.count(), 2000);
  Trial impossible = trial(3, 1);
  impossible.conditions.impossible = "faster than light";
  log.add(impossible, clock_.now());
  EXPECT_EQ(log.incumbent()->median.count(), 2000);
  Trial better = trial(4, 1000);
  better.times.copy = Nanoseconds(1e6);
  better.times.verify = Nanoseconds(2e6);
  log.add(better, clock_.now());
  EXPECT_EQ(log.incumbent()->median.count(), 1000);
  EXPECT_EQ(log.run_deadline(), Nanoseconds(3e9 + 10 * 3e6 + 600 * 1000));
  EXPECT_EQ(log.record().by_status[static_cast<std::size_t>(TrialStatus::ok)], 3u);
  EXPECT_EQ(log.record().trials.size(), 5u);
}

TEST_F(SessionLogTest, WhatAStrategyHears) {
  SessionLog log(*space_, options_, evaluator_, clock_.now());
  EXPECT_EQ(log.outcome_of(trial(0, 7)).objective, 7);
  EXPECT_EQ(log.outcome_of(trial(0, 7, TrialStatus::censored)).objective, 7) << "a lower bound";
  EXPECT_FALSE(log.outcome_of(trial(0, 7, TrialStatus::crashed)).objective);
  Trial impossible = trial(0, 1);
  impossible.conditions.impossible = "faster than light";
  EXPECT_EQ(log.outcome_of(impossible).status, TrialStatus::wrong_result);
  EXPECT_FALSE(log.outcome_of(impossible).objective);
  Trial dear = trial(0, 1);
  dear.times.compile_wall = Nanoseconds(1);
  dear.times.compile_cpu = Nanoseconds(1000);
  dear.times.copy = Nanoseconds(20);
  dear.times.verify = Nanoseconds(300);
  dear.times.measure = Nanoseconds(4000);
  EXPECT_EQ(log.outcome_of(dear).cost.count(), 4321) << "what overlaps others is not charged";
}

TEST_F(SessionLogTest, ProgressEstimatesWhatIsLeft) {
  std::vector<std::optional<Nanoseconds>> remaining;
  options_.progress = [&](const Progress& progress) { remaining.push_back(progress.remaining); };
  options_.max_evaluations = 10;
  SessionLog log(*space_, options_, evaluator_, clock_.now());
  log.keep(trial(0, 2000), clock_.now());
  log.begin_search(clock_.now());
  clock_.advance(Nanoseconds(500));
  log.add(trial(1, 1500), clock_.now());
  clock_.advance(Nanoseconds(500));
  log.add(trial(2, 1500), clock_.now());
  ASSERT_EQ(remaining.size(), 3u);
  EXPECT_FALSE(remaining[0]) << "kept ones took no time";
  EXPECT_EQ(remaining[1], Nanoseconds(500 * 8));
  EXPECT_EQ(remaining[2], Nanoseconds(500 * 7));
  EXPECT_FALSE(log.record().trials[0].since_start);
  EXPECT_EQ(log.record().trials[2].since_start, Nanoseconds(1000));
}

TEST_F(SessionLogTest, WarnsOfWhatTheTrialsSayAboutTheDevice) {
  SessionLog log(*space_, options_, evaluator_, clock_.now());
  log.add(trial(0, 2000), clock_.now());
  log.warn_of_conditions();
  EXPECT_THAT(log.record().warnings, IsEmpty());
  Trial odd = trial(1, 1000);
  odd.conditions.drift = -0.06;
  odd.conditions.throttling = {"power cap", "heat"};
  odd.conditions.marks = {std::string(measure::marks::launch_bound)};
  log.add(odd, clock_.now());
  odd.conditions.impossible = "faster than light";
  log.add(odd, clock_.now());
  log.warn_of_conditions();
  EXPECT_THAT(log.record().warnings, Contains(HasSubstr("1 configuration took less time")));
  EXPECT_THAT(log.record().warnings, Contains(HasSubstr("2 configurations are bounded by the host")));
  EXPECT_THAT(log.record().warnings, Contains(HasSubstr("by up to -6.0 %")));
  EXPECT_THAT(log.record().warnings, Contains(HasSubstr("2 of 3 configurations: power cap, heat")));
}

TEST_F(SessionLogTest, ClosingPutsTheTrialsInOrder) {
  SessionLog log(*space_, options_, evaluator_, clock_.now());
  for (const std::uint64_t ordinal : {2u, 0u, 1u}) log.add(trial(ordinal, 1000), clock_.now());
  log.close();
  EXPECT_EQ(log.record().evaluations, 3u);
  for (std::uint64_t i = 0; i < 3; ++i) EXPECT_EQ(log.record().trials[i].ordinal, i);
  EXPECT_FALSE(log.record().finished_at.empty());
}

}  // namespace
}  // namespace warpwright::tuning
