#include "nvrtc.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

#include <warpwright/base/error.hpp>

#include "library.hpp"
#include "toolkit.hpp"
#include "unavailable.hpp"

namespace warpwright::cuda {

namespace {

constexpr const char* install_nvrtc =
    "install the CUDA toolkit 12 or 13, or its cuda-nvrtc package, and set CUDA_HOME if it is in an unusual place";

// Older ones know no architecture-specific targets.
constexpr int oldest_major = 12;

}  // namespace

std::shared_ptr<const Nvrtc> Nvrtc::load(const Options& options) {
  const std::vector<std::string> names = nvrtc_candidates(options);
  std::vector<std::string> reasons;
  for (const auto& name : names) {
    const auto library = SharedLibrary::open_first({name}, reasons);
    if (!library) continue;
    nvrtc_abi::Functions functions;
    std::string missing;
    nvrtc_abi::for_each_function(functions, [&](auto& pointer, const char* symbol) {
      pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(library->symbol(symbol));
      if (pointer == nullptr) missing += std::string(missing.empty() ? "" : ", ") + symbol;
    });
    if (!missing.empty()) {
      reasons.push_back("NVRTC in " + library->path().string() + " lacks " + missing);
      continue;
    }
    nvrtc_abi::for_each_newer_function(functions, [&](auto& pointer, const char* symbol) {
      pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(library->symbol(symbol));
    });
    try {
      return std::make_shared<const Nvrtc>(functions, library->path());
    } catch (const Unavailable& error) {
      reasons.push_back(error.reason());
    }
  }
  std::string message = "NVRTC, the CUDA run-time compiler, was not found; looked for";
  const char* separator = " ";
  for (const auto& name : names) message += std::exchange(separator, ", ") + name;
  if (const auto folders = toolkit_folders(options); options.nvrtc_library.empty() && !folders.empty()) {
    message += " in the loader's path and the toolkit folders";
    separator = " ";
    for (const auto& folder : folders) message += std::exchange(separator, ", ") + folder.string();
  }
  // The last reason is of the best place that was tried: what the loader says of a bare name is that there is none.
  if (!reasons.empty()) message += " (" + reasons.back() + ")";
  throw Unavailable(message, install_nvrtc);
}

Nvrtc::Nvrtc(const nvrtc_abi::Functions& functions, std::filesystem::path path)
    : functions_(functions), path_(std::move(path)) {
  const auto must = [&](nvrtc_abi::Result result, const char* what) {
    if (result == nvrtc_abi::success) return;
    throw Unavailable("NVRTC in " + path_.string() + " does not tell " + what + ": " + describe(result), install_nvrtc,
                      NativeError{static_cast<std::int64_t>(result), describe(result)});
  };
  must(functions_.version(&major_, &minor_), "its version");
  if (major_ < oldest_major)
    throw Unavailable("NVRTC " + version_text() + " in " + path_.string() + " is too old", install_nvrtc);
  int count = 0;
  must(functions_.get_num_supported_archs(&count), "its architectures");
  architectures_.resize(static_cast<std::size_t>(std::max(count, 0)));
  must(functions_.get_supported_archs(architectures_.data()), "its architectures");
  std::sort(architectures_.begin(), architectures_.end());
}

std::string Nvrtc::architecture_list() const {
  std::string text;
  for (const int architecture : architectures_) text += (text.empty() ? "sm_" : ", sm_") + std::to_string(architecture);
  return text;
}

std::filesystem::path Nvrtc::install_bundled_headers(const std::filesystem::path& folder) const {
  if (!has_bundled_headers())
    throw Error(ErrorCode::unavailable, "NVRTC " + version_text() + " brings no headers of its own");
  const std::filesystem::path place = folder / ("nvrtc-" + version_text() + "-headers");
  const char* reason = nullptr;
  const nvrtc_abi::Result result = functions_.install_bundled_headers(place.c_str(), 0, &reason);
  if (result != nvrtc_abi::success) {
    throw Error(ErrorCode::unavailable,
                "the headers that NVRTC " + version_text() + " brings cannot be unpacked to " + place.string() + ": " +
                    (reason != nullptr && *reason != 0 ? reason : describe(result)),
                NativeError{static_cast<std::int64_t>(result), describe(result)});
  }
  return place;
}

std::string Nvrtc::describe(nvrtc_abi::Result result) const {
  const char* text = functions_.get_error_string(result);
  return text != nullptr ? text : "NVRTC error " + std::to_string(result);
}

}  // namespace warpwright::cuda
