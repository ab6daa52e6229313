// The configurations that a model looks at: the whole of a small space, a part of a large one. Finds the place of a
// configuration from the positions of its values, and the candidates that differ from it in one value, without asking
// the space. Private to this library.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <warpwright/model/space.hpp>

#include "gaussian_process.hpp"

namespace warpwright::detail {

// Thread-compatible.
class CandidatePool {
 public:
  // Parameters with one value are left out.
  explicit CandidatePool(const Space& space);

  // Makes `indices` (each once) the candidates.
  void assign(std::vector<std::uint64_t> indices);
  void assign_whole_space();

  std::size_t size() const { return indices_.size(); }
  std::uint64_t index(std::size_t candidate) const { return indices_[candidate]; }
  const CandidateTable& table() const { return table_; }
  std::size_t dimensions() const { return table_.dimensions; }
  std::uint32_t values(std::size_t dimension) const { return table_.values[dimension]; }
  bool ordered(std::size_t dimension) const { return ordered_[dimension]; }

  // Appends the positions of a configuration of the space, dimensions() of them.
  void read(std::uint64_t index, std::vector<std::uint16_t>& codes) const;
  std::optional<std::size_t> find(const std::uint16_t* codes) const;
  // Calls visit(candidate) for every candidate that differs from `codes` in exactly one value, and for itself.
  template <class Visit>
  void around(const std::uint16_t* codes, const Visit& visit) const {
    const std::uint64_t here = key(codes);
    if (const auto own = find_key(here, codes, table_.dimensions, 0)) visit(*own);
    for (std::size_t d = 0; d < table_.dimensions; ++d) {
      for (std::uint32_t v = 0; v < table_.values[d]; ++v) {
        if (v == codes[d]) continue;
        const std::uint64_t there = here + (v - std::uint64_t{codes[d]}) * weights_[d];
        if (const auto near = find_key(there, codes, d, static_cast<std::uint16_t>(v))) visit(*near);
      }
    }
  }

 private:
  std::uint64_t key(const std::uint16_t* codes) const {
    std::uint64_t sum = 0;
    for (std::size_t d = 0; d < table_.dimensions; ++d) sum += codes[d] * weights_[d];
    return sum;
  }
  // The candidate with these codes, but `value` in `dimension` (none if it is dimensions()).
  std::optional<std::size_t> find_key(std::uint64_t key, const std::uint16_t* codes, std::size_t dimension,
                                      std::uint16_t value) const;
  void index_places();

  const Space& space_;
  std::vector<std::size_t> parameters_;  // of the dimensions
  std::vector<bool> ordered_;
  std::vector<std::uint64_t> weights_;  // mixed radix, modulo 2^64
  CandidateTable table_;
  std::vector<std::uint64_t> indices_;
  std::vector<std::uint32_t> slots_;  // candidate + 1 by hash of the key, open addressing
  int shift_ = 63;
  mutable Choice choice_;
};

}  // namespace warpwright::detail
