// Sizes of the reference workloads. One plain value for all stages, because a frame's stages must agree on them; the
// three sets are those of the specification: what a frame runs by default, what the latency contracts name, what the
// tuner scans.
#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

namespace warpwright::workloads {

// Elements from one row to the next: `columns` rounded up to a multiple of 32 (900 -> 928).
constexpr std::size_t leading_dimension(std::size_t columns) noexcept { return (columns + 31) / 32 * 32; }

// In comments: the symbol of the formulas.
struct Sizes {
  std::size_t oscillators = 900;                   // n, also windows and sources of the transfer entropy
  std::size_t reservoir_units = 1000;              // R >= n
  std::size_t observations = 100;                  // m <= n
  std::size_t modes = 100;                         // n_a
  std::size_t history = 100;                       // T_h, frames in the ring buffer, >= 3: two samples at lag 1
  std::size_t bins = 2;                            // B >= 2, symbols of the transfer entropy
  std::size_t qubits = 10;                         // q, 1 to 30
  std::size_t policies = 5;                        // P
  std::size_t horizon = 3;                         // H, steps
  std::size_t substeps = 100;                      // NS
  std::size_t batch = 1;                           // b, instances that share the coupling and the parameters
  std::chrono::duration<double> frame_time{0.01};  // dt

  bool operator==(const Sizes&) const = default;
};

// Throws Error(bad_input) that names the first size that is wrong and what would be right.
void check(const Sizes& sizes);

// n = 900 and the other defaults above.
Sizes default_sizes();

// What the latency contracts are about. Stages that are not named run at the default sizes.
struct ContractSizes {
  Sizes frame;                                  // n = 900
  std::size_t oscillators = 1024;               // n of the thermodynamic step
  std::size_t transfer_entropy_samples = 4096;  // of one pair
  std::size_t transfer_entropy_lags = 100;
  std::size_t transfer_entropy_bins = 10;
};
ContractSizes contract_sizes();

// Default sizes scaled to n oscillators and b instances: R = max(1000, n), m = floor(n / 9), the rest as default.
// Throws Error(bad_input) for n < 9 (no observation is left) or b = 0.
Sizes scaled_sizes(std::size_t oscillators, std::size_t batch);

// The sizes that the tuner scans: n in {256, 900, 1024, 2048, 4096, 8192} by b in {1, 8, 64, 256}, 24 of them, n first.
// Which of them fit in a device's memory is for the caller to say.
std::vector<Sizes> tuning_sizes();

}  // namespace warpwright::workloads
