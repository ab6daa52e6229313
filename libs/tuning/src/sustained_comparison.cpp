#include "sustained_comparison.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <utility>

#include <warpwright/base/rng.hpp>
#include <warpwright/model/statistics.hpp>

namespace warpwright::tuning {
namespace {

constexpr std::size_t most_finalists = 8;

std::vector<double> first_half(const std::vector<Nanoseconds>& samples) {
  return counts_of(
      std::vector<Nanoseconds>(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2)));
}
std::vector<double> second_half(const std::vector<Nanoseconds>& samples) {
  return counts_of(
      std::vector<Nanoseconds>(samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2), samples.end()));
}

}  // namespace

int sustained_rounds(std::size_t candidates, Nanoseconds block) {
  constexpr Nanoseconds longest{20e9};
  constexpr double most = 12, fewest = 6;
  const Nanoseconds round = std::max(block, Nanoseconds{1}) * static_cast<double>(std::max<std::size_t>(1, candidates));
  return static_cast<int>(std::clamp(longest / round, fewest, most));
}

void SustainedComparison::run(SessionResult& result) {
  if (result.finalists.empty()) return;
  // Those that take part by their time in short bursts, so that the fastest is probed; the baseline for the speed-up.
  struct Candidate {
    Configuration configuration;
    Nanoseconds boost{};
    std::optional<std::size_t> finalist;
  };
  std::vector<Candidate> candidates;
  const std::size_t taking_part = std::min(result.finalists.size(), most_finalists);
  bool has_baseline = false;
  for (std::size_t i = 0; i < taking_part; ++i) {
    const Finalist& finalist = result.finalists[i];
    candidates.push_back({finalist.configuration, finalist.median, i});
    has_baseline = has_baseline || (result.baseline && result.baseline->configuration == finalist.configuration);
  }
  if (!has_baseline && result.baseline && result.baseline->ok() && result.baseline_median)
    candidates.push_back({result.baseline->configuration, *result.baseline_median, std::nullopt});
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.boost < b.boost; });

  InterleaveTask task;
  task.id = first_extra_id + 2;
  task.cache = options_.timing.cache;
  task.sustained = options_.sustained;
  task.sustained->seed = derive_seed(result.seed, 2);
  task.sustained->rounds = sustained_rounds(candidates.size(), task.sustained->block);
  for (const Candidate& candidate : candidates) {
    CompileDone compiled =
        evaluator_.compile_now({task.id, candidate.configuration, {}}, TimeAccount::Part::finish, options_.stop);
    if (compiled.status != TrialStatus::ok) {
      result.warnings.push_back(fmt::format("no comparison at the power limit: {} did not compile again: {}",
                                            candidate.configuration.describe(), compiled.message));
      return;
    }
    task.configurations.push_back(candidate.configuration);
    task.binaries.push_back(std::move(compiled.binary));
    task.estimates.push_back(candidate.boost);
  }
  InterleaveDone done = evaluator_.interleave_now(std::move(task), TimeAccount::Part::finish, options_.stop);
  if (done.status != TrialStatus::ok) {
    result.warnings.push_back("no comparison at the power limit: " + done.message);
    return;
  }
  if (!done.power_limited) return;

  result.power_limited = true;
  std::vector<std::vector<Nanoseconds>> samples(taking_part);
  const std::vector<Nanoseconds>* baseline = nullptr;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::vector<Nanoseconds>& times = done.samples.at(i);
    if (result.baseline && candidates[i].configuration == result.baseline->configuration) baseline = &times;
    if (!candidates[i].finalist) continue;
    Finalist& finalist = result.finalists[*candidates[i].finalist];
    finalist.boost = finalist.median;
    finalist.sustained = Nanoseconds(median(second_half(times)));
    samples[*candidates[i].finalist] = times;
  }
  if (options_.clock == ClockState::sustained) decide(result, std::move(samples), baseline);
}

void SustainedComparison::decide(SessionResult& result, std::vector<std::vector<Nanoseconds>> samples,
                                 const std::vector<Nanoseconds>* baseline) const {
  const auto cost = [&](std::size_t i, const std::vector<double>& times) {
    return evaluator_.objective(result.finalists[i].configuration, Nanoseconds(median(times)));
  };
  std::size_t winner = 0;
  for (std::size_t i = 1; i < samples.size(); ++i)
    if (cost(i, first_half(samples[i])) < cost(winner, first_half(samples[winner]))) winner = i;

  const std::vector<double> fastest = second_half(samples[winner]);
  std::vector<Finalist> ranked;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    Finalist& finalist = ranked.emplace_back(std::move(result.finalists[i]));
    const std::vector<double> times = second_half(samples[i]);
    finalist.samples = std::move(samples[i]);
    finalist.median = Nanoseconds(median(times));
    finalist.spread = Nanoseconds(interquartile_range(times));
    finalist.ratio = paired_ratio(times, fastest);
  }
  std::rotate(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(winner),
              ranked.begin() + static_cast<std::ptrdiff_t>(winner) + 1);
  std::stable_sort(ranked.begin() + 1, ranked.end(), [&](const Finalist& a, const Finalist& b) {
    return evaluator_.objective(a.configuration, a.median) < evaluator_.objective(b.configuration, b.median);
  });
  // Those that took no part were slower in short bursts, and have no times at this clock.
  result.finalists = std::move(ranked);
  const Finalist& best = result.finalists.front();
  result.clock = ClockState::sustained;
  result.best = best.configuration;
  result.best_median = best.median;
  result.best_spread = best.spread;
  result.ties.clear();
  for (const Finalist& finalist : result.finalists)
    if (is_tie(finalist.ratio, options_.tie_margin)) result.ties.push_back(finalist.configuration);
  result.baseline_median.reset();
  result.speedup.reset();
  if (baseline == nullptr) return;
  const std::vector<double> slow = second_half(*baseline);
  result.baseline_median = Nanoseconds(median(slow));
  result.speedup = paired_ratio(slow, second_half(best.samples)).median;
}

}  // namespace warpwright::tuning
