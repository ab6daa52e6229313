#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/histogram.hpp>

namespace warpwright {
namespace {

constexpr std::uint64_t all_micropercent = 100'000'000;

unsigned bits_for(unsigned digits) {
  const double steps = std::pow(10.0, digits);
  return static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(steps) - 1));
}

std::uint64_t whole(Nanoseconds duration) { return static_cast<std::uint64_t>(duration.count()); }

}  // namespace

Percentile Percentile::percent(double percent) {
  const double micro = std::round(percent * 1e6);
  if (!(micro >= 1) || !(percent <= 100)) {
    throw Error(ErrorCode::bad_input,
                fmt::format("a percentile is more than 0 and at most 100, such as 99.9; found {}", percent));
  }
  return Percentile(static_cast<std::uint64_t>(micro));
}

std::uint64_t Percentile::rank(std::uint64_t samples) const {
  // In two parts, because p n may need more than 64 bits.
  const std::uint64_t whole_part = samples / all_micropercent * micropercent_;
  const std::uint64_t rest = samples % all_micropercent * micropercent_;
  return whole_part + (rest + all_micropercent - 1) / all_micropercent;
}

double Percentile::share() const { return static_cast<double>(micropercent_) / static_cast<double>(all_micropercent); }

double Percentile::tail() const {
  return static_cast<double>(all_micropercent - micropercent_) / static_cast<double>(all_micropercent);
}

std::string Percentile::name() const { return fmt::format("p{}", static_cast<double>(micropercent_) / 1e6); }

Histogram::Histogram() : Histogram(Range{}) {}

Histogram::Histogram(const Range& range) : range_(range) {
  if (!(range.low.count() >= 0) || !(range.high > range.low) || !(range.high.count() <= 0x1p53)) {
    throw Error(ErrorCode::bad_input, fmt::format("a histogram from {} ns to {} ns is not possible: the range must not "
                                                  "be empty and lie between 0 and 2^53 ns",
                                                  range.low.count(), range.high.count()));
  }
  if (range.digits < 1 || range.digits > 5) {
    throw Error(ErrorCode::bad_input, fmt::format("a histogram has 1 to 5 digits, found {}", range.digits));
  }
  scale_.bits = bits_for(range.digits);
  first_bucket_ = scale_.bucket_of(whole(range.low));
  counts_.resize(scale_.bucket_of(whole(range.high)) - first_bucket_ + 1);
}

void Histogram::add(Nanoseconds duration, std::uint64_t times) {
  if (!(duration.count() >= 0)) {
    throw Error(ErrorCode::bad_input, fmt::format("{} ns is no duration that a histogram counts", duration.count()));
  }
  if (times == 0) return;
  minimum_ = total_ == 0 ? duration : std::min(minimum_, duration);
  maximum_ = total_ == 0 ? duration : std::max(maximum_, duration);
  total_ += times;
  if (duration < range_.low) {
    below_ += times;
  } else if (duration > range_.high) {
    above_ += times;
  } else {
    counts_[scale_.bucket_of(whole(duration)) - first_bucket_] += times;
  }
}

void Histogram::merge(const Histogram& other) {
  if (range_ != other.range_) {
    throw Error(ErrorCode::bad_input, "histograms of different ranges or digits cannot be merged");
  }
  if (other.total_ == 0) return;
  minimum_ = total_ == 0 ? other.minimum_ : std::min(minimum_, other.minimum_);
  maximum_ = total_ == 0 ? other.maximum_ : std::max(maximum_, other.maximum_);
  total_ += other.total_;
  below_ += other.below_;
  above_ += other.above_;
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
}

std::optional<Nanoseconds> Histogram::minimum() const { return total_ == 0 ? std::nullopt : std::optional(minimum_); }

std::optional<Nanoseconds> Histogram::maximum() const { return total_ == 0 ? std::nullopt : std::optional(maximum_); }

std::optional<Nanoseconds> Histogram::percentile(Percentile percentile) const {
  if (total_ == 0) return std::nullopt;
  const std::uint64_t rank = percentile.rank(total_);
  std::uint64_t seen = below_;
  if (seen >= rank) return std::min(range_.low, maximum_);
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    // Fractions of a nanosecond are cut off on the way into a bucket, so its end is the first value of the next.
    if (seen >= rank) {
      return std::min(Nanoseconds{static_cast<double>(scale_.first_of(first_bucket_ + i + 1))}, maximum_);
    }
  }
  return maximum_;
}

std::vector<Histogram::Bucket> Histogram::buckets() const {
  std::vector<Bucket> found;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] == 0) continue;
    const std::size_t bucket = first_bucket_ + i;
    found.push_back({Nanoseconds{static_cast<double>(scale_.first_of(bucket))},
                     Nanoseconds{static_cast<double>(scale_.last_of(bucket))}, counts_[i]});
  }
  return found;
}

}  // namespace warpwright
