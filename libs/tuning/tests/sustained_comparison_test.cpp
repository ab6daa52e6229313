// Whole sessions on a simulated device whose power limit holds down the clock of a kernel that runs back to back.
#include "../src/sustained_comparison.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/execution/local_evaluator.hpp>
#include <warpwright/sim/backend.hpp>
#include <warpwright/tuning/session.hpp>

namespace warpwright::tuning {
namespace {

// 10 us with blocks of 64, 12 us with blocks of 128. A launch after a flush is boosted; after a thousand launches
// without one power limits the clock, and blocks of 64 take 40 % longer.
constexpr const char* source = R"(
[kernels.hungry]
behaviour = "nothing"
cost_ns = "10000 + (BLOCK_X - 64) * 31.25"
)";

class SustainedSession : public ::testing::Test {
 protected:
  SustainedSession() {
    problem.name = "hungry";
    problem.source.by_backend["sim"] = SourceText{"hungry.toml", source};
    problem.dimensions.set("n", std::int64_t{1024});
    problem.parameters = {{"block", {std::int64_t{64}, std::int64_t{128}}, {}, ParameterRole::block, true, {}}};
    Launch launch;
    launch.entry = "hungry";
    launch.block = {Expression::parse("block")};
    launch.grid = {Expression::parse("ceil_div(n, block)")};
    problem.launches = {launch};
    simulated.move_bytes = false;
    simulated.slowdown = [this](const sim::LaunchView& view) {
      if (view.kernel == "warpwright_read_cache") {
        in_a_row = 0;
        return 1.0;
      }
      return ++in_a_row > 1000 && power_limits && view.block[0] == 64 ? 1.4 : 1.0;
    };
    simulated.telemetry = [this] {
      device::TelemetrySample sample;
      sample.sm_clock_mhz = 1980;
      sample.throttle_reasons = in_a_row > 1000 && power_limits ? 0x4 : 0;
      return sample;
    };
    options.racing = false;  // or blocks of 128 are given up as slower
    options.sustained.settle = Nanoseconds{200e6};
    options.sustained.block = Nanoseconds{50e6};
  }
  SessionRecord run() {
    const auto backend = sim::make_backend(simulated);
    const DeviceInfo device = backend->devices().front();
    const SteadyClock clock;
    execution::LocalEvaluation evaluation(*backend, device, problem, clock);
    const auto space = problem.build_space();
    return run_session(problem, *space, StrategyRegistry::with_defaults(), evaluation, clock, options);
  }
  static std::int64_t block_of(const Configuration& configuration) {
    return std::get<std::int64_t>(configuration.at("block"));
  }

  Problem problem;
  sim::Options simulated;
  SessionOptions options;
  bool power_limits = true;
  int in_a_row = 0;
};

TEST_F(SustainedSession, TheSettledClockDecides) {
  const SessionRecord result = run();
  ASSERT_TRUE(result.best);
  EXPECT_TRUE(result.power_limited);
  EXPECT_EQ(block_of(*result.best), 128);
  ASSERT_EQ(result.finalists.size(), 2u);
  EXPECT_NEAR(result.finalists[0].boost->count(), 12000, 50);
  EXPECT_NEAR(result.finalists[0].sustained->count(), 12000, 50);
  EXPECT_NEAR(result.finalists[1].boost->count(), 10000, 50);
  EXPECT_NEAR(result.finalists[1].sustained->count(), 14000, 50);
}

TEST_F(SustainedSession, BoostDecidesWhereItIsAskedFor) {
  options.clock = ClockState::boost;
  const SessionRecord result = run();
  EXPECT_TRUE(result.power_limited);
  EXPECT_EQ(block_of(*result.best), 64);
  EXPECT_NEAR(result.finalists[0].sustained->count(), 14000, 50);
}

TEST_F(SustainedSession, WithoutALimitBurstsAreAllThereIs) {
  power_limits = false;
  const SessionRecord result = run();
  EXPECT_FALSE(result.power_limited);
  EXPECT_EQ(block_of(*result.best), 64);
}

TEST(SustainedRounds, StayWithinTwentySeconds) {
  EXPECT_EQ(sustained_rounds(2, Nanoseconds{500e6}), 12);
  EXPECT_EQ(sustained_rounds(5, Nanoseconds{500e6}), 8);
  EXPECT_EQ(sustained_rounds(100, Nanoseconds{500e6}), 6);
  EXPECT_EQ(sustained_rounds(0, Nanoseconds{}), 12);
}

}  // namespace
}  // namespace warpwright::tuning
