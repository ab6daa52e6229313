// Choosing the shape of a pipeline on simulated devices, whose times are exact, so that the best shape is known.
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/sim/backend.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/tuning/pipeline_tuning.hpp>

#include "error_of.hpp"

namespace warpwright::tuning {
namespace {

using ::testing::HasSubstr;

constexpr Bytes mebi{1 << 20};

// A simulated device with an optimizer, and work that takes `ns_per_kib` on it.
struct Bench {
  explicit Bench(sim::Options options, double ns_per_kib = 20, memory::MemoryBudget budget = {mebi * 96, mebi * 96}) {
    options.move_bytes = false;
    backend = sim::make_backend(std::move(options));
    context = backend->open({"sim", {0}});
    clock = sim::virtual_clock(*context);
    device::CompileJob job;
    job.source = "[kernels.step]\nbehaviour = \"nothing\"\narguments = [\"int32 kib\"]\ncost_ns = \"2000 + kib * " +
                 std::to_string(ns_per_kib) + "\"\n";
    job.file_name = "step";
    module = context->load(backend->compiler(context->device())->compile(job));
    kernel = module->kernel("step");
    memory::MemoryOptimizerOptions with_clock;
    with_clock.clock = clock.get();
    optimizer = std::make_unique<memory::MemoryOptimizer>(*context, budget, with_clock);
    work.name = "step";
    work.identity = "1";
    work.kernel = [this](memory::ChunkWork& chunk) {
      const device::KernelArgument arguments[] = {
          device::ScalarArgument::of(static_cast<std::int32_t>(chunk.input_size.count / 1024))};
      chunk.stream.launch(*kernel, {}, arguments);
    };
    work.source = [](Bytes volume) {
      return memory::generator_source([left = volume.count](std::uint64_t, std::span<std::byte> slot) mutable {
        const std::uint64_t size = std::min<std::uint64_t>(left, slot.size());
        left -= size;
        return size == 0 ? std::nullopt : std::optional(Bytes{size});
      });
    };
    work.sink = [] { return memory::callback_sink([](std::uint64_t, std::span<const std::byte>) {}); };
    options_.clock = clock.get();
    options_.volume = mebi * 128;
    options_.final_rounds = 1;
  }
  PipelineTuningResult tune() { return tune_pipeline(*optimizer, StrategyRegistry::with_defaults(), work, options_); }

  std::unique_ptr<device::Backend> backend;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<Clock> clock;
  std::unique_ptr<device::Module> module;
  std::unique_ptr<device::Kernel> kernel;
  std::unique_ptr<memory::MemoryOptimizer> optimizer;
  PipelineWork work;
  PipelineTuningOptions options_;
};

TEST(PipelineTuning, FindsWhatExhaustiveSearchFindsOnManyDevices) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    sim::Options options;
    options.to_device_rate = 10 + 50 * rng.uniform();
    options.to_host_rate = 10 + 50 * rng.uniform();
    options.copy_latency = Nanoseconds{1000 + 30000 * rng.uniform()};
    options.host_call = Nanoseconds{200 + 5000 * rng.uniform()};
    options.duplex_factor = 0.5 + 0.5 * rng.uniform();
    Bench bench(options, 5 + 60 * rng.uniform());
    const PipelineTuningResult exhaustive = bench.tune();
    EXPECT_EQ(exhaustive.trials.size(), exhaustive.space_size);
    bench.options_.strategy = "random";
    bench.options_.strategy_settings.seed = seed;
    bench.options_.max_evaluations = exhaustive.space_size * 3 / 4;
    const PipelineTuningResult sampled = bench.tune();
    EXPECT_LE(sampled.best_median, 1.03 * exhaustive.best_median);
    for (const auto* result : {&exhaustive, &sampled}) {
      EXPECT_GE(result->speedup, 1);
      for (const PipelineTrial& trial : result->trials) {
        EXPECT_EQ(trial.status, TrialStatus::ok) << trial.message;
        EXPECT_LE(ring_bytes(trial.config).pinned, bench.optimizer->budget().pinned);
      }
    }
  }
}

TEST(PipelineTuning, AProfileKeepsTheChoice) {
  Bench bench({});
  bench.options_.baseline.chunk = mebi;
  bench.options_.baseline.depth = 2;
  const PipelineTuningResult result = bench.tune();
  EXPECT_GT(result.speedup, 1.0);
  EXPECT_EQ(result.profile.key.kernel, "pipeline/step");
  EXPECT_EQ(result.profile.key.dimensions.describe(), "bytes=134217728");
  EXPECT_TRUE(result.profile.baseline.has_value());
  EXPECT_FALSE(result.profile.created_at.empty());
  store::TuningProfile stored = store::profile_from_json(store::to_json(result.profile));
  const memory::PipelineConfig back = pipeline_config(stored, bench.options_.baseline);
  EXPECT_EQ(back.chunk, result.best.chunk);
  EXPECT_EQ(back.depth, result.best.depth);
  EXPECT_EQ(back.variant, result.best.variant);
  stored.configuration = Configuration{{"block_x", std::int64_t{32}}};
  EXPECT_EQ(error_of([&] { pipeline_config(stored, {}); }).code(), ErrorCode::corrupted);
}

TEST(PipelineTuning, WithoutGraphsTheyAreNotTried) {
  sim::Options options;
  options.device.supports_graphs = false;
  Bench bench(options);
  for (const PipelineTrial& trial : bench.tune().trials)
    EXPECT_NE(trial.config.variant, memory::PipelineVariant::graph);
}

TEST(PipelineTuning, KernelsThatNeedTheirOrderAreOnOneStream) {
  Bench bench({});
  bench.options_.baseline.ordered_kernels = true;
  const PipelineTuningResult result = bench.tune();
  EXPECT_TRUE(result.best.ordered_kernels);
  for (const PipelineTrial& trial : result.trials)
    EXPECT_EQ(trial.config.variant, memory::PipelineVariant::role_streams);
}

// Where the kernel decides, all depths take the same time, and which one is the fastest of a few noisy runs says
// nothing.
TEST(PipelineTuning, NoiseDoesNotReplaceTheShapeToBeginWith) {
  int kept = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Bench bench({}, 400);
    bench.options_.chunks = {bench.options_.baseline.chunk};
    bench.options_.depths = {3, 4, 5, 6};
    bench.options_.variants = {memory::PipelineVariant::role_streams};
    bench.options_.final_rounds = 11;
    Rng rng(seed);
    bench.work.kernel = [&](memory::ChunkWork& chunk) {
      // 3 % of the run, all in its first chunk.
      const double more = chunk.chunk == 0 ? 0.5 * rng.uniform() : 0;
      const device::KernelArgument arguments[] = {device::ScalarArgument::of(
          static_cast<std::int32_t>((1 + more) * static_cast<double>(chunk.input_size.count / 1024)))};
      chunk.stream.launch(*bench.kernel, {}, arguments);
    };
    const PipelineTuningResult result = bench.tune();
    EXPECT_EQ(result.finalists.size(), 4u);
    if (result.best.depth == bench.options_.baseline.depth) ++kept;
    EXPECT_EQ(result.finalists.front().config.depth, result.best.depth);
  }
  EXPECT_GE(kept, 9) << "of 10";
}

TEST(PipelineTuning, MistakesAreNamed) {
  Bench bench({}, 20, {mebi * 8, mebi * 96});
  EXPECT_THAT(error_of([&] { bench.tune(); }).message(), HasSubstr("exceeds a budget"));
  Bench other({});
  other.options_.strategy = "exhaustiv";
  EXPECT_THAT(error_of([&] { other.tune(); }).message(), HasSubstr("exhaustive"));
  other.options_.strategy = "exhaustive";
  other.options_.chunks = {Bytes{1000}};
  EXPECT_THAT(error_of([&] { other.tune(); }).message(), HasSubstr("multiples of 1 KiB"));
}

TEST(PipelineTuning, AShapeThatFailsIsATrialAndAStopKeepsWhatThereIs) {
  Bench bench({});
  bench.options_.depths = {2};
  const auto kernel = bench.work.kernel;
  bench.work.kernel = [&](memory::ChunkWork& chunk) {
    if (chunk.input_size == mebi) throw Error(ErrorCode::launch, "too small for this kernel");
    kernel(chunk);
  };
  const PipelineTuningResult result = bench.tune();
  int failed = 0;
  for (const PipelineTrial& trial : result.trials) {
    if (trial.config.chunk != mebi) continue;
    EXPECT_EQ(trial.status, TrialStatus::launch_failed);
    EXPECT_THAT(trial.message, HasSubstr("too small"));
    ++failed;
  }
  EXPECT_GT(failed, 0);
  EXPECT_NE(result.best.chunk, mebi);

  std::atomic<bool> stop{false};
  bench.options_.stop = &stop;
  bench.options_.progress = [&](std::uint64_t done, std::uint64_t) { stop = done == 3; };
  const PipelineTuningResult early = bench.tune();
  EXPECT_TRUE(early.interrupted);
  EXPECT_EQ(early.trials.size(), 3u);
  EXPECT_GT(early.best_median, Nanoseconds{0});
  EXPECT_EQ(error_of([&] { bench.tune(); }).code(), ErrorCode::interrupted) << "stopped before anything was measured";
}

}  // namespace
}  // namespace warpwright::tuning
