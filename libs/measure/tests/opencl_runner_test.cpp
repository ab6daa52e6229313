// The runner on a real driver: OpenCL, which PoCL provides where there is no GPU.
#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/problem_runner.hpp>
#include <warpwright/opencl/backend.hpp>

#include "problems.hpp"

namespace warpwright::measure {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using testing::buffer_argument;
using ::testing::Each;
using ::testing::Gt;
using ::testing::HasSubstr;
using testing::integer;
using ::testing::IsEmpty;
using testing::make_launch;
using testing::make_parameter;
using ::testing::SizeIs;

constexpr const char* source = R"(
__kernel void twice(__global const float* x, __global float* y, int n) {
  int i = get_global_id(0);
  if (i < n) y[i] = 2 * x[i];
}
__kernel void twice_buggy(__global const float* x, __global float* y, int n) {
  int i = get_global_id(0);
#if bug == 1
  if (i < n / 2) y[i] = 2 * x[i];
#elif bug == 2
  if (i <= n) y[i] = i < n ? 2 * x[i] : 0;
#elif bug == 3
  if (i < n) y[i] = NAN;
#else
  if (i < n) y[i] = x[i] + x[i];
#endif
}
__kernel void in_place(__global float* x, int n) {
  int i = get_global_id(0);
  if (i < n) x[i] = 2 * x[i];
}
__kernel void step_up(__global const float* x, __global float* y, int n) {
  int i = get_global_id(0);
  if (i < n) y[i] = x[i] + 1;
}
__kernel void partial(__global const float* x, __global float* sums, int n, __local float* scratch) {
  int t = get_local_id(0), i = get_global_id(0);
  scratch[t] = i < n ? x[i] : 0;
  for (int width = get_local_size(0) / 2; width > 0; width /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (t < width) scratch[t] += scratch[t + width];
  }
  if (t == 0) sums[get_group_id(0)] = scratch[0];
}
__kernel void total(__global const float* sums, __global float* result, int count) {
  float sum = 0;
  for (int i = 0; i < count; ++i) sum += sums[i];
  result[0] = sum;
}
__kernel void scaled(__global const float* x, __global float* y, int n, __constant float* factor) {
  int i = get_global_id(0);
  if (i < n) y[i] = factor[i % 2] * x[i];
}
)";

constexpr int n = 1000;

class OpenClRunner : public ::testing::Test {
 protected:
  void SetUp() override {
    backend = opencl::make_backend();
    const device::ProbeResult probe = backend->probe();
    if (!probe.usable) {
      const char* required = std::getenv("WARPWRIGHT_REQUIRE_DEVICE");
      if (required != nullptr && std::string(required) == "opencl") FAIL() << probe.reason;
      GTEST_SKIP() << "no OpenCL device: " << probe.reason << " " << probe.remedy;
    }
    const DeviceInfo device = backend->devices().front();
    context = backend->open(device.id);
    compiler = backend->compiler(device);
    problem.name = "twice";
    problem.source.by_backend["opencl"] = SourceText{"twice.cl", source};
    problem.dimensions = {{"n", integer(n)}};
    problem.parameters = {make_parameter("bug", {integer(0), integer(1), integer(2), integer(3)})};
    problem.arguments = {buffer_argument("x", DataType::float32, Access::in, "n", FillUniform{-1, 1, 3}),
                         buffer_argument("y", DataType::float32, Access::out, "n")};
    problem.launches = {make_launch("twice_buggy", {"x", "y", "n"}, "64", "n // 64 + 1")};
    problem.outputs = {{"y", 1e-6, 0, {}}};
    ReferenceKernel reference;
    reference.launches = {make_launch("twice", {"x", "y", "n"}, "64", "n // 64 + 1")};
    problem.reference = reference;
    timing.min_samples = timing.max_samples = 3;
  }
  std::unique_ptr<ProblemRunner> make_runner() {
    auto runner = std::make_unique<ProblemRunner>(*context, *compiler, problem, clock);
    runner->compute_reference();
    return runner;
  }
  device::Binary compile(const Configuration& configuration) {
    return compiler->compile(kernel_job(problem, configuration, context->device()));
  }
  RunResult run(ProblemRunner& runner, const Configuration& configuration) {
    return runner.run(configuration, compile(configuration), timing);
  }
  static Configuration bug(int number) { return {{"bug", integer(number)}}; }

  std::unique_ptr<device::Backend> backend;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<device::Compiler> compiler;
  SteadyClock clock;
  Problem problem;
  TimingOptions timing;
};

TEST_F(OpenClRunner, TellsRightFromWrong) {
  const auto runner = make_runner();
  const Nanoseconds begin = clock.now();
  const RunResult right = run(*runner, bug(0));
  const Nanoseconds total = clock.now() - begin;
  EXPECT_EQ(right.status, TrialStatus::ok) << right.message;
  EXPECT_THAT(right.samples, AllOf(SizeIs(3), Each(Gt(Nanoseconds{0}))));
  EXPECT_THAT(right.resources, SizeIs(1));
  EXPECT_LE(right.copy + right.verify + right.measure, total);
  const RunResult partial = run(*runner, bug(1));
  EXPECT_EQ(partial.status, TrialStatus::not_finite);
  EXPECT_EQ(partial.mismatch->index, 500u);
  EXPECT_THAT(partial.message, HasSubstr("never written"));
  const RunResult past = run(*runner, bug(2));
  EXPECT_EQ(past.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(past.message, HasSubstr("'y'"));
  EXPECT_EQ(run(*runner, bug(3)).status, TrialStatus::not_finite);
  EXPECT_EQ(run(*runner, bug(0)).status, TrialStatus::ok);
}

TEST_F(OpenClRunner, InPlaceKernelIsRestoredBeforeEachOfTwentyRuns) {
  problem.arguments = {buffer_argument("x", DataType::float32, Access::inout, "n", FillIota{1, 1})};
  problem.launches = {make_launch("in_place", {"x", "n"}, "64", "n // 64 + 1")};
  problem.outputs = {{"x", 0, 0, {}}};
  problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
    auto values = testing::values_of<float>(buffers.at("x"));
    for (float& value : values) value *= 2;
    buffers.at("x") = testing::bytes_of(values);
  }};
  timing.min_samples = timing.max_samples = 20;
  timing.cache = CacheMode::warm;
  const RunResult result = run(*make_runner(), bug(0));
  EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
  EXPECT_THAT(result.samples, SizeIs(20));
}

TEST_F(OpenClRunner, RepeatsSwapTheirBuffers) {
  for (const int repeat : {4, 5}) {
    Launch launch = make_launch("step_up", {"x", "y", "n"}, "64", "n // 64 + 1");
    launch.repeat = Expression::parse(std::to_string(repeat));
    launch.swap = {"x", "y"};
    problem.launches = {launch};
    problem.outputs = {{"y", 0, 0, {}}};
    problem.arguments[0].fill = FillIota{0, 1};
    problem.reference = ReferenceCallback{[repeat](const Configuration&, HostBuffers& buffers) {
      auto values = testing::values_of<float>(buffers.at("x"));
      for (float& value : values) value += static_cast<float>(repeat);
      buffers.at("y") = testing::bytes_of(values);
    }};
    const RunResult result = run(*make_runner(), bug(0));
    EXPECT_EQ(result.status, TrialStatus::ok) << repeat << ": " << result.message;
  }
}

TEST_F(OpenClRunner, TwoLaunchesWithDynamicSharedMemory) {
  problem.parameters = {make_parameter("bug", {integer(0)}),
                        make_parameter("block", {integer(32), integer(128), integer(1 << 20)}, ParameterRole::block)};
  problem.arguments = {buffer_argument("x", DataType::float32, Access::in, "n", FillUniform{0, 1, 3}),
                       buffer_argument("sums", DataType::float32, Access::out, "ceil_div(n, block)"),
                       buffer_argument("result", DataType::float32, Access::out, "1"),
                       testing::scalar_argument("count", DataType::int32, "ceil_div(n, block)")};
  problem.launches = {make_launch("partial", {"x", "sums", "n"}, "block", "ceil_div(n, block)"),
                      make_launch("total", {"sums", "result", "count"})};
  problem.launches[0].shared = Expression::parse("block * 4");
  problem.outputs = {{"result", 1e-5, 0, {}}};
  problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
    const auto values = testing::values_of<float>(buffers.at("x"));
    buffers.at("result") =
        testing::bytes_of<float>({static_cast<float>(std::accumulate(values.begin(), values.end(), 0.0))});
  }};
  const auto runner = make_runner();
  for (const int block : {128, 32}) {
    const RunResult result = run(*runner, {{"bug", integer(0)}, {"block", integer(block)}});
    EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
    EXPECT_THAT(result.resources, SizeIs(2));
  }
  const RunResult pruned = run(*runner, {{"bug", integer(0)}, {"block", integer(1 << 20)}});
  EXPECT_EQ(pruned.status, TrialStatus::pruned);
  EXPECT_THAT(pruned.samples, IsEmpty());
}

TEST_F(OpenClRunner, ConstantsArePassedBehindTheOtherArguments) {
  Argument constant = buffer_argument("factor", DataType::float32, Access::constant, "2", FillIota{2, 1});
  constant.symbol = "factor_c";
  problem.arguments.push_back(constant);
  problem.launches = {make_launch("scaled", {"x", "y", "n"}, "64", "n // 64 + 1")};
  problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
    auto values = testing::values_of<float>(buffers.at("x"));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] *= i % 2 == 0 ? 2 : 3;
    buffers.at("y") = testing::bytes_of(values);
  }};
  const RunResult result = run(*make_runner(), bug(0));
  EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
}

TEST_F(OpenClRunner, MissingArgumentIsARefusedLaunchWithoutSamples) {
  problem.reference = {};
  problem.launches[0].args = {"x", "y"};
  const RunResult result = run(*make_runner(), bug(0));
  EXPECT_THAT(result.status, AnyOf(TrialStatus::launch_failed, TrialStatus::resource_exceeded)) << result.message;
  EXPECT_NE(result.message, "");
  EXPECT_THAT(result.samples, IsEmpty());
}

TEST_F(OpenClRunner, RunOnceAndInterleavedRounds) {
  ProblemRunner runner(*context, *compiler, problem, clock);
  const device::Binary binary = compile(bug(0));
  EXPECT_EQ(runner.run_once(bug(0), binary).status, TrialStatus::ok);
  const auto samples = runner.run_interleaved({{bug(0), &binary}, {bug(0), &binary}}, 3, CacheMode::cold, 1);
  EXPECT_THAT(samples, AllOf(SizeIs(2), Each(AllOf(SizeIs(3), Each(Gt(Nanoseconds{0}))))));
}

}  // namespace
}  // namespace warpwright::measure
