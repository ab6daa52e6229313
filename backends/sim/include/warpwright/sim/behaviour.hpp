// What a simulated kernel does to its bytes, written in C++.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/device/context.hpp>
#include <warpwright/model/data_type.hpp>
#include <warpwright/model/value.hpp>

namespace warpwright::sim {

// One launch as a behaviour sees it. Valid during the call only. One thread only.
class LaunchView {
 public:
  struct Argument {
    std::string name;                   // empty unless the kernel declares its arguments
    DataType type = DataType::float32;  // of an element or of the scalar, as declared
    bool declared = false;              // name and type come from a declaration
    bool is_buffer = false;
    std::span<std::byte> bytes;  // of the buffer: aligned for every type; empty for scalars
    device::ScalarArgument scalar;
  };
  struct Symbol {
    std::string name;
    std::span<std::byte> bytes;
  };

  std::string kernel;
  std::array<std::int64_t, 3> grid{1, 1, 1}, block{1, 1, 1};
  Bytes dynamic_shared{};
  std::map<std::string, Value> defines;  // of the compile job
  std::vector<Argument> arguments;
  std::vector<Symbol> symbols;

  // Elements of buffer argument `index`. Throws Error(bad_input) if it is none, or its size is no multiple of T.
  template <class T>
  std::span<T> buffer(std::size_t index) const {
    return view<T>(at(index, true).bytes, index);
  }
  // Scalar argument `index`, which must have the size of T. Throws Error(bad_input) otherwise.
  template <class T>
  T scalar(std::size_t index) const {
    const Argument& argument = at(index, false);
    if (argument.scalar.size != sizeof(T)) throw size_mismatch(index, argument.scalar.size, sizeof(T));
    T value;
    std::memcpy(&value, argument.scalar.bytes.data(), sizeof(T));
    return value;
  }
  // Scalar argument `index` by its declared type; int32 or int64 by its size where it is not declared.
  std::int64_t integer(std::size_t index) const;
  // As integer(), for every type but the 16-bit floats; float32 or float64 by its size where it is not declared.
  double number(std::size_t index) const;
  // Elements of a symbol. Throws Error(not_found) naming the symbols there are.
  template <class T>
  std::span<T> symbol(std::string_view name) const {
    return view<T>(symbol_bytes(name), 0);
  }
  // Integer value of a definition. Throws Error(not_found) or Error(bad_input).
  std::int64_t define(std::string_view name) const;

  // Calls body(block_index, thread_index) for every thread of the launch, block by block.
  void for_each_thread(
      const std::function<void(const std::array<std::int64_t, 3>&, const std::array<std::int64_t, 3>&)>& body) const;

 private:
  const Argument& at(std::size_t index, bool buffer) const;
  std::span<std::byte> symbol_bytes(std::string_view name) const;
  Error size_mismatch(std::size_t index, std::size_t found, std::size_t wanted) const;

  template <class T>
  std::span<T> view(std::span<std::byte> bytes, std::size_t index) const {
    static_assert(std::is_trivially_copyable_v<T>);
    if (bytes.size() % sizeof(T) != 0) throw size_mismatch(index, bytes.size(), sizeof(T));
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

// A kernel body with the arguments it expects, in the notation of the `arguments` key ("float32* c", "int32 n"); empty
// if it takes any.
struct Behaviour {
  std::function<void(const LaunchView&)> run;
  std::vector<std::string> arguments;
  // False: `run` looks at no contents, so that buffers which nothing else writes cost no memory of this machine.
  bool uses_bytes = true;
};

// The built-in ones. They do the whole job whatever the geometry is, as a grid-stride loop does. Element types are
// those that the kernel's own `arguments` declare (any integer or float but the 16-bit floats), by default:
//   vector_add(float32* c, float32* a, float32* b, int32 n)          c[i] = a[i] + b[i]
//   saxpy(float32* y, float32* x, float32 a, int32 n)                y[i] = a * x[i] + y[i]
//   scale(float32* y, float32* x, float32 factor, int32 n)           y[i] = factor * x[i]
//   copy(float32* y, float32* x, int32 n)                            y[i] = x[i]
//   fill(float32* y, float32 value, int32 n)                         y[i] = value
//   reduce_sum(float32* out, float32* x, int32 n)                    out[0] = sum of x, added in double precision
//   stencil5(float32* out, float32* in, int32 nx, int32 ny)          mean of a cell and its 4 neighbours, edges
//   repeated transpose(float32* out, float32* in, int32 nx, int32 ny)         out[x * ny + y] = in[y * nx + x]
//   matmul(float32* c, float32* a, float32* b, int32 m, int32 n, int32 k)   row-major c = a b, added in double
//   precision nothing()                                                        any arguments
const std::map<std::string, Behaviour>& built_in_behaviours();

}  // namespace warpwright::sim
