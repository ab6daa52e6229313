// A frame as files, for whoever wants to look at it with other tools: what went in, the state before, and what each
// stage left, as npy, and a manifest.json that lists them.
#pragma once

#include <filesystem>

#include "workloads/frame/device/comparison.hpp"
#include "workloads/frame/device/frame.hpp"

namespace warpwright::workloads {

// Runs one frame on its input, compares it with the oracle, and writes STAGE-NAME.npy files and manifest.json to
// `folder`, which is made if it is not there. Throws Error(io) naming the file. manifest.json appears last.
FrameVerdict dump_frame(Frame& frame, const FrameInput& input, const std::filesystem::path& folder);

}  // namespace warpwright::workloads
