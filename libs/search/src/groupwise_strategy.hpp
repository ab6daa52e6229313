// What the classical strategies share: they propose groups of configurations (a neighbour, a generation) and go on when
// the whole group is answered. Configurations that were evaluated before are answered from memory and cost nothing.
// Private to this library.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <limits>
#include <vector>

#include <warpwright/base/rng.hpp>
#include <warpwright/search/search_algorithm.hpp>

#include "initial_questions.hpp"
#include "options.hpp"

namespace warpwright::detail {

class GroupwiseStrategy : public SearchAlgorithm {
 public:
  std::vector<std::uint64_t> ask(std::size_t count) final;
  void tell(std::uint64_t index, const SearchOutcome& outcome) final;

 protected:
  GroupwiseStrategy(const Space& space, const StrategySettings& settings);

  // The next group, once every configuration of the last is known; may hold known ones. Called again at once if all are
  // known; a strategy that is stuck in what it knows gets random configurations evaluated in between, so it ends only
  // with the space.
  virtual std::vector<std::uint64_t> next_group() = 0;

  bool is_known(std::uint64_t index) const { return values_.contains(index); }
  // All known configurations, in the order of their questions.
  const std::vector<std::uint64_t>& known() const { return order_; }
  // To be minimised; infinity for failures. The configuration must be known.
  double value(std::uint64_t index) const { return values_.at(index); }
  // The best of all known, and whether there is one that did not fail.
  std::uint64_t best() const { return best_; }
  bool has_best() const { return best_value_ < std::numeric_limits<double>::infinity(); }
  std::uint64_t draw() { return space_.draw(rng_); }
  // Where a search begins: at the best of the initial questions, else somewhere.
  std::uint64_t begin_at() { return has_best() ? best() : draw(); }
  // `size` configurations to begin with: the best of the initial questions, then a space-filling design.
  std::vector<std::uint64_t> first_generation(std::uint64_t size);
  // `parameter` takes another value, the rest is repaired to the nearest valid configuration.
  std::uint64_t repaired(const Choice& choice) const;
  // What of the budget is spent, 0 to 1; of no budget, of the space.
  double spent() const;

  const Space& space_;
  Rng rng_;

 private:
  std::uint64_t draw_unseen();

  InitialQuestions initial_;
  SearchBudget budget_;
  boost::unordered_flat_map<std::uint64_t, double> values_;
  boost::unordered_flat_map<std::uint64_t, bool> asked_;
  std::vector<std::uint64_t> order_;  // of the questions
  std::vector<std::uint64_t> queue_;  // of the group, not asked yet; last first
  std::size_t outstanding_ = 0;
  double cost_ = 0;  // nanoseconds
  std::uint64_t best_ = 0;
  double best_value_ = std::numeric_limits<double>::infinity();
};

// Positions as points of a box, for strategies that calculate with them.
std::vector<double> as_point(const Choice& choice);
// Rounded into the lists of values.
Choice as_choice(const Space& space, const std::vector<double>& point);

}  // namespace warpwright::detail
