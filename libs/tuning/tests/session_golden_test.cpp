// What whole sessions did, step by step and to the last digit, as golden files: a change of how sessions are built must
// not change what they ask, when, and what they report. On recorded spaces, on simulated devices, on evaluations whose
// compilers and devices work side by side, and of callables. WARPWRIGHT_UPDATE_GOLDEN=1 rewrites them.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <warpwright/base/rng.hpp>
#include <warpwright/execution/local_evaluator.hpp>
#include <warpwright/execution/replay_device.hpp>
#include <warpwright/sim/backend.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/tuning/performance_tuner.hpp>
#include <warpwright/tuning/session.hpp>

#include "fake_evaluation.hpp"
#include "session_fixture.hpp"

namespace warpwright::tuning {
namespace {

std::string number(double value) { return fmt::format("{:.9g}", value); }
std::string number(const std::optional<double>& value) { return value ? number(*value) : "-"; }
std::string number(const std::optional<Nanoseconds>& value) { return value ? number(value->count()) : "-"; }

std::string line_of(const Trial& trial) {
  return fmt::format("trial {} {} | {} {} n={} cost={}/{}/{}/{} since={} {}\n", trial.ordinal,
                     trial.configuration.describe(), to_string(trial.status), number(trial.median),
                     trial.samples.size(), number(trial.times.compile_wall.count()), number(trial.times.copy.count()),
                     number(trial.times.verify.count()), number(trial.times.measure.count()), number(trial.since_start),
                     trial.message);
}

std::string lines_of(const std::vector<Finalist>& finalists) {
  std::string text;
  for (const Finalist& finalist : finalists)
    text +=
        fmt::format("finalist {} | {} +- {} ratio {} [{}, {}] tie {} speedup {} n={} boost {} sustained {}\n",
                    finalist.configuration.describe(), number(finalist.median.count()), number(finalist.spread.count()),
                    number(finalist.ratio.median), number(finalist.ratio.interval.low),
                    number(finalist.ratio.interval.high), finalist.tie, number(finalist.speedup),
                    finalist.samples.size(), number(finalist.boost), number(finalist.sustained));
  return text;
}

// Everything but dates, the machine and the version.
std::string transcript(const SessionRecord& record) {
  std::string text = fmt::format("strategy {} seed {} space {} evaluations {} resumed {} stop '{}' interrupted {}\n",
                                 record.strategy, record.seed, record.space_size, record.evaluations,
                                 record.resumed_from, record.stop_reason, record.interrupted);
  if (record.baseline) text += "baseline: " + line_of(*record.baseline);
  for (const Trial& trial : record.trials) text += line_of(trial);
  text += lines_of(record.finalists);
  text += fmt::format("best {} {} +- {} baseline {} speedup {}", record.best ? record.best->describe() : "-",
                      number(record.best_median.count()), number(record.best_spread.count()),
                      number(record.baseline_median), number(record.speedup));
  if (record.speedup_interval)
    text += fmt::format(" [{}, {}] at {}", number(record.speedup_interval->low), number(record.speedup_interval->high),
                        number(record.speedup_interval->confidence));
  text += fmt::format("\nties {} power_limited {} clock {} verification '{}' sizes {}\n", record.ties.size(),
                      record.power_limited, to_string(record.clock), record.verification, record.verified_sizes.size());
  const SessionTimes& times = record.times;
  text +=
      fmt::format("times total {} startup {} compile_wait {} cpu {} copy {} verify {} measure {} tuner {} finish {}\n",
                  number(times.total.count()), number(times.startup.count()), number(times.compile_wait.count()),
                  number(times.compile_cpu.count()), number(times.copy.count()), number(times.verify.count()),
                  number(times.measure.count()), number(times.tuner.count()), number(times.finish.count()));
  for (const std::string& warning : record.warnings) text += "warning: " + warning + "\n";
  return text;
}

void compare_with_golden(const std::string& name, const std::string& text) {
  const std::filesystem::path file = std::filesystem::path(WARPWRIGHT_TUNING_GOLDEN_FOLDER) / (name + ".txt");
  if (std::getenv("WARPWRIGHT_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(file, std::ios::binary) << text;
    return;
  }
  std::ifstream stream(file, std::ios::binary);
  const std::string expected((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  EXPECT_EQ(text, expected) << "against " << file;
}

// A made-up recording: a valley with noise, in which some compile badly and some fail.
RecordedSpace recording() {
  RecordedSpace space;
  space.kernel = "valley";
  space.device = "GPU";
  Rng rng(5);
  const std::vector<std::pair<std::string, std::vector<std::int64_t>>> names{
      {"block", {32, 64, 128, 256, 512}}, {"tile", {1, 2, 4, 8}}, {"unroll", {1, 2, 3, 4, 6}}};
  for (const auto& [name, values] : names) {
    Parameter parameter;
    parameter.name = name;
    parameter.values.assign(values.begin(), values.end());
    space.parameters.push_back(std::move(parameter));
  }
  for (std::uint32_t b = 0; b < 5; ++b)
    for (std::uint32_t t = 0; t < 4; ++t)
      for (std::uint32_t u = 0; u < 5; ++u) {
        RecordedTrial trial;
        trial.values = {b, t, u};
        trial.costs.compile = Milliseconds(80 + 40 * rng.uniform());
        const double luck = rng.uniform();
        if (b + t + u > 0 && luck < 0.06) {
          trial.status = TrialStatus::compile_failed;
          trial.message = "too large";
        } else if (b + t + u > 0 && luck < 0.1) {
          trial.status = TrialStatus::wrong_result;
        } else {
          trial.objective = 1 + std::abs(b - 2.2) + 0.4 * std::abs(t - 1.7) + 0.1 * u + 0.05 * rng.uniform();
          trial.costs.benchmark = Milliseconds(20 * *trial.objective);
          trial.costs.framework = Milliseconds(3);
          trial.costs.verify = Milliseconds(2);
        }
        space.trials.push_back(std::move(trial));
      }
  return space;
}

SessionRecord replayed(const SessionOptions& options) {
  execution::ReplayDevice device(recording(), "id", "file.json");
  return run_session(device.problem(), device.space(), StrategyRegistry::with_defaults(), device.evaluation(),
                     device.clock(), options);
}

class GoldenSessions : public SessionTest {};

TEST_F(GoldenSessions, Replay) {
  std::string text;
  for (const char* const strategy : {"auto", "exhaustive", "random", "bayesian", "genetic", "annealing", "portfolio"}) {
    SessionOptions options;
    options.strategy = strategy;
    options.strategy_settings.seed = 11;
    if (std::string_view(strategy) != "exhaustive") options.max_evaluations = 35;
    text += transcript(replayed(options)) + "\n";
  }
  SessionOptions limited;
  limited.strategy = "random";
  limited.time_limit = Nanoseconds(3e9);
  text += transcript(replayed(limited)) + "\n";
  SessionOptions kept;
  kept.strategy = "genetic";
  kept.session_folder = folder_;
  kept.max_evaluations = 20;
  text += transcript(replayed(kept)) + "\n";
  kept.resume = true;
  kept.max_evaluations = 40;
  text += transcript(replayed(kept)) + "\n";
  compare_with_golden("replay", text);
}

// Kernels of a simulated device: some too large for it, one that does not compile, times that depend on the launch.
TEST_F(GoldenSessions, Sim) {
  std::string text;
  for (const bool telemetry : {false, true}) {
    Problem problem;
    problem.name = "valley";
    problem.source.by_backend["sim"] =
        SourceText{"valley.toml",
                   "[kernels.valley]\nbehaviour = \"nothing\"\ncost_ns = \"20000 + (BLOCK_X - 96) * (BLOCK_X - 96) + "
                   "GRID_X * 7\"\n"};
    problem.dimensions.set("n", std::int64_t{4096});
    problem.parameters = {
        {"block",
         {std::int64_t{32}, std::int64_t{64}, std::int64_t{96}, std::int64_t{128}, std::int64_t{4096}},
         {},
         ParameterRole::block,
         true,
         {}},
        {"items", {std::int64_t{1}, std::int64_t{2}, std::int64_t{8}}, {}, ParameterRole::define, true, {}}};
    Launch launch;
    launch.entry = "valley";
    launch.block = {Expression::parse("block")};
    launch.grid = {Expression::parse("ceil_div(n, block * items)")};
    problem.launches = {launch};
    sim::Options simulated;
    simulated.move_bytes = false;
    if (telemetry)
      simulated.telemetry = [] {
        device::TelemetrySample sample;
        sample.sm_clock_mhz = 1980;
        sample.throttle_reasons = 0x4;
        return sample;
      };
    const auto backend = sim::make_backend(simulated);
    execution::LocalEvaluation evaluation(*backend, backend->devices().front(), problem, clock_);
    const auto space = problem.build_space();
    SessionOptions options;
    options.sustained.settle = Nanoseconds{2e6};
    options.sustained.block = Nanoseconds{1e6};
    SessionRecord record = run_session(problem, *space, StrategyRegistry::with_defaults(), evaluation, clock_, options);
    record.times.compile_cpu = {};  // of real compilers on a real processor
    text += transcript(record) + "\n";
  }
  compare_with_golden("sim", text);
}

// Every order in which compilers and the device take turns, with what goes wrong at the end of a session.
TEST_F(GoldenSessions, SideBySide) {
  std::string text;
  const auto add = [&](const char* name, FakeEvaluation& evaluation, const SessionOptions& options = {}) {
    text += fmt::format("== {}\n", name) + transcript(run(options, evaluation));
    const auto list = [&](const char* what, const std::vector<Configuration>& all) {
      text += what;
      for (const Configuration& one : all) text += " (" + one.describe() + ")";
      text += '\n';
    };
    list("compiled", evaluation.compiled);
    list("ran", evaluation.ran);
    list("verified", evaluation.verified_again);
    for (const auto& together : evaluation.interleaved) list("interleaved", together);
    for (const auto& together : evaluation.sustained) list("sustained", together);
    text += fmt::format("references {} most {} deadlines", evaluation.references.size(), evaluation.most_given);
    for (const Nanoseconds deadline : evaluation.deadlines) text += ' ' + number(deadline.count());
    text += fmt::format("\nended at {}\n\n", number(clock_.now().count()));
  };
  for (const std::size_t slots : {1u, 2u, 4u, 8u})
    for (const bool overlap : {true, false})
      for (const bool queues : {false, true}) {
        FakeEvaluation evaluation(clock_, model);
        evaluation.compile_slots = slots;
        evaluation.overlap = overlap;
        evaluation.queues_runs = queues;
        add("slots", evaluation);
      }
  {
    FakeEvaluation evaluation(clock_, model);
    evaluation.again = [](const Configuration& configuration, const Configuration&) {
      return value_of(configuration, "items") == 3 ? TrialStatus::wrong_result : TrialStatus::ok;
    };
    add("finalists fail", evaluation);
  }
  {
    problem_.verify_sizes = {Configuration{{"n", std::int64_t{512}}}, Configuration{{"n", std::int64_t{1000}}}};
    FakeEvaluation evaluation(clock_, model);
    evaluation.compile_slots = 3;
    evaluation.final_noise = [](const Configuration& configuration, int round) {
      return 1 + 0.01 * ((round * 7 + value_of(configuration, "block")) % 5);
    };
    add("sizes", evaluation);
    problem_.verify_sizes.clear();
  }
  {
    FakeEvaluation evaluation(clock_, model);
    evaluation.sm_clock_mhz = 1500;
    evaluation.at_power_limit = [](const Configuration& configuration) {
      return value_of(configuration, "block") == 64 ? 1.5 : 1.1;
    };
    add("power", evaluation);
  }
  for (const int at : {2, 7, 15, 40}) {
    FakeEvaluation evaluation(clock_, model);
    evaluation.compile_slots = 4;
    evaluation.queues_runs = true;
    std::atomic<bool> stop{false};
    int waits = 0;
    evaluation.on_wait = [&] { stop = ++waits >= at; };
    SessionOptions options;
    options.stop = &stop;
    add("stopped", evaluation, options);
  }
  compare_with_golden("side_by_side", text);
}

TEST_F(GoldenSessions, Callables) {
  std::string text;
  for (const char* const strategy : {"auto", "random", "genetic"}) {
    ManualClock clock;
    PerformanceTunerOptions tuner_options;
    tuner_options.clock = &clock;
    PerformanceTuner tuner(tuner_options);
    TuningSessionOptions options;
    options.strategy = strategy;
    options.seed = 4;
    if (std::string_view(strategy) != "auto") options.max_evaluations = 20;
    options.samples = 2;
    options.warmup = 1;
    Rng rng(9);
    std::string calls;
    const PerformanceMetrics metrics = tuner.run_tuning_session(
        "valley", SearchSpace{1'000'000, 64, 1024},
        [&](const KernelConfig& config) -> EvaluatorResult {
          calls += fmt::format(" {}", config.block_size.x);
          const Nanoseconds time(1000 + std::abs(static_cast<double>(config.block_size.x) - 500) * (1 + rng.uniform()));
          clock.advance(time);
          if (config.block_size.x % 7 == 0) return EvaluatorResult::failed(TrialStatus::wrong_result, "seven");
          return time;
        },
        options);
    text += fmt::format("strategy {} calls{}\n", metrics.strategy, calls);
    for (const Trial& trial : metrics.trials)
      text += fmt::format("trial {} {} | {} {} n={} cost={} {}\n", trial.ordinal, trial.configuration.describe(),
                          to_string(trial.status), number(trial.median), trial.samples.size(),
                          number(trial.times.measure.count()), trial.message);
    text += lines_of(metrics.finalists);
    text += fmt::format("best {} {} +- {} baseline {} speedup {} evaluated {} calls {} ties {} stop '{}' took {}\n",
                        metrics.best->describe(), number(metrics.best_time.count()),
                        number(metrics.best_spread.count()), number(metrics.baseline_time), number(metrics.speedup),
                        metrics.configs_evaluated, metrics.evaluator_calls, metrics.ties.size(), metrics.stop_reason,
                        number(metrics.tuning_duration.count()));
    for (const std::string& warning : metrics.warnings) text += "warning: " + warning + "\n";
    text += '\n';
  }
  compare_with_golden("callables", text);
}

}  // namespace
}  // namespace warpwright::tuning
