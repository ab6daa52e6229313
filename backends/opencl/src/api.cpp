#include "api.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>

namespace warpwright::opencl {

LoadedApi load_api(const std::string& library) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == nullptr) {
    const char* why = dlerror();
    return {nullptr, why != nullptr ? why : "cannot open " + library};
  }
  auto api = std::make_shared<Api>();
  std::string missing;
  const auto resolve = [&](auto& member, const char* symbol) {
    // POSIX guarantees that a function address survives the trip through void*.
    member = reinterpret_cast<std::remove_reference_t<decltype(member)>>(dlsym(handle, symbol));
    if (member == nullptr) missing += (missing.empty() ? "" : ", ") + std::string(symbol);
  };
#define WARPWRIGHT_OPENCL_RESOLVE(member, symbol, type) resolve(api->member, #symbol);
  WARPWRIGHT_OPENCL_FUNCTIONS(WARPWRIGHT_OPENCL_RESOLVE)
#undef WARPWRIGHT_OPENCL_RESOLVE
  api->library = library;
  Dl_info where{};
  if (api->get_platform_ids != nullptr && dladdr(reinterpret_cast<void*>(api->get_platform_ids), &where) != 0 &&
      where.dli_fname != nullptr)
    api->library = where.dli_fname;
  if (!missing.empty()) {
    const std::string found = api->library;
    dlclose(handle);
    return {nullptr, found + " lacks " + missing + ": it is older than OpenCL 1.2"};
  }
  return {std::move(api), {}};
}

std::string_view status_name(abi::Int status) noexcept {
  switch (status) {
    case abi::success:
      return "CL_SUCCESS";
    case abi::device_not_found:
      return "CL_DEVICE_NOT_FOUND";
    case abi::device_not_available:
      return "CL_DEVICE_NOT_AVAILABLE";
    case abi::compiler_not_available:
      return "CL_COMPILER_NOT_AVAILABLE";
    case abi::mem_object_allocation_failure:
      return "CL_MEM_OBJECT_ALLOCATION_FAILURE";
    case abi::out_of_resources:
      return "CL_OUT_OF_RESOURCES";
    case abi::out_of_host_memory:
      return "CL_OUT_OF_HOST_MEMORY";
    case abi::profiling_info_not_available:
      return "CL_PROFILING_INFO_NOT_AVAILABLE";
    case abi::mem_copy_overlap:
      return "CL_MEM_COPY_OVERLAP";
    case abi::image_format_mismatch:
      return "CL_IMAGE_FORMAT_MISMATCH";
    case abi::image_format_not_supported:
      return "CL_IMAGE_FORMAT_NOT_SUPPORTED";
    case abi::build_program_failure:
      return "CL_BUILD_PROGRAM_FAILURE";
    case abi::map_failure:
      return "CL_MAP_FAILURE";
    case abi::misaligned_sub_buffer_offset:
      return "CL_MISALIGNED_SUB_BUFFER_OFFSET";
    case abi::exec_status_error_for_events_in_wait_list:
      return "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST";
    case abi::compile_program_failure:
      return "CL_COMPILE_PROGRAM_FAILURE";
    case abi::linker_not_available:
      return "CL_LINKER_NOT_AVAILABLE";
    case abi::link_program_failure:
      return "CL_LINK_PROGRAM_FAILURE";
    case abi::device_partition_failed:
      return "CL_DEVICE_PARTITION_FAILED";
    case abi::kernel_arg_info_not_available:
      return "CL_KERNEL_ARG_INFO_NOT_AVAILABLE";
    case abi::invalid_value:
      return "CL_INVALID_VALUE";
    case abi::invalid_device_type:
      return "CL_INVALID_DEVICE_TYPE";
    case abi::invalid_platform:
      return "CL_INVALID_PLATFORM";
    case abi::invalid_device:
      return "CL_INVALID_DEVICE";
    case abi::invalid_context:
      return "CL_INVALID_CONTEXT";
    case abi::invalid_queue_properties:
      return "CL_INVALID_QUEUE_PROPERTIES";
    case abi::invalid_command_queue:
      return "CL_INVALID_COMMAND_QUEUE";
    case abi::invalid_host_ptr:
      return "CL_INVALID_HOST_PTR";
    case abi::invalid_mem_object:
      return "CL_INVALID_MEM_OBJECT";
    case abi::invalid_image_format_descriptor:
      return "CL_INVALID_IMAGE_FORMAT_DESCRIPTOR";
    case abi::invalid_image_size:
      return "CL_INVALID_IMAGE_SIZE";
    case abi::invalid_sampler:
      return "CL_INVALID_SAMPLER";
    case abi::invalid_binary:
      return "CL_INVALID_BINARY";
    case abi::invalid_build_options:
      return "CL_INVALID_BUILD_OPTIONS";
    case abi::invalid_program:
      return "CL_INVALID_PROGRAM";
    case abi::invalid_program_executable:
      return "CL_INVALID_PROGRAM_EXECUTABLE";
    case abi::invalid_kernel_name:
      return "CL_INVALID_KERNEL_NAME";
    case abi::invalid_kernel_definition:
      return "CL_INVALID_KERNEL_DEFINITION";
    case abi::invalid_kernel:
      return "CL_INVALID_KERNEL";
    case abi::invalid_arg_index:
      return "CL_INVALID_ARG_INDEX";
    case abi::invalid_arg_value:
      return "CL_INVALID_ARG_VALUE";
    case abi::invalid_arg_size:
      return "CL_INVALID_ARG_SIZE";
    case abi::invalid_kernel_args:
      return "CL_INVALID_KERNEL_ARGS";
    case abi::invalid_work_dimension:
      return "CL_INVALID_WORK_DIMENSION";
    case abi::invalid_work_group_size:
      return "CL_INVALID_WORK_GROUP_SIZE";
    case abi::invalid_work_item_size:
      return "CL_INVALID_WORK_ITEM_SIZE";
    case abi::invalid_global_offset:
      return "CL_INVALID_GLOBAL_OFFSET";
    case abi::invalid_event_wait_list:
      return "CL_INVALID_EVENT_WAIT_LIST";
    case abi::invalid_event:
      return "CL_INVALID_EVENT";
    case abi::invalid_operation:
      return "CL_INVALID_OPERATION";
    case abi::invalid_gl_object:
      return "CL_INVALID_GL_OBJECT";
    case abi::invalid_buffer_size:
      return "CL_INVALID_BUFFER_SIZE";
    case abi::invalid_mip_level:
      return "CL_INVALID_MIP_LEVEL";
    case abi::invalid_global_work_size:
      return "CL_INVALID_GLOBAL_WORK_SIZE";
    case abi::invalid_property:
      return "CL_INVALID_PROPERTY";
    case abi::invalid_image_descriptor:
      return "CL_INVALID_IMAGE_DESCRIPTOR";
    case abi::invalid_compiler_options:
      return "CL_INVALID_COMPILER_OPTIONS";
    case abi::invalid_linker_options:
      return "CL_INVALID_LINKER_OPTIONS";
    case abi::invalid_device_partition_count:
      return "CL_INVALID_DEVICE_PARTITION_COUNT";
    case abi::platform_not_found_khr:
      return "CL_PLATFORM_NOT_FOUND_KHR";
    case abi::nvidia_illegal_access:
      return "NVIDIA_ILLEGAL_BUFFER_ACCESS";
    default:
      return "CL_UNKNOWN_ERROR";
  }
}

namespace {

ErrorCode classify(abi::Int status, Stage stage) {
  // The same whatever was being done.
  switch (status) {
    case abi::mem_object_allocation_failure:
    case abi::out_of_host_memory:
      return ErrorCode::out_of_memory;
    case abi::compiler_not_available:
    case abi::platform_not_found_khr:
      return ErrorCode::unavailable;
    case abi::nvidia_illegal_access:
    case abi::exec_status_error_for_events_in_wait_list:
      return ErrorCode::device;
    default:
      break;
  }
  switch (stage) {
    case Stage::query:
      return ErrorCode::device;
    case Stage::open:
      return ErrorCode::unavailable;
    case Stage::allocate:
      // Sizes are never 0 here, so an invalid size is one above the device's limit for a single buffer.
      if (status == abi::invalid_buffer_size || status == abi::out_of_resources || status == abi::map_failure)
        return ErrorCode::out_of_memory;
      // Images that the device does not have although it listed format and size.
      if (status == abi::image_format_not_supported || status == abi::invalid_image_format_descriptor ||
          status == abi::invalid_image_size || status == abi::invalid_image_descriptor ||
          status == abi::invalid_operation)
        return ErrorCode::unsupported;
      return ErrorCode::device;
    case Stage::build:
      // Some drivers run out of registers or local memory while they compile and say so with this code.
      return status == abi::invalid_device || status == abi::invalid_program ? ErrorCode::device : ErrorCode::compile;
    case Stage::load:
      return status == abi::out_of_resources ? ErrorCode::out_of_memory : ErrorCode::bad_input;
    case Stage::argument:
      return status == abi::out_of_resources ? ErrorCode::launch : ErrorCode::bad_input;
    case Stage::launch:
      switch (status) {
        // Lost queues and contexts: what drivers answer after an earlier kernel faulted.
        case abi::invalid_command_queue:
        case abi::invalid_context:
        case abi::device_not_available:
          return ErrorCode::device;
        default:
          return ErrorCode::launch;
      }
    case Stage::copy:
    case Stage::wait:
      return ErrorCode::device;
  }
  return ErrorCode::internal;
}

}  // namespace

void check(abi::Int status, Stage stage, std::string_view call, std::string_view what) {
  if (status == abi::success) return;
  throw Error(classify(status, stage),
              what.empty() ? fmt::format("{} failed", call) : fmt::format("cannot {}: {} failed", what, call),
              NativeError{status, std::string(status_name(status))});
}

}  // namespace warpwright::opencl
