#include <cstring>
#include <map>

#include <warpwright/base/error.hpp>
#include <warpwright/examples/reference_callbacks.hpp>
#include <warpwright/examples/references.hpp>

namespace warpwright::examples {

namespace {

std::vector<std::byte>& buffer(HostBuffers& buffers, const std::string& name) {
  const auto found = buffers.find(name);
  if (found == buffers.end())
    throw Error(ErrorCode::bad_input, "reference: there is no buffer '" + name + "' in the problem's arguments");
  return found->second;
}

template <class T>
std::vector<T> values(HostBuffers& buffers, const std::string& name) {
  const std::vector<std::byte>& bytes = buffer(buffers, name);
  std::vector<T> result(bytes.size() / sizeof(T));
  if (!result.empty()) std::memcpy(result.data(), bytes.data(), result.size() * sizeof(T));
  return result;
}

template <class T>
void put(HostBuffers& buffers, const std::string& name, const std::vector<T>& result) {
  std::vector<std::byte>& bytes = buffer(buffers, name);
  bytes.resize(result.size() * sizeof(T));
  if (!result.empty()) std::memcpy(bytes.data(), result.data(), bytes.size());
}

const Value& dimension(const Configuration& dimensions, const std::string& name) {
  const Value* value = dimensions.find(name);
  if (value == nullptr) throw Error(ErrorCode::bad_input, "reference: the problem has no dimension '" + name + "'");
  return *value;
}

std::int64_t integer(const Configuration& dimensions, const std::string& name) {
  const std::optional<std::int64_t> value = as_integer(dimension(dimensions, name));
  if (!value) throw Error(ErrorCode::bad_input, "reference: dimension '" + name + "' must be an integer");
  return *value;
}

double real(const Configuration& dimensions, const std::string& name) {
  const std::optional<double> value = as_number(dimension(dimensions, name));
  if (!value) throw Error(ErrorCode::bad_input, "reference: dimension '" + name + "' must be a number");
  return *value;
}

// The scalar argument `alpha` of gemm.toml.
constexpr float gemm_alpha = 1.5F;

using Compute = void (*)(const Configuration&, HostBuffers&);

const std::map<std::string, Compute, std::less<>>& callbacks() {
  static const std::map<std::string, Compute, std::less<>> table = {
      {"vector_add",
       [](const Configuration&, HostBuffers& data) {
         std::vector<float> c(values<float>(data, "a").size());
         vector_add(values<float>(data, "a"), values<float>(data, "b"), c);
         put(data, "c", c);
       }},
      {"reduction",
       [](const Configuration&, HostBuffers& data) {
         put(data, "result", std::vector<float>{static_cast<float>(reduction(values<float>(data, "in")))});
       }},
      {"transpose",
       [](const Configuration& size, HostBuffers& data) {
         const std::vector<float> in = values<float>(data, "in");
         std::vector<float> out(in.size());
         transpose(in, out, integer(size, "width"), integer(size, "height"));
         put(data, "out", out);
       }},
      {"convolution",
       [](const Configuration& size, HostBuffers& data) {
         std::vector<float> out(static_cast<std::size_t>(integer(size, "width") * integer(size, "height")));
         convolution(values<float>(data, "in"), values<float>(data, "weights"), out, integer(size, "width"),
                     integer(size, "height"), integer(size, "filter"));
         put(data, "out", out);
       }},
      {"gemm",
       [](const Configuration& size, HostBuffers& data) {
         std::vector<float> c(static_cast<std::size_t>(integer(size, "m") * integer(size, "n")));
         gemm(values<float>(data, "a"), values<float>(data, "b"), c, integer(size, "m"), integer(size, "n"),
              integer(size, "k"), gemm_alpha);
         put(data, "c", c);
       }},
      {"nbody",
       [](const Configuration& size, HostBuffers& data) {
         const std::vector<Float4> positions = values<Float4>(data, "positions");
         std::vector<Float4> accelerations(positions.size());
         nbody(positions, accelerations, real(size, "softening"));
         put(data, "accelerations", accelerations);
       }},
      {"stencil",
       [](const Configuration& size, HostBuffers& data) {
         const std::vector<float> in = values<float>(data, "in");
         std::vector<float> out(in.size());
         stencil(in, out, integer(size, "width"), integer(size, "height"), integer(size, "steps"), real(size, "centre"),
                 real(size, "neighbour"));
         put(data, "out", out);
       }},
      {"histogram",
       [](const Configuration&, HostBuffers& data) {
         std::vector<std::uint32_t> counts(256);
         histogram(values<std::uint8_t>(data, "data"), counts);
         put(data, "counts", counts);
       }},
      {"point_in_polygon",
       [](const Configuration&, HostBuffers& data) {
         const std::vector<Int2> points = values<Int2>(data, "where");
         std::vector<std::int32_t> inside(points.size());
         point_in_polygon(points, values<Int2>(data, "polygon"), inside);
         put(data, "inside", inside);
       }},
      {"faulty",
       [](const Configuration&, HostBuffers& data) {
         const std::vector<float> x = values<float>(data, "x");
         std::vector<float> y(x.size());
         faulty(x, y);
         put(data, "y", y);
       }},
  };
  return table;
}

}  // namespace

const std::vector<std::string>& kernel_names() {
  static const std::vector<std::string> names = {"vector_add", "reduction", "transpose", "convolution",     "gemm",
                                                 "nbody",      "stencil",   "histogram", "point_in_polygon"};
  return names;
}

ReferenceCallback reference_callback(std::string_view kernel) {
  const auto found = callbacks().find(kernel == "fatal" ? "faulty" : kernel);
  if (found == callbacks().end()) {
    std::string known;
    for (const std::string& name : kernel_names()) known += (known.empty() ? "" : ", ") + name;
    throw Error(ErrorCode::not_found,
                "there is no example kernel '" + std::string(kernel) + "'; there are " + known + ", faulty, fatal");
  }
  return ReferenceCallback{found->second};
}

}  // namespace warpwright::examples
