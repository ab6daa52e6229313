#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

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

class T1 : public testing::Test {
 protected:
  T1() { folder.write("k.cu", "__global__ void copy() {}\n"); }

  Problem read(const std::string& text) const { return spec::read_t1(text, folder.path() / "t1.json"); }
  // A small correct file with parts replaced.
  struct Parts {
    std::string values = R"j("[32, 64]")j";
    std::string type = "int";
    std::string after_values;
    std::string conditions;
    std::string geometry =
        R"("GlobalSizeType": "CUDA", "LocalSize": {"X": "block_size_x"}, "GlobalSize": {"X": "ProblemSize[0] // block_size_x"})";
    std::string sizes = "[1024, 512]";
    std::string arguments =
        R"({"Name": "a", "Type": "float", "MemoryType": "Vector", "AccessType": "ReadOnly", "FillType": "Random", "Size": "ProblemSize[0]"},
      {"Name": "b", "Type": "float", "MemoryType": "Vector", "AccessType": "WriteOnly", "FillType": "Constant", "Size": 1024})";
    std::string kernel = R"j("Language": "CUDA", "KernelName": "copy", "KernelFile": "k.cu")j";
    std::string rest;
  };
  static std::string text(const Parts& parts) {
    return R"({"ConfigurationSpace": {"TuningParameters": [{"Name": "block_size_x", "Type": ")" + parts.type +
           R"(", "Values": )" + parts.values + parts.after_values + R"(}], "Conditions": [)" + parts.conditions +
           R"(]}, "KernelSpecification": {)" + parts.kernel + R"(, "ProblemSize": )" + parts.sizes + ", " +
           parts.geometry + R"(, "Arguments": [)" + parts.arguments + "]}" + parts.rest + "}";
  }
  std::string values(const std::string& list, const std::string& type = "int") const {
    Parts parts;
    parts.values = list;
    parts.type = type;
    std::string joined;
    const Problem problem = read(text(parts));
    for (const auto& value : problem.parameters.at(0).values) joined += to_literal(value) + " ";
    return joined;
  }

  TempFolder folder;
};

TEST_F(T1, ReadsSpaceKernelLaunchAndArguments) {
  Parts parts;
  parts.after_values = ", \"Default\": 64";
  parts.conditions = R"({"Expression": "block_size_x <= ProblemSize[1]", "Parameters": ["block_size_x"]})";
  const Problem problem = read(text(parts));
  EXPECT_THAT(problem.warnings, ElementsAre(HasSubstr("no reference")));
  EXPECT_EQ(problem.name, "copy");
  EXPECT_EQ(problem.dimensions.describe(), "problem_size_x=1024, problem_size_y=512");
  EXPECT_EQ(problem.parameters[0].default_value, Value(std::int64_t{64}));
  EXPECT_EQ(problem.build_space()->size(), 2u);
  ASSERT_TRUE(problem.source.find("cuda"));
  EXPECT_THAT(problem.source.find("cuda")->text, HasSubstr("__global__"));
  EXPECT_EQ(problem.source.find("opencl"), nullptr);
  ASSERT_EQ(problem.launches.size(), 1u);
  EXPECT_THAT(problem.launches[0].args, ElementsAre("a", "b"));
  const auto geometry = evaluate_geometry(problem.launches[0], problem.scope(problem.baseline_configuration()));
  EXPECT_EQ(geometry.block[0], 64);
  EXPECT_EQ(geometry.grid[0], 16);
  // No GlobalSize for y, but a problem size: as Kernel Tuner, one block per element where nothing divides it.
  EXPECT_EQ(geometry.grid[1], 512);
  EXPECT_EQ(problem.outputs.at(0).argument, "b");
}

TEST_F(T1, ValueListsAreOurExpressionLanguage) {
  EXPECT_EQ(values(R"j("[1, 2] + list(range(32, 128+1, 32))")j"), "1 2 32 64 96 128 ");
  EXPECT_EQ(values(R"j("[2**i for i in range(0, 6)]")j"), "1 2 4 8 16 32 ");
  EXPECT_EQ(values(R"j("[i for i in range(1, 3+1)]")j"), "1 2 3 ");
  EXPECT_EQ(values("[1, 2]"), "1 2 ");
  EXPECT_EQ(values(R"j("[1, 2.5]")j", "float"), "1.0 2.5 ");
  EXPECT_EQ(values(R"j("[1, 0]")j", "uint"), "1 0 ");
  EXPECT_EQ(values(R"j("[True, False]")j", "bool"), "true false ");
  EXPECT_EQ(values(R"j("[0, 1]")j", "bool"), "false true ");
  EXPECT_EQ(values(R"j("['row', 'padded']")j", "string"), "'row' 'padded' ");
  EXPECT_THAT(error_of([&] { values(R"j("[-1]")j", "uint"); }), HasSubstr("-1 is not a value of type uint"));
  EXPECT_THAT(error_of([&] { values(R"j("[block_size_x]")j"); }), HasSubstr("cannot name 'block_size_x'"));
  EXPECT_THAT(error_of([&] { values(R"j("__import__('os').system('true')")j"); }),
              HasSubstr("/TuningParameters/0/Values"));
}

TEST_F(T1, DefaultsAreForgiven) {
  Parts parts;
  parts.after_values = ", \"Default\": [64]";
  EXPECT_EQ(read(text(parts)).parameters[0].default_value, Value(std::int64_t{64}));
  parts.after_values = ", \"Default\": \"64\"";
  EXPECT_EQ(read(text(parts)).parameters[0].default_value, Value(std::int64_t{64}));
  parts.after_values = ", \"Default\": 48";
  const Problem problem = read(text(parts));
  EXPECT_EQ(problem.parameters[0].default_value, std::nullopt);
  EXPECT_THAT(problem.warnings,
              Contains(HasSubstr("the default 48 of 'block_size_x' is not one of its values (32, 64)")));
}

TEST_F(T1, ConditionsCountWhateverTheirParameterListsSay) {
  Parts parts;
  parts.conditions = R"({"Expression": "block_size_x > 32", "Parameters": ["other"]})";
  const Problem problem = read(text(parts));
  EXPECT_EQ(problem.build_space()->size(), 1u);
  EXPECT_THAT(problem.warnings, Contains(HasSubstr("lacks block_size_x")));
  EXPECT_THAT(problem.warnings, Contains(HasSubstr("names other")));
}

TEST_F(T1, GlobalSizeCountsThreadsInOpenClAndBlocksInCuda) {
  const auto grid = [&](const std::string& geometry) {
    Parts parts;
    parts.geometry = geometry;
    parts.sizes = "1000";
    const Problem problem = read(text(parts));
    return evaluate_geometry(problem.launches.at(0), problem.scope(problem.baseline_configuration())).grid;
  };
  using Grid = std::array<std::int64_t, 3>;
  EXPECT_EQ(grid(R"("GlobalSizeType": "CUDA", "LocalSize": {"X": 32}, "GlobalSize": {"X": 100})"), (Grid{100, 1, 1}));
  EXPECT_EQ(grid(R"("GlobalSizeType": "OpenCL", "LocalSize": {"X": 32}, "GlobalSize": {"X": 100})"), (Grid{4, 1, 1}));
  EXPECT_EQ(grid(R"("GlobalSizeType": "Vulkan", "LocalSize": {"X": 32}, "GlobalSize": {"X": 100})"), (Grid{4, 1, 1}));
  // Without GlobalSizeType the language decides.
  EXPECT_EQ(grid(R"("LocalSize": {"X": 32}, "GlobalSize": {"X": 100})"), (Grid{100, 1, 1}));
  // GridDiv divides the problem size and beats GlobalSize.
  EXPECT_EQ(grid(R"("LocalSize": {"X": "block_size_x"}, "GridDivX": ["block_size_x", "2"], "GlobalSize": {"X": 7})"),
            (Grid{16, 1, 1}));
  // Kernel Tuner reads an empty list in a T1 file as none, and divides by the block size.
  EXPECT_EQ(grid(R"("GridDivX": [], "GlobalSize": {"X": 7})"), (Grid{32, 1, 1}));
  EXPECT_EQ(grid(R"("SharedMemory": 0)"), (Grid{32, 1, 1}));  // Kernel Tuner's rule where nothing is said
}

TEST_F(T1, ParameterNamesInSizesStandForTheirValueLists) {
  Parts parts;
  parts.arguments = R"({"Name": "a", "Type": "float", "MemoryType": "Vector", "AccessType": "ReadOnly",
      "Size": "(ProblemSize[0] + max(block_size_x) - 1) * len(ProblemSize) + ProblemSize [ 1 ]"},
      {"Name": "b", "Type": "float", "MemoryType": "Vector", "AccessType": "ReadWrite", "Size": "block_size_x * 4"})";
  const Problem problem = read(text(parts));
  const auto size = [&](std::size_t i) {
    return problem.scope(problem.baseline_configuration()).integer(*problem.arguments.at(i).size, "size");
  };
  EXPECT_EQ(size(0), (1024 + 64 - 1) * 2 + 512);
  EXPECT_EQ(size(1), 32 * 4) << "where the list gives no number, the value of the configuration is meant";
  Parts beyond;
  beyond.arguments = R"({"Name": "a", "Type": "float", "MemoryType": "Vector", "Size": "ProblemSize[2]"})";
  EXPECT_THAT(read(text(beyond)).warnings,
              Contains(HasSubstr("ProblemSize[2] does not exist: ProblemSize has 2 entries")));
}

TEST_F(T1, TypesMemoriesAndFills) {
  Parts parts;
  parts.arguments = R"(
      {"Name": "v", "Type": "double4", "MemoryType": "Vector", "AccessType": "ReadOnly", "FillType": "Random", "FillValue": 3, "RandomSeed": 9, "Size": 8},
      {"Name": "h", "Type": "half2", "MemoryType": "Vector", "AccessType": "ReadWrite", "FillType": "Constant", "FillValue": 0.5, "Size": 8},
      {"Name": "u", "Type": "uint16", "MemoryType": "Vector", "AccessType": "WriteOnly", "Size": 8},
      {"Name": "c", "Type": "custom", "TypeSize": 8, "MemoryType": "Vector", "AccessType": "ReadOnly", "FillType": "Constant", "Size": 8},
      {"Name": "k", "Type": "float", "MemoryType": "Vector", "MemType": "Constant", "AccessType": "ReadOnly", "FillType": "Random", "Size": 8},
      {"Name": "s", "Type": "float", "MemoryType": "Symbol", "AccessType": "ReadOnly", "FillType": "Random", "Size": 8},
      {"Name": "n", "Type": "int32", "MemoryType": "Scalar", "AccessType": "ReadOnly", "FillValue": 4.0},
      {"Name": "flag", "Type": "bool", "MemoryType": "Scalar", "AccessType": "ReadOnly", "FillValue": 1})";
  const Problem problem = read(text(parts));
  ASSERT_EQ(problem.arguments.size(), 8u);
  EXPECT_EQ(problem.arguments[0].type, DataType::float64);
  EXPECT_EQ(problem.arguments[0].components, 4);
  const auto normal = std::get<FillNormal>(problem.arguments[0].fill);
  EXPECT_EQ(normal.mean, 0) << "Random is standard normal, as in Kernel Tuner";
  EXPECT_EQ(normal.deviation, 1);
  EXPECT_EQ(normal.seed, 9u);
  EXPECT_EQ(std::get<FillNormal>(problem.arguments[4].fill).seed, 5u);
  EXPECT_EQ(problem.arguments[1].access, Access::inout);
  EXPECT_EQ(std::get<FillConstant>(problem.arguments[1].fill).value, 0.5);
  EXPECT_EQ(problem.arguments[2].access, Access::out);
  EXPECT_EQ(problem.arguments[3].type, DataType::uint8);
  EXPECT_EQ(problem.arguments[3].components, 8);
  EXPECT_EQ(problem.arguments[4].access, Access::constant);
  EXPECT_EQ(problem.arguments[4].symbol, "k") << "copied to the module's symbol of its name";
  EXPECT_EQ(problem.arguments[5].access, Access::constant);
  EXPECT_EQ(problem.arguments[5].symbol, "s");
  EXPECT_EQ(problem.scope({}).integer(*problem.arguments[6].value, "n"), 4);
  EXPECT_THAT(problem.launches.at(0).args, ElementsAre("v", "h", "u", "c", "k", "n", "flag"))
      << "k is passed as well, the symbol s is not";
  EXPECT_EQ(problem.outputs.size(), 2u);
}

TEST_F(T1, RandomIntegersAreUniform) {
  Parts parts;
  parts.arguments =
      R"({"Name": "i", "Type": "int32", "MemoryType": "Vector", "AccessType": "ReadWrite", "FillType": "Random", "FillValue": 9, "Size": 8})";
  const auto uniform = std::get<FillUniform>(read(text(parts)).arguments.at(0).fill);
  EXPECT_EQ(uniform.low, 0);
  EXPECT_EQ(uniform.high, 9);
}

TEST_F(T1, RawFilesAndGeneratorsFillBuffers) {
  folder.write("data.bin", std::string(32, 'x'));
  const auto fill = [&](const std::string& how) {
    Parts parts;
    parts.arguments =
        R"({"Name": "i", "Type": "float", "MemoryType": "Vector", "AccessType": "ReadOnly", "Size": 8, )" + how + "}";
    const Problem problem = read(text(parts));
    EXPECT_THAT(problem.obstacles, IsEmpty()) << how;
    return problem.arguments.at(0).fill;
  };
  EXPECT_EQ(std::get<FillRaw>(fill(R"("FillType": "BinaryRaw", "DataSource": "data.bin")")).file.filename(),
            "data.bin");
  EXPECT_EQ(std::get<FillIota>(fill(R"("FillType": "Generator", "DataSource": "Line")")).step, 1);
  EXPECT_EQ(std::get<FillNormal>(fill(R"("FillType": "Generator", "DataSource": "Random", "RandomSeed": 4)")).seed, 4u);
  EXPECT_EQ(std::get<FillConstant>(fill(R"("FillType": "Generator", "DataSource": "2.5")")).value, 2.5);
  for (const char* how : {R"("FillType": "Generator", "DataSource": "return i * i;")",
                          R"("FillType": "BinaryRaw", "DataSource": "missing.bin")"}) {
    Parts parts;
    parts.arguments =
        std::string(R"({"Name": "i", "Type": "float", "MemoryType": "Vector", "AccessType": "ReadOnly", "Size": 8, )") +
        how + "}";
    EXPECT_THAT(read(text(parts)).obstacles, ElementsAre(HasSubstr("/KernelSpecification/Arguments/0/FillType")));
  }
}

TEST_F(T1, LocalMemoryIsTheLaunchsDynamicSharedMemory) {
  const std::string local = R"({"Name": "tile", "Type": "float2", "MemoryType": "Local", "Size": "block_size_x + 1"})";
  const auto shared = [](const Problem& problem) {
    return evaluate_geometry(problem.launches.at(0), problem.scope(problem.baseline_configuration())).dynamic_shared;
  };
  Parts parts;
  const std::string buffers = parts.arguments;
  parts.geometry += R"(, "SharedMemory": 100)";
  parts.arguments = local + "," + buffers;
  Problem problem = read(text(parts));  // CUDA: no parameter, so its place does not matter
  EXPECT_THAT(problem.obstacles, IsEmpty());
  EXPECT_THAT(problem.launches.at(0).args, ElementsAre("a", "b"));
  EXPECT_EQ(shared(problem), Bytes{100 + 33 * 8});

  folder.write("k.cl", "__kernel void copy() {}\n");
  parts = {};
  parts.kernel = R"("Language": "OpenCL", "KernelName": "copy", "KernelFile": "k.cl")";
  parts.arguments = buffers + "," + local;
  problem = read(text(parts));
  EXPECT_THAT(problem.obstacles, IsEmpty());
  EXPECT_THAT(problem.launches.at(0).args, ElementsAre("a", "b"));
  EXPECT_EQ(shared(problem), Bytes{33 * 8});
  EXPECT_EQ(problem.find_argument("tile"), nullptr);
  parts.arguments = local + "," + buffers;
  problem = read(text(parts));
  EXPECT_THAT(problem.obstacles, IsEmpty());
  EXPECT_THAT(problem.launches.at(0).args, ElementsAre("tile", "a", "b")) << "anywhere among the arguments";
  EXPECT_EQ(problem.find_argument("tile")->access, Access::local);
  EXPECT_EQ(problem.scope(problem.baseline_configuration()).integer(*problem.find_argument("tile")->size, "size"), 33);
  EXPECT_EQ(shared(problem), Bytes{0});
  parts.arguments = buffers + "," + local + R"(, {"Name": "more", "Type": "int8", "MemoryType": "Local", "Size": 4})";
  problem = read(text(parts));
  EXPECT_THAT(problem.obstacles, IsEmpty());
  EXPECT_THAT(problem.launches.at(0).args, ElementsAre("a", "b", "tile", "more")) << "several of them";
  EXPECT_EQ(problem.find_argument("more")->type, DataType::int8);
  parts.arguments = buffers + "," + local;
  parts.geometry += R"(, "SharedMemory": 100)";
  EXPECT_THAT(read(text(parts)).obstacles, ElementsAre(HasSubstr("SharedMemory asks for local memory too")));
}

TEST_F(T1, WithoutParametersTheSpaceHasOneConfiguration) {
  const std::string rest = R"("KernelSpecification": {"Language": "CUDA", "KernelName": "copy", "KernelFile": "k.cu",
      "ProblemSize": 1024, "LocalSize": {"X": 32}, "Arguments": [{"Name": "b", "Type": "float", "MemoryType": "Vector",
      "AccessType": "WriteOnly", "FillType": "Constant", "Size": 1024}]}})";
  for (const std::string space :
       {R"("ConfigurationSpace": {"TuningParameters": [], "Conditions": []}, )", R"("ConfigurationSpace": {}, )", ""}) {
    const Problem problem = read("{" + space + rest);
    EXPECT_THAT(problem.obstacles, IsEmpty());
    EXPECT_EQ(problem.build_space()->size(), 1u);
    EXPECT_THAT(problem.warnings, Contains(HasSubstr("the space has one configuration")));
    EXPECT_EQ(evaluate_geometry(problem.launches.at(0), problem.scope({})).grid[0], 32);
  }
  EXPECT_THAT(error_of([&] { read(R"({"ConfigurationSpace": {"TuningParameters": 7}})"); }),
              HasSubstr("expected an array of objects"));
  EXPECT_THAT(error_of([&] { read("{}"); }), HasSubstr("no T1 specification"));
}

TEST_F(T1, ReferenceArgumentsGiveTolerancesAndData) {
  folder.write("expected.npy", "not read here");
  Parts parts;
  parts.kernel +=
      R"(, "ReferenceArguments": [{"Name": "r", "TargetName": "b", "FillType": "BinaryRaw", "DataSource": "expected.npy",
      "ValidationMethod": "SideBySideRelativeComparison", "ValidationThreshold": 0.01}])";
  Problem problem = read(text(parts));
  EXPECT_EQ(problem.outputs.at(0).rtol, 0.01);
  EXPECT_EQ(problem.outputs.at(0).atol, 0);
  EXPECT_EQ(std::get<ReferenceNpy>(problem.reference).files.at("b"), folder.path() / "expected.npy");
  EXPECT_THAT(problem.warnings, IsEmpty());

  parts.kernel = R"("Language": "CUDA", "KernelName": "copy", "KernelFile": "k.cu", "ReferenceArguments": [
      {"Name": "r", "TargetName": "b", "FillType": "Constant", "FillValue": 1, "ValidationMethod": "AbsoluteDifference", "ValidationThreshold": 0.5},
      {"Name": "q", "TargetName": "a", "FillType": "Constant", "FillValue": 1}])";
  problem = read(text(parts));
  EXPECT_EQ(problem.outputs.at(0).atol, 0.5);
  EXPECT_THAT(problem.warnings, Contains(HasSubstr("AbsoluteDifference bounds the sum")));
  EXPECT_THAT(problem.warnings, Contains(HasSubstr("expected data of 'b' (Constant) cannot be used")));
  EXPECT_THAT(problem.warnings, Contains(HasSubstr("'a' is no argument that the kernel writes")));
}

TEST_F(T1, WhatTheKernelPartCannotUseIsNamedAndTheSpaceStays) {
  const auto warnings = [&](const Parts& parts) {
    const Problem problem = read(text(parts));
    EXPECT_EQ(problem.build_space()->size(), 2u);
    EXPECT_THAT(problem.warnings, Contains(HasSubstr("the kernel cannot be run from this file")));
    EXPECT_THAT(problem.obstacles, Not(IsEmpty()));
    for (const auto& obstacle : problem.obstacles) EXPECT_THAT(problem.warnings, Contains(obstacle));
    return problem.obstacles;
  };
  Parts parts;
  parts.kernel = R"j("Language": "CUDA", "KernelName": "copy", "KernelFile": "absent.cu")j";
  EXPECT_THAT(warnings(parts), Contains(HasSubstr("absent.cu")));
  EXPECT_FALSE(read(text(parts)).source.find("cuda"));
  EXPECT_EQ(read(text(parts)).launches.size(), 1u) << "the launch is understood without the file";
  parts.kernel = R"j("Language": "Vulkan", "KernelName": "copy", "KernelFile": "k.cu")j";
  EXPECT_THAT(warnings(parts), Contains(HasSubstr("'Vulkan': only CUDA and OpenCL")));
  parts = {};
  parts.geometry = R"("LocalSize": {"X": "blok"})";
  EXPECT_THAT(warnings(parts), Contains(HasSubstr("block x cannot be used: 'blok': unknown name 'blok'")));
  EXPECT_THAT(read(text(parts)).launches, IsEmpty());
  parts = {};
  parts.arguments = R"({"Name": "a", "Type": "float", "MemoryType": "Local"})";
  EXPECT_THAT(warnings(parts), Contains(HasSubstr("the local memory 'a' has no size")));
  parts.arguments =
      R"({"Name": "a", "Type": "float3", "MemoryType": "Vector", "Size": 4}, {"Name": "b", "Type": "complex", "MemoryType": "Vector", "Size": 4})";
  EXPECT_THAT(warnings(parts), Contains(HasSubstr("'complex' is not a type of T1")));
  parts.arguments = R"({"Name": "a", "Type": "float", "MemoryType": "Vector"})";
  EXPECT_THAT(warnings(parts), Contains(HasSubstr("/Arguments/0/Size: is missing")));
  parts.arguments =
      R"({"Name": "a", "Type": "float", "MemoryType": "Vector", "FillType": "Script", "DataSource": "fill.py", "Size": 4})";
  EXPECT_THAT(warnings(parts), Contains(HasSubstr("cannot be filled by 'Script' from 'fill.py'")));
  parts.arguments = R"({"Name": "a", "Type": "float", "MemoryType": "Scalar"})";
  EXPECT_THAT(warnings(parts), Contains(HasSubstr("scalar 'a' has no value")));
}

TEST_F(T1, UnknownAndUnusedFieldsAreWarnings) {
  Parts parts;
  parts.kernel += R"(, "Stream": null, "Misc": {"jitify": true}, "Device": {"Name": "A100"})";
  parts.rest = R"(, "BenchmarkConfig": {"iterations": 10}, "Search": {"Name": "Random"},
      "Budget": [{"Type": "ConfigurationFraction", "BudgetValue": 0.1}], "General": {"OutputFile": "out"})";
  const auto warnings = read(text(parts)).warnings;
  EXPECT_THAT(warnings, Contains("fields that are not used: /BenchmarkConfig, /KernelSpecification/Misc"));
  EXPECT_THAT(warnings, Contains(HasSubstr("/Search: {\"Name\":\"Random\"} is not used: the command line decides it")));
  EXPECT_THAT(warnings, Contains(HasSubstr("ConfigurationFraction")));
  EXPECT_THAT(warnings, Contains(HasSubstr("/KernelSpecification/Device")));
  EXPECT_THAT(warnings, Contains(HasSubstr("/General/OutputFile")));
}

TEST_F(T1, ASpaceAloneIsEnough) {
  const Problem problem =
      read(R"({"ConfigurationSpace": {"TuningParameters": [{"Name": "a", "Type": "int", "Values": "[1, 2, 3]"}]}})");
  EXPECT_EQ(problem.build_space()->size(), 3u);
  EXPECT_EQ(problem.name, "t1");
  EXPECT_THAT(problem.warnings, ElementsAre(HasSubstr("no kernel to run")));
}

TEST_F(T1, KernelTunersDefinitionsAreGiven) {
  const Problem problem = read(text({}));
  std::vector<std::string> names;
  for (const auto& [name, expression] : problem.defines) names.push_back(name);
  EXPECT_THAT(names,
              ElementsAre("grid_size_x", "grid_size_y", "block_size_y", "grid_size_z", "block_size_z", "kernel_tuner"));
}

TEST_F(T1, OpenClKernelsLoseOptionsOfOtherCompilers) {
  folder.write("k.cl", "__kernel void copy() {}\n");
  Parts parts;
  parts.kernel =
      R"("Language": "OpenCL", "KernelName": "copy", "KernelFile": "k.cl", "CompilerOptions": ["-std=c++11", "-cl-mad-enable"])";
  const Problem problem = read(text(parts));
  EXPECT_THAT(problem.options.at("opencl"), ElementsAre("-cl-mad-enable"));
  EXPECT_THAT(problem.warnings, Contains(HasSubstr("'-std=c++11' is no option of OpenCL compilers")));
  EXPECT_TRUE(problem.source.find("opencl"));
}

// ---- published files ------------------------------------------------------------------------------------------------

struct Published {
  const char* file;
  std::uint64_t size;
  const char* warning;
};

class PublishedT1 : public testing::TestWithParam<Published> {};

TEST_P(PublishedT1, HasThePublishedSpace) {
  const auto file = std::filesystem::path(WARPWRIGHT_T1_FOLDER) / GetParam().file;
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "the published file " << file << " is not there";
  const Problem problem = spec::read(file);
  EXPECT_EQ(problem.build_space()->size(), GetParam().size);
  EXPECT_THAT(problem.warnings, Contains(HasSubstr(GetParam().warning)));
  EXPECT_THAT(problem.warnings, Contains(HasSubstr("the kernel source cannot be used")));
  EXPECT_EQ(problem.source.find("cuda"), nullptr);
  EXPECT_EQ(problem.source.find("opencl"), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Files, PublishedT1,
                         testing::Values(Published{"convolution_milo.json", 4362, "lacks filter_width, filter_height"},
                                         Published{"dedispersion_milo.json", 11130, "dedispersion.cu.hip"},
                                         Published{"gemm_milo.json", 116928, "block x cannot be used: 'block_size_x'"},
                                         Published{"hotspot_milo.json", 82984,
                                                   "the default 1 of 'max_tfactor' is not one of its values (10)"}),
                         [](const auto& param_info) {
                           const std::string name = param_info.param.file;
                           return name.substr(0, name.find('_'));
                         });

TEST(PublishedT1Kernel, ConvolutionLaunchesAsKernelTunerDoes) {
  const auto file = std::filesystem::path(WARPWRIGHT_T1_FOLDER) / "convolution_milo.json";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "the published file " << file << " is not there";
  const Problem problem = spec::read(file);
  const auto geometry = evaluate_geometry(problem.launches.at(0), problem.scope(problem.baseline_configuration()));
  EXPECT_EQ(geometry.block, (std::array<std::int64_t, 3>{16, 16, 1}));
  EXPECT_EQ(geometry.grid, (std::array<std::int64_t, 3>{256, 256, 1}));
  EXPECT_EQ(problem.find_argument("d_filter")->symbol, "d_filter");
  EXPECT_EQ(problem.scope({}).integer(*problem.find_argument("input_image")->size, "size"), 4110 * 4110);
  EXPECT_TRUE(std::holds_alternative<FillNormal>(problem.find_argument("input_image")->fill));
  EXPECT_THAT(problem.launches[0].args, ElementsAre("output_image", "input_image", "d_filter"));
  EXPECT_EQ(problem.outputs.at(0).argument, "output_image");
}

}  // namespace
}  // namespace warpwright::spec_tests
