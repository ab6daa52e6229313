// The kernels of glue.kernel: what lies between the stages of a frame. Private to the frame.
#pragma once

#include <filesystem>
#include <memory>

#include <warpwright/device/backend.hpp>
#include <warpwright/device/context.hpp>

#include "workloads/frame/device/buffers.hpp"

namespace warpwright::workloads {

// One thread only; the context must outlive it. Both enqueue only.
class GlueKernels {
 public:
  // Compiles. Throws what reading the source and compiling throw.
  GlueKernels(const device::Backend& backend, device::Context& context, const std::filesystem::path& source);

  // Phases of S4 and S5 as S8 takes them.
  void bridge(device::Stream& stream, const FrameBuffers& buffers, const frame::Model& model) const;
  void summarise(device::Stream& stream, const FrameBuffers& buffers, const frame::Model& model) const;

 private:
  std::unique_ptr<device::Module> module_;
  std::unique_ptr<device::Kernel> bridge_, rows_, summary_;
};

}  // namespace warpwright::workloads
