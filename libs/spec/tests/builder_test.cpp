#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/spec/problem_builder.hpp>
#include <warpwright/spec/read.hpp>

#include "temp_folder.hpp"

namespace warpwright::spec_tests {
namespace {

using spec::ProblemBuilder;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Value integer(std::int64_t value) { return value; }

ProblemBuilder copy_problem() {
  ProblemBuilder builder("copy");
  builder.source_text("#include <warpwright/dialect.h>\n")
      .dimension("width", integer(1024))
      .parameter("block_x", {integer(32), integer(64), integer(128)}, integer(64))
      .parameter("tile", {integer(1), integer(2)})
      .constraint("block_x * tile <= 128")
      .input("in", DataType::float32, "width")
      .output("out", DataType::float32, "width", 1e-5, 1e-6)
      .launch("copy", {"block_x"}, {"ceil_div(width, block_x * tile)"}, {"in", "out", "width"});
  return builder;
}

// A failure is reported by the first call that can see it, at the latest by build().
std::string refused(const std::function<void(ProblemBuilder&)>& change) {
  return error_of([&] {
    ProblemBuilder builder = copy_problem();
    change(builder);
    builder.build();
  });
}

TEST(Builder, BuildsWhatAFileWouldGive) {
  const TempFolder folder;
  const auto file = folder.write("naive.kernel", "void naive();\n");
  folder.write("include/k.h", "int from_header;\n");
  folder.write("k.cu", "#include \"k.h\"\n");
  const Problem problem = copy_problem()
                              .include_folder(folder.path() / "include")
                              .source_file(folder.path() / "k.cu", "cuda")
                              .source_text("int sim;\n", "sim")
                              .compiler_options("cuda", {"-use_fast_math"})
                              .define("HALO", "width + 2")
                              .device_dimension("opencl-cpu", "width", integer(256))
                              .inout("sum", DataType::int32, "4", FillConstant{0}, 0, 0)
                              .constant("coeff", "coeff_c", DataType::float64, "5", {}, 2)
                              .scalar("alpha", DataType::float64, "0.5")
                              .scratch("temporary", DataType::float32, "block_x")
                              .launch("second", {"32"}, {"1"}, {"out", "sum", "alpha", "temporary"}, "128")
                              .repeat_last_launch("3")
                              .cooperative_last_launch()
                              .cluster_last_launch({"1"})
                              .reference_kernel(file, "naive", {}, {})
                              .baseline({{"block_x", integer(32)}})
                              .metric("GB/s", "8 * width / time_ns")
                              .maximise("GB/s")
                              .verify_size({{"width", integer(1000)}})
                              .build();
  EXPECT_EQ(problem.name, "copy");
  EXPECT_THAT(problem.source.find("cuda")->text, HasSubstr("from_header"));
  EXPECT_THAT(problem.source.find("opencl")->text, HasSubstr("#define WW_KERNEL"));
  EXPECT_EQ(problem.dimensions.describe(), "width=1024");
  EXPECT_EQ(problem.device_dimensions.at("opencl-cpu").describe(), "width=256");
  EXPECT_EQ(problem.build_space()->size(), 5u);
  EXPECT_EQ(problem.outputs.size(), 2u);
  EXPECT_EQ(problem.arguments[3].components, 2);
  EXPECT_EQ(problem.arguments[3].symbol, "coeff_c");
  EXPECT_EQ(std::get<FillUniform>(problem.arguments[3].fill).seed, 4u);
  EXPECT_TRUE(problem.launches[1].cooperative);
  const auto& reference = std::get<ReferenceKernel>(problem.reference);
  EXPECT_THAT(reference.source.dialect->text, HasSubstr("void naive();"));
  EXPECT_EQ(reference.launches.at(0).block.at(0).text(), "block_x");
  EXPECT_THAT(reference.launches.at(0).args, ElementsAre("in", "out", "width"));
  EXPECT_FALSE(problem.objective.minimise);
  EXPECT_THAT(problem.warnings, IsEmpty());
}

TEST(Builder, ConstraintsMayCapture) {
  // Closures work: what is captured lives in the problem.
  const auto limited = [](std::int64_t limit) {
    return copy_problem()
        .constraint("at most the captured limit",
                    [limit](const Configuration& configuration) {
                      return std::get<std::int64_t>(configuration.at("block_x")) <= limit;
                    })
        .build()
        .build_space()
        ->size();
  };
  EXPECT_EQ(limited(32), 2u);
  EXPECT_EQ(limited(64), 4u);
  EXPECT_EQ(limited(1024), 5u);
}

TEST(Builder, ACallableThatRejectsEverythingIsNamed) {
  const auto message = error_of(
      [] { copy_problem().constraint("never", [](const Configuration&) { return false; }).build().build_space(); });
  EXPECT_THAT(message, HasSubstr("never"));
  EXPECT_THAT(message, HasSubstr("empty"));
}

TEST(Builder, MisspeltParametersAreNamedAtOnce) {
  EXPECT_EQ(
      refused([](ProblemBuilder& builder) { builder.constraint("blok_x > 32"); }),
      "key 'constraints[1]': constraint: unknown name 'blok_x' in \"blok_x > 32\"; did you mean 'block_x'? (known "
      "names: width, block_x, tile)");
  EXPECT_THAT(refused([](ProblemBuilder& builder) { builder.parameter("tile", {integer(1)}); }),
              HasSubstr("'tile' is declared twice"));
  EXPECT_THAT(refused([](ProblemBuilder& builder) { builder.dimension("width", integer(1)); }),
              HasSubstr("'width' is declared twice"));
}

TEST(Builder, SyntaxErrorsAreThrownByTheCallThatHasThem) {
  ProblemBuilder builder("copy");
  EXPECT_THAT(error_of([&] { builder.constraint("1 +"); }), HasSubstr("key 'constraints[0]'"));
  EXPECT_THAT(error_of([&] { builder.input("a", DataType::float32, "(1"); }), HasSubstr("key 'argument[0].size'"));
  EXPECT_THAT(error_of([&] { builder.scalar("a", DataType::float32, ")"); }), HasSubstr("key 'argument[0].value'"));
  EXPECT_THAT(error_of([&] { builder.launch("f", {"1", "*"}, {"1"}, {}); }), HasSubstr("key 'launch[0].block[1]'"));
  EXPECT_THAT(error_of([&] { builder.metric("m", "1 1"); }), HasSubstr("key 'metrics.m'"));
  EXPECT_THAT(error_of([&] { builder.define("m", "&&"); }), HasSubstr("key 'kernel.defines.m'"));
  EXPECT_THAT(error_of([&] { builder.repeat_last_launch("2"); }), HasSubstr("call launch() first"));
  EXPECT_THAT(error_of([&] { builder.source_file("absent.cu"); }), HasSubstr("absent.cu"));
}

TEST(Builder, RefusesWhatAFileRefusesInTheSameWords) {
  EXPECT_THAT(error_of([] { ProblemBuilder("empty").build(); }), HasSubstr("there is no launch"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.parameter("p", {}); }), HasSubstr("has no values"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.parameter("p", {integer(1)}, integer(2)); }),
              HasSubstr("the default 2"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.parameter("p", {0.0 / 0.0}); }),
              HasSubstr("must be finite, found nan"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.dimension("q", 1.0 / 0.0); }), HasSubstr("must be finite"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.device_dimension("opencl-cpu", "width", 0.0 / 0.0); }),
              HasSubstr("finite"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.device_dimension("opencl-cpu", "width", std::string("x")); }),
              HasSubstr("give both the same kind"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.device_dimension("fpga", "width", integer(1)); }),
              HasSubstr("'fpga' is not a class of devices"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.input("1st", DataType::float32, "1"); }),
              HasSubstr("cannot be the name"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.input("v", DataType::float32, "1", {}, 5); }),
              HasSubstr("5 components"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.input("v", DataType::float32, "1", FillConstant{0.0 / 0.0}); }),
              HasSubstr("the constant of argument 'v' must be finite"));
  EXPECT_THAT(refused([](ProblemBuilder& b) {
                b.input("v", DataType::float32, "1", FillNormal{0, -1, 1});
              }),
              HasSubstr("must not be negative, found -1"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.output("v", DataType::float32, "1", -1, 0); }),
              HasSubstr("rtol of output 'v'"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.output("v", DataType::float32, "1", 0, 0.0 / 0.0); }),
              HasSubstr("atol of output 'v'"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.launch("", {"1"}, {"1"}, {}); }),
              HasSubstr("name of a kernel function"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.launch("f", {}, {"1"}, {}); }),
              HasSubstr("block of launch 'f' needs 1 to 3"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.launch("f", {"1"}, {"1", "1", "1", "1"}, {}); }), HasSubstr("found 4"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.launch("f", {"1"}, {"1"}, {"absent"}); }),
              HasSubstr("'absent' is neither"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.launch("f", {"1"}, {"1"}, {}, "-4"); }), HasSubstr("shared memory"));
  EXPECT_THAT(refused([](ProblemBuilder& b) {
                b.repeat_last_launch("2", {"in", "in"});
              }),
              HasSubstr("that are the same"));
  EXPECT_THAT(refused([](ProblemBuilder& b) {
                b.repeat_last_launch("2", {"in", "other"});
              }),
              HasSubstr("'other' is not an argument"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.cluster_last_launch({"0"}); }), HasSubstr("cluster[0]"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.reference_npy({}); }), HasSubstr("no file for the output 'out'"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.reference(ReferenceCallback{}); }), HasSubstr("callback is empty"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.reference_entry("f", {"0"}, {"1"}); }),
              HasSubstr("block[0] of launch 'f'"));
  EXPECT_THAT(refused([](ProblemBuilder& b) {
                b.reference_configuration({{"block_x", integer(48)}});
              }),
              HasSubstr("48 is not a value"));
  EXPECT_THAT(refused([](ProblemBuilder& b) {
                b.baseline({{"block_x", integer(128)}, {"tile", integer(2)}});
              }),
              HasSubstr("violates the constraint 'block_x * tile <= 128'"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.metric("time", "time_ns"); }), HasSubstr("another name"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.metric("m", "'text'"); }), HasSubstr("metric 'm'"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.minimise("tme"); }), HasSubstr("did you mean 'time'?"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.verify_size({}); }), HasSubstr("names no dimension"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.verify_size({{"width", std::string("x")}}); }), HasSubstr("same kind"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.compiler_options("hip", {}); }), HasSubstr("'hip' is not a backend"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.define("a b", "1"); }), HasSubstr("cannot be a definition"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.define("D", "1").define("D", "2"); }), HasSubstr("defined twice"));
  EXPECT_THAT(refused([](ProblemBuilder& b) { b.define("D", "1 / (width - 1024)"); }), HasSubstr("division by zero"));
}

TEST(Builder, TheWholeIsCheckedNotItsOrder) {
  // The reference is named before the launch it completes itself from.
  ProblemBuilder builder("copy");
  builder.reference_entry("naive", {}, {})
      .launch("copy", {"n"}, {"1"}, {"out"})
      .output("out", DataType::float32, "n", 0, 0)
      .dimension("n", integer(4));
  EXPECT_EQ(std::get<ReferenceKernel>(builder.build().reference).launches.at(0).block.at(0).text(), "n");
}

TEST(CheckProblem, AcceptsWhatTheReadersAccept) {
  const Problem problem = copy_problem().build();
  EXPECT_NO_THROW(spec::check_problem(problem));
  Problem broken = problem;
  broken.outputs.at(0).argument = "in";
  EXPECT_THAT(error_of([&] { spec::check_problem(broken); }),
              HasSubstr("an output is a buffer that the kernel writes"));
}

}  // namespace
}  // namespace warpwright::spec_tests
