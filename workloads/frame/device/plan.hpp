// The stages of a frame in their order, each with its kernels, what they are given, and what they leave. Private to the
// frame: a stage is added or changed here and nowhere else.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <warpwright/device/backend.hpp>
#include <warpwright/device/context.hpp>
#include <warpwright/runtime/tuned_kernel.hpp>

#include "workloads/frame/device/buffers.hpp"
#include "workloads/frame/device/frame.hpp"
#include "workloads/frame/device/glue.hpp"

namespace warpwright::workloads {

// Whether S2 and S3 run in a frame: C is kept, taken from flow as a whole for the first time, or moved towards it.
enum class FlowMode { none, first, usual };

// What a stage leaves, and where.
struct PlannedArray {
  std::string name, buffer;
  DataType type = DataType::float32;
  std::vector<std::uint64_t> shape;
  std::uint64_t row_length = 0;  // elements from one row to the next; 0: as many as a row has
  // Bytes from the beginning of the buffer in the frame of this number; null: 0.
  std::function<std::uint64_t(std::uint32_t frame)> offset;
};

struct PlannedStage {
  std::string name;
  std::function<void(device::Stream&, FlowMode)> enqueue;
  bool of_flow = false;  // S2 and S3
  std::vector<PlannedArray> arrays;
};

// One thread only; what it is made of must outlive it.
class FramePlan {
 public:
  // Reads the specifications, compiles, allocates, uploads what does not change.
  FramePlan(const device::Backend& backend, device::Context& context, const store::ProfileDatabase& profiles,
            const frame::Model& model, const FrameOptions& options);

  const std::vector<PlannedStage>& stages() const { return stages_; }
  const std::vector<StageChoice>& choices() const { return choices_; }
  FrameBuffers& buffers() { return buffers_; }
  // Every stage once, so that what happens at a first launch has happened. Leaves any state. Blocks.
  void warm_up(device::Stream& stream);

  // Of the blocks that travel: "up" is the clock (number of the frame, row of the ring buffer), then x; "down" is
  // u_out, then the summary.
  std::uint64_t x_offset() const { return device::view_alignment.count; }
  std::uint64_t up_size() const { return up_size_; }
  std::uint64_t summary_offset() const { return summary_offset_; }
  std::uint64_t down_size() const { return down_size_; }

 private:
  using Names = std::vector<std::pair<std::string, std::string>>;  // argument, buffer

  void allocate();
  void upload_constants();
  std::unique_ptr<runtime::TunedKernel> read(const std::string& folder);
  void add(PlannedStage stage, const std::string& folder, const Configuration& dimensions, const Names& arguments);
  void add_encoding();
  void add_flow();
  void add_motion();
  void add_belief();
  void add_bridge();

  const device::Backend& backend_;
  device::Context& context_;
  const store::ProfileDatabase& profiles_;
  const frame::Model& model_;
  const FrameOptions& options_;
  FrameBuffers buffers_;
  GlueKernels glue_;
  std::vector<std::unique_ptr<runtime::TunedKernel>> kernels_;
  std::vector<PlannedStage> stages_;
  std::vector<StageChoice> choices_;
  std::size_t input_width_ = 0, recurrent_width_ = 0, spacing_ = 1;
  std::uint64_t up_size_ = 0, summary_offset_ = 0, down_size_ = 0;
};

}  // namespace warpwright::workloads
