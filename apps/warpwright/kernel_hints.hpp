// What a person can change in a kernel's source so that it needs less, as its binary shows: the words for it, and the
// occupancy afterwards where that can be calculated.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <warpwright/cuda/binaries.hpp>
#include <warpwright/tuning/kernel_tuner.hpp>

namespace warpwright::app {

struct KernelHint {
  std::string text;                    // with the occupancy before and after, where that is known
  std::optional<KernelConfig> config;  // after the change
  std::optional<double> occupancy;     // after the change
};

// Launch bounds below which the compiler stopped and spilled, registers spilled to shared memory, the alignment of an
// extern array that pads static memory, and setmaxnreg. `config` is the question, with the kernel's resources.
std::vector<KernelHint> explain_kernel(const KernelTuner& tuner, const KernelConfig& config,
                                       const cuda::KernelDescription& kernel);

}  // namespace warpwright::app
