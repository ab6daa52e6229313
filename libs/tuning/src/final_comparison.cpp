#include "final_comparison.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <iterator>
#include <optional>
#include <utility>

#include <warpwright/base/rng.hpp>
#include <warpwright/measure/plausibility.hpp>
#include <warpwright/model/statistics.hpp>
#include <warpwright/tuning/ranking.hpp>

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
std::vector<const Trial*> FinalComparison::finalists() const {
  constexpr std::size_t most = 32;
  constexpr double near = 0.025;
  constexpr Nanoseconds longest_round{50e6};
  const auto objective = [&](const Trial& trial) { return evaluator_.objective(trial.configuration, *trial.median); };
  const auto better = [&](const Trial* a, const Trial* b) { return objective(*a) < objective(*b); };
  const auto most_wanted = static_cast<std::size_t>(std::max(0, options_.finalists));
  auto chosen = ranked_trials(result_, evaluator_);
  if (chosen.empty()) {
    // What they were stopped early for turned out to be wrong, so they are what there is.
    for (const Trial& trial : result_.trials)
      if (trial.status == TrialStatus::censored && trial.median && trial.conditions.impossible.empty())
        chosen.push_back(&trial);
    std::stable_sort(chosen.begin(), chosen.end(), better);
    chosen.resize(std::min(chosen.size(), most_wanted));
    return chosen;
  }
  const double best = objective(*chosen.front());
  chosen.resize(std::min(chosen.size(), most_wanted));
  Nanoseconds round{};
  for (const Trial* trial : chosen) round += rules_.sample_cost(*trial);
  std::vector<const Trial*> others;
  for (const Trial& trial : result_.trials) {
    const bool timed = measure::can_win(trial) ||
                       (trial.status == TrialStatus::censored && trial.median && trial.conditions.impossible.empty());
    if (!timed || objective(trial) > best + near * std::abs(best)) continue;
    if (std::find(chosen.begin(), chosen.end(), &trial) == chosen.end()) others.push_back(&trial);
  }
  std::stable_sort(others.begin(), others.end(), better);
  for (const Trial* trial : others) {
    round += rules_.sample_cost(*trial);
    if (chosen.empty() || chosen.size() >= most || round > longest_round) break;
    chosen.push_back(trial);
  }
  return chosen;
}

// The baseline last, unless it is a finalist. Without finalists, because none were asked for, the best of the search:
// it is to be verified too.
std::vector<const Trial*> FinalComparison::wanted() const {
  auto all = finalists();
  if (all.empty()) {
    all = ranked_trials(result_, evaluator_);
    if (all.empty()) return all;
    all.resize(1);
  }
  const auto is_baseline = [&](const Trial* trial) { return trial->configuration == result_.baseline->configuration; };
  if (result_.baseline && result_.baseline->ok() && std::none_of(all.begin(), all.end(), is_baseline))
    all.push_back(&*result_.baseline);
  return all;
}

const FinalComparison::Contestant* FinalComparison::find(const Configuration& configuration) const {
  const auto found = std::find_if(contestants_.begin(), contestants_.end(), [&](const Contestant& contestant) {
    return contestant.verified.configuration == configuration;
  });
  return found == contestants_.end() ? nullptr : &*found;
}

void FinalComparison::begin(Nanoseconds elapsed, Then then) {
  constexpr Nanoseconds least_patience{60e9};
  elapsed_ = elapsed;
  give_up_ = clock_.now() + std::max(least_patience, elapsed);
  then_ = std::move(then);
  admit();
}

// Compiles what is wanted and was not verified yet.
void FinalComparison::admit() {
  fresh_.clear();
  std::vector<Task> to_compile;
  std::vector<std::size_t> waiting;
  for (const Trial* trial : wanted()) {
    if (find(trial->configuration) != nullptr) continue;
    Contestant& contestant = fresh_.emplace_back();
    contestant.verified.configuration = trial->configuration;
    if (const Binary* binary = kept_.find(trial->configuration)) {
      contestant.binary = *binary;
    } else if (rules_.compiles) {
      to_compile.push_back(execution::CompileTask{0, trial->configuration, {}});
      waiting.push_back(fresh_.size() - 1);
    }
  }
  batch_.begin(std::move(to_compile), TimeAccount::Part::finish,
               [=, this](TaskBatch::Results compiled) { verify(waiting, std::move(compiled)); });
}

void FinalComparison::verify(const std::vector<std::size_t>& waiting, TaskBatch::Results compiled) {
  for (std::size_t i = 0; i < compiled.size(); ++i) {
    auto& done = std::get<execution::CompileDone>(compiled[i]);
    Contestant& contestant = fresh_[waiting[i]];
    contestant.binary = std::move(done.binary);
    contestant.verified.status = done.status;
    contestant.verified.message = "compiled again for the final comparison: " + done.message;
  }
  candidates_.clear();
  for (Contestant& contestant : fresh_) {
    candidates_.push_back(std::move(contestant.verified));
    candidates_.back().binary = &contestant.binary;
  }
  verification_.run(candidates_, [this] { admitted(); });
}

// Where some failed, others are wanted now.
void FinalComparison::admitted() {
  bool all_passed = true;
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    if (candidates_[i].status == TrialStatus::ok) {
      Contestant& passed = contestants_.emplace_back();
      passed.binary = std::move(fresh_[i].binary);
      passed.verified = std::move(candidates_[i]);
      passed.verified.binary = nullptr;
    } else {
      all_passed = false;
      fail(candidates_[i], "the second verification");
    }
  }
  if (all_passed) {
    settle_by_search(result_, evaluator_);
    return compare();
  }
  if (clock_.now() <= give_up_) return admit();
  result_.warnings.push_back(
      fmt::format("gave up after {} configurations failed the second verification one after the other; a resumed "
                  "session goes on with "
                  "the others",
                  failures_));
  then_();
}

void FinalComparison::finish() {
  if (const Contestant* winner = result_.best ? find(*result_.best) : nullptr) {
    result_.verification = verification_.describe(winner->verified);
    result_.reverified = winner->verified.checked > 0;
    result_.verified_sizes = winner->verified.sizes;
  }
  then_();
}

void FinalComparison::fail(const Verified& failed, const char* where) {
  constexpr std::size_t most_warnings = 5;
  for (Trial& trial : result_.trials) {
    if (!(trial.configuration == failed.configuration)) continue;
    --result_.by_status[static_cast<std::size_t>(trial.status)];
    record_failure(trial, failed);
    ++result_.by_status[static_cast<std::size_t>(trial.status)];
    log_.changed(trial, false);
  }
  const bool is_baseline = result_.baseline && result_.baseline->configuration == failed.configuration;
  if (is_baseline) {
    record_failure(*result_.baseline, failed);
    log_.changed(*result_.baseline, true);
  }
  ++failures_;
  const std::string what = fmt::format("{}: {}", to_string(failed.status), failed.message);
  if (is_baseline)
    result_.warnings.push_back(fmt::format("the baseline ({}) failed {}: {}; there is no speed-up to report",
                                           failed.configuration.describe(), where, what));
  else if (failures_ <= most_warnings)
    result_.warnings.push_back(fmt::format("{} failed {}: {}", failed.configuration.describe(), where, what));
  else if (failures_ == most_warnings + 1)
    result_.warnings.push_back(fmt::format("more configurations failed {}; their trials say why", where));
}

// None where so few would fit that nothing could be told apart.
int FinalComparison::rounds(std::size_t candidates, Nanoseconds one_round) const {
  if (!rules_.comparison_share) return comparison_rounds(options_.final_rounds, candidates, one_round);
  constexpr Nanoseconds usual{5e9};
  constexpr int fewest = 4;  // fewer leave one to report, which has no spread
  const double most = std::max(usual, elapsed_ * *rules_.comparison_share) / std::max(one_round, Nanoseconds(1));
  const int affordable = most < options_.final_rounds ? static_cast<int>(most) : options_.final_rounds;
  return affordable < std::min(fewest, options_.final_rounds) ? 0 : affordable;
}

void FinalComparison::compare() {
  if (options_.finalists <= 0 || options_.final_rounds <= 0) return compare_sustained();
  execution::InterleaveTask task;
  task.cache = options_.timing.cache;
  task.seed = derive_seed(result_.seed, 1);
  Nanoseconds one_round{};
  std::optional<std::size_t> baseline_at;
  for (const Trial* trial : wanted()) {
    if (result_.baseline && trial->configuration == result_.baseline->configuration)
      baseline_at = task.configurations.size();
    task.configurations.push_back(trial->configuration);
    task.binaries.push_back(find(trial->configuration)->binary);
    one_round += rules_.sample_cost(*trial);
  }
  // One alone has its times from the search, unless it was stopped early there.
  if (task.configurations.empty() || (task.configurations.size() < 2 && result_.best)) return compare_sustained();
  task.rounds = rounds(task.configurations.size(), one_round);
  if (task.rounds == 0) {
    result_.warnings.emplace_back(
        "a final comparison would take too long, so the speed-up is that of the search, which favours lucky samples");
    return compare_sustained();
  }
  batch_.begin({task}, TimeAccount::Part::finish,
               [this, configurations = task.configurations, baseline_at](TaskBatch::Results results) {
                 compared(configurations, baseline_at, std::get<execution::InterleaveDone>(std::move(results.front())));
                 compare_sustained();
               });
}

void FinalComparison::compared(const std::vector<Configuration>& configurations, std::optional<std::size_t> baseline_at,
                               execution::InterleaveDone done) {
  if (done.status != TrialStatus::ok) {
    result_.warnings.push_back("the final comparison failed (" + done.message + "); times are those of the search");
    return;
  }
  const auto failed = [&](std::size_t i) { return i < done.failures.size() && done.failures[i].has_value(); };
  for (std::size_t i = 0; i < configurations.size(); ++i) {
    if (!failed(i)) continue;
    Verified failure;
    failure.configuration = configurations[i];
    failure.status = done.failures[i]->status;
    failure.message = "final comparison: " + done.failures[i]->message;
    fail(failure, "the final comparison");
  }
  settle_by_search(result_, evaluator_);  // for the case that no finalist is left
  std::vector<Finalist> competitors;
  const std::vector<Nanoseconds>* baseline = nullptr;
  for (std::size_t i = 0; i < configurations.size(); ++i) {
    if (failed(i)) continue;
    const std::vector<Nanoseconds>& samples = done.samples.at(i);
    if (const auto why = evaluator_.impossible(configurations[i], result_.evaluation.device,
                                               Nanoseconds(median(counts_of(samples))));
        !why.empty()) {
      result_.warnings.push_back(
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
  settle(std::move(competitors), baseline);
}

void FinalComparison::settle(std::vector<Finalist> competitors, const std::vector<Nanoseconds>* baseline) {
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
    result_.speedup = speedup.median;
    result_.speedup_interval = speedup.interval;
    result_.baseline_median = Nanoseconds(median(counts_of(reported_part(*baseline))));
    result_.baseline_metrics = evaluator_.metrics(result_.baseline->configuration, *result_.baseline_median).values;
    result_.baseline_samples = *baseline;
  } else {
    result_.speedup.reset();
    result_.speedup_interval.reset();
    result_.baseline_median.reset();
    result_.baseline_metrics.clear();
    result_.baseline_samples.clear();
  }
  const std::size_t rounds = winner.samples.size(), chose = choosing_rounds(rounds);
  result_.comparison = {chose, rounds - chose, tie_method, ranking_family_error};
  for (Finalist& finalist : competitors)
    finalist.metrics = evaluator_.metrics(finalist.configuration, finalist.median).values;
  result_.finalists.clear();
  result_.ties.clear();
  for (const std::size_t i : order) {
    if (competitors[i].tie) result_.ties.push_back(competitors[i].configuration);
    result_.finalists.push_back(std::move(competitors[i]));
  }
  for (const Finalist& finalist : result_.finalists) complete(finalist);
  result_.best = result_.finalists.front().configuration;
  result_.best_median = result_.finalists.front().median;
  result_.best_spread = result_.finalists.front().spread;
}

// Only where trials have readings of the clock: without them the question for the power limit would be in vain.
void FinalComparison::compare_sustained() {
  const bool telemetry_tells = std::any_of(result_.trials.begin(), result_.trials.end(), [](const Trial& trial) {
    return trial.conditions.sm_clock_mhz || !trial.conditions.throttling.empty();
  });
  if (!telemetry_tells) return finish();
  auto task = sustained_.task([&](const Configuration& configuration) {
    const Contestant* contestant = find(configuration);
    return contestant == nullptr ? nullptr : &contestant->binary;
  });
  if (!task) return finish();
  batch_.begin({*std::move(task)}, TimeAccount::Part::finish, [this](TaskBatch::Results results) {
    compared_sustained(sustained_.times(std::get<execution::InterleaveDone>(std::move(results.front()))));
    finish();
  });
}

void FinalComparison::compared_sustained(std::optional<SustainedTimes> times) {
  if (!times) return;
  result_.power_limited = true;
  for (std::size_t i = 0; i < times->finalists.size(); ++i) {
    Finalist& finalist = result_.finalists[i];
    finalist.boost = finalist.median;
    finalist.sustained = Nanoseconds(median(counts_of(reported_part(times->finalists[i]))));
  }
  if (options_.clock != ClockState::sustained) return;
  // Those that took no part were slower in short bursts, and have no times at this clock.
  std::vector<Finalist> competitors(
      std::make_move_iterator(result_.finalists.begin()),
      std::make_move_iterator(result_.finalists.begin() + static_cast<std::ptrdiff_t>(times->finalists.size())));
  for (std::size_t i = 0; i < competitors.size(); ++i) {
    competitors[i].boost_samples = std::exchange(competitors[i].samples, std::move(times->finalists[i]));
    competitors[i].speedup.reset();
  }
  result_.clock = ClockState::sustained;
  settle(std::move(competitors), times->baseline ? &*times->baseline : nullptr);
}

// What the search stopped early was measured to the end now: no lower bound any more, but a time.
void FinalComparison::complete(const Finalist& finalist) {
  for (Trial& trial : result_.trials) {
    if (trial.status != TrialStatus::censored || !(trial.configuration == finalist.configuration)) continue;
    --result_.by_status[static_cast<std::size_t>(trial.status)];
    trial.status = TrialStatus::ok;
    ++result_.by_status[static_cast<std::size_t>(trial.status)];
    trial.message.clear();
    trial.bound.reset();
    trial.samples = finalist.samples;
    trial.median = finalist.median;
    trial.spread = finalist.spread;
    trial.metrics = evaluator_.metrics(trial.configuration, finalist.median).values;
    trial.finished_at = utc_now();
    log_.changed(trial, false);
  }
}

}  // namespace warpwright::tuning
