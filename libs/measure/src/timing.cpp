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
// A graph of as many runs is made in about a millisecond.
constexpr int largest_recording = 1024;
// The part of a sample in which the device waited for the host from which on it is the host's time.
constexpr double host_share = 0.8;

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

WorkTimer::WorkTimer(device::Context& context, device::Stream& stream, CacheFlusher* flusher,
                     std::function<void()> before, std::function<void()> work, const Clock& clock, Options options)
    : context_(context),
      stream_(stream),
      flusher_(flusher),
      before_(std::move(before)),
      work_(std::move(work)),
      clock_(clock),
      options_(options),
      start_(context.create_event()),
      end_(context.create_event()) {
  if (options_.cache == CacheMode::cold && flusher_ == nullptr)
    throw Error(ErrorCode::internal, "cold samples need something that flushes the cache");
}

WorkTimer::~WorkTimer() = default;

void WorkTimer::warm_up() {
  if (before_) before_();
  stream_.record(*start_);
  work_();
  ++runs_;
  stream_.record(*end_);
  end_->synchronize();
  estimate_ = end_->elapsed_since(*start_);
}

Nanoseconds WorkTimer::once() {
  // Work that must be set up again before each run cannot run back to back.
  const bool batched = options_.cache == CacheMode::warm && !before_;
  const auto runs = [&] {
    if (uses_graph_) {
      stream_.launch(*graph_);
    } else {
      for (int i = 0; i < batch_; ++i) work_();
    }
    runs_ += batch_;
  };
  if (uses_graph_ && graph_ == nullptr && !record()) uses_graph_ = false;
  if (before_) before_();
  const Nanoseconds begin = clock_.now();
  if (options_.cache == CacheMode::cold) {
    flusher_->flush(stream_);
  } else if (uses_graph_) {
    runs();
  } else if (batched) {
    // One run ahead of the first event fills the cache after a pause, and, like the flush of a cold sample, keeps the
    // device busy while the host enqueues the rest, so that launch latency stays out of the span.
    work_();
    ++runs_;
  }
  stream_.record(*start_);
  runs();
  host_ = clock_.now() - begin;
  stream_.record(*end_);
  end_->synchronize();
  span_ = end_->elapsed_since(*start_);
  return span_ / batch_;
}

// What the host did before the last run was enqueued, less the device's work that covered it, is time in which the
// device had nothing to do but what it was just given.
bool WorkTimer::host_is_slower(Nanoseconds sample) const {
  if (!options_.compare_with_host) return false;
  const bool cold = options_.cache == CacheMode::cold;
  const Nanoseconds cover = cold ? flusher_->duration() : before_ ? Nanoseconds{} : sample;
  return host_ - cover >= span_ * host_share && host_ > cover;
}

bool WorkTimer::record() {
  if (!context_.device().supports_graphs) return false;
  try {
    graph_ = context_.record_graph(stream_, [&] {
      for (int i = 0; i < batch_; ++i) work_();
    });
    return true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::device) throw;
    return false;
  }
}

Nanoseconds WorkTimer::sample() {
  if (settled_) return once();
  const bool batched = options_.cache == CacheMode::warm && !before_;
  if (batched) batch_ = batch_for(estimate_);
  Nanoseconds sample = once();
  // The estimate came from a first run, slower than the later ones: lengthen the batch until the span is reached.
  const auto lengthen = [&](int most) {
    while (batched && batch_ < most && sample < batch_below && span_ < batch_span) {
      batch_ = std::min(most, std::max(batch_ + 1, batch_for(sample)));
      graph_.reset();
      sample = once();
    }
  };
  lengthen(largest_batch);
  if (host_is_slower(sample)) {
    batch_ = std::min(batch_, largest_recording);
    uses_graph_ = record();
    sample = once();
    if (uses_graph_) lengthen(largest_recording);
    // A graph of one launch is launched no faster than the launch itself.
    if (!uses_graph_ || host_is_slower(sample)) launch_bound_ = true;
  }
  settled_ = true;
  return sample;
}

std::vector<std::string> WorkTimer::marks() const {
  std::vector<std::string> words;
  if (uses_graph_) words.emplace_back(measure::marks::graph);
  if (launch_bound_) words.emplace_back(measure::marks::launch_bound);
  return words;
}

TimedWork time_work(device::Context& context, device::Stream& stream, CacheFlusher* flusher,
                    const std::function<void()>& before, const std::function<void()>& work,
                    const TimingOptions& options, const Clock& clock, bool compare_with_host) {
  WorkTimer timer(context, stream, flusher, before, work, clock, {options.cache, compare_with_host});
  // Without it the first batch would have no length.
  const bool batched = options.cache == CacheMode::warm && !before;
  for (int i = 0; i < std::max(options.warmup, batched ? 1 : 0); ++i) timer.warm_up();

  const Nanoseconds begin = clock.now();
  Nanoseconds device_time{};
  TimedWork timed;
  do {
    timed.samples.push_back(timer.sample());
    device_time += timer.span();
    // A virtual device's time does not pass on the wall clock, hence the larger of the two.
  } while (!enough_samples(without_zeros(timed.samples), std::max(clock.now() - begin, device_time), options));
  timed.samples = without_zeros(std::move(timed.samples));
  timed.marks = timer.marks();
  timed.runs = timer.runs();
  return timed;
}

}  // namespace warpwright::measure
