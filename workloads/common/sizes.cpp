#include "workloads/common/sizes.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>

namespace warpwright::workloads {
namespace {

void require_size(bool holds, const std::string& what, const std::string& rule, std::size_t value) {
  if (!holds) throw Error(ErrorCode::bad_input, what + " must be " + rule + ", not " + std::to_string(value));
}

}  // namespace

void check(const Sizes& sizes) {
  require_size(sizes.oscillators >= 2, "the number of oscillators", "at least 2 (one has nothing to couple to)",
               sizes.oscillators);
  require_size(sizes.reservoir_units >= sizes.oscillators, "the number of reservoir units",
               "at least that of the oscillators (" + std::to_string(sizes.oscillators) + ")", sizes.reservoir_units);
  require_size(sizes.observations >= 1 && sizes.observations <= sizes.oscillators, "the number of observations",
               "from 1 to that of the oscillators (" + std::to_string(sizes.oscillators) + ")", sizes.observations);
  require_size(sizes.modes >= 1, "the number of modes", "at least 1", sizes.modes);
  require_size(sizes.history >= 3, "the history", "at least 3 frames (two samples at lag 1)", sizes.history);
  require_size(sizes.bins >= 2, "the number of bins", "at least 2 (one symbol carries no information)", sizes.bins);
  require_size(sizes.qubits >= 1 && sizes.qubits <= 30, "the number of qubits", "from 1 to 30", sizes.qubits);
  require_size(sizes.policies >= 1, "the number of policies", "at least 1", sizes.policies);
  require_size(sizes.horizon >= 1, "the horizon", "at least 1 step", sizes.horizon);
  require_size(sizes.substeps >= 1, "the number of sub-steps", "at least 1", sizes.substeps);
  require_size(sizes.batch >= 1, "the batch", "at least 1 instance", sizes.batch);
  const double seconds = sizes.frame_time.count();
  if (!(std::isfinite(seconds) && seconds > 0.0)) {
    throw Error(ErrorCode::bad_input,
                "the time of a frame must be positive and finite, not " + std::to_string(seconds) + " s");
  }
}

Sizes default_sizes() { return {}; }

ContractSizes contract_sizes() { return {}; }

Sizes scaled_sizes(std::size_t oscillators, std::size_t batch) {
  if (oscillators < 9) {
    throw Error(ErrorCode::bad_input, "scaled sizes need at least 9 oscillators, one observation for each nine, not " +
                                          std::to_string(oscillators));
  }
  Sizes sizes;
  sizes.reservoir_units = oscillators > sizes.reservoir_units ? oscillators : sizes.reservoir_units;
  sizes.oscillators = oscillators;
  sizes.observations = oscillators / 9;
  sizes.batch = batch;
  check(sizes);
  return sizes;
}

std::vector<Sizes> tuning_sizes() {
  std::vector<Sizes> all;
  for (const std::size_t oscillators : {256, 900, 1024, 2048, 4096, 8192}) {
    for (const std::size_t batch : {1, 8, 64, 256}) all.push_back(scaled_sizes(oscillators, batch));
  }
  return all;
}

}  // namespace warpwright::workloads
