// Neighbourhoods, distances and repair by walking the diagrams: branches that leave what is asked for are not entered.
#include <algorithm>
#include <limits>
#include <optional>
#include <unordered_map>

#include "diagram_space.hpp"

namespace warpwright::detail {

class DiagramWalk {
 public:
  DiagramWalk(const DiagramSpace& space, std::span<const std::uint32_t> center)
      : space_(space), center_(center.begin(), center.end()), choice_(center_) {
    if (center_.size() != space.parameters_.size())
      throw Error(ErrorCode::bad_input, "a choice of " + std::to_string(center_.size()) +
                                            " positions does not fit a space of " +
                                            std::to_string(space.parameters_.size()) + " parameters");
  }

  // All solutions whose positions lie in [low, high], the center left out.
  std::vector<std::uint64_t> box(const Choice& low, const Choice& high) {
    std::vector<std::uint64_t> found;
    descend_box(0, 0, low, high, found);
    std::sort(found.begin(), found.end());
    return found;
  }

  // The solutions that differ from the (valid) center in one parameter.
  std::vector<std::uint64_t> hamming(bool nearest_only) {
    std::vector<std::uint64_t> found;
    for (const auto& group : space_.groups_) {
      const auto& levels = group.diagram.levels();
      std::uint32_t node = group.diagram.root();
      for (std::size_t l = 0; l < levels.size(); ++l) {
        const auto& level = levels[l];
        const std::size_t p = group.parameters[level.variable];
        const std::uint32_t own = *group.diagram.edge(l, node, center_[p]);
        const bool stop = nearest_only && space_.ordered_[p];
        const auto try_edge = [&](std::uint32_t e) {
          if (!continues(group, l + 1, level.child[e])) return false;
          choice_[p] = level.value[e];
          found.push_back(*space_.find_choice(choice_));
          choice_[p] = center_[p];
          return true;
        };
        for (std::uint32_t e = own; e-- > level.first[node];) {
          if (try_edge(e) && stop) break;
        }
        for (std::uint32_t e = own + 1; e < level.first[node + 1]; ++e) {
          if (try_edge(e) && stop) break;
        }
        node = level.child[own];
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  // Solutions at exactly this distance, ascending, the center left out.
  std::vector<std::uint64_t> ring(std::uint64_t distance) {
    std::vector<std::uint64_t> found;
    if (distance == 0) return found;
    hopeless_.clear();
    descend_ring(0, 0, distance, found);
    std::sort(found.begin(), found.end());
    return found;
  }

  // Largest distance that any solution can have.
  std::uint64_t farthest() const {
    std::uint64_t sum = 0;
    for (std::size_t p = 0; p < center_.size(); ++p) {
      std::uint64_t most = 0;
      for (const std::uint32_t position : space_.occurring_[p]) most = std::max(most, step(p, position));
      sum += most;
    }
    return sum;
  }

  // The first solution by index among those nearest to the center.
  std::uint64_t nearest() {
    for (const auto& group : space_.groups_) nearest_of_group(group);
    return *space_.find_choice(choice_);
  }

 private:
  using Level = Diagram::Level;

  std::uint64_t step(std::size_t p, std::uint32_t position) const {
    const std::uint32_t own = center_[p];
    if (position == own) return 0;
    if (!space_.ordered_[p]) return 1;
    return position > own ? position - own : own - position;
  }

  bool continues(const GroupDiagram& group, std::size_t l, std::uint32_t node) const {
    for (; l < group.diagram.levels().size(); ++l) {
      const auto& level = group.diagram.levels()[l];
      const auto e = group.diagram.edge(l, node, center_[group.parameters[level.variable]]);
      if (!e) return false;
      node = level.child[*e];
    }
    return true;
  }

  // The node to start with at step `s`, given the child that the step before led to.
  std::uint32_t enter(std::size_t s, std::uint32_t child) const {
    return space_.steps_[s].level == 0 ? space_.groups_[space_.steps_[s].group].diagram.root() : child;
  }
  const Level& level_of(std::size_t s) const {
    return space_.groups_[space_.steps_[s].group].diagram.levels()[space_.steps_[s].level];
  }

  void descend_box(std::size_t s, std::uint32_t child, const Choice& low, const Choice& high,
                   std::vector<std::uint64_t>& found) {
    if (s == space_.steps_.size()) {
      if (choice_ != center_) found.push_back(*space_.find_choice(choice_));
      return;
    }
    const std::uint32_t node = enter(s, child);
    const Level& level = level_of(s);
    const std::size_t p = space_.steps_[s].parameter;
    const auto begin = level.value.begin() + level.first[node], end = level.value.begin() + level.first[node + 1];
    for (auto at = std::lower_bound(begin, end, low[p]); at != end && *at <= high[p]; ++at) {
      choice_[p] = *at;
      descend_box(s + 1, level.child[static_cast<std::size_t>(at - level.value.begin())], low, high, found);
    }
    choice_[p] = center_[p];
  }

  // Edges of `node` by growing distance of their values: calls visit(edge, distance) until it returns false.
  template <typename Visit>
  void outward(const Level& level, std::uint32_t node, std::size_t p, std::uint64_t most, const Visit& visit) const {
    const std::uint32_t first = level.first[node], last = level.first[node + 1];
    if (!space_.ordered_[p]) {
      for (std::uint32_t e = first; e < last; ++e) {
        const std::uint64_t d = step(p, level.value[e]);
        if (d <= most) visit(e, d);
      }
      return;
    }
    const auto begin = level.value.begin() + first, end = level.value.begin() + last;
    const auto split = static_cast<std::uint32_t>(std::lower_bound(begin, end, center_[p]) - level.value.begin());
    for (std::uint32_t e = split; e-- > first;) {
      const std::uint64_t d = step(p, level.value[e]);
      if (d > most) break;
      visit(e, d);
    }
    for (std::uint32_t e = split; e < last; ++e) {
      const std::uint64_t d = step(p, level.value[e]);
      if (d > most) break;
      visit(e, d);
    }
  }

  static std::uint64_t key(std::size_t s, std::uint32_t node, std::uint64_t left) {
    return (left * 0x9E3779B97F4A7C15u) ^ (static_cast<std::uint64_t>(s) << 40) ^ node;
  }
  struct Reached {
    std::size_t s;
    std::uint32_t node;
    std::uint64_t left;
    bool operator==(const Reached&) const = default;
  };
  struct ReachedHash {
    std::size_t operator()(const Reached& r) const noexcept {
      return static_cast<std::size_t>(key(r.s, r.node, r.left));
    }
  };

  // True if a solution was found; what fails is remembered, so that no part of a diagram is searched twice in vain.
  bool descend_ring(std::size_t s, std::uint32_t child, std::uint64_t left, std::vector<std::uint64_t>& found) {
    if (s == space_.steps_.size()) {
      if (left == 0) found.push_back(*space_.find_choice(choice_));
      return left == 0;
    }
    const std::uint32_t node = enter(s, child);
    const Reached here{s, node, left};
    if (hopeless_.contains(here)) return false;
    const std::size_t p = space_.steps_[s].parameter;
    const Level& level = level_of(s);
    bool any = false;
    outward(level, node, p, left, [&](std::uint32_t e, std::uint64_t d) {
      choice_[p] = level.value[e];
      any = descend_ring(s + 1, level.child[e], left - d, found) || any;
    });
    choice_[p] = center_[p];
    if (!any) hopeless_.emplace(here, true);
    return any;
  }

  // Of each node, the smallest distance that a solution behind it adds; where `fixed` has a position no other is taken.
  void distances(const GroupDiagram& group, const std::vector<std::optional<std::uint32_t>>& fixed,
                 std::vector<std::vector<std::uint64_t>>& behind) const {
    const auto& levels = group.diagram.levels();
    behind.resize(levels.size());
    for (std::size_t l = levels.size(); l-- > 0;) {
      const Level& level = levels[l];
      const std::size_t p = group.parameters[level.variable];
      auto& own = behind[l];
      own.assign(level.nodes(), unreachable);
      for (std::size_t n = 0; n < level.nodes(); ++n) {
        for (std::size_t e = level.first[n]; e < level.first[n + 1]; ++e) {
          if (fixed[level.variable] && *fixed[level.variable] != level.value[e]) continue;
          const std::uint64_t rest = l + 1 == levels.size() ? 0 : behind[l + 1][level.child[e]];
          if (rest != unreachable) own[n] = std::min(own[n], rest + step(p, level.value[e]));
        }
      }
    }
  }

  // The first solution by declared order among those at the smallest distance.
  void nearest_of_group(const GroupDiagram& group) {
    const auto& levels = group.diagram.levels();
    std::vector<std::optional<std::uint32_t>> fixed(levels.size());
    std::vector<std::vector<std::uint64_t>> behind;
    distances(group, fixed, behind);
    const std::uint64_t best = behind.front()[group.diagram.root()];
    if (group.is_declared) {
      std::uint32_t node = group.diagram.root();
      for (std::size_t l = 0; l < levels.size(); ++l) {
        const Level& level = levels[l];
        const std::size_t p = group.parameters[l];
        std::uint32_t e = level.first[node];
        const auto through = [&](std::uint32_t edge) {
          return step(p, level.value[edge]) + (l + 1 == levels.size() ? 0 : behind[l + 1][level.child[edge]]);
        };
        while (through(e) != behind[l][node]) ++e;
        choice_[p] = level.value[e];
        node = level.child[e];
      }
      return;
    }
    // Levels in another order: the declared ones are settled one after the other.
    for (std::size_t v = 0; v < levels.size(); ++v) {
      const std::size_t p = group.parameters[v];
      for (const std::uint32_t position : space_.occurring_[p]) {
        fixed[v] = position;
        distances(group, fixed, behind);
        if (behind.front()[group.diagram.root()] == best) break;
      }
      choice_[p] = *fixed[v];
    }
  }

  static constexpr std::uint64_t unreachable = std::numeric_limits<std::uint64_t>::max();

  const DiagramSpace& space_;
  Choice center_, choice_;
  std::unordered_map<Reached, bool, ReachedHash> hopeless_;
};

std::vector<std::uint64_t> DiagramSpace::neighbours(std::uint64_t index, Neighbourhood kind) const {
  Choice center(parameters_.size());
  read_choice(index, center);
  DiagramWalk walk(*this, center);
  if (kind == Neighbourhood::hamming || kind == Neighbourhood::hamming_adjacent)
    return walk.hamming(kind == Neighbourhood::hamming_adjacent);
  if (kind == Neighbourhood::closest) {
    const std::uint64_t farthest = walk.farthest();
    for (std::uint64_t d = 1; d <= farthest; ++d) {
      auto found = walk.ring(d);
      if (!found.empty()) return found;
    }
    return {};
  }
  Choice low(center.size()), high(center.size());
  for (std::size_t p = 0; p < center.size(); ++p) {
    const auto& occurring = occurring_[p];
    low[p] = occurring.front();
    high[p] = occurring.back();
    if (!ordered_[p]) continue;
    const auto own = std::lower_bound(occurring.begin(), occurring.end(), center[p]);
    if (kind == Neighbourhood::strictly_adjacent) {
      low[p] = center[p] - std::min(center[p], 1u);
      high[p] = center[p] + 1;
    } else {
      low[p] = own == occurring.begin() ? *own : *(own - 1);
      high[p] = own + 1 == occurring.end() ? *own : *(own + 1);
    }
  }
  return walk.box(low, high);
}

std::vector<Space::Near> DiagramSpace::within(std::span<const std::uint32_t> choice, std::uint64_t distance,
                                              std::size_t limit) const {
  DiagramWalk walk(*this, choice);
  std::vector<Near> found;
  const std::uint64_t last = std::min(distance, walk.farthest());
  for (std::uint64_t d = 1; d <= last && found.size() < limit; ++d) {
    for (const std::uint64_t index : walk.ring(d)) {
      if (found.size() == limit) break;
      found.push_back({index, d});
    }
  }
  return found;
}

std::uint64_t DiagramSpace::nearest(std::span<const std::uint32_t> choice) const {
  return DiagramWalk(*this, choice).nearest();
}

}  // namespace warpwright::detail
