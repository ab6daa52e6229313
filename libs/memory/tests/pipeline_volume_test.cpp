// Long streams through small budgets: a tebibyte of which only the times are simulated, and four gibibytes whose every
// chunk is checked. Never above a budget, no growth.
#include <gtest/gtest.h>
#include <malloc.h>

#include <warpwright/base/hash.hpp>

#include "pipeline_support.hpp"

namespace warpwright::memory {
namespace {

std::size_t heap_in_use() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST(PipelineVolume, ATebibyteOfTimes) {
  sim::Options options = sim_options();
  options.move_bytes = false;
  const MixDevice device = MixDevice::simulated(options, "n / 16");
  const auto clock = sim::virtual_clock(*device.context);
  MemoryOptimizerOptions with_clock;
  with_clock.clock = clock.get();
  const MemoryBudget budget{mebi * 96, mebi * 96};
  MemoryOptimizer optimizer(*device.context, budget, with_clock);
  PipelineConfig config;
  config.chunk = mebi * 16;
  const std::uint64_t chunks = (std::uint64_t{1} << 40) / config.chunk.count;
  std::size_t heap_early = 0, heap_most = 0;
  std::uint64_t device_most = 0;
  const auto all = device.context->device().global_memory;
  const auto sink = callback_sink([&](std::uint64_t chunk, std::span<const std::byte>) {
    if (chunk % 1024 != 100) return;
    if (heap_early == 0) heap_early = heap_in_use();
    heap_most = std::max(heap_most, heap_in_use());
    device_most = std::max(device_most, all.count - device.context->memory_use()->free.count);
  });
  const PipelineResult result = optimizer.run(config, *blank_source(chunks), device.mix(), *sink);
  result.check();
  EXPECT_EQ(result.done, chunks);
  EXPECT_EQ(result.stats.uploaded, Bytes{std::uint64_t{1} << 40});
  EXPECT_LE(result.stats.peak_pinned, budget.pinned);
  EXPECT_LE(Bytes{device_most}, budget.device);
  EXPECT_LE(heap_most, heap_early + (64 << 10)) << "memory grows with the number of chunks";
  // Transfer-bound at a duplex factor of 0.82: 93 % or more of what that allows.
  EXPECT_GT(result.stats.upload_rate() + result.stats.download_rate(), 0.93 * 2 * 55.05e9 / 1.18);
}

TEST(PipelineVolume, FourGibibytesOfBytes) {
  const MixDevice device = MixDevice::simulated(sim_options(), "n / 16");
  const MemoryBudget budget{mebi * 96, mebi * 96};
  MemoryOptimizer optimizer(*device.context, budget);
  PipelineConfig config;
  config.chunk = mebi * 16;
  const std::uint64_t chunks = (std::uint64_t{4} << 30) / config.chunk.count;
  const auto base = random_bytes(config.chunk.count);
  // Chunk i is the base with i added to its first word; its result is known without keeping it.
  const auto source = generator_source([&](std::uint64_t chunk, std::span<std::byte> slot) -> std::optional<Bytes> {
    if (chunk == chunks) return std::nullopt;
    std::ranges::copy(base, slot.begin());
    std::memcpy(slot.data(), &chunk, 4);
    return Bytes{slot.size()};
  });
  const auto expected = mixed(base);
  const std::string tail(reinterpret_cast<const char*>(expected.data()) + 4, expected.size() - 4);
  const std::string tail_hash = content_hash(tail);
  std::uint64_t right = 0;
  const auto sink = callback_sink([&](std::uint64_t chunk, std::span<const std::byte> bytes) {
    std::uint32_t first = 0;
    std::memcpy(&first, bytes.data(), 4);
    const std::string_view rest(reinterpret_cast<const char*>(bytes.data()) + 4, bytes.size() - 4);
    right += first == 3 * static_cast<std::uint32_t>(chunk) + 1 && content_hash(rest) == tail_hash;
    EXPECT_LE(optimizer.pool_stats().in_use, budget.pinned);
  });
  const PipelineResult result = optimizer.run(config, *source, device.mix(), *sink);
  result.check();
  EXPECT_EQ(right, chunks);
  EXPECT_LE(result.stats.peak_pinned, budget.pinned);
  EXPECT_LE(result.stats.peak_device, budget.device);
}

}  // namespace
}  // namespace warpwright::memory
