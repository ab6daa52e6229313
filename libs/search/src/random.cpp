#include <boost/unordered/unordered_flat_map.hpp>

#include <warpwright/base/rng.hpp>
#include <warpwright/search/search_algorithm.hpp>

#include "initial_questions.hpp"

namespace warpwright {
namespace {

class RandomSearch final : public SearchAlgorithm {
 public:
  RandomSearch(const Space& space, const StrategySettings& settings)
      : size_(space.size()), initial_(space, settings), rng_(settings.seed) {}

  std::vector<std::uint64_t> ask(std::size_t count) override {
    std::vector<std::uint64_t> asked;
    initial_.ask(count, asked);
    while (asked.size() < count && drawn_ < size_) {
      const std::uint64_t index = draw();
      if (!initial_.contains(index)) asked.push_back(index);
    }
    return asked;
  }
  void tell(std::uint64_t, const SearchOutcome&) override {}  // no outcome changes the order

 private:
  // One step of the shuffle: the item of a random position from `drawn_` on, whose place the item of `drawn_` takes.
  // Positions that still hold their own number are not in the map, and those before `drawn_` are never read again.
  std::uint64_t draw() {
    const std::uint64_t position = drawn_ + rng_.below(size_ - drawn_);
    const std::uint64_t first = take(drawn_);
    ++drawn_;
    if (position == drawn_ - 1) return first;
    const auto [place, was_untouched] = moved_.try_emplace(position, position);
    const std::uint64_t item = place->second;
    place->second = first;
    return item;
  }
  std::uint64_t take(std::uint64_t position) {
    const auto place = moved_.find(position);
    if (place == moved_.end()) return position;
    const std::uint64_t item = place->second;
    moved_.erase(place);
    return item;
  }

  std::uint64_t size_;
  detail::InitialQuestions initial_;
  Rng rng_;
  std::uint64_t drawn_ = 0;
  boost::unordered_flat_map<std::uint64_t, std::uint64_t> moved_;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_random(const Space& space, const StrategySettings& settings) {
  return std::make_unique<RandomSearch>(space, settings);
}

}  // namespace warpwright
