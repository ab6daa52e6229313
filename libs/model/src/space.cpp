#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <warpwright/model/space.hpp>

#include "diagram_space.hpp"
#include "value_order.hpp"

namespace warpwright {

std::string_view to_string(ParameterRole role) noexcept {
  switch (role) {
    case ParameterRole::define:
      return "define";
    case ParameterRole::template_argument:
      return "template";
    case ParameterRole::option:
      return "option";
    case ParameterRole::block:
      return "block";
  }
  return "unknown";
}

Constraint Constraint::parse(std::string text, InputPosition position) {
  Constraint constraint;
  try {
    constraint.expression = Expression::parse(text);
  } catch (const Error& error) {
    if (position.describe().empty()) throw;
    throw Error(error.code(), error.message(), position);
  }
  constraint.text = std::move(text);
  constraint.position = std::move(position);
  return constraint;
}

Constraint Constraint::from(std::string name, std::function<bool(const Configuration&)> callable) {
  Constraint constraint;
  constraint.text = std::move(name);
  constraint.callable = std::move(callable);
  return constraint;
}

double Space::cartesian_size() const {
  double size = 1;
  for (const auto& parameter : parameters()) size *= static_cast<double>(parameter.values.size());
  return size;
}

Configuration Space::defaults() const {
  Configuration configuration;
  for (const auto& parameter : parameters()) {
    configuration.set(parameter.name, parameter.default_value.value_or(parameter.values.front()));
  }
  return configuration;
}

namespace detail {

// ---- groups
// --------------------------------------------------------------------------------------------------------------

// How often each value of variable `v` occurs among the solutions that agree with `fixed` on the variables before it:
// one pass down (paths from the root) and one up (solutions behind a node).
std::vector<std::pair<std::uint32_t, std::uint64_t>> GroupDiagram::counts(std::span<const std::uint32_t> fixed,
                                                                          std::size_t v) const {
  const auto& levels = diagram.levels();
  const auto allowed = [&](const Diagram::Level& level, std::size_t e) {
    return level.variable >= v || level.value[e] == fixed[level.variable];
  };
  const std::size_t own = level_of[v];
  std::vector<std::uint64_t> behind;  // solutions behind each node of the next level
  for (std::size_t l = levels.size(); l-- > own + 1;) {
    const auto& level = levels[l];
    std::vector<std::uint64_t> sums(level.nodes(), 0);
    for (std::size_t n = 0; n < level.nodes(); ++n) {
      for (std::size_t e = level.first[n]; e < level.first[n + 1]; ++e) {
        if (allowed(level, e)) sums[n] += behind.empty() ? 1 : behind[level.child[e]];
      }
    }
    behind = std::move(sums);
  }
  std::vector<std::uint64_t> paths{1};
  for (std::size_t l = 0; l < own; ++l) {
    const auto& level = levels[l];
    std::vector<std::uint64_t> sums(levels[l + 1].nodes(), 0);
    for (std::size_t n = 0; n < level.nodes(); ++n) {
      if (paths[n] == 0) continue;
      for (std::size_t e = level.first[n]; e < level.first[n + 1]; ++e) {
        if (allowed(level, e)) sums[level.child[e]] += paths[n];
      }
    }
    paths = std::move(sums);
  }
  const auto& level = levels[own];
  std::vector<std::pair<std::uint32_t, std::uint64_t>> found;
  for (std::size_t n = 0; n < level.nodes(); ++n) {
    if (paths[n] == 0) continue;
    for (std::size_t e = level.first[n]; e < level.first[n + 1]; ++e) {
      const std::uint64_t solutions = paths[n] * (behind.empty() ? 1 : behind[level.child[e]]);
      if (solutions > 0) found.emplace_back(level.value[e], solutions);
    }
  }
  std::sort(found.begin(), found.end());
  std::size_t kept = 0;
  for (const auto& [wanted, solutions] : found) {
    if (kept > 0 && found[kept - 1].first == wanted) {
      found[kept - 1].second += solutions;
    } else {
      found[kept++] = {wanted, solutions};
    }
  }
  found.resize(kept);
  return found;
}

// ---- construction
// --------------------------------------------------------------------------------------------------------

DiagramSpace::DiagramSpace(std::vector<Parameter> parameters, std::vector<Constraint> constraints,
                           const SpaceOptions& options)
    : parameters_(std::move(parameters)), constraints_(std::move(constraints)) {
  check_parameters();
  solve(options);
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const auto& group = groups_[g];
    for (std::size_t l = 0; l < group.diagram.levels().size(); ++l) {
      const auto& level = group.diagram.levels()[l];
      const std::size_t parameter = group.parameters[level.variable];
      steps_.push_back({g, l, parameter});
      auto& occurring = occurring_[parameter];
      occurring.assign(level.value.begin(), level.value.end());
      std::sort(occurring.begin(), occurring.end());
      occurring.erase(std::unique(occurring.begin(), occurring.end()), occurring.end());
    }
  }
  for (const auto& parameter : parameters_) ordered_.push_back(is_ordered(parameter));
}

void DiagramSpace::check_parameters() {
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    const Parameter& parameter = parameters_[p];
    const auto refuse = [&](const std::string& what) { throw Error(ErrorCode::bad_input, what, parameter.position); };
    if (parameter.name.empty()) refuse("a parameter has an empty name");
    for (std::size_t q = 0; q < p; ++q) {
      if (parameters_[q].name == parameter.name) refuse("parameter '" + parameter.name + "' is declared twice");
    }
    if (parameter.values.empty()) refuse("parameter '" + parameter.name + "' has no values");
    if (parameter.values.size() > 0xFFFFFFFFu) refuse("parameter '" + parameter.name + "' has more than 2^32 values");
    for (const auto& value : parameter.values) {
      const auto* real = std::get_if<double>(&value);
      if (real != nullptr && std::isnan(*real))
        refuse("parameter '" + parameter.name + "' has a value that is not a number (NaN)");
    }
    auto& sorted = sorted_values_.emplace_back(parameter.values.size());
    std::iota(sorted.begin(), sorted.end(), std::uint32_t{0});
    std::stable_sort(sorted.begin(), sorted.end(), [&](std::uint32_t a, std::uint32_t b) {
      return value_less(parameter.values[a], parameter.values[b]);
    });
    for (std::size_t i = 1; i < sorted.size(); ++i) {
      const Value& first = parameter.values[sorted[i - 1]];
      const Value& second = parameter.values[sorted[i]];
      if (!python_equal(first, second)) continue;
      const std::string both =
          to_literal(first) == to_literal(second) ? "twice" : "and its equal " + to_literal(second);
      refuse("parameter '" + parameter.name + "' lists the value " + to_literal(first) + " " + both);
    }
    if (parameter.default_value && !value_index(p, *parameter.default_value)) {
      std::string known;
      for (std::size_t i = 0; i < parameter.values.size() && i < 20; ++i)
        known += (i > 0 ? ", " : "") + to_literal(parameter.values[i]);
      if (parameter.values.size() > 20) known += ", ...";
      refuse("the default " + to_literal(*parameter.default_value) + " of parameter '" + parameter.name +
             "' is not among its values: " + known);
    }
  }
}

std::optional<std::uint32_t> DiagramSpace::value_index(std::size_t parameter, const Value& value) const {
  const auto& values = parameters_[parameter].values;
  const auto& sorted = sorted_values_[parameter];
  const auto found = std::lower_bound(sorted.begin(), sorted.end(), value, [&](std::uint32_t i, const Value& wanted) {
    return value_less(values[i], wanted);
  });
  if (found == sorted.end() || !python_equal(values[*found], value)) return std::nullopt;
  return *found;
}

namespace {

// Up to here all solutions are listed and sorted to bring a diagram into declared order: the same work whatever that
// order is. Beyond, the conditions are applied once more in declared order.
constexpr std::uint64_t most_sorted_solutions = 4'000'000;

struct FailurePath {
  std::vector<std::uint32_t> choice;  // by number in the group, positions in Parameter::values
  std::uint32_t constraint = 0;
};

// The first path to a terminal where a condition cannot be evaluated.
std::optional<FailurePath> first_failure(const LayeredGraph& graph,
                                         const std::vector<std::vector<std::uint32_t>>& domains) {
  const auto fails = [](std::uint32_t terminal) { return terminal != LayeredGraph::no_condition; };
  if (std::none_of(graph.terminals.begin(), graph.terminals.end(), fails)) return std::nullopt;
  std::vector<std::vector<bool>> reaches(graph.layers.size() + 1);
  for (const std::uint32_t terminal : graph.terminals) reaches.back().push_back(fails(terminal));
  for (std::size_t l = graph.layers.size(); l-- > 0;) {
    const auto& layer = graph.layers[l];
    reaches[l].assign(layer.states(), false);
    for (std::size_t s = 0; s < layer.states(); ++s) {
      for (std::size_t e = layer.first[s]; e < layer.first[s + 1] && !reaches[l][s]; ++e)
        reaches[l][s] = reaches[l + 1][layer.child[e]];
    }
  }
  FailurePath failure;
  failure.choice.resize(domains.size());
  std::size_t state = 0;
  for (std::size_t l = 0; l < graph.layers.size(); ++l) {
    const auto& layer = graph.layers[l];
    std::size_t e = layer.first[state];
    while (!reaches[l + 1][layer.child[e]]) ++e;
    failure.choice[layer.variable] = domains[layer.variable][layer.value[e]];
    state = layer.child[e];
  }
  failure.constraint = graph.terminals[state];
  return failure;
}

}  // namespace

void DiagramSpace::solve(const SpaceOptions& options) {
  const Conditions conditions(parameters_, constraints_, options.constants);
  const auto groups = connected_groups(conditions);
  struct Undecided {
    FailurePath failure;
    const ConditionGroup* group;
  };
  std::optional<Undecided> error;
  Conditions::Assignment first_solution(conditions);
  places_.resize(parameters_.size());
  occurring_.resize(parameters_.size());
  std::uint64_t edges = 0;
  for (const auto& group : groups) {
    GroupSolver solver(conditions, group);
    if (solver.is_rejected()) throw_empty_space(conditions, group);
    auto order = solver.choose_order();
    auto graph = solver.expand(order, options.max_edges - edges);
    if (!graph) {
      throw Error(ErrorCode::bad_input, "the space needs more than " + std::to_string(options.max_edges) +
                                            " edges to hold in memory (SpaceOptions::max_edges); constraints that "
                                            "connect fewer parameters or fewer values are needed");
    }
    GroupDiagram made;
    made.parameters = group.parameters;
    made.diagram = Diagram::reduce(*graph, solver.domains());
    auto failure = first_failure(*graph, solver.domains());
    graph.reset();
    if (made.diagram.size() == 0 && !failure) throw_empty_space(conditions, group);
    if (failure) {
      if (!error) error = Undecided{std::move(*failure), &group};
      continue;
    }
    if (group.parameters.empty()) continue;

    if (order.size() > 1) {
      std::optional<Diagram> declared;
      if (made.diagram.size() <= most_sorted_solutions)
        declared = Diagram::reordered(made.diagram, order.size(), solver.domains());
      if (!declared && !std::is_sorted(order.begin(), order.end())) {
        std::vector<std::size_t> numbers(order.size());
        std::iota(numbers.begin(), numbers.end(), std::size_t{0});
        // An order that needs so much more than ours is not worth the memory.
        const std::uint64_t wanted = std::max<std::uint64_t>(1'500'000, 16 * made.diagram.edges());
        const std::uint64_t budget = std::min(options.max_edges - edges, wanted);
        if (const auto again = solver.expand(numbers, budget)) declared = Diagram::reduce(*again, solver.domains());
      }
      if (declared) made.diagram = std::move(*declared);
    }
    edges += made.diagram.edges();
    made.level_of.resize(group.parameters.size());
    made.is_declared = true;
    for (std::size_t l = 0; l < made.diagram.levels().size(); ++l) {
      const std::size_t variable = made.diagram.levels()[l].variable;
      made.level_of[variable] = l;
      made.is_declared = made.is_declared && variable == l;
    }
    std::uint32_t node = made.diagram.root();
    for (const auto& level : made.diagram.levels()) {
      const std::uint32_t e = level.first[node];
      first_solution.set(conditions, made.parameters[level.variable], level.value[e]);
      node = level.child[e];
    }
    for (std::size_t v = 0; v < group.parameters.size(); ++v) places_[group.parameters[v]] = {groups_.size(), v};
    if (__builtin_mul_overflow(size_, static_cast<Wide>(made.diagram.size()), &size_))
      throw Error(ErrorCode::bad_input, "the space has more than 2^128 configurations; fewer values are needed");
    groups_.push_back(std::move(made));
  }
  if (!error) return;

  // Everything else accepts the configuration: the failed evaluation would decide, so it stops.
  for (std::size_t v = 0; v < error->group->parameters.size(); ++v)
    first_solution.set(conditions, error->group->parameters[v], error->failure.choice[v]);
  const Constraint& constraint = constraints_[error->failure.constraint];
  std::string cause;
  for (const auto& condition : conditions.all()) {
    if (condition.constraint != error->failure.constraint || !cause.empty()) continue;
    if (conditions.test(condition, first_solution) == Answer::error)
      cause = conditions.failure(condition, first_solution);
  }
  throw Error(ErrorCode::bad_input,
              "constraint '" + excerpt(constraint.text) + "' cannot be evaluated for the configuration " +
                  conditions.configuration(first_solution).describe() + ": " + cause,
              constraint.position);
}

// ---- indices
// -------------------------------------------------------------------------------------------------------------

std::uint64_t DiagramSpace::size() const {
  constexpr auto largest = static_cast<std::uint64_t>(-1);
  return size_ > largest ? largest : static_cast<std::uint64_t>(size_);
}

std::string DiagramSpace::exact_size() const {
  std::string digits;
  for (Wide rest = size_; rest > 0; rest /= 10) digits.insert(digits.begin(), static_cast<char>('0' + rest % 10));
  return digits;
}

std::size_t DiagramSpace::memory_bytes() const {
  std::size_t sum = 0;
  for (const auto& group : groups_) sum += group.diagram.bytes();
  return sum;
}

// Under a prefix of choices each group keeps the solutions that agree with it; the configurations that begin with the
// prefix are the product of these counts, so the index is lexicographic in declared order although the parameters of
// the groups interleave.
template <typename Number>
void DiagramSpace::unrank(Number index, std::span<std::uint32_t> choice) const {
  struct Cursor {
    std::uint64_t count;
    std::uint32_t node;
  };
  std::vector<Cursor> cursors;
  cursors.reserve(groups_.size());
  for (const auto& group : groups_) cursors.push_back({group.diagram.size(), group.diagram.root()});
  auto total = static_cast<Number>(size_);
  std::vector<std::uint32_t> fixed;
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    const auto [g, v] = places_[p];
    const GroupDiagram& group = groups_[g];
    Cursor& cursor = cursors[g];
    const Number others = total / cursor.count;
    const auto rank = static_cast<std::uint64_t>(index / others);
    if (group.is_declared) {
      const auto& level = group.diagram.levels()[v];
      const std::uint32_t e = group.diagram.edge_at(v, cursor.node, rank);
      choice[p] = level.value[e];
      index -= others * level.before[e];
      const std::uint32_t end = level.first[cursor.node + 1];
      const std::uint64_t behind = e + 1 < end ? level.before[e + 1] : cursor.count;
      cursor = {behind - level.before[e], level.child[e]};
    } else {
      fixed.assign(group.parameters.size(), 0);
      for (std::size_t u = 0; u < v; ++u) fixed[u] = choice[group.parameters[u]];
      std::uint64_t before = 0;
      for (const auto& [value, count] : group.counts(fixed, v)) {
        if (rank < before + count) {
          choice[p] = value;
          index -= others * before;
          cursor.count = count;
          break;
        }
        before += count;
      }
    }
    total = others * cursor.count;
  }
}

template <typename Number>
std::optional<Number> DiagramSpace::rank(std::span<const std::uint32_t> choice) const {
  struct Cursor {
    std::uint64_t count;
    std::uint32_t node;
  };
  std::vector<Cursor> cursors;
  cursors.reserve(groups_.size());
  for (const auto& group : groups_) cursors.push_back({group.diagram.size(), group.diagram.root()});
  auto total = static_cast<Number>(size_);
  Number index = 0;
  std::vector<std::uint32_t> fixed;
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    const auto [g, v] = places_[p];
    const GroupDiagram& group = groups_[g];
    Cursor& cursor = cursors[g];
    const Number others = total / cursor.count;
    if (group.is_declared) {
      const auto e = group.diagram.edge(v, cursor.node, choice[p]);
      if (!e) return std::nullopt;
      const auto& level = group.diagram.levels()[v];
      index += others * level.before[*e];
      const std::uint32_t end = level.first[cursor.node + 1];
      const std::uint64_t behind = *e + 1 < end ? level.before[*e + 1] : cursor.count;
      cursor = {behind - level.before[*e], level.child[*e]};
    } else {
      fixed.assign(group.parameters.size(), 0);
      for (std::size_t u = 0; u < v; ++u) fixed[u] = choice[group.parameters[u]];
      bool found = false;
      std::uint64_t before = 0;
      for (const auto& [value, count] : group.counts(fixed, v)) {
        found = value == choice[p];
        if (found) cursor.count = count;
        if (found) break;
        before += count;
      }
      if (!found) return std::nullopt;
      index += others * before;
    }
    total = others * cursor.count;
  }
  return index;
}

void DiagramSpace::read_choice(std::uint64_t index, std::span<std::uint32_t> choice) const {
  if (index >= size_) {
    throw Error(ErrorCode::not_found,
                "index " + std::to_string(index) + " is outside the space of " + exact_size() + " configurations");
  }
  if (size_ > static_cast<std::uint64_t>(-1)) return unrank<Wide>(index, choice);
  unrank<std::uint64_t>(index, choice);
}

bool DiagramSpace::contains_choice(std::span<const std::uint32_t> choice) const {
  for (const auto& group : groups_) {
    std::uint32_t node = group.diagram.root();
    for (std::size_t l = 0; l < group.diagram.levels().size(); ++l) {
      const auto& level = group.diagram.levels()[l];
      const auto e = group.diagram.edge(l, node, choice[group.parameters[level.variable]]);
      if (!e) return false;
      node = level.child[*e];
    }
  }
  return true;
}

std::optional<std::uint64_t> DiagramSpace::find_choice(std::span<const std::uint32_t> choice) const {
  if (choice.size() != parameters_.size()) return std::nullopt;
  if (size_ <= static_cast<std::uint64_t>(-1)) return rank<std::uint64_t>(choice);
  const auto index = rank<Wide>(choice);
  if (!index) return std::nullopt;
  if (*index > static_cast<std::uint64_t>(-1)) {
    throw Error(ErrorCode::unsupported, "the space has " + exact_size() +
                                            " configurations and this one lies beyond index 2^64 - 1; use "
                                            "contains_choice() and draw_choice() on spaces of this size");
  }
  return static_cast<std::uint64_t>(*index);
}

Choice DiagramSpace::draw_choice(Rng& rng) const {
  Choice choice(parameters_.size());
  for (const auto& group : groups_) {  // groups are independent: uniform in each is uniform over all
    std::uint64_t rest = rng.below(group.diagram.size());
    std::uint32_t node = group.diagram.root();
    for (std::size_t l = 0; l < group.diagram.levels().size(); ++l) {
      const auto& level = group.diagram.levels()[l];
      const std::uint32_t e = group.diagram.edge_at(l, node, rest);
      rest -= level.before[e];
      choice[group.parameters[level.variable]] = level.value[e];
      node = level.child[e];
    }
  }
  return choice;
}

Configuration DiagramSpace::at(std::uint64_t index) const {
  Choice choice(parameters_.size());
  read_choice(index, choice);
  return configuration(choice);
}

std::optional<Choice> DiagramSpace::positions(const Configuration& configuration) const {
  if (configuration.size() != parameters_.size()) return std::nullopt;
  Choice choice(parameters_.size());
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    const auto& entry = *(configuration.begin() + static_cast<std::ptrdiff_t>(p));  // usually in declared order
    const Value* value = entry.first == parameters_[p].name ? &entry.second : configuration.find(parameters_[p].name);
    if (value == nullptr) return std::nullopt;
    const auto position = value_index(p, *value);
    if (!position) return std::nullopt;
    choice[p] = *position;
  }
  return choice;
}

std::optional<std::uint64_t> DiagramSpace::index_of(const Configuration& configuration) const {
  const auto choice = positions(configuration);
  return choice ? find_choice(*choice) : std::nullopt;
}

bool DiagramSpace::contains(const Configuration& configuration) const {
  const auto choice = positions(configuration);
  return choice && contains_choice(*choice);
}

}  // namespace detail

std::unique_ptr<Space> build_space(std::vector<Parameter> parameters, std::vector<Constraint> constraints,
                                   const SpaceOptions& options) {
  return std::make_unique<detail::DiagramSpace>(std::move(parameters), std::move(constraints), options);
}

}  // namespace warpwright
