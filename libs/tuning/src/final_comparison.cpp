#include "final_comparison.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <optional>
#include <utility>

#include <warpwright/base/rng.hpp>
#include <warpwright/model/statistics.hpp>

namespace warpwright::tuning {
std::vector<const Trial*> ranked_trials(const SessionResult& result, const Evaluator& evaluator) {
  std::vector<const Trial*> ranked;
  for (const auto& trial : result.trials)
    if (measure::can_win(trial)) ranked.push_back(&trial);
  std::stable_sort(ranked.begin(), ranked.end(), [&](const Trial* a, const Trial* b) {
    const double x = evaluator.objective(a->configuration, *a->median);
    const double y = evaluator.objective(b->configuration, *b->median);
    return x != y ? x < y : a->ordinal < b->ordinal;
  });
  return ranked;
}

// The best trials, and while a round stays short what the search could not tell from them: a space with many
// near-ties holds more good configurations than finalists, and racing stops those that had a slow moment.
std::vector<const Trial*> FinalComparison::finalists(const SessionResult& result) const {
  constexpr std::size_t most = 32;
  constexpr double near = 0.025;
  constexpr Nanoseconds longest_round{50e6};
  auto chosen = ranked_trials(result, evaluator_);
  if (chosen.empty()) return chosen;
  const auto objective = [&](const Trial& trial) { return evaluator_.objective(trial.configuration, *trial.median); };
  const double best = objective(*chosen.front());
  chosen.resize(std::min(chosen.size(), static_cast<std::size_t>(std::max(0, options_.finalists))));
  Nanoseconds round{};
  for (const Trial* trial : chosen) round += *trial->median;
  std::vector<const Trial*> others;
  for (const Trial& trial : result.trials) {
    const bool timed = measure::can_win(trial) ||
                       (trial.status == TrialStatus::censored && trial.median && trial.conditions.impossible.empty());
    if (!timed || objective(trial) > best + near * std::abs(best)) continue;
    if (std::find(chosen.begin(), chosen.end(), &trial) == chosen.end()) others.push_back(&trial);
  }
  std::stable_sort(others.begin(), others.end(),
                   [&](const Trial* a, const Trial* b) { return objective(*a) < objective(*b); });
  for (const Trial* trial : others) {
    round += *trial->median;
    if (chosen.empty() || chosen.size() >= most || round > longest_round) break;
    chosen.push_back(trial);
  }
  return chosen;
}

void FinalComparison::run(SessionResult& result) {
  InterleaveTask task;
  task.id = first_extra_id + 1;
  task.cache = options_.timing.cache;
  task.seed = derive_seed(result.seed, 1);
  Nanoseconds one_round{};
  std::optional<std::size_t> baseline_at;
  const auto add = [&](const Trial& trial) {
    CompileDone compiled =
        evaluator_.compile_now({task.id, trial.configuration, {}}, TimeAccount::Part::finish, options_.stop);
    if (compiled.status != TrialStatus::ok) {
      result.warnings.push_back(fmt::format("{} did not compile for the final comparison: {}",
                                            trial.configuration.describe(), compiled.message));
      return false;
    }
    task.configurations.push_back(trial.configuration);
    task.binaries.push_back(std::move(compiled.binary));
    one_round += *trial.median;
    return true;
  };
  for (const Trial* trial : finalists(result)) add(*trial);
  if (result.baseline && result.baseline->ok()) {
    const auto at = std::find(task.configurations.begin(), task.configurations.end(), result.baseline->configuration);
    if (at != task.configurations.end())
      baseline_at = static_cast<std::size_t>(at - task.configurations.begin());
    else if (add(*result.baseline))
      baseline_at = task.configurations.size() - 1;
  }
  if (task.configurations.size() < 2) return;
  const std::vector<Configuration> configurations = task.configurations;
  task.rounds = comparison_rounds(options_.final_rounds, one_round);
  const InterleaveDone done = evaluator_.interleave_now(std::move(task), TimeAccount::Part::finish, options_.stop);
  if (done.status != TrialStatus::ok) {
    result.warnings.push_back("the final comparison failed (" + done.message + "); times are those of the search");
    return;
  }
  for (std::size_t i = 0; i < configurations.size(); ++i) {
    Finalist finalist;
    finalist.configuration = configurations[i];
    finalist.samples = done.samples.at(i);
    const auto samples = counts_of(finalist.samples);
    finalist.median = Nanoseconds(median(samples));
    finalist.spread = Nanoseconds(interquartile_range(samples));
    if (auto why = evaluator_.impossible(configurations[i], result.evaluation.device, finalist.median); !why.empty()) {
      result.warnings.push_back(
          fmt::format("{} is out of the final comparison: {}", configurations[i].describe(), why));
      continue;
    }
    if (baseline_at == i) result.baseline_median = finalist.median;
    // The baseline competes only as a configuration of the space.
    if (baseline_at != i || space_.contains(configurations[i])) result.finalists.push_back(std::move(finalist));
  }
  if (result.finalists.empty()) return;
  std::stable_sort(result.finalists.begin(), result.finalists.end(), [&](const Finalist& a, const Finalist& b) {
    return evaluator_.objective(a.configuration, a.median) < evaluator_.objective(b.configuration, b.median);
  });
  choose_winner(result);
  if (result.baseline_median) result.speedup = *result.baseline_median / result.best_median;
}

// Among finalists that no measurement tells apart the first in the space's order wins, so that equal sessions agree.
void FinalComparison::choose_winner(SessionResult& result) const {
  auto& finalists = result.finalists;
  const std::vector<double> fastest = counts_of(finalists.front().samples);
  for (auto& finalist : finalists) finalist.ratio = paired_ratio(counts_of(finalist.samples), fastest);
  const auto indistinguishable = [&](const Finalist& finalist) {
    return finalist.ratio.interval.low <= 1 && finalist.ratio.median <= 1 + options_.tie_margin / 10 &&
           finalist.median <= finalists.front().median * (1 + options_.tie_margin);
  };
  std::size_t chosen = 0;
  const bool by_time = problem_.objective.metric == "time";
  for (std::size_t i = 1; by_time && i < finalists.size(); ++i) {
    const auto index = space_.index_of(finalists[i].configuration);
    const auto best = space_.index_of(finalists[chosen].configuration);
    if (index && best && *index < *best && indistinguishable(finalists[i])) chosen = i;
  }
  std::rotate(finalists.begin(), finalists.begin() + static_cast<std::ptrdiff_t>(chosen),
              finalists.begin() + static_cast<std::ptrdiff_t>(chosen) + 1);
  const Finalist& winner = finalists.front();
  result.best = winner.configuration;
  result.best_median = winner.median;
  result.best_spread = winner.spread;
  result.ties.clear();
  for (const auto& finalist : finalists)
    if (is_tie(finalist.ratio, options_.tie_margin)) result.ties.push_back(finalist.configuration);
}

}  // namespace warpwright::tuning
