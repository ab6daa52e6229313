#include <algorithm>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#include <string>
#include <vector>

#include <warpwright/model/sampling.hpp>
#include <warpwright/model/space.hpp>

namespace warpwright {
namespace {

// Small spaces: up to five parameters of up to four values, up to four constraints.
struct SmallSpace {
  std::vector<Parameter> parameters;
  std::vector<std::string> constraints;
};

rc::Gen<SmallSpace> small_spaces() {
  return rc::gen::exec([] {
    SmallSpace space;
    const int count = *rc::gen::inRange(1, 6);
    for (int p = 0; p < count; ++p) {
      Parameter parameter;
      parameter.name = std::string(1, static_cast<char>('a' + p));
      auto values =
          *rc::gen::unique<std::vector<int>>(static_cast<std::size_t>(*rc::gen::inRange(1, 5)), rc::gen::inRange(0, 9));
      for (const int value : values) parameter.values.push_back(std::int64_t{value});
      space.parameters.push_back(std::move(parameter));
    }
    const auto name = [&] { return space.parameters[static_cast<std::size_t>(*rc::gen::inRange(0, count))].name; };
    const int conditions = *rc::gen::inRange(0, 5);
    for (int c = 0; c < conditions; ++c) {
      const std::string x = name(), y = name(), z = name();
      space.constraints.push_back(*rc::gen::element(
          x + " <= " + y + " + 3", x + " != " + y, "(" + x + " + " + y + ") % 3 != 1", x + " * " + y + " < 30 + " + z,
          x + " > 0 and " + y + " >= 1", x + " in [0, 2, 4, 6, 8, 1]", y + " != 0 and " + x + " % " + y + " < 3",
          "not (" + x + " == " + y + " == " + z + ")", x + " == 0 or " + y + " // " + x + " <= " + z,
          "min(" + x + ", " + y + ") + " + z + " >= 2", "(" + x + " if " + y + " > 3 else " + z + ") < 7",
          x + " * " + y + " + " + y + " * " + z + " <= 60", "2 <= " + x + " + " + y + " <= 12",
          "(" + x + " + 1) / (" + y + " + 1) <= " + z + " + 1.5", x + " in (1, 3, 5, 7) or not " + y,
          "abs(" + x + " - " + y + ") <= 5", x + " & " + y + " | " + z, "gcd(" + x + " + 1, " + y + " + 1) < 4",
          "(" + x + " * " + y + ") % ((" + z + " + 2) / 2) != 1", "max([" + x + ", " + y + "]) < 9"));
    }
    return space;
  });
}

std::vector<Constraint> parse(const std::vector<std::string>& texts) {
  std::vector<Constraint> result;
  for (const auto& text : texts) result.push_back(Constraint::parse(text));
  return result;
}

// The whole Cartesian product, last parameter fastest, filtered by complete evaluation.
std::vector<std::string> brute_force(const SmallSpace& space) {
  std::vector<std::string> names;
  for (const auto& parameter : space.parameters) names.push_back(parameter.name);
  std::vector<BoundExpression> conditions;
  for (const auto& text : space.constraints) conditions.push_back(Expression::parse(text).bind(names));
  std::vector<std::string> found;
  std::vector<std::size_t> choice(names.size(), 0);
  while (true) {
    std::vector<Value> values;
    Configuration configuration;
    for (std::size_t p = 0; p < choice.size(); ++p) {
      values.push_back(space.parameters[p].values[choice[p]]);
      configuration.set(names[p], values.back());
    }
    if (std::all_of(conditions.begin(), conditions.end(), [&](const auto& c) { return c.test(values); }))
      found.push_back(configuration.describe());
    std::size_t p = choice.size();
    while (p > 0 && ++choice[p - 1] == space.parameters[p - 1].values.size()) choice[--p] = 0;
    if (p == 0) return found;
  }
}

RC_GTEST_PROP(SpaceProperty, EqualsTheFilteredProduct, ()) {
  const SmallSpace given = *small_spaces();
  const auto expected = brute_force(given);
  if (expected.empty()) {
    RC_ASSERT_THROWS_AS(build_space(given.parameters, parse(given.constraints)), Error);
    return;
  }
  const auto space = build_space(given.parameters, parse(given.constraints));
  RC_ASSERT(space->size() == expected.size());
  for (std::uint64_t i = 0; i < space->size(); ++i) {
    const Configuration configuration = space->at(i);
    RC_ASSERT(configuration.describe() == expected[i]);
    RC_ASSERT(space->index_of(configuration) == i);
  }
  // Configurations outside the set are not found.
  for (int attempt = 0; attempt < 20; ++attempt) {
    Configuration configuration;
    for (const auto& parameter : given.parameters)
      configuration.set(parameter.name, *rc::gen::elementOf(parameter.values));
    const bool valid = std::find(expected.begin(), expected.end(), configuration.describe()) != expected.end();
    RC_ASSERT(space->contains(configuration) == valid);
  }
}

RC_GTEST_PROP(SpaceProperty, OrderOfConstraintsDoesNotMatter, ()) {
  const SmallSpace given = *small_spaces();
  auto shuffled = given.constraints;
  for (std::size_t i = shuffled.size(); i > 1; --i)
    std::swap(shuffled[i - 1], shuffled[*rc::gen::inRange<std::size_t>(0, i)]);
  std::unique_ptr<Space> a, b;
  bool a_empty = false, b_empty = false;
  try {
    a = build_space(given.parameters, parse(given.constraints));
  } catch (const Error&) {
    a_empty = true;
  }
  try {
    b = build_space(given.parameters, parse(shuffled));
  } catch (const Error&) {
    b_empty = true;
  }
  RC_ASSERT(a_empty == b_empty);
  if (a_empty) return;
  RC_ASSERT(a->size() == b->size());
  for (std::uint64_t i = 0; i < a->size(); ++i) RC_ASSERT(a->at(i) == b->at(i));
}

RC_GTEST_PROP(SpaceProperty, OneConstraintOrItsPartsAreTheSame, ()) {
  const SmallSpace given = *small_spaces();
  if (given.constraints.empty() || brute_force(given).empty()) return;
  std::string joined;
  for (const auto& text : given.constraints) joined += (joined.empty() ? "(" : " and (") + text + ")";
  const auto a = build_space(given.parameters, parse(given.constraints));
  const auto b = build_space(given.parameters, parse({joined}));
  RC_ASSERT(a->size() == b->size());
  for (std::uint64_t i = 0; i < a->size(); ++i) RC_ASSERT(a->at(i) == b->at(i));
}

// The implementations that every space has visit all configurations: an oracle for those that walk the diagrams.
RC_GTEST_PROP(SpaceProperty, WalksEqualScans, ()) {
  const SmallSpace given = *small_spaces();
  if (brute_force(given).empty()) return;
  const auto space = build_space(given.parameters, parse(given.constraints));
  const std::uint64_t index = *rc::gen::inRange<std::uint64_t>(0, space->size());
  for (const auto kind : {Neighbourhood::hamming, Neighbourhood::hamming_adjacent, Neighbourhood::strictly_adjacent,
                          Neighbourhood::adjacent, Neighbourhood::closest}) {
    RC_ASSERT(space->neighbours(index, kind) == space->Space::neighbours(index, kind));
  }
  Choice choice;
  for (const auto& parameter : given.parameters)
    choice.push_back(*rc::gen::inRange<std::uint32_t>(0, static_cast<std::uint32_t>(parameter.values.size())));
  RC_ASSERT(space->nearest(choice) == space->Space::nearest(choice));
  RC_ASSERT(space->find_choice(choice) == space->Space::find_choice(choice));
  RC_ASSERT(space->contains_choice(choice) == space->find_choice(choice).has_value());
  const auto distance = *rc::gen::inRange<std::uint64_t>(0, 6);
  const auto limit = *rc::gen::inRange<std::size_t>(1, 40);
  RC_ASSERT(space->within(choice, distance, limit) == space->Space::within(choice, distance, limit));
  for (std::size_t p = 0; p < given.parameters.size(); ++p)
    RC_ASSERT(space->occurring(p) == space->Space::occurring(p));
  RC_ASSERT(space->exact_size() == std::to_string(space->size()));
}

RC_GTEST_PROP(SpaceProperty, BeingANeighbourIsMutual, ()) {
  const SmallSpace given = *small_spaces();
  if (brute_force(given).empty()) return;
  const auto space = build_space(given.parameters, parse(given.constraints));
  const std::uint64_t index = *rc::gen::inRange<std::uint64_t>(0, space->size());
  for (const auto kind : {Neighbourhood::hamming, Neighbourhood::hamming_adjacent, Neighbourhood::strictly_adjacent,
                          Neighbourhood::adjacent}) {
    for (const std::uint64_t neighbour : space->neighbours(index, kind)) {
      RC_ASSERT(neighbour != index);
      const auto back = space->neighbours(neighbour, kind);
      RC_ASSERT(std::find(back.begin(), back.end(), index) != back.end());
    }
  }
}

RC_GTEST_PROP(SpaceProperty, OrderOfParametersChangesTheOrderOnly, ()) {
  const SmallSpace given = *small_spaces();
  if (brute_force(given).empty()) return;
  auto shuffled = given.parameters;
  for (std::size_t i = shuffled.size(); i > 1; --i)
    std::swap(shuffled[i - 1], shuffled[*rc::gen::inRange<std::size_t>(0, i)]);
  const auto a = build_space(given.parameters, parse(given.constraints));
  const auto b = build_space(shuffled, parse(given.constraints));
  RC_ASSERT(a->size() == b->size());
  for (std::uint64_t i = 0; i < a->size(); ++i) RC_ASSERT(b->contains(a->at(i)));
}

}  // namespace
}  // namespace warpwright
