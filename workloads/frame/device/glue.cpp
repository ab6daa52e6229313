#include "workloads/frame/device/glue.hpp"

#include <cstdint>
#include <string>

#include <warpwright/device/compiler.hpp>
#include <warpwright/spec/source.hpp>

#include "workloads/common/sizes.hpp"

namespace warpwright::workloads {
namespace {

// BLOCK and LANES of glue.kernel.
constexpr std::int64_t block = 256;
constexpr std::int64_t lanes = 32;

device::LaunchConfig shape(std::size_t threads) {
  device::LaunchConfig config;
  config.block[0] = block;
  config.grid[0] = (static_cast<std::int64_t>(threads) + block - 1) / block;
  return config;
}

device::ScalarArgument whole(std::size_t value) { return device::ScalarArgument::of(static_cast<std::int32_t>(value)); }
device::ScalarArgument real(double value) { return device::ScalarArgument::of(static_cast<float>(value)); }

}  // namespace

GlueKernels::GlueKernels(const device::Backend& backend, device::Context& context,
                         const std::filesystem::path& source) {
  device::CompileJob job;
  job.source = spec::load_source(source).text;
  job.file_name = source.filename().string();
  job.defines = {{backend.name() == "cuda" ? "WARPWRIGHT_CUDA" : "WARPWRIGHT_OPENCL", "1"}};
  job.entries = {"frame_bridge", "frame_rows", "frame_summary"};
  module_ = context.load(backend.compiler(context.device())->compile(job));
  bridge_ = module_->kernel("frame_bridge");
  rows_ = module_->kernel("frame_rows");
  summary_ = module_->kernel("frame_summary");
}

void GlueKernels::bridge(device::Stream& stream, const FrameBuffers& buffers, const frame::Model& model) const {
  const std::size_t n = model.sizes.oscillators;
  const std::size_t ld = leading_dimension(n);
  const device::KernelArgument arguments[] = {&buffers.at("bridge"), &buffers.at("wave_phases"),
                                              &buffers.at("bridge_waves"), whole(n), whole(ld)};
  stream.launch(*bridge_, shape(ld), arguments);
}

void GlueKernels::summarise(device::Stream& stream, const FrameBuffers& buffers, const frame::Model& model) const {
  const std::size_t n = model.sizes.oscillators;
  const device::KernelArgument of_rows[] = {&buffers.at("coupling"), &buffers.at("bridge_waves"),
                                            &buffers.at("row_sums"), whole(n), whole(leading_dimension(n))};
  stream.launch(*rows_, shape(n * lanes), of_rows);
  const double seconds = static_cast<double>(model.steps) * model.oscillators.time_step;
  const device::KernelArgument of_summary[] = {
      &buffers.at("bridge_waves"),   &buffers.at("velocities"),
      &buffers.at("heat"),           &buffers.at("row_sums"),
      &buffers.at("probabilities"),  &buffers.at("output"),
      &buffers.at("order"),          &buffers.at("information"),
      &buffers.at("values"),         &buffers.at("chosen"),
      &buffers.at("summary"),        whole(n),
      whole(leading_dimension(n)),   whole(model.policy.policies.size()),
      real(model.settings.strength), real(model.oscillators.temperature * seconds)};
  stream.launch(*summary_, shape(1), of_summary);
}

}  // namespace warpwright::workloads
