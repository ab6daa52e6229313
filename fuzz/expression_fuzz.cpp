#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/model/expression.hpp>

#include "fuzz.hpp"

namespace warpwright::fuzz {
namespace {

// The value's repr, or nothing where evaluation is an error.
template <typename Evaluate>
std::optional<std::string> outcome(const Evaluate& evaluate) {
  try {
    return evaluate().describe();
  } catch (const Error& error) {
    require(error.code() == ErrorCode::bad_input, "evaluation errors are bad_input");
    require(!error.message().empty(), "evaluation errors say something");
    return std::nullopt;
  }
}

}  // namespace

void expression(std::string_view text) {
  std::optional<Expression> parsed;
  try {
    parsed = Expression::parse(text);
  } catch (const Error& error) {
    require(error.code() == ErrorCode::bad_input, "syntax errors are bad_input");
    require(error.position() && error.position()->column >= 1 && error.position()->column <= text.size() + 1,
            "syntax errors have a column inside the text");
    return;
  }
  require(parsed->text() == text, "an expression keeps its text");
  const auto& names = parsed->names();
  // Every third name a string, a double or an integer, so that type errors and arithmetic both happen.
  std::vector<Value> values;
  std::vector<ExpressionValue> of_lookup;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i % 3 == 0) values.emplace_back(static_cast<std::int64_t>(i) + 7);
    if (i % 3 == 1) values.emplace_back(0.5);
    if (i % 3 == 2) values.emplace_back(std::string("row"));
    of_lookup.emplace_back(values.back());
  }
  const auto lookup = [&](std::string_view name) -> const ExpressionValue* {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == name) return &of_lookup[i];
    }
    return nullptr;
  };
  const auto looked_up = outcome([&] { return parsed->evaluate(lookup); });
  const auto bound = outcome([&] { return parsed->bind(names).evaluate(values); });
  require(looked_up == bound, "a bound expression gives what look-up gives");
  const auto parts = parsed->conjuncts();
  require(!parts.empty(), "there is at least one conjunct");
  for (const auto& part : parts) outcome([&] { return part.evaluate(lookup); });
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(expression)
