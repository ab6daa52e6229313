#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/spec/read.hpp>

#include "temp_folder.hpp"

namespace warpwright::spec_tests {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// The example of docs/specification.md, with the constraints where the reader of the page would write them.
constexpr const char* stencil = R"toml(
schema = 1
[kernel]
name = "stencil5"
source = "stencil.kernel"
include = ["include"]
options = { cuda = ["-use_fast_math"], opencl = [] }
defines = { HALO = "2", ROW = "width + HALO_WIDTH" }

[problem]
width = 4096
height = 4096
scale = 0.5
HALO_WIDTH = 2
[problem.opencl-cpu]
width = 1024
height = 1024
[problem.cuda]
width = 8192

[parameters.block_x]
values = [16, 32, 64, 128]
default = 32
[parameters.block_y]
range = { from = 1, to = 8, power = 2 }
role = "block"
[parameters.tile]
range = { from = 1, to = 8, step = 1 }
ordered = false
[parameters.layout]
values = ["row", "padded"]
role = "define"

constraints = ["block_x * block_y <= 1024", "tile == 1 or layout == 'padded'"]

[[argument]]
name = "in"
type = "float32"
size = "(width + 2) * (height + 2)"
init = { uniform = [-1.0, 1.0], seed = 1 }
access = "in"
[[argument]]
name = "coeff"
type = "float32x4"
size = 5
init = { npy = "coeff.npy" }
access = "constant"
symbol = "coeff_c"
[[argument]]
name = "out"
type = "float32"
size = "(width + 2) * (height + 2)"
access = "out"
[[argument]]
name = "alpha"
type = "float64"
access = "scalar"
value = "2 * scale"

[[launch]]
entry = "stencil5"
block = ["block_x", "block_y"]
grid = ["ceil_div(width, block_x * tile)", "ceil_div(height, block_y)"]
shared = "(block_x + 2) * (block_y + 2) * 4"
args = ["in", "out", "width", "height", "scale", "alpha"]
repeat = 10
swap = ["in", "out"]
cooperative = true
cluster = [2, 1]

[[output]]
argument = "out"
rtol = 1e-5
atol = 1e-6
[reference]
kernel = "naive.kernel"
entry = "stencil_naive"
[baseline]
configuration = { block_x = 32, block_y = 1, tile = 1, layout = "row" }
[objective]
maximise = "GFLOP/s"
[metrics]
"GFLOP/s" = "9 * width * height * 10 / time_ns"
[verify]
sizes = [{ width = 1000, height = 777 }]
)toml";

class Toml : public testing::Test {
 protected:
  Toml() {
    folder.write("stencil.kernel", "#include \"halo.h\"\nvoid f();\n");
    folder.write("naive.kernel", "void g();\n");
    folder.write("k.kernel", "void k();\n");
    folder.write("coeff.npy", "not read here");
    folder.write("include/halo.h", "#define HALO_ROWS 1\n");
  }
  Problem read(const std::string& text) const { return spec::read_toml(text, folder.path() / "spec.toml"); }

  // A small correct specification with one part replaced.
  struct Parts {
    std::string top;
    std::string kernel = "name = \"copy\"\nsource = \"k.kernel\"";
    std::string problem = "width = 1024";
    std::string parameters = "[parameters.block_x]\nvalues = [32, 64]";
    std::string in = "size = \"width\"";
    std::string out = "size = \"width\"";
    std::string launch = "block = \"block_x\"\ngrid = \"ceil_div(width, block_x)\"";
    std::string tail;
  };
  static std::string text(const Parts& parts) {
    return "schema = 1\n" + parts.top + "\n[kernel]\n" + parts.kernel + "\n[problem]\n" + parts.problem + "\n" +
           parts.parameters + "\n[[argument]]\nname = \"in\"\ntype = \"float32\"\n" + parts.in +
           "\n[[argument]]\nname = \"out\"\ntype = \"float32\"\naccess = \"out\"\n" + parts.out +
           "\n[[launch]]\nentry = \"copy\"\n" + parts.launch + "\n" + parts.tail + "\n";
  }
  static Value eval(const Expression& expression, const Problem& problem) {
    return expression.evaluate(problem.scope(problem.baseline_configuration()).lookup()).scalar();
  }

  TempFolder folder;
};

TEST_F(Toml, ReadsEveryKeyOfTheExample) {
  const Problem problem = read(stencil);
  EXPECT_EQ(problem.name, "stencil5");
  EXPECT_EQ(problem.file, folder.path() / "spec.toml");
  ASSERT_TRUE(problem.source.dialect);
  EXPECT_THAT(problem.source.dialect->text, HasSubstr("#define HALO_ROWS 1"));
  EXPECT_EQ(problem.source.find("opencl"), &*problem.source.dialect);
  EXPECT_THAT(problem.include_folders, ElementsAre(folder.path() / "include"));
  EXPECT_THAT(problem.options.at("cuda"), ElementsAre("-use_fast_math"));
  EXPECT_THAT(problem.options.at("opencl"), IsEmpty());
  ASSERT_EQ(problem.defines.size(), 2u);
  EXPECT_EQ(problem.defines[0].first, "HALO");
  EXPECT_EQ(eval(problem.defines[1].second, problem), Value(std::int64_t{4098}));

  EXPECT_EQ(problem.dimensions.describe(), "width=4096, height=4096, scale=0.5, HALO_WIDTH=2");
  EXPECT_EQ(problem.device_dimensions.at("opencl-cpu").describe(), "width=1024, height=1024");
  EXPECT_EQ(problem.device_dimensions.at("cuda").describe(), "width=8192");

  ASSERT_EQ(problem.parameters.size(), 4u);
  const Parameter& block_x = problem.parameters[0];
  EXPECT_EQ(block_x.name, "block_x");
  EXPECT_EQ(block_x.values.size(), 4u);
  EXPECT_EQ(block_x.default_value, Value(std::int64_t{32}));
  EXPECT_EQ(block_x.role, ParameterRole::define);
  EXPECT_TRUE(block_x.ordered);
  EXPECT_GT(block_x.position.line, 0u);
  EXPECT_EQ(problem.parameters[1].role, ParameterRole::block);
  EXPECT_THAT(problem.parameters[1].values, ElementsAre(Value(std::int64_t{1}), Value(std::int64_t{2}),
                                                        Value(std::int64_t{4}), Value(std::int64_t{8})));
  EXPECT_FALSE(problem.parameters[2].ordered);
  EXPECT_EQ(problem.parameters[2].values.size(), 8u);
  EXPECT_FALSE(problem.parameters[3].ordered);
  ASSERT_EQ(problem.constraints.size(), 2u);
  EXPECT_EQ(problem.constraints[1].text, "tile == 1 or layout == 'padded'");

  ASSERT_EQ(problem.arguments.size(), 4u);
  const Argument& in = problem.arguments[0];
  ASSERT_TRUE(std::holds_alternative<FillUniform>(in.fill));
  EXPECT_EQ(std::get<FillUniform>(in.fill).low, -1);
  EXPECT_EQ(std::get<FillUniform>(in.fill).seed, 1u);
  const Argument& coeff = problem.arguments[1];
  EXPECT_EQ(coeff.type, DataType::float32);
  EXPECT_EQ(coeff.components, 4);
  EXPECT_EQ(coeff.access, Access::constant);
  EXPECT_EQ(coeff.symbol, "coeff_c");
  EXPECT_EQ(std::get<FillNpy>(coeff.fill).file, folder.path() / "coeff.npy");
  EXPECT_EQ(eval(*coeff.size, problem), Value(std::int64_t{5}));
  EXPECT_EQ(problem.arguments[2].access, Access::out);
  EXPECT_EQ(problem.arguments[3].access, Access::scalar);
  EXPECT_EQ(eval(*problem.arguments[3].value, problem), Value(1.0));

  ASSERT_EQ(problem.launches.size(), 1u);
  const Launch& launch = problem.launches[0];
  EXPECT_EQ(launch.entry, "stencil5");
  EXPECT_THAT(launch.args, ElementsAre("in", "out", "width", "height", "scale", "alpha"));
  EXPECT_THAT(launch.swap, ElementsAre("in", "out"));
  EXPECT_TRUE(launch.cooperative);
  const LaunchGeometry geometry = evaluate_geometry(launch, problem.scope(problem.baseline_configuration()));
  EXPECT_EQ(geometry.block, (std::array<std::int64_t, 3>{32, 1, 1}));
  EXPECT_EQ(geometry.grid, (std::array<std::int64_t, 3>{128, 4096, 1}));
  EXPECT_EQ(geometry.cluster, (std::array<std::int64_t, 3>{2, 1, 1}));
  EXPECT_EQ(geometry.dynamic_shared, Bytes(34 * 3 * 4));
  EXPECT_EQ(geometry.repeat, 10);

  ASSERT_EQ(problem.outputs.size(), 1u);
  EXPECT_EQ(problem.outputs[0].rtol, 1e-5);
  EXPECT_EQ(problem.outputs[0].atol, 1e-6);
  const auto& reference = std::get<ReferenceKernel>(problem.reference);
  ASSERT_TRUE(reference.source.dialect);
  EXPECT_THAT(reference.source.dialect->text, HasSubstr("void g();"));
  EXPECT_EQ(problem.baseline->describe(), "block_x=32, block_y=1, tile=1, layout='row'");
  EXPECT_EQ(problem.objective.metric, "GFLOP/s");
  EXPECT_FALSE(problem.objective.minimise);
  ASSERT_EQ(problem.verify_sizes.size(), 1u);
  EXPECT_EQ(problem.verify_sizes[0].describe(), "width=1000, height=777");
  EXPECT_THAT(problem.warnings, IsEmpty());
  // 4 * 4 block shapes, each with 8 tiles * 2 layouts less the 7 tiles that need padding.
  EXPECT_EQ(problem.build_space()->size(), 4u * 4u * 9u);
}

TEST_F(Toml, ALaunchMayPassAConstantThatHasASymbolToo) {
  std::string both = stencil;
  const std::string args = R"(args = ["in", "out", "width")";
  ASSERT_NE(both.find(args), std::string::npos);
  both.replace(both.find(args), args.size(), R"(args = ["in", "coeff", "out", "width")");
  const Problem problem = read(both);
  EXPECT_THAT(problem.launches[0].args, ElementsAre("in", "coeff", "out", "width", "height", "scale", "alpha"));
  EXPECT_EQ(problem.find_argument("coeff")->symbol, "coeff_c");
}

TEST_F(Toml, TheExampleOfTheDocumentationIsRead) {
  const std::string page = read_file(std::filesystem::path(WARPWRIGHT_DOCS_FOLDER) / "specification.md");
  const auto begin = page.find("```toml\n") + 8;
  folder.write("stencil_naive.kernel", "void naive();\n");
  const Problem problem = read(page.substr(begin, page.find("```", begin) - begin));
  EXPECT_THAT(problem.warnings, IsEmpty());
  EXPECT_EQ(problem.build_space()->size(), 4u * 4u * 9u);
}

// n = 1e6 is a float: as a size it would do, and a kernel that gets it too sees the bits of a float.
TEST_F(Toml, AWholeFloatIsNoSize) {
  Parts parts;
  parts.problem = "width = 1e3";
  const std::string message = error_of([&] { read(text(parts)); });
  EXPECT_THAT(message, AllOf(HasSubstr("spec.toml:7:"), HasSubstr("key 'problem.width'"),
                             HasSubstr("'width' is the float 1000.0"), HasSubstr("size of argument 'in'"),
                             HasSubstr("write width = 1000")));
  parts.problem = "width = 1024\nn = 64.0";
  parts.launch = "block = \"block_x\"\ngrid = \"ceil_div(n, block_x)\"";
  EXPECT_THAT(error_of([&] { read(text(parts)); }), AllOf(HasSubstr("key 'problem.n'"), HasSubstr("write n = 64")));
  parts.launch = "block = \"block_x\"\ngrid = 16\nshared = \"n * 4\"";
  EXPECT_THAT(error_of([&] { read(text(parts)); }), HasSubstr("shared memory of launch 'copy'"));
  parts.launch = "block = \"block_x\"\ngrid = 16\nargs = [\"in\", \"out\", \"count\"]";
  parts.out = "size = \"width\"\n[[argument]]\nname = \"count\"\naccess = \"scalar\"\ntype = \"int32\"\nvalue = \"n\"";
  EXPECT_THAT(error_of([&] { read(text(parts)); }), HasSubstr("value of argument 'count'"));
  // Fractions, results that are whole by themselves, and floats that are passed as floats are fine.
  parts.out = "size = \"width / 2\"";
  parts.in = "size = \"width + int(n)\"";
  parts.launch = "block = \"block_x\"\ngrid = \"width / block_x\"\nargs = [\"in\", \"out\", \"n\"]";
  EXPECT_NO_THROW(read(text(parts)));
}

TEST_F(Toml, OtherSizesKeepTheTypeOfTheDimension) {
  Parts parts;
  parts.problem = "width = 1024\nalpha = 2.0";
  parts.tail = "[verify]\nsizes = [{ width = 10.5 }]";
  EXPECT_THAT(error_of([&] { read(text(parts)); }),
              AllOf(HasSubstr("verify.sizes[0].width"), HasSubstr("is an integer (1024), found 10.5")));
  parts.tail = "[verify]\nsizes = [{ alpha = 3 }]";
  const Problem problem = read(text(parts));
  EXPECT_EQ(problem.with_dimensions(problem.verify_sizes[0]).dimensions.at("alpha"), Value(3.0));
  parts.problem = "width = 1024\n[problem.cpu]\nwidth = 0.5";
  EXPECT_THAT(error_of([&] { read(text(parts)); }), HasSubstr("key 'problem.cpu.width'"));
}

TEST_F(Toml, OtherSizesKnowWhereTheyStand) {
  Parts parts;
  parts.problem = "width = 1024";
  parts.tail = "[verify]\nsizes = [{ width = 100 },\n  { width = 7 }]";
  const Problem problem = read(text(parts));
  ASSERT_EQ(problem.verify_positions.size(), 2u);
  EXPECT_EQ(problem.verify_positions[0].key, "verify.sizes[0]");
  EXPECT_EQ(problem.verify_positions[1].key, "verify.sizes[1]");
  EXPECT_EQ(problem.verify_positions[1].line, problem.verify_positions[0].line + 1);
  EXPECT_EQ(problem.verify_positions[1].column, 3u);
  EXPECT_EQ(problem.verify_positions[1].file, problem.launches[0].position.file);
}

TEST_F(Toml, ANormwiseToleranceStandsAlone) {
  Parts parts;
  parts.tail = "[[output]]\nargument = \"out\"\nnormwise = 1e-6";
  const Output output = read(text(parts)).outputs.at(0);
  EXPECT_EQ(output.normwise, 1e-6);
  EXPECT_EQ(output.rtol, 0);
  EXPECT_EQ(output.atol, 0);
  parts.tail += "\natol = 1e-9";
  EXPECT_EQ(read(text(parts)).outputs.at(0).atol, 1e-9);
  parts.tail = "[[output]]\nargument = \"out\"\nnormwise = -1e-6";
  EXPECT_THAT(error_of([&] { read(text(parts)); }),
              AllOf(HasSubstr("output[0].normwise"), HasSubstr("must not be negative")));
}

TEST_F(Toml, LaunchesKnowWhereTheirArgumentsStand) {
  Parts parts;
  parts.launch = "block = \"block_x\"\ngrid = 16\nargs = [\"in\", \"out\"]";
  const Problem problem = read(text(parts));
  EXPECT_EQ(problem.launches[0].args_position.key, "launch[0].args");
  EXPECT_EQ(problem.launches[0].args_position.line, problem.launches[0].position.line + 4);
  parts.launch = "block = \"block_x\"\ngrid = 16";
  EXPECT_EQ(read(text(parts)).launches[0].args_position.key, "launch[0]");
}

TEST_F(Toml, AFileOnDiskIsRecognisedByItsContent) {
  EXPECT_EQ(spec::read(folder.write("spec.txt", stencil)).name, "stencil5");
  EXPECT_EQ(spec::read(folder.write("bom.toml", std::string("\xEF\xBB\xBF") + stencil)).name, "stencil5");
  EXPECT_THAT(error_of([&] { spec::read(folder.path() / "absent.toml"); }), HasSubstr("absent.toml"));
  EXPECT_THAT(error_of([&] { spec::read(folder.path()); }), HasSubstr("is a folder"));
}

TEST_F(Toml, TheOrderOfKeysIsTheOrderOfTheFile) {
  Parts parts;
  parts.parameters =
      "[parameters.z_last]\nvalues = [1]\n[parameters.a_first]\nvalues = [2]\n[parameters.block_x]\nvalues = [32]";
  parts.problem = "width = 1024\nbeta = 1\nalpha = 2";
  parts.tail = "[metrics]\nzz = \"time_ns\"\naa = \"time_ns\"";
  const Problem problem = read(text(parts));
  EXPECT_EQ(problem.baseline_configuration().describe(), "z_last=1, a_first=2, block_x=32");
  EXPECT_EQ(problem.dimensions.describe(), "width=1024, beta=1, alpha=2");
  EXPECT_EQ(problem.metrics[0].name, "zz");
}

TEST_F(Toml, ConstraintsMayStandAtTheTopOrAfterAnyParameter) {
  Parts parts;
  parts.top = "constraints = [\"block_x > 16\"]";
  parts.parameters =
      "[parameters.block_x]\nvalues = [32, 64]\nconstraints = [\"block_x + tile != 33\"]\n"
      "[parameters.tile]\nvalues = [1, 2]\nconstraints = [\"block_x * tile <= 64\"]";
  const Problem problem = read(text(parts));
  ASSERT_EQ(problem.constraints.size(), 3u);
  EXPECT_EQ(problem.constraints[0].text, "block_x > 16");
  EXPECT_EQ(problem.constraints[2].text, "block_x * tile <= 64");
  EXPECT_EQ(problem.build_space()->size(), 2u);  // 32x2 and 64x1
}

TEST_F(Toml, RangesOfDecimalsHaveTheDecimalsThatPeopleWrite) {
  const auto values = [&](const std::string& range) {
    Parts parts;
    parts.parameters = "[parameters.block_x]\nvalues = [32]\n[parameters.p]\nrange = " + range;
    return read(text(parts)).parameters.at(1).values;
  };
  EXPECT_EQ(values("{ from = 0.1, to = 1.0, step = 0.1 }"),
            (std::vector<Value>{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0}));
  EXPECT_EQ(values("{ from = 1, to = 0.7, step = -0.1 }"), (std::vector<Value>{1.0, 0.9, 0.8, 0.7}));
  EXPECT_EQ(values("{ from = 1e-3, to = 3e-3, step = 5e-4 }"),
            (std::vector<Value>{0.001, 0.0015, 0.002, 0.0025, 0.003}));
  EXPECT_EQ(values("{ from = 2.25, to = 3, step = 0.25 }"), (std::vector<Value>{2.25, 2.5, 2.75, 3.0}));
  EXPECT_EQ(values("{ from = 0.001, to = 10.0, power = 10 }"), (std::vector<Value>{0.001, 0.01, 0.1, 1.0, 10.0}));
  EXPECT_EQ(values("{ from = 0.1, to = 3, power = 3.0 }"), (std::vector<Value>{0.1, 0.3, 0.9, 2.7}));
  // Digits that do not end stay what they are.
  EXPECT_EQ(values("{ from = 0.3333333333333333, to = 0.7, step = 0.3333333333333333 }"),
            (std::vector<Value>{0.3333333333333333, 0.6666666666666666}));
}

TEST_F(Toml, RangesIncludeBothEndsWhereTheStepsReachThem) {
  const auto values = [&](const std::string& range) {
    Parts parts;
    parts.parameters = "[parameters.block_x]\nvalues = [32]\n[parameters.p]\nrange = " + range;
    std::string list;
    const Problem problem = read(text(parts));
    for (const auto& value : problem.parameters.at(1).values) list += to_string(value) + " ";
    return list;
  };
  EXPECT_EQ(values("{ from = 1, to = 8, step = 3 }"), "1 4 7 ");
  EXPECT_EQ(values("{ from = 1, to = 3 }"), "1 2 3 ");
  EXPECT_EQ(values("{ from = 8, to = 1, step = -3 }"), "8 5 2 ");
  EXPECT_EQ(values("{ from = 5, to = 5, step = 1 }"), "5 ");
  EXPECT_EQ(values("{ from = 1, to = 100, power = 3 }"), "1 3 9 27 81 ");
  EXPECT_EQ(values("{ from = 0.25, to = 1, power = 2 }"), "0.25 0.5 1.0 ");
  EXPECT_EQ(values("{ from = 0.0, to = 1.0, step = 0.25 }"), "0.0 0.25 0.5 0.75 1.0 ");
  // 0.1 + 2 * 0.1 is not 0.3 in binary, and the last step misses 0.5 by one rounding.
  EXPECT_THAT(values("{ from = 0.1, to = 0.5, step = 0.1 }"), testing::EndsWith("0.5 "));
  EXPECT_EQ(values("{ from = 9223372036854775806, to = 9223372036854775807 }"),
            "9223372036854775806 9223372036854775807 ");
  EXPECT_EQ(values("{ from = 4611686018427387904, to = 9223372036854775807, power = 2 }"), "4611686018427387904 ");
}

TEST_F(Toml, FillsHaveUsefulDefaults) {
  const auto fill = [&](const std::string& in) {
    Parts parts;
    parts.in = in;
    return read(text(parts)).arguments[0].fill;
  };
  const auto defaulted = std::get<FillUniform>(fill("size = 1"));
  EXPECT_EQ(defaulted.low, 0);
  EXPECT_EQ(defaulted.high, 1);
  EXPECT_EQ(defaulted.seed, 1u);
  EXPECT_EQ(std::get<FillConstant>(fill("size = 1\naccess = \"inout\"")).value, 0);
  EXPECT_EQ(std::get<FillConstant>(fill("size = 1\ninit = { constant = 2.5 }")).value, 2.5);
  EXPECT_EQ(std::get<FillNormal>(fill("size = 1\ninit = { normal = [1, 2], seed = 7 }")).seed, 7u);
  EXPECT_EQ(std::get<FillNormal>(fill("size = 1\ninit = { normal = [1, 2] }")).deviation, 2);
  EXPECT_EQ(std::get<FillIota>(fill("size = 1\ninit = { iota = true }")).step, 1);
  EXPECT_EQ(std::get<FillIota>(fill("size = 1\ninit = { iota = [3, 0.5] }")).start, 3);
  EXPECT_EQ(std::get<FillFormula>(fill("size = 1\ninit = { formula = \"index % 7\" }")).formula.text(), "index % 7");
  const auto rows = std::get<FillFormula>(fill("size = 4\ninit = { formula = \"row\", row_length = 2 }"));
  EXPECT_EQ(rows.row_length->text(), "2");
  EXPECT_THROW(fill("size = 4\ninit = { formula = \"row\" }"), Error);  // no rows
  EXPECT_THROW(fill("size = 4\ninit = { constant = 1, row_length = 2 }"), Error);
}

TEST_F(Toml, DefaultSeedsDifferPerArgumentAndIntegersAreNotAllZero) {
  Parts parts;
  parts.tail =
      "[[argument]]\nname = \"keys\"\ntype = \"int32\"\nsize = 4\n"
      "[[argument]]\nname = \"more\"\ntype = \"float32\"\nsize = 4\ninit = { uniform = [0, 1] }";
  const Problem problem = read(text(parts));
  const auto keys = std::get<FillUniform>(problem.arguments[2].fill);
  const auto more = std::get<FillUniform>(problem.arguments[3].fill);
  EXPECT_EQ(keys.high, 100);
  EXPECT_NE(keys.seed, more.seed);
  EXPECT_NE(keys.seed, std::get<FillUniform>(problem.arguments[0].fill).seed);
}

TEST_F(Toml, OutputsAndArgumentsOfALaunchAreOptional) {
  const Problem problem = read(text({}));
  EXPECT_THAT(problem.launches[0].args, ElementsAre("in", "out"));
  ASSERT_EQ(problem.outputs.size(), 1u);
  EXPECT_EQ(problem.outputs[0].argument, "out");
  EXPECT_EQ(problem.outputs[0].rtol, 1e-4);
  EXPECT_THAT(problem.warnings, ElementsAre(HasSubstr("no reference")));
}

TEST_F(Toml, AnOutputWithoutTolerancesGetsThoseOfItsType) {
  Parts parts;
  parts.tail =
      "[[argument]]\nname = \"bins\"\ntype = \"int32\"\nsize = 4\naccess = \"inout\"\n"
      "[[output]]\nargument = \"bins\"\n[[output]]\nargument = \"out\"\natol = 0";
  const Problem problem = read(text(parts));
  ASSERT_EQ(problem.outputs.size(), 2u);
  EXPECT_EQ(problem.outputs[0].rtol, 0);
  EXPECT_EQ(problem.outputs[0].atol, 0);
  EXPECT_EQ(problem.outputs[1].rtol, 1e-4);
  EXPECT_EQ(problem.outputs[1].atol, 0);
}

TEST_F(Toml, UnitsInTheLastPlaceReplaceTheTolerancesOfTheType) {
  Parts parts;
  parts.tail = "[[output]]\nargument = \"out\"\nulp = 4";
  Problem problem = read(text(parts));
  ASSERT_EQ(problem.outputs.size(), 1u);
  EXPECT_EQ(problem.outputs[0].ulp, 4u);
  EXPECT_EQ(problem.outputs[0].rtol, 0);
  EXPECT_EQ(problem.outputs[0].atol, 0);
  parts.tail += "\natol = 1e-6";
  problem = read(text(parts));
  EXPECT_EQ(problem.outputs[0].ulp, 4u);
  EXPECT_EQ(problem.outputs[0].atol, 1e-6);
}

TEST_F(Toml, AReferenceTakesWhatItLeavesOutFromTheLaunchOfItsPosition) {
  Parts parts;
  parts.launch += "\nshared = \"block_x * 4\"\nrepeat = 3\nargs = [\"in\", \"out\", \"width\"]";
  parts.tail = "[reference]\nkernel = \"naive.kernel\"\nentry = \"naive\"";
  Problem problem = read(text(parts));
  Launch launch = std::get<ReferenceKernel>(problem.reference).launches.at(0);
  EXPECT_EQ(launch.entry, "naive");
  EXPECT_EQ(launch.block[0].text(), "block_x");
  EXPECT_EQ(launch.grid[0].text(), "ceil_div(width, block_x)");
  EXPECT_TRUE(launch.shared);
  EXPECT_TRUE(launch.repeat);
  EXPECT_THAT(launch.args, ElementsAre("in", "out", "width"));

  parts.tail =
      "[reference]\nkernel = { cuda = \"naive.kernel\", opencl = \"k.kernel\" }\nentry = \"naive\"\nblock = 128\n"
      "grid = [\"width // 128\"]\nrepeat = 1\nargs = [\"in\", \"out\"]";
  problem = read(text(parts));
  const auto& kernel = std::get<ReferenceKernel>(problem.reference);
  EXPECT_EQ(kernel.source.by_backend.size(), 2u);
  EXPECT_THAT(kernel.source.find("cuda")->text, HasSubstr("void g();"));
  launch = kernel.launches.at(0);
  EXPECT_EQ(eval(launch.block[0], problem), Value(std::int64_t{128}));
  EXPECT_FALSE(launch.shared) << "shared memory belongs to the geometry it was computed for";
  EXPECT_EQ(eval(*launch.repeat, problem), Value(std::int64_t{1}));
  EXPECT_THAT(launch.args, ElementsAre("in", "out"));
}

TEST_F(Toml, AReferenceMayBeAnotherEntryOrSeveralLaunches) {
  Parts parts;
  parts.tail = "[reference]\nentry = \"naive\"";
  Problem problem = read(text(parts));
  const auto& own = std::get<ReferenceKernel>(problem.reference);
  EXPECT_EQ(own.source.find("cuda"), nullptr);
  EXPECT_EQ(own.launches.at(0).entry, "naive");

  parts.tail =
      "[reference]\nkernel = \"naive.kernel\"\n[[reference.launch]]\nentry = \"first\"\n"
      "[[reference.launch]]\nentry = \"second\"\nblock = 1\ngrid = 1\nargs = [\"out\"]";
  problem = read(text(parts));
  const auto& several = std::get<ReferenceKernel>(problem.reference);
  ASSERT_EQ(several.launches.size(), 2u);
  EXPECT_EQ(several.launches[0].grid[0].text(), "ceil_div(width, block_x)");
  EXPECT_THAT(several.launches[1].args, ElementsAre("out"));
}

TEST_F(Toml, OtherReferences) {
  Parts parts;
  parts.tail = "[reference]\nnpy = { out = \"coeff.npy\" }";
  EXPECT_EQ(std::get<ReferenceNpy>(read(text(parts)).reference).files.at("out"), folder.path() / "coeff.npy");
  parts.tail = "[reference]\nconfiguration = { block_x = 64 }";
  const Problem problem = read(text(parts));
  EXPECT_EQ(std::get<ReferenceConfiguration>(problem.reference).configuration.describe(), "block_x=64");
  EXPECT_THAT(problem.warnings, ElementsAre(HasSubstr("configuration of the same kernel")));
  parts.tail = "[reference]\ncommand = [\"python3\", \"reference.py\"]";
  EXPECT_THAT(std::get<ReferenceCommand>(read(text(parts)).reference).command, ElementsAre("python3", "reference.py"));
}

TEST_F(Toml, DimensionsFollowTheClassOfTheDevice) {
  Parts parts;
  parts.problem =
      "width = 1024\n[problem.opencl]\nwidth = 512\n[problem.opencl-cpu]\nwidth = 256\n[problem.gpu]\nwidth = 2048";
  const Problem problem = read(text(parts));
  DeviceInfo device;
  device.id.backend = "opencl";
  device.kind = DeviceKind::cpu;
  EXPECT_EQ(problem.for_device(device).dimensions.describe(), "width=256");
  device.kind = DeviceKind::gpu;
  EXPECT_EQ(problem.for_device(device).dimensions.describe(), "width=512");
  device.id.backend = "cuda";
  EXPECT_EQ(problem.for_device(device).dimensions.describe(), "width=2048");
}

TEST_F(Toml, WarnsAboutWhatIsAllowedButProbablyNotMeant) {
  Parts parts;
  parts.parameters =
      "[parameters.x]\nvalues = [1, 2]\n[parameters.block_x]\nvalues = [32, 64]\nconstraints = [\"block_x > 32\"]";
  parts.launch += "\nargs = [\"out\"]";
  EXPECT_THAT(read(text(parts)).warnings,
              ElementsAre(HasSubstr("'x' is passed as a definition"), HasSubstr("'in' is passed to no launch"),
                          HasSubstr("no reference"), HasSubstr("defaults (x=1, block_x=32) violate")));
}

TEST_F(Toml, AnArgumentOfTheReferenceAloneIsNoCauseForAWarning) {
  Parts parts;
  parts.launch += "\nargs = [\"out\"]";
  parts.tail = "[reference]\nentry = \"naive\"\nargs = [\"in\", \"out\"]";
  EXPECT_THAT(read(text(parts)).warnings, Not(Contains(HasSubstr("is passed to no launch"))));
}

TEST_F(Toml, AnOutputWhoseSizeIsTunableIsNamedWithTheCure) {
  Parts parts;
  parts.out = "size = \"width // block_x\"";
  const Problem problem = read(text(parts));
  EXPECT_THAT(problem.outputs, IsEmpty());
  EXPECT_THAT(problem.warnings,
              Contains(AllOf(HasSubstr("no output is declared"),
                             HasSubstr("the size of 'out', \"width // block_x\", depends on the tunable 'block_x'"),
                             HasSubstr("the size that the largest configuration needs"), Not(HasSubstr("access")))));
}

TEST_F(Toml, ReadingDoesNotBuildTheSpace) {
  // 16^9 points: enumerating them would take hours.
  Parts parts;
  for (char c = 'a'; c <= 'i'; ++c) {
    parts.parameters += std::string("\n[parameters.p_") + c + "]\nrange = { from = 1, to = 16 }";
  }
  parts.parameters += "\nconstraints = [\"p_a + p_b > 100\"]";  // and what is unsatisfiable is build_space's to say
  EXPECT_EQ(read(text(parts)).parameters.size(), 10u);
}

TEST_F(Toml, PositionsCountInTheExpressionWhereTheStringStandsAsItIs) {
  const auto position = [&](const std::string& constraint) {
    Parts parts;
    parts.parameters += "\nconstraints = [" + constraint + "]";
    try {
      read(text(parts));
    } catch (const Error& error) {
      return *error.position();
    }
    return InputPosition{};
  };
  EXPECT_EQ(position("\"block_x + blok_y > 1\"").column, 27u);
  EXPECT_EQ(position("'block_x + blok_y > 1'").column, 27u);
  EXPECT_EQ(position("\"block_x + blok_y > 1\"").line, position("\"block_x + * 1\"").line);
  EXPECT_EQ(position("\"block_x + * 1\"").column, 27u);
  // With an escape, columns of the text are not columns of the file: the start of the string is what is certain.
  EXPECT_EQ(position("\"block_\\u0078 + blok_y > 1\"").column, 16u);
  EXPECT_EQ(position("\"\"\"block_x +\nblok_y > 1\"\"\"").column, 16u);
}

TEST_F(Toml, TextsOfOtherEncodingsAreRefusedWithTheirPlace) {
  EXPECT_THAT(error_of([&] { read("schema = 1\n[kernel]\nname = \"caf\xe9\"\n"); }), HasSubstr("spec.toml:3"));
}

TEST_F(Toml, ASourceThatIsNoFileIsRefused) {
  Parts parts;
  parts.kernel = "name = \"copy\"\nsource = \"/dev/zero\"";
  EXPECT_THAT(error_of([&] { read(text(parts)); }), HasSubstr("not a regular file"));
  parts.kernel = "name = \"copy\"\nsource = \"include\"";
  EXPECT_THAT(error_of([&] { read(text(parts)); }), HasSubstr("not a regular file"));
}

TEST_F(Toml, IncludeCyclesNameTheKeyOfTheSource) {
  folder.write("cycle.kernel", "#include \"cycle.kernel\"\n");
  Parts parts;
  parts.kernel = "name = \"copy\"\nsource = \"cycle.kernel\"";
  const std::string message = error_of([&] { read(text(parts)); });
  EXPECT_THAT(message, HasSubstr("kernel.source"));
  EXPECT_THAT(message, HasSubstr("#pragma once"));
}

}  // namespace
}  // namespace warpwright::spec_tests
