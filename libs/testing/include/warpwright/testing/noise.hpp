// Made-up timings with the faults of real ones, so that what decides on timings is tested on noise of known truth.
// Shape: GPU noise is one-sided (interference only slows down), with rare outliers, now and then an impossibly fast
// sample, and a drift while the device warms up.
#pragma once

#include <cstdint>
#include <vector>

#include <warpwright/base/rng.hpp>
#include <warpwright/base/units.hpp>

namespace warpwright::test {

struct NoiseModel {
  Nanoseconds truth{1e6};          // the time without noise
  double spread = 0.01;            // relative scale of the one-sided noise |N(0, spread)|
  double outlier_probability = 0;  // of a sample `outlier_factor` times as long
  double outlier_factor = 5;
  double lucky_probability = 0;  // of a sample `lucky_factor` times as long
  double lucky_factor = 0.5;
  double drift_per_sample = 0;  // relative change from one sample to the next
};

// Thread-compatible. The same seed gives the same samples.
class NoisySamples {
 public:
  NoisySamples(NoiseModel model, std::uint64_t seed) : model_(model), rng_(seed) {}
  Nanoseconds next();
  std::vector<Nanoseconds> take(int count);

 private:
  NoiseModel model_;
  Rng rng_;
  std::uint64_t drawn_ = 0;
};

}  // namespace warpwright::test
