// Every order that the pipeline keeps is needed: with one of them removed, and stage times that make this one decide,
// bytes come out wrong. The step machine is driven by hand, producer first, so that nothing but the order under test
// protects.
#include <deque>
#include <gtest/gtest.h>

#include "pipeline_core.hpp"
#include "pipeline_support.hpp"

namespace warpwright::memory {
namespace {

struct Scenario {
  const char* name;
  bool PipelineEdges::*edge;
  double to_device_rate, to_host_rate;  // bytes a nanosecond
  const char* kernel_cost;              // nanoseconds for 16384 words
  Nanoseconds sink_time{};              // virtual time that the sink takes before it reads
  bool in_place = false;
  int consumed_every = 1;  // steps of the producer between two looks at the results
};

std::ostream& operator<<(std::ostream& out, const Scenario& scenario) { return out << scenario.name; }

constexpr std::size_t chunk_bytes = 64 * 1024;
constexpr std::uint64_t chunks = 24;

// Whether every result is that of its chunk and no work of any stream failed.
bool right_bytes(const Scenario& scenario, PipelineEdges edges) {
  sim::Options options = sim_options();
  options.to_device_rate = scenario.to_device_rate;
  options.to_host_rate = scenario.to_host_rate;
  options.host_call = Nanoseconds{100};
  const MixDevice device = MixDevice::simulated(options, scenario.kernel_cost);
  const auto clock = sim::virtual_clock(*device.context);
  const auto idle_stream = device.context->create_stream();

  PipelineConfig config;
  config.chunk = Bytes{chunk_bytes};
  config.depth = 3;
  config.in_place = scenario.in_place;
  config.timed_every = 0;
  PoolConfig pool_config;
  pool_config.classes = {{config.chunk, 6}};
  pool_config.budget = ring_bytes(config).pinned;
  const auto memory = driver_memory(*device.context);
  PinnedMemoryPool pool(*memory, pool_config);
  PipelineResources resources = make_pipeline_resources(*device.context, pool, config);
  const ChunkKernel kernel = device.mix();
  PipelineCore core(*device.context, resources, config, kernel, edges);

  std::vector<std::vector<std::byte>> expected;
  for (std::uint64_t chunk = 0; chunk < chunks; ++chunk)
    expected.push_back(mixed(random_bytes(chunk_bytes, chunk + 1)));
  bool right = true;
  int steps = 0;
  try {
    while (core.delivered() < chunks) {
      // The producer runs as far ahead as it may.
      bool progress = false;
      while (core.try_download()) progress = true;
      if (core.filled() < chunks && core.can_fill() && core.can_submit()) {
        std::ranges::copy(random_bytes(chunk_bytes, core.filled() + 1), core.slot_to_fill().begin());
        core.submit(Bytes{chunk_bytes});
        progress = true;
        if (++steps % scenario.consumed_every != 0) continue;
      }
      if (core.can_consume()) {
        const Nanoseconds until = clock->now() + scenario.sink_time;
        while (clock->now() < until) static_cast<void>(idle_stream->idle());  // each call takes 100 ns
        right = right && std::ranges::equal(core.result().bytes, expected[core.delivered()]);
        core.consumed();
        progress = true;
      }
      if (!progress)
        core.wait(core.idle() || core.filled() < chunks ? PipelineCore::Awaited::slot : PipelineCore::Awaited::result);
    }
    core.synchronize();
  } catch (const Error& error) {
    // The simulated device saw a source that changed while it was copied.
    EXPECT_EQ(error.code(), ErrorCode::conflict) << error.what();
    right = false;
  }
  return right;
}

class PipelineOrders : public ::testing::TestWithParam<Scenario> {};

TEST_P(PipelineOrders, IsNeeded) {
  EXPECT_TRUE(right_bytes(GetParam(), {}));
  PipelineEdges edges;
  edges.*GetParam().edge = false;
  EXPECT_FALSE(right_bytes(GetParam(), edges)) << "without it nothing was wrong";
}

// 64 KiB take 65 us at 1 byte a nanosecond. "Slow" is ten times as much.
INSTANTIATE_TEST_SUITE_P(
    Edges, PipelineOrders,
    ::testing::Values(
        Scenario{"upload_after_kernel", &PipelineEdges::upload_after_kernel, 50, 50, "500000"},
        Scenario{"upload_after_download_in_place", &PipelineEdges::upload_after_kernel, 50, 0.1, "1000", {}, true},
        Scenario{"kernel_after_upload", &PipelineEdges::kernel_after_upload, 0.1, 50, "1000"},
        Scenario{"kernel_after_download", &PipelineEdges::kernel_after_download, 50, 0.1, "1000"},
        Scenario{"download_after_kernel", &PipelineEdges::download_after_kernel, 50, 50, "500000"},
        Scenario{"refill_after_upload", &PipelineEdges::refill_after_upload, 0.1, 50, "1000"},
        Scenario{"download_after_sink", &PipelineEdges::download_after_sink, 50, 50, "1000", Nanoseconds{400e3}},
        Scenario{"sink_after_download", &PipelineEdges::sink_after_download, 50, 0.1, "1000"},
        Scenario{"wait_after_record", &PipelineEdges::wait_after_record, 50, 50, "1000", Nanoseconds{400e3}, false, 4}),
    [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace warpwright::memory
