#include <warpwright/memory/latency_histogram.hpp>

namespace warpwright::memory {

std::size_t LatencySnapshot::bucket_of(Nanoseconds duration) {
  const double count = duration.count();
  if (!(count > 0)) return 0;
  return count >= static_cast<double>(longest) ? buckets - 1 : scale.bucket_of(static_cast<std::uint64_t>(count));
}

std::uint64_t LatencySnapshot::total() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : counts) sum += count;
  return sum;
}

std::optional<Nanoseconds> LatencySnapshot::percentile(Percentile percentile) const {
  const std::uint64_t rank = percentile.rank(total());
  if (rank == 0) return std::nullopt;
  std::uint64_t seen = 0;
  std::size_t bucket = 0;
  while ((seen += counts[bucket]) < rank) ++bucket;
  return Nanoseconds{static_cast<double>(scale.last_of(bucket))};
}

LatencySnapshot LatencyHistogram::snapshot() const {
  LatencySnapshot copy;
  for (std::size_t i = 0; i < counts_.size(); ++i) copy.counts[i] = counts_[i].load(std::memory_order_relaxed);
  return copy;
}

}  // namespace warpwright::memory
