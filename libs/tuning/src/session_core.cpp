#include "session_core.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <utility>

#include <warpwright/base/error.hpp>

namespace warpwright::tuning {
namespace {

// Far more than there are finalists, and little beside what the search itself needs.
constexpr std::size_t most_kept_binaries = 256;
constexpr Bytes kept_binaries_limit{64 << 20};

}  // namespace

SessionCore::SessionCore(const Problem& problem, const Space& space, Configuration baseline, MakeStrategy make_strategy,
                         const SessionOptions& options, Nanoseconds now, SessionRules rules)
    : problem_(problem),
      space_(space),
      baseline_(std::move(baseline)),
      make_strategy_(std::move(make_strategy)),
      options_(options),
      rules_(std::move(rules)),
      clock_(now),
      begin_(now - options.time_before),
      account_(clock_, options.time_before),
      evaluator_(problem, options.timing),
      log_(space, options, evaluator_, begin_),
      result_(log_.record()),
      schedule_(options.max_evaluations),
      batch_(account_),
      baseline_index_(space.index_of(baseline_)),
      kept_binaries_(most_kept_binaries, kept_binaries_limit) {
  strategy_ = this->make_strategy();
}

std::unique_ptr<SearchAlgorithm> SessionCore::make_strategy() const {
  StrategySettings settings = options_.strategy_settings;
  settings.budget = {options_.max_evaluations, options_.time_limit};
  // The evaluations are of the whole session, the time is of this run.
  if (settings.budget.cost)
    for (const auto& [index, outcome] : kept_) *settings.budget.cost += outcome.cost;
  // What is known is what a strategy hears of first: however it asks from then on, it goes on from there.
  settings.initial.insert(settings.initial.begin(), kept_order_.begin(), kept_order_.end());
  return make_strategy_(settings);
}

void SessionCore::see(const Moment& moment) {
  moment_ = moment;
  clock_.set(moment.now);
}

Nanoseconds SessionCore::restarted_since_last() {
  return moment_.restart_time - std::exchange(restarts_seen_, moment_.restart_time);
}

// ---- the beginning --------------------------------------------------------------------------------------------------

void SessionCore::keep(std::vector<Trial> trials) {
  result_.resumed_from = trials.size();
  if (trials.empty()) return;
  for (const Trial& trial : trials) {
    const std::uint64_t index = space_.index_of(trial.configuration).value();
    kept_order_.push_back(index);
    kept_.emplace(index, log_.outcome_of(trial));
  }
  strategy_ = make_strategy();
  for (Trial& trial : trials) {
    schedule_.keep(trial.ordinal);
    log_.keep(std::move(trial), clock_.now());
  }
}

void SessionCore::begin(const Moment& moment, TrialSchedule::Sharing sharing) {
  see(moment);
  schedule_.share(rules_.compiles ? sharing : TrialSchedule::Sharing::direct);
  account_.enter(Part::tuner);
  references_.emplace(problem_, result_.evaluation, result_.seed, batch_, Part::startup);
  references_->check_references([this] { measure_baseline(); });
}

void SessionCore::measure_baseline() {
  if (result_.baseline && result_.baseline->configuration == baseline_) return begin_search();
  const auto take = [this](Trial baseline, Binary binary) { take_baseline(std::move(baseline), std::move(binary)); };
  if (rules_.compiles) return evaluator_.evaluate_alone(batch_, baseline_, result_.evaluation.device, take);
  Trial trial;
  trial.configuration = baseline_;
  evaluator_.run_alone(batch_, std::move(trial), {}, result_.evaluation.device, take);
}

void SessionCore::take_baseline(Trial baseline, Binary binary) {
  const TrialTimes& times = baseline.times;
  if ((times.copy + times.verify + times.measure).count() > 0)
    account_.device_done(times.copy, times.verify, times.measure, restarted_since_last());
  if (baseline.ok()) kept_binaries_.keep(baseline_, std::move(binary), -std::numeric_limits<double>::infinity());
  log_.set_baseline(std::move(baseline), clock_.now());
  begin_search();
}

void SessionCore::begin_search() {
  if (!result_.baseline->ok())
    result_.warnings.push_back(fmt::format("the baseline ({}) failed: {}: {}; there is no speed-up to report",
                                           baseline_.describe(), to_string(result_.baseline->status),
                                           result_.baseline->message));
  log_.begin_search(rules_.count_measured ? begin_ : clock_.now());
  phase_ = Phase::search;
  if (!rules_.count_measured) return;
  schedule_.spend();
  if (result_.baseline->status == TrialStatus::pruned) schedule_.refund();
  if (!baseline_index_) return;
  Trial first = *result_.baseline;
  first.ordinal = schedule_.ask();
  schedule_.refund();
  kept_.emplace(*baseline_index_, log_.outcome_of(first));  // for when the strategy asks for it
  log_.add(std::move(first), clock_.now());
}

// ---- steps ----------------------------------------------------------------------------------------------------------

std::optional<Task> SessionCore::next(const Moment& moment) {
  see(moment);
  if (phase_ == Phase::search) {
    if (auto task = next_of_search()) return task;
    if (phase_ == Phase::search) return std::nullopt;
  }
  patience_ = poll_interval;
  return batch_.next(moment.room);
}

void SessionCore::tell(const Moment& moment, std::optional<execution::Completion> completion) {
  see(moment);
  switch (phase_) {
    case Phase::search:
      account_.settle(completion.has_value());
      looked_ = !completion;
      if (schedule_.device_idle()) account_.enter(completion ? Part::tuner : idle_part());
      if (completion) take(*std::move(completion));
      break;
    case Phase::draining:
      if (completion) take(*std::move(completion));
      if (ran_) record_run();
      if (schedule_.device_idle()) end_search();
      break;
    case Phase::beginning:
    case Phase::ending:
      if (completion)
        batch_.take(*std::move(completion));
      else if (moment.stop)
        interrupt(moment);
      break;
    case Phase::over:
      break;
  }
}

void SessionCore::interrupt(const Moment& moment) {
  see(moment);
  result_.interrupted = true;
  result_.stop_reason = "interrupted";
  account_.enter(Part::finish);
  settle_by_search(result_, evaluator_);
  phase_ = Phase::over;
}

bool SessionCore::stopping() {
  if (moment_.stop) {
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

// What the tuner does while the device has nothing to do.
TimeAccount::Part SessionCore::idle_part() const {
  return schedule_.leisure(moment_.room) ? Part::beside_compilers : Part::tuner;
}

// Keeps the compilers and the device busy. While one of them works one question is asked at a time: what it answers
// meanwhile is not kept waiting for the others.
std::optional<Task> SessionCore::next_of_search() {
  for (;;) {
    if (schedule_.wants_run(moment_.room)) return run_task();
    if (ran_) record_run();
    if (stopping()) {
      drain();
      return std::nullopt;
    }
    if (std::exchange(begun_, false) && (!schedule_.device_idle() || idle_part() == Part::beside_compilers)) {
      looked_ = false;
      return wait_for_more(schedule_.may_ask() && schedule_.wants_more(moment_.room));
    }
    if (!schedule_.may_ask() || !schedule_.wants_more(moment_.room)) break;
    if (schedule_.device_idle()) account_.enter(idle_part());
    const auto index = asked_ahead_ ? std::exchange(asked_ahead_, std::nullopt) : ask();
    if (!index) {
      if (schedule_.empty()) schedule_.end();
      break;
    }
    begun_ = true;
    if (auto task = begin_trial(*index)) return task;
  }
  if (looked_ && !asked_ahead_ && !asked_in_vain_ && schedule_.wants_question_soon(moment_.room)) {
    if (schedule_.device_idle()) account_.enter(idle_part());
    asked_ahead_ = ask();
    asked_in_vain_ = !asked_ahead_;
    looked_ = false;
  }
  return wait_for_more(false);
}

std::optional<Task> SessionCore::wait_for_more(bool more_to_ask) {
  if (schedule_.empty() && !schedule_.may_ask()) {
    drain();
    return std::nullopt;
  }
  const bool look = more_to_ask || !looked_;
  patience_ = look ? Nanoseconds{} : poll_interval;
  // With nothing in flight the compilers are still starting.
  if (!look) account_.enter(schedule_.device_idle() ? Part::compile_wait : Part::device);
  return std::nullopt;
}

// What was kept is answered at once: it is never measured again and takes nothing of the budget.
std::optional<std::uint64_t> SessionCore::ask() {
  for (;;) {
    const std::vector<std::uint64_t> asked = strategy_->ask(1);
    if (asked.empty()) return std::nullopt;
    const auto kept = kept_.find(asked.front());
    if (kept == kept_.end()) return asked.front();
    strategy_->tell(kept->first, kept->second);
  }
}

std::optional<Task> SessionCore::begin_trial(std::uint64_t index) {
  TrialSchedule::Item item;
  item.index = index;
  item.trial.configuration = space_.at(index);
  const std::uint64_t ordinal = schedule_.ask();
  if (baseline_index_ == index && result_.baseline->configuration == item.trial.configuration) {
    item.trial = *result_.baseline;
    item.trial.ordinal = ordinal;
    finish_trial(index, std::move(item.trial));
    return std::nullopt;
  }
  item.trial.ordinal = ordinal;
  if (auto reason = unlaunchable_reason(problem_, item.trial.configuration, result_.evaluation.device)) {
    item.trial.status = TrialStatus::pruned;
    item.trial.message = *std::move(reason);
    item.trial.finished_at = utc_now();
    finish_trial(index, std::move(item.trial));
    return std::nullopt;
  }
  if (!rules_.compiles) {
    schedule_.make_ready(std::move(item));
    return std::nullopt;
  }
  execution::CompileTask task{ordinal, item.trial.configuration, {}};
  schedule_.compile(std::move(item));
  return task;
}

Task SessionCore::run_task() {
  const TrialSchedule::Item& item = schedule_.run();
  execution::RunTask task;
  task.id = item.trial.ordinal;
  task.configuration = item.trial.configuration;
  task.binary = item.binary;
  task.timing = options_.timing;
  task.deadline = log_.run_deadline();
  if (options_.racing && problem_.objective.metric == "time") task.timing.incumbent = log_.incumbent();
  account_.enter(Part::device);
  return task;
}

void SessionCore::take(execution::Completion completion) {
  asked_in_vain_ = false;
  if (auto* compiled = std::get_if<execution::CompileDone>(&completion)) {
    account_.times().compile_cpu += compiled->cpu;
    TrialSchedule::Item* const item = schedule_.compiled(compiled->id, compiled->wall);
    if (item == nullptr) return;
    evaluator_.apply(*compiled, item->trial, result_.evaluation.device);
    if (item->trial.status == TrialStatus::ok) {
      item->binary = std::move(compiled->binary);
      schedule_.make_ready(compiled->id);
    } else {
      schedule_.skip_device();
      end_trial(compiled->id);
    }
  } else if (auto* ran = std::get_if<execution::RunDone>(&completion)) {
    const measure::RunResult& done = ran->result;
    TrialSchedule::Item* const item = schedule_.ran(ran->id, done.copy + done.verify + done.measure);
    using Next = TimeAccount::Next;
    const Part then = schedule_.waiting() ? Part::tuner : idle_part();
    account_.device_done(done.copy, done.verify, done.measure, restarted_since_last(),
                         !schedule_.device_idle()         ? Next::running
                         : then == Part::beside_compilers ? Next::compiling
                                                          : Next::held_up);
    if (schedule_.device_idle()) account_.enter(then);
    if (ran_) record_run();  // the one before, if nobody asked what is next since then
    if (item == nullptr) return;
    ran_ = ran->id;
    evaluator_.apply(std::move(*ran), item->trial, result_.evaluation.device);
  }
}

// The device has gone on, if it can.
void SessionCore::record_run() {
  if (schedule_.device_idle()) account_.enter(idle_part());
  end_trial(*std::exchange(ran_, std::nullopt));
}

void SessionCore::end_trial(std::uint64_t ordinal) {
  TrialSchedule::Item item = schedule_.remove(ordinal);
  item.trial.finished_at = utc_now();
  if (rules_.count_measured && item.trial.status == TrialStatus::pruned) schedule_.refund();
  if (item.trial.median && rules_.compiles)
    kept_binaries_.keep(item.trial.configuration, std::move(item.binary),
                        evaluator_.objective(item.trial.configuration, *item.trial.median));
  finish_trial(item.index, std::move(item.trial));
}

void SessionCore::finish_trial(std::uint64_t index, Trial trial) {
  strategy_->tell(index, log_.outcome_of(trial));
  log_.add(std::move(trial), clock_.now());
}

// What the device was given ends by its deadline at the latest; what was only compiled is left for another day.
void SessionCore::drain() {
  phase_ = Phase::draining;
  schedule_.close();
  if (schedule_.device_idle()) end_search();
}

void SessionCore::end_search() {
  schedule_.drop();
  if (result_.stop_reason.empty()) {
    if (result_.trials.size() >= space_.size())
      result_.stop_reason = "space exhausted";
    else if (schedule_.budget_spent())
      result_.stop_reason = fmt::format("{} evaluations", schedule_.asked());
    else
      result_.stop_reason = "strategy ended";
  }
  account_.enter(Part::finish);
  phase_ = Phase::ending;
  finish();
}

// ---- the end --------------------------------------------------------------------------------------------------------

void SessionCore::finish() {
  const auto end = [this] { phase_ = Phase::over; };
  log_.warn_of_conditions();
  if (result_.interrupted) {
    settle_by_search(result_, evaluator_);
    return end();
  }
  comparison_.emplace(problem_, space_, options_, rules_, evaluator_, clock_, kept_binaries_, batch_, log_);
  comparison_->begin(clock_.now() - begin_, end);
}

void SessionCore::close(const Moment& moment) {
  see(moment);
  if (result_.interrupted && !result_.best) settle_by_search(result_, evaluator_);
  log_.close();
  result_.times = account_.finish();
  log_.write_record();
}

Moment moment_of(const execution::Evaluation& evaluation, const Clock& clock, const std::atomic<bool>* stop) {
  return {clock.now(), room_of(evaluation), evaluation.restart_time(), stop != nullptr && stop->load()};
}

bool drive(SessionCore& core, execution::Evaluation& evaluation, const Clock& clock, const std::atomic<bool>* stop,
           std::optional<Nanoseconds> until) {
  const auto moment = [&] { return moment_of(evaluation, clock, stop); };
  try {
    while (!core.over()) {
      while (auto task = core.next(moment())) give(evaluation, *std::move(task));
      if (core.over()) break;
      Nanoseconds patience = core.patience();
      if (until) {
        const Nanoseconds left = *until - clock.now();
        if (left.count() <= 0) return false;
        patience = std::min(patience, left);
      }
      auto completion = evaluation.wait(patience);
      core.tell(moment(), std::move(completion));
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::interrupted) throw;
    core.interrupt(moment());
  }
  return true;
}

}  // namespace warpwright::tuning
