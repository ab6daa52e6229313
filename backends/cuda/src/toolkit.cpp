#include "toolkit.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

namespace warpwright::cuda {

namespace fs = std::filesystem;

namespace {

// The header that stands for all of them.
constexpr const char* marker = "cuda_fp16.h";

// Newest first; a toolkit and a driver of the same generation fit together.
constexpr const char* nvrtc_names[] = {"libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"};

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::vector<int> version_of(const fs::path& folder) {
  std::vector<int> version;
  int number = -1;
  for (const char c : folder.filename().string() + ".") {
    if (c >= '0' && c <= '9' && number < 100'000) {
      number = std::max(number, 0) * 10 + (c - '0');
    } else if (number >= 0) {
      version.push_back(std::exchange(number, -1));
    }
  }
  return version;
}

}  // namespace

std::vector<fs::path> versioned_toolkits(const fs::path& parent) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string().rfind("cuda-", 0) == 0) folders.push_back(it->path());
  }
  std::sort(folders.begin(), folders.end(), [](const fs::path& a, const fs::path& b) {
    return std::pair(version_of(b), b) < std::pair(version_of(a), a);
  });
  return folders;
}

std::vector<fs::path> toolkit_folders(const Options& options) {
  std::vector<fs::path> folders = options.toolkit_folders;
  if (options.use_default_toolkit_folders) {
    folders.emplace_back("/usr/local/cuda");
    for (auto& folder : versioned_toolkits("/usr/local")) folders.push_back(std::move(folder));
    folders.emplace_back("/opt/cuda");
  }
  return folders;
}

std::vector<std::string> nvrtc_candidates(const Options& options) {
  if (!options.nvrtc_library.empty()) return {options.nvrtc_library.string()};
  std::vector<std::string> names;
  const auto add_folder = [&](const fs::path& folder) {
    for (const char* library_folder : {"lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"}) {
      for (const char* name : nvrtc_names) {
        if (const fs::path path = folder / library_folder / name; is_there(path)) names.push_back(path.string());
      }
    }
  };
  // A toolkit that was named is meant; the usual places come after the loader's own path.
  for (const auto& folder : options.toolkit_folders) add_folder(folder);
  names.insert(names.end(), std::begin(nvrtc_names), std::end(nvrtc_names));
  const auto all = toolkit_folders(options);
  for (std::size_t i = options.toolkit_folders.size(); i < all.size(); ++i) add_folder(all[i]);
  return names;
}

std::vector<fs::path> ToolkitHeaders::include_folders() const {
  std::vector<fs::path> folders;
  if (!include) return folders;
  folders.push_back(*include);
  // CUDA 13 moved <cuda/std/...> and CUB there.
  if (is_there(*include / "cccl")) folders.push_back(*include / "cccl");
  return folders;
}

ToolkitHeaders find_toolkit_headers(const Options& options, const fs::path& nvrtc_library) {
  ToolkitHeaders headers;
  const auto look = [&](const fs::path& folder) {
    if (headers.include) return;
    if (std::find(headers.looked_in.begin(), headers.looked_in.end(), folder) != headers.looked_in.end()) return;
    headers.looked_in.push_back(folder);
    if (is_there(folder / marker)) headers.include = folder;
  };
  if (nvrtc_library.has_parent_path()) {
    std::error_code error;
    fs::path library = fs::canonical(nvrtc_library, error);
    if (error) library = nvrtc_library;
    // <toolkit>/lib64/libnvrtc.so or <toolkit>/targets/x86_64-linux/lib/libnvrtc.so
    for (fs::path folder = library.parent_path().parent_path(); folder.has_relative_path();
         folder = folder.parent_path()) {
      if (is_there(folder / "include" / marker)) look(folder / "include");
      if (folder.filename().string().rfind("cuda", 0) == 0) break;  // what lies above is no part of this toolkit
    }
  }
  for (const auto& folder : toolkit_folders(options)) {
    look(folder / "include");
    look(folder / "targets" / "x86_64-linux" / "include");
    look(folder / "targets" / "sbsa-linux" / "include");
  }
  return headers;
}

}  // namespace warpwright::cuda
