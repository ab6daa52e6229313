// libOpenCL.so.1 for tests: one platform with one GPU whose memory is the host's and whose time is virtual. Commands
// run when they are enqueued; their failures show when somebody waits.
#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "fake_program.hpp"
#include "fault_state.hpp"
#include "opencl_abi.hpp"

using namespace warpwright::opencl;
using warpwright::faults::Kind;

namespace {

namespace faults = warpwright::faults;

constexpr std::string_view image_prefix = "FAKE OpenCL program\n";

struct Queue {
  double now = 0;
  bool endless = false;
};
struct Event {
  abi::Ulong start = 0, end = 0;
  const Queue* queue = nullptr;
};
struct Program {
  std::string source, log;
  std::optional<faults::Program> built;
};
struct Kernel {
  const Program* program = nullptr;
  std::string entry;
  std::vector<std::array<std::byte, 16>> arguments;
};
// A buffer, or a part of one, which keeps the whole.
struct Memory {
  std::shared_ptr<std::vector<unsigned char>> whole;
  std::size_t offset = 0, size = 0;
  unsigned char* data() const { return whole->data() + offset; }
};
struct Object {
  Kind kind;
  std::uint64_t size = 0;
  std::shared_ptr<void> value;
};

std::mutex table_mutex;
std::map<const void*, Object> objects;
int platform_tag = 0, device_tag = 0, context_tag = 0;

template <class Handle, class T>
Handle add(Kind kind, std::shared_ptr<T> value, std::uint64_t size = 0) {
  const std::lock_guard lock(table_mutex);
  T* key = value.get();
  objects[key] = Object{kind, size, std::move(value)};
  faults::created(kind, size);
  return reinterpret_cast<Handle>(key);
}

template <class T>
T* find(Kind kind, const void* handle, const char* what) {
  const std::lock_guard lock(table_mutex);
  const auto found = objects.find(handle);
  if (found != objects.end() && found->second.kind == kind) return static_cast<T*>(found->second.value.get());
  faults::misused(std::string("a dead ") + what);
  return nullptr;
}

// A release that reports a failure has released nevertheless: callers cannot try again.
abi::Int release(const char* name, Kind kind, const void* handle) {
  const abi::Int code = faults::enter(name);
  {
    const std::lock_guard lock(table_mutex);
    const auto found = objects.find(handle);
    if (found == objects.end() || found->second.kind != kind) {
      faults::misused(std::string(name) + " of a dead object");
      return code;
    }
    faults::destroyed(kind, found->second.size);
    objects.erase(found);
  }
  if (kind == Kind::program) ++faults::state().unloaded;
  if (kind == Kind::context) faults::context_closed();
  return code;
}

abi::Int give(std::string_view bytes, std::size_t capacity, void* value, std::size_t* size) {
  if (size != nullptr) *size = bytes.size();
  if (value == nullptr) return abi::success;
  if (capacity < bytes.size()) return abi::invalid_value;
  std::memcpy(value, bytes.data(), bytes.size());
  return abi::success;
}

template <class T>
abi::Int give_value(const T& value, std::size_t capacity, void* target, std::size_t* size) {
  return give({reinterpret_cast<const char*>(&value), sizeof(value)}, capacity, target, size);
}

abi::Int give_text(const std::string& text, std::size_t capacity, void* target, std::size_t* size) {
  return give({text.c_str(), text.size() + 1}, capacity, target, size);
}

#define ENTER(name) \
  if (const int code = faults::enter(name); code != 0) return code
#define ENTER_OR_NULL(name)                              \
  if (const int code = faults::enter(name); code != 0) { \
    if (status != nullptr) *status = code;               \
    return nullptr;                                      \
  }                                                      \
  if (status != nullptr) *status = abi::success

void finish_command(Queue& queue, double nanoseconds, abi::Event* event) {
  const double start = queue.now + 1000;  // a command does not begin when the one before it ends
  queue.now = start + nanoseconds;
  if (event == nullptr) return;
  auto made =
      std::make_shared<Event>(Event{static_cast<abi::Ulong>(start), static_cast<abi::Ulong>(queue.now), &queue});
  *event = add<abi::Event>(Kind::event, std::move(made));
}

abi::Int wait_for(const Queue* queue) {
  if (queue != nullptr && queue->endless) faults::hang();
  return abi::success;
}

Memory* range(abi::Mem memory, std::size_t offset, std::size_t size) {
  auto* found = find<Memory>(Kind::memory, memory, "buffer");
  if (found != nullptr && (offset > found->size || size > found->size - offset)) {
    faults::misused("a range outside its buffer");
    return nullptr;
  }
  return found;
}

}  // namespace

extern "C" {

abi::Int clGetPlatformIDs(abi::Uint capacity, abi::Platform* platforms, abi::Uint* count) {
  ENTER("clGetPlatformIDs");
  if (count != nullptr) *count = 1;
  if (platforms != nullptr && capacity > 0) platforms[0] = reinterpret_cast<abi::Platform>(&platform_tag);
  return abi::success;
}

abi::Int clGetPlatformInfo(abi::Platform, abi::Uint name, std::size_t capacity, void* value, std::size_t* size) {
  ENTER("clGetPlatformInfo");
  return give_text(name == abi::platform_version ? "OpenCL 3.0 Fake" : "Fake", capacity, value, size);
}

abi::Int clGetDeviceIDs(abi::Platform, abi::Bitfield, abi::Uint capacity, abi::Device* devices, abi::Uint* count) {
  ENTER("clGetDeviceIDs");
  if (count != nullptr) *count = 1;
  if (devices != nullptr && capacity > 0) devices[0] = reinterpret_cast<abi::Device>(&device_tag);
  return abi::success;
}

abi::Int clGetDeviceInfo(abi::Device, abi::Uint name, std::size_t capacity, void* value, std::size_t* size) {
  ENTER("clGetDeviceInfo");
  switch (name) {
    case abi::device_type:
      return give_value(abi::device_type_gpu, capacity, value, size);
    case abi::device_name:
      return give_text("Fake OpenCL GPU", capacity, value, size);
    case abi::device_vendor:
      return give_text("Nobody", capacity, value, size);
    case abi::device_version:
      return give_text("OpenCL 1.2 Fake", capacity, value, size);
    case abi::driver_version:
      return give_text("1.0", capacity, value, size);
    case abi::device_extensions:
      return give_text("cl_khr_fp64", capacity, value, size);
    case abi::device_available:
      return give_value(abi::yes, capacity, value, size);
    case abi::device_max_compute_units:
      return give_value(abi::Uint{16}, capacity, value, size);
    case abi::device_max_work_group_size:
      return give_value(std::size_t{1024}, capacity, value, size);
    case abi::device_max_work_item_sizes: {
      const std::size_t sizes[3] = {1024, 1024, 64};
      return give_value(sizes, capacity, value, size);
    }
    case abi::device_local_mem_size:
      return give_value(abi::Ulong{48 << 10}, capacity, value, size);
    case abi::device_global_mem_size:
      return give_value(abi::Ulong{1} << 30, capacity, value, size);
    case abi::device_global_mem_cache_size:
      return give_value(abi::Ulong{1} << 20, capacity, value, size);
    case abi::device_max_mem_alloc_size:
      return give_value(abi::Ulong{1} << 30, capacity, value, size);
    default:
      return abi::invalid_value;
  }
}

abi::Context clCreateContext(const std::intptr_t*, abi::Uint, const abi::Device*, abi::ContextErrorCallback, void*,
                             abi::Int* status) {
  ENTER_OR_NULL("clCreateContext");
  return add<abi::Context>(Kind::context, std::make_shared<int>(context_tag));
}
abi::Int clReleaseContext(abi::Context context) { return release("clReleaseContext", Kind::context, context); }

abi::Queue clCreateCommandQueue(abi::Context, abi::Device, abi::Bitfield, abi::Int* status) {
  ENTER_OR_NULL("clCreateCommandQueue");
  return add<abi::Queue>(Kind::stream, std::make_shared<Queue>());
}
abi::Int clReleaseCommandQueue(abi::Queue queue) { return release("clReleaseCommandQueue", Kind::stream, queue); }

abi::Mem clCreateBuffer(abi::Context, abi::Bitfield, std::size_t size, void*, abi::Int* status) {
  ENTER_OR_NULL("clCreateBuffer");
  if (size == 0 || size > (std::size_t{1} << 30)) {
    *status = abi::invalid_buffer_size;
    return nullptr;
  }
  auto memory = std::make_shared<Memory>(Memory{std::make_shared<std::vector<unsigned char>>(size), 0, size});
  return add<abi::Mem>(Kind::memory, std::move(memory), size);
}
abi::Mem clCreateSubBuffer(abi::Mem handle, abi::Bitfield, abi::Uint, const void* region, abi::Int* status) {
  ENTER_OR_NULL("clCreateSubBuffer");
  const auto& part = *static_cast<const abi::BufferRegion*>(region);
  const Memory* memory = range(handle, part.origin, part.size);
  if (memory == nullptr || part.size == 0) {
    *status = abi::invalid_buffer_size;
    return nullptr;
  }
  return add<abi::Mem>(Kind::memory,
                       std::make_shared<Memory>(Memory{memory->whole, memory->offset + part.origin, part.size}));
}

abi::Int clReleaseMemObject(abi::Mem memory) { return release("clReleaseMemObject", Kind::memory, memory); }

abi::Program clCreateProgramWithSource(abi::Context, abi::Uint, const char** texts, const std::size_t* lengths,
                                       abi::Int* status) {
  ENTER_OR_NULL("clCreateProgramWithSource");
  auto program = std::make_shared<Program>();
  program->source.assign(texts[0], lengths[0]);
  return add<abi::Program>(Kind::program, std::move(program));
}

abi::Program clCreateProgramWithBinary(abi::Context, abi::Uint, const abi::Device*, const std::size_t* lengths,
                                       const unsigned char** images, abi::Int* image_status, abi::Int* status) {
  ENTER_OR_NULL("clCreateProgramWithBinary");
  const std::string_view image(reinterpret_cast<const char*>(images[0]), lengths[0]);
  auto program = std::make_shared<Program>();
  if (image.starts_with(image_prefix)) program->built = faults::Program::parse(image.substr(image_prefix.size()));
  const abi::Int outcome = program->built ? abi::success : abi::invalid_binary;
  if (image_status != nullptr) *image_status = outcome;
  *status = outcome;
  return outcome == abi::success ? add<abi::Program>(Kind::program, std::move(program)) : nullptr;
}

abi::Int clBuildProgram(abi::Program handle, abi::Uint, const abi::Device*, const char*, abi::ProgramCallback, void*) {
  ENTER("clBuildProgram");
  auto* program = find<Program>(Kind::program, handle, "program");
  if (program == nullptr) return abi::invalid_program;
  if (program->built) return abi::success;
  faults::Program scanned = faults::scan_source(program->source);
  const faults::CompileOutcome outcome = faults::compile(scanned);
  program->log = outcome.log;
  if (outcome.result == faults::CompileOutcome::refused) return abi::build_program_failure;
  if (outcome.result == faults::CompileOutcome::out_of_memory) return abi::out_of_host_memory;
  program->built = std::move(scanned);
  return abi::success;
}

abi::Int clGetProgramInfo(abi::Program handle, abi::Uint name, std::size_t capacity, void* value, std::size_t* size) {
  ENTER("clGetProgramInfo");
  const auto* program = find<Program>(Kind::program, handle, "program");
  if (program == nullptr || !program->built) return abi::invalid_program;
  const std::string image = std::string(image_prefix) + program->built->serialise();
  if (name == abi::program_binary_sizes) return give_value(image.size(), capacity, value, size);
  if (name == abi::program_kernel_names) {
    std::string names;
    for (const auto& entry : program->built->entries) names += (names.empty() ? "" : ";") + entry;
    return give_text(names, capacity, value, size);
  }
  if (name != abi::program_binaries) return abi::invalid_value;
  unsigned char* target = nullptr;
  std::memcpy(&target, value, sizeof(target));
  std::memcpy(target, image.data(), image.size());
  return abi::success;
}

abi::Int clGetProgramBuildInfo(abi::Program handle, abi::Device, abi::Uint, std::size_t capacity, void* value,
                               std::size_t* size) {
  ENTER("clGetProgramBuildInfo");
  const auto* program = find<Program>(Kind::program, handle, "program");
  return program == nullptr ? abi::invalid_program : give_text(program->log, capacity, value, size);
}
abi::Int clReleaseProgram(abi::Program program) { return release("clReleaseProgram", Kind::program, program); }

abi::Kernel clCreateKernel(abi::Program handle, const char* name, abi::Int* status) {
  ENTER_OR_NULL("clCreateKernel");
  const auto* program = find<Program>(Kind::program, handle, "program");
  const auto sizes = faults::parameter_sizes(name);
  if (program == nullptr || !program->built || !sizes ||
      std::find(program->built->entries.begin(), program->built->entries.end(), name) ==
          program->built->entries.end()) {
    *status = abi::invalid_kernel_name;
    return nullptr;
  }
  auto kernel = std::make_shared<Kernel>(Kernel{program, name, {}});
  kernel->arguments.resize(sizes->size());
  return add<abi::Kernel>(Kind::kernel, std::move(kernel));
}
abi::Int clReleaseKernel(abi::Kernel kernel) { return release("clReleaseKernel", Kind::kernel, kernel); }

abi::Int clSetKernelArg(abi::Kernel handle, abi::Uint index, std::size_t size, const void* value) {
  ENTER("clSetKernelArg");
  auto* kernel = find<Kernel>(Kind::kernel, handle, "kernel");
  if (kernel == nullptr) return abi::invalid_kernel;
  if (index >= kernel->arguments.size()) return abi::invalid_arg_index;
  if (size != faults::parameter_sizes(kernel->entry)->at(index)) return abi::invalid_arg_size;
  auto& argument = kernel->arguments[index];
  // Kernels of the library itself have scalars as wide as a handle.
  const bool scalar =
      (kernel->entry == "suspicious" && index >= 3) || (kernel->entry == "warpwright_read_cache" && index >= 2);
  if (size == sizeof(abi::Mem) && !scalar) {
    abi::Mem memory = nullptr;
    std::memcpy(&memory, value, sizeof(memory));
    auto* found = find<Memory>(Kind::memory, memory, "buffer");
    if (found == nullptr) return abi::invalid_mem_object;
    unsigned char* address = found->data();
    std::memcpy(argument.data(), &address, sizeof(address));
  } else {
    std::memcpy(argument.data(), value, size);
  }
  return abi::success;
}

abi::Int clGetKernelInfo(abi::Kernel handle, abi::Uint, std::size_t capacity, void* value, std::size_t* size) {
  ENTER("clGetKernelInfo");
  const auto* kernel = find<Kernel>(Kind::kernel, handle, "kernel");
  if (kernel == nullptr) return abi::invalid_kernel;
  return give_value(static_cast<abi::Uint>(kernel->arguments.size()), capacity, value, size);
}

abi::Int clGetKernelWorkGroupInfo(abi::Kernel, abi::Device, abi::Uint name, std::size_t capacity, void* value,
                                  std::size_t* size) {
  ENTER("clGetKernelWorkGroupInfo");
  if (name == abi::kernel_work_group_size) return give_value(std::size_t{1024}, capacity, value, size);
  if (name == abi::kernel_compile_work_group_size)
    return give_value(std::array<std::size_t, 3>{}, capacity, value, size);
  return give_value(abi::Ulong{0}, capacity, value, size);
}

abi::Int clGetKernelArgInfo(abi::Kernel, abi::Uint, abi::Uint, std::size_t, void*, std::size_t*) {
  ENTER("clGetKernelArgInfo");
  return abi::kernel_arg_info_not_available;
}

abi::Int clEnqueueNDRangeKernel(abi::Queue queue_handle, abi::Kernel handle, abi::Uint dimensions, const std::size_t*,
                                const std::size_t* global, const std::size_t* local, abi::Uint, const abi::Event*,
                                abi::Event* event) {
  ENTER("clEnqueueNDRangeKernel");
  auto* queue = find<Queue>(Kind::stream, queue_handle, "queue");
  const auto* kernel = find<Kernel>(Kind::kernel, handle, "kernel");
  if (queue == nullptr || kernel == nullptr) return abi::invalid_kernel;
  const faults::Program& program = *kernel->program->built;
  if (program.kind() == "launch_refused") return abi::out_of_resources;
  faults::Launch what{kernel->entry, {}, {}, kernel->arguments};
  for (abi::Uint d = 0; d < 3; ++d) {
    what.block[d] = d < dimensions ? local[d] : 1;
    what.grid[d] = d < dimensions ? global[d] / local[d] : 1;
  }
  const faults::RunOutcome outcome = faults::run(program, what);
  finish_command(*queue, outcome.nanoseconds, event);
  if (outcome.result == faults::RunOutcome::endless) queue->endless = true;
  if (outcome.result == faults::RunOutcome::fault) faults::poison(abi::nvidia_illegal_access);
  return abi::success;
}

abi::Int clEnqueueWriteBuffer(abi::Queue queue_handle, abi::Mem memory, abi::Bool, std::size_t offset, std::size_t size,
                              const void* source, abi::Uint, const abi::Event*, abi::Event* event) {
  ENTER("clEnqueueWriteBuffer");
  auto* queue = find<Queue>(Kind::stream, queue_handle, "queue");
  Memory* target = range(memory, offset, size);
  if (queue == nullptr || target == nullptr) return abi::invalid_value;
  std::memcpy(target->data() + offset, source, size);
  finish_command(*queue, 0, event);
  return abi::success;
}

abi::Int clEnqueueReadBuffer(abi::Queue queue_handle, abi::Mem memory, abi::Bool, std::size_t offset, std::size_t size,
                             void* destination, abi::Uint, const abi::Event*, abi::Event* event) {
  ENTER("clEnqueueReadBuffer");
  auto* queue = find<Queue>(Kind::stream, queue_handle, "queue");
  const Memory* source = range(memory, offset, size);
  if (queue == nullptr || source == nullptr) return abi::invalid_value;
  std::memcpy(destination, source->data() + offset, size);
  finish_command(*queue, 0, event);
  return abi::success;
}

abi::Int clEnqueueCopyBuffer(abi::Queue queue_handle, abi::Mem from, abi::Mem to, std::size_t from_offset,
                             std::size_t to_offset, std::size_t size, abi::Uint, const abi::Event*, abi::Event* event) {
  ENTER("clEnqueueCopyBuffer");
  auto* queue = find<Queue>(Kind::stream, queue_handle, "queue");
  const Memory* source = range(from, from_offset, size);
  Memory* target = range(to, to_offset, size);
  if (queue == nullptr || source == nullptr || target == nullptr) return abi::invalid_value;
  std::memmove(target->data() + to_offset, source->data() + from_offset, size);
  finish_command(*queue, 0, event);
  return abi::success;
}

// The device says that it has no images, so these are there to be found, and refuse.
abi::Int clGetSupportedImageFormats(abi::Context, abi::Bitfield, abi::Uint, abi::Uint, ::_cl_image_format*,
                                    abi::Uint* count) {
  ENTER("clGetSupportedImageFormats");
  if (count != nullptr) *count = 0;
  return abi::success;
}
abi::Mem clCreateImage(abi::Context, abi::Bitfield, const ::_cl_image_format*, const ::_cl_image_desc*, void*,
                       abi::Int* status) {
  ENTER_OR_NULL("clCreateImage");
  if (status != nullptr) *status = abi::invalid_operation;
  return nullptr;
}
abi::Sampler clCreateSampler(abi::Context, abi::Bool, abi::Uint, abi::Uint, abi::Int* status) {
  ENTER_OR_NULL("clCreateSampler");
  if (status != nullptr) *status = abi::invalid_operation;
  return nullptr;
}
abi::Int clReleaseSampler(abi::Sampler) {
  ENTER("clReleaseSampler");
  return abi::invalid_sampler;
}
abi::Int clEnqueueCopyBufferToImage(abi::Queue, abi::Mem, abi::Mem, std::size_t, const std::size_t*, const std::size_t*,
                                    abi::Uint, const abi::Event*, abi::Event*) {
  ENTER("clEnqueueCopyBufferToImage");
  return abi::invalid_operation;
}
abi::Int clEnqueueCopyImageToBuffer(abi::Queue, abi::Mem, abi::Mem, const std::size_t*, const std::size_t*, std::size_t,
                                    abi::Uint, const abi::Event*, abi::Event*) {
  ENTER("clEnqueueCopyImageToBuffer");
  return abi::invalid_operation;
}

abi::Int clEnqueueFillBuffer(abi::Queue queue_handle, abi::Mem memory, const void* pattern, std::size_t pattern_size,
                             std::size_t offset, std::size_t size, abi::Uint, const abi::Event*, abi::Event* event) {
  ENTER("clEnqueueFillBuffer");
  auto* queue = find<Queue>(Kind::stream, queue_handle, "queue");
  Memory* target = range(memory, offset, size);
  if (queue == nullptr || target == nullptr || size % pattern_size != 0) return abi::invalid_value;
  for (std::size_t at = 0; at < size; at += pattern_size)
    std::memcpy(target->data() + offset + at, pattern, pattern_size);
  finish_command(*queue, 0, event);
  return abi::success;
}

void* clEnqueueMapBuffer(abi::Queue, abi::Mem memory, abi::Bool, abi::Bitfield, std::size_t offset, std::size_t size,
                         abi::Uint, const abi::Event*, abi::Event*, abi::Int* status) {
  ENTER_OR_NULL("clEnqueueMapBuffer");
  Memory* target = range(memory, offset, size);
  if (target == nullptr) *status = abi::invalid_mem_object;
  return target == nullptr ? nullptr : target->data() + offset;
}

abi::Int clEnqueueUnmapMemObject(abi::Queue, abi::Mem memory, void*, abi::Uint, const abi::Event*, abi::Event*) {
  ENTER("clEnqueueUnmapMemObject");
  return find<Memory>(Kind::memory, memory, "buffer") == nullptr ? abi::invalid_mem_object : abi::success;
}

abi::Int clEnqueueMarkerWithWaitList(abi::Queue handle, abi::Uint, const abi::Event*, abi::Event* event) {
  ENTER("clEnqueueMarkerWithWaitList");
  auto* queue = find<Queue>(Kind::stream, handle, "queue");
  if (queue == nullptr) return abi::invalid_command_queue;
  finish_command(*queue, 0, event);
  return abi::success;
}

abi::Int clEnqueueBarrierWithWaitList(abi::Queue handle, abi::Uint, const abi::Event*, abi::Event* event) {
  ENTER("clEnqueueBarrierWithWaitList");
  auto* queue = find<Queue>(Kind::stream, handle, "queue");
  if (queue == nullptr) return abi::invalid_command_queue;
  finish_command(*queue, 0, event);
  return abi::success;
}

abi::Int clFlush(abi::Queue queue) {
  ENTER("clFlush");
  return find<Queue>(Kind::stream, queue, "queue") == nullptr ? abi::invalid_command_queue : abi::success;
}

abi::Int clFinish(abi::Queue handle) {
  ENTER("clFinish");
  const auto* queue = find<Queue>(Kind::stream, handle, "queue");
  return queue == nullptr ? abi::invalid_command_queue : wait_for(queue);
}

abi::Int clWaitForEvents(abi::Uint count, const abi::Event* events) {
  ENTER("clWaitForEvents");
  for (abi::Uint i = 0; i < count; ++i) {
    const auto* event = find<Event>(Kind::event, events[i], "event");
    if (event == nullptr) return abi::invalid_event;
    wait_for(event->queue);
  }
  return abi::success;
}

abi::Int clGetEventInfo(abi::Event handle, abi::Uint, std::size_t capacity, void* value, std::size_t* size) {
  ENTER("clGetEventInfo");
  const auto* event = find<Event>(Kind::event, handle, "event");
  if (event == nullptr) return abi::invalid_event;
  constexpr abi::Int running = 1;
  return give_value(event->queue->endless ? running : abi::complete, capacity, value, size);
}

abi::Int clGetEventProfilingInfo(abi::Event handle, abi::Uint name, std::size_t capacity, void* value,
                                 std::size_t* size) {
  ENTER("clGetEventProfilingInfo");
  const auto* event = find<Event>(Kind::event, handle, "event");
  if (event == nullptr) return abi::invalid_event;
  return give_value(name == abi::profiling_command_start ? event->start : event->end, capacity, value, size);
}
abi::Int clReleaseEvent(abi::Event event) { return release("clReleaseEvent", Kind::event, event); }

}  // extern "C"
