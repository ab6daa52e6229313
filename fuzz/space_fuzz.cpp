#include <algorithm>
#include <cctype>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/model/space.hpp>

#include "fuzz.hpp"

namespace warpwright::fuzz {
namespace {

// Small enough to be compared with all combinations.
constexpr std::size_t most_parameters = 6, most_values = 12, most_constraints = 8;
constexpr double most_combinations = 3000;

struct Given {
  std::vector<Parameter> parameters;
  std::vector<Constraint> constraints;
};

// "name = [values]" declares a parameter, any other line is a constraint.
std::optional<Given> parse(std::string_view text) {
  Given given;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    std::size_t name = 0;
    while (name < line.size() && (std::isalnum(static_cast<unsigned char>(line[name])) != 0 || line[name] == '_'))
      ++name;
    const std::size_t equals = line.find_first_not_of(' ', name);
    const bool declares = name > 0 && equals != std::string::npos && line[equals] == '=' && equals + 1 < line.size() &&
                          line[equals + 1] != '=';
    if (!declares) {
      if (given.constraints.size() == most_constraints) return std::nullopt;
      given.constraints.push_back(Constraint::parse(line));
      continue;
    }
    if (given.parameters.size() == most_parameters) return std::nullopt;
    const auto nothing = [](std::string_view) -> const ExpressionValue* { return nullptr; };
    const ExpressionValue values = Expression::parse(line.substr(equals + 1)).evaluate(nothing);
    const auto* list = std::get_if<ExpressionList>(&values);
    if (list == nullptr || list->size() > most_values) return std::nullopt;
    Parameter parameter;
    parameter.name = line.substr(0, name);
    for (const auto& value : *list) parameter.values.push_back(value.scalar());
    given.parameters.push_back(std::move(parameter));
  }
  return given;
}

double seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// A loop may cost a second; thousands of those prove nothing more.
bool is_cheap(const BoundExpression& condition, const std::vector<Value>& values) {
  const double begin = seconds();
  try {
    condition.test(values);
  } catch (const Error&) {
  }
  return seconds() - begin < 1e-3;
}

// Index order; nothing where a failed evaluation decides.
std::optional<std::vector<Configuration>> all_valid(const Given& given,
                                                    const std::vector<BoundExpression>& conditions) {
  std::vector<Configuration> found;
  std::vector<std::size_t> choice(given.parameters.size(), 0);
  while (true) {
    std::vector<Value> values;
    Configuration configuration;
    for (std::size_t p = 0; p < choice.size(); ++p) {
      values.push_back(given.parameters[p].values[choice[p]]);
      configuration.set(given.parameters[p].name, values.back());
    }
    bool accepted = true, failed = false;
    for (const auto& condition : conditions) {
      try {
        accepted = condition.test(values) && accepted;
      } catch (const Error&) {
        failed = true;
      }
    }
    if (accepted && failed) return std::nullopt;
    if (accepted) found.push_back(configuration);
    std::size_t p = choice.size();
    while (p > 0 && ++choice[p - 1] == given.parameters[p - 1].values.size()) choice[--p] = 0;
    if (p == 0) return found;
  }
}

}  // namespace

void space(std::string_view text) {
  std::unique_ptr<Space> built;
  std::optional<Given> given;
  std::vector<BoundExpression> conditions;
  try {
    given = parse(text);
    if (!given) return;
    double combinations = 1;
    std::vector<std::string> names;
    std::vector<Value> first;
    for (const auto& parameter : given->parameters) {
      combinations *= static_cast<double>(parameter.values.size());
      names.push_back(parameter.name);
      if (!parameter.values.empty()) first.push_back(parameter.values.front());
    }
    if (combinations > most_combinations) return;
    if (first.size() == names.size()) {
      for (const auto& constraint : given->constraints) {
        for (const auto& part : constraint.expression->conjuncts()) {
          conditions.push_back(part.bind(names));
          if (!is_cheap(conditions.back(), first)) return;
        }
      }
    }
    SpaceOptions options;
    options.max_edges = 100'000;
    built = build_space(given->parameters, given->constraints, options);
  } catch (const Error& error) {
    require(error.code() == ErrorCode::bad_input, "what is refused is bad input");
    require(!error.message().empty(), "a refusal says something");
    if (!given || error.message().find("is empty: no configuration") == std::string::npos) return;
    const auto expected = all_valid(*given, conditions);
    require(expected && expected->empty(), "a space called empty is empty");
    return;
  }
  const auto expected = all_valid(*given, conditions);
  require(expected.has_value(), "a failed evaluation that decides is an error");
  require(built->size() == expected->size(), "as many configurations as the filtered product has");
  for (std::uint64_t i = 0; i < built->size(); ++i) {
    const Configuration configuration = built->at(i);
    require(configuration == (*expected)[i], "the index is lexicographic");
    require(built->index_of(configuration) == i, "index and configuration go both ways");
  }
}

}  // namespace warpwright::fuzz

WARPWRIGHT_FUZZ_ENTRY(space)
