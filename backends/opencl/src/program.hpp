// What is asked of an OpenCL program or kernel object, for the compiler and for loaded modules. Internal.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/device/compiler.hpp>
#include <warpwright/model/trial.hpp>

#include "handles.hpp"

namespace warpwright::opencl {

// The log of the last build, without trailing white space; empty if the driver has none.
std::string build_log(const Api& api, abi::Program program, abi::Device device);

// Names of the kernels of a built program; empty if the driver does not tell.
std::vector<std::string> kernel_names(const Api& api, abi::Program program);

// Fields the driver does not tell stay absent.
KernelResources query_resources(const Api& api, abi::Kernel kernel, abi::Device device, const std::string& entry);

// Of a kernel built with -cl-kernel-arg-info; nullopt where the driver does not tell.
std::optional<std::vector<KernelParameter>> query_parameters(const Api& api, abi::Kernel kernel);
// What an argument of this type name is: "uint" and "unsigned int" are uint32 with one component, "float4*" is float32
// with four. Without a type for the names of structures and typedefs.
KernelParameter parameter_of_type(std::string_view type_name);
// Declared by reqd_work_group_size; nullopt if any block will do.
std::optional<std::array<std::int64_t, 3>> query_required_block(const Api& api, abi::Kernel kernel, abi::Device device);

// Registers per thread by kernel, from the report NVIDIA's compiler writes under -cl-nv-verbose:
//   ptxas info    : Compiling entry function 'add' for 'sm_90'
//   ptxas info    : Used 12 registers, 376 bytes cmem[0]
std::map<std::string, int> parse_ptxas_registers(std::string_view log);

}  // namespace warpwright::opencl
