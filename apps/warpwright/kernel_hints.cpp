#include "kernel_hints.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "occupancy_arguments.hpp"

namespace warpwright::app {
namespace {

// Registers come in units of 8 a thread; a difference below that is rounding.
constexpr int register_step = 8;
// Alignments up to this one are those of types and of asynchronous copies.
constexpr std::uint64_t usual_alignment = 128;

KernelHint with_occupancy(const KernelTuner& tuner, const KernelConfig& before, KernelConfig after, std::string text,
                          const char* word) {
  KernelHint hint;
  hint.occupancy = tuner.calculate_occupancy(after).occupancy;
  hint.text = fmt::format("{}: {} -> {}{}", text, percent(tuner.calculate_occupancy(before).occupancy), word,
                          percent(*hint.occupancy));
  hint.config = std::move(after);
  return hint;
}

// Under launch bounds without a number of blocks ptxas may stop far below what the bounds leave, and spill.
std::optional<KernelHint> below_the_bounds(const KernelTuner& tuner, const KernelConfig& config,
                                           const cuda::KernelDescription& kernel) {
  if (!kernel.register_limit || !kernel.max_threads_per_block || !kernel.registers_per_thread) return std::nullopt;
  const int used = *kernel.registers_per_thread, limit = *kernel.register_limit;
  const Bytes spilled = kernel.spill_stores.value_or(kernel.local_per_thread.value_or(Bytes{}));
  if (used + register_step > limit || spilled.count == 0) return std::nullopt;
  KernelConfig after = config;
  after.registers_per_thread = limit;
  return with_occupancy(
      tuner, config, std::move(after),
      fmt::format(
          "__launch_bounds__({0}, 1): with ({0}) the compiler stopped at {1} registers and keeps {2} bytes of a "
          "thread in local memory, though blocks of {0} threads leave {3} registers; at {3} registers",
          *kernel.max_threads_per_block, used, spilled.count, limit),
      "");
}

std::optional<KernelHint> spills_in_shared(const KernelTuner& tuner, const KernelConfig& config,
                                           const cuda::KernelDescription& kernel) {
  if (kernel.shared_spills.count == 0) return std::nullopt;
  KernelConfig after = config;
  after.static_shared_memory = Bytes{config.static_shared_memory.count -
                                     std::min(config.static_shared_memory.count, kernel.shared_spills.count)};
  return with_occupancy(
      tuner, config, std::move(after),
      fmt::format("without enable_smem_spilling, whose spilled registers take {} bytes of the block's "
                  "shared memory (they go to local memory then)",
                  kernel.shared_spills.count),
      "");
}

// The most that the padding can be is known, not what it is.
std::optional<KernelHint> padded_by_alignment(const KernelTuner& tuner, const KernelConfig& config,
                                              const cuda::KernelDescription& kernel) {
  const std::uint64_t alignment = kernel.shared_alignment, fixed = kernel.static_shared.value_or(Bytes{}).count;
  if (alignment <= usual_alignment || fixed == 0 || fixed % alignment != 0) return std::nullopt;
  KernelConfig after = config;
  const std::uint64_t padding = std::min(alignment - 1, config.static_shared_memory.count);
  after.static_shared_memory = Bytes{config.static_shared_memory.count - padding};
  return with_occupancy(
      tuner, config, std::move(after),
      fmt::format(
          "without the alignment of {} bytes of an extern array, which rounds the static shared memory of every "
          "kernel of its module up to a multiple, here by at most {} bytes",
          alignment, padding),
      "at most ");
}

}  // namespace

std::vector<KernelHint> explain_kernel(const KernelTuner& tuner, const KernelConfig& config,
                                       const cuda::KernelDescription& kernel) {
  std::vector<KernelHint> hints;
  for (const auto rule : {below_the_bounds, spills_in_shared, padded_by_alignment})
    if (auto hint = rule(tuner, config, kernel)) hints.push_back(*std::move(hint));
  if (kernel.reassigns_registers)
    hints.push_back(
        {fmt::format("setmaxnreg moves registers between the warps of a block: a launch takes all {} that the "
                     "launch bounds leave, whatever each warp uses; other bounds or __maxnreg__ change that",
                     kernel.registers_per_thread.value_or(0)),
         std::nullopt, std::nullopt});
  return hints;
}

}  // namespace warpwright::app
