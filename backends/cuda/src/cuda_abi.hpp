// The part of the CUDA driver API that this backend uses, declared by ourselves, so that the library builds without the
// toolkit and one binary runs with any driver of CUDA 11.4 or newer. tests/abi_test.cpp compares every number, layout
// and prototype with cuda.h where that is installed.
//
// Symbols are the exported ones: cuda.h renames many functions by macro (cuMemAlloc is cuMemAlloc_v2), and CUDA 13 gave
// some of the plain names another signature (cuCtxCreate takes four arguments there). Only names whose signature is the
// same in CUDA 12 and 13 are used.
#pragma once

#include <cstddef>
#include <cstdint>

namespace warpwright::cuda::abi {

// CUresult. Only the values that are told apart; any other number may arrive.
enum Result : std::uint32_t {
  success = 0,
  invalid_value = 1,
  out_of_memory = 2,
  not_initialized = 3,
  deinitialized = 4,
  stub_library = 34,
  call_requires_newer_driver = 36,
  device_unavailable = 46,
  no_device = 100,
  invalid_device = 101,
  device_not_licensed = 102,
  invalid_image = 200,
  invalid_context = 201,
  no_binary_for_gpu = 209,
  ecc_uncorrectable = 214,
  unsupported_limit = 215,
  context_already_in_use = 216,
  invalid_ptx = 218,
  nvlink_uncorrectable = 220,
  jit_compiler_not_found = 221,
  unsupported_ptx_version = 222,
  jit_compilation_disabled = 223,
  contained = 226,
  invalid_source = 300,
  file_not_found = 301,
  shared_object_symbol_not_found = 302,
  shared_object_init_failed = 303,
  operating_system = 304,
  invalid_handle = 400,
  illegal_state = 401,
  not_found = 500,
  not_ready = 600,
  illegal_address = 700,
  launch_out_of_resources = 701,
  launch_timeout = 702,
  launch_incompatible_texturing = 703,
  context_is_destroyed = 709,
  device_assert = 710,
  hardware_stack_error = 714,
  illegal_instruction = 715,
  misaligned_address = 716,
  invalid_address_space = 717,
  invalid_pc = 718,
  launch_failed = 719,
  cooperative_launch_too_large = 720,
  not_permitted = 800,
  not_supported = 801,
  system_not_ready = 802,
  system_driver_mismatch = 803,
  compat_not_supported_on_device = 804,
  stream_capture_unsupported = 900,
  stream_capture_invalidated = 901,
  stream_capture_merge = 902,
  stream_capture_unmatched = 903,
  stream_capture_unjoined = 904,
  stream_capture_isolation = 905,
  stream_capture_implicit = 906,
  captured_event = 907,
  stream_capture_wrong_thread = 908,
  wait_timeout = 909,
  invalid_cluster_size = 912,
  function_not_loaded = 913,
  invalid_resource_type = 914,
  invalid_resource_configuration = 915,
  unknown = 999
};

// CUdevice_attribute.
enum DeviceAttribute : std::uint32_t {
  max_threads_per_block = 1,
  max_block_dim_x = 2,
  max_block_dim_y = 3,
  max_block_dim_z = 4,
  max_grid_dim_x = 5,
  max_grid_dim_y = 6,
  max_grid_dim_z = 7,
  max_shared_memory_per_block = 8,
  total_constant_memory = 9,
  device_warp_size = 10,
  max_registers_per_block = 12,
  clock_rate_khz = 13,
  multiprocessor_count = 16,
  memory_clock_rate_khz = 36,
  global_memory_bus_width = 37,
  l2_cache_size = 38,
  max_threads_per_multiprocessor = 39,
  async_engine_count = 40,
  compute_capability_major = 75,
  compute_capability_minor = 76,
  max_shared_memory_per_multiprocessor = 81,
  max_registers_per_multiprocessor = 82,
  cooperative_launch = 95,
  max_shared_memory_per_block_optin = 97,
  max_blocks_per_multiprocessor = 106,
  reserved_shared_memory_per_block = 111,
  cluster_launch = 120
};

// CUfunction_attribute.
enum FunctionAttribute : std::uint32_t {
  function_max_threads_per_block = 0,
  function_shared_size_bytes = 1,
  function_const_size_bytes = 2,
  function_local_size_bytes = 3,
  function_num_regs = 4,
  function_max_dynamic_shared_size_bytes = 8,
  function_required_cluster_width = 11,
  function_non_portable_cluster_size_allowed = 14
};

// CUstream_flags, CUevent_flags, CU_MEMHOSTALLOC_*.
inline constexpr unsigned stream_non_blocking = 1;
inline constexpr unsigned event_default = 0;
inline constexpr unsigned event_disable_timing = 2;
inline constexpr unsigned host_alloc_portable = 1;
inline constexpr unsigned host_register_portable = 1;

// CUstreamCaptureMode.
enum CaptureMode : std::uint32_t { capture_global = 0, capture_thread_local = 1, capture_relaxed = 2 };

// CUjit_option.
enum JitOption : std::uint32_t {
  jit_info_log_buffer = 3,
  jit_info_log_buffer_size_bytes = 4,
  jit_error_log_buffer = 5,
  jit_error_log_buffer_size_bytes = 6
};

using Device = int;                   // CUdevice
using DevicePointer = std::uint64_t;  // CUdeviceptr on 64-bit systems
struct ContextTag;
struct ModuleTag;
struct FunctionTag;
struct StreamTag;
struct EventTag;
struct GraphTag;
struct GraphExecTag;
using ContextHandle = ContextTag*;      // CUcontext
using ModuleHandle = ModuleTag*;        // CUmodule
using FunctionHandle = FunctionTag*;    // CUfunction
using StreamHandle = StreamTag*;        // CUstream
using EventHandle = EventTag*;          // CUevent
using GraphHandle = GraphTag*;          // CUgraph
using GraphExecHandle = GraphExecTag*;  // CUgraphExec

// CUuuid.
struct Uuid {
  char bytes[16];
};
static_assert(sizeof(Uuid) == 16);

// CUlaunchAttributeID.
enum LaunchAttributeId : std::uint32_t { launch_attribute_cooperative = 2, launch_attribute_cluster_dimension = 4 };

// CUlaunchAttribute: an id and a union of 64 bytes at offset 8.
struct LaunchAttribute {
  LaunchAttributeId id;
  char pad[4];
  union alignas(8) {
    char bytes[64];
    int cooperative;
    struct {
      unsigned x, y, z;
    } cluster;
  } value;
};
static_assert(sizeof(LaunchAttribute) == 72 && alignof(LaunchAttribute) == 8 && offsetof(LaunchAttribute, value) == 8);

// CUlaunchConfig.
struct LaunchConfiguration {
  unsigned grid_x, grid_y, grid_z;
  unsigned block_x, block_y, block_z;
  unsigned shared_memory_bytes;
  StreamHandle stream;
  LaunchAttribute* attributes;
  unsigned attribute_count;
};
static_assert(sizeof(LaunchConfiguration) == 56 && offsetof(LaunchConfiguration, stream) == 32 &&
              offsetof(LaunchConfiguration, attributes) == 40 && offsetof(LaunchConfiguration, attribute_count) == 48);

// The functions, by the names that for_each_function gives them. Null where the driver has none.
struct Functions {
  Result (*init)(unsigned flags) = nullptr;
  Result (*driver_get_version)(int* version) = nullptr;
  Result (*get_error_name)(Result error, const char** text) = nullptr;
  Result (*get_error_string)(Result error, const char** text) = nullptr;
  Result (*device_get)(Device* device, int ordinal) = nullptr;
  Result (*device_get_count)(int* count) = nullptr;
  Result (*device_get_name)(char* name, int length, Device device) = nullptr;
  Result (*device_get_uuid)(Uuid* uuid, Device device) = nullptr;
  Result (*device_get_pci_bus_id)(char* id, int length, Device device) = nullptr;
  Result (*device_total_memory)(std::size_t* bytes, Device device) = nullptr;
  Result (*device_get_attribute)(int* value, DeviceAttribute attribute, Device device) = nullptr;
  Result (*primary_context_retain)(ContextHandle* context, Device device) = nullptr;
  Result (*primary_context_release)(Device device) = nullptr;
  Result (*context_get_current)(ContextHandle* context) = nullptr;
  Result (*context_set_current)(ContextHandle context) = nullptr;
  Result (*context_synchronize)() = nullptr;
  Result (*context_reset_persisting_l2)() = nullptr;
  Result (*memory_get_info)(std::size_t* free, std::size_t* total) = nullptr;
  Result (*memory_allocate)(DevicePointer* pointer, std::size_t size) = nullptr;
  Result (*memory_free)(DevicePointer pointer) = nullptr;
  Result (*host_allocate)(void** pointer, std::size_t size, unsigned flags) = nullptr;
  Result (*host_free)(void* pointer) = nullptr;
  Result (*host_register)(void* pointer, std::size_t size, unsigned flags) = nullptr;
  Result (*host_unregister)(void* pointer) = nullptr;
  Result (*copy_to_device_async)(DevicePointer to, const void* from, std::size_t size, StreamHandle stream) = nullptr;
  Result (*copy_to_host_async)(void* to, DevicePointer from, std::size_t size, StreamHandle stream) = nullptr;
  Result (*copy_on_device_async)(DevicePointer to, DevicePointer from, std::size_t size, StreamHandle stream) = nullptr;
  Result (*fill_async)(DevicePointer to, unsigned char value, std::size_t count, StreamHandle stream) = nullptr;
  Result (*stream_create)(StreamHandle* stream, unsigned flags) = nullptr;
  Result (*stream_destroy)(StreamHandle stream) = nullptr;
  Result (*stream_query)(StreamHandle stream) = nullptr;
  Result (*stream_synchronize)(StreamHandle stream) = nullptr;
  Result (*stream_wait_event)(StreamHandle stream, EventHandle event, unsigned flags) = nullptr;
  Result (*event_create)(EventHandle* event, unsigned flags) = nullptr;
  Result (*event_destroy)(EventHandle event) = nullptr;
  Result (*event_record)(EventHandle event, StreamHandle stream) = nullptr;
  Result (*event_query)(EventHandle event) = nullptr;
  Result (*event_synchronize)(EventHandle event) = nullptr;
  Result (*event_elapsed_time)(float* milliseconds, EventHandle start, EventHandle end) = nullptr;
  Result (*module_load_data)(ModuleHandle* module, const void* image, unsigned option_count, JitOption* options,
                             void** option_values) = nullptr;
  Result (*module_unload)(ModuleHandle module) = nullptr;
  Result (*module_get_function)(FunctionHandle* function, ModuleHandle module, const char* name) = nullptr;
  Result (*module_get_global)(DevicePointer* pointer, std::size_t* bytes, ModuleHandle module,
                              const char* name) = nullptr;
  Result (*function_get_attribute)(int* value, FunctionAttribute attribute, FunctionHandle function) = nullptr;
  Result (*function_set_attribute)(FunctionHandle function, FunctionAttribute attribute, int value) = nullptr;
  Result (*function_get_parameter)(FunctionHandle function, std::size_t index, std::size_t* offset,
                                   std::size_t* size) = nullptr;
  Result (*max_active_blocks)(int* blocks, FunctionHandle function, int block_size,
                              std::size_t dynamic_shared) = nullptr;
  Result (*max_active_clusters)(int* clusters, FunctionHandle function,
                                const LaunchConfiguration* configuration) = nullptr;
  Result (*launch_kernel)(FunctionHandle function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                          unsigned block_y, unsigned block_z, unsigned shared_memory_bytes, StreamHandle stream,
                          void** parameters, void** extra) = nullptr;
  Result (*launch_kernel_ex)(const LaunchConfiguration* configuration, FunctionHandle function, void** parameters,
                             void** extra) = nullptr;
  Result (*launch_cooperative_kernel)(FunctionHandle function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                      unsigned block_x, unsigned block_y, unsigned block_z,
                                      unsigned shared_memory_bytes, StreamHandle stream, void** parameters) = nullptr;
  Result (*stream_begin_capture)(StreamHandle stream, CaptureMode mode) = nullptr;
  Result (*stream_end_capture)(StreamHandle stream, GraphHandle* graph) = nullptr;
  Result (*graph_instantiate)(GraphExecHandle* executable, GraphHandle graph, unsigned long long flags) = nullptr;
  Result (*graph_launch)(GraphExecHandle executable, StreamHandle stream) = nullptr;
  Result (*graph_exec_destroy)(GraphExecHandle executable) = nullptr;
  Result (*graph_destroy)(GraphHandle graph) = nullptr;
};

enum class Need { required, optional };

// Calls visit(pointer, symbol, need) for every function, where `pointer` is the typed member of `functions`.
template <class FunctionTable, class Visitor>
void for_each_function(FunctionTable& functions, Visitor&& visit) {
  visit(functions.init, "cuInit", Need::required);
  visit(functions.driver_get_version, "cuDriverGetVersion", Need::required);
  visit(functions.get_error_name, "cuGetErrorName", Need::required);
  visit(functions.get_error_string, "cuGetErrorString", Need::required);
  visit(functions.device_get, "cuDeviceGet", Need::required);
  visit(functions.device_get_count, "cuDeviceGetCount", Need::required);
  visit(functions.device_get_name, "cuDeviceGetName", Need::required);
  visit(functions.device_get_uuid, "cuDeviceGetUuid_v2", Need::optional);  // CUDA 11.4; tells MIG instances apart
  visit(functions.device_get_pci_bus_id, "cuDeviceGetPCIBusId", Need::optional);
  visit(functions.device_total_memory, "cuDeviceTotalMem_v2", Need::required);
  visit(functions.device_get_attribute, "cuDeviceGetAttribute", Need::required);
  visit(functions.primary_context_retain, "cuDevicePrimaryCtxRetain", Need::required);
  visit(functions.primary_context_release, "cuDevicePrimaryCtxRelease_v2", Need::required);
  visit(functions.context_get_current, "cuCtxGetCurrent", Need::required);
  visit(functions.context_set_current, "cuCtxSetCurrent", Need::required);
  visit(functions.context_synchronize, "cuCtxSynchronize", Need::required);
  visit(functions.context_reset_persisting_l2, "cuCtxResetPersistingL2Cache", Need::optional);
  visit(functions.memory_get_info, "cuMemGetInfo_v2", Need::required);
  visit(functions.memory_allocate, "cuMemAlloc_v2", Need::required);
  visit(functions.memory_free, "cuMemFree_v2", Need::required);
  visit(functions.host_allocate, "cuMemHostAlloc", Need::required);
  visit(functions.host_free, "cuMemFreeHost", Need::required);
  visit(functions.host_register, "cuMemHostRegister_v2", Need::optional);
  visit(functions.host_unregister, "cuMemHostUnregister", Need::optional);
  visit(functions.copy_to_device_async, "cuMemcpyHtoDAsync_v2", Need::required);
  visit(functions.copy_to_host_async, "cuMemcpyDtoHAsync_v2", Need::required);
  visit(functions.copy_on_device_async, "cuMemcpyDtoDAsync_v2", Need::required);
  visit(functions.fill_async, "cuMemsetD8Async", Need::required);
  visit(functions.stream_create, "cuStreamCreate", Need::required);
  visit(functions.stream_destroy, "cuStreamDestroy_v2", Need::required);
  visit(functions.stream_query, "cuStreamQuery", Need::required);
  visit(functions.stream_synchronize, "cuStreamSynchronize", Need::required);
  visit(functions.stream_wait_event, "cuStreamWaitEvent", Need::required);
  visit(functions.event_create, "cuEventCreate", Need::required);
  visit(functions.event_destroy, "cuEventDestroy_v2", Need::required);
  visit(functions.event_record, "cuEventRecord", Need::required);
  visit(functions.event_query, "cuEventQuery", Need::required);
  visit(functions.event_synchronize, "cuEventSynchronize", Need::required);
  visit(functions.event_elapsed_time, "cuEventElapsedTime", Need::required);
  visit(functions.module_load_data, "cuModuleLoadDataEx", Need::required);
  visit(functions.module_unload, "cuModuleUnload", Need::required);
  visit(functions.module_get_function, "cuModuleGetFunction", Need::required);
  visit(functions.module_get_global, "cuModuleGetGlobal_v2", Need::required);
  visit(functions.function_get_attribute, "cuFuncGetAttribute", Need::required);
  visit(functions.function_set_attribute, "cuFuncSetAttribute", Need::required);
  visit(functions.function_get_parameter, "cuFuncGetParamInfo", Need::optional);  // CUDA 12.4
  visit(functions.max_active_blocks, "cuOccupancyMaxActiveBlocksPerMultiprocessor", Need::optional);
  visit(functions.max_active_clusters, "cuOccupancyMaxActiveClusters", Need::optional);  // CUDA 11.8
  visit(functions.launch_kernel, "cuLaunchKernel", Need::required);
  visit(functions.launch_kernel_ex, "cuLaunchKernelEx", Need::optional);  // CUDA 11.8
  visit(functions.launch_cooperative_kernel, "cuLaunchCooperativeKernel", Need::optional);
  visit(functions.stream_begin_capture, "cuStreamBeginCapture_v2", Need::optional);
  visit(functions.stream_end_capture, "cuStreamEndCapture", Need::optional);
  visit(functions.graph_instantiate, "cuGraphInstantiateWithFlags", Need::optional);  // CUDA 11.4
  visit(functions.graph_launch, "cuGraphLaunch", Need::optional);
  visit(functions.graph_exec_destroy, "cuGraphExecDestroy", Need::optional);
  visit(functions.graph_destroy, "cuGraphDestroy", Need::optional);
}

}  // namespace warpwright::cuda::abi
