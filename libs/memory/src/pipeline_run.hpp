// Drives a PipelineCore from a source to a sink: the only place that waits, counts stalls and decides what errors mean.
// Internal.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include <warpwright/base/clock.hpp>
#include <warpwright/memory/pipeline.hpp>
#include <warpwright/memory/pipeline_stats.hpp>
#include <warpwright/memory/ranges.hpp>

#include "pipeline_core.hpp"

namespace warpwright::memory {

// Calls one function again and again, here or in a thread of its own, one call at a time.
class Station {
 public:
  Station(std::function<void()> work, bool threaded);
  ~Station();
  Station(const Station&) = delete;
  Station& operator=(const Station&) = delete;

  // Not while busy.
  void start();
  bool busy() const { return state_.load(std::memory_order_acquire) == State::running; }
  // True once for every start() whose call has returned.
  bool take_finished();
  // Waits a moment for the running call to return.
  void wait_briefly();
  void finish() {
    while (busy()) wait_briefly();
  }

 private:
  enum class State { idle, running, finished };
  std::function<void()> work_;
  std::atomic<State> state_{State::idle};
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::jthread thread_;  // last: it uses the others
};

// One thread only.
class PipelineRun {
 public:
  PipelineRun(device::Context& context, PipelineResources& resources, const PipelineConfig& config,
              const ChunkKernel& kernel, ChunkSource& source, ChunkSink& sink, const Clock& clock, RangeMarker* ranges,
              std::stop_token stop, PipelineEdges edges = {});
  // Never throws for what chunks, source, sink or device did.
  PipelineResult execute();
  // The device is lost or does not answer: some work may never end.
  bool abandoned() const { return abandoned_; }
  bool proven_done(std::size_t slot) noexcept { return core_.proven_done(slot); }

 private:
  void loop();
  bool step();
  bool produce();
  bool deliver();
  void close_intake();
  void note_failure(std::uint64_t chunk, const std::string& stage, std::exception_ptr error);
  void fail(std::uint64_t chunk, const std::string& stage, std::exception_ptr error);
  void wait();
  void begin_stall(StallCause cause);
  void end_stall();
  void end_with(std::exception_ptr error);

  const PipelineConfig& config_;
  PipelineCore core_;
  ChunkSource& source_;
  ChunkSink& sink_;
  const Clock& clock_;
  RangeMarker* ranges_;
  std::stop_token stop_;
  PipelineResult result_;

  bool intake_open_ = true, aborted_ = false, abandoned_ = false;
  bool filling_ = false, delivering_ = false;
  std::optional<Bytes> filled_;             // of the next chunk, not submitted yet
  std::optional<Nanoseconds> slot_wanted_;  // since then the next slot was not ready
  std::optional<std::pair<StallCause, Nanoseconds>> stall_;
  Nanoseconds last_progress_{};
  LatencyHistogram slot_wait_;

  // What the stations work on and leave; handed over by their states.
  struct {
    std::uint64_t chunk = 0;
    std::span<std::byte> slot;
    std::optional<Bytes> size;
    std::exception_ptr error;
    Nanoseconds time{};
  } fill_;
  struct {
    std::uint64_t chunk = 0;
    std::span<const std::byte> bytes;
    std::exception_ptr error;
    Nanoseconds time{};
  } delivery_;
  Station producer_, consumer_;
};

}  // namespace warpwright::memory
