#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <unordered_map>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/host.hpp>
#include <warpwright/runtime/identity.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/tuning/ranking.hpp>
#include <warpwright/tuning/session.hpp>

#include "evaluator.hpp"
#include "final_comparison.hpp"
#include "kept_binaries.hpp"
#include "second_verification.hpp"
#include "session_journal.hpp"
#include "session_log.hpp"
#include "time_account.hpp"
#include "trial_schedule.hpp"

namespace warpwright::tuning {
namespace {

using Part = TimeAccount::Part;

// Configurations that fail the second verification are replaced by others for this long, or as long as the search took.
constexpr Nanoseconds least_patience{60e9};
// Far more than there are finalists, and little beside what the search itself needs.
constexpr std::size_t most_kept_binaries = 256;
constexpr Bytes kept_binaries_limit{64 << 20};

class Session {
 public:
  Session(const Problem& problem, const Space& space, const StrategyRegistry& strategies,
          execution::Evaluation& evaluation, const Clock& clock, const SessionOptions& options)
      : problem_(problem),
        space_(space),
        strategies_(strategies),
        evaluation_(evaluation),
        clock_(clock),
        options_(options),
        account_(clock, options.time_before),
        begin_(clock.now() - options.time_before),
        evaluator_(problem, evaluation, options.timing, account_),
        log_(space, options, evaluator_, begin_),
        result_(log_.record()),
        schedule_(options.max_evaluations) {}

  SessionRecord run() {
    describe_request();
    strategy_ = make_strategy();  // a name or option that is wrong is an error before anything is opened
    result_.evaluation = evaluation_.start();
    if (!evaluation_.compiles_while_running()) schedule_.share(TrialSchedule::Sharing::alternating);
    for (auto& warning : measure::warnings_about(result_.evaluation.reference_outputs))
      result_.warnings.push_back(std::move(warning));
    open_journal();
    account_.enter(Part::tuner);
    try {
      SecondVerification(problem_, result_.evaluation, result_.seed, evaluator_, Part::startup, options_.stop)
          .check_references();
      measure_baseline();
      search();
      account_.enter(Part::finish);
      finish();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::interrupted) throw;
      result_.interrupted = true;
      result_.stop_reason = "interrupted";
      account_.enter(Part::finish);
      settle_by_search(result_, evaluator_);
    }
    if (result_.interrupted && !result_.best) settle_by_search(result_, evaluator_);
    log_.close();
    result_.times = account_.finish();
    log_.write_record();
    return std::move(result_);
  }

 private:
  void describe_request() {
    result_.kernel = problem_.name;
    result_.specification = problem_.file.string();
    result_.dimensions = problem_.dimensions;
    result_.parameters = problem_.parameters;
    for (const Metric& metric : problem_.metrics) result_.metrics.push_back(metric.name);
    result_.objective = problem_.objective;
    result_.cache_mode = std::string(measure::to_string(options_.timing.cache));
    result_.space_size = space_.size();
    result_.cartesian_size = space_.cartesian_size();
    result_.seed = options_.strategy_settings.seed;
    result_.strategy = session_strategy(space_, options_);
    result_.version = WARPWRIGHT_VERSION;
    result_.host = host_info();
    result_.began_at = utc_now();
  }

  std::unique_ptr<SearchAlgorithm> make_strategy() const {
    StrategySettings settings = options_.strategy_settings;
    settings.budget = {options_.max_evaluations, options_.time_limit};
    // The evaluations are of the whole session, the time is of this run.
    if (settings.budget.cost)
      for (const auto& [index, outcome] : kept_) *settings.budget.cost += outcome.cost;
    // What is known is what a strategy hears of first: however it asks from then on, it goes on from there.
    settings.initial.insert(settings.initial.begin(), kept_order_.begin(), kept_order_.end());
    return strategies_.create(result_.strategy, space_, settings);
  }

  void open_journal() {
    SessionJournal opened = open_session_journal(problem_, space_, result_.evaluation, result_.strategy, options_);
    log_.write_to(std::move(opened.journal));
    result_.baseline = std::move(opened.baseline);
    result_.resumed_from = opened.kept.size();
    result_.warnings.insert(result_.warnings.end(), opened.warnings.begin(), opened.warnings.end());
    if (opened.kept.empty()) return;
    for (const Trial& trial : opened.kept) {
      const std::uint64_t index = space_.index_of(trial.configuration).value();
      kept_order_.push_back(index);
      kept_.emplace(index, log_.outcome_of(trial));
    }
    strategy_ = make_strategy();
    for (Trial& trial : opened.kept) {
      schedule_.keep(trial.ordinal);
      log_.keep(std::move(trial), clock_.now());
    }
  }

  void measure_baseline() {
    const Configuration configuration = problem_.baseline_configuration();
    if (!result_.baseline || !(result_.baseline->configuration == configuration)) {
      Binary binary;
      Trial baseline = evaluator_.evaluate_alone(configuration, result_.evaluation.device, options_.stop, &binary);
      if (baseline.ok())
        kept_binaries_.keep(configuration, std::move(binary), -std::numeric_limits<double>::infinity());
      log_.set_baseline(std::move(baseline), clock_.now());
    }
    if (!result_.baseline->ok())
      result_.warnings.push_back(fmt::format("the baseline ({}) failed: {}: {}; there is no speed-up to report",
                                             configuration.describe(), to_string(result_.baseline->status),
                                             result_.baseline->message));
    baseline_index_ = space_.index_of(configuration);
  }

  // ---- search -------------------------------------------------------------------------------------------------------

  bool stopping() {
    if (options_.stop != nullptr && options_.stop->load()) {
      result_.interrupted = true;
      result_.stop_reason = "interrupted";
      return true;
    }
    if (options_.time_limit && clock_.now() - begin_ >= *options_.time_limit) {
      result_.stop_reason = "time limit";
      return true;
    }
    return false;
  }

  Room room() const { return {evaluation_.can_compile(), evaluation_.can_run(), evaluation_.can_queue_run()}; }

  void search() {
    log_.begin_search(clock_.now());
    for (;;) {
      if (stopping()) break;
      feed();
      if (schedule_.empty() && !schedule_.may_ask()) break;
      const bool look = more_to_ask_ || !looked_;
      // With nothing in flight the compilers are still starting.
      if (!look) account_.enter(schedule_.device_idle() ? Part::compile_wait : Part::device);
      auto completion = evaluation_.wait(look ? Nanoseconds{} : poll_interval);
      account_.settle(completion.has_value());
      looked_ = !completion;
      if (schedule_.device_idle()) account_.enter(completion ? Part::tuner : idle_part());
      if (completion) take(std::move(*completion));
    }
    // What the device was given ends by its deadline at the latest; what was only compiled is left for another day.
    schedule_.close();
    while (!schedule_.device_idle()) {
      if (auto completion = evaluation_.wait(poll_interval)) take(std::move(*completion));
    }
    schedule_.drop();
    account_.enter(Part::tuner);
    if (result_.stop_reason.empty()) {
      if (result_.trials.size() >= space_.size())
        result_.stop_reason = "space exhausted";
      else if (schedule_.budget_spent())
        result_.stop_reason = fmt::format("{} evaluations", schedule_.asked());
      else
        result_.stop_reason = "strategy ended";
    }
  }

  // What the tuner does while the device has nothing to do.
  Part idle_part() const { return schedule_.leisure(room()) ? Part::beside_compilers : Part::tuner; }

  // Keeps the compilers and the device busy. While one of them works one question is asked at a time: what it answers
  // meanwhile is not kept waiting for the others.
  void feed() {
    more_to_ask_ = false;
    start_runs();
    while (schedule_.may_ask() && !stopping() && schedule_.wants_compilation(room())) {
      if (schedule_.device_idle()) account_.enter(idle_part());
      const auto next = asked_ahead_ ? std::exchange(asked_ahead_, std::nullopt) : ask();
      if (!next) {
        if (schedule_.empty()) schedule_.end();
        break;
      }
      begin_trial(*next);
      start_runs();
      if (!schedule_.device_idle() || idle_part() == Part::beside_compilers) {
        looked_ = false;
        more_to_ask_ = schedule_.may_ask() && schedule_.wants_compilation(room());
        return;
      }
    }
    if (looked_ && !asked_ahead_ && !asked_in_vain_ && schedule_.wants_question_soon(room()) && !stopping()) {
      if (schedule_.device_idle()) account_.enter(idle_part());
      asked_ahead_ = ask();
      asked_in_vain_ = !asked_ahead_;
      looked_ = false;
    }
  }

  // What was kept is answered at once: it is never measured again and takes nothing of the budget.
  std::optional<std::uint64_t> ask() {
    for (;;) {
      const std::vector<std::uint64_t> asked = strategy_->ask(1);
      if (asked.empty()) return std::nullopt;
      const auto kept = kept_.find(asked.front());
      if (kept == kept_.end()) return asked.front();
      strategy_->tell(kept->first, kept->second);
    }
  }

  void begin_trial(std::uint64_t index) {
    TrialSchedule::Item item;
    item.index = index;
    item.trial.configuration = space_.at(index);
    const std::uint64_t ordinal = schedule_.ask();
    if (baseline_index_ == index && result_.baseline->configuration == item.trial.configuration) {
      item.trial = *result_.baseline;
      item.trial.ordinal = ordinal;
      finish_trial(index, std::move(item.trial));
      return;
    }
    item.trial.ordinal = ordinal;
    if (auto reason = unlaunchable_reason(problem_, item.trial.configuration, result_.evaluation.device)) {
      item.trial.status = TrialStatus::pruned;
      item.trial.message = *reason;
      item.trial.finished_at = utc_now();
      finish_trial(index, std::move(item.trial));
      return;
    }
    evaluation_.compile({ordinal, item.trial.configuration, {}});
    schedule_.compile(std::move(item));
  }

  void start_runs() {
    while (schedule_.wants_run(room())) {
      const TrialSchedule::Item& item = schedule_.run();
      execution::RunTask task;
      task.id = item.trial.ordinal;
      task.configuration = item.trial.configuration;
      task.binary = item.binary;
      task.timing = options_.timing;
      task.deadline = log_.run_deadline();
      if (options_.racing && problem_.objective.metric == "time") task.timing.incumbent = log_.incumbent();
      account_.enter(Part::device);  // which may begin before run() returns
      evaluation_.run(std::move(task));
    }
  }

  void take(execution::Completion completion) {
    asked_in_vain_ = false;
    if (auto* compiled = std::get_if<execution::CompileDone>(&completion)) {
      account_.times().compile_cpu += compiled->cpu;
      TrialSchedule::Item* const item = schedule_.compiled(compiled->id, compiled->wall);
      if (item == nullptr) return;
      evaluator_.apply(*compiled, item->trial, result_.evaluation.device);
      if (item->trial.status == TrialStatus::ok) {
        item->binary = std::move(compiled->binary);
        schedule_.make_ready(compiled->id);
        start_runs();
      } else {
        schedule_.skip_device();
        end_trial(compiled->id);
      }
    } else if (auto* ran = std::get_if<execution::RunDone>(&completion)) {
      const measure::RunResult& done = ran->result;
      TrialSchedule::Item* const item = schedule_.ran(ran->id, done.copy + done.verify + done.measure);
      using Next = TimeAccount::Next;
      const Part then = schedule_.waiting() ? Part::tuner : idle_part();
      account_.device_done(done.copy, done.verify, done.measure, evaluator_.restarted_since_last(),
                           !schedule_.device_idle()         ? Next::running
                           : then == Part::beside_compilers ? Next::compiling
                                                            : Next::held_up);
      if (schedule_.device_idle()) account_.enter(then);
      if (item == nullptr) return;
      const std::uint64_t ordinal = ran->id;
      evaluator_.apply(std::move(*ran), item->trial, result_.evaluation.device);
      start_runs();  // the device goes on while this trial is recorded
      if (schedule_.device_idle()) account_.enter(idle_part());
      end_trial(ordinal);
    }
  }

  void end_trial(std::uint64_t ordinal) {
    TrialSchedule::Item item = schedule_.remove(ordinal);
    item.trial.finished_at = utc_now();
    if (item.trial.median)
      kept_binaries_.keep(item.trial.configuration, std::move(item.binary),
                          evaluator_.objective(item.trial.configuration, *item.trial.median));
    finish_trial(item.index, std::move(item.trial));
  }

  void finish_trial(std::uint64_t index, Trial trial) {
    strategy_->tell(index, log_.outcome_of(trial));
    log_.add(std::move(trial), clock_.now());
  }

  // ---- the end ------------------------------------------------------------------------------------------------------

  void finish() {
    log_.warn_of_conditions();
    if (result_.interrupted) {
      settle_by_search(result_, evaluator_);
      return;
    }
    FinalComparison(problem_, space_, options_, evaluator_, clock_, kept_binaries_,
                    [&](const Trial& trial, bool is_baseline) { log_.changed(trial, is_baseline); })
        .run(result_, std::max(least_patience, clock_.now() - begin_));
  }

  const Problem& problem_;
  const Space& space_;
  const StrategyRegistry& strategies_;
  execution::Evaluation& evaluation_;
  const Clock& clock_;
  const SessionOptions& options_;
  TimeAccount account_;
  Nanoseconds begin_;
  Evaluator evaluator_;
  SessionLog log_;
  SessionRecord& result_;  // the log's
  TrialSchedule schedule_;
  std::unique_ptr<SearchAlgorithm> strategy_;
  std::unordered_map<std::uint64_t, SearchOutcome> kept_;  // by index, of a resumed session
  std::vector<std::uint64_t> kept_order_;                  // indices of these, by ordinal
  std::optional<std::uint64_t> baseline_index_;
  bool more_to_ask_ = false;                  // the compilers have room for another question
  bool looked_ = true;                        // nothing was done since the evaluation had nothing to tell
  std::optional<std::uint64_t> asked_ahead_;  // a configuration for the compiler that is free first
  bool asked_in_vain_ = false;                // the strategy has none before it is told more
  KeptBinaries kept_binaries_{most_kept_binaries, kept_binaries_limit};
};

}  // namespace

SessionRecord run_session(const Problem& problem, const Space& space, const StrategyRegistry& strategies,
                          execution::Evaluation& evaluation, const Clock& clock, const SessionOptions& options) {
  return Session(problem, space, strategies, evaluation, clock, options).run();
}

std::optional<store::TuningProfile> make_profile(const Problem& problem, const SessionRecord& result,
                                                 measure::CacheMode cache) {
  if (!result.best) return std::nullopt;
  store::TuningProfile profile;
  profile.key = runtime::profile_key(problem, result.evaluation.device, cache);
  profile.configuration = *result.best;
  profile.median = result.best_median;
  profile.spread = result.best_spread;
  for (const auto& finalist : result.finalists)
    if (finalist.configuration == *result.best)
      profile.samples = static_cast<int>(reported_part(finalist.samples).size());
  if (profile.samples == 0)
    for (const auto& trial : result.trials)
      if (trial.configuration == *result.best) profile.samples = static_cast<int>(trial.samples.size());
  if (result.baseline) profile.baseline = result.baseline->configuration;
  profile.baseline_median = result.baseline_median;
  if (result.speedup && result.speedup_interval)
    profile.paired_speedup = PairedRatio{*result.speedup, *result.speedup_interval};
  profile.evaluations = result.evaluations;
  profile.strategy = result.strategy;
  profile.seed = result.seed;
  profile.verification = result.verification;
  profile.created_at = utc_now();
  store::Json details{{"compiler", result.evaluation.compiler}, {"space_size", result.space_size}};
  if (result.power_limited && !result.finalists.empty()) {
    const Finalist& winner = result.finalists.front();
    details["clock"] = std::string(to_string(result.clock));
    if (winner.boost) details["boost_ns"] = winner.boost->count();
    if (winner.sustained) details["sustained_ns"] = winner.sustained->count();
  }
  for (const Configuration& size : result.verified_sizes)
    details[runtime::verified_sizes_key].push_back(store::to_json(size));
  profile.details = store::text_of(details);
  return profile;
}

CheckResult check_baseline(const Problem& problem, execution::Evaluation& evaluation, const Clock& clock,
                           const measure::TimingOptions& timing) {
  CheckResult result;
  result.evaluation = evaluation.start();
  TimeAccount account(clock, {});
  Evaluator evaluator(problem, evaluation, timing, account);
  result.baseline = evaluator.evaluate_alone(problem.baseline_configuration(), result.evaluation.device, nullptr);
  return result;
}

}  // namespace warpwright::tuning
