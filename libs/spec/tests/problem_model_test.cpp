// Specifications of several sources, scratch, launches that are left out, ranges and sums of outputs, structures, local
// memory and types of a parameter, from TOML and from C++.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>
#include <span>
#include <string>
#include <sys/file.h>
#include <unistd.h>
#include <vector>

#include <warpwright/spec/problem_builder.hpp>
#include <warpwright/spec/read.hpp>
#include <warpwright/spec/shared_input.hpp>

#include "temp_folder.hpp"

namespace warpwright::spec_tests {
namespace {

using spec::ProblemBuilder;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* staged = R"toml(
schema = 1
[kernel]
name = "staged"
defines = { ROWS = "n // 2" }
[problem]
n = 1024
[parameters.block_x]
values = [32, 64]
[parameters.algorithm]
values = ["atomic", "two_pass"]
[parameters.real]
values = ["float16", "float32"]
default = "float32"

[[argument]]
name = "x"
type = "realx4"
size = "n"
init = { uniform = ["-n", 1.5], seed = 4, sorted = "descending" }
[[argument]]
name = "y"
type = "real"
size = "n + block_x"
access = "out"
[[argument]]
name = "partial"
type = "float32"
size = "n * block_x"
access = "scratch"
[[argument]]
name = "counter"
type = "int32"
size = 1
access = "scratch"
init = { constant = "n // 4" }
[[argument]]
name = "shape"
access = "scalar"
type = "bytes"
layout = [{ name = "n", type = "int32", value = "n" }, { type = "float32x2", value = "[0.5, 1 / n]", offset = 16 }]
[[argument]]
name = "round"
access = "scalar"
type = "int32"
value = "n // pow(2, repeat + 1)"
[[argument]]
name = "tile"
access = "local"
type = "float32"
size = "block_x"

[[stage]]
name = "first"
source = "first.kernel"
parameters = ["block_x"]
options = { opencl = ["-cl-mad-enable"] }
defines = { HALF = "n // 2" }
[[stage.launch]]
entry = "step"
block = "block_x"
grid = "n // block_x // pow(2, repeat)"
args = ["x", { local = "block_x * 4" }, "y", "tile", { local = 64 }, "round"]
repeat = 2
when = "algorithm == 'atomic'"
[[stage]]
name = "second"
source = { cuda = "second.cu", opencl = "second.cl" }
[[stage.launch]]
entry = "step"
block = 1
grid = 1

[[output]]
argument = "y"
first = 8
count = "n // 2"

[reference]
kernel = "naive.kernel"
entry = "naive"
args = ["x", "y"]
)toml";

class ProblemModel : public testing::Test {
 protected:
  ProblemModel() {
    for (const char* name : {"first.kernel", "second.cu", "second.cl", "naive.kernel", "own.kernel"})
      folder.write(name, std::string("// ") + name + "\n");
  }
  Problem read(const std::string& text) { return spec::read(folder.write("spec.toml", text)); }
  TempFolder folder;
};

TEST_F(ProblemModel, StagesAreRead) {
  const Problem problem = read(staged);
  ASSERT_EQ(problem.stages.size(), 2u);
  const Stage& first = problem.stages[0];
  EXPECT_EQ(first.name, "first");
  EXPECT_THAT(first.source.dialect->text, HasSubstr("// first.kernel"));
  EXPECT_EQ(first.parameters, std::vector<std::string>{"block_x"});
  EXPECT_THAT(first.options.at("opencl"), ElementsAre("-cl-mad-enable"));
  EXPECT_EQ(first.defines.at(0).first, "HALF");
  EXPECT_FALSE(problem.stages[1].parameters.has_value());
  EXPECT_THAT(problem.find_source("second", "cuda")->text, HasSubstr("// second.cu"));
  ASSERT_EQ(problem.launches.size(), 2u);
  EXPECT_EQ(problem.launches[0].stage, "first");
  EXPECT_EQ(problem.launches[0].when->text(), "algorithm == 'atomic'");
  EXPECT_EQ(problem.launches[1].stage, "second");
  EXPECT_THAT(problem.launches[1].args, ElementsAre("x", "y", "partial", "counter", "shape", "round", "tile"))
      << "every argument that is declared, and no local memory of another launch";
  const auto& reference = std::get<ReferenceKernel>(problem.reference);
  EXPECT_EQ(reference.launches.at(0).stage, "");
  EXPECT_FALSE(reference.launches.at(0).when.has_value());
}

TEST_F(ProblemModel, ArgumentsAreRead) {
  const Problem problem = read(staged);
  const Argument& x = *problem.find_argument("x");
  EXPECT_EQ(x.type_parameter, "real");
  EXPECT_EQ(x.components, 4);
  EXPECT_EQ(x.type, DataType::float32) << "of the default";
  const auto& uniform = std::get<FillUniform>(x.fill);
  EXPECT_EQ(uniform.order, FillOrder::descending);
  ASSERT_EQ(uniform.bounds.size(), 2u);
  EXPECT_EQ(uniform.bounds[0].text(), "-n");
  EXPECT_EQ(std::get<FillUniform>(resolved(x.fill, problem.scope({}), "x")).low, -1024);
  EXPECT_FALSE(problem.find_argument("partial")->restored);
  EXPECT_TRUE(problem.find_argument("counter")->restored);
  const Argument& shape = *problem.find_argument("shape");
  ASSERT_EQ(shape.fields.size(), 2u);
  EXPECT_EQ(shape.fields[1].components, 2);
  EXPECT_EQ(layout_of(shape.fields).size, 24);
  EXPECT_EQ(problem.data_types(), "realx4,real,float32,int32,struct{int32,float32x2},int32,float32,uint8,uint8");
  EXPECT_EQ(problem.outputs.at(0).count->text(), "n // 2");
  EXPECT_DOUBLE_EQ(problem.outputs.at(0).rtol, 1e-2) << "of float16, the looser of both types";
}

TEST_F(ProblemModel, LocalMemoryAmongTheArgsBecomesArguments) {
  const Problem problem = read(staged);
  EXPECT_THAT(problem.launches[0].args, ElementsAre("x", "local_1", "y", "tile", "local_2", "round"));
  EXPECT_EQ(problem.find_argument("local_1")->access, Access::local);
  EXPECT_EQ(problem.find_argument("local_1")->size->text(), "block_x * 4");
  EXPECT_EQ(problem.find_argument("local_2")->size->text(), "64");
}

TEST_F(ProblemModel, ASumMayBeOfAnyNumberOfElementsAndIsWarnedOf) {
  std::string text = staged;
  text.replace(text.find("count = \"n // 2\""), 16, "count = \"block_x\"\njudge = \"sum\"");
  const Problem problem = read(text);
  EXPECT_TRUE(problem.outputs.at(0).by_sum);
  EXPECT_THAT(problem.warnings, Contains(HasSubstr("output 'y' is judged by its sum")));
  EXPECT_THAT(read(staged).warnings, Not(Contains(HasSubstr("sum"))));
}

TEST_F(ProblemModel, TheBuilderGivesTheSame) {
  ProblemBuilder builder("built");
  builder.dimension("n", Value(std::int64_t{64}))
      .parameter("block_x", {Value(std::int64_t{32}), Value(std::int64_t{64})})
      .parameter("real", {Value(std::string("float32")), Value(std::string("float64"))})
      .input("x", DataType::float32, "n")
      .type_from("x", "real")
      .output("y", DataType::float32, "n * block_x", 1e-5, 0)
      .compare_range("y", "2", "n")
      .scratch("s", DataType::int32, "block_x", 1, Fill(FillConstant{3}))
      .structure("shape", {{"n", DataType::int32, 1, Expression::parse("n"), {}}})
      .vector("v", DataType::float32, 4, "[1, 2, 3, 4]")
      .local("l", DataType::float32, "block_x")
      .stage("first", "void step();\n", std::vector<std::string>{"block_x"})
      .launch("step", {"block_x"}, {"n // pow(2, repeat)"}, {"x", "s", "l"})
      .repeat_last_launch("3")
      .when_last_launch("block_x == 32")
      .stage("second", "void last();\n")
      .launch("last", {"1"}, {"1"}, {"s", "y", "shape", "v"});
  const Problem problem = builder.build();
  EXPECT_EQ(problem.find_argument("x")->type_parameter, "real");
  EXPECT_EQ(problem.find_argument("s")->access, Access::scratch);
  EXPECT_TRUE(problem.find_argument("s")->restored);
  EXPECT_EQ(problem.launches.at(0).stage, "first");
  EXPECT_EQ(problem.launches.at(1).stage, "second");
  EXPECT_EQ(problem.launches.at(1).position.key, "stage[1].launch[0]");
  EXPECT_EQ(problem.outputs.at(0).first->text(), "2");
  ProblemBuilder sums = builder;
  EXPECT_TRUE(sums.judge_by_sum("y").build().outputs.at(0).by_sum);
  EXPECT_THAT(error_of([&] { builder.judge_by_sum("z"); }), HasSubstr("judge_by_sum() names 'z'"));
  EXPECT_THAT(error_of([&] { builder.type_from("z", "real"); }), HasSubstr("type_from() names 'z'"));
  ProblemBuilder wrong = builder;
  EXPECT_THAT(error_of([&] { wrong.launch("more", {"1"}, {"1"}, {"nothing"}).build(); }),
              HasSubstr("stage[1].launch[1].args[0]"));
}

TEST(SharedInputs, LieInSharedMemoryUntilTheLastOfThemIsGone) {
  std::vector<double> values;
  for (int i = 0; i < 100000; ++i) values.push_back(i * 0.5 + getpid());
  const std::span<const double> elements(values);
  std::optional<spec::SharedInput> first(std::in_place, elements);
  const std::filesystem::path file = first->fill().file;
  EXPECT_EQ(first->size(), Bytes{800000});
  EXPECT_EQ(std::filesystem::file_size(file), 800000u);
  const std::string bytes = read_file(file);
  EXPECT_EQ(bytes, std::string(reinterpret_cast<const char*>(values.data()), 800000));
  std::optional<spec::SharedInput> second(std::in_place, elements);
  EXPECT_EQ(second->file(), file) << "equal data are one file";
  first.reset();
  EXPECT_TRUE(std::filesystem::exists(file)) << "the second still uses it";
  spec::SharedInput moved = std::move(*second);
  second.reset();
  EXPECT_TRUE(std::filesystem::exists(file));
  values[7] = -1;
  moved = spec::SharedInput(elements);
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_TRUE(std::filesystem::exists(moved.file()));
  EXPECT_NE(moved.file(), file);
}

TEST(SharedInputs, TakeOverWhatAKilledProgramLeft) {
  const std::vector<int> values{1, 2, 3, getpid()};
  const std::span<const int> elements(values);
  const std::filesystem::path file = spec::SharedInput(elements).file();
  ASSERT_FALSE(std::filesystem::exists(file));
  write_file_atomically(file, "half-writ");
  const spec::SharedInput input(elements);
  EXPECT_EQ(input.file(), file);
  EXPECT_EQ(read_file(file), std::string(reinterpret_cast<const char*>(values.data()), 16));
}

TEST(SharedInputs, MayBeEmpty) {
  const spec::SharedInput input{std::span<const float>()};
  EXPECT_EQ(std::filesystem::file_size(input.file()), 0u);
}

TEST_F(ProblemModel, ImagesAndSamplersAreArguments) {
  const Problem problem = read(R"toml(
schema = 1
[kernel]
name = "filter"
source = { opencl = "own.kernel" }
[problem]
w = 30
h = 20
[[argument]]
name = "in"
image = { width = "w + 2", height = "h", format = "rg_snorm16" }
[[argument]]
name = "between"
image = { width = "w", height = "h", format = "r_uint8" }
access = "scratch"
init = { constant = 7 }
[[argument]]
name = "out"
image = { width = "w", height = "h", format = "rgba_float16" }
access = "out"
[[argument]]
name = "look"
sampler = { addressing = "mirrored_repeat", filter = "linear", normalized = true }
[[argument]]
name = "plain"
sampler = {}
[[launch]]
entry = "filter"
block = 1
grid = ["w", "h"]
)toml");
  const Argument& in = *problem.find_argument("in");
  ASSERT_TRUE(in.image);
  EXPECT_EQ(in.image_format(), (ImageFormat{2, DataType::int16, true}));
  EXPECT_EQ(in.access, Access::in);
  EXPECT_EQ(problem.scope({}).integer_at_least(*in.size, 1, "size"), 640);
  EXPECT_TRUE(std::holds_alternative<FillUniform>(in.fill)) << "zeros would hide mistakes";
  const Argument& between = *problem.find_argument("between");
  EXPECT_TRUE(between.restored);
  EXPECT_FALSE(between.image->normalized);
  EXPECT_EQ(problem.outputs.at(0).argument, "out");
  const Argument& look = *problem.find_argument("look");
  EXPECT_EQ(look.access, Access::scalar);
  EXPECT_EQ(look.sampler, (SamplerSettings{ImageAddressing::mirrored_repeat, ImageFilter::linear, true}));
  EXPECT_EQ(problem.find_argument("plain")->sampler, SamplerSettings{});
  EXPECT_THAT(problem.launches[0].args, ElementsAre("in", "between", "out", "look", "plain"));
  EXPECT_EQ(problem.data_types(), "image:rg_snorm16,image:r_uint8,image:rgba_float16,sampler,sampler");
}

TEST_F(ProblemModel, TheBuilderMakesImagesAndSamplers) {
  const ImageFormat bytes{4, DataType::uint8, true}, floats{1, DataType::float32, false};
  ProblemBuilder builder("filter");
  builder.dimension("w", Value(std::int64_t{8}))
      .input_image("in", bytes, "w", "w // 2", Fill(FillUniform{0, 255, 3}))
      .scratch_image("between", floats, "w", "w // 2")
      .inout_image("sums", floats, "w", "1", FillConstant{1}, 1e-6, 0)
      .output_image("out", bytes, "w", "w // 2", 0, 1)
      .sampler("look", {ImageAddressing::clamp, ImageFilter::linear, false})
      .source_text("void filter();\n", "opencl")
      .launch("filter", {"1"}, {"w", "w // 2"}, {"in", "look", "between", "sums", "out"});
  const Problem problem = builder.build();
  EXPECT_EQ(problem.data_types(), "image:rgba_unorm8,image:r_float32,image:r_float32,image:rgba_unorm8,sampler");
  EXPECT_EQ(problem.find_argument("between")->access, Access::scratch);
  EXPECT_EQ(problem.find_argument("sums")->access, Access::inout);
  EXPECT_EQ(problem.scope({}).integer_at_least(*problem.find_argument("out")->size, 1, "size"), 32);
  ASSERT_EQ(problem.outputs.size(), 2u);
  EXPECT_EQ(problem.outputs[1].atol, 1);
  ProblemBuilder odd = builder, repeats = builder;
  odd.input_image("odd", {3, DataType::float64, false}, "w", "w");
  EXPECT_THAT(error_of([&] { odd.build(); }), HasSubstr("a format that does not exist (3_float64)"));
  repeats.sampler("again", {ImageAddressing::repeat, ImageFilter::nearest, false});
  EXPECT_THAT(error_of([&] { repeats.build(); }), HasSubstr("OpenCL defines for normalized coordinates only"));
  Problem broken = problem;
  broken.arguments[0].size.reset();
  EXPECT_THAT(error_of([&] { spec::check_problem(broken); }), HasSubstr("an image without a number of pixels"));
  broken = problem;
  broken.arguments[0].value = Expression::parse("1");
  EXPECT_THAT(error_of([&] { spec::check_problem(broken); }), HasSubstr("neither value nor layout"));
  broken = problem;
  broken.arguments[4].access = Access::in;
  EXPECT_THAT(error_of([&] { spec::check_problem(broken); }), HasSubstr("a sampler, which is passed by value"));
}

TEST_F(ProblemModel, RepeatIsHiddenByADimension) {
  const Problem problem = read(R"toml(
schema = 1
[kernel]
name = "old"
source = "own.kernel"
[problem]
n = 64
repeat = 3
[[argument]]
name = "y"
type = "float32"
size = "n"
access = "out"
[[launch]]
entry = "old"
block = 1
grid = "n // repeat"
repeat = "repeat"
)toml");
  const LaunchGeometry geometry = evaluate_geometry(problem.launches.at(0), problem.scope({}), 2);
  EXPECT_EQ(geometry.grid[0], 21);
  EXPECT_EQ(geometry.repeat, 3);
}

}  // namespace
}  // namespace warpwright::spec_tests
