// The end of a session: the second verification, ties, the speedup, the clock that decides, and the winner.
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include <warpwright/base/error.hpp>
#include <warpwright/store/json.hpp>

#include "session_fixture.hpp"

namespace warpwright::tuning {
namespace {

store::Json details_of(const std::optional<store::TuningProfile>& profile) {
  return store::parse(profile.value().details, "the profile's details");
}

using ::testing::Contains;
using ::testing::HasSubstr;

class SessionFinalComparison : public SessionTest {};

TEST_F(SessionFinalComparison, WhatFailsOnFreshInputsNeverWins) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.again = [](const Configuration& configuration, const Configuration& dimensions) {
    return value_of(configuration, "items") == 3 && dimensions.empty() ? TrialStatus::timed_out : TrialStatus::ok;
  };
  SessionOptions options;
  options.session_folder = folder_;
  options.racing = false;
  const SessionRecord result = run(options, evaluation);
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
TEST_F(SessionFinalComparison, ABaselineThatIsWrongAtAnotherSizeNeverWinsAndTheSessionEnds) {
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
  const SessionRecord result = run(options, evaluation);
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
  const SessionRecord resumed = run(options, again);
  ASSERT_TRUE(resumed.best);
  EXPECT_EQ(value_of(*resumed.best, "items"), 2);
  EXPECT_EQ(resumed.baseline->status, TrialStatus::out_of_bounds);
  EXPECT_EQ(resumed.resumed_from, 2u);
  EXPECT_TRUE(again.ran.empty());
  for (const auto& configuration : again.verified_again) EXPECT_EQ(value_of(configuration, "items"), 2);

  // Both wrong: the session ends without a winner.
  FakeEvaluation hopeless(clock_, times);
  hopeless.again = [](const Configuration&, const Configuration&) { return TrialStatus::wrong_result; };
  const SessionRecord none = run({}, hopeless);
  EXPECT_FALSE(none.best);
  EXPECT_TRUE(none.finalists.empty());
  EXPECT_EQ(none.by_status[static_cast<std::size_t>(TrialStatus::wrong_result)], 2u);
  EXPECT_FALSE(make_profile(problem_, none, measure::CacheMode::cold));
}

// Where everything is wrong somewhere the session does not try a whole space for that.
TEST_F(SessionFinalComparison, ReplacingWhatFailsEndsAtSomeTime) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.again = [&](const Configuration&, const Configuration&) {
    clock_.advance(Nanoseconds(100e9));
    return TrialStatus::wrong_result;
  };
  SessionOptions options;
  options.racing = false;
  options.finalists = 1;
  const SessionRecord result = run(options, evaluation);
  EXPECT_FALSE(result.best);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("gave up after 2 configurations failed the second verification")));
}

TEST_F(SessionFinalComparison, ASizeAtWhichTheReferenceFailsIsToldBeforeAnythingIsMeasured) {
  problem_.verify_sizes = {Configuration{{"n", std::int64_t{100}}}, Configuration{{"n", std::int64_t{7}}}};
  problem_.verify_positions = {{"fake.toml", 20, 10, "verify.sizes[0]"}, {"fake.toml", 21, 10, "verify.sizes[1]"}};
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
    EXPECT_THAT(error.what(), HasSubstr("fake.toml:21:10: key 'verify.sizes[1]': the reference fails at n=7"));
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
TEST_F(SessionFinalComparison, NothingIsCompiledTwice) {
  problem_.verify_sizes = {Configuration{{"n", std::int64_t{100}}}};
  FakeEvaluation evaluation(clock_, model);
  const SessionRecord result = run({}, evaluation);
  EXPECT_TRUE(result.reverified);
  std::set<std::string> unique;
  for (const auto& configuration : evaluation.compiled)
    EXPECT_TRUE(unique.insert(configuration.describe()).second) << configuration.describe();
}

// Binaries that a session lacks, as after a resumption, are compiled with all compilers at once.
TEST_F(SessionFinalComparison, MissingBinariesAreCompiledTogether) {
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
TEST_F(SessionFinalComparison, TheSpeedupIsOfRoundsThatChoseNothing) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.final_noise = [](const Configuration& configuration, int round) {
    return value_of(configuration, "block") == 64 && value_of(configuration, "items") == 3 && round < 25 ? 0.5 : 1.0;
  };
  const SessionRecord result = run({}, evaluation);
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

TEST_F(SessionFinalComparison, FailingBaselineIsSaidAndGivesNoSpeedup) {
  problem_.baseline = Configuration{{"block", std::int64_t{32}}, {"items", std::int64_t{4}}};
  const SessionRecord result = run({});
  EXPECT_FALSE(result.speedup);
  EXPECT_THAT(result.warnings, Contains(HasSubstr("the baseline")));
  EXPECT_TRUE(result.best);
}

TEST_F(SessionFinalComparison, NothingCorrectGivesNoWinner) {
  FakeEvaluation evaluation(clock_, [](const Configuration&) {
    FakeOutcome outcome;
    outcome.status = TrialStatus::not_finite;
    return outcome;
  });
  const SessionRecord result = run({}, evaluation);
  EXPECT_FALSE(result.best);
  EXPECT_FALSE(make_profile(problem_, result, measure::CacheMode::cold));
}

TEST_F(SessionFinalComparison, MaximisedMetricDecides) {
  problem_.metrics = {{"slowness", Expression::parse("time_ns / items")}};
  problem_.objective = {"slowness", false};
  const SessionRecord result = run({});
  ASSERT_TRUE(result.best);
  EXPECT_EQ(value_of(*result.best, "items"), 1);
  EXPECT_EQ(value_of(*result.best, "block"), 128);
}

// Configurations of one true speed under noise that hits both alike: a tie, decided by the space's order. One that is 2
// % slower under the same noise is told apart.
TEST_F(SessionFinalComparison, PairedSamplesDecideTies) {
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
  const SessionRecord result = run(options, evaluation);
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

TEST_F(SessionFinalComparison, ATimeThatCannotBeNeverWins) {
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
  const SessionRecord result = run(options, evaluation);
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

TEST_F(SessionFinalComparison, AtThePowerLimitTheSettledClockDecides) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.sm_clock_mhz = 1980;
  evaluation.at_power_limit = hungry_blocks;
  const SessionRecord result = run({}, evaluation);
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
  EXPECT_EQ(details_of(profile).at("clock"), "sustained");
  EXPECT_NEAR(details_of(profile).at("boost_ns").get<double>(), 1320, 1);
  EXPECT_NEAR(details_of(profile).at("sustained_ns").get<double>(), 1320, 1);
}

TEST_F(SessionFinalComparison, BoostTimesDecideWhereTheyAreAskedFor) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.sm_clock_mhz = 1980;
  evaluation.at_power_limit = hungry_blocks;
  SessionOptions options;
  options.clock = ClockState::boost;
  const SessionRecord result = run(options, evaluation);
  EXPECT_TRUE(result.power_limited);
  EXPECT_EQ(result.clock, ClockState::boost);
  EXPECT_EQ(value_of(*result.best, "block"), 64);
  EXPECT_NEAR(result.best_median.count(), 1000, 2);
  const auto profile = make_profile(problem_, result, measure::CacheMode::cold);
  EXPECT_EQ(details_of(profile).at("clock"), "boost");
  EXPECT_NEAR(details_of(profile).at("sustained_ns").get<double>(), 1400, 2);
}

TEST_F(SessionFinalComparison, BelowThePowerLimitAndWithoutTelemetryNothingIsSustained) {
  FakeEvaluation unlimited(clock_, model);
  unlimited.sm_clock_mhz = 1980;
  const SessionRecord result = run({}, unlimited);
  EXPECT_EQ(unlimited.sustained.size(), 1u);
  EXPECT_FALSE(result.power_limited);
  EXPECT_EQ(result.clock, ClockState::boost);
  EXPECT_FALSE(result.finalists.front().sustained);
  EXPECT_FALSE(details_of(make_profile(problem_, result, measure::CacheMode::cold)).contains("clock"));

  FakeEvaluation blind(clock_, model);
  blind.at_power_limit = hungry_blocks;
  EXPECT_FALSE(run({}, blind).power_limited);
  EXPECT_TRUE(blind.sustained.empty());
}

}  // namespace
}  // namespace warpwright::tuning
