// What becomes of a configuration that is run: its times, its status, what the device refuses; and rounds side by side.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "problem_runner_fixture.hpp"

namespace warpwright::measure {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

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
  const Binary binary = compiler.compile(kernel_job(problem, bug(none), host.info));
  const Nanoseconds begin = clock.now();
  const RunResult result = runner->run(bug(none), binary, timing);
  const Nanoseconds total = clock.now() - begin;
  // The clock passes 10 ns per look: one before the call's first, one after its last.
  EXPECT_DOUBLE_EQ((result.copy + result.verify + result.measure).count(), total.count() - 20);
  EXPECT_GE(result.verify, Nanoseconds{5000});       // one launch
  EXPECT_GE(result.measure, Nanoseconds{6 * 5000});  // warm-up and samples
  EXPECT_GT(result.copy.count(), 0);
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

TEST_F(Runner, AReferenceThatWasNotComputedIsNotForgotten) {
  ProblemRunner runner(context, compiler, problem, clock);
  EXPECT_TRUE(runner.has_reference());
  EXPECT_THAT(error_of(ErrorCode::conflict, [&] { run(runner, bug(none)); }), HasSubstr("compute_reference"));
}

TEST_F(Runner, RunOnceRunsOnceUntimedAndUnverified) {
  ProblemRunner runner(context, compiler, problem, clock);
  const Binary binary = compiler.compile(kernel_job(problem, bug(one_wrong), host.info));
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

TEST_F(Runner, InterleavedRoundsHaveAFreshSeededOrder) {
  problem.parameters.push_back(make_parameter("speed", {integer(1), integer(2), integer(3), integer(4)}));
  std::vector<int> order;
  host.kernels["twice"] = [&](const Call& call) {
    order.push_back(call.define("speed"));
    host.launch_times = {Nanoseconds{1000.0 * order.back()}};
  };
  const auto runner = make_runner();
  std::vector<Binary> binaries;
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
    const auto samples = runner->run_interleaved(candidates, 10, CacheMode::cold, seed).samples;
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
  const Binary a = compiler.compile(kernel_job(problem, small, host.info));
  const Binary b = compiler.compile(kernel_job(problem, large, host.info));
  for (const CacheMode cache : {CacheMode::cold, CacheMode::warm}) {
    EXPECT_THAT(runner->run_interleaved({{small, &a}, {large, &b}}, 3, cache, 1).samples, Each(SizeIs(3)));
  }
}

TEST_F(Runner, InterleavedRefusalThrowsAndUnloads) {
  const auto runner = make_runner();
  const Binary binary = compiler.compile(kernel_job(problem, bug(refused), host.info));
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
  const Binary binary = compiler.compile(kernel_job(problem, bug(none), host.info));
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
    const Binary binary = compiler.compile(kernel_job(problem, bug(none), host.info));
    EXPECT_EQ(runner.run(bug(none), binary, timing).status, TrialStatus::ok);
  }
  EXPECT_EQ(host.count("allocate 131072"), 0);
  EXPECT_EQ(host.count("read 131072"), 2 * 2 * 5);
}

TEST_F(Runner, TenThousandConfigurationsDoNotGrowDeviceMemory) {
  const auto runner = make_runner();
  timing.min_samples = timing.max_samples = 1;
  const Binary binary = compiler.compile(kernel_job(problem, bug(none), host.info));
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
