#include <algorithm>
#include <vector>

#include <warpwright/measure/racing.hpp>
#include <warpwright/model/statistics.hpp>

namespace warpwright::measure {
namespace {

// Launching and synchronising took 18.6 us at the 99th percentile on an H100; ten times that is never latency alone.
constexpr Nanoseconds latency_allowance{200e3};

}  // namespace

Incumbent Incumbent::of(std::span<const Nanoseconds> samples) {
  std::vector<double> values;
  values.reserve(samples.size());
  for (const Nanoseconds sample : samples) values.push_back(sample.count());
  Incumbent incumbent;
  const double middle = warpwright::median(values);
  incumbent.median = Nanoseconds(middle);
  incumbent.upper_quartile = Nanoseconds(quantile(values, 0.75));
  incumbent.noise = middle > 0 ? interquartile_range(values) / middle : 0;
  return incumbent;
}

bool hopeless(std::span<const Nanoseconds> samples, const Incumbent& incumbent) {
  if (samples.size() < 2) return false;
  const Nanoseconds fastest = *std::min_element(samples.begin(), samples.end());
  if (fastest > incumbent.median * hopeless_after_two) return true;
  return samples.size() >= racing_samples && fastest > incumbent.upper_quartile * (1 + 2 * incumbent.noise);
}

bool hopeless_with_latency(Nanoseconds run, const Incumbent& incumbent) {
  return run > incumbent.median * hopeless_after_one + latency_allowance;
}

}  // namespace warpwright::measure
