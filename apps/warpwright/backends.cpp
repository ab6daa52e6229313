#include "backends.hpp"

#include <cstdlib>
#include <sstream>
#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/devices/devices.hpp>

#include "paths.hpp"
#include "places.hpp"

namespace warpwright::app {

cuda::Options cuda_options() {
  cuda::Options options;
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char* folder = std::getenv(variable); folder != nullptr && folder[0] != '\0')
      options.toolkit_folders.insert(options.toolkit_folders.begin(), folder);
  if (const char* folder = std::getenv(header_cache_variable); folder != nullptr && folder[0] == '/') {
    options.bundled_headers_folder = folder;
    return options;
  }
  try {
    options.bundled_headers_folder = default_cache_folder();
  } catch (const Error&) {
    // Without a home there is no place for them; whoever needs them is told that headers are missing.
  }
  return options;
}

namespace {

opencl::Options opencl_options() {
  opencl::Options options;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');)
    if (!folder.empty()) options.program_folders.emplace_back(folder);
  return options;
}

}  // namespace

device::BackendRegistry make_backends() { return devices::all_backends(cuda_options(), opencl_options()); }

device::BackendRegistry make_backends(const LogSink& log) {
  prepare_driver_caches(log);
  return make_backends();
}

}  // namespace warpwright::app
