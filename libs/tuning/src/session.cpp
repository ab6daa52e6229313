#include <algorithm>
#include <cmath>
#include <ctime>
#include <deque>
#include <fmt/chrono.h>
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
#include "time_account.hpp"

namespace warpwright::tuning {
namespace {

using Part = TimeAccount::Part;

// Binaries compiled ahead of the device beyond this wait in vain.
constexpr std::size_t max_compiled_ahead = 32;
// How many times over the configurations under way keep the device busy until one more could be compiled, and how many
// there are beyond that. More would be chosen without the results of those that wait.
constexpr double supply_margin = 2;
constexpr std::size_t least_under_way = 3;
// Where the device is the CPU, compiling and measuring alternate. Compiled in batches, configurations keep every core
// busy in the compiling phase; small batches let the strategy hear of results soon.
constexpr std::size_t alternating_batch = 8;
// Behind a run that took longer nothing is queued: an end of the session waits for what the device was given, and there
// is nothing to gain.
constexpr Nanoseconds longest_to_queue_behind{1e9};

// Configurations that fail the second verification are replaced by others for this long, or as long as the search took.
constexpr Nanoseconds least_patience{60e9};
// Far more than there are finalists, and little beside what the search itself needs.
constexpr std::size_t most_kept_binaries = 256;
constexpr Bytes kept_binaries_limit{64 << 20};

// The mean of what was added lately.
class RecentMean {
 public:
  void add(Nanoseconds time) {
    constexpr int window = 16;
    count_ = std::min(count_ + 1, window);
    mean_ += (time - mean_) / static_cast<double>(count_);
  }
  bool known() const { return count_ > 0; }
  Nanoseconds mean() const { return mean_; }

 private:
  int count_ = 0;
  Nanoseconds mean_{};
};

// The run deadline: see run_deadline(). The least one covers a device worker that has to wait for a busy machine.
constexpr Nanoseconds least_run_deadline{3e9};
constexpr double handling_factor = 10, deadline_factor = 600;
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
        evaluator_(problem, evaluation, options.timing, account_) {}

  SessionRecord run() {
    describe_request();
    strategy_ = make_strategy();  // a name or option that is wrong is an error before anything is opened
    result_.evaluation = evaluation_.start();
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
    std::sort(result_.trials.begin(), result_.trials.end(),
              [](const Trial& a, const Trial& b) { return a.ordinal < b.ordinal; });
    result_.evaluations = result_.trials.size();
    result_.finished_at = utc_now();
    if (journal_) {
      journal_->append_note("summary", store::text_of(summary_note()));
      journal_->flush();
    }
    result_.times = account_.finish();
    write_record();
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

  // The journal has the trials, so that a disk that is full by now costs what came of them, and not the result.
  void write_record() {
    if (!journal_) return;
    try {
      store::write_session_record(*options_.session_folder, result_);
    } catch (const Error& error) {
      result_.warnings.push_back(std::string("the record of the session was not written: ") + error.what());
    }
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
    journal_ = std::move(opened.journal);
    result_.baseline = std::move(opened.baseline);
    result_.resumed_from = opened.kept.size();
    result_.warnings.insert(result_.warnings.end(), opened.warnings.begin(), opened.warnings.end());
    if (opened.kept.empty()) return;
    for (const Trial& trial : opened.kept) {
      const std::uint64_t index = space_.index_of(trial.configuration).value();
      kept_order_.push_back(index);
      kept_.emplace(index, outcome_of(trial));
    }
    strategy_ = make_strategy();
    for (Trial& trial : opened.kept) {
      ordinals_.take(trial.ordinal);
      ++asked_;
      record(std::move(trial), false);
    }
  }

  void measure_baseline() {
    const Configuration configuration = problem_.baseline_configuration();
    if (!result_.baseline || !(result_.baseline->configuration == configuration)) {
      device::Binary binary;
      result_.baseline = evaluator_.evaluate_alone(configuration, result_.evaluation.device, options_.stop, &binary);
      result_.baseline->since_start = clock_.now() - begin_;
      if (result_.baseline->ok())
        kept_binaries_.keep(configuration, std::move(binary), -std::numeric_limits<double>::infinity());
      if (journal_) journal_->append_note("baseline", store::text_of(store::to_json(*result_.baseline)));
    }
    if (!result_.baseline->ok())
      result_.warnings.push_back(fmt::format("the baseline ({}) failed: {}: {}; there is no speed-up to report",
                                             configuration.describe(), to_string(result_.baseline->status),
                                             result_.baseline->message));
    baseline_index_ = space_.index_of(configuration);
  }

  // ---- search -------------------------------------------------------------------------------------------------------

  struct InFlight {
    std::uint64_t index = 0;
    Trial trial;
    device::Binary binary;
  };

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

  bool may_ask() const { return !strategy_ended_ && (!options_.max_evaluations || asked_ < *options_.max_evaluations); }

  void search() {
    search_begin_ = clock_.now();
    for (;;) {
      if (stopping()) break;
      feed();
      if (in_flight_.empty() && !may_ask()) break;
      const bool look = more_to_ask_ || !looked_;
      // With nothing in flight the compilers are still starting.
      if (!look) account_.enter(runs_.empty() ? Part::compile_wait : Part::device);
      auto completion = evaluation_.wait(look ? Nanoseconds{} : poll_interval);
      account_.settle(completion.has_value());
      looked_ = !completion;
      if (runs_.empty()) account_.enter(completion ? Part::tuner : idle_part());
      if (completion) take(std::move(*completion));
    }
    // What the device was given ends by its deadline at the latest; what was only compiled is left for another day.
    ending_ = true;
    while (!runs_.empty()) {
      if (auto completion = evaluation_.wait(poll_interval)) take(std::move(*completion));
    }
    in_flight_.clear();
    ready_.clear();
    account_.enter(Part::tuner);
    if (result_.stop_reason.empty()) {
      if (result_.trials.size() >= space_.size())
        result_.stop_reason = "space exhausted";
      else if (options_.max_evaluations && asked_ >= *options_.max_evaluations)
        result_.stop_reason = fmt::format("{} evaluations", asked_);
      else
        result_.stop_reason = "strategy ended";
    }
  }

  // What the tuner does while the device has nothing to do. Beside compilers it delays nothing unless one of them has
  // something to say meanwhile; where the device waits for all of them, one that could have a task is kept waiting too.
  Part idle_part() const {
    if (compiling_ == 0) return Part::tuner;
    return evaluation_.compiles_while_running() || !room_to_compile() ? Part::beside_compilers : Part::tuner;
  }

  // Keeps the compilers and the device busy. While one of them works one question is asked at a time: what it answers
  // meanwhile is not kept waiting for the others.
  void feed() {
    more_to_ask_ = false;
    start_runs();
    while (may_ask() && !stopping() && room_to_compile()) {
      if (runs_.empty()) account_.enter(idle_part());
      const auto next = asked_ahead_ ? std::exchange(asked_ahead_, std::nullopt) : ask();
      if (!next) {
        strategy_ended_ = in_flight_.empty();
        break;
      }
      begin_trial(*next);
      start_runs();
      if (!runs_.empty() || idle_part() == Part::beside_compilers) {
        looked_ = false;
        more_to_ask_ = may_ask() && room_to_compile();
        return;
      }
    }
    if (looked_ && !asked_ahead_ && !asked_in_vain_ && wants_question_soon()) {
      if (runs_.empty()) account_.enter(idle_part());
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

  bool room_to_compile() const { return evaluation_.can_compile() && wants_binaries(ready_.size(), compiling_); }

  // Whether one more is to be compiled while so many wait for the device and so many are being compiled.
  bool wants_binaries(std::size_t ready, std::size_t compiling) const {
    if (!evaluation_.compiles_while_running()) return runs_.empty() && ready < alternating_batch;
    return ready < max_compiled_ahead && ready + compiling < under_way_for_device();
  }

  std::size_t under_way_for_device() const {
    constexpr std::size_t any = std::numeric_limits<std::size_t>::max();
    if (!device_time_.known() || !compile_time_.known() || device_time_.mean().count() <= 0) return any;
    const double runs = supply_margin * (compile_time_.mean() / device_time_.mean());
    return runs < 1e6 ? least_under_way + static_cast<std::size_t>(std::ceil(runs)) : any;
  }

  // Every compiler is busy, and the first to end will have another task. Not where the device would be disturbed by the
  // question, nor where the answer can wait for results, nor where one configuration follows the other.
  bool wants_question_soon() {
    if (!may_ask() || compiling_ == 0 || in_flight_.size() < 2 || evaluation_.can_compile()) return false;
    return wants_binaries(ready_.size() + 1, compiling_ - 1) && !stopping();
  }

  void begin_trial(std::uint64_t index) {
    ++asked_;
    const std::uint64_t ordinal = ordinals_.next();
    InFlight item;
    item.index = index;
    item.trial.ordinal = ordinal;
    item.trial.configuration = space_.at(index);
    if (baseline_index_ == index && result_.baseline->configuration == item.trial.configuration) {
      item.trial = *result_.baseline;
      item.trial.ordinal = ordinal;
      finish_trial(index, std::move(item.trial));
      return;
    }
    if (auto reason = unlaunchable_reason(problem_, item.trial.configuration, result_.evaluation.device)) {
      item.trial.status = TrialStatus::pruned;
      item.trial.message = *reason;
      item.trial.finished_at = utc_now();
      finish_trial(index, std::move(item.trial));
      return;
    }
    ++compiling_;
    evaluation_.compile({ordinal, item.trial.configuration, {}});
    in_flight_.emplace(ordinal, std::move(item));
  }

  bool may_run() const {
    if (ending_) return false;
    if (!evaluation_.compiles_while_running() && compiling_ > 0) return false;
    return runs_.empty() ? evaluation_.can_run()
                         : evaluation_.can_queue_run() && last_run_time_ < longest_to_queue_behind;
  }

  void start_runs() {
    while (!ready_.empty() && may_run()) {
      const std::uint64_t ordinal = ready_.front();
      ready_.pop_front();
      InFlight& item = in_flight_.at(ordinal);
      runs_.push_back(ordinal);
      execution::RunTask task;
      task.id = ordinal;
      task.configuration = item.trial.configuration;
      task.binary = item.binary;
      task.timing = options_.timing;
      task.deadline = run_deadline();
      if (options_.racing && problem_.objective.metric == "time") task.timing.incumbent = incumbent_;
      account_.enter(Part::device);  // which may begin before run() returns
      evaluation_.run(std::move(task));
    }
  }

  // Relative to the best so far: what a configuration may take that is two hundred times as slow, in each of the runs
  // before the race can end it. 0 (the evaluation's own deadline) while nothing is known.
  Nanoseconds run_deadline() const {
    if (!incumbent_) return {};
    return least_run_deadline + slowest_handling_ * handling_factor + incumbent_->median * deadline_factor;
  }

  void take(execution::Completion completion) {
    asked_in_vain_ = false;
    if (auto* compiled = std::get_if<execution::CompileDone>(&completion)) {
      --compiling_;
      account_.times().compile_cpu += compiled->cpu;
      const auto found = in_flight_.find(compiled->id);
      if (found == in_flight_.end()) return;
      InFlight& item = found->second;
      evaluator_.apply(*compiled, item.trial, result_.evaluation.device);
      compile_time_.add(compiled->wall);
      if (item.trial.status == TrialStatus::ok) {
        item.binary = std::move(compiled->binary);
        ready_.push_back(compiled->id);
        start_runs();
      } else {
        device_time_.add({});
        end_trial(found);
      }
    } else if (auto* ran = std::get_if<execution::RunDone>(&completion)) {
      last_run_time_ = ran->result.copy + ran->result.verify + ran->result.measure;
      device_time_.add(last_run_time_);
      std::erase(runs_, ran->id);
      using Next = TimeAccount::Next;
      const Part then = ready_.empty() ? idle_part() : Part::tuner;
      account_.device_done(ran->result.copy, ran->result.verify, ran->result.measure, evaluator_.restarted_since_last(),
                           !runs_.empty()                   ? Next::running
                           : then == Part::beside_compilers ? Next::compiling
                                                            : Next::held_up);
      if (runs_.empty()) account_.enter(then);
      const auto found = in_flight_.find(ran->id);
      if (found == in_flight_.end()) return;
      evaluator_.apply(std::move(*ran), found->second.trial, result_.evaluation.device);
      start_runs();  // the device goes on while this trial is recorded
      if (runs_.empty()) account_.enter(idle_part());
      end_trial(found);
    }
  }

  void end_trial(std::unordered_map<std::uint64_t, InFlight>::iterator found) {
    InFlight item = std::move(found->second);
    in_flight_.erase(found);
    item.trial.finished_at = utc_now();
    if (item.trial.median)
      kept_binaries_.keep(item.trial.configuration, std::move(item.binary),
                          evaluator_.objective(item.trial.configuration, *item.trial.median));
    finish_trial(item.index, std::move(item.trial));
  }

  SearchOutcome outcome_of(const Trial& trial) const {
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

  void finish_trial(std::uint64_t index, Trial trial) {
    trial.since_start = clock_.now() - begin_;
    strategy_->tell(index, outcome_of(trial));
    if (journal_) journal_->append(trial);
    record(std::move(trial), true);
  }

  void record(Trial trial, bool is_new) {
    ++result_.by_status[static_cast<std::size_t>(trial.status)];
    result_.trials.push_back(std::move(trial));
    const Trial& last = result_.trials.back();
    const double objective =
        measure::can_win(last) ? evaluator_.objective(last.configuration, *last.median) : best_objective_;
    if (objective < best_objective_) {
      best_objective_ = objective;
      best_trial_ = result_.trials.size() - 1;
      if (!last.samples.empty()) incumbent_ = measure::Incumbent::of(last.samples);
    }
    if (last.ok()) slowest_handling_ = std::max(slowest_handling_, last.times.copy + last.times.verify);
    if (is_new) ++measured_now_;
    report_progress(last);
  }

  void report_progress(const Trial& last) {
    if (!options_.progress) return;
    Progress progress;
    progress.evaluations = result_.trials.size();
    progress.planned = std::min<std::uint64_t>(space_.size(), options_.max_evaluations.value_or(space_.size()));
    progress.by_status = result_.by_status;
    progress.last = &last;
    if (best_trial_) progress.best = &result_.trials[*best_trial_];
    if (result_.baseline) progress.baseline = result_.baseline->median;
    progress.elapsed = clock_.now() - begin_;
    if (measured_now_ > 0 && progress.planned) {
      const double left = static_cast<double>(*progress.planned) - static_cast<double>(progress.evaluations);
      progress.remaining = (clock_.now() - search_begin_) * (left / static_cast<double>(measured_now_));
    }
    if (options_.time_limit) {
      const Nanoseconds until_limit = std::max(Nanoseconds{}, *options_.time_limit - progress.elapsed);
      progress.remaining = std::min(progress.remaining.value_or(until_limit), until_limit);
    }
    options_.progress(progress);
  }

  // ---- the end ------------------------------------------------------------------------------------------------------

  // What the trials say about the device: impossible times, drifting ones, and a clock that was held down.
  void warn_of_conditions() {
    constexpr double notable_drift = 0.05;
    std::size_t drifted = 0, throttled = 0, impossible = 0, launch_bound = 0;
    const Trial* example = nullptr;
    double largest = 0;
    std::string reasons;
    for (const auto& trial : result_.trials) {
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
    if (example != nullptr)
      result_.warnings.push_back(fmt::format(
          "{} configuration{} took less time than the device can; none of them wins. {}: {}. Check the formula of the "
          "metric, and whether the reference covers what the kernel does",
          impossible, impossible == 1 ? "" : "s", example->configuration.describe(), example->conditions.impossible));
    if (launch_bound > 0)
      result_.warnings.push_back(fmt::format(
          "the times of {} configuration{} are bounded by the host's launches, not by the device (marked launch_bound)",
          launch_bound, launch_bound == 1 ? "" : "s"));
    if (drifted > 0)
      result_.warnings.push_back(fmt::format(
          "the time of {} configuration{} drifted while it was sampled, by up to {:.1f} %; the final comparison is "
          "interleaved and does not suffer from it",
          drifted, drifted == 1 ? "" : "s", 100 * largest));
    if (throttled > 0)
      result_.warnings.push_back(fmt::format("the clock was held down during {} of {} configurations: {}", throttled,
                                             result_.trials.size(), reasons));
  }

  void finish() {
    warn_of_conditions();
    if (result_.interrupted) {
      settle_by_search(result_, evaluator_);
      return;
    }
    const auto record = [&](const Trial& trial, bool is_baseline) {
      if (!journal_) return;
      if (is_baseline)
        journal_->append_note("baseline", store::text_of(store::to_json(trial)));
      else
        journal_->append(trial);
    };
    FinalComparison(problem_, space_, options_, evaluator_, clock_, kept_binaries_, record)
        .run(result_, std::max(least_patience, clock_.now() - begin_));
  }

  store::Json summary_note() const {
    store::Json note{{"finished_at", utc_now()}, {"stop_reason", result_.stop_reason}};
    if (result_.best) {
      note["best"] = store::to_json(*result_.best);
      note["best_median_ns"] = result_.best_median.count();
      if (result_.speedup) note["speedup"] = *result_.speedup;
      if (result_.speedup_interval)
        note["speedup_interval"] = {result_.speedup_interval->low, result_.speedup_interval->high};
      note["verification"] = result_.verification;
    }
    return note;
  }

  const Problem& problem_;
  const Space& space_;
  const StrategyRegistry& strategies_;
  execution::Evaluation& evaluation_;
  const Clock& clock_;
  const SessionOptions& options_;
  TimeAccount account_;
  Nanoseconds begin_, search_begin_{};
  Evaluator evaluator_;
  std::unique_ptr<SearchAlgorithm> strategy_;
  std::optional<store::Journal> journal_;
  std::unordered_map<std::uint64_t, SearchOutcome> kept_;  // by index, of a resumed session
  std::vector<std::uint64_t> kept_order_;                  // indices of these, by ordinal
  Ordinals ordinals_;
  std::optional<std::uint64_t> baseline_index_;

  std::unordered_map<std::uint64_t, InFlight> in_flight_;  // by ordinal
  std::deque<std::uint64_t> ready_;                        // compiled, waiting for the device
  std::deque<std::uint64_t> runs_;                         // given to the device; the first is under way
  Nanoseconds last_run_time_{};
  RecentMean compile_time_, device_time_;  // of a configuration; the device has none for what does not compile
  std::size_t compiling_ = 0;
  std::uint64_t asked_ = 0;  // new ones and kept ones
  std::uint64_t measured_now_ = 0;
  bool strategy_ended_ = false;
  bool ending_ = false;                       // nothing is started any more
  bool more_to_ask_ = false;                  // the compilers have room for another question
  bool looked_ = true;                        // nothing was done since the evaluation had nothing to tell
  std::optional<std::uint64_t> asked_ahead_;  // a configuration for the compiler that is free first
  bool asked_in_vain_ = false;                // the strategy has none before it is told more
  double best_objective_ = std::numeric_limits<double>::infinity();
  std::optional<std::size_t> best_trial_;
  std::optional<measure::Incumbent> incumbent_;
  KeptBinaries kept_binaries_{most_kept_binaries, kept_binaries_limit};
  Nanoseconds slowest_handling_{};  // copying and verifying of a correct configuration
  SessionRecord result_;
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
