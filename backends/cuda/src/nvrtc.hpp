// NVRTC as a table of functions.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <warpwright/cuda/backend.hpp>

#include "nvrtc_abi.hpp"

namespace warpwright::cuda {

// Immutable, thread-safe.
class Nvrtc {
 public:
  // Searches nvrtc_candidates(options). Throws Error(unavailable) that says where it looked.
  static std::shared_ptr<const Nvrtc> load(const Options& options);
  explicit Nvrtc(const nvrtc_abi::Functions& functions, std::filesystem::path path = {});

  const nvrtc_abi::Functions& api() const noexcept { return functions_; }
  const std::filesystem::path& path() const noexcept { return path_; }
  int major() const noexcept { return major_; }
  int minor() const noexcept { return minor_; }
  // "13.0".
  std::string version_text() const { return std::to_string(major_) + "." + std::to_string(minor_); }
  // Sorted: 75, 80, ..., 121.
  const std::vector<int>& architectures() const noexcept { return architectures_; }
  // "sm_75, sm_80, ..." for messages.
  std::string architecture_list() const;
  std::string describe(nvrtc_abi::Result result) const;

  // Whether this release brings the toolkit's headers.
  bool has_bundled_headers() const noexcept { return functions_.install_bundled_headers != nullptr; }
  // Unpacks them below `folder` unless they are there, and returns where they are. Throws Error(unavailable) with what
  // NVRTC says, or where it brings none.
  std::filesystem::path install_bundled_headers(const std::filesystem::path& folder) const;

 private:
  nvrtc_abi::Functions functions_;
  std::filesystem::path path_;
  int major_ = 0, minor_ = 0;
  std::vector<int> architectures_;
};

// A compiler for `target` ("sm_90a"), which must be one NVRTC can compile for.
std::unique_ptr<device::Compiler> make_compiler(std::shared_ptr<const Nvrtc> nvrtc, std::string target,
                                                const Options& options);
// A compiler for a device of `architecture` ("sm_90"). Throws Error(unsupported).
std::unique_ptr<device::Compiler> make_device_compiler(std::shared_ptr<const Nvrtc> nvrtc, const DeviceInfo& device,
                                                       const Options& options);

}  // namespace warpwright::cuda
