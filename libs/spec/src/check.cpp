#include "check.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include <warpwright/spec/problem_builder.hpp>

#include "checker.hpp"
#include "document.hpp"
#include "words.hpp"

namespace warpwright::spec::detail {

// ---- Checker --------------------------------------------------------------------------------------------------------

Checker::Checker(const Problem& checked, const Locations& where) : problem(checked), locations(where) {
  for (const auto& [name, value] : problem.dimensions) names.push_back(name);
  for (const auto& parameter : problem.parameters) names.push_back(parameter.name);
}

void Checker::fail(std::string_view key, const std::string& message) const {
  throw Error(ErrorCode::bad_input, message, locations.at(key));
}

void Checker::check_name(std::string_view key, const std::string& name, std::string_view what) const {
  if (!is_identifier(name)) {
    fail(key, "'" + excerpt(name, 40) + "' cannot be the name of " + std::string(what) +
                  ": use letters, digits and '_', not starting with a digit");
  }
  if (is_reserved_word(name)) {
    fail(key, "'" + name + "' cannot be the name of " + std::string(what) +
                  ": it has a meaning of its own in expressions; choose another name");
  }
}

void Checker::check_names(const Expression& expression, std::string_view key, std::string_view what,
                          const std::vector<std::string>& extra) const {
  for (const auto& name : expression.names()) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    if (std::find(extra.begin(), extra.end(), name) != extra.end()) continue;
    const std::string quoted = " in \"" + excerpt(expression.text()) + "\"";
    const InputPosition position = locations.at(key, column_of(expression.text(), name));
    if (problem.find_argument(name)) {
      throw Error(ErrorCode::bad_input,
                  std::string(what) + ": '" + name + "'" + quoted +
                      " is an argument of the kernel; expressions may name problem dimensions and parameters",
                  position);
    }
    std::vector<std::string> known = names;
    known.insert(known.end(), extra.begin(), extra.end());
    throw Error(ErrorCode::bad_input,
                std::string(what) + ": unknown name '" + name + "'" + quoted +
                    (name == "time" && !extra.empty() ? std::string("; the measured time is 'time_ns', in nanoseconds")
                                                      : suggestion(name, known, "known names")),
                position);
  }
}

void Checker::check_dimension(std::string_view key, const std::string& name, const Value& value) const {
  try {
    Problem sizes;
    sizes.dimensions = problem.dimensions;
    static_cast<void>(sizes.with_dimensions({{name, value}}));
  } catch (const Error& error) {
    fail(key, error.message() + "; give both the same type");
  }
}

std::size_t Checker::column_of(std::string_view text, std::string_view name) {
  const auto part_of_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (std::size_t at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
    const bool starts = at == 0 || !part_of_name(text[at - 1]);
    const bool ends = at + name.size() == text.size() || !part_of_name(text[at + name.size()]);
    if (starts && ends) return at;
  }
  return Locations::no_offset;
}

std::optional<std::string> Checker::violated(const Configuration& configuration) const {
  const Scope scope = problem.scope(configuration);
  for (const auto& constraint : problem.constraints) {
    if (constraint.expression) {
      try {
        if (!constraint.expression->evaluate(scope.lookup()).truthy()) return "'" + constraint.text + "'";
      } catch (const Error& error) {
        return "'" + constraint.text + "' (" + error.message() + ")";
      }
    } else if (constraint.callable && !constraint.callable(configuration)) {
      return "'" + constraint.text + "'";
    }
  }
  return std::nullopt;
}

void Checker::check_configuration(const Configuration& configuration, const std::string& key,
                                  std::string_view what) const {
  std::vector<std::string> parameters;
  for (const auto& parameter : problem.parameters) parameters.push_back(parameter.name);
  for (const auto& [name, value] : configuration) {
    const auto found = std::find_if(problem.parameters.begin(), problem.parameters.end(),
                                    [&sought = name](const Parameter& parameter) { return parameter.name == sought; });
    if (found == problem.parameters.end()) {
      fail(join_key(key, name), "'" + name + "' is not a parameter" + suggestion(name, parameters, "parameters"));
    }
    const bool listed =
        std::any_of(found->values.begin(), found->values.end(),
                    [&given = value](const Value& candidate) { return python_equal(candidate, given); });
    if (!listed) {
      fail(join_key(key, name), to_literal(value) + " is not a value of the parameter '" + name + "'; its values are " +
                                    list_values(found->values));
    }
  }
  const Configuration complete = completed(problem, configuration);
  if (const auto constraint = violated(complete)) {
    fail(key, std::string(what) + " (" + complete.describe() + ") violates the constraint " + *constraint +
                  "; choose values that satisfy it");
  }
}

std::string list_values(const std::vector<Value>& values) {
  std::string text;
  constexpr std::size_t shown = 12;
  for (std::size_t i = 0; i < values.size() && i < shown; ++i) {
    if (!text.empty()) text += ", ";
    text += to_literal(values[i]);
  }
  if (values.size() > shown) text += ", ... (" + std::to_string(values.size()) + " values)";
  return text;
}

Configuration completed(const Problem& problem, const Configuration& configuration) {
  std::vector<Configuration::Entry> entries;
  for (const auto& parameter : problem.parameters) {
    if (const Value* value = configuration.find(parameter.name)) {
      entries.emplace_back(parameter.name, *value);
    } else if (parameter.default_value) {
      entries.emplace_back(parameter.name, *parameter.default_value);
    } else if (!parameter.values.empty()) {
      entries.emplace_back(parameter.name, parameter.values.front());
    }
  }
  return Configuration(std::move(entries));
}

// ---- the space ------------------------------------------------------------------------------------------------------

namespace {

bool same_kind(const Value& a, const Value& b) {
  const auto kind = [](const Value& value) {
    return std::holds_alternative<std::string>(value) ? 2 : std::holds_alternative<bool>(value) ? 1 : 0;
  };
  return kind(a) == kind(b);
}

std::string kind_of(const Value& value) {
  if (std::holds_alternative<std::string>(value)) return "a string";
  if (std::holds_alternative<bool>(value)) return "a boolean";
  return "a number";
}

bool finite(const Value& value) {
  const double* real = std::get_if<double>(&value);
  return !real || std::isfinite(*real);
}

void check_dimensions(const Checker& checker) {
  const Problem& problem = checker.problem;
  std::set<std::string> seen;
  for (const auto& [name, value] : problem.dimensions) {
    const std::string key = join_key("problem", name);
    checker.check_name(key, name, "a problem dimension");
    if (!seen.insert(name).second) checker.fail(key, "the problem dimension '" + name + "' is declared twice");
    if (!finite(value)) checker.fail(key, "a problem dimension must be finite, found " + to_string(value));
  }
  const std::vector<std::string> dimensions(seen.begin(), seen.end());
  for (const auto& [device_class, overrides] : problem.device_dimensions) {
    const std::string path = join_key("problem", device_class);
    const auto& classes = device_classes();
    if (std::find(classes.begin(), classes.end(), device_class) == classes.end()) {
      checker.fail(path,
                   "'" + device_class + "' is not a class of devices" + suggestion(device_class, classes, "classes"));
    }
    for (const auto& [name, value] : overrides) {
      const std::string key = join_key(path, name);
      const Value* base = problem.dimensions.find(name);
      if (!base) {
        checker.fail(key, "'" + name + "' is not declared in [problem]" +
                              suggestion(name, dimensions, "dimensions declared there"));
      }
      if (!same_kind(*base, value)) {
        checker.fail(key, "'" + name + "' is " + kind_of(*base) + " in [problem] and " + kind_of(value) +
                              " here; give both the same kind");
      }
      if (!finite(value)) checker.fail(key, "a problem dimension must be finite, found " + to_string(value));
      checker.check_dimension(key, name, value);
    }
  }
}

void check_parameter(const Checker& checker, const Parameter& parameter) {
  const std::string key = join_key("parameters", parameter.name);
  checker.check_name(key, parameter.name, "a parameter");
  if (checker.problem.dimensions.find(parameter.name)) {
    checker.fail(key, "'" + parameter.name + "' is both a parameter and a problem dimension; rename one of them");
  }
  if (parameter.values.empty()) {
    checker.fail(key + ".values", "the parameter '" + parameter.name + "' has no values; list at least one");
  }
  for (std::size_t i = 0; i < parameter.values.size(); ++i) {
    const Value& value = parameter.values[i];
    const std::string item = join_index(key + ".values", i);
    if (!finite(value)) checker.fail(item, "a value must be finite, found " + to_string(value));
    // A string among numbers equals none of them, in no constraint and in no expression.
    if (!same_kind(value, parameter.values.front())) {
      checker.fail(item, "the values of a parameter are of one kind; the first of '" + parameter.name + "' is " +
                             kind_of(parameter.values.front()) + ", this is " + kind_of(value) + ", " +
                             to_literal(value) + "; write all as numbers, all as strings, or all as booleans");
    }
    const std::string* text = std::get_if<std::string>(&value);
    if (parameter.role == ParameterRole::option && !text) {
      checker.fail(item,
                   "with role = \"option\" each value is a compiler option, that is a string such as \"-O2\" "
                   "(\"\" for none); found " +
                       to_literal(value));
    }
  }
  // Quadratic comparison would take minutes on a range of a million values, so equal numbers are found by sorting.
  std::map<double, std::size_t> numbers;
  std::map<std::string, std::size_t> strings;
  for (std::size_t i = 0; i < parameter.values.size(); ++i) {
    const Value& value = parameter.values[i];
    const std::string* text = std::get_if<std::string>(&value);
    const auto number = as_number(value);
    std::size_t first = i;
    if (text) first = strings.emplace(*text, i).first->second;
    if (!text && number) first = numbers.emplace(*number, i).first->second;
    if (first != i && python_equal(parameter.values[first], value)) {
      checker.fail(join_index(key + ".values", i), "the value " + to_literal(value) + " of parameter '" +
                                                       parameter.name + "' is listed twice; remove one");
    }
  }
  if (parameter.default_value) {
    const bool listed = std::any_of(parameter.values.begin(), parameter.values.end(),
                                    [&](const Value& value) { return python_equal(value, *parameter.default_value); });
    if (!listed) {
      checker.fail(key + ".default", "the default " + to_literal(*parameter.default_value) +
                                         " is not a value of the parameter '" + parameter.name + "'; its values are " +
                                         list_values(parameter.values));
    }
  }
}

}  // namespace

void check_space(const Problem& problem, const Locations& locations) {
  const Checker checker(problem, locations);
  check_dimensions(checker);
  std::set<std::string> seen;
  for (const auto& parameter : problem.parameters) {
    if (!seen.insert(parameter.name).second) {
      checker.fail(join_key("parameters", parameter.name),
                   "the parameter '" + parameter.name + "' is declared twice; remove one");
    }
    check_parameter(checker, parameter);
  }
  for (std::size_t i = 0; i < problem.constraints.size(); ++i) {
    const Constraint& constraint = problem.constraints[i];
    const std::string key = constraint.position.key.empty() ? join_index("constraints", i) : constraint.position.key;
    if (constraint.expression) {
      checker.check_names(*constraint.expression, key, "constraint");
    } else if (!constraint.callable) {
      checker.fail(key, "the constraint '" + excerpt(constraint.text) + "' has neither an expression nor a callable");
    }
  }
}

const std::vector<std::string>& device_classes() {
  static const std::vector<std::string> classes = {"cuda", "opencl",   "sim",        "gpu",
                                                   "cpu",  "cuda-gpu", "opencl-gpu", "opencl-cpu"};
  return classes;
}

const std::vector<std::string>& backend_names() {
  static const std::vector<std::string> names = {"cuda", "opencl", "sim"};
  return names;
}

std::vector<std::string> find_warnings(const Problem& problem) {
  std::vector<std::string> warnings;
  const Checker checker(problem, Locations());
  if (problem.parameters.empty()) warnings.push_back("there are no parameters: the space has one configuration");
  // Coordinates and vector components of every kernel language, as the dialect header uses them.
  for (const auto& parameter : problem.parameters) {
    const std::string& name = parameter.name;
    if (parameter.role == ParameterRole::define && (name == "x" || name == "y" || name == "z" || name == "w")) {
      warnings.push_back("the parameter '" + name + "' is passed as a definition and replaces every '" + name +
                         "' in the source, also in threadIdx." + name + "; a longer name is safer");
    }
  }
  const auto passes = [](const std::vector<Launch>& launches, const std::string& name) {
    return std::any_of(launches.begin(), launches.end(), [&](const Launch& launch) {
      return std::find(launch.args.begin(), launch.args.end(), name) != launch.args.end();
    });
  };
  const auto* reference = std::get_if<ReferenceKernel>(&problem.reference);
  for (const auto& argument : problem.arguments) {
    // Local memory among the args of a launch belongs to that launch, which may be the reference's.
    if (!argument.symbol.empty() || argument.position.key.ends_with(".local")) continue;
    const bool used =
        passes(problem.launches, argument.name) || (reference != nullptr && passes(reference->launches, argument.name));
    if (!used) warnings.push_back("the argument '" + argument.name + "' is passed to no launch");
  }
  if (problem.outputs.empty()) {
    const std::string sized = outputs_of_tunable_size(problem);
    warnings.push_back("no output is declared: results cannot be verified" + (sized.empty() ? sized : "; " + sized));
  } else if (std::holds_alternative<std::monostate>(problem.reference)) {
    warnings.push_back("there is no reference: results are not verified");
  } else if (std::holds_alternative<ReferenceConfiguration>(problem.reference)) {
    warnings.push_back(
        "the reference is a configuration of the same kernel: a mistake that all configurations share "
        "is not found");
  }
  for (const Output& output : problem.outputs) {
    if (!output.by_sum) continue;
    warnings.push_back("output '" + output.argument +
                       "' is judged by its sum: values in wrong places and mistakes that cancel are not found");
  }
  if (!problem.baseline) {
    const Configuration defaults = completed(problem, {});
    if (const auto constraint = checker.violated(defaults)) {
      warnings.push_back("the parameters' defaults (" + defaults.describe() + ") violate the constraint " +
                         *constraint + ", so there is no baseline to compare with; give a baseline that satisfies it");
    }
  }
  return warnings;
}

}  // namespace warpwright::spec::detail

namespace warpwright::spec {

void check_problem(const Problem& problem) {
  const detail::Locations nowhere(problem.file.string());
  detail::check_space(problem, nowhere);
  detail::check_execution(problem, nowhere);
}

}  // namespace warpwright::spec
