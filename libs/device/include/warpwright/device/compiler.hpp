// Turning source into a binary, apart from any open device: NVRTC needs none, OpenCL does (`needs_device`).
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/model/binary.hpp>

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
