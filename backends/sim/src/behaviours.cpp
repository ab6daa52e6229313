#include <algorithm>
#include <fmt/format.h>
#include <optional>

#include <warpwright/sim/behaviour.hpp>

namespace warpwright::sim {

namespace {

// Calls visitor with a value of the C++ type of `type`; false for the 16-bit floats, which C++20 lacks.
template <class Visitor>
bool with_type(DataType type, Visitor&& visitor) {
  switch (type) {
    case DataType::int8:
      visitor(std::int8_t{});
      return true;
    case DataType::uint8:
      visitor(std::uint8_t{});
      return true;
    case DataType::int16:
      visitor(std::int16_t{});
      return true;
    case DataType::uint16:
      visitor(std::uint16_t{});
      return true;
    case DataType::int32:
      visitor(std::int32_t{});
      return true;
    case DataType::uint32:
      visitor(std::uint32_t{});
      return true;
    case DataType::int64:
      visitor(std::int64_t{});
      return true;
    case DataType::uint64:
      visitor(std::uint64_t{});
      return true;
    case DataType::float32:
      visitor(float{});
      return true;
    case DataType::float64:
      visitor(double{});
      return true;
    case DataType::float16:
    case DataType::bfloat16:
      return false;
  }
  return false;
}

Error unsupported_type(const LaunchView& launch) {
  return Error(ErrorCode::bad_input,
               fmt::format("kernel '{}': the built-in behaviours know no 16-bit floats", launch.kernel));
}

// Runs body(T{}) with the element type of argument `index`.
template <class Body>
void by_element(const LaunchView& launch, std::size_t index, Body&& body) {
  const DataType type = index < launch.arguments.size() ? launch.arguments[index].type : DataType::float32;
  if (!with_type(type, body)) throw unsupported_type(launch);
}

// The first `count` elements, which must be there.
template <class T>
std::span<T> first(const LaunchView& launch, std::size_t index, std::int64_t count) {
  const std::span<T> all = launch.buffer<T>(index);
  if (count < 0 || static_cast<std::uint64_t>(count) > all.size())
    throw Error(ErrorCode::bad_input, fmt::format("kernel '{}': argument {} has {} elements, the kernel uses {}",
                                                  launch.kernel, index, all.size(), count));
  return all.first(static_cast<std::size_t>(count));
}

// Integers go through unsigned arithmetic, which wraps as devices do.
template <class T>
T add(T a, T b) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  else
    return a + b;
}
template <class T>
T multiply(T a, T b) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
  else
    return a * b;
}

template <class T>
T scalar_as(const LaunchView& launch, std::size_t index) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(launch.integer(index));
  else
    return static_cast<T>(launch.number(index));
}

void vector_add(const LaunchView& launch) {
  by_element(launch, 0, [&]<class T>(T) {
    const std::int64_t n = launch.integer(3);
    const auto c = first<T>(launch, 0, n), a = first<T>(launch, 1, n), b = first<T>(launch, 2, n);
    for (std::size_t i = 0; i < c.size(); ++i) c[i] = add(a[i], b[i]);
  });
}

void saxpy(const LaunchView& launch) {
  by_element(launch, 0, [&]<class T>(T) {
    const std::int64_t n = launch.integer(3);
    const auto y = first<T>(launch, 0, n), x = first<T>(launch, 1, n);
    const T factor = scalar_as<T>(launch, 2);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = add(multiply(factor, x[i]), y[i]);
  });
}

void scale(const LaunchView& launch) {
  by_element(launch, 0, [&]<class T>(T) {
    const std::int64_t n = launch.integer(3);
    const auto y = first<T>(launch, 0, n), x = first<T>(launch, 1, n);
    const T factor = scalar_as<T>(launch, 2);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = multiply(factor, x[i]);
  });
}

void copy(const LaunchView& launch) {
  by_element(launch, 0, [&]<class T>(T) {
    const std::int64_t n = launch.integer(2);
    const auto y = first<T>(launch, 0, n), x = first<T>(launch, 1, n);
    std::copy(x.begin(), x.end(), y.begin());
  });
}

void fill(const LaunchView& launch) {
  by_element(launch, 0,
             [&]<class T>(T) { std::ranges::fill(first<T>(launch, 0, launch.integer(2)), scalar_as<T>(launch, 1)); });
}

void reduce_sum(const LaunchView& launch) {
  by_element(launch, 0, [&]<class T>(T) {
    const auto out = first<T>(launch, 0, 1), x = first<T>(launch, 1, launch.integer(2));
    if constexpr (std::is_integral_v<T>) {
      T sum{};
      for (const T value : x) sum = add(sum, value);
      out[0] = sum;
    } else {
      double sum = 0;
      for (const T value : x) sum += static_cast<double>(value);
      out[0] = static_cast<T>(sum);
    }
  });
}

// nx * ny elements of a matrix, without overflow.
std::int64_t area(const LaunchView& launch, std::int64_t nx, std::int64_t ny) {
  std::int64_t product = 0;
  if (nx < 0 || ny < 0 || __builtin_mul_overflow(nx, ny, &product))
    throw Error(ErrorCode::bad_input, fmt::format("kernel '{}': there is no {} x {} matrix", launch.kernel, nx, ny));
  return product;
}

void stencil5(const LaunchView& launch) {
  by_element(launch, 0, [&]<class T>(T) {
    const std::int64_t nx = launch.integer(2), ny = launch.integer(3), n = area(launch, nx, ny);
    const auto out = first<T>(launch, 0, n), in = first<T>(launch, 1, n);
    const auto cell = [&](std::int64_t x, std::int64_t y) {
      x = std::clamp<std::int64_t>(x, 0, nx - 1);
      y = std::clamp<std::int64_t>(y, 0, ny - 1);
      return in[static_cast<std::size_t>(y * nx + x)];
    };
    for (std::int64_t y = 0; y < ny; ++y)
      for (std::int64_t x = 0; x < nx; ++x) {
        const T sum = add(add(add(cell(x, y), cell(x - 1, y)), add(cell(x + 1, y), cell(x, y - 1))), cell(x, y + 1));
        out[static_cast<std::size_t>(y * nx + x)] = static_cast<T>(sum / T{5});
      }
  });
}

void transpose(const LaunchView& launch) {
  by_element(launch, 0, [&]<class T>(T) {
    const std::int64_t nx = launch.integer(2), ny = launch.integer(3), n = area(launch, nx, ny);
    const auto out = first<T>(launch, 0, n), in = first<T>(launch, 1, n);
    for (std::int64_t y = 0; y < ny; ++y)
      for (std::int64_t x = 0; x < nx; ++x)
        out[static_cast<std::size_t>(x * ny + y)] = in[static_cast<std::size_t>(y * nx + x)];
  });
}

void matmul(const LaunchView& launch) {
  by_element(launch, 0, [&]<class T>(T) {
    const std::int64_t m = launch.integer(3), n = launch.integer(4), k = launch.integer(5);
    const auto c = first<T>(launch, 0, area(launch, m, n));
    const auto a = first<T>(launch, 1, area(launch, m, k)), b = first<T>(launch, 2, area(launch, k, n));
    std::vector<double> row(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < m; ++i) {
      std::ranges::fill(row, 0.0);
      for (std::int64_t l = 0; l < k; ++l) {
        const auto factor = static_cast<double>(a[static_cast<std::size_t>(i * k + l)]);
        for (std::int64_t j = 0; j < n; ++j)
          row[static_cast<std::size_t>(j)] += factor * static_cast<double>(b[static_cast<std::size_t>(l * n + j)]);
      }
      for (std::int64_t j = 0; j < n; ++j)
        c[static_cast<std::size_t>(i * n + j)] = static_cast<T>(row[static_cast<std::size_t>(j)]);
    }
  });
}

template <class T>
std::optional<T> read_scalar(const LaunchView::Argument& argument, DataType type) {
  std::optional<T> result;
  with_type(type, [&]<class S>(S value) {
    if (argument.scalar.size != sizeof(S)) return;
    std::memcpy(&value, argument.scalar.bytes.data(), sizeof(S));
    result = static_cast<T>(value);
  });
  return result;
}

}  // namespace

const LaunchView::Argument& LaunchView::at(std::size_t index, bool buffer) const {
  if (index >= arguments.size())
    throw Error(ErrorCode::bad_input,
                fmt::format("kernel '{}' was launched with {} arguments, its behaviour uses number {}", kernel,
                            arguments.size(), index));
  if (arguments[index].is_buffer != buffer)
    throw Error(ErrorCode::bad_input,
                fmt::format("kernel '{}': argument {} must be a {}", kernel, index, buffer ? "buffer" : "scalar"));
  return arguments[index];
}

Error LaunchView::size_mismatch(std::size_t index, std::size_t found, std::size_t wanted) const {
  return Error(ErrorCode::bad_input,
               fmt::format("kernel '{}': argument {} has {} bytes, its behaviour wants elements of {}", kernel, index,
                           found, wanted));
}

std::int64_t LaunchView::integer(std::size_t index) const {
  const Argument& argument = at(index, false);
  const DataType type = argument.declared           ? argument.type
                        : argument.scalar.size == 8 ? DataType::int64
                                                    : DataType::int32;
  if (!is_floating(type))
    if (const auto value = read_scalar<std::int64_t>(argument, type)) return *value;
  throw Error(ErrorCode::bad_input, fmt::format("kernel '{}': argument {} of {} bytes is no {}", kernel, index,
                                                argument.scalar.size, is_floating(type) ? "integer" : to_string(type)));
}

double LaunchView::number(std::size_t index) const {
  const Argument& argument = at(index, false);
  const DataType type = argument.declared           ? argument.type
                        : argument.scalar.size == 8 ? DataType::float64
                                                    : DataType::float32;
  if (const auto value = read_scalar<double>(argument, type)) return *value;
  throw Error(ErrorCode::bad_input, fmt::format("kernel '{}': argument {} of {} bytes is no {}", kernel, index,
                                                argument.scalar.size, to_string(type)));
}

std::span<std::byte> LaunchView::symbol_bytes(std::string_view name) const {
  std::vector<std::string> names;
  for (const auto& entry : symbols) {
    if (entry.name == name) return entry.bytes;
    names.push_back(entry.name);
  }
  throw Error(ErrorCode::not_found, fmt::format("kernel '{}' uses symbol '{}'; the module has {}", kernel, name,
                                                names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
}

std::int64_t LaunchView::define(std::string_view name) const {
  const auto found = defines.find(std::string(name));
  if (found == defines.end())
    throw Error(ErrorCode::not_found,
                fmt::format("kernel '{}' uses the definition '{}', which there is not", kernel, name));
  if (const auto value = as_integer(found->second)) return *value;
  throw Error(ErrorCode::bad_input, fmt::format("kernel '{}': definition {} = {} is no integer", kernel, name,
                                                warpwright::to_string(found->second)));
}

void LaunchView::for_each_thread(
    const std::function<void(const std::array<std::int64_t, 3>&, const std::array<std::int64_t, 3>&)>& body) const {
  std::array<std::int64_t, 3> b{}, t{};
  for (b[2] = 0; b[2] < grid[2]; ++b[2])
    for (b[1] = 0; b[1] < grid[1]; ++b[1])
      for (b[0] = 0; b[0] < grid[0]; ++b[0])
        for (t[2] = 0; t[2] < block[2]; ++t[2])
          for (t[1] = 0; t[1] < block[1]; ++t[1])
            for (t[0] = 0; t[0] < block[0]; ++t[0]) body(b, t);
}

const std::map<std::string, Behaviour>& built_in_behaviours() {
  static const std::map<std::string, Behaviour> behaviours{
      {"vector_add", {vector_add, {"float32* c", "float32* a", "float32* b", "int32 n"}}},
      {"saxpy", {saxpy, {"float32* y", "float32* x", "float32 a", "int32 n"}}},
      {"scale", {scale, {"float32* y", "float32* x", "float32 factor", "int32 n"}}},
      {"copy", {copy, {"float32* y", "float32* x", "int32 n"}}},
      {"fill", {fill, {"float32* y", "float32 value", "int32 n"}}},
      {"reduce_sum", {reduce_sum, {"float32* out", "float32* x", "int32 n"}}},
      {"stencil5", {stencil5, {"float32* out", "float32* in", "int32 nx", "int32 ny"}}},
      {"transpose", {transpose, {"float32* out", "float32* in", "int32 nx", "int32 ny"}}},
      {"matmul", {matmul, {"float32* c", "float32* a", "float32* b", "int32 m", "int32 n", "int32 k"}}},
      {"nothing", {[](const LaunchView&) {}, {}, false}},
  };
  return behaviours;
}

}  // namespace warpwright::sim
