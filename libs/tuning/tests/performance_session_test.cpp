#include <atomic>
#include <csignal>
#include <latch>
#include <memory>
#include <set>
#include <sys/resource.h>
#include <thread>
#include <utility>
#include <vector>

#include "performance_support.hpp"

namespace warpwright {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;

// ---- budgets and ends
// ------------------------------------------------------------------------------------------------

TEST(PerformanceTuner, BudgetsCountUniqueConfigurations) {
  PerformanceTuner tuner;
  for (const char* const strategy : {"random", "genetic", "annealing", "bayesian", "auto"}) {
    SCOPED_TRACE(strategy);
    TuningSessionOptions options;
    options.strategy = strategy;
    options.max_evaluations = 5;
    options.final_rounds = 0;
    std::set<std::string> seen;
    const auto metrics = tuner.run_tuning_session(
        "budget", small_space(),
        [&](const Configuration& c) {
          EXPECT_TRUE(seen.insert(c.describe()).second) << "measured twice";
          return Nanoseconds(small_time(c));
        },
        options);
    EXPECT_EQ(metrics.configs_evaluated, 5u);
    EXPECT_EQ(metrics.evaluator_calls, 5u);
    EXPECT_EQ(metrics.trials.size(), 5u);
    EXPECT_EQ(metrics.stop_reason, "5 evaluations");
    EXPECT_EQ(metrics.strategy, strategy);
  }
}

TEST(PerformanceTuner, EqualSeedsAskTheSame) {
  ManualClock clock;
  PerformanceTunerOptions tuner_options;
  tuner_options.clock = &clock;
  PerformanceTuner tuner(tuner_options);
  const auto order = [&](std::uint64_t seed, std::size_t batch) {
    TuningSessionOptions options;
    options.strategy = "random";
    options.seed = seed;
    options.batch = batch;
    options.max_evaluations = 6;
    std::vector<std::string> asked;
    for (const auto& trial :
         tuner
             .run_tuning_session(
                 "seeds", small_space(), [](const Configuration& c) { return Nanoseconds(small_time(c)); }, options)
             .trials)
      asked.push_back(trial.configuration.describe());
    return asked;
  };
  EXPECT_EQ(order(1, 1), order(1, 1));
  EXPECT_EQ(order(1, 1), order(1, 4));  // random search does not look at outcomes
  EXPECT_NE(order(1, 1), order(2, 1));
}

TEST(PerformanceTuner, TimeLimitEndsBetweenCalls) {
  ManualClock clock;
  PerformanceTunerOptions tuner_options;
  tuner_options.clock = &clock;
  PerformanceTuner tuner(tuner_options);
  TuningSessionOptions options;
  options.time_limit = Nanoseconds(35ms);
  options.strategy = "exhaustive";
  options.final_rounds = 0;
  const auto metrics = tuner.run_tuning_session(
      "limit", small_space(),
      [&](const Configuration&) {
        clock.advance(10ms);
        return 1ms;
      },
      options);
  EXPECT_EQ(metrics.configs_evaluated, 4u);
  EXPECT_EQ(metrics.stop_reason, "time limit");
  EXPECT_FALSE(metrics.interrupted);
  EXPECT_TRUE(tuner.profile("limit"));
}

TEST(PerformanceTuner, StopTokenKeepsWhatWasMeasured) {
  PerformanceTuner tuner;
  std::stop_source stop;
  TuningSessionOptions options;
  options.stop = stop.get_token();
  int calls = 0;
  const auto evaluator = [&](const Configuration& c) {
    if (++calls == 3) stop.request_stop();
    return Nanoseconds(small_time(c));
  };
  const auto metrics = tuner.run_tuning_session("stopped", small_space(), evaluator, options);
  EXPECT_TRUE(metrics.interrupted);
  EXPECT_EQ(metrics.stop_reason, "interrupted");
  EXPECT_EQ(metrics.configs_evaluated, 3u);
  EXPECT_EQ(calls, 3);
  EXPECT_TRUE(metrics.best);
  EXPECT_TRUE(metrics.speedup);
  EXPECT_FALSE(tuner.profile("stopped"));

  // An evaluator may ask for it, in the search and in the final comparison, and before anything was measured.
  for (const int at : {1, 3, 10}) {
    SCOPED_TRACE(at);
    calls = 0;
    const auto ended = tuner.run_tuning_session("asked", small_space(), [&](const Configuration& c) -> EvaluatorResult {
      if (++calls == at) throw Error(ErrorCode::interrupted, "enough");
      return Nanoseconds(small_time(c));
    });
    EXPECT_TRUE(ended.interrupted);
    EXPECT_EQ(ended.configs_evaluated, static_cast<std::uint64_t>(std::min(at - 1, 8)));
    EXPECT_EQ(ended.best.has_value(), at > 1);
    EXPECT_EQ(ended.speedup.has_value(), at > 1);
  }
  std::stop_source before;
  before.request_stop();
  options.stop = before.get_token();
  const auto none = tuner.run_tuning_session("before", small_space(), evaluator, options);
  EXPECT_EQ(none.configs_evaluated, 0u);
  EXPECT_TRUE(none.interrupted);
  EXPECT_THAT(none.warnings, Contains(HasSubstr("before the baseline")));
}

TEST(PerformanceTuner, ReportsProgress) {
  PerformanceTuner tuner;
  TuningSessionOptions options;
  std::uint64_t last = 0;
  options.progress = [&](const tuning::Progress& now) {
    EXPECT_EQ(now.evaluations, ++last);
    EXPECT_EQ(*now.planned, 8u);
    ASSERT_NE(now.last, nullptr);
    ASSERT_NE(now.best, nullptr);
    EXPECT_EQ(now.baseline->count(), 135);
    EXPECT_TRUE(now.remaining);
  };
  const auto evaluator = [](const Configuration& c) { return Nanoseconds(small_time(c)); };
  tuner.run_tuning_session("progress", small_space(), evaluator, options);
  EXPECT_EQ(last, 8u);
  // What a callback throws comes out, and the name is free again.
  options.progress = [](const tuning::Progress&) { throw std::logic_error("mine"); };
  EXPECT_THROW(tuner.run_tuning_session("progress", small_space(), evaluator, options), std::logic_error);
  options.progress = nullptr;
  EXPECT_TRUE(tuner.run_tuning_session("progress", small_space(), evaluator, options).best);
}

// ---- the general form and algorithms
// ----------------------------------------------------------------------------------

TEST(PerformanceTuner, GeneralSpaceWithCallableConstraint) {
  PerformanceTuner tuner;
  ConfigurationSpace space = small_space();
  std::int64_t most = 4;  // captured
  space.constraints.push_back(Constraint::parse("tile * 2 <= limit"));
  space.constraints.push_back(Constraint::from("small", [most](const Configuration& c) {
    return *as_integer(c.at("tile")) <= most && !(c.at("tile") == Value(std::int64_t{1}));
  }));
  space.options.constants = {{"limit", std::int64_t{16}}};
  space.work = 1e6;
  const auto metrics = tuner.run_tuning_session(
      "general", space, [](const Configuration& c) { return Throughput::of(1e6, Nanoseconds(small_time(c))); });
  EXPECT_EQ(metrics.space_size, 4u);
  EXPECT_FALSE(metrics.best_kernel);
  // The defaults (tile 1) are not valid: the nearest valid configuration is the baseline.
  EXPECT_EQ(metrics.baseline->configuration.at("tile"), Value(std::int64_t{2}));
  EXPECT_NEAR(metrics.best_throughput->per_second, 1e6 / 100e-9, 1e3);
  EXPECT_THAT(error_of(ErrorCode::bad_input,
                       [&] {
                         space.constraints.push_back(Constraint::parse("tyle > 1"));
                         tuner.run_tuning_session("general", space, [](const Configuration&) { return 1s; });
                       }),
              HasSubstr("did you mean"));
}

TEST(PerformanceTuner, GeneralBaselines) {
  PerformanceTuner tuner;
  ConfigurationSpace space = small_space();
  const auto evaluator = [](const Configuration& c) { return Nanoseconds(small_time(c)); };
  space.baseline = Configuration{{"tile", 8.0}};  // the rest has its default; 8.0 is 8
  auto metrics = tuner.run_tuning_session("baseline", space, evaluator);
  EXPECT_EQ(metrics.baseline->configuration.describe(), "tile=8, layout='row'");
  EXPECT_EQ(metrics.configs_evaluated, 8u);
  space.baseline = Configuration{{"tile", std::int64_t{16}}};  // not declared: measured, cannot win
  metrics = tuner.run_tuning_session("baseline", space, evaluator);
  EXPECT_EQ(metrics.baseline->configuration.describe(), "tile=16, layout='row'");
  EXPECT_EQ(metrics.configs_evaluated, 9u);
  EXPECT_EQ(metrics.trials.size(), 8u);
  EXPECT_DOUBLE_EQ(*metrics.speedup, 2.25);
  space.baseline = Configuration{{"tyle", std::int64_t{1}}};
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { tuner.run_tuning_session("baseline", space, evaluator); }),
              HasSubstr("tyle"));
  space.baseline.reset();
  space.work = 0;
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { tuner.run_tuning_session("baseline", space, evaluator); }),
              HasSubstr("work"));
}

// Asks from the last to the first.
class Backwards final : public SearchAlgorithm {
 public:
  explicit Backwards(std::uint64_t size) : next_(size) {}
  std::vector<std::uint64_t> ask(std::size_t most) override {
    std::vector<std::uint64_t> questions;
    while (next_ > 0 && questions.size() < most) questions.push_back(--next_);
    return questions;
  }
  void tell(std::uint64_t index, const SearchOutcome& outcome) override {
    told.emplace_back(index, outcome.objective.value_or(-1));
  }
  std::vector<std::pair<std::uint64_t, double>> told;

 private:
  std::uint64_t next_;
};

TEST(PerformanceTuner, AlgorithmsOfOnesOwn) {
  PerformanceTuner tuner;
  const auto evaluator = [](const Configuration& c) { return Nanoseconds(small_time(c)); };
  const auto own = std::make_shared<Backwards>(PerformanceTuner::space_of(small_space())->size());
  TuningSessionOptions options;
  options.algorithm = own;
  options.batch = 3;
  auto metrics = tuner.run_tuning_session("own", small_space(), evaluator, options);
  EXPECT_EQ(metrics.strategy, "own");
  ASSERT_EQ(metrics.trials.size(), 8u);
  EXPECT_EQ(metrics.trials[0].configuration.describe(), "tile=1, layout='row'");  // the baseline
  EXPECT_EQ(metrics.trials[1].configuration.describe(), "tile=8, layout='column'");
  ASSERT_GE(own->told.size(), 7u);
  EXPECT_EQ(own->told.front(), (std::pair<std::uint64_t, double>(7, 140)));
  EXPECT_EQ(metrics.configs_evaluated, 8u);

  options.algorithm.reset();
  options.make_algorithm = [](const Space& space, const StrategySettings& settings) {
    EXPECT_EQ(settings.initial.size(), 1u);  // the baseline
    return std::make_unique<Backwards>(space.size());
  };
  options.max_evaluations = 4;
  metrics = tuner.run_tuning_session("own", small_space(), evaluator, options);
  EXPECT_EQ(metrics.configs_evaluated, 4u);

  // By name, through a registry.
  PerformanceTunerOptions tuner_options;
  tuner_options.strategies.add({"backwards", "", {}, false}, [](const Space& space, const StrategySettings&) {
    return std::make_unique<Backwards>(space.size());
  });
  PerformanceTuner with_own(tuner_options);
  options = {};
  options.strategy = "backwards";
  EXPECT_EQ(with_own.run_tuning_session("own", small_space(), evaluator, options).strategy, "backwards");
}

class Fixed final : public SearchAlgorithm {
 public:
  explicit Fixed(std::vector<std::uint64_t> questions) : questions_(std::move(questions)) {}
  std::vector<std::uint64_t> ask(std::size_t) override { return std::exchange(questions_, {}); }
  void tell(std::uint64_t, const SearchOutcome&) override {}

 private:
  std::vector<std::uint64_t> questions_;
};

TEST(PerformanceTuner, AlgorithmsThatAskNonsenseAreRefused) {
  PerformanceTuner tuner;
  const auto run = [&](std::vector<std::uint64_t> questions) {
    TuningSessionOptions options;
    options.algorithm = std::make_shared<Fixed>(std::move(questions));
    return tuner.run_tuning_session(
        "fixed", small_space(), [](const Configuration&) { return 1us; }, options);
  };
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { run({1, 1}); }), HasSubstr("twice"));
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { run({8}); }), HasSubstr("space of 8"));
  const auto metrics = run({3, 0});
  EXPECT_EQ(metrics.stop_reason, "strategy ended");
  EXPECT_EQ(metrics.configs_evaluated, 2u);
}

// ---- profiles
// --------------------------------------------------------------------------------------------------------

TEST(PerformanceTuner, ProfilesAreKeptAndFoundByTheNextProcess) {
  const TemporaryFolder folder;
  PerformanceTunerOptions options;
  options.profiles = folder.path / "profiles.sqlite";
  {
    PerformanceTuner tuner(options);
    EXPECT_FALSE(tuner.profile("valley"));
    auto handle = tuner.handle("valley");
    EXPECT_EQ(handle.read(), nullptr);
    const SearchSpace space{1000, 64, 512, [](int threads) { return Bytes(static_cast<std::uint64_t>(threads)); }};
    const auto metrics = tuner.run_tuning_session("valley", space, valley);
    EXPECT_TRUE(metrics.profile_id);
    ASSERT_NE(handle.read(), nullptr);
    EXPECT_EQ(handle.read()->kernel->block_size, Dim3{512});
    tuner.run_tuning_session("general", small_space(),
                             [](const Configuration& c) { return Nanoseconds(small_time(c)); });
  }
  PerformanceTuner next(options);
  const auto profile = next.profile("valley");
  ASSERT_TRUE(profile);
  EXPECT_EQ(profile->configuration, (Configuration{{"block_size", std::int64_t{512}}}));
  EXPECT_EQ(profile->median.count(), 1000);
  EXPECT_DOUBLE_EQ(*profile->speedup(), 2);
  EXPECT_EQ(profile->evaluations, 15u);
  EXPECT_EQ(profile->key.dimensions, (Configuration{{"workload_size", std::int64_t{1000}}}));
  auto handle = next.handle("valley");
  ASSERT_NE(handle.read(), nullptr);
  EXPECT_EQ(handle.read()->kernel->block_size, Dim3{512});
  EXPECT_EQ(handle.read()->kernel->grid_size, Dim3{2});
  EXPECT_EQ(handle.read()->kernel->shared_memory, Bytes{512});
  EXPECT_FALSE(next.handle("general").read()->kernel);
  EXPECT_EQ(next.profile("general")->configuration.describe(), "tile=4, layout='column'");

  // Another version of the code, or another device, finds nothing.
  options.code_version = "2";
  EXPECT_FALSE(PerformanceTuner(options).profile("valley"));
  options.code_version.clear();
  options.device.emplace();
  options.device->id = {"cuda", {0}};
  options.device->name = "NVIDIA H100";
  EXPECT_FALSE(PerformanceTuner(options).profile("valley"));
}

TEST(PerformanceTuner, ProfilesOfSeveralSizes) {
  PerformanceTuner tuner;
  for (const std::uint64_t size : {1000u, 1000000u})
    tuner.run_tuning_session("sizes", SearchSpace{size, 64, 512}, [&](const KernelConfig& config) {
      return Nanoseconds(static_cast<double>(size == 1000 ? config.block_size.x : 1024 - config.block_size.x));
    });
  const auto size = [](std::int64_t n) { return Configuration{{"workload_size", n}}; };
  EXPECT_EQ(tuner.profile("sizes", size(2000))->configuration.at("block_size"), Value(std::int64_t{64}));
  EXPECT_EQ(tuner.profile("sizes", size(500000))->configuration.at("block_size"), Value(std::int64_t{512}));
  EXPECT_EQ(tuner.profile("sizes")->configuration.at("block_size"), Value(std::int64_t{512}));  // the newest
  EXPECT_EQ(tuner.handle("sizes", size(1)).read()->kernel->block_size, Dim3{64});
  EXPECT_FALSE(tuner.profile("other", size(1)));
}

TEST(PerformanceTuner, DatabaseThatCannotBeWrittenCostsOnlyAWarning) {
  const TemporaryFolder folder;
  PerformanceTunerOptions options;
  options.profiles = folder.path / "profiles.sqlite";
  PerformanceTuner tuner(options);
  // As on a full disk: no file may grow.
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto metrics = tuner.run_tuning_session("kept", small_space(), [&](const Configuration& c) {
    const rlimit none{1, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &none);
    return Nanoseconds(small_time(c));
  });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_FALSE(metrics.profile_id);
  EXPECT_THAT(metrics.warnings, Contains(HasSubstr("memory only")));
  EXPECT_TRUE(tuner.profile("kept"));
  EXPECT_TRUE(metrics.best);
  EXPECT_FALSE(PerformanceTuner(options).profile("kept"));
}

TEST(PerformanceTuner, OneSessionOfANameAtATime) {
  PerformanceTuner tuner;
  std::string message;
  tuner.run_tuning_session("outer", small_space(), [&](const Configuration& c) {
    if (message.empty())
      message = error_of(ErrorCode::conflict, [&] {
        tuner.run_tuning_session("outer", small_space(), [](const Configuration&) { return 1s; });
      });
    return Nanoseconds(small_time(c));
  });
  EXPECT_THAT(message, AllOf(HasSubstr("'outer'"), HasSubstr("running already")));
}

TEST(PerformanceTuner, SessionsAndReadersOnManyThreads) {
  PerformanceTuner tuner;
  std::latch start(8);
  std::atomic<int> found{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      TuningSessionOptions options;
      for (options.seed = 1; options.seed <= 20; ++options.seed)
        tuner.run_tuning_session(
            "session " + std::to_string(t), small_space(),
            [](const Configuration& c) { return Nanoseconds(small_time(c)); }, options);
    });
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      auto handle = tuner.handle("session " + std::to_string(t));
      start.arrive_and_wait();
      while (handle.read() == nullptr || handle.read()->profile.seed < 20) {
        const auto profile = tuner.profile("session " + std::to_string(t));
        EXPECT_TRUE(!profile || profile->median.count() == 100);
        std::this_thread::yield();
      }
      ++found;
    });
  threads.clear();
  EXPECT_EQ(found, 4);
}

}  // namespace
}  // namespace warpwright
