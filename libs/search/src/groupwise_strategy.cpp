#include "groupwise_strategy.hpp"

#include <algorithm>
#include <cmath>

#include <warpwright/model/sampling.hpp>

namespace warpwright::detail {
namespace {

// Groups in a row that hold nothing new, and configurations in them, before a random one breaks the circle.
constexpr int most_known_groups = 100;
constexpr std::size_t most_known_configurations = 200;

}  // namespace

GroupwiseStrategy::GroupwiseStrategy(const Space& space, const StrategySettings& settings)
    : space_(space), rng_(settings.seed), initial_(space, settings), budget_(settings.budget) {}

std::vector<std::uint64_t> GroupwiseStrategy::ask(std::size_t count) {
  std::vector<std::uint64_t> asked;
  initial_.ask(count, asked);
  for (const std::uint64_t index : asked) asked_.emplace(index, true);
  order_.insert(order_.end(), asked.begin(), asked.end());
  outstanding_ += asked.size();
  while (asked.size() < count && asked_.size() < space_.size()) {
    if (queue_.empty()) {
      if (outstanding_ > 0) break;
      std::size_t known = 0;
      for (int attempt = 0; queue_.empty() && attempt < most_known_groups && known < most_known_configurations;
           ++attempt) {
        queue_ = next_group();
        known += queue_.size();
        std::erase_if(queue_, [&](std::uint64_t index) { return asked_.contains(index); });
        std::reverse(queue_.begin(), queue_.end());
      }
      if (queue_.empty()) queue_.push_back(draw_unseen());
    }
    const std::uint64_t index = queue_.back();
    queue_.pop_back();
    if (!asked_.emplace(index, true).second) continue;  // twice in one group
    asked.push_back(index);
    order_.push_back(index);
    ++outstanding_;
  }
  return asked;
}

void GroupwiseStrategy::tell(std::uint64_t index, const SearchOutcome& outcome) {
  // The bound of a configuration that was stopped early lies above the best, so it never becomes the best.
  const bool measured = outcome.status == TrialStatus::ok || outcome.status == TrialStatus::censored;
  const bool valid = measured && outcome.objective && std::isfinite(*outcome.objective);
  const double value = valid ? *outcome.objective : std::numeric_limits<double>::infinity();
  if (!values_.emplace(index, value).second) return;
  if (outstanding_ > 0) --outstanding_;
  cost_ += outcome.cost.count();
  // Of equals the first by index, so that the order of answers within a group does not matter.
  if (value < best_value_ || (value == best_value_ && valid && index < best_)) {
    best_value_ = value;
    best_ = index;
  }
}

std::uint64_t GroupwiseStrategy::draw_unseen() {
  std::uint64_t index = draw();
  for (int attempt = 0; asked_.contains(index) && attempt < 64; ++attempt) index = draw();
  while (asked_.contains(index)) index = (index + 1) % space_.size();
  return index;
}

std::vector<std::uint64_t> GroupwiseStrategy::first_generation(std::uint64_t size) {
  std::vector<std::uint64_t> generation = order_;
  std::erase_if(generation, [&](std::uint64_t index) { return !is_known(index) || !std::isfinite(value(index)); });
  std::sort(generation.begin(), generation.end(),
            [&](std::uint64_t a, std::uint64_t b) { return value(a) < value(b) || (value(a) == value(b) && a < b); });
  if (generation.size() > size) generation.resize(size);
  if (generation.size() == size) return generation;
  for (const std::uint64_t index : latin_hypercube(space_, size, rng_)) {
    if (generation.size() == size) break;
    if (std::find(generation.begin(), generation.end(), index) == generation.end()) generation.push_back(index);
  }
  return generation;
}

std::uint64_t GroupwiseStrategy::repaired(const Choice& choice) const {
  const auto exact = space_.find_choice(choice);
  return exact ? *exact : space_.nearest(choice);
}

double GroupwiseStrategy::spent() const {
  double part = 0;
  if (budget_.cost) part = cost_ / budget_.cost->count();
  if (budget_.evaluations)
    part = std::max(part, static_cast<double>(values_.size()) / static_cast<double>(*budget_.evaluations));
  if (!budget_.cost && !budget_.evaluations)
    part = static_cast<double>(values_.size()) / static_cast<double>(space_.size());
  return std::min(1.0, part);
}

std::vector<double> as_point(const Choice& choice) { return {choice.begin(), choice.end()}; }

Choice as_choice(const Space& space, const std::vector<double>& point) {
  Choice choice;
  for (std::size_t p = 0; p < point.size(); ++p) {
    const auto last = static_cast<double>(space.parameters()[p].values.size() - 1);
    choice.push_back(static_cast<std::uint32_t>(std::clamp(std::nearbyint(point[p]), 0.0, last)));
  }
  return choice;
}

}  // namespace warpwright::detail
