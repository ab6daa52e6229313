#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/kernel_job.hpp>

#include "error_of.hpp"
#include "problems.hpp"

namespace warpwright::measure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::integer;
using ::testing::IsEmpty;
using testing::make_launch;
using testing::make_parameter;
using ::testing::Pair;

DeviceInfo device(const std::string& id) {
  DeviceInfo info;
  info.id = DeviceId::parse(id);
  return info;
}

Problem gemm() {
  Problem problem;
  problem.name = "gemm";
  problem.source.by_backend["cuda"] = {"gemm.cu", "cuda source"};
  problem.source.by_backend["opencl"] = {"gemm.cl", "opencl source"};
  problem.launches = {make_launch("gemm", {})};
  return problem;
}

TEST(KernelJob, TakesSourceAndOptionsOfTheBackend) {
  Problem problem = gemm();
  problem.options["cuda"] = {"-use_fast_math"};
  problem.include_folders = {"include"};
  const device::CompileJob job = kernel_job(problem, {}, device("cuda:0"));
  EXPECT_EQ(job.source, "cuda source");
  EXPECT_EQ(job.file_name, "gemm.cu");
  EXPECT_THAT(job.options, ElementsAre("-use_fast_math"));
  EXPECT_THAT(job.include_folders, ElementsAre("include"));
  EXPECT_THAT(job.defines, ElementsAre(Pair("WARPWRIGHT_CUDA", "1")));
  EXPECT_THAT(job.entries, ElementsAre("gemm"));
  const device::CompileJob other = kernel_job(problem, {}, device("opencl:0:0"));
  EXPECT_EQ(other.source, "opencl source");
  EXPECT_THAT(other.options, IsEmpty());
  EXPECT_THAT(other.defines, ElementsAre(Pair("WARPWRIGHT_OPENCL", "1")));
}

TEST(KernelJob, DefinesComeInOrderAndBooleansAreNumbers) {
  Problem problem = gemm();
  problem.dimensions = {{"n", integer(1024)}};
  problem.defines = {{"HALF_N", Expression::parse("n // 2 * tile")}, {"EPSILON", Expression::parse("0.5")}};
  problem.parameters = {make_parameter("tile", {integer(1), integer(2)}),
                        make_parameter("unroll", {Value{false}, Value{true}}),
                        make_parameter("scale", {Value{1.0}, Value{0.25}}), make_parameter("offset", {integer(-3)})};
  const Configuration configuration{
      {"tile", integer(2)}, {"unroll", Value{true}}, {"scale", Value{0.25}}, {"offset", integer(-3)}};
  EXPECT_THAT(kernel_job(problem, configuration, device("cuda:0")).defines,
              ElementsAre(Pair("WARPWRIGHT_CUDA", "1"), Pair("HALF_N", "1024"), Pair("EPSILON", "0.5"),
                          Pair("tile", "2"), Pair("unroll", "1"), Pair("scale", "0.25"), Pair("offset", "-3")));
}

TEST(KernelJob, AnUnrollFactorOfZeroLeavesThePragmaOut) {
  Problem problem = gemm();
  problem.source.by_backend["cuda"].text =
      "#pragma unroll factor\n  #  pragma unroll ( factor ) // rows\n#pragma unroll other\n#pragma unroll factor_x\n"
      "#pragma unroll\nfor (;;) unroll(factor);\r\n#pragma unroll factor + 1\n#pragma unroll factor";
  problem.parameters = {make_parameter("factor", {integer(0), integer(2)}), make_parameter("other", {integer(0)})};
  Configuration configuration{{"factor", integer(0)}, {"other", integer(0)}};
  EXPECT_EQ(kernel_job(problem, configuration, device("cuda:0")).source,
            "\n // rows\n\n#pragma unroll factor_x\n#pragma unroll\nfor (;;) unroll(factor);\r\n"
            "#pragma unroll factor + 1\n");
  configuration.set("factor", integer(2));
  EXPECT_THAT(kernel_job(problem, configuration, device("cuda:0")).source,
              HasSubstr("#pragma unroll factor\n  #  pragma unroll ( factor ) // rows\n\n"));
  problem.parameters[0].role = ParameterRole::block;  // not what the source sees
  configuration.set("factor", integer(0));
  EXPECT_THAT(kernel_job(problem, configuration, device("cuda:0")).source, HasSubstr("#pragma unroll factor\n"));
}

TEST(KernelJob, DoublesStayDoublesAndTheLowestIntegerIsLegal) {
  Problem problem = gemm();
  problem.parameters = {make_parameter("a", {Value{1.0}}),
                        make_parameter("b", {integer(std::numeric_limits<std::int64_t>::min())})};
  const Configuration configuration{{"a", Value{1.0}}, {"b", integer(std::numeric_limits<std::int64_t>::min())}};
  const auto defines = kernel_job(problem, configuration, device("cuda:0")).defines;
  EXPECT_EQ(defines[1].second, "1.0");
  EXPECT_EQ(defines[2].second, "(-9223372036854775807-1)");
}

TEST(KernelJob, WordsAreDefinedByPosition) {
  Problem problem = gemm();
  problem.parameters = {make_parameter("layout", {Value{"row"}, Value{"row-padded"}})};
  EXPECT_THAT(kernel_job(problem, {{"layout", Value{"row-padded"}}}, device("cuda:0")).defines,
              ElementsAre(Pair("WARPWRIGHT_CUDA", "1"), Pair("layout", "1"), Pair("layout_row", "0"),
                          Pair("layout_row_padded", "1")));
}

TEST(KernelJob, MixedListsUsePositionsThroughout) {
  Problem problem = gemm();
  problem.parameters = {make_parameter("vector", {Value{"none"}, integer(0), integer(4)})};
  EXPECT_THAT(kernel_job(problem, {{"vector", integer(0)}}, device("cuda:0")).defines,
              ElementsAre(Pair("WARPWRIGHT_CUDA", "1"), Pair("vector", "1"), Pair("vector_none", "0"),
                          Pair("vector_0", "1"), Pair("vector_4", "2")));
}

TEST(KernelJob, RolesDecideWhereAParameterGoes) {
  Problem problem = gemm();
  problem.options["cuda"] = {"-O3"};
  problem.parameters = {make_parameter("registers", {Value{""}, Value{"-maxrregcount=32"}}, ParameterRole::option),
                        make_parameter("tile", {integer(4)}, ParameterRole::template_argument),
                        make_parameter("block_x", {integer(32)}, ParameterRole::block),
                        make_parameter("fast", {Value{true}}, ParameterRole::template_argument)};
  Configuration configuration{
      {"registers", Value{"-maxrregcount=32"}}, {"tile", integer(4)}, {"block_x", integer(32)}, {"fast", Value{true}}};
  device::CompileJob job = kernel_job(problem, configuration, device("cuda:0"));
  EXPECT_THAT(job.options, ElementsAre("-O3", "-maxrregcount=32"));
  EXPECT_THAT(job.entries, ElementsAre("gemm<4, true>"));
  EXPECT_THAT(job.defines, ElementsAre(Pair("WARPWRIGHT_CUDA", "1")));
  configuration.set("registers", Value{""});
  EXPECT_THAT(kernel_job(problem, configuration, device("cuda:0")).options, ElementsAre("-O3"));
  EXPECT_THAT(refusal([&] { kernel_job(problem, configuration, device("opencl:0:0")); }),
              HasSubstr("OpenCL C has no templates"));
}

TEST(KernelJob, EntriesAreUniqueAndLaunchOrderIsKept) {
  Problem problem = gemm();
  problem.launches = {make_launch("clear", {}), make_launch("sum", {}), make_launch("clear", {}),
                      make_launch("last<7>", {})};
  EXPECT_THAT(kernel_job(problem, {}, device("cuda:0")).entries, ElementsAre("clear", "sum", "last<7>"));
  EXPECT_THAT(entry_names(problem, {}), ElementsAre("clear", "sum", "clear", "last<7>"));
  problem.parameters = {make_parameter("width", {Value{0.5}, Value{"float"}}, ParameterRole::template_argument)};
  EXPECT_THAT(entry_names(problem, {{"width", Value{"float"}}}),
              ElementsAre("clear<float>", "sum<float>", "clear<float>", "last<7>"));
  EXPECT_THAT(entry_names(problem, {{"width", Value{0.5}}})[0], "clear<0.5>");
}

TEST(KernelJob, SaysWhatIsMissing) {
  Problem problem = gemm();
  problem.file = "gemm.toml";
  EXPECT_THAT(refusal([&] { kernel_job(problem, {}, device("sim:0")); }),
              ::testing::AllOf(HasSubstr("gemm.toml"), HasSubstr("'sim'"), HasSubstr("cuda, opencl")));
  problem.parameters = {make_parameter("tile", {integer(1)})};
  EXPECT_THAT(refusal([&] { kernel_job(problem, {}, device("cuda:0")); }), HasSubstr("no value for parameter 'tile'"));
  problem.parameters = {make_parameter("word", {Value{"a"}})};
  EXPECT_THAT(refusal([&] {
                kernel_job(problem, {{"word", Value{"b"}}}, device("cuda:0"));
              }),
              HasSubstr("not in its list"));
  problem.parameters = {make_parameter("word", {Value{"a-b"}, Value{"a_b"}})};
  EXPECT_THAT(refusal([&] { kernel_job(problem, {{"word", Value{"a_b"}}}, device("cuda:0")); }), HasSubstr("word_a_b"));
  problem.parameters = {make_parameter("x", {Value{std::numeric_limits<double>::infinity()}})};
  EXPECT_THAT(refusal([&] {
                kernel_job(problem, {{"x", Value{std::numeric_limits<double>::infinity()}}}, device("cuda:0"));
              }),
              HasSubstr("no literal in C"));
}

TEST(ReferenceJob, CompilesTheReferenceAtTheBaseline) {
  Problem problem = gemm();
  problem.parameters = {make_parameter("tile", {integer(1), integer(2)}),
                        make_parameter("kind", {integer(7)}, ParameterRole::template_argument)};
  problem.baseline = Configuration{{"tile", integer(2)}, {"kind", integer(7)}};
  ReferenceKernel reference;
  reference.source.dialect = SourceText{"naive.kernel", "naive source"};
  reference.launches = {make_launch("naive", {}), make_launch("naive", {})};
  problem.reference = reference;
  const device::CompileJob job = reference_job(problem, device("cuda:0"));
  EXPECT_EQ(job.source, "naive source");
  EXPECT_THAT(job.entries, ElementsAre("naive"));
  EXPECT_THAT(job.defines, ElementsAre(Pair("WARPWRIGHT_CUDA", "1"), Pair("tile", "2")));

  std::get<ReferenceKernel>(problem.reference).source = {};
  EXPECT_EQ(reference_job(problem, device("cuda:0")).source, "cuda source");
  problem.reference = {};
  EXPECT_THROW(reference_job(problem, device("cuda:0")), Error);
}

}  // namespace
}  // namespace warpwright::measure
