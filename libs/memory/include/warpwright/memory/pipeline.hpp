// What a transfer pipeline works on: chunks, where they come from and go to, the kernel between, and the ring's shape.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include <warpwright/base/units.hpp>
#include <warpwright/device/context.hpp>

namespace warpwright::memory {

// How the work of a chunk is spread over streams.
enum class PipelineVariant {
  role_streams,     // streams for uploads, for kernels and for downloads; events between them
  stream_per_slot,  // one stream per slot of the ring holds all three steps of its chunks; no events between streams
  graph             // as stream_per_slot, the three steps recorded once per slot and launched as one graph
};
std::string_view to_string(PipelineVariant variant) noexcept;
std::optional<PipelineVariant> parse_pipeline_variant(std::string_view text);

// What a failed chunk means for the others.
enum class ErrorPolicy {
  abort,  // no more chunks are taken in; those before it are delivered, those behind it are cancelled
  skip    // the others go on; the sink does not see the failed one
};

enum class WaitMode {
  block,  // sleeps in the driver until the awaited event
  poll    // asks again and again: a core for the shortest reaction, and the only mode with a stall deadline
};

struct PipelineConfig {
  Bytes chunk{std::uint64_t{8} << 20};  // most input bytes of a chunk
  Bytes output_chunk{};                 // most output bytes of a chunk; 0: as many as `chunk`
  int depth = 3;                        // slots of the ring
  PipelineVariant variant = PipelineVariant::role_streams;
  // One kernel after the other, in the order of the chunks: for kernels that keep something from chunk to chunk, or
  // that share memory beside the buffers of their chunk. Otherwise the last blocks of one chunk's kernel may run
  // together with the first of the next one's. Needs role_streams.
  bool ordered_kernels = false;
  // The kernel writes its result over its input: one device buffer a slot instead of two.
  bool in_place = false;
  ErrorPolicy on_error = ErrorPolicy::abort;
  WaitMode wait = WaitMode::block;
  // Source and sink run in a thread of their own each, so that a chunk is filled while others are submitted and
  // delivered. Worth it where they copy or compute; not where they write a few bytes.
  bool helper_threads = false;
  // One chunk in this many is stamped with timing events (each costs the driver microseconds); 0: none. A trace stamps
  // all.
  int timed_every = 16;
  bool trace = false;
  // Without progress for so long the run is abandoned with Error(timeout). Needs WaitMode::poll.
  std::optional<Nanoseconds> stall_deadline;

  Bytes input_bytes() const { return chunk; }
  Bytes output_bytes() const { return output_chunk.count == 0 ? chunk : output_chunk; }
};

// Both are exact: nothing beyond them is ever allocated, and a configuration that needs more is refused.
struct MemoryBudget {
  Bytes pinned, device;
};

// What a ring of this shape takes; pinned blocks are whole pages.
MemoryBudget ring_bytes(const PipelineConfig& config);

// One chunk as the kernel's callable sees it. Valid during the call only.
struct ChunkWork {
  device::Stream& stream;  // enqueue here and nowhere else, and do not wait
  std::uint64_t chunk;     // 0, 1, ...; in a graph that of the first chunk of its slot
  int slot;
  device::Buffer& input;
  device::Buffer& output;  // the same as `input` where the pipeline is in place
  Bytes input_size;
  Bytes output_size;  // by default input_size (at most what an output slot holds); the callable may change it
};
// Enqueues the kernel of a chunk. What it throws fails the chunk. Called by the thread that runs the pipeline.
using ChunkKernel = std::function<void(ChunkWork&)>;

// Where chunks come from. Called by one thread at a time.
class ChunkSource {
 public:
  virtual ~ChunkSource() = default;
  // Writes chunk number `chunk` straight into pinned memory and says how many bytes it has (0 is a chunk of no bytes);
  // nullopt when there are no more. What it throws ends the intake.
  virtual std::optional<Bytes> fill(std::uint64_t chunk, std::span<std::byte> slot) = 0;
};

// Where results go, in order. Called by one thread at a time.
class ChunkSink {
 public:
  virtual ~ChunkSink() = default;
  // `result` lies in pinned memory and is valid during the call. What it throws fails the chunk.
  virtual void consume(std::uint64_t chunk, std::span<const std::byte> result) = 0;
};

// Copies from memory that must outlive the source, `chunk` bytes at a time, with `threads` threads.
std::unique_ptr<ChunkSource> span_source(std::span<const std::byte> bytes, int threads = 1);
// Reads a file, a slot's size at a time. Throws Error(not_found) or Error(io) naming it.
std::unique_ptr<ChunkSource> file_source(const std::filesystem::path& path);
std::unique_ptr<ChunkSource> generator_source(
    std::function<std::optional<Bytes>(std::uint64_t chunk, std::span<std::byte> slot)> generate);

// Copies into memory that must outlive the sink; Error(bad_input) when it is full.
std::unique_ptr<ChunkSink> span_sink(std::span<std::byte> bytes, int threads = 1);
// Writes a file, created or emptied at once. Throws Error with path_error_code(), naming it. What reached the disk is
// the system's to say.
std::unique_ptr<ChunkSink> file_sink(const std::filesystem::path& path);
std::unique_ptr<ChunkSink> callback_sink(
    std::function<void(std::uint64_t chunk, std::span<const std::byte> result)> use);

}  // namespace warpwright::memory
