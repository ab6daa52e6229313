// The timing protocol: warm-up, then cold-cache samples of device time until the spread of the median is small enough.
// Cold by default: each sample is preceded by a flush (cache_flusher.hpp), so that kernels are compared as an
// application meets them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/device/context.hpp>
#include <warpwright/measure/cache_flusher.hpp>
#include <warpwright/measure/racing.hpp>

namespace warpwright::measure {

enum class CacheMode { cold, warm };
std::string_view to_string(CacheMode mode) noexcept;

struct TimingOptions {
  CacheMode cache = CacheMode::cold;
  int warmup = 1;  // untimed runs first
  int min_samples = 5;
  int max_samples = 30;
  // Stop when the half-width of the 95 % interval of the median is below this fraction of it ...
  double target_precision = 0.01;
  // ... or when the samples of this configuration have taken this long (after min_samples).
  Nanoseconds time_budget{200e6};
  // ... or as soon as the samples are hopeless against this one.
  std::optional<Incumbent> incumbent;
};

// Words of Conditions::marks.
namespace marks {
inline constexpr std::string_view dirty_flush = "dirty_flush";  // the flush could only write: CacheFlusher::cleans()
}

// When to stop sampling; pure, so that it is tested on made-up noise. `spent` is what the samples have cost so far.
// max_samples always ends, min_samples always continues (both count as at least 1) unless the samples are hopeless
// against the incumbent; in between, the time budget or the target precision ends.
bool enough_samples(const std::vector<Nanoseconds>& samples, Nanoseconds spent, const TimingOptions& options);

// Times what `work` enqueues on `stream`: device time between two events. `before` is enqueued before each run, untimed
// (restoring inputs of in-place kernels); may be empty. `flusher` may be null for warm samples. A cold sample is
// before, flush, event, work, event; the flush also keeps the device busy while the host enqueues, so launch latency
// stays out of the sample. Warm samples of short work (under 50 us) without `before` are averages over batches of 100
// us, because an event pair is exact to about 0.5 us; each is led by one untimed run. Samples are positive: an elapsed
// time of 0 or less (a timer coarser than the work) counts as the smallest positive sample of the series, or as 500 ns
// where there is none. Waits for each sample. Throws what the device throws; nothing is returned then, so work that was
// refused never has a time.
std::vector<Nanoseconds> time_work(device::Context& context, device::Stream& stream, CacheFlusher* flusher,
                                   const std::function<void()>& before, const std::function<void()>& work,
                                   const TimingOptions& options, const Clock& clock);

}  // namespace warpwright::measure
