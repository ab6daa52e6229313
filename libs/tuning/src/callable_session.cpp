#include "callable_session.hpp"

#include <algorithm>
#include <cmath>
#include <cxxabi.h>
#include <fmt/format.h>
#include <limits>
#include <new>
#include <numeric>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/model/statistics.hpp>
#include <warpwright/tuning/ranking.hpp>

#include "evaluator.hpp"

namespace warpwright::detail {
namespace {

constexpr Nanoseconds longest_comparison{5e9};
constexpr double comparison_share = 0.1;  // of the search, where that is longer
constexpr int fewest_rounds = 4;          // fewer leave one to report, which has no spread

// The status that says best what an error of an evaluator means for the configuration.
TrialStatus status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::compile:
      return TrialStatus::compile_failed;
    case ErrorCode::out_of_memory:
      return TrialStatus::resource_exceeded;
    case ErrorCode::device:
      return TrialStatus::device_fault;
    case ErrorCode::timeout:
      return TrialStatus::timed_out;
    default:
      return TrialStatus::launch_failed;
  }
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

class Session {
 public:
  Session(const CallableSession& session, const TuningSessionOptions& options, const Clock& clock)
      : session_(session), options_(options), clock_(clock), begin_(clock.now()) {}

  PerformanceMetrics run(const StrategyRegistry& strategies) {
    const Space& space = session_.space;
    metrics_.space_size = space.size();
    metrics_.seed = options_.seed;
    baseline_index_ = space.index_of(session_.baseline);
    make_algorithm(strategies);
    try {
      measure_baseline();
      search();
      settle();
      if (options_.stop.stop_requested())
        interrupt();
      else
        compare_finalists();
    } catch (const Interrupted&) {
      interrupt();
      if (!metrics_.best) settle();
    }
    if (metrics_.best) metrics_.best_throughput = throughput(metrics_.best_time);
    if (!metrics_.speedup && metrics_.best && metrics_.baseline_time)
      metrics_.speedup = *metrics_.baseline_time / metrics_.best_time;
    metrics_.tuning_duration = clock_.now() - begin_;
    return std::move(metrics_);
  }

 private:
  // An evaluator asked for the end.
  struct Interrupted {};

  struct Call {
    TrialStatus status = TrialStatus::ok;
    Nanoseconds time{};
    std::string message;
  };

  Throughput throughput(Nanoseconds time) const { return Throughput::of(session_.work, time); }

  void make_algorithm(const StrategyRegistry& strategies) {
    StrategySettings settings;
    settings.seed = options_.seed;
    settings.budget = {options_.max_evaluations, options_.time_limit};
    settings.options = options_.strategy_options;
    if (baseline_index_) settings.initial.push_back(*baseline_index_);
    settings.initial.insert(settings.initial.end(), session_.first.begin(), session_.first.end());
    if (options_.algorithm) {
      metrics_.strategy = "own";
      algorithm_ = options_.algorithm;
    } else if (options_.make_algorithm) {
      metrics_.strategy = "own";
      algorithm_ = options_.make_algorithm(session_.space, settings);
      if (!algorithm_) throw Error(ErrorCode::bad_input, "make_algorithm made no algorithm");
    } else {
      metrics_.strategy = options_.strategy;
      const bool covered =
          options_.max_evaluations ? *options_.max_evaluations >= session_.space.size() : !options_.time_limit;
      if (options_.strategy == "auto" && covered && options_.strategy_options.empty()) metrics_.strategy = "exhaustive";
      algorithm_ = strategies.create(metrics_.strategy, session_.space, settings);
    }
  }

  // ---- one configuration --------------------------------------------------------------------------------------------

  Call judge(const EvaluatorResult& result) const {
    if (result.status() != TrialStatus::ok) return {result.status(), {}, result.message()};
    if (const auto& rate = result.throughput()) {
      if (!std::isfinite(rate->per_second))
        return {
            TrialStatus::not_finite, {}, fmt::format("the evaluator returned a throughput of {}", rate->per_second)};
      if (rate->per_second <= 0)
        return {TrialStatus::wrong_result,
                {},
                fmt::format("the evaluator returned a throughput of {}; it must be positive", rate->per_second)};
    }
    const Nanoseconds time =
        result.time() ? *result.time() : Nanoseconds(Seconds(session_.work / result.throughput()->per_second));
    if (!std::isfinite(time.count()))
      return {TrialStatus::not_finite, {}, fmt::format("the evaluator returned a time of {} ns", time.count())};
    if (time.count() <= 0)
      return {TrialStatus::wrong_result,
              {},
              fmt::format("the evaluator returned a time of {} ns; it must be positive", time.count())};
    return {TrialStatus::ok, time, {}};
  }

  Call call(const Configuration& configuration) {
    ++metrics_.evaluator_calls;
    try {
      return judge(session_.evaluator(configuration));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::interrupted) throw Interrupted{};
      return {status_of(error.code()), {}, one_line(error.what())};
    } catch (const std::bad_alloc&) {
      return {TrialStatus::resource_exceeded, {}, "the evaluator ran out of memory"};
    } catch (const std::exception& error) {
      return {TrialStatus::launch_failed, {}, "the evaluator threw: " + one_line(error.what())};
    } catch (const abi::__forced_unwind&) {
      throw;  // the thread is being cancelled, which must not be caught
    } catch (...) {
      return {TrialStatus::launch_failed, {}, "the evaluator threw something that is no std::exception"};
    }
  }

  Trial evaluate(const Configuration& configuration) {
    Trial trial;
    trial.configuration = configuration;
    if (session_.prune) {
      if (auto reason = session_.prune(configuration)) {
        trial.status = TrialStatus::pruned;
        trial.message = *std::move(reason);
        trial.finished_at = tuning::utc_now();
        return trial;
      }
    }
    const Nanoseconds start = clock_.now();
    const int calls = options_.warmup + options_.samples;
    for (int i = 0; i < calls; ++i) {
      Call made = call(configuration);
      if (made.status != TrialStatus::ok) {
        trial.status = made.status;
        trial.message =
            calls == 1 ? std::move(made.message) : fmt::format("call {} of {}: {}", i + 1, calls, made.message);
        trial.samples.clear();
        break;
      }
      if (i >= options_.warmup) trial.samples.push_back(made.time);
    }
    trial.times.measure = clock_.now() - start;
    ++metrics_.configs_evaluated;
    if (trial.ok()) {
      const auto samples = tuning::counts_of(trial.samples);
      trial.median = Nanoseconds(median(samples));
      trial.spread = Nanoseconds(interquartile_range(samples));
    }
    trial.finished_at = tuning::utc_now();
    return trial;
  }

  // ---- the search ---------------------------------------------------------------------------------------------------

  void measure_baseline() {
    if (stopping()) {
      metrics_.warnings.push_back("the session ended before the baseline was measured; there is no speed-up to report");
      return;
    }
    metrics_.baseline = evaluate(session_.baseline);
    metrics_.baseline->ordinal = 0;
    const Trial& baseline = *metrics_.baseline;
    if (baseline.ok()) {
      metrics_.baseline_time = baseline.median;
    } else {
      metrics_.warnings.push_back(fmt::format("the baseline ({}) failed: {}: {}; there is no speed-up to report",
                                              baseline.configuration.describe(), to_string(baseline.status),
                                              baseline.message));
    }
    if (baseline_index_) record(*baseline_index_, baseline);
  }

  void interrupt() {
    metrics_.interrupted = true;
    metrics_.stop_reason = "interrupted";
  }

  bool stopping() {
    if (options_.stop.stop_requested()) {
      interrupt();
      return true;
    }
    if (options_.time_limit && clock_.now() - begin_ >= *options_.time_limit) {
      if (metrics_.stop_reason.empty()) metrics_.stop_reason = "time limit";
      return true;
    }
    return false;
  }

  bool budget_left() const {
    return !options_.max_evaluations || metrics_.configs_evaluated < *options_.max_evaluations;
  }

  void search() {
    const std::uint64_t size = session_.space.size();
    while (!stopping()) {
      if (recorded_.size() >= size) {
        metrics_.stop_reason = "space exhausted";
        break;
      }
      if (!budget_left()) {
        metrics_.stop_reason = fmt::format("{} evaluations", metrics_.configs_evaluated);
        break;
      }
      const std::vector<std::uint64_t> asked = algorithm_->ask(options_.batch);
      if (asked.empty()) {
        metrics_.stop_reason = "strategy ended";
        break;
      }
      for (const std::uint64_t index : asked) {
        if (index >= size || !asked_.insert(index).second)
          throw Error(ErrorCode::bad_input,
                      fmt::format("the search algorithm asked for configuration {} {}", index,
                                  index >= size ? fmt::format("of a space of {}", size) : std::string("twice")));
        const auto known = recorded_.find(index);
        if (known == recorded_.end() && (stopping() || !budget_left())) break;
        if (known == recorded_.end()) record(index, evaluate(session_.space.at(index)));
        tell(index);
      }
    }
  }

  void record(std::uint64_t index, Trial trial) {
    trial.ordinal = metrics_.trials.size();
    ++metrics_.by_status[static_cast<std::size_t>(trial.status)];
    recorded_.emplace(index, metrics_.trials.size());
    metrics_.trials.push_back(std::move(trial));
    const Trial& last = metrics_.trials.back();
    if (last.ok() && (!best_ || *last.median < *metrics_.trials[*best_].median)) best_ = metrics_.trials.size() - 1;
    report_progress(last);
  }

  void tell(std::uint64_t index) {
    const Trial& trial = metrics_.trials[recorded_.at(index)];
    SearchOutcome outcome;
    outcome.status = trial.status;
    if (trial.median) outcome.objective = trial.median->count();
    outcome.cost = trial.times.measure;
    algorithm_->tell(index, outcome);
  }

  void report_progress(const Trial& last) const {
    if (!options_.progress) return;
    tuning::Progress progress;
    progress.evaluations = metrics_.trials.size();
    progress.planned = std::min(metrics_.space_size, options_.max_evaluations.value_or(metrics_.space_size));
    progress.by_status = metrics_.by_status;
    progress.last = &last;
    if (best_) progress.best = &metrics_.trials[*best_];
    progress.baseline = metrics_.baseline_time;
    progress.elapsed = clock_.now() - begin_;
    const double left = static_cast<double>(*progress.planned) - static_cast<double>(progress.evaluations);
    progress.remaining = progress.elapsed * (std::max(0.0, left) / static_cast<double>(progress.evaluations));
    if (options_.time_limit) {
      const Nanoseconds until_limit = std::max(Nanoseconds{}, *options_.time_limit - progress.elapsed);
      progress.remaining = std::min(*progress.remaining, until_limit);
    }
    options_.progress(progress);
  }

  // ---- the end ------------------------------------------------------------------------------------------------------

  std::vector<std::size_t> ranked() const {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < metrics_.trials.size(); ++i)
      if (metrics_.trials[i].ok()) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return *metrics_.trials[a].median < *metrics_.trials[b].median;
    });
    return order;
  }

  // What the search says.
  void settle() {
    const auto order = ranked();
    metrics_.best.reset();
    metrics_.ties.clear();
    metrics_.finalists.clear();
    if (order.empty()) return;
    const Trial& best = metrics_.trials[order.front()];
    metrics_.best = best.configuration;
    metrics_.best_time = *best.median;
    metrics_.best_spread = best.spread;
    metrics_.ties = {best.configuration};
  }

  struct Competitor {
    const Trial* trial = nullptr;  // null: the baseline, outside of the space
    Configuration configuration;
    Nanoseconds expected{};
    std::vector<Nanoseconds> samples;
    std::optional<Call> failure;
  };

  void compare_finalists() {
    if (options_.final_rounds == 0 || options_.finalists == 0 || !metrics_.best) return;
    std::vector<Competitor> competitors;
    const bool with_baseline = metrics_.baseline && metrics_.baseline->ok();
    std::optional<std::size_t> baseline_at;
    for (const std::size_t i : ranked()) {
      const Trial& trial = metrics_.trials[i];
      const bool is_baseline = with_baseline && baseline_index_ && recorded_.at(*baseline_index_) == i;
      if (competitors.size() >= static_cast<std::size_t>(options_.finalists) && !is_baseline) continue;
      if (is_baseline) baseline_at = competitors.size();
      competitors.push_back({&trial, trial.configuration, *trial.median, {}, {}});
    }
    if (with_baseline && !baseline_at) {
      baseline_at = competitors.size();
      competitors.push_back({nullptr, session_.baseline, *metrics_.baseline->median, {}, {}});
    }
    if (competitors.size() < 2) return;
    const int rounds = affordable_rounds(competitors);
    if (rounds < std::min(fewest_rounds, options_.final_rounds)) {
      metrics_.warnings.push_back(
          "a final comparison would take too long, so the speed-up is that of the search, which favours lucky samples");
      return;
    }
    take_turns(competitors, rounds);
    judge_comparison(competitors, baseline_at);
  }

  // By what a call took in the search, not by the time it returned.
  int affordable_rounds(const std::vector<Competitor>& competitors) const {
    Nanoseconds one_round{};
    for (const Competitor& competitor : competitors) {
      const Trial& trial = competitor.trial != nullptr ? *competitor.trial : *metrics_.baseline;
      one_round += trial.times.measure / (options_.samples + options_.warmup);
    }
    const Nanoseconds most = std::max(longest_comparison, (clock_.now() - begin_) * comparison_share);
    const double affordable = most / std::max(one_round, Nanoseconds(1));
    return affordable < options_.final_rounds ? static_cast<int>(affordable) : options_.final_rounds;
  }

  void take_turns(std::vector<Competitor>& competitors, int rounds) {
    Rng rng(derive_seed(options_.seed, 1));
    std::vector<std::size_t> order(competitors.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
      for (const std::size_t at : order) {
        if (options_.stop.stop_requested()) throw Interrupted{};
        Competitor& competitor = competitors[at];
        if (competitor.failure) continue;
        Call made = call(competitor.configuration);
        if (made.status == TrialStatus::ok)
          competitor.samples.push_back(made.time);
        else
          competitor.failure = std::move(made);
      }
    }
  }

  void judge_comparison(std::vector<Competitor>& competitors, std::optional<std::size_t> baseline_at) {
    bool failed = false;
    for (std::size_t i = 0; i < competitors.size(); ++i) {
      Competitor& competitor = competitors[i];
      if (!competitor.failure) continue;
      failed = true;
      metrics_.warnings.push_back(fmt::format(
          "{} was measured in the search but failed in the final comparison: {}: {}",
          competitor.configuration.describe(), to_string(competitor.failure->status), competitor.failure->message));
      if (baseline_at == i) {
        fail(*metrics_.baseline, *competitor.failure);
        metrics_.baseline_time.reset();
      }
      if (competitor.trial != nullptr) {
        Trial& trial = metrics_.trials[competitor.trial->ordinal];
        --metrics_.by_status[static_cast<std::size_t>(trial.status)];
        fail(trial, *competitor.failure);
        ++metrics_.by_status[static_cast<std::size_t>(trial.status)];
      }
    }
    if (failed) settle();  // for the case that no finalist is left
    if (baseline_at && !competitors[*baseline_at].failure)
      metrics_.baseline_time =
          Nanoseconds(median(tuning::counts_of(tuning::reported_part(competitors[*baseline_at].samples))));

    std::vector<tuning::Finalist> finalists;
    for (Competitor& competitor : competitors) {
      if (competitor.failure || competitor.trial == nullptr) continue;
      tuning::Finalist& finalist = finalists.emplace_back();
      finalist.configuration = std::move(competitor.configuration);
      finalist.samples = competitor.samples;
    }
    if (finalists.empty()) {
      // The times left are those of the search, on both sides.
      if (metrics_.baseline && metrics_.baseline->ok()) metrics_.baseline_time = metrics_.baseline->median;
      return;
    }
    const std::vector<std::size_t> order = tuning::rank_finalists(finalists);
    if (baseline_at && !competitors[*baseline_at].failure) {
      const auto& baseline = competitors[*baseline_at].samples;
      for (tuning::Finalist& finalist : finalists)
        finalist.speedup = tuning::speedup_over(baseline, finalist.samples).median;
      const PairedRatio speedup = tuning::speedup_over(baseline, finalists[order.front()].samples);
      metrics_.speedup = speedup.median;
      metrics_.speedup_interval = speedup.interval;
    }
    metrics_.ties.clear();
    for (const std::size_t i : order) {
      if (finalists[i].tie) metrics_.ties.push_back(finalists[i].configuration);
      metrics_.finalists.push_back(std::move(finalists[i]));
    }
    const tuning::Finalist& winner = metrics_.finalists.front();
    metrics_.best = winner.configuration;
    metrics_.best_time = winner.median;
    metrics_.best_spread = winner.spread;
  }

  static void fail(Trial& trial, const Call& failure) {
    trial.status = failure.status;
    trial.message = "final comparison: " + failure.message;
    trial.median.reset();
    trial.samples.clear();
  }

  const CallableSession& session_;
  const TuningSessionOptions& options_;
  const Clock& clock_;
  const Nanoseconds begin_;
  std::shared_ptr<SearchAlgorithm> algorithm_;
  std::optional<std::uint64_t> baseline_index_;
  std::unordered_map<std::uint64_t, std::size_t> recorded_;  // trial of an index
  std::unordered_set<std::uint64_t> asked_;
  std::optional<std::size_t> best_;
  PerformanceMetrics metrics_;
};

}  // namespace

PerformanceMetrics run(const CallableSession& session, const TuningSessionOptions& options,
                       const StrategyRegistry& strategies, const Clock& clock) {
  return Session(session, options, clock).run(strategies);
}

}  // namespace warpwright::detail
