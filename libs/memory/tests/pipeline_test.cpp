// The pipeline on the simulated device: right bytes for every shape, exact times, budgets, faults, cancelling.
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <tuple>

#include "pipeline_support.hpp"

namespace warpwright::memory {
namespace {

using ::testing::HasSubstr;

constexpr MemoryBudget roomy{Bytes{std::uint64_t{1} << 30}, Bytes{std::uint64_t{1} << 30}};

std::uint64_t total(const PipelineResult& result) { return result.done + result.failed + result.cancelled; }

// ---- right bytes ----------------------------------------------------------------------------------------------------

using Shape = std::tuple<PipelineVariant, int, bool, bool>;  // depth, in place, helper threads

class PipelineShapes : public ::testing::TestWithParam<Shape> {};

TEST_P(PipelineShapes, GivesWhatTheSerialProgramGives) {
  const auto [variant, depth, in_place, helpers] = GetParam();
  const MixDevice device = MixDevice::simulated(sim_options(), "2000 + n / 4");
  PipelineConfig config;
  config.chunk = kibi * 64;
  config.variant = variant;
  config.depth = depth;
  config.in_place = in_place;
  config.helper_threads = helpers;
  const auto clock = sim::virtual_clock(*device.context);
  MemoryOptimizerOptions options;
  options.clock = clock.get();
  MemoryOptimizer optimizer(*device.context, roomy, options);
  // Nothing, less than a chunk, fewer chunks than slots, many with a short one at the end, many full ones.
  for (const std::size_t size : {0u, 4u, 64u * 1024, 100u * 1024, 64u * 1024 * 9 + 4096 + 8, 64u * 1024 * 12}) {
    SCOPED_TRACE(size);
    const auto input = random_bytes(size, size);
    std::vector<std::byte> output(size);
    const auto source = span_source(input);
    const auto sink = span_sink(output);
    const PipelineResult result = optimizer.run(config, *source, device.mix(), *sink);
    result.check();
    EXPECT_EQ(output, mixed(input));
    EXPECT_EQ(result.done, (size + config.chunk.count - 1) / config.chunk.count);
    EXPECT_EQ(result.failed + result.cancelled, 0u);
    EXPECT_EQ(result.stats.uploaded, Bytes{size});
    EXPECT_EQ(result.stats.downloaded, Bytes{size});
    EXPECT_EQ(result.stats.pinned, Bytes{config.chunk.count * 2 * static_cast<std::uint64_t>(depth)});
  }
  EXPECT_EQ(optimizer.pool_stats().in_use, Bytes{config.chunk.count * 2 * static_cast<std::uint64_t>(depth)});
}

INSTANTIATE_TEST_SUITE_P(All, PipelineShapes,
                         ::testing::Combine(::testing::Values(PipelineVariant::role_streams,
                                                              PipelineVariant::stream_per_slot, PipelineVariant::graph),
                                            ::testing::Values(1, 2, 3, 5), ::testing::Bool(), ::testing::Bool()));

TEST(Pipeline, EmptyChunksAndOtherOutputSizesPassThrough) {
  const MixDevice device = MixDevice::simulated();
  PipelineConfig config;
  config.chunk = kibi * 8;
  config.output_chunk = Bytes{16};
  MemoryOptimizer optimizer(*device.context, roomy);
  std::vector<std::size_t> sizes;
  const auto source = generator_source([](std::uint64_t chunk, std::span<std::byte> slot) -> std::optional<Bytes> {
    if (chunk == 5) return std::nullopt;
    std::ranges::fill(slot, std::byte{1});
    return chunk == 2 ? Bytes{} : Bytes{slot.size()};
  });
  const auto sink =
      callback_sink([&](std::uint64_t, std::span<const std::byte> result) { sizes.push_back(result.size()); });
  const auto copy_head = [&](ChunkWork& work) {
    if (work.input_size.count > 0) work.stream.copy_on_device(work.output, Bytes{}, work.input, Bytes{}, Bytes{8});
    work.output_size = work.input_size.count > 0 ? Bytes{8} : Bytes{};
  };
  optimizer.run(config, *source, copy_head, *sink).check();
  EXPECT_THAT(sizes, ::testing::ElementsAre(8, 8, 0, 8, 8));
  const auto greedy = [&](ChunkWork& work) { work.output_size = Bytes{17}; };
  const auto one = blank_source(1);
  EXPECT_THAT(error_of([&] { optimizer.run(config, *one, greedy, *sink).check(); }).message(),
              HasSubstr("raise PipelineConfig::output_chunk"));
}

TEST(Pipeline, KernelsOverlapUnlessTheirOrderMatters) {
  const MixDevice device = MixDevice::simulated();
  MemoryOptimizer optimizer(*device.context, roomy);
  for (const int depth : {1, 2, 3})
    for (const bool ordered : {false, true}) {
      PipelineConfig config;
      config.chunk = kibi * 8;
      config.depth = depth;
      config.ordered_kernels = ordered;
      std::vector<const device::Stream*> streams;
      const auto mix = device.mix();
      const auto kernel = [&](ChunkWork& work) {
        streams.push_back(&work.stream);
        mix(work);
      };
      const auto input = random_bytes(static_cast<std::size_t>(config.chunk.count) * 7);
      std::vector<std::byte> output(input.size());
      optimizer.run(config, *span_source(input), kernel, *span_sink(output)).check();
      EXPECT_EQ(output, mixed(input));
      ASSERT_EQ(streams.size(), 7u);
      for (std::size_t i = 1; i < streams.size(); ++i)
        EXPECT_EQ(streams[i] == streams[i - 1], ordered || depth == 1) << "chunk " << i << ", depth " << depth;
    }
  PipelineConfig config;
  config.ordered_kernels = true;
  config.variant = PipelineVariant::stream_per_slot;
  EXPECT_THAT(error_of([&] { optimizer.prepare(config); }).message(), HasSubstr("need the variant role_streams"));
}

TEST(Pipeline, FilesComeAndGo) {
  const auto folder = std::filesystem::temp_directory_path() / ("warpwright-pipeline-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const auto input = random_bytes(300000);
  std::ofstream(folder / "in", std::ios::binary).write(reinterpret_cast<const char*>(input.data()), 300000);
  const MixDevice device = MixDevice::simulated();
  PipelineConfig config;
  config.chunk = kibi * 64;
  MemoryOptimizer optimizer(*device.context, roomy);
  optimizer.run(config, *file_source(folder / "in"), device.mix(), *file_sink(folder / "out")).check();
  std::ifstream back(folder / "out", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(back)), {});
  const auto expected = mixed(input);
  ASSERT_EQ(text.size(), expected.size());
  EXPECT_EQ(std::memcmp(text.data(), expected.data(), text.size()), 0);
  const Error missing = error_of([&] { file_source(folder / "none"); });
  EXPECT_EQ(missing.code(), ErrorCode::not_found);
  EXPECT_THAT(missing.message(), HasSubstr("none"));
  EXPECT_EQ(error_of([&] { file_sink(folder); }).code(), ErrorCode::bad_input);
  std::filesystem::remove_all(folder);
}

TEST(Pipeline, CopyingEndsMayHaveSeveralThreads) {
  const auto input = random_bytes(std::size_t{5} << 20);
  std::vector<std::byte> output(input.size());
  const MixDevice device = MixDevice::simulated();
  PipelineConfig config;
  config.chunk = mebi;
  MemoryOptimizer optimizer(*device.context, roomy);
  optimizer.run(config, *span_source(input, 3), device.mix(), *span_sink(output, 3)).check();
  EXPECT_EQ(output, mixed(input));
}

// ---- exact times ----------------------------------------------------------------------------------------------------

// Stage times of 1 ms each, on a device whose host calls cost next to nothing and whose buffers have no bytes.
sim::Options balanced_options(double duplex_factor) {
  sim::Options options = sim_options();
  options.move_bytes = false;
  options.host_call = Nanoseconds{1};
  options.copy_latency = Nanoseconds{0};
  options.to_device_rate = options.to_host_rate = 1;  // a byte a nanosecond
  options.duplex_factor = duplex_factor;
  return options;
}

double speedup(const sim::Options& options, std::uint64_t chunks, const PipelineConfig& shape) {
  const MixDevice device = MixDevice::simulated(options, "1000000");
  const auto clock = sim::virtual_clock(*device.context);
  MemoryOptimizerOptions with_clock;
  with_clock.clock = clock.get();
  MemoryOptimizer optimizer(*device.context, roomy, with_clock);
  PipelineConfig config = shape;
  config.chunk = Bytes{1000000};
  config.timed_every = 0;
  const auto source = blank_source(chunks);
  const auto sink = blank_sink();
  const PipelineResult result = optimizer.run(config, *source, device.mix(), *sink);
  result.check();
  const StageTimes stages{Nanoseconds{1e6}, Nanoseconds{1e6}, Nanoseconds{1e6}};
  return stages.sum() * static_cast<double>(chunks) / result.stats.wall;
}

TEST(PipelineTimes, BalancedStagesReachTheFormula) {
  PipelineConfig config;
  for (const auto& [chunks, expected] : {std::pair{4, 2.0}, {10, 2.5}, {30, 2.812}, {100, 2.941}})
    EXPECT_NEAR(speedup(balanced_options(1), static_cast<std::uint64_t>(chunks), config), expected, 0.01 * expected)
        << chunks;
  for (const auto& [chunks, expected] : {std::pair{4, 1.878}, {10, 2.227}, {30, 2.428}, {100, 2.507}})
    EXPECT_NEAR(speedup(balanced_options(0.82), static_cast<std::uint64_t>(chunks), config), expected, 0.01 * expected)
        << chunks;
}

TEST(PipelineTimes, InPlaceNeedsThreeSlots) {
  PipelineConfig config;
  config.in_place = true;
  for (const auto& [depth, expected] : {std::pair{1, 1.0}, {2, 1.99}, {3, 2.94}}) {
    config.depth = depth;
    EXPECT_NEAR(speedup(balanced_options(1), 100, config), expected, 0.011 * expected) << depth;
  }
}

TEST(PipelineTimes, OneCopyEngineHalvesTheTransfers) {
  sim::Options options = balanced_options(1);
  options.device.copy_engines = 1;
  EXPECT_NEAR(speedup(options, 100, {}), 1.5, 0.015);
}

TEST(PipelineTimes, SlotsWithTheirOwnStreamsOverlapToo) {
  PipelineConfig config;
  config.variant = PipelineVariant::stream_per_slot;
  EXPECT_NEAR(speedup(balanced_options(1), 100, config), 2.94, 0.03);
  config.variant = PipelineVariant::graph;
  EXPECT_NEAR(speedup(balanced_options(1), 100, config), 2.94, 0.03);
}

TEST(PipelineTimes, StatisticsTellTheBottleneck) {
  const MixDevice device = MixDevice::simulated(balanced_options(1), "3000000");
  const auto clock = sim::virtual_clock(*device.context);
  MemoryOptimizerOptions with_clock;
  with_clock.clock = clock.get();
  MemoryOptimizer optimizer(*device.context, roomy, with_clock);
  PipelineConfig config;
  config.chunk = Bytes{1000000};
  config.timed_every = 4;
  const PipelineResult result = optimizer.run(config, *blank_source(40), device.mix(), *blank_sink());
  const PipelineStats& stats = result.stats;
  EXPECT_EQ(stats.timed_chunks, 10u);
  EXPECT_NEAR(stats.stages.upload.count(), 1e6, 1);
  EXPECT_NEAR(stats.stages.kernel.count(), 3e6, 1);
  EXPECT_NEAR(stats.stages.download.count(), 1e6, 1);
  EXPECT_NEAR(stats.wall.count(), 122e6, 1e5);
  EXPECT_NEAR(stats.kernel_share(), 120.0 / 122, 0.01);
  EXPECT_NEAR(stats.upload_share(), 40.0 / 122, 0.01);
  EXPECT_NEAR(stats.upload_rate(), 40e6 / 0.122, 1e6);
  EXPECT_NEAR(*stats.efficiency(stats.stages), 1, 0.001);
  EXPECT_GT(stats.stall(StallCause::kernel).time, 0.6 * stats.wall);
  EXPECT_LT(stats.stall(StallCause::upload).time, 0.1 * stats.wall);
  EXPECT_GT(stats.slot_wait.total(), 20u);
  EXPECT_EQ(PipelineStats().efficiency(stats.stages), std::nullopt);
  EXPECT_EQ(PipelineStats().upload_rate(), 0);
}

TEST(PipelineTimes, ATraceShowsEveryStageOfEveryChunk) {
  const MixDevice device = MixDevice::simulated(balanced_options(1), "1000000");
  MemoryOptimizer optimizer(*device.context, roomy);
  PipelineConfig config;
  config.chunk = Bytes{1000000};
  config.trace = true;
  const PipelineResult result = optimizer.run(config, *blank_source(6), device.mix(), *blank_sink());
  ASSERT_EQ(result.trace.size(), 18u);
  for (const StageRecord& each : result.trace) {
    EXPECT_NEAR((each.end - each.start).count(), 1e6, 1);
    // Perfect overlap: stage s of chunk i takes millisecond i + s.
    EXPECT_NEAR(each.start.count(), 1e6 * (static_cast<double>(each.chunk) + static_cast<int>(each.stage)), 1);
  }
  const auto json = nlohmann::json::parse(chrome_trace_json(result, "a \"quoted\\ title\n"));
  EXPECT_EQ(json["traceEvents"].size(), 3u + 18u);
  EXPECT_EQ(json["otherData"]["title"], "a \"quoted\\ title");
  EXPECT_EQ(json["traceEvents"][3]["ph"], "X");
  config.variant = PipelineVariant::graph;
  const PipelineResult graph = optimizer.run(config, *blank_source(4), device.mix(), *blank_sink());
  EXPECT_EQ(graph.trace.size(), 4u);
  EXPECT_NEAR((graph.trace.back().end - graph.trace.back().start).count(), 3e6, 2e6);
}

TEST(PipelineTimes, IdealTimes) {
  const StageTimes stages{Nanoseconds{1}, Nanoseconds{2}, Nanoseconds{3}};
  EXPECT_EQ(ideal_time(stages, 0), Nanoseconds{0});
  EXPECT_EQ(ideal_time(stages, 1), Nanoseconds{6});
  EXPECT_EQ(ideal_time(stages, 11), Nanoseconds{36});
  EXPECT_EQ(ideal_time(stages, 11, Nanoseconds{4}), Nanoseconds{46});
}

// ---- budgets --------------------------------------------------------------------------------------------------------

TEST(Pipeline, RingsBeyondTheBudgetOrWithoutSenseAreRefused) {
  const MixDevice device = MixDevice::simulated();
  MemoryOptimizer optimizer(*device.context, {mebi * 6, mebi * 6});
  PipelineConfig config;
  config.chunk = mebi;
  optimizer.prepare(config);
  const auto refused = [&](auto change, ErrorCode code = ErrorCode::bad_input) {
    PipelineConfig other = config;
    change(other);
    const Error error = error_of([&] { optimizer.prepare(other); });
    EXPECT_EQ(error.code(), code);
    return error.message();
  };
  EXPECT_THAT(refused([](auto& c) { c.depth = 4; }), HasSubstr("needs 8 MiB of pinned memory, the budget is 6 MiB"));
  EXPECT_THAT(refused([](auto& c) { c.depth = 0; }), HasSubstr("1 to 64 slots"));
  EXPECT_THAT(refused([](auto& c) { c.chunk = Bytes{}; }), HasSubstr("a chunk has 1 byte to"));
  EXPECT_THAT(refused([](auto& c) { c.timed_every = -1; }), HasSubstr("timed_every"));
  EXPECT_THAT(refused([](auto& c) { c.stall_deadline = Nanoseconds{1}; }), HasSubstr("WaitMode::poll"));
  MemoryOptimizer narrow(*device.context, {mebi * 6, mebi * 3});
  EXPECT_THAT(error_of([&] { narrow.prepare(config); }).message(), HasSubstr("of device memory"));
  config.in_place = true;
  narrow.prepare(config);

  sim::Options options = sim_options();
  options.device.supports_graphs = false;
  const MixDevice plain = MixDevice::simulated(options);
  MemoryOptimizer without(*plain.context, roomy);
  config.variant = PipelineVariant::graph;
  EXPECT_EQ(error_of([&] { without.prepare(config); }).code(), ErrorCode::unsupported);
  EXPECT_EQ(error_of([&] { without.pool_stats(); }).code(), ErrorCode::conflict);
}

TEST(Pipeline, AnotherShapeDoesNotPinAgain) {
  const MixDevice device = MixDevice::simulated();
  MemoryOptimizer optimizer(*device.context, roomy);
  PipelineConfig config;
  config.chunk = mebi;
  EXPECT_FALSE(optimizer.prepare(config).reused);
  EXPECT_TRUE(optimizer.prepare(config).reused);
  config.depth = 2;
  EXPECT_TRUE(optimizer.prepare(config).reused);
  const auto input = random_bytes(std::size_t{3} << 20);
  std::vector<std::byte> output(input.size());
  const PipelineResult result = optimizer.run(config, *span_source(input), device.mix(), *span_sink(output));
  EXPECT_EQ(output, mixed(input));
  EXPECT_EQ(result.stats.peak_pinned, mebi * 6);
  EXPECT_EQ(result.stats.pinned, mebi * 4);
  config.depth = 4;
  EXPECT_FALSE(optimizer.prepare(config).reused);
}

// ---- failures -------------------------------------------------------------------------------------------------------

struct Outcome {
  PipelineResult result;
  std::vector<std::uint64_t> delivered;
};

Outcome run_with(const MixDevice& device, MemoryOptimizer& optimizer, PipelineConfig config, std::uint64_t chunks,
                 const std::function<void(ChunkWork&)>& before = {},
                 const std::function<void(std::uint64_t)>& in_source = {},
                 const std::function<void(std::uint64_t)>& in_sink = {}, std::stop_token stop = {}) {
  Outcome outcome;
  const auto source = generator_source([&](std::uint64_t chunk, std::span<std::byte> slot) -> std::optional<Bytes> {
    if (in_source) in_source(chunk);
    if (chunk == chunks) return std::nullopt;
    std::ranges::fill(slot, static_cast<std::byte>(chunk));
    return Bytes{slot.size()};
  });
  const auto sink = callback_sink([&](std::uint64_t chunk, std::span<const std::byte> result) {
    if (in_sink) in_sink(chunk);
    const auto byte = static_cast<std::uint32_t>(chunk & 0xFF);
    const std::uint32_t expected = 3 * (byte * 0x01010101U) + 1;
    std::uint32_t first = 0, last = 0;
    std::memcpy(&first, result.data(), 4);
    std::memcpy(&last, result.data() + result.size() - 4, 4);
    EXPECT_EQ(first, expected) << "chunk " << chunk;
    EXPECT_EQ(last, expected) << "chunk " << chunk;
    outcome.delivered.push_back(chunk);
  });
  const ChunkKernel mix = device.mix();
  outcome.result = optimizer.run(
      config, *source,
      [&](ChunkWork& work) {
        if (before) before(work);
        mix(work);
      },
      *sink, stop);
  return outcome;
}

PipelineConfig small_config() {
  PipelineConfig config;
  config.chunk = kibi * 16;
  return config;
}

TEST(PipelineFailures, AnExceptionInTheKernelsCallableFailsItsChunk) {
  const MixDevice device = MixDevice::simulated();
  MemoryOptimizer optimizer(*device.context, roomy);
  PipelineConfig config = small_config();
  const auto throwing = [](ChunkWork& work) {
    if (work.chunk == 4) throw std::runtime_error("no launch today");
    if (work.chunk == 6) throw 7;
  };
  const Outcome aborted = run_with(device, optimizer, config, 20, throwing);
  EXPECT_THAT(aborted.delivered, ::testing::ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(aborted.result.done, 4u);
  EXPECT_EQ(aborted.result.failed, 1u);
  EXPECT_LE(aborted.result.cancelled, 4u) << "the chunks in the ring, and one that was being filled";
  ASSERT_EQ(aborted.result.failures.size(), 1u);
  EXPECT_EQ(aborted.result.failures[0].chunk, 4u);
  EXPECT_EQ(aborted.result.failures[0].stage, "kernel");
  EXPECT_EQ(aborted.result.failures[0].message, "no launch today");
  EXPECT_THROW(aborted.result.check(), std::runtime_error);
  EXPECT_FALSE(aborted.result.ok());

  config.on_error = ErrorPolicy::skip;
  const Outcome skipped = run_with(device, optimizer, config, 20, throwing);
  EXPECT_EQ(skipped.result.done, 18u);
  EXPECT_EQ(skipped.result.failed, 2u);
  EXPECT_EQ(skipped.result.cancelled, 0u);
  EXPECT_THAT(skipped.result.failures[1].message, HasSubstr("no std::exception"));
  EXPECT_EQ(skipped.delivered.size(), 18u);
  EXPECT_TRUE(std::ranges::is_sorted(skipped.delivered));
}

TEST(PipelineFailures, SourceAndSinkMayThrow) {
  const MixDevice device = MixDevice::simulated();
  MemoryOptimizer optimizer(*device.context, roomy);
  for (const bool helpers : {false, true}) {
    PipelineConfig config = small_config();
    config.helper_threads = helpers;
    const auto at_five = [](std::uint64_t chunk) {
      if (chunk == 5) throw Error(ErrorCode::io, "the disk is full");
    };
    const Outcome source = run_with(device, optimizer, config, 20, {}, at_five);
    EXPECT_EQ(source.result.done, 5u) << "what came before is delivered";
    EXPECT_EQ(source.result.failures.at(0).stage, "source");
    EXPECT_EQ(error_of([&] { source.result.check(); }).code(), ErrorCode::io);
    const Outcome sink = run_with(device, optimizer, config, 20, {}, {}, at_five);
    EXPECT_EQ(sink.result.done, 5u);
    EXPECT_EQ(sink.result.failed, 1u);
    EXPECT_EQ(sink.result.failures.at(0).stage, "sink");
    EXPECT_EQ(sink.delivered.size(), 5u);
    config.on_error = ErrorPolicy::skip;
    EXPECT_EQ(run_with(device, optimizer, config, 20, {}, {}, at_five).result.done, 19u);
  }
  const auto liar = generator_source([](std::uint64_t, std::span<std::byte> slot) { return Bytes{slot.size() + 1}; });
  const auto sink = blank_sink();
  EXPECT_THAT(error_of([&] { optimizer.run(small_config(), *liar, device.mix(), *sink).check(); }).message(),
              HasSubstr("the source says that it wrote"));
}

TEST(PipelineFailures, StoppingAtAnyChunkDeliversWhatIsUnderWay) {
  const MixDevice device = MixDevice::simulated();
  MemoryOptimizer optimizer(*device.context, roomy);
  enum class At { source, kernel, sink };
  for (const At at : {At::source, At::kernel, At::sink})
    for (std::uint64_t chunk = 0; chunk < 8; ++chunk) {
      std::stop_source stop;
      const auto when = [&](std::uint64_t now) {
        if (now == chunk) stop.request_stop();
      };
      const Outcome outcome = run_with(
          device, optimizer, small_config(), 20,
          [&](ChunkWork& work) {
            if (at == At::kernel) when(work.chunk);
          },
          [&](std::uint64_t now) {
            if (at == At::source) when(now);
          },
          [&](std::uint64_t now) {
            if (at == At::sink) when(now);
          },
          stop.get_token());
      EXPECT_TRUE(outcome.result.stopped);
      EXPECT_EQ(outcome.result.failed, 0u);
      EXPECT_EQ(outcome.result.error, nullptr);
      EXPECT_LE(outcome.result.done, chunk + 4) << "at most the ring after the stop";
      EXPECT_EQ(outcome.delivered.size(), outcome.result.done);
    }
  std::stop_source before;
  before.request_stop();
  const Outcome nothing = run_with(device, optimizer, small_config(), 20, {}, {}, {}, before.get_token());
  EXPECT_EQ(total(nothing.result), 0u);
}

TEST(PipelineFailures, AnyCallMayFailAtAnyTime) {
  using Call = sim::Fault::Call;
  constexpr std::uint64_t chunks = 8;
  for (const Call call :
       {Call::copy_to_device, Call::copy_to_host, Call::launch, Call::record, Call::wait, Call::synchronize})
    for (const ErrorCode code : {ErrorCode::launch, ErrorCode::device})
      for (int nth = 1; nth <= 30; ++nth) {
        sim::Options options = sim_options();
        options.faults = {{call, nth, false, code}};
        const MixDevice device = MixDevice::simulated(options);
        MemoryOptimizer optimizer(*device.context, roomy);
        PipelineConfig config = small_config();
        config.on_error = ErrorPolicy::skip;
        const Outcome outcome = run_with(device, optimizer, config, chunks);
        const PipelineResult& result = outcome.result;
        SCOPED_TRACE(testing::Message() << static_cast<int>(call) << " number " << nth << ", " << to_string(code));
        EXPECT_EQ(outcome.delivered.size(), result.done);
        const bool lost = code == ErrorCode::device && result.error != nullptr;
        if (result.error == nullptr) {
          EXPECT_EQ(result.done, chunks) << "the faulty call was never made";
          continue;
        }
        EXPECT_FALSE(result.failures.empty());
        const PoolStats pool = optimizer.pool_stats();
        EXPECT_EQ(pool.classes[0].quarantined, result.quarantined_blocks);
        if (!lost) {
          EXPECT_EQ(result.quarantined_blocks, 0u);
          EXPECT_GE(total(result) + 1, std::min(chunks, result.done + 1));
          EXPECT_TRUE(run_with(device, optimizer, config, chunks).result.ok()) << "the device works again";
        } else {
          EXPECT_EQ(error_of([&] { optimizer.prepare(config); }).code(), ErrorCode::conflict);
        }
      }
}

TEST(PipelineFailures, ALostDeviceQuarantinesWhatItMayStillWrite) {
  sim::Options options = sim_options();
  options.faults = {{sim::Fault::Call::launch, 5, false, ErrorCode::device}};
  const MixDevice device = MixDevice::simulated(options, "500000");
  MemoryOptimizer optimizer(*device.context, roomy);
  const Outcome outcome = run_with(device, optimizer, small_config(), 20);
  EXPECT_GT(outcome.result.quarantined_blocks, 0u);
  EXPECT_GT(outcome.result.failed, 0u);
  EXPECT_EQ(outcome.result.failures.back().stage, "device");
  EXPECT_EQ(error_of([&] { outcome.result.check(); }).code(), ErrorCode::device);
}

TEST(PipelineFailures, AKernelFaultOnTheDeviceIsSeenWhenItIsWaitedFor) {
  const MixDevice device(sim::make_backend(sim_options()), {"sim", {0}},
                         "[kernels.triple]\ncost_ns = \"1000\"\ndevice_fault_if = \"n == 1024\"\n");
  MemoryOptimizer optimizer(*device.context, roomy);
  PipelineConfig config = small_config();
  const auto input = random_bytes(16384 * 4 + 4096);
  std::vector<std::byte> output(input.size());
  const PipelineResult result = optimizer.run(config, *span_source(input), device.mix(), *span_sink(output));
  EXPECT_EQ(error_of([&] { result.check(); }).code(), ErrorCode::device);
  EXPECT_EQ(result.done + result.failed, 5u);
}

TEST(PipelineFailures, WorkThatNeverEndsIsAbandonedAtTheDeadline) {
  for (const auto call : {sim::Fault::Call::copy_to_device, sim::Fault::Call::launch, sim::Fault::Call::copy_to_host}) {
    sim::Options options = sim_options();
    options.faults = {{call, 4, false, ErrorCode::timeout}};
    const MixDevice device = MixDevice::simulated(options);
    const auto clock = sim::virtual_clock(*device.context);
    MemoryOptimizerOptions with_clock;
    with_clock.clock = clock.get();
    MemoryOptimizer optimizer(*device.context, roomy, with_clock);
    PipelineConfig config = small_config();
    config.wait = WaitMode::poll;
    config.stall_deadline = Nanoseconds{5e6};
    const Outcome outcome = run_with(device, optimizer, config, 20);
    EXPECT_EQ(outcome.result.done, 3u);
    EXPECT_LT(outcome.result.stats.wall, Nanoseconds{6e6});
    EXPECT_EQ(error_of([&] { outcome.result.check(); }).code(), ErrorCode::timeout);
    EXPECT_THAT(error_of([&] { outcome.result.check(); }).message(), HasSubstr("chunk 3 is the oldest under way"));
    EXPECT_GE(outcome.result.quarantined_blocks, 2u);
  }
}

TEST(PipelineFailures, PollingGivesTheSameBytes) {
  const MixDevice device = MixDevice::simulated();
  MemoryOptimizer optimizer(*device.context, roomy);
  PipelineConfig config = small_config();
  config.wait = WaitMode::poll;
  EXPECT_TRUE(run_with(device, optimizer, config, 30).result.ok());
}

TEST(PipelineRanges, MarkTheirNest) {
  struct Marks final : RangeMarker {
    std::vector<std::string> names;
    int open = 0;
    void push(const char* name) override {
      names.emplace_back(name);
      ++open;
    }
    void pop() override { --open; }
  } marks;
  const MixDevice device = MixDevice::simulated();
  MemoryOptimizerOptions options;
  options.ranges = &marks;
  MemoryOptimizer optimizer(*device.context, roomy, options);
  EXPECT_TRUE(run_with(device, optimizer, small_config(), 2).result.ok());
  EXPECT_EQ(marks.open, 0);
  EXPECT_EQ(std::ranges::count(marks.names, "submit"), 2);
  EXPECT_EQ(std::ranges::count(marks.names, "deliver"), 2);
  EXPECT_EQ(std::ranges::count(marks.names, "fill"), 3);
  if (const auto nvtx = nvtx_ranges()) {
    const Range range(nvtx.get(), "test");
  }
}

TEST(PipelineNames, VariantsHaveNames) {
  for (const auto variant : {PipelineVariant::role_streams, PipelineVariant::stream_per_slot, PipelineVariant::graph})
    EXPECT_EQ(parse_pipeline_variant(to_string(variant)), variant);
  EXPECT_EQ(parse_pipeline_variant("threads"), std::nullopt);
  EXPECT_EQ(to_string(StallCause::consumer), "consumer");
  EXPECT_EQ(to_string(StageRecord::Stage::graph), "graph");
}

}  // namespace
}  // namespace warpwright::memory
