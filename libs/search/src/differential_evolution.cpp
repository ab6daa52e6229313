// Differential evolution (Storn, Price 1997; best/1/bin) on positions as real numbers, rounded and repaired to the
// nearest valid configuration.
#include <algorithm>

#include "groupwise_strategy.hpp"

namespace warpwright {
namespace {

class DifferentialEvolution final : public detail::GroupwiseStrategy {
 public:
  DifferentialEvolution(const Space& space, const StrategySettings& settings)
      : GroupwiseStrategy(space, settings),
        size_(std::max<std::uint64_t>(4, detail::integer_option(settings, "population", 16))),
        factor_(detail::number_option(settings, "factor", 0.7)),
        crossover_(detail::number_option(settings, "crossover", 0.6)) {}

 private:
  std::vector<std::uint64_t> next_group() override {
    if (population_.empty()) {
      population_ = first_generation(size_);
      return population_;
    }
    for (std::size_t i = 0; i < trials_.size(); ++i)
      if (value(trials_[i]) <= value(population_[i])) population_[i] = trials_[i];
    const std::uint64_t leader = *std::min_element(
        population_.begin(), population_.end(), [&](std::uint64_t a, std::uint64_t b) { return value(a) < value(b); });
    const std::vector<double> best = detail::as_point(space_.choice_at(leader));
    trials_.clear();
    for (const std::uint64_t member : population_) {
      std::vector<double> point = detail::as_point(space_.choice_at(member));
      const auto a = detail::as_point(space_.choice_at(population_[rng_.below(population_.size())]));
      const auto b = detail::as_point(space_.choice_at(population_[rng_.below(population_.size())]));
      const std::size_t always = rng_.below(point.size());
      for (std::size_t p = 0; p < point.size(); ++p)
        if (p == always || rng_.uniform() < crossover_) point[p] = best[p] + factor_ * (a[p] - b[p]);
      trials_.push_back(repaired(detail::as_choice(space_, point)));
    }
    return trials_;
  }

  std::uint64_t size_;
  double factor_, crossover_;
  std::vector<std::uint64_t> population_, trials_;
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_differential_evolution(const Space& space, const StrategySettings& settings) {
  return std::make_unique<DifferentialEvolution>(space, settings);
}

}  // namespace warpwright
