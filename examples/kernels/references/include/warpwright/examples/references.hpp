// What the example kernels should compute, written for the CPU: plain loops, double precision where sums are long, and
// no code shared with the kernels. Tests compare every backend with these; they are not fast. All functions are
// thread-safe. Spans must have the sizes their comments name (Error(bad_input) otherwise).
#pragma once

#include <cstdint>
#include <span>

namespace warpwright::examples {

// Two neighbouring values as kernels see them in int32x2 buffers.
struct Int2 {
  std::int32_t x = 0, y = 0;
};
// float32x4.
struct Float4 {
  float x = 0, y = 0, z = 0, w = 0;
};

// c[i] = a[i] + b[i]; three spans of one size.
void vector_add(std::span<const float> a, std::span<const float> b, std::span<float> c);

// The sum, in double.
double reduction(std::span<const float> in);

// out (width rows of height) from in (height rows of width).
void transpose(std::span<const float> in, std::span<float> out, std::int64_t width, std::int64_t height);

// out: height x width; in: (height + filter - 1) x (width + filter - 1); weights: filter x filter.
void convolution(std::span<const float> in, std::span<const float> weights, std::span<float> out, std::int64_t width,
                 std::int64_t height, std::int64_t filter);

// c = alpha a b, row-major; a: m x k, b: k x n, c: m x n.
void gemm(std::span<const float> a, std::span<const float> b, std::span<float> c, std::int64_t m, std::int64_t n,
          std::int64_t k, float alpha);

// positions: x, y, z and mass; accelerations: x, y, z and 0, divided by the number of bodies. `softening` is added to
// squared distances.
void nbody(std::span<const Float4> positions, std::span<Float4> accelerations, double softening);

// `steps` steps of centre * in + neighbour * (four neighbours), a cell beyond the edge being the cell itself.
void stencil(std::span<const float> in, std::span<float> out, std::int64_t width, std::int64_t height,
             std::int64_t steps, double centre, double neighbour);

// counts: 256, one for each byte value.
void histogram(std::span<const std::uint8_t> data, std::span<std::uint32_t> counts);

// inside[i] = 1 if points[i] lies in the polygon by the even-odd rule (ray to the right; edges contain their lower
// end).
void point_in_polygon(std::span<const Int2> points, std::span<const Int2> polygon, std::span<std::int32_t> inside);

// y = 2 x + 1: what examples/kernels/faulty gets wrong.
void faulty(std::span<const float> x, std::span<float> y);

}  // namespace warpwright::examples
