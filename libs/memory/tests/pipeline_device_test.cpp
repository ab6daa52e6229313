// The pipeline and the pool on the first OpenCL device of this machine (PoCL where there is no GPU) or on a CUDA GPU.
// The same kernel, the same bytes. On a CPU this proves order and results, not speed.
#include <cstdlib>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#ifdef WARPWRIGHT_TEST_CUDA
#include <warpwright/cuda/backend.hpp>
#endif

#include "pipeline_support.hpp"

namespace warpwright::memory {
namespace {

class DevicePipeline : public ::testing::Test {
 protected:
  void SetUp() override {
#ifdef WARPWRIGHT_TEST_CUDA
    auto backend = cuda::make_backend();
    const char* const source = cuda_source;
#else
    auto backend = opencl::make_backend();
    const char* const source = opencl_source;
#endif
    const auto probe = backend->probe();
    if (!probe.usable) {
      const char* required = std::getenv("WARPWRIGHT_REQUIRE_DEVICE");
      const std::string why = backend->name() + ": " + probe.reason + "; " + probe.remedy;
      if (required != nullptr && backend->name() == required) FAIL() << why;
      GTEST_SKIP() << why;
    }
    const DeviceId id = backend->devices().front().id;
    device = std::make_unique<MixDevice>(std::move(backend), id, source);
  }
  std::unique_ptr<MixDevice> device;
};

TEST_F(DevicePipeline, GivesWhatTheSerialProgramGives) {
  std::vector<PipelineVariant> variants{PipelineVariant::role_streams, PipelineVariant::stream_per_slot};
  if (device->context->device().supports_graphs) variants.push_back(PipelineVariant::graph);
  for (const auto variant : variants)
    for (const int depth : {1, 2, 3})
      for (const bool in_place : {false, true}) {
        SCOPED_TRACE(testing::Message() << to_string(variant) << ", depth " << depth << ", in place " << in_place);
        PipelineConfig config;
        config.chunk = kibi * 256;
        config.variant = variant;
        config.depth = depth;
        config.in_place = in_place;
        config.timed_every = 3;
        MemoryOptimizer optimizer(*device->context, {mebi * 4, mebi * 4});
        const auto input = random_bytes(kibi.count * 256 * 9 + 1024);
        std::vector<std::byte> output(input.size());
        const PipelineResult result = optimizer.run(config, *span_source(input), device->mix(), *span_sink(output));
        result.check();
        EXPECT_EQ(output, mixed(input));
        EXPECT_EQ(result.done, 10u);
        if (variant == PipelineVariant::graph) continue;  // its stages cannot be told apart
        EXPECT_EQ(result.stats.timed_chunks, 4u);
        EXPECT_GT(result.stats.stages.kernel, Nanoseconds{0});
      }
}

// Each chunk's output is the input of the chunk before it, handed on in memory that all kernels share.
TEST_F(DevicePipeline, OrderedKernelsMayCarrySomethingFromChunkToChunk) {
  MemoryOptimizer optimizer(*device->context, {mebi * 4, mebi * 4});
  PipelineConfig config;
  config.chunk = kibi * 64;
  config.ordered_kernels = true;
  const std::size_t size = static_cast<std::size_t>(config.chunk.count);
  const auto carried = device->context->allocate(config.chunk);
  const auto input = random_bytes(size * 40);
  std::vector<std::byte> output(input.size());
  const auto kernel = [&](ChunkWork& work) {
    if (work.chunk > 0) work.stream.copy_on_device(work.output, Bytes{}, *carried, Bytes{}, work.input_size);
    work.stream.copy_on_device(*carried, Bytes{}, work.input, Bytes{}, work.input_size);
  };
  optimizer.run(config, *span_source(input), kernel, *span_sink(output)).check();
  for (std::size_t chunk = 1; chunk < 40; ++chunk)
    ASSERT_EQ(std::memcmp(output.data() + chunk * size, input.data() + (chunk - 1) * size, size), 0)
        << "chunk " << chunk;
}

TEST_F(DevicePipeline, GraphsAreRefusedInWords) {
  if (device->context->device().supports_graphs) GTEST_SKIP() << "this device has graphs";
  MemoryOptimizer optimizer(*device->context, {mebi * 48, mebi * 48});
  PipelineConfig config;
  config.variant = PipelineVariant::graph;
  EXPECT_EQ(error_of([&] { optimizer.prepare(config); }).code(), ErrorCode::unsupported);
}

TEST_F(DevicePipeline, StopsAndFailsInOrder) {
  MemoryOptimizer optimizer(*device->context, {mebi * 4, mebi * 4});
  PipelineConfig config;
  config.chunk = kibi * 64;
  std::stop_source stop;
  std::uint64_t seen = 0;
  const auto sink = callback_sink([&](std::uint64_t chunk, std::span<const std::byte>) {
    EXPECT_EQ(chunk, seen++);
    if (chunk == 3) stop.request_stop();
  });
  const PipelineResult stopped = optimizer.run(config, *blank_source(1000), device->mix(), *sink, stop.get_token());
  EXPECT_TRUE(stopped.stopped);
  // The four delivered ones, and what the slots for input and those for output can hold between them.
  EXPECT_LE(stopped.done, 4u + 2 * static_cast<std::uint64_t>(config.depth));
  const ChunkKernel mix = device->mix();
  const auto throwing = [&](ChunkWork& work) {
    if (work.chunk == 2) throw std::runtime_error("not this one");
    mix(work);
  };
  config.on_error = ErrorPolicy::skip;
  const PipelineResult skipped = optimizer.run(config, *blank_source(9), throwing, *blank_sink());
  EXPECT_EQ(skipped.done, 8u);
  EXPECT_EQ(skipped.failures.at(0).chunk, 2u);
}

TEST_F(DevicePipeline, GatedReleasesWaitForTheirCopies) {
  PoolConfig config;
  config.classes = {{mebi, 2}};
  config.budget = mebi * 2;
  config.context = device->context.get();
  const auto memory = driver_memory(*device->context);
  PinnedMemoryPool pool(*memory, config);
  const auto stream = device->context->create_stream();
  const auto buffer = device->context->allocate(mebi);
  std::vector<std::byte> back(mebi.count);
  for (int round = 0; round < 50; ++round) {
    auto block = pool.acquire(mebi);
    std::ranges::fill(block.bytes(), static_cast<std::byte>(round));
    stream->copy_to_device(*buffer, Bytes{}, block.bytes());
    pool.release(std::move(block), *stream);
    stream->copy_to_host(back, *buffer, Bytes{});
    // Overwrites whatever is free while the copies may still run.
    if (auto other = pool.try_acquire(mebi)) std::ranges::fill(other->bytes(), std::byte{0xEE});
    stream->synchronize();
    ASSERT_TRUE(std::ranges::all_of(back, [&](std::byte value) { return value == static_cast<std::byte>(round); }));
  }
  pool.wait_for_gates();
  EXPECT_EQ(pool.stats().in_use, Bytes{});
}

}  // namespace
}  // namespace warpwright::memory
