// Counts of durations on a log-linear scale: every power of two is cut into equally many equal steps, so that the
// relative width of a bucket is bounded and the bucket of a value is found with a shift, without a logarithm.
//
// Percentiles are nearest ranks, rank = ceil(p n / 100), in whole numbers: the usual libraries round p n / 100 to the
// nearest rank and call the 158th of 160 samples their p99, although 1.25 % of the samples are above it.
// A histogram is for reports and for merging. Verdicts count late requests exactly and never read a percentile back.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/units.hpp>

namespace warpwright {

// A percentile as whole millionths of a percent, so that ranks and tails have no rounding error: in doubles 99.9 % of
// 1000 samples is rank 1000 instead of 999, and 1 - 0.99 is not 0.01. Immutable value type.
class Percentile {
 public:
  // 50, 99, 99.9, 100. Throws Error(bad_input) unless it is more than 0 and at most 100.
  static Percentile percent(double percent);

  // ceil(p n / 100): which of n samples in ascending order, counted from 1; 0 for no samples.
  std::uint64_t rank(std::uint64_t samples) const;
  // 0.99 for p99.
  double share() const;
  // The share of samples that may lie above: 0.01 for p99, the double nearest to it.
  double tail() const;
  // "p99.9"
  std::string name() const;
  auto operator<=>(const Percentile&) const = default;

 private:
  explicit Percentile(std::uint64_t micropercent) : micropercent_(micropercent) {}
  std::uint64_t micropercent_;
};

// Which bucket counts which whole number. Values below 2^(bits + 1) have a bucket each; above, a bucket is at most
// 2^-bits of its values wide. 10 bits are three decimal digits. Immutable value type.
struct LogLinearScale {
  unsigned bits = 10;  // at most 20

  constexpr std::size_t bucket_of(std::uint64_t value) const {
    const unsigned length = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = length > bits + 1 ? length - bits - 1 : 0;
    return static_cast<std::size_t>((std::uint64_t{shift} << bits) + (value >> shift));
  }
  // Smallest and largest value of a bucket.
  constexpr std::uint64_t first_of(std::size_t bucket) const {
    const std::uint64_t octave = bucket >> bits;
    if (octave < 2) return bucket;
    const std::uint64_t step = std::uint64_t{1} << bits;
    return (step + (bucket & (step - 1))) << (octave - 1);
  }
  constexpr std::uint64_t last_of(std::size_t bucket) const { return first_of(bucket + 1) - 1; }
};

// Thread-compatible. Copies are independent.
class Histogram {
 public:
  struct Range {
    Nanoseconds low{1};
    Nanoseconds high{60e9};
    unsigned digits = 3;  // 1 to 5: a reported percentile is at most 10^-digits (or 1 ns) above the sample
    auto operator<=>(const Range&) const = default;
  };
  // 221 KB for the default range. Throws Error(bad_input) for a range that is empty, negative or above 2^53 ns.
  Histogram();
  explicit Histogram(const Range& range);

  // What lies outside the range is counted there (below(), above()) and takes part in ranks. Infinity is above: a
  // request that never ended. Throws Error(bad_input) for NaN and for negative durations.
  void add(Nanoseconds duration, std::uint64_t times = 1);
  // Throws Error(bad_input) for a histogram of another range.
  void merge(const Histogram& other);

  const Range& range() const { return range_; }
  std::uint64_t total() const { return total_; }
  std::uint64_t below() const { return below_; }
  std::uint64_t above() const { return above_; }
  // Exact; nullopt when empty.
  std::optional<Nanoseconds> minimum() const;
  std::optional<Nanoseconds> maximum() const;

  // An upper bound of the sample of that rank: the last value of its bucket, never more than the exact maximum; `low`
  // where the rank lies below the range, the exact maximum where it lies above. nullopt when empty.
  std::optional<Nanoseconds> percentile(Percentile percentile) const;

  // The buckets that hold something, in ascending order, without below() and above().
  struct Bucket {
    Nanoseconds first, last;
    std::uint64_t count = 0;
  };
  std::vector<Bucket> buckets() const;

 private:
  Range range_;
  LogLinearScale scale_;
  std::size_t first_bucket_ = 0;
  std::vector<std::uint64_t> counts_;
  std::uint64_t total_ = 0, below_ = 0, above_ = 0;
  Nanoseconds minimum_{0}, maximum_{0};
};

}  // namespace warpwright
