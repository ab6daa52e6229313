#include <algorithm>
#include <unordered_set>
#include <utility>

#include <warpwright/model/sampling.hpp>

namespace warpwright {
namespace {

template <typename T>
void shuffle(std::vector<T>& items, Rng& rng) {
  for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[rng.below(i)]);
}

}  // namespace

std::vector<std::uint64_t> sample(const Space& space, std::size_t count, Rng& rng, Replacement replacement) {
  const std::uint64_t size = space.size();
  std::vector<std::uint64_t> drawn;
  if (replacement == Replacement::with) {
    drawn.reserve(count);
    for (std::size_t i = 0; i < count; ++i) drawn.push_back(rng.below(size));
    return drawn;
  }
  const std::uint64_t wanted = std::min<std::uint64_t>(count, size);
  drawn.reserve(wanted);
  std::unordered_set<std::uint64_t> taken;
  taken.reserve(wanted);
  for (std::uint64_t last = size - wanted; last < size; ++last) {
    const std::uint64_t index = rng.below(last + 1);
    drawn.push_back(taken.insert(index).second ? index : last);
    taken.insert(drawn.back());
  }
  shuffle(drawn, rng);  // Floyd's method gives a uniform set, not a uniform order
  return drawn;
}

std::vector<std::uint64_t> latin_hypercube(const Space& space, std::size_t count, Rng& rng) {
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(count, space.size()));
  const auto& parameters = space.parameters();
  std::vector<std::vector<std::uint32_t>> columns;
  for (const auto& parameter : parameters) {
    auto& column = columns.emplace_back(wanted);
    const double values = static_cast<double>(parameter.values.size());
    for (std::size_t i = 0; i < wanted; ++i) {
      const double place = (static_cast<double>(i) + rng.uniform()) / static_cast<double>(wanted);
      const double position = std::min(place * values, values - 1);
      column[i] = static_cast<std::uint32_t>(position);
    }
    shuffle(column, rng);
  }
  std::vector<std::uint64_t> points;
  std::unordered_set<std::uint64_t> taken;
  Choice choice(parameters.size());
  for (std::size_t i = 0; i < wanted; ++i) {
    for (std::size_t p = 0; p < parameters.size(); ++p) choice[p] = columns[p][i];
    const std::uint64_t index = space.nearest(choice);
    if (taken.insert(index).second) points.push_back(index);
  }
  if (points.size() == wanted) return points;
  // Enough candidates for all that is missing even if every point so far is among them.
  for (const std::uint64_t index : sample(space, wanted, rng)) {
    if (points.size() == wanted) break;
    if (taken.insert(index).second) points.push_back(index);
  }
  return points;
}

}  // namespace warpwright
