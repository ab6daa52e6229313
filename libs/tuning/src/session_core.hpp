// A session as a step machine: no thread, no loop that waits, no clock, no evaluation. Whoever drives it gives its
// tasks to an evaluation, tells it what ended and what time it is, and decides when to go on; so it can have a slice of
// time, one virtual clock can drive it, and tests take its steps in any order. Internal; tuning::Session drives it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include <warpwright/tuning/session.hpp>

#include "evaluator.hpp"
#include "final_comparison.hpp"
#include "kept_binaries.hpp"
#include "second_verification.hpp"
#include "session_log.hpp"
#include "session_rules.hpp"
#include "task_batch.hpp"
#include "trial_schedule.hpp"

namespace warpwright::tuning {

// What the driver sees before a step.
struct Moment {
  Nanoseconds now{};
  Room room;                   // for tasks
  Nanoseconds restart_time{};  // Evaluation::restart_time()
  bool stop = false;           // somebody wants the session to end
};

// One session. Thread-compatible; holds references to what it is given.
class SessionCore {
 public:
  using MakeStrategy = std::function<std::unique_ptr<SearchAlgorithm>(const StrategySettings&)>;

  // Makes the strategy, and throws what that throws. `baseline` need not be in the space.
  SessionCore(const Problem& problem, const Space& space, Configuration baseline, MakeStrategy make_strategy,
              const SessionOptions& options, Nanoseconds now, SessionRules rules = {});
  SessionCore(const SessionCore&) = delete;
  SessionCore& operator=(const SessionCore&) = delete;

  // The record and the journal; to be described and opened before begin().
  SessionLog& log() { return log_; }

  // ---- the beginning: once each, in this order ----------------------------------------------------------------------
  // Trials of an earlier run, by ordinal, of configurations of the space.
  void keep(std::vector<Trial> trials);
  void begin(const Moment& moment, TrialSchedule::Sharing sharing);

  // ---- steps: any number, in any order ------------------------------------------------------------------------------
  // What the evaluation, which has room for it, is to do now; nullopt when nothing is to be done before something ends.
  // Throws what strategy, journal and progress callback throw, and Error(bad_input) for a specification that no
  // configuration can fulfil.
  std::optional<Task> next(const Moment& moment);
  // How long to wait for something to end.
  Nanoseconds patience() const { return patience_; }
  // What ended; nullopt if nothing did in that time. Throws as next() does.
  void tell(const Moment& moment, std::optional<execution::Completion> completion);
  // Ends the session with what it knows.
  void interrupt(const Moment& moment);
  bool over() const { return phase_ == Phase::over; }

  // ---- the end ------------------------------------------------------------------------------------------------------
  // Closes the log; the record says everything then.
  void close(const Moment& moment);

 private:
  enum class Phase { beginning, search, draining, ending, over };
  using Part = TimeAccount::Part;

  // The time it was told last.
  class ToldClock final : public Clock {
   public:
    explicit ToldClock(Nanoseconds now) : now_(now) {}
    Nanoseconds now() const override { return now_; }
    void set(Nanoseconds now) { now_ = now; }

   private:
    Nanoseconds now_;
  };

  void see(const Moment& moment);
  std::unique_ptr<SearchAlgorithm> make_strategy() const;
  Nanoseconds restarted_since_last();
  void measure_baseline();
  void take_baseline(Trial baseline, Binary binary);
  void begin_search();
  bool stopping();
  Part idle_part() const;
  std::optional<Task> next_of_search();
  std::optional<Task> wait_for_more(bool more_to_ask);
  Task run_task();
  std::optional<std::uint64_t> ask();
  std::optional<Task> begin_trial(std::uint64_t index);
  void take(execution::Completion completion);
  void record_run();
  void end_trial(std::uint64_t ordinal);
  void finish_trial(std::uint64_t index, Trial trial);
  void drain();
  void end_search();
  void finish();

  const Problem& problem_;
  const Space& space_;
  const Configuration baseline_;
  const MakeStrategy make_strategy_;
  const SessionOptions& options_;
  const SessionRules rules_;
  ToldClock clock_;
  const Nanoseconds begin_;
  Moment moment_;
  TimeAccount account_;
  const Evaluator evaluator_;
  SessionLog log_;
  SessionRecord& result_;  // the log's
  TrialSchedule schedule_;
  TaskBatch batch_;  // what is to be done outside the search
  std::optional<SecondVerification> references_;
  std::optional<FinalComparison> comparison_;
  std::unique_ptr<SearchAlgorithm> strategy_;
  std::unordered_map<std::uint64_t, SearchOutcome> kept_;  // by index, of a resumed session
  std::vector<std::uint64_t> kept_order_;                  // indices of these, by ordinal
  std::optional<std::uint64_t> baseline_index_;
  KeptBinaries kept_binaries_;

  Phase phase_ = Phase::beginning;
  Nanoseconds patience_ = poll_interval;
  Nanoseconds restarts_seen_{};
  bool looked_ = true;                        // nothing was done since the evaluation had nothing to tell
  bool begun_ = false;                        // a trial, since there was a look at what the others do
  std::optional<std::uint64_t> asked_ahead_;  // a configuration for the compiler that is free first
  bool asked_in_vain_ = false;                // the strategy has none before it is told more
  std::optional<std::uint64_t> ran_;          // to be recorded as soon as the device goes on
};

Moment moment_of(const execution::Evaluation& evaluation, const Clock& clock, const std::atomic<bool>* stop);
// Takes steps until the session is over or the clock says `until`; true when it is over. It is interrupted where the
// evaluation or anything else throws Error(interrupted).
bool drive(SessionCore& core, execution::Evaluation& evaluation, const Clock& clock, const std::atomic<bool>* stop,
           std::optional<Nanoseconds> until);

}  // namespace warpwright::tuning
