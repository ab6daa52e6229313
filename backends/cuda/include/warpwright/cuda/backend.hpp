// NVIDIA GPUs through the CUDA driver API, NVRTC and NVML. All three are opened at run time: a program linked with this
// library starts anywhere and says what is missing. Binaries are cubins for the device's real architecture; nvcc is not
// needed.
//
// A device is used through its primary context, which other CUDA code of the same process shares. Calls make that
// context current for their duration and restore another one that was current before; on a thread with no current
// context it stays current.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/device/backend.hpp>

namespace warpwright::cuda {

// Where to look. Libraries do not read the environment: a program fills this from CUDA_HOME, CUDA_PATH and its flags.
struct Options {
  // CUDA toolkits ("/opt/cuda-13.0") in order of preference: searched for NVRTC before the loader's path, and for
  // headers.
  std::vector<std::filesystem::path> toolkit_folders;
  // Used instead of libcuda.so.1 if not empty.
  std::filesystem::path driver_library;
  // Used instead of searching if not empty.
  std::filesystem::path nvrtc_library;
  // Used instead of libnvidia-ml.so.1 if not empty.
  std::filesystem::path nvml_library;
  // Where NVRTC 13.5 and newer may unpack the headers they bring (about 26 MB, into a folder for their version), which
  // happens when a kernel includes one and no toolkit has headers. Empty: those are not used.
  std::filesystem::path bundled_headers_folder;
  // Whether /usr/local/cuda, /usr/local/cuda-* (newest first) and /opt/cuda are searched after toolkit_folders.
  bool use_default_toolkit_folders = true;
};

// Opens nothing yet; the first call that needs a library opens it. Thread-safe.
std::unique_ptr<device::Backend> make_backend();
std::unique_ptr<device::Backend> make_backend(Options options);

// An NVRTC compiler for an architecture ("sm_90a", "sm_86", also "90a"), on a machine with or without a GPU.
// Throws Error(unavailable) without NVRTC, Error(unsupported) listing what it knows if it cannot compile for that.
std::unique_ptr<device::Compiler> make_nvrtc_compiler(const std::string& architecture, Options options = {});

// The architectures NVRTC compiles for, oldest first: "sm_75", ..., "sm_90", ... without the architecture-specific
// variants. Throws Error(unavailable) without NVRTC.
std::vector<std::string> nvrtc_architectures(const Options& options = {});

// The target to compile for a device of compute capability major.minor: "sm_90a" for 9.0 where the
// architecture-specific features exist, the nearest older one of the same major version whose code the device runs
// ("sm_86" for 8.8), nullopt if none of `supported` (as nvrtcGetSupportedArchs numbers them: 90 for 9.0) fits.
std::optional<std::string> compile_target(int major, int minor, const std::vector<int>& supported);

// What ptxas reports of one kernel, beyond Binary::resources.
struct PtxasReport {
  std::string symbol;  // name in the image
  std::optional<int> registers;
  std::optional<int> barriers;
  std::optional<Bytes> static_shared;
  std::optional<Bytes> stack;  // per thread; includes spilled registers
  std::optional<Bytes> spill_stores, spill_loads;
};

// Reads the log that compilers of this backend put into Binary::log. Lines of other kinds are skipped; never throws on
// content.
std::vector<PtxasReport> parse_ptxas_log(const std::string& log);

}  // namespace warpwright::cuda
