// Every strategy goes on from what is known: initial questions, answered at once, as a resumed session has them.
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <set>
#include <vector>

#include <warpwright/model/space.hpp>
#include <warpwright/search/search_algorithm.hpp>

namespace warpwright {
namespace {

std::unique_ptr<Space> grid() {
  std::vector<Parameter> parameters(3);
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    parameters[p].name = std::string(1, static_cast<char>('a' + p));
    for (std::int64_t value = 0; value < 8; ++value) parameters[p].values.emplace_back(value);
  }
  return build_space(parameters, {});
}

// Best at a = b = c = 5; every tenth configuration fails.
SearchOutcome outcome(const Space& space, std::uint64_t index) {
  if (index % 10 == 3) return {TrialStatus::wrong_result, std::nullopt, Nanoseconds(1e6)};
  double sum = 100;
  for (const std::uint32_t position : space.choice_at(index)) sum += std::abs(static_cast<double>(position) - 5);
  return {TrialStatus::ok, sum, Nanoseconds(1e6)};
}

class Initial : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<SearchAlgorithm> make(std::vector<std::uint64_t> initial) const {
    StrategySettings settings;
    settings.seed = 3;
    settings.budget.evaluations = space_->size();
    settings.initial = std::move(initial);
    return StrategyRegistry::with_defaults().create(GetParam(), *space_, settings);
  }
  std::vector<std::uint64_t> run(SearchAlgorithm& strategy, std::size_t count) const {
    std::vector<std::uint64_t> asked;
    while (asked.size() < count) {
      const auto next = strategy.ask(1);
      if (next.empty()) break;
      strategy.tell(next.front(), outcome(*space_, next.front()));
      asked.push_back(next.front());
    }
    return asked;
  }

  std::unique_ptr<Space> space_ = grid();
};

TEST_P(Initial, KnownOnesComeFirstAndTheRestOfTheSpaceOnce) {
  const std::vector<std::uint64_t> known = run(*make({}), 60);
  ASSERT_EQ(known.size(), 60u);
  const auto resumed = make(known);
  EXPECT_EQ(run(*resumed, known.size()), known);
  const std::vector<std::uint64_t> rest = run(*resumed, space_->size());
  std::set<std::uint64_t> all(known.begin(), known.end());
  all.insert(rest.begin(), rest.end());
  EXPECT_EQ(known.size() + rest.size(), space_->size()) << "nothing twice, nothing left out";
  EXPECT_EQ(all.size(), space_->size());
}

// More than the portfolio answers from memory in a row.
TEST_P(Initial, ManyKnownOnesLeaveTheQuestionsToTheStrategy) {
  std::vector<std::uint64_t> known(space_->size());
  std::iota(known.begin(), known.end(), std::uint64_t{0});
  std::erase_if(known, [](std::uint64_t index) { return index % 2 == 1; });
  const auto resumed = make(known);
  EXPECT_EQ(run(*resumed, known.size()), known);
  const std::vector<std::uint64_t> rest = run(*resumed, space_->size());
  EXPECT_EQ(rest.size(), space_->size() - known.size());
}

std::vector<std::string> strategy_names() {
  const StrategyRegistry registry = StrategyRegistry::with_defaults();
  std::vector<std::string> names;
  for (const auto& strategy : registry.list()) names.push_back(strategy.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Strategies, Initial, testing::ValuesIn(strategy_names()), [](const auto& param_info) {
  std::string name = param_info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

// Those that learn begin near the best of what is known, not somewhere.
TEST(InitialQuestions, AreWhereASearchBegins) {
  const auto space = grid();
  const auto best =
      space->index_of(Configuration{{"a", std::int64_t{5}}, {"b", std::int64_t{5}}, {"c", std::int64_t{4}}});
  ASSERT_TRUE(best);
  for (const char* name : {"annealing", "local-search", "tabu", "variable-neighbourhood"}) {
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      StrategySettings settings;
      settings.seed = seed;
      settings.budget.evaluations = 100;
      settings.initial = {0, *best, 3};
      const auto strategy = StrategyRegistry::with_defaults().create(name, *space, settings);
      for (int i = 0; i < 3; ++i) {
        const std::uint64_t index = strategy->ask(1).at(0);
        strategy->tell(index, outcome(*space, index));
      }
      const Choice from = space->choice_at(*best), to = space->choice_at(strategy->ask(1).at(0));
      int changed = 0;
      for (std::size_t p = 0; p < from.size(); ++p) changed += from[p] != to[p] ? 1 : 0;
      EXPECT_EQ(changed, 1) << name << ", seed " << seed;
    }
  }
}

}  // namespace
}  // namespace warpwright
