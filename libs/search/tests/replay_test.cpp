#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/search/replay.hpp>

namespace warpwright {
namespace {

std::shared_ptr<RecordedSpace> small_space() {
  auto space = std::make_shared<RecordedSpace>();
  space->kernel = "k";
  space->device = "d";
  Parameter a, b;
  a.name = "a";
  a.values = {std::int64_t{1}, std::int64_t{2}, std::int64_t{4}};
  b.name = "b";
  b.values = {std::string("x"), std::string("y")};
  b.ordered = false;
  space->parameters = {a, b};
  // File order is not canonical order; (4, x) is not there.
  const auto add = [&](std::uint32_t i, std::uint32_t j, std::optional<double> time, double cost) {
    RecordedTrial trial;
    trial.values = {i, j};
    trial.objective = time;
    if (!time) trial.status = TrialStatus::compile_failed;
    trial.costs.compile = Milliseconds(cost);
    trial.costs.benchmark = Milliseconds(1);
    space->trials.push_back(trial);
  };
  add(2, 1, 5, 99);
  add(0, 0, 3, 199);
  add(0, 1, std::nullopt, 299);
  add(1, 1, 2, 399);
  add(1, 0, 4, 499);
  return space;
}

TEST(ListedSpace, CanonicalOrderBothWays) {
  const Replay replay(small_space());
  const Space& space = replay.space();
  ASSERT_EQ(space.size(), 5u);
  EXPECT_EQ(space.at(0).describe(), "a=1, b='x'");
  EXPECT_EQ(space.at(4).describe(), "a=4, b='y'");
  for (std::uint64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(space.index_of(space.at(i)), i);
    EXPECT_EQ(space.find_choice(space.choice_at(i)), i);
  }
  EXPECT_FALSE(space.contains(Configuration{{"a", std::int64_t{4}}, {"b", std::string("x")}}));
  EXPECT_FALSE(space.contains(Configuration{{"a", std::int64_t{3}}, {"b", std::string("x")}}));
  EXPECT_FALSE(space.contains(Configuration{{"a", std::int64_t{1}}}));
  EXPECT_THROW(space.at(5), Error);
}

TEST(ListedSpace, RefusesBadRows) {
  const auto parameters = small_space()->parameters;
  EXPECT_THROW(ListedSpace(parameters, {}), Error);
  EXPECT_THROW(ListedSpace(parameters, {{0}}), Error);
  EXPECT_THROW(ListedSpace(parameters, {{0, 2}}), Error);
  EXPECT_THROW(ListedSpace(parameters, {{0, 1}, {0, 1}}), Error);
}

TEST(ReplayTest, OutcomesAndCostsAreTheRecorded) {
  const Replay replay(small_space());
  EXPECT_EQ(replay.name(), "k/d");
  EXPECT_EQ(replay.outcome(1).status, TrialStatus::compile_failed);
  EXPECT_FALSE(replay.outcome(1).objective);
  EXPECT_EQ(replay.outcome(2).objective, 4);
  EXPECT_DOUBLE_EQ(Seconds(replay.outcome(2).cost).count(), 0.5);
}

TEST(ReplayTest, BudgetOfEvaluationsIsUniqueEvaluations) {
  const Replay space(small_space());
  StrategySettings settings;
  settings.seed = 4;
  for (const std::uint64_t budget : {1u, 3u, 5u, 100u}) {
    const auto strategy = make_random(space.space(), settings);
    ReplayOptions options;
    options.budget.evaluations = budget;
    const auto result = replay(space, *strategy, options);
    EXPECT_EQ(result.steps.size(), std::min<std::uint64_t>(budget, 5));
  }
}

TEST(ReplayTest, BudgetsHoldForEveryStrategyAndAreNeverCutShort) {
  RecordedSpace recorded;
  recorded.kernel = "k";
  Parameter a, b;
  a.name = "a";
  b.name = "b";
  for (std::int64_t v = 0; v < 20; ++v) {
    a.values.emplace_back(v);
    b.values.emplace_back(v);
  }
  recorded.parameters = {a, b};
  for (std::uint32_t i = 0; i < 20; ++i) {
    for (std::uint32_t j = 0; j < 20; ++j) {
      RecordedTrial trial;
      trial.values = {i, j};
      trial.objective = 1.0 + i + j;
      trial.costs.benchmark = Milliseconds(125);  // sums exactly
      recorded.trials.push_back(trial);
    }
  }
  const Replay space(std::make_shared<RecordedSpace>(recorded));
  const auto registry = StrategyRegistry::with_defaults();
  for (const auto& info : registry.list()) {
    for (const std::uint64_t evaluations : {15u, 150u}) {
      ReplayOptions options;
      options.budget.evaluations = evaluations;
      StrategySettings settings;
      settings.budget = options.budget;
      const auto result = replay(space, *registry.create(info.name, space.space(), settings), options);
      EXPECT_EQ(result.steps.size(), evaluations) << info.name << ": unique evaluations, as replay() checks";
      ReplayOptions timed;
      timed.budget.cost = Seconds(0.125 * static_cast<double>(evaluations));
      settings.budget = timed.budget;
      EXPECT_EQ(replay(space, *registry.create(info.name, space.space(), settings), timed).steps.size(), evaluations)
          << info.name;
    }
  }
}

TEST(ListedSpace, NearestIsThatOfEverySpace) {
  const Replay replay(small_space());
  const Space& space = replay.space();
  for (std::uint32_t i = 0; i < 3; ++i)
    for (std::uint32_t j = 0; j < 2; ++j)
      EXPECT_EQ(space.nearest(Choice{i, j}), space.Space::nearest(Choice{i, j})) << i << ", " << j;

  // A thin random part of a larger space, so that most points are far from every row.
  Rng rng(8);
  std::vector<Parameter> parameters(4);
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    parameters[p].name = std::string(1, static_cast<char>('a' + p));
    for (std::int64_t v = 0; v < 9; ++v) parameters[p].values.emplace_back(v);
    parameters[p].ordered = p != 2;
  }
  std::set<std::vector<std::uint32_t>> rows;
  while (rows.size() < 150) {
    std::vector<std::uint32_t> row;
    for (int p = 0; p < 4; ++p) row.push_back(static_cast<std::uint32_t>(rng.below(9)));
    rows.insert(row);
  }
  const ListedSpace thin(parameters, {rows.begin(), rows.end()});
  for (int i = 0; i < 500; ++i) {
    Choice choice;
    for (int p = 0; p < 4; ++p) choice.push_back(static_cast<std::uint32_t>(rng.below(9)));
    ASSERT_EQ(thin.nearest(choice), thin.Space::nearest(choice));
  }
}

TEST(ReplayTest, BudgetOfTimeStopsAfterTheStepThatCrossesIt) {
  const Replay space(small_space());
  const auto strategy = make_exhaustive(space.space());
  ReplayOptions options;
  options.budget.cost = Seconds(0.4);  // 0.2, 0.3 (fails), ...
  const auto result = replay(space, *strategy, options);
  ASSERT_EQ(result.steps.size(), 2u);
  const warpwright::Run run = result.run(space, false);
  EXPECT_DOUBLE_EQ(run.back().elapsed.count(), 0.5);
  EXPECT_DOUBLE_EQ(run.back().best, 3);
}

class AsksTwice final : public SearchAlgorithm {
 public:
  std::vector<std::uint64_t> ask(std::size_t) override { return {question}; }
  void tell(std::uint64_t, const SearchOutcome&) override {}
  std::uint64_t question = 0;
};

TEST(ReplayTest, QuestionsAskedTwiceOrOutsideAreErrors) {
  const Replay space(small_space());
  AsksTwice strategy;
  EXPECT_THROW(replay(space, strategy, {}), Error);
  strategy.question = 5;
  EXPECT_THROW(replay(space, strategy, {}), Error);
}

TEST(ReplayTest, EndsWithTheStrategy) {
  const Replay space(small_space());
  class Silent final : public SearchAlgorithm {
    std::vector<std::uint64_t> ask(std::size_t) override { return {}; }
    void tell(std::uint64_t, const SearchOutcome&) override {}
  } strategy;
  EXPECT_TRUE(replay(space, strategy, {}).ended);
}

}  // namespace
}  // namespace warpwright
