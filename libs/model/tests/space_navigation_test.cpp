// Neighbourhoods, repair, sampling: hand-made answers here; random spaces against scans in the property tests.
#include <algorithm>
#include <array>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include <warpwright/model/sampling.hpp>
#include <warpwright/model/space.hpp>

namespace warpwright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Parameter parameter(std::string name, std::vector<Value> values) {
  Parameter result;
  result.name = std::move(name);
  result.values = std::move(values);
  return result;
}

Value integer(std::int64_t i) { return i; }

Parameter numbers(std::string name, std::int64_t first, std::int64_t last) {
  std::vector<Value> values;
  for (auto v = first; v <= last; ++v) values.emplace_back(v);
  return parameter(std::move(name), std::move(values));
}

std::unique_ptr<Space> build(std::vector<Parameter> parameters, const std::vector<std::string>& constraints) {
  std::vector<Constraint> parsed;
  for (const auto& text : constraints) parsed.push_back(Constraint::parse(text));
  return build_space(std::move(parameters), std::move(parsed));
}

std::vector<std::string> describe(const Space& space, const std::vector<std::uint64_t>& indices) {
  std::vector<std::string> texts;
  for (const auto index : indices) texts.push_back(space.at(index).describe());
  return texts;
}

// a and b from 1 to 6 with an even sum, c a string: the lines along a and b have gaps.
std::unique_ptr<Space> checkerboard() {
  return build(
      {numbers("a", 1, 6), numbers("b", 1, 6), parameter("c", {std::string("x"), std::string("y"), std::string("z")})},
      {"(a + b) % 2 == 0", "a != 5"});
}

std::uint64_t index_of(const Space& space, std::int64_t a, std::int64_t b, const std::string& c) {
  return space.index_of(Configuration{{"a", a}, {"b", b}, {"c", c}}).value();
}

TEST(Neighbours, OfEachKind) {
  const auto space = checkerboard();
  const auto index = index_of(*space, 3, 3, "x");
  EXPECT_THAT(
      describe(*space, space->neighbours(index, Neighbourhood::hamming)),
      ElementsAre("a=1, b=3, c='x'", "a=3, b=1, c='x'", "a=3, b=3, c='y'", "a=3, b=3, c='z'", "a=3, b=5, c='x'"));
  const auto corner = index_of(*space, 1, 1, "x");
  EXPECT_THAT(describe(*space, space->neighbours(corner, Neighbourhood::hamming_adjacent)),
              ElementsAre("a=1, b=1, c='y'", "a=1, b=1, c='z'", "a=1, b=3, c='x'", "a=3, b=1, c='x'"));
  EXPECT_EQ(space->neighbours(corner, Neighbourhood::strictly_adjacent).size(), 2u * 3 - 1) << "itself, and a=2, b=2";
  // a=5 does not occur, so the next value above 4 is 6.
  const auto inner = index_of(*space, 4, 2, "y");
  const auto adjacent = describe(*space, space->neighbours(inner, Neighbourhood::adjacent));
  EXPECT_THAT(adjacent, ::testing::Contains("a=6, b=2, c='y'"));
  EXPECT_THAT(adjacent, ::testing::Contains("a=3, b=3, c='z'"));
  EXPECT_THAT(adjacent, ::testing::Not(::testing::Contains("a=1, b=1, c='y'")));
  EXPECT_THAT(describe(*space, space->neighbours(corner, Neighbourhood::closest)),
              ElementsAre("a=1, b=1, c='y'", "a=1, b=1, c='z'"));
  EXPECT_THROW(space->neighbours(space->size(), Neighbourhood::hamming), Error);
}

TEST(Neighbours, NamesGoBothWays) {
  for (const auto kind : {Neighbourhood::hamming, Neighbourhood::hamming_adjacent, Neighbourhood::strictly_adjacent,
                          Neighbourhood::adjacent, Neighbourhood::closest}) {
    EXPECT_EQ(parse_neighbourhood(to_string(kind)), kind);
  }
  EXPECT_EQ(parse_neighbourhood("Hamming"), std::nullopt);
}

TEST(Neighbours, OrderIsForNumbersOnly) {
  EXPECT_TRUE(is_ordered(numbers("a", 1, 3)));
  EXPECT_TRUE(is_ordered(parameter("r", {0.25, 0.5, integer(1)})));
  EXPECT_FALSE(is_ordered(parameter("f", {false, true})));
  EXPECT_FALSE(is_ordered(parameter("s", {std::string("x"), integer(1)})));
  auto modes = numbers("m", 0, 3);
  modes.ordered = false;
  EXPECT_FALSE(is_ordered(modes));
}

TEST(Nearest, RepairsAnInvalidPoint) {
  const auto space = checkerboard();
  const Choice invalid{4, 4, 1};  // a=5, b=5, c='y': a != 5
  const auto index = space->nearest(invalid);
  EXPECT_EQ(space->at(index).describe(), "a=3, b=5, c='y'") << "two steps; of several the first";
  EXPECT_EQ(space->distance(invalid, space->choice_at(index)), 2u);
  for (std::uint64_t i = 0; i < space->size(); ++i) EXPECT_EQ(space->nearest(space->choice_at(i)), i);
}

TEST(Nearest, TakesValuesThatAreNotDeclared) {
  const auto space = checkerboard();
  EXPECT_EQ(
      space->at(space->repair(Configuration{{"a", 2.9}, {"b", integer(100)}, {"c", std::string("q")}})).describe(),
      "a=2, b=6, c='x'");
  try {
    space->repair(Configuration{{"aa", integer(1)}, {"b", integer(1)}});
    ADD_FAILURE() << "no error was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_THAT(error.what(), HasSubstr("no parameter 'aa'; did you mean 'a'?"));
  }
}

TEST(Within, IsGradedByDistance) {
  const auto space = checkerboard();
  const auto center = space->choice_at(index_of(*space, 1, 1, "x"));
  const auto near = space->within(center, 2);
  ASSERT_EQ(near.size(), 2u + 3u);
  EXPECT_EQ(near[0].distance, 1u);
  EXPECT_EQ(near[1].distance, 1u);
  EXPECT_EQ(near[2].distance, 2u);
  EXPECT_EQ(space->at(near[2].index).describe(), "a=1, b=3, c='x'");
  EXPECT_EQ(space->within(center, 2, 3), (std::vector<Space::Near>{near[0], near[1], near[2]}));
  EXPECT_TRUE(space->within(center, 0).empty());
}

TEST(Choices, AreCheckedAndGoBothWays) {
  const auto space = checkerboard();
  for (std::uint64_t i = 0; i < space->size(); ++i) {
    EXPECT_EQ(space->find_choice(space->choice_at(i)), i);
    EXPECT_EQ(space->choice_of(space->at(i)), space->choice_at(i));
    EXPECT_EQ(space->configuration(space->choice_at(i)), space->at(i));
  }
  EXPECT_EQ(space->find_choice(Choice{0, 1, 0}), std::nullopt);
  EXPECT_EQ(space->choice_of(Configuration{{"a", integer(9)}, {"b", integer(1)}, {"c", std::string("x")}}),
            std::nullopt);
  EXPECT_THROW(space->configuration(Choice{0, 0}), Error);
  EXPECT_THROW(space->configuration(Choice{0, 0, 7}), Error);
}

TEST(Sampling, WithoutReplacementIsDistinctAndRepeatable) {
  const auto space = checkerboard();
  Rng a(7), b(7), c(8);
  const auto first = sample(*space, 20, a);
  EXPECT_EQ(first, sample(*space, 20, b));
  EXPECT_NE(first, sample(*space, 20, c));
  EXPECT_EQ(std::set<std::uint64_t>(first.begin(), first.end()).size(), 20u);
  auto whole = sample(*space, 100000, a);
  std::sort(whole.begin(), whole.end());
  ASSERT_EQ(whole.size(), space->size());
  for (std::uint64_t i = 0; i < whole.size(); ++i) EXPECT_EQ(whole[i], i);
  EXPECT_EQ(sample(*space, 1000, a, Replacement::with).size(), 1000u);
}

TEST(Sampling, LatinHypercubeSpreadsOverTheValues) {
  const auto space = build({numbers("a", 1, 10), numbers("b", 1, 10)}, {});
  Rng rng(3);
  const auto points = latin_hypercube(*space, 10, rng);
  ASSERT_EQ(points.size(), 10u);
  std::set<std::uint32_t> a, b;
  for (const auto index : points) {
    a.insert(space->choice_at(index)[0]);
    b.insert(space->choice_at(index)[1]);
  }
  EXPECT_EQ(a.size(), 10u) << "each value of each parameter once";
  EXPECT_EQ(b.size(), 10u);
  const auto constrained = checkerboard();
  const auto design = latin_hypercube(*constrained, constrained->size() + 5, rng);
  EXPECT_EQ(std::set<std::uint64_t>(design.begin(), design.end()).size(), constrained->size());
}

}  // namespace
}  // namespace warpwright
