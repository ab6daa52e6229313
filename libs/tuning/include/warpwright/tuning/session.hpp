// One tuning session: asks the strategy, compiles ahead, measures, keeps a journal, compares the finalists with the
// baseline in one interleaved run, and checks the winner again on fresh inputs.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
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
#include <warpwright/store/session_record.hpp>

namespace warpwright::tuning {

// What a session says at its end is a record that outlives it.
using store::ClockState;
using store::Finalist;
using store::SessionRecord;
using store::SessionTimes;

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

// A session that gets its time in slices, so that a program can go on with its own work between them. One thread only.
class Session {
 public:
  // `space` is the problem's. All but the options must outlive the session. Throws Error(bad_input) for an unknown
  // strategy or option.
  Session(const Problem& problem, const Space& space, const StrategyRegistry& strategies,
          execution::Evaluation& evaluation, const Clock& clock, SessionOptions options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Goes on until the clock says `until`, or to the end; true at the end. The first call opens the evaluation and the
  // session's folder, which takes as long as it takes; what an evaluation does within its wait() (a launch in this
  // process, a call of a callable) is not cut short. Workers and compilers go on between the slices, and what they did
  // is taken up by the next one that has time left. Throws as run_session() does; then only the destructor may be
  // called.
  bool advance(std::optional<Nanoseconds> until = std::nullopt);
  // What came of it; once. A session that is not at its end ends as one that was interrupted: its evaluation, which may
  // still be at work, is not to be used again.
  SessionRecord finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Runs to the end. `space` is the problem's. Throws Error(conflict) for a session folder that holds another session,
// Error(device / compile / ...) when the device or the reference fails; whatever was measured is in the journal then.
SessionRecord run_session(const Problem& problem, const Space& space, const StrategyRegistry& strategies,
                          execution::Evaluation& evaluation, const Clock& clock, const SessionOptions& options);

// The profile of a finished session; nullopt if there is no winner.
std::optional<store::TuningProfile> make_profile(const Problem& problem, const SessionRecord& result,
                                                 measure::CacheMode cache);

// Compiles and verifies the baseline alone.
struct CheckResult {
  EvaluationInfo evaluation;
  Trial baseline;
};
CheckResult check_baseline(const Problem& problem, execution::Evaluation& evaluation, const Clock& clock,
                           const measure::TimingOptions& timing);

}  // namespace warpwright::tuning
