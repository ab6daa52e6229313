#include <algorithm>
#include <cmath>

#include <warpwright/memory/latency_histogram.hpp>

namespace warpwright::memory {

std::size_t LatencySnapshot::bucket_of(Nanoseconds duration) {
  const double count = duration.count();
  if (!(count > 1)) return 0;
  const double position = std::ceil(std::log2(count) * static_cast<double>(steps));
  return static_cast<std::size_t>(std::min(position, static_cast<double>(buckets - 1)));
}

Nanoseconds LatencySnapshot::upper_edge(std::size_t bucket) {
  return Nanoseconds{std::exp2(static_cast<double>(bucket) / static_cast<double>(steps))};
}

std::uint64_t LatencySnapshot::total() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : counts) sum += count;
  return sum;
}

Nanoseconds LatencySnapshot::quantile(double share) const {
  const std::uint64_t all = total();
  if (all == 0) return Nanoseconds{0};
  const double wanted = std::max(1.0, std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(all)));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    seen += counts[bucket];
    if (static_cast<double>(seen) >= wanted) return upper_edge(bucket);
  }
  return upper_edge(buckets - 1);
}

LatencySnapshot LatencyHistogram::snapshot() const {
  LatencySnapshot copy;
  for (std::size_t i = 0; i < counts_.size(); ++i) copy.counts[i] = counts_[i].load(std::memory_order_relaxed);
  return copy;
}

}  // namespace warpwright::memory
