// Chooses the shape of a transfer pipeline by measuring it: chunk size, depth and variant, under both byte budgets,
// with the search strategies that tune kernels. The best few and the default are compared again, interleaved, on fresh
// runs.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/log.hpp>
#include <warpwright/memory/memory_optimizer.hpp>
#include <warpwright/search/search_algorithm.hpp>
#include <warpwright/store/profile_database.hpp>

namespace warpwright::tuning {

// What goes through the pipeline. `source` gives `volume` bytes in chunks of its slots' size; both factories are called
// once a run.
struct PipelineWork {
  std::string name;      // of the kernel
  std::string identity;  // changes when the kernel does; part of the profile's key
  memory::ChunkKernel kernel;
  std::function<std::unique_ptr<memory::ChunkSource>(Bytes volume)> source;
  std::function<std::unique_ptr<memory::ChunkSink>()> sink;
};

struct PipelineTuningOptions {
  // Where the search begins and what the gain is measured against; what is not searched is taken from here.
  memory::PipelineConfig baseline;
  std::vector<Bytes> chunks;  // default: 1, 2, 4, 8, 16, 32 MiB
  std::vector<int> depths{2, 3, 4, 6};
  std::vector<memory::PipelineVariant> variants{
      memory::PipelineVariant::role_streams, memory::PipelineVariant::stream_per_slot, memory::PipelineVariant::graph};
  // Of input in each run: what the choice is for.
  Bytes volume{std::uint64_t{1} << 30};
  std::string strategy = "exhaustive";
  StrategySettings strategy_settings;
  std::optional<std::uint64_t> max_evaluations;
  int finalists = 4;
  int final_rounds = 11;
  const Clock* clock = nullptr;             // steady if null
  const std::atomic<bool>* stop = nullptr;  // end soon, with what there is
  std::function<void(std::uint64_t done, std::uint64_t space)> progress;
  LogSink log;
};

struct PipelineTrial {
  memory::PipelineConfig config;
  TrialStatus status = TrialStatus::ok;
  std::vector<Nanoseconds> samples;  // wall time of the volume
  std::optional<Nanoseconds> median;
  std::string message;
};

struct PipelineTuningResult {
  memory::PipelineConfig best;
  Nanoseconds best_median{};      // from the final comparison
  Nanoseconds baseline_median{};  // from the same
  double speedup = 1;
  std::uint64_t space_size = 0;
  Bytes volume;                       // that every run moved
  std::vector<PipelineTrial> trials;  // in the order of the search
  // The chosen one first, the others by their time. The baseline is one, and it is chosen unless another is faster
  // beyond doubt in the paired rounds.
  std::vector<PipelineTrial> finalists;
  bool interrupted = false;
  store::TuningProfile profile;  // ready to be stored
};

// Throws Error(bad_input) for an unknown strategy or when no shape fits the budgets, Error(device) when the device is
// lost, and what the work throws when even the baseline fails. A shape that fails is a trial with its status.
PipelineTuningResult tune_pipeline(memory::MemoryOptimizer& optimizer, const StrategyRegistry& strategies,
                                   const PipelineWork& work, const PipelineTuningOptions& options);

// The key of such a profile.
store::ProfileKey pipeline_profile_key(const PipelineWork& work, const DeviceInfo& device, Bytes volume);
// `base` with the shape that a profile holds. Throws Error(corrupted) for a profile of something else.
memory::PipelineConfig pipeline_config(const store::TuningProfile& profile, const memory::PipelineConfig& base);

}  // namespace warpwright::tuning
