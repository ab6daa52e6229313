#include "module.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "cubin.hpp"
#include "launch.hpp"

namespace warpwright::cuda {

namespace {

constexpr std::size_t load_log_size = 8192;

std::string list(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

// The driver trusts the section table of what it loads; a truncated file from a damaged cache must not reach it.
Cubin checked_cubin(const Binary& binary) {
  if (binary.backend != "cuda") {
    throw Error(ErrorCode::bad_input, "the binary was made for backend '" + binary.backend + "', not 'cuda'");
  }
  if (binary.format != "cubin") {
    throw Error(ErrorCode::bad_input, "the binary's format is '" + binary.format + "', not 'cubin'");
  }
  try {
    return read_cubin(binary.image);
  } catch (Error& error) {
    throw Error(ErrorCode::bad_input, "the binary for " + binary.target + " is damaged: " + error.message());
  }
}

}  // namespace

LoadedModule::LoadedModule(PrimaryContextPtr context, const Binary& binary) : context_(std::move(context)) {
  const CudaDriver& driver = context_->driver();
  const CurrentContext current(*context_);
  std::array<char, load_log_size> log{};
  // Sizes travel in the pointer itself.
  abi::JitOption options[] = {abi::jit_error_log_buffer, abi::jit_error_log_buffer_size_bytes};
  void* values[] = {log.data(), reinterpret_cast<void*>(log.size() - 1)};
  const abi::Result result = driver.api().module_load_data(&handle_, binary.image.data(), 2, options, values);
  if (result == abi::success) return;
  std::string action = "load the module compiled for " + binary.target + " on " + context_->info().name + " (" +
                       context_->info().architecture + ", driver for CUDA " + driver.version_text() + ")";
  if (log[0] != 0) action += " [" + std::string(log.data()) + "]";
  driver.fail(result, Call::load, action);
}

LoadedModule::~LoadedModule() {
  const CurrentContext current(*context_, std::nothrow);
  context_->api().module_unload(handle_);
}

Function::Function(std::shared_ptr<const LoadedModule> module, abi::FunctionHandle handle, std::string entry,
                   const CubinKernel* listed)
    : module_(std::move(module)), handle_(handle), entry_(std::move(entry)) {
  if (listed != nullptr) {
    parameter_sizes_ = listed->parameter_sizes;
    required_block_ = listed->required_block;
  }
  max_threads_per_block_ = attribute(abi::function_max_threads_per_block, "its largest block");
  registers_ = attribute(abi::function_num_regs, "its registers");
  const auto bytes = [&](abi::FunctionAttribute which, const char* what) {
    return Bytes{static_cast<std::uint64_t>(std::max(0, attribute(which, what)))};
  };
  static_shared_ = bytes(abi::function_shared_size_bytes, "its static shared memory");
  local_ = bytes(abi::function_local_size_bytes, "its local memory");
  constant_ = bytes(abi::function_const_size_bytes, "its constant memory");

  const auto get_parameter = context().api().function_get_parameter;
  if (get_parameter == nullptr) return;
  // The end of the list is reported as CUDA_ERROR_INVALID_VALUE.
  std::vector<std::size_t> sizes;
  abi::Result result = abi::success;
  for (;;) {
    std::size_t offset = 0, size = 0;
    result = get_parameter(handle_, sizes.size(), &offset, &size);
    if (result != abi::success) break;
    sizes.push_back(size);
  }
  if (result != abi::invalid_value) {
    context().driver().fail(result, Call::load, "ask kernel '" + entry_ + "' for its parameters");
  }
  parameter_sizes_ = std::move(sizes);
}

int Function::attribute(abi::FunctionAttribute attribute, const char* what) const {
  int value = 0;
  const abi::Result result = context().api().function_get_attribute(&value, attribute, handle_);
  if (result != abi::success) {
    context().driver().fail(result, Call::load, std::string("ask kernel '") + entry_ + "' for " + what);
  }
  return value;
}

void Function::permit_dynamic_shared(Bytes dynamic) {
  const DeviceInfo& info = context().info();
  if (static_shared_ + dynamic <= info.shared_per_block || dynamic.count <= permitted_dynamic_) return;
  if (static_shared_ + dynamic > info.shared_limit()) {
    throw Error(ErrorCode::launch, "kernel '" + entry_ + "' needs " + std::to_string((static_shared_ + dynamic).count) +
                                       " bytes of shared memory per block (" + std::to_string(static_shared_.count) +
                                       " static + " + std::to_string(dynamic.count) + " dynamic); " + info.name +
                                       " allows at most " + std::to_string(info.shared_limit().count));
  }
  const std::lock_guard lock(mutex_);
  if (dynamic.count <= permitted_dynamic_) return;
  const abi::Result result = context().api().function_set_attribute(
      handle_, abi::function_max_dynamic_shared_size_bytes, static_cast<int>(dynamic.count));
  if (result != abi::success) {
    context().driver().fail(
        result, Call::launch,
        "permit kernel '" + entry_ + "' " + std::to_string(dynamic.count) + " bytes of dynamic shared memory");
  }
  permitted_dynamic_ = dynamic.count;
}

void Function::permit_large_clusters() {
  if (large_clusters_) return;
  const std::lock_guard lock(mutex_);
  const abi::Result result =
      context().api().function_set_attribute(handle_, abi::function_non_portable_cluster_size_allowed, 1);
  if (result != abi::success) {
    context().driver().fail(result, Call::launch, "permit kernel '" + entry_ + "' clusters of more than 8 blocks");
  }
  large_clusters_ = true;
}

KernelResources CudaKernel::resources() const {
  KernelResources resources;
  resources.entry = function_->entry();
  resources.registers_per_thread = function_->registers();
  resources.static_shared = function_->static_shared();
  resources.local_per_thread = function_->local();
  resources.constant = function_->constant();
  resources.max_threads_per_block = function_->max_threads_per_block();
  return resources;
}

std::optional<std::vector<KernelParameter>> CudaKernel::parameters() const {
  const auto& sizes = function_->parameter_sizes();
  if (!sizes) return std::nullopt;
  std::vector<KernelParameter> parameters(sizes->size());
  for (std::size_t i = 0; i < sizes->size(); ++i) parameters[i].size = Bytes{(*sizes)[i]};
  return parameters;
}

std::optional<int> CudaKernel::max_active_blocks(std::int64_t threads_per_block, Bytes dynamic_shared) const {
  const PrimaryContext& context = function_->context();
  const auto query = context.api().max_active_blocks;
  if (query == nullptr) return std::nullopt;
  if (threads_per_block < 1) {
    throw Error(ErrorCode::bad_input,
                "a block of " + std::to_string(threads_per_block) + " threads has no occupancy: at least 1 is needed");
  }
  // What cannot be launched has 0 active blocks: an answer, not an error.
  if (threads_per_block > function_->max_threads_per_block()) return 0;
  const CurrentContext current(context);
  try {
    function_->permit_dynamic_shared(dynamic_shared);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::launch) return 0;
    throw;
  }
  int blocks = 0;
  const abi::Result result =
      query(&blocks, function_->handle(), static_cast<int>(threads_per_block), dynamic_shared.count);
  if (result != abi::success) {
    context.driver().fail(result, Call::general, "ask for the occupancy of kernel '" + function_->entry() + "'");
  }
  return blocks;
}

std::optional<int> CudaKernel::max_active_clusters(const device::LaunchConfig& config) const {
  return cuda::max_active_clusters(*function_, config);
}

const CudaKernel& CudaKernel::of(const device::Kernel& kernel, const PrimaryContext& context) {
  const auto* ours = dynamic_cast<const CudaKernel*>(&kernel);
  if (ours == nullptr)
    throw Error(ErrorCode::bad_input, "kernel '" + kernel.name() + "' is not one of the cuda backend");
  if (ours->function_->context().handle() != context.handle()) {
    throw Error(ErrorCode::bad_input, "kernel '" + kernel.name() + "' was loaded on " +
                                          ours->function_->context().info().id.to_string() +
                                          ", the stream belongs to " + context.info().id.to_string());
  }
  return *ours;
}

CudaModule::CudaModule(PrimaryContextPtr context, const Binary& binary) : symbols_(binary.symbols) {
  kernels_ = checked_cubin(binary).kernels;
  loaded_ = std::make_shared<const LoadedModule>(std::move(context), binary);
}

std::unique_ptr<device::Kernel> CudaModule::kernel(const std::string& entry) {
  if (const auto known = functions_.find(entry); known != functions_.end()) {
    return std::make_unique<CudaKernel>(known->second);
  }
  const auto found = symbols_.find(entry);
  const std::string& symbol = found != symbols_.end() ? found->second : entry;
  const PrimaryContext& context = *loaded_->context();
  const CurrentContext current(context);
  abi::FunctionHandle handle = nullptr;
  const abi::Result result = context.api().module_get_function(&handle, loaded_->handle(), symbol.c_str());
  if (result == abi::not_found) {
    std::vector<std::string> names;
    for (const auto& kernel : kernels_) names.push_back(kernel.symbol);
    for (const auto& [wanted, lowered] : symbols_) {
      std::replace(names.begin(), names.end(), lowered, wanted);
    }
    std::string message = "the module has no kernel '" + entry + "'";
    if (const auto close = closest_match(entry, names)) message += "; did you mean '" + *close + "'?";
    message += names.empty() ? "; it has none at all" : "; it has " + list(names);
    throw Error(ErrorCode::not_found, message, context.driver().native(result));
  }
  if (result != abi::success) context.driver().fail(result, Call::load, "find kernel '" + entry + "'");
  const auto listed = std::find_if(kernels_.begin(), kernels_.end(),
                                   [&](const CubinKernel& kernel) { return kernel.symbol == symbol; });
  auto function = std::make_shared<Function>(loaded_, handle, entry, listed == kernels_.end() ? nullptr : &*listed);
  functions_.emplace(entry, function);
  return std::make_unique<CudaKernel>(std::move(function));
}

std::unique_ptr<device::Buffer> CudaModule::symbol(const std::string& name) {
  const auto found = symbols_.find(name);
  const std::string& symbol = found != symbols_.end() ? found->second : name;
  const PrimaryContextPtr& context = loaded_->context();
  const CurrentContext current(*context);
  abi::DevicePointer pointer = 0;
  std::size_t size = 0;
  const abi::Result result = context->api().module_get_global(&pointer, &size, loaded_->handle(), symbol.c_str());
  if (result == abi::not_found) return nullptr;
  if (result != abi::success) context->driver().fail(result, Call::general, "find variable '" + name + "'");
  return std::make_unique<CudaBuffer>(context, pointer, Bytes{size}, loaded_);
}

}  // namespace warpwright::cuda
