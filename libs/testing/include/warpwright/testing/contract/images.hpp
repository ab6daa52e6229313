// Contract: images and samplers, where the device offers them, and the refusal where it does not.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <warpwright/model/image.hpp>
#include <warpwright/testing/contract/fixture.hpp>

namespace warpwright::test {

// Not part of the source of the other kernels: compilers of devices without images refuse it.
//   contract_image(in, look, out)   out(x, y) = in(x + 1, y) as numbers, through the sampler
inline std::string image_contract_source() {
  return R"(
__kernel void contract_image(__read_only image2d_t in, sampler_t look, __write_only image2d_t out) {
  int2 at = (int2)(get_global_id(0), get_global_id(1));
  write_imagef(out, at, read_imagef(in, look, at + (int2)(1, 0)));
}
)";
}

// Of no backend: every call must refuse them.
class ForeignImage final : public device::Image {
 public:
  const ImageShape& shape() const override { return shape_; }

 private:
  ImageShape shape_{{4, DataType::uint8, true}, 2, 2};
};
class ForeignSampler final : public device::Sampler {};

TEST_P(DeviceContract, WhereThereAreNoImagesTheyAreRefused) {
  if (info_.offers_images()) GTEST_SKIP() << info_.id.to_string() << " offers images";
  const ImageShape shape{{4, DataType::uint8, true}, 2, 2};
  for (const device::ImageUse use : {device::ImageUse::read, device::ImageUse::write}) {
    EXPECT_TRUE(context_->image_formats(use).empty());
    EXPECT_EQ(error_of([&] { static_cast<void>(context_->create_image(shape, use)); }).code(), ErrorCode::unsupported);
  }
  const Error error = error_of([&] { static_cast<void>(context_->create_sampler({})); });
  EXPECT_EQ(error.code(), ErrorCode::unsupported);
  EXPECT_THAT(error.what(), ::testing::HasSubstr(backend_->name()));
  const ForeignSampler sampler;
  ForeignImage image;
  auto buffer = context_->allocate(Bytes{64});
  const auto refused = ::testing::AnyOf(ErrorCode::unsupported, ErrorCode::bad_input);
  EXPECT_THAT(error_of([&] { stream_->copy_to_image(image, *buffer, Bytes{}); }).code(), refused);
  EXPECT_THAT(error_of([&] { stream_->copy_from_image(*buffer, Bytes{}, image); }).code(), refused);
  auto add = load("contract_add");
  const device::Image* passed = &image;
  const device::Sampler* also = &sampler;
  for (const device::KernelArgument& argument : Arguments{passed, also}) {
    const Arguments arguments{argument, buffer.get(), buffer.get(), scalar(1)};
    EXPECT_THAT(error_of([&] { stream_->launch(*add.kernel, linear(1, 1), arguments); }).code(), refused);
  }
  expect_usable();
}

TEST_P(DeviceContract, ImagesKeepTheirPixels) {
  if (!info_.offers_images()) GTEST_SKIP() << info_.id.to_string() << " has no images";
  for (const device::ImageUse use : {device::ImageUse::read, device::ImageUse::write}) {
    const std::vector<ImageFormat> formats = context_->image_formats(use);
    // What every device must have.
    EXPECT_THAT(formats, ::testing::IsSupersetOf({ImageFormat{4, DataType::float32, false},
                                                  ImageFormat{4, DataType::uint8, true},
                                                  ImageFormat{4, DataType::int32, false}}));
    for (const ImageFormat& format : formats) {
      SCOPED_TRACE(to_string(format));
      const ImageShape shape{format, 7, 3};
      auto image = context_->create_image(shape, use);
      EXPECT_EQ(image->shape(), shape);
      const std::size_t size = static_cast<std::size_t>(shape.size().count), offset = 64;
      std::vector<std::uint8_t> bytes(offset + size);
      for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 37 + 11);
      auto source = upload(bytes);
      auto target = upload(std::vector<std::uint8_t>(offset + size));
      stream_->copy_to_image(*image, *source, Bytes{offset});
      stream_->copy_from_image(*target, Bytes{offset}, *image);
      std::vector<std::uint8_t> expected = bytes;
      std::fill_n(expected.begin(), offset, std::uint8_t{0});
      EXPECT_EQ(download<std::uint8_t>(*target), expected);
    }
  }
}

TEST_P(DeviceContract, KernelsReadAndWriteImages) {
  if (!info_.offers_images()) GTEST_SKIP() << info_.id.to_string() << " has no images";
  const ImageShape bytes{{4, DataType::uint8, true}, 6, 4}, floats{{4, DataType::float32, false}, 6, 4};
  auto in = context_->create_image(bytes, device::ImageUse::read);
  auto out = context_->create_image(floats, device::ImageUse::write);
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(bytes.size().count));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 5 + 3);
  stream_->copy_to_image(*in, *upload(pixels), Bytes{});
  stream_->synchronize();
  auto module = context_->load(compiler_->compile(job(image_contract_source(), {}, {"contract_image"})));
  auto kernel = module->kernel("contract_image");
  device::LaunchConfig config;
  config.block = {2, 2, 1};
  config.grid = {3, 2, 1};
  using Addressing = ImageAddressing;
  for (const Addressing addressing : {Addressing::clamp_to_edge, Addressing::clamp}) {
    SCOPED_TRACE(to_string(addressing));
    auto look = context_->create_sampler({addressing, ImageFilter::nearest, false});
    const device::Image *from = in.get(), *to = out.get();
    const device::Sampler* through = look.get();
    stream_->launch(*kernel, config, Arguments{from, through, to});
    auto target = context_->allocate(floats.size());
    stream_->copy_from_image(*target, Bytes{}, *out);
    const std::vector<float> found = download<float>(*target);
    for (std::size_t y = 0; y < 4; ++y) {
      for (std::size_t x = 0; x < 6; ++x) {
        for (std::size_t c = 0; c < 4; ++c) {
          const std::size_t neighbour = (y * 6 + std::min<std::size_t>(x + 1, 5)) * 4 + c;
          const float value = static_cast<float>(pixels[neighbour]) / 255.0f;
          // The border of an image with an alpha channel is transparent black.
          const float expected = x == 5 && addressing == Addressing::clamp ? 0.0f : value;
          EXPECT_NEAR(found[(y * 6 + x) * 4 + c], expected, 1e-6) << x << ", " << y << ", " << c;
        }
      }
    }
  }
  EXPECT_NO_THROW(static_cast<void>(context_->create_sampler({Addressing::none, ImageFilter::nearest, false})));
  for (const Addressing repeats : {Addressing::repeat, Addressing::mirrored_repeat})
    EXPECT_NO_THROW(static_cast<void>(context_->create_sampler({repeats, ImageFilter::linear, true})));
}

TEST_P(DeviceContract, ImagesThatCannotBeAreRefused) {
  if (!info_.offers_images()) GTEST_SKIP() << info_.id.to_string() << " has no images";
  const ImageFormat format{4, DataType::uint8, true};
  const auto refusal = [&](const ImageShape& shape) {
    return error_of([&] { static_cast<void>(context_->create_image(shape, device::ImageUse::read)); });
  };
  EXPECT_EQ(refusal({format, 0, 1}).code(), ErrorCode::bad_input);
  EXPECT_EQ(refusal({format, 1, -1}).code(), ErrorCode::bad_input);
  const Error wide = refusal({format, info_.max_image[0] + 1, 1});
  EXPECT_EQ(wide.code(), ErrorCode::unsupported);
  EXPECT_THAT(wide.what(), ::testing::HasSubstr("is too large"));
  EXPECT_EQ(refusal({format, 1, info_.max_image[1] + 1}).code(), ErrorCode::unsupported);
  const Error odd = refusal({{3, DataType::float64, false}, 1, 1});
  EXPECT_EQ(odd.code(), ErrorCode::unsupported);
  EXPECT_THAT(odd.what(), ::testing::HasSubstr("rgba_unorm8"));

  auto image = context_->create_image({format, 4, 4}, device::ImageUse::write);
  auto short_buffer = context_->allocate(Bytes{63});
  EXPECT_EQ(error_of([&] { stream_->copy_to_image(*image, *short_buffer, Bytes{}); }).code(), ErrorCode::bad_input);
  EXPECT_EQ(error_of([&] { stream_->copy_from_image(*short_buffer, Bytes{}, *image); }).code(), ErrorCode::bad_input);
  ForeignImage foreign;
  ForeignBuffer buffer;
  auto large = context_->allocate(Bytes{128});
  EXPECT_EQ(error_of([&] { stream_->copy_to_image(foreign, *large, Bytes{}); }).code(), ErrorCode::bad_input);
  EXPECT_EQ(error_of([&] { stream_->copy_from_image(buffer, Bytes{}, *image); }).code(), ErrorCode::bad_input);
  expect_usable();
}

}  // namespace warpwright::test
