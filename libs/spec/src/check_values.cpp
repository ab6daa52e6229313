// The checks that need numbers: what fills and types can hold, and every expression at the baseline.
#include <cmath>
#include <string>
#include <utility>
#include <variant>

#include "checker.hpp"
#include "document.hpp"
#include "words.hpp"

namespace warpwright::spec::detail {

std::string launch_key(const Problem& problem, std::size_t index) {
  const std::string& key = problem.launches[index].position.key;
  return key.starts_with("stage[") ? key : join_index("launch", index);
}

std::string argument_key(const Argument& argument, std::size_t index) {
  return argument.position.key.ends_with(".local") ? argument.position.key : join_index("argument", index);
}

std::pair<double, double> integer_range(DataType type) {
  const double bits = static_cast<double>(size_of(type)) * 8;
  switch (type) {
    case DataType::uint8:
    case DataType::uint16:
    case DataType::uint32:
    case DataType::uint64:
      return {0, std::exp2(bits) - 1};
    default:
      return {-std::exp2(bits - 1), std::exp2(bits - 1) - 1};
  }
}

void check_fill(const Checker& checker, const Argument& argument, const std::string& key) {
  const auto check_finite = [&](double number, const char* what) {
    if (!std::isfinite(number)) {
      checker.fail(key, std::string(what) + " of argument '" + argument.name + "' must be finite, found " +
                            plain_number(number));
    }
  };
  if (const auto* constant = std::get_if<FillConstant>(&argument.fill)) {
    check_finite(constant->value, "the constant");
    if (!is_floating(argument.type)) {
      const auto [low, high] = integer_range(argument.type);
      if (constant->value != std::floor(constant->value) || constant->value < low || constant->value > high) {
        checker.fail(key, "the constant " + plain_number(constant->value) + " of argument '" + argument.name +
                              "' is not a value of " + std::string(to_string(argument.type)));
      }
    }
  } else if (const auto* uniform = std::get_if<FillUniform>(&argument.fill)) {
    check_finite(uniform->low, "the lower bound");
    check_finite(uniform->high, "the upper bound");
    if (uniform->low > uniform->high) {
      checker.fail(key, "uniform = [low, high] of argument '" + argument.name + "' has low " +
                            plain_number(uniform->low) + " above high " + plain_number(uniform->high) + "; swap them");
    }
  } else if (const auto* normal = std::get_if<FillNormal>(&argument.fill)) {
    check_finite(normal->mean, "the mean");
    check_finite(normal->deviation, "the standard deviation");
    if (normal->deviation < 0) {
      checker.fail(key, "the standard deviation of argument '" + argument.name + "' must not be negative, found " +
                            plain_number(normal->deviation));
    }
  } else if (const auto* iota = std::get_if<FillIota>(&argument.fill)) {
    check_finite(iota->start, "the start");
    check_finite(iota->step, "the step");
  }
}

namespace {

// Runs `evaluate`, and puts the position of `key` on whatever goes wrong.
template <typename Evaluate>
void evaluate_at(const Checker& checker, const std::string& key, const Evaluate& evaluate) {
  try {
    evaluate();
  } catch (const Error& error) {
    throw Error(ErrorCode::bad_input, error.message() + " (at the baseline configuration)", checker.locations.at(key));
  }
}

// Sizes and integers are not taken from a float that happens to be whole: n = 1e6 is one, and where it is passed to the
// kernel too, that gets the bits of a float.
void require_integer(const Checker& checker, const Expression& expression, const Scope& scope,
                     const std::string& what) {
  const Value value = expression.evaluate(scope.lookup()).scalar();
  if (!std::holds_alternative<double>(value)) return;
  for (const std::string& name : expression.names()) {
    const Value* dimension = checker.problem.dimensions.find(name);
    if (dimension == nullptr || !std::holds_alternative<double>(*dimension)) continue;
    const auto whole = as_integer(*dimension);
    if (!whole) continue;
    checker.fail(join_key("problem", name),
                 "'" + name + "' is the float " + to_string(*dimension) + ", and the " + what + " (\"" +
                     excerpt(expression.text()) + "\") must be an integer; write " + name + " = " +
                     std::to_string(*whole) + ", or int(...) in the expression where a float is meant");
  }
}

// Block, grid, cluster and shared memory of one repeat.
void evaluate_shape(const Checker& checker, const Launch& launch, const Scope& scope, const std::string& key) {
  const auto positive = [&](const std::vector<Expression>& entries, const std::string& part) {
    for (std::size_t j = 0; j < entries.size(); ++j) {
      evaluate_at(checker, join_index(key + "." + part, j), [&] {
        scope.integer_at_least(entries[j], 1, join_index(part, j) + " of launch '" + launch.entry + "'");
      });
      require_integer(checker, entries[j], scope, join_index(part, j) + " of launch '" + launch.entry + "'");
    }
  };
  positive(launch.block, "block");
  positive(launch.grid, "grid");
  positive(launch.cluster, "cluster");
  if (launch.shared) {
    evaluate_at(checker, key + ".shared",
                [&] { scope.integer_at_least(*launch.shared, 0, "shared memory of launch '" + launch.entry + "'"); });
    require_integer(checker, *launch.shared, scope, "shared memory of launch '" + launch.entry + "'");
  }
}

void evaluate_launch(const Checker& checker, const Launch& launch, const Scope& scope, const std::string& key) {
  if (launch.when) {
    bool runs = true;
    evaluate_at(checker, key + ".when", [&] { runs = launch.when->evaluate(scope.lookup()).truthy(); });
    if (!runs) return;
  }
  if (!launch.repeat) return evaluate_shape(checker, launch, scope, key);
  std::int64_t repeat = 0;
  evaluate_at(checker, key + ".repeat",
              [&] { repeat = scope.integer_at_least(*launch.repeat, 0, "repeat of launch '" + launch.entry + "'"); });
  require_integer(checker, *launch.repeat, scope, "repeat of launch '" + launch.entry + "'");
  if (repeat == 0) return;
  evaluate_shape(checker, launch, with_repeat(scope, 0), key);
  // What shrinks with each repeat is smallest at the last.
  evaluate_shape(checker, launch, with_repeat(scope, repeat - 1), key);
}

void evaluate_defines(const Checker& checker, const std::vector<std::pair<std::string, Expression>>& defines,
                      const Scope& scope, const std::string& path) {
  for (const auto& [name, expression] : defines) {
    evaluate_at(checker, join_key(path, name), [&, &text = expression] {
      const Value value = text.evaluate(scope.lookup()).scalar();
      if (const double* real = std::get_if<double>(&value); real && !std::isfinite(*real)) {
        throw Error(ErrorCode::bad_input,
                    "'" + excerpt(text.text()) + "' gives " + to_string(value) + ", which has no literal in C");
      }
    });
  }
}

// A scalar, or a member of a structure, as its type can hold it.
void evaluate_value(const Checker& checker, const Argument& argument, const Scope& scope, const std::string& key) {
  const std::string what = "value of argument '" + argument.name + "'";
  const DataType type = argument.type_in(scope);
  bool list = false;
  evaluate_at(checker, key, [&] {
    const ExpressionValue found = argument.value->evaluate(scope.lookup());
    const auto* items = std::get_if<ExpressionList>(&found);
    list = items != nullptr;
    if (list && items->size() != static_cast<std::size_t>(argument.components)) {
      throw Error(ErrorCode::bad_input, what + " is a list of " + std::to_string(items->size()) +
                                            ", and its type has " + std::to_string(argument.components) +
                                            " components");
    }
    const auto [low, high] = integer_range(type);
    const auto check = [&, least = low, most = high](const ExpressionValue& one) {
      Scope single;
      single.set("value", one);
      static const Expression itself = Expression::parse("value");
      if (is_floating(type)) {
        single.number(itself, what);
        return;
      }
      const auto number = static_cast<double>(single.integer(itself, what));
      if (number < least || number > most) {
        throw Error(ErrorCode::bad_input,
                    what + " is " + plain_number(number) + ", which does not fit in " + std::string(to_string(type)));
      }
    };
    if (list) {
      for (const ExpressionValue& item : *items) check(item);
      return;
    }
    if (is_floating(type)) {
      scope.number(*argument.value, what);
      return;
    }
    const auto number = static_cast<double>(scope.integer(*argument.value, what));
    if (number < low || number > high) {
      throw Error(ErrorCode::bad_input,
                  what + " is " + plain_number(number) + ", which does not fit in " + std::string(to_string(type)));
    }
  });
  if (!list && !is_floating(type)) require_integer(checker, *argument.value, scope, what);
}

// Type errors, divisions by zero and empty buffers show themselves here, with their key, and not in the middle of
// tuning.
}  // namespace

void evaluate_all(const Checker& checker, const Configuration& baseline) {
  const Problem& problem = checker.problem;
  const Scope scope = problem.scope(baseline);
  const Scope counted = with_repeat(scope, 0);
  evaluate_defines(checker, problem.defines, scope, "kernel.defines");
  for (std::size_t i = 0; i < problem.stages.size(); ++i) {
    evaluate_defines(checker, problem.stages[i].defines, scope, join_index("stage", i) + ".defines");
  }
  for (std::size_t i = 0; i < problem.arguments.size(); ++i) {
    const Argument& argument = problem.arguments[i];
    const std::string key = argument_key(argument, i);
    if (argument.image) {
      for (const auto& [part, name] :
           {std::pair(&argument.image->width, "width"), std::pair(&argument.image->height, "height")}) {
        const std::string what = std::string(name) + " of argument '" + argument.name + "'";
        evaluate_at(checker, key + ".image." + name, [&, &pixels = *part] { scope.integer_at_least(pixels, 1, what); });
        require_integer(checker, *part, scope, what);
      }
    } else if (argument.size) {
      const std::string size_key = key.ends_with(".local") ? key : key + ".size";
      const Scope& of_size = argument.access == Access::local ? counted : scope;
      evaluate_at(checker, size_key,
                  [&] { of_size.integer_at_least(*argument.size, 1, "size of argument '" + argument.name + "'"); });
      require_integer(checker, *argument.size, scope, "size of argument '" + argument.name + "'");
    }
    if (argument.value) evaluate_value(checker, argument, counted, key + ".value");
    for (std::size_t k = 0; k < argument.fields.size(); ++k) {
      const StructField& field = argument.fields[k];
      Argument member;
      member.name = field.name.empty() ? argument.name : argument.name + "." + field.name;
      member.type = field.type;
      member.components = field.components;
      member.value = field.value;
      evaluate_value(checker, member, counted, join_index(key + ".layout", k) + ".value");
    }
    if (argument.is_buffer()) {
      Argument filled = argument;
      evaluate_at(checker, key + ".init",
                  [&] { filled.fill = resolved(argument.fill, scope, "init of argument '" + argument.name + "'"); });
      filled.type = argument.type_in(scope);
      check_fill(checker, filled, key + ".init");
    }
  }
  for (std::size_t i = 0; i < problem.launches.size(); ++i) {
    evaluate_launch(checker, problem.launches[i], scope, launch_key(problem, i));
  }
  if (const auto* kernel = std::get_if<ReferenceKernel>(&problem.reference)) {
    for (const auto& launch : kernel->launches) {
      evaluate_launch(checker, launch, scope, launch.position.key.empty() ? "reference" : launch.position.key);
    }
  }
  Scope timed = scope;
  timed.set("time_ns", 1e6);
  for (const auto& metric : problem.metrics) {
    evaluate_at(checker, join_key("metrics", metric.name),
                [&, &m = metric] { timed.number(m.expression, "metric '" + m.name + "'"); });
  }
}

}  // namespace warpwright::spec::detail
