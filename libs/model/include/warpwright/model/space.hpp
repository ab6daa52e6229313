// A constrained parameter space with a canonical index.
// The index is lexicographic in declared parameter order and declared value order (the last parameter varies fastest),
// whatever the order of the constraints: the same on every machine and in every run.
// Construction: parameters connected by constraints form groups, whose numbers of solutions multiply; each group is
// solved by backtracking in an order of our own (most constrained first, few values first), each conjunct of each
// constraint applied as soon as its last parameter is bound, and conjuncts on one parameter before the search.
// Solutions are held as one sorted table of value indices per group, so memory grows with the sum of the groups, not
// with their product, and an index is found by binary search, without a hash of all configurations. Trees of shared
// prefixes would be smaller still for long groups; tables were fast enough on every published space. The interface
// depends on none of this.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/model/configuration.hpp>
#include <warpwright/model/expression.hpp>

namespace warpwright {

// How a parameter reaches the kernel.
enum class ParameterRole {
  define,             // -D name=value
  template_argument,  // template argument of the entry, in declaration order (CUDA only)
  option,             // the value is itself a compiler option; the empty string adds none
  block               // launch geometry only: the binary does not depend on it
};
std::string_view to_string(ParameterRole role) noexcept;

struct Parameter {
  std::string name;
  std::vector<Value> values;  // distinct as Python compares (1 == 1.0 == true), in declared order, at least one
  std::optional<Value> default_value;
  ParameterRole role = ParameterRole::define;
  bool ordered = true;  // numbers are ordered unless said otherwise; strings and booleans never are
  InputPosition position;
};

// Keeps the configurations for which it is true. Either an expression or a callable (which may capture anything, and
// sees every parameter, so it is applied to complete configurations only). An evaluation error (an exception of a
// callable) counts only where every other condition accepts the configuration; the operands of a top-level `and` are
// conditions of their own.
struct Constraint {
  std::string text;  // as the user wrote it, or a name for a callable
  std::optional<Expression> expression;
  std::function<bool(const Configuration&)> callable;
  InputPosition position;

  static Constraint parse(std::string text, InputPosition position = {});
  static Constraint from(std::string name, std::function<bool(const Configuration&)> callable);
};

// Immutable after construction, thread-safe.
class Space {
 public:
  virtual ~Space() = default;
  virtual std::uint64_t size() const = 0;
  // Throws Error(not_found) when index >= size().
  virtual Configuration at(std::uint64_t index) const = 0;
  // nullopt for a configuration with other parameters, an undeclared value, or a violated constraint. Parameters may
  // come in any order; values compare as Python does.
  virtual std::optional<std::uint64_t> index_of(const Configuration& configuration) const = 0;
  bool contains(const Configuration& configuration) const { return index_of(configuration).has_value(); }
  virtual const std::vector<Parameter>& parameters() const = 0;
  virtual const std::vector<Constraint>& constraints() const = 0;
  // Number of combinations before constraints, as a double because it may exceed 64 bits.
  double cartesian_size() const;
  // The declared defaults, or each parameter's first value where there is none; may violate the constraints.
  Configuration defaults() const;
};

struct SpaceOptions {
  // The most rows to hold in memory: solutions of groups of parameters that share constraints, summed over the groups.
  // More is an error that says so. Parameters without constraints multiply the space and cost nothing.
  std::uint64_t max_size = 50'000'000;
  // Names known to constraints besides the parameters: problem dimensions and device limits. A parameter hides a
  // constant of its name.
  std::vector<std::pair<std::string, Value>> constants;
};

// Throws Error(bad_input): duplicate parameter, duplicate or missing values, default outside the list, a constraint
// with an unknown name ("did you mean"), an evaluation error that decides (constraint, configuration, cause), or an
// empty space: then a minimal set of constraints that together reject everything is named, with how many combinations
// each rejects alone.
std::unique_ptr<Space> build_space(std::vector<Parameter> parameters, std::vector<Constraint> constraints,
                                   const SpaceOptions& options = {});

}  // namespace warpwright
