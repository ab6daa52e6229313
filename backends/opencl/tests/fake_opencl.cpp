#include "fake_opencl.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace warpwright::opencl {

namespace {

using Kind = FakeOpencl::Kind;

FakeOpencl* current_fake = nullptr;

// The platform and the device are no counted objects: nothing releases them.
int platform_tag = 0, device_tag = 0;

abi::Int give(const std::string& bytes, std::size_t capacity, void* value, std::size_t* size) {
  if (size != nullptr) *size = bytes.size();
  if (value == nullptr) return abi::success;
  if (capacity < bytes.size()) return abi::invalid_value;
  std::memcpy(value, bytes.data(), bytes.size());
  return abi::success;
}

template <class T>
abi::Int give_value(const T& value, std::size_t capacity, void* target, std::size_t* size) {
  return give(std::string(reinterpret_cast<const char*>(&value), sizeof(value)), capacity, target, size);
}

// What every function does first.
#define WARPWRIGHT_ENTER(name)              \
  FakeOpencl& fake = FakeOpencl::current(); \
  const abi::Int outcome = fake.enter(name)
#define WARPWRIGHT_ENTER_OR_RETURN(name) \
  WARPWRIGHT_ENTER(name);                \
  if (outcome != abi::success) return outcome

template <class Handle>
Handle make(FakeOpencl& fake, Kind kind, abi::Int outcome, abi::Int* status) {
  if (status != nullptr) *status = outcome;
  return outcome == abi::success ? static_cast<Handle>(fake.create(kind)) : nullptr;
}

abi::Int enqueue(const char* name, abi::Queue queue, abi::Event* event) {
  WARPWRIGHT_ENTER_OR_RETURN(name);
  if (fake.find(queue, Kind::queue) == nullptr) return abi::invalid_command_queue;
  fake.command(event);
  return abi::success;
}

Api make_table() {
  Api api;
  api.library = "a fake";
  api.cuda_library = FakeOpencl::cuda_library;
  api.get_platform_ids = [](abi::Uint capacity, abi::Platform* platforms, abi::Uint* count) -> abi::Int {
    WARPWRIGHT_ENTER_OR_RETURN("clGetPlatformIDs");
    if (count != nullptr) *count = fake.platforms;
    for (abi::Uint p = 0; platforms != nullptr && p < std::min(capacity, fake.platforms); ++p)
      platforms[p] = reinterpret_cast<abi::Platform>(&platform_tag);
    return fake.platforms == 0 ? abi::platform_not_found_khr : abi::success;
  };
  api.get_platform_info = [](abi::Platform, abi::Uint name, std::size_t capacity, void* value,
                             std::size_t* size) -> abi::Int {
    WARPWRIGHT_ENTER_OR_RETURN("clGetPlatformInfo");
    const std::string text = name == abi::platform_version ? "OpenCL 3.0  Fake 1.0 " : "Fake";
    return give(text + '\0', capacity, value, size);
  };
  api.get_device_ids = [](abi::Platform, abi::Bitfield, abi::Uint capacity, abi::Device* devices,
                          abi::Uint* count) -> abi::Int {
    WARPWRIGHT_ENTER_OR_RETURN("clGetDeviceIDs");
    if (fake.devices == 0) return abi::device_not_found;
    if (count != nullptr) *count = fake.devices;
    for (abi::Uint d = 0; devices != nullptr && d < std::min(capacity, fake.devices); ++d)
      devices[d] = reinterpret_cast<abi::Device>(&device_tag);
    return abi::success;
  };
  api.get_device_info = [](abi::Device, abi::Uint name, std::size_t capacity, void* value,
                           std::size_t* size) -> abi::Int {
    WARPWRIGHT_ENTER_OR_RETURN("clGetDeviceInfo");
    const auto found = fake.device_info.find(name);
    return found == fake.device_info.end() ? abi::invalid_value : give(found->second, capacity, value, size);
  };
  api.create_context = [](const std::intptr_t*, abi::Uint, const abi::Device*, abi::ContextErrorCallback, void*,
                          abi::Int* status) {
    WARPWRIGHT_ENTER("clCreateContext");
    return make<abi::Context>(fake, Kind::context, outcome, status);
  };
  api.create_command_queue = [](abi::Context, abi::Device, abi::Bitfield, abi::Int* status) {
    WARPWRIGHT_ENTER("clCreateCommandQueue");
    return make<abi::Queue>(fake, Kind::queue, outcome, status);
  };
  api.create_buffer = [](abi::Context, abi::Bitfield, std::size_t size, void*, abi::Int* status) {
    WARPWRIGHT_ENTER("clCreateBuffer");
    auto memory = make<abi::Mem>(fake, Kind::memory, outcome, status);
    if (memory != nullptr) fake.find(memory, Kind::memory)->bytes.resize(size);
    return memory;
  };
  api.create_sub_buffer = [](abi::Mem whole, abi::Bitfield, abi::Uint type, const void* region, abi::Int* status) {
    WARPWRIGHT_ENTER("clCreateSubBuffer");
    const auto* parent = fake.find(whole, Kind::memory);
    abi::BufferRegion part;
    std::memcpy(&part, region, sizeof part);
    const bool refused =
        parent == nullptr || type != abi::buffer_create_type_region || part.origin + part.size > parent->bytes.size();
    const abi::Int result = outcome == abi::success && refused ? abi::invalid_value : outcome;
    auto memory = make<abi::Mem>(fake, Kind::memory, result, status);
    if (memory != nullptr) fake.find(memory, Kind::memory)->bytes.resize(part.size);
    return memory;
  };
  api.get_supported_image_formats = [](abi::Context, abi::Bitfield, abi::Uint, abi::Uint capacity,
                                       ::_cl_image_format* formats, abi::Uint* count) -> abi::Int {
    WARPWRIGHT_ENTER_OR_RETURN("clGetSupportedImageFormats");
    if (count != nullptr) *count = static_cast<abi::Uint>(fake.image_formats.size());
    const std::size_t given = std::min<std::size_t>(capacity, fake.image_formats.size());
    if (formats != nullptr) std::memcpy(formats, fake.image_formats.data(), given * sizeof(abi::ImageFormat));
    return abi::success;
  };
  api.create_image = [](abi::Context, abi::Bitfield flags, const ::_cl_image_format* format,
                        const ::_cl_image_desc* description, void*, abi::Int* status) {
    WARPWRIGHT_ENTER("clCreateImage");
    std::memcpy(&fake.image_format, format, sizeof(fake.image_format));
    std::memcpy(&fake.image, description, sizeof(fake.image));
    fake.image_flags = flags;
    return make<abi::Mem>(fake, Kind::memory, outcome, status);
  };
  api.create_sampler = [](abi::Context, abi::Bool normalized, abi::Uint addressing, abi::Uint filter,
                          abi::Int* status) {
    WARPWRIGHT_ENTER("clCreateSampler");
    fake.sampler = {normalized, addressing, filter};
    return make<abi::Sampler>(fake, Kind::sampler, outcome, status);
  };
  api.enqueue_copy_buffer_to_image = [](abi::Queue queue, abi::Mem, abi::Mem, std::size_t, const std::size_t*,
                                        const std::size_t*, abi::Uint, const abi::Event*, abi::Event* event) {
    return enqueue("clEnqueueCopyBufferToImage", queue, event);
  };
  api.enqueue_copy_image_to_buffer = [](abi::Queue queue, abi::Mem, abi::Mem, const std::size_t*, const std::size_t*,
                                        std::size_t, abi::Uint, const abi::Event*, abi::Event* event) {
    return enqueue("clEnqueueCopyImageToBuffer", queue, event);
  };
  api.create_program_with_source = [](abi::Context, abi::Uint, const char** texts, const std::size_t* lengths,
                                      abi::Int* status) {
    WARPWRIGHT_ENTER("clCreateProgramWithSource");
    fake.source.assign(texts[0], lengths[0]);
    return make<abi::Program>(fake, Kind::program, outcome, status);
  };
  api.create_program_with_binary = [](abi::Context, abi::Uint, const abi::Device*, const std::size_t*,
                                      const unsigned char**, abi::Int* image_status, abi::Int* status) {
    WARPWRIGHT_ENTER("clCreateProgramWithBinary");
    if (image_status != nullptr) *image_status = outcome;
    return make<abi::Program>(fake, Kind::program, outcome, status);
  };
  api.build_program = [](abi::Program, abi::Uint, const abi::Device*, const char* options, abi::ProgramCallback,
                         void*) -> abi::Int {
    WARPWRIGHT_ENTER("clBuildProgram");
    fake.options = options;
    return outcome;
  };
  api.get_program_info = [](abi::Program, abi::Uint name, std::size_t capacity, void* value,
                            std::size_t* size) -> abi::Int {
    WARPWRIGHT_ENTER_OR_RETURN("clGetProgramInfo");
    if (name == abi::program_binary_sizes) return give_value(std::size_t{4}, capacity, value, size);
    if (name == abi::program_kernel_names) return give(fake.kernels + '\0', capacity, value, size);
    if (name != abi::program_binaries) return abi::invalid_value;
    unsigned char* image = nullptr;
    std::memcpy(&image, value, sizeof(image));
    std::memcpy(image, "code", 4);
    return abi::success;
  };
  api.get_program_build_info = [](abi::Program, abi::Device, abi::Uint, std::size_t capacity, void* value,
                                  std::size_t* size) -> abi::Int {
    WARPWRIGHT_ENTER_OR_RETURN("clGetProgramBuildInfo");
    return give(fake.build_log + '\0', capacity, value, size);
  };
  api.create_kernel = [](abi::Program, const char* name, abi::Int* status) {
    WARPWRIGHT_ENTER("clCreateKernel");
    const bool known = (";" + fake.kernels + ";").find(";" + std::string(name) + ";") != std::string::npos;
    return make<abi::Kernel>(fake, Kind::kernel, outcome != abi::success || known ? outcome : abi::invalid_kernel_name,
                             status);
  };
  api.get_kernel_info = [](abi::Kernel, abi::Uint, std::size_t capacity, void* value, std::size_t* size) -> abi::Int {
    WARPWRIGHT_ENTER_OR_RETURN("clGetKernelInfo");
    return give_value(fake.parameters, capacity, value, size);
  };
  api.get_kernel_work_group_info = [](abi::Kernel, abi::Device, abi::Uint name, std::size_t capacity, void* value,
                                      std::size_t* size) -> abi::Int {
    WARPWRIGHT_ENTER_OR_RETURN("clGetKernelWorkGroupInfo");
    if (name == abi::kernel_work_group_size) return give_value(std::size_t{256}, capacity, value, size);
    if (name == abi::kernel_compile_work_group_size) return give_value(fake.required_block, capacity, value, size);
    return give_value(name == abi::kernel_local_mem_size ? fake.local_memory : abi::Ulong{16}, capacity, value, size);
  };
  api.get_kernel_arg_info = [](abi::Kernel, abi::Uint index, abi::Uint name, std::size_t capacity, void* value,
                               std::size_t* size) -> abi::Int {
    WARPWRIGHT_ENTER_OR_RETURN("clGetKernelArgInfo");
    if (index >= fake.parameter_types.size()) return abi::kernel_arg_info_not_available;
    const auto& [address, type] = fake.parameter_types[index];
    if (name == abi::kernel_arg_address_qualifier) return give_value(address, capacity, value, size);
    if (name == abi::kernel_arg_access_qualifier) {
      const auto found = fake.access.find(index);
      const abi::Uint qualifier = found == fake.access.end() ? abi::kernel_arg_access_none : found->second;
      return give_value(qualifier, capacity, value, size);
    }
    if (name == abi::kernel_arg_type_name) return give(type + '\0', capacity, value, size);
    return abi::invalid_value;
  };
  api.set_kernel_arg = [](abi::Kernel, abi::Uint, std::size_t, const void*) -> abi::Int {
    WARPWRIGHT_ENTER("clSetKernelArg");
    return outcome;
  };
  api.enqueue_nd_range_kernel = [](abi::Queue queue, abi::Kernel, abi::Uint dimensions, const std::size_t*,
                                   const std::size_t* global, const std::size_t* local, abi::Uint, const abi::Event*,
                                   abi::Event* event) {
    FakeOpencl::current().global.assign(global, global + dimensions);
    FakeOpencl::current().local.assign(local, local + dimensions);
    return enqueue("clEnqueueNDRangeKernel", queue, event);
  };
  api.enqueue_write_buffer = [](abi::Queue queue, abi::Mem, abi::Bool, std::size_t, std::size_t, const void*, abi::Uint,
                                const abi::Event*,
                                abi::Event* event) { return enqueue("clEnqueueWriteBuffer", queue, event); };
  api.enqueue_read_buffer = [](abi::Queue queue, abi::Mem, abi::Bool, std::size_t, std::size_t, void*, abi::Uint,
                               const abi::Event*,
                               abi::Event* event) { return enqueue("clEnqueueReadBuffer", queue, event); };
  api.enqueue_copy_buffer = [](abi::Queue queue, abi::Mem, abi::Mem, std::size_t, std::size_t, std::size_t, abi::Uint,
                               const abi::Event*,
                               abi::Event* event) { return enqueue("clEnqueueCopyBuffer", queue, event); };
  api.enqueue_fill_buffer = [](abi::Queue queue, abi::Mem, const void*, std::size_t pattern_size, std::size_t,
                               std::size_t, abi::Uint, const abi::Event*, abi::Event* event) {
    FakeOpencl::current().pattern_size = pattern_size;
    return enqueue("clEnqueueFillBuffer", queue, event);
  };
  api.enqueue_map_buffer = [](abi::Queue, abi::Mem memory, abi::Bool, abi::Bitfield, std::size_t, std::size_t,
                              abi::Uint, const abi::Event*, abi::Event*, abi::Int* status) -> void* {
    WARPWRIGHT_ENTER("clEnqueueMapBuffer");
    *status = outcome;
    return outcome == abi::success ? fake.find(memory, Kind::memory)->bytes.data() : nullptr;
  };
  api.enqueue_unmap_mem_object = [](abi::Queue, abi::Mem memory, void*, abi::Uint, const abi::Event*,
                                    abi::Event*) -> abi::Int {
    WARPWRIGHT_ENTER("clEnqueueUnmapMemObject");
    fake.find(memory, Kind::memory);
    return outcome;
  };
  api.enqueue_marker_with_wait_list = [](abi::Queue queue, abi::Uint, const abi::Event*, abi::Event* event) {
    return enqueue("clEnqueueMarkerWithWaitList", queue, event);
  };
  api.enqueue_barrier_with_wait_list = [](abi::Queue queue, abi::Uint waits, const abi::Event* list,
                                          abi::Event* event) {
    for (abi::Uint i = 0; i < waits; ++i) FakeOpencl::current().find(list[i], Kind::event);
    return enqueue("clEnqueueBarrierWithWaitList", queue, event);
  };
  api.flush = [](abi::Queue) -> abi::Int {
    WARPWRIGHT_ENTER("clFlush");
    return outcome;
  };
  api.finish = [](abi::Queue queue) -> abi::Int {
    WARPWRIGHT_ENTER("clFinish");
    fake.find(queue, Kind::queue);
    return outcome;
  };
  api.wait_for_events = [](abi::Uint count, const abi::Event* events) -> abi::Int {
    WARPWRIGHT_ENTER("clWaitForEvents");
    for (abi::Uint i = 0; i < count; ++i) fake.find(events[i], Kind::event);
    return outcome;
  };
  api.get_event_info = [](abi::Event event, abi::Uint, std::size_t capacity, void* value,
                          std::size_t* size) -> abi::Int {
    WARPWRIGHT_ENTER_OR_RETURN("clGetEventInfo");
    const auto* object = fake.find(event, Kind::event);
    return object == nullptr ? abi::invalid_event : give_value(object->status, capacity, value, size);
  };
  api.get_event_profiling_info = [](abi::Event event, abi::Uint name, std::size_t capacity, void* value,
                                    std::size_t* size) -> abi::Int {
    WARPWRIGHT_ENTER_OR_RETURN("clGetEventProfilingInfo");
    const auto* object = fake.find(event, Kind::event);
    if (object == nullptr || object->status != abi::complete) return abi::profiling_info_not_available;
    return give_value(name == abi::profiling_command_start ? object->start : object->end, capacity, value, size);
  };
  // A release that reports a failure has released nevertheless: callers cannot try again.
#define WARPWRIGHT_RELEASE(member, name, kind, Handle) \
  api.member = [](Handle handle) -> abi::Int {         \
    WARPWRIGHT_ENTER(name);                            \
    fake.release(handle, kind);                        \
    return outcome;                                    \
  }
  WARPWRIGHT_RELEASE(release_context, "clReleaseContext", Kind::context, abi::Context);
  WARPWRIGHT_RELEASE(release_command_queue, "clReleaseCommandQueue", Kind::queue, abi::Queue);
  WARPWRIGHT_RELEASE(release_mem_object, "clReleaseMemObject", Kind::memory, abi::Mem);
  WARPWRIGHT_RELEASE(release_sampler, "clReleaseSampler", Kind::sampler, abi::Sampler);
  WARPWRIGHT_RELEASE(release_program, "clReleaseProgram", Kind::program, abi::Program);
  WARPWRIGHT_RELEASE(release_kernel, "clReleaseKernel", Kind::kernel, abi::Kernel);
  WARPWRIGHT_RELEASE(release_event, "clReleaseEvent", Kind::event, abi::Event);
#undef WARPWRIGHT_RELEASE
  return api;
}

}  // namespace

FakeOpencl::FakeOpencl() : api_(std::make_shared<const Api>(make_table())) {
  if (current_fake != nullptr) throw std::logic_error("one fake OpenCL at a time");
  current_fake = this;
  set(abi::device_type, abi::device_type_gpu);
  set_text(abi::device_name, "Fake GPU");
  set_text(abi::device_vendor, "Nobody");
  set_text(abi::device_version, "OpenCL 1.2 Fake");
  set_text(abi::driver_version, "1.0");
  set_text(abi::device_extensions, "cl_khr_fp64 cl_khr_byte_addressable_store");
  set(abi::device_available, abi::yes);
  set(abi::device_max_compute_units, abi::Uint{4});
  set(abi::device_max_work_group_size, std::size_t{256});
  const std::size_t sizes[3] = {256, 256, 64};
  set(abi::device_max_work_item_sizes, sizes);
  set(abi::device_local_mem_size, abi::Ulong{48 << 10});
  set(abi::device_global_mem_size, abi::Ulong{1} << 30);
  set(abi::device_max_mem_alloc_size, abi::Ulong{1} << 28);
}

FakeOpencl::~FakeOpencl() { current_fake = nullptr; }

FakeOpencl& FakeOpencl::current() {
  if (current_fake == nullptr) throw std::logic_error("OpenCL was called after the fake was gone");
  return *current_fake;
}

void FakeOpencl::fail(const std::string& function, int nth, abi::Int status_of_call) {
  failures_[function] = {nth, status_of_call};
}

int FakeOpencl::calls(const std::string& function) const {
  const auto found = calls_.find(function);
  return found == calls_.end() ? 0 : found->second;
}

abi::Int FakeOpencl::enter(const char* function) {
  const int number = ++calls_[function];
  const auto failure = failures_.find(function);
  return failure != failures_.end() && failure->second.nth == number ? failure->second.status : abi::success;
}

void* FakeOpencl::create(Kind kind) {
  auto object = std::make_unique<Object>();
  object->kind = kind;
  void* handle = object.get();
  objects_[handle] = std::move(object);
  return handle;
}

FakeOpencl::Object* FakeOpencl::find(void* handle, Kind kind) {
  const auto found = objects_.find(handle);
  if (found != objects_.end() && found->second->kind == kind) return found->second.get();
  ++misuses;
  return nullptr;
}

void FakeOpencl::release(void* handle, Kind kind) {
  if (find(handle, kind) != nullptr) objects_.erase(handle);
}

void FakeOpencl::command(abi::Event* event) {
  clock_ += gap;
  const abi::Ulong start = clock_;
  clock_ += duration;
  if (event == nullptr) return;
  *event = static_cast<abi::Event>(create(Kind::event));
  Object& object = *find(*event, Kind::event);
  object.start = start;
  object.end = clock_;
  object.status = status;
}

}  // namespace warpwright::opencl
