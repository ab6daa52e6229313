#pragma once

#include <string>

#include <warpwright/cuda/backend.hpp>
#include <warpwright/model/trial.hpp>

#include "cubin.hpp"

namespace warpwright::cuda {

// The resources of a kernel of a cubin, by the name `entry`; what `report` tells of it goes over what the file says.
KernelResources resources_of(const std::string& entry, const CubinKernel& kernel, const Bytes& constant,
                             const PtxasReport* report);

}  // namespace warpwright::cuda
