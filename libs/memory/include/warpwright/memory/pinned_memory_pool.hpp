// A pool of pinned host memory that is fixed when it is made: an exact budget, size classes, page-aligned blocks.
//
// Why: pinning costs half a second a gigabyte and happens under a lock of the driver, so it is done once. After that,
// taking and giving back a block that is ready is lock-free and makes no system call, no driver call and no allocation.
//
// Two ways to give back, because "free" means two things. release(block) is for memory that no device work uses any
// more. release(block, stream) is for memory that enqueued copies still use: an event in the stream gates the block,
// and nobody gets it for writing before that event is done. Pools that hand memory back in stream order only, without
// that gate, let the CPU overwrite bytes which a copy engine still reads; here that is another verb, acquire_on(), and
// another type, StreamBlock, which gives the CPU no access until its event is waited for.
//
// Method: per block one word {generation:56, state:8} beside the memory, never in it, which alone says whose the block
// is. A release compares and swaps that word, so a double release, a stale handle and a foreign pointer are found in
// every build. A thread that takes again the block which it gave back last makes two atomic read-modify-writes for the
// pair (ready_blocks.hpp); other blocks go through a free-list of indices per class (free_list.hpp), three for the
// pair. There is no block that an idle or suspended thread could withhold. Statistics cost the ready path nothing: they
// are derived from the blocks' words, from the depth of the free-lists and from one timed acquisition in 64. Blocks
// whose device work cannot be proven finished (the context is lost) are quarantined: counted, and never handed out
// again.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/log.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/memory/host_memory.hpp>
#include <warpwright/memory/latency_histogram.hpp>

namespace warpwright::memory {

class PinnedMemoryPool;

struct PoolClass {
  Bytes size;               // of a block; rounded up to whole pages
  std::uint32_t count = 0;  // of blocks
};

// Classes from `smallest` to `largest` in four steps per power of two (whole pages), `count` blocks each: above 16 KiB
// a request wastes 25 % of its size at most.
std::vector<PoolClass> stepped_classes(Bytes smallest, Bytes largest, std::uint32_t count);

struct PoolConfig {
  std::vector<PoolClass> classes;
  // What all blocks together may take. Exceeding it is Error(bad_input) at construction.
  Bytes budget{};
  // For releases gated by a stream; without it they are Error(unsupported). Must outlive the pool.
  device::Context* context = nullptr;
  int max_streams = 64;                             // that releases may name while blocks of theirs are pending
  std::chrono::milliseconds close_deadline{10000};  // how long the destructor waits for gates
  LogSink log;                                      // told of misuse found in destructors, and of quarantined blocks
};

// Names one acquisition of one block: a released or reacquired block has another generation.
struct BlockHandle {
  std::uint32_t block = 0;
  std::uint64_t generation = 0;
  bool operator==(const BlockHandle&) const = default;
};

// A block that the CPU may use. Move-only; its destructor releases it (without a gate). Thread-compatible. Must not
// outlive its pool.
class PinnedBlock {
 public:
  PinnedBlock() = default;
  PinnedBlock(PinnedBlock&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)),
        block_(other.block_),
        generation_(other.generation_),
        data_(other.data_),
        size_(other.size_) {}
  PinnedBlock& operator=(PinnedBlock&& other) noexcept;
  ~PinnedBlock();

  explicit operator bool() const { return pool_ != nullptr; }
  std::byte* data() const { return data_; }
  // Of the block: at least what was asked for.
  Bytes size() const { return Bytes{size_}; }
  std::span<std::byte> bytes() const { return {data_, size_}; }
  BlockHandle handle() const { return {block_, generation_}; }
  // Gives the block out of this object's hands; it is released by handle or pointer then.
  BlockHandle detach() {
    pool_ = nullptr;
    return handle();
  }

 private:
  friend class PinnedMemoryPool;
  struct Key {};  // lets the pool alone construct a block in its place

 public:
  PinnedBlock(Key, PinnedMemoryPool& pool, std::uint32_t block, std::uint64_t generation, std::byte* data,
              std::size_t size)
      : pool_(&pool), block_(block), generation_(generation), data_(data), size_(size) {}

 private:
  PinnedMemoryPool* pool_ = nullptr;
  // Not a BlockHandle, which compilers copy as a whole: see try_acquire().
  std::uint32_t block_ = 0;
  std::uint64_t generation_ = 0;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// A block that work of one stream may use at once, although earlier device work may still use it. The CPU gets it
// through to_host() only. Move-only; its destructor gates it by the stream. One thread at a time; pool and stream must
// outlive it.
class StreamBlock {
 public:
  StreamBlock(StreamBlock&&) noexcept = default;
  StreamBlock& operator=(StreamBlock&& other) noexcept;
  ~StreamBlock();

  Bytes size() const { return block_.size(); }
  // Enqueues on the stream; throws as Stream does, and Error(bad_input) beyond the block's size.
  void copy_to_device(device::Buffer& destination, Bytes offset, Bytes size);
  void copy_to_host(const device::Buffer& source, Bytes offset, Bytes size);
  // True if no earlier device work uses it.
  bool host_ready() const { return ticket_ == nullptr || ticket_->done(); }
  // Waits for the device work that used the block before; this object's own work is the caller's to wait for.
  PinnedBlock to_host() &&;

 private:
  friend class PinnedMemoryPool;
  StreamBlock(PinnedBlock block, device::Stream& stream, device::Event* ticket, PinnedMemoryPool& pool)
      : block_(std::move(block)), stream_(&stream), ticket_(ticket), pool_(&pool) {}
  void give_back() noexcept;

  PinnedBlock block_;
  device::Stream* stream_;
  device::Event* ticket_;  // null: it was free
  PinnedMemoryPool* pool_;
};

struct PoolClassStats {
  Bytes size;
  std::uint64_t count = 0, in_use = 0, pending = 0, quarantined = 0;
  // Most blocks in use at once, pending and quarantined ones included. Exact while calls do not overlap; otherwise a
  // block that passes from one thread to another at that moment may count twice. Never above `count`.
  std::uint64_t high_water = 0;
  std::uint64_t acquired = 0;  // since construction
  std::uint64_t misses = 0;    // calls that found no block at first
  std::uint64_t waits = 0;     // calls that slept
  std::uint64_t free() const { return count - in_use - pending - quarantined; }
};

// Exact when no other thread is inside the pool; otherwise every number was true at some moment of the call.
struct PoolStats {
  std::vector<PoolClassStats> classes;
  Bytes capacity, budget, in_use, high_water;  // in_use: in use, pending and quarantined
  std::uint64_t double_releases = 0, stale_handles = 0, foreign_pointers = 0;
  LatencySnapshot acquire_latency;  // one acquisition in 64
  LatencySnapshot wait_time;        // of calls that slept
};

// A block that was not given back.
struct Leak {
  BlockHandle handle;
  Bytes size;
  std::string state;  // "in use", "pending", "quarantined"
};

// Thread-safe, except construction and destruction. try_acquire() and release() without a stream are lock-free: no
// lock, no system call, no driver call, no allocation (a release that finds waiters wakes one, which is a system call).
// release() with a stream also records an event, for which a driver may lock. acquire() and acquire_until() block.
class PinnedMemoryPool {
 public:
  // Reserves everything at once from `source`, which is not needed afterwards. Throws Error(bad_input) for no classes,
  // more than 64, a count of 0 or 2^24 and more, or classes beyond the budget, and what reserving throws.
  PinnedMemoryPool(HostMemory& source, PoolConfig config);
  // Every block must have been released; leaks are logged. Waits for gates, up to PoolConfig::close_deadline; memory
  // that device work may still use after that, or that holds a quarantined block, stays mapped for good.
  ~PinnedMemoryPool();
  PinnedMemoryPool(const PinnedMemoryPool&) = delete;
  PinnedMemoryPool& operator=(const PinnedMemoryPool&) = delete;

  // A block of the smallest class that holds `size` (never of a larger one, or the waste would be unbounded); nullopt
  // if none is ready. Throws Error(bad_input) for a size above the largest class.
  std::optional<PinnedBlock> try_acquire(Bytes size);
  // Waits for one until `deadline`; nullopt when it passes. Not fair: who asks at the right moment wins.
  std::optional<PinnedBlock> acquire_until(Bytes size, std::chrono::steady_clock::time_point deadline);
  // Waits for as long as it takes.
  PinnedBlock acquire(Bytes size);
  // A free block, or one whose gate `stream` is made to wait for, on the device. nullopt if there is neither.
  std::optional<StreamBlock> acquire_on(Bytes size, device::Stream& stream);

  // Throws Error(conflict) for a block that is released already ("double release") or taken again since ("stale
  // handle"), Error(bad_input) for one that is not this pool's ("foreign pointer").
  void release(PinnedBlock&& block);
  void release(BlockHandle handle);
  // For code that kept the pointer only. A pointer cannot tell whether its block was released and taken by another.
  void release(std::byte* pointer);
  // The block becomes free when what is enqueued on `stream` now has ended. If the event cannot be recorded the block
  // is quarantined and the error passed on.
  void release(PinnedBlock&& block, device::Stream& stream);
  void release(StreamBlock&& block);
  // Never to be handed out again: for a block whose device work cannot be proven finished.
  void quarantine(PinnedBlock&& block);

  // Frees gated blocks whose events are done. Called by the verbs above when it helps; asks the driver.
  void drain();
  // Waits for the gates of all blocks; those that fail are quarantined. False if `deadline` passed before.
  bool wait_for_gates(std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max());

  Bytes capacity() const { return capacity_; }
  const RegionReport& region() const { return region_->report(); }
  PoolStats stats() const;
  // What is not free now.
  std::vector<Leak> leaks() const;

 private:
  friend class PinnedBlock;
  friend class StreamBlock;
  struct SizeClass;
  struct Shape;
  struct Gate;
  struct Side;

  SizeClass& class_for(Bytes size) const;
  std::optional<PinnedBlock> take(SizeClass& size_class);
  std::optional<PinnedBlock> make_block(const SizeClass& size_class, std::uint32_t block, std::uint64_t generation);
  void check_range(BlockHandle handle);
  void change_state(BlockHandle handle, std::uint8_t to);
  void set_state(std::uint32_t block, std::uint64_t generation, std::uint8_t to);
  void wake(std::uint32_t block);
  void release_slowly(BlockHandle handle);
  std::optional<PinnedBlock> try_acquire_slowly(Bytes size);
  void make_free(std::uint32_t block);
  void quarantine_block(std::uint32_t block, std::string_view why) noexcept;
  Error refuse(BlockHandle handle);
  BlockHandle handle_of(std::byte* pointer);
  SizeClass& class_of(std::uint32_t block) const;
  Gate& gate_for(const device::Stream& stream);
  bool drain(Gate& gate, std::size_t most);
  void take_over_incoming(Gate& gate) noexcept;
  void take_out(Gate& gate, std::uint32_t block, std::uint32_t before) noexcept;
  std::optional<StreamBlock> take_pending(Gate& gate, SizeClass& size_class, device::Stream& stream);
  void note_misuse(const char* where, const char* what) const noexcept;

  PoolConfig config_;
  Bytes capacity_{};
  std::unique_ptr<HostRegion> region_;
  std::byte* base_ = nullptr;
  std::unique_ptr<Side> side_;
};

}  // namespace warpwright::memory
