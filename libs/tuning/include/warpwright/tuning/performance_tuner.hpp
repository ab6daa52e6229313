// PerformanceTuner: finds the fastest configuration of anything that can be called and timed. The user's evaluator runs
// and times one configuration in this process; the tuner decides which ones to try, compares the best with the
// baseline, and keeps the winner by name, in memory and in a profile database. `tuning::run_session` is for kernels
// with a specification, which it compiles, verifies and times itself in worker processes.
//
// Whatever an evaluator does is the outcome of that configuration, recorded as a Trial: an exception, a time that is
// zero, negative or not finite, a failure it reports. The one thing an in-process evaluator cannot be saved from is a
// crash or an endless loop of its own.
//
// The winner is measured again beside the runners-up and the baseline, one of each in turn, because the best of many
// noisy times is biased towards the luckiest; the speed-up is taken from those times alone.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/model/device_info.hpp>
#include <warpwright/model/space.hpp>
#include <warpwright/model/trial.hpp>
#include <warpwright/runtime/profile_cache.hpp>
#include <warpwright/search/search_algorithm.hpp>
#include <warpwright/tuning/kernel_tuner.hpp>
#include <warpwright/tuning/session.hpp>

namespace warpwright {

// Work per time; what counts as work is the evaluator's choice (elements, bytes, operations), the same for every
// configuration of a session. More is better.
struct Throughput {
  double per_second = 0;

  template <class Rep, class Period>
  static Throughput of(double work, std::chrono::duration<Rep, Period> time) {
    return {work / std::chrono::duration_cast<Seconds>(time).count()};
  }
  auto operator<=>(const Throughput&) const = default;
};

// What an evaluator returns: a throughput, a time, or that the configuration failed. A plain number does not convert,
// because it would not say which of the two it is. Value type.
class EvaluatorResult {
 public:
  EvaluatorResult(Throughput throughput) : throughput_(throughput) {}
  template <class Rep, class Period>
  EvaluatorResult(std::chrono::duration<Rep, Period> time) : time_(std::chrono::duration_cast<Nanoseconds>(time)) {}
  // For evaluators that check the result: failed(TrialStatus::wrong_result, "element 3 is 1, expected 2").
  static EvaluatorResult failed(TrialStatus status, std::string message);

  const std::optional<Throughput>& throughput() const { return throughput_; }
  const std::optional<Nanoseconds>& time() const { return time_; }
  TrialStatus status() const { return status_; }
  const std::string& message() const { return message_; }

 private:
  EvaluatorResult() = default;
  std::optional<Throughput> throughput_;
  std::optional<Nanoseconds> time_;
  TrialStatus status_ = TrialStatus::ok;
  std::string message_;
};

// Called on the thread that called run_tuning_session(), one call at a time.
using KernelEvaluator = std::function<EvaluatorResult(const KernelConfig&)>;
using ConfigurationEvaluator = std::function<EvaluatorResult(const Configuration&)>;

namespace detail {

// Says in one error what is wrong with an evaluator that does not convert to std::function<EvaluatorResult(Argument)>.
template <class Evaluator, class Argument>
void explain_evaluator() {
  if constexpr (std::is_invocable_v<Evaluator&, const Argument&>) {
    static_assert(std::is_invocable_r_v<EvaluatorResult, Evaluator&, const Argument&>,
                  "an evaluator returns a time (any std::chrono::duration, e.g. warpwright::Nanoseconds{x}), a "
                  "warpwright::Throughput{per_second}, or EvaluatorResult::failed(status, message); a plain number "
                  "would not say which of the two it is");
  } else {
    static_assert(std::is_invocable_v<Evaluator&, const Argument&>,
                  "an evaluator is called with a const KernelConfig& where the space is a SearchSpace, with a const "
                  "Configuration& where it is a ConfigurationSpace");
  }
}

}  // namespace detail

// The simple form: one-dimensional blocks for a number of elements. Candidates are all multiples of 32 threads in the
// range and the default baseline, each with a grid that covers the workload.
struct SearchSpace {
  std::uint64_t workload_size = 0;                 // elements; the same work for every configuration
  int min_block_size = 32, max_block_size = 1024;  // threads
  // Dynamic shared memory of a block of so many threads; empty: none. It is set in every KernelConfig.
  std::function<Bytes(int threads)> use_shared_memory{};
  // Tried with every block size; the grid shrinks by as much.
  std::vector<int> elements_per_thread{1};
  // Of the compiled kernel. With them, and a device, a block size with no occupancy is pruned without a call. Without
  // them only the launch limits of the device prune: registers are never guessed.
  std::optional<KernelResources> resources{};
  double min_occupancy = 0;  // 0..1; above 0 it needs `resources` and a device
  // Default: 256 threads, or the end of the range that is nearer, and the first of elements_per_thread. A missing grid
  // and missing shared memory are those of a candidate. One that is no candidate is measured, but cannot win.
  std::optional<KernelConfig> baseline{};
};

// The general form: any parameters and constraints, C++ callables among them.
struct ConfigurationSpace {
  std::vector<Parameter> parameters;
  std::vector<Constraint> constraints{};
  SpaceOptions options{};
  // Default: the parameters' defaults, or the valid configuration nearest to them. One outside the space is measured,
  // but cannot win.
  std::optional<Configuration> baseline{};
  // What a run computes, in the unit of the evaluator's throughput; turns times into throughput and back.
  double work = 1;
  Configuration dimensions{};  // problem size: profiles of one name are kept apart by it
};

struct TuningSessionOptions {
  // A strategy of PerformanceTunerOptions::strategies. "auto": every configuration where the budget covers the space
  // (or there is none), the strategy of that name otherwise.
  std::string strategy = "auto";
  std::map<std::string, Value> strategy_options{};
  // In place of a named strategy: one's own, made for the session's space or (see PerformanceTuner::space_of) before
  // it.
  StrategyRegistry::Factory make_algorithm{};
  std::shared_ptr<SearchAlgorithm> algorithm{};
  std::uint64_t seed = 0;
  std::size_t batch = 1;  // questions asked at once

  // Configurations the evaluator is called for, the baseline among them. Neither limit: the whole space.
  std::optional<std::uint64_t> max_evaluations{};
  std::optional<Nanoseconds> time_limit{};  // looked at between configurations

  int warmup = 0;   // calls for each configuration whose result is not used
  int samples = 1;  // calls for each configuration; their median counts
  // The best so many, and what was within 2.5 % of the best while a round of calls takes less than 50 ms (up to 32),
  // are compared with the baseline at the end, `final_rounds` fresh calls of each, interleaved; fewer rounds where they
  // would take longer than 5 s and a tenth of the search, and none (with a warning) if that leaves fewer than 4. The
  // first half of the rounds chooses the winner, the second is what is reported; 12 give the speed-up an interval of 95
  // %. 0 rounds: no comparison, the speed-up is that of the search.
  int finalists = 3;
  int final_rounds = 12;

  std::stop_token stop{};  // ends the session between calls; what was measured is in the result
  std::function<void(const tuning::Progress&)> progress{};  // after every configuration
  bool keep_profile = true;  // put the winner into the cache and the database; interrupted sessions never do
};

struct PerformanceMetrics {
  // Median of the paired ratios of the baseline's times to those of the best, with its interval, in rounds of the final
  // comparison that had no part in choosing the best. Without a final comparison the ratio of the times of the search:
  // then there is no interval. Absent when the baseline or every configuration failed: `baseline` and `warnings` say
  // why.
  std::optional<double> speedup;
  std::optional<Interval> speedup_interval;
  std::optional<Throughput> best_throughput;  // absent when every configuration failed
  std::uint64_t configs_evaluated = 0;        // different configurations that the evaluator was called for
  Nanoseconds tuning_duration{};              // wall time of the session

  std::optional<Configuration> best;
  std::optional<KernelConfig> best_kernel;  // simple form
  Nanoseconds best_time{}, best_spread{};   // spread is the interquartile range
  std::optional<Trial> baseline;
  std::optional<Nanoseconds> baseline_time;  // where it is valid; from the final comparison as above
  std::vector<tuning::Finalist> finalists;   // winner first; empty without a final comparison
  std::vector<Configuration> ties;           // what the final comparison cannot tell from the winner, winner first
  std::vector<Trial> trials;                 // in order; pruned ones too
  std::array<std::uint64_t, trial_status_count> by_status{};
  std::uint64_t evaluator_calls = 0;  // warm-up, samples and final comparison
  std::uint64_t space_size = 0;
  std::string strategy;
  std::uint64_t seed = 0;
  std::string stop_reason;  // "space exhausted", "20 evaluations", "time limit", "interrupted", "strategy ended"
  bool interrupted = false;
  std::optional<std::int64_t> profile_id;  // in the database
  std::vector<std::string> warnings;
};

struct PerformanceTunerOptions {
  // Database of the profiles; memory only if absent.
  std::optional<std::filesystem::path> profiles{};
  // What the evaluator runs on: its launch limits prune the simple form, and profiles are kept for it. Absent: this
  // machine's CPU.
  std::optional<DeviceInfo> device{};
  // Recommends and prunes in the simple form. Default: that of `device`, if it is one whose limits are known exactly.
  std::optional<KernelTuner> kernel_tuner{};
  // Of the code that evaluators run: profiles of another version are not found.
  std::string code_version{};
  store::MatchPolicy match = store::MatchPolicy::device;
  StrategyRegistry strategies = StrategyRegistry::with_defaults();
  const Clock* clock = nullptr;  // must outlive the tuner; default: the steady clock
};

// Thread-safe: sessions of different names may run at the same time, each on the thread that started it, while any
// number of threads read profiles.
class PerformanceTuner {
 public:
  // Throws what store::ProfileDatabase throws for a database that cannot be used.
  explicit PerformanceTuner(PerformanceTunerOptions options = {});
  ~PerformanceTuner();
  PerformanceTuner(const PerformanceTuner&) = delete;
  PerformanceTuner& operator=(const PerformanceTuner&) = delete;

  // Runs to the end and keeps the winner under `name`. Throws Error(bad_input) for a space, options or a name that make
  // no sense, naming the field, and for an algorithm that asks a question twice or outside of the space;
  // Error(conflict) while another session of this name runs; and what the algorithm or the progress callback throws.
  // An evaluator that throws Error(interrupted) ends the session as the stop token does.
  PerformanceMetrics run_tuning_session(const std::string& name, const SearchSpace& space,
                                        const KernelEvaluator& evaluator, const TuningSessionOptions& options = {});
  PerformanceMetrics run_tuning_session(const std::string& name, const ConfigurationSpace& space,
                                        const ConfigurationEvaluator& evaluator,
                                        const TuningSessionOptions& options = {});

  // Chosen for evaluators that fit neither of these: they do not compile, and the one error says what to return.
  template <class Evaluator>
  requires(!std::is_convertible_v<Evaluator, KernelEvaluator>) PerformanceMetrics
      run_tuning_session(const std::string&, const SearchSpace&, Evaluator&&, const TuningSessionOptions& = {}) {
    detail::explain_evaluator<std::remove_cvref_t<Evaluator>, KernelConfig>();
    return {};
  }
  template <class Evaluator>
  requires(!std::is_convertible_v<Evaluator, ConfigurationEvaluator>) PerformanceMetrics
      run_tuning_session(const std::string&, const ConfigurationSpace&, Evaluator&&, const TuningSessionOptions& = {}) {
    detail::explain_evaluator<std::remove_cvref_t<Evaluator>, Configuration>();
    return {};
  }

  // The newest profile of a name; nullopt if it was never tuned on such a device. A copy; with a size the nearest one.
  std::optional<TuningProfile> profile(std::string_view name) const;
  std::optional<TuningProfile> profile(std::string_view name, const Configuration& dimensions) const;
  // For hot paths: see ProfileHandle. The size of the simple form is {{"workload_size", n}}.
  ProfileHandle handle(std::string_view name);
  ProfileHandle handle(std::string_view name, const Configuration& dimensions);
  // The cache behind these, for reload() and for profiles that come from elsewhere.
  ProfileCache& profiles();

  // The space that a session searches: for algorithms that are made before it. Parameters of the simple form are
  // "block_size" and, where there are several, "elements_per_thread".
  static std::unique_ptr<Space> space_of(const SearchSpace& space);
  static std::unique_ptr<Space> space_of(const ConfigurationSpace& space);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace warpwright
