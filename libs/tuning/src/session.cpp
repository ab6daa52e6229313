#include <algorithm>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/host.hpp>
#include <warpwright/runtime/identity.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/tuning/ranking.hpp>
#include <warpwright/tuning/session.hpp>

#include "session_core.hpp"
#include "session_journal.hpp"

namespace warpwright::tuning {

struct Session::State {
  State(const Problem& given, const Space& configurations, const StrategyRegistry& strategies,
        execution::Evaluation& evaluator, const Clock& time, SessionOptions wanted)
      : problem(given),
        space(configurations),
        evaluation(evaluator),
        clock(time),
        options(std::move(wanted)),
        strategy(session_strategy(configurations, options)),
        core(
            problem, space, problem.baseline_configuration(),
            [&](const StrategySettings& settings) { return strategies.create(strategy, space, settings); }, options,
            clock.now()) {
    describe_request();
  }

  void describe_request() {
    SessionRecord& record = core.log().record();
    record.kernel = problem.name;
    record.specification = problem.file.string();
    record.dimensions = problem.dimensions;
    record.parameters = problem.parameters;
    for (const Metric& metric : problem.metrics) record.metrics.push_back(metric.name);
    record.objective = problem.objective;
    record.cache_mode = std::string(measure::to_string(options.timing.cache));
    record.space_size = space.size();
    record.cartesian_size = space.cartesian_size();
    record.seed = options.strategy_settings.seed;
    record.strategy = strategy;
    record.version = WARPWRIGHT_VERSION;
    record.host = host_info();
    record.began_at = utc_now();
  }

  Moment moment() const { return moment_of(evaluation, clock, options.stop); }

  void start() {
    started = true;
    SessionRecord& record = core.log().record();
    record.evaluation = evaluation.start();
    record.warnings = measure::warnings_about(record.evaluation.reference_outputs);
    SessionJournal opened = open_session_journal(problem, space, record.evaluation, strategy, options);
    core.log().write_to(std::move(opened.journal));
    record.baseline = std::move(opened.baseline);
    record.warnings.insert(record.warnings.end(), opened.warnings.begin(), opened.warnings.end());
    core.keep(std::move(opened.kept));
    core.begin(moment(), evaluation.compiles_while_running() ? TrialSchedule::Sharing::beside
                                                             : TrialSchedule::Sharing::alternating);
  }

  const Problem& problem;
  const Space& space;
  execution::Evaluation& evaluation;
  const Clock& clock;
  const SessionOptions options;
  const std::string strategy;
  SessionCore core;
  bool started = false;
};

Session::Session(const Problem& problem, const Space& space, const StrategyRegistry& strategies,
                 execution::Evaluation& evaluation, const Clock& clock, SessionOptions options)
    : state_(std::make_unique<State>(problem, space, strategies, evaluation, clock, std::move(options))) {}
Session::~Session() = default;

bool Session::advance(std::optional<Nanoseconds> until) {
  State& state = *state_;
  if (!state.started) state.start();
  return drive(state.core, state.evaluation, state.clock, state.options.stop, until);
}

SessionRecord Session::finish() {
  SessionCore& core = state_->core;
  if (!core.over()) core.interrupt(state_->moment());
  core.close(state_->moment());
  return std::move(core.log().record());
}

SessionRecord run_session(const Problem& problem, const Space& space, const StrategyRegistry& strategies,
                          execution::Evaluation& evaluation, const Clock& clock, const SessionOptions& options) {
  Session session(problem, space, strategies, evaluation, clock, options);
  session.advance();
  return session.finish();
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
  TaskBatch batch(account);
  const Evaluator evaluator(problem, timing);
  evaluator.evaluate_alone(batch, problem.baseline_configuration(), result.evaluation.device,
                           [&](Trial baseline, const Binary&) { result.baseline = std::move(baseline); });
  drive(batch, evaluation, nullptr);
  return result;
}

}  // namespace warpwright::tuning
