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
#include <warpwright/measure/cover_kernel.hpp>
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
  // Whether a few more runs after the samples tell the time of each launch: RunResult::launch_times.
  bool launch_times = false;
};

// Words of Conditions::marks.
namespace marks {
// The flush could only write: CacheFlusher::cleans().
inline constexpr std::string_view dirty_flush = "dirty_flush";
// The device waited for the host's launches for most of the time measured, which is a bound of the launch rate.
inline constexpr std::string_view launch_bound = "launch_bound";
// The host's launches were too slow for the device, so they were recorded and launched as one graph.
inline constexpr std::string_view graph = "graph";
// The host's launches were too slow for the device, so they were enqueued while a covering kernel ran.
inline constexpr std::string_view covered = "covered";
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
// is exact to about 0.5 us; each is led by one untimed run. A batch is timed as a whole, except on GPUs without graphs
// (OpenCL): there commands carry times of their own, and batches count what the driver does between two of them.
// So each run is timed by itself, as in cold samples, and the sample is the average.
//
// The host takes 2 to 4 us for a launch, through NVIDIA's OpenCL several times as long. Where that outlasts the flush
// of a cold sample (many launches) or the runs of a warm batch (short kernels), the time measured would be the host's:
// the first sample compares the time in which the host enqueued with the device's. Then the runs are recorded as a
// graph, where there are graphs. Where that is not so, or does not help, a covering kernel (cover_kernel.hpp) goes
// before what is timed, behind set-up and flush, for as long as the host needs; batches are bounded so that a cover
// takes 2 ms. Each such sample is checked: the host must have enqueued all of it before the cover can have ended. One
// that was not is taken again with a longer cover, four times at most. Where covers cannot be had or are not kept, the
// work is marked. One thread only. Waits for each sample. Throws what the device throws.
class WorkTimer {
 public:
  struct Options {
    CacheMode cache = CacheMode::cold;
    // False: `clock` does not run with the device's time (a simulated device without its own clock), so that nothing is
    // known of the host's part.
    bool compare_with_host = true;
    // Null: no covers (CPU devices, whose cores the host needs to enqueue). Must outlive the timer.
    CoverKernel* cover = nullptr;
  };
  // `flusher` may be null for warm samples; Error(internal) for cold ones. All references must outlive the timer.
  WorkTimer(device::Context& context, device::Stream& stream, CacheFlusher* flusher, std::function<void()> before,
            std::function<void()> work, const Clock& clock, Options options);
  ~WorkTimer();
  WorkTimer(WorkTimer&&) noexcept = default;

  // One run; not a sample.
  void warm_up();
  // The first one also decides on batches, graphs and covers; for warm samples it needs a warm_up() before.
  Nanoseconds sample();
  // Device time of the last sample, over all runs of its batch.
  Nanoseconds span() const { return span_; }
  // To be called when the arguments of the work have changed: a recording has the old ones.
  void work_changed() { graph_.reset(); }

  // How often the work has run on the device.
  std::int64_t runs() const { return runs_; }
  // graph, covered, launch_bound, if so.
  std::vector<std::string> marks() const;

 private:
  device::Event& event(std::size_t i);
  bool batched() const { return options_.cache == CacheMode::warm && !before_; }
  int largest() const;
  Nanoseconds once();
  Nanoseconds once_covered();
  void lengthen(Nanoseconds& sample, int most);
  bool host_is_slower(Nanoseconds sample) const;
  bool record();
  bool cover(Nanoseconds& sample);
  void shorten_to(int runs);

  device::Context& context_;
  device::Stream& stream_;
  CacheFlusher* flusher_;
  std::function<void()> before_, work_;
  const Clock& clock_;
  Options options_;
  bool times_each_run_;  // of a batch
  // Before and behind what is timed, and between the runs that are timed by themselves.
  std::vector<std::unique_ptr<device::Event>> events_;
  std::unique_ptr<device::Event> cover_begin_, cover_end_;
  std::unique_ptr<device::Graph> graph_;  // `batch_` runs
  Nanoseconds estimate_{}, span_{};
  Nanoseconds host_{};          // in which the last sample was enqueued, without its `before`
  Nanoseconds cover_length_{};  // positive: samples are covered
  int batch_ = 1;
  bool settled_ = false, uses_graph_ = false, launch_bound_ = false;
  bool cover_held_ = false;  // in the last sample
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
                    const TimingOptions& options, const Clock& clock, bool compare_with_host = true,
                    CoverKernel* cover = nullptr);

}  // namespace warpwright::measure
