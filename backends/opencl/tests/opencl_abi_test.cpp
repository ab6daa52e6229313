// Our declarations against the vendors' headers, where those are installed.
#include "opencl_abi.hpp"

#include <gtest/gtest.h>

#include "api.hpp"

#if WARPWRIGHT_TEST_OPENCL_H
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <CL/cl_ext.h>
#include <cstddef>
#include <type_traits>

namespace warpwright::opencl {
namespace {

static_assert(std::is_same_v<abi::Int, cl_int> && std::is_same_v<abi::Uint, cl_uint>);
static_assert(sizeof(abi::Ulong) == sizeof(cl_ulong) && std::is_same_v<abi::Bitfield, cl_bitfield>);
static_assert(std::is_same_v<abi::Bool, cl_bool>);
static_assert(std::is_same_v<abi::Platform, cl_platform_id> && std::is_same_v<abi::Device, cl_device_id>);
static_assert(std::is_same_v<abi::Context, cl_context> && std::is_same_v<abi::Queue, cl_command_queue>);
static_assert(std::is_same_v<abi::Mem, cl_mem> && std::is_same_v<abi::Program, cl_program>);
static_assert(std::is_same_v<abi::Kernel, cl_kernel> && std::is_same_v<abi::Event, cl_event>);
static_assert(std::is_same_v<abi::Sampler, cl_sampler>);
static_assert(sizeof(abi::ImageFormat) == sizeof(cl_image_format) &&
              offsetof(abi::ImageFormat, order) == offsetof(cl_image_format, image_channel_order) &&
              offsetof(abi::ImageFormat, type) == offsetof(cl_image_format, image_channel_data_type));
#define WARPWRIGHT_SAME_OFFSET(ours, theirs) (offsetof(abi::ImageDescription, ours) == offsetof(cl_image_desc, theirs))
static_assert(sizeof(abi::ImageDescription) == sizeof(cl_image_desc) && WARPWRIGHT_SAME_OFFSET(kind, image_type) &&
              WARPWRIGHT_SAME_OFFSET(width, image_width) && WARPWRIGHT_SAME_OFFSET(height, image_height) &&
              WARPWRIGHT_SAME_OFFSET(depth, image_depth) && WARPWRIGHT_SAME_OFFSET(layers, image_array_size) &&
              WARPWRIGHT_SAME_OFFSET(row_pitch, image_row_pitch) &&
              WARPWRIGHT_SAME_OFFSET(slice_pitch, image_slice_pitch) &&
              WARPWRIGHT_SAME_OFFSET(mip_levels, num_mip_levels) && WARPWRIGHT_SAME_OFFSET(samples, num_samples) &&
              WARPWRIGHT_SAME_OFFSET(buffer, buffer));
#undef WARPWRIGHT_SAME_OFFSET

// Every function of the table has exactly the type of the exported one.
#define WARPWRIGHT_SAME_FUNCTION(member, symbol, type) \
  static_assert(std::is_same_v<abi::type, decltype(symbol)>, #symbol);
WARPWRIGHT_OPENCL_FUNCTIONS(WARPWRIGHT_SAME_FUNCTION)
#undef WARPWRIGHT_SAME_FUNCTION

struct Constant {
  const char* name;
  long long ours, theirs;
};

TEST(OpenclAbi, ConstantsAreThoseOfTheHeaders) {
#define WARPWRIGHT_CONSTANT(ours, theirs) \
  Constant { #theirs, static_cast < long long>(abi::ours), static_cast < long long>(theirs) }
  const Constant constants[] = {
      WARPWRIGHT_CONSTANT(no, CL_FALSE),
      WARPWRIGHT_CONSTANT(yes, CL_TRUE),
      WARPWRIGHT_CONSTANT(platform_version, CL_PLATFORM_VERSION),
      WARPWRIGHT_CONSTANT(platform_name, CL_PLATFORM_NAME),
      WARPWRIGHT_CONSTANT(platform_vendor, CL_PLATFORM_VENDOR),
      WARPWRIGHT_CONSTANT(device_type_cpu, CL_DEVICE_TYPE_CPU),
      WARPWRIGHT_CONSTANT(device_type_gpu, CL_DEVICE_TYPE_GPU),
      WARPWRIGHT_CONSTANT(device_type_accelerator, CL_DEVICE_TYPE_ACCELERATOR),
      WARPWRIGHT_CONSTANT(device_type_all, CL_DEVICE_TYPE_ALL),
      WARPWRIGHT_CONSTANT(device_type, CL_DEVICE_TYPE),
      WARPWRIGHT_CONSTANT(device_max_compute_units, CL_DEVICE_MAX_COMPUTE_UNITS),
      WARPWRIGHT_CONSTANT(device_max_work_group_size, CL_DEVICE_MAX_WORK_GROUP_SIZE),
      WARPWRIGHT_CONSTANT(device_max_work_item_sizes, CL_DEVICE_MAX_WORK_ITEM_SIZES),
      WARPWRIGHT_CONSTANT(device_max_clock_frequency, CL_DEVICE_MAX_CLOCK_FREQUENCY),
      WARPWRIGHT_CONSTANT(device_max_mem_alloc_size, CL_DEVICE_MAX_MEM_ALLOC_SIZE),
      WARPWRIGHT_CONSTANT(device_image2d_max_width, CL_DEVICE_IMAGE2D_MAX_WIDTH),
      WARPWRIGHT_CONSTANT(device_image2d_max_height, CL_DEVICE_IMAGE2D_MAX_HEIGHT),
      WARPWRIGHT_CONSTANT(device_image_support, CL_DEVICE_IMAGE_SUPPORT),
      WARPWRIGHT_CONSTANT(mem_read_only, CL_MEM_READ_ONLY),
      WARPWRIGHT_CONSTANT(channels_r, CL_R),
      WARPWRIGHT_CONSTANT(channels_rg, CL_RG),
      WARPWRIGHT_CONSTANT(channels_rgba, CL_RGBA),
      WARPWRIGHT_CONSTANT(channel_snorm_int8, CL_SNORM_INT8),
      WARPWRIGHT_CONSTANT(channel_snorm_int16, CL_SNORM_INT16),
      WARPWRIGHT_CONSTANT(channel_unorm_int8, CL_UNORM_INT8),
      WARPWRIGHT_CONSTANT(channel_unorm_int16, CL_UNORM_INT16),
      WARPWRIGHT_CONSTANT(channel_signed_int8, CL_SIGNED_INT8),
      WARPWRIGHT_CONSTANT(channel_signed_int16, CL_SIGNED_INT16),
      WARPWRIGHT_CONSTANT(channel_signed_int32, CL_SIGNED_INT32),
      WARPWRIGHT_CONSTANT(channel_unsigned_int8, CL_UNSIGNED_INT8),
      WARPWRIGHT_CONSTANT(channel_unsigned_int16, CL_UNSIGNED_INT16),
      WARPWRIGHT_CONSTANT(channel_unsigned_int32, CL_UNSIGNED_INT32),
      WARPWRIGHT_CONSTANT(channel_half_float, CL_HALF_FLOAT),
      WARPWRIGHT_CONSTANT(channel_float, CL_FLOAT),
      WARPWRIGHT_CONSTANT(mem_object_image2d, CL_MEM_OBJECT_IMAGE2D),
      WARPWRIGHT_CONSTANT(address_none, CL_ADDRESS_NONE),
      WARPWRIGHT_CONSTANT(address_clamp_to_edge, CL_ADDRESS_CLAMP_TO_EDGE),
      WARPWRIGHT_CONSTANT(address_clamp, CL_ADDRESS_CLAMP),
      WARPWRIGHT_CONSTANT(address_repeat, CL_ADDRESS_REPEAT),
      WARPWRIGHT_CONSTANT(address_mirrored_repeat, CL_ADDRESS_MIRRORED_REPEAT),
      WARPWRIGHT_CONSTANT(filter_nearest, CL_FILTER_NEAREST),
      WARPWRIGHT_CONSTANT(filter_linear, CL_FILTER_LINEAR),
      WARPWRIGHT_CONSTANT(kernel_arg_access_read_only, CL_KERNEL_ARG_ACCESS_READ_ONLY),
      WARPWRIGHT_CONSTANT(kernel_arg_access_write_only, CL_KERNEL_ARG_ACCESS_WRITE_ONLY),
      WARPWRIGHT_CONSTANT(kernel_arg_access_read_write, CL_KERNEL_ARG_ACCESS_READ_WRITE),
      WARPWRIGHT_CONSTANT(device_global_mem_cache_size, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE),
      WARPWRIGHT_CONSTANT(device_global_mem_size, CL_DEVICE_GLOBAL_MEM_SIZE),
      WARPWRIGHT_CONSTANT(device_max_constant_buffer_size, CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE),
      WARPWRIGHT_CONSTANT(device_local_mem_size, CL_DEVICE_LOCAL_MEM_SIZE),
      WARPWRIGHT_CONSTANT(device_available, CL_DEVICE_AVAILABLE),
      WARPWRIGHT_CONSTANT(device_compiler_available, CL_DEVICE_COMPILER_AVAILABLE),
      WARPWRIGHT_CONSTANT(device_name, CL_DEVICE_NAME),
      WARPWRIGHT_CONSTANT(device_vendor, CL_DEVICE_VENDOR),
      WARPWRIGHT_CONSTANT(driver_version, CL_DRIVER_VERSION),
      WARPWRIGHT_CONSTANT(device_version, CL_DEVICE_VERSION),
      WARPWRIGHT_CONSTANT(device_extensions, CL_DEVICE_EXTENSIONS),
      WARPWRIGHT_CONSTANT(device_opencl_c_version, CL_DEVICE_OPENCL_C_VERSION),
      WARPWRIGHT_CONSTANT(queue_profiling_enable, CL_QUEUE_PROFILING_ENABLE),
      WARPWRIGHT_CONSTANT(mem_read_write, CL_MEM_READ_WRITE),
      WARPWRIGHT_CONSTANT(mem_alloc_host_ptr, CL_MEM_ALLOC_HOST_PTR),
      WARPWRIGHT_CONSTANT(buffer_create_type_region, CL_BUFFER_CREATE_TYPE_REGION),
      WARPWRIGHT_CONSTANT(map_read, CL_MAP_READ),
      WARPWRIGHT_CONSTANT(map_write, CL_MAP_WRITE),
      WARPWRIGHT_CONSTANT(program_binary_sizes, CL_PROGRAM_BINARY_SIZES),
      WARPWRIGHT_CONSTANT(program_binaries, CL_PROGRAM_BINARIES),
      WARPWRIGHT_CONSTANT(program_kernel_names, CL_PROGRAM_KERNEL_NAMES),
      WARPWRIGHT_CONSTANT(program_build_log, CL_PROGRAM_BUILD_LOG),
      WARPWRIGHT_CONSTANT(kernel_num_args, CL_KERNEL_NUM_ARGS),
      WARPWRIGHT_CONSTANT(kernel_work_group_size, CL_KERNEL_WORK_GROUP_SIZE),
      WARPWRIGHT_CONSTANT(kernel_local_mem_size, CL_KERNEL_LOCAL_MEM_SIZE),
      WARPWRIGHT_CONSTANT(kernel_private_mem_size, CL_KERNEL_PRIVATE_MEM_SIZE),
      WARPWRIGHT_CONSTANT(kernel_compile_work_group_size, CL_KERNEL_COMPILE_WORK_GROUP_SIZE),
      WARPWRIGHT_CONSTANT(kernel_arg_address_qualifier, CL_KERNEL_ARG_ADDRESS_QUALIFIER),
      WARPWRIGHT_CONSTANT(kernel_arg_access_qualifier, CL_KERNEL_ARG_ACCESS_QUALIFIER),
      WARPWRIGHT_CONSTANT(kernel_arg_type_name, CL_KERNEL_ARG_TYPE_NAME),
      WARPWRIGHT_CONSTANT(kernel_arg_name, CL_KERNEL_ARG_NAME),
      WARPWRIGHT_CONSTANT(kernel_arg_address_global, CL_KERNEL_ARG_ADDRESS_GLOBAL),
      WARPWRIGHT_CONSTANT(kernel_arg_address_local, CL_KERNEL_ARG_ADDRESS_LOCAL),
      WARPWRIGHT_CONSTANT(kernel_arg_address_constant, CL_KERNEL_ARG_ADDRESS_CONSTANT),
      WARPWRIGHT_CONSTANT(kernel_arg_address_private, CL_KERNEL_ARG_ADDRESS_PRIVATE),
      WARPWRIGHT_CONSTANT(kernel_arg_access_none, CL_KERNEL_ARG_ACCESS_NONE),
      WARPWRIGHT_CONSTANT(event_command_execution_status, CL_EVENT_COMMAND_EXECUTION_STATUS),
      WARPWRIGHT_CONSTANT(complete, CL_COMPLETE),
      WARPWRIGHT_CONSTANT(profiling_command_start, CL_PROFILING_COMMAND_START),
      WARPWRIGHT_CONSTANT(profiling_command_end, CL_PROFILING_COMMAND_END),
#ifdef CL_DEVICE_UUID_KHR
      WARPWRIGHT_CONSTANT(device_uuid_khr, CL_DEVICE_UUID_KHR),
#endif
#ifdef CL_DEVICE_PCI_BUS_INFO_KHR
      WARPWRIGHT_CONSTANT(device_pci_bus_info_khr, CL_DEVICE_PCI_BUS_INFO_KHR),
#endif
#ifdef CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV
      WARPWRIGHT_CONSTANT(device_compute_capability_major_nv, CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV),
      WARPWRIGHT_CONSTANT(device_compute_capability_minor_nv, CL_DEVICE_COMPUTE_CAPABILITY_MINOR_NV),
      WARPWRIGHT_CONSTANT(device_registers_per_block_nv, CL_DEVICE_REGISTERS_PER_BLOCK_NV),
      WARPWRIGHT_CONSTANT(device_warp_size_nv, CL_DEVICE_WARP_SIZE_NV),
#endif
#ifdef CL_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT_NV
      WARPWRIGHT_CONSTANT(device_attribute_async_engine_count_nv, CL_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT_NV),
      WARPWRIGHT_CONSTANT(device_pci_bus_id_nv, CL_DEVICE_PCI_BUS_ID_NV),
      WARPWRIGHT_CONSTANT(device_pci_slot_id_nv, CL_DEVICE_PCI_SLOT_ID_NV),
      WARPWRIGHT_CONSTANT(device_pci_domain_id_nv, CL_DEVICE_PCI_DOMAIN_ID_NV),
#endif
#ifdef CL_DEVICE_BOARD_NAME_AMD
      WARPWRIGHT_CONSTANT(device_board_name_amd, CL_DEVICE_BOARD_NAME_AMD),
      WARPWRIGHT_CONSTANT(device_global_free_memory_amd, CL_DEVICE_GLOBAL_FREE_MEMORY_AMD),
      WARPWRIGHT_CONSTANT(device_wavefront_width_amd, CL_DEVICE_WAVEFRONT_WIDTH_AMD),
#endif
  };
#undef WARPWRIGHT_CONSTANT
  for (const auto& [name, ours, theirs] : constants) EXPECT_EQ(ours, theirs) << name;
}

TEST(OpenclAbi, StatusNamesAreThoseOfTheHeaders) {
#define WARPWRIGHT_STATUS(name) EXPECT_EQ(status_name(name), #name)
  WARPWRIGHT_STATUS(CL_SUCCESS);
  WARPWRIGHT_STATUS(CL_DEVICE_NOT_FOUND);
  WARPWRIGHT_STATUS(CL_DEVICE_NOT_AVAILABLE);
  WARPWRIGHT_STATUS(CL_COMPILER_NOT_AVAILABLE);
  WARPWRIGHT_STATUS(CL_MEM_OBJECT_ALLOCATION_FAILURE);
  WARPWRIGHT_STATUS(CL_OUT_OF_RESOURCES);
  WARPWRIGHT_STATUS(CL_OUT_OF_HOST_MEMORY);
  WARPWRIGHT_STATUS(CL_PROFILING_INFO_NOT_AVAILABLE);
  WARPWRIGHT_STATUS(CL_MEM_COPY_OVERLAP);
  WARPWRIGHT_STATUS(CL_IMAGE_FORMAT_MISMATCH);
  WARPWRIGHT_STATUS(CL_IMAGE_FORMAT_NOT_SUPPORTED);
  WARPWRIGHT_STATUS(CL_BUILD_PROGRAM_FAILURE);
  WARPWRIGHT_STATUS(CL_MAP_FAILURE);
  WARPWRIGHT_STATUS(CL_MISALIGNED_SUB_BUFFER_OFFSET);
  WARPWRIGHT_STATUS(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
  WARPWRIGHT_STATUS(CL_COMPILE_PROGRAM_FAILURE);
  WARPWRIGHT_STATUS(CL_LINKER_NOT_AVAILABLE);
  WARPWRIGHT_STATUS(CL_LINK_PROGRAM_FAILURE);
  WARPWRIGHT_STATUS(CL_DEVICE_PARTITION_FAILED);
  WARPWRIGHT_STATUS(CL_KERNEL_ARG_INFO_NOT_AVAILABLE);
  WARPWRIGHT_STATUS(CL_INVALID_VALUE);
  WARPWRIGHT_STATUS(CL_INVALID_DEVICE_TYPE);
  WARPWRIGHT_STATUS(CL_INVALID_PLATFORM);
  WARPWRIGHT_STATUS(CL_INVALID_DEVICE);
  WARPWRIGHT_STATUS(CL_INVALID_CONTEXT);
  WARPWRIGHT_STATUS(CL_INVALID_QUEUE_PROPERTIES);
  WARPWRIGHT_STATUS(CL_INVALID_COMMAND_QUEUE);
  WARPWRIGHT_STATUS(CL_INVALID_HOST_PTR);
  WARPWRIGHT_STATUS(CL_INVALID_MEM_OBJECT);
  WARPWRIGHT_STATUS(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR);
  WARPWRIGHT_STATUS(CL_INVALID_IMAGE_SIZE);
  WARPWRIGHT_STATUS(CL_INVALID_SAMPLER);
  WARPWRIGHT_STATUS(CL_INVALID_BINARY);
  WARPWRIGHT_STATUS(CL_INVALID_BUILD_OPTIONS);
  WARPWRIGHT_STATUS(CL_INVALID_PROGRAM);
  WARPWRIGHT_STATUS(CL_INVALID_PROGRAM_EXECUTABLE);
  WARPWRIGHT_STATUS(CL_INVALID_KERNEL_NAME);
  WARPWRIGHT_STATUS(CL_INVALID_KERNEL_DEFINITION);
  WARPWRIGHT_STATUS(CL_INVALID_KERNEL);
  WARPWRIGHT_STATUS(CL_INVALID_ARG_INDEX);
  WARPWRIGHT_STATUS(CL_INVALID_ARG_VALUE);
  WARPWRIGHT_STATUS(CL_INVALID_ARG_SIZE);
  WARPWRIGHT_STATUS(CL_INVALID_KERNEL_ARGS);
  WARPWRIGHT_STATUS(CL_INVALID_WORK_DIMENSION);
  WARPWRIGHT_STATUS(CL_INVALID_WORK_GROUP_SIZE);
  WARPWRIGHT_STATUS(CL_INVALID_WORK_ITEM_SIZE);
  WARPWRIGHT_STATUS(CL_INVALID_GLOBAL_OFFSET);
  WARPWRIGHT_STATUS(CL_INVALID_EVENT_WAIT_LIST);
  WARPWRIGHT_STATUS(CL_INVALID_EVENT);
  WARPWRIGHT_STATUS(CL_INVALID_OPERATION);
  WARPWRIGHT_STATUS(CL_INVALID_GL_OBJECT);
  WARPWRIGHT_STATUS(CL_INVALID_BUFFER_SIZE);
  WARPWRIGHT_STATUS(CL_INVALID_MIP_LEVEL);
  WARPWRIGHT_STATUS(CL_INVALID_GLOBAL_WORK_SIZE);
  WARPWRIGHT_STATUS(CL_INVALID_PROPERTY);
  WARPWRIGHT_STATUS(CL_INVALID_IMAGE_DESCRIPTOR);
  WARPWRIGHT_STATUS(CL_INVALID_COMPILER_OPTIONS);
  WARPWRIGHT_STATUS(CL_INVALID_LINKER_OPTIONS);
  WARPWRIGHT_STATUS(CL_INVALID_DEVICE_PARTITION_COUNT);
#ifdef CL_PLATFORM_NOT_FOUND_KHR
  WARPWRIGHT_STATUS(CL_PLATFORM_NOT_FOUND_KHR);
#endif
#undef WARPWRIGHT_STATUS
  EXPECT_EQ(status_name(-4242), "CL_UNKNOWN_ERROR");
}

}  // namespace
}  // namespace warpwright::opencl

#else

TEST(OpenclAbi, NeedsTheVendorsHeaders) { GTEST_SKIP() << "CL/cl.h is not installed (opencl-c-headers)"; }

#endif
