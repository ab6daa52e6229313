#include "backends.hpp"

#include <cstdlib>
#include <sstream>
#include <string>
#include <unistd.h>

#include <warpwright/base/error.hpp>
#include <warpwright/devices/devices.hpp>
#include <warpwright/driver/workers.hpp>

#include "command.hpp"

namespace warpwright::app {

cuda::Options cuda_options() {
  cuda::Options options;
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char* folder = std::getenv(variable); folder != nullptr && folder[0] != '\0')
      options.toolkit_folders.insert(options.toolkit_folders.begin(), folder);
  if (const char* folder = std::getenv(driver::header_cache_variable); folder != nullptr && folder[0] == '/') {
    options.bundled_headers_folder = folder;
    return options;
  }
  try {
    options.bundled_headers_folder = driver::Places(own_variables()).cache_folder();
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

device::BackendRegistry make_backends(const Console& console, bool quiet) {
  if (const auto variable = console.places->variable_for_driver_caches(console.log(quiet)))
    ::setenv(variable->first.c_str(), variable->second.c_str(), 1);
  return make_backends();
}

driver::Variables own_variables() { return driver::Variables(::environ); }

}  // namespace warpwright::app
