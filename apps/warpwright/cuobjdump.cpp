#include "cuobjdump.hpp"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fmt/format.h>
#include <optional>
#include <unistd.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/process.hpp>
#include <warpwright/base/temporary_folder.hpp>
#include <warpwright/cuda/backend.hpp>

#include "backends.hpp"

namespace warpwright::app {
namespace {

// cuobjdump of the toolkits, else of PATH; runs in `folder`, its output goes to a file there.
void run_cuobjdump(const std::string& file, const std::string& why, const std::filesystem::path& folder) {
  std::string program = "cuobjdump";
  auto toolkits = cuda_options().toolkit_folders;
  toolkits.emplace_back("/usr/local/cuda");
  for (const auto& toolkit : toolkits)
    if (access((toolkit / "bin/cuobjdump").c_str(), X_OK) == 0) {
      program = toolkit / "bin/cuobjdump";
      break;
    }
  ProcessOptions options;
  options.program = program;
  options.arguments = {"-xelf", "all", std::filesystem::absolute(file).string()};
  options.folder = folder;
  options.output = folder / "log";
  options.death_signal = SIGKILL;
  std::optional<ProcessEnd> end;
  try {
    end = Process::start(options).wait();
  } catch (const Error&) {
    throw Error(
        ErrorCode::unavailable,
        fmt::format("--kernel '{}': {}; NVIDIA's cuobjdump could take it apart, and was not found in PATH or a "
                    "CUDA toolkit: install the package cuda-cuobjdump-13-0 (apt) or nvidia-cuda-cuobjdump (pip), "
                    "or give a .cubin",
                    file, why));
  }
  if (!end->succeeded())
    throw Error(ErrorCode::bad_input,
                fmt::format("--kernel '{}': cuobjdump refuses it: {}", file, read_file(options.output)));
}

}  // namespace

std::vector<std::string> extract_with_cuobjdump(const std::string& file, const std::string& why) {
  const TemporaryFolder scratch(std::filesystem::temp_directory_path());
  run_cuobjdump(file, why, scratch.path());
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path()))
    if (entry.path().extension() == ".cubin") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> images;
  for (const auto& path : paths) images.push_back(read_file(path));
  return images;
}

}  // namespace warpwright::app
