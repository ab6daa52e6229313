// A tuned kernel whose arguments are images and a sampler, on an OpenCL device.
#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <warpwright/opencl/backend.hpp>
#include <warpwright/runtime/tuned_kernel.hpp>
#include <warpwright/spec/problem_builder.hpp>

#include "error_of.hpp"

namespace warpwright::runtime {
namespace {

using ::testing::HasSubstr;

const ImageFormat bytes4{4, DataType::uint8, false};

// out = in + 2, each channel, with in + 1 in an image between two launches.
Problem add_twice() {
  const char* source = R"(
__kernel void add(__read_only image2d_t in, sampler_t look, __write_only image2d_t out) {
  const int2 at = (int2)(get_global_id(0), get_global_id(1));
  write_imageui(out, at, read_imageui(in, look, at) + (uint4)(1));
}
)";
  return spec::ProblemBuilder("add")
      .dimension("w", std::int64_t{8})
      .dimension("h", std::int64_t{4})
      .input_image("in", bytes4, "w", "h")
      .scratch_image("between", bytes4, "w", "h")
      .output_image("out", bytes4, "w", "h", 0, 0)
      .sampler("look", {})
      .source_text(source, "opencl")
      .launch("add", {"1"}, {"w", "h"}, {"in", "look", "between"})
      .launch("add", {"1"}, {"w", "h"}, {"between", "look", "out"})
      .build();
}

TEST(TunedKernelImages, AreTheApplications) {
  const auto backend = opencl::make_backend();
  const device::ProbeResult probe = backend->probe();
  if (!probe.usable) {
    const char* required = std::getenv("WARPWRIGHT_REQUIRE_DEVICE");
    if (required != nullptr && std::string(required).find("opencl") != std::string::npos) FAIL() << probe.reason;
    GTEST_SKIP() << probe.reason << " " << probe.remedy;
  }
  const auto context = backend->open(backend->devices().front().id);
  if (!context->device().offers_images()) GTEST_SKIP() << "the device has no images";
  const auto stream = context->create_stream();
  const auto folder = std::filesystem::temp_directory_path() /
                      ("warpwright-images-" + std::to_string(reinterpret_cast<std::uintptr_t>(stream.get())));
  std::filesystem::create_directories(folder);
  {
    store::ProfileDatabase profiles(folder / "profiles.sqlite");
    TunedKernel tuned(add_twice(), *backend, *context, profiles);
    for (const std::int64_t w : {8, 5, 8}) {
      const ImageShape shape{bytes4, w, 4};
      const auto in = context->create_image(shape, device::ImageUse::read);
      const auto out = context->create_image(shape, device::ImageUse::write);
      std::vector<std::uint8_t> pixels(shape.size().count);
      for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i);
      const auto dense = context->allocate(shape.size());
      stream->copy_to_device(*dense, Bytes{}, std::as_bytes(std::span(pixels)));
      stream->copy_to_image(*in, *dense, Bytes{});
      tuned.launch(*stream, {{"w", w}}, {}, {{"in", in.get()}, {"out", out.get()}});
      stream->copy_from_image(*dense, Bytes{}, *out);
      std::vector<std::uint8_t> found(pixels.size());
      stream->copy_to_host(std::as_writable_bytes(std::span(found)), *dense, Bytes{});
      stream->synchronize();
      for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(pixel + 2);
      EXPECT_EQ(found, pixels) << w;
      // One that the application gives is taken in place of the tuned kernel's own.
      const auto between = context->create_image(shape, device::ImageUse::write);
      tuned.launch(*stream, {{"w", w}}, {}, {{"in", in.get()}, {"out", out.get()}, {"between", between.get()}});
      stream->copy_from_image(*dense, Bytes{}, *between);
      stream->copy_to_host(std::as_writable_bytes(std::span(found)), *dense, Bytes{});
      stream->synchronize();
      EXPECT_EQ(found.at(3), 4);
    }
    const auto image = context->create_image({bytes4, 8, 4}, device::ImageUse::write);
    const auto other = context->create_image({bytes4, 4, 8}, device::ImageUse::write);
    const auto buffer = context->allocate(Bytes{128});
    const auto launch = [&](std::map<std::string, device::Buffer*> buffers,
                            std::map<std::string, device::Image*> images) {
      return std::string(error_of([&] { tuned.launch(*stream, {}, buffers, images); }).what());
    };
    EXPECT_THAT(launch({}, {{"in", image.get()}}),
                HasSubstr("no image was given for argument 'out' (8 x 4 pixels of rgba_uint8)"));
    EXPECT_THAT(launch({}, {{"in", other.get()}, {"out", image.get()}}),
                HasSubstr("the image of argument 'in' has 4 x 8 pixels of rgba_uint8, this problem size needs 8 x 4"));
    EXPECT_THAT(launch({{"in", buffer.get()}}, {{"in", image.get()}, {"out", image.get()}}),
                HasSubstr("the kernel has no buffer argument 'in'"));
    EXPECT_THAT(launch({}, {{"in", image.get()}, {"out", image.get()}, {"look", image.get()}}),
                HasSubstr("the kernel has no image argument 'look'"));
    stream->synchronize();
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace warpwright::runtime
