// Kernels of this library itself: one source for CUDA and OpenCL, and a description for the simulated device.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/device/compiler.hpp>
#include <warpwright/device/context.hpp>

namespace warpwright::measure {

struct HelperSource {
  const char* what = "";  // names it in messages of the compiler
  const char* entry = "";
  const char* text = "";       // CUDA C++, and OpenCL C where WARPWRIGHT_HELPER_OPENCL is defined
  const char* simulated = "";  // of the simulated device; empty: `text`
  std::vector<std::pair<std::string, std::string>> defines;
};

struct HelperKernel {
  std::unique_ptr<device::Module> module;
  std::unique_ptr<device::Kernel> kernel;
};

// Throws what compiling and loading throw.
HelperKernel load_helper_kernel(device::Context& context, device::Compiler& compiler, const HelperSource& source);

}  // namespace warpwright::measure
