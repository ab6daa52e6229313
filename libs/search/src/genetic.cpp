// Genetic algorithm on positions: tournament selection, uniform crossover, mutation of single parameters, repair to the
// nearest valid configuration, and the best parents survive.
#include <algorithm>
#include <unordered_set>

#include "groupwise_strategy.hpp"

namespace warpwright {
namespace {

class Genetic final : public detail::GroupwiseStrategy {
 public:
  Genetic(const Space& space, const StrategySettings& settings)
      : GroupwiseStrategy(space, settings),
        size_(std::max<std::uint64_t>(2, detail::integer_option(settings, "population", 20))),
        elite_(std::min(size_ - 1, detail::integer_option(settings, "elite", 4))),
        mutation_(detail::number_option(settings, "mutation", 0.15)) {}

 private:
  std::vector<std::uint64_t> next_group() override {
    if (population_.empty()) {
      population_ = first_generation(size_);
      return population_;
    }
    std::stable_sort(population_.begin(), population_.end(),
                     [&](std::uint64_t a, std::uint64_t b) { return value(a) < value(b); });
    std::vector<std::uint64_t> next(
        population_.begin(),
        population_.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(elite_, population_.size())));
    std::unordered_set<std::uint64_t> there(next.begin(), next.end());
    // A population may be larger than what is left of the space.
    for (std::size_t attempt = 0; next.size() < size_ && attempt < 8 * size_; ++attempt) {
      Choice child = space_.choice_at(parent());
      const Choice other = space_.choice_at(parent());
      for (std::size_t p = 0; p < child.size(); ++p) {
        if (rng_.below(2) == 1) child[p] = other[p];
        if (rng_.uniform() < mutation_)
          child[p] = static_cast<std::uint32_t>(rng_.below(space_.parameters()[p].values.size()));
      }
      const std::uint64_t index = repaired(child);
      if (there.insert(index).second) next.push_back(index);
    }
    population_ = std::move(next);
    return population_;
  }

  // The population is sorted: the smaller of two places is the better.
  std::uint64_t parent() {
    return population_[std::min(rng_.below(population_.size()), rng_.below(population_.size()))];
  }

  std::uint64_t size_, elite_;
  double mutation_;
  std::vector<std::uint64_t> population_;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_genetic(const Space& space, const StrategySettings& settings) {
  return std::make_unique<Genetic>(space, settings);
}

}  // namespace warpwright
