// How long a frame takes from host to host, and where the time goes.
//
// A frame's latency begins when its input is in ordinary memory and ends when u_out and the summary are in pinned
// memory; the input is made before. Percentiles are values that were measured: rank ceil(p n / 100). What the stages
// take is measured apart, with events between them, and adds up to those frames' time; a frame in one graph takes less.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <warpwright/base/clock.hpp>

#include "workloads/frame/device/frame.hpp"

namespace warpwright::workloads {

struct StageTime {
  std::string stage;
  Nanoseconds mean{};  // over the frames that were measured stage by stage
};

struct FrameTimes {
  std::uint64_t frames = 0;  // may be fewer than asked for, if the run was stopped
  Nanoseconds p50{}, p99{}, p999{}, max{}, mean{};
  double frames_per_second = 0;  // of the frames one after another, without the making of their input
  std::vector<StageTime> stages;
  Nanoseconds stages_sum{};  // their sum: a frame with events between its stages
  std::uint64_t staged_frames = 0;
  std::uint32_t last_frame = 0;
  std::vector<float> summary;  // of the last frame
  std::optional<std::size_t> coupling_age;
  std::uint64_t flow_frames = 0;  // frames in which S2 and S3 ran
};

// `frames` frames after `warm_up` ones, from the present state, then some stage by stage. Stops early
// where `stop` (may be null) is set. Throws Error(bad_input) for no frames.
FrameTimes measure_frames(Frame& frame, const FrameInput& input, std::uint64_t frames, std::uint64_t warm_up,
                          const Clock& clock, const std::atomic<bool>* stop = nullptr);

}  // namespace warpwright::workloads
