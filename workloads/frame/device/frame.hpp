// The frame on a device: stages S1 to S8 one after another, with nothing between two frames but the input that goes up
// and the output that comes down.
//
// Method: everything that outlives a frame stays on the device. Per frame one block of pinned memory goes up (the
// number of the frame, the row of the ring buffer, x) and one comes down (u_out and the summary). What changes from
// frame to frame is data in that block and no argument of a launch, so a whole frame is recorded once as a graph where
// the device has graphs, and launched with one call; elsewhere the same launches are enqueued one by one. The loop
// allocates nothing, and waits once, for the output. Frames without S2 and S3 (the ring buffer is not full, or the
// period is above 1) are a graph of their own, which leaves these stages out.
//
// Each stage is its tuned kernel with the launches of its specification. Its configuration is that of the nearest
// stored profile (runtime::TunedKernel), or the specification's default.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/log.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/device/context.hpp>
#include <warpwright/model/data_type.hpp>
#include <warpwright/runtime/tuned_kernel.hpp>
#include <warpwright/store/profile_database.hpp>

#include "workloads/frame/oracle.hpp"

namespace warpwright::workloads {

// What comes down beside u_out.
inline constexpr std::size_t summary_size = 64;

// Names of the summary's values, in their order; what lies behind them is 0. The policies' expected free energies are
// named value_0, value_1, ...
std::vector<std::string> summary_names(std::size_t policies);

struct FrameOptions {
  // Holds a folder for each stage with its specification: the folder `workloads` of the sources, or where it is
  // installed.
  std::filesystem::path specifications;
  frame::Settings settings;
  // A frame is one graph where the device has graphs. False: launches one by one.
  bool graph = true;
  store::MatchPolicy match = store::MatchPolicy::nearest;
  std::optional<std::filesystem::path> binary_cache;
  LogSink log;  // told of profiles that cannot be used, and once of stages that run their defaults
};

// An array of a stage, on the host, rows without padding.
struct FrameArray {
  std::string stage;  // "S4"; "state" for what a frame begins with, "input" for x
  std::string name;
  DataType type = DataType::float32;
  std::vector<std::uint64_t> shape;
  std::vector<std::byte> data;

  std::vector<double> values() const;
};

// The input of a frame of this number, n values.
using FrameInput = std::function<std::vector<float>(std::uint32_t frame)>;
// frame::example_input() of a frame's n and seed.
FrameInput example_inputs(const frame::Model& model);
// `values`, frame after frame, from the beginning again when they end. Throws Error(bad_input) where these are not
// whole frames of n values, naming `source`, and for a value that is not finite, naming its place.
FrameInput recorded_inputs(std::vector<float> values, std::size_t n, const std::string& source);

// What runs for a stage.
struct StageChoice {
  std::string stage, kernel;
  runtime::Selection selection;
};

struct FrameOutput {
  std::uint32_t frame = 0;
  std::span<const float> output;   // u_out, n values; pinned memory of the frame's, until the next one
  std::span<const float> summary;  // summary_size values, likewise
  // Frames since C was last made of flow; 0: in this one. nullopt: C is still all-to-all.
  std::optional<std::size_t> coupling_age;
};

// What a frame of these sizes takes, estimated from its matrices: on the device, and on the host for its weights. Pure.
struct FrameMemory {
  Bytes device, host;
};
FrameMemory frame_memory(const Sizes& sizes);

// Throws Error(bad_input) that names n or the batch where they are no sizes of a frame, and where a frame does not fit
// in `device_memory` (0: not known), with the largest n that does.
void require_frame_fits(std::size_t n, std::size_t batch, Bytes device_memory);

// One thread only. Backend, context and profiles must outlive it.
class Frame {
 public:
  // Compiles, allocates and uploads the state before the first frame. Throws Error(bad_input) as make_model() does and
  // for an n whose buffers do not fit in the device's memory, Error(not_found) for a specification that is not there,
  // and what compiling and allocating throw.
  Frame(const device::Backend& backend, device::Context& context, const store::ProfileDatabase& profiles,
        const Sizes& sizes, FrameOptions options);
  ~Frame();
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  const frame::Model& model() const;
  const std::vector<StageChoice>& choices() const;
  bool uses_graph() const;
  Bytes uploaded_per_frame() const;
  Bytes downloaded_per_frame() const;
  // Of the frame's buffers, without what its kernels keep for themselves.
  Bytes device_memory() const;

  // Where the input of the next frame may be written, n values of pinned memory; run() without an argument takes it.
  std::span<float> input();
  // One frame; x: n values. Blocks until the output is there. Throws Error(bad_input) for another number of values and
  // for one that is not finite (no frame has run then), and what the device throws.
  FrameOutput run(std::span<const float> x);
  FrameOutput run();

  // The stages in order, as run_by_stage() and time_stages() tell of them; "upload" is the first and "download" the
  // last.
  const std::vector<std::string>& stages() const;
  // One frame, waiting after each stage; `after` is told the stage's name and may fetch().
  FrameOutput run_by_stage(std::span<const float> x, const std::function<void(const std::string&)>& after);
  // One frame with an event between each two stages: the device's time of each, in the order of stages(); 0 for stages
  // that do not run in this frame. Each stage is a graph of its own where a frame is one.
  std::vector<Nanoseconds> time_stages(std::span<const float> x);
  // What the stage has left on the device. Blocks.
  std::vector<FrameArray> fetch(const std::string& stage);

  // The state between two frames, and back; of the same sizes (Error(bad_input)). Block.
  frame::State state();
  void set_state(const frame::State& state);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace warpwright::workloads
