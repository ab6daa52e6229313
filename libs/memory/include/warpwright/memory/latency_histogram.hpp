// Durations that many threads count at once, without a lock and in 2.6 KB: the scale of base's Histogram with eight
// steps to a power of two, so percentiles are within 12.5 % of the samples.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <warpwright/base/histogram.hpp>
#include <warpwright/base/units.hpp>

namespace warpwright::memory {

// A copy of a histogram. Value type.
struct LatencySnapshot {
  static constexpr LogLinearScale scale{3};
  static constexpr std::uint64_t longest =
      (std::uint64_t{1} << 44) - 1;  // ns, about five hours; what is longer counts as this
  static constexpr std::size_t buckets = scale.bucket_of(longest) + 1;
  std::array<std::uint64_t, buckets> counts{};

  std::uint64_t total() const;
  // Upper edge of the bucket that holds the sample of this rank; nullopt without samples.
  std::optional<Nanoseconds> percentile(Percentile percentile) const;
  static std::size_t bucket_of(Nanoseconds duration);
};

// Thread-safe, lock-free.
class LatencyHistogram {
 public:
  void add(Nanoseconds duration) {
    counts_[LatencySnapshot::bucket_of(duration)].fetch_add(1, std::memory_order_relaxed);
  }
  LatencySnapshot snapshot() const;

 private:
  std::array<std::atomic<std::uint64_t>, LatencySnapshot::buckets> counts_{};
};

}  // namespace warpwright::memory
