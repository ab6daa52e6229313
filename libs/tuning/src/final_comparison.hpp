// The end of a session: which trials are compared once more, the second verification of these finalists and the
// baseline, their interleaved run, and what it says about the winner, the speed-up and the ties. What fails here is a
// failed trial like any other, so that nothing that is wrong anywhere wins, now or when the session is resumed.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/execution/evaluation.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/tuning/session.hpp>

#include "evaluator.hpp"
#include "kept_binaries.hpp"
#include "second_verification.hpp"
#include "session_log.hpp"
#include "session_rules.hpp"
#include "sustained_comparison.hpp"

namespace warpwright::tuning {

// The correct ones among the session's trials, best objective first; equal ones in the order they were asked for.
std::vector<const Trial*> ranked_trials(const SessionRecord& result, const Evaluator& evaluator);

// Sets what is said of the winner from the times of the search; there is none if no trial is correct.
void settle_by_search(SessionRecord& result, const Evaluator& evaluator);

// Used once. Thread-compatible; holds references to what it is given. Its tasks are a batch, whose time is of the part
// `finish`.
class FinalComparison {
 public:
  using Then = std::function<void()>;

  // What has another outcome now, wrong or measured to the end, is told to the log, whose record gets the result.
  FinalComparison(const Problem& problem, const Space& space, const SessionOptions& options, const SessionRules& rules,
                  const Evaluator& evaluator, const Clock& clock, const KeptBinaries& kept, TaskBatch& batch,
                  SessionLog& log)
      : problem_(problem),
        space_(space),
        options_(options),
        rules_(rules),
        evaluator_(evaluator),
        clock_(clock),
        kept_(kept),
        batch_(batch),
        log_(log),
        result_(log.record()),
        verification_(problem, result_.evaluation, result_.seed, batch, TimeAccount::Part::finish),
        sustained_(options, result_) {}
  FinalComparison(const FinalComparison&) = delete;
  FinalComparison& operator=(const FinalComparison&) = delete;

  // Verifies the finalists and the baseline, replaces those that fail by the next best, times them afresh and sets
  // best, finalists, ties, baseline_median and the speed-up of the result; without a winner where nothing passed. Where
  // there is nothing to compare or the run fails, the times are those of the search. Where power limits the fastest
  // finalist, boost and sustained of those that took part, and by the session's option these times decide. `elapsed` is
  // the time of the session so far: failing configurations are replaced for as long again, or for a minute. `then` is
  // called at the end.
  void begin(Nanoseconds elapsed, Then then);

 private:
  struct Contestant {
    Binary binary;
    Verified verified;
  };

  std::vector<const Trial*> finalists() const;
  std::vector<const Trial*> wanted() const;
  const Contestant* find(const Configuration& configuration) const;
  // The steps, in their order.
  void admit();
  void verify(const std::vector<std::size_t>& waiting, TaskBatch::Results compiled);
  void admitted();
  void compare();
  void compared(const std::vector<Configuration>& configurations, std::optional<std::size_t> baseline_at,
                execution::InterleaveDone done);
  void compare_sustained();
  void compared_sustained(std::optional<SustainedTimes> times);
  void finish();

  // `where` it failed, in words.
  void fail(const Verified& failed, const char* where);
  int rounds(std::size_t candidates, Nanoseconds one_round) const;
  void settle(std::vector<Finalist> competitors, const std::vector<Nanoseconds>* baseline);
  void complete(const Finalist& finalist);

  const Problem& problem_;
  const Space& space_;
  const SessionOptions& options_;
  const SessionRules& rules_;
  const Evaluator& evaluator_;
  const Clock& clock_;
  const KeptBinaries& kept_;
  TaskBatch& batch_;
  SessionLog& log_;
  SessionRecord& result_;
  SecondVerification verification_;
  SustainedComparison sustained_;
  Nanoseconds elapsed_{};
  Nanoseconds give_up_{};               // when, if what is admitted still fails
  std::deque<Contestant> contestants_;  // that passed
  std::deque<Contestant> fresh_;        // that are checked now
  std::vector<Verified> candidates_;    // the same
  std::size_t failures_ = 0;
  Then then_;
};

}  // namespace warpwright::tuning
