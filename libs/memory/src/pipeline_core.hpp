// The pipeline as a step machine: no thread, no loop, no clock. Whoever drives it decides what happens next and waits
// where it likes, so that one virtual clock can drive it and tests can take any order of steps. Internal.
#pragma once

#include <array>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/memory/pinned_memory_pool.hpp>
#include <warpwright/memory/pipeline.hpp>
#include <warpwright/memory/pipeline_stats.hpp>

namespace warpwright::memory {

// The orders that the pipeline keeps. Tests remove one at a time and must see wrong bytes.
struct PipelineEdges {
  // On the device, between role streams.
  bool upload_after_kernel = true;  // in place: upload_after_download
  bool kernel_after_upload = true;
  bool kernel_after_download = true;
  bool download_after_kernel = true;
  // On the host.
  bool refill_after_upload = true;
  bool download_after_sink = true;
  bool sink_after_download = true;
  // kernel(i) is enqueued only when download(i - k) has been: a wait means the record that was made before it.
  bool wait_after_record = true;
};

// One slot of the ring and everything it owns.
struct PipelineSlot {
  PinnedBlock pinned_in, pinned_out;
  std::unique_ptr<device::Buffer> device_in, device_out;  // device_out is null in place
  device::Buffer& output() { return device_out ? *device_out : *device_in; }
  std::unique_ptr<device::Graph> graph;
  Bytes graph_output;  // of the recorded download
};

// How far a chunk has come.
struct ChunkMarks {
  std::unique_ptr<device::Event> uploaded, computed, downloaded;
};

// What outlives a run: allocated once for a shape of ring.
struct PipelineResources {
  std::vector<std::unique_ptr<device::Stream>> streams;  // uploads, downloads, kernels; or one per slot
  std::vector<PipelineSlot> slots;
  // Two sets a slot, because a chunk may be submitted into a slot whose earlier result is not delivered yet.
  std::vector<ChunkMarks> marks;
  // Before and after each stage of timed chunks; as many. Empty if nothing is to be timed.
  std::vector<std::array<std::unique_ptr<device::Event>, 6>> stamps;
  std::unique_ptr<device::Event> origin;  // of a trace
};

// One run. One thread only. Chunks are numbered from 0; `k` is the number of slots.
class PipelineCore {
 public:
  // All outlive it.
  PipelineCore(device::Context& context, PipelineResources& resources, const PipelineConfig& config,
               const ChunkKernel& kernel, PipelineEdges edges = {});

  // ---- steps of the producer's side ----
  // The slot of the next chunk may be written.
  bool can_fill();
  std::span<std::byte> slot_to_fill();
  // The chunk just filled may be enqueued.
  bool can_submit() const;
  // Enqueues upload and kernel of the next chunk, which has `size` bytes. A failure that leaves the device usable fails
  // the chunk; a lost device throws.
  void submit(Bytes size);

  // ---- steps of the consumer's side ----
  // Enqueues the next download if the sink is done with what its memory held. False if there is none to enqueue now.
  bool try_download();
  // The next result, in order, is complete.
  bool can_consume();
  struct Result {
    std::uint64_t chunk = 0;
    std::span<const std::byte> bytes;
    const std::exception_ptr* failure = nullptr;  // null: good
    const std::string* failed_stage = nullptr;
  };
  Result result();
  // The sink is done with it. Reads the stamps of timed chunks.
  void consumed();

  // ---- waiting ----
  // What the host waits for when nothing can be done: the upload that keeps the next slot from being filled, or the
  // download of the next result.
  enum class Awaited { slot, result };
  // The stage that the oldest chunk under way is in.
  StallCause cause();
  // Blocks in the driver. Throws Error(device) if the device is lost.
  void wait(Awaited awaited);

  std::uint64_t filled() const { return next_submit_; }      // chunks submitted
  std::uint64_t delivered() const { return next_consume_; }  // chunks consumed
  bool idle() const { return next_consume_ == next_submit_; }
  // Waits for all streams; throws the failure of any of their work.
  void synchronize();
  // Whether the device is provably done with both pinned blocks of a slot. Never throws.
  bool proven_done(std::size_t slot) noexcept;

  // Sums of the timed chunks.
  const StageTimes& stage_sums() const { return sums_; }
  std::uint64_t timed_chunks() const { return timed_; }
  Bytes uploaded() const { return uploaded_; }
  Bytes downloaded() const { return downloaded_; }
  std::vector<StageRecord> take_trace() { return std::move(trace_); }

 private:
  // A chunk under way. Up to 2 k of them: when chunk i is submitted, result i - k may still lie in the slot's pinned
  // output, but not result i - 2 k.
  struct Flight {
    std::uint64_t chunk = 0;
    bool graph = false, timed = false;
    Bytes input_size, output_size;
    std::exception_ptr failure;
    std::string failed_stage;
  };

  std::size_t slot_of(std::uint64_t chunk) const { return static_cast<std::size_t>(chunk % depth_); }
  std::size_t place_of(std::uint64_t chunk) const { return static_cast<std::size_t>(chunk % (2 * depth_)); }
  ChunkMarks& marks_of(std::uint64_t chunk) { return resources_.marks[place_of(chunk)]; }
  Flight& flight_of(std::uint64_t chunk) { return flights_[place_of(chunk)]; }
  device::Stream& stream(int role, std::uint64_t chunk);
  template <class Step>
  void attempt(Flight& flight, const char* stage, Step&& step);
  void stamp(const Flight& flight, std::size_t which, device::Stream& stream);
  bool submit_graph(Flight& flight);
  Bytes launch_kernel(const Flight& flight, device::Stream& stream);
  void read_stamps(const Flight& flight);

  device::Context& context_;
  PipelineResources& resources_;
  const PipelineConfig& config_;
  const ChunkKernel& kernel_;
  PipelineEdges edges_;
  std::uint64_t depth_;
  bool roles_;
  std::vector<Flight> flights_;
  // Per flight: something was enqueued whose mark was not recorded.
  std::vector<bool> upload_unmarked_, download_unmarked_;
  std::uint64_t next_submit_ = 0, next_download_ = 0, next_consume_ = 0;
  bool origin_recorded_ = false;
  StageTimes sums_;
  std::uint64_t timed_ = 0;
  Bytes uploaded_, downloaded_;
  std::vector<StageRecord> trace_;
};

// Streams, events and device buffers of a ring; the pinned blocks come from `pool`. Throws what allocating throws.
PipelineResources make_pipeline_resources(device::Context& context, PinnedMemoryPool& pool,
                                          const PipelineConfig& config);

}  // namespace warpwright::memory
