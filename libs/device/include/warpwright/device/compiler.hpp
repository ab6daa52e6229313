// Turning source into a binary, apart from any open device: NVRTC needs none, OpenCL does (`needs_device`).
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/model/data_type.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright::device {

// Everything that decides the binary. Plain data: may be hashed, sent to another process, compiled elsewhere.
struct CompileJob {
  std::string source;
  std::string file_name;  // for messages
  std::vector<std::pair<std::string, std::string>> defines;
  std::vector<std::string> options;
  std::vector<std::filesystem::path> include_folders;
  // Kernel entries wanted: plain names, or C++ name expressions ("gemm<4, true>") where the compiler knows them.
  std::vector<std::string> entries;
};

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

// Thread-compatible; one per thread that compiles.
class Compiler {
 public:
  virtual ~Compiler() = default;
  // "NVRTC 13.0": part of every cache key.
  virtual std::string version() const = 0;
  // What the binaries run on; part of every cache key.
  virtual std::string target() const = 0;
  virtual bool needs_device() const = 0;
  // Throws Error(compile) whose message is the compiler's log, Error(unavailable) when the compiler is missing.
  virtual Binary compile(const CompileJob& job) = 0;
};

// The source below its definitions, with lines counted as in the source alone: for compilers that had better not get
// definitions as options. As such they would also replace words of built-in headers (NVRTC's has names as common as
// "kind" and "count"), and OpenCL drivers differ in how they split values.
std::string source_with_defines(const CompileJob& job);

// Content address of what `job` compiles to: 32 hexadecimal digits over every field, compiler version and target.
// Folders count by name: quoted includes are inlined by the reader of the specification, and what angle includes find
// belongs to the toolkit, whose version is in the key.
std::string cache_key(const CompileJob& job, const Compiler& compiler);

}  // namespace warpwright::device
