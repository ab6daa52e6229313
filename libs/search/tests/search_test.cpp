#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <set>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/search/search_algorithm.hpp>

#include "error_of.hpp"

namespace warpwright {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A space that is only as large as it says: strategies see nothing but indices.
class CountedSpace final : public Space {
 public:
  explicit CountedSpace(std::uint64_t size) : size_(size) {}
  std::uint64_t size() const override { return size_; }
  Configuration at(std::uint64_t index) const override {
    return Configuration{{"i", static_cast<std::int64_t>(index)}};
  }
  std::optional<std::uint64_t> index_of(const Configuration& configuration) const override {
    return static_cast<std::uint64_t>(*as_integer(configuration.at("i")));
  }
  const std::vector<Parameter>& parameters() const override { return parameters_; }
  const std::vector<Constraint>& constraints() const override { return constraints_; }

 private:
  std::uint64_t size_;
  std::vector<Parameter> parameters_;
  std::vector<Constraint> constraints_;
};

// Asks in batches of the given sizes, over and over, until the strategy ends; tells every outcome.
std::vector<std::uint64_t> run(SearchAlgorithm& strategy, const std::vector<std::size_t>& batches,
                               std::size_t limit = 100000) {
  std::vector<std::uint64_t> asked;
  for (std::size_t turn = 0; asked.size() < limit; ++turn) {
    const std::size_t batch = batches[turn % batches.size()];
    const auto questions = strategy.ask(batch);
    EXPECT_LE(questions.size(), batch);
    if (questions.empty() && batch > 0) break;
    for (auto it = questions.rbegin(); it != questions.rend(); ++it) {
      strategy.tell(*it, SearchOutcome{*it % 3 == 0 ? TrialStatus::compile_failed : TrialStatus::ok,
                                       1.0 * static_cast<double>(*it), Nanoseconds(5)});
    }
    asked.insert(asked.end(), questions.begin(), questions.end());
  }
  EXPECT_TRUE(strategy.ask(10).empty() || asked.size() >= limit) << "an ended strategy stays ended";
  return asked;
}

StrategySettings seeded(std::uint64_t seed, std::vector<std::uint64_t> initial = {}) {
  StrategySettings settings;
  settings.seed = seed;
  settings.initial = std::move(initial);
  return settings;
}

TEST(Exhaustive, AsksEverythingInOrder) {
  const CountedSpace space(5);
  EXPECT_THAT(run(*make_exhaustive(space), {2}), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(run(*make_exhaustive(space), {100}), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_TRUE(make_exhaustive(space)->ask(0).empty());
  EXPECT_THAT(run(*make_exhaustive(CountedSpace(1)), {1}), ElementsAre(0));
}

TEST(Exhaustive, InitialOnesComeFirstAndOnce) {
  const CountedSpace space(5);
  EXPECT_THAT(run(*make_exhaustive(space, seeded(0, {3, 1, 3, 77})), {2}), ElementsAre(3, 1, 0, 2, 4))
      << "repetitions and indices outside the space are dropped";
}

TEST(Random, InitialOnesComeFirstAndOnce) {
  const CountedSpace space(50);
  const auto asked = run(*make_random(space, seeded(7, {49, 0, 49, 1000})), {3});
  ASSERT_EQ(asked.size(), 50u);
  EXPECT_EQ(asked[0], 49u);
  EXPECT_EQ(asked[1], 0u);
  EXPECT_EQ(std::set<std::uint64_t>(asked.begin(), asked.end()).size(), 50u);
}

TEST(Random, SequenceIsFixedOnEveryPlatform) {
  // The shuffle written down in full: swap position k with a random one from k on.
  const CountedSpace space(100);
  const auto asked = run(*make_random(space, seeded(42)), {7});
  std::vector<std::uint64_t> items(100);
  std::iota(items.begin(), items.end(), 0u);
  Rng rng(42);
  for (std::size_t k = 0; k < items.size(); ++k) std::swap(items[k], items[k + rng.below(items.size() - k)]);
  EXPECT_EQ(asked, items);
}

TEST(Random, WideSpacesReachBeyond32Bits) {
  const CountedSpace space(std::uint64_t{1} << 36);  // 16^9
  const auto strategy = make_random(space, seeded(1));
  const auto asked = strategy->ask(15);
  EXPECT_EQ(std::set<std::uint64_t>(asked.begin(), asked.end()).size(), 15u) << "15 questions are 15 configurations";
  EXPECT_TRUE(std::any_of(asked.begin(), asked.end(), [](auto i) { return i > std::uint64_t{1} << 32; }));
  std::uint64_t largest = 0, smallest = space.size();
  for (const auto index : strategy->ask(20000)) {
    largest = std::max(largest, index);
    smallest = std::min(smallest, index);
  }
  EXPECT_GT(largest, space.size() / 1000 * 999);
  EXPECT_LT(smallest, space.size() / 1000);
}

TEST(Random, FirstQuestionIsUniform) {
  const CountedSpace space(10);
  std::vector<int> first(10), second(10);
  constexpr int runs = 20000;
  for (std::uint64_t seed = 0; seed < runs; ++seed) {
    const auto asked = make_random(space, seeded(seed))->ask(2);
    ++first[asked[0]];
    ++second[asked[1]];
  }
  for (const auto& counts : {first, second}) {
    double chi_square = 0;
    for (const int count : counts) chi_square += (count - runs / 10.0) * (count - runs / 10.0) / (runs / 10.0);
    EXPECT_LT(chi_square, 33.7);  // 99.99 % quantile with 9 degrees of freedom
  }
}

RC_GTEST_PROP(RandomProperty, AsksEveryIndexExactlyOnceWhateverTheBatches, ()) {
  const CountedSpace space(*rc::gen::inRange<std::uint64_t>(1, 300));
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  const auto initial = *rc::gen::container<std::vector<std::uint64_t>>(rc::gen::inRange<std::uint64_t>(0, 400));
  const auto batches =
      *rc::gen::nonEmpty(rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 40)));
  auto asked = run(*make_random(space, seeded(seed, initial)), batches);
  RC_ASSERT(asked == run(*make_random(space, seeded(seed, initial)), {1}));
  std::sort(asked.begin(), asked.end());
  RC_ASSERT(asked.size() == space.size());
  for (std::uint64_t i = 0; i < asked.size(); ++i) RC_ASSERT(asked[i] == i);
  auto exhaustive = run(*make_exhaustive(space, seeded(seed, initial)), batches);
  std::sort(exhaustive.begin(), exhaustive.end());
  RC_ASSERT(exhaustive == asked);
}

RC_GTEST_PROP(RandomProperty, SeedsDecideTheOrder, ()) {
  const CountedSpace space(*rc::gen::inRange<std::uint64_t>(100, 1'000'000'000'000));
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  const auto other = *rc::gen::distinctFrom(seed);
  const auto asked = make_random(space, seeded(seed))->ask(50);
  RC_ASSERT(asked == make_random(space, seeded(seed))->ask(50));
  RC_ASSERT(asked != make_random(space, seeded(other))->ask(50));
}

// ---- the registry
// -------------------------------------------------------------------------------------------------------

std::string refusal(const StrategyRegistry& registry, const std::string& name, const StrategySettings& settings) {
  const CountedSpace space(3);
  return message_of(ErrorCode::bad_input, [&] { registry.create(name, space, settings); });
}

TEST(StrategyRegistry, ListsTheDefaults) {
  std::vector<std::string> names;
  const auto registry = StrategyRegistry::with_defaults();
  for (const auto& info : registry.list()) {
    names.push_back(info.name);
    EXPECT_FALSE(info.description.empty());
    for (const auto& option : info.options) EXPECT_FALSE(option.description.empty()) << info.name << "." << option.name;
  }
  EXPECT_THAT(names, ElementsAre("exhaustive", "random", "auto", "bayesian", "local-search", "annealing", "tabu",
                                 "genetic", "differential-evolution", "particle-swarm", "quasi-random",
                                 "variable-neighbourhood", "forest", "portfolio"));
}

// 3 x 4 x 2 with a constraint: 18 configurations.
std::unique_ptr<Space> small_space() {
  Parameter a, b, c;
  a.name = "a";
  a.values = {std::int64_t{1}, std::int64_t{2}, std::int64_t{4}};
  b.name = "b";
  b.values = {std::int64_t{1}, std::int64_t{2}, std::int64_t{4}, std::int64_t{8}};
  c.name = "c";
  c.values = {std::string("x"), std::string("y")};
  return build_space({a, b, c}, {Constraint::parse("a * b <= 8")});
}

TEST(Strategies, EveryOneAsksTheWholeSpaceOnceInBatchesOfAnySize) {
  const auto registry = StrategyRegistry::with_defaults();
  const auto space = small_space();
  ASSERT_EQ(space->size(), 18u);
  for (const auto& info : registry.list()) {
    for (const std::size_t batch : {1u, 4u, 8u, 64u}) {
      const auto asked = run(*registry.create(info.name, *space, seeded(3, {5})), {batch});
      EXPECT_EQ(asked.size(), 18u) << info.name << " in batches of " << batch;
      EXPECT_EQ(std::set<std::uint64_t>(asked.begin(), asked.end()).size(), 18u) << info.name;
      EXPECT_EQ(asked.front(), 5u) << info.name;
      EXPECT_EQ(asked, run(*registry.create(info.name, *space, seeded(3, {5})), {batch})) << info.name;
    }
    const auto asked = run(*registry.create(info.name, *space, seeded(3, {5})), {4});
    if (info.uses_seed) {
      EXPECT_NE(asked, run(*registry.create(info.name, *space, seeded(4, {5})), {4})) << info.name;
    }
  }
}

TEST(Strategies, OptionsMayBeGivenAtTheirDefaults) {
  const auto registry = StrategyRegistry::with_defaults();
  const auto space = small_space();
  for (const auto& info : registry.list()) {
    StrategySettings settings = seeded(3);
    for (const auto& option : info.options) settings.options[option.name] = option.default_value;
    EXPECT_EQ(run(*registry.create(info.name, *space, settings), {1}),
              run(*registry.create(info.name, *space, seeded(3)), {1}))
        << info.name << ": the documented defaults are not those in force";
  }
}

TEST(Strategies, OneConfigurationAndNothingButFailures) {
  const auto registry = StrategyRegistry::with_defaults();
  Parameter only;
  only.name = "a";
  only.values = {std::int64_t{1}};
  const auto tiny = build_space({only}, {});
  const auto space = small_space();
  for (const auto& info : registry.list()) {
    EXPECT_EQ(run(*registry.create(info.name, *tiny, seeded(1)), {8}), std::vector<std::uint64_t>{0}) << info.name;
    const auto strategy = registry.create(info.name, *space, seeded(1));
    std::set<std::uint64_t> asked;
    for (auto batch = strategy->ask(2); !batch.empty(); batch = strategy->ask(2)) {
      for (const auto index : batch) {
        EXPECT_TRUE(asked.insert(index).second) << info.name;
        strategy->tell(index, {TrialStatus::launch_failed, std::nullopt, Nanoseconds(1)});
      }
    }
    EXPECT_EQ(asked.size(), 18u) << info.name;
  }
}

TEST(Strategies, ObjectivesOfAnySignAndNotFiniteOnes) {
  const auto registry = StrategyRegistry::with_defaults();
  const auto space = small_space();
  for (const auto& info : registry.list()) {
    for (const double shift : {-100.0, -4.0, 0.0}) {
      const auto strategy = registry.create(info.name, *space, seeded(1));
      std::size_t asked = 0;
      for (auto batch = strategy->ask(1); !batch.empty(); batch = strategy->ask(1), ++asked) {
        const double value = batch[0] == 7 ? std::nan("") : static_cast<double>(batch[0]) + shift;
        strategy->tell(batch[0], {TrialStatus::ok, value, Nanoseconds(0)});
      }
      EXPECT_EQ(asked, 18u) << info.name;
    }
  }
}

// A bowl with its bottom at the place `low` of each parameter.
TEST(Strategies, AllButTheBlindOnesBeatRandomOnABowl) {
  const auto registry = StrategyRegistry::with_defaults();
  std::vector<Parameter> parameters;
  for (const char* name : {"a", "b", "c", "d"}) {
    Parameter parameter;
    parameter.name = name;
    for (std::int64_t v = 0; v < 7; ++v) parameter.values.emplace_back(v);
    parameters.push_back(parameter);
  }
  const auto space = build_space(parameters, {});
  const auto best_after = [&](const std::string& name, std::uint64_t seed) {
    StrategySettings settings = seeded(seed);
    settings.budget.evaluations = 80;
    const auto strategy = registry.create(name, *space, settings);
    double best = 1e300;
    for (int i = 0; i < 80; ++i) {
      const auto asked = strategy->ask(1);
      if (asked.empty()) break;
      double value = 1;
      for (const std::uint32_t place : space->choice_at(asked[0])) value += (place - 5.0) * (place - 5.0);
      strategy->tell(asked[0], {TrialStatus::ok, value, Nanoseconds(1)});
      best = std::min(best, value);
    }
    return best;
  };
  const auto mean_of_seeds = [&](const std::string& name) {
    double sum = 0;
    for (std::uint64_t seed = 0; seed < 8; ++seed) sum += best_after(name, seed);
    return sum / 8;
  };
  const double random = mean_of_seeds("random");
  for (const auto& info : registry.list()) {
    if (info.name == "random" || info.name == "exhaustive" || info.name == "quasi-random") continue;
    EXPECT_LT(mean_of_seeds(info.name), random) << info.name;
  }
  EXPECT_EQ(mean_of_seeds("auto"), 1) << "80 evaluations of 2401 are plenty on a bowl";
}

TEST(Strategies, SpacesBeyondThePoolAreSearchedToo) {
  const auto registry = StrategyRegistry::with_defaults();
  std::vector<Parameter> parameters;
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) {
    Parameter parameter;
    parameter.name = name;
    for (std::int64_t v = 0; v < 32; ++v) parameter.values.emplace_back(v);
    parameters.push_back(parameter);
  }
  const auto space = build_space(parameters, {});  // 2^30
  const auto strategy = registry.create("auto", *space, seeded(2));
  double best = 1e300;
  for (int i = 0; i < 60; ++i) {
    for (const auto index : strategy->ask(3)) {
      double value = 1;
      for (const std::uint32_t place : space->choice_at(index)) value += (place - 20.0) * (place - 20.0);
      strategy->tell(index, {TrialStatus::ok, value, Nanoseconds(1)});
      best = std::min(best, value);
    }
  }
  EXPECT_LT(best, 150);  // a random configuration has 760 on average
}

// A valley in `count` parameters of `values` values each; the outcome of a configuration is the same whoever asks.
std::unique_ptr<Space> wide_space(std::size_t count, std::int64_t values) {
  std::vector<Parameter> parameters(count);
  for (std::size_t p = 0; p < count; ++p) {
    parameters[p].name = std::string(1, static_cast<char>('a' + p));
    for (std::int64_t v = 0; v < values; ++v) parameters[p].values.emplace_back(v);
  }
  return build_space(parameters, {});
}

SearchOutcome valley(const Space& space, std::uint64_t index) {
  double value = 1;
  for (const std::uint32_t place : space.choice_at(index)) value += (place - 3.0) * (place - 3.0);
  if (index % 11 == 0) return {TrialStatus::wrong_result, std::nullopt, Nanoseconds(10)};
  return {TrialStatus::ok, value, Nanoseconds(10)};
}

enum class Answers { forwards, backwards };

std::vector<std::uint64_t> questions_in(const Space& space, SearchAlgorithm& strategy, std::size_t batch,
                                        std::size_t limit, Answers answers) {
  std::vector<std::uint64_t> asked;
  while (asked.size() < limit) {
    auto questions = strategy.ask(batch);
    if (questions.empty()) break;
    asked.insert(asked.end(), questions.begin(), questions.end());
    if (answers == Answers::backwards) std::reverse(questions.begin(), questions.end());
    for (const auto index : questions) strategy.tell(index, valley(space, index));
  }
  return asked;
}

TEST(Strategies, TheOrderOfAnswersWithinABatchDoesNotMatter) {
  const auto registry = StrategyRegistry::with_defaults();
  const auto space = wide_space(4, 6);
  for (const auto& info : registry.list()) {
    for (const std::size_t batch : {1u, 8u, 64u}) {
      const auto forwards =
          questions_in(*space, *registry.create(info.name, *space, seeded(5)), batch, 256, Answers::forwards);
      EXPECT_EQ(forwards,
                questions_in(*space, *registry.create(info.name, *space, seeded(5)), batch, 256, Answers::backwards))
          << info.name << " in batches of " << batch;
      EXPECT_EQ(std::set<std::uint64_t>(forwards.begin(), forwards.end()).size(), forwards.size()) << info.name;
    }
  }
}

TEST(Strategies, SpacesOfOneToThreeConfigurations) {
  const auto registry = StrategyRegistry::with_defaults();
  for (const std::int64_t size : {1, 2, 3}) {
    const auto space = wide_space(1, size);
    for (const auto& info : registry.list()) {
      for (const std::size_t batch : {1u, 2u, 64u}) {
        auto asked = questions_in(*space, *registry.create(info.name, *space, seeded(2)), batch, 10, Answers::forwards);
        std::sort(asked.begin(), asked.end());
        std::vector<std::uint64_t> all(static_cast<std::size_t>(size));
        std::iota(all.begin(), all.end(), std::uint64_t{0});
        EXPECT_EQ(asked, all) << info.name << " in batches of " << batch;
      }
    }
  }
}

// Counts what a strategy looks at.
class WatchedSpace final : public Space {
 public:
  explicit WatchedSpace(const Space& space) : space_(space) {}
  std::uint64_t size() const override { return space_.size(); }
  Configuration at(std::uint64_t index) const override { return space_.at(index); }
  std::optional<std::uint64_t> index_of(const Configuration& configuration) const override {
    return space_.index_of(configuration);
  }
  const std::vector<Parameter>& parameters() const override { return space_.parameters(); }
  const std::vector<Constraint>& constraints() const override { return space_.constraints(); }
  void read_choice(std::uint64_t index, std::span<std::uint32_t> choice) const override {
    ++reads_;
    space_.read_choice(index, choice);
  }
  std::vector<std::uint64_t> neighbours(std::uint64_t index, Neighbourhood kind) const override {
    return space_.neighbours(index, kind);
  }
  std::size_t reads() const { return reads_; }

 private:
  const Space& space_;
  mutable std::size_t reads_ = 0;
};

// Places within its batch, from the third batch on, of the questions for which a model of a large space was made anew.
std::vector<std::size_t> places_of_fits(std::size_t batch, std::size_t asked_at_once) {
  constexpr std::size_t reads_of_a_fit = 4000;
  const auto whole = wide_space(6, 16);
  const WatchedSpace space(*whole);
  const auto strategy = make_bayesian(space, seeded(5));
  std::vector<std::size_t> places;
  for (std::size_t begun = 0; begun < 160; begun += batch) {
    std::vector<std::uint64_t> questions;
    while (questions.size() < batch) {
      const std::size_t before = space.reads();
      const auto asked = strategy->ask(asked_at_once);
      if (space.reads() - before > reads_of_a_fit && begun >= 2 * batch) places.push_back(questions.size());
      questions.insert(questions.end(), asked.begin(), asked.end());
    }
    for (const auto index : questions) strategy->tell(index, valley(*whole, index));
  }
  return places;
}

TEST(Bayesian, WhereAnswersComeTogetherTheModelIsMadeAnewBesideTheFirstQuestions) {
  using ::testing::Each;
  using ::testing::SizeIs;
  EXPECT_THAT(places_of_fits(8, 1), AllOf(SizeIs(::testing::Ge(3u)), Each(2u)));
  EXPECT_THAT(places_of_fits(8, 8), AllOf(SizeIs(::testing::Ge(3u)), Each(0u))) << "there is one place for it";
  EXPECT_THAT(places_of_fits(1, 1), AllOf(SizeIs(::testing::Ge(3u)), Each(0u)));
  EXPECT_THAT(places_of_fits(2, 1), SizeIs(::testing::Ge(3u))) << "a small batch does not put it off for ever";
}

TEST(Strategies, SpacesOfATrillionConfigurations) {
  const auto registry = StrategyRegistry::with_defaults();
  const auto space = wide_space(8, 32);  // 2^40
  for (const auto& info : registry.list()) {
    const auto asked = questions_in(*space, *registry.create(info.name, *space, seeded(9)), 8, 64, Answers::forwards);
    EXPECT_EQ(std::set<std::uint64_t>(asked.begin(), asked.end()).size(), asked.size()) << info.name;
    EXPECT_GE(asked.size(), 64u) << info.name;
    if (info.uses_seed) {
      EXPECT_TRUE(std::any_of(asked.begin(), asked.end(), [](auto i) { return i > std::uint64_t{1} << 31; }))
          << info.name;
    }
  }
}

TEST(Strategies, NewStartsComeFromTheBestResults) {
  // A search that kept its worst as its elite would stay as far from the best as random search.
  const auto space = wide_space(5, 8);
  const auto mean_value = [&](const char* name) {
    const auto strategy = StrategyRegistry::with_defaults().create(name, *space, seeded(4));
    const auto asked = questions_in(*space, *strategy, 1, 400, Answers::forwards);
    double sum = 0;
    for (std::size_t i = 200; i < 400; ++i) sum += valley(*space, asked[i]).objective.value_or(60);
    return sum / 200;
  };
  const double random = mean_value("random");
  for (const char* name : {"variable-neighbourhood", "genetic", "forest"})
    EXPECT_LT(mean_value(name), 0.6 * random) << name;
}

TEST(QuasiRandom, CoversEveryValueEvenly) {
  const auto space = wide_space(3, 8);
  const auto strategy = make_quasi_random(*space, seeded(1));
  std::vector<std::vector<int>> counts(3, std::vector<int>(8));
  for (const auto index : strategy->ask(64)) {
    const Choice choice = space->choice_at(index);
    for (std::size_t p = 0; p < 3; ++p) ++counts[p][choice[p]];
    strategy->tell(index, valley(*space, index));
  }
  for (const auto& parameter : counts)
    for (const int count : parameter) {
      EXPECT_GE(count, 4)
          << "8 are exactly even; a random sample of 64 has 3 or fewer of some value more often than not";
      EXPECT_LE(count, 12);
    }
}

TEST(PortfolioTest, OptionsAreChecked) {
  const auto registry = StrategyRegistry::with_defaults();
  StrategySettings settings;
  settings.options["strategies"] = std::string("random,portfolio");
  EXPECT_THAT(refusal(registry, "portfolio", settings), HasSubstr("cannot hold a portfolio"));
  settings.options["strategies"] = std::string("genetik");
  EXPECT_THAT(refusal(registry, "portfolio", settings), HasSubstr("did you mean 'genetic'?"));
  settings.options["strategies"] = std::string("exhaustive,random");
  const auto space = small_space();
  EXPECT_EQ(run(*registry.create("portfolio", *space, settings), {3}).size(), 18u);
}

TEST(StrategyRegistry, UnknownStrategyIsExplained) {
  const auto registry = StrategyRegistry::with_defaults();
  EXPECT_THAT(refusal(registry, "randon", {}),
              AllOf(HasSubstr("'randon'"), HasSubstr("did you mean 'random'?"), HasSubstr("exhaustive, random")));
  EXPECT_THAT(refusal(registry, "grid", {}), HasSubstr("known are exhaustive, random"));
}

TEST(StrategyRegistry, OptionsOutsideTheirRangeAreRefused) {
  const StrategyRegistry registry = StrategyRegistry::with_defaults();
  const auto space = small_space();
  for (const StrategyInfo& info : registry.list()) {
    for (const StrategyOption& option : info.options) {
      if (!std::holds_alternative<std::int64_t>(option.default_value) &&
          !std::holds_alternative<double>(option.default_value))
        continue;
      EXPECT_GE(as_number(option.default_value).value(), option.minimum) << info.name << "." << option.name;
      EXPECT_LE(as_number(option.default_value).value(), option.maximum) << info.name << "." << option.name;
      StrategySettings settings;
      settings.options[option.name] = std::int64_t{-1};
      try {
        registry.create(info.name, *space, settings);
        ADD_FAILURE() << info.name << "." << option.name;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::bad_input);
        EXPECT_THAT(error.what(), testing::HasSubstr("option '" + option.name + "' of strategy '" + info.name + "'"));
      }
    }
  }
  StrategySettings settings;
  settings.options["population"] = std::int64_t{0};
  try {
    registry.create("genetic", *space, settings);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "option 'population' of strategy 'genetic' must be at least 2 (default 20), found 0");
  }
  settings.options["population"] = std::int64_t{2};
  EXPECT_NO_THROW(registry.create("genetic", *space, settings));
  settings.options = {{"mutation", 1.5}};
  EXPECT_THROW(registry.create("genetic", *space, settings), Error);
}

TEST(StrategyRegistry, OptionsAreChecked) {
  auto registry = StrategyRegistry::with_defaults();
  StrategySettings settings;
  settings.options["population"] = std::int64_t{10};
  EXPECT_THAT(refusal(registry, "random", settings),
              AllOf(HasSubstr("'population'"), HasSubstr("'random'"), HasSubstr("none")));

  registry.add({"swarm", "for this test", {{"population", "size", std::int64_t{20}}, {"inertia", "w", 0.7}}, true},
               [](const Space& space, const StrategySettings& s) { return make_random(space, s); });
  const CountedSpace space(3);
  EXPECT_NE(registry.create("swarm", space, settings), nullptr);
  settings.options["inertia"] = std::int64_t{1};
  EXPECT_NE(registry.create("swarm", space, settings), nullptr) << "an integer is a number";
  settings.options["populatoin"] = std::int64_t{1};
  EXPECT_THAT(refusal(registry, "swarm", settings),
              AllOf(HasSubstr("did you mean 'population'?"), HasSubstr("population, inertia")));
  settings.options.erase("populatoin");
  settings.options["population"] = 2.5;
  EXPECT_THAT(refusal(registry, "swarm", settings), AllOf(HasSubstr("an integer"), HasSubstr("20"), HasSubstr("2.5")));
  settings.options["population"] = std::string("many");
  EXPECT_THAT(refusal(registry, "swarm", settings), HasSubstr("'many'"));
}

TEST(StrategyRegistry, NamesAreTakenOnce) {
  auto registry = StrategyRegistry::with_defaults();
  try {
    registry.add({"random", "another", {}, false}, &make_exhaustive);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::conflict);
    EXPECT_THAT(error.what(), HasSubstr("'random'"));
  }
}

}  // namespace
}  // namespace warpwright
