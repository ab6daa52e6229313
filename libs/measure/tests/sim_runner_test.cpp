// The runner on the simulated device: every scripted fault ends in its status, and virtual times come out exactly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/problem_runner.hpp>
#include <warpwright/sim/backend.hpp>

#include "problems.hpp"

namespace warpwright::measure {
namespace {

using testing::buffer_argument;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::integer;
using ::testing::IsEmpty;
using testing::make_launch;
using testing::make_parameter;
using ::testing::Not;
using ::testing::SizeIs;

class SimRunner : public ::testing::Test {
 protected:
  SimRunner() {
    problem.name = "vector_add";
    problem.source.by_backend["sim"] = SourceText{"vector_add.toml", R"(
[kernels.vector_add]
elements = "n"
cost_ns = "20000 + 1000 * fault"
launch_refused_if = "fault == 1"
device_fault_if = "fault == 2"
wrong_if = "fault == 3"
nan_if = "fault == 4"
partial_if = "fault == 5"
out_of_bounds_if = "fault == 6"
nondeterministic_if = "fault == 7"
[kernels.naive]
behaviour = "vector_add"
elements = "n"
)"};
    problem.dimensions = {{"n", integer(5000)}};
    std::vector<Value> faults;
    for (int i = 0; i < 8; ++i) faults.push_back(integer(i));
    problem.parameters = {make_parameter("fault", faults)};
    problem.arguments = {buffer_argument("c", DataType::float32, Access::out, "n"),
                         buffer_argument("a", DataType::float32, Access::in, "n", FillUniform{-1, 1, 1}),
                         buffer_argument("b", DataType::float32, Access::in, "n", FillUniform{-1, 1, 2})};
    problem.launches = {make_launch("vector_add", {"c", "a", "b", "n"}, "128", "ceil_div(n, 128)")};
    problem.outputs = {{"c", 1e-6, 0, {}}};
    ReferenceKernel reference;
    reference.launches = {make_launch("naive", {"c", "a", "b", "n"}, "128", "ceil_div(n, 128)")};
    problem.reference = reference;
    open({});
  }
  void open(sim::Options options) {
    runner.reset();
    context.reset();
    backend = sim::make_backend(std::move(options));
    context = backend->open(DeviceId::parse("sim:0"));
    compiler = backend->compiler(context->device());
  }
  RunResult run(int fault) {
    if (!runner) {
      runner = std::make_unique<ProblemRunner>(*context, *compiler, problem, clock);
      runner->compute_reference();
    }
    const Configuration configuration{{"fault", integer(fault)}};
    return runner->run(configuration, compiler->compile(kernel_job(problem, configuration, context->device())), timing);
  }

  std::unique_ptr<device::Backend> backend;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<device::Compiler> compiler;
  SteadyClock clock;
  std::unique_ptr<ProblemRunner> runner;
  Problem problem;
  TimingOptions timing;
};

TEST_F(SimRunner, TimesAreThoseOfTheCostExpression) {
  for (const CacheMode cache : {CacheMode::cold, CacheMode::warm}) {
    timing.cache = cache;
    const RunResult result = run(0);
    ASSERT_EQ(result.status, TrialStatus::ok) << result.message;
    EXPECT_THAT(result.samples, SizeIs(5)) << "no noise: the minimum is precise enough";
    for (const Nanoseconds sample : result.samples) EXPECT_NEAR(sample.count(), 20000, 200);
  }
}

TEST_F(SimRunner, EveryFaultHasItsStatusAndNoSamples) {
  const std::pair<int, TrialStatus> expected[] = {{1, TrialStatus::launch_failed}, {3, TrialStatus::wrong_result},
                                                  {4, TrialStatus::not_finite},    {5, TrialStatus::not_finite},
                                                  {6, TrialStatus::out_of_bounds}, {0, TrialStatus::ok}};
  for (const auto& [fault, status] : expected) {
    const RunResult result = run(fault);
    EXPECT_EQ(to_string(result.status), to_string(status)) << fault << ": " << result.message;
    if (status != TrialStatus::ok) {
      EXPECT_THAT(result.samples, IsEmpty()) << fault;
      EXPECT_THAT(result.message, Not(IsEmpty())) << fault;
    }
  }
  EXPECT_THAT(run(5).message, HasSubstr("never written"));
}

TEST_F(SimRunner, OffInEverySecondLaunchIsNondeterministicHoweverManyRunsThereAre) {
  for (const int samples : {5, 6}) {
    timing.min_samples = timing.max_samples = samples;
    const RunResult result = run(7);
    EXPECT_EQ(to_string(result.status), to_string(TrialStatus::nondeterministic)) << result.message;
    EXPECT_THAT(result.samples, IsEmpty());
  }
}

TEST_F(SimRunner, DeclaredParametersAreCompared) {
  problem.source.by_backend["sim"].text +=
      "arguments = [\"float32* c\", \"float32* a\", \"float32* b\", \"int64 n\"]\n";
  std::swap(problem.launches[0].entry, std::get<ReferenceKernel>(problem.reference).launches[0].entry);
  const RunResult result = run(0);
  EXPECT_EQ(result.status, TrialStatus::launch_failed);
  EXPECT_TRUE(result.specification_mistake);
  EXPECT_THAT(result.message, HasSubstr("argument 'n' (int32) is passed as parameter 4 of kernel 'naive', which is "
                                        "'int64 n'"));
}

TEST_F(SimRunner, LostDeviceIsAnError) {
  try {
    run(2);
    FAIL() << "the fault went unnoticed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::device);
  }
}

TEST_F(SimRunner, DirtyLinesOfTheFlushAreNotChargedToTheKernel) {
  // A cache so small that the kernel's 60 kB evict all of it. The flush leaves 1 MiB of dirty lines, written back at
  // 100 us a MiB; the kernel itself takes 20 us.
  sim::Options options;
  options.write_back_per_mebibyte = Nanoseconds{100e3};
  options.device.l2_cache = Bytes{16 << 10};
  open(options);
  const RunResult result = run(0);
  ASSERT_EQ(result.status, TrialStatus::ok) << result.message;
  for (const Nanoseconds sample : result.samples) EXPECT_NEAR(sample.count(), 20000, 250);
  EXPECT_EQ(result.conditions.flushed_cache, Bytes{16 << 10});
  EXPECT_EQ(result.conditions.flushed_cache_source, "simulated");
  EXPECT_THAT(result.conditions.marks, IsEmpty());

  timing.cache = CacheMode::warm;
  EXPECT_FALSE(run(0).conditions.flushed_cache.has_value()) << "nothing is flushed";
}

TEST(SimFlush, OnlyTheCleanReadSparesAReaderTheWriteBack) {
  // Modelled on an H200: 60 MiB of cache; the extra times measured there for a reader of 64 MiB were 6.0 us after a
  // flush that only writes, 3.1 after one that reads the cache's size as well, 0.3 and less after more.
  sim::Options options;
  options.device.l2_cache = Bytes{std::uint64_t{60} << 20};
  options.write_back_per_mebibyte = Nanoseconds{160};
  options.move_bytes = false;
  const auto backend = sim::make_backend(options);
  const auto context = backend->open(DeviceId::parse("sim:0"));
  const auto compiler = backend->compiler(context->device());
  const auto stream = context->create_stream();
  const SteadyClock clock;
  device::CompileJob job;
  job.source = "[kernels.reader]\nbehaviour = \"nothing\"\ncost_ns = 19300\n";
  job.entries = {"reader"};
  const auto module = context->load(compiler->compile(job));
  const auto kernel = module->kernel("reader");
  const auto data = context->allocate(Bytes{std::uint64_t{64} << 20});
  const auto extra = [&](FlushMethod method) {
    CacheFlusher flusher(*context, *compiler, *stream, method);
    const std::vector<device::KernelArgument> arguments{data.get()};
    const auto samples = time_work(
        *context, *stream, &flusher, {}, [&] { stream->launch(*kernel, {}, arguments); }, {}, clock);
    return samples.samples.front().count() - 19300;
  };
  EXPECT_NEAR(extra({true, 0}), 6000, 800);
  EXPECT_NEAR(extra({true, 1}), 500, 400);
  EXPECT_LT(extra({}), 0.01 * 19300) << "what samples are taken with";
  EXPECT_LT(extra({false, 2}), 1);
}

TEST_F(SimRunner, NoiseMakesMoreSamples) {
  std::string& text = problem.source.by_backend["sim"].text;
  text.insert(text.find("cost_ns"), "noise = 0.05\n");
  const RunResult result = run(0);
  EXPECT_EQ(result.status, TrialStatus::ok);
  EXPECT_GT(result.samples.size(), 5u);
}

TEST_F(SimRunner, ArgumentsThatCannotBePassedCostTheirConfiguration) {
  problem.arguments.push_back(testing::scalar_argument("scale", DataType::int32, "n // (fault - 3)"));
  std::string& text = problem.source.by_backend["sim"].text;
  for (const char* cost : {"wrong_if = \"fault == 3\"\n", "partial_if = \"fault == 5\"\n"})
    text.erase(text.find(cost), std::string(cost).size());
  text.insert(text.find("cost_ns"), R"(arguments = ["float32* c", "float32* a", "float32* b", "int32 n", "int32 scale"]
)");
  problem.launches[0].args.push_back("scale");
  const RunResult refused = run(3);
  EXPECT_EQ(to_string(refused.status), to_string(TrialStatus::pruned));
  EXPECT_THAT(refused.message, HasSubstr("division by zero"));
}

TEST_F(SimRunner, SizesOfTheirOwnCostTheirConfigurationTheBaselineToo) {
  problem.arguments.push_back(buffer_argument("scratch", DataType::float32, Access::in, "fault * 16"));
  problem.reference = std::monostate{};
  const RunResult refused = run(0);  // the baseline
  EXPECT_EQ(to_string(refused.status), to_string(TrialStatus::pruned));
  EXPECT_THAT(refused.message, HasSubstr("size of argument 'scratch' must be a positive integer, found 0"));
  EXPECT_EQ(to_string(run(1).status), to_string(TrialStatus::launch_failed)) << "what fault 1 is for";
  EXPECT_EQ(to_string(run(3).status), to_string(TrialStatus::ok)) << "nothing to compare with";
}

TEST_F(SimRunner, AReferenceThatTheBaselineCannotLaunchSaysWhatToDo) {
  std::get<ReferenceKernel>(problem.reference).launches[0].grid = {Expression::parse("fault")};
  try {
    run(1);
    FAIL() << "computed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_THAT(error.what(), HasSubstr("grid[0] of launch 'naive' must be a positive integer, found 0"));
    EXPECT_THAT(error.what(), HasSubstr("choose another baseline"));
  }
}

}  // namespace
}  // namespace warpwright::measure
