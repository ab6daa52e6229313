// Scores of strategies over recorded spaces, from many seeded runs, with paired intervals: run r of every strategy on a
// space has the same seed, so differences between strategies are taken run by run.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <warpwright/search/replay.hpp>
#include <warpwright/search/scoring.hpp>

namespace warpwright {

struct ScoringOptions {
  std::size_t repeats = 100;
  std::uint64_t seed = 0;
  std::size_t batch = 1;
  // Default: the time limit of the scorer, in recorded seconds.
  SearchBudget budget;
  const Clock* clock = nullptr;  // measures the strategies' own time; none: it counts as nothing
  // Called after each run, from the calling thread; for --traces and progress.
  std::function<void(std::size_t repeat, const ReplayResult& result)> after_run;
};

// One strategy on one space.
struct SpaceScore {
  double score = 0;  // mean of `performance`: the published method, own time included
  double score_without_own_time = 0;
  double plain = 0;                 // one isotonic fit of all runs, own time included
  std::vector<double> performance;  // at each point of the grid
  // Score of each run by itself (its own steps, no fit): what paired intervals are made of.
  std::vector<double> run_scores;
  double evaluations = 0;    // mean number per run
  double found_target = 0;   // fraction of runs that reached the target of the last cut-off in time
  std::uint64_t reruns = 0;  // runs repeated with another seed because they had fewer than two valid results
  Seconds own_time{};        // of the strategy, all runs
  std::uint64_t total_evaluations = 0;
};

using MakeStrategy =
    std::function<std::unique_ptr<SearchAlgorithm>(const Space& space, const StrategySettings& settings)>;

// Runs `make`'s strategy `repeats` times. A run with fewer than two valid results in the margin is repeated with
// another seed, at most 20 times, as the method says.
SpaceScore score_strategy(const Replay& replay, const SpaceScorer& scorer, const MakeStrategy& make,
                          const ScoringOptions& options);

// Over spaces: mean of the performance at each point of the grid; the score is its mean over the grid.
struct AggregateScore {
  double score = 0, score_without_own_time = 0, plain = 0;
  double deviation = 0;            // over the grid, as the published "error"
  std::vector<double> run_scores;  // run r: mean over the spaces of run r's score
};
AggregateScore aggregate(const std::vector<SpaceScore>& spaces);

// Mean of a - b over paired runs with its two-sided confidence interval (Student's t).
struct PairedDifference {
  double mean = 0, low = 0, high = 0;
  bool significant() const { return low > 0 || high < 0; }
};
PairedDifference paired_difference(const std::vector<double>& a, const std::vector<double>& b,
                                   double confidence = 0.95);

}  // namespace warpwright
