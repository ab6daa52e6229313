// What is asked of an OpenCL program or kernel object, for the compiler and for loaded modules. Internal.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/model/trial.hpp>

#include "handles.hpp"

namespace warpwright::opencl {

// The log of the last build, without trailing white space; empty if the driver has none.
std::string build_log(const Api& api, abi::Program program, abi::Device device);

// Names of the kernels of a built program; empty if the driver does not tell.
std::vector<std::string> kernel_names(const Api& api, abi::Program program);

// Fields the driver does not tell stay absent.
KernelResources query_resources(const Api& api, abi::Kernel kernel, abi::Device device, const std::string& entry);

// Registers per thread by kernel, from the report NVIDIA's compiler writes under -cl-nv-verbose:
//   ptxas info    : Compiling entry function 'add' for 'sm_90'
//   ptxas info    : Used 12 registers, 376 bytes cmem[0]
std::map<std::string, int> parse_ptxas_registers(std::string_view log);

}  // namespace warpwright::opencl
