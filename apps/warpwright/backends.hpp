// The backends of the programs in this folder: with worker_main.cpp the only product code that names one.
#pragma once

#include <warpwright/cuda/backend.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/driver/places.hpp>

namespace warpwright::app {

struct Console;

// cuda, opencl and sim, configured from the environment (CUDA_HOME, CUDA_PATH).
device::BackendRegistry make_backends();
// The same for the process that the user started: drivers are given a place for their caches first, and the console is
// told where that is not the usual one. Once, before other threads run: it may set an environment variable.
device::BackendRegistry make_backends(const Console& console, bool quiet = false);

// The environment of this process.
driver::Variables own_variables();

// Where CUDA is looked for: CUDA_HOME and CUDA_PATH before the usual places.
cuda::Options cuda_options();

}  // namespace warpwright::app
