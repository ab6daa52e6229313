// What `warpwright pipeline` and bench/pipeline send through a pipeline: 32-bit words that a kernel steps through a
// linear congruential sequence, as many rounds as it shall take time. Any number of rounds is one multiplication and
// one addition for the CPU, so every word of every chunk can be checked.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/memory/link_times.hpp>
#include <warpwright/memory/memory_optimizer.hpp>
#include <warpwright/tuning/pipeline_tuning.hpp>

namespace warpwright::app {

// Kernel time of a chunk against its upload: as little as the device can, equal, or two and a half times.
enum class KernelWeight { light, balanced, heavy };
std::string_view to_string(KernelWeight weight) noexcept;
// Throws Error(bad_input) naming the three.
KernelWeight parse_kernel_weight(const std::string& text);

// How much of each result is compared. Every chunk carries its number through the kernel, in its first words.
enum class Check { sampled, every_word };

// Measured before a run, alone on the device.
struct Calibration {
  memory::LinkTimes link;
  Nanoseconds kernel{};
  std::uint32_t rounds = 1;
  memory::StageTimes stages() const { return {link.upload, kernel, link.download}; }
};

// One thread only, but for source and sink, which may be called from a helper thread each.
class PipelineWorkload {
 public:
  // Both must outlive it. `most` is the largest chunk that will come.
  PipelineWorkload(const device::Backend& backend, device::Context& context, Bytes most);
  ~PipelineWorkload();

  std::uint32_t rounds() const { return rounds_; }
  void set_rounds(std::uint32_t rounds);
  // Rounds such that a chunk's kernel has this weight; takes two chunks of pinned and of device memory while it runs.
  Calibration calibrate(const Clock& clock, Bytes chunk, KernelWeight weight);

  memory::ChunkKernel kernel();
  void launch(device::Stream& stream, const device::Buffer& output, const device::Buffer& input, Bytes size) const;
  // `bytes` (a multiple of 16, with more than 16 in the last chunk) in chunks of a slot's size. Writes a slot in full
  // only where it does not hold the words yet, as a producer would that makes its data in place; then only the chunk's
  // number.
  std::unique_ptr<memory::ChunkSource> source(Bytes bytes);
  std::unique_ptr<memory::ChunkSink> sink(Check check);
  void fill(std::uint64_t chunk, std::span<std::byte> slot) const;
  bool right(std::uint64_t chunk, std::span<const std::byte> result, Check check) const;

  // Since the last reset.
  std::uint64_t right_chunks() const { return right_; }
  std::uint64_t wrong_chunks() const { return wrong_; }
  void reset_counts() { right_ = wrong_ = 0; }
  // Of kernel and rounds.
  std::string identity() const;

 private:
  Nanoseconds time_kernel(std::uint32_t rounds, Bytes chunk);

  const device::Backend& backend_;
  device::Context& context_;
  bool simulated_;
  std::uint32_t rounds_ = 1;
  std::uint32_t factor_ = 1, addend_ = 0;  // of all rounds together
  std::vector<std::uint32_t> words_, expected_;
  std::uint64_t right_ = 0, wrong_ = 0;
  std::unique_ptr<device::Module> module_;
  std::unique_ptr<device::Kernel> kernel_;
};

// Work of this kind for tune_pipeline(); `workload` must outlive it.
tuning::PipelineWork tuning_work(PipelineWorkload& workload, const std::string& name);

}  // namespace warpwright::app
