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
// More make the average of runs that are timed by themselves no more exact, and take the host long.
constexpr int largest_batch_of_timed_runs = 128;
// A graph of as many runs is made in about a millisecond.
constexpr int largest_recording = 1024;
// The part of a sample in which the device waited for the host from which on it is the host's time.
constexpr double host_share = 0.8;
// A cover outlasts the host's time as it was by half, and by what a host loses now and then.
constexpr double cover_margin = 1.5;
constexpr Nanoseconds cover_slack{20e3};
// Of a batch: 100 launches through the slowest driver known.
constexpr Nanoseconds longest_batch_cover{2e6};
constexpr int cover_attempts = 5;

int batch_for(Nanoseconds single) {
  if (single >= batch_below) return 1;
  const double wanted = std::ceil(batch_span / std::max(single, Nanoseconds{1}));
  return static_cast<int>(std::clamp(wanted, 1.0, double{largest_batch}));
}

Nanoseconds cover_for(Nanoseconds host) { return std::min(host * cover_margin + cover_slack, CoverKernel::longest); }

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
      times_each_run_(!context.device().supports_graphs && context.device().kind != DeviceKind::cpu) {
  if (options_.cache == CacheMode::cold && flusher_ == nullptr)
    throw Error(ErrorCode::internal, "cold samples need something that flushes the cache");
}

WorkTimer::~WorkTimer() = default;

device::Event& WorkTimer::event(std::size_t i) {
  while (events_.size() <= i) events_.push_back(context_.create_event());
  return *events_[i];
}

void WorkTimer::warm_up() {
  if (before_) before_();
  stream_.record(event(0));
  work_();
  ++runs_;
  stream_.record(event(1));
  event(1).synchronize();
  estimate_ = event(1).elapsed_since(event(0));
}

Nanoseconds WorkTimer::once() {
  if (uses_graph_ && graph_ == nullptr && !record()) uses_graph_ = false;
  const bool covered = cover_length_ > Nanoseconds{};
  const std::size_t spans = times_each_run_ && !uses_graph_ ? static_cast<std::size_t>(batch_) : 1;
  const auto runs = [&](int count) {
    if (uses_graph_) {
      stream_.launch(*graph_);
      runs_ += batch_;
      return;
    }
    for (int i = 0; i < count; ++i) work_();
    runs_ += count;
  };
  if (before_) before_();
  Nanoseconds begin = clock_.now();
  if (options_.cache == CacheMode::cold) flusher_->flush(stream_);
  if (covered) {
    // The cover cannot begin before this moment.
    begin = clock_.now();
    stream_.record(*cover_begin_);
    options_.cover->enqueue(stream_, cover_length_);
    stream_.record(*cover_end_);
  }
  // One run ahead of the first event fills the cache after a pause, and, like the flush of a cold sample, keeps the
  // device busy while the host enqueues the rest, so that launch latency stays out of the span.
  if (batched()) runs(1);
  stream_.record(event(0));
  for (std::size_t i = 0; i < spans; ++i) {
    runs(spans == 1 ? batch_ : 1);
    host_ = clock_.now() - begin;
    stream_.record(event(i + 1));
  }
  if (covered) host_ = clock_.now() - begin;
  event(spans).synchronize();
  span_ = Nanoseconds{};
  for (std::size_t i = 0; i < spans; ++i) {
    event(i + 1).synchronize();
    span_ += event(i + 1).elapsed_since(event(i));
  }
  if (covered) {
    cover_end_->synchronize();
    const Nanoseconds duration = cover_end_->elapsed_since(*cover_begin_);
    options_.cover->measured(duration);
    cover_held_ = host_ <= duration;
  }
  return span_ / batch_;
}

// Again until the cover was kept; once that is given up, each sample counts.
Nanoseconds WorkTimer::once_covered() {
  const Nanoseconds length = cover_length_;
  for (int attempt = 1;; ++attempt) {
    const Nanoseconds sample = once();
    if (cover_held_ || launch_bound_) return sample;
    if (attempt == cover_attempts) {
      launch_bound_ = true;
      cover_length_ = length;
      return sample;
    }
    cover_length_ = std::min(cover_length_ * cover_margin, CoverKernel::longest);
  }
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

int WorkTimer::largest() const { return times_each_run_ ? largest_batch_of_timed_runs : largest_batch; }

// The estimate came from a first run, slower than the later ones: lengthens the batch until the span is reached.
void WorkTimer::lengthen(Nanoseconds& sample, int most) {
  while (batched() && batch_ < most && sample < batch_below && span_ < batch_span) {
    batch_ = std::min(most, std::max(batch_ + 1, batch_for(sample)));
    graph_.reset();
    sample = once();
  }
}

void WorkTimer::shorten_to(int runs) {
  host_ *= static_cast<double>(runs) / batch_;
  batch_ = runs;
  graph_.reset();
}

// Finds a cover that is kept; false, and all as before, where there is none.
bool WorkTimer::cover(Nanoseconds& sample) {
  if (options_.cover == nullptr || !options_.cover->ready(stream_)) return false;
  if (cover_begin_ == nullptr) {
    cover_begin_ = context_.create_event();
    cover_end_ = context_.create_event();
  }
  const int batch = batch_;
  bool less_work = false;
  cover_held_ = false;
  for (int attempt = 0; attempt < cover_attempts && !cover_held_; ++attempt) {
    if (const double room = longest_batch_cover / cover_for(host_); batch_ > 1 && room < 1)
      shorten_to(std::max(1, static_cast<int>(batch_ * room)));
    // A longer cover is no help where the host waits for the device, as for room in a queue; less work is.
    if (attempt > 1 && batch_ > 1) {
      shorten_to(std::max(1, batch_ / 4));
      less_work = true;
    }
    if (host_ >= CoverKernel::longest) break;
    cover_length_ = cover_for(host_);
    sample = once();
  }
  if (!cover_held_) {
    cover_length_ = Nanoseconds{};
    batch_ = batch;
    graph_.reset();
    sample = once();
    return false;
  }
  cover_length_ = cover_for(host_);
  if (batched() && span_ < batch_span && !less_work) {
    // The host's rate had passed for the kernel's time, so that the batch is too short.
    const double room = std::min(longest_batch_cover / cover_length_, double{largest_batch});
    const int runs = std::min({batch_for(sample), largest(), static_cast<int>(batch_ * room)});
    if (runs > batch_) {
      cover_length_ *= static_cast<double>(runs) / batch_;
      batch_ = runs;
      graph_.reset();
      sample = once_covered();
    }
  }
  return true;
}

Nanoseconds WorkTimer::sample() {
  if (settled_) return cover_length_ > Nanoseconds{} ? once_covered() : once();
  if (batched()) batch_ = std::min(batch_for(estimate_), largest());
  Nanoseconds sample = once();
  lengthen(sample, largest());
  if (host_is_slower(sample)) {
    batch_ = std::min(batch_, largest_recording);
    uses_graph_ = record();
    sample = once();
    if (uses_graph_) lengthen(sample, largest_recording);
    // A graph of one launch is launched no faster than the launch itself.
    if ((!uses_graph_ || host_is_slower(sample)) && !cover(sample)) launch_bound_ = true;
  }
  settled_ = true;
  return sample;
}

std::vector<std::string> WorkTimer::marks() const {
  std::vector<std::string> words;
  if (uses_graph_) words.emplace_back(measure::marks::graph);
  if (cover_length_ > Nanoseconds{}) words.emplace_back(measure::marks::covered);
  if (launch_bound_) words.emplace_back(measure::marks::launch_bound);
  return words;
}

TimedWork time_work(device::Context& context, device::Stream& stream, CacheFlusher* flusher,
                    const std::function<void()>& before, const std::function<void()>& work,
                    const TimingOptions& options, const Clock& clock, bool compare_with_host, CoverKernel* cover) {
  WorkTimer timer(context, stream, flusher, before, work, clock, {options.cache, compare_with_host, cover});
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
