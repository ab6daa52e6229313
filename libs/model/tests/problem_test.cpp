#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include <warpwright/model/problem.hpp>

#include "error_of.hpp"

namespace warpwright {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Value integer(std::int64_t i) { return i; }

Problem stencil() {
  Problem problem;
  problem.name = "stencil";
  problem.dimensions =
      Configuration{{"width", integer(4096)}, {"height", integer(2048)}, {"alpha", 0.5}, {"mode", std::string("fast")}};
  problem.device_dimensions["cpu"] = Configuration{{"width", integer(16)}, {"height", integer(8)}};
  problem.device_dimensions["opencl"] = Configuration{{"width", integer(32)}};
  problem.device_dimensions["opencl-cpu"] = Configuration{{"width", integer(64)}};
  Parameter block_x, block_y;
  block_x.name = "block_x";
  block_x.values = {integer(16), integer(32), integer(64)};
  block_x.default_value = integer(32);
  block_y.name = "block_y";
  block_y.values = {integer(1), integer(2), integer(4)};
  problem.parameters = {block_x, block_y};
  problem.constraints = {Constraint::parse("width % (block_x * block_y) == 0")};
  Argument in, scale;
  in.name = "in";
  in.components = 4;
  scale.name = "n";
  scale.type = DataType::int32;
  scale.access = Access::scalar;
  problem.arguments = {in, scale};
  Launch launch;
  launch.entry = "stencil5";
  launch.block = {Expression::parse("block_x"), Expression::parse("block_y")};
  launch.grid = {Expression::parse("ceil_div(width, block_x)"), Expression::parse("height / block_y")};
  launch.shared = Expression::parse("(block_x + 2) * (block_y + 2) * 4");
  problem.launches = {launch};
  return problem;
}

DeviceInfo gpu() {
  DeviceInfo device;
  device.id = DeviceId::parse("cuda:0");
  device.kind = DeviceKind::gpu;
  device.max_threads_per_block = 1024;
  device.max_block = {1024, 1024, 64};
  device.max_grid = {2147483647, 65535, 65535};
  device.shared_per_block = Bytes(49152);
  return device;
}

TEST(Problem, DeviceClassesApplyFromGeneralToSpecific) {
  const Problem problem = stencil();
  DeviceInfo device;
  device.id = DeviceId::parse("opencl:0:0");
  device.kind = DeviceKind::cpu;
  const auto dimension = [&](const Problem& p, const char* name) { return to_string(p.dimensions.at(name)); };
  const Problem pocl = problem.for_device(device);
  EXPECT_EQ(dimension(pocl, "width"), "64") << "opencl-cpu over opencl over cpu";
  EXPECT_EQ(dimension(pocl, "height"), "8") << "only the class cpu has it";
  device.kind = DeviceKind::gpu;
  EXPECT_EQ(dimension(problem.for_device(device), "width"), "32");
  EXPECT_EQ(dimension(problem.for_device(device), "height"), "2048");
  EXPECT_EQ(dimension(problem.for_device(gpu()), "width"), "4096");
  const Problem overridden = problem.for_device(device, Configuration{{"width", integer(7)}, {"height", 1e3}});
  EXPECT_EQ(dimension(overridden, "width"), "7");
  EXPECT_EQ(dimension(overridden, "height"), "1000") << "an integer dimension stays an integer";
  EXPECT_EQ(dimension(overridden.for_device(device), "width"), "7") << "classes apply once";
}

TEST(Problem, DimensionsKeepTheirDeclaredType) {
  Problem problem = stencil();
  problem.dimensions.set("wrap", true);
  const auto with = [&](const char* name, Value value) {
    return problem.with_dimensions(Configuration{{name, std::move(value)}}).dimensions.at(name);
  };
  EXPECT_EQ(with("alpha", integer(3)), Value(3.0)) << "a float stays one: a kernel gets its bits";
  EXPECT_EQ(with("width", Value(4e3)), integer(4000));
  EXPECT_EQ(with("wrap", integer(0)), Value(false));
  EXPECT_EQ(with("mode", Value(std::string("slow"))), Value(std::string("slow")));
  const auto message = [&](const char* name, Value value) { return refusal([&] { with(name, std::move(value)); }); };
  EXPECT_THAT(message("width", Value(1.5)), HasSubstr("problem dimension 'width' is an integer (4096), found 1.5"));
  EXPECT_THAT(message("alpha", Value(true)), HasSubstr("is a float (0.5), found true"));
  EXPECT_THAT(message("wrap", integer(2)), HasSubstr("is a boolean (true), found 2"));
  EXPECT_THAT(message("mode", integer(2)), HasSubstr("is a string ('fast'), found 2"));
  problem.device_dimensions["cuda"] = Configuration{{"alpha", integer(2)}};
  EXPECT_EQ(problem.for_device(gpu()).dimensions.at("alpha"), Value(2.0));
}

TEST(Problem, UnknownOverridesAreListed) {
  const Problem problem = stencil();
  const auto message = refusal([&] { problem.for_device(gpu(), Configuration{{"widht", integer(7)}}); });
  EXPECT_THAT(message,
              AllOf(HasSubstr("'widht'"), HasSubstr("did you mean 'width'?"), HasSubstr("width, height, alpha, mode")));
  EXPECT_THAT(refusal([&] {
                problem.for_device(gpu(), Configuration{{"width", std::string("wide")}});
              }),
              AllOf(HasSubstr("'width'"), HasSubstr("'wide'")));
  EXPECT_THAT(refusal([&] {
                problem.for_device(gpu(), Configuration{{"mode", integer(1)}});
              }),
              HasSubstr("'mode' is a string"));
  Problem wrong = stencil();
  wrong.device_dimensions["cuda"] = Configuration{{"depth", integer(1)}};
  EXPECT_THAT(refusal([&] { wrong.for_device(gpu()); }), AllOf(HasSubstr("device class 'cuda'"), HasSubstr("'depth'")));
}

TEST(Problem, BaselineIsCompletedFromDefaults) {
  Problem problem = stencil();
  EXPECT_EQ(problem.baseline_configuration().describe(), "block_x=32, block_y=1");
  problem.baseline = Configuration{{"block_y", 4.0}};
  EXPECT_EQ(problem.baseline_configuration().describe(), "block_x=32, block_y=4") << "written as declared";
  problem.baseline = Configuration{{"blocky", integer(4)}};
  EXPECT_THAT(refusal([&] { problem.baseline_configuration(); }),
              AllOf(HasSubstr("'blocky'"), HasSubstr("did you mean 'block_y'?")));
}

TEST(Problem, SpaceKnowsDimensions) {
  const Problem problem = stencil();
  const auto space = problem.build_space();
  EXPECT_EQ(space->size(), 9u);
  EXPECT_EQ(problem.for_device(gpu(), Configuration{{"width", integer(64)}}).build_space()->size(), 6u);
}

TEST(Problem, LooksThingsUp) {
  const Problem problem = stencil();
  EXPECT_EQ(problem.find_argument("n")->type, DataType::int32);
  EXPECT_EQ(problem.find_argument("m"), nullptr);
  EXPECT_EQ(problem.data_types(), "float32x4,int32");
  const Scope scope = problem.scope(Configuration{{"block_x", integer(16)}, {"width", integer(5)}});
  EXPECT_EQ(scope.integer(Expression::parse("width + block_x"), "x"), 21) << "the configuration shadows the dimensions";
  KernelSource source;
  EXPECT_EQ(source.find("cuda"), nullptr);
  source.dialect = SourceText{"a.kernel", "x"};
  source.by_backend["opencl"] = SourceText{"a.cl", "y"};
  EXPECT_EQ(source.find("cuda")->text, "x");
  EXPECT_EQ(source.find("opencl")->text, "y");
  EXPECT_EQ(to_string(Access::inout), "inout");
  EXPECT_EQ(to_string(Access::in), "in");
  EXPECT_EQ(to_string(Access::out), "out");
  EXPECT_EQ(to_string(Access::constant), "constant");
  EXPECT_EQ(to_string(Access::scalar), "scalar");
}

TEST(Geometry, IsEvaluated) {
  const Problem problem = stencil();
  const Scope scope = problem.scope(problem.baseline_configuration());
  Launch launch = problem.launches.front();
  launch.repeat = Expression::parse("2 * 5");
  launch.cluster = {Expression::parse("2")};
  launch.cooperative = true;
  const auto geometry = evaluate_geometry(launch, scope);
  EXPECT_EQ(geometry.block, (std::array<std::int64_t, 3>{32, 1, 1}));
  EXPECT_EQ(geometry.grid, (std::array<std::int64_t, 3>{128, 2048, 1}));
  EXPECT_EQ(geometry.cluster, (std::array<std::int64_t, 3>{2, 1, 1}));
  EXPECT_EQ(geometry.dynamic_shared, Bytes(34 * 3 * 4));
  EXPECT_EQ(geometry.repeat, 10);
  EXPECT_TRUE(geometry.cooperative);
  EXPECT_EQ(geometry.threads_per_block(), 32);
}

TEST(Geometry, ErrorsNameLaunchAndExpression) {
  const Problem problem = stencil();
  const Scope scope = problem.scope(problem.baseline_configuration());
  const auto message = [&](auto change) {
    Launch launch = problem.launches.front();
    change(launch);
    return refusal([&] { evaluate_geometry(launch, scope); });
  };
  EXPECT_THAT(message([](Launch& l) { l.grid[1] = Expression::parse("height / 3"); }),
              AllOf(HasSubstr("grid[1] of launch 'stencil5'"), HasSubstr("'height / 3'"), HasSubstr("682.66")));
  EXPECT_THAT(message([](Launch& l) { l.block[0] = Expression::parse("block_x - 32"); }),
              HasSubstr("positive integer, found 0"));
  EXPECT_THAT(message([](Launch& l) { l.shared = Expression::parse("-4"); }), HasSubstr("at least 0"));
  EXPECT_THAT(message([](Launch& l) { l.repeat = Expression::parse("-1"); }), HasSubstr("repeat of launch"));
  EXPECT_THAT(message([](Launch& l) { l.when = Expression::parse("widht"); }), HasSubstr("when of launch 'stencil5'"));
  EXPECT_THAT(message([](Launch& l) { l.block.clear(); }), HasSubstr("1 to 3"));
  EXPECT_THAT(message([](Launch& l) { l.grid.assign(4, Expression::parse("1")); }), HasSubstr("found 4"));
  EXPECT_THAT(message([](Launch& l) { l.grid[0] = Expression::parse("widht"); }), HasSubstr("did you mean 'width'?"));
}

TEST(Geometry, OfALaunchThatIsLeftOutIsNotEvaluated) {
  const Problem problem = stencil();
  const Scope scope = problem.scope(problem.baseline_configuration());
  Launch launch = problem.launches.front();
  launch.grid = {Expression::parse("width - width")};
  launch.when = Expression::parse("block_x > 4096");
  EXPECT_EQ(evaluate_geometry(launch, scope).repeat, 0);
  launch.when = Expression::parse("block_x <= 4096");
  EXPECT_THAT(refusal([&] { evaluate_geometry(launch, scope); }), HasSubstr("grid[0]"));
  launch.repeat = Expression::parse("0");
  EXPECT_EQ(evaluate_geometry(launch, scope).repeat, 0);
  EXPECT_EQ(repeats_of(launch, scope), 0);
}

TEST(Geometry, MayChangeWithTheRepeat) {
  const Problem problem = stencil();
  Scope scope = problem.scope(problem.baseline_configuration());
  Launch launch = problem.launches.front();
  EXPECT_FALSE(changes_with_repeat(launch, scope));
  launch.grid = {Expression::parse("width // pow(2, repeat)")};
  EXPECT_FALSE(changes_with_repeat(launch, scope)) << "it is not repeated, so there is no such name";
  EXPECT_THAT(refusal([&] { evaluate_geometry(launch, scope); }), HasSubstr("repeat"));
  launch.repeat = Expression::parse("3");
  EXPECT_TRUE(changes_with_repeat(launch, scope));
  const auto width = evaluate_geometry(launch, scope).grid[0];
  EXPECT_EQ(evaluate_geometry(launch, scope, 2).grid[0], width / 4);
  scope.set("repeat", Value(std::int64_t{1}));
  EXPECT_FALSE(changes_with_repeat(launch, scope)) << "a dimension or parameter hides it";
  EXPECT_EQ(evaluate_geometry(launch, scope, 2).grid[0], width / 2);
}

TEST(StructLayouts, AreThoseOfC) {
  const auto field = [](DataType type, int components, std::optional<std::int64_t> offset = {}) {
    return StructField{"f", type, components, Expression::parse("0"), offset};
  };
  const auto layout = layout_of(
      {field(DataType::int8, 1), field(DataType::float64, 1), field(DataType::int16, 1), field(DataType::float32, 4)});
  EXPECT_EQ(layout.offsets, (std::vector<std::int64_t>{0, 8, 16, 32}));
  EXPECT_EQ(layout.size, 48);
  EXPECT_EQ(layout_of({field(DataType::int32, 1, 4), field(DataType::int8, 1)}).size, 12);
  for (const std::int64_t offset : {2, 0, -4}) {
    EXPECT_THAT(refusal([&] {
                  layout_of({field(DataType::int32, 1), field(DataType::int32, 1, offset)});
                }),
                HasSubstr("of field 'f' must be a multiple of 4 and at least 4"));
  }
}

TEST(Problems, FindTheSourceOfAStage) {
  Problem problem;
  problem.source.dialect = SourceText{"own.kernel", "own"};
  Stage stage;
  stage.name = "shared";
  problem.stages = {stage, stage};
  problem.stages[1].name = "cuda_only";
  problem.stages[1].source.by_backend["cuda"] = SourceText{"a.cu", "other"};
  EXPECT_EQ(problem.find_source("", "opencl")->text, "own");
  EXPECT_EQ(problem.find_source("shared", "opencl")->text, "own");
  EXPECT_EQ(problem.find_source("cuda_only", "cuda")->text, "other");
  EXPECT_EQ(problem.find_source("cuda_only", "opencl"), nullptr);
  EXPECT_EQ(problem.find_stage(""), nullptr);
}

TEST(Limits, EachLimitHasItsReason) {
  const DeviceInfo device = gpu();
  LaunchGeometry geometry;
  geometry.block = {32, 32, 1};
  geometry.grid = {65536, 65535, 1};
  EXPECT_EQ(exceeds_limits(geometry, device), std::nullopt);
  const auto reason = [&](auto change) {
    LaunchGeometry changed = geometry;
    change(changed);
    return exceeds_limits(changed, device).value_or("fits");
  };
  EXPECT_EQ(reason([](auto& g) { g.block = {64, 32, 1}; }), "block has 2048 threads, the device allows 1024");
  EXPECT_EQ(reason([](auto& g) { g.block = {1, 1, 65}; }), "block has 65 threads in z, the device allows 64");
  EXPECT_EQ(reason([](auto& g) { g.grid = {1, 65536, 1}; }), "grid has 65536 blocks in y, the device allows 65535");
  EXPECT_EQ(reason([](auto& g) { g.dynamic_shared = Bytes(49153); }),
            "block needs 49153 bytes of dynamic shared memory, the device allows 49152");
  EXPECT_THAT(reason([](auto& g) { g.cluster = {2, 1, 1}; }), HasSubstr("clusters"));
  EXPECT_THAT(reason([](auto& g) { g.cooperative = true; }), HasSubstr("cooperative"));
  constexpr auto huge = std::numeric_limits<std::int64_t>::max();
  EXPECT_THAT(reason([](auto& g) { g.block = {huge, huge, 2}; }), HasSubstr("the device allows 1024"));
}

TEST(Limits, OptInClustersAndUnknownLimits) {
  DeviceInfo device = gpu();
  device.shared_per_block_optin = Bytes(232448);
  device.supports_clusters = true;
  device.supports_cooperative_launch = true;
  LaunchGeometry geometry;
  geometry.dynamic_shared = Bytes(65536);
  geometry.grid = {6, 1, 1};
  geometry.cluster = {2, 1, 1};
  geometry.cooperative = true;
  EXPECT_EQ(exceeds_limits(geometry, device), std::nullopt);
  geometry.grid = {5, 1, 1};
  EXPECT_THAT(exceeds_limits(geometry, device).value_or(""), HasSubstr("not a multiple"));
  LaunchGeometry large;
  large.block = {4096, 4096, 4096};
  large.dynamic_shared = Bytes(1u << 30);
  EXPECT_EQ(exceeds_limits(large, DeviceInfo{}), std::nullopt) << "0 is a limit nobody told";
}

}  // namespace
}  // namespace warpwright
