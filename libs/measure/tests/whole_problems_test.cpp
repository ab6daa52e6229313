// Every configuration of the whole problems that the tests of the command line tune (tests/cli/data/problems), on an
// OpenCL device: read, compiled stage by stage, verified, timed launch by launch.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/error.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/problem_runner.hpp>
#include <warpwright/opencl/backend.hpp>
#include <warpwright/spec/problem_builder.hpp>
#include <warpwright/spec/read.hpp>

#include "problems.hpp"

namespace warpwright::measure {
namespace {

class WholeProblem : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    backend = opencl::make_backend();
    const device::ProbeResult probe = backend->probe();
    if (!probe.usable) {
      const char* required = std::getenv("WARPWRIGHT_REQUIRE_DEVICE");
      if (required != nullptr && std::string(required).find("opencl") != std::string::npos) FAIL() << probe.reason;
      GTEST_SKIP() << "no OpenCL device: " << probe.reason << " " << probe.remedy;
    }
    context = backend->open(backend->devices().front().id);
    compiler = backend->compiler(context->device());
  }
  RunResult run(ProblemRunner& runner, const Configuration& configuration) {
    const Binary binary = compile_configuration(runner.problem(), configuration, context->device(),
                                                [&](const device::CompileJob& job) { return compiler->compile(job); });
    TimingOptions timing;
    timing.min_samples = timing.max_samples = 2;
    timing.launch_times = true;
    return runner.run(configuration, binary, timing);
  }

  std::unique_ptr<device::Backend> backend;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<device::Compiler> compiler;
  SteadyClock clock;
};

TEST_P(WholeProblem, IsRightInEveryConfigurationAndAtItsOtherSizes) {
  const Problem problem =
      spec::read(std::filesystem::path(WARPWRIGHT_PROBLEMS_FOLDER) / (std::string(GetParam()) + ".toml"))
          .for_device(context->device());
  std::vector<Problem> sizes{problem};
  for (const Configuration& size : problem.verify_sizes) sizes.push_back(problem.with_dimensions(size));
  for (const Problem& sized : sizes) {
    const auto space = sized.build_space();
    ASSERT_GT(space->size(), 0U);
    ProblemRunner runner(*context, *compiler, sized, clock, {});
    runner.compute_reference();
    for (std::uint64_t i = 0; i < space->size(); ++i) {
      const Configuration configuration = space->at(i);
      const RunResult result = run(runner, configuration);
      ASSERT_EQ(result.status, TrialStatus::ok) << configuration.describe() << ": " << result.message;
      ASSERT_FALSE(result.launch_times.empty());
      for (const LaunchTime& launch : result.launch_times) EXPECT_GE(launch.time.count(), 0) << launch.entry;
    }
  }
}

class ImageProblem : public WholeProblem {
 protected:
  void SetUp() override {
    WholeProblem::SetUp();
    if (!IsSkipped() && !HasFatalFailure() && !context->device().offers_images())
      GTEST_SKIP() << context->device().id.to_string() << " has no images";
  }
  // Of the only configuration.
  RunResult run_only(const Problem& problem) {
    ProblemRunner runner(*context, *compiler, problem, clock, {});
    runner.compute_reference();
    return run(runner, problem.baseline_configuration());
  }
};

// Halves an image through a linear sampler at normalised coordinates into another that lives between the launches,
// which is then read without a sampler that was passed, and written as integers.
TEST_P(ImageProblem, OfEveryAccess) {
  const char* source = R"(
__kernel void halve(__read_only image2d_t in, sampler_t look, __write_only image2d_t between) {
  const int x = get_global_id(0), y = get_global_id(1);
  const float2 at = (float2)((x + 0.5f) / get_image_width(between), (y + 0.5f) / get_image_height(between));
  write_imagef(between, (int2)(x, y), read_imagef(in, look, at));
}
__constant sampler_t exact = CLK_NORMALIZED_COORDS_FALSE | CLK_ADDRESS_NONE | CLK_FILTER_NEAREST;
__kernel void add(__read_only image2d_t between, __global int* sums, __write_only image2d_t out, int w) {
  const int2 at = (int2)(get_global_id(0), get_global_id(1));
  const int4 found = convert_int4_rte(read_imagef(between, exact, at));
  sums[at.y * w + at.x] += found.x;
  write_imagei(out, at, found + (int4)(0, 10, 20, 30));
}
)";
  const ImageFormat floats{4, DataType::float32, false}, shorts{4, DataType::int16, false};
  Problem problem = spec::ProblemBuilder("halve")
                        .dimension("w", Value(std::int64_t{9}))
                        .dimension("h", Value(std::int64_t{6}))
                        .input_image("in", floats, "2 * w", "2 * h", Fill(FillUniform{0, 4000, 3}))
                        .scratch_image("between", floats, "w", "h")
                        .inout("sums", DataType::int32, "w * h", FillConstant{5}, 0, 1)
                        .output_image("out", shorts, "w", "h", 0, 1)
                        .sampler("look", {ImageAddressing::clamp_to_edge, ImageFilter::linear, true})
                        .source_text(source, "opencl")
                        .launch("halve", {"3", "2"}, {"w // 3", "h // 2"}, {"in", "look", "between"})
                        .launch("add", {"1", "1"}, {"w", "h"}, {"between", "sums", "out", "w"})
                        .reference(ReferenceCallback{[](const Configuration& dimensions, HostBuffers& buffers) {
                          const auto w = static_cast<std::size_t>(*as_integer(dimensions.at("w")));
                          const auto h = static_cast<std::size_t>(*as_integer(dimensions.at("h")));
                          const auto in = testing::values_of<float>(buffers.at("in"));
                          auto sums = testing::values_of<std::int32_t>(buffers.at("sums"));
                          std::vector<std::int16_t> out(4 * w * h);
                          for (std::size_t y = 0; y < h; ++y) {
                            for (std::size_t x = 0; x < w; ++x) {
                              for (std::size_t c = 0; c < 4; ++c) {
                                float sum = 0;
                                for (std::size_t d = 0; d < 4; ++d)
                                  sum += in[((2 * y + d / 2) * 2 * w + 2 * x + d % 2) * 4 + c];
                                const auto mean = static_cast<int>(std::lround(sum / 4));
                                if (c == 0) sums[y * w + x] += mean;
                                out[(y * w + x) * 4 + c] = static_cast<std::int16_t>(mean + 10 * static_cast<int>(c));
                              }
                            }
                          }
                          buffers.at("sums") = testing::bytes_of(sums);
                          buffers.at("out") = testing::bytes_of(out);
                        }})
                        .build();
  RunResult result = run_only(problem);
  EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
  // Without the filter every value is that of one pixel.
  for (Argument& argument : problem.arguments) {
    if (argument.sampler) argument.sampler->filter = ImageFilter::nearest;
  }
  result = run_only(problem);
  EXPECT_EQ(result.status, TrialStatus::wrong_result);
}

INSTANTIATE_TEST_SUITE_P(OpenCl, ImageProblem, ::testing::Values("built"),
                         [](const auto& instance) { return std::string(instance.param); });

INSTANTIATE_TEST_SUITE_P(OpenCl, WholeProblem, ::testing::Values("rounds", "matvec", "reverse", "smooth"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace warpwright::measure
