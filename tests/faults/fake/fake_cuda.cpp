// libcuda.so.1 for tests: one GPU whose memory is the host's and whose time is virtual. It exports what the cuda
// backend looks for, runs the kernels of fake_program.hpp, checks how it is used, and goes wrong on request
// (fault_state.hpp).
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "cuda_abi.hpp"
#include "fake_program.hpp"
#include "fault_state.hpp"
#include "h100_attributes.hpp"

using namespace warpwright::cuda;
using warpwright::faults::Kind;

namespace {

namespace faults = warpwright::faults;

constexpr int image_trailer_magic = 0x454b4146;

struct Stream {
  double now = 0;  // virtual nanoseconds
  bool endless = false;
  bool capturing = false;
  std::vector<std::function<void(Stream&)>> recorded;
};
struct Event {
  double at = 0;
  const Stream* stream = nullptr;
};
struct Module {
  faults::Program program;
};
struct Function {
  const Module* module;
  std::string entry;
  int permitted_shared = 0;
};
using Graph = std::vector<std::function<void(Stream&)>>;

struct Object {
  Kind kind;
  std::uint64_t size = 0;
  std::shared_ptr<void> value;
};

// One device, so one table for the whole process.
std::mutex table_mutex;
std::map<const void*, Object> objects;
std::map<std::pair<const Module*, std::string>, std::unique_ptr<Function>> functions;
int retained = 0;
int context_tag = 0;
thread_local abi::ContextHandle current = nullptr;

abi::ContextHandle the_context() { return reinterpret_cast<abi::ContextHandle>(&context_tag); }

abi::Result enter(const char* name, bool needs_context = true) {
  if (const int code = faults::enter(name); code != 0) return static_cast<abi::Result>(code);
  if (needs_context && (current == nullptr || retained == 0)) {
    // After a refused cuCtxSetCurrent a destructor has no better choice.
    if (faults::state().fired == 0) faults::misused(std::string(name) + " without a current context");
    return abi::invalid_context;
  }
  return abi::success;
}

#define ENTER(...) \
  if (const abi::Result entered = enter(__VA_ARGS__); entered != abi::success) return entered

template <class T, class Handle>
void add(Kind kind, Handle* handle, std::shared_ptr<T> value, std::uint64_t size = 0) {
  const std::lock_guard lock(table_mutex);
  const void* key = value.get();
  *handle = reinterpret_cast<Handle>(const_cast<void*>(key));
  objects[key] = Object{kind, size, std::move(value)};
  faults::created(kind, size);
}

bool remove(Kind kind, const void* handle, const char* what) {
  const std::lock_guard lock(table_mutex);
  const auto found = objects.find(handle);
  if (found == objects.end() || found->second.kind != kind) {
    faults::misused(std::string("destroying a dead ") + what);
    return false;
  }
  faults::destroyed(kind, found->second.size);
  objects.erase(found);
  return true;
}

template <class T>
T* find(Kind kind, const void* handle, const char* what) {
  const std::lock_guard lock(table_mutex);
  const auto found = objects.find(handle);
  if (found != objects.end() && found->second.kind == kind) return static_cast<T*>(found->second.value.get());
  faults::misused(std::string("a dead ") + what);
  return nullptr;
}

bool in_memory(abi::DevicePointer pointer, std::size_t size) {
  const std::lock_guard lock(table_mutex);
  for (const auto& [base, object] : objects) {
    const auto begin = reinterpret_cast<std::uintptr_t>(base);
    if (object.kind == Kind::memory && pointer >= begin && pointer + size <= begin + object.size) return true;
  }
  faults::misused("a device address outside every allocation");
  return false;
}

abi::Result enqueue(abi::StreamHandle handle, std::function<void(Stream&)> work) {
  Stream* stream = find<Stream>(Kind::stream, handle, "stream");
  if (stream == nullptr) return abi::invalid_handle;
  if (stream->capturing) {
    stream->recorded.push_back(std::move(work));
  } else {
    work(*stream);
  }
  return abi::success;
}

abi::Result wait_for(const Stream* stream) {
  if (stream != nullptr && stream->endless) faults::hang();
  return abi::success;
}

std::shared_ptr<unsigned char> host_memory(std::size_t size) {
  return {static_cast<unsigned char*>(std::aligned_alloc(256, (size + 255) / 256 * 256)), &std::free};
}

abi::Result launch(const char* name, abi::FunctionHandle handle, const std::array<std::uint64_t, 3>& grid,
                   const std::array<std::uint64_t, 3>& block, unsigned shared, abi::StreamHandle stream,
                   void** parameters) {
  ENTER(name);
  const auto* function = reinterpret_cast<const Function*>(handle);
  const auto sizes = faults::parameter_sizes(function->entry);
  if (!sizes) return abi::invalid_value;
  const faults::Program& program = function->module->program;
  if (block[0] * block[1] * block[2] > 1024 || program.kind() == "launch_refused") return abi::launch_out_of_resources;
  if (shared > 49152 && static_cast<int>(shared) > function->permitted_shared) return abi::invalid_value;
  faults::Launch what{function->entry, grid, block, {}};
  for (std::size_t i = 0; i < sizes->size(); ++i)
    std::memcpy(what.arguments.emplace_back().data(), parameters[i], (*sizes)[i]);
  return enqueue(stream, [&program, what](Stream& on) {
    const faults::RunOutcome outcome = faults::run(program, what);
    on.now += outcome.nanoseconds;
    if (outcome.result == faults::RunOutcome::endless) on.endless = true;
    if (outcome.result == faults::RunOutcome::fault) faults::poison(abi::illegal_address);
  });
}

// The program that the fake NVRTC wrote behind the end of its image (see fake_nvrtc.cpp).
std::optional<faults::Program> program_of(const void* image) {
  const auto* bytes = static_cast<const char*>(image);
  if (std::memcmp(bytes,
                  "\x7f"
                  "ELF",
                  4) != 0)
    return std::nullopt;
  std::uint64_t table = 0;
  std::uint16_t count = 0;
  std::memcpy(&table, bytes + 40, sizeof(table));
  std::memcpy(&count, bytes + 60, sizeof(count));
  const char* trailer = bytes + table + std::uint64_t{count} * 64;
  std::int32_t magic = 0;
  std::uint32_t size = 0;
  std::memcpy(&magic, trailer, sizeof(magic));
  std::memcpy(&size, trailer + 4, sizeof(size));
  if (magic != image_trailer_magic) return std::nullopt;
  return faults::Program::parse(std::string_view(trailer + 8, size));
}

}  // namespace

// ---- the driver's functions
// -------------------------------------------------------------------------------------------

extern "C" {

abi::Result cuInit(unsigned) { return enter("cuInit", false); }

abi::Result cuDriverGetVersion(int* version) {
  ENTER("cuDriverGetVersion", false);
  *version = 13000;
  return abi::success;
}

abi::Result cuGetErrorName(abi::Result error, const char** text) {
  switch (error) {
    case abi::success:
      *text = "CUDA_SUCCESS";
      break;
    case abi::invalid_value:
      *text = "CUDA_ERROR_INVALID_VALUE";
      break;
    case abi::out_of_memory:
      *text = "CUDA_ERROR_OUT_OF_MEMORY";
      break;
    case abi::device_unavailable:
      *text = "CUDA_ERROR_DEVICE_UNAVAILABLE";
      break;
    case abi::illegal_address:
      *text = "CUDA_ERROR_ILLEGAL_ADDRESS";
      break;
    case abi::launch_out_of_resources:
      *text = "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES";
      break;
    case abi::launch_failed:
      *text = "CUDA_ERROR_LAUNCH_FAILED";
      break;
    case abi::ecc_uncorrectable:
      *text = "CUDA_ERROR_ECC_UNCORRECTABLE";
      break;
    default:
      return abi::invalid_value;
  }
  return abi::success;
}

abi::Result cuGetErrorString(abi::Result error, const char** text) {
  switch (error) {
    case abi::success:
      *text = "no error";
      break;
    case abi::illegal_address:
      *text = "an illegal memory access was encountered";
      break;
    case abi::out_of_memory:
      *text = "out of memory";
      break;
    case abi::launch_out_of_resources:
      *text = "too many resources requested for launch";
      break;
    default:
      *text = "the fake driver was asked to fail";
      break;
  }
  return abi::success;
}

abi::Result cuDeviceGet(abi::Device* device, int ordinal) {
  ENTER("cuDeviceGet", false);
  *device = ordinal;
  return ordinal == 0 ? abi::success : abi::invalid_device;
}

abi::Result cuDeviceGetCount(int* count) {
  ENTER("cuDeviceGetCount", false);
  *count = 1;
  return abi::success;
}

abi::Result cuDeviceGetName(char* name, int length, abi::Device) {
  ENTER("cuDeviceGetName", false);
  std::strncpy(name, "Fake GPU", static_cast<std::size_t>(length));
  return abi::success;
}

abi::Result cuDeviceGetUuid_v2(abi::Uuid* uuid, abi::Device) {
  ENTER("cuDeviceGetUuid_v2", false);
  std::memset(uuid->bytes, 7, sizeof(uuid->bytes));
  return abi::success;
}

abi::Result cuDeviceGetPCIBusId(char* id, int length, abi::Device) {
  ENTER("cuDeviceGetPCIBusId", false);
  std::strncpy(id, "0000:3B:00.0", static_cast<std::size_t>(length));
  return abi::success;
}

abi::Result cuDeviceTotalMem_v2(std::size_t* bytes, abi::Device) {
  ENTER("cuDeviceTotalMem_v2", false);
  *bytes = std::size_t{1} << 30;
  return abi::success;
}

abi::Result cuDeviceGetAttribute(int* value, abi::DeviceAttribute attribute, abi::Device) {
  ENTER("cuDeviceGetAttribute", false);
  for (const auto& [known, answer] : h100_attributes)
    if (known == attribute) {
      // A small cache, so that flushing it really writes.
      *value = attribute == abi::l2_cache_size ? 1 << 20 : answer;
      return abi::success;
    }
  return abi::invalid_value;
}

abi::Result cuDevicePrimaryCtxRetain(abi::ContextHandle* context, abi::Device) {
  ENTER("cuDevicePrimaryCtxRetain", false);
  *context = the_context();
  if (retained++ == 0) faults::created(Kind::context);
  return abi::success;
}

abi::Result cuDevicePrimaryCtxRelease_v2(abi::Device) {
  const abi::Result entered = enter("cuDevicePrimaryCtxRelease_v2", false);
  if (retained == 0) {
    faults::misused("a context released once too often");
  } else if (--retained == 0) {
    faults::destroyed(Kind::context);
    faults::context_closed();
    current = nullptr;
  }
  return entered;
}

abi::Result cuCtxGetCurrent(abi::ContextHandle* context) {
  ENTER("cuCtxGetCurrent", false);
  *context = current;
  return abi::success;
}

abi::Result cuCtxSetCurrent(abi::ContextHandle context) {
  ENTER("cuCtxSetCurrent", false);
  current = context;
  return abi::success;
}

abi::Result cuCtxSynchronize() { return enter("cuCtxSynchronize"); }
abi::Result cuCtxResetPersistingL2Cache() { return enter("cuCtxResetPersistingL2Cache"); }

abi::Result cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  ENTER("cuMemGetInfo_v2");
  *total = std::size_t{1} << 30;
  *free = *total - std::min<std::size_t>(*total, faults::state().live_bytes);
  return abi::success;
}

abi::Result cuMemAlloc_v2(abi::DevicePointer* pointer, std::size_t size) {
  ENTER("cuMemAlloc_v2");
  if (size == 0) return abi::invalid_value;
  if (size > (std::size_t{1} << 30)) return abi::out_of_memory;
  add(Kind::memory, pointer, host_memory(size), size);
  return abi::success;
}

abi::Result cuMemFree_v2(abi::DevicePointer pointer) {
  const abi::Result entered = enter("cuMemFree_v2");
  // Real drivers give the memory back and then report an earlier fault, if there was one.
  remove(Kind::memory, reinterpret_cast<void*>(pointer), "device memory");
  return entered;
}

abi::Result cuMemHostAlloc(void** pointer, std::size_t size, unsigned) {
  ENTER("cuMemHostAlloc");
  add(Kind::host, pointer, host_memory(size), size);
  return abi::success;
}

abi::Result cuMemFreeHost(void* pointer) {
  const abi::Result entered = enter("cuMemFreeHost");
  remove(Kind::host, pointer, "host memory");
  return entered;
}

abi::Result cuMemcpyHtoDAsync_v2(abi::DevicePointer to, const void* from, std::size_t size, abi::StreamHandle stream) {
  ENTER("cuMemcpyHtoDAsync_v2");
  if (!in_memory(to, size)) return abi::invalid_value;
  return enqueue(stream, [=](Stream&) { std::memcpy(reinterpret_cast<void*>(to), from, size); });
}

abi::Result cuMemcpyDtoHAsync_v2(void* to, abi::DevicePointer from, std::size_t size, abi::StreamHandle stream) {
  ENTER("cuMemcpyDtoHAsync_v2");
  if (!in_memory(from, size)) return abi::invalid_value;
  return enqueue(stream, [=](Stream&) { std::memcpy(to, reinterpret_cast<const void*>(from), size); });
}

abi::Result cuMemcpyDtoDAsync_v2(abi::DevicePointer to, abi::DevicePointer from, std::size_t size,
                                 abi::StreamHandle stream) {
  ENTER("cuMemcpyDtoDAsync_v2");
  if (!in_memory(to, size) || !in_memory(from, size)) return abi::invalid_value;
  return enqueue(
      stream, [=](Stream&) { std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), size); });
}

abi::Result cuMemsetD8Async(abi::DevicePointer to, unsigned char value, std::size_t count, abi::StreamHandle stream) {
  ENTER("cuMemsetD8Async");
  if (!in_memory(to, count)) return abi::invalid_value;
  return enqueue(stream, [=](Stream&) { std::memset(reinterpret_cast<void*>(to), value, count); });
}

abi::Result cuStreamCreate(abi::StreamHandle* stream, unsigned) {
  ENTER("cuStreamCreate");
  add(Kind::stream, stream, std::make_shared<Stream>());
  return abi::success;
}

abi::Result cuStreamDestroy_v2(abi::StreamHandle stream) {
  const abi::Result entered = enter("cuStreamDestroy_v2");
  remove(Kind::stream, stream, "stream");
  return entered;
}

abi::Result cuStreamQuery(abi::StreamHandle handle) {
  ENTER("cuStreamQuery");
  const Stream* stream = find<Stream>(Kind::stream, handle, "stream");
  return stream == nullptr ? abi::invalid_handle : stream->endless ? abi::not_ready : abi::success;
}

abi::Result cuStreamSynchronize(abi::StreamHandle handle) {
  ENTER("cuStreamSynchronize");
  const Stream* stream = find<Stream>(Kind::stream, handle, "stream");
  return stream == nullptr ? abi::invalid_handle : wait_for(stream);
}

abi::Result cuStreamWaitEvent(abi::StreamHandle stream, abi::EventHandle event, unsigned) {
  ENTER("cuStreamWaitEvent");
  const Event* awaited = find<Event>(Kind::event, event, "event");
  if (awaited == nullptr) return abi::invalid_handle;
  return enqueue(stream, [at = awaited->at](Stream& on) { on.now = std::max(on.now, at); });
}

abi::Result cuEventCreate(abi::EventHandle* event, unsigned) {
  ENTER("cuEventCreate");
  add(Kind::event, event, std::make_shared<Event>());
  return abi::success;
}

abi::Result cuEventDestroy_v2(abi::EventHandle event) {
  const abi::Result entered = enter("cuEventDestroy_v2");
  remove(Kind::event, event, "event");
  return entered;
}

abi::Result cuEventRecord(abi::EventHandle handle, abi::StreamHandle stream) {
  ENTER("cuEventRecord");
  Event* event = find<Event>(Kind::event, handle, "event");
  if (event == nullptr) return abi::invalid_handle;
  return enqueue(stream, [event](Stream& on) {
    event->at = on.now;
    event->stream = &on;
  });
}

abi::Result cuEventQuery(abi::EventHandle handle) {
  ENTER("cuEventQuery");
  const Event* event = find<Event>(Kind::event, handle, "event");
  if (event == nullptr) return abi::invalid_handle;
  return event->stream != nullptr && event->stream->endless ? abi::not_ready : abi::success;
}

abi::Result cuEventSynchronize(abi::EventHandle handle) {
  ENTER("cuEventSynchronize");
  const Event* event = find<Event>(Kind::event, handle, "event");
  return event == nullptr ? abi::invalid_handle : wait_for(event->stream);
}

abi::Result cuEventElapsedTime(float* milliseconds, abi::EventHandle start, abi::EventHandle end) {
  ENTER("cuEventElapsedTime");
  const Event* first = find<Event>(Kind::event, start, "event");
  const Event* second = find<Event>(Kind::event, end, "event");
  if (first == nullptr || second == nullptr) return abi::invalid_handle;
  *milliseconds = static_cast<float>((second->at - first->at) / 1e6);
  return abi::success;
}

abi::Result cuModuleLoadDataEx(abi::ModuleHandle* module, const void* image, unsigned, abi::JitOption*, void**) {
  ENTER("cuModuleLoadDataEx");
  auto program = program_of(image);
  if (!program) return abi::invalid_image;
  add(Kind::module, module, std::make_shared<Module>(Module{*std::move(program)}));
  return abi::success;
}

abi::Result cuModuleUnload(abi::ModuleHandle module) {
  const abi::Result entered = enter("cuModuleUnload");
  const std::lock_guard lock(table_mutex);
  std::erase_if(functions, [&](const auto& entry) {
    return static_cast<const void*>(entry.first.first) == static_cast<const void*>(module);
  });
  const auto found = objects.find(module);
  if (found == objects.end() || found->second.kind != Kind::module) {
    faults::misused("unloading a dead module");
  } else {
    faults::destroyed(Kind::module);
    objects.erase(found);
    ++faults::state().unloaded;
  }
  return entered;
}

abi::Result cuModuleGetFunction(abi::FunctionHandle* function, abi::ModuleHandle handle, const char* name) {
  ENTER("cuModuleGetFunction");
  const Module* module = find<Module>(Kind::module, handle, "module");
  if (module == nullptr) return abi::invalid_handle;
  const auto& entries = module->program.entries;
  if (std::find(entries.begin(), entries.end(), name) == entries.end()) return abi::not_found;
  const std::lock_guard lock(table_mutex);
  auto& stored = functions[{module, name}];
  if (stored == nullptr) stored = std::make_unique<Function>(Function{module, name});
  *function = reinterpret_cast<abi::FunctionHandle>(stored.get());
  return abi::success;
}

abi::Result cuModuleGetGlobal_v2(abi::DevicePointer*, std::size_t*, abi::ModuleHandle module, const char*) {
  ENTER("cuModuleGetGlobal_v2");
  return find<Module>(Kind::module, module, "module") == nullptr ? abi::invalid_handle : abi::not_found;
}

abi::Result cuFuncGetAttribute(int* value, abi::FunctionAttribute attribute, abi::FunctionHandle) {
  ENTER("cuFuncGetAttribute");
  switch (attribute) {
    case abi::function_max_threads_per_block:
      *value = 1024;
      break;
    case abi::function_num_regs:
      *value = 32;
      break;
    case abi::function_shared_size_bytes:
    case abi::function_local_size_bytes:
    case abi::function_const_size_bytes:
      *value = 0;
      break;
    default:
      return abi::invalid_value;
  }
  return abi::success;
}

abi::Result cuFuncSetAttribute(abi::FunctionHandle function, abi::FunctionAttribute attribute, int value) {
  ENTER("cuFuncSetAttribute");
  if (attribute != abi::function_max_dynamic_shared_size_bytes || value > 232448) return abi::invalid_value;
  reinterpret_cast<Function*>(function)->permitted_shared = value;
  return abi::success;
}

abi::Result cuFuncGetParamInfo(abi::FunctionHandle handle, std::size_t index, std::size_t* offset, std::size_t* size) {
  ENTER("cuFuncGetParamInfo");
  const auto sizes = faults::parameter_sizes(reinterpret_cast<const Function*>(handle)->entry);
  if (!sizes || index >= sizes->size()) return abi::invalid_value;
  *offset = 8 * index;
  *size = (*sizes)[index];
  return abi::success;
}

abi::Result cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, abi::FunctionHandle, int block_size, std::size_t) {
  ENTER("cuOccupancyMaxActiveBlocksPerMultiprocessor");
  *blocks = std::min(32, 2048 / std::max(block_size, 1));
  return abi::success;
}

abi::Result cuLaunchKernel(abi::FunctionHandle function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                           unsigned by, unsigned bz, unsigned shared, abi::StreamHandle stream, void** parameters,
                           void**) {
  return launch("cuLaunchKernel", function, {gx, gy, gz}, {bx, by, bz}, shared, stream, parameters);
}

abi::Result cuLaunchKernelEx(const abi::LaunchConfiguration* c, abi::FunctionHandle function, void** parameters,
                             void**) {
  return launch("cuLaunchKernelEx", function, {c->grid_x, c->grid_y, c->grid_z}, {c->block_x, c->block_y, c->block_z},
                c->shared_memory_bytes, c->stream, parameters);
}

abi::Result cuLaunchCooperativeKernel(abi::FunctionHandle function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                                      unsigned by, unsigned bz, unsigned shared, abi::StreamHandle stream,
                                      void** parameters) {
  return launch("cuLaunchCooperativeKernel", function, {gx, gy, gz}, {bx, by, bz}, shared, stream, parameters);
}

abi::Result cuStreamBeginCapture_v2(abi::StreamHandle handle, abi::CaptureMode) {
  ENTER("cuStreamBeginCapture_v2");
  Stream* stream = find<Stream>(Kind::stream, handle, "stream");
  if (stream == nullptr) return abi::invalid_handle;
  stream->capturing = true;
  stream->recorded.clear();
  return abi::success;
}

abi::Result cuStreamEndCapture(abi::StreamHandle handle, abi::GraphHandle* graph) {
  Stream* stream = find<Stream>(Kind::stream, handle, "stream");
  if (stream == nullptr) return abi::invalid_handle;
  stream->capturing = false;
  ENTER("cuStreamEndCapture");
  add(Kind::graph, graph, std::make_shared<Graph>(std::exchange(stream->recorded, {})));
  return abi::success;
}

abi::Result cuGraphInstantiateWithFlags(abi::GraphExecHandle* executable, abi::GraphHandle handle, unsigned long long) {
  ENTER("cuGraphInstantiateWithFlags");
  const Graph* graph = find<Graph>(Kind::graph, handle, "graph");
  if (graph == nullptr) return abi::invalid_handle;
  add(Kind::graph, executable, std::make_shared<Graph>(*graph));
  return abi::success;
}

abi::Result cuGraphLaunch(abi::GraphExecHandle handle, abi::StreamHandle stream) {
  ENTER("cuGraphLaunch");
  const Graph* graph = find<Graph>(Kind::graph, handle, "graph");
  if (graph == nullptr) return abi::invalid_handle;
  return enqueue(stream, [graph](Stream& on) {
    for (const auto& work : *graph) work(on);
  });
}

abi::Result cuGraphExecDestroy(abi::GraphExecHandle handle) {
  const abi::Result entered = enter("cuGraphExecDestroy");
  remove(Kind::graph, handle, "executable graph");
  return entered;
}

abi::Result cuGraphDestroy(abi::GraphHandle handle) {
  const abi::Result entered = enter("cuGraphDestroy");
  remove(Kind::graph, handle, "graph");
  return entered;
}

}  // extern "C"
