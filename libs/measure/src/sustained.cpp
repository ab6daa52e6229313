#include <algorithm>
#include <array>
#include <numeric>

#include <warpwright/base/rng.hpp>
#include <warpwright/measure/sustained.hpp>

namespace warpwright::measure {
namespace {

// Runs that are waited for together: long against a wait, short against a block and the limits of display drivers.
constexpr Nanoseconds group_time{10e6};
constexpr int largest_group = 1000;
// With something untimed before each run every run has its own events.
constexpr int largest_group_of_single_runs = 64;
// NVML's answers change every 100 ms, and asking takes time of the host.
constexpr Nanoseconds between_looks{50e6};

struct Stint {
  Nanoseconds time{};  // of the runs alone
  std::int64_t runs = 0;
};

class BackToBack {
 public:
  BackToBack(device::Context& context, device::Stream& stream, CacheFlusher* flusher, const Clock& clock)
      : context_(context), stream_(stream), flusher_(flusher), clock_(clock) {}

  // Until `length` has passed on the device or on the host, whichever is first; what belongs to the time after `skip`
  // is counted. `after_group` may end it.
  Stint run(const SustainedWork& work, Nanoseconds length, Nanoseconds skip,
            const std::function<bool()>& after_group = {}) {
    if (work.prepare) work.prepare();
    const bool single = work.before || flusher_ != nullptr;
    const double fitting = group_time / std::max(work.estimate, Nanoseconds{1});
    const int runs = static_cast<int>(
        std::clamp(fitting, 1.0, static_cast<double>(single ? largest_group_of_single_runs : largest_group)));
    Stint counted;
    Nanoseconds on_device{};
    const Nanoseconds begin = clock_.now();
    const auto passed = [&] { return std::max(on_device, clock_.now() - begin); };
    std::size_t queued = 0, waited = 0;
    const auto queue = [&] { enqueue(groups_[queued++ % 2], work, runs, single); };
    queue();
    for (bool more = true; waited < queued;) {
      if (more) queue();
      const Nanoseconds time = wait(groups_[waited++ % 2]);
      const bool counts = passed() >= skip;
      on_device += time;
      if (counts) {
        counted.time += time;
        counted.runs += runs;
      }
      if (after_group && !after_group()) more = false;
      if (passed() >= length) more = false;
    }
    return counted;
  }

 private:
  struct Group {
    std::vector<std::unique_ptr<device::Event>> events;  // begin and end, in turns
    std::size_t used = 0;
  };

  device::Event& next(Group& group) {
    if (group.used == group.events.size()) group.events.push_back(context_.create_event());
    return *group.events[group.used++];
  }

  void enqueue(Group& group, const SustainedWork& work, int runs, bool single) {
    group.used = 0;
    if (!single) stream_.record(next(group));
    for (int i = 0; i < runs; ++i) {
      if (work.before) work.before();
      if (flusher_ != nullptr) flusher_->flush(stream_);
      if (single) stream_.record(next(group));
      work.work();
      if (single) stream_.record(next(group));
    }
    if (!single) stream_.record(next(group));
  }

  static Nanoseconds wait(Group& group) {
    group.events[group.used - 1]->synchronize();
    Nanoseconds time{};
    for (std::size_t i = 0; i + 1 < group.used; i += 2) time += group.events[i + 1]->elapsed_since(*group.events[i]);
    return time;
  }

  device::Context& context_;
  device::Stream& stream_;
  CacheFlusher* flusher_;
  const Clock& clock_;
  std::array<Group, 2> groups_;
};

}  // namespace

SustainedTimes run_sustained(device::Context& context, device::Stream& stream, CacheFlusher* flusher,
                             std::span<const SustainedWork> works,
                             const std::function<std::optional<bool>()>& power_limited, const SustainedOptions& options,
                             const Clock& clock) {
  SustainedTimes times;
  if (works.empty()) return times;
  BackToBack device(context, stream, flusher, clock);
  Nanoseconds looked{};
  bool first_look = true;
  device.run(works.front(), options.probe, {}, [&] {
    const Nanoseconds now = clock.now();
    // A virtual device's groups end at once on the wall clock.
    if (!first_look && now - looked < between_looks && context.device().kind != DeviceKind::simulated) return true;
    looked = now;
    first_look = false;
    const std::optional<bool> answer = power_limited();
    times.power_limited = answer.value_or(false);
    return answer.has_value() && !times.power_limited;
  });
  if (!times.power_limited) return times;

  Rng rng(options.seed);
  std::vector<std::size_t> order(works.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto shuffle = [&] {
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  };
  for (Nanoseconds settled{}; settled < options.settle;) {
    shuffle();
    for (const std::size_t i : order) {
      device.run(works[i], options.block, {});
      settled += options.block;
    }
  }
  times.samples.resize(works.size());
  for (int round = 0; round < options.rounds; ++round) {
    shuffle();
    for (const std::size_t i : order) {
      const Stint stint = device.run(works[i], options.block, options.block / 2);
      times.samples[i].push_back(stint.time / static_cast<double>(std::max<std::int64_t>(1, stint.runs)));
    }
  }
  return times;
}

}  // namespace warpwright::measure
