#include "final_comparison.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <iterator>
#include <optional>
#include <utility>

#include <warpwright/base/rng.hpp>
#include <warpwright/model/statistics.hpp>
#include <warpwright/tuning/ranking.hpp>

#include "sustained_comparison.hpp"

namespace warpwright::tuning {

std::vector<const Trial*> ranked_trials(const SessionRecord& result, const Evaluator& evaluator) {
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

void settle_by_search(SessionRecord& result, const Evaluator& evaluator) {
  result.best.reset();
  result.best_median = result.best_spread = {};
  result.baseline_median.reset();
  result.speedup.reset();
  result.speedup_interval.reset();
  result.comparison.reset();
  result.baseline_metrics.clear();
  result.baseline_samples.clear();
  result.finalists.clear();
  result.ties.clear();
  const auto ranked = ranked_trials(result, evaluator);
  if (ranked.empty()) return;
  const Trial& best = *ranked.front();
  result.best = best.configuration;
  result.best_median = *best.median;
  result.best_spread = best.spread;
  result.ties = {best.configuration};
  if (result.baseline && result.baseline->ok()) {
    result.baseline_median = result.baseline->median;
    result.baseline_metrics = result.baseline->metrics;
    result.speedup = *result.baseline_median / result.best_median;
  }
  const EvaluationInfo& info = result.evaluation;
  result.verification = info.has_reference        ? "verified against " + info.reference + "; not re-verified"
                        : info.unverified.empty() ? "not verified: the specification has no [reference]"
                                                  : "not verified: " + info.unverified;
}

// The best trials, and while a round stays short what the search could not tell from them: a space with many
// near-ties holds more good configurations than finalists, and racing stops those that had a slow moment.
std::vector<const Trial*> FinalComparison::finalists(const SessionRecord& result) const {
  constexpr std::size_t most = 32;
  constexpr double near = 0.025;
  constexpr Nanoseconds longest_round{50e6};
  const auto objective = [&](const Trial& trial) { return evaluator_.objective(trial.configuration, *trial.median); };
  const auto better = [&](const Trial* a, const Trial* b) { return objective(*a) < objective(*b); };
  const auto most_wanted = static_cast<std::size_t>(std::max(0, options_.finalists));
  auto chosen = ranked_trials(result, evaluator_);
  if (chosen.empty()) {
    // What they were stopped early for turned out to be wrong, so they are what there is.
    for (const Trial& trial : result.trials)
      if (trial.status == TrialStatus::censored && trial.median && trial.conditions.impossible.empty())
        chosen.push_back(&trial);
    std::stable_sort(chosen.begin(), chosen.end(), better);
    chosen.resize(std::min(chosen.size(), most_wanted));
    return chosen;
  }
  const double best = objective(*chosen.front());
  chosen.resize(std::min(chosen.size(), most_wanted));
  Nanoseconds round{};
  for (const Trial* trial : chosen) round += *trial->median;
  std::vector<const Trial*> others;
  for (const Trial& trial : result.trials) {
    const bool timed = measure::can_win(trial) ||
                       (trial.status == TrialStatus::censored && trial.median && trial.conditions.impossible.empty());
    if (!timed || objective(trial) > best + near * std::abs(best)) continue;
    if (std::find(chosen.begin(), chosen.end(), &trial) == chosen.end()) others.push_back(&trial);
  }
  std::stable_sort(others.begin(), others.end(), better);
  for (const Trial* trial : others) {
    round += *trial->median;
    if (chosen.empty() || chosen.size() >= most || round > longest_round) break;
    chosen.push_back(trial);
  }
  return chosen;
}

// The baseline last, unless it is a finalist. Without finalists, because none were asked for, the best of the search:
// it is to be verified too.
std::vector<const Trial*> FinalComparison::wanted(const SessionRecord& result) const {
  auto all = finalists(result);
  if (all.empty()) {
    all = ranked_trials(result, evaluator_);
    if (all.empty()) return all;
    all.resize(1);
  }
  const auto is_baseline = [&](const Trial* trial) { return trial->configuration == result.baseline->configuration; };
  if (result.baseline && result.baseline->ok() && std::none_of(all.begin(), all.end(), is_baseline))
    all.push_back(&*result.baseline);
  return all;
}

const FinalComparison::Contestant* FinalComparison::find(const Configuration& configuration) const {
  const auto found = std::find_if(contestants_.begin(), contestants_.end(), [&](const Contestant& contestant) {
    return contestant.verified.configuration == configuration;
  });
  return found == contestants_.end() ? nullptr : &*found;
}

void FinalComparison::run(SessionRecord& result, Nanoseconds patience) {
  const Nanoseconds begin = clock_.now();
  while (!admit(result)) {
    if (clock_.now() - begin <= patience) continue;
    result.warnings.push_back(fmt::format(
        "gave up after {} configurations failed the second verification one after the other; --resume goes on with "
        "the others",
        failures_));
    return;
  }
  settle_by_search(result, evaluator_);
  compare(result);
  compare_sustained(result);
  const Contestant* winner = result.best ? find(*result.best) : nullptr;
  if (winner == nullptr) return;
  const SecondVerification verification(problem_, result.evaluation, result.seed, evaluator_, TimeAccount::Part::finish,
                                        options_.stop);
  result.verification = verification.describe(winner->verified);
  result.reverified = winner->verified.checked > 0;
  result.verified_sizes = winner->verified.sizes;
}

// Compiles and verifies what is wanted and was not yet; false if some of it failed, so that others are wanted now.
bool FinalComparison::admit(SessionRecord& result) {
  std::deque<Contestant> fresh;
  std::vector<execution::CompileTask> to_compile;
  std::vector<std::size_t> waiting;
  for (const Trial* trial : wanted(result)) {
    if (find(trial->configuration) != nullptr) continue;
    Contestant& contestant = fresh.emplace_back();
    contestant.verified.configuration = trial->configuration;
    if (const Binary* binary = kept_.find(trial->configuration)) {
      contestant.binary = *binary;
    } else {
      to_compile.push_back({0, trial->configuration, {}});
      waiting.push_back(fresh.size() - 1);
    }
  }
  auto compiled = evaluator_.compile_all(std::move(to_compile), TimeAccount::Part::finish, options_.stop);
  for (std::size_t i = 0; i < compiled.size(); ++i) {
    Contestant& contestant = fresh[waiting[i]];
    contestant.binary = std::move(compiled[i].binary);
    contestant.verified.status = compiled[i].status;
    contestant.verified.message = "compiled again for the final comparison: " + compiled[i].message;
  }
  std::vector<Verified> candidates;
  for (Contestant& contestant : fresh) {
    candidates.push_back(std::move(contestant.verified));
    candidates.back().binary = &contestant.binary;
  }
  SecondVerification(problem_, result.evaluation, result.seed, evaluator_, TimeAccount::Part::finish, options_.stop)
      .run(candidates);
  bool all_passed = true;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].status == TrialStatus::ok) {
      Contestant& passed = contestants_.emplace_back();
      passed.binary = std::move(fresh[i].binary);
      passed.verified = std::move(candidates[i]);
      passed.verified.binary = nullptr;
    } else {
      all_passed = false;
      fail(result, candidates[i]);
    }
  }
  return all_passed;
}

void FinalComparison::fail(SessionRecord& result, const Verified& failed) {
  constexpr std::size_t most_warnings = 5;
  for (Trial& trial : result.trials) {
    if (!(trial.configuration == failed.configuration)) continue;
    --result.by_status[static_cast<std::size_t>(trial.status)];
    record_failure(trial, failed);
    ++result.by_status[static_cast<std::size_t>(trial.status)];
    record_(trial, false);
  }
  const bool is_baseline = result.baseline && result.baseline->configuration == failed.configuration;
  if (is_baseline) {
    record_failure(*result.baseline, failed);
    record_(*result.baseline, true);
  }
  ++failures_;
  const std::string what = fmt::format("{}: {}", to_string(failed.status), failed.message);
  if (is_baseline)
    result.warnings.push_back(
        fmt::format("the baseline ({}) failed the second verification: {}; there is no speed-up "
                    "to report",
                    failed.configuration.describe(), what));
  else if (failures_ <= most_warnings)
    result.warnings.push_back(
        fmt::format("{} failed the second verification: {}", failed.configuration.describe(), what));
  else if (failures_ == most_warnings + 1)
    result.warnings.push_back("more configurations failed the second verification; 'warpwright show' has them");
}

void FinalComparison::compare(SessionRecord& result) {
  execution::InterleaveTask task;
  task.id = evaluator_.next_id();
  task.cache = options_.timing.cache;
  task.seed = derive_seed(result.seed, 1);
  Nanoseconds one_round{};
  if (options_.finalists <= 0) return;
  std::optional<std::size_t> baseline_at;
  for (const Trial* trial : wanted(result)) {
    if (result.baseline && trial->configuration == result.baseline->configuration)
      baseline_at = task.configurations.size();
    task.configurations.push_back(trial->configuration);
    task.binaries.push_back(find(trial->configuration)->binary);
    one_round += *trial->median;
  }
  // One alone has its times from the search, unless it was stopped early there.
  if (task.configurations.empty() || (task.configurations.size() < 2 && result.best)) return;
  const std::vector<Configuration> configurations = task.configurations;
  task.rounds = comparison_rounds(options_.final_rounds, configurations.size(), one_round);
  const execution::InterleaveDone done =
      evaluator_.interleave_now(std::move(task), TimeAccount::Part::finish, options_.stop);
  if (done.status != TrialStatus::ok) {
    result.warnings.push_back("the final comparison failed (" + done.message + "); times are those of the search");
    return;
  }
  std::vector<Finalist> competitors;
  const std::vector<Nanoseconds>* baseline = nullptr;
  for (std::size_t i = 0; i < configurations.size(); ++i) {
    const std::vector<Nanoseconds>& samples = done.samples.at(i);
    if (const auto why =
            evaluator_.impossible(configurations[i], result.evaluation.device, Nanoseconds(median(counts_of(samples))));
        !why.empty()) {
      result.warnings.push_back(
          fmt::format("{} is out of the final comparison: {}", configurations[i].describe(), why));
      continue;
    }
    if (baseline_at == i) baseline = &samples;
    // The baseline competes only as a configuration of the space.
    if (baseline_at == i && !space_.contains(configurations[i])) continue;
    Finalist& finalist = competitors.emplace_back();
    finalist.configuration = configurations[i];
    finalist.samples = samples;
  }
  settle(result, std::move(competitors), baseline);
}

void FinalComparison::settle(SessionRecord& result, std::vector<Finalist> competitors,
                             const std::vector<Nanoseconds>* baseline) {
  if (competitors.empty()) return;
  RankingOptions options;
  options.tie_margin = options_.tie_margin;
  if (problem_.objective.metric == "time") {
    // Among those that nothing tells apart the first in the space's order wins, so that equal sessions agree.
    for (const auto& finalist : competitors) options.places.push_back(space_.index_of(finalist.configuration));
  } else {
    options.cost = [&](std::size_t i, Nanoseconds time) {
      return evaluator_.objective(competitors[i].configuration, time);
    };
  }
  std::vector<std::size_t> order = rank_finalists(competitors, options);
  const Finalist& winner = competitors[order.front()];
  if (baseline != nullptr) {
    for (Finalist& finalist : competitors) finalist.speedup = speedup_over(*baseline, finalist.samples).median;
    const PairedRatio speedup = speedup_over(*baseline, winner.samples);
    result.speedup = speedup.median;
    result.speedup_interval = speedup.interval;
    result.baseline_median = Nanoseconds(median(counts_of(reported_part(*baseline))));
    result.baseline_metrics = evaluator_.metrics(result.baseline->configuration, *result.baseline_median).values;
    result.baseline_samples = *baseline;
  } else {
    result.speedup.reset();
    result.speedup_interval.reset();
    result.baseline_median.reset();
    result.baseline_metrics.clear();
    result.baseline_samples.clear();
  }
  const std::size_t rounds = winner.samples.size(), chose = choosing_rounds(rounds);
  result.comparison = {chose, rounds - chose, tie_method, ranking_family_error};
  for (Finalist& finalist : competitors)
    finalist.metrics = evaluator_.metrics(finalist.configuration, finalist.median).values;
  result.finalists.clear();
  result.ties.clear();
  for (const std::size_t i : order) {
    if (competitors[i].tie) result.ties.push_back(competitors[i].configuration);
    result.finalists.push_back(std::move(competitors[i]));
  }
  for (const Finalist& finalist : result.finalists) complete(result, finalist);
  result.best = result.finalists.front().configuration;
  result.best_median = result.finalists.front().median;
  result.best_spread = result.finalists.front().spread;
}

// Only where trials have readings of the clock: without them the question for the power limit would be in vain.
void FinalComparison::compare_sustained(SessionRecord& result) {
  const bool telemetry_tells = std::any_of(result.trials.begin(), result.trials.end(), [](const Trial& trial) {
    return trial.conditions.sm_clock_mhz || !trial.conditions.throttling.empty();
  });
  if (!telemetry_tells || result.finalists.empty()) return;
  SustainedComparison comparison(options_, evaluator_, [&](const Configuration& configuration) {
    const Contestant* contestant = find(configuration);
    return contestant == nullptr ? nullptr : &contestant->binary;
  });
  auto times = comparison.run(result);
  if (!times) return;
  result.power_limited = true;
  for (std::size_t i = 0; i < times->finalists.size(); ++i) {
    Finalist& finalist = result.finalists[i];
    finalist.boost = finalist.median;
    finalist.sustained = Nanoseconds(median(counts_of(reported_part(times->finalists[i]))));
  }
  if (options_.clock != ClockState::sustained) return;
  // Those that took no part were slower in short bursts, and have no times at this clock.
  std::vector<Finalist> competitors(
      std::make_move_iterator(result.finalists.begin()),
      std::make_move_iterator(result.finalists.begin() + static_cast<std::ptrdiff_t>(times->finalists.size())));
  for (std::size_t i = 0; i < competitors.size(); ++i) {
    competitors[i].boost_samples = std::exchange(competitors[i].samples, std::move(times->finalists[i]));
    competitors[i].speedup.reset();
  }
  result.clock = ClockState::sustained;
  settle(result, std::move(competitors), times->baseline ? &*times->baseline : nullptr);
}

// What the search stopped early was measured to the end now: no lower bound any more, but a time.
void FinalComparison::complete(SessionRecord& result, const Finalist& finalist) const {
  for (Trial& trial : result.trials) {
    if (trial.status != TrialStatus::censored || !(trial.configuration == finalist.configuration)) continue;
    --result.by_status[static_cast<std::size_t>(trial.status)];
    trial.status = TrialStatus::ok;
    ++result.by_status[static_cast<std::size_t>(trial.status)];
    trial.message.clear();
    trial.bound.reset();
    trial.samples = finalist.samples;
    trial.median = finalist.median;
    trial.spread = finalist.spread;
    trial.metrics = evaluator_.metrics(trial.configuration, finalist.median).values;
    trial.finished_at = utc_now();
    record_(trial, false);
  }
}

}  // namespace warpwright::tuning
