#include "candidate_pool.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace warpwright::detail {
namespace {

constexpr std::uint64_t golden = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio: spreads keys over the high bits

}  // namespace

CandidatePool::CandidatePool(const Space& space) : space_(space), choice_(space.parameters().size()) {
  std::uint64_t weight = 1;
  for (std::size_t p = 0; p < space.parameters().size(); ++p) {
    const Parameter& parameter = space.parameters()[p];
    if (parameter.values.size() < 2) continue;
    parameters_.push_back(p);
    ordered_.push_back(is_ordered(parameter));
    weights_.push_back(weight);
    table_.values.push_back(static_cast<std::uint32_t>(parameter.values.size()));
    weight *= parameter.values.size();
  }
  table_.dimensions = parameters_.size();
}

void CandidatePool::assign(std::vector<std::uint64_t> indices) {
  indices_ = std::move(indices);
  table_.codes.clear();
  table_.codes.reserve(indices_.size() * table_.dimensions);
  for (const std::uint64_t index : indices_) read(index, table_.codes);
  index_places();
}

void CandidatePool::assign_whole_space() {
  std::vector<std::uint64_t> all(space_.size());
  std::iota(all.begin(), all.end(), std::uint64_t{0});
  assign(std::move(all));
}

void CandidatePool::read(std::uint64_t index, std::vector<std::uint16_t>& codes) const {
  space_.read_choice(index, choice_);
  for (const std::size_t p : parameters_) codes.push_back(static_cast<std::uint16_t>(choice_[p]));
}

void CandidatePool::index_places() {
  const std::size_t slots = std::bit_ceil(2 * indices_.size() + 2);
  shift_ = 64 - std::countr_zero(slots);
  slots_.assign(slots, 0);
  for (std::size_t c = 0; c < indices_.size(); ++c) {
    std::size_t slot = (key(table_.at(c)) * golden) >> shift_;
    while (slots_[slot] != 0) slot = (slot + 1) & (slots - 1);
    slots_[slot] = static_cast<std::uint32_t>(c + 1);
  }
}

std::optional<std::size_t> CandidatePool::find(const std::uint16_t* codes) const {
  return find_key(key(codes), codes, table_.dimensions, 0);
}

std::optional<std::size_t> CandidatePool::find_key(std::uint64_t key, const std::uint16_t* codes, std::size_t dimension,
                                                   std::uint16_t value) const {
  if (slots_.empty()) return std::nullopt;
  for (std::size_t slot = (key * golden) >> shift_; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1)) {
    const std::size_t candidate = slots_[slot] - 1;
    const std::uint16_t* there = table_.at(candidate);
    std::size_t d = 0;
    while (d < table_.dimensions && there[d] == (d == dimension ? value : codes[d])) ++d;
    if (d == table_.dimensions) return candidate;
  }
  return std::nullopt;
}

}  // namespace warpwright::detail
