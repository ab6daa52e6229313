#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/execution/replay_device.hpp>
#include <warpwright/search/replay.hpp>
#include <warpwright/tuning/comparison.hpp>
#include <warpwright/tuning/session.hpp>

#include "error_of.hpp"

namespace warpwright::tuning {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

double time_ms(std::int64_t block, std::int64_t tile) {
  return 1 + std::abs(std::log2(static_cast<double>(block)) - 6) + 0.25 * std::abs(static_cast<double>(tile) - 2);
}

// Three blocks by three tiles, one that did not compile, one that could not be launched.
RecordedSpace recording() {
  RecordedSpace space;
  space.kernel = "valley";
  space.device = "GPU";
  space.problem_size = "[64, 64]";
  space.parameters.resize(2);
  space.parameters[0].name = "block";
  space.parameters[0].values = {std::int64_t{32}, std::int64_t{64}, std::int64_t{128}};
  space.parameters[1].name = "tile";
  space.parameters[1].values = {std::int64_t{1}, std::int64_t{2}, std::int64_t{4}};
  for (std::uint32_t b = 0; b < 3; ++b) {
    for (std::uint32_t t = 0; t < 3; ++t) {
      RecordedTrial trial;
      trial.values = {b, t};
      trial.costs.compile = Milliseconds(100);
      if (b == 2 && t == 2) {
        trial.status = TrialStatus::compile_failed;
        trial.message = "too large";
      } else if (b == 0 && t == 0) {
        trial.status = TrialStatus::launch_failed;
      } else {
        trial.objective =
            time_ms(*as_integer(space.parameters[0].values[b]), *as_integer(space.parameters[1].values[t]));
        trial.costs.benchmark = Milliseconds(20);
        trial.costs.framework = Milliseconds(3);
        trial.costs.verify = Milliseconds(2);
      }
      space.trials.push_back(std::move(trial));
    }
  }
  return space;
}

Problem specification() {
  Problem problem;
  problem.name = "valley";
  problem.file = "valley.toml";
  // In another order than the recording, with a value that was not recorded.
  problem.parameters.resize(2);
  problem.parameters[0].name = "tile";
  problem.parameters[0].values = {std::int64_t{1}, std::int64_t{2}, std::int64_t{4}, std::int64_t{8}};
  problem.parameters[0].default_value = std::int64_t{4};
  problem.parameters[1].name = "block";
  problem.parameters[1].values = {std::int64_t{128}, 64.0, std::int64_t{32}};  // 64.0 is 64
  problem.parameters[1].default_value = std::int64_t{32};
  problem.dimensions = Configuration{{"n", std::int64_t{4096}}};
  problem.metrics.push_back({"rate", Expression::parse("n / time_ns")});
  return problem;
}

std::string error_of(ErrorCode code, const RecordedSpace& recorded, const Problem* problem = nullptr) {
  return message_of(code, [&] { execution::ReplayDevice(recorded, "id", "file.json", problem); });
}

SessionRecord run(execution::ReplayDevice& device, const SessionOptions& options = {}) {
  return run_session(device.problem(), device.space(), StrategyRegistry::with_defaults(), device.evaluation(),
                     device.clock(), options);
}

TEST(ReplayDevice, SessionFindsTheRecordedOptimum) {
  execution::ReplayDevice device(recording(), "id", "file.json");
  EXPECT_EQ(device.space().size(), 9u);
  const SessionRecord result = run(device);
  EXPECT_EQ(result.best->describe(), "block=64, tile=2");
  EXPECT_EQ(result.best_median, Nanoseconds(Milliseconds(1)));
  EXPECT_EQ(result.evaluations, 9u);
  EXPECT_EQ(result.by_status[static_cast<std::size_t>(TrialStatus::ok)], 7u);
  EXPECT_EQ(result.by_status[static_cast<std::size_t>(TrialStatus::compile_failed)], 1u);
  EXPECT_EQ(result.by_status[static_cast<std::size_t>(TrialStatus::launch_failed)], 1u);
  EXPECT_THAT(result.verification, AllOf(HasSubstr("not verified"), HasSubstr("file.json")));
  EXPECT_FALSE(result.reverified);
  EXPECT_EQ(result.evaluation.device.name, "GPU (recorded)");
  EXPECT_EQ(result.evaluation.device.id.to_string(), "replay:0");
  EXPECT_EQ(result.evaluation.device.kind, DeviceKind::simulated);
  // The first values cannot be launched: no speed-up, and the record's reason.
  EXPECT_EQ(result.baseline->status, TrialStatus::launch_failed);
  EXPECT_FALSE(result.speedup);
  for (const Trial& trial : result.trials)
    EXPECT_EQ(trial.message, trial.status == TrialStatus::compile_failed  ? "too large"
                             : trial.status == TrialStatus::launch_failed ? "recorded so in 'file.json'"
                                                                          : "");
}

TEST(ReplayDevice, ChargesWhatWasRecorded) {
  execution::ReplayDevice device(recording(), "id", "file.json");
  SessionOptions options;
  options.strategy = "exhaustive";
  options.finalists = 0;
  const SessionRecord result = run(device, options);
  // 9 x compiling and 7 x the rest; the baseline is the first of the space and is not measured twice.
  EXPECT_NEAR(Milliseconds(result.times.total).count(), 9 * 100 + 7 * 25, 1e-6);
  EXPECT_NEAR(Milliseconds(result.times.compile_wait).count(), 900, 1e-6);
  EXPECT_NEAR(Milliseconds(result.times.measure).count(), 7 * 20, 1e-6);
  EXPECT_NEAR(Milliseconds(result.times.verify).count(), 7 * 2, 1e-6);
  EXPECT_NEAR(Milliseconds(result.times.copy).count(), 7 * 3, 1e-6);
  // A limit is of recorded time, so it ends at the same configuration on every machine.
  execution::ReplayDevice again(recording(), "id", "file.json");
  options.time_limit = Nanoseconds(Milliseconds(400));
  const SessionRecord limited = run(again, options);
  EXPECT_EQ(limited.stop_reason, "time limit");
  EXPECT_EQ(limited.evaluations, 4u);
}

TEST(ReplayDevice, AsksLikeAReplayOfTheSameStrategy) {
  const auto recorded = std::make_shared<const RecordedSpace>(recording());
  for (const char* const name : {"random", "genetic", "bayesian"}) {
    SCOPED_TRACE(name);
    SessionOptions options;
    options.strategy = name;
    options.strategy_settings.seed = 7;
    options.max_evaluations = 6;
    execution::ReplayDevice device(*recorded, "id", "file.json");
    std::vector<std::string> asked, expected;
    for (const Trial& trial : run(device, options).trials) asked.push_back(trial.configuration.describe());
    const Replay plain(recorded);
    StrategySettings settings;
    settings.seed = 7;
    settings.budget.evaluations = 6;
    const auto strategy = StrategyRegistry::with_defaults().create(name, plain.space(), settings);
    ReplayOptions replay_options;
    replay_options.budget = settings.budget;
    for (const ReplayStep& step : replay(plain, *strategy, replay_options).steps)
      expected.push_back(plain.space().at(step.index).describe());
    EXPECT_EQ(asked, expected);
  }
}

TEST(ReplayDevice, SpecificationGivesBaselineConstraintsAndMetrics) {
  Problem problem = specification();
  problem.constraints.push_back(Constraint::parse("block * tile <= 256"));
  execution::ReplayDevice device(recording(), "id", "file.json", &problem);
  // 128 x 4 breaks the constraint; tile = 8 with blocks of 32 was not recorded.
  EXPECT_EQ(device.space().size(), 8u);
  EXPECT_THAT(device.notes(), ElementsAre(HasSubstr("1 of 9 recorded"), HasSubstr("1 of the 9 configurations")));
  const SessionRecord result = run(device);
  EXPECT_EQ(result.best->describe(), "tile=2, block=64.0");
  EXPECT_EQ(result.baseline->configuration.describe(), "tile=4, block=32");
  EXPECT_DOUBLE_EQ(*result.speedup, time_ms(32, 4));
  for (const Trial& trial : result.trials) EXPECT_EQ(trial.metrics.count("rate"), trial.ok() ? 1u : 0u);
  const auto profile = make_profile(device.problem(), result, measure::CacheMode::cold);
  EXPECT_EQ(profile->key.backend, "replay");
  EXPECT_EQ(profile->key.device_kind, "simulated");
  EXPECT_EQ(profile->key.dimensions, problem.dimensions);
}

TEST(ReplayDevice, BaselineThatWasNotRecordedIsSaidSo) {
  Problem problem = specification();
  problem.parameters[0].default_value = std::int64_t{8};
  execution::ReplayDevice device(recording(), "id", "file.json", &problem);
  const SessionRecord result = run(device);
  EXPECT_EQ(result.baseline->status, TrialStatus::pruned);
  EXPECT_THAT(result.warnings, Contains(AllOf(HasSubstr("baseline"), HasSubstr("not in the recording"))));
  EXPECT_TRUE(result.best);
}

TEST(ReplayDevice, Comparison) {
  execution::ReplayDevice device(recording(), "id", "file.json");
  const auto configuration = [](std::int64_t block, std::int64_t tile) {
    return Configuration{{"block", block}, {"tile", tile}};
  };
  const ComparisonResult result = compare_configurations(
      device.problem(), device.evaluation(), device.clock(),
      {configuration(128, 2), configuration(64, 2), configuration(32, 1), configuration(256, 1)});
  EXPECT_EQ(result.fastest, std::size_t{1});
  EXPECT_EQ(result.configurations[0].median, Nanoseconds(Milliseconds(2)));
  EXPECT_EQ(result.configurations[0].ratio.median, 2);
  EXPECT_FALSE(result.configurations[0].tie);
  EXPECT_EQ(result.configurations[2].trial.status, TrialStatus::launch_failed);
  EXPECT_EQ(result.configurations[3].trial.status, TrialStatus::pruned);
}

TEST(ReplayDevice, DisagreementsAreNamed) {
  Problem problem = specification();
  problem.parameters[0].name = "tiles";
  EXPECT_THAT(error_of(ErrorCode::bad_input, recording(), &problem),
              AllOf(HasSubstr("valley.toml"), HasSubstr("file.json"), HasSubstr("no parameter 'tile'"),
                    HasSubstr("did you mean 'tiles'")));
  problem = specification();
  problem.parameters.push_back({"extra", {std::int64_t{1}}, {}, {}, true, {}});
  EXPECT_THAT(error_of(ErrorCode::bad_input, recording(), &problem),
              HasSubstr("the recording has no parameter 'extra'"));
  problem = specification();
  problem.parameters[1].values = {std::int64_t{128}, std::int64_t{32}};
  EXPECT_THAT(error_of(ErrorCode::bad_input, recording(), &problem), HasSubstr("block = 64"));
  problem = specification();
  problem.constraints.push_back(Constraint::parse("tile == 8"));
  EXPECT_THAT(error_of(ErrorCode::bad_input, recording(), &problem), HasSubstr("reject everything"));
}

TEST(ReplayDevice, RecordingsThatCannotStandForADevice) {
  RecordedSpace recorded = recording();
  recorded.objective = "GFLOP/s";
  recorded.minimise = false;
  EXPECT_THAT(error_of(ErrorCode::unsupported, recorded), AllOf(HasSubstr("GFLOP/s"), HasSubstr("simulate")));
  recorded = recording();
  recorded.trials.clear();
  EXPECT_THAT(error_of(ErrorCode::bad_input, recorded), HasSubstr("no configuration"));
  // A time that is none is an outcome.
  recorded = recording();
  recorded.trials[4].objective = 0;
  execution::ReplayDevice device(recorded, "id", "file.json");
  EXPECT_EQ(run(device).by_status[static_cast<std::size_t>(TrialStatus::not_finite)], 1u);
}

}  // namespace
}  // namespace warpwright::tuning
