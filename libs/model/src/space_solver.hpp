// Solves one group of parameters that are connected by conditions.
// Method: the parameters are bound one after the other, in an order chosen here, and partial assignments that leave the
// same question open are one state. What a state has to remember is the values of the largest sub-terms of unfinished
// conditions that are already determined (`bx * tx` instead of bx and tx), so products, sums and quotients merge many
// prefixes; a condition is finished by its last parameter, and one that is monotone in the parameters still free is
// refuted early at their most favourable values. The outcome is a layered graph whose paths are the solutions: it is
// made in time proportional to the states, not to the solutions, and counts them exactly.
// Backtracking over assignments was rejected (its cost is the number of partial solutions), chains of trees as well:
// their size depends on the declared order, and nothing is shared between branches.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "space_conditions.hpp"
#include "space_terms.hpp"

namespace warpwright::detail {

// Paths from the one state of layer 0; the children of the last layer are terminals.
struct LayeredGraph {
  struct Layer {
    std::size_t variable = 0;          // number in the group of the parameter bound here
    std::vector<std::uint32_t> first;  // of each state its first edge; one more at the end
    std::vector<std::uint32_t> value;  // of each edge: position in the solver's domain of the variable
    std::vector<std::uint32_t> child;
    std::size_t states() const { return first.size() - 1; }
  };
  std::vector<Layer> layers;
  // Of each terminal: no_condition for a solution, else the first constraint that cannot be evaluated there.
  static constexpr std::uint32_t no_condition = 0xFFFFFFFFu;
  std::vector<std::uint32_t> terminals;
};

// Conditions and group must outlive it unchanged. Thread-compatible.
class GroupSolver {
 public:
  GroupSolver(const Conditions& conditions, const ConditionGroup& group);

  // Positions in Parameter::values that conditions on the parameter alone leave, ascending, by number in the group.
  const std::vector<std::vector<std::uint32_t>>& domains() const { return domains_; }
  bool is_rejected() const { return rejected_; }  // by constants, or by a domain without values

  // The order of binding that the estimate of states and evaluations prefers. It depends on the names of the parameters
  // and on the conditions, not on the order of their declaration.
  std::vector<std::size_t> choose_order();
  // nullopt when more than `max_edges` edges would be needed.
  std::optional<LayeredGraph> expand(const std::vector<std::size_t>& order, std::uint64_t max_edges);
  // Evaluations of one value of one parameter in one state, so far: what the work is proportional to.
  std::uint64_t evaluations() const { return evaluations_; }

 private:
  // A condition, or a part of one that can be applied on its own.
  struct Check {
    TermId value = no_term, error = no_term;  // no_term value: opaque
    const Condition* condition = nullptr;
    NumberSet variables;
    double selectivity = 0.5;  // estimated share of the assignments that it accepts
  };
  struct Beam;

  void filter_domains();
  void make_checks();
  double sample_selectivity(const Check& check);
  double states(const NumberSet& bound) const;
  double distinct(TermId id) const;
  void cut(const NumberSet& bound, std::vector<TermId>& out) const;
  void cut(TermId id, const NumberSet& bound, std::vector<TermId>& out) const;
  std::optional<TermId> refutation(const Check& check, const NumberSet& bound);

  friend class LayerProgram;

  const Conditions& conditions_;
  const ConditionGroup& group_;
  std::vector<std::vector<std::uint32_t>> domains_;
  std::vector<std::vector<std::uint32_t>> value_errors_;  // per domain value, else empty: constraint that fails on it
  std::vector<const Condition*> searched_;
  std::uint32_t constant_error_ = LayeredGraph::no_condition;
  bool rejected_ = false;
  std::optional<Terms> terms_;
  std::vector<Check> checks_;
  std::vector<std::int64_t> lowest_, highest_;  // values of each variable, where it has a type
  std::vector<TermId> positions_;               // of each variable that an opaque condition reads; else no_term
  std::uint64_t evaluations_ = 0;
};

}  // namespace warpwright::detail
