#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/search/scoring.hpp>
#include <warpwright/search/strategy_score.hpp>

namespace warpwright {
namespace {

using ::testing::HasSubstr;

// A space of `times` (ms), each costing `cost`; NaN stands for a failure.
RecordedSpace space_of(const std::vector<double>& times, Milliseconds cost = Milliseconds(1000)) {
  RecordedSpace space;
  space.kernel = "k";
  space.device = "d";
  Parameter parameter;
  parameter.name = "p";
  for (std::size_t i = 0; i < times.size(); ++i) {
    parameter.values.emplace_back(static_cast<std::int64_t>(i));
    RecordedTrial trial;
    trial.values = {static_cast<std::uint32_t>(i)};
    if (std::isnan(times[i]))
      trial.status = TrialStatus::launch_failed;
    else
      trial.objective = times[i];
    trial.costs.compile = cost;
    space.trials.push_back(trial);
  }
  space.parameters = {parameter};
  return space;
}

std::vector<double> ramp(std::size_t count) {
  std::vector<double> times;
  for (std::size_t i = 0; i < count; ++i) times.push_back(1 + static_cast<double>(i));
  return times;
}

TEST(DecreasingFit, PoolsWhatRises) {
  // By hand: 5, then 2 and 4 pooled to 3, then 1.
  const DecreasingFit fit({{0, 5}, {1, 2}, {2, 4}, {3, 1}});
  EXPECT_DOUBLE_EQ(fit(0), 5);
  EXPECT_DOUBLE_EQ(fit(1), 3);
  EXPECT_DOUBLE_EQ(fit(2), 3);
  EXPECT_DOUBLE_EQ(fit(3), 1);
  EXPECT_DOUBLE_EQ(fit(0.5), 4);
  EXPECT_DOUBLE_EQ(fit(-1), 5);
  EXPECT_DOUBLE_EQ(fit(9), 1);
}

TEST(DecreasingFit, AveragesEqualPositions) {
  const DecreasingFit fit({{1, 4}, {1, 8}, {0, 10}});
  EXPECT_DOUBLE_EQ(fit(1), 6);
}

TEST(DecreasingFit, NeverRises) {
  Rng rng(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<DecreasingFit::Point> points;
    for (int i = 0; i < 40; ++i) points.push_back({rng.uniform(), rng.uniform()});
    const DecreasingFit fit(points);
    for (double x = 0; x < 1; x += 0.01) ASSERT_GE(fit(x), fit(x + 0.01));
  }
}

TEST(Pchip, MatchesScipy) {
  // scipy.interpolate.PchipInterpolator([0, 1, 3, 4], [0, 2, 3, 3]) by the formulas: slopes 13/6, 12/15... by hand:
  // h = 1, 2, 1; d = 2, 0.5, 0; interior 1: w1 = 5, w2 = 4, 9 / (5/2 + 4/0.5) = 9/10.5; interior 2: 0 as d*d' <= 0.
  const Pchip curve({0, 1, 3, 4}, {0, 2, 3, 3});
  const double s0 = 2.5, s1 = 9 / 10.5;  // end: ((2+2)*2 - 1*0.5) / 3 = 2.5
  const auto first = [&](double t) {
    return (t * t * t - 2 * t * t + t) * s0 + (3 * t * t - 2 * t * t * t) * 2 + (t * t * t - t * t) * s1;
  };
  for (const double t : {0.0, 0.25, 0.5, 0.75, 1.0}) EXPECT_NEAR(curve(t), first(t), 1e-12);
  EXPECT_DOUBLE_EQ(curve(3), 3);
  EXPECT_DOUBLE_EQ(curve(3.5), 3);
}

TEST(Pchip, OneAndTwoPoints) {
  EXPECT_DOUBLE_EQ(Pchip({1}, {7})(100), 7);
  EXPECT_DOUBLE_EQ(Pchip({0, 2}, {0, 4})(1), 2);
}

TEST(SpaceScorer, TargetsByHand) {
  // 1..101: median 51, target at 95 % = 1 + 50 * 0.05 = 3.5, so 3 within; i = 98, k = ceil(98 / 4) = 25.
  const SpaceScorer scorer(space_of(ramp(101)));
  EXPECT_DOUBLE_EQ(scorer.optimum(), 1);
  EXPECT_DOUBLE_EQ(scorer.median(), 51);
  EXPECT_NEAR(scorer.stop().target, 3.5, 1e-12);
  EXPECT_EQ(scorer.count_within(3.5), 3u);
  EXPECT_EQ(scorer.stop().evaluations, 25u);
  EXPECT_DOUBLE_EQ(scorer.stop().time.count(), 25);
  EXPECT_EQ(scorer.evaluation_limit(), 28u);
  EXPECT_DOUBLE_EQ(scorer.time_limit().count(), 27.5);
}

TEST(SpaceScorer, FailuresCostTime) {
  std::vector<double> times = ramp(100);
  for (int i = 0; i < 25; ++i) times.push_back(std::nan(""));
  const SpaceScorer scorer(space_of(times));
  EXPECT_EQ(scorer.valid(), 100u);
  EXPECT_DOUBLE_EQ(scorer.cost_of_valid().count(), 1 + 0.2);
}

TEST(SpaceScorer, OptimumScoresOneAndBaselineZero) {
  const SpaceScorer scorer(space_of(ramp(500)));
  const std::vector<double> optimum(scorer.grid().size(), scorer.optimum());
  for (const double p : scorer.performance(optimum)) ASSERT_EQ(p, 1);
  for (const double p : scorer.performance(scorer.baseline())) ASSERT_EQ(p, 0);
}

TEST(SpaceScorer, TinySpacesStayFinite) {
  const SpaceScorer scorer(space_of(ramp(5)));
  for (const double value : {1.0, 2.0, 5.0}) {
    const auto performance = scorer.performance(std::vector<double>(scorer.grid().size(), value));
    for (const double p : performance) ASSERT_TRUE(std::isfinite(p));
    if (value > 1) continue;
    EXPECT_EQ(mean_of(performance), 1);
  }
}

TEST(SpaceScorer, MaximisedObjectivesCount) {
  RecordedSpace space = space_of(ramp(101));
  space.minimise = false;
  EXPECT_DOUBLE_EQ(SpaceScorer(space).optimum(), -101);
}

TEST(SpaceScorer, RefusesWhatCannotBeScored) {
  const auto message = [](const RecordedSpace& space) -> std::string {
    try {
      SpaceScorer scorer(space);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(message(space_of({1, 2})), HasSubstr("at least 3 valid results"));
  EXPECT_THAT(message(space_of({4, 4, 4, 4})), HasSubstr("that differ"));
  EXPECT_THAT(message(space_of(ramp(10), Milliseconds(0))), HasSubstr("holds no costs"));
}

TEST(SpaceScorer, CurveOfRunsThatJumpTogether) {
  const SpaceScorer scorer(space_of(ramp(101)));
  warpwright::Run run;
  for (int t = 1; t <= 27; ++t) run.push_back({Seconds(t), true, t < 10 ? 51.0 : 1.0});
  const std::vector<warpwright::Run> runs(5, run);
  const auto curve = scorer.plain_curve(runs);
  EXPECT_DOUBLE_EQ(curve.front(), 51);
  EXPECT_DOUBLE_EQ(curve.back(), 1);
  EXPECT_EQ(scorer.curve(runs, 1), scorer.curve(runs, 1));
  EXPECT_DOUBLE_EQ(scorer.curve(runs, 1).back(), 1);
}

TEST(SpaceScorer, EndedRunsAreFrozen) {
  const SpaceScorer scorer(space_of(ramp(101)));
  // Two runs end early with rank 40, one goes on to the optimum: after the median end nothing improves.
  const warpwright::Run early = {{Seconds(2), true, 60}, {Seconds(4), true, 41}};
  warpwright::Run late = {{Seconds(2), true, 60}};
  for (int t = 3; t <= 27; ++t) late.push_back({Seconds(t), true, t < 20 ? 41.0 : 1.0});
  const auto curve = scorer.plain_curve(std::vector<warpwright::Run>{early, early, late});
  EXPECT_GT(curve.back(), 30);
}

TEST(SpaceScorer, RunsNeedTwoPointsInTheMargin) {
  const SpaceScorer scorer(space_of(ramp(101)));
  EXPECT_FALSE(scorer.usable({}));
  EXPECT_FALSE(scorer.usable({{Seconds(3), true, 5}}));
  EXPECT_FALSE(scorer.usable({{Seconds(3), false, 0}, {Seconds(4), true, 5}}));
  EXPECT_TRUE(scorer.usable({{Seconds(3), true, 5}, {Seconds(4), true, 5}}));
  EXPECT_THROW(scorer.plain_curve(std::vector<warpwright::Run>{{}}), Error);
}

TEST(StrategyScore, ExhaustiveInOrderFindsTheFirst) {
  const Replay replay(std::make_shared<RecordedSpace>(space_of(ramp(300))));
  const SpaceScorer scorer(replay.recorded());
  ScoringOptions options;
  options.repeats = 5;
  const auto best = score_strategy(
      replay, scorer, [](const Space& s, const StrategySettings& settings) { return make_exhaustive(s, settings); },
      options);
  EXPECT_DOUBLE_EQ(best.score, 1);
  EXPECT_DOUBLE_EQ(best.found_target, 1);
  for (const double score : best.run_scores) EXPECT_DOUBLE_EQ(score, 1);
}

TEST(StrategyScore, RandomIsNearTheBaseline) {
  std::vector<double> times = ramp(2000);
  Rng rng(1);
  for (double& time : times) time = std::exp(3 * rng.uniform());
  const Replay replay(std::make_shared<RecordedSpace>(space_of(times)));
  const SpaceScorer scorer(replay.recorded());
  ScoringOptions options;
  options.repeats = 200;
  const auto random = score_strategy(
      replay, scorer, [](const Space& s, const StrategySettings& settings) { return make_random(s, settings); },
      options);
  EXPECT_NEAR(random.score, 0, 0.2);
  EXPECT_EQ(random.run_scores.size(), 200u);
}

TEST(StrategyScore, PairedDifferenceByHand) {
  const auto difference = paired_difference({2, 4, 6}, {1, 2, 3});
  EXPECT_DOUBLE_EQ(difference.mean, 2);
  EXPECT_NEAR(difference.high - difference.mean, 4.302652729911275 / std::sqrt(3.0), 1e-9);  // t(0.975, 2) * s / sqrt n
  EXPECT_FALSE(difference.significant());
  EXPECT_THROW(paired_difference({1}, {1, 2}), Error);
}

}  // namespace
}  // namespace warpwright
