// A constrained parameter space with a canonical index.
// The index is lexicographic in declared parameter order and declared value order (the last parameter varies fastest),
// whatever the order of the constraints: the same on every machine and in every run.
// Construction: parameters connected by constraints form groups, whose numbers of solutions multiply. Each group is
// solved in an order of our own by merging partial assignments that leave the same question open (the values of the
// sub-expressions that are already determined), with bounds propagated through sums, products, quotients and
// comparisons; so the work follows the structure of the constraints, not the number of solutions, and does not depend
// on the order of declaration. The solutions are held as a reduced decision diagram per group with counts: spaces of
// 10^12 configurations and more are counted exactly, indexed and sampled without ever being listed. Tables of all
// solutions and chains of trees were rejected: their size follows the number of solutions. See docs/spaces.md for
// figures and limits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
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

// Whether neighbouring positions in the list of values mean neighbouring values: numbers, unless said otherwise.
bool is_ordered(const Parameter& parameter);

// A configuration as positions: of each parameter, in declared order, where its value stands in Parameter::values.
using Choice = std::vector<std::uint32_t>;

// Which configurations count as neighbours of one. Distances are between positions in the lists of values; all values
// of a parameter that is not ordered are 1 apart. The five kinds that Kernel Tuner has, so that strategies compare.
enum class Neighbourhood : std::uint8_t {
  hamming,            // exactly one parameter differs, in any way
  hamming_adjacent,   // one parameter differs, by as little as is valid: at most one step up and one down (ordered)
  strictly_adjacent,  // every parameter differs by at most 1
  adjacent,           // every parameter keeps its value or takes the next one up or down that occurs in the space
  closest             // the smallest sum of distances that any other configuration has
};
std::string_view to_string(Neighbourhood kind) noexcept;
// "hamming", "hamming-adjacent", "strictly-adjacent", "adjacent", "closest"; nullopt for anything else.
std::optional<Neighbourhood> parse_neighbourhood(std::string_view name) noexcept;

// Immutable after construction, thread-safe. The members with a default implementation work for every space, from
// size(), at() and index_of() alone, some by visiting all configurations; those of build_space() walk its diagrams
// instead.
class Space {
 public:
  virtual ~Space() = default;
  // Number of configurations; 2^64 - 1 where there are more. Spaces beyond are counted exactly (exact_size), drawn from
  // uniformly (draw_choice) and asked (contains_choice); at() reaches the first 2^64 of them.
  virtual std::uint64_t size() const = 0;
  // The number of configurations in decimal digits.
  virtual std::string exact_size() const { return std::to_string(size()); }
  // What the index structure takes; 0 if unknown.
  virtual std::size_t memory_bytes() const { return 0; }
  // Throws Error(not_found) when index >= size().
  virtual Configuration at(std::uint64_t index) const = 0;
  // nullopt for a configuration with other parameters, an undeclared value, or a violated constraint. Parameters may
  // come in any order; values compare as Python does.
  virtual std::optional<std::uint64_t> index_of(const Configuration& configuration) const = 0;
  virtual bool contains(const Configuration& configuration) const { return index_of(configuration).has_value(); }
  virtual const std::vector<Parameter>& parameters() const = 0;
  virtual const std::vector<Constraint>& constraints() const = 0;

  // at() and index_of() in positions instead of values. `choice` has parameters().size() elements.
  virtual void read_choice(std::uint64_t index, std::span<std::uint32_t> choice) const;
  virtual std::optional<std::uint64_t> find_choice(std::span<const std::uint32_t> choice) const;
  virtual bool contains_choice(std::span<const std::uint32_t> choice) const { return find_choice(choice).has_value(); }
  Choice choice_at(std::uint64_t index) const;
  // The values at these positions; not necessarily valid. Throws Error(bad_input) for a position outside its list.
  Configuration configuration(std::span<const std::uint32_t> choice) const;
  // Where the values stand; nullopt for other parameters or an undeclared value. The constraints are not asked.
  std::optional<Choice> choice_of(const Configuration& configuration) const;

  // The neighbours of a configuration, ascending, without itself. Throws Error(not_found) when index >= size().
  virtual std::vector<std::uint64_t> neighbours(std::uint64_t index, Neighbourhood kind) const;
  // All other configurations whose sum of distances from `choice` (valid or not) is at most `distance`, nearest first,
  // then by index; at most `limit` of them, of which the nearest are kept.
  struct Near {
    std::uint64_t index = 0, distance = 0;
    bool operator==(const Near&) const = default;
  };
  virtual std::vector<Near> within(std::span<const std::uint32_t> choice, std::uint64_t distance,
                                   std::size_t limit = static_cast<std::size_t>(-1)) const;
  // Repair: the valid configuration with the smallest sum of distances from `choice`; of several the first by index.
  virtual std::uint64_t nearest(std::span<const std::uint32_t> choice) const;
  // The same from values that need not be declared: a number stands where the declared value nearest to it stands, what
  // is missing or has nothing near takes the default. Throws Error(bad_input) for an unknown parameter ("did you
  // mean").
  std::uint64_t repair(const Configuration& configuration) const;
  // Uniform over all configurations; draw() only up to 2^64 of them.
  std::uint64_t draw(Rng& rng) const { return rng.below(size()); }
  virtual Choice draw_choice(Rng& rng) const { return choice_at(draw(rng)); }
  // Positions of the values that at least one configuration has, ascending.
  virtual std::vector<std::uint32_t> occurring(std::size_t parameter) const;

  // Sum of the distances that `within` and `nearest` mean.
  std::uint64_t distance(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b) const;
  // Number of combinations before constraints, as a double because it may exceed 64 bits.
  double cartesian_size() const;
  // The declared defaults, or each parameter's first value where there is none; may violate the constraints.
  Configuration defaults() const;
};

struct SpaceOptions {
  // The most edges of decision diagrams to hold while solving (about 30 bytes each); more is an error that says so.
  std::uint64_t max_edges = 40'000'000;
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
