// The end of a session: which trials are compared once more, the interleaved run of these finalists and the baseline,
// and what it says about the winner, the speed-up and the ties.
#pragma once

#include <vector>

#include <warpwright/model/problem.hpp>
#include <warpwright/tuning/session.hpp>

#include "evaluator.hpp"

namespace warpwright::tuning {

// The correct ones among the session's trials, best objective first; equal ones in the order they were asked for.
std::vector<const Trial*> ranked_trials(const SessionResult& result, const Evaluator& evaluator);

// Thread-compatible; holds references to what it is given. Device time is charged to the part `finish`.
class FinalComparison {
 public:
  FinalComparison(const Problem& problem, const Space& space, const SessionOptions& options, Evaluator& evaluator)
      : problem_(problem), space_(space), options_(options), evaluator_(evaluator) {}

  // Times the finalists afresh and sets best, finalists, ties, baseline_median and speedup of the result. Where there
  // is nothing to compare or the run fails, the result stays as it is. Throws Error(interrupted) when the session is
  // told to stop.
  void run(SessionResult& result);

 private:
  std::vector<const Trial*> finalists(const SessionResult& result) const;
  void choose_winner(SessionResult& result) const;

  const Problem& problem_;
  const Space& space_;
  const SessionOptions& options_;
  Evaluator& evaluator_;
};

}  // namespace warpwright::tuning
