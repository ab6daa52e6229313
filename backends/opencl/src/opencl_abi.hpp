// The part of the OpenCL 1.2 binary interface that this backend uses, declared here so that the package builds without
// OpenCL headers and one binary runs with any vendor's loader. Values and signatures are those of the OpenCL
// specification (API version 1.2, and the extensions named below); tests/opencl_abi_test.cpp compares every one of them
// with <CL/cl.h> where that is installed.
//
// The handle tags have the names the specification's own headers give them, at global scope: so the function types here
// are the very same types as the vendors', and the test can compare them exactly.
#pragma once

#include <cstddef>
#include <cstdint>

struct _cl_platform_id;
struct _cl_device_id;
struct _cl_context;
struct _cl_command_queue;
struct _cl_mem;
struct _cl_program;
struct _cl_kernel;
struct _cl_event;
struct _cl_sampler;
struct _cl_image_format;
struct _cl_image_desc;

namespace warpwright::opencl::abi {

using Int = std::int32_t;
using Uint = std::uint32_t;
using Ulong = std::uint64_t;
using Bool = Uint;
using Bitfield = Ulong;

using Platform = ::_cl_platform_id*;
using Device = ::_cl_device_id*;
using Context = ::_cl_context*;
using Queue = ::_cl_command_queue*;
using Mem = ::_cl_mem*;
using Program = ::_cl_program*;
using Kernel = ::_cl_kernel*;
using Event = ::_cl_event*;
using Sampler = ::_cl_sampler*;

inline constexpr Bool no = 0;
inline constexpr Bool yes = 1;

// Status codes.
inline constexpr Int success = 0;
inline constexpr Int device_not_found = -1;
inline constexpr Int device_not_available = -2;
inline constexpr Int compiler_not_available = -3;
inline constexpr Int mem_object_allocation_failure = -4;
inline constexpr Int out_of_resources = -5;
inline constexpr Int out_of_host_memory = -6;
inline constexpr Int profiling_info_not_available = -7;
inline constexpr Int mem_copy_overlap = -8;
inline constexpr Int image_format_mismatch = -9;
inline constexpr Int image_format_not_supported = -10;
inline constexpr Int build_program_failure = -11;
inline constexpr Int map_failure = -12;
inline constexpr Int misaligned_sub_buffer_offset = -13;
inline constexpr Int exec_status_error_for_events_in_wait_list = -14;
inline constexpr Int compile_program_failure = -15;
inline constexpr Int linker_not_available = -16;
inline constexpr Int link_program_failure = -17;
inline constexpr Int device_partition_failed = -18;
inline constexpr Int kernel_arg_info_not_available = -19;
inline constexpr Int invalid_value = -30;
inline constexpr Int invalid_device_type = -31;
inline constexpr Int invalid_platform = -32;
inline constexpr Int invalid_device = -33;
inline constexpr Int invalid_context = -34;
inline constexpr Int invalid_queue_properties = -35;
inline constexpr Int invalid_command_queue = -36;
inline constexpr Int invalid_host_ptr = -37;
inline constexpr Int invalid_mem_object = -38;
inline constexpr Int invalid_image_format_descriptor = -39;
inline constexpr Int invalid_image_size = -40;
inline constexpr Int invalid_sampler = -41;
inline constexpr Int invalid_binary = -42;
inline constexpr Int invalid_build_options = -43;
inline constexpr Int invalid_program = -44;
inline constexpr Int invalid_program_executable = -45;
inline constexpr Int invalid_kernel_name = -46;
inline constexpr Int invalid_kernel_definition = -47;
inline constexpr Int invalid_kernel = -48;
inline constexpr Int invalid_arg_index = -49;
inline constexpr Int invalid_arg_value = -50;
inline constexpr Int invalid_arg_size = -51;
inline constexpr Int invalid_kernel_args = -52;
inline constexpr Int invalid_work_dimension = -53;
inline constexpr Int invalid_work_group_size = -54;
inline constexpr Int invalid_work_item_size = -55;
inline constexpr Int invalid_global_offset = -56;
inline constexpr Int invalid_event_wait_list = -57;
inline constexpr Int invalid_event = -58;
inline constexpr Int invalid_operation = -59;
inline constexpr Int invalid_gl_object = -60;
inline constexpr Int invalid_buffer_size = -61;
inline constexpr Int invalid_mip_level = -62;
inline constexpr Int invalid_global_work_size = -63;
inline constexpr Int invalid_property = -64;
inline constexpr Int invalid_image_descriptor = -65;
inline constexpr Int invalid_compiler_options = -66;
inline constexpr Int invalid_linker_options = -67;
inline constexpr Int invalid_device_partition_count = -68;
inline constexpr Int platform_not_found_khr = -1001;  // cl_khr_icd
inline constexpr Int nvidia_illegal_access = -9999;   // undocumented; NVIDIA: illegal read or write to a buffer

// clGetPlatformInfo.
inline constexpr Uint platform_version = 0x0901;
inline constexpr Uint platform_name = 0x0902;
inline constexpr Uint platform_vendor = 0x0903;

// clGetDeviceIDs and CL_DEVICE_TYPE.
inline constexpr Bitfield device_type_cpu = 1u << 1;
inline constexpr Bitfield device_type_gpu = 1u << 2;
inline constexpr Bitfield device_type_accelerator = 1u << 3;
inline constexpr Bitfield device_type_all = 0xFFFFFFFF;

// clGetDeviceInfo.
inline constexpr Uint device_type = 0x1000;
inline constexpr Uint device_max_compute_units = 0x1002;
inline constexpr Uint device_max_work_group_size = 0x1004;
inline constexpr Uint device_max_work_item_sizes = 0x1005;
inline constexpr Uint device_max_clock_frequency = 0x100C;
inline constexpr Uint device_max_mem_alloc_size = 0x1010;
inline constexpr Uint device_image2d_max_width = 0x1011;
inline constexpr Uint device_image2d_max_height = 0x1012;
inline constexpr Uint device_image_support = 0x1016;
inline constexpr Uint device_global_mem_cache_size = 0x101E;
inline constexpr Uint device_global_mem_size = 0x101F;
inline constexpr Uint device_max_constant_buffer_size = 0x1020;
inline constexpr Uint device_local_mem_size = 0x1023;
inline constexpr Uint device_available = 0x1027;
inline constexpr Uint device_compiler_available = 0x1028;
inline constexpr Uint device_name = 0x102B;
inline constexpr Uint device_vendor = 0x102C;
inline constexpr Uint driver_version = 0x102D;
inline constexpr Uint device_version = 0x102F;
inline constexpr Uint device_extensions = 0x1030;
inline constexpr Uint device_opencl_c_version = 0x103D;
// cl_khr_device_uuid: 16 bytes.
inline constexpr Uint device_uuid_khr = 0x106A;
// cl_khr_pci_bus_info: struct PciBusInfo.
inline constexpr Uint device_pci_bus_info_khr = 0x410F;
// cl_nv_device_attribute_query. The last four came with later drivers than the extension's first text.
inline constexpr Uint device_compute_capability_major_nv = 0x4000;
inline constexpr Uint device_compute_capability_minor_nv = 0x4001;
inline constexpr Uint device_registers_per_block_nv = 0x4002;
inline constexpr Uint device_warp_size_nv = 0x4003;
inline constexpr Uint device_attribute_async_engine_count_nv = 0x4007;
inline constexpr Uint device_pci_bus_id_nv = 0x4008;
inline constexpr Uint device_pci_slot_id_nv = 0x4009;
inline constexpr Uint device_pci_domain_id_nv = 0x400A;
// cl_amd_device_attribute_query.
inline constexpr Uint device_board_name_amd = 0x4038;
inline constexpr Uint device_global_free_memory_amd = 0x4039;  // size_t[2], KiB: free, largest block
inline constexpr Uint device_wavefront_width_amd = 0x4043;

struct PciBusInfo {
  Uint domain, bus, device, function;
};

// clCreateCommandQueue, clCreateBuffer, clEnqueueMapBuffer.
inline constexpr Bitfield queue_profiling_enable = 1u << 1;
inline constexpr Bitfield mem_read_write = 1u << 0;
inline constexpr Bitfield mem_read_only = 1u << 2;
inline constexpr Bitfield mem_alloc_host_ptr = 1u << 4;
inline constexpr Uint buffer_create_type_region = 0x1220;
// cl_buffer_region.
struct BufferRegion {
  std::size_t origin, size;
};

// clCreateImage, clGetSupportedImageFormats: channel orders, channel types and kinds of image.
inline constexpr Uint channels_r = 0x10B0;
inline constexpr Uint channels_rg = 0x10B2;
inline constexpr Uint channels_rgba = 0x10B5;
inline constexpr Uint channel_snorm_int8 = 0x10D0;
inline constexpr Uint channel_snorm_int16 = 0x10D1;
inline constexpr Uint channel_unorm_int8 = 0x10D2;
inline constexpr Uint channel_unorm_int16 = 0x10D3;
inline constexpr Uint channel_signed_int8 = 0x10D7;
inline constexpr Uint channel_signed_int16 = 0x10D8;
inline constexpr Uint channel_signed_int32 = 0x10D9;
inline constexpr Uint channel_unsigned_int8 = 0x10DA;
inline constexpr Uint channel_unsigned_int16 = 0x10DB;
inline constexpr Uint channel_unsigned_int32 = 0x10DC;
inline constexpr Uint channel_half_float = 0x10DD;
inline constexpr Uint channel_float = 0x10DE;
inline constexpr Uint mem_object_image2d = 0x10F1;
// cl_image_format and cl_image_desc, which are passed by pointer: as types of ours, so that the functions' types stay
// those of the headers.
struct ImageFormat {
  Uint order, type;
};
struct ImageDescription {
  Uint kind;
  std::size_t width, height, depth, layers, row_pitch, slice_pitch;
  Uint mip_levels, samples;
  Mem buffer;
};

// clCreateSampler.
inline constexpr Uint address_none = 0x1130;
inline constexpr Uint address_clamp_to_edge = 0x1131;
inline constexpr Uint address_clamp = 0x1132;
inline constexpr Uint address_repeat = 0x1133;
inline constexpr Uint address_mirrored_repeat = 0x1134;
inline constexpr Uint filter_nearest = 0x1140;
inline constexpr Uint filter_linear = 0x1141;

inline constexpr Bitfield map_read = 1u << 0;
inline constexpr Bitfield map_write = 1u << 1;

// clGetProgramInfo, clGetProgramBuildInfo.
inline constexpr Uint program_binary_sizes = 0x1165;
inline constexpr Uint program_binaries = 0x1166;
inline constexpr Uint program_kernel_names = 0x1168;
inline constexpr Uint program_build_log = 0x1183;

// clGetKernelInfo, clGetKernelWorkGroupInfo, clGetKernelArgInfo.
inline constexpr Uint kernel_num_args = 0x1191;
inline constexpr Uint kernel_work_group_size = 0x11B0;
inline constexpr Uint kernel_compile_work_group_size = 0x11B1;  // size_t[3]
inline constexpr Uint kernel_local_mem_size = 0x11B2;
inline constexpr Uint kernel_private_mem_size = 0x11B4;
inline constexpr Uint kernel_arg_address_qualifier = 0x1196;
inline constexpr Uint kernel_arg_access_qualifier = 0x1197;
inline constexpr Uint kernel_arg_type_name = 0x1198;
inline constexpr Uint kernel_arg_name = 0x119A;
inline constexpr Uint kernel_arg_address_global = 0x119B;
inline constexpr Uint kernel_arg_address_local = 0x119C;
inline constexpr Uint kernel_arg_address_constant = 0x119D;
inline constexpr Uint kernel_arg_address_private = 0x119E;
inline constexpr Uint kernel_arg_access_read_only = 0x11A0;
inline constexpr Uint kernel_arg_access_write_only = 0x11A1;
inline constexpr Uint kernel_arg_access_read_write = 0x11A2;
inline constexpr Uint kernel_arg_access_none = 0x11A3;

// clGetEventInfo, clGetEventProfilingInfo.
inline constexpr Uint event_command_execution_status = 0x11D3;
inline constexpr Int complete = 0;
inline constexpr Uint profiling_command_start = 0x1282;
inline constexpr Uint profiling_command_end = 0x1283;

// Function types.
using ContextErrorCallback = void (*)(const char* message, const void* private_info, std::size_t size, void* user_data);
using ProgramCallback = void (*)(Program program, void* user_data);

using GetPlatformIds = Int(Uint capacity, Platform* platforms, Uint* count);
using GetPlatformInfo = Int(Platform platform, Uint name, std::size_t capacity, void* value, std::size_t* size);
using GetDeviceIds = Int(Platform platform, Bitfield type, Uint capacity, Device* devices, Uint* count);
using GetDeviceInfo = Int(Device device, Uint name, std::size_t capacity, void* value, std::size_t* size);
using CreateContext = Context(const std::intptr_t* properties, Uint count, const Device* devices,
                              ContextErrorCallback callback, void* user_data, Int* status);
using ReleaseContext = Int(Context context);
using CreateCommandQueue = Queue(Context context, Device device, Bitfield properties, Int* status);
using ReleaseCommandQueue = Int(Queue queue);
using CreateBuffer = Mem(Context context, Bitfield flags, std::size_t size, void* host, Int* status);
using CreateSubBuffer = Mem(Mem whole, Bitfield flags, Uint type, const void* region, Int* status);
using GetSupportedImageFormats = Int(Context context, Bitfield flags, Uint kind, Uint capacity,
                                     ::_cl_image_format* formats, Uint* count);
using CreateImage = Mem(Context context, Bitfield flags, const ::_cl_image_format* format,
                        const ::_cl_image_desc* description, void* host, Int* status);
using CreateSampler = Sampler(Context context, Bool normalized, Uint addressing, Uint filter, Int* status);
using ReleaseSampler = Int(Sampler sampler);
using ReleaseMemObject = Int(Mem memory);
using CreateProgramWithSource = Program(Context context, Uint count, const char** texts, const std::size_t* lengths,
                                        Int* status);
using CreateProgramWithBinary = Program(Context context, Uint count, const Device* devices, const std::size_t* lengths,
                                        const unsigned char** images, Int* image_status, Int* status);
using BuildProgram = Int(Program program, Uint count, const Device* devices, const char* options,
                         ProgramCallback callback, void* user_data);
using GetProgramInfo = Int(Program program, Uint name, std::size_t capacity, void* value, std::size_t* size);
using GetProgramBuildInfo = Int(Program program, Device device, Uint name, std::size_t capacity, void* value,
                                std::size_t* size);
using ReleaseProgram = Int(Program program);
using CreateKernel = Kernel(Program program, const char* name, Int* status);
using ReleaseKernel = Int(Kernel kernel);
using SetKernelArg = Int(Kernel kernel, Uint index, std::size_t size, const void* value);
using GetKernelInfo = Int(Kernel kernel, Uint name, std::size_t capacity, void* value, std::size_t* size);
using GetKernelWorkGroupInfo = Int(Kernel kernel, Device device, Uint name, std::size_t capacity, void* value,
                                   std::size_t* size);
using GetKernelArgInfo = Int(Kernel kernel, Uint index, Uint name, std::size_t capacity, void* value,
                             std::size_t* size);
using EnqueueNDRangeKernel = Int(Queue queue, Kernel kernel, Uint dimensions, const std::size_t* offset,
                                 const std::size_t* global, const std::size_t* local, Uint waits,
                                 const Event* wait_list, Event* event);
using EnqueueWriteBuffer = Int(Queue queue, Mem memory, Bool blocking, std::size_t offset, std::size_t size,
                               const void* source, Uint waits, const Event* wait_list, Event* event);
using EnqueueReadBuffer = Int(Queue queue, Mem memory, Bool blocking, std::size_t offset, std::size_t size,
                              void* destination, Uint waits, const Event* wait_list, Event* event);
using EnqueueCopyBuffer = Int(Queue queue, Mem source, Mem destination, std::size_t source_offset,
                              std::size_t destination_offset, std::size_t size, Uint waits, const Event* wait_list,
                              Event* event);
using EnqueueCopyBufferToImage = Int(Queue queue, Mem source, Mem destination, std::size_t source_offset,
                                     const std::size_t* origin, const std::size_t* region, Uint waits,
                                     const Event* wait_list, Event* event);
using EnqueueCopyImageToBuffer = Int(Queue queue, Mem source, Mem destination, const std::size_t* origin,
                                     const std::size_t* region, std::size_t destination_offset, Uint waits,
                                     const Event* wait_list, Event* event);
using EnqueueFillBuffer = Int(Queue queue, Mem memory, const void* pattern, std::size_t pattern_size,
                              std::size_t offset, std::size_t size, Uint waits, const Event* wait_list, Event* event);
using EnqueueMapBuffer = void*(Queue queue, Mem memory, Bool blocking, Bitfield flags, std::size_t offset,
                               std::size_t size, Uint waits, const Event* wait_list, Event* event, Int* status);
using EnqueueUnmapMemObject = Int(Queue queue, Mem memory, void* mapped, Uint waits, const Event* wait_list,
                                  Event* event);
using EnqueueMarkerWithWaitList = Int(Queue queue, Uint waits, const Event* wait_list, Event* event);
using EnqueueBarrierWithWaitList = Int(Queue queue, Uint waits, const Event* wait_list, Event* event);
using Flush = Int(Queue queue);
using Finish = Int(Queue queue);
using WaitForEvents = Int(Uint count, const Event* events);
using GetEventInfo = Int(Event event, Uint name, std::size_t capacity, void* value, std::size_t* size);
using GetEventProfilingInfo = Int(Event event, Uint name, std::size_t capacity, void* value, std::size_t* size);
using ReleaseEvent = Int(Event event);

}  // namespace warpwright::opencl::abi
