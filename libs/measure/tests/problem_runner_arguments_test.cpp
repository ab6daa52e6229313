// What reaches a kernel: buffers and their restoring, swaps, scalars, constants, shared memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "problem_runner_fixture.hpp"

namespace warpwright::measure {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using testing::scalar_argument;
using ::testing::SizeIs;
using testing::values_of;

class RunnerArguments : public Runner {};

TEST_F(RunnerArguments, InPlaceKernelGivesTheAnswerOfOneRunHoweverOftenItRuns) {
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

TEST_F(RunnerArguments, InputsWithoutRoomOnTheDeviceAreRestoredFromTheHost) {
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

TEST_F(RunnerArguments, SwapExchangesBuffersBetweenRepeats) {
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

TEST_F(RunnerArguments, SwappedBuffersMustBeOfOneSize) {
  problem.arguments[1].size = Expression::parse("n + 1");
  problem.launches[0].swap = {"x", "y"};
  EXPECT_THAT(error_of(ErrorCode::bad_input, [&] { make_runner(); }), HasSubstr("4000 and 4004 bytes"));
}

TEST_F(RunnerArguments, TwoLaunchesAndAScratchBufferWhoseSizeDependsOnAParameter) {
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

TEST_F(RunnerArguments, InputsAreRegeneratedWhenTheirSizeChanges) {
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

TEST_F(RunnerArguments, ScalarsAndDimensionsArriveTyped) {
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

TEST_F(RunnerArguments, ScalarsOutOfRangeAreErrorsThatNameThem) {
  problem.reference = {};
  problem.dimensions.set("n", integer(1000));
  problem.dimensions.set("huge", integer(std::int64_t{1} << 31));
  problem.launches[0].args = {"x", "y", "huge"};
  const auto runner = make_runner();
  const RunResult result = run(*runner, bug(none));
  EXPECT_EQ(result.status, TrialStatus::pruned) << "values may depend on the configuration";
  EXPECT_THAT(result.message, AllOf(HasSubstr("'huge'"), HasSubstr("2147483648"), HasSubstr("int32")));
}

TEST_F(RunnerArguments, ALaunchThatDoesNotFitTheKernelIsTheSpecificationsMistakeAndNeverRuns) {
  using Kind = KernelParameter::Kind;
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

TEST_F(RunnerArguments, ConstantsGoToTheirSymbol) {
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

TEST_F(RunnerArguments, AConstantThatTheLaunchNamesIsPassedAndCopiedToItsSymbol) {
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

TEST_F(RunnerArguments, SymbolTooSmallIsAnError) {
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

TEST_F(RunnerArguments, DynamicSharedMemoryReachesTheLaunchAndTheRecord) {
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

TEST_F(RunnerArguments, ArgumentsWithoutASeedDoNotShareTheirData) {
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

}  // namespace
}  // namespace warpwright::measure
