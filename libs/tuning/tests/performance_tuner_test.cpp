#include <limits>
#include <map>
#include <new>
#include <set>

#include "performance_support.hpp"

namespace warpwright {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

// ---- the types
// -------------------------------------------------------------------------------------------------------

TEST(EvaluatorResult, TakesThroughputAndDurationsAndNothingElse) {
  static_assert(std::is_convertible_v<Throughput, EvaluatorResult>);
  static_assert(std::is_convertible_v<std::chrono::milliseconds, EvaluatorResult>);
  static_assert(std::is_convertible_v<Nanoseconds, EvaluatorResult>);
  static_assert(!std::is_convertible_v<double, EvaluatorResult>);
  static_assert(!std::is_convertible_v<int, EvaluatorResult>);
  EXPECT_EQ(EvaluatorResult(3ms).time()->count(), 3e6);
  EXPECT_EQ(EvaluatorResult(Throughput{5}).throughput()->per_second, 5);
  const auto failed = EvaluatorResult::failed(TrialStatus::wrong_result, "element 3");
  EXPECT_EQ(failed.status(), TrialStatus::wrong_result);
  EXPECT_EQ(failed.message(), "element 3");
  EXPECT_FALSE(failed.time() || failed.throughput());
  error_of(ErrorCode::bad_input, [] { EvaluatorResult::failed(TrialStatus::ok, ""); });
}

TEST(Throughput, IsWorkByTime) {
  EXPECT_DOUBLE_EQ(Throughput::of(1000, 2ms).per_second, 500'000);
  EXPECT_LT(Throughput{1}, Throughput{2});
}

// ---- the simple form
// -------------------------------------------------------------------------------------------------

TEST(PerformanceTuner, FindsTheFastestBlockSize) {
  PerformanceTuner tuner;
  std::map<std::int64_t, int> calls;
  TuningSessionOptions options;
  options.final_rounds = 0;
  const auto metrics = tuner.run_tuning_session(
      "valley", SearchSpace{1'000'000, 64, 1024},
      [&](const KernelConfig& config) {
        EXPECT_EQ(config.grid_size->x, (1'000'000 + config.block_size.x - 1) / config.block_size.x);
        EXPECT_EQ(config.shared_memory, Bytes{});
        ++calls[config.block_size.x];
        return valley(config);
      },
      options);
  EXPECT_EQ(metrics.best_kernel->block_size.x, 512);
  EXPECT_DOUBLE_EQ(*metrics.speedup, 2.0);  // 256 is one octave off
  EXPECT_DOUBLE_EQ(metrics.best_throughput->per_second, 1e6 / 1e-6);
  EXPECT_EQ(metrics.configs_evaluated, 31u);  // 64, 96, ... 1024
  EXPECT_EQ(metrics.evaluator_calls, 31u);
  EXPECT_EQ(calls.size(), 31u);
  for (const auto& [block, times] : calls) EXPECT_EQ(times, 1) << block;
  EXPECT_EQ(metrics.trials.size(), 31u);
  EXPECT_EQ(metrics.space_size, 31u);
  EXPECT_EQ(count(metrics, TrialStatus::ok), 31u);
  EXPECT_EQ(metrics.strategy, "exhaustive");
  EXPECT_EQ(metrics.stop_reason, "space exhausted");
  EXPECT_EQ(metrics.baseline->configuration, (Configuration{{"block_size", std::int64_t{256}}}));
  EXPECT_EQ(metrics.baseline_time->count(), 2000);
  EXPECT_FALSE(metrics.interrupted);
  EXPECT_THAT(metrics.warnings, IsEmpty());
  EXPECT_GE(metrics.tuning_duration.count(), 0);
}

TEST(PerformanceTuner, ThroughputAndTimeMeanTheSame) {
  PerformanceTuner tuner;
  TuningSessionOptions options;
  const SearchSpace space{4096, 32, 1024};
  const auto by_time = tuner.run_tuning_session("time", space, valley, options);
  const auto by_rate = tuner.run_tuning_session(
      "rate", space, [](const KernelConfig& config) { return Throughput::of(4096, valley(config)); }, options);
  EXPECT_NEAR(by_time.best_time.count(), by_rate.best_time.count(), 1e-6);
  EXPECT_NEAR(by_time.best_throughput->per_second, by_rate.best_throughput->per_second, 1);
  EXPECT_NEAR(*by_time.speedup, *by_rate.speedup, 1e-9);
  EXPECT_EQ(by_time.best_kernel->block_size, by_rate.best_kernel->block_size);
}

TEST(PerformanceTuner, BaselineIs256ClampedIntoTheRange) {
  PerformanceTuner tuner;
  const auto baseline = [&](int low, int high) {
    const auto metrics = tuner.run_tuning_session("clamp", SearchSpace{1000, low, high}, valley);
    return *as_integer(metrics.baseline->configuration.at("block_size"));
  };
  EXPECT_EQ(baseline(32, 1024), 256);
  EXPECT_EQ(baseline(32, 128), 128);
  EXPECT_EQ(baseline(512, 1024), 512);
  EXPECT_EQ(baseline(100, 100), 100);  // no multiple of the warp in the range
  EXPECT_EQ(baseline(1, 20), 20);
}

TEST(PerformanceTuner, GivenBaselineIsMeasuredOnTheSameWork) {
  PerformanceTuner tuner;
  SearchSpace space{1000, 64, 128};
  space.baseline = KernelConfig{};
  space.baseline->block_size = Dim3{96};
  auto metrics = tuner.run_tuning_session("candidate", space, valley);
  EXPECT_EQ(metrics.baseline->configuration, (Configuration{{"block_size", std::int64_t{96}}}));
  EXPECT_EQ(metrics.configs_evaluated, 3u);  // the baseline is one of them

  // Outside the candidates it is measured, and cannot win although it is fastest.
  space.baseline->block_size = Dim3{16, 16};
  int calls = 0;
  TuningSessionOptions options;
  options.final_rounds = 0;
  metrics = tuner.run_tuning_session(
      "outside", space,
      [&](const KernelConfig& config) -> EvaluatorResult {
        if (config.block_size.y == 1) return valley(config);
        ++calls;
        EXPECT_EQ(config.grid_size->x, 4);  // 1000 elements in blocks of 256
        return 1ns;
      },
      options);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(metrics.configs_evaluated, 4u);
  EXPECT_EQ(metrics.best_kernel->block_size, Dim3{128});
  EXPECT_LT(*metrics.speedup, 1);
  EXPECT_EQ(metrics.trials.size(), 3u);
  space.baseline->block_size = Dim3{0};
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { tuner.run_tuning_session("zero", space, valley); }),
              HasSubstr("baseline"));
}

TEST(PerformanceTuner, SharedMemoryFollowsTheBlock) {
  PerformanceTuner tuner;
  SearchSpace space{1000, 64, 128, [](int threads) { return Bytes(static_cast<std::uint64_t>(threads) * 8); }};
  const auto metrics = tuner.run_tuning_session("shared", space, [](const KernelConfig& config) {
    EXPECT_EQ(config.shared_memory.count, static_cast<std::uint64_t>(config.block_size.x) * 8);
    return valley(config);
  });
  EXPECT_EQ(metrics.best_kernel->shared_memory.count, 128u * 8);
  space.use_shared_memory = [](int) -> Bytes { throw std::runtime_error("no idea"); };
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { tuner.run_tuning_session("shared", space, valley); }),
              AllOf(HasSubstr("use_shared_memory"), HasSubstr("no idea")));
}

TEST(PerformanceTuner, ElementsPerThreadShrinkTheGrid) {
  PerformanceTuner tuner;
  SearchSpace space{1 << 20, 128, 256};
  space.elements_per_thread = {1, 4};
  std::set<std::pair<std::int64_t, std::int64_t>> launches;
  const auto metrics = tuner.run_tuning_session("elements", space, [&](const KernelConfig& config) {
    launches.emplace(config.block_size.x, config.grid_size->x);
    return Nanoseconds(static_cast<double>(config.grid_size->x));
  });
  EXPECT_EQ(metrics.space_size, 10u);
  EXPECT_TRUE(launches.count({256, 1024}) == 1 && launches.count({256, 4096}) == 1);
  EXPECT_EQ(metrics.best_kernel->grid_size->x, 1024);
  EXPECT_EQ(metrics.best->at("elements_per_thread"), Value(std::int64_t{4}));
}

TEST(PerformanceTuner, RecommendationsAreAskedFirst) {
  PerformanceTunerOptions options;
  options.kernel_tuner = KernelTuner::for_architecture("sm_90");
  PerformanceTuner tuner(options);
  RecommendOptions recommend;
  recommend.min_occupancy = 0;
  const auto expected = options.kernel_tuner->recommend({1'000'003, 1}, {}, recommend);
  std::vector<std::int64_t> order;
  tuner.run_tuning_session("seeds", SearchSpace{1'000'003, 32, 1024}, [&](const KernelConfig& config) {
    order.push_back(config.block_size.x);
    return valley(config);
  });
  std::vector<std::int64_t> wanted{256};  // the baseline comes before them
  for (const auto& one : expected)
    if (one.config.block_size.x != 256) wanted.push_back(one.config.block_size.x);
  ASSERT_GE(wanted.size(), 3u);
  order.resize(wanted.size());
  EXPECT_EQ(order, wanted);
}

TEST(PerformanceTuner, OccupancyPrunesOnlyWithKnownResources) {
  PerformanceTunerOptions options;
  options.kernel_tuner = KernelTuner::for_architecture("sm_90");
  PerformanceTuner tuner(options);
  SearchSpace space{1 << 20, 32, 1024};
  auto metrics = tuner.run_tuning_session("unknown", space, valley);
  EXPECT_EQ(count(metrics, TrialStatus::pruned), 0u);

  KernelResources resources;
  resources.registers_per_thread = 128;  // 65536 registers hold 512 such threads
  space.resources = resources;
  std::int64_t largest = 0;
  metrics = tuner.run_tuning_session("known", space, [&](const KernelConfig& config) {
    largest = std::max(largest, config.block_size.x);
    return valley(config);
  });
  EXPECT_EQ(largest, 512);
  EXPECT_EQ(count(metrics, TrialStatus::pruned), 16u);
  EXPECT_EQ(metrics.configs_evaluated, 16u);  // pruned ones are not counted
  for (const auto& trial : metrics.trials) {
    if (trial.status == TrialStatus::pruned) {
      EXPECT_THAT(trial.message, HasSubstr("registers"));
    }
  }

  space.min_occupancy = 0.25;
  space.resources->registers_per_thread = 168;
  metrics = tuner.run_tuning_session("occupancy", space, valley);
  EXPECT_THAT(metrics.trials, Contains(testing::Field(&Trial::message, HasSubstr("below the 25 % asked for"))));
  space.resources.reset();
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { tuner.run_tuning_session("occupancy", space, valley); }),
              HasSubstr("min_occupancy"));
}

TEST(PerformanceTuner, DeviceLimitsPrune) {
  PerformanceTunerOptions options;
  options.device.emplace();
  options.device->id = {"opencl", {0, 0}};
  options.device->kind = DeviceKind::accelerator;
  options.device->name = "small";
  options.device->max_threads_per_block = 128;
  options.device->max_block = {128, 128, 64};
  options.device->shared_per_block = Bytes{1024};
  PerformanceTuner tuner(options);
  SearchSpace space{4096, 32, 1024, [](int threads) { return Bytes(static_cast<std::uint64_t>(threads) * 16); }};
  const auto metrics = tuner.run_tuning_session("limits", space, valley);
  EXPECT_EQ(metrics.configs_evaluated, 2u);  // 32 and 64: 96 x 16 bytes are too many
  // The baseline of 256 threads cannot be launched, and that is said.
  EXPECT_EQ(metrics.baseline->status, TrialStatus::pruned);
  EXPECT_FALSE(metrics.speedup);
  EXPECT_THAT(metrics.warnings, Contains(AllOf(HasSubstr("baseline"), HasSubstr("no speed-up"))));
  EXPECT_EQ(metrics.best_kernel->block_size, Dim3{64});
  EXPECT_EQ(tuner.profile("limits")->key.device, "small");
  EXPECT_FALSE(tuner.profile("limits")->speedup());
}

TEST(PerformanceTuner, SaysWhichFieldOfASpaceIsWrong) {
  PerformanceTuner tuner;
  const auto message = [&](const SearchSpace& space) {
    return error_of(ErrorCode::bad_input, [&] { tuner.run_tuning_session("wrong", space, valley); });
  };
  EXPECT_THAT(message({0, 32, 64}), HasSubstr("workload_size"));
  EXPECT_THAT(message({~std::uint64_t{0}, 32, 64}), HasSubstr("workload_size"));
  EXPECT_THAT(message({10, 0, 64}), HasSubstr("min_block_size"));
  EXPECT_THAT(message({10, 128, 64}), HasSubstr("max_block_size"));
  SearchSpace space{10, 32, 64};
  space.elements_per_thread = {};
  EXPECT_THAT(message(space), HasSubstr("elements_per_thread"));
  space.elements_per_thread = {0};
  EXPECT_THAT(message(space), HasSubstr("elements_per_thread"));
  space.elements_per_thread = {1};
  space.min_occupancy = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(message(space), HasSubstr("min_occupancy"));
}

TEST(PerformanceTuner, SaysWhichOptionIsWrong) {
  PerformanceTuner tuner;
  const auto message = [&](const std::function<void(TuningSessionOptions&)>& change) {
    TuningSessionOptions options;
    change(options);
    return error_of(ErrorCode::bad_input, [&] {
      tuner.run_tuning_session("wrong", SearchSpace{10, 32, 64}, valley, options);
    });
  };
  EXPECT_THAT(message([](auto& o) { o.samples = 0; }), HasSubstr("samples"));
  EXPECT_THAT(message([](auto& o) { o.warmup = -1; }), HasSubstr("warmup"));
  EXPECT_THAT(message([](auto& o) { o.batch = 0; }), HasSubstr("batch"));
  EXPECT_THAT(message([](auto& o) { o.finalists = -1; }), HasSubstr("finalists"));
  EXPECT_THAT(message([](auto& o) { o.max_evaluations = 0; }), HasSubstr("max_evaluations"));
  EXPECT_THAT(message([](auto& o) { o.time_limit = Nanoseconds{0}; }), HasSubstr("time_limit"));
  EXPECT_THAT(message([](auto& o) { o.strategy = "randm"; }), HasSubstr("did you mean 'random'"));
  EXPECT_THAT(message([](auto& o) {
                o.strategy = "random";
                o.strategy_options["width"] = std::int64_t{1};
              }),
              HasSubstr("width"));
  const auto factory = [](const Space& space, const StrategySettings& settings) {
    return make_random(space, settings);
  };
  EXPECT_THAT(message([&](auto& o) {
                o.strategy = "random";
                o.make_algorithm = factory;
              }),
              HasSubstr("not several"));
  EXPECT_THAT(message([&](auto& o) {
                o.make_algorithm = factory;
                o.strategy_options["a"] = true;
              }),
              HasSubstr("strategy_options"));
  EXPECT_THAT(
      message([](auto& o) { o.make_algorithm = [](const Space&, const StrategySettings&) { return nullptr; }; }),
      HasSubstr("make_algorithm"));
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { tuner.run_tuning_session("", SearchSpace{10}, valley); }),
              HasSubstr("name"));
  EXPECT_THAT(
      error_of(ErrorCode::bad_input, [&] { tuner.run_tuning_session("e", SearchSpace{10}, KernelEvaluator{}); }),
      HasSubstr("evaluator"));
}

// ---- evaluators that fail
// --------------------------------------------------------------------------------------------

TEST(PerformanceTuner, WhateverAnEvaluatorDoesIsAnOutcome) {
  PerformanceTuner tuner;
  struct Case {
    std::function<EvaluatorResult()> act;
    TrialStatus status;
    std::string message;
  };
  static constexpr double nan = std::numeric_limits<double>::quiet_NaN(),
                          infinity = std::numeric_limits<double>::infinity();
  const std::vector<Case> cases{
      {[]() -> EvaluatorResult { throw std::runtime_error("boom"); }, TrialStatus::launch_failed, "boom"},
      {[]() -> EvaluatorResult { throw 42; }, TrialStatus::launch_failed, "no std::exception"},
      {[]() -> EvaluatorResult { throw std::bad_alloc(); }, TrialStatus::resource_exceeded, "out of memory"},
      {[]() -> EvaluatorResult { throw Error(ErrorCode::compile, "line 3"); }, TrialStatus::compile_failed, "line 3"},
      {[]() -> EvaluatorResult { throw Error(ErrorCode::launch, "refused"); }, TrialStatus::launch_failed, "refused"},
      {[]() -> EvaluatorResult { throw Error(ErrorCode::device, "lost"); }, TrialStatus::device_fault, "lost"},
      {[]() -> EvaluatorResult { throw Error(ErrorCode::timeout, "late"); }, TrialStatus::timed_out, "late"},
      {[]() -> EvaluatorResult { throw Error(ErrorCode::out_of_memory, "full"); }, TrialStatus::resource_exceeded,
       "full"},
      {[]() -> EvaluatorResult { return Throughput{nan}; }, TrialStatus::not_finite, "nan"},
      {[]() -> EvaluatorResult { return Throughput{infinity}; }, TrialStatus::not_finite, "inf"},
      {[]() -> EvaluatorResult { return Throughput{0}; }, TrialStatus::wrong_result, "positive"},
      {[]() -> EvaluatorResult { return Throughput{-1}; }, TrialStatus::wrong_result, "positive"},
      {[]() -> EvaluatorResult { return Throughput{5e-324}; }, TrialStatus::not_finite, "time"},
      {[]() -> EvaluatorResult { return Throughput{1e308}; }, TrialStatus::ok, ""},
      {[]() -> EvaluatorResult { return Nanoseconds{nan}; }, TrialStatus::not_finite, "nan"},
      {[]() -> EvaluatorResult { return Nanoseconds{infinity}; }, TrialStatus::not_finite, "inf"},
      {[]() -> EvaluatorResult { return 0s; }, TrialStatus::wrong_result, "positive"},
      {[]() -> EvaluatorResult { return -3ms; }, TrialStatus::wrong_result, "positive"},
      {[]() -> EvaluatorResult { return EvaluatorResult::failed(TrialStatus::out_of_bounds, "beyond"); },
       TrialStatus::out_of_bounds, "beyond"},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    TuningSessionOptions options;
    options.final_rounds = 0;
    const auto metrics = tuner.run_tuning_session(
        "outcomes", small_space(),
        [&](const Configuration& c) -> EvaluatorResult {
          if (c.at("tile") == Value(std::int64_t{2})) return cases[i].act();
          return Nanoseconds(small_time(c));
        },
        options);
    const std::size_t bad = cases[i].status == TrialStatus::ok ? 0 : 2;
    EXPECT_EQ(metrics.trials.size(), 8u);
    EXPECT_EQ(metrics.configs_evaluated, 8u);
    EXPECT_EQ(count(metrics, TrialStatus::ok), 8 - bad);
    if (bad == 0) continue;
    EXPECT_EQ(count(metrics, cases[i].status), bad);
    EXPECT_EQ(metrics.best_time.count(), 100);
    for (const auto& trial : metrics.trials) {
      if (trial.ok()) continue;
      EXPECT_THAT(trial.message, HasSubstr(cases[i].message));
      EXPECT_FALSE(trial.median);
      EXPECT_TRUE(trial.samples.empty());
    }
  }
}

TEST(PerformanceTuner, FailedBaselineGivesNoSpeedup) {
  PerformanceTuner tuner;
  const auto metrics =
      tuner.run_tuning_session("bad baseline", small_space(), [](const Configuration& c) -> EvaluatorResult {
        if (c.at("tile") == Value(std::int64_t{1})) throw std::runtime_error("cannot");
        return Nanoseconds(small_time(c));
      });
  EXPECT_EQ(metrics.baseline->status, TrialStatus::launch_failed);
  EXPECT_FALSE(metrics.speedup);
  EXPECT_FALSE(metrics.baseline_time);
  EXPECT_TRUE(metrics.best);
  EXPECT_THAT(metrics.warnings, Contains(AllOf(HasSubstr("baseline"), HasSubstr("cannot"), HasSubstr("no speed-up"))));
}

TEST(PerformanceTuner, NothingValidGivesNoWinnerAndNoProfile) {
  PerformanceTuner tuner;
  const auto metrics = tuner.run_tuning_session("nothing", small_space(), [](const Configuration&) { return 0s; });
  EXPECT_FALSE(metrics.best || metrics.best_throughput || metrics.speedup || metrics.best_kernel);
  EXPECT_EQ(count(metrics, TrialStatus::wrong_result), 8u);
  EXPECT_EQ(metrics.configs_evaluated, 8u);
  EXPECT_FALSE(tuner.profile("nothing"));
}

// ---- sampling and the final comparison
// -------------------------------------------------------------------------------

TEST(PerformanceTuner, MedianOfSamplesAfterWarmUp) {
  PerformanceTuner tuner;
  TuningSessionOptions options;
  options.warmup = 2;
  options.samples = 5;
  options.final_rounds = 0;
  std::map<std::string, int> calls;
  const auto metrics = tuner.run_tuning_session(
      "samples", small_space(),
      [&](const Configuration& c) {
        const int call = calls[c.describe()]++;
        const double factor[] = {100, 50, 1.1, 0.9, 1, 30, 1};
        return Nanoseconds(small_time(c) * factor[call]);
      },
      options);
  EXPECT_EQ(metrics.configs_evaluated, 8u);
  EXPECT_EQ(metrics.evaluator_calls, 56u);
  EXPECT_EQ(metrics.best_time.count(), 100);
  for (const auto& trial : metrics.trials) {
    EXPECT_EQ(trial.samples.size(), 5u);
    EXPECT_EQ(trial.median->count(), small_time(trial.configuration));
  }
  // One failing sample fails the configuration, and says which it was.
  calls.clear();
  const auto failing = tuner.run_tuning_session(
      "failing", small_space(),
      [&](const Configuration& c) -> EvaluatorResult {
        if (calls[c.describe()]++ == 3) throw std::runtime_error("fourth");
        return 1us;
      },
      options);
  EXPECT_EQ(count(failing, TrialStatus::launch_failed), 8u);
  EXPECT_THAT(failing.trials.front().message, AllOf(HasSubstr("call 4 of 7"), HasSubstr("fourth")));
}

TEST(PerformanceTuner, SpeedupIsOfFreshSamples) {
  PerformanceTuner tuner;
  std::map<std::string, int> calls;
  TuningSessionOptions options;
  options.final_rounds = 5;
  options.finalists = 3;
  const auto metrics = tuner.run_tuning_session(
      "lucky", small_space(),
      [&](const Configuration& c) {
        // One configuration was lucky once.
        const bool lucky = c.describe() == "tile=8, layout='column'" && calls[c.describe()]++ == 0;
        return Nanoseconds(lucky ? 1 : small_time(c));
      },
      options);
  EXPECT_EQ(*metrics.best, (Configuration{{"tile", std::int64_t{4}}, {"layout", std::string("column")}}));
  EXPECT_EQ(metrics.best_time.count(), 100);
  EXPECT_DOUBLE_EQ(*metrics.speedup, 1.35);
  ASSERT_EQ(metrics.finalists.size(), 4u);  // and the baseline
  EXPECT_EQ(metrics.finalists.front().configuration, *metrics.best);
  for (const auto& finalist : metrics.finalists) EXPECT_EQ(finalist.samples.size(), 5u);
  EXPECT_EQ(metrics.ties, std::vector<Configuration>{*metrics.best});
  EXPECT_EQ(metrics.configs_evaluated, 8u);
  EXPECT_EQ(metrics.evaluator_calls, 8u + 4 * 5);
  // Two rounds chose, three are reported, which is too few for 95 %.
  ASSERT_TRUE(metrics.speedup_interval);
  EXPECT_DOUBLE_EQ(metrics.speedup_interval->low, 1.35);
  EXPECT_DOUBLE_EQ(metrics.speedup_interval->confidence, 0.75);
  EXPECT_EQ(tuner.profile("lucky")->samples, 3);
  ASSERT_TRUE(tuner.profile("lucky")->paired_speedup);
  EXPECT_DOUBLE_EQ(tuner.profile("lucky")->paired_speedup->interval.high, 1.35);
}

TEST(PerformanceTuner, FinalistsThatFailAreNoWinners) {
  PerformanceTuner tuner;
  std::map<std::string, int> calls;
  const auto best_fails =
      tuner.run_tuning_session("fails", small_space(), [&](const Configuration& c) -> EvaluatorResult {
        if (calls[c.describe()]++ > 2 && c.describe() == "tile=4, layout='column'")
          throw std::runtime_error("worn out");
        return Nanoseconds(small_time(c));
      });
  EXPECT_EQ(best_fails.best->describe(), "tile=4, layout='row'");
  EXPECT_EQ(count(best_fails, TrialStatus::launch_failed), 1u);
  EXPECT_EQ(count(best_fails, TrialStatus::ok), 7u);
  EXPECT_THAT(best_fails.warnings, Contains(HasSubstr("worn out")));
  EXPECT_TRUE(best_fails.speedup);

  // All finalists and the baseline fail: the best of the rest stands, without a speed-up.
  calls.clear();
  const auto all_fail =
      tuner.run_tuning_session("all fail", small_space(), [&](const Configuration& c) -> EvaluatorResult {
        if (calls[c.describe()]++ > 0) throw std::runtime_error("worn out");
        return Nanoseconds(small_time(c));
      });
  EXPECT_TRUE(all_fail.best);
  EXPECT_FALSE(all_fail.speedup);
  EXPECT_TRUE(all_fail.finalists.empty());
  EXPECT_EQ(count(all_fail, TrialStatus::launch_failed), 4u);
  EXPECT_EQ(count(all_fail, TrialStatus::ok), 4u);
}

TEST(PerformanceTuner, LongEvaluationsAreNotComparedAgain) {
  ManualClock clock;
  PerformanceTunerOptions tuner_options;
  tuner_options.clock = &clock;
  PerformanceTuner tuner(tuner_options);
  const auto evaluator = [&](const Configuration& c) {
    clock.advance(10s);
    return Nanoseconds(small_time(c));
  };
  auto metrics = tuner.run_tuning_session("long", small_space(), evaluator);
  EXPECT_TRUE(metrics.finalists.empty());
  EXPECT_THAT(metrics.warnings, Contains(HasSubstr("final comparison")));
  EXPECT_EQ(metrics.evaluator_calls, 8u);
  EXPECT_EQ(metrics.tuning_duration, Nanoseconds(80s));
  EXPECT_DOUBLE_EQ(*metrics.speedup, 1.35);
}

}  // namespace
}  // namespace warpwright
