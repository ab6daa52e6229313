// The resources of a kernel in a file: CUDA source (compiled here, no GPU needed), a cubin, or a fatbin.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/device/compiler.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright::app {

struct KernelFileArguments {
  std::string file;                                            // --kernel
  std::string entry;                                           // --entry; may be empty where the file has one kernel
  std::vector<std::string> defines, include_folders, options;  // -D, -I, --option
};

struct KernelFile {
  std::string architecture;  // what the binary is for: "sm_90"
  KernelResources resources;
  std::optional<device::Binary> binary;  // ready to be loaded on a device
  std::string origin;                    // "compiled by NVRTC 13.0", "read from the cubin"
  std::vector<std::string> notes;        // what the file does not tell
};

// `architecture` is what to compile for, or which binary of a fatbin to take; empty: the one a cubin has. Throws
// Error(bad_input, not_found, unsupported, unavailable, compile, corrupted) naming the flag or the file.
KernelFile read_kernel_file(const KernelFileArguments& arguments, const std::string& architecture);

}  // namespace warpwright::app
