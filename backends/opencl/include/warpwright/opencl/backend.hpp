// OpenCL 1.2 devices of any vendor: GPUs, and CPUs through PoCL. Device ids are "opencl:platform:device", numbered as
// the loader lists them. The loader, libOpenCL.so.1, is opened at run time.
//
// What is particular to it:
//  - Compiling needs the device (Compiler::needs_device() is true). Definitions are put in front of the source as
//  #define
//    lines, followed by a #line with CompileJob::file_name, because the options string of OpenCL has no portable
//    quoting;
//    "-cl-std=CL1.2" is added unless the options name a standard.
//  - On PoCL machine code is made at the first enqueue of each local size and is not in the Binary: the first launch of
//  a
//    geometry takes as long as compiling (about a second), so callers do one untimed launch and charge it to compiling.
//  - Event::elapsed_since() runs from the start of the first copy, fill or launch after the earlier event to the end of
//  the
//    last one before the later event, by the driver's profiling counters: the cost of launching is not in it.
//  - LaunchConfig::dynamic_shared is passed as a trailing __local pointer argument, which the kernel must declare.
//  - There are no symbols (Module::symbol() is null), graphs, cooperative launches, clusters, or telemetry.
//  - Registers per thread are known on NVIDIA only, from the compiler's report, and only when the driver did not take
//  the
//    binary from its own cache.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <warpwright/device/backend.hpp>

namespace warpwright::opencl {

struct Options {
  std::string loader_library = "libOpenCL.so.1";  // a full path, or a name for dlopen
  // Where programs lie (the folders of PATH). PoCL links every kernel with the program `ld`; where there is none, the
  // first launch ends the process. With folders given, probe() says whether one of them has it.
  std::vector<std::filesystem::path> program_folders;
};

// Never throws for a missing driver: probe() of the result says what is missing.
std::unique_ptr<device::Backend> make_backend();
std::unique_ptr<device::Backend> make_backend(const Options& options);
// The same with another loader: a full path, or a name for dlopen.
std::unique_ptr<device::Backend> make_backend(const std::string& loader_library);

}  // namespace warpwright::opencl
