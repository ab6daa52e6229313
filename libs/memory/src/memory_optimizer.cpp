#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/memory/memory_optimizer.hpp>

#include "pipeline_core.hpp"
#include "pipeline_run.hpp"

namespace warpwright::memory {
namespace {

constexpr int most_slots = 64;
constexpr std::uint64_t most_chunk = std::uint64_t{1} << 40;

// A piece of memory that the optimizer pinned before, so that another shape of ring need not pin again.
class ArenaMemory final : public HostMemory {
 public:
  explicit ArenaMemory(std::shared_ptr<HostRegion> region) : region_(std::move(region)) {}
  std::unique_ptr<HostRegion> reserve(Bytes size) override {
    if (size.count > region_->bytes().size()) throw Error(ErrorCode::internal, "the arena is smaller than its ring");
    class View final : public HostRegion {
     public:
      View(std::shared_ptr<HostRegion> region, std::size_t size) : region_(std::move(region)), size_(size) {}
      std::span<std::byte> bytes() override { return region_->bytes().first(size_); }
      const RegionReport& report() const override { return region_->report(); }

     private:
      std::shared_ptr<HostRegion> region_;
      std::size_t size_;
    };
    return std::make_unique<View>(region_, static_cast<std::size_t>(size.count));
  }

 private:
  std::shared_ptr<HostRegion> region_;
};

void check_shape(const PipelineConfig& config, const DeviceInfo& device) {
  if (config.depth < 1 || config.depth > most_slots)
    throw Error(ErrorCode::bad_input, fmt::format("a pipeline has 1 to {} slots, not {}", most_slots, config.depth));
  for (const Bytes size : {config.input_bytes(), config.output_bytes()})
    if (size.count == 0 || size.count > most_chunk)
      throw Error(ErrorCode::bad_input,
                  fmt::format("a chunk has 1 byte to {}, not {}", format_bytes(Bytes{most_chunk}), format_bytes(size)));
  if (config.timed_every < 0)
    throw Error(ErrorCode::bad_input, "PipelineConfig::timed_every must be 0 (no chunk is timed) or more");
  if (config.stall_deadline && config.wait != WaitMode::poll)
    throw Error(ErrorCode::bad_input,
                "a stall deadline needs WaitMode::poll: who sleeps in the driver cannot watch the time");
  if (config.stall_deadline && !(config.stall_deadline->count() > 0))
    throw Error(ErrorCode::bad_input, "a stall deadline must be a positive time");
  if (config.ordered_kernels && config.variant != PipelineVariant::role_streams)
    throw Error(ErrorCode::bad_input, fmt::format("kernels in the order of their chunks (ordered_kernels) need the "
                                                  "variant role_streams: in {} they are on streams of their own",
                                                  to_string(config.variant)));
  if (config.variant == PipelineVariant::graph && !device.supports_graphs)
    throw Error(
        ErrorCode::unsupported,
        fmt::format("device {} has no graphs: use the variant role_streams or stream_per_slot", device.id.to_string()));
}

void check_budget(const char* which, Bytes needed, Bytes budget, const PipelineConfig& config) {
  if (needed <= budget) return;
  throw Error(
      ErrorCode::bad_input,
      fmt::format("a ring of {} slots with chunks of {} in and {} out needs {} of {} memory, the budget is {}: lower "
                  "the chunk size or the depth, or raise the budget",
                  config.depth, format_bytes(config.input_bytes()), format_bytes(config.output_bytes()),
                  format_bytes(needed), which, format_bytes(budget)));
}

}  // namespace

struct MemoryOptimizer::Arena {
  std::shared_ptr<HostRegion> region;
  Bytes size;
};

struct MemoryOptimizer::Ring {
  PipelineConfig shape;
  MemoryBudget bytes;
  std::unique_ptr<PinnedMemoryPool> pool;
  PipelineResources resources;  // holds blocks of the pool
  bool lost = false;

  bool fits(const PipelineConfig& config) const {
    const bool stamps = config.timed_every > 0 || config.trace;
    const bool has_stamps = shape.timed_every > 0 || shape.trace;
    return shape.input_bytes() == config.input_bytes() && shape.output_bytes() == config.output_bytes() &&
           shape.depth == config.depth && shape.variant == config.variant && shape.in_place == config.in_place &&
           shape.ordered_kernels == config.ordered_kernels && stamps <= has_stamps;
  }
};

MemoryOptimizer::MemoryOptimizer(device::Context& context, MemoryBudget budget, MemoryOptimizerOptions options)
    : context_(context), budget_(budget), options_(std::move(options)) {
  if (options_.clock == nullptr) options_.clock = &steady_clock_;
}

MemoryOptimizer::~MemoryOptimizer() = default;

ColdStart MemoryOptimizer::prepare(const PipelineConfig& config) {
  if (!abandoned_.empty())
    throw Error(ErrorCode::conflict, "an earlier run lost the device or was abandoned: open the device again");
  check_shape(config, context_.device());
  const MemoryBudget needed = ring_bytes(config);
  check_budget("pinned", needed.pinned, budget_.pinned, config);
  check_budget("device", needed.device, budget_.device, config);
  const Nanoseconds begin = options_.clock->now();
  ColdStart cold;
  if (ring_ != nullptr && ring_->fits(config)) {
    cold.reused = true;
  } else {
    // The old ring goes first, or both would count against the budgets.
    ring_.reset();
    if (arena_ == nullptr || arena_->size < needed.pinned) {
      arena_.reset();
      const auto source =
          options_.register_memory ? registered_memory(context_, options_.host) : driver_memory(context_);
      arena_ = std::make_unique<Arena>(Arena{source->reserve(needed.pinned), needed.pinned});
      peak_.pinned = std::max(peak_.pinned, needed.pinned);
    } else {
      cold.reused = true;
    }
    auto ring = std::make_unique<Ring>();
    ring->shape = config;
    ring->bytes = needed;
    PoolConfig pool;
    const auto depth = static_cast<std::uint32_t>(config.depth);
    const auto pages = [](Bytes size) { return (size.count + page_size - 1) / page_size; };
    if (pages(config.input_bytes()) == pages(config.output_bytes()))
      pool.classes = {{config.input_bytes(), 2 * depth}};
    else
      pool.classes = {{config.input_bytes(), depth}, {config.output_bytes(), depth}};
    pool.budget = needed.pinned;
    pool.log = options_.log;
    ArenaMemory memory(arena_->region);
    ring->pool = std::make_unique<PinnedMemoryPool>(memory, std::move(pool));
    ring->resources = make_pipeline_resources(context_, *ring->pool, config);
    peak_.device = std::max(peak_.device, needed.device);
    ring_ = std::move(ring);
  }
  cold.memory = arena_->region->report();
  cold.total = options_.clock->now() - begin;
  return cold;
}

PipelineResult MemoryOptimizer::run(const PipelineConfig& config, ChunkSource& source, const ChunkKernel& kernel,
                                    ChunkSink& sink, std::stop_token stop) {
  prepare(config);
  PipelineRun run(context_, ring_->resources, config, kernel, source, sink, *options_.clock, options_.ranges, stop);
  PipelineResult result = run.execute();
  result.stats.pinned = ring_->bytes.pinned;
  result.stats.device = ring_->bytes.device;
  result.stats.peak_pinned = peak_.pinned;
  result.stats.peak_device = peak_.device;
  if (run.abandoned()) {
    for (std::size_t slot = 0; slot < ring_->resources.slots.size(); ++slot) {
      if (run.proven_done(slot)) continue;
      ring_->pool->quarantine(std::move(ring_->resources.slots[slot].pinned_in));
      ring_->pool->quarantine(std::move(ring_->resources.slots[slot].pinned_out));
      result.quarantined_blocks += 2;
    }
    ring_->lost = true;
    abandoned_.push_back(std::move(ring_));
  }
  return result;
}

PoolStats MemoryOptimizer::pool_stats() const {
  if (ring_ != nullptr) return ring_->pool->stats();
  if (!abandoned_.empty()) return abandoned_.back()->pool->stats();
  throw Error(ErrorCode::conflict, "there is no ring yet: prepare() or run() makes one");
}

}  // namespace warpwright::memory
