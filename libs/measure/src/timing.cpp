#include <algorithm>
#include <cmath>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/timing.hpp>
#include <warpwright/model/statistics.hpp>

namespace warpwright::measure {
namespace {

// An event pair is exact to about 0.5 us (CUDA runtime documentation): below 50 us that is 1 % and more, so the span
// between two events is brought to 100 us where launches may be batched.
constexpr Nanoseconds timer_resolution{500};
constexpr Nanoseconds batch_below{50e3};
constexpr Nanoseconds batch_span{100e3};
constexpr int largest_batch = 4096;

// Elapsed times of 0 or less come from timers coarser than the work. Such a sample only says "less than one tick": left
// as it is it would make medians and ratios meaningless and a configuration unbeatable. It becomes the smallest
// positive sample of the same series, or, where there is none, the resolution of the event timers: never faster than
// what was seen.
std::vector<Nanoseconds> without_zeros(std::vector<Nanoseconds> samples) {
  Nanoseconds tick = timer_resolution;
  bool seen = false;
  for (const Nanoseconds sample : samples) {
    if (sample.count() > 0 && (!seen || sample < tick)) {
      tick = sample;
      seen = true;
    }
  }
  for (Nanoseconds& sample : samples) {
    if (!(sample.count() > 0)) sample = tick;
  }
  return samples;
}

// One sample: the device time of `repeats` runs of the work, divided by their number.
class Stopwatch {
 public:
  Stopwatch(device::Context& context, device::Stream& stream)
      : stream_(stream), start_(context.create_event()), end_(context.create_event()) {}

  Nanoseconds measure(const std::function<void()>& work, int repeats) {
    stream_.record(*start_);
    for (int i = 0; i < repeats; ++i) work();
    stream_.record(*end_);
    end_->synchronize();
    return end_->elapsed_since(*start_) / repeats;
  }

 private:
  device::Stream& stream_;
  std::unique_ptr<device::Event> start_, end_;
};

int batch_for(Nanoseconds single) {
  if (single >= batch_below) return 1;
  const double wanted = std::ceil(batch_span / std::max(single, Nanoseconds{1}));
  return static_cast<int>(std::clamp(wanted, 1.0, double{largest_batch}));
}

}  // namespace

std::string_view to_string(CacheMode mode) noexcept { return mode == CacheMode::cold ? "cold" : "warm"; }

bool enough_samples(const std::vector<Nanoseconds>& samples, Nanoseconds spent, const TimingOptions& options) {
  const auto count = static_cast<int>(samples.size());
  if (count >= std::max(options.max_samples, 1)) return true;
  if (options.incumbent && hopeless(samples, *options.incumbent)) return true;
  if (count < std::max(options.min_samples, 1)) return false;
  if (spent >= options.time_budget) return true;
  std::vector<double> values;
  values.reserve(samples.size());
  for (const Nanoseconds sample : samples) values.push_back(sample.count());
  const Interval interval = median_interval(values, 0.95);
  return (interval.high - interval.low) / 2 <= options.target_precision * median(values);
}

std::vector<Nanoseconds> time_work(device::Context& context, device::Stream& stream, CacheFlusher* flusher,
                                   const std::function<void()>& before, const std::function<void()>& work,
                                   const TimingOptions& options, const Clock& clock) {
  Stopwatch stopwatch(context, stream);
  const bool cold = options.cache == CacheMode::cold;
  if (cold && flusher == nullptr) throw Error(ErrorCode::internal, "cold samples need something that flushes the cache");
  // Work that must be set up again before each run cannot run back to back.
  const bool batched = !cold && !before;

  Nanoseconds estimate{};
  for (int i = 0; i < std::max(options.warmup, batched ? 1 : 0); ++i) {
    if (before) before();
    estimate = stopwatch.measure(work, 1);
  }
  int batch = batched ? batch_for(estimate) : 1;

  const Nanoseconds begin = clock.now();
  Nanoseconds device_time{};
  std::vector<Nanoseconds> samples;
  do {
    if (before) before();
    if (cold) flusher->flush(stream);
    // Warm: one run ahead of the first event fills the cache after `before` or a pause, and, like the flush of a cold
    // sample, keeps the device busy while the host enqueues the rest, so that launch latency stays out of the span.
    if (batched) work();
    Nanoseconds sample = stopwatch.measure(work, batch);
    if (batched && samples.empty()) {
      // The estimate came from a first run, slower than the later ones: lengthen the batch until the span is reached.
      while (batch < largest_batch && sample < batch_below && sample * batch < batch_span) {
        batch = std::max(batch + 1, batch_for(sample));
        work();
        sample = stopwatch.measure(work, batch);
      }
    }
    samples.push_back(sample);
    device_time += sample * batch;
    // A virtual device's time does not pass on the wall clock, hence the larger of the two.
  } while (!enough_samples(without_zeros(samples), std::max(clock.now() - begin, device_time), options));
  return without_zeros(std::move(samples));
}

}  // namespace warpwright::measure
