#include <cmath>

#include <warpwright/testing/noise.hpp>

namespace warpwright::test {

Nanoseconds NoisySamples::next() {
  // Both are drawn every time, so that changing one probability does not shift the other samples.
  const double noise = std::abs(rng_.normal()), chance = rng_.uniform();
  double factor = (1 + model_.spread * noise) * (1 + model_.drift_per_sample * static_cast<double>(drawn_++));
  if (chance < model_.outlier_probability)
    factor *= model_.outlier_factor;
  else if (chance > 1 - model_.lucky_probability)
    factor *= model_.lucky_factor;
  return model_.truth * factor;
}

std::vector<Nanoseconds> NoisySamples::take(int count) {
  std::vector<Nanoseconds> samples;
  for (int i = 0; i < count; ++i) samples.push_back(next());
  return samples;
}

}  // namespace warpwright::test
