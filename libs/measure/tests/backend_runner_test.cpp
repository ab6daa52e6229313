// The runner on a real driver: OpenCL, which PoCL provides where there is no GPU, or CUDA (WARPWRIGHT_TEST_CUDA). The
// same kernels and the same expectations for both.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/measure/inputs.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/problem_runner.hpp>
#ifdef WARPWRIGHT_TEST_CUDA
#include <warpwright/cuda/backend.hpp>
#else
#include <warpwright/opencl/backend.hpp>
#endif

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "../src/device_compare.hpp"
#include "problems.hpp"

namespace warpwright::measure {
namespace {

using ::testing::AllOf;
using testing::buffer_argument;
using ::testing::Contains;
using ::testing::Each;
using ::testing::Gt;
using ::testing::HasSubstr;
using testing::integer;
using ::testing::IsEmpty;
using testing::make_launch;
using testing::make_parameter;
using ::testing::Not;
using ::testing::SizeIs;

#ifdef WARPWRIGHT_TEST_CUDA
constexpr const char* backend_name = "cuda";
std::unique_ptr<device::Backend> make_backend() { return cuda::make_backend(); }
#else
constexpr const char* backend_name = "opencl";
std::unique_ptr<device::Backend> make_backend() { return opencl::make_backend(); }
#endif

constexpr const char* source = R"(
#ifdef WARPWRIGHT_CUDA
#define KERNEL extern "C" __global__ void
#define GLOBAL
#define THREAD ((int)threadIdx.x)
#define BLOCK ((int)blockIdx.x)
#define THREADS ((int)blockDim.x)
#define BARRIER __syncthreads()
#define NOT_A_NUMBER __int_as_float(0x7fffffff)
#define SCRATCH_PARAMETER
#define SCRATCH extern __shared__ float scratch[]
#define FACTOR_PARAMETER
__constant__ float factor[2];
#else
#define KERNEL __kernel void
#define GLOBAL __global
#define THREAD ((int)get_local_id(0))
#define BLOCK ((int)get_group_id(0))
#define THREADS ((int)get_local_size(0))
#define BARRIER barrier(CLK_LOCAL_MEM_FENCE)
#define NOT_A_NUMBER NAN
#define SCRATCH_PARAMETER , __local float* scratch
#define SCRATCH
#define FACTOR_PARAMETER , __constant float* factor
#endif
#define INDEX (BLOCK * THREADS + THREAD)

KERNEL twice(GLOBAL const float* x, GLOBAL float* y, int n) {
  int i = INDEX;
  if (i < n) y[i] = 2 * x[i];
}
KERNEL twice_buggy(GLOBAL const float* x, GLOBAL float* y, int n) {
  int i = INDEX;
#if bug == 1
  if (i < n / 2) y[i] = 2 * x[i];
#elif bug == 2
  if (i <= n) y[i] = i < n ? 2 * x[i] : 0;
#elif bug == 3
  if (i < n) y[i] = NOT_A_NUMBER;
#else
  if (i < n) y[i] = x[i] + x[i];
#endif
}
KERNEL nothing(GLOBAL float* x) {}
KERNEL in_place(GLOBAL float* x, int n) {
  int i = INDEX;
  if (i < n) x[i] = 2 * x[i];
}
KERNEL unguarded(GLOBAL float* y, GLOBAL const float* x) { y[INDEX] += x[INDEX]; }
KERNEL guarded(GLOBAL float* y, GLOBAL const float* x, int n) {
  if (INDEX < n) y[INDEX] += x[INDEX];
}
KERNEL neighbour(GLOBAL const float* x, GLOBAL float* y, int n) {
  if (INDEX < n) y[INDEX] = x[INDEX] + x[INDEX + 1];
}
KERNEL step_up(GLOBAL const float* x, GLOBAL float* y, int n) {
  int i = INDEX;
  if (i < n) y[i] = x[i] + 1;
}
KERNEL partial(GLOBAL const float* x, GLOBAL float* sums, int n SCRATCH_PARAMETER) {
  SCRATCH;
  int t = THREAD, i = INDEX;
  scratch[t] = i < n ? x[i] : 0;
  for (int width = THREADS / 2; width > 0; width /= 2) {
    BARRIER;
    if (t < width) scratch[t] += scratch[t + width];
  }
  if (t == 0) sums[BLOCK] = scratch[0];
}
KERNEL total(GLOBAL const float* sums, GLOBAL float* result, int count) {
  float sum = 0;
  for (int i = 0; i < count; ++i) sum += sums[i];
  result[0] = sum;
}
KERNEL scaled(GLOBAL const float* x, GLOBAL float* y, int n FACTOR_PARAMETER) {
  int i = INDEX;
  if (i < n) y[i] = factor[i % 2] * x[i];
}
)";

constexpr int n = 1000;

class BackendRunner : public ::testing::Test {
 protected:
  void SetUp() override {
    backend = make_backend();
    const device::ProbeResult probe = backend->probe();
    if (!probe.usable) {
      const char* required = std::getenv("WARPWRIGHT_REQUIRE_DEVICE");
      if (required != nullptr && std::string(required) == backend_name) FAIL() << probe.reason;
      GTEST_SKIP() << "no device of backend " << backend_name << ": " << probe.reason << " " << probe.remedy;
    }
    const DeviceInfo device = backend->devices().front();
    context = backend->open(device.id);
    compiler = backend->compiler(device);
    problem.name = "twice";
    problem.source.by_backend[backend_name] = SourceText{"twice.kernel", source};
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
  Binary compile(const Configuration& configuration) {
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

TEST_F(BackendRunner, TellsRightFromWrong) {
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

// Without zones around every buffer the rest of the last block adds the zeros behind one to those behind the other.
TEST_F(BackendRunner, ForgottenBoundsAreSeenAtEveryBlockSize) {
  problem.parameters = {make_parameter("block", {integer(64), integer(128), integer(256)}, ParameterRole::block)};
  problem.arguments = {buffer_argument("y", DataType::float32, Access::inout, "n"),
                       buffer_argument("x", DataType::float32, Access::in, "n", FillUniform{-1, 1, 3})};
  problem.launches = {make_launch("unguarded", {"y", "x"}, "block", "ceil_div(n, block)")};
  problem.outputs = {{"y", 1e-6, 0, {}}};
  ReferenceKernel reference;
  reference.launches = {make_launch("guarded", {"y", "x", "n"}, "64", "ceil_div(n, 64)")};
  problem.reference = reference;
  const auto runner = make_runner();
  for (const int block : {64, 128, 256}) {
    const RunResult result = run(*runner, {{"block", integer(block)}});
    EXPECT_EQ(result.status, TrialStatus::out_of_bounds) << block;
    EXPECT_THAT(result.message, HasSubstr("wrote behind the end of 'y'"));
  }
}

TEST_F(BackendRunner, ReadsBehindAnInputAreSeen) {
  problem.launches[0].entry = "neighbour";
  problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
    auto values = testing::values_of<float>(buffers.at("x"));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += i + 1 < values.size() ? values[i + 1] : 0;
    buffers.at("y") = testing::bytes_of(values);
  }};
  const RunResult past = run(*make_runner(), bug(0));
  EXPECT_EQ(past.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(past.message, HasSubstr("reads behind the end of 'x': element 999 of output 'y' is nan, and"));
}

// The same verdicts, messages and first wrong elements wherever outputs are compared; and a right result is not
// downloaded.
TEST_F(BackendRunner, HostAndDeviceComparisonAgree) {
  if (!context->device().supports_float64) GTEST_SKIP() << "the device has no double arithmetic";
  std::vector<RunResult> results[2];
  for (const CompareOn place : {CompareOn::host, CompareOn::device}) {
    RunnerOptions options;
    options.compare_on = place;
    ProblemRunner runner(*context, *compiler, problem, clock, options);
    runner.compute_reference();
    for (int number = 0; number < 4; ++number) results[place == CompareOn::device].push_back(run(runner, bug(number)));
  }
  for (std::size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_EQ(results[0][i].status, results[1][i].status) << i;
    EXPECT_EQ(results[0][i].message, results[1][i].message);
    ASSERT_EQ(results[0][i].mismatch.has_value(), results[1][i].mismatch.has_value());
    if (!results[0][i].mismatch) continue;
    EXPECT_EQ(results[0][i].mismatch->index, results[1][i].mismatch->index);
    EXPECT_EQ(results[0][i].mismatch->wrong, results[1][i].mismatch->wrong);
  }
}

// The device may only call right what the host calls right, and should whenever it is not a close call.
TEST_F(BackendRunner, DeviceComparisonIsTheHostsForEveryType) {
  if (!context->device().supports_float64) GTEST_SKIP() << "the device has no double arithmetic";
  const auto stream = context->create_stream();
  DeviceComparer comparer(*context, *compiler, *stream);
  constexpr std::size_t elements = 5003;
  Rng rng(17);
  for (const DataType type : {DataType::int8, DataType::uint16, DataType::int32, DataType::uint64, DataType::float16,
                              DataType::bfloat16, DataType::float32, DataType::float64}) {
    SCOPED_TRACE(to_string(type));
    const std::size_t width = size_of(type);
    std::vector<std::byte> expected = generate(FillUniform{is_floating(type) ? -4.0 : 0.0, 4, 5}, type, elements, 0);
    const auto verdicts_agree = [&](const std::vector<std::byte>& found, double rtol, double atol) {
      const Tolerance tolerance{rtol, atol};
      auto a = context->allocate(Bytes{expected.size()}), b = context->allocate(Bytes{found.size()});
      stream->copy_to_device(*a, Bytes{}, expected);
      stream->copy_to_device(*b, Bytes{}, found);
      stream->synchronize();
      const bool host = compare(expected, found, type, tolerance, "y").status == TrialStatus::ok;
      const bool device = comparer.surely_equal(*a, *b, Bytes{expected.size()}, type, tolerance);
      EXPECT_TRUE(host || !device) << "the device passed what the host does not";
      return host == device;
    };
    EXPECT_TRUE(verdicts_agree(expected, 0, 0));
    for (int round = 0; round < 8; ++round) {
      auto found = expected;
      // Another bit of a random element, from the lowest to the highest: from a step in the last place to NaN.
      const std::size_t at = rng.below(elements) * width;
      const std::size_t bit = static_cast<std::size_t>(round) * (8 * width - 1) / 7;
      found[at + bit / 8] ^= std::byte{1} << (bit % 8);
      EXPECT_TRUE(verdicts_agree(found, 0, 0)) << "bit " << bit;
      if (!is_floating(type)) continue;
      EXPECT_TRUE(verdicts_agree(found, 0.3, 1e-3)) << "bit " << bit;
      EXPECT_TRUE(verdicts_agree(found, 1e-9, 1e-9)) << "bit " << bit;
    }
    if (!is_floating(type)) continue;
    auto with_nan = expected;
    std::fill_n(with_nan.begin() + static_cast<std::ptrdiff_t>(7 * width), width, std::byte{0xFF});
    EXPECT_TRUE(verdicts_agree(with_nan, 1, 1));
    std::swap(expected, with_nan);
    EXPECT_TRUE(verdicts_agree(expected, 0, 0)) << "NaN in the same place, the same bits";
    EXPECT_TRUE(verdicts_agree(with_nan, 1, 1)) << "a number where NaN is right";
  }
}

// A sum of wrong elements would be 0 again after 2^32 of them: whatever their number, the kernel leaves 1.
TEST_F(BackendRunner, DeviceComparisonLeavesAFlagAndNoCount) {
  if (!context->device().supports_float64) GTEST_SKIP() << "the device has no double arithmetic";
  const auto stream = context->create_stream();
  DeviceComparer comparer(*context, *compiler, *stream);
  constexpr std::size_t elements = 70000;
  const auto flag = [&](std::size_t wrong, const Tolerance& tolerance) {
    const std::vector<float> expected(elements, 1.0f);
    std::vector<float> found = expected;
    for (std::size_t i = 0; i < wrong; ++i) found[i * (elements / wrong)] = 1.5f;
    auto a = context->allocate(Bytes{4 * elements}), b = context->allocate(Bytes{4 * elements});
    stream->copy_to_device(*a, Bytes{}, std::as_bytes(std::span(expected)));
    stream->copy_to_device(*b, Bytes{}, std::as_bytes(std::span(found)));
    return comparer.flag_after(*a, *b, Bytes{4 * elements}, DataType::float32, tolerance);
  };
  for (const std::size_t wrong : {1u, 2u, 256u, 70000u}) EXPECT_EQ(flag(wrong, {}), 1u) << wrong;
  EXPECT_EQ(flag(0, {}), 0u);
  EXPECT_EQ(flag(256, {0, 0, 0, 0.6}), 0u) << "a norm-wise tolerance counts here too";
  EXPECT_EQ(flag(256, {0, 0, 0, 0.4}), 1u);
}

TEST_F(BackendRunner, InPlaceKernelIsRestoredBeforeEachOfTwentyRuns) {
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

TEST_F(BackendRunner, RepeatsSwapTheirBuffers) {
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

TEST_F(BackendRunner, TwoLaunchesWithDynamicSharedMemory) {
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

TEST_F(BackendRunner, ConstantsReachTheirSymbolOrTheLastParameter) {
  Argument constant = buffer_argument("factor", DataType::float32, Access::constant, "2", FillIota{2, 1});
  constant.symbol = "factor";
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

TEST_F(BackendRunner, OutputsOfEveryTypeUseTheirOwnTolerance) {
  // Four outputs of one kernel; each is off by more than the others' tolerances and less than its own.
  problem.source.by_backend[backend_name].text = std::string(source) + R"(
KERNEL four(GLOBAL float* a, GLOBAL unsigned short* half_bits, GLOBAL int* c, GLOBAL unsigned char* d, int n) {
  int i = INDEX;
  if (i >= n) return;
  a[i] = 1.0001f;
  half_bits[i] = 0x3C08;
  c[i] = 1000003;
  d[i] = 7 + bug;
}
)";
  problem.arguments = {buffer_argument("a", DataType::float32, Access::out, "n"),
                       buffer_argument("b", DataType::float16, Access::out, "n"),
                       buffer_argument("c", DataType::int32, Access::out, "n"),
                       buffer_argument("d", DataType::uint8, Access::out, "n")};
  problem.launches = {make_launch("four", {"a", "b", "c", "d", "n"}, "64", "n // 64 + 1")};
  problem.outputs = {{"a", 2e-4, 0, {}}, {"b", 0.01, 0, {}}, {"c", 0, 3, {}}, {"d", 0, 0, {}}};
  problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
    buffers.at("a") = testing::bytes_of(std::vector<float>(n, 1.0f));
    buffers.at("b") = testing::bytes_of(std::vector<std::uint16_t>(n, 0x3C00));
    buffers.at("c") = testing::bytes_of(std::vector<std::int32_t>(n, 1000000));
    buffers.at("d") = testing::bytes_of(std::vector<std::uint8_t>(n, 7));
  }};
  const auto runner = make_runner();
  EXPECT_EQ(run(*runner, bug(0)).status, TrialStatus::ok);
  const RunResult result = run(*runner, bug(1));
  EXPECT_EQ(result.status, TrialStatus::wrong_result);
  EXPECT_EQ(result.mismatch->argument, "d");
  EXPECT_EQ(result.mismatch->wrong, 1000u);
}

TEST_F(BackendRunner, TimeOfAnEmptyKernelLeavesOutWhatTheHostDoes) {
  problem.launches = {make_launch("nothing", {"x"}, "64", "1")};
  problem.outputs.clear();
  problem.reference = {};
  timing.min_samples = timing.max_samples = 11;
  const auto runner = make_runner();
  const RunResult result = run(*runner, bug(0));
  ASSERT_EQ(result.status, TrialStatus::ok) << result.message;
  // On an H100 launching and waiting takes the host 10 us and an empty kernel the device 1 to 2; CPU devices share the
  // cores with the tests.
  const auto limit = context->device().kind == DeviceKind::gpu ? Nanoseconds{6e3} : Nanoseconds{10e6};
  std::vector<Nanoseconds> sorted = result.samples;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_LT(sorted[sorted.size() / 2], limit);
}

TEST_F(BackendRunner, AMissingArgumentIsTheSpecificationsMistake) {
  problem.reference = {};
  problem.launches[0].args = {"x", "y"};
  const auto runner = make_runner();
  const RunResult result = run(*runner, bug(0));
  EXPECT_EQ(result.status, TrialStatus::launch_failed);
  EXPECT_TRUE(result.specification_mistake);
  EXPECT_THAT(result.message, HasSubstr("kernel 'twice_buggy' takes 3 parameters"));
  EXPECT_EQ(run(*runner, bug(0)).status, TrialStatus::launch_failed) << "the device goes on";
}

TEST_F(BackendRunner, FlushesEndWithACleanReadOnTheDevice) {
  const auto stream = context->create_stream();
  std::vector<std::string> warnings;
  CacheFlusher flusher(*context, *compiler, *stream, {},
                       [&](LogLevel, std::string_view text) { warnings.emplace_back(text); });
  EXPECT_TRUE(flusher.cleans());
  EXPECT_THAT(warnings, IsEmpty());
  EXPECT_GE(flusher.size(), Bytes{1 << 20});
  CacheFlusher write_only(*context, *compiler, *stream, {true, 0});
  // Reading takes time of the device, so it happens.
  EXPECT_GT(flusher.duration(), write_only.duration() * 1.1);
  const RunResult result = run(*make_runner(), bug(0));
  EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
  EXPECT_EQ(result.conditions.flushed_cache, flusher.cache());
  EXPECT_EQ(result.conditions.flushed_cache_source, flusher.cache_source());
}

TEST_F(BackendRunner, ACoverTakesAboutTheTimeAskedFor) {
  const auto stream = context->create_stream();
  std::vector<std::string> warnings;
  CoverKernel cover(*context, *compiler, [&](LogLevel, std::string_view text) { warnings.emplace_back(text); });
  ASSERT_TRUE(cover.ready(*stream));
  EXPECT_THAT(warnings, IsEmpty());
  const auto begin = context->create_event(), end = context->create_event();
  const auto time_of = [&](Nanoseconds length) {
    std::vector<Nanoseconds> times;
    for (int i = 0; i < 5; ++i) {
      stream->record(*begin);
      cover.enqueue(*stream, length);
      stream->record(*end);
      end->synchronize();
      times.push_back(end->elapsed_since(*begin));
      cover.measured(times.back());
    }
    return *std::min_element(times.begin(), times.end());
  };
  // Others on a CPU make the calibration too slow or too fast; on a GPU the first one may be at a low clock.
  EXPECT_GT(time_of(Nanoseconds{4e6}), Nanoseconds{0.4e6});
  EXPECT_LT(time_of(Nanoseconds{400e3}), Nanoseconds{4e6});
}

TEST_F(BackendRunner, WarmShortKernelsAreTheDevicesTimeOnGpus) {
  problem.launches = {make_launch("nothing", {"x"}, "64", "1")};
  problem.outputs.clear();
  problem.reference = {};
  timing.cache = CacheMode::warm;
  const RunResult result = run(*make_runner(), bug(0));
  ASSERT_EQ(result.status, TrialStatus::ok) << result.message;
  const std::vector<std::string>& marks = result.conditions.marks;
  if (context->device().kind == DeviceKind::gpu) {
    EXPECT_THAT(marks, Not(Contains("launch_bound")));
    EXPECT_LT(result.samples.front(), Nanoseconds{6e3});
  } else {
    EXPECT_THAT(marks, Not(Contains("covered"))) << "cores of a CPU device enqueue";
  }
}

#ifndef WARPWRIGHT_TEST_CUDA
// Harmless mismatches: nothing is launched.
TEST_F(BackendRunner, ArgumentKindsAndTypesAreComparedBeforeAnythingIsSet) {
  problem.reference = {};
  problem.dimensions.set("alpha", Value{0.5});
  problem.launches[0].args_position = {"twice.toml", 7, 1, "launch[0].args"};
  const auto message = [&](std::vector<std::string> args) {
    problem.launches[0].args = std::move(args);
    const RunResult result = run(*make_runner(), bug(0));
    EXPECT_TRUE(result.specification_mistake) << result.message;
    EXPECT_EQ(result.status, TrialStatus::launch_failed);
    return result.message;
  };
  EXPECT_THAT(message({"x", "y", "alpha"}),
              AllOf(HasSubstr("twice.toml:7:1: key 'launch[0].args'"), HasSubstr("argument 'alpha' (float32)"),
                    HasSubstr("parameter 3 of kernel 'twice_buggy', which is 'int n'")));
  EXPECT_THAT(message({"x", "y", "y"}), HasSubstr("argument 'y' (buffer of float32)"));
  EXPECT_THAT(message({"n", "y", "n"}), AllOf(HasSubstr("argument 'n' (int32)"), HasSubstr("which is 'float* x'")));
  problem.arguments[0].type = DataType::float64;
  EXPECT_THAT(message({"x", "y", "n"}), HasSubstr("argument 'x' (buffer of float64)"));
}

TEST_F(BackendRunner, ARequiredWorkGroupSizeIsNamed) {
  problem.source.by_backend[backend_name].text = std::string(source) + R"(
__kernel __attribute__((reqd_work_group_size(32, 2, 1))) void tiled(__global const float* x, __global float* y, int n) {
  int i = get_global_id(1) * get_global_size(0) + get_global_id(0);
  if (i < n) y[i] = 2 * x[i];
}
)";
  problem.launches = {make_launch("tiled", {"x", "y", "n"}, "64", "16")};
  const RunResult refused = run(*make_runner(), bug(0));
  EXPECT_EQ(refused.status, TrialStatus::launch_failed);
  EXPECT_THAT(refused.message,
              HasSubstr("the block is (64, 1, 1), and the kernel declares reqd_work_group_size (32, 2, "
                        "1)"));
  problem.launches[0].block = {Expression::parse("32"), Expression::parse("2")};
  EXPECT_EQ(run(*make_runner(), bug(0)).status, TrialStatus::ok);
}
#endif

TEST_F(BackendRunner, RunOnceAndInterleavedRounds) {
  ProblemRunner runner(*context, *compiler, problem, clock);
  const Binary binary = compile(bug(0));
  EXPECT_EQ(runner.run_once(bug(0), binary).status, TrialStatus::ok);
  const auto samples = runner.run_interleaved({{bug(0), &binary}, {bug(0), &binary}}, 3, CacheMode::cold, 1).samples;
  EXPECT_THAT(samples, AllOf(SizeIs(2), Each(AllOf(SizeIs(3), Each(Gt(Nanoseconds{0}))))));
}

}  // namespace
}  // namespace warpwright::measure
