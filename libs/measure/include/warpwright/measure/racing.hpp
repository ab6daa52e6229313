// Racing: a configuration that is clearly slower than the best one so far is not worth its remaining samples.
// Interference only ever makes a run slower, so the fastest of a few samples is what is compared, and it must lose by
// more than the best one's own noise. Early exits of this kind exist in other tuners as "5 samples, then drop beyond
// 2x"; the steps here (10x after the verifying run, 3x after two samples, noise-aware after three) follow from the
// one-sidedness of the noise. One sample alone decides nothing small: outliers of several times are not that rare.
#pragma once

#include <span>

#include <warpwright/base/units.hpp>

namespace warpwright::measure {

// The best configuration so far, as a newcomer sees it.
struct Incumbent {
  Nanoseconds median{}, upper_quartile{};
  double noise = 0;  // interquartile range / median

  // Throws Error(bad_input) where there are no samples.
  static Incumbent of(std::span<const Nanoseconds> samples);
};

// A verifying run this much slower than the incumbent's median decides, and two samples this much slower.
inline constexpr double hopeless_after_one = 10;
inline constexpr double hopeless_after_two = 3;
// From this many samples on, their minimum decides against the upper quartile, widened by twice the noise.
inline constexpr int racing_samples = 3;

// Whether samples so far (in any order) show that the configuration cannot beat the incumbent.
bool hopeless(std::span<const Nanoseconds> samples, const Incumbent& incumbent);
// The same for one run whose span also holds the host's launch latency (no work in front of it hides it).
bool hopeless_with_latency(Nanoseconds run, const Incumbent& incumbent);

}  // namespace warpwright::measure
