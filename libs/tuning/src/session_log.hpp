// What a session knows by now: its record with every trial, the best of them, what others race against. It writes the
// journal where there is one, and tells of progress.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include <warpwright/measure/timing.hpp>
#include <warpwright/model/space.hpp>
#include <warpwright/search/search_algorithm.hpp>
#include <warpwright/store/journal.hpp>
#include <warpwright/tuning/session.hpp>

#include "evaluator.hpp"

namespace warpwright::tuning {

// Thread-compatible; holds references to what it is given.
class SessionLog {
 public:
  // `begin`: when this run of the session began.
  SessionLog(const Space& space, const SessionOptions& options, const Evaluator& evaluator, Nanoseconds begin)
      : space_(space), options_(options), evaluator_(evaluator), begin_(begin) {}

  SessionRecord& record() { return record_; }
  const SessionRecord& record() const { return record_; }
  void write_to(std::optional<store::Journal> journal) { journal_ = std::move(journal); }
  // From now on the estimate of the time that is left counts.
  void begin_search(Nanoseconds now) { search_begin_ = now; }

  // A trial of an earlier run, which its journal has.
  void keep(Trial trial, Nanoseconds now);
  // One of this run has ended.
  void add(Trial trial, Nanoseconds now);
  void set_baseline(Trial baseline, Nanoseconds now);
  // The end of the session found another outcome for a trial of the record, or for its baseline.
  void changed(const Trial& trial, bool is_baseline);

  // What a strategy hears of a trial.
  SearchOutcome outcome_of(const Trial& trial) const;
  // The best correct trial, as something to race against.
  const std::optional<measure::Incumbent>& incumbent() const { return incumbent_; }
  // What a run may take that is two hundred times as slow as the best, in each of the runs before the race can end it.
  // 0 (the evaluation's own deadline) while nothing is known.
  Nanoseconds run_deadline() const;

  // Warns of what the trials say about the device: impossible times, drifting ones, and a clock that was held down.
  void warn_of_conditions();
  // The session is over, whatever came of it: puts the trials in order, and what was decided into the journal.
  void close();
  // Lays the record beside the journal, and lets go of the folder. The journal has the trials, so that a disk that is
  // full by now costs what came of them, and not the result: then there is a warning.
  void write_record();

 private:
  void put(Trial trial, Nanoseconds now);
  void report_progress(const Trial& last, Nanoseconds now) const;

  const Space& space_;
  const SessionOptions& options_;
  const Evaluator& evaluator_;
  Nanoseconds begin_, search_begin_{};
  SessionRecord record_;
  std::optional<store::Journal> journal_;
  std::uint64_t measured_now_ = 0;  // trials of this run
  double best_objective_ = std::numeric_limits<double>::infinity();
  std::optional<std::size_t> best_;
  std::optional<measure::Incumbent> incumbent_;
  Nanoseconds slowest_handling_{};  // copying and verifying of a correct configuration
};

}  // namespace warpwright::tuning
