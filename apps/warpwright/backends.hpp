// The backends of the programs in this folder: with worker_main.cpp the only product code that names one.
#pragma once

#include <warpwright/base/log.hpp>
#include <warpwright/cuda/backend.hpp>
#include <warpwright/device/backend.hpp>

namespace warpwright::app {

// cuda, opencl and sim, configured from the environment (CUDA_HOME, CUDA_PATH).
device::BackendRegistry make_backends();
// The same for the process that the user started: drivers are given a place for their caches first (places.hpp), and
// `log` is told where that is not the usual one. Once, before other threads run: it may set an environment variable.
device::BackendRegistry make_backends(const LogSink& log);

// Names the folder for the headers that NVRTC brings; what workers get, as they may write to their cache folder alone.
inline constexpr const char* header_cache_variable = "WARPWRIGHT_HEADER_CACHE";

// Where CUDA is looked for: CUDA_HOME and CUDA_PATH before the usual places.
cuda::Options cuda_options();

}  // namespace warpwright::app
