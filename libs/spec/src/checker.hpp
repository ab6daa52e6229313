// What the checks share: the names an expression may use, and errors with their place.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <warpwright/model/problem.hpp>

#include "locations.hpp"

namespace warpwright::spec::detail {

// Refers to the problem and locations given. Thread-compatible.
struct Checker {
  Checker(const Problem& checked, const Locations& where);

  const Problem& problem;
  const Locations& locations;
  std::vector<std::string> names;  // dimensions, then parameters

  [[noreturn]] void fail(std::string_view key, const std::string& message) const;
  // An identifier that is no word of the expression language.
  void check_name(std::string_view key, const std::string& name, std::string_view what) const;
  // Every free name is a dimension, a parameter or one of `extra`.
  void check_names(const Expression& expression, std::string_view key, std::string_view what,
                   const std::vector<std::string>& extra = {}) const;
  // Known parameters, listed values, and with the defaults no violated constraint.
  void check_configuration(const Configuration& configuration, const std::string& key, std::string_view what) const;
  // A value that the declared type of the dimension can hold.
  void check_dimension(std::string_view key, const std::string& name, const Value& value) const;
  // The first constraint that rejects the configuration, in quotes and with the cause if it could not be evaluated.
  std::optional<std::string> violated(const Configuration& configuration) const;

  // Offset of `name` as a whole word in an expression's text; Locations::no_offset if it is not there.
  static std::size_t column_of(std::string_view text, std::string_view name);
};

// ---- check_values.cpp
// The path of a launch in its file.
std::string launch_key(const Problem& problem, std::size_t index);
// The path of an argument in its file: local memory among the args of a launch has none of its own.
std::string argument_key(const Argument& argument, std::size_t index);
// Smallest and largest value of an integer type.
std::pair<double, double> integer_range(DataType type);
// Finite numbers that the type can hold. Bounds that are expressions are looked at when they have values.
void check_fill(const Checker& checker, const Argument& argument, const std::string& key);
// Type errors, divisions by zero and empty buffers show themselves here, with their key, and not in the middle of
// tuning.
void evaluate_all(const Checker& checker, const Configuration& baseline);

// "1, 2, 4", shortened.
std::string list_values(const std::vector<Value>& values);
// `configuration` over the parameters' defaults (else their first values), in parameter order.
Configuration completed(const Problem& problem, const Configuration& configuration);

}  // namespace warpwright::spec::detail
