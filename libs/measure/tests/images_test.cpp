// Images and samplers on a device in host memory: what is restored, poisoned, fetched and refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include <warpwright/measure/inputs.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/problem_runner.hpp>

#include "host_device.hpp"
#include "problems.hpp"

namespace warpwright::measure {
namespace {

using testing::buffer_argument;
using testing::Call;
using ::testing::HasSubstr;
using testing::Host;
using testing::HostCompiler;
using testing::HostContext;
using testing::integer;
using testing::make_launch;
using testing::make_parameter;
using testing::StepClock;

const ImageFormat bytes4{4, DataType::uint8, true}, words{1, DataType::int32, false};
constexpr int width = 6, height = 5;

Argument image_argument(std::string name, ImageFormat format, Access access, Fill fill = FillConstant{}) {
  Argument argument = buffer_argument(std::move(name), format.type, access, "w * h", std::move(fill));
  argument.components = format.channels;
  argument.image = ImageArgument{Expression::parse("w"), Expression::parse("h"), format.normalized};
  argument.size = image_pixels(argument.image->width, argument.image->height);
  return argument;
}

// Every pixel of "out" is the sum of the channels of "in"; `wrong` chooses what goes wrong.
class Images : public ::testing::Test {
 protected:
  Images() : context(host), compiler(host) {
    host.info.id = DeviceId::parse("opencl:0:0");
    host.info.max_image = {100, 50};
    host.readable_images = host.writable_images = {bytes4, words};
    host.kernels["sum"] = [this](const Call& call) {
      EXPECT_EQ(call.buffers.at(0).size(), 4U * width * height);
      EXPECT_EQ(call.samplers.at(1), problem.arguments[1].sampler);
      const int wrong = call.define("wrong");
      for (int i = 0; i < width * height; ++i) {
        if (wrong == 1 && i == 7) continue;
        int sum = 0;
        for (int c = 0; c < 4; ++c) sum += call.data<std::uint8_t>(0)[4 * i + c];
        call.data<std::int32_t>(2)[i] = sum + (wrong == 2 && i == 11 ? 1 : 0);
      }
    };
    problem.name = "sum";
    problem.source.dialect = SourceText{"sum.cl", "source of sum"};
    problem.dimensions = {{"w", integer(width)}, {"h", integer(height)}};
    problem.parameters = {make_parameter("wrong", {integer(0), integer(1), integer(2)})};
    Argument look;
    look.name = "look";
    look.access = Access::scalar;
    look.sampler = SamplerSettings{ImageAddressing::clamp, ImageFilter::linear, true};
    problem.arguments = {image_argument("in", bytes4, Access::in, FillUniform{0, 255, 4}), look,
                         image_argument("out", words, Access::out)};
    problem.launches = {make_launch("sum", {"in", "look", "out"})};
    problem.outputs = {{"out", 0, 0, {}}};
    problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
      const auto in = testing::values_of<std::uint8_t>(buffers.at("in"));
      EXPECT_FALSE(buffers.contains("look"));
      std::vector<std::int32_t> sums(in.size() / 4);
      for (std::size_t i = 0; i < in.size(); ++i) sums[i / 4] += in[i];
      buffers.at("out") = testing::bytes_of(sums);
    }};
    timing.min_samples = timing.max_samples = 5;
  }

  RunResult run(std::int64_t wrong = 0) {
    ProblemRunner runner(context, compiler, problem, clock, options);
    runner.compute_reference();
    const Configuration configuration{{"wrong", integer(wrong)}};
    return runner.run(configuration, compiler.compile(kernel_job(problem, configuration, host.info)), timing);
  }
  std::string refusal() {
    try {
      const RunResult result = run();
      return std::string(to_string(result.status)) + ": " + result.message;
    } catch (const Error& error) {
      return error.what();
    }
  }

  Host host;
  HostContext context;
  HostCompiler compiler;
  StepClock clock;
  Problem problem;
  RunnerOptions options;
  TimingOptions timing;
};

TEST_F(Images, ArePassedRestoredAndCompared) {
  const RunResult right = run();
  EXPECT_EQ(right.status, TrialStatus::ok) << right.message;
  EXPECT_EQ(right.samples.size(), 5U);
  EXPECT_GE(host.count("to image"), 2) << "inputs and poison";
  EXPECT_GE(host.count("from image"), 2);
  const RunResult wrong = run(2);
  EXPECT_EQ(wrong.status, TrialStatus::wrong_result);
  EXPECT_THAT(wrong.message, HasSubstr("output 'out': 1 of 30 elements are wrong; element 11 should be"));
}

TEST_F(Images, PixelsThatNobodyWritesAreFound) {
  const RunResult result = run(1);
  EXPECT_EQ(result.status, TrialStatus::wrong_result);
  EXPECT_THAT(result.message, HasSubstr("it looks as if it was never written"));
}

TEST_F(Images, WhatAKernelReadsAndWritesIsPutBack) {
  problem.arguments[2].access = Access::inout;
  problem.arguments[2].fill = FillConstant{100};
  host.kernels["sum"] = [](const Call& call) {
    for (int i = 0; i < width * height; ++i) call.data<std::int32_t>(2)[i] += call.data<std::uint8_t>(0)[4 * i];
  };
  problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
    const auto in = testing::values_of<std::uint8_t>(buffers.at("in"));
    auto out = testing::values_of<std::int32_t>(buffers.at("out"));
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += in[4 * i];
    buffers.at("out") = testing::bytes_of(out);
  }};
  const RunResult result = run();
  EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
}

TEST_F(Images, WithoutRoomForACopyTheyAreRestoredFromTheHost) {
  host.memory = device::MemoryUse{Bytes{64 << 10}, Bytes{1 << 20}};
  const RunResult result = run();
  EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
  EXPECT_GE(host.count("upload"), 1);
}

TEST_F(Images, AreSwappedWithImagesOfTheirShapeOnly) {
  problem.arguments[0] = image_argument("in", words, Access::inout, FillIota{0, 1});
  problem.launches[0].swap = {"in", "out"};
  problem.launches[0].repeat = Expression::parse("2");
  host.kernels["sum"] = [](const Call& call) {
    for (int i = 0; i < width * height; ++i) call.data<std::int32_t>(2)[i] = call.data<std::int32_t>(0)[i] + 1;
  };
  problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
    auto values = testing::values_of<std::int32_t>(buffers.at("in"));
    for (auto& value : values) value += 1;
    buffers.at("in") = testing::bytes_of(values);
    for (auto& value : values) value += 1;
    buffers.at("out") = testing::bytes_of(values);
  }};
  RunResult result = run();
  EXPECT_EQ(result.status, TrialStatus::ok) << result.message;
  problem.arguments[0].image = ImageArgument{Expression::parse("h"), Expression::parse("w"), false};
  EXPECT_THAT(refusal(), HasSubstr("swapped images 'in' and 'out' must be of one format, width and height"));
  problem.arguments[0].image.reset();
  EXPECT_THAT(refusal(), HasSubstr("an image is swapped with another only"));
}

TEST_F(Images, WhatTheDeviceDoesNotHaveIsToldBeforeAnythingIsCompiled) {
  host.readable_images = {words};
  EXPECT_THAT(refusal(),
              HasSubstr("argument 'in' is an image of format rgba_unorm8, which device opencl:0:0 (host) does "
                        "not have for images that kernels read; it has: r_int32"));
  host.readable_images = {bytes4, words};
  host.writable_images = {bytes4};
  EXPECT_THAT(refusal(),
              HasSubstr("argument 'out' is an image of format r_int32, which device opencl:0:0 (host) does not "
                        "have for images that kernels write; it has: rgba_unorm8"));
  host.writable_images = {words};
  problem.dimensions = {{"w", integer(101)}, {"h", integer(2)}};
  EXPECT_THAT(refusal(),
              HasSubstr("the width of image 'in' is 101 (w), and device opencl:0:0 allows images of 100 x 50 "
                        "pixels"));
  problem.dimensions = {{"w", integer(1)}, {"h", integer(51)}};
  EXPECT_THAT(refusal(), HasSubstr("the height of image 'in' is 51 (h)"));
  host.info.max_image = {};
  EXPECT_THAT(refusal(), HasSubstr("argument 'in' is an image: device opencl:0:0 (host) has no images"));
  host.info.id = DeviceId::parse("cuda:0");
  EXPECT_THAT(refusal(),
              HasSubstr("argument 'in' is an image: images and samplers are for OpenCL, and the backend cuda "
                        "does not offer them; choose an OpenCL device"));
  EXPECT_TRUE(host.jobs.empty());
  problem.arguments[0] = buffer_argument("in", DataType::uint8, Access::in, "4 * w * h");
  problem.arguments[2] = buffer_argument("out", DataType::int32, Access::out, "w * h");
  EXPECT_THROW(require_images(problem, host.info), Error) << "a sampler is for OpenCL too";
  problem.arguments[1] = testing::scalar_argument("look", DataType::int32, "1");
  EXPECT_NO_THROW(require_images(problem, host.info));
}

TEST_F(Images, AKernelThatTakesSomethingElseIsAMistakeOfTheSpecification) {
  using Kind = KernelParameter::Kind;
  const KernelParameter read{Kind::image, "read_only image2d_t in", {}, 1, {}};
  const KernelParameter write{Kind::image, "write_only image2d_t out", {}, 1, {}, true};
  const KernelParameter look{Kind::sampler, "sampler_t look", {}, 1, {}};
  host.parameters["sum"] = {read, look, write};
  EXPECT_EQ(run().status, TrialStatus::ok);
  host.parameters["sum"] = {write, look, write};
  const RunResult written = run();
  EXPECT_TRUE(written.specification_mistake);
  EXPECT_THAT(written.message, HasSubstr("the kernel writes it, and the image has access"));
  host.parameters["sum"] = {read, read, write};
  EXPECT_THAT(run().message, HasSubstr("argument 'look' (sampler) is passed as parameter 2 of kernel 'sum'"));
}

TEST_F(Images, ThatDoNotFitInMemoryAreNamed) {
  host.largest_allocation = 64;
  EXPECT_THAT(refusal(), HasSubstr("making the image of argument 'in' of 'sum'"));
}

TEST_F(Images, OfASizeThatAParameterChoosesAreMadeAnew) {
  problem.parameters.push_back(make_parameter("rows", {integer(2), integer(3), integer(60)}));
  problem.parameters.push_back(make_parameter("columns", {integer(2), integer(3)}));
  Argument scratch = image_argument("between", words, Access::scratch);
  scratch.image = ImageArgument{Expression::parse("columns"), Expression::parse("rows"), false};
  scratch.size = image_pixels(scratch.image->width, scratch.image->height);
  problem.arguments.push_back(scratch);
  problem.launches[0].args.push_back("between");
  const auto base = host.kernels["sum"];
  std::vector<std::size_t> sizes;
  host.kernels["sum"] = [&](const Call& call) {
    sizes.push_back(call.buffers.at(3).size());
    base(call);
  };
  ProblemRunner runner(context, compiler, problem, clock, options);
  runner.compute_reference();
  const auto at = [&](int rows, int columns) {
    const Configuration configuration{{"wrong", integer(0)}, {"rows", integer(rows)}, {"columns", integer(columns)}};
    sizes.clear();
    return runner.run(configuration, compiler.compile(kernel_job(problem, configuration, host.info)), timing);
  };
  EXPECT_EQ(at(2, 2).status, TrialStatus::ok);
  EXPECT_EQ(sizes.at(0), 16U);
  EXPECT_EQ(at(2, 3).status, TrialStatus::ok);
  EXPECT_EQ(at(3, 2).status, TrialStatus::ok) << "as many pixels in another shape";
  EXPECT_EQ(sizes.at(0), 24U);
  const RunResult large = at(60, 2);
  EXPECT_EQ(large.status, TrialStatus::pruned);
  EXPECT_THAT(large.message, HasSubstr("the height of image 'between' is 60 (rows)"));
}

}  // namespace
}  // namespace warpwright::measure
