// The part of NVRTC that this backend uses, declared by ourselves; see cuda_abi.hpp for why. The same in NVRTC 12
// and 13, where nothing else is said.
#pragma once

#include <cstddef>
#include <cstdint>

namespace warpwright::cuda::nvrtc_abi {

// nvrtcResult.
enum Result : std::uint32_t {
  success = 0,
  out_of_memory = 1,
  program_creation_failure = 2,
  invalid_input = 3,
  invalid_program = 4,
  invalid_option = 5,
  compilation = 6,
  builtin_operation_failure = 7,
  no_name_expressions_after_compilation = 8,
  no_lowered_names_before_compilation = 9,
  name_expression_not_valid = 10,
  internal_error = 11
};

struct ProgramTag;
using ProgramHandle = ProgramTag*;  // nvrtcProgram

struct Functions {
  const char* (*get_error_string)(Result result) = nullptr;
  Result (*version)(int* major, int* minor) = nullptr;
  Result (*get_num_supported_archs)(int* count) = nullptr;
  Result (*get_supported_archs)(int* architectures) = nullptr;
  Result (*create_program)(ProgramHandle* program, const char* source, const char* name, int header_count,
                           const char* const* headers, const char* const* include_names) = nullptr;
  Result (*destroy_program)(ProgramHandle* program) = nullptr;
  Result (*compile_program)(ProgramHandle program, int option_count, const char* const* options) = nullptr;
  Result (*get_cubin_size)(ProgramHandle program, std::size_t* size) = nullptr;
  Result (*get_cubin)(ProgramHandle program, char* cubin) = nullptr;
  Result (*get_program_log_size)(ProgramHandle program, std::size_t* size) = nullptr;
  Result (*get_program_log)(ProgramHandle program, char* log) = nullptr;
  Result (*add_name_expression)(ProgramHandle program, const char* expression) = nullptr;
  Result (*get_lowered_name)(ProgramHandle program, const char* expression, const char** lowered) = nullptr;
  // Since 13.5; null before. Threads and processes that unpack into one folder wait for each other, and what is there
  // in the right version stays. `error_log` may be null; what it gets is NVRTC's, until the thread's next call.
  Result (*install_bundled_headers)(const char* folder, unsigned flags, const char** error_log) = nullptr;
};

// Calls visit(pointer, symbol) for every function that all releases have; they are required.
template <class FunctionTable, class Visitor>
void for_each_function(FunctionTable& functions, Visitor&& visit) {
  visit(functions.get_error_string, "nvrtcGetErrorString");
  visit(functions.version, "nvrtcVersion");
  visit(functions.get_num_supported_archs, "nvrtcGetNumSupportedArchs");
  visit(functions.get_supported_archs, "nvrtcGetSupportedArchs");
  visit(functions.create_program, "nvrtcCreateProgram");
  visit(functions.destroy_program, "nvrtcDestroyProgram");
  visit(functions.compile_program, "nvrtcCompileProgram");
  visit(functions.get_cubin_size, "nvrtcGetCUBINSize");
  visit(functions.get_cubin, "nvrtcGetCUBIN");
  visit(functions.get_program_log_size, "nvrtcGetProgramLogSize");
  visit(functions.get_program_log, "nvrtcGetProgramLog");
  visit(functions.add_name_expression, "nvrtcAddNameExpression");
  visit(functions.get_lowered_name, "nvrtcGetLoweredName");
}

// The same for those that newer releases have.
template <class FunctionTable, class Visitor>
void for_each_newer_function(FunctionTable& functions, Visitor&& visit) {
  visit(functions.install_bundled_headers, "nvrtcInstallBundledHeaders");
}

}  // namespace warpwright::cuda::nvrtc_abi
