#include <gtest/gtest.h>
#include <set>

#include <warpwright/model/image.hpp>
#include <warpwright/model/problem.hpp>

namespace warpwright {
namespace {

TEST(Image, FormatsHaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const ImageFormat& format : image_formats()) {
    EXPECT_TRUE(names.insert(to_string(format)).second) << to_string(format);
    EXPECT_EQ(parse_image_format(to_string(format)), format);
  }
  EXPECT_EQ(names.size(), 36u);
  EXPECT_TRUE(names.contains("rg_snorm16") && names.contains("r_float32") && names.contains("rgba_unorm8"));
  EXPECT_FALSE(parse_image_format("bgra_unorm8"));
  EXPECT_FALSE(parse_image_format("rgba_unorm32"));
  EXPECT_FALSE(parse_image_format(""));
  EXPECT_EQ(to_string(ImageFormat{3, DataType::float64, false}), "3_float64");
}

TEST(Image, SizesAreThoseOfThePixels) {
  EXPECT_EQ((ImageFormat{4, DataType::uint8, true}).pixel_size(), Bytes{4});
  EXPECT_EQ((ImageFormat{2, DataType::float16, false}).pixel_size(), Bytes{4});
  EXPECT_EQ((ImageShape{{4, DataType::float32, false}, 5, 3}).size(), Bytes{240});
  EXPECT_EQ(describe({{1, DataType::int8, true}, {2, DataType::uint32, false}}), "r_snorm8, rg_uint32");
  EXPECT_EQ(describe(std::vector<ImageFormat>{}), "none");
}

TEST(Image, SamplersHaveWords) {
  EXPECT_EQ(to_string(ImageAddressing::mirrored_repeat), "mirrored_repeat");
  EXPECT_EQ(to_string(ImageAddressing::clamp_to_edge), "clamp_to_edge");
  EXPECT_EQ(to_string(ImageFilter::linear), "linear");
}

TEST(Image, ArgumentsOfProblemsTellTheirTypes) {
  Problem problem;
  problem.arguments.resize(3);
  problem.arguments[0].image = ImageArgument{Expression::parse("w + 1"), Expression::parse("h"), true};
  problem.arguments[0].type = DataType::uint8;
  problem.arguments[0].components = 4;
  problem.arguments[1].sampler = SamplerSettings{};
  problem.arguments[1].access = Access::scalar;
  EXPECT_EQ(problem.data_types(), "image:rgba_unorm8,sampler,float32");
  EXPECT_TRUE(problem.arguments[0].is_buffer());
  EXPECT_FALSE(problem.arguments[1].is_buffer());
  Scope scope;
  scope.set("w", Value(std::int64_t{3}));
  scope.set("h", Value(std::int64_t{5}));
  const auto& image = *problem.arguments[0].image;
  EXPECT_EQ(scope.integer_at_least(image_pixels(image.width, image.height), 1, "pixels"), 20);
}

}  // namespace
}  // namespace warpwright
