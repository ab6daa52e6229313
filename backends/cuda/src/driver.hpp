// The CUDA driver as a table of functions, and the one place where its error codes become warpwright::Error.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <warpwright/base/error.hpp>

#include "cuda_abi.hpp"

namespace warpwright::cuda {

// What kind of call failed: the same code means different things. CUDA_ERROR_INVALID_VALUE of a launch is a refused
// configuration, of a copy it is a wrong argument.
enum class Call { general, launch, load, allocate };

// The classification behind every Error of this backend. Codes after which the driver refuses everything in this
// context
// ("sticky": illegal address, assertion, ECC, ...) and codes unknown to us are ErrorCode::device.
ErrorCode classify(abi::Result result, Call call) noexcept;

// Immutable, thread-safe.
class CudaDriver {
 public:
  // Opens libcuda.so.1 (or `library`) and initialises it. Throws Error(unavailable) with the remedy.
  static std::shared_ptr<const CudaDriver> load(const std::filesystem::path& library = {});
  // Uses a given table, which is how tests put a fake driver underneath everything else. Throws as load() does.
  explicit CudaDriver(const abi::Functions& functions, std::filesystem::path path = "given function table");

  const abi::Functions& api() const noexcept { return functions_; }
  const std::filesystem::path& path() const noexcept { return path_; }
  // CUDA version the driver implements: 13000 for 13.0.
  int version() const noexcept { return version_; }
  // "13.0".
  std::string version_text() const;
  int device_count() const noexcept { return device_count_; }
  // Whether recording graphs is possible.
  bool has_graphs() const noexcept;

  // Throws if `result` is not success; `action` completes "cannot ...".
  void check(abi::Result result, const char* action, Call call = Call::general) const {
    if (result != abi::success) fail(result, call, action);
  }
  [[noreturn]] void fail(abi::Result result, Call call, const std::string& action) const;
  // "cannot <action>: <the driver's words>", classified; other words for a lost device.
  Error error(abi::Result result, Call call, const std::string& action) const;
  // "an illegal memory access was encountered".
  std::string describe(abi::Result result) const;
  // {700, "CUDA_ERROR_ILLEGAL_ADDRESS"}.
  NativeError native(abi::Result result) const;

 private:
  abi::Functions functions_;
  std::filesystem::path path_;
  int version_ = 0;
  int device_count_ = 0;
};

}  // namespace warpwright::cuda
