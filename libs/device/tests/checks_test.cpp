#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <optional>

#include <warpwright/base/error.hpp>
#include <warpwright/device/checks.hpp>

namespace warpwright::device {
namespace {

using ::testing::HasSubstr;

class SizedBuffer final : public Buffer {
 public:
  explicit SizedBuffer(std::uint64_t size) : size_(size) {}
  Bytes size() const override { return size_; }

 private:
  Bytes size_;
};

template <class Call>
std::optional<ErrorCode> code_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  return std::nullopt;
}

constexpr std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();

TEST(Checks, RangesEndWithinTheBuffer) {
  const auto code = [](std::uint64_t offset, std::uint64_t size, std::uint64_t capacity) {
    return code_of([&] { check_range("copy", Bytes{offset}, Bytes{size}, Bytes{capacity}); });
  };
  EXPECT_EQ(code(0, 8, 8), std::nullopt);
  EXPECT_EQ(code(8, 0, 8), std::nullopt);
  EXPECT_EQ(code(0, 0, 0), std::nullopt);
  EXPECT_EQ(code(0, 9, 8), ErrorCode::bad_input);
  EXPECT_EQ(code(9, 0, 8), ErrorCode::bad_input);
  EXPECT_EQ(code(huge, 2, 8), ErrorCode::bad_input) << "offset plus size wraps to 1";
  EXPECT_EQ(code(2, huge, 8), ErrorCode::bad_input);
  try {
    check_range("fill", Bytes{4}, Bytes{5}, Bytes{8});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "fill: 5 bytes at offset 4 reach past the end of a buffer of 8 bytes");
  }
}

TEST(Checks, OverlapOfOneBufferIsRefused) {
  const SizedBuffer a(16), b(16);
  const auto code = [&](const Buffer& to, std::uint64_t to_offset, const Buffer& from, std::uint64_t from_offset,
                        std::uint64_t size) {
    return code_of([&] { check_device_copy(to, Bytes{to_offset}, from, Bytes{from_offset}, Bytes{size}); });
  };
  EXPECT_EQ(code(a, 0, b, 0, 16), std::nullopt);
  EXPECT_EQ(code(a, 0, a, 8, 8), std::nullopt);
  EXPECT_EQ(code(a, 8, a, 0, 8), std::nullopt);
  EXPECT_EQ(code(a, 3, a, 3, 0), std::nullopt);
  EXPECT_EQ(code(a, 7, a, 0, 8), ErrorCode::bad_input);
  EXPECT_EQ(code(a, 0, a, 7, 8), ErrorCode::bad_input);
  EXPECT_EQ(code(a, 0, a, 0, 1), ErrorCode::bad_input);
  EXPECT_EQ(code(a, 9, b, 0, 8), ErrorCode::bad_input);
  EXPECT_EQ(code(a, 0, b, 9, 8), ErrorCode::bad_input);
}

TEST(Checks, GeometryWithinTheDevicesLimits) {
  DeviceInfo device;
  device.id = {"sim", {0}};
  device.max_threads_per_block = 256;
  device.max_block = {256, 256, 64};
  device.max_grid = {0, 65535, 65535};
  const auto code = [&](LaunchConfig config) { return code_of([&] { check_geometry("k", config, device); }); };
  LaunchConfig config;
  EXPECT_EQ(code(config), std::nullopt);
  config.block = {16, 16, 1};
  config.grid = {std::int64_t{1} << 40, 65535, 1};  // x has no known limit
  EXPECT_EQ(code(config), std::nullopt);
  config.grid[1] = 65536;
  EXPECT_EQ(code(config), ErrorCode::launch);
  config.grid[1] = 1;
  config.block = {16, 16, 2};
  EXPECT_EQ(code(config), ErrorCode::launch);
  config.block = {1, 1, 65};
  EXPECT_EQ(code(config), ErrorCode::launch);
  device.max_block = {};
  config.block = {std::int64_t{1} << 40, std::int64_t{1} << 40, std::int64_t{1} << 40};
  EXPECT_EQ(code(config), ErrorCode::launch) << "a product that overflows";
  for (std::size_t d = 0; d < 3; ++d) {
    for (auto member : {&LaunchConfig::block, &LaunchConfig::grid, &LaunchConfig::cluster}) {
      LaunchConfig bad;
      (bad.*member)[d] = 0;
      EXPECT_EQ(code(bad), ErrorCode::launch);
      (bad.*member)[d] = -5;
      EXPECT_EQ(code(bad), ErrorCode::launch);
    }
  }
  LaunchConfig cooperative, clustered;
  cooperative.cooperative = true;
  clustered.cluster = {2, 1, 1};
  EXPECT_EQ(code(cooperative), ErrorCode::unsupported);
  EXPECT_EQ(code(clustered), ErrorCode::unsupported);
  device.supports_cooperative_launch = device.supports_clusters = true;
  EXPECT_EQ(code(cooperative), std::nullopt);
  EXPECT_EQ(code(clustered), std::nullopt);
}

TEST(Checks, ImagesAreThoseOfTheDevice) {
  const ImageFormat bytes{4, DataType::uint8, true}, floats{1, DataType::float32, false};
  DeviceInfo device;
  device.name = "Some GPU";
  device.id = DeviceId::parse("cuda:0");
  const auto refusal = [&](const ImageShape& shape, ImageUse use = ImageUse::read) {
    try {
      check_image(shape, use, {floats, bytes}, device);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("fits");
  };
  EXPECT_EQ(refusal({bytes, 2, 2}), "images and samplers are for OpenCL, and the backend cuda does not offer them");
  device.id = DeviceId::parse("opencl:0:1");
  EXPECT_EQ(refusal({bytes, 2, 2}), "device opencl:0:1 (Some GPU) has no images");
  device.max_image = {64, 32};
  EXPECT_EQ(refusal({bytes, 64, 32}), "fits");
  EXPECT_EQ(refusal({bytes, 65, 1}), "an image of 65 x 1 pixels is too large: device opencl:0:1 allows 64 x 32");
  EXPECT_EQ(refusal({bytes, 1, 33}), "an image of 1 x 33 pixels is too large: device opencl:0:1 allows 64 x 32");
  EXPECT_EQ(refusal({bytes, 0, 1}), "an image of 0 x 1 pixels is none: both must be at least 1");
  EXPECT_EQ(refusal({{2, DataType::int8, true}, 1, 1}, ImageUse::write),
            "device opencl:0:1 has no images of format rg_snorm8 that kernels write; it has: r_float32, rgba_unorm8");
}

}  // namespace
}  // namespace warpwright::device
