// Durations by powers of two with four steps each: quantiles within 19 % of the samples, without a lock and in 1.4 KB.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <warpwright/base/units.hpp>

namespace warpwright::memory {

// A copy of a histogram. Value type.
struct LatencySnapshot {
  static constexpr std::size_t steps = 4;             // per power of two
  static constexpr std::size_t buckets = 44 * steps;  // up to 2^44 ns, about five hours
  std::array<std::uint64_t, buckets> counts{};

  std::uint64_t total() const;
  // Upper edge of the bucket that holds this share (0 to 1) of the samples; 0 without samples.
  Nanoseconds quantile(double share) const;
  // Durations of this bucket and less.
  static Nanoseconds upper_edge(std::size_t bucket);
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
