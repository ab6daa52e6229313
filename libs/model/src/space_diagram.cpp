#include "space_diagram.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include <warpwright/base/error.hpp>

namespace warpwright::detail {
namespace {

__extension__ using Wide = unsigned __int128;

// Numbers nodes of one level so that equal lists of edges get the same number.
class NodeTable {
 public:
  explicit NodeTable(Diagram::Level& level) : level_(level) {
    level_.first.assign(1, 0);
    places_.assign(64, 0);
  }

  // The edges since the last call are those of one node. `counts` are of the nodes of the next level.
  std::uint32_t finish(const std::vector<std::uint64_t>* counts) {
    const std::size_t begin = level_.first.back(), end = level_.value.size();
    std::uint64_t h = 0x9E3779B97F4A7C15u;
    for (std::size_t e = begin; e < end; ++e) {
      h = (h ^ (static_cast<std::uint64_t>(level_.value[e]) << 32 | level_.child[e])) * 0xBF58476D1CE4E5B9u;
      h ^= h >> 29;
    }
    const std::size_t mask = places_.size() - 1;
    std::size_t place = h & mask;
    for (; places_[place] != 0; place = (place + 1) & mask) {
      const std::size_t node = places_[place] - 1;
      const std::size_t other = level_.first[node];
      if (level_.first[node + 1] - other != end - begin) continue;
      if (std::equal(level_.value.begin() + at(begin), level_.value.begin() + at(end),
                     level_.value.begin() + at(other)) &&
          std::equal(level_.child.begin() + at(begin), level_.child.begin() + at(end),
                     level_.child.begin() + at(other))) {
        level_.value.resize(begin);
        level_.child.resize(begin);
        return static_cast<std::uint32_t>(node);
      }
    }
    std::uint64_t count = 0;
    for (std::size_t e = begin; e < end; ++e) {
      level_.before.push_back(count);
      if (__builtin_add_overflow(count, counts == nullptr ? 1 : (*counts)[level_.child[e]], &count)) {
        throw Error(ErrorCode::bad_input,
                    "parameters that are connected by constraints have more than 2^64 combinations; fewer values are "
                    "needed");
      }
    }
    level_.count.push_back(count);
    level_.first.push_back(static_cast<std::uint32_t>(end));
    hashes_.push_back(h);
    places_[place] = static_cast<std::uint32_t>(level_.count.size());
    if (level_.count.size() * 2 > places_.size()) grow();
    return static_cast<std::uint32_t>(level_.count.size() - 1);
  }

 private:
  static std::ptrdiff_t at(std::size_t i) { return static_cast<std::ptrdiff_t>(i); }
  void grow() {
    places_.assign(places_.size() * 4, 0);
    const std::size_t mask = places_.size() - 1;
    for (std::size_t i = 0; i < hashes_.size(); ++i) {
      std::size_t place = hashes_[i] & mask;
      while (places_[place] != 0) place = (place + 1) & mask;
      places_[place] = static_cast<std::uint32_t>(i + 1);
    }
  }

  Diagram::Level& level_;
  std::vector<std::uint32_t> places_;  // open addressing: node + 1, or 0
  std::vector<std::uint64_t> hashes_;
};

void shrink(Diagram::Level& level) {
  level.first.shrink_to_fit();
  level.value.shrink_to_fit();
  level.child.shrink_to_fit();
  level.before.shrink_to_fit();
  level.count.shrink_to_fit();
}

// Least significant digit first; digits of eleven bits.
template <typename Key>
void radix_sort(std::vector<Key>& keys, int bits) {
  if (keys.size() < 512) {
    std::sort(keys.begin(), keys.end());
    return;
  }
  std::vector<Key> other(keys.size());
  for (int shift = 0; shift < bits; shift += 11) {
    std::array<std::size_t, 2049> begin{};
    for (const Key key : keys) ++begin[static_cast<std::size_t>(key >> shift & 2047) + 1];
    for (std::size_t i = 1; i < begin.size(); ++i) begin[i] += begin[i - 1];
    for (const Key key : keys) other[begin[static_cast<std::size_t>(key >> shift & 2047)]++] = key;
    keys.swap(other);
  }
}

}  // namespace

class DiagramBuilder {
 public:
  static Diagram reduce(const LayeredGraph& graph, const std::vector<std::vector<std::uint32_t>>& domains) {
    Diagram diagram;
    const std::size_t depth = graph.layers.size();
    diagram.levels_.resize(depth);
    constexpr std::uint32_t dead = 0xFFFFFFFFu;
    std::vector<std::uint32_t> next(graph.terminals.size());
    for (std::size_t i = 0; i < next.size(); ++i) next[i] = graph.terminals[i] == LayeredGraph::no_condition ? 0 : dead;
    for (std::size_t l = depth; l-- > 0;) {
      const auto& layer = graph.layers[l];
      Diagram::Level& level = diagram.levels_[l];
      level.variable = layer.variable;
      NodeTable table(level);
      const auto* counts = l + 1 == depth ? nullptr : &diagram.levels_[l + 1].count;
      std::vector<std::uint32_t> nodes(layer.states(), dead);
      for (std::size_t s = 0; s < layer.states(); ++s) {
        for (std::size_t e = layer.first[s]; e < layer.first[s + 1]; ++e) {
          if (next[layer.child[e]] == dead) continue;
          level.value.push_back(domains[layer.variable][layer.value[e]]);
          level.child.push_back(next[layer.child[e]]);
        }
        if (level.value.size() > level.first.back()) nodes[s] = table.finish(counts);
      }
      shrink(level);
      next = std::move(nodes);
    }
    diagram.size_ = next.empty() || next.front() == dead ? 0 : depth == 0 ? 1 : diagram.levels_.front().count.front();
    return diagram;
  }

  template <typename Key>
  static Diagram reordered(const Diagram& diagram, const std::vector<int>& shift, const std::vector<int>& width,
                           const std::vector<std::vector<std::uint32_t>>& domains, int bits) {
    std::vector<Key> keys;
    keys.reserve(diagram.size());
    // Of each edge, the bits that its value contributes.
    std::vector<std::vector<Key>> contribution;
    for (const auto& level : diagram.levels_) {
      auto& own = contribution.emplace_back();
      own.reserve(level.value.size());
      const auto& domain = domains[level.variable];
      for (const std::uint32_t value : level.value) {
        const auto rank = std::lower_bound(domain.begin(), domain.end(), value) - domain.begin();
        own.push_back(static_cast<Key>(rank) << shift[level.variable]);
      }
    }
    list<Key>(diagram, contribution, 0, 0, 0, keys);
    radix_sort(keys, bits);

    Diagram result;
    const std::size_t depth = width.size();
    result.levels_.resize(depth);
    std::vector<std::uint32_t> nodes;  // behind each key; all the same behind the last level
    for (std::size_t l = depth; l-- > 0;) {
      Diagram::Level& level = result.levels_[l];
      level.variable = l;
      NodeTable table(level);
      const auto* counts = l + 1 == depth ? nullptr : &result.levels_[l + 1].count;
      const Key mask = (static_cast<Key>(1) << width[l]) - 1;
      const auto& domain = domains[l];
      std::size_t written = 0;
      const bool last = nodes.empty();
      if (last) nodes.resize(keys.size());
      for (std::size_t i = 0; i < keys.size();) {
        const Key prefix = keys[i] >> width[l];
        for (; i < keys.size() && keys[i] >> width[l] == prefix; ++i) {
          level.value.push_back(domain[static_cast<std::size_t>(keys[i] & mask)]);
          level.child.push_back(last ? 0 : nodes[i]);
        }
        nodes[written] = table.finish(counts);
        keys[written++] = prefix;
      }
      keys.resize(written);
      nodes.resize(written);
      shrink(level);
    }
    result.size_ = diagram.size_;
    return result;
  }

 private:
  template <typename Key>
  static void list(const Diagram& diagram, const std::vector<std::vector<Key>>& contribution, std::size_t l,
                   std::uint32_t node, Key prefix, std::vector<Key>& keys) {
    const Diagram::Level& level = diagram.levels_[l];
    const std::size_t begin = level.first[node], end = level.first[node + 1];
    if (l + 1 == diagram.levels_.size()) {
      for (std::size_t e = begin; e < end; ++e) keys.push_back(prefix | contribution[l][e]);
      return;
    }
    for (std::size_t e = begin; e < end; ++e)
      list<Key>(diagram, contribution, l + 1, level.child[e], prefix | contribution[l][e], keys);
  }
};

Diagram Diagram::reduce(const LayeredGraph& graph, const std::vector<std::vector<std::uint32_t>>& domains) {
  return DiagramBuilder::reduce(graph, domains);
}

std::optional<Diagram> Diagram::reordered(const Diagram& diagram, std::size_t variables,
                                          const std::vector<std::vector<std::uint32_t>>& domains) {
  std::vector<int> width(variables), shift(variables);
  int bits = 0;
  for (std::size_t v = variables; v-- > 0;) {
    width[v] = static_cast<int>(std::bit_width(domains[v].size() - 1));
    shift[v] = bits;
    bits += width[v];
  }
  // One bit is kept: a shift by the full width is undefined.
  if (bits < 32) return DiagramBuilder::reordered<std::uint32_t>(diagram, shift, width, domains, bits);
  if (bits < 64) return DiagramBuilder::reordered<std::uint64_t>(diagram, shift, width, domains, bits);
  if (bits < 128) return DiagramBuilder::reordered<Wide>(diagram, shift, width, domains, bits);
  return std::nullopt;
}

std::size_t Diagram::edges() const {
  std::size_t sum = 0;
  for (const auto& level : levels_) sum += level.value.size();
  return sum;
}

std::size_t Diagram::nodes() const {
  std::size_t sum = 0;
  for (const auto& level : levels_) sum += level.nodes();
  return sum;
}

std::size_t Diagram::bytes() const {
  return edges() * (2 * sizeof(std::uint32_t) + sizeof(std::uint64_t)) +
         nodes() * (sizeof(std::uint32_t) + sizeof(std::uint64_t));
}

std::optional<std::uint32_t> Diagram::edge(std::size_t l, std::uint32_t node, std::uint32_t value) const {
  const Level& level = levels_[l];
  const auto begin = level.value.begin() + level.first[node], end = level.value.begin() + level.first[node + 1];
  const auto found = std::lower_bound(begin, end, value);
  if (found == end || *found != value) return std::nullopt;
  return static_cast<std::uint32_t>(found - level.value.begin());
}

std::uint32_t Diagram::edge_at(std::size_t l, std::uint32_t node, std::uint64_t rank) const {
  const Level& level = levels_[l];
  const auto begin = level.before.begin() + level.first[node], end = level.before.begin() + level.first[node + 1];
  return static_cast<std::uint32_t>(std::upper_bound(begin, end, rank) - level.before.begin()) - 1;
}

}  // namespace warpwright::detail
