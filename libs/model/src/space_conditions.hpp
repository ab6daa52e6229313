// Constraints split into conditions on single assignments, and the backtracking search over them.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <warpwright/model/space.hpp>

#include "expression_tree.hpp"

namespace warpwright::detail {

// A conjunct of a constraint, or a callable. An error of evaluation is a third answer: it decides only where everything
// else accepts, so that the order in which conditions are applied never shows.
struct Condition {
  std::size_t constraint = 0;                  // position in the list of constraints
  std::shared_ptr<const ExpressionTree> tree;  // null for a callable
  std::vector<std::int32_t> slots;             // cell of each name of the tree
  std::vector<std::size_t> parameters;         // those it reads, ascending; all of them for a callable
};

enum class Answer : std::uint8_t { no, yes, error };

// Parameters, constants and conditions of one space, ready to evaluate. Refers to the parameters and constraints it is
// made from, which must outlive it unchanged.
class Conditions {
 public:
  // Throws Error(bad_input) for unknown names.
  Conditions(const std::vector<Parameter>& parameters, const std::vector<Constraint>& constraints,
             const std::vector<std::pair<std::string, Value>>& constants);

  const std::vector<Condition>& all() const { return conditions_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<Constraint>& constraints() const { return constraints_; }

  // An assignment of value indices, one per parameter; those not yet chosen hold anything valid.
  class Assignment {
   public:
    explicit Assignment(const Conditions& conditions)
        : cells_(conditions.constants_), choice_(conditions.parameters_.size(), 0) {
      for (std::size_t p = 0; p < choice_.size(); ++p) set(conditions, p, 0);
    }
    void set(const Conditions& conditions, std::size_t parameter, std::uint32_t value) {
      cells_[parameter] = conditions.cells_[parameter][value];
      choice_[parameter] = value;
    }
    const std::vector<std::uint32_t>& choice() const { return choice_; }

   private:
    friend class Conditions;
    std::vector<Cell> cells_;  // parameters, then constants
    std::vector<std::uint32_t> choice_;
  };

  // The value of a constant, by the cell that a condition's slot names.
  const Cell& constant(std::size_t slot) const { return constants_[slot]; }
  Answer test(const Condition& condition, const Assignment& assignment) const;
  // Why test() answers `error`.
  std::string failure(const Condition& condition, const Assignment& assignment) const;
  Configuration configuration(const Assignment& assignment) const;

 private:
  const std::vector<Parameter>& parameters_;
  const std::vector<Constraint>& constraints_;
  std::vector<std::pair<std::string, Value>> constant_values_;
  std::vector<Cell> constants_;           // room for the parameters, then the constants
  std::vector<std::vector<Cell>> cells_;  // of each parameter, its values
  std::vector<Condition> conditions_;
};

// Parameters connected by conditions, and these conditions. Groups share nothing, so their numbers of solutions
// multiply.
struct ConditionGroup {
  std::vector<std::size_t> parameters;  // ascending; empty for conditions on constants alone
  std::vector<const Condition*> conditions;
};
// Every parameter is in exactly one group; groups in order of their first parameter, the one without parameters (if
// there is any) first. `active` says by constraint which conditions count; empty means all.
std::vector<ConditionGroup> connected_groups(const Conditions& conditions, const std::vector<bool>& active = {});

// Walks all assignments of a group that no condition rejects, each condition applied as soon as its last parameter is
// chosen; conditions on one parameter thin out its values beforehand. The order of the choices is ours, so that the
// order of declaration does not decide between milliseconds and minutes: next comes a parameter that completes a
// condition, else one that shares a condition with those chosen, else any; among these the one with the fewest values
// left, then the first declared. Neither the order of the conditions nor that of the answers changes it.
class GroupSearch {
 public:
  GroupSearch(const Conditions& conditions, const ConditionGroup& group);

  enum class End : std::uint8_t { complete, stopped, out_of_budget };
  // Called for each assignment with the conditions that failed to evaluate on it; false stops.
  using Visitor = std::function<bool(const Conditions::Assignment&, const std::vector<const Condition*>& errors)>;
  // At most `budget` evaluations of conditions.
  End run(const Visitor& visitor, std::uint64_t budget = std::numeric_limits<std::uint64_t>::max());
  // True if assignments come in lexicographic order.
  bool in_declared_order() const;
  // Number of assignments where no condition reads more than one parameter; 0 where one does.
  double free_size() const;

 private:
  void choose_order();
  bool descend(std::size_t depth, const Visitor& visitor);

  const Conditions& conditions_;
  const ConditionGroup& group_;
  std::vector<std::vector<std::uint32_t>> domains_;      // of each parameter of the group, as declared
  std::vector<const Condition*> searched_;               // conditions that the search has to apply
  std::vector<std::size_t> order_;                       // positions in the group, in the order of the choices
  std::vector<std::vector<const Condition*>> at_depth_;  // applied once this choice is made
  std::vector<const Condition*> errors_;
  bool rejected_by_constants_ = false;
  Conditions::Assignment assignment_;
  std::uint64_t budget_ = 0;
  bool out_of_budget_ = false;
};

// The message for a space without configurations: a minimal set of constraints that together reject everything, found
// by dropping them one by one, and how many combinations each rejects alone. `group` is one without solutions.
[[noreturn]] void throw_empty_space(const Conditions& conditions, const ConditionGroup& group);

}  // namespace warpwright::detail
