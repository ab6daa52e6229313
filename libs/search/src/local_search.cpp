// Iterated local search: first improvement through a shuffled neighbourhood; at a local optimum a random walk from it
// (or a fresh start), and the better of the two optima is kept.
#include <algorithm>
#include <optional>

#include "groupwise_strategy.hpp"

namespace warpwright {
namespace {

class LocalSearch final : public detail::GroupwiseStrategy {
 public:
  LocalSearch(const Space& space, const StrategySettings& settings)
      : GroupwiseStrategy(space, settings),
        walk_(detail::integer_option(settings, "walk", 3)),
        restart_(detail::number_option(settings, "restart", 0.2)) {
    const auto kind = settings.options.find("neighbourhood");
    if (kind == settings.options.end()) return;
    const auto known = parse_neighbourhood(std::get<std::string>(kind->second));
    if (!known)
      throw Error(ErrorCode::bad_input,
                  "option 'neighbourhood' is " + to_literal(kind->second) +
                      "; known are hamming, hamming-adjacent, strictly-adjacent, adjacent, closest");
    kind_ = *known;
  }

 private:
  std::vector<std::uint64_t> next_group() override {
    if (!current_) {
      if (candidate_ && is_known(*candidate_)) {
        enter(*candidate_);
      } else {
        candidate_ = candidate_ ? draw() : begin_at();
        return {*candidate_};
      }
    }
    // The neighbour asked last, if it is better, is the new place.
    if (candidate_ && *candidate_ != *current_ && is_known(*candidate_) && value(*candidate_) < value(*current_))
      enter(*candidate_);
    while (next_ < around_.size()) {
      candidate_ = around_[next_++];
      if (!is_known(*candidate_)) return {*candidate_};
      if (value(*candidate_) < value(*current_)) enter(*candidate_);
    }
    if (!home_ || value(*current_) <= value(*home_)) home_ = current_;
    std::uint64_t start = *home_;
    if (rng_.uniform() < restart_) {
      start = draw();
      home_.reset();
    } else {
      for (std::uint64_t step = 0; step < walk_; ++step) {
        const auto near = space_.neighbours(start, kind_);
        if (near.empty()) break;
        start = near[rng_.below(near.size())];
      }
    }
    current_.reset();
    candidate_ = start;
    return {start};
  }

  void enter(std::uint64_t index) {
    current_ = index;
    candidate_ = index;
    around_ = space_.neighbours(index, kind_);
    for (std::size_t i = around_.size(); i > 1; --i) std::swap(around_[i - 1], around_[rng_.below(i)]);
    next_ = 0;
  }

  std::uint64_t walk_;
  double restart_;
  Neighbourhood kind_ = Neighbourhood::hamming;
  std::optional<std::uint64_t> current_, candidate_, home_;
  std::vector<std::uint64_t> around_;
  std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_local_search(const Space& space, const StrategySettings& settings) {
  return std::make_unique<LocalSearch>(space, settings);
}

}  // namespace warpwright
