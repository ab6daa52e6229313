// Tabu search: always to the best neighbour that was not visited lately, even if it is worse; looks at a random part of
// the neighbourhood at each step.
#include <algorithm>
#include <deque>
#include <optional>

#include "groupwise_strategy.hpp"

namespace warpwright {
namespace {

class Tabu final : public detail::GroupwiseStrategy {
 public:
  Tabu(const Space& space, const StrategySettings& settings)
      : GroupwiseStrategy(space, settings),
        tenure_(detail::integer_option(settings, "tenure", 100)),
        width_(std::max<std::uint64_t>(1, detail::integer_option(settings, "width", 8))) {}

 private:
  std::vector<std::uint64_t> next_group() override {
    std::optional<std::uint64_t> next;
    for (const std::uint64_t index : group_)
      if (!is_tabu(index) && (!next || value(index) < value(*next))) next = index;
    if (next) visit(*next);
    if (group_.empty() || !next) {
      group_ = {visited_.empty() ? begin_at() : draw()};
      return group_;
    }
    group_ = space_.neighbours(visited_.back(), Neighbourhood::hamming);
    std::erase_if(group_, [&](std::uint64_t index) { return is_tabu(index); });
    const std::size_t kept = std::min<std::size_t>(width_, group_.size());
    for (std::size_t i = 0; i < kept; ++i) std::swap(group_[i], group_[i + rng_.below(group_.size() - i)]);
    group_.resize(kept);
    return group_;
  }

  bool is_tabu(std::uint64_t index) const {
    return std::find(visited_.begin(), visited_.end(), index) != visited_.end();
  }
  void visit(std::uint64_t index) {
    visited_.push_back(index);
    if (visited_.size() > tenure_ + 1) visited_.pop_front();
  }

  std::uint64_t tenure_, width_;
  std::vector<std::uint64_t> group_;
  std::deque<std::uint64_t> visited_;  // the last is where the search stands
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_tabu(const Space& space, const StrategySettings& settings) {
  return std::make_unique<Tabu>(space, settings);
}

}  // namespace warpwright
