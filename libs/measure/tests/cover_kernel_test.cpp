#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/measure/cover_kernel.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/problem_runner.hpp>

#include "host_device.hpp"
#include "problems.hpp"

namespace warpwright::measure {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Host;
using testing::HostCompiler;
using testing::HostContext;
using ::testing::IsEmpty;
using testing::StepClock;

class Cover : public ::testing::Test {
 protected:
  Cover() : context(host), compiler(host), stream(context.create_stream()), cover(context, compiler, sink()) {
    host.kernels["warpwright_cover"] = [this](const testing::Call& call) {
      ASSERT_EQ(call.buffers[0].size(), sizeof(std::uint32_t));
      EXPECT_NE(call.scalar<std::uint32_t>(1), 0u) << "a chain that stays at 0";
      EXPECT_EQ(call.config.grid[0] * call.config.block[0], 1);
      steps = call.scalar<std::uint32_t>(2);
      host.device_time += Nanoseconds{step_ns * steps};
    };
  }
  LogSink sink() {
    return [this](LogLevel level, std::string_view text) {
      if (level == LogLevel::warning) warnings.emplace_back(text);
    };
  }
  // Device time of one cover.
  double cover_for(Nanoseconds length) {
    const Nanoseconds begin = host.device_time;
    cover.enqueue(*stream, length);
    return (host.device_time - begin).count();
  }

  Host host;
  HostContext context;
  HostCompiler compiler;
  std::unique_ptr<device::Stream> stream;
  std::vector<std::string> warnings;
  CoverKernel cover;
  double step_ns = 15;
  std::uint32_t steps = 0;
};

TEST_F(Cover, IsMadeWhenItIsAskedForAndOnce) {
  EXPECT_THAT(host.jobs, IsEmpty());
  EXPECT_THROW(cover.enqueue(*stream, Nanoseconds{1e6}), Error);
  EXPECT_TRUE(cover.ready(*stream));
  const int launches = host.count("launch");
  EXPECT_TRUE(cover.ready(*stream));
  EXPECT_EQ(host.count("launch"), launches);
  ASSERT_EQ(host.jobs.size(), 1u);
  EXPECT_THAT(host.jobs[0].entries, ElementsAre("warpwright_cover"));
}

TEST_F(Cover, TakesTheTimeAskedForUpToTheLongest) {
  for (const double rate : {3.0, 15.0, 200.0}) {
    step_ns = rate;
    CoverKernel fresh(context, compiler);
    ASSERT_TRUE(fresh.ready(*stream));
    for (const double length : {100e3, 2e6, 50e6, 1e12}) {
      const Nanoseconds begin = host.device_time;
      fresh.enqueue(*stream, Nanoseconds{length});
      const double expected = std::min(length, CoverKernel::longest.count());
      EXPECT_NEAR((host.device_time - begin).count(), expected, 0.02 * expected) << rate;
    }
  }
}

TEST_F(Cover, ACalibrationBearsOneRunThatSomethingHeldUp) {
  int runs = 0;
  const auto undisturbed = host.kernels["warpwright_cover"];
  host.kernels["warpwright_cover"] = [&](const testing::Call& call) {
    undisturbed(call);
    if (++runs == 2) host.device_time += Nanoseconds{4e6};  // the first of the calibration
  };
  ASSERT_TRUE(cover.ready(*stream));
  EXPECT_NEAR(cover_for(Nanoseconds{1e6}), 1e6, 0.02e6);
}

TEST_F(Cover, FollowsAClockThatChanges) {
  ASSERT_TRUE(cover.ready(*stream));
  step_ns /= 5;  // calibrated at the idle clock
  cover.measured(Nanoseconds{cover_for(Nanoseconds{1e6})});
  EXPECT_NEAR(cover_for(Nanoseconds{1e6}), 1e6, 0.02e6);
}

TEST_F(Cover, AWrongTimeOfOneMakesTheNextAtMostEightTimesAsLong) {
  ASSERT_TRUE(cover.ready(*stream));
  cover_for(Nanoseconds{1e6});
  cover.measured(Nanoseconds{0});
  EXPECT_NEAR(cover_for(Nanoseconds{1e6}), 8e6, 0.2e6);
}

TEST_F(Cover, OneThatTakesNoTimeIsNone) {
  step_ns = 0;
  EXPECT_FALSE(cover.ready(*stream));
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("its time does not grow with its steps")));
  EXPECT_LE(steps, 1u << 24);
}

TEST_F(Cover, IsNotTriedAgainAfterARefusal) {
  host.kernels["warpwright_cover"] = [](const testing::Call&) { throw Error(ErrorCode::launch, "out of resources"); };
  EXPECT_FALSE(cover.ready(*stream));
  EXPECT_FALSE(cover.ready(*stream));
  EXPECT_EQ(host.jobs.size(), 1u);
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("out of resources")));
}

TEST_F(Cover, ALostDeviceIsNoRefusal) {
  host.kernels["warpwright_cover"] = [](const testing::Call&) { throw Error(ErrorCode::device, "lost"); };
  EXPECT_THROW(cover.ready(*stream), Error);
}

// A kernel of 1 us whose launch takes the host 5 us.
class CoveredRunner : public Cover {
 protected:
  CoveredRunner() {
    host.kernels["k"] = [this](const testing::Call&) { clock.pass(Nanoseconds{5e3}); };
    problem.name = "k";
    problem.source.dialect = SourceText{"k.kernel", "source"};
    problem.dimensions = {{"n", testing::integer(16)}};
    problem.parameters = {testing::make_parameter("p", {testing::integer(0)})};
    problem.arguments = {testing::buffer_argument("x", DataType::float32, Access::in, "n")};
    problem.launches = {testing::make_launch("k", {"x"})};
    timing.cache = CacheMode::warm;
  }
  // Marks of one configuration, alone and interleaved with itself.
  std::vector<std::vector<std::string>> marks_on(DeviceKind kind) {
    host.info.kind = kind;
    host.jobs.clear();
    ProblemRunner runner(context, compiler, problem, clock);
    const Configuration configuration{{"p", testing::integer(0)}};
    const Binary binary = compiler.compile(kernel_job(problem, configuration, host.info));
    const RunResult result = runner.run(configuration, binary, timing);
    EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
    auto marks =
        runner.run_interleaved({{configuration, &binary}, {configuration, &binary}}, 3, CacheMode::warm, 1).marks;
    marks.push_back(result.conditions.marks);
    return marks;
  }
  bool compiled_a_cover() const {
    return std::any_of(host.jobs.begin(), host.jobs.end(),
                       [](const auto& job) { return job.entries == std::vector<std::string>{"warpwright_cover"}; });
  }

  StepClock clock;
  Problem problem;
  TimingOptions timing;
};

TEST_F(CoveredRunner, GpusGetCovers) {
  EXPECT_THAT(marks_on(DeviceKind::gpu), Each(ElementsAre("covered")));
  EXPECT_TRUE(compiled_a_cover());
}

TEST_F(CoveredRunner, CpusDoNotBecauseTheirCoresEnqueue) {
  EXPECT_THAT(marks_on(DeviceKind::cpu), Each(ElementsAre("launch_bound")));
  EXPECT_FALSE(compiled_a_cover());
}

}  // namespace
}  // namespace warpwright::measure
