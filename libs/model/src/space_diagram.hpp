// The solutions of one group of parameters as a decision diagram: one level per parameter, one node per distinct set of
// continuations, edges labelled with positions of values in ascending order. Equal sub-diagrams exist once (a reduced
// ordered multi-valued decision diagram), so memory grows with the structure of the set, not with its size; each edge
// holds how many solutions the edges before it lead to, so the n-th solution and the rank of a solution are found in
// one walk. 16 bytes an edge, 12 a node.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "space_solver.hpp"

namespace warpwright::detail {

class Diagram {
 public:
  struct Level {
    std::size_t variable = 0;           // number in the group
    std::vector<std::uint32_t> first;   // of each node its first edge; one more at the end
    std::vector<std::uint32_t> value;   // of each edge: position in Parameter::values
    std::vector<std::uint32_t> child;   // node of the next level; 0 behind the last
    std::vector<std::uint64_t> before;  // solutions behind the edges before this one, of the same node
    std::vector<std::uint64_t> count;   // of each node
    std::size_t nodes() const { return count.size(); }
  };

  std::uint64_t size() const { return size_; }  // number of solutions
  const std::vector<Level>& levels() const { return levels_; }
  std::uint32_t root() const { return 0; }  // of levels().front(); there is one unless size() == 0
  std::size_t edges() const;
  std::size_t nodes() const;
  std::size_t bytes() const;

  // The edge of `node` with this value, if there is one.
  std::optional<std::uint32_t> edge(std::size_t level, std::uint32_t node, std::uint32_t value) const;
  // The edge of `node` behind which solution number `rank` of the node lies.
  std::uint32_t edge_at(std::size_t level, std::uint32_t node, std::uint64_t rank) const;

  // The solutions of a layered graph; `domains` are the solver's. Throws Error(bad_input) beyond 2^64 solutions.
  static Diagram reduce(const LayeredGraph& graph, const std::vector<std::vector<std::uint32_t>>& domains);
  // The same set with variables in the order of their numbers, by listing and sorting all solutions; nullopt where a
  // solution does not fit into 128 bits.
  static std::optional<Diagram> reordered(const Diagram& diagram, std::size_t variables,
                                          const std::vector<std::vector<std::uint32_t>>& domains);

 private:
  friend class DiagramBuilder;
  std::vector<Level> levels_;
  std::uint64_t size_ = 0;
};

}  // namespace warpwright::detail
