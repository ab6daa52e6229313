#include "session_log.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <string>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/plausibility.hpp>
#include <warpwright/store/json.hpp>

namespace warpwright::tuning {
namespace {

// The least run deadline covers a device worker that has to wait for a busy machine.
constexpr Nanoseconds least_run_deadline{3e9};
constexpr double handling_factor = 10, deadline_factor = 600;

store::Json summary_of(const SessionRecord& record) {
  store::Json note{{"finished_at", utc_now()}, {"stop_reason", record.stop_reason}};
  if (record.best) {
    note["best"] = store::to_json(*record.best);
    note["best_median_ns"] = record.best_median.count();
    if (record.speedup) note["speedup"] = *record.speedup;
    if (record.speedup_interval)
      note["speedup_interval"] = {record.speedup_interval->low, record.speedup_interval->high};
    note["verification"] = record.verification;
  }
  return note;
}

}  // namespace

void SessionLog::keep(Trial trial, Nanoseconds now) { put(std::move(trial), now); }

void SessionLog::add(Trial trial, Nanoseconds now) {
  trial.since_start = now - begin_;
  if (journal_) journal_->append(trial);
  ++measured_now_;
  put(std::move(trial), now);
}

void SessionLog::put(Trial trial, Nanoseconds now) {
  ++record_.by_status[static_cast<std::size_t>(trial.status)];
  record_.trials.push_back(std::move(trial));
  const Trial& last = record_.trials.back();
  const double objective =
      measure::can_win(last) ? evaluator_.objective(last.configuration, *last.median) : best_objective_;
  if (objective < best_objective_) {
    best_objective_ = objective;
    best_ = record_.trials.size() - 1;
    if (!last.samples.empty()) incumbent_ = measure::Incumbent::of(last.samples);
  }
  if (last.ok()) slowest_handling_ = std::max(slowest_handling_, last.times.copy + last.times.verify);
  report_progress(last, now);
}

void SessionLog::set_baseline(Trial baseline, Nanoseconds now) {
  baseline.since_start = now - begin_;
  record_.baseline = std::move(baseline);
  changed(*record_.baseline, true);
}

void SessionLog::changed(const Trial& trial, bool is_baseline) {
  if (!journal_) return;
  if (is_baseline)
    journal_->append_note("baseline", store::text_of(store::to_json(trial)));
  else
    journal_->append(trial);
}

SearchOutcome SessionLog::outcome_of(const Trial& trial) const {
  SearchOutcome outcome;
  // To the search a time that cannot be is no better than a wrong result.
  outcome.status = trial.conditions.impossible.empty() ? trial.status : TrialStatus::wrong_result;
  if (!trial.conditions.impossible.empty())
    outcome.objective.reset();
  else if (trial.bound)
    outcome.objective = evaluator_.objective(trial.configuration, *trial.bound);
  else if (trial.median)
    outcome.objective = evaluator_.objective(trial.configuration, *trial.median);
  outcome.cost = trial.times.compile_wall + trial.times.copy + trial.times.verify + trial.times.measure;
  return outcome;
}

Nanoseconds SessionLog::run_deadline() const {
  if (!incumbent_) return {};
  return least_run_deadline + slowest_handling_ * handling_factor + incumbent_->median * deadline_factor;
}

void SessionLog::report_progress(const Trial& last, Nanoseconds now) const {
  if (!options_.progress) return;
  Progress progress;
  progress.evaluations = record_.trials.size();
  progress.planned = std::min<std::uint64_t>(space_.size(), options_.max_evaluations.value_or(space_.size()));
  progress.by_status = record_.by_status;
  progress.last = &last;
  if (best_) progress.best = &record_.trials[*best_];
  if (record_.baseline) progress.baseline = record_.baseline->median;
  progress.elapsed = now - begin_;
  if (measured_now_ > 0 && progress.planned) {
    const double left = static_cast<double>(*progress.planned) - static_cast<double>(progress.evaluations);
    progress.remaining = (now - search_begin_) * (left / static_cast<double>(measured_now_));
  }
  if (options_.time_limit) {
    const Nanoseconds until_limit = std::max(Nanoseconds{}, *options_.time_limit - progress.elapsed);
    progress.remaining = std::min(progress.remaining.value_or(until_limit), until_limit);
  }
  options_.progress(progress);
}

void SessionLog::warn_of_conditions() {
  constexpr double notable_drift = 0.05;
  std::size_t drifted = 0, throttled = 0, impossible = 0, launch_bound = 0;
  const Trial* example = nullptr;
  double largest = 0;
  std::string reasons;
  for (const auto& trial : record_.trials) {
    if (trial.conditions.drift && std::abs(*trial.conditions.drift) >= notable_drift) {
      ++drifted;
      if (std::abs(*trial.conditions.drift) > std::abs(largest)) largest = *trial.conditions.drift;
    }
    if (!trial.conditions.impossible.empty()) {
      ++impossible;
      if (example == nullptr) example = &trial;
    }
    const auto& marks = trial.conditions.marks;
    if (std::find(marks.begin(), marks.end(), measure::marks::launch_bound) != marks.end()) ++launch_bound;
    if (trial.conditions.throttling.empty()) continue;
    ++throttled;
    for (const auto& reason : trial.conditions.throttling)
      if (reasons.find(reason) == std::string::npos) reasons += (reasons.empty() ? "" : ", ") + reason;
  }
  const auto plural = [](std::size_t count) { return count == 1 ? "" : "s"; };
  auto& warnings = record_.warnings;
  if (example != nullptr)
    warnings.push_back(fmt::format(
        "{} configuration{} took less time than the device can; none of them wins. {}: {}. Check the formula of the "
        "metric, and whether the reference covers what the kernel does",
        impossible, plural(impossible), example->configuration.describe(), example->conditions.impossible));
  if (launch_bound > 0)
    warnings.push_back(fmt::format(
        "the times of {} configuration{} are bounded by the host's launches, not by the device (marked launch_bound)",
        launch_bound, plural(launch_bound)));
  if (drifted > 0)
    warnings.push_back(fmt::format(
        "the time of {} configuration{} drifted while it was sampled, by up to {:.1f} %; the final comparison is "
        "interleaved and does not suffer from it",
        drifted, plural(drifted), 100 * largest));
  if (throttled > 0)
    warnings.push_back(fmt::format("the clock was held down during {} of {} configurations: {}", throttled,
                                   record_.trials.size(), reasons));
}

void SessionLog::close() {
  std::sort(record_.trials.begin(), record_.trials.end(),
            [](const Trial& a, const Trial& b) { return a.ordinal < b.ordinal; });
  record_.evaluations = record_.trials.size();
  record_.finished_at = utc_now();
  if (!journal_) return;
  journal_->append_note("summary", store::text_of(summary_of(record_)));
  journal_->flush();
}

void SessionLog::write_record() {
  if (!journal_) return;
  try {
    store::write_session_record(*options_.session_folder, record_);
  } catch (const Error& error) {
    record_.warnings.push_back(std::string("the record of the session was not written: ") + error.what());
  }
  journal_.reset();  // the folder is free for others
}

}  // namespace warpwright::tuning
