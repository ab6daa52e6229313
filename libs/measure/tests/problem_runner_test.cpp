#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <set>

#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/problem_runner.hpp>
#include <warpwright/model/statistics.hpp>

#include "host_device.hpp"
#include "problems.hpp"

namespace warpwright::measure {
namespace {

using ::testing::AllOf;
using testing::buffer_argument;
using testing::Call;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using testing::Host;
using testing::HostCompiler;
using testing::HostContext;
using testing::integer;
using ::testing::IsEmpty;
using testing::make_launch;
using testing::make_parameter;
using testing::scalar_argument;
using ::testing::SizeIs;
using testing::StepClock;
using testing::values_of;

constexpr int n = 1000;

Configuration bug(int number) { return {{"bug", integer(number)}}; }

// y = 2x, with what can go wrong selected by the parameter "bug".
enum Bug {
  none,
  half_written,
  past_the_end,
  all_nan,
  one_wrong,
  far_past,
  refused,
  refused_resources,
  sometimes_wrong,
  faulty
};

class Runner : public ::testing::Test {
 protected:
  Runner() : context(host), compiler(host) {
    host.kernels["twice"] = [this](const Call& call) { twice(call); };
    host.kernels["twice_naive"] = [](const Call& call) {
      for (int i = 0; i < call.scalar<std::int32_t>(2); ++i) call.data<float>(1)[i] = 2 * call.data<float>(0)[i];
    };
    problem.name = "twice";
    problem.source.dialect = SourceText{"twice.kernel", "source"};
    problem.dimensions = {{"n", integer(n)}};
    problem.parameters = {make_parameter("bug", {integer(0), integer(1), integer(2), integer(3), integer(4), integer(5),
                                                 integer(6), integer(7), integer(8), integer(9)})};
    problem.arguments = {buffer_argument("x", DataType::float32, Access::in, "n", FillUniform{-1, 1, 3}),
                         buffer_argument("y", DataType::float32, Access::out, "n")};
    problem.launches = {make_launch("twice", {"x", "y", "n"})};
    problem.outputs = {{"y", 1e-6, 0, {}}};
    ReferenceKernel reference;
    reference.launches = {make_launch("twice_naive", {"x", "y", "n"})};
    problem.reference = reference;
    timing.min_samples = timing.max_samples = 5;
  }

  void twice(const Call& call) {
    const int which = call.define("bug"), size = call.scalar<std::int32_t>(2);
    const float* x = call.data<float>(0);
    float* y = call.data<float>(1);
    ++runs;
    if (which == refused)
      throw Error(ErrorCode::launch, "invalid argument", NativeError{1, "CUDA_ERROR_INVALID_VALUE"});
    if (which == refused_resources) {
      throw Error(ErrorCode::launch, "refused", NativeError{701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"});
    }
    if (which == faulty) throw Error(ErrorCode::device, "illegal address");
    for (int i = 0; i < (which == half_written ? size / 2 : size); ++i) {
      y[i] = which == all_nan ? std::numeric_limits<float>::quiet_NaN() : 2 * x[i];
    }
    if (which == past_the_end) y[size] = 0;
    if (which == far_past) call.data<std::byte>(1)[size * 4 + 4095] = std::byte{1};
    if (which == one_wrong) y[17] = 99;
    if (which == sometimes_wrong && runs == wrong_run) y[3] = 99;
  }

  std::unique_ptr<ProblemRunner> make_runner(RunnerOptions options = {}) {
    options.log = [this](LogLevel level, std::string_view text) {
      if (level >= LogLevel::warning) warnings.emplace_back(text);
    };
    auto runner = std::make_unique<ProblemRunner>(context, compiler, problem, clock, options);
    runner->compute_reference();
    return runner;
  }
  RunResult run(ProblemRunner& runner, const Configuration& configuration) {
    const device::Binary binary = compiler.compile(kernel_job(runner.problem(), configuration, host.info));
    return runner.run(configuration, binary, timing);
  }
  // Of a fresh runner, for one configuration.
  RunResult run(const Configuration& configuration) { return run(*make_runner(), configuration); }
  std::string error_of(ErrorCode code, const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      EXPECT_EQ(to_string(error.code()), to_string(code)) << error.what();
      return error.what();
    }
    return "no error";
  }

  Host host;
  HostContext context;
  HostCompiler compiler;
  StepClock clock;
  Problem problem;
  TimingOptions timing;
  int runs = 0, wrong_run = 0;
  std::vector<std::string> warnings;
};

TEST_F(Runner, RightConfigurationIsTimed) {
  host.resources["twice"].registers_per_thread = 40;
  const RunResult result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
  EXPECT_THAT(result.samples, SizeIs(5));
  EXPECT_THAT(result.samples, Each(Nanoseconds{1000}));
  EXPECT_EQ(result.message, "");
  ASSERT_THAT(result.resources, SizeIs(1));
  EXPECT_EQ(result.resources[0].entry, "twice");
  EXPECT_EQ(result.resources[0].registers_per_thread, 40);
  EXPECT_EQ(host.live_modules, 0);
}

TEST_F(Runner, WallTimesAddUp) {
  const auto runner = make_runner();
  host.kernels["twice"] = [this](const Call& call) {
    clock.pass(Nanoseconds{5000});
    twice(call);
  };
  const device::Binary binary = compiler.compile(kernel_job(problem, bug(none), host.info));
  const Nanoseconds begin = clock.now();
  const RunResult result = runner->run(bug(none), binary, timing);
  const Nanoseconds total = clock.now() - begin;
  // The clock passes 10 ns per look: one before the call's first, one after its last.
  EXPECT_DOUBLE_EQ((result.copy + result.verify + result.measure).count(), total.count() - 20);
  EXPECT_GE(result.verify, Nanoseconds{5000});       // one launch
  EXPECT_GE(result.measure, Nanoseconds{6 * 5000});  // warm-up and samples
  EXPECT_GT(result.copy.count(), 0);
}

TEST_F(Runner, PartialWritesFailEvenAfterARightConfigurationRan) {
  const auto runner = make_runner();
  EXPECT_EQ(run(*runner, bug(none)).status, TrialStatus::ok);
  const RunResult result = run(*runner, bug(half_written));
  EXPECT_NE(result.status, TrialStatus::ok);
  ASSERT_TRUE(result.mismatch);
  EXPECT_EQ(result.mismatch->index, 500u);
  EXPECT_EQ(result.mismatch->wrong, 500u);
  EXPECT_THAT(result.message, AllOf(HasSubstr("output 'y'"), HasSubstr("never written")));
  EXPECT_THAT(result.samples, IsEmpty());
  EXPECT_EQ(run(*runner, bug(none)).status, TrialStatus::ok);
}

TEST_F(Runner, OneElementPastTheEndIsCaught) {
  const RunResult result = run(bug(past_the_end));
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, AllOf(HasSubstr("'y'"), HasSubstr("0 bytes past the end")));
  EXPECT_THAT(result.samples, IsEmpty());
  EXPECT_EQ(run(bug(far_past)).status, TrialStatus::out_of_bounds);
}

TEST_F(Runner, OneElementBeforeTheBeginningIsCaught) {
  host.kernels["twice"] = [this](const Call& call) {
    twice(call);
    call.data<float>(1)[-1] = 7;
  };
  RunResult result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, AllOf(HasSubstr("before the beginning of 'y'"), HasSubstr("before the first element")));
  EXPECT_THAT(result.samples, IsEmpty());
  host.kernels["twice"] = [this](const Call& call) {
    twice(call);
    call.data<std::byte>(1)[-4096] = std::byte{1};
  };
  result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, AllOf(HasSubstr("1 of the 4096 bytes before it"), HasSubstr("nearest 4096 bytes")));
}

TEST_F(Runner, WritingTheGuardPatternItselfPastTheEndIsCaughtToo) {
  host.kernels["twice"] = [this](const Call& call) {
    twice(call);
    call.data<std::uint8_t>(1)[n * 4] = 0xA5;
  };
  EXPECT_EQ(run(bug(none)).status, TrialStatus::out_of_bounds);
}

TEST_F(Runner, WritingAroundAnInputIsCaughtToo) {
  host.kernels["twice"] = [this](const Call& call) {
    twice(call);
    call.data<float>(0)[n] = 1;
  };
  RunResult result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, HasSubstr("behind the end of 'x'"));
  host.kernels["twice"] = [this](const Call& call) {
    twice(call);
    call.data<float>(0)[-1] = 1;
  };
  result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, HasSubstr("before the beginning of 'x'"));
}

// Whatever a kernel without `if (i < n)` does to its elements, it is seen at the first verification.
TEST_F(Runner, AKernelThatGoesOnBehindTheEndIsCaughtWhateverItComputes) {
  problem.arguments[1].access = Access::inout;
  problem.arguments.push_back(buffer_argument("z", DataType::float32, Access::in, "n", FillUniform{-1, 1, 5}));
  problem.launches[0].args = {"x", "y", "z"};
  std::get<ReferenceKernel>(problem.reference).launches = {make_launch("reference", {"x", "y", "z"})};
  using Element = std::function<float(float x, float y, float z)>;
  const std::vector<Element> kernels{
      [](float x, float y, float) { return y + x; },     [](float x, float, float) { return x; },
      [](float, float y, float) { return 2 * y; },       [](float x, float y, float z) { return x * z + y; },
      [](float, float, float z) { return z; },           [](float x, float y, float z) { return y - x - z; },
      [](float x, float y, float) { return y + 0 * x; }, [](float x, float y, float) { return std::max(x, y); }};
  for (std::size_t k = 0; k < kernels.size(); ++k) {
    SCOPED_TRACE(k);
    const auto body = [&](int count) {
      return [&, count](const Call& call) {
        ++runs;
        for (int i = 0; i < count; ++i)
          call.data<float>(1)[i] = kernels[k](call.data<float>(0)[i], call.data<float>(1)[i], call.data<float>(2)[i]);
      };
    };
    host.kernels["reference"] = body(n);
    host.kernels["twice"] = body(n);
    EXPECT_EQ(run(bug(none)).status, TrialStatus::ok);
    host.kernels["twice"] = body(n + 24);
    const auto runner = make_runner();
    runs = 0;
    const RunResult result = run(*runner, bug(none));
    EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
    EXPECT_THAT(result.message, HasSubstr("wrote behind the end of 'y'"));
    EXPECT_EQ(runs, 1);
  }
}

TEST_F(Runner, ReadsOutsideABufferThatShowAreOutOfBounds) {
  const auto with_element = [this](int argument, int element) {
    host.kernels["twice"] = [=, this](const Call& call) {
      twice(call);
      call.data<float>(1)[n - 1] += call.data<float>(argument)[element];
    };
    return run(bug(none));
  };
  for (const int element : {n, n + 1023}) {
    const RunResult result = with_element(0, element);
    EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
    EXPECT_THAT(result.message, AllOf(HasSubstr("reads behind the end of 'x': element 999 of output 'y' is nan, and"),
                                      HasSubstr("with other bytes there; it should be")));
    ASSERT_TRUE(result.mismatch);
    EXPECT_EQ(result.mismatch->index, 999u);
    EXPECT_THAT(result.samples, IsEmpty());
  }
  EXPECT_THAT(with_element(0, -1).message, HasSubstr("reads before the beginning of 'x'"));
  EXPECT_THAT(with_element(1, n).message, HasSubstr("reads behind the end of 'y'"));
  EXPECT_EQ(with_element(1, -1024).status, TrialStatus::out_of_bounds);
}

TEST_F(Runner, ReadsOutsideThatAMaximumHidesShowAfterTiming) {
  host.kernels["twice"] = [this](const Call& call) {
    twice(call);
    const float beyond = call.data<float>(0)[n];
    if (beyond > call.data<float>(1)[0]) call.data<float>(1)[0] = beyond;  // false for NaN
  };
  const RunResult result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, HasSubstr("reads behind the end of 'x'"));
  EXPECT_THAT(result.samples, IsEmpty());
}

TEST_F(Runner, ReadsOutsideIntegersAreOutOfBounds) {
  problem.arguments = {buffer_argument("x", DataType::int32, Access::in, "n", FillIota{0, 1}),
                       buffer_argument("y", DataType::int32, Access::out, "1")};
  problem.outputs = {{"y", 0, 0, {}}};
  const auto sum = [](int count) {
    return [=](const Call& call) {
      std::uint32_t total = 0;
      for (int i = 0; i < count; ++i) total += call.data<std::uint32_t>(0)[i];
      call.data<std::uint32_t>(1)[0] = total;
    };
  };
  host.kernels["twice_naive"] = sum(n);
  host.kernels["twice"] = sum(n);
  EXPECT_EQ(run(bug(none)).status, TrialStatus::ok);
  host.kernels["twice"] = sum(n + 1);
  const RunResult result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, HasSubstr("reads behind the end of 'x'"));
}

// What changes from run to run of itself is not blamed on the guard zones.
TEST_F(Runner, AKernelThatIsWrongNowAndThenDoesNotReadOutside) {
  int seen = 0;
  for (const int period : {2, 3}) {
    for (int phase = 0; phase < period; ++phase) {
      host.kernels["twice"] = [=, this](const Call& call) {
        twice(call);
        if (runs % period == phase) call.data<float>(1)[3] = 99;
      };
      const auto runner = make_runner();
      runs = 0;
      const TrialStatus status = run(*runner, bug(none)).status;
      EXPECT_NE(status, TrialStatus::out_of_bounds) << "period " << period << ", phase " << phase;
      seen += status == TrialStatus::ok ? 0 : 1;
    }
  }
  EXPECT_GE(seen, 4);  // of five: one of three phases is right whenever its outputs are looked at
}

TEST_F(Runner, NanOutputIsNotFiniteAndOneWrongElementIsFound) {
  EXPECT_EQ(run(bug(all_nan)).status, TrialStatus::not_finite);
  const RunResult result = run(bug(one_wrong));
  EXPECT_EQ(result.status, TrialStatus::wrong_result);
  EXPECT_EQ(result.mismatch->index, 17u);
  EXPECT_EQ(result.mismatch->found, "99");
  EXPECT_THAT(result.samples, IsEmpty());
}

TEST_F(Runner, RefusedLaunchNeverHasSamples) {
  const auto runner = make_runner();
  const RunResult other = run(*runner, bug(refused));
  EXPECT_EQ(other.status, TrialStatus::launch_failed);
  EXPECT_THAT(other.samples, IsEmpty());
  EXPECT_THAT(other.message,
              AllOf(HasSubstr("CUDA_ERROR_INVALID_VALUE"), HasSubstr("launching block (1, 1, 1) of 'twice'")));
  host.info.id = DeviceId::parse("cuda:0");
  const RunResult resources = run(*runner, bug(refused_resources));
  EXPECT_EQ(resources.status, TrialStatus::resource_exceeded);
  EXPECT_THAT(resources.samples, IsEmpty());
  EXPECT_EQ(run(*runner, bug(none)).status, TrialStatus::ok);
}

TEST_F(Runner, LaunchRefusedWhileTimingHasNoSamplesEither) {
  host.kernels["twice"] = [this](const Call& call) {
    twice(call);
    if (runs == 4) throw Error(ErrorCode::launch, "out of resources");
  };
  const RunResult result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::resource_exceeded);
  EXPECT_THAT(result.samples, IsEmpty());
}

TEST_F(Runner, DeviceErrorsPropagate) {
  const auto runner = make_runner();
  EXPECT_THAT(error_of(ErrorCode::device, [&] { run(*runner, bug(faulty)); }), HasSubstr("illegal address"));
}

TEST_F(Runner, GeometryOverTheLimitsIsPrunedBeforeAnyLaunch) {
  problem.parameters.push_back(make_parameter("block", {integer(1), integer(2048), integer(0)}));
  problem.launches[0].block = {Expression::parse("block")};
  const auto runner = make_runner();
  const auto pruned = run(*runner, {{"bug", integer(0)}, {"block", integer(2048)}});
  EXPECT_EQ(pruned.status, TrialStatus::pruned);
  EXPECT_THAT(pruned.message, HasSubstr("2048"));
  EXPECT_EQ(run(*runner, {{"bug", integer(0)}, {"block", integer(0)}}).status, TrialStatus::pruned);
  EXPECT_EQ(runs, 0);
}

TEST_F(Runner, KernelsOwnLimitsAreKnownBeforeTheLaunch) {
  problem.launches[0].block = {Expression::parse("512")};
  host.resources["twice"].max_threads_per_block = 256;
  const RunResult threads = run(bug(none));
  EXPECT_EQ(threads.status, TrialStatus::resource_exceeded);
  EXPECT_THAT(threads.message, AllOf(HasSubstr("512"), HasSubstr("256")));
  host.resources["twice"].max_threads_per_block.reset();
  host.resources["twice"].static_shared = Bytes{40 << 10};
  problem.launches[0].shared = Expression::parse("16384");
  EXPECT_EQ(run(bug(none)).status, TrialStatus::resource_exceeded);
  EXPECT_EQ(runs, 0);
}

TEST_F(Runner, OutputsThatChangeAfterVerificationAreNondeterministic) {
  // Run 1 verifies, 2 is the warm-up, 3 to 7 are the samples; 8, of the other parity than 1, is looked at.
  wrong_run = 8;
  const RunResult result = run(bug(sometimes_wrong));
  EXPECT_EQ(result.status, TrialStatus::nondeterministic);
  EXPECT_THAT(result.message, AllOf(HasSubstr("should be"), HasSubstr("a third run was right")));
  EXPECT_EQ(result.mismatch->index, 3u);
  EXPECT_THAT(result.samples, IsEmpty());
}

TEST_F(Runner, InPlaceKernelGivesTheAnswerOfOneRunHoweverOftenItRuns) {
  host.kernels["in_place"] = [](const Call& call) {
    for (int i = 0; i < n; ++i) call.data<float>(0)[i] *= 2;
  };
  problem.arguments = {buffer_argument("x", DataType::float32, Access::inout, "n", FillIota{1, 1})};
  problem.launches = {make_launch("in_place", {"x"})};
  problem.outputs = {{"x", 0, 0, {}}};
  problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
    auto values = values_of<float>(buffers.at("x"));
    for (float& value : values) value *= 2;
    buffers.at("x") = testing::bytes_of(values);
  }};
  timing.min_samples = timing.max_samples = 20;
  for (const CacheMode cache : {CacheMode::cold, CacheMode::warm}) {
    timing.cache = cache;
    const auto runner = make_runner();
    for (int i = 0; i < 2; ++i) {
      const RunResult result = run(*runner, bug(none));
      EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
      EXPECT_THAT(result.samples, SizeIs(20));
    }
  }
}

TEST_F(Runner, InputsWithoutRoomOnTheDeviceAreRestoredFromTheHost) {
  host.memory = device::MemoryUse{Bytes{1 << 20}, Bytes{1 << 20}};
  host.kernels["spoil"] = [](const Call& call) {
    for (int i = 0; i < n; ++i) {
      call.data<float>(1)[i] = 2 * call.data<float>(0)[i];
      call.data<float>(0)[i] = 0;  // an input, which it should not write
    }
  };
  problem.launches[0].entry = "spoil";
  const auto runner = make_runner();
  host.operations.clear();
  timing.min_samples = timing.max_samples = 1;
  timing.warmup = 0;
  // Right when verified; timed runs then find zeros, which shows in the outputs after timing.
  EXPECT_EQ(run(*runner, bug(none)).status, TrialStatus::nondeterministic);
  EXPECT_EQ(host.count("copy"), 0);
  EXPECT_EQ(host.count("upload"), 4);  // of the verified run, of two that look for reads outside, and of the last
}

TEST_F(Runner, SwapExchangesBuffersBetweenRepeats) {
  for (const int repeat : {1, 2, 5}) {
    host.kernels["step"] = [](const Call& call) {
      for (int i = 0; i < n; ++i) call.data<float>(1)[i] = call.data<float>(0)[i] + 1;
    };
    Launch launch = make_launch("step", {"x", "y"});
    launch.repeat = Expression::parse(std::to_string(repeat));
    launch.swap = {"x", "y"};
    problem.launches = {launch};
    problem.outputs = {{"y", 0, 0, {}}};
    problem.arguments[0].fill = FillIota{0, 1};
    problem.reference = ReferenceCallback{[repeat](const Configuration&, HostBuffers& buffers) {
      auto values = values_of<float>(buffers.at("x"));
      for (float& value : values) value += static_cast<float>(repeat);
      buffers.at("y") = testing::bytes_of(values);
    }};
    const RunResult result = run(bug(none));
    EXPECT_EQ(result.status, TrialStatus::ok) << repeat << ": " << result.message;
    EXPECT_THAT(result.samples, Each(Nanoseconds{1000.0 * repeat}));
  }
}

TEST_F(Runner, SwappedBuffersMustBeOfOneSize) {
  problem.arguments[1].size = Expression::parse("n + 1");
  problem.launches[0].swap = {"x", "y"};
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { make_runner(); }), HasSubstr("4000 and 4004 bytes"));
}

TEST_F(Runner, TwoLaunchesAndAScratchBufferWhoseSizeDependsOnAParameter) {
  host.kernels["partial"] = [](const Call& call) {
    const int parts = call.scalar<std::int32_t>(2);
    for (int p = 0; p < parts; ++p) {
      float sum = 0;
      for (int i = p; i < n; i += parts) sum += call.data<float>(0)[i];
      call.data<float>(1)[p] = sum;
    }
  };
  host.kernels["total"] = [](const Call& call) {
    float sum = 0;
    for (int p = 0; p < call.scalar<std::int32_t>(2); ++p) sum += call.data<float>(0)[p];
    call.data<float>(1)[0] = sum;
  };
  problem.parameters.push_back(make_parameter("parts", {integer(4), integer(50), integer(2)}));
  problem.arguments = {buffer_argument("x", DataType::float32, Access::in, "n", FillUniform{0, 1, 3}),
                       buffer_argument("partials", DataType::float32, Access::out, "parts"),
                       buffer_argument("sum", DataType::float32, Access::out, "1"),
                       scalar_argument("count", DataType::int32, "parts")};
  problem.launches = {make_launch("partial", {"x", "partials", "count"}),
                      make_launch("total", {"partials", "sum", "count"})};
  problem.outputs = {{"sum", 1e-5, 0, {}}};
  problem.reference = ReferenceCallback{[](const Configuration& dimensions, HostBuffers& buffers) {
    EXPECT_EQ(dimensions.at("n"), integer(n));
    double sum = 0;
    for (const float value : values_of<float>(buffers.at("x"))) sum += value;
    buffers.at("sum") = testing::bytes_of<float>({static_cast<float>(sum)});
  }};
  const auto runner = make_runner();
  for (const int parts : {4, 50, 2, 50}) {
    const RunResult result = run(*runner, {{"bug", integer(0)}, {"parts", integer(parts)}});
    EXPECT_EQ(result.status, TrialStatus::ok) << parts << ": " << result.message;
    EXPECT_THAT(result.samples, Each(Nanoseconds{2000}));
    ASSERT_THAT(result.resources, SizeIs(2));
    EXPECT_EQ(result.resources[1].entry, "total");
  }
}

TEST_F(Runner, InputsAreRegeneratedWhenTheirSizeChanges) {
  problem.parameters.push_back(make_parameter("pad", {integer(0), integer(24)}));
  problem.arguments[0].size = Expression::parse("n + pad");
  problem.arguments[0].fill = FillIota{0, 1};
  std::set<std::size_t> sizes;
  host.kernels["twice"] = [&](const Call& call) {
    sizes.insert(call.buffers[0].size());
    twice(call);
  };
  const auto runner = make_runner();
  for (const int pad : {24, 0, 24}) {
    EXPECT_EQ(run(*runner, {{"bug", integer(0)}, {"pad", integer(pad)}}).status, TrialStatus::ok);
  }
  EXPECT_EQ(sizes, (std::set<std::size_t>{n * 4 + 4096, (n + 24) * 4 + 4096})) << "the data and the zone behind it";
  EXPECT_EQ(host.count(fmt::format("allocate {}", n * 4 + 2 * 4096)), 2) << "x and y at first";
  EXPECT_EQ(host.count(fmt::format("allocate {}", (n + 24) * 4 + 2 * 4096)), 1) << "grown once, never shrunk";
}

TEST_F(Runner, ScalarsAndDimensionsArriveTyped) {
  host.kernels["twice"] = [](const Call& call) {
    EXPECT_EQ(call.scalar<std::int32_t>(0), n);
    EXPECT_EQ(call.scalar<float>(1), 0.5f);
    EXPECT_EQ(call.scalar<std::int64_t>(2), 2 * n);
    EXPECT_EQ(call.scalar<std::uint8_t>(3), 200);
    EXPECT_EQ(call.scalar<std::uint16_t>(4), 0x3C00);
    EXPECT_EQ(call.scalar<double>(5), 0.1);
    EXPECT_EQ((call.scalar<std::array<float, 4>>(6)), (std::array<float, 4>{3, 3, 3, 3}));
  };
  problem.dimensions.set("alpha", Value{0.5});
  for (Argument scalar :
       {scalar_argument("wide", DataType::int64, "2 * n"), scalar_argument("byte", DataType::uint8, "200"),
        scalar_argument("half", DataType::float16, "1"), scalar_argument("real", DataType::float64, "0.1"),
        scalar_argument("vector", DataType::float32, "3")}) {
    if (scalar.name == "vector") scalar.components = 4;
    problem.arguments.push_back(scalar);
  }
  problem.launches = {make_launch("twice", {"n", "alpha", "wide", "byte", "half", "real", "vector"})};
  problem.outputs.clear();
  problem.reference = {};
  EXPECT_EQ(run(bug(none)).status, TrialStatus::ok);
}

TEST_F(Runner, ScalarsOutOfRangeAreErrorsThatNameThem) {
  problem.reference = {};
  problem.dimensions.set("n", integer(1000));
  problem.dimensions.set("huge", integer(std::int64_t{1} << 31));
  problem.launches[0].args = {"x", "y", "huge"};
  const auto runner = make_runner();
  const RunResult result = run(*runner, bug(none));
  EXPECT_EQ(result.status, TrialStatus::pruned) << "values may depend on the configuration";
  EXPECT_THAT(result.message, AllOf(HasSubstr("'huge'"), HasSubstr("2147483648"), HasSubstr("int32")));
}

TEST_F(Runner, ALaunchThatDoesNotFitTheKernelIsTheSpecificationsMistakeAndNeverRuns) {
  using Kind = device::KernelParameter::Kind;
  problem.launches[0].args_position = {"twice.toml", 12, 1, "launch[0].args"};
  host.parameters["twice"] = {{Kind::buffer, "float* x", DataType::float32, 1, {}},
                              {Kind::buffer, "float* y", DataType::float32, 1, {}},
                              {Kind::scalar, "float n", DataType::float32, 1, Bytes{4}}};
  const RunResult result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::launch_failed);
  EXPECT_TRUE(result.specification_mistake);
  EXPECT_THAT(result.message, AllOf(HasSubstr("twice.toml:12:1: key 'launch[0].args'"),
                                    HasSubstr("launch 'twice': argument 'n' (int32)"),
                                    HasSubstr("parameter 3 of kernel 'twice', which is 'float n'")));
  EXPECT_EQ(runs, 0);
  host.parameters["twice"].pop_back();
  EXPECT_THAT(run(bug(none)).message, HasSubstr("takes 2 parameters"));
  host.parameters["twice"] = {{}, {}, {}};  // nothing but their number is told
  EXPECT_EQ(run(bug(none)).status, TrialStatus::ok);
  // The same of a reference is an error at once.
  host.parameters["twice_naive"] = {{}, {}};
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { make_runner(); }), HasSubstr("kernel 'twice_naive' takes 2"));
}

TEST_F(Runner, TheBlockAKernelDeclaresIsNamedBeforeTheLaunch) {
  host.required_blocks["twice"] = {16, 2, 1};
  problem.launches[0].block = {Expression::parse("32")};
  const RunResult result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::launch_failed);
  EXPECT_FALSE(result.specification_mistake);
  EXPECT_THAT(result.message, AllOf(HasSubstr("the block is (32, 1, 1)"), HasSubstr("(16, 2, 1)")));
  EXPECT_EQ(runs, 0);
  host.required_blocks["twice"] = {32, 1, 1};
  EXPECT_EQ(run(bug(none)).status, TrialStatus::ok);
}

TEST_F(Runner, MoreMemoryThanThereIsSaysHowMuchTheBuffersNeed) {
  RunnerOptions options;
  options.host_memory = Bytes{1 << 20};
  host.info.kind = DeviceKind::cpu;
  problem.dimensions = {{"n", integer(2'000'000'000)}};
  const auto refusal = [&] {
    return error_of(ErrorCode::out_of_memory, [&] { ProblemRunner(context, compiler, problem, clock, options); });
  };
  EXPECT_THAT(refusal(), AllOf(HasSubstr("'twice'"), HasSubstr("need 29.8 GiB of this machine's memory"),
                               HasSubstr("1 MiB left"), HasSubstr("x 7.45 GiB y 7.45 GiB")));
  EXPECT_EQ(host.count("allocate"), 0);
  host.info.kind = DeviceKind::gpu;
  host.memory = device::MemoryUse{Bytes{std::uint64_t{8} << 30}, Bytes{std::uint64_t{16} << 30}};
  EXPECT_THAT(refusal(), AllOf(HasSubstr("need 14.9 GiB more on the device"), HasSubstr("8 GiB of 16 GiB are free")));
  // A small problem whose expected outputs have no room beside it.
  problem.dimensions = {{"n", integer(n)}};
  options.host_memory = Bytes{6000};
  host.memory.reset();
  ProblemRunner runner(context, compiler, problem, clock, options);
  EXPECT_THAT(error_of(ErrorCode::out_of_memory, [&] { runner.compute_reference(); }),
              HasSubstr("the expected outputs of 'twice'"));
}

TEST_F(Runner, ANormwiseToleranceMeasuresByTheWholeOutput) {
  host.kernels["twice_naive"] = [](const Call& call) {
    for (int i = 0; i < n; ++i) call.data<float>(1)[i] = i == 0 ? 100.0f : 1e-3f;
  };
  float off = 0;
  host.kernels["twice"] = [&](const Call& call) {
    for (int i = 0; i < n; ++i) call.data<float>(1)[i] = (i == 0 ? 100.0f : 1e-3f) + off;
  };
  problem.outputs = {{"y", 0, 0, {}, 0, 1e-6}};
  off = 0.9e-4f;
  EXPECT_EQ(run(bug(none)).status, TrialStatus::ok);
  off = 1.2e-4f;
  EXPECT_EQ(run(bug(none)).status, TrialStatus::wrong_result);
}

TEST_F(Runner, ConstantsGoToTheirSymbol) {
  host.symbols["factor_c"] = Bytes{8};
  host.kernels["scaled"] = [](const Call& call) {
    EXPECT_EQ(call.buffers.size(), 2u);
    float factor[2];
    std::memcpy(factor, call.symbols->at("factor_c").data(), sizeof(factor));
    for (int i = 0; i < n; ++i) call.data<float>(1)[i] = factor[i % 2] * call.data<float>(0)[i];
  };
  Argument constant = buffer_argument("factor", DataType::float32, Access::constant, "2", FillIota{2, 1});
  constant.symbol = "factor_c";
  problem.arguments.push_back(constant);
  problem.launches = {make_launch("scaled", {"x", "y"})};
  problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
    auto values = values_of<float>(buffers.at("x"));
    for (int i = 0; i < n; ++i) values[i] *= values_of<float>(buffers.at("factor"))[i % 2];
    buffers.at("y") = testing::bytes_of(values);
  }};
  EXPECT_EQ(run(bug(none)).status, TrialStatus::ok);

  // Where there are no symbols it is passed behind the other arguments, or where the launch names it.
  host.symbols.clear();
  std::size_t position = 2;
  host.kernels["scaled"] = [&](const Call& call) {
    ASSERT_EQ(call.buffers.size(), 3u);
    const float* factor = call.data<float>(position);
    for (int i = 0; i < n; ++i)
      call.data<float>(2 - position + 1)[i] = factor[i % 2] * call.data<float>(position == 2 ? 0 : 1)[i];
  };
  EXPECT_EQ(run(bug(none)).status, TrialStatus::ok);
  problem.launches[0].args = {"factor", "x", "y"};
  position = 0;
  host.kernels["scaled"] = [&](const Call& call) {
    ASSERT_EQ(call.buffers.size(), 3u);
    for (int i = 0; i < n; ++i) call.data<float>(2)[i] = call.data<float>(0)[i % 2] * call.data<float>(1)[i];
  };
  EXPECT_EQ(run(bug(none)).status, TrialStatus::ok);
}

TEST_F(Runner, AConstantThatTheLaunchNamesIsPassedAndCopiedToItsSymbol) {
  host.symbols["factor_c"] = Bytes{64};  // larger than the data: the rest stays
  host.kernels["scaled"] = [](const Call& call) {
    ASSERT_EQ(call.buffers.size(), 3u);
    float copied[2];
    std::memcpy(copied, call.symbols->at("factor_c").data(), sizeof(copied));
    for (int i = 0; i < n; ++i) {
      EXPECT_EQ(copied[i % 2], call.data<float>(0)[i % 2]);
      call.data<float>(2)[i] = copied[i % 2] * call.data<float>(1)[i];
    }
  };
  Argument constant = buffer_argument("factor", DataType::float32, Access::constant, "2", FillIota{2, 1});
  constant.symbol = "factor_c";
  problem.arguments.push_back(constant);
  problem.launches = {make_launch("scaled", {"factor", "x", "y"})};
  problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
    auto values = values_of<float>(buffers.at("x"));
    for (int i = 0; i < n; ++i) values[i] *= values_of<float>(buffers.at("factor"))[i % 2];
    buffers.at("y") = testing::bytes_of(values);
  }};
  EXPECT_EQ(run(bug(none)).status, TrialStatus::ok);
}

TEST_F(Runner, SymbolTooSmallIsAnError) {
  host.symbols["c"] = Bytes{4};
  Argument constant = buffer_argument("factor", DataType::float32, Access::constant, "2");
  constant.symbol = "c";
  problem.arguments.push_back(constant);
  problem.reference = {};
  const auto runner = make_runner();
  const RunResult result = run(*runner, bug(none));
  EXPECT_EQ(result.status, TrialStatus::pruned);
  EXPECT_THAT(result.message, HasSubstr("symbol 'c' has 4 bytes"));
}

TEST_F(Runner, DynamicSharedMemoryReachesTheLaunchAndTheRecord) {
  Bytes seen;
  host.kernels["twice"] = [&](const Call& call) {
    seen = call.config.dynamic_shared;
    twice(call);
  };
  problem.launches[0].shared = Expression::parse("n * 4");
  const RunResult result = run(bug(none));
  EXPECT_EQ(seen, Bytes{4000});
  EXPECT_EQ(result.resources[0].dynamic_shared, Bytes{4000});
}

TEST_F(Runner, IntegerOutputsThatLookLikePoisonAreVerifiedTwice) {
  // Every byte value occurs among the right ones, so each pattern alone would hide some unwritten element.
  int skipped = -1;
  host.kernels["bytes"] = [&](const Call& call) {
    for (int i = 0; i < 256; ++i) {
      if (i != skipped) call.data<std::uint8_t>(0)[i] = static_cast<std::uint8_t>(i);
    }
  };
  problem.arguments = {buffer_argument("y", DataType::uint8, Access::out, "256")};
  problem.launches = {make_launch("bytes", {"y"})};
  problem.outputs = {{"y", 0, 0, {}}};
  problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
    for (int i = 0; i < 256; ++i) buffers.at("y")[static_cast<std::size_t>(i)] = static_cast<std::byte>(i);
  }};
  const auto runner = make_runner();
  EXPECT_EQ(run(*runner, bug(none)).status, TrialStatus::ok);
  for (skipped = 0; skipped < 256; ++skipped) {
    EXPECT_EQ(run(*runner, bug(none)).status, TrialStatus::wrong_result) << skipped;
  }
}

TEST_F(Runner, WithoutAReferenceOnlyTheGuardsSpeak) {
  problem.reference = {};
  const auto runner = make_runner();
  EXPECT_FALSE(runner->has_reference());
  EXPECT_EQ(runner->reference_description(), "none");
  EXPECT_EQ(run(*runner, bug(one_wrong)).status, TrialStatus::ok);
  EXPECT_EQ(run(*runner, bug(past_the_end)).status, TrialStatus::out_of_bounds);
}

TEST_F(Runner, AReferenceThatWasNotComputedIsNotForgotten) {
  ProblemRunner runner(context, compiler, problem, clock);
  EXPECT_TRUE(runner.has_reference());
  EXPECT_THAT(error_of(ErrorCode::conflict, [&] { run(runner, bug(none)); }), HasSubstr("compute_reference"));
}

TEST_F(Runner, RunOnceRunsOnceUntimedAndUnverified) {
  ProblemRunner runner(context, compiler, problem, clock);
  const device::Binary binary = compiler.compile(kernel_job(problem, bug(one_wrong), host.info));
  const RunResult result = runner.run_once(bug(one_wrong), binary);
  EXPECT_EQ(result.status, TrialStatus::ok);
  EXPECT_THAT(result.samples, IsEmpty());
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(runner.run_once(bug(refused), compiler.compile(kernel_job(problem, bug(refused), host.info))).status,
            TrialStatus::launch_failed);
}

TEST_F(Runner, MissingEntryIsAStatus) {
  const auto runner = make_runner();
  host.kernels.erase("twice");
  const RunResult result = run(*runner, bug(none));
  EXPECT_EQ(result.status, TrialStatus::launch_failed);
  EXPECT_THAT(result.message, HasSubstr("no kernel 'twice'"));
}

TEST_F(Runner, ConstructorRefusesWhatCannotWork) {
  const Problem good = problem;
  const auto refusal = [&](ErrorCode code) { return error_of(code, [&] { make_runner(); }); };
  problem.arguments[0].size = Expression::parse("n - 1000");
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("size of argument 'x'"));
  problem = good;
  problem.arguments[1].size = Expression::parse("n + bug");
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("depends on parameter 'bug'"));
  problem = good;
  problem.outputs = {{"z", 0, 0, {}}};
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("output 'z'"));
  problem = good;
  problem.launches[0].swap = {"x", "nothing"};
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("'nothing'"));
  problem = good;
  problem.launches.clear();
  EXPECT_THAT(refusal(ErrorCode::bad_input), HasSubstr("no launch"));
  problem = good;
  host.largest_allocation = 1000;
  EXPECT_THAT(refusal(ErrorCode::out_of_memory), AllOf(HasSubstr("argument 'x'"), HasSubstr("all buffers:")));
}

TEST_F(Runner, AConfigurationThatNeedsMoreMemoryIsAStatusAndTheNextOneRuns) {
  problem.parameters.push_back(make_parameter("pad", {integer(0), integer(100000)}));
  problem.arguments[0].size = Expression::parse("n + pad");
  host.largest_allocation = 200000;
  const auto runner = make_runner();
  const RunResult result = run(*runner, {{"bug", integer(0)}, {"pad", integer(100000)}});
  EXPECT_EQ(result.status, TrialStatus::resource_exceeded);
  EXPECT_THAT(result.message, HasSubstr("argument 'x'"));
  EXPECT_EQ(run(*runner, {{"bug", integer(0)}, {"pad", integer(0)}}).status, TrialStatus::ok);
}

TEST_F(Runner, ArgumentsWithoutASeedDoNotShareTheirData) {
  problem.arguments = {buffer_argument("a", DataType::float32, Access::in, "n", FillUniform{}),
                       buffer_argument("b", DataType::float32, Access::in, "n", FillUniform{}),
                       buffer_argument("y", DataType::float32, Access::out, "n")};
  HostBuffers seen;
  problem.reference = ReferenceCallback{[&](const Configuration&, HostBuffers& buffers) {
    seen = buffers;
    std::fill(buffers.at("y").begin(), buffers.at("y").end(), std::byte{0});
  }};
  problem.launches = {make_launch("twice", {"a", "y", "n"})};
  make_runner();
  EXPECT_NE(seen.at("a"), seen.at("b"));
  const HostBuffers first = seen;
  RunnerOptions fresh;
  fresh.input_salt = 1;
  make_runner(fresh);
  EXPECT_NE(seen.at("a"), first.at("a"));
}

TEST_F(Runner, InterleavedRoundsHaveAFreshSeededOrder) {
  problem.parameters.push_back(make_parameter("speed", {integer(1), integer(2), integer(3), integer(4)}));
  std::vector<int> order;
  host.kernels["twice"] = [&](const Call& call) {
    order.push_back(call.define("speed"));
    host.launch_times = {Nanoseconds{1000.0 * order.back()}};
  };
  const auto runner = make_runner();
  std::vector<device::Binary> binaries;
  std::vector<Configuration> configurations;
  for (int speed = 1; speed <= 4; ++speed) {
    configurations.push_back({{"bug", integer(0)}, {"speed", integer(speed)}});
    binaries.push_back(compiler.compile(kernel_job(problem, configurations.back(), host.info)));
  }
  std::vector<ProblemRunner::Candidate> candidates;
  for (int i = 0; i < 4; ++i) candidates.push_back({configurations[i], &binaries[i]});
  const auto run_with = [&](std::uint64_t seed) {
    order.clear();
    host.operations.clear();
    const auto samples = runner->run_interleaved(candidates, 10, CacheMode::cold, seed);
    EXPECT_THAT(samples, SizeIs(4));
    for (int i = 0; i < 4; ++i) {
      EXPECT_THAT(samples[i], SizeIs(10));
      EXPECT_THAT(samples[i], Each(Nanoseconds{1000.0 * (i + 1)}));
    }
    return order;
  };
  const std::vector<int> once = run_with(1);
  ASSERT_THAT(once, SizeIs(4 * 2 + 9 * 4));  // a warm-up each in the first round
  std::set<std::vector<int>> orders;
  for (std::size_t i = 8; i < once.size(); i += 4) {
    std::vector<int> round(once.begin() + static_cast<std::ptrdiff_t>(i),
                           once.begin() + static_cast<std::ptrdiff_t>(i) + 4);
    orders.insert(round);
    std::sort(round.begin(), round.end());
    EXPECT_THAT(round, ElementsAre(1, 2, 3, 4));
  }
  EXPECT_GT(orders.size(), 3u);
  EXPECT_EQ(run_with(1), once);
  EXPECT_EQ(host.count("fill 131072"), 40);  // a flush each
  EXPECT_NE(run_with(2), once);
  EXPECT_EQ(host.live_modules, 0);
}

TEST_F(Runner, InterleavingConfigurationsOfDifferentBufferSizesKeepsEachRight) {
  problem.parameters.push_back(make_parameter("pad", {integer(0), integer(5000)}));
  problem.arguments[0].size = Expression::parse("n + pad");
  problem.arguments[0].fill = FillConstant{7};
  host.kernels["twice"] = [](const Call& call) { EXPECT_EQ(call.data<float>(0)[n - 1], 7); };
  problem.reference = {};
  const auto runner = make_runner();
  const Configuration small{{"bug", integer(0)}, {"pad", integer(0)}},
      large{{"bug", integer(0)}, {"pad", integer(5000)}};
  const device::Binary a = compiler.compile(kernel_job(problem, small, host.info));
  const device::Binary b = compiler.compile(kernel_job(problem, large, host.info));
  for (const CacheMode cache : {CacheMode::cold, CacheMode::warm}) {
    EXPECT_THAT(runner->run_interleaved({{small, &a}, {large, &b}}, 3, cache, 1), Each(SizeIs(3)));
  }
}

TEST_F(Runner, InterleavedRefusalThrowsAndUnloads) {
  const auto runner = make_runner();
  const device::Binary binary = compiler.compile(kernel_job(problem, bug(refused), host.info));
  EXPECT_THAT(error_of(ErrorCode::launch,
                       [&] {
                         runner->run_interleaved({{bug(refused), &binary}}, 1, CacheMode::cold, 1);
                       }),
              HasSubstr("invalid argument"));
  EXPECT_EQ(host.live_modules, 0);
}

TEST_F(Runner, NoRoomForTheFlushIsNoConfigurationsFault) {
  host.info.l2_cache = Bytes{1 << 20};
  host.largest_allocation = 1 << 20;
  const auto runner = make_runner();
  const device::Binary binary = compiler.compile(kernel_job(problem, bug(none), host.info));
  EXPECT_THAT(error_of(ErrorCode::out_of_memory, [&] { runner->run(bug(none), binary, timing); }),
              HasSubstr("flush the cache"));
  timing.cache = CacheMode::warm;
  EXPECT_EQ(runner->run(bug(none), binary, timing).status, TrialStatus::ok);
}

TEST_F(Runner, OneFlusherServesManyRunners) {
  const auto stream = context.create_stream();
  RunnerOptions options;
  options.flusher = std::make_shared<CacheFlusher>(context, compiler, *stream);
  host.operations.clear();
  for (int i = 0; i < 2; ++i) {
    ProblemRunner runner(context, compiler, problem, clock, options);
    runner.compute_reference();
    const device::Binary binary = compiler.compile(kernel_job(problem, bug(none), host.info));
    EXPECT_EQ(runner.run(bug(none), binary, timing).status, TrialStatus::ok);
  }
  EXPECT_EQ(host.count("allocate 131072"), 0);
  EXPECT_EQ(host.count("read 131072"), 2 * 2 * 5);
}

TEST_F(Runner, TenThousandConfigurationsDoNotGrowDeviceMemory) {
  const auto runner = make_runner();
  timing.min_samples = timing.max_samples = 1;
  const device::Binary binary = compiler.compile(kernel_job(problem, bug(none), host.info));
  runner->run(bug(none), binary, timing);
  host.operations.clear();
  for (int i = 0; i < 10000; ++i) {
    ASSERT_EQ(runner->run(bug(none), binary, timing).status, TrialStatus::ok);
    ASSERT_EQ(host.count("allocate"), 0);
    host.operations.clear();
  }
  EXPECT_EQ(host.live_modules, 0);
}

}  // namespace
}  // namespace warpwright::measure
