#include "fake_driver.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "h100_attributes.hpp"

namespace warpwright::cuda {

FakeDriver* FakeDriver::instance = nullptr;

namespace {

thread_local const void* current_context = nullptr;

FakeDriver& fake() { return *FakeDriver::instance; }

template <class Handle>
Handle as(void* pointer) {
  return static_cast<Handle>(pointer);
}

#define ENTER(name, ...) \
  if (const abi::Result entered = fake().enter(name __VA_OPT__(, ) __VA_ARGS__); entered != abi::success) return entered
// Real drivers give back the handle and then report an earlier fault, if there was one.
#define ENTER_DESTROY(name, kind, handle)                                    \
  const abi::Result entered = fake().enter(name);                            \
  fake().destroy(kind, const_cast<void*>(static_cast<const void*>(handle))); \
  return entered

abi::Result get_error_name(abi::Result error, const char** text) {
  *text = error == abi::illegal_address ? "CUDA_ERROR_ILLEGAL_ADDRESS"
          : error == abi::out_of_memory ? "CUDA_ERROR_OUT_OF_MEMORY"
                                        : "CUDA_ERROR_OTHER";
  return abi::success;
}

abi::Result get_error_string(abi::Result error, const char** text) {
  if (error == 31337) {
    *text = nullptr;
    return abi::invalid_value;
  }
  *text = error == abi::illegal_address ? "an illegal memory access was encountered" : "the fake says no";
  return abi::success;
}

abi::Result stream_call(const char* name, abi::StreamHandle stream) {
  ENTER(name);
  return fake().alive(stream, "stream") ? abi::success : abi::invalid_handle;
}

abi::Result event_call(const char* name, abi::EventHandle event) {
  ENTER(name);
  return fake().alive(event, "event") ? abi::success : abi::invalid_handle;
}

}  // namespace

FakeDriver::FakeDriver() {
  instance = this;
  current_context = nullptr;
  attributes = {std::begin(h100_attributes), std::end(h100_attributes)};
}

FakeDriver::~FakeDriver() { instance = nullptr; }

abi::Result FakeDriver::enter(const char* name, bool needs_context) {
  const int number = calls++;
  names.emplace_back(name);
  if (failed && sticky) return failure;
  if (number == failing_call || (!failing_function.empty() && failing_function == name)) {
    failed = true;
    return failure;
  }
  if (needs_context && live.count(current_context) == 0) {
    // After a failed cuCtxSetCurrent a destructor has no better choice.
    if (!failed) misuses.push_back(std::string(name) + " without a current context");
    return abi::invalid_context;
  }
  return abi::success;
}

void* FakeDriver::create(const std::string& kind, std::size_t size) {
  std::vector<unsigned char> bytes(std::max<std::size_t>(size, 1));
  void* handle = bytes.data();
  storage[handle] = std::move(bytes);
  live.insert(handle);
  kind_of[handle] = kind;
  ++created[kind];
  return handle;
}

void FakeDriver::destroy(const std::string& kind, void* handle) {
  if (live.erase(handle) == 0 || kind_of[handle] != kind) {
    misuses.push_back("destroying a " + kind + " that is none");
    return;
  }
  storage.erase(handle);
}

bool FakeDriver::alive(const void* handle, const char* what) {
  if (live.count(handle) != 0 && kind_of[handle] == what) return true;
  misuses.push_back(std::string("a dead ") + what);
  return false;
}

bool FakeDriver::device_range(abi::DevicePointer pointer, std::size_t size) {
  for (const auto& [base, bytes] : storage) {
    const auto begin = reinterpret_cast<std::uintptr_t>(base);
    if (pointer >= begin && pointer + size <= begin + bytes.size() && kind_of[base] == "memory") return true;
  }
  misuses.push_back("a device address outside every allocation");
  return false;
}

abi::Result FakeDriver::launch(const char* name, const abi::LaunchConfiguration& configuration,
                               abi::FunctionHandle function, void** parameters) {
  if (const abi::Result entered = enter(name); entered != abi::success) return entered;
  if (!alive(configuration.stream, "stream")) return abi::invalid_handle;
  Launch seen;
  seen.function = reinterpret_cast<const char*>(function);
  const unsigned grid[] = {configuration.grid_x, configuration.grid_y, configuration.grid_z};
  const unsigned block[] = {configuration.block_x, configuration.block_y, configuration.block_z};
  std::copy(grid, grid + 3, seen.grid);
  std::copy(block, block + 3, seen.block);
  seen.shared = configuration.shared_memory_bytes;
  for (unsigned i = 0; i < configuration.attribute_count; ++i) {
    const abi::LaunchAttribute& attribute = configuration.attributes[i];
    if (attribute.id == abi::launch_attribute_cooperative) seen.cooperative = attribute.value.cooperative != 0;
    if (attribute.id == abi::launch_attribute_cluster_dimension) {
      seen.cluster[0] = attribute.value.cluster.x;
      seen.cluster[1] = attribute.value.cluster.y;
      seen.cluster[2] = attribute.value.cluster.z;
    }
  }
  const unsigned threads = block[0] * block[1] * block[2];
  if (threads > static_cast<unsigned>(function_max_threads)) return abi::launch_out_of_resources;
  if (static_cast<int>(seen.shared) + function_static_shared > 49152 &&
      static_cast<int>(seen.shared) > permitted_dynamic_shared) {
    return abi::invalid_value;
  }
  const unsigned cluster = seen.cluster[0] * seen.cluster[1] * seen.cluster[2];
  if (cluster > 8 && !large_clusters) return abi::invalid_cluster_size;
  for (int i = 0; i < 3; ++i) {
    if (grid[i] % seen.cluster[i] != 0) return abi::invalid_value;
  }
  for (std::size_t i = 0; i < parameter_sizes.size(); ++i) {
    const auto* bytes = static_cast<const unsigned char*>(parameters[i]);
    seen.arguments.emplace_back(bytes, bytes + parameter_sizes[i]);
  }
  launches.push_back(std::move(seen));
  return abi::success;
}

abi::Functions FakeDriver::functions() const {
  abi::Functions f;
  f.init = [](unsigned) { return fake().enter("cuInit", false); };
  f.driver_get_version = [](int* version) {
    ENTER("cuDriverGetVersion", false);
    *version = 13000;
    return abi::success;
  };
  f.get_error_name = get_error_name;
  f.get_error_string = get_error_string;
  f.device_get = [](abi::Device* device, int ordinal) {
    ENTER("cuDeviceGet", false);
    *device = 10 + ordinal;
    return ordinal < fake().device_count ? abi::success : abi::invalid_device;
  };
  f.device_get_count = [](int* count) {
    ENTER("cuDeviceGetCount", false);
    *count = fake().device_count;
    return abi::success;
  };
  f.device_get_name = [](char* name, int length, abi::Device device) {
    ENTER("cuDeviceGetName", false);
    const std::string text = "Fake H100 " + std::to_string(device - 10);
    std::strncpy(name, text.c_str(), static_cast<std::size_t>(length));
    return abi::success;
  };
  f.device_get_uuid = [](abi::Uuid* uuid, abi::Device) {
    ENTER("cuDeviceGetUuid_v2", false);
    for (int i = 0; i < 16; ++i) uuid->bytes[i] = static_cast<char>(i * 17);
    return abi::success;
  };
  f.device_get_pci_bus_id = [](char* id, int length, abi::Device device) {
    ENTER("cuDeviceGetPCIBusId", false);
    std::strncpy(id, device == 10 ? "0000:3B:00.0" : "0000:5E:00.0", static_cast<std::size_t>(length));
    return abi::success;
  };
  f.device_total_memory = [](std::size_t* bytes, abi::Device) {
    ENTER("cuDeviceTotalMem_v2", false);
    *bytes = std::size_t{80} << 30;
    return abi::success;
  };
  f.device_get_attribute = [](int* value, abi::DeviceAttribute attribute, abi::Device) {
    ENTER("cuDeviceGetAttribute", false);
    const auto found = fake().attributes.find(attribute);
    if (found == fake().attributes.end()) return abi::invalid_value;
    *value = found->second;
    return abi::success;
  };
  f.primary_context_retain = [](abi::ContextHandle* context, abi::Device) {
    ENTER("cuDevicePrimaryCtxRetain", false);
    *context = as<abi::ContextHandle>(fake().create("context"));
    ++fake().retained;
    return abi::success;
  };
  f.primary_context_release = [](abi::Device) {
    const abi::Result entered = fake().enter("cuDevicePrimaryCtxRelease_v2", false);
    --fake().retained;
    // One context at a time in these tests.
    for (const auto& [handle, kind] : fake().kind_of) {
      if (kind == "context") fake().live.erase(handle);
    }
    return entered;
  };
  f.context_get_current = [](abi::ContextHandle* context) {
    ENTER("cuCtxGetCurrent", false);
    *context = as<abi::ContextHandle>(const_cast<void*>(current_context));
    return abi::success;
  };
  f.context_set_current = [](abi::ContextHandle context) {
    ENTER("cuCtxSetCurrent", false);
    current_context = context;
    return abi::success;
  };
  f.context_synchronize = [] { return fake().enter("cuCtxSynchronize"); };
  f.context_reset_persisting_l2 = [] { return fake().enter("cuCtxResetPersistingL2Cache"); };
  f.memory_get_info = [](std::size_t* free, std::size_t* total) {
    ENTER("cuMemGetInfo_v2");
    *free = std::size_t{70} << 30;
    *total = std::size_t{80} << 30;
    return abi::success;
  };
  f.memory_allocate = [](abi::DevicePointer* pointer, std::size_t size) {
    ENTER("cuMemAlloc_v2");
    if (size > (std::size_t{1} << 30)) return abi::out_of_memory;
    *pointer = reinterpret_cast<abi::DevicePointer>(fake().create("memory", size));
    return abi::success;
  };
  f.memory_free = [](abi::DevicePointer pointer) {
    const abi::Result entered = fake().enter("cuMemFree_v2");
    fake().destroy("memory", reinterpret_cast<void*>(pointer));
    return entered;
  };
  f.host_allocate = [](void** pointer, std::size_t size, unsigned) {
    ENTER("cuMemHostAlloc");
    if (size > (std::size_t{1} << 30)) return abi::out_of_memory;
    *pointer = fake().create("host", size);
    return abi::success;
  };
  f.host_free = [](void* pointer) { ENTER_DESTROY("cuMemFreeHost", "host", pointer); };
  f.host_register = [](void* pointer, std::size_t size, unsigned flags) {
    ENTER("cuMemHostRegister_v2");
    if (flags != 1 || size == 0) return abi::invalid_value;
    fake().registered.insert(pointer);
    return abi::success;
  };
  f.host_unregister = [](void* pointer) {
    ENTER("cuMemHostUnregister");
    if (fake().registered.erase(pointer) == 0) fake().misuses.emplace_back("unpinned what was not pinned");
    return abi::success;
  };
  f.copy_to_device_async = [](abi::DevicePointer to, const void* from, std::size_t size, abi::StreamHandle stream) {
    if (const auto r = stream_call("cuMemcpyHtoDAsync_v2", stream); r != abi::success) return r;
    if (!fake().device_range(to, size)) return abi::invalid_value;
    std::memcpy(reinterpret_cast<void*>(to), from, size);
    return abi::success;
  };
  f.copy_to_host_async = [](void* to, abi::DevicePointer from, std::size_t size, abi::StreamHandle stream) {
    if (const auto r = stream_call("cuMemcpyDtoHAsync_v2", stream); r != abi::success) return r;
    if (!fake().device_range(from, size)) return abi::invalid_value;
    std::memcpy(to, reinterpret_cast<const void*>(from), size);
    return abi::success;
  };
  f.copy_on_device_async = [](abi::DevicePointer to, abi::DevicePointer from, std::size_t size,
                              abi::StreamHandle stream) {
    if (const auto r = stream_call("cuMemcpyDtoDAsync_v2", stream); r != abi::success) return r;
    if (!fake().device_range(to, size) || !fake().device_range(from, size)) return abi::invalid_value;
    std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), size);
    return abi::success;
  };
  f.fill_async = [](abi::DevicePointer to, unsigned char value, std::size_t count, abi::StreamHandle stream) {
    if (const auto r = stream_call("cuMemsetD8Async", stream); r != abi::success) return r;
    if (!fake().device_range(to, count)) return abi::invalid_value;
    std::memset(reinterpret_cast<void*>(to), value, count);
    return abi::success;
  };
  f.stream_create = [](abi::StreamHandle* stream, unsigned flags) {
    ENTER("cuStreamCreate");
    if (flags != 1) fake().misuses.emplace_back("a stream that blocks");
    *stream = as<abi::StreamHandle>(fake().create("stream"));
    return abi::success;
  };
  f.stream_destroy = [](abi::StreamHandle stream) { ENTER_DESTROY("cuStreamDestroy_v2", "stream", stream); };
  f.stream_query = [](abi::StreamHandle stream) { return stream_call("cuStreamQuery", stream); };
  f.stream_synchronize = [](abi::StreamHandle stream) {
    if (fake().capturing) return abi::stream_capture_unsupported;
    return stream_call("cuStreamSynchronize", stream);
  };
  f.stream_wait_event = [](abi::StreamHandle stream, abi::EventHandle event, unsigned) {
    if (const auto r = stream_call("cuStreamWaitEvent", stream); r != abi::success) return r;
    return fake().alive(event, "event") ? abi::success : abi::invalid_handle;
  };
  f.event_create = [](abi::EventHandle* event, unsigned flags) {
    ENTER("cuEventCreate");
    if (flags == 2) ++fake().ordering_events;
    if (flags != 0 && flags != 2) fake().misuses.emplace_back("an event with other flags than timing off");
    *event = as<abi::EventHandle>(fake().create("event"));
    return abi::success;
  };
  f.event_destroy = [](abi::EventHandle event) { ENTER_DESTROY("cuEventDestroy_v2", "event", event); };
  f.event_record = [](abi::EventHandle event, abi::StreamHandle stream) {
    if (const auto r = event_call("cuEventRecord", event); r != abi::success) return r;
    return fake().alive(stream, "stream") ? abi::success : abi::invalid_handle;
  };
  f.event_query = [](abi::EventHandle event) {
    if (const auto r = event_call("cuEventQuery", event); r != abi::success) return r;
    return fake().event_ready ? abi::success : abi::not_ready;
  };
  f.event_synchronize = [](abi::EventHandle event) { return event_call("cuEventSynchronize", event); };
  f.event_elapsed_time = [](float* milliseconds, abi::EventHandle start, abi::EventHandle end) {
    if (const auto r = event_call("cuEventElapsedTime", start); r != abi::success) return r;
    if (!fake().alive(end, "event")) return abi::invalid_handle;
    if (!fake().event_ready) return abi::not_ready;
    *milliseconds = 1.5f;
    return abi::success;
  };
  f.module_load_data = [](abi::ModuleHandle* module, const void* image, unsigned count, abi::JitOption* options,
                          void** values) {
    if (fake().jit_log && count == 2 && options[0] == abi::jit_error_log_buffer) {
      std::strcpy(static_cast<char*>(values[0]), "words of the linker");
    }
    ENTER("cuModuleLoadDataEx");
    if (std::memcmp(image,
                    "\x7f"
                    "ELF",
                    4) != 0)
      return abi::invalid_image;
    *module = as<abi::ModuleHandle>(fake().create("module"));
    return abi::success;
  };
  f.module_unload = [](abi::ModuleHandle module) { ENTER_DESTROY("cuModuleUnload", "module", module); };
  f.module_get_function = [](abi::FunctionHandle* function, abi::ModuleHandle module, const char* name) {
    ENTER("cuModuleGetFunction");
    if (!fake().alive(module, "module")) return abi::invalid_handle;
    if (fake().kernels.count(name) == 0) return abi::not_found;
    const auto stored = fake().function_names.insert(name).first;
    *function = reinterpret_cast<abi::FunctionHandle>(const_cast<char*>(stored->c_str()));
    return abi::success;
  };
  f.module_get_global = [](abi::DevicePointer* pointer, std::size_t* bytes, abi::ModuleHandle module,
                           const char* name) {
    ENTER("cuModuleGetGlobal_v2");
    if (!fake().alive(module, "module")) return abi::invalid_handle;
    if (std::strcmp(name, "coefficients") != 0) return abi::not_found;
    // Belongs to the module: memory that is never freed on its own.
    void* memory = fake().create("memory", 64);
    fake().live.erase(memory);
    *pointer = reinterpret_cast<abi::DevicePointer>(memory);
    *bytes = 64;
    return abi::success;
  };
  f.function_get_attribute = [](int* value, abi::FunctionAttribute attribute, abi::FunctionHandle) {
    ENTER("cuFuncGetAttribute");
    switch (attribute) {
      case abi::function_max_threads_per_block:
        *value = fake().function_max_threads;
        break;
      case abi::function_num_regs:
        *value = fake().function_registers;
        break;
      case abi::function_shared_size_bytes:
        *value = fake().function_static_shared;
        break;
      case abi::function_local_size_bytes:
        *value = 16;
        break;
      case abi::function_const_size_bytes:
        *value = 400;
        break;
      default:
        return abi::invalid_value;
    }
    return abi::success;
  };
  f.function_set_attribute = [](abi::FunctionHandle, abi::FunctionAttribute attribute, int value) {
    ENTER("cuFuncSetAttribute");
    if (attribute == abi::function_max_dynamic_shared_size_bytes) {
      if (value + fake().function_static_shared > 232448) return abi::invalid_value;
      fake().permitted_dynamic_shared = value;
      ++fake().permissions;
    } else if (attribute == abi::function_non_portable_cluster_size_allowed) {
      fake().large_clusters = value != 0;
    } else {
      return abi::invalid_value;
    }
    return abi::success;
  };
  f.function_get_parameter = [](abi::FunctionHandle, std::size_t index, std::size_t* offset, std::size_t* size) {
    ENTER("cuFuncGetParamInfo");
    if (index >= fake().parameter_sizes.size()) return abi::invalid_value;
    *offset = 8 * index;
    *size = fake().parameter_sizes[index];
    return abi::success;
  };
  f.max_active_blocks = [](int* blocks, abi::FunctionHandle, int block_size, std::size_t dynamic) {
    ENTER("cuOccupancyMaxActiveBlocksPerMultiprocessor");
    if (dynamic > 49152 && static_cast<int>(dynamic) > fake().permitted_dynamic_shared) {
      *blocks = 0;
    } else {
      *blocks = 2048 / block_size;
    }
    return abi::success;
  };
  f.max_active_clusters = [](int* clusters, abi::FunctionHandle, const abi::LaunchConfiguration* configuration) {
    ENTER("cuOccupancyMaxActiveClusters");
    const auto& cluster = configuration->attributes[0].value.cluster;
    const unsigned size = cluster.x * cluster.y * cluster.z;
    if (size > (fake().large_clusters ? 16u : 8u)) return abi::invalid_cluster_size;
    *clusters = static_cast<int>(132 / size);
    return abi::success;
  };
  f.launch_kernel = [](abi::FunctionHandle function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                       unsigned bz, unsigned shared, abi::StreamHandle stream, void** parameters, void**) {
    return fake().launch("cuLaunchKernel", {gx, gy, gz, bx, by, bz, shared, stream, nullptr, 0}, function, parameters);
  };
  f.launch_kernel_ex = [](const abi::LaunchConfiguration* configuration, abi::FunctionHandle function,
                          void** parameters,
                          void**) { return fake().launch("cuLaunchKernelEx", *configuration, function, parameters); };
  f.launch_cooperative_kernel = [](abi::FunctionHandle function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                                   unsigned by, unsigned bz, unsigned shared, abi::StreamHandle stream,
                                   void** parameters) {
    abi::LaunchAttribute attribute{};
    attribute.id = abi::launch_attribute_cooperative;
    attribute.value.cooperative = 1;
    return fake().launch("cuLaunchCooperativeKernel", {gx, gy, gz, bx, by, bz, shared, stream, &attribute, 1}, function,
                         parameters);
  };
  f.stream_begin_capture = [](abi::StreamHandle stream, abi::CaptureMode) {
    if (const auto r = stream_call("cuStreamBeginCapture_v2", stream); r != abi::success) return r;
    fake().capturing = true;
    return abi::success;
  };
  f.stream_end_capture = [](abi::StreamHandle stream, abi::GraphHandle* graph) {
    fake().capturing = false;
    if (const auto r = stream_call("cuStreamEndCapture", stream); r != abi::success) return r;
    *graph = as<abi::GraphHandle>(fake().create("graph"));
    return abi::success;
  };
  f.graph_instantiate = [](abi::GraphExecHandle* executable, abi::GraphHandle graph, unsigned long long) {
    ENTER("cuGraphInstantiateWithFlags");
    if (!fake().alive(graph, "graph")) return abi::invalid_handle;
    *executable = as<abi::GraphExecHandle>(fake().create("executable graph"));
    return abi::success;
  };
  f.graph_launch = [](abi::GraphExecHandle executable, abi::StreamHandle stream) {
    if (const auto r = stream_call("cuGraphLaunch", stream); r != abi::success) return r;
    return fake().alive(executable, "executable graph") ? abi::success : abi::invalid_handle;
  };
  f.graph_exec_destroy = [](abi::GraphExecHandle handle) {
    ENTER_DESTROY("cuGraphExecDestroy", "executable graph", handle);
  };
  f.graph_destroy = [](abi::GraphHandle handle) { ENTER_DESTROY("cuGraphDestroy", "graph", handle); };
  return f;
}

}  // namespace warpwright::cuda
