// What a run of the pipeline did, in numbers: rates, shares, stalls, and how near it came to what the stages allow.
#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/memory/latency_histogram.hpp>

namespace warpwright::memory {

// Device time of one chunk in each stage.
struct StageTimes {
  Nanoseconds upload{}, kernel{}, download{};
  Nanoseconds sum() const { return upload + kernel + download; }
};

// The shortest time that `chunks` chunks can take: fill and drain, and between them one period a chunk, which is the
// longest stage, or `transfer_period` (both copies of a chunk while both directions are busy) where that is longer.
Nanoseconds ideal_time(const StageTimes& stages, std::uint64_t chunks, Nanoseconds transfer_period = {});

// Why the thread of the pipeline had nothing to do.
enum class StallCause { producer, upload, kernel, download, consumer };
inline constexpr int stall_cause_count = 5;
std::string_view to_string(StallCause cause) noexcept;

struct Stall {
  std::uint64_t count = 0;
  Nanoseconds time{};
};

struct PipelineStats {
  std::uint64_t chunks = 0;  // done
  Bytes uploaded, downloaded;
  Nanoseconds wall{};  // first fill to last delivery
  std::uint64_t timed_chunks = 0;
  StageTimes stages;  // mean of the timed chunks, as they ran beside each other; zero without any
  std::array<Stall, stall_cause_count> stalls{};  // producer and consumer: time inside the source and the sink
  LatencySnapshot slot_wait;                      // of each chunk that found no input slot ready
  Bytes pinned, device;                           // held during the run
  Bytes peak_pinned, peak_device;                 // since the optimizer was made

  // Bytes a second over the whole run; 0 for an empty one.
  double upload_rate() const;
  double download_rate() const;
  // Share of the wall time that an engine was busy, from the timed chunks.
  double upload_share() const;
  double kernel_share() const;
  double download_share() const;
  // ideal_time() of stages that were measured elsewhere, divided by the wall time: 1 is all there is. nullopt if
  // nothing ran.
  std::optional<double> efficiency(const StageTimes& measured, Nanoseconds transfer_period = {}) const;
  const Stall& stall(StallCause cause) const { return stalls[static_cast<std::size_t>(cause)]; }
};

// One stage of one chunk on the device; times since the first upload began.
struct StageRecord {
  enum class Stage { upload, kernel, download, graph };
  std::uint64_t chunk = 0;
  int slot = 0;
  Stage stage = Stage::upload;
  Nanoseconds start{}, end{};
};
std::string_view to_string(StageRecord::Stage stage) noexcept;

// A chunk that did not come through.
struct ChunkFailure {
  std::uint64_t chunk = 0;
  std::string stage;  // "upload", "kernel", "download", "sink", "source"
  std::string message;
};

struct PipelineResult {
  PipelineStats stats;
  std::uint64_t done = 0, failed = 0, cancelled = 0;
  bool stopped = false;                  // the stop token asked for it
  std::vector<ChunkFailure> failures;    // the first 1000
  std::exception_ptr error;              // the first failure, or what ended the run
  std::uint64_t quarantined_blocks = 0;  // whose transfers cannot be proven finished
  std::vector<StageRecord> trace;        // with PipelineConfig::trace

  bool ok() const { return error == nullptr && !stopped; }
  // Throws `error` if there is one.
  void check() const {
    if (error) std::rethrow_exception(error);
  }
};

// For chrome://tracing and Perfetto: one row per engine, one box per chunk.
std::string chrome_trace_json(const PipelineResult& result, std::string_view title);

}  // namespace warpwright::memory
