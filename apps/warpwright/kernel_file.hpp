// The kernels in a file: CUDA source (compiled here, no GPU needed), a cubin, or a container of binaries (fatbin,
// program, shared library, static library).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/cuda/binaries.hpp>
#include <warpwright/model/binary.hpp>

namespace warpwright::app {

struct KernelFileArguments {
  std::string file;                                            // --kernel
  std::string entry;                                           // --entry; may be empty where the file has one kernel
  std::vector<std::string> defines, include_folders, options;  // -D, -I, --option
};

// What the question is about: which architecture to compile for, or which binary of a container to take.
struct KernelTarget {
  std::string architecture;  // "sm_90", "sm_90a"; empty: the one that the file has
  bool of_a_device = false;  // of a device that runs "sm_90" and "sm_90a": the more specific one is taken
};

struct KernelFile {
  std::string architecture;  // what the binary is for: "sm_90"
  std::string target;        // "sm_90a"
  cuda::KernelDescription kernel;
  std::optional<Binary> binary;         // ready to be loaded; of a binary file only where the target is a device
  std::string origin;                   // "compiled by NVRTC 13.0", "read from the cubin"
  std::optional<Bytes> dynamic_shared;  // of its launches, as metadata beside the file tells
  std::vector<std::string> notes;       // what the file does not tell
};

// Throws Error(bad_input, not_found, unsupported, unavailable, compile, corrupted) naming the flag or the file.
KernelFile read_kernel_file(const KernelFileArguments& arguments, const KernelTarget& target);

struct ListedKernel {
  std::string architecture, target, member;  // `member` of an archive
  cuda::KernelDescription kernel;
  std::optional<Bytes> dynamic_shared;  // of its launches, as metadata beside the file tells
};

struct KernelList {
  std::vector<ListedKernel> kernels;
  std::string origin;
  std::vector<std::string> notes;
};

// All kernels of the file, of all architectures where `target` names none; those that --entry names where it is given.
// Throws as read_kernel_file().
KernelList list_kernels(const KernelFileArguments& arguments, const KernelTarget& target);

}  // namespace warpwright::app
