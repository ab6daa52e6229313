// Variable neighbourhood search (Mladenovic, Hansen 1997) guided by nearest neighbours: around the current
// configuration the neighbourhoods are tried from small to large; of some unseen neighbours the one is asked that the k
// nearest known results promise most for. Worse ones are accepted as in simulated annealing, cooled by what is spent of
// the budget. A search that is stuck starts again from two of the best results recombined.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "groupwise_strategy.hpp"

namespace warpwright {
namespace {

constexpr std::array<Neighbourhood, 2> kinds = {Neighbourhood::hamming_adjacent, Neighbourhood::hamming};

class VariableNeighbourhood final : public detail::GroupwiseStrategy {
 public:
  VariableNeighbourhood(const Space& space, const StrategySettings& settings)
      : GroupwiseStrategy(space, settings),
        nearest_(std::max<std::uint64_t>(1, detail::integer_option(settings, "nearest", 5))),
        width_(std::max<std::uint64_t>(1, detail::integer_option(settings, "width", 8))),
        patience_(detail::integer_option(settings, "patience", 60)),
        elite_(std::max<std::uint64_t>(2, detail::integer_option(settings, "elite", 5))),
        temperature_(detail::number_option(settings, "temperature", 0.1)) {
    if (!(temperature_ >= 0)) throw Error(ErrorCode::bad_input, "option 'temperature' must be at least 0");
  }

 private:
  std::vector<std::uint64_t> next_group() override {
    if (candidate_ && is_known(*candidate_)) judge();
    if (started_ == 0 && has_best()) {
      enter(best());
      started_ = 5;
    }
    if (!current_) return {*(candidate_ = started_++ < 4 ? draw() : restart())};
    for (; kind_ < kinds.size(); ++kind_) {
      std::vector<std::uint64_t> near = space_.neighbours(*current_, kinds[kind_]);
      std::erase_if(near, [&](std::uint64_t index) { return is_known(index); });
      if (near.empty()) continue;
      const std::size_t kept = std::min<std::size_t>(width_, near.size());
      for (std::size_t i = 0; i < kept; ++i) std::swap(near[i], near[i + rng_.below(near.size() - i)]);
      near.resize(kept);
      candidate_ = most_promising(near);
      return {*candidate_};
    }
    current_.reset();
    return {*(candidate_ = restart())};
  }

  // Where the search stands after the answer to its last question.
  void judge() {
    const std::uint64_t asked = *candidate_;
    candidate_.reset();
    if (!current_) {
      // Of the first few the best is where the search begins.
      if (!std::isfinite(value(asked)) || (started_ < 4 && started_ > 0)) return;
      enter(started_ == 4 && has_best() ? best() : asked);
      started_ = 5;
      return;
    }
    if (value(asked) < value(*current_)) {
      stuck_ = 0;
      enter(asked);
    } else if (accepts(value(asked), value(*current_))) {
      ++stuck_;
      enter(asked);
    } else if (++stuck_ % width_ == 0 && kind_ + 1 < kinds.size()) {
      ++kind_;
    }
    if (stuck_ > patience_) current_.reset();
  }

  void enter(std::uint64_t index) {
    current_ = index;
    kind_ = 0;
  }

  bool accepts(double next, double now) {
    const double temperature = temperature_ * (1 - spent());
    if (!std::isfinite(next) || !(temperature > 0)) return false;
    return rng_.uniform() < std::exp(-(next - now) / std::max(1e-300, std::abs(now)) / temperature);
  }

  // Two of the best results mixed, and one value changed.
  std::uint64_t restart() {
    stuck_ = 0;
    std::vector<std::uint64_t> ranked = known();
    std::erase_if(ranked, [&](std::uint64_t index) { return !std::isfinite(value(index)); });
    if (ranked.size() < 2) return draw();
    const std::size_t kept = std::min<std::size_t>(elite_, ranked.size());
    std::partial_sort(
        ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(kept), ranked.end(),
        [&](std::uint64_t a, std::uint64_t b) { return value(a) < value(b) || (value(a) == value(b) && a < b); });
    Choice child = space_.choice_at(ranked[rng_.below(kept)]);
    const Choice other = space_.choice_at(ranked[rng_.below(kept)]);
    for (std::size_t p = 0; p < child.size(); ++p)
      if (rng_.below(2) == 1) child[p] = other[p];
    const std::size_t changed = rng_.below(child.size());
    child[changed] = static_cast<std::uint32_t>(rng_.below(space_.parameters()[changed].values.size()));
    return repaired(child);
  }

  // The neighbour with the smallest mean over the results nearest to it; failures count as the worst of all.
  std::uint64_t most_promising(const std::vector<std::uint64_t>& near) {
    double worst = 0;
    for (; seen_ < known().size(); ++seen_) choices_.push_back(space_.choice_at(known()[seen_]));
    for (const std::uint64_t index : known())
      if (std::isfinite(value(index))) worst = std::max(worst, value(index));
    std::optional<double> least;
    std::uint64_t chosen = near.front();
    std::vector<std::pair<std::uint64_t, std::size_t>> by_distance(choices_.size());
    for (const std::uint64_t index : near) {
      const Choice here = space_.choice_at(index);
      for (std::size_t i = 0; i < choices_.size(); ++i) by_distance[i] = {space_.distance(here, choices_[i]), i};
      const std::size_t count = std::min<std::size_t>(nearest_, by_distance.size());
      std::partial_sort(by_distance.begin(), by_distance.begin() + static_cast<std::ptrdiff_t>(count),
                        by_distance.end());
      double sum = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const double result = value(known()[by_distance[i].second]);
        sum += std::isfinite(result) ? result : worst;
      }
      if (least && sum >= *least) continue;
      least = sum;
      chosen = index;
    }
    return chosen;
  }

  std::uint64_t nearest_, width_, patience_, elite_;
  double temperature_;
  std::optional<std::uint64_t> current_, candidate_;
  std::size_t kind_ = 0, seen_ = 0;
  std::uint64_t stuck_ = 0;
  int started_ = 0;
  std::vector<Choice> choices_;  // of the known results, in their order
};

}  // namespace

std::unique_ptr<SearchAlgorithm> make_variable_neighbourhood(const Space& space, const StrategySettings& settings) {
  return std::make_unique<VariableNeighbourhood>(space, settings);
}

}  // namespace warpwright
