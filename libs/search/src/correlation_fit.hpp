// Correlation lengths of a Gaussian process by marginal likelihood. Private to this library.
#pragma once

#include <cstdint>
#include <vector>

#include "candidate_pool.hpp"
#include "gaussian_process.hpp"

namespace warpwright::detail {

struct CorrelationLengths {
  std::vector<double> lengths;  // of the dimensions, in parts of the range of positions
  double noise = 1e-2;          // variance, in parts of the signal's
};

// Matern 3/2 over the distance of ordered positions; exponential in "equal or not" for others and for two values.
Correlations correlations(const CandidatePool& pool, const std::vector<double>& lengths);

// Coordinate search from `start`, with mean and variance of the signal profiled out; a weak prior holds lengths near
// `prior_length` while there is little data. `codes`: positions of the observations, one after another; `targets`: one
// for each.
CorrelationLengths fit_correlations(const CandidatePool& pool, const std::vector<std::uint16_t>& codes,
                                    std::vector<double> targets, const CorrelationLengths& start, double prior_length,
                                    int sweeps);

}  // namespace warpwright::detail
