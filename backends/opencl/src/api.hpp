// The table of OpenCL functions this backend calls. The program fills it from libOpenCL.so.1 at run time; tests fill it
// with functions that fail on demand.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "opencl_abi.hpp"

namespace warpwright::opencl {

// X(member, exported symbol, function type)
#define WARPWRIGHT_OPENCL_FUNCTIONS(X)                                                        \
  X(get_platform_ids, clGetPlatformIDs, GetPlatformIds)                                       \
  X(get_platform_info, clGetPlatformInfo, GetPlatformInfo)                                    \
  X(get_device_ids, clGetDeviceIDs, GetDeviceIds)                                             \
  X(get_device_info, clGetDeviceInfo, GetDeviceInfo)                                          \
  X(create_context, clCreateContext, CreateContext)                                           \
  X(release_context, clReleaseContext, ReleaseContext)                                        \
  X(create_command_queue, clCreateCommandQueue, CreateCommandQueue)                           \
  X(release_command_queue, clReleaseCommandQueue, ReleaseCommandQueue)                        \
  X(create_buffer, clCreateBuffer, CreateBuffer)                                              \
  X(create_sub_buffer, clCreateSubBuffer, CreateSubBuffer)                                    \
  X(get_supported_image_formats, clGetSupportedImageFormats, GetSupportedImageFormats)        \
  X(create_image, clCreateImage, CreateImage)                                                 \
  X(create_sampler, clCreateSampler, CreateSampler)                                           \
  X(release_sampler, clReleaseSampler, ReleaseSampler)                                        \
  X(release_mem_object, clReleaseMemObject, ReleaseMemObject)                                 \
  X(create_program_with_source, clCreateProgramWithSource, CreateProgramWithSource)           \
  X(create_program_with_binary, clCreateProgramWithBinary, CreateProgramWithBinary)           \
  X(build_program, clBuildProgram, BuildProgram)                                              \
  X(get_program_info, clGetProgramInfo, GetProgramInfo)                                       \
  X(get_program_build_info, clGetProgramBuildInfo, GetProgramBuildInfo)                       \
  X(release_program, clReleaseProgram, ReleaseProgram)                                        \
  X(create_kernel, clCreateKernel, CreateKernel)                                              \
  X(release_kernel, clReleaseKernel, ReleaseKernel)                                           \
  X(set_kernel_arg, clSetKernelArg, SetKernelArg)                                             \
  X(get_kernel_info, clGetKernelInfo, GetKernelInfo)                                          \
  X(get_kernel_work_group_info, clGetKernelWorkGroupInfo, GetKernelWorkGroupInfo)             \
  X(get_kernel_arg_info, clGetKernelArgInfo, GetKernelArgInfo)                                \
  X(enqueue_nd_range_kernel, clEnqueueNDRangeKernel, EnqueueNDRangeKernel)                    \
  X(enqueue_write_buffer, clEnqueueWriteBuffer, EnqueueWriteBuffer)                           \
  X(enqueue_read_buffer, clEnqueueReadBuffer, EnqueueReadBuffer)                              \
  X(enqueue_copy_buffer, clEnqueueCopyBuffer, EnqueueCopyBuffer)                              \
  X(enqueue_copy_buffer_to_image, clEnqueueCopyBufferToImage, EnqueueCopyBufferToImage)       \
  X(enqueue_copy_image_to_buffer, clEnqueueCopyImageToBuffer, EnqueueCopyImageToBuffer)       \
  X(enqueue_fill_buffer, clEnqueueFillBuffer, EnqueueFillBuffer)                              \
  X(enqueue_map_buffer, clEnqueueMapBuffer, EnqueueMapBuffer)                                 \
  X(enqueue_unmap_mem_object, clEnqueueUnmapMemObject, EnqueueUnmapMemObject)                 \
  X(enqueue_marker_with_wait_list, clEnqueueMarkerWithWaitList, EnqueueMarkerWithWaitList)    \
  X(enqueue_barrier_with_wait_list, clEnqueueBarrierWithWaitList, EnqueueBarrierWithWaitList) \
  X(flush, clFlush, Flush)                                                                    \
  X(finish, clFinish, Finish)                                                                 \
  X(wait_for_events, clWaitForEvents, WaitForEvents)                                          \
  X(get_event_info, clGetEventInfo, GetEventInfo)                                             \
  X(get_event_profiling_info, clGetEventProfilingInfo, GetEventProfilingInfo)                 \
  X(release_event, clReleaseEvent, ReleaseEvent)

// Immutable once filled, thread-safe as OpenCL itself is (clSetKernelArg excepted: see Kernel).
struct Api {
#define WARPWRIGHT_OPENCL_MEMBER(member, symbol, type) abi::type* member = nullptr;
  WARPWRIGHT_OPENCL_FUNCTIONS(WARPWRIGHT_OPENCL_MEMBER)
#undef WARPWRIGHT_OPENCL_MEMBER
  std::string library;  // where it was found
  // CUDA's driver, which knows more about NVIDIA's cards; empty: never asked.
  std::string cuda_library = "libcuda.so.1";
};

struct LoadedApi {
  std::shared_ptr<const Api> api;  // null if the library is missing or too old
  std::string reason;              // then: why, as dlopen or we say it
};

// Opens `library` with dlopen. Never throws. The library stays loaded until the process ends: drivers start threads and
// register exit handlers whose code must not go away (PoCL does both).
LoadedApi load_api(const std::string& library = "libOpenCL.so.1");

// "CL_INVALID_VALUE"; "CL_UNKNOWN_ERROR" for codes of no known name.
std::string_view status_name(abi::Int status) noexcept;

// What was being done when a status came back; together they decide the ErrorCode.
enum class Stage { query, open, allocate, build, load, argument, launch, copy, wait };

// Throws Error with the native code and name unless `status` is success. `call` is the OpenCL function, `what` says
// what it was to do, e.g. "allocate 4 GiB".
void check(abi::Int status, Stage stage, std::string_view call, std::string_view what = {});

}  // namespace warpwright::opencl
