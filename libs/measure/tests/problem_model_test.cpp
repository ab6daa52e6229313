// Stages, scratch, launches that are left out, repeats that count, ranges and sums of outputs, structures and vectors
// by value, local memory, element types of a parameter and the time of each launch, on a device in host memory.
#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <warpwright/measure/inputs.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/modules.hpp>
#include <warpwright/measure/problem_runner.hpp>

#include "host_device.hpp"
#include "problems.hpp"

namespace warpwright::measure {
namespace {

using testing::buffer_argument;
using testing::Call;
using ::testing::ElementsAre;
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

constexpr int n = 64;

// y = x + 1 in the problem's only kernel, "add"; the tests change what they are about.
class ProblemModel : public ::testing::Test {
 protected:
  ProblemModel() : context(host), compiler(host) {
    host.kernels["add"] = [](const Call& call) {
      for (int i = 0; i < n; ++i) call.data<std::int32_t>(1)[i] = call.data<std::int32_t>(0)[i] + 1;
    };
    problem.name = "add";
    problem.source.dialect = SourceText{"add.kernel", "source of add"};
    problem.dimensions = {{"n", integer(n)}};
    problem.parameters = {make_parameter("p", {integer(0), integer(1), integer(2), integer(3)})};
    problem.arguments = {buffer_argument("x", DataType::int32, Access::in, "n", FillIota{0, 1}),
                         buffer_argument("y", DataType::int32, Access::out, "n")};
    problem.launches = {make_launch("add", {"x", "y"})};
    problem.outputs = {{"y", 0, 0, {}}};
    problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
      auto values = testing::values_of<std::int32_t>(buffers.at("x"));
      for (auto& value : values) ++value;
      buffers.at("y") = testing::bytes_of(values);
    }};
    timing.min_samples = timing.max_samples = 5;
  }

  RunResult run(std::int64_t p) {
    ProblemRunner runner(context, compiler, problem, clock, {});
    runner.compute_reference();
    return run(runner, {{"p", integer(p)}});
  }
  RunResult run(ProblemRunner& runner, const Configuration& configuration) {
    const Binary binary = compile_configuration(runner.problem(), configuration, host.info,
                                                [&](const device::CompileJob& job) { return compiler.compile(job); });
    return runner.run(configuration, binary, timing);
  }
  // Of the configuration that was compiled last.
  std::vector<std::string> compiled_entries() const {
    std::vector<std::string> entries;
    for (const device::CompileJob& job : host.jobs)
      if (job.source == "source of add") entries = job.entries;
    return entries;
  }

  Host host;
  HostContext context;
  HostCompiler compiler;
  StepClock clock;
  Problem problem;
  TimingOptions timing;
};

// ---- launches -------------------------------------------------------------------------------------------------------

TEST_F(ProblemModel, WhatAConfigurationLeavesOutIsNeitherCompiledNorLaunched) {
  host.kernels["spoil"] = [](const Call& call) { call.data<std::int32_t>(0)[0] = 99; };
  Launch spoil = make_launch("spoil", {"y"});
  spoil.when = Expression::parse("p == 1");
  // Not evaluated where it is left out.
  spoil.grid = {Expression::parse("1 // p")};
  problem.launches.push_back(spoil);
  EXPECT_EQ(run(0).status, TrialStatus::ok);
  EXPECT_THAT(compiled_entries(), ElementsAre("add"));
  EXPECT_EQ(run(1).status, TrialStatus::wrong_result);
  EXPECT_THAT(compiled_entries(), ElementsAre("add", "spoil"));
  problem.launches[1].when.reset();
  problem.launches[1].repeat = Expression::parse("p");
  EXPECT_EQ(run(0).status, TrialStatus::ok) << "repeat may be 0";
}

TEST_F(ProblemModel, AConfigurationThatRunsNothingIsPruned) {
  problem.launches[0].when = Expression::parse("p != 2");
  EXPECT_EQ(run(0).status, TrialStatus::ok);
  const RunResult nothing = run(2);
  EXPECT_EQ(nothing.status, TrialStatus::pruned);
  EXPECT_THAT(nothing.message, HasSubstr("every launch is left out"));
  EXPECT_THAT(nothing.samples, IsEmpty());
}

TEST_F(ProblemModel, GridsAndScalarsChangeWithTheRepeat) {
  std::vector<std::pair<std::int64_t, std::int32_t>> seen;
  host.kernels["fold"] = [&](const Call& call) {
    seen.emplace_back(call.config.grid[0], call.scalar<std::int32_t>(1));
  };
  problem.arguments.push_back(scalar_argument("left", DataType::int32, "n // pow(2, repeat + 1)"));
  Launch fold = make_launch("fold", {"x", "left"}, "1", "16 - repeat");
  fold.repeat = Expression::parse("p");
  problem.launches.insert(problem.launches.begin(), fold);
  timing.min_samples = timing.max_samples = 1;
  EXPECT_EQ(run(3).status, TrialStatus::ok);
  ASSERT_GE(seen.size(), 3U);
  EXPECT_THAT(
      std::vector(seen.begin(), seen.begin() + 3),
      ElementsAre(std::pair(std::int64_t{16}, 32), std::pair(std::int64_t{15}, 16), std::pair(std::int64_t{14}, 8)));
  EXPECT_EQ(seen[0], seen[3 * (seen.size() / 3 - 1)]) << "each run begins with the first repeat";
  // A dimension of that name hides the number, as in specifications from before there was one.
  problem.dimensions.set("repeat", integer(5));
  seen.clear();
  EXPECT_EQ(run(3).status, TrialStatus::ok);
  for (const auto& [grid, left] : seen) {
    EXPECT_EQ(grid, 11);
    EXPECT_EQ(left, 1);
  }
}

TEST_F(ProblemModel, TooManyRepeatsThatChangeArePruned) {
  problem.launches[0].grid = {Expression::parse("repeat + 1")};
  problem.launches[0].repeat = Expression::parse("100000");
  const RunResult result = run(0);
  EXPECT_EQ(result.status, TrialStatus::pruned);
  EXPECT_THAT(result.message, HasSubstr("changes with each of its 100000 repeats, and at most 16384"));
}

TEST_F(ProblemModel, LaunchesAreTimedEachOverItsRepeats) {
  Launch again = make_launch("again", {"x"});
  again.repeat = Expression::parse("3");
  host.kernels["again"] = [](const Call&) {};
  Launch never = make_launch("again", {"x"});
  never.when = Expression::parse("p == 3");
  problem.launches = {problem.launches[0], never, again};
  EXPECT_THAT(run(0).launch_times, IsEmpty()) << "not asked for";
  timing.launch_times = true;
  const RunResult result = run(0);
  ASSERT_THAT(result.launch_times, SizeIs(2));
  EXPECT_EQ(result.launch_times[0].entry, "add");
  EXPECT_EQ(result.launch_times[0].launches, 1);
  EXPECT_EQ(result.launch_times[0].time, Nanoseconds{1000});
  EXPECT_EQ(result.launch_times[1].entry, "again");
  EXPECT_EQ(result.launch_times[1].launches, 3);
  EXPECT_EQ(result.launch_times[1].time, Nanoseconds{3000});
  EXPECT_THAT(result.samples, SizeIs(5)) << "no sample more";
}

// ---- stages ---------------------------------------------------------------------------------------------------------

class Stages : public ProblemModel {
 protected:
  Stages() {
    host.kernels["step"] = [this](const Call& call) {
      ++calls[call.defines.contains("ONLY_SECOND") ? "second" : "first"];
      for (int i = 0; i < n; ++i) call.data<std::int32_t>(1)[i] = call.data<std::int32_t>(0)[i] + 1;
    };
    problem.source = {};
    problem.parameters.push_back(make_parameter("q", {integer(4), integer(5)}));
    Stage first, second;
    first.name = "first";
    first.source.dialect = SourceText{"first.kernel", "source of first"};
    first.parameters = {"p"};
    second.name = "second";
    second.source.dialect = SourceText{"second.kernel", "source of second"};
    second.parameters = {"q"};
    second.defines = {{"ONLY_SECOND", Expression::parse("n + 1")}};
    second.options = {{"sim", {"-second"}}};
    problem.stages = {first, second};
    problem.arguments.push_back(buffer_argument("between", DataType::int32, Access::scratch, "n"));
    problem.launches = {make_launch("step", {"x", "between"}), make_launch("step", {"between", "y"})};
    problem.launches[0].stage = "first";
    problem.launches[1].stage = "second";
    problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
      EXPECT_FALSE(buffers.contains("between"));
      auto values = testing::values_of<std::int32_t>(buffers.at("x"));
      for (auto& value : values) value += 2;
      buffers.at("y") = testing::bytes_of(values);
    }};
  }
  std::map<std::string, int> calls;
};

TEST_F(Stages, EachRunsFromItsOwnSourceWithWhatReachesIt) {
  ProblemRunner runner(context, compiler, problem, clock, {});
  runner.compute_reference();
  const Configuration configuration{{"p", integer(2)}, {"q", integer(5)}};
  const RunResult result = run(runner, configuration);
  EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
  EXPECT_GT(calls["first"], 0);
  EXPECT_EQ(calls["first"], calls["second"]);
  ASSERT_THAT(result.resources, SizeIs(2));
  EXPECT_EQ(result.resources[0].entry, "first/step");
  EXPECT_EQ(result.resources[1].entry, "second/step");

  const auto jobs = kernel_jobs(problem, configuration, host.info);
  ASSERT_THAT(jobs, SizeIs(2));
  EXPECT_EQ(jobs[0].stage, "first");
  EXPECT_EQ(jobs[0].job.source, "source of first");
  EXPECT_THAT(jobs[0].job.entries, ElementsAre("step"));
  EXPECT_THAT(jobs[0].job.defines, ElementsAre(std::pair<std::string, std::string>("WARPWRIGHT_SIM", "1"),
                                               std::pair<std::string, std::string>("p", "2")));
  EXPECT_THAT(jobs[1].job.defines, ElementsAre(std::pair<std::string, std::string>("WARPWRIGHT_SIM", "1"),
                                               std::pair<std::string, std::string>("ONLY_SECOND", "65"),
                                               std::pair<std::string, std::string>("q", "5")));
  EXPECT_THAT(jobs[1].job.options, ElementsAre("-second"));
}

TEST_F(Stages, AStageThatIsLeftOutIsNotCompiled) {
  problem.launches[0].when = Expression::parse("p == 0");
  const auto jobs = kernel_jobs(problem, {{"p", integer(1)}, {"q", integer(4)}}, host.info);
  ASSERT_THAT(jobs, SizeIs(1));
  EXPECT_EQ(jobs[0].stage, "second");
}

TEST_F(Stages, ScratchThatNobodyWroteIsPoison) {
  problem.launches[0].when = Expression::parse("p == 0");
  ProblemRunner runner(context, compiler, problem, clock, {});
  runner.compute_reference();
  EXPECT_EQ(run(runner, {{"p", integer(0)}, {"q", integer(4)}}).status, TrialStatus::ok);
  EXPECT_EQ(run(runner, {{"p", integer(1)}, {"q", integer(4)}}).status, TrialStatus::wrong_result)
      << "what the last configuration left must not help this one";
}

TEST_F(Stages, ACompilersErrorNamesTheStage) {
  try {
    compile_configuration(problem, {{"p", integer(0)}, {"q", integer(4)}}, host.info,
                          [](const device::CompileJob& job) -> Binary {
                            if (job.source != "source of first") throw Error(ErrorCode::compile, "no such thing");
                            return {};
                          });
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::compile);
    EXPECT_THAT(error.what(), HasSubstr("stage 'second'"));
    EXPECT_THAT(error.what(), HasSubstr("no such thing"));
  }
}

TEST(JoinedBinaries, AreWhatTheyWereWhenTheyAreSplit) {
  Binary one, two;
  one.backend = two.backend = "cuda";
  one.target = two.target = "sm_90a";
  one.format = two.format = "cubin";
  one.image = std::string("a\0b", 3);
  two.image = "";
  one.symbols = {{"step<1 / 2>", "_Z4step"}};
  two.symbols = {{"step", "step"}};
  one.log = "a warning";
  KernelResources resources;
  resources.entry = "step";
  resources.registers_per_thread = 40;
  two.resources = {resources};
  two.parameters["step"] = {{KernelParameter::Kind::buffer, "float* x", DataType::float32, 1, {}}};
  const Binary joined = join_binaries({{"", one}, {"force", two}});
  EXPECT_EQ(joined.backend, "cuda");
  EXPECT_EQ(joined.resources.at(0).entry, "force/step");
  const auto parts = split_binary(joined);
  ASSERT_THAT(parts, SizeIs(2));
  EXPECT_EQ(parts[0].stage, "");
  EXPECT_EQ(parts[0].binary.image, one.image);
  EXPECT_EQ(parts[0].binary.symbols, one.symbols);
  EXPECT_EQ(parts[0].binary.format, "cubin");
  EXPECT_THAT(parts[0].binary.resources, IsEmpty());
  EXPECT_EQ(parts[1].stage, "force");
  EXPECT_EQ(parts[1].binary.image, "");
  EXPECT_EQ(parts[1].binary.symbols, two.symbols);
  EXPECT_EQ(parts[1].binary.resources.at(0).entry, "step");
  EXPECT_EQ(parts[1].binary.parameters.at("step").size(), 1U);
  for (std::size_t size = 1; size < joined.image.size(); ++size) {
    Binary torn = joined;
    torn.image.resize(size);
    try {
      split_binary(torn);  // torn between two parts it has fewer of them
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::corrupted);
    }
  }
}

// ---- scratch --------------------------------------------------------------------------------------------------------

TEST_F(ProblemModel, ScratchWithAnInitHoldsItBeforeEveryRun) {
  host.kernels["count"] = [](const Call& call) {
    const std::int32_t turn = ++call.data<std::int32_t>(2)[0];
    for (int i = 0; i < n; ++i) call.data<std::int32_t>(1)[i] = call.data<std::int32_t>(0)[i] + turn;
  };
  Argument turns = buffer_argument("turns", DataType::int32, Access::scratch, "p + 1", FillConstant{0});
  turns.restored = true;
  problem.arguments.push_back(turns);
  problem.launches = {make_launch("count", {"x", "y", "turns"})};
  EXPECT_EQ(run(1).status, TrialStatus::ok) << "its size may depend on parameters";
  problem.arguments.back().restored = false;
  EXPECT_EQ(run(1).status, TrialStatus::wrong_result);
}

TEST_F(ProblemModel, WritingBehindScratchIsFound) {
  host.kernels["past"] = [](const Call& call) { call.data<std::int32_t>(0)[2] = 1; };
  problem.arguments.push_back(buffer_argument("s", DataType::int32, Access::scratch, "2"));
  problem.launches.push_back(make_launch("past", {"s"}));
  const RunResult result = run(0);
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, HasSubstr("behind the end of 's'"));
}

// ---- outputs --------------------------------------------------------------------------------------------------------

TEST_F(ProblemModel, OnlyTheRangeOfAnOutputIsCompared) {
  host.kernels["part"] = [](const Call& call) {
    for (int i = 8; i < 16; ++i) call.data<std::int32_t>(1)[i] = call.data<std::int32_t>(0)[i] + 1;
    if (call.define("p") == 1) call.data<std::int32_t>(1)[9] = 7;
    if (call.define("p") == 2) call.data<std::int32_t>(1)[16] = 7;
  };
  problem.launches[0].entry = "part";
  problem.arguments[1].size = Expression::parse("n + 8 * p");
  problem.outputs[0].first = Expression::parse("8");
  problem.outputs[0].count = Expression::parse("n // 8");
  EXPECT_EQ(run(0).status, TrialStatus::ok);
  const RunResult wrong = run(1);
  EXPECT_EQ(wrong.status, TrialStatus::wrong_result);
  EXPECT_THAT(wrong.message, HasSubstr("1 of 8 elements are wrong; element 9 should be 10 and is 7"));
  EXPECT_EQ(wrong.mismatch->index, 9U);
  EXPECT_EQ(run(2).status, TrialStatus::ok) << "outside the range, in a buffer of another size";
  problem.outputs[0].count = Expression::parse("n");
  try {
    run(0);
    FAIL() << "the range leaves the buffer";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("64 elements of output 'y' are compared from element 8, and its buffer has 64"));
  }
}

TEST_F(ProblemModel, OutputsOfAnySizeAreJudgedByTheirSum) {
  // p partial sums; with p == 3 one element is left as it was.
  host.kernels["partial"] = [](const Call& call) {
    const int parts = call.define("p") + 1;
    std::vector<double> sums(static_cast<std::size_t>(parts));
    for (int i = 0; i < n; ++i) sums[static_cast<std::size_t>(i % parts)] += call.data<float>(0)[i];
    for (int i = 0; i < (parts == 4 ? 3 : parts); ++i)
      call.data<float>(1)[i] = static_cast<float>(sums[static_cast<std::size_t>(i)]);
  };
  problem.arguments[0].type = problem.arguments[1].type = DataType::float32;
  problem.arguments[0].fill = FillUniform{0, 1, 5};
  problem.arguments[1].size = Expression::parse("p + 1");
  problem.launches[0].entry = "partial";
  problem.outputs[0].by_sum = true;
  problem.outputs[0].rtol = 1e-6;
  problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
    double sum = 0;
    for (const float value : testing::values_of<float>(buffers.at("x"))) sum += value;
    buffers.at("y") = testing::bytes_of<float>({static_cast<float>(sum)});
  }};
  ProblemRunner runner(context, compiler, problem, clock, {});
  runner.compute_reference();
  EXPECT_EQ(runner.reference_outputs().at(0).elements, 1U);
  for (const int p : {0, 1, 2}) {
    const RunResult result = run(runner, {{"p", integer(p)}});
    EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
  }
  const RunResult wrong = run(runner, {{"p", integer(3)}});
  EXPECT_EQ(wrong.status, TrialStatus::not_finite) << wrong.message;
  EXPECT_THAT(wrong.message, HasSubstr("the sum of its 4 elements should be"));
  EXPECT_THAT(wrong.message, HasSubstr("1 of them look as if they were never written"));
}

TEST(Sums, AreCompensatedAndExact) {
  std::vector<float> values{1};
  for (int i = 0; i < 1000000; ++i) values.push_back(1e-8F);
  const auto sum = testing::values_of<double>(sum_of(testing::bytes_of(values), DataType::float32));
  EXPECT_NEAR(sum.at(0), 1 + 1e6 * double{1e-8F}, 1e-14);
  const auto whole =
      testing::values_of<std::int64_t>(sum_of(testing::bytes_of<std::uint8_t>({255, 255, 1}), DataType::uint8));
  EXPECT_EQ(whole.at(0), 511);
  const auto negative =
      testing::values_of<std::int64_t>(sum_of(testing::bytes_of<std::int32_t>({-5, 3}), DataType::int32));
  EXPECT_EQ(negative.at(0), -2);
  EXPECT_EQ(sum_type(DataType::float16), DataType::float64);
  EXPECT_EQ(sum_type(DataType::uint8), DataType::int64);
}

TEST(Conversions, RoundToTheOtherType) {
  const auto half = converted(testing::bytes_of<float>({1.0F, 1.0F / 3, 1e6F}), DataType::float32, DataType::float16);
  const auto bits = testing::values_of<std::uint16_t>(half);
  EXPECT_EQ(half_to_float(bits.at(0)), 1.0F);
  EXPECT_NEAR(half_to_float(bits.at(1)), 1.0F / 3, 2e-4);
  EXPECT_TRUE(std::isinf(half_to_float(bits.at(2))));
  const auto bytes = converted(testing::bytes_of<std::int32_t>({-1, 7, 300}), DataType::int32, DataType::uint8);
  EXPECT_EQ(testing::values_of<std::uint8_t>(bytes), (std::vector<std::uint8_t>{0, 7, 255}));
}

// ---- what is passed -------------------------------------------------------------------------------------------------

TEST_F(ProblemModel, StructuresAndVectorsArePassedByValue) {
  struct Shape {
    std::int8_t flag;
    std::int32_t size;
    float scale[2];
    double last;
  };
  host.kernels["add"] = [base = host.kernels["add"]](const Call& call) {
    const auto shape = call.scalar<Shape>(2);
    EXPECT_EQ(shape.flag, -1);
    EXPECT_EQ(shape.size, n);
    EXPECT_EQ(shape.scale[0], 0.5F);
    EXPECT_EQ(shape.scale[1], 2.0F);
    EXPECT_EQ(shape.last, 0.25);
    EXPECT_EQ((call.scalar<std::array<std::int32_t, 4>>(3)), (std::array<std::int32_t, 4>{1, 2, 3, 64}));
    base(call);
  };
  Argument shape;
  shape.name = "shape";
  shape.access = Access::scalar;
  shape.type = DataType::uint8;
  shape.fields = {{"flag", DataType::int8, 1, Expression::parse("-1"), {}},
                  {"size", DataType::int32, 1, Expression::parse("n"), {}},
                  {"scale", DataType::float32, 2, Expression::parse("[0.5, 2]"), {}},
                  {"last", DataType::float64, 1, Expression::parse("0.25"), 16}};
  EXPECT_EQ(layout_of(shape.fields).size, 24);
  EXPECT_EQ(sizeof(Shape), 24U);
  Argument vector = scalar_argument("v", DataType::int32, "[1, 2, 3, n]");
  vector.components = 4;
  problem.arguments.push_back(shape);
  problem.arguments.push_back(vector);
  problem.launches[0].args = {"x", "y", "shape", "v"};
  const RunResult result = run(0);
  EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
  problem.arguments.back().components = 3;
  EXPECT_THAT(run(0).message, HasSubstr("argument 'v' has 3 components, and its value is a list of 4"));
}

TEST_F(ProblemModel, LocalMemoryStandsAnywhereAmongTheArguments) {
  host.kernels["add"] = [base = host.kernels["add"]](const Call& call) {
    EXPECT_THAT(call.locals, ElementsAre(Bytes{0}, Bytes{0}, Bytes{256}, Bytes{8}));
    base(call);
  };
  problem.arguments.push_back(buffer_argument("tile", DataType::float32, Access::local, "n"));
  problem.arguments.push_back(buffer_argument("few", DataType::uint8, Access::local, "p + 8"));
  problem.launches[0].args = {"x", "y", "tile", "few"};
  host.info.id = DeviceId::parse("opencl:0:0");
  using Kind = KernelParameter::Kind;
  host.parameters["add"] = {{Kind::buffer, "int* x", DataType::int32, 1, {}},
                            {Kind::buffer, "int* y", DataType::int32, 1, {}},
                            {Kind::local, "__local float* tile", DataType::float32, 1, {}},
                            {Kind::local, "__local char* few", DataType::int8, 1, {}}};
  EXPECT_EQ(run(0).status, TrialStatus::ok);
  host.parameters["add"][2] = {Kind::scalar, "int tile", DataType::int32, 1, Bytes{4}};
  const RunResult scalar = run(0);
  EXPECT_TRUE(scalar.specification_mistake);
  EXPECT_THAT(scalar.message, HasSubstr("'tile' (256 bytes of __local memory)"));
  problem.arguments[2].size = Expression::parse("1048576");
  host.parameters.clear();
  EXPECT_EQ(run(0).status, TrialStatus::resource_exceeded);
  // What CUDA does instead is said.
  host.info.id = DeviceId::parse("cuda:0");
  const RunResult cuda = run(0);
  EXPECT_THAT(cuda.message, HasSubstr("which only OpenCL kernels take as a parameter"));
  EXPECT_THAT(cuda.message, HasSubstr("`shared`"));
  EXPECT_THAT(cuda.samples, IsEmpty());
}

TEST_F(ProblemModel, AParameterChoosesTheElementType) {
  Parameter real = make_parameter("real", {Value{std::string("float32")}, Value{std::string("float64")}});
  problem.parameters.push_back(real);
  for (Argument& argument : problem.arguments) {
    argument.type = DataType::float32;
    argument.type_parameter = "real";
  }
  problem.arguments[0].fill = FillUniform{0, 1, 7};
  problem.outputs[0].rtol = 1e-6;
  problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
    auto values = testing::values_of<float>(buffers.at("x"));
    ASSERT_EQ(values.size(), static_cast<std::size_t>(n));
    for (auto& value : values) value *= 2;
    buffers.at("y") = testing::bytes_of(values);
  }};
  host.kernels["add"] = [](const Call& call) {
    const bool wide = call.define("real") == 1;
    for (int i = 0; i < n; ++i) {
      if (wide) {
        call.data<double>(1)[i] = 2 * call.data<double>(0)[i] + (call.define("p") == 1 && i == 5 ? 0.1 : 0);
      } else {
        call.data<float>(1)[i] = 2 * call.data<float>(0)[i];
      }
    }
  };
  ProblemRunner runner(context, compiler, problem, clock, {});
  runner.compute_reference();
  const auto at = [](int p, const char* type) {
    return Configuration{{"p", integer(p)}, {"real", Value{std::string(type)}}};
  };
  EXPECT_EQ(run(runner, at(0, "float32")).status, TrialStatus::ok);
  EXPECT_EQ(run(runner, at(0, "float64")).status, TrialStatus::ok) << "the same numbers in another type";
  const RunResult wrong = run(runner, at(1, "float64"));
  EXPECT_EQ(wrong.status, TrialStatus::wrong_result);
  EXPECT_EQ(wrong.mismatch->index, 5U);
  EXPECT_EQ(run(runner, at(0, "float32")).status, TrialStatus::ok);
  EXPECT_EQ(problem.data_types(), "real,real");
}

// ---- inputs ---------------------------------------------------------------------------------------------------------

TEST(Inputs, InOrder) {
  FillUniform uniform{-5, 5, 3};
  uniform.order = FillOrder::ascending;
  const auto up = testing::values_of<float>(generate(uniform, DataType::float32, 1000));
  EXPECT_TRUE(std::is_sorted(up.begin(), up.end()));
  EXPECT_LT(up.front(), up.back());
  FillNormal normal{0, 1e6, 3};
  normal.order = FillOrder::descending;
  const auto down = testing::values_of<std::int64_t>(generate(normal, DataType::int64, 1000));
  EXPECT_TRUE(std::is_sorted(down.rbegin(), down.rend()));
  const auto halves = testing::values_of<std::uint16_t>(generate(uniform, DataType::float16, 100));
  EXPECT_TRUE(
      std::is_sorted(halves.begin(), halves.end(), [](auto a, auto b) { return half_to_float(a) < half_to_float(b); }));
}

TEST(Inputs, BoundsAreExpressions) {
  Scope scope;
  scope.set("n", integer(10));
  FillUniform uniform{0, 0, 3};
  uniform.bounds = {Expression::parse("n // 2"), Expression::parse("n - 1")};
  const auto fill = resolved(uniform, scope, "init of argument 'x'");
  for (const auto value : testing::values_of<std::int32_t>(generate(fill, DataType::int32, 200))) {
    EXPECT_GE(value, 5);
    EXPECT_LE(value, 9);
  }
  FillConstant constant;
  constant.bounds = {Expression::parse("missing")};
  EXPECT_THROW(resolved(constant, scope, "init of argument 'x'"), Error);
  FillIota iota;
  iota.bounds = {Expression::parse("n"), Expression::parse("-1")};
  EXPECT_EQ(testing::values_of<std::int32_t>(generate(resolved(iota, scope, "x"), DataType::int32, 3)),
            (std::vector<std::int32_t>{10, 9, 8}));
}

TEST(Inputs, RawFilesAreTakenByteByByte) {
  const std::filesystem::path file =
      std::filesystem::path(::testing::TempDir()) / ("warpwright-raw-" + std::to_string(getpid()) + ".bin");
  std::ofstream(file, std::ios::binary) << std::string("\1\0\0\0\2\0\0\0", 8);
  EXPECT_EQ(testing::values_of<std::int32_t>(generate(FillRaw{file}, DataType::int32, 2)),
            (std::vector<std::int32_t>{1, 2}));
  try {
    generate(FillRaw{file}, DataType::float64, 2);
    FAIL() << "another length";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("has 8 bytes, and the argument needs 16: 2 elements of float64"));
    EXPECT_THAT(error.what(), HasSubstr(file.filename().string()));
  }
  std::filesystem::remove(file);
  EXPECT_THROW(generate(FillRaw{file}, DataType::int32, 2), Error);
}

}  // namespace
}  // namespace warpwright::measure
