// Keeps transfers out of the way of kernels: a ring of k slots over three engines, uploads, kernels and downloads.
//
// Method: chunk i lives in slot i mod k, which has pinned memory and device buffers for input and output. Every copy is
// asynchronous. With role streams, events carry these edges (all others follow from the order within a stream):
//   upload(i)    after kernel(i - k) has read the slot's device input      [in place: after download(i - k)]
//   kernel(i)    after upload(i), and after download(i - k) has read the slot's device output
//   download(i)  after kernel(i)
// and the host waits: it refills the pinned input after upload(i - k), enqueues download(i) after the sink is done with
// result i - k, and gives result i to the sink after download(i). A stream waits for the event as it is recorded when
// the wait is enqueued, so a wait that is enqueued before the record it means silently waits for the round before:
// kernel(i) is enqueued only when download(i - k) has been. Three slots let the host's part overlap as well; more help
// where stage times vary. Everything is allocated before the first chunk, inside two exact budgets.
//
// Which variant, chunk size and depth is best differs by device and kernel: `tuning::tune_pipeline` measures it.
#pragma once

#include <memory>
#include <stop_token>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/log.hpp>
#include <warpwright/memory/host_memory.hpp>
#include <warpwright/memory/pinned_memory_pool.hpp>
#include <warpwright/memory/pipeline.hpp>
#include <warpwright/memory/pipeline_stats.hpp>
#include <warpwright/memory/ranges.hpp>

namespace warpwright::memory {

struct MemoryOptimizerOptions {
  // Registered memory where the device can; false: the driver's own allocator.
  bool register_memory = true;
  HostMemoryOptions host;
  const Clock* clock = nullptr;   // of the run's times; the steady clock if null. Must outlive the optimizer
  RangeMarker* ranges = nullptr;  // told of submitting, filling and delivering; null: nobody
  LogSink log;
};

// What the first run with a shape of ring costs beforehand.
struct ColdStart {
  Nanoseconds total{};
  RegionReport memory;
  bool reused = false;  // nothing had to be pinned
};

// One thread only. The context must outlive it and serve nothing else during run().
class MemoryOptimizer {
 public:
  MemoryOptimizer(device::Context& context, MemoryBudget budget, MemoryOptimizerOptions options = {});
  ~MemoryOptimizer();
  MemoryOptimizer(const MemoryOptimizer&) = delete;
  MemoryOptimizer& operator=(const MemoryOptimizer&) = delete;

  // Pins and allocates for this shape of ring, unless it is there already. Throws Error(bad_input) for a shape that is
  // no ring or exceeds a budget (naming it and what is needed), Error(unsupported) for graphs on a device without, and
  // what allocating throws.
  ColdStart prepare(const PipelineConfig& config);
  // Takes chunks from `source` until it ends, `stop` asks to, or an error aborts; then delivers what is under way and
  // returns. Throws what prepare() throws; everything after that is in the result. Error(conflict) after a run that
  // lost the device.
  PipelineResult run(const PipelineConfig& config, ChunkSource& source, const ChunkKernel& kernel, ChunkSink& sink,
                     std::stop_token stop = {});

  const MemoryBudget& budget() const { return budget_; }
  device::Context& context() { return context_; }
  // Statistics of the blocks of the present ring; Error(conflict) before the first prepare() or run().
  PoolStats pool_stats() const;

 private:
  struct Arena;
  struct Ring;

  device::Context& context_;
  MemoryBudget budget_;
  MemoryOptimizerOptions options_;
  SteadyClock steady_clock_;
  MemoryBudget peak_;
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<Ring> ring_;
  std::vector<std::unique_ptr<Ring>> abandoned_;  // device work may still use what is in there
};

}  // namespace warpwright::memory
