#include "driver.hpp"

#include <type_traits>
#include <utility>
#include <vector>

#include "library.hpp"
#include "unavailable.hpp"

namespace warpwright::cuda {

namespace {

constexpr const char* install_driver =
    "install the NVIDIA driver (535 or newer) and check that `nvidia-smi` lists a GPU";

// After these the context, or the whole device, is gone.
bool sticky(abi::Result result) noexcept {
  switch (result) {
    case abi::not_initialized:
    case abi::deinitialized:
    case abi::device_unavailable:
    case abi::invalid_context:
    case abi::ecc_uncorrectable:
    case abi::nvlink_uncorrectable:
    case abi::contained:
    case abi::illegal_address:
    case abi::launch_timeout:
    case abi::context_is_destroyed:
    case abi::device_assert:
    case abi::hardware_stack_error:
    case abi::illegal_instruction:
    case abi::misaligned_address:
    case abi::invalid_address_space:
    case abi::invalid_pc:
    case abi::launch_failed:
    case abi::unknown:
      return true;
    default:
      return false;
  }
}

// Words for a failing cuInit beyond the driver's own.
std::string initialisation_remedy(abi::Result result) {
  switch (result) {
    case abi::stub_library:
      return "the library is the toolkit's link-time substitute, not a driver: take the folder 'stubs' out of "
             "LD_LIBRARY_PATH";
    case abi::no_device:
      return "no GPU is visible to this process: check `nvidia-smi`, CUDA_VISIBLE_DEVICES and, in a container, that it "
             "was "
             "started with GPU access";
    case abi::system_driver_mismatch:
      return "the driver's library and kernel module differ in version: reboot, or reload the kernel module";
    case abi::unknown:
    case abi::operating_system:
      return "check that /dev/nvidia0, /dev/nvidiactl and /dev/nvidia-uvm exist and may be opened by this user";
    default:
      return install_driver;
  }
}

}  // namespace

ErrorCode classify(abi::Result result, Call call) noexcept {
  if (sticky(result)) return ErrorCode::device;
  switch (result) {
    case abi::out_of_memory:
      return ErrorCode::out_of_memory;
    case abi::launch_out_of_resources:
    case abi::cooperative_launch_too_large:
    case abi::invalid_cluster_size:
    case abi::launch_incompatible_texturing:
      return ErrorCode::launch;
    case abi::stub_library:
    case abi::no_device:
    case abi::call_requires_newer_driver:
    case abi::device_not_licensed:
    case abi::system_not_ready:
    case abi::system_driver_mismatch:
    case abi::compat_not_supported_on_device:
      return ErrorCode::unavailable;
    default:
      break;
  }
  if (call == Call::launch) {
    switch (result) {
      case abi::invalid_value:
      case abi::invalid_image:
      case abi::no_binary_for_gpu:
      case abi::invalid_handle:
      case abi::not_found:
      case abi::not_permitted:
      case abi::not_supported:
      case abi::function_not_loaded:
      case abi::invalid_resource_type:
      case abi::invalid_resource_configuration:
        return ErrorCode::launch;
      default:
        break;
    }
  }
  if (call == Call::load) {
    switch (result) {
      case abi::invalid_value:
      case abi::invalid_image:
      case abi::no_binary_for_gpu:
      case abi::invalid_ptx:
      case abi::unsupported_ptx_version:
      case abi::jit_compiler_not_found:
      case abi::jit_compilation_disabled:
      case abi::invalid_source:
      case abi::shared_object_symbol_not_found:
      case abi::shared_object_init_failed:
      case abi::not_supported:
        return ErrorCode::bad_input;
      default:
        break;
    }
  }
  switch (result) {
    case abi::invalid_value:
    case abi::invalid_handle:
      return ErrorCode::bad_input;
    case abi::invalid_device:
    case abi::not_found:
    case abi::file_not_found:
      return ErrorCode::not_found;
    case abi::not_supported:
    case abi::not_permitted:
    case abi::unsupported_limit:
      return ErrorCode::unsupported;
    case abi::not_ready:
    case abi::illegal_state:
    case abi::context_already_in_use:
    case abi::stream_capture_unsupported:
    case abi::stream_capture_invalidated:
    case abi::stream_capture_merge:
    case abi::stream_capture_unmatched:
    case abi::stream_capture_unjoined:
    case abi::stream_capture_isolation:
    case abi::stream_capture_implicit:
    case abi::captured_event:
    case abi::stream_capture_wrong_thread:
      return ErrorCode::conflict;
    case abi::wait_timeout:
      return ErrorCode::timeout;
    default:
      return ErrorCode::device;
  }
}

std::shared_ptr<const CudaDriver> CudaDriver::load(const std::filesystem::path& library) {
  std::vector<std::string> names;
  if (!library.empty()) {
    names.push_back(library.string());
  } else {
    // The loader's path first; then where container runtimes and WSL put the driver without telling the loader.
    names = {"libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"};
  }
  std::vector<std::string> reasons;
  auto opened = SharedLibrary::open_first(names, reasons);
  if (!opened) {
    throw Unavailable("no CUDA driver: " + names.front() + " not found (" + reasons.front() + ")", install_driver);
  }
  abi::Functions functions;
  std::string missing;
  abi::for_each_function(functions, [&](auto& pointer, const char* symbol, abi::Need need) {
    pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(opened->symbol(symbol));
    if (pointer == nullptr && need == abi::Need::required) missing += std::string(missing.empty() ? "" : ", ") + symbol;
  });
  if (!missing.empty()) {
    throw Unavailable("the CUDA driver " + opened->path().string() + " is too old, it lacks " + missing,
                      install_driver);
  }
  return std::make_shared<const CudaDriver>(functions, opened->path());
}

CudaDriver::CudaDriver(const abi::Functions& functions, std::filesystem::path path)
    : functions_(functions), path_(std::move(path)) {
  const auto must = [&](abi::Result result, const char* function) {
    if (result == abi::success) return;
    throw Unavailable(
        "the CUDA driver " + path_.string() + " does not start: " + function + " says '" + describe(result) + "'",
        initialisation_remedy(result), native(result));
  };
  must(functions_.init(0), "cuInit");
  must(functions_.driver_get_version(&version_), "cuDriverGetVersion");
  must(functions_.device_get_count(&device_count_), "cuDeviceGetCount");
}

std::string CudaDriver::version_text() const {
  return std::to_string(version_ / 1000) + "." + std::to_string(version_ % 1000 / 10);
}

bool CudaDriver::has_graphs() const noexcept {
  return functions_.stream_begin_capture != nullptr && functions_.stream_end_capture != nullptr &&
         functions_.graph_instantiate != nullptr && functions_.graph_launch != nullptr &&
         functions_.graph_exec_destroy != nullptr && functions_.graph_destroy != nullptr;
}

void CudaDriver::fail(abi::Result result, Call call, const std::string& action) const {
  throw error(result, call, action);
}

Error CudaDriver::error(abi::Result result, Call call, const std::string& action) const {
  const ErrorCode code = classify(result, call);
  // A fault is reported by whatever call comes next: the action is only where it was noticed.
  if (code == ErrorCode::device) {
    return Error(code, "the device failed: " + describe(result) + "; noticed on the attempt to " + action,
                 native(result));
  }
  return Error(code, "cannot " + action + ": " + describe(result), native(result));
}

std::string CudaDriver::describe(abi::Result result) const {
  const char* text = nullptr;
  if (functions_.get_error_string(result, &text) == abi::success && text != nullptr) return text;
  return "unknown error";
}

NativeError CudaDriver::native(abi::Result result) const {
  const char* text = nullptr;
  const bool known = functions_.get_error_name(result, &text) == abi::success && text != nullptr;
  return {static_cast<std::int64_t>(result), known ? text : "CUDA_ERROR_" + std::to_string(result)};
}

}  // namespace warpwright::cuda
