// The part every strategy shares: initial configurations come first, in the given order, each once, and never again.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include <warpwright/search/search_algorithm.hpp>

namespace warpwright::detail {

class InitialQuestions {
 public:
  InitialQuestions(const Space& space, const StrategySettings& settings) {
    for (const std::uint64_t index : settings.initial) {
      if (index < space.size() && known_.insert(index).second) order_.push_back(index);
    }
  }
  // Moves up to `count` of them, in total, to `asked`.
  void ask(std::size_t count, std::vector<std::uint64_t>& asked) {
    while (asked.size() < count && next_ < order_.size()) asked.push_back(order_[next_++]);
  }
  bool contains(std::uint64_t index) const { return known_.contains(index); }

 private:
  std::vector<std::uint64_t> order_;
  std::unordered_set<std::uint64_t> known_;
  std::size_t next_ = 0;
};

}  // namespace warpwright::detail
