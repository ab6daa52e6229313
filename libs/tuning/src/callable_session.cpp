#include "callable_session.hpp"

#include <algorithm>
#include <cmath>
#include <cxxabi.h>
#include <deque>
#include <fmt/format.h>
#include <new>
#include <numeric>
#include <unordered_set>
#include <utility>

#include <warpwright/base/error.hpp>

namespace warpwright::detail {
namespace {

constexpr double comparison_share = 0.1;  // of the session, where that is longer than what a comparison may take anyway

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

// Asks an algorithm for several configurations at once, gives them out one by one, and refuses what is no question.
class AskedInBatches final : public SearchAlgorithm {
 public:
  AskedInBatches(std::shared_ptr<SearchAlgorithm> algorithm, std::uint64_t size, std::size_t batch)
      : algorithm_(std::move(algorithm)), size_(size), batch_(batch) {}

  std::vector<std::uint64_t> ask(std::size_t) override {
    if (waiting_.empty()) {
      for (const std::uint64_t index : algorithm_->ask(batch_)) {
        if (index >= size_ || !asked_.insert(index).second)
          throw Error(ErrorCode::bad_input,
                      fmt::format("the search algorithm asked for configuration {} {}", index,
                                  index >= size_ ? fmt::format("of a space of {}", size_) : std::string("twice")));
        waiting_.push_back(index);
      }
      if (waiting_.empty()) return {};
    }
    const std::uint64_t index = waiting_.front();
    waiting_.pop_front();
    return {index};
  }
  void tell(std::uint64_t index, const SearchOutcome& outcome) override { algorithm_->tell(index, outcome); }

 private:
  std::shared_ptr<SearchAlgorithm> algorithm_;
  std::uint64_t size_;
  std::size_t batch_;
  std::deque<std::uint64_t> waiting_;
  std::unordered_set<std::uint64_t> asked_;
};

tuning::SessionOptions session_options(const Callable& callable, const TuningSessionOptions& given) {
  tuning::SessionOptions options;
  options.strategy = given.strategy;
  options.strategy_settings.seed = given.seed;
  options.strategy_settings.options = given.strategy_options;
  auto& initial = options.strategy_settings.initial;
  if (const auto baseline = callable.space.index_of(callable.baseline)) initial.push_back(*baseline);
  initial.insert(initial.end(), callable.first.begin(), callable.first.end());
  options.max_evaluations = given.max_evaluations;
  options.time_limit = given.time_limit;
  options.racing = false;
  options.finalists = given.finalists;
  options.final_rounds = given.final_rounds;
  options.progress = given.progress;
  return options;
}

std::string strategy_of(const Callable& callable, const TuningSessionOptions& options) {
  if (options.algorithm || options.make_algorithm) return "own";
  const bool covered =
      options.max_evaluations ? *options.max_evaluations >= callable.space.size() : !options.time_limit;
  return options.strategy == "auto" && covered && options.strategy_options.empty() ? "exhaustive" : options.strategy;
}

Problem problem_of(const Callable& callable) {
  Problem problem;
  problem.parameters = callable.space.parameters();
  return problem;
}

}  // namespace

// ---- the evaluation -------------------------------------------------------------------------------------------------

void CallableEvaluation::compile(execution::CompileTask) {
  throw Error(ErrorCode::internal, "a callable is not compiled");
}

void CallableEvaluation::run(execution::RunTask task) {
  Run run;
  run.done.id = task.id;
  run.task = std::move(task);
  run.begin = clock_.now();
  task_ = std::move(run);
}

void CallableEvaluation::interleave(execution::InterleaveTask task) {
  Turns turns{.task = std::move(task), .rng = Rng(task.seed), .order = {}, .done = {}};
  turns.order.resize(turns.task.configurations.size());
  std::iota(turns.order.begin(), turns.order.end(), std::size_t{0});
  turns.at = turns.order.size();
  turns.done.id = turns.task.id;
  turns.done.samples.resize(turns.order.size());
  turns.done.failures.resize(turns.order.size());
  task_ = std::move(turns);
}

std::optional<execution::Completion> CallableEvaluation::wait(Nanoseconds) {
  std::optional<execution::Completion> completion;
  if (auto* run = std::get_if<Run>(&task_)) {
    if (advance(*run)) completion = std::move(run->done);
  } else if (auto* turns = std::get_if<Turns>(&task_)) {
    if (advance(*turns)) completion = std::move(turns->done);
  }
  if (completion) task_ = std::monostate{};
  return completion;
}

// One call more; true when it was the last.
bool CallableEvaluation::advance(Run& run) {
  measure::RunResult& result = run.done.result;
  const Configuration& configuration = run.task.configuration;
  if (run.made == 0 && callable_.prune) {
    if (auto reason = callable_.prune(configuration)) {
      result.status = TrialStatus::pruned;
      result.message = *std::move(reason);
      return true;
    }
  }
  const int calls = warmup_ + samples_;
  Call made = call(configuration);
  ++run.made;
  if (made.status != TrialStatus::ok) {
    result.status = made.status;
    result.message =
        calls == 1 ? std::move(made.message) : fmt::format("call {} of {}: {}", run.made, calls, made.message);
  } else if (run.made > warmup_) {
    result.samples.push_back(made.time);
  }
  if (made.status == TrialStatus::ok && run.made < calls) return false;
  result.measure = clock_.now() - run.begin;
  ++configurations_;
  return true;
}

bool CallableEvaluation::advance(Turns& turns) {
  const auto failed = [&](std::size_t candidate) { return turns.done.failures[candidate].has_value(); };
  for (;;) {
    if (turns.at == turns.order.size()) {
      if (turns.round++ == turns.task.rounds) return true;
      for (std::size_t i = turns.order.size(); i > 1; --i)
        std::swap(turns.order[i - 1], turns.order[turns.rng.below(i)]);
      turns.at = 0;
    }
    const std::size_t candidate = turns.order[turns.at++];
    if (failed(candidate)) continue;
    Call made = call(turns.task.configurations[candidate]);
    if (made.status == TrialStatus::ok)
      turns.done.samples[candidate].push_back(made.time);
    else
      turns.done.failures[candidate] = execution::InterleaveDone::Failure{made.status, std::move(made.message)};
    return false;
  }
}

CallableEvaluation::Call CallableEvaluation::judge(const EvaluatorResult& result) const {
  if (result.status() != TrialStatus::ok) return {result.status(), {}, result.message()};
  const auto refuse = [](TrialStatus status, std::string text) { return Call{status, {}, std::move(text)}; };
  if (const auto& rate = result.throughput()) {
    if (!std::isfinite(rate->per_second))
      return refuse(TrialStatus::not_finite,
                    fmt::format("the evaluator returned a throughput of {}", rate->per_second));
    if (rate->per_second <= 0)
      return refuse(TrialStatus::wrong_result,
                    fmt::format("the evaluator returned a throughput of {}; it must be positive", rate->per_second));
  }
  const Nanoseconds time =
      result.time() ? *result.time() : Nanoseconds(Seconds(callable_.work / result.throughput()->per_second));
  if (!std::isfinite(time.count()))
    return refuse(TrialStatus::not_finite, fmt::format("the evaluator returned a time of {} ns", time.count()));
  if (time.count() <= 0)
    return refuse(TrialStatus::wrong_result,
                  fmt::format("the evaluator returned a time of {} ns; it must be positive", time.count()));
  return {TrialStatus::ok, time, {}};
}

CallableEvaluation::Call CallableEvaluation::call(const Configuration& configuration) {
  ++calls_;
  try {
    return judge(callable_.evaluator(configuration));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::interrupted) throw;  // it asked for the end of the session
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

// ---- the session ----------------------------------------------------------------------------------------------------

CallableSession::CallableSession(const Callable& callable, const TuningSessionOptions& options,
                                 const StrategyRegistry& strategies, const Clock& clock)
    : callable_(callable),
      options_(options),
      strategies_(strategies),
      clock_(clock),
      begin_(clock.now()),
      session_options_(session_options(callable, options)),
      strategy_(strategy_of(callable, options)),
      problem_(problem_of(callable)),
      evaluation_(callable, options.warmup, options.samples, clock),
      core_(problem_, callable.space, callable.baseline,
            [this](const StrategySettings& settings) { return make_algorithm(settings); }, session_options_, begin_,
            {.compiles = false,
             .count_measured = true,
             .sample_cost = [calls = options.warmup +
                                     options.samples](const Trial& trial) { return trial.times.measure / calls; },
             .comparison_share = comparison_share}),
      on_stop_(options.stop, [this] { stop_ = true; }) {
  tuning::SessionRecord& record = core_.log().record();
  record.seed = options.seed;
  record.strategy = strategy_;
  record.space_size = callable.space.size();
}

std::unique_ptr<SearchAlgorithm> CallableSession::make_algorithm(const StrategySettings& settings) const {
  std::shared_ptr<SearchAlgorithm> algorithm = options_.algorithm;
  if (!algorithm)
    algorithm = options_.make_algorithm ? options_.make_algorithm(callable_.space, settings)
                                        : strategies_.create(strategy_, callable_.space, settings);
  if (!algorithm) throw Error(ErrorCode::bad_input, "make_algorithm made no algorithm");
  return std::make_unique<AskedInBatches>(std::move(algorithm), callable_.space.size(), options_.batch);
}

bool CallableSession::advance(std::optional<Nanoseconds> until) {
  if (!std::exchange(begun_, true)) {
    core_.log().record().evaluation = evaluation_.start();
    if (stop_) core_.interrupt(tuning::moment_of(evaluation_, clock_, &stop_));
    if (!core_.over())
      core_.begin(tuning::moment_of(evaluation_, clock_, &stop_), tuning::TrialSchedule::Sharing::direct);
  }
  return tuning::drive(core_, evaluation_, clock_, &stop_, until);
}

PerformanceMetrics CallableSession::finish() {
  const tuning::Moment end = tuning::moment_of(evaluation_, clock_, &stop_);
  if (!core_.over()) core_.interrupt(end);
  core_.close(end);
  tuning::SessionRecord& record = core_.log().record();
  PerformanceMetrics metrics;
  metrics.configs_evaluated = evaluation_.configurations();
  metrics.evaluator_calls = evaluation_.calls();
  metrics.tuning_duration = clock_.now() - begin_;
  metrics.best = std::move(record.best);
  metrics.best_time = record.best_median;
  metrics.best_spread = record.best_spread;
  if (metrics.best) metrics.best_throughput = Throughput::of(callable_.work, metrics.best_time);
  metrics.baseline = std::move(record.baseline);
  metrics.baseline_time = record.baseline_median;
  if (!metrics.baseline)
    record.warnings.emplace_back("the session ended before the baseline was measured; there is no speed-up to report");
  else if (!metrics.baseline_time && metrics.baseline->ok())
    metrics.baseline_time = metrics.baseline->median;
  metrics.speedup = record.speedup;
  metrics.speedup_interval = record.speedup_interval;
  metrics.finalists = std::move(record.finalists);
  metrics.ties = std::move(record.ties);
  metrics.trials = std::move(record.trials);
  metrics.by_status = record.by_status;
  metrics.space_size = record.space_size;
  metrics.strategy = record.strategy;
  metrics.seed = record.seed;
  metrics.stop_reason = std::move(record.stop_reason);
  metrics.interrupted = record.interrupted;
  metrics.warnings = std::move(record.warnings);
  return metrics;
}

}  // namespace warpwright::detail
