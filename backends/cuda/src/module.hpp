// Modules and kernels.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <warpwright/device/context.hpp>

#include "context.hpp"
#include "cubin.hpp"

namespace warpwright::cuda {

// A loaded module; unloaded with the last kernel, symbol view or module handle that uses it.
class LoadedModule {
 public:
  LoadedModule(PrimaryContextPtr context, const Binary& binary);
  ~LoadedModule();
  LoadedModule(const LoadedModule&) = delete;
  LoadedModule& operator=(const LoadedModule&) = delete;

  abi::ModuleHandle handle() const noexcept { return handle_; }
  const PrimaryContextPtr& context() const noexcept { return context_; }

 private:
  PrimaryContextPtr context_;
  abi::ModuleHandle handle_ = nullptr;
};

// One function of a module, shared by all its Kernel objects because the opt-ins below are state of the driver's
// function. Thread-safe: streams of different threads may launch it.
class Function {
 public:
  // `listed` is what the image says of it; null if it does not.
  Function(std::shared_ptr<const LoadedModule> module, abi::FunctionHandle handle, std::string entry,
           const CubinKernel* listed);

  abi::FunctionHandle handle() const noexcept { return handle_; }
  const std::string& entry() const noexcept { return entry_; }
  const PrimaryContext& context() const noexcept { return *module_->context(); }
  int max_threads_per_block() const noexcept { return max_threads_per_block_; }
  int registers() const noexcept { return registers_; }
  Bytes static_shared() const noexcept { return static_shared_; }
  Bytes local() const noexcept { return local_; }
  Bytes constant() const noexcept { return constant_; }
  // Sizes of the parameters in order, as the driver (from CUDA 12.4 on) or else the image tells; nullopt if neither
  // does.
  const std::optional<std::vector<std::size_t>>& parameter_sizes() const noexcept { return parameter_sizes_; }

  const std::optional<std::array<std::int64_t, 3>>& required_block() const noexcept { return required_block_; }

  // Permits a launch with this much dynamic shared memory. More than 48 KB together with the static part needs an
  // opt-in; it is made once and only ever raised. Throws Error(launch) naming the limit. The context must be current.
  void permit_dynamic_shared(Bytes dynamic);
  // Permits clusters of more than 8 blocks, which not every GPU of an architecture can place.
  void permit_large_clusters();

 private:
  int attribute(abi::FunctionAttribute attribute, const char* what) const;

  std::shared_ptr<const LoadedModule> module_;
  abi::FunctionHandle handle_;
  std::string entry_;
  int max_threads_per_block_ = 0;
  int registers_ = 0;
  Bytes static_shared_, local_, constant_;
  std::optional<std::vector<std::size_t>> parameter_sizes_;
  std::optional<std::array<std::int64_t, 3>> required_block_;
  std::mutex mutex_;
  std::atomic<std::uint64_t> permitted_dynamic_ = 0;
  std::atomic<bool> large_clusters_ = false;
};

class CudaKernel final : public device::Kernel {
 public:
  explicit CudaKernel(std::shared_ptr<Function> function) : function_(std::move(function)) {}

  const std::string& name() const override { return function_->entry(); }
  KernelResources resources() const override;
  std::optional<std::vector<KernelParameter>> parameters() const override;
  std::optional<std::array<std::int64_t, 3>> required_block() const override { return function_->required_block(); }
  std::optional<int> max_active_blocks(std::int64_t threads_per_block, Bytes dynamic_shared) const override;
  std::optional<int> max_active_clusters(const device::LaunchConfig& config) const override;

  Function& function() const noexcept { return *function_; }

  // `kernel` as one of ours in `context`; throws Error(bad_input) otherwise.
  static const CudaKernel& of(const device::Kernel& kernel, const PrimaryContext& context);

 private:
  std::shared_ptr<Function> function_;
};

class CudaModule final : public device::Module {
 public:
  CudaModule(PrimaryContextPtr context, const Binary& binary);

  std::unique_ptr<device::Kernel> kernel(const std::string& entry) override;
  std::unique_ptr<device::Buffer> symbol(const std::string& name) override;

 private:
  std::shared_ptr<const LoadedModule> loaded_;
  std::map<std::string, std::string> symbols_;
  std::vector<CubinKernel> kernels_;  // of the image
  std::map<std::string, std::shared_ptr<Function>> functions_;
};

}  // namespace warpwright::cuda
