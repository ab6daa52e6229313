#include <algorithm>
#include <cmath>
#include <limits>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/model/significance.hpp>
#include <warpwright/search/strategy_score.hpp>

namespace warpwright {
namespace {

constexpr int most_reruns = 20;
// Streams of the seed: runs count up from 0, the others lie far above.
constexpr std::uint64_t rerun_stream = std::uint64_t{1} << 40;
constexpr std::uint64_t bagging_stream = std::uint64_t{1} << 41;

// Mean over the grid of the performance of one run by its own steps; before its first valid result that result counts,
// as in the pooled fit.
double score_of_run(const SpaceScorer& scorer, const Run& run) {
  std::size_t next = 0;
  while (next < run.size() && !run[next].has_best) ++next;
  double best = run[next].best;
  std::vector<double> curve(scorer.grid().size());
  for (std::size_t g = 0; g < curve.size(); ++g) {
    for (; next < run.size() && run[next].elapsed.count() <= scorer.grid()[g]; ++next) best = run[next].best;
    curve[g] = best;
  }
  return mean_of(scorer.performance(curve));
}

bool has_result(const Run& run) { return !run.empty() && run.back().has_best; }

}  // namespace

SpaceScore score_strategy(const Replay& replay_space, const SpaceScorer& scorer, const MakeStrategy& make,
                          const ScoringOptions& options) {
  if (options.repeats == 0) throw Error(ErrorCode::bad_input, "a score needs at least one repeat");
  SpaceScore score;
  ReplayOptions replay_options;
  replay_options.batch = options.batch;
  replay_options.clock = options.clock;
  replay_options.budget = options.budget;
  if (!replay_options.budget.cost && !replay_options.budget.evaluations)
    replay_options.budget.cost = Nanoseconds(scorer.time_limit());
  std::vector<Run> runs, runs_without;
  std::size_t reached = 0;
  for (std::size_t repeat = 0; repeat < options.repeats; ++repeat) {
    ReplayResult result;
    for (int attempt = 0; attempt <= most_reruns; ++attempt) {
      StrategySettings settings;
      settings.seed = derive_seed(options.seed, repeat + static_cast<std::uint64_t>(attempt) * rerun_stream);
      settings.budget = replay_options.budget;
      const Nanoseconds begin = options.clock == nullptr ? Nanoseconds{} : options.clock->now();
      const auto strategy = make(replay_space.space(), settings);
      const Nanoseconds made = options.clock == nullptr ? Nanoseconds{} : options.clock->now() - begin;
      result = replay(replay_space, *strategy, replay_options);
      if (!result.steps.empty()) result.steps.front().own += made;
      if (scorer.usable(result.run(replay_space, true))) break;
      if (attempt < most_reruns) ++score.reruns;
    }
    runs.push_back(result.run(replay_space, true));
    runs_without.push_back(result.run(replay_space, false));
    for (const ReplayStep& step : result.steps) score.own_time += step.own;
    score.total_evaluations += result.steps.size();
    reached += std::any_of(runs.back().begin(), runs.back().end(), [&](const RunStep& step) {
      return step.has_best && step.best <= scorer.stop().target && step.elapsed <= scorer.stop().time;
    });
    if (options.after_run) options.after_run(repeat, result);
  }
  const auto count = static_cast<double>(options.repeats);
  score.evaluations = static_cast<double>(score.total_evaluations) / count;
  score.found_target = static_cast<double>(reached) / count;
  const std::uint64_t bagging = derive_seed(options.seed, bagging_stream);
  score.performance = scorer.performance(scorer.curve(runs, bagging));
  score.score = mean_of(score.performance);
  score.score_without_own_time = mean_of(scorer.performance(scorer.curve(runs_without, bagging)));
  score.plain = mean_of(scorer.performance(scorer.plain_curve(runs)));
  for (const Run& run : runs) score.run_scores.push_back(has_result(run) ? score_of_run(scorer, run) : 0.0);
  return score;
}

AggregateScore aggregate(const std::vector<SpaceScore>& spaces) {
  AggregateScore total;
  if (spaces.empty()) return total;
  std::vector<double> performance(spaces.front().performance.size(), 0.0);
  total.run_scores.assign(spaces.front().run_scores.size(), 0.0);
  const auto count = static_cast<double>(spaces.size());
  for (const SpaceScore& space : spaces) {
    for (std::size_t g = 0; g < performance.size(); ++g) performance[g] += space.performance[g] / count;
    for (std::size_t r = 0; r < total.run_scores.size(); ++r) total.run_scores[r] += space.run_scores[r] / count;
    total.plain += space.plain / count;
    total.score_without_own_time += space.score_without_own_time / count;
  }
  total.score = mean_of(performance);
  // Over the grid as a population, as numpy's std.
  double sum = 0;
  for (const double p : performance) sum += (p - total.score) * (p - total.score);
  total.deviation = std::sqrt(sum / static_cast<double>(performance.size()));
  return total;
}

PairedDifference paired_difference(const std::vector<double>& a, const std::vector<double>& b, double confidence) {
  if (a.size() != b.size() || a.empty())
    throw Error(ErrorCode::bad_input, "paired runs must be as many on either side, and at least one");
  std::vector<double> differences;
  for (std::size_t i = 0; i < a.size(); ++i) differences.push_back(a[i] - b[i]);
  PairedDifference result;
  result.mean = mean_of(differences);
  const auto n = static_cast<double>(differences.size());
  double half = std::numeric_limits<double>::infinity();
  if (differences.size() > 1) {
    half = student_t_quantile(0.5 + confidence / 2, n - 1) * deviation_of(differences) / std::sqrt(n);
  }
  result.low = result.mean - half;
  result.high = result.mean + half;
  return result;
}

}  // namespace warpwright
