// The end of a session: which trials are compared once more, the second verification of these finalists and the
// baseline, their interleaved run, and what it says about the winner, the speed-up and the ties. What fails here is a
// failed trial like any other, so that nothing that is wrong anywhere wins, now or when the session is resumed.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/tuning/session.hpp>

#include "evaluator.hpp"
#include "kept_binaries.hpp"
#include "second_verification.hpp"

namespace warpwright::tuning {

// The correct ones among the session's trials, best objective first; equal ones in the order they were asked for.
std::vector<const Trial*> ranked_trials(const SessionRecord& result, const Evaluator& evaluator);

// Sets what is said of the winner from the times of the search; there is none if no trial is correct.
void settle_by_search(SessionRecord& result, const Evaluator& evaluator);

// Used once. Thread-compatible; holds references to what it is given. Time is charged to the part `finish`.
class FinalComparison {
 public:
  // What has another outcome now, wrong or measured to the end: the trial of a configuration, the baseline, or each in
  // turn.
  using Record = std::function<void(const Trial& trial, bool is_baseline)>;

  FinalComparison(const Problem& problem, const Space& space, const SessionOptions& options, Evaluator& evaluator,
                  const Clock& clock, const KeptBinaries& kept, Record record)
      : problem_(problem),
        space_(space),
        options_(options),
        evaluator_(evaluator),
        clock_(clock),
        kept_(kept),
        record_(std::move(record)) {}

  // Verifies the finalists and the baseline, replaces those that fail by the next best, times them afresh and sets
  // best, finalists, ties, baseline_median and the speed-up of the result; without a winner where nothing passed. Where
  // there is nothing to compare or the run fails, the times are those of the search. Where power limits the fastest
  // finalist, boost and sustained of those that took part, and by the session's option these times decide. `patience`
  // is how long failing configurations are replaced. Throws Error(interrupted) when the session is told to stop,
  // Error(bad_input) where the reference fails.
  void run(SessionRecord& result, Nanoseconds patience);

 private:
  struct Contestant {
    Binary binary;
    Verified verified;
  };

  std::vector<const Trial*> finalists(const SessionRecord& result) const;
  std::vector<const Trial*> wanted(const SessionRecord& result) const;
  const Contestant* find(const Configuration& configuration) const;
  bool admit(SessionRecord& result);
  void fail(SessionRecord& result, const Verified& failed);
  void compare(SessionRecord& result);
  void settle(SessionRecord& result, std::vector<Finalist> competitors, const std::vector<Nanoseconds>* baseline);
  void compare_sustained(SessionRecord& result);
  void complete(SessionRecord& result, const Finalist& finalist) const;

  const Problem& problem_;
  const Space& space_;
  const SessionOptions& options_;
  Evaluator& evaluator_;
  const Clock& clock_;
  const KeptBinaries& kept_;
  Record record_;
  std::deque<Contestant> contestants_;  // that passed
  std::size_t failures_ = 0;
};

}  // namespace warpwright::tuning
