// Our declarations of CUDA, NVRTC and NVML against the vendor's headers. Everything is a static_assert: this file
// compiles only if every number, layout and prototype agrees. A header that is not installed is skipped, with the
// reason.
#include <cstddef>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <type_traits>

#include "cuda_abi.hpp"
#include "nvml_abi.hpp"
#include "nvrtc_abi.hpp"

#if WARPWRIGHT_TEST_CUDA_H
#include <cuda.h>
#endif
#if WARPWRIGHT_TEST_NVRTC_H
#include <nvrtc.h>
#endif
#if WARPWRIGHT_TEST_NVML_H
#include <nvml.h>
#endif

namespace warpwright::cuda {
namespace {

template <class T>
concept Complete = requires {
  sizeof(T);
};

// Whether both types are passed and laid out the same way. Enums count as integers of their size, and an opaque handle
// corresponds to any other opaque class.
template <class A, class B>
constexpr bool compatible() {
  if constexpr (std::is_void_v<A> || std::is_void_v<B>) {
    return std::is_void_v<A> && std::is_void_v<B> && std::is_const_v<A> == std::is_const_v<B>;
  } else if constexpr (std::is_pointer_v<A> && std::is_pointer_v<B>) {
    using PointeeA = std::remove_pointer_t<A>;
    using PointeeB = std::remove_pointer_t<B>;
    return std::is_const_v<PointeeA> == std::is_const_v<PointeeB> && compatible<PointeeA, PointeeB>();
  } else if constexpr (std::is_class_v<A> && std::is_class_v<B>) {
    if constexpr (Complete<A> && Complete<B>) {
      return sizeof(A) == sizeof(B) && alignof(A) == alignof(B);
    } else {
      return !Complete<A> && !Complete<B>;
    }
  } else if constexpr (std::is_enum_v<A> || std::is_enum_v<B>) {
    return (std::is_enum_v<A> || std::is_integral_v<A>)&&(std::is_enum_v<B> || std::is_integral_v<B>)&&sizeof(A) ==
           sizeof(B);
  } else if constexpr (std::is_integral_v<A> && std::is_integral_v<B>) {
    return sizeof(A) == sizeof(B) && std::is_signed_v<A> == std::is_signed_v<B>;
  } else {
    return std::is_same_v<std::remove_const_t<A>, std::remove_const_t<B>>;
  }
}

template <class A, class B>
struct SameSignature : std::false_type {};
template <class ResultA, class... A, class ResultB, class... B>
requires(sizeof...(A) == sizeof...(B)) struct SameSignature<ResultA (*)(A...), ResultB (*)(B...)>
    : std::bool_constant<compatible<ResultA, ResultB>() && (compatible<A, B>() && ...)> {
};

// The comparison itself must see differences.
static_assert(compatible<int*, int*>() && !compatible<int*, const int*>() && !compatible<int, unsigned>());
static_assert(!compatible<int, long>() && !compatible<float, int>() && !compatible<void*, int*>());
static_assert(!SameSignature<int (*)(int), int (*)(int, int)>::value &&
              !SameSignature<int (*)(int), int (*)(void*)>::value);
static_assert(compatible<abi::Result, int>());

// Every function of a table must have been compared: the names seen by the checks below against those of the table.
template <class Functions, class ForEach>
std::set<std::string> names_of(ForEach&& for_each) {
  std::set<std::string> names;
  Functions functions;
  for_each(functions, names);
  return names;
}

}  // namespace

#if WARPWRIGHT_TEST_CUDA_H

namespace {

#define SAME_NUMBER(ours, theirs) static_assert(static_cast<long long>(ours) == static_cast<long long>(theirs))
// `symbol` is not expanded by # but is by decltype, which is right: cuda.h renames by macro to the exported name.
#define SAME_FUNCTION(member, symbol)                                                         \
  static_assert(SameSignature<decltype(abi::Functions::member), decltype(&::symbol)>::value); \
  const bool member##_noted = compared().insert(#symbol).second

std::set<std::string>& compared() {
  static std::set<std::string> names;
  return names;
}

SAME_FUNCTION(init, cuInit);
SAME_FUNCTION(driver_get_version, cuDriverGetVersion);
SAME_FUNCTION(get_error_name, cuGetErrorName);
SAME_FUNCTION(get_error_string, cuGetErrorString);
SAME_FUNCTION(device_get, cuDeviceGet);
SAME_FUNCTION(device_get_count, cuDeviceGetCount);
SAME_FUNCTION(device_get_name, cuDeviceGetName);
SAME_FUNCTION(device_get_uuid, cuDeviceGetUuid_v2);
SAME_FUNCTION(device_get_pci_bus_id, cuDeviceGetPCIBusId);
SAME_FUNCTION(device_total_memory, cuDeviceTotalMem_v2);
SAME_FUNCTION(device_get_attribute, cuDeviceGetAttribute);
SAME_FUNCTION(primary_context_retain, cuDevicePrimaryCtxRetain);
SAME_FUNCTION(primary_context_release, cuDevicePrimaryCtxRelease_v2);
SAME_FUNCTION(context_get_current, cuCtxGetCurrent);
SAME_FUNCTION(context_set_current, cuCtxSetCurrent);
SAME_FUNCTION(context_synchronize, cuCtxSynchronize);
SAME_FUNCTION(context_reset_persisting_l2, cuCtxResetPersistingL2Cache);
SAME_FUNCTION(memory_get_info, cuMemGetInfo_v2);
SAME_FUNCTION(memory_allocate, cuMemAlloc_v2);
SAME_FUNCTION(memory_free, cuMemFree_v2);
SAME_FUNCTION(host_allocate, cuMemHostAlloc);
SAME_FUNCTION(host_free, cuMemFreeHost);
SAME_FUNCTION(host_register, cuMemHostRegister_v2);
SAME_FUNCTION(host_unregister, cuMemHostUnregister);
SAME_FUNCTION(copy_to_device_async, cuMemcpyHtoDAsync_v2);
SAME_FUNCTION(copy_to_host_async, cuMemcpyDtoHAsync_v2);
SAME_FUNCTION(copy_on_device_async, cuMemcpyDtoDAsync_v2);
SAME_FUNCTION(fill_async, cuMemsetD8Async);
SAME_FUNCTION(stream_create, cuStreamCreate);
SAME_FUNCTION(stream_destroy, cuStreamDestroy_v2);
SAME_FUNCTION(stream_query, cuStreamQuery);
SAME_FUNCTION(stream_synchronize, cuStreamSynchronize);
SAME_FUNCTION(stream_wait_event, cuStreamWaitEvent);
SAME_FUNCTION(event_create, cuEventCreate);
SAME_FUNCTION(event_destroy, cuEventDestroy_v2);
SAME_FUNCTION(event_record, cuEventRecord);
SAME_FUNCTION(event_query, cuEventQuery);
SAME_FUNCTION(event_synchronize, cuEventSynchronize);
SAME_FUNCTION(event_elapsed_time, cuEventElapsedTime);
SAME_FUNCTION(module_load_data, cuModuleLoadDataEx);
SAME_FUNCTION(module_unload, cuModuleUnload);
SAME_FUNCTION(module_get_function, cuModuleGetFunction);
SAME_FUNCTION(module_get_global, cuModuleGetGlobal_v2);
SAME_FUNCTION(function_get_attribute, cuFuncGetAttribute);
SAME_FUNCTION(function_set_attribute, cuFuncSetAttribute);
#if CUDA_VERSION >= 12040
SAME_FUNCTION(function_get_parameter, cuFuncGetParamInfo);
#else
const bool function_get_parameter_noted = compared().insert("cuFuncGetParamInfo").second;
#endif
SAME_FUNCTION(max_active_blocks, cuOccupancyMaxActiveBlocksPerMultiprocessor);
SAME_FUNCTION(max_active_clusters, cuOccupancyMaxActiveClusters);
SAME_FUNCTION(launch_kernel, cuLaunchKernel);
SAME_FUNCTION(launch_kernel_ex, cuLaunchKernelEx);
SAME_FUNCTION(launch_cooperative_kernel, cuLaunchCooperativeKernel);
SAME_FUNCTION(stream_begin_capture, cuStreamBeginCapture_v2);
SAME_FUNCTION(stream_end_capture, cuStreamEndCapture);
SAME_FUNCTION(graph_instantiate, cuGraphInstantiateWithFlags);
SAME_FUNCTION(graph_launch, cuGraphLaunch);
SAME_FUNCTION(graph_exec_destroy, cuGraphExecDestroy);
SAME_FUNCTION(graph_destroy, cuGraphDestroy);
#undef SAME_FUNCTION

static_assert(compatible<abi::Result, CUresult>());
static_assert(compatible<abi::Device, CUdevice>());
static_assert(compatible<abi::DevicePointer, CUdeviceptr>());
static_assert(sizeof(abi::Uuid) == sizeof(CUuuid));

SAME_NUMBER(abi::success, CUDA_SUCCESS);
SAME_NUMBER(abi::invalid_value, CUDA_ERROR_INVALID_VALUE);
SAME_NUMBER(abi::out_of_memory, CUDA_ERROR_OUT_OF_MEMORY);
SAME_NUMBER(abi::not_initialized, CUDA_ERROR_NOT_INITIALIZED);
SAME_NUMBER(abi::deinitialized, CUDA_ERROR_DEINITIALIZED);
SAME_NUMBER(abi::stub_library, CUDA_ERROR_STUB_LIBRARY);
#if CUDA_VERSION >= 13000
SAME_NUMBER(abi::call_requires_newer_driver, CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER);
#endif
SAME_NUMBER(abi::device_unavailable, CUDA_ERROR_DEVICE_UNAVAILABLE);
SAME_NUMBER(abi::no_device, CUDA_ERROR_NO_DEVICE);
SAME_NUMBER(abi::invalid_device, CUDA_ERROR_INVALID_DEVICE);
SAME_NUMBER(abi::device_not_licensed, CUDA_ERROR_DEVICE_NOT_LICENSED);
SAME_NUMBER(abi::invalid_image, CUDA_ERROR_INVALID_IMAGE);
SAME_NUMBER(abi::invalid_context, CUDA_ERROR_INVALID_CONTEXT);
SAME_NUMBER(abi::no_binary_for_gpu, CUDA_ERROR_NO_BINARY_FOR_GPU);
SAME_NUMBER(abi::ecc_uncorrectable, CUDA_ERROR_ECC_UNCORRECTABLE);
SAME_NUMBER(abi::unsupported_limit, CUDA_ERROR_UNSUPPORTED_LIMIT);
SAME_NUMBER(abi::context_already_in_use, CUDA_ERROR_CONTEXT_ALREADY_IN_USE);
SAME_NUMBER(abi::invalid_ptx, CUDA_ERROR_INVALID_PTX);
SAME_NUMBER(abi::nvlink_uncorrectable, CUDA_ERROR_NVLINK_UNCORRECTABLE);
SAME_NUMBER(abi::jit_compiler_not_found, CUDA_ERROR_JIT_COMPILER_NOT_FOUND);
SAME_NUMBER(abi::unsupported_ptx_version, CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
SAME_NUMBER(abi::jit_compilation_disabled, CUDA_ERROR_JIT_COMPILATION_DISABLED);
#if CUDA_VERSION >= 12080
SAME_NUMBER(abi::contained, CUDA_ERROR_CONTAINED);
#endif
SAME_NUMBER(abi::invalid_source, CUDA_ERROR_INVALID_SOURCE);
SAME_NUMBER(abi::file_not_found, CUDA_ERROR_FILE_NOT_FOUND);
SAME_NUMBER(abi::shared_object_symbol_not_found, CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND);
SAME_NUMBER(abi::shared_object_init_failed, CUDA_ERROR_SHARED_OBJECT_INIT_FAILED);
SAME_NUMBER(abi::operating_system, CUDA_ERROR_OPERATING_SYSTEM);
SAME_NUMBER(abi::invalid_handle, CUDA_ERROR_INVALID_HANDLE);
SAME_NUMBER(abi::illegal_state, CUDA_ERROR_ILLEGAL_STATE);
SAME_NUMBER(abi::not_found, CUDA_ERROR_NOT_FOUND);
SAME_NUMBER(abi::not_ready, CUDA_ERROR_NOT_READY);
SAME_NUMBER(abi::illegal_address, CUDA_ERROR_ILLEGAL_ADDRESS);
SAME_NUMBER(abi::launch_out_of_resources, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
SAME_NUMBER(abi::launch_timeout, CUDA_ERROR_LAUNCH_TIMEOUT);
SAME_NUMBER(abi::launch_incompatible_texturing, CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING);
SAME_NUMBER(abi::context_is_destroyed, CUDA_ERROR_CONTEXT_IS_DESTROYED);
SAME_NUMBER(abi::device_assert, CUDA_ERROR_ASSERT);
SAME_NUMBER(abi::hardware_stack_error, CUDA_ERROR_HARDWARE_STACK_ERROR);
SAME_NUMBER(abi::illegal_instruction, CUDA_ERROR_ILLEGAL_INSTRUCTION);
SAME_NUMBER(abi::misaligned_address, CUDA_ERROR_MISALIGNED_ADDRESS);
SAME_NUMBER(abi::invalid_address_space, CUDA_ERROR_INVALID_ADDRESS_SPACE);
SAME_NUMBER(abi::invalid_pc, CUDA_ERROR_INVALID_PC);
SAME_NUMBER(abi::launch_failed, CUDA_ERROR_LAUNCH_FAILED);
SAME_NUMBER(abi::cooperative_launch_too_large, CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
SAME_NUMBER(abi::not_permitted, CUDA_ERROR_NOT_PERMITTED);
SAME_NUMBER(abi::not_supported, CUDA_ERROR_NOT_SUPPORTED);
SAME_NUMBER(abi::system_not_ready, CUDA_ERROR_SYSTEM_NOT_READY);
SAME_NUMBER(abi::system_driver_mismatch, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH);
SAME_NUMBER(abi::compat_not_supported_on_device, CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE);
SAME_NUMBER(abi::stream_capture_unsupported, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
SAME_NUMBER(abi::stream_capture_invalidated, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
SAME_NUMBER(abi::stream_capture_merge, CUDA_ERROR_STREAM_CAPTURE_MERGE);
SAME_NUMBER(abi::stream_capture_unmatched, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
SAME_NUMBER(abi::stream_capture_unjoined, CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
SAME_NUMBER(abi::stream_capture_isolation, CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
SAME_NUMBER(abi::stream_capture_implicit, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
SAME_NUMBER(abi::captured_event, CUDA_ERROR_CAPTURED_EVENT);
SAME_NUMBER(abi::stream_capture_wrong_thread, CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
SAME_NUMBER(abi::wait_timeout, CUDA_ERROR_TIMEOUT);
SAME_NUMBER(abi::invalid_cluster_size, CUDA_ERROR_INVALID_CLUSTER_SIZE);
#if CUDA_VERSION >= 12080
SAME_NUMBER(abi::function_not_loaded, CUDA_ERROR_FUNCTION_NOT_LOADED);
SAME_NUMBER(abi::invalid_resource_type, CUDA_ERROR_INVALID_RESOURCE_TYPE);
SAME_NUMBER(abi::invalid_resource_configuration, CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION);
#endif
SAME_NUMBER(abi::unknown, CUDA_ERROR_UNKNOWN);

SAME_NUMBER(abi::max_threads_per_block, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
SAME_NUMBER(abi::max_block_dim_x, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X);
SAME_NUMBER(abi::max_block_dim_y, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y);
SAME_NUMBER(abi::max_block_dim_z, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z);
SAME_NUMBER(abi::max_grid_dim_x, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X);
SAME_NUMBER(abi::max_grid_dim_y, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y);
SAME_NUMBER(abi::max_grid_dim_z, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z);
SAME_NUMBER(abi::max_shared_memory_per_block, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
SAME_NUMBER(abi::total_constant_memory, CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY);
SAME_NUMBER(abi::device_warp_size, CU_DEVICE_ATTRIBUTE_WARP_SIZE);
SAME_NUMBER(abi::max_registers_per_block, CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK);
SAME_NUMBER(abi::clock_rate_khz, CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
SAME_NUMBER(abi::multiprocessor_count, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
SAME_NUMBER(abi::memory_clock_rate_khz, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE);
SAME_NUMBER(abi::global_memory_bus_width, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
SAME_NUMBER(abi::l2_cache_size, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
SAME_NUMBER(abi::max_threads_per_multiprocessor, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
SAME_NUMBER(abi::async_engine_count, CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT);
SAME_NUMBER(abi::compute_capability_major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
SAME_NUMBER(abi::compute_capability_minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
SAME_NUMBER(abi::max_shared_memory_per_multiprocessor, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
SAME_NUMBER(abi::max_registers_per_multiprocessor, CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR);
SAME_NUMBER(abi::cooperative_launch, CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH);
SAME_NUMBER(abi::max_shared_memory_per_block_optin, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
SAME_NUMBER(abi::max_blocks_per_multiprocessor, CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR);
SAME_NUMBER(abi::reserved_shared_memory_per_block, CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK);
SAME_NUMBER(abi::cluster_launch, CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH);

SAME_NUMBER(abi::function_max_threads_per_block, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
SAME_NUMBER(abi::function_shared_size_bytes, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
SAME_NUMBER(abi::function_const_size_bytes, CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES);
SAME_NUMBER(abi::function_local_size_bytes, CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES);
SAME_NUMBER(abi::function_num_regs, CU_FUNC_ATTRIBUTE_NUM_REGS);
SAME_NUMBER(abi::function_max_dynamic_shared_size_bytes, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
SAME_NUMBER(abi::function_non_portable_cluster_size_allowed, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED);

SAME_NUMBER(abi::stream_non_blocking, CU_STREAM_NON_BLOCKING);
SAME_NUMBER(abi::event_default, CU_EVENT_DEFAULT);
SAME_NUMBER(abi::event_disable_timing, CU_EVENT_DISABLE_TIMING);
SAME_NUMBER(abi::host_alloc_portable, CU_MEMHOSTALLOC_PORTABLE);
SAME_NUMBER(abi::host_register_portable, CU_MEMHOSTREGISTER_PORTABLE);
SAME_NUMBER(abi::capture_global, CU_STREAM_CAPTURE_MODE_GLOBAL);
SAME_NUMBER(abi::capture_thread_local, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
SAME_NUMBER(abi::capture_relaxed, CU_STREAM_CAPTURE_MODE_RELAXED);
SAME_NUMBER(abi::jit_info_log_buffer, CU_JIT_INFO_LOG_BUFFER);
SAME_NUMBER(abi::jit_info_log_buffer_size_bytes, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES);
SAME_NUMBER(abi::jit_error_log_buffer, CU_JIT_ERROR_LOG_BUFFER);
SAME_NUMBER(abi::jit_error_log_buffer_size_bytes, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);

SAME_NUMBER(abi::launch_attribute_cooperative, CU_LAUNCH_ATTRIBUTE_COOPERATIVE);
SAME_NUMBER(abi::launch_attribute_cluster_dimension, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
SAME_NUMBER(sizeof(abi::LaunchAttribute), sizeof(CUlaunchAttribute));
SAME_NUMBER(alignof(abi::LaunchAttribute), alignof(CUlaunchAttribute));
SAME_NUMBER(offsetof(abi::LaunchAttribute, id), offsetof(CUlaunchAttribute, id));
SAME_NUMBER(offsetof(abi::LaunchAttribute, value), offsetof(CUlaunchAttribute, value));
SAME_NUMBER(sizeof(abi::LaunchAttribute::value), sizeof(CUlaunchAttributeValue));
static_assert(std::is_same_v<decltype(CUlaunchAttributeValue::cooperative), int>);
SAME_NUMBER(offsetof(CUlaunchAttributeValue, clusterDim), 0);
SAME_NUMBER(offsetof(CUlaunchAttributeValue, clusterDim.y), 4);
SAME_NUMBER(offsetof(CUlaunchAttributeValue, clusterDim.z), 8);
SAME_NUMBER(sizeof(abi::LaunchConfiguration), sizeof(CUlaunchConfig));
SAME_NUMBER(offsetof(abi::LaunchConfiguration, grid_x), offsetof(CUlaunchConfig, gridDimX));
SAME_NUMBER(offsetof(abi::LaunchConfiguration, grid_y), offsetof(CUlaunchConfig, gridDimY));
SAME_NUMBER(offsetof(abi::LaunchConfiguration, grid_z), offsetof(CUlaunchConfig, gridDimZ));
SAME_NUMBER(offsetof(abi::LaunchConfiguration, block_x), offsetof(CUlaunchConfig, blockDimX));
SAME_NUMBER(offsetof(abi::LaunchConfiguration, block_y), offsetof(CUlaunchConfig, blockDimY));
SAME_NUMBER(offsetof(abi::LaunchConfiguration, block_z), offsetof(CUlaunchConfig, blockDimZ));
SAME_NUMBER(offsetof(abi::LaunchConfiguration, shared_memory_bytes), offsetof(CUlaunchConfig, sharedMemBytes));
SAME_NUMBER(offsetof(abi::LaunchConfiguration, stream), offsetof(CUlaunchConfig, hStream));
SAME_NUMBER(offsetof(abi::LaunchConfiguration, attributes), offsetof(CUlaunchConfig, attrs));
SAME_NUMBER(offsetof(abi::LaunchConfiguration, attribute_count), offsetof(CUlaunchConfig, numAttrs));

}  // namespace

TEST(Abi, EveryCudaFunctionIsComparedWithCudaH) {
  const auto ours = names_of<abi::Functions>([](auto& functions, auto& names) {
    abi::for_each_function(functions, [&](auto&, const char* symbol, abi::Need) { names.insert(symbol); });
  });
  EXPECT_EQ(ours, compared());
  RecordProperty("cuda_h_version", CUDA_VERSION);
}

#else

TEST(Abi, EveryCudaFunctionIsComparedWithCudaH) {
  GTEST_SKIP() << "cuda.h was not found when this build was configured (set CUDA_HOME, or WARPWRIGHT_CUDA_INCLUDE)";
}

#endif

#if WARPWRIGHT_TEST_NVRTC_H

namespace {

std::set<std::string>& compared_of_nvrtc() {
  static std::set<std::string> names;
  return names;
}

#define SAME_NVRTC_FUNCTION(member, symbol)                                                         \
  static_assert(SameSignature<decltype(nvrtc_abi::Functions::member), decltype(&::symbol)>::value); \
  const bool nvrtc_##member##_noted = compared_of_nvrtc().insert(#symbol).second
#define SAME_NVRTC_NUMBER(ours, theirs) static_assert(static_cast<long long>(ours) == static_cast<long long>(theirs))

SAME_NVRTC_FUNCTION(get_error_string, nvrtcGetErrorString);
SAME_NVRTC_FUNCTION(version, nvrtcVersion);
SAME_NVRTC_FUNCTION(get_num_supported_archs, nvrtcGetNumSupportedArchs);
SAME_NVRTC_FUNCTION(get_supported_archs, nvrtcGetSupportedArchs);
SAME_NVRTC_FUNCTION(create_program, nvrtcCreateProgram);
SAME_NVRTC_FUNCTION(destroy_program, nvrtcDestroyProgram);
SAME_NVRTC_FUNCTION(compile_program, nvrtcCompileProgram);
SAME_NVRTC_FUNCTION(get_cubin_size, nvrtcGetCUBINSize);
SAME_NVRTC_FUNCTION(get_cubin, nvrtcGetCUBIN);
SAME_NVRTC_FUNCTION(get_program_log_size, nvrtcGetProgramLogSize);
SAME_NVRTC_FUNCTION(get_program_log, nvrtcGetProgramLog);
SAME_NVRTC_FUNCTION(add_name_expression, nvrtcAddNameExpression);
SAME_NVRTC_FUNCTION(get_lowered_name, nvrtcGetLoweredName);
#ifdef NVRTC_INSTALL_HEADERS_SKIP_IF_EXISTS
SAME_NVRTC_FUNCTION(install_bundled_headers, nvrtcInstallBundledHeaders);
static_assert(NVRTC_INSTALL_HEADERS_SKIP_IF_EXISTS == 0);
#endif
#undef SAME_NVRTC_FUNCTION

static_assert(compatible<nvrtc_abi::Result, nvrtcResult>());
SAME_NVRTC_NUMBER(nvrtc_abi::success, NVRTC_SUCCESS);
SAME_NVRTC_NUMBER(nvrtc_abi::out_of_memory, NVRTC_ERROR_OUT_OF_MEMORY);
SAME_NVRTC_NUMBER(nvrtc_abi::program_creation_failure, NVRTC_ERROR_PROGRAM_CREATION_FAILURE);
SAME_NVRTC_NUMBER(nvrtc_abi::invalid_input, NVRTC_ERROR_INVALID_INPUT);
SAME_NVRTC_NUMBER(nvrtc_abi::invalid_program, NVRTC_ERROR_INVALID_PROGRAM);
SAME_NVRTC_NUMBER(nvrtc_abi::invalid_option, NVRTC_ERROR_INVALID_OPTION);
SAME_NVRTC_NUMBER(nvrtc_abi::compilation, NVRTC_ERROR_COMPILATION);
SAME_NVRTC_NUMBER(nvrtc_abi::builtin_operation_failure, NVRTC_ERROR_BUILTIN_OPERATION_FAILURE);
SAME_NVRTC_NUMBER(nvrtc_abi::no_name_expressions_after_compilation, NVRTC_ERROR_NO_NAME_EXPRESSIONS_AFTER_COMPILATION);
SAME_NVRTC_NUMBER(nvrtc_abi::no_lowered_names_before_compilation, NVRTC_ERROR_NO_LOWERED_NAMES_BEFORE_COMPILATION);
SAME_NVRTC_NUMBER(nvrtc_abi::name_expression_not_valid, NVRTC_ERROR_NAME_EXPRESSION_NOT_VALID);
SAME_NVRTC_NUMBER(nvrtc_abi::internal_error, NVRTC_ERROR_INTERNAL_ERROR);

}  // namespace

TEST(Abi, EveryNvrtcFunctionIsComparedWithNvrtcH) {
  const auto ours = names_of<nvrtc_abi::Functions>([](auto& functions, auto& names) {
    nvrtc_abi::for_each_function(functions, [&](auto&, const char* symbol) { names.insert(symbol); });
#ifdef NVRTC_INSTALL_HEADERS_SKIP_IF_EXISTS
    nvrtc_abi::for_each_newer_function(functions, [&](auto&, const char* symbol) { names.insert(symbol); });
#endif
  });
  EXPECT_EQ(ours, compared_of_nvrtc());
}

#else

TEST(Abi, EveryNvrtcFunctionIsComparedWithNvrtcH) {
  GTEST_SKIP() << "nvrtc.h was not found when this build was configured (set CUDA_HOME, or WARPWRIGHT_NVRTC_INCLUDE)";
}

#endif

#if WARPWRIGHT_TEST_NVML_H

// Functions that newer versions of nvml.h deprecate are the fall-back for older drivers.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace {

std::set<std::string>& compared_of_nvml() {
  static std::set<std::string> names;
  return names;
}

#define SAME_NVML_FUNCTION(member, symbol)                                                         \
  static_assert(SameSignature<decltype(nvml_abi::Functions::member), decltype(&::symbol)>::value); \
  const bool nvml_##member##_noted = compared_of_nvml().insert(#symbol).second
#define SAME_NVML_NUMBER(ours, theirs) static_assert(static_cast<long long>(ours) == static_cast<long long>(theirs))

SAME_NVML_FUNCTION(init, nvmlInit_v2);
SAME_NVML_FUNCTION(shutdown, nvmlShutdown);
SAME_NVML_FUNCTION(error_string, nvmlErrorString);
SAME_NVML_FUNCTION(system_get_driver_version, nvmlSystemGetDriverVersion);
SAME_NVML_FUNCTION(device_get_handle_by_pci_bus_id, nvmlDeviceGetHandleByPciBusId_v2);
SAME_NVML_FUNCTION(device_get_clock, nvmlDeviceGetClockInfo);
SAME_NVML_FUNCTION(device_get_max_clock, nvmlDeviceGetMaxClockInfo);
SAME_NVML_FUNCTION(device_get_temperature, nvmlDeviceGetTemperature);
SAME_NVML_FUNCTION(device_get_power, nvmlDeviceGetPowerUsage);
SAME_NVML_FUNCTION(device_get_event_reasons, nvmlDeviceGetCurrentClocksEventReasons);
SAME_NVML_FUNCTION(device_get_throttle_reasons, nvmlDeviceGetCurrentClocksThrottleReasons);
// nvml.h has no version of its own that tells CUDA 12 from 12.8; the macro came together with the function.
#ifdef nvmlTemperature_v1
SAME_NVML_FUNCTION(device_get_temperature_v, nvmlDeviceGetTemperatureV);
SAME_NVML_NUMBER(sizeof(nvml_abi::Temperature), sizeof(nvmlTemperature_v1_t));
SAME_NVML_NUMBER(offsetof(nvml_abi::Temperature, sensor), offsetof(nvmlTemperature_v1_t, sensorType));
SAME_NVML_NUMBER(offsetof(nvml_abi::Temperature, celsius), offsetof(nvmlTemperature_v1_t, temperature));
SAME_NVML_NUMBER(nvml_abi::temperature_version_1, nvmlTemperature_v1);
#else
const bool nvml_device_get_temperature_v_noted = compared_of_nvml().insert("nvmlDeviceGetTemperatureV").second;
#endif
#undef SAME_NVML_FUNCTION

static_assert(compatible<nvml_abi::Result, nvmlReturn_t>());
SAME_NVML_NUMBER(nvml_abi::success, NVML_SUCCESS);
SAME_NVML_NUMBER(nvml_abi::uninitialized, NVML_ERROR_UNINITIALIZED);
SAME_NVML_NUMBER(nvml_abi::invalid_argument, NVML_ERROR_INVALID_ARGUMENT);
SAME_NVML_NUMBER(nvml_abi::not_supported, NVML_ERROR_NOT_SUPPORTED);
SAME_NVML_NUMBER(nvml_abi::no_permission, NVML_ERROR_NO_PERMISSION);
SAME_NVML_NUMBER(nvml_abi::not_found, NVML_ERROR_NOT_FOUND);
SAME_NVML_NUMBER(nvml_abi::insufficient_size, NVML_ERROR_INSUFFICIENT_SIZE);
SAME_NVML_NUMBER(nvml_abi::driver_not_loaded, NVML_ERROR_DRIVER_NOT_LOADED);
SAME_NVML_NUMBER(nvml_abi::library_not_found, NVML_ERROR_LIBRARY_NOT_FOUND);
SAME_NVML_NUMBER(nvml_abi::function_not_found, NVML_ERROR_FUNCTION_NOT_FOUND);
SAME_NVML_NUMBER(nvml_abi::gpu_is_lost, NVML_ERROR_GPU_IS_LOST);
SAME_NVML_NUMBER(nvml_abi::operating_system, NVML_ERROR_OPERATING_SYSTEM);
SAME_NVML_NUMBER(nvml_abi::library_version_mismatch, NVML_ERROR_LIB_RM_VERSION_MISMATCH);
SAME_NVML_NUMBER(nvml_abi::argument_version_mismatch, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
SAME_NVML_NUMBER(nvml_abi::unknown, NVML_ERROR_UNKNOWN);
SAME_NVML_NUMBER(nvml_abi::clock_graphics, NVML_CLOCK_GRAPHICS);
SAME_NVML_NUMBER(nvml_abi::clock_sm, NVML_CLOCK_SM);
SAME_NVML_NUMBER(nvml_abi::clock_memory, NVML_CLOCK_MEM);
SAME_NVML_NUMBER(nvml_abi::sensor_gpu, NVML_TEMPERATURE_GPU);
SAME_NVML_NUMBER(nvml_abi::reason_gpu_idle, nvmlClocksEventReasonGpuIdle);
SAME_NVML_NUMBER(nvml_abi::reason_application_clocks, nvmlClocksEventReasonApplicationsClocksSetting);
SAME_NVML_NUMBER(nvml_abi::reason_software_power_cap, nvmlClocksEventReasonSwPowerCap);
SAME_NVML_NUMBER(nvml_abi::reason_hardware_slowdown, nvmlClocksThrottleReasonHwSlowdown);
SAME_NVML_NUMBER(nvml_abi::reason_sync_boost, nvmlClocksEventReasonSyncBoost);
SAME_NVML_NUMBER(nvml_abi::reason_software_thermal, nvmlClocksEventReasonSwThermalSlowdown);
SAME_NVML_NUMBER(nvml_abi::reason_hardware_thermal, nvmlClocksThrottleReasonHwThermalSlowdown);
SAME_NVML_NUMBER(nvml_abi::reason_hardware_power_brake, nvmlClocksThrottleReasonHwPowerBrakeSlowdown);
SAME_NVML_NUMBER(nvml_abi::reason_display_clocks, nvmlClocksEventReasonDisplayClockSetting);

}  // namespace

TEST(Abi, EveryNvmlFunctionIsComparedWithNvmlH) {
  const auto ours = names_of<nvml_abi::Functions>([](auto& functions, auto& names) {
    nvml_abi::for_each_function(functions, [&](auto&, const char* symbol, bool) { names.insert(symbol); });
  });
  EXPECT_EQ(ours, compared_of_nvml());
}

#else

TEST(Abi, EveryNvmlFunctionIsComparedWithNvmlH) {
  GTEST_SKIP() << "nvml.h was not found when this build was configured (package cuda-nvml-dev, or set "
                  "WARPWRIGHT_NVML_INCLUDE)";
}

#endif

}  // namespace warpwright::cuda
