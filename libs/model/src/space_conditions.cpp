#include "space_conditions.hpp"

#include <algorithm>
#include <exception>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

namespace warpwright::detail {

Conditions::Conditions(const std::vector<Parameter>& parameters, const std::vector<Constraint>& constraints,
                       const std::vector<std::pair<std::string, Value>>& constants)
    : parameters_(parameters), constraints_(constraints), constant_values_(constants) {
  std::vector<std::string> names;
  for (const auto& parameter : parameters_) {
    names.push_back(parameter.name);
    auto& cells = cells_.emplace_back();
    for (const auto& value : parameter.values) cells.push_back(Cell::of(value));
    constants_.push_back(Cell::none());
  }
  for (const auto& [name, value] : constant_values_) {
    names.push_back(name);
    constants_.push_back(Cell::of(value));
  }

  for (std::size_t c = 0; c < constraints_.size(); ++c) {
    const Constraint& constraint = constraints_[c];
    if (!constraint.expression) {
      if (!constraint.callable) {
        throw Error(ErrorCode::bad_input,
                    "constraint '" + constraint.text + "' has neither an expression nor a callable",
                    constraint.position);
      }
      Condition condition;
      condition.constraint = c;
      condition.parameters.resize(parameters_.size());
      std::iota(condition.parameters.begin(), condition.parameters.end(), std::size_t{0});
      conditions_.push_back(std::move(condition));
      continue;
    }
    for (const auto& part : constraint.expression->conjuncts()) {
      Condition condition;
      condition.constraint = c;
      condition.tree = ExpressionAccess::tree(part);
      if (!condition.tree)
        throw Error(ErrorCode::bad_input, "constraint '" + constraint.text + "' is empty", constraint.position);
      for (const auto& name : part.names()) {
        const auto known = std::find(names.begin(), names.end(), name);
        if (known == names.end()) {
          std::string message =
              "constraint '" + excerpt(constraint.text) + "' names the unknown parameter '" + name + "'";
          if (const auto match = closest_match(name, names)) {
            message += "; did you mean '" + *match + "'?";
          } else if (!names.empty()) {
            message += "; known are";
            for (std::size_t i = 0; i < names.size(); ++i) message += (i > 0 ? ", " : " ") + names[i];
          }
          throw Error(ErrorCode::bad_input, message, constraint.position);
        }
        const auto slot = static_cast<std::size_t>(known - names.begin());
        condition.slots.push_back(static_cast<std::int32_t>(slot));
        if (slot < parameters_.size()) condition.parameters.push_back(slot);
      }
      std::sort(condition.parameters.begin(), condition.parameters.end());
      conditions_.push_back(std::move(condition));
    }
  }
}

Configuration Conditions::configuration(const Assignment& assignment) const {
  std::vector<Configuration::Entry> entries;
  entries.reserve(parameters_.size());
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    entries.emplace_back(parameters_[p].name, parameters_[p].values[assignment.choice_[p]]);
  }
  return Configuration(std::move(entries));
}

Answer Conditions::test(const Condition& condition, const Assignment& assignment) const {
  if (!condition.tree) {
    try {
      return constraints_[condition.constraint].callable(configuration(assignment)) ? Answer::yes : Answer::no;
    } catch (const std::exception&) {
      return Answer::error;
    }
  }
  Arena arena;
  Cell result = Cell::none();
  Failure why;
  if (!run(*condition.tree, {assignment.cells_.data(), nullptr, condition.slots.data()}, arena, result, why))
    return Answer::error;
  return truthy(result) ? Answer::yes : Answer::no;
}

std::string Conditions::failure(const Condition& condition, const Assignment& assignment) const {
  if (!condition.tree) {
    try {
      constraints_[condition.constraint].callable(configuration(assignment));
    } catch (const std::exception& error) {
      return error.what();
    }
    return "it threw an exception, but not again when called a second time";
  }
  Arena arena;
  Cell result = Cell::none();
  Failure why;
  run(*condition.tree, {assignment.cells_.data(), nullptr, condition.slots.data()}, arena, result, why);
  return describe(why, *condition.tree);
}

std::vector<ConditionGroup> connected_groups(const Conditions& conditions, const std::vector<bool>& active) {
  const std::size_t count = conditions.parameters().size();
  std::vector<std::size_t> parent(count);
  std::iota(parent.begin(), parent.end(), std::size_t{0});
  const auto root = [&](std::size_t p) {
    while (parent[p] != p) p = parent[p] = parent[parent[p]];
    return p;
  };
  const auto counts = [&](const Condition& condition) { return active.empty() || active[condition.constraint]; };
  for (const auto& condition : conditions.all()) {
    if (!counts(condition)) continue;
    for (const std::size_t p : condition.parameters) {
      const std::size_t a = root(p), b = root(condition.parameters.front());
      parent[std::max(a, b)] = std::min(a, b);
    }
  }
  std::vector<ConditionGroup> groups;
  ConditionGroup constants;
  for (const auto& condition : conditions.all()) {
    if (condition.parameters.empty() && counts(condition)) constants.conditions.push_back(&condition);
  }
  if (!constants.conditions.empty()) groups.push_back(std::move(constants));
  std::vector<std::size_t> group_of(count);
  for (std::size_t p = 0; p < count; ++p) {
    if (root(p) == p) {
      group_of[p] = groups.size();
      groups.emplace_back();
    }
    group_of[p] = group_of[root(p)];
    groups[group_of[p]].parameters.push_back(p);
  }
  for (const auto& condition : conditions.all()) {
    if (!condition.parameters.empty() && counts(condition))
      groups[group_of[condition.parameters.front()]].conditions.push_back(&condition);
  }
  return groups;
}

GroupSearch::GroupSearch(const Conditions& conditions, const ConditionGroup& group)
    : conditions_(conditions), group_(group), assignment_(conditions) {
  for (const std::size_t p : group_.parameters) {
    auto& domain = domains_.emplace_back(conditions_.parameters()[p].values.size());
    std::iota(domain.begin(), domain.end(), std::uint32_t{0});
  }
  for (const Condition* condition : group_.conditions) {
    if (condition->parameters.empty()) {
      const Answer answer = conditions_.test(*condition, assignment_);
      if (answer == Answer::no) rejected_by_constants_ = true;
      if (answer == Answer::error) errors_.push_back(condition);
      continue;
    }
    if (condition->parameters.size() > 1) {
      searched_.push_back(condition);
      continue;
    }
    const std::size_t parameter = condition->parameters.front();
    const auto own = std::find(group_.parameters.begin(), group_.parameters.end(), parameter);
    bool failed = false;
    std::erase_if(domains_[static_cast<std::size_t>(own - group_.parameters.begin())], [&](std::uint32_t value) {
      assignment_.set(conditions_, parameter, value);
      const Answer answer = conditions_.test(*condition, assignment_);
      failed = failed || answer == Answer::error;
      return answer == Answer::no;
    });
    if (failed) searched_.push_back(condition);
  }
  choose_order();
}

void GroupSearch::choose_order() {
  const std::size_t count = group_.parameters.size();
  at_depth_.resize(count);
  std::vector<std::vector<const Condition*>> readers(count);  // of each parameter of the group
  std::map<const Condition*, std::size_t> missing;            // parameters not chosen yet
  for (const Condition* condition : searched_) {
    missing[condition] = condition->parameters.size();
    for (const std::size_t p : condition->parameters) {
      const auto own = std::lower_bound(group_.parameters.begin(), group_.parameters.end(), p);
      readers[static_cast<std::size_t>(own - group_.parameters.begin())].push_back(condition);
    }
  }
  std::vector<bool> chosen(count, false);
  for (std::size_t depth = 0; depth < count; ++depth) {
    std::size_t best = count;
    std::tuple<bool, bool, std::size_t> best_cost;
    for (std::size_t candidate = 0; candidate < count; ++candidate) {
      if (chosen[candidate]) continue;
      bool completes = false, connects = false;
      for (const Condition* condition : readers[candidate]) {
        completes = completes || missing[condition] == 1;
        connects = connects || missing[condition] < condition->parameters.size();
      }
      const std::tuple cost(!completes, !connects, domains_[candidate].size());
      if (best == count || cost < best_cost) {
        best = candidate;
        best_cost = cost;
      }
    }
    chosen[best] = true;
    order_.push_back(best);
    for (const Condition* condition : readers[best]) {
      if (--missing[condition] == 0) at_depth_[depth].push_back(condition);
    }
  }
}

bool GroupSearch::in_declared_order() const { return std::is_sorted(order_.begin(), order_.end()); }

double GroupSearch::free_size() const {
  for (const auto& applied : at_depth_) {
    if (!applied.empty()) return 0;
  }
  double size = 1;
  for (const auto& domain : domains_) size *= static_cast<double>(domain.size());
  return size;
}

GroupSearch::End GroupSearch::run(const Visitor& visitor, std::uint64_t budget) {
  budget_ = budget;
  out_of_budget_ = false;
  if (rejected_by_constants_) return End::complete;
  if (std::any_of(domains_.begin(), domains_.end(), [](const auto& domain) { return domain.empty(); }))
    return End::complete;
  if (descend(0, visitor)) return End::complete;
  return out_of_budget_ ? End::out_of_budget : End::stopped;
}

bool GroupSearch::descend(std::size_t depth, const Visitor& visitor) {
  if (depth == group_.parameters.size()) return visitor(assignment_, errors_);
  const std::size_t parameter = group_.parameters[order_[depth]];
  const auto& applied = at_depth_[depth];
  const std::size_t errors_before = errors_.size();
  for (const std::uint32_t value : domains_[order_[depth]]) {
    assignment_.set(conditions_, parameter, value);
    bool accepted = true;
    for (const Condition* condition : applied) {
      if (budget_-- == 0) {
        out_of_budget_ = true;
        return false;
      }
      const Answer answer = conditions_.test(*condition, assignment_);
      if (answer == Answer::error) errors_.push_back(condition);
      accepted = answer != Answer::no;
      if (!accepted) break;
    }
    if (accepted && !descend(depth + 1, visitor)) return false;
    errors_.resize(errors_before);
  }
  return true;
}

// ---- the explanation of an empty space
// --------------------------------------------------------------------------------

namespace {

// Evaluations spent on one question about an empty space; a second's worth of all questions together.
constexpr std::uint64_t explanation_budget = 4'000'000;

enum class Existence : std::uint8_t { none, some, unknown };

Existence existence(const Conditions& conditions, const std::vector<bool>& active) {
  Existence found = Existence::some;
  for (const auto& group : connected_groups(conditions, active)) {
    if (group.conditions.empty()) continue;
    GroupSearch search(conditions, group);
    switch (search.run([](const auto&, const auto&) { return false; }, explanation_budget)) {
      case GroupSearch::End::complete:
        return Existence::none;
      case GroupSearch::End::out_of_budget:
        found = Existence::unknown;
        break;
      case GroupSearch::End::stopped:
        break;
    }
  }
  return found;
}

std::string count_text(double count) {
  if (count < 1e15) return std::to_string(static_cast<std::int64_t>(count));
  std::string text = std::to_string(count / 1e15);
  return text.substr(0, text.find('.') + 3) + "e15";
}

// "rejects 3 of 6 combinations"; empty where counting would take too long.
std::string rejection_text(const Conditions& conditions, std::size_t constraint) {
  std::vector<std::size_t> involved;
  std::vector<const Condition*> own;
  for (const auto& condition : conditions.all()) {
    if (condition.constraint != constraint) continue;
    own.push_back(&condition);
    involved.insert(involved.end(), condition.parameters.begin(), condition.parameters.end());
  }
  std::sort(involved.begin(), involved.end());
  involved.erase(std::unique(involved.begin(), involved.end()), involved.end());
  double combinations = 1, others = 1;
  for (std::size_t p = 0; p < conditions.parameters().size(); ++p) {
    const auto size = static_cast<double>(conditions.parameters()[p].values.size());
    (std::binary_search(involved.begin(), involved.end(), p) ? combinations : others) *= size;
  }
  if (combinations * static_cast<double>(own.size()) > static_cast<double>(explanation_budget)) return "";
  Conditions::Assignment assignment(conditions);
  double rejected = 0;
  while (true) {
    const auto refuses = [&](const Condition* condition) {
      return conditions.test(*condition, assignment) == Answer::no;
    };
    if (std::any_of(own.begin(), own.end(), refuses)) rejected += 1;
    std::size_t digit = 0;  // count up through the involved parameters
    for (; digit < involved.size(); ++digit) {
      const std::uint32_t next = assignment.choice()[involved[digit]] + 1;
      if (next < conditions.parameters()[involved[digit]].values.size()) {
        assignment.set(conditions, involved[digit], next);
        break;
      }
      assignment.set(conditions, involved[digit], 0);
    }
    if (digit == involved.size()) break;
  }
  return "rejects " + count_text(rejected * others) + " of " + count_text(combinations * others) + " combinations";
}

}  // namespace

void throw_empty_space(const Conditions& conditions, const ConditionGroup& group) {
  std::vector<bool> active(conditions.constraints().size(), false);
  for (const Condition* condition : group.conditions) active[condition->constraint] = true;
  bool minimal = true;
  for (std::size_t c = 0; c < active.size(); ++c) {
    if (!active[c]) continue;
    active[c] = false;
    const Existence left = existence(conditions, active);
    if (left != Existence::none) active[c] = true;
    if (left == Existence::unknown) minimal = false;
  }

  std::vector<std::size_t> culprits;
  for (std::size_t c = 0; c < active.size(); ++c) {
    if (active[c]) culprits.push_back(c);
  }
  std::string message = culprits.size() == 1
                            ? "the space is empty: no configuration satisfies the constraint "
                            : "the space is empty: no configuration satisfies all of these constraints: ";
  for (std::size_t i = 0; i < culprits.size(); ++i) {
    if (i > 0) message += ", ";
    message += "'" + excerpt(conditions.constraints()[culprits[i]].text) + "'";
    const std::string counts = rejection_text(conditions, culprits[i]);
    if (!counts.empty()) message += culprits.size() == 1 ? " (" + counts + ")" : " (alone " + counts + ")";
  }
  if (!minimal) message += "; fewer of them may suffice, which would take too long to find out";
  const InputPosition position =
      culprits.empty() ? InputPosition{} : conditions.constraints()[culprits.front()].position;
  throw Error(ErrorCode::bad_input, message, position);
}

}  // namespace warpwright::detail
