#include "../src/parameter_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace warpwright::measure {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Kind = KernelParameter::Kind;

KernelParameter buffer(std::string text, std::optional<DataType> type, int components = 1) {
  return {Kind::buffer, std::move(text), type, components, {}};
}
KernelParameter scalar(std::string text, DataType type) {
  return {Kind::scalar, std::move(text), type, 1, Bytes{size_of(type)}};
}
KernelParameter local(std::string text) { return {Kind::local, std::move(text), DataType::float32, 1, {}}; }
KernelParameter sized(std::uint64_t bytes) { return {Kind::unknown, "", {}, 1, Bytes{bytes}}; }

PassedArgument array(std::string name, DataType type, int components = 1) {
  return {std::move(name), true, false, type, components, {}};
}
PassedArgument value(std::string name, DataType type, bool dimension = false) {
  return {std::move(name), false, dimension, type, 1, Bytes{size_of(type)}};
}

std::string mismatch(const std::vector<KernelParameter>& parameters, const std::vector<PassedArgument>& passed,
                     Bytes shared = {}) {
  return parameter_mismatch(parameters, passed, shared, "k").value_or("fits");
}

const std::vector<KernelParameter> axpy{buffer("float* x", DataType::float32), scalar("float a", DataType::float32),
                                        scalar("int n", DataType::int32)};

TEST(ParameterCheck, WhatFitsFits) {
  EXPECT_EQ(
      mismatch(axpy, {array("x", DataType::float32), value("a", DataType::float32), value("n", DataType::int32, true)}),
      "fits");
  EXPECT_EQ(mismatch({}, {}), "fits");
  // Integers of one width whatever their sign, 16-bit floats as their bits, elements grouped into vectors, structures
  // and typedefs.
  EXPECT_EQ(mismatch({scalar("uint n", DataType::uint32)}, {value("n", DataType::int32)}), "fits");
  EXPECT_EQ(mismatch({buffer("uint* x", DataType::uint32)}, {array("x", DataType::int32)}), "fits");
  EXPECT_EQ(mismatch({buffer("ushort* x", DataType::uint16)}, {array("x", DataType::bfloat16)}), "fits");
  EXPECT_EQ(mismatch({buffer("float4* x", DataType::float32, 4)}, {array("x", DataType::float32)}), "fits");
  EXPECT_EQ(mismatch({buffer("float* x", DataType::float32)}, {array("x", DataType::float32, 4)}), "fits");
  EXPECT_EQ(mismatch({buffer("pair* x", {})}, {array("x", DataType::float64)}), "fits");
  EXPECT_EQ(mismatch({buffer("float* x", DataType::float32), local("__local float* l")},
                     {array("x", DataType::float32)}, Bytes{64}),
            "fits");
}

TEST(ParameterCheck, KindsAndElementTypesAreNamedOnBothSides) {
  const auto scalar_for_buffer = mismatch(
      axpy, {value("n", DataType::int32, true), value("a", DataType::float32), value("n", DataType::int32, true)});
  EXPECT_THAT(scalar_for_buffer,
              HasSubstr("argument 'n' (int32) is passed as parameter 1 of kernel 'k', which is 'float* x'"));
  EXPECT_THAT(
      mismatch(axpy, {array("x", DataType::float32), array("y", DataType::float32), value("n", DataType::int32)}),
      HasSubstr("argument 'y' (buffer of float32) is passed as parameter 2 of kernel 'k', which is 'float a'"));
  EXPECT_THAT(
      mismatch(axpy, {array("x", DataType::float32), value("a", DataType::int32, true), value("n", DataType::int32)}),
      AllOf(HasSubstr("argument 'a' (int32)"), HasSubstr("'float a'"),
            HasSubstr("type = \"float32\" and value = \"a\"")));
  EXPECT_THAT(mismatch({buffer("float* x", DataType::float32)}, {array("x", DataType::float64)}),
              HasSubstr("(buffer of float64)"));
  EXPECT_THAT(mismatch({buffer("float* x", DataType::float32)}, {array("x", DataType::int32)}),
              HasSubstr("correct the order of args"));
  EXPECT_THAT(mismatch({scalar("long n", DataType::int64)}, {value("n", DataType::int32, true)}),
              AllOf(HasSubstr("'long n'"), HasSubstr("type = \"int64\"")));
  EXPECT_THAT(mismatch({{Kind::other, "image3d_t i", {}, 1, {}}}, {array("x", DataType::float32)}),
              HasSubstr("of images only two-dimensional ones (image2d_t) can be passed"));
}

TEST(ParameterCheck, ImagesAndSamplersArePassedToTheirOwnKind) {
  const KernelParameter read{Kind::image, "read_only image2d_t in", {}, 1, {}};
  const KernelParameter write{Kind::image, "write_only image2d_t out", {}, 1, {}, true};
  const KernelParameter look{Kind::sampler, "sampler_t s", {}, 1, {}};
  const KernelParameter x = buffer("float* x", DataType::float32);
  PassedArgument input, output, sampler;
  input.name = "in";
  input.buffer = true;
  input.image = PassedImage::read;
  output.name = "out";
  output.buffer = true;
  output.image = PassedImage::written;
  sampler.name = "look";
  sampler.sampler = true;
  EXPECT_EQ(mismatch({read, write, look}, {input, output, sampler}), "fits");
  // A later launch may read what an earlier one wrote.
  EXPECT_EQ(mismatch({read}, {output}), "fits");
  const KernelParameter untold{};
  EXPECT_EQ(mismatch({untold, untold}, {input, sampler}), "fits");
  EXPECT_THAT(mismatch({write}, {input}),
              AllOf(HasSubstr("argument 'in' (image) is passed as parameter 1 of kernel 'k', which is 'write_only "
                              "image2d_t out'"),
                    HasSubstr("the kernel writes it, and the image has access = \"in\"")));
  EXPECT_THAT(mismatch({x}, {input}), HasSubstr("an image is passed to image2d_t only"));
  EXPECT_THAT(mismatch({look}, {input}), HasSubstr("an image is passed to image2d_t only"));
  EXPECT_THAT(mismatch({read}, {array("x", DataType::float32)}), HasSubstr("it takes an image"));
  EXPECT_THAT(mismatch({read}, {sampler}), HasSubstr("it takes an image"));
  EXPECT_THAT(mismatch({x}, {sampler}), AllOf(HasSubstr("argument 'look' (sampler)"), HasSubstr("'float* x'"),
                                              HasSubstr("a sampler is passed to sampler_t only")));
  EXPECT_THAT(mismatch({scalar("int n", DataType::int32)}, {sampler}),
              HasSubstr("a sampler is passed to sampler_t only"));
  EXPECT_THAT(mismatch({look}, {value("n", DataType::int32)}), HasSubstr("it takes a sampler"));
  EXPECT_THAT(mismatch({look}, {array("x", DataType::float32)}), HasSubstr("it takes a sampler"));
}

TEST(ParameterCheck, NumbersAreCountedWithBothLists) {
  EXPECT_THAT(mismatch(axpy, {array("x", DataType::float32), value("a", DataType::float32)}),
              AllOf(HasSubstr("takes 3 parameters ('float* x', 'float a', 'int n')"),
                    HasSubstr("passes 2 arguments ('x' (buffer of float32), 'a' (float32))")));
  EXPECT_THAT(mismatch({}, {array("x", DataType::float32)}), HasSubstr("takes 0 parameters (none)"));
}

// What CUDA tells: sizes alone.
TEST(ParameterCheck, SizesAreComparedWhereTheyAreAllThatIsKnown) {
  EXPECT_EQ(mismatch({sized(8), sized(4)}, {array("x", DataType::float32), value("n", DataType::int32)}), "fits");
  EXPECT_EQ(mismatch({sized(8)}, {value("n", DataType::int64)}), "fits");
  EXPECT_THAT(mismatch({sized(8), sized(8)}, {array("x", DataType::float32), value("n", DataType::int32, true)}),
              HasSubstr("argument 'n' (int32) is passed as parameter 2 of kernel 'k', which is 8 bytes"));
  EXPECT_THAT(mismatch({sized(4)}, {array("x", DataType::float32)}), HasSubstr("which is 4 bytes"));
  EXPECT_THAT(mismatch({sized(8), sized(8), sized(4)}, {array("x", DataType::float32)}),
              HasSubstr("takes 3 parameters (8 bytes, 8 bytes, 4 bytes)"));
}

TEST(ParameterCheck, LocalMemoryIsPassedLast) {
  const KernelParameter x = buffer("float* x", DataType::float32);
  EXPECT_THAT(mismatch({local("__local float* l"), x}, {array("x", DataType::float32)}, Bytes{64}),
              AllOf(HasSubstr("'__local float* l'"), HasSubstr("move the parameter to the end")));
  EXPECT_THAT(mismatch({local("__local float* l"), x}, {array("x", DataType::float32)}),
              HasSubstr("move the parameter to the end"));
  EXPECT_THAT(mismatch({x, local("__local float* l")}, {array("x", DataType::float32)}),
              HasSubstr("give the size of its __local memory with `shared`"));
  EXPECT_THAT(mismatch({x}, {array("x", DataType::float32)}, Bytes{64}),
              AllOf(HasSubstr("takes 1 parameter "), HasSubstr("and 64 bytes of __local memory")));
  EXPECT_THAT(mismatch({x, x}, {array("x", DataType::float32)}, Bytes{64}),
              HasSubstr("64 bytes of __local memory (`shared`) are passed as the last parameter"));
}

}  // namespace
}  // namespace warpwright::measure
