#include "regression_forest.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

namespace warpwright::detail {
namespace {

constexpr std::size_t smallest_split = 4;  // rows; leaves of two keep some noise out

}  // namespace

struct RegressionForest::Data {
  const std::vector<std::uint16_t>& codes;
  std::size_t dimensions;
  const std::vector<double>& targets;
  std::uint16_t code(std::uint32_t row, std::size_t d) const { return codes[row * dimensions + d]; }
};

RegressionForest::RegressionForest(const std::vector<std::uint16_t>& codes, std::size_t dimensions,
                                   const std::vector<double>& targets, const std::vector<bool>& ordered,
                                   std::size_t trees, Rng& rng)
    : ordered_(ordered) {
  const Data data{codes, dimensions, targets};
  std::vector<std::uint32_t> rows(targets.size());
  for (std::size_t t = 0; t < trees; ++t) {
    std::iota(rows.begin(), rows.end(), std::uint32_t{0});
    roots_.push_back(grow(data, rows, 0, rows.size(), rng));
  }
}

std::uint32_t RegressionForest::grow(const Data& data, std::vector<std::uint32_t>& rows, std::size_t begin,
                                     std::size_t end, Rng& rng) {
  const auto node = static_cast<std::uint32_t>(nodes_.size());
  nodes_.emplace_back();
  double sum = 0;
  for (std::size_t i = begin; i < end; ++i) sum += data.targets[rows[i]];
  nodes_[node].value = end > begin ? sum / static_cast<double>(end - begin) : 0;
  if (end - begin < smallest_split) return node;
  // One random split in every dimension that still varies; the one that explains most is taken.
  std::optional<std::size_t> chosen;
  std::uint16_t chosen_split = 0;
  double most = 0;
  for (std::size_t d = 0; d < data.dimensions; ++d) {
    std::uint16_t low = data.code(rows[begin], d), high = low;
    for (std::size_t i = begin; i < end; ++i) {
      low = std::min(low, data.code(rows[i], d));
      high = std::max(high, data.code(rows[i], d));
    }
    if (low == high) continue;
    const auto split = ordered_[d] ? static_cast<std::uint16_t>(low + rng.below(static_cast<std::uint64_t>(high - low)))
                                   : data.code(rows[begin + rng.below(end - begin)], d);
    double sum_yes = 0, count_yes = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const std::uint16_t code = data.code(rows[i], d);
      if (ordered_[d] ? code > split : code != split) continue;
      sum_yes += data.targets[rows[i]];
      ++count_yes;
    }
    const double count_no = static_cast<double>(end - begin) - count_yes, sum_no = sum - sum_yes;
    const double explained =
        sum_yes * sum_yes / count_yes + sum_no * sum_no / count_no - sum * sum / static_cast<double>(end - begin);
    if (chosen && explained <= most) continue;
    most = explained;
    chosen = d;
    chosen_split = split;
  }
  if (!chosen) return node;
  const auto middle = std::stable_partition(rows.begin() + static_cast<std::ptrdiff_t>(begin),
                                            rows.begin() + static_cast<std::ptrdiff_t>(end), [&](std::uint32_t row) {
                                              const std::uint16_t code = data.code(row, *chosen);
                                              return ordered_[*chosen] ? code <= chosen_split : code == chosen_split;
                                            });
  const auto at = static_cast<std::size_t>(middle - rows.begin());
  const std::uint32_t yes = grow(data, rows, begin, at, rng);
  const std::uint32_t no = grow(data, rows, at, end, rng);
  nodes_[node].dimension = static_cast<std::int32_t>(*chosen);
  nodes_[node].split = chosen_split;
  nodes_[node].yes = yes;
  nodes_[node].no = no;
  return node;
}

RegressionForest::Prediction RegressionForest::operator()(const std::uint16_t* codes) const {
  double sum = 0, squares = 0;
  for (std::uint32_t at : roots_) {
    while (nodes_[at].dimension >= 0) {
      const auto d = static_cast<std::size_t>(nodes_[at].dimension);
      const bool yes = ordered_[d] ? codes[d] <= nodes_[at].split : codes[d] == nodes_[at].split;
      at = yes ? nodes_[at].yes : nodes_[at].no;
    }
    sum += nodes_[at].value;
    squares += nodes_[at].value * nodes_[at].value;
  }
  const auto count = static_cast<double>(roots_.size());
  const double mean = sum / count;
  return {mean, std::sqrt(std::max(0.0, squares / count - mean * mean))};
}

}  // namespace warpwright::detail
