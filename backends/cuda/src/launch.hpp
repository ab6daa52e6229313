// Launching a kernel, and saying why the driver refused one.
#pragma once

#include <optional>
#include <span>
#include <string>

#include <warpwright/device/context.hpp>

#include "module.hpp"
#include "stream.hpp"

namespace warpwright::cuda {

// Throws Error(launch) if the device cannot take the geometry or the driver refuses, with the limits of the kernel that
// the launch breaks in the message; Error(bad_input) if the arguments do not fit the kernel's parameters;
// Error(unsupported) for clusters or cooperative launches on a device without them.
void launch_kernel(const CudaStream& stream, const CudaKernel& kernel, const device::LaunchConfig& config,
                   std::span<const device::KernelArgument> arguments);

// Clusters of `config` that fit on the device at a time; nullopt where the driver has no such query (before CUDA 11.8).
// Throws Error(launch) where the driver refuses the cluster, Error(unsupported) on a device without clusters.
std::optional<int> max_active_clusters(Function& function, const device::LaunchConfig& config);

// The limits of the kernel that `config` breaks, in words, separated by "; "; empty if none is known.
std::string broken_limits(const Function& function, const device::LaunchConfig& config);

}  // namespace warpwright::cuda
