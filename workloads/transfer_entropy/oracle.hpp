// S2: transfer entropy, the information that the past of X has about the future of Y beyond the past of Y.
//
// TE(X->Y) = sum p(z,y,x) log2[p(z|y,x) / p(z|y)] with x = X_t, y = Y_t, z = Y_{t+lag} (Schreiber, PRL 85 (2000) 461),
// one step of history on both sides: with longer ones 100 frames of independent coins have 0.96 bit. From counts, with
// g(c) = c log2 c and g(0) = 0:
//   TE = (1/N) [sum g(c_xyz) + sum g(c_y) - sum g(c_xy) - sum g(c_yz)].
// Samples: t = 0..N-1, N = length - lag, oldest first. Information is in bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "workloads/common/history.hpp"
#include "workloads/common/matrix.hpp"

namespace warpwright::workloads::transfer_entropy {

// Symbols 0..bins-1 of a series: min(bins - 1, floor(bins (x - min) / (max - min))), all 0 if max = min. The maximum is
// in the top bin with its neighbours. Throws Error(bad_input) for an empty series, a value that is not finite, and bins
// outside 2..256.
std::vector<std::uint8_t> symbols(std::span<const double> series, std::size_t bins);

// Histograms of one pair. Thread-compatible value type.
struct Counts {
  std::size_t bins = 0;            // B
  std::size_t samples = 0;         // N
  std::vector<std::uint32_t> xyz;  // B^3, at (x B + y) B + z
  std::vector<std::uint32_t> xy;   // B^2, at x B + y
  std::vector<std::uint32_t> yz;   // B^2, at y B + z
  std::vector<std::uint32_t> y;    // B

  bool operator==(const Counts&) const = default;
};

// Counts of a source X and a target Y of the same length at a lag of 1 to length - 1. Throws Error(bad_input) if the
// lengths differ, the lag is out of range, or a symbol is not below `bins`.
Counts count(std::span<const std::uint8_t> source, std::span<const std::uint8_t> target, std::size_t bins,
             std::size_t lag);

// In bits. `raw` is what the counts say, at least 0 but for rounding; `corrected` is without its mean for independent
// data, (occ_xyz - occ_xy - occ_yz + occ_y) / (2 N ln 2) by occupied cells (Panzeri and Treves 1996), and never below
// 0.
struct Estimate {
  double raw = 0.0;
  double corrected = 0.0;
};

Estimate estimate(const Counts& counts);

// H(Z|Y) in bits: the upper bound of raw transfer entropy.
double conditional_entropy(const Counts& counts);

// At lags first_lag..last_lag; [0] belongs to first_lag. Errors as of count().
std::vector<Estimate> lag_scan(std::span<const std::uint8_t> source, std::span<const std::uint8_t> target,
                               std::size_t bins, std::size_t first_lag, std::size_t last_lag);

// All pairs of a history of n series: n x n, (i, j) = TE(j -> i), zero diagonal.
struct Flow {
  Matrix raw;
  Matrix corrected;  // what the coupling is made of
};

// Time O(n^2 (T_h + B^3)). Errors as of count().
Flow all_pairs(const History& history, std::size_t bins, std::size_t lag);

// Transfer entropy of continuous series in bits by nearest neighbours, the conditional form of Kraskov, Stoegbauer and
// Grassberger (PRE 69 (2004) 066138; Frenzel and Pompe, PRL 99 (2007) 204101): eps_i is the maximum-norm distance from
// point i to its `neighbours`-th neighbour in (z, y, x); n_y, n_xy and n_yz count the other points strictly within
// eps_i.
//   TE = digamma(neighbours) + mean[digamma(n_y + 1) - digamma(n_xy + 1) - digamma(n_yz + 1)] nats.
// May come out slightly below 0. Time O(N^2). Throws Error(bad_input) if the lengths differ, a value is not finite, the
// lag is 0, or there are not more than `neighbours` samples.
double continuous(std::span<const double> source, std::span<const double> target, std::size_t lag,
                  std::size_t neighbours = 4);

}  // namespace warpwright::workloads::transfer_entropy
