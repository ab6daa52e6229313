#include "backends.hpp"

#include <cstdlib>

#include <warpwright/devices/devices.hpp>

namespace warpwright::app {

cuda::Options cuda_options() {
  cuda::Options options;
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char* folder = std::getenv(variable); folder != nullptr && folder[0] != '\0')
      options.toolkit_folders.insert(options.toolkit_folders.begin(), folder);
  return options;
}

device::BackendRegistry make_backends() { return devices::all_backends(cuda_options()); }

}  // namespace warpwright::app
