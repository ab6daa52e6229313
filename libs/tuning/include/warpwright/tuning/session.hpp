// One tuning session: asks the strategy, compiles ahead, measures, keeps a journal, compares the finalists with the
// baseline in one interleaved run, and checks the winner again on fresh inputs.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/log.hpp>
#include <warpwright/execution/evaluation.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/model/statistics.hpp>
#include <warpwright/search/search_algorithm.hpp>
#include <warpwright/store/journal.hpp>
#include <warpwright/store/profile_database.hpp>

namespace warpwright::tuning {

// Where the wall time of a session went. The wall parts add up to `total`; compile_cpu is CPU time of all compile
// workers and overlaps them.
struct SessionTimes {
  Nanoseconds total{}, startup{}, compile_wait{}, compile_cpu{}, copy{}, verify{}, measure{}, tuner{}, finish{};
};

struct Progress {
  std::uint64_t evaluations = 0;
  std::optional<std::uint64_t> planned;  // evaluations the budget or space allows
  std::array<std::uint64_t, trial_status_count> by_status{};
  const Trial* last = nullptr;  // the trial just ended
  const Trial* best = nullptr;
  std::optional<Nanoseconds> baseline;
  Nanoseconds elapsed{};
  std::optional<Nanoseconds> remaining;  // estimate
};

// Which clock a GPU had: that of short bursts, or the one that its power limit leaves when the kernel runs back to
// back.
enum class ClockState { boost, sustained };
std::string_view to_string(ClockState state) noexcept;

struct SessionOptions {
  std::string strategy = "auto";  // "auto": exhaustive where the budget covers the space
  StrategySettings strategy_settings;
  std::optional<std::uint64_t> max_evaluations;  // unique configurations, those kept from a resumed session included
  std::optional<Nanoseconds> time_limit;         // wall time of this run, start-up included
  measure::TimingOptions timing;
  // Stop a configuration early when it is clearly slower than the best so far (status `censored`). Only where the
  // objective is the time.
  bool racing = true;
  int finalists = 5;  // compared again at the end, interleaved with the baseline; up to 32 where near-ties are cheap
  // Samples of each of them, fewer where they would take more than 5 s. The first half chooses the winner, the second
  // is what is reported.
  int final_rounds = 50;
  double tie_margin = 0.01;  // what is slower than the winner by no more than this is a tie, however sure it is
  // What decides where the fastest finalist reaches the power limit. Both times are shown there either way.
  ClockState clock = ClockState::sustained;
  measure::SustainedOptions sustained;                  // rounds and seed are the session's
  std::optional<std::filesystem::path> session_folder;  // journal; none if absent
  bool resume = false;
  store::JsonText journal_details;  // an object for people: specification file, command line, version
  std::function<void(const Progress&)> progress;
  Nanoseconds time_before{};  // already spent by the caller on this run (reading, probing); counted as start-up
  const std::atomic<bool>* stop = nullptr;  // set by a signal handler: end soon, keep everything
  LogSink log;
};

// How one configuration did in the final comparison, at the clock that decides (SessionResult::clock). What is said of
// it comes from the second half of its samples; the first half chose the winner.
struct Finalist {
  Configuration configuration;
  std::vector<Nanoseconds> samples;  // fresh, interleaved; in the order of the rounds
  Nanoseconds median{}, spread{};
  // Its times by the winner's, pair by pair: above 1 is slower. The intervals of all finalists hold together at 95 %.
  PairedRatio ratio;
  // Not told from the winner (by Holm's procedure at 5 % for all finalists together), or only by less than the tie
  // margin.
  bool tie = false;
  // The baseline's times by its own, pair by pair; absent without a baseline in the comparison.
  std::optional<double> speedup;
  // Medians in short bursts and at the power limit, where both were measured.
  std::optional<Nanoseconds> boost, sustained;
};

struct SessionResult {
  execution::EvaluationInfo evaluation;
  std::string strategy;
  std::uint64_t seed = 0;
  std::uint64_t space_size = 0;
  double cartesian_size = 0;
  std::uint64_t evaluations = 0;
  std::uint64_t resumed_from = 0;  // trials kept from before
  std::vector<Trial> trials;       // by ordinal
  std::array<std::uint64_t, trial_status_count> by_status{};
  std::optional<Trial> baseline;

  std::optional<Configuration> best;
  Nanoseconds best_median{}, best_spread{};    // from the final comparison where it took place
  std::optional<Nanoseconds> baseline_median;  // from the same comparison
  // Median of the paired ratios of the baseline's times to the winner's, with its interval, in rounds that had no part
  // in choosing. Without a final comparison the ratio of the medians of the search, which favours lucky samples: then
  // there is no interval.
  std::optional<double> speedup;
  std::optional<Interval> speedup_interval;
  bool power_limited = false;            // the fastest finalist reached the power limit, so both clocks were compared
  ClockState clock = ClockState::boost;  // what best_median, finalists, ties and speedup are of
  std::vector<Finalist> finalists;       // winner first, then by median; the baseline only if it is one
  std::vector<Configuration> ties;       // the configurations of finalists with a tie, winner first
  std::string verification;              // how the winner was verified, in words
  bool reverified = false;
  std::vector<Configuration> verified_sizes;  // other problem sizes that the winner was verified at, all dimensions
  bool interrupted = false;
  std::string stop_reason;  // "space exhausted", "200 evaluations", "time limit", "interrupted", "strategy ended"
  SessionTimes times;
  std::vector<std::string> warnings;
};

// Runs to the end. `space` is the problem's. Throws Error(conflict) for a session folder that holds another session,
// Error(device / compile / ...) when the device or the reference fails; whatever was measured is in the journal then.
SessionResult run_session(const Problem& problem, const Space& space, const StrategyRegistry& strategies,
                          execution::Evaluation& evaluation, const Clock& clock, const SessionOptions& options);

// The profile of a finished session; nullopt if there is no winner.
std::optional<store::TuningProfile> make_profile(const Problem& problem, const SessionResult& result,
                                                 measure::CacheMode cache);

// Compiles and verifies the baseline alone.
struct CheckResult {
  execution::EvaluationInfo evaluation;
  Trial baseline;
};
CheckResult check_baseline(const Problem& problem, execution::Evaluation& evaluation, const Clock& clock,
                           const measure::TimingOptions& timing);

}  // namespace warpwright::tuning
