// The backends of the programs in this folder: with worker_main.cpp the only product code that names one.
#pragma once

#include <warpwright/device/backend.hpp>

namespace warpwright::app {

// cuda, opencl and sim, configured from the environment (CUDA_HOME, CUDA_PATH).
device::BackendRegistry make_backends();

}  // namespace warpwright::app
