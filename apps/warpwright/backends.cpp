#include "backends.hpp"

#include <cstdlib>

#include <warpwright/cuda/backend.hpp>
#include <warpwright/opencl/backend.hpp>
#include <warpwright/sim/backend.hpp>

#include "places.hpp"

namespace warpwright::app {

cuda::Options cuda_options() {
  cuda::Options options;
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char* folder = std::getenv(variable); folder != nullptr && folder[0] != '\0')
      options.toolkit_folders.insert(options.toolkit_folders.begin(), folder);
  return options;
}

device::BackendRegistry make_backends() {
  device::BackendRegistry backends;
  backends.add(cuda::make_backend(cuda_options()));
  backends.add(opencl::make_backend());
  backends.add(sim::make_backend());
  return backends;
}

device::BackendRegistry make_backends(const LogSink& log) {
  prepare_driver_caches(log);
  return make_backends();
}

}  // namespace warpwright::app
