// What the checks share: the names an expression may use, and errors with their place.
#pragma once

#include <optional>
#include <string>
#include <string_view>
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

// "1, 2, 4", shortened.
std::string list_values(const std::vector<Value>& values);
// `configuration` over the parameters' defaults (else their first values), in parameter order.
Configuration completed(const Problem& problem, const Configuration& configuration);

}  // namespace warpwright::spec::detail
