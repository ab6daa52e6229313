// Whether a frame on a device is right: each stage's output of one frame, from the state that the device has, against
// the oracle from the same state. Longer runs diverge chaotically and are not compared.
//
// The oracle runs as a chain: its S4 takes the coupling of its own S3. So an error that a stage hands on shows behind
// it as well, and a buffer that is wired wrongly shows even if each stage is right.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "workloads/frame/device/frame.hpp"

namespace warpwright::workloads {

struct OutputVerdict {
  std::string stage, output;
  double error = 0;  // by the error measure of the workloads; of discrete outputs, how many differ beyond their margin
  double limit = 0;
  std::uint64_t undecided = 0;  // discrete outputs that differ within their margin
  bool passed() const { return error <= limit; }
};

struct FrameVerdict {
  std::vector<std::uint32_t> frames;   // that were compared
  std::vector<OutputVerdict> outputs;  // the largest error of them all
  bool passed() const;
};

// Runs one frame on x and compares it. Adds to `verdict`. `keep`, if given, gets the arrays of all stages.
void compare_frame(Frame& frame, std::span<const float> x, FrameVerdict& verdict,
                   std::vector<FrameArray>* keep = nullptr);

// Runs frames from the present state (one before the first frame, usually), and compares the next one, the
// one in which flow first makes the coupling, and one behind it. `progress` may be null. Changes the state.
FrameVerdict check_frame(Frame& frame, const FrameInput& input,
                         const std::function<void(const std::string&)>& progress = {});

}  // namespace warpwright::workloads
