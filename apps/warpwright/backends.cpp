#include "backends.hpp"

#include <cstdlib>

#include <warpwright/devices/devices.hpp>

#include "places.hpp"

namespace warpwright::app {

cuda::Options cuda_options() {
  cuda::Options options;
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char* folder = std::getenv(variable); folder != nullptr && folder[0] != '\0')
      options.toolkit_folders.insert(options.toolkit_folders.begin(), folder);
  return options;
}

device::BackendRegistry make_backends() { return devices::all_backends(cuda_options()); }

device::BackendRegistry make_backends(const LogSink& log) {
  prepare_driver_caches(log);
  return make_backends();
}

}  // namespace warpwright::app
