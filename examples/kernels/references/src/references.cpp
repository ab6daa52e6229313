#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/examples/references.hpp>

namespace warpwright::examples {

namespace {

void require(bool sizes_agree, const char* function) {
  if (!sizes_agree)
    throw Error(ErrorCode::bad_input,
                std::string("examples::") + function + ": the spans' sizes do not fit the dimensions");
}

std::size_t index(std::int64_t value) { return static_cast<std::size_t>(value); }

}  // namespace

void vector_add(std::span<const float> a, std::span<const float> b, std::span<float> c) {
  require(a.size() == c.size() && b.size() == c.size(), "vector_add");
  for (std::size_t i = 0; i < c.size(); ++i) c[i] = a[i] + b[i];
}

double reduction(std::span<const float> in) {
  double sum = 0;
  for (const float value : in) sum += static_cast<double>(value);
  return sum;
}

void transpose(std::span<const float> in, std::span<float> out, std::int64_t width, std::int64_t height) {
  require(in.size() == index(width * height) && out.size() == in.size(), "transpose");
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) out[index(x * height + y)] = in[index(y * width + x)];
  }
}

void convolution(std::span<const float> in, std::span<const float> weights, std::span<float> out, std::int64_t width,
                 std::int64_t height, std::int64_t filter) {
  const std::int64_t in_width = width + filter - 1;
  require(in.size() == index(in_width * (height + filter - 1)) && weights.size() == index(filter * filter) &&
              out.size() == index(width * height),
          "convolution");
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      double sum = 0;
      for (std::int64_t v = 0; v < filter; ++v) {
        for (std::int64_t u = 0; u < filter; ++u)
          sum += static_cast<double>(in[index((y + v) * in_width + x + u)]) *
                 static_cast<double>(weights[index(v * filter + u)]);
      }
      out[index(y * width + x)] = static_cast<float>(sum);
    }
  }
}

void gemm(std::span<const float> a, std::span<const float> b, std::span<float> c, std::int64_t m, std::int64_t n,
          std::int64_t k, float alpha) {
  require(a.size() == index(m * k) && b.size() == index(k * n) && c.size() == index(m * n), "gemm");
  std::vector<double> row(index(n));
  for (std::int64_t i = 0; i < m; ++i) {
    std::fill(row.begin(), row.end(), 0.0);
    for (std::int64_t depth = 0; depth < k; ++depth) {
      const double factor = static_cast<double>(a[index(i * k + depth)]);
      for (std::int64_t j = 0; j < n; ++j) row[index(j)] += factor * static_cast<double>(b[index(depth * n + j)]);
    }
    for (std::int64_t j = 0; j < n; ++j)
      c[index(i * n + j)] = static_cast<float>(static_cast<double>(alpha) * row[index(j)]);
  }
}

void nbody(std::span<const Float4> positions, std::span<Float4> accelerations, double softening) {
  require(positions.size() == accelerations.size(), "nbody");
  const double count = static_cast<double>(positions.size());
  for (std::size_t i = 0; i < positions.size(); ++i) {
    double ax = 0, ay = 0, az = 0;
    for (const Float4& other : positions) {
      const double dx = static_cast<double>(other.x) - static_cast<double>(positions[i].x);
      const double dy = static_cast<double>(other.y) - static_cast<double>(positions[i].y);
      const double dz = static_cast<double>(other.z) - static_cast<double>(positions[i].z);
      const double distance = std::sqrt(dx * dx + dy * dy + dz * dz + softening);
      const double strength = static_cast<double>(other.w) / (distance * distance * distance);
      ax += dx * strength;
      ay += dy * strength;
      az += dz * strength;
    }
    accelerations[i] = {static_cast<float>(ax / count), static_cast<float>(ay / count), static_cast<float>(az / count),
                        0};
  }
}

void stencil(std::span<const float> in, std::span<float> out, std::int64_t width, std::int64_t height,
             std::int64_t steps, double centre, double neighbour) {
  require(in.size() == index(width * height) && out.size() == in.size(), "stencil");
  std::vector<double> now(in.begin(), in.end());
  std::vector<double> next(now.size());
  const auto at = [&](std::int64_t x, std::int64_t y) {
    return now[index(std::clamp<std::int64_t>(y, 0, height - 1) * width + std::clamp<std::int64_t>(x, 0, width - 1))];
  };
  for (std::int64_t step = 0; step < steps; ++step) {
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x)
        next[index(y * width + x)] =
            centre * at(x, y) + neighbour * (at(x, y - 1) + at(x, y + 1) + at(x - 1, y) + at(x + 1, y));
    }
    now.swap(next);
  }
  std::transform(now.begin(), now.end(), out.begin(), [](double value) { return static_cast<float>(value); });
}

void histogram(std::span<const std::uint8_t> data, std::span<std::uint32_t> counts) {
  require(counts.size() == 256, "histogram");
  std::fill(counts.begin(), counts.end(), 0U);
  for (const std::uint8_t value : data) ++counts[value];
}

void point_in_polygon(std::span<const Int2> points, std::span<const Int2> polygon, std::span<std::int32_t> inside) {
  require(points.size() == inside.size(), "point_in_polygon");
  for (std::size_t i = 0; i < points.size(); ++i) {
    bool in = false;
    for (std::size_t edge = 0; edge < polygon.size(); ++edge) {
      Int2 low = polygon[edge];
      Int2 high = polygon[(edge + 1) % polygon.size()];
      if (low.y > high.y) std::swap(low, high);
      if (points[i].y < low.y || points[i].y >= high.y) continue;
      // The point lies left of the edge if the triangle (low, high, point) turns left.
      const std::int64_t turn = (std::int64_t{high.x} - low.x) * (std::int64_t{points[i].y} - low.y) -
                                (std::int64_t{points[i].x} - low.x) * (std::int64_t{high.y} - low.y);
      if (turn > 0) in = !in;
    }
    inside[i] = in ? 1 : 0;
  }
}

void faulty(std::span<const float> x, std::span<float> y) {
  require(x.size() == y.size(), "faulty");
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = 2.0F * x[i] + 1.0F;
}

}  // namespace warpwright::examples
