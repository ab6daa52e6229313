// Extremely randomised trees (Geurts, Ernst, Wehenkel 2006) over positions of values. Private to this library.
#pragma once

#include <cstdint>
#include <vector>

#include <warpwright/base/rng.hpp>

namespace warpwright::detail {

// Immutable after construction.
class RegressionForest {
 public:
  // `codes`: `dimensions` positions for each target. A split of an ordered dimension is "at most", of others "equal".
  RegressionForest(const std::vector<std::uint16_t>& codes, std::size_t dimensions, const std::vector<double>& targets,
                   const std::vector<bool>& ordered, std::size_t trees, Rng& rng);

  struct Prediction {
    double mean = 0, deviation = 0;  // over the trees
  };
  Prediction operator()(const std::uint16_t* codes) const;

 private:
  struct Node {
    std::int32_t dimension = -1;  // leaf
    std::uint16_t split = 0;
    std::uint32_t yes = 0, no = 0;
    double value = 0;  // of a leaf
  };
  struct Data;
  std::uint32_t grow(const Data& data, std::vector<std::uint32_t>& rows, std::size_t begin, std::size_t end, Rng& rng);

  std::vector<bool> ordered_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> roots_;
};

}  // namespace warpwright::detail
