// The timing protocol: warm-up, then cold-cache samples of device time until the spread of the median is small enough.
// Cold by default: each sample is preceded by a flush (cache_flusher.hpp), so that kernels are compared as an
// application meets them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
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
// The flush could only write: CacheFlusher::cleans().
inline constexpr std::string_view dirty_flush = "dirty_flush";
// The device waited for the host's launches for most of the time measured, which is a bound of the launch rate.
inline constexpr std::string_view launch_bound = "launch_bound";
// The host's launches were too slow for the device, so they were recorded and launched as one graph.
inline constexpr std::string_view graph = "graph";
// One run has several launches; a flush comes before the first only, as where an application begins with it.
inline constexpr std::string_view flushed_once = "flushed_once";
}  // namespace marks

// When to stop sampling; pure, so that it is tested on made-up noise. `spent` is what the samples have cost so far.
// max_samples always ends, min_samples always continues (both count as at least 1) unless the samples are hopeless
// against the incumbent; in between, the time budget or the target precision ends.
bool enough_samples(const std::vector<Nanoseconds>& samples, Nanoseconds spent, const TimingOptions& options);

// One sample after another of what `work` enqueues on `stream`: device time between two events. `before` is enqueued
// before each run, untimed (restoring inputs of in-place kernels); may be empty. A cold sample is before, flush, event,
// work, event; the flush also keeps the device busy while the host enqueues, so launch latency stays out of the sample.
// Warm samples of short work (under 50 us) without `before` are averages over batches of 100 us, because an event pair
// is exact to about 0.5 us; each is led by one untimed run.
//
// The host takes 2 to 4 us for a launch. Where that outlasts the flush of a cold sample (many launches) or the runs of
// a warm batch (short kernels), the time measured would be the host's: the first sample compares the time in which the
// host enqueued with the device's. Then the runs are recorded as a graph, where there are graphs, or else marked.
// One thread only. Waits for each sample. Throws what the device throws.
class WorkTimer {
 public:
  struct Options {
    CacheMode cache = CacheMode::cold;
    // False: `clock` does not run with the device's time (a simulated device without its own clock), so that nothing is
    // known of the host's part.
    bool compare_with_host = true;
  };
  // `flusher` may be null for warm samples; Error(internal) for cold ones. All references must outlive the timer.
  WorkTimer(device::Context& context, device::Stream& stream, CacheFlusher* flusher, std::function<void()> before,
            std::function<void()> work, const Clock& clock, Options options);
  ~WorkTimer();
  WorkTimer(WorkTimer&&) noexcept = default;

  // One run; not a sample.
  void warm_up();
  // The first one also decides on batches and graphs; for warm samples it needs a warm_up() before.
  Nanoseconds sample();
  // Device time of the last sample, over all runs of its batch.
  Nanoseconds span() const { return span_; }
  // To be called when the arguments of the work have changed: a recording has the old ones.
  void work_changed() { graph_.reset(); }

  // How often the work has run on the device.
  std::int64_t runs() const { return runs_; }
  // launch_bound or graph, if so.
  std::vector<std::string> marks() const;

 private:
  Nanoseconds once();
  bool host_is_slower(Nanoseconds sample) const;
  bool record();

  device::Context& context_;
  device::Stream& stream_;
  CacheFlusher* flusher_;
  std::function<void()> before_, work_;
  const Clock& clock_;
  Options options_;
  std::unique_ptr<device::Event> start_, end_;
  std::unique_ptr<device::Graph> graph_;  // `batch_` runs
  Nanoseconds estimate_{}, span_{}, host_{};
  int batch_ = 1;
  bool settled_ = false, uses_graph_ = false, launch_bound_ = false;
  std::int64_t runs_ = 0;
};

// Elapsed times of 0 or less come from timers coarser than the work. Such a sample only says "less than one tick": left
// as it is it would make medians and ratios meaningless and a configuration unbeatable. It becomes the smallest
// positive sample of the same series, or, where there is none, the resolution of the event timers (500 ns): never
// faster than what was seen.
std::vector<Nanoseconds> without_zeros(std::vector<Nanoseconds> samples);

struct TimedWork {
  std::vector<Nanoseconds> samples;  // positive: without_zeros()
  std::vector<std::string> marks;    // WorkTimer::marks()
  std::int64_t runs = 0;
};

// Warm-up and then samples of a WorkTimer until there are enough. Nothing is returned when the device throws, so work
// that was refused never has a time.
TimedWork time_work(device::Context& context, device::Stream& stream, CacheFlusher* flusher,
                    const std::function<void()>& before, const std::function<void()>& work,
                    const TimingOptions& options, const Clock& clock, bool compare_with_host = true);

}  // namespace warpwright::measure
