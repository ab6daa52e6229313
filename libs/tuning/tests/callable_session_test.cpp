// Sessions of callables that get slices of time.
#include "../src/callable_session.hpp"

#include <utility>
#include <vector>

#include "performance_support.hpp"

namespace warpwright {
namespace {

TEST(CallableSession, SlicesMakeTheSameCallsAndEndAfterOneCallMore) {
  ManualClock clock;
  const auto space = PerformanceTuner::space_of(small_space());
  std::vector<std::string> calls;
  const detail::Callable callable{*space,
                                  space->at(0),
                                  1,
                                  [&](const Configuration& configuration) {
                                    clock.advance(10ms);
                                    calls.push_back(configuration.describe());
                                    return Nanoseconds(small_time(configuration));
                                  },
                                  {},
                                  {}};
  TuningSessionOptions options;
  options.samples = 3;
  options.strategy = "random";
  options.seed = 2;
  const StrategyRegistry strategies = StrategyRegistry::with_defaults();

  detail::CallableSession whole(callable, options, strategies, clock);
  EXPECT_TRUE(whole.advance());
  const PerformanceMetrics expected = whole.finish();
  const std::vector<std::string> expected_calls = std::exchange(calls, {});

  detail::CallableSession sliced(callable, options, strategies, clock);
  for (bool over = false; !over;) {
    const std::size_t before = calls.size();
    const Nanoseconds until = clock.now() + Nanoseconds(25ms);
    over = sliced.advance(until);
    EXPECT_LE(calls.size() - before, 3u);
    EXPECT_LT(clock.now(), until + Nanoseconds(10ms));
  }
  const PerformanceMetrics metrics = sliced.finish();
  EXPECT_EQ(calls, expected_calls);
  EXPECT_EQ(metrics.best, expected.best);
  EXPECT_EQ(metrics.speedup, expected.speedup);
  EXPECT_EQ(metrics.configs_evaluated, 8u);
  EXPECT_EQ(metrics.evaluator_calls, expected_calls.size());
}

TEST(CallableSession, OneThatIsNotAtItsEndIsInterrupted) {
  ManualClock clock;
  const auto space = PerformanceTuner::space_of(small_space());
  const detail::Callable callable{*space,
                                  space->at(0),
                                  1,
                                  [&](const Configuration& configuration) {
                                    clock.advance(10ms);
                                    return Nanoseconds(small_time(configuration));
                                  },
                                  {},
                                  {}};
  const StrategyRegistry strategies = StrategyRegistry::with_defaults();
  const TuningSessionOptions options;
  detail::CallableSession session(callable, options, strategies, clock);
  EXPECT_FALSE(session.advance(clock.now() + Nanoseconds(35ms)));
  const PerformanceMetrics metrics = session.finish();
  EXPECT_TRUE(metrics.interrupted);
  EXPECT_EQ(metrics.stop_reason, "interrupted");
  EXPECT_TRUE(metrics.best);
  EXPECT_EQ(metrics.configs_evaluated, 4u);
}

}  // namespace
}  // namespace warpwright
