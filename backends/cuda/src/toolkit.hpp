// Where a CUDA toolkit may be.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/cuda/backend.hpp>

namespace warpwright::cuda {

// options.toolkit_folders, then the usual places if wanted: /usr/local/cuda, /usr/local/cuda-* newest first, /opt/cuda.
std::vector<std::filesystem::path> toolkit_folders(const Options& options);
// The "cuda-*" folders of `parent`, newest version first.
std::vector<std::filesystem::path> versioned_toolkits(const std::filesystem::path& parent);

// What to give to the loader for NVRTC, in order.
std::vector<std::string> nvrtc_candidates(const Options& options);

struct ToolkitHeaders {
  std::optional<std::filesystem::path> include;                // holds cuda_fp16.h
  std::vector<std::filesystem::path> looked_in;                // every folder tried up to and including that
  std::vector<std::filesystem::path> include_folders() const;  // `include` and its "cccl", where they exist
};

// The headers that belong to the NVRTC loaded from `nvrtc_library`, else those of the first toolkit that has some:
// headers of another version than the compiler may use what it does not know. A path without a folder is ignored.
ToolkitHeaders find_toolkit_headers(const Options& options, const std::filesystem::path& nvrtc_library);

}  // namespace warpwright::cuda
