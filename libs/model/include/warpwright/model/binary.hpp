// A compiled program as plain data: what a compiler made, what a cache keeps and what travels to a worker.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/model/data_type.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright {

// A parameter of a kernel, as far as the compiler or driver tells.
struct KernelParameter {
  enum class Kind {
    unknown,
    buffer,   // a pointer to global or constant memory
    local,    // OpenCL: a pointer to __local memory
    scalar,   // by value
    image,    // OpenCL: image2d_t
    sampler,  // OpenCL: sampler_t
    other     // another kind of image, a pipe or a queue
  };
  Kind kind = Kind::unknown;
  std::string text;  // as declared, such as "float* y"; empty if it is not told
  // Of the scalar or of the buffer's elements, each of so many components; absent for structures, void and type names
  // that the compiler does not resolve.
  std::optional<DataType> type;
  int components = 1;
  std::optional<Bytes> size;  // of what is passed
  bool writable = false;      // an image that the kernel may write: write_only or read_write
};
std::string_view to_string(KernelParameter::Kind kind) noexcept;

// A compiled program. Plain data.
struct Binary {
  std::string backend;                         // "cuda", "opencl", "sim"
  std::string target;                          // "sm_90a", or the device name for OpenCL
  std::string format;                          // "cubin", "clbin", "sim"
  std::string image;                           // the bytes
  std::map<std::string, std::string> symbols;  // requested entry -> name in the image (mangled for templates)
  std::string log;                             // warnings and resource report of the compiler
  std::vector<KernelResources> resources;      // per entry, as far as the compiler tells without a device
  // By requested entry, in order; entries of which the compiler does not tell are absent.
  std::map<std::string, std::vector<KernelParameter>> parameters;
};

}  // namespace warpwright
