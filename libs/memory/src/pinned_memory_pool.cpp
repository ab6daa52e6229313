#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <fmt/format.h>
#include <mutex>
#include <new>
#include <thread>

#include <warpwright/memory/pinned_memory_pool.hpp>
#include <warpwright/memory/ready_blocks.hpp>

namespace warpwright::memory {
namespace {

constexpr std::size_t most_classes = 64;
// Two readings of the clock cost as much as an acquisition: one in 64 is timed.
constexpr std::uint64_t timed_every = 64;
// Gated releases until one of them looks whether gates have opened, and how many it frees at most.
constexpr std::uint32_t drain_every = 16;
constexpr std::size_t drain_batch = 64;
// How long a waiter sleeps while gates may open: nobody is told when an event is done.
constexpr std::chrono::microseconds gate_poll{50};

const char* name_of(std::uint8_t state) {
  switch (state) {
    case state_used:
      return "in use";
    case state_pending:
      return "pending";
    case state_quarantined:
      return "quarantined";
    default:
      return "free";
  }
}

std::uint64_t whole_pages(std::uint64_t bytes) {
  return std::max<std::uint64_t>(1, (bytes + page_size - 1) / page_size) * page_size;
}

// Names the calling thread while it lives.
std::uintptr_t this_thread() {
  // Initial-exec: the default of position-independent code calls a function for every access.
  [[gnu::tls_model("initial-exec")]] static thread_local char here;
  return reinterpret_cast<std::uintptr_t>(&here);
}

}  // namespace

// ---- parts ----------------------------------------------------------------------------------------------------------

struct PinnedMemoryPool::SizeClass {
  SizeClass(std::size_t block_size, std::uint32_t first_block, std::uint32_t block_count, std::byte* begin,
            std::atomic<std::uint64_t>* links)
      : ready(first_block, block_count, links), size(block_size), base(begin) {}

  ReadyBlocks::Class ready;
  std::size_t size;
  std::byte* base;
  std::atomic<std::uint64_t> misses{0}, waits{0};

  // Waiting. The epoch tells a waiter that a block came back after it had looked.
  std::atomic<std::uint32_t> waiters{0};
  std::mutex mutex;
  std::condition_variable freed;
  std::uint64_t epoch = 0;
};

struct PinnedMemoryPool::Gate {
  std::atomic<const device::Stream*> stream{nullptr};
  // Released blocks, newest first: pushed by anyone, taken all at once by whoever drains.
  std::atomic<std::uint32_t> incoming{ReadyBlocks::none};
  std::atomic<std::uint32_t> pending{0};
  std::atomic<std::uint32_t> releases{0};
  std::mutex draining;  // tried on the fast paths, never waited for there

  // Guarded by `draining`: what was taken over, oldest first, linked through Side::gate_links as the incoming ones are.
  // Linked and not in a container, because blocks between two lists would be lost if that container could not grow.
  std::uint32_t oldest = ReadyBlocks::none, newest = ReadyBlocks::none;
};

// What every operation must know of a class, without the rest between.
struct PinnedMemoryPool::Shape {
  std::uint64_t size;
  std::uint32_t first, count;
  std::byte* base;
  SizeClass* rest;
};

// Everything beside the memory itself.
struct PinnedMemoryPool::Side {
  Side(std::uint32_t block_count, std::size_t gate_count)
      : blocks(block_count),
        states(ReadyBlocks::state_count(block_count)),
        links(block_count),
        ready(states.data(), block_count, slots.data()),
        gate_links(block_count),
        gates(gate_count) {}

  std::uint64_t word_of(std::uint32_t block) const { return ready.state(block).load(std::memory_order_acquire); }

  // Of the smallest class that holds `size`; null if none does.
  const Shape* shape_for(std::uint64_t size) const {
    const Shape* shape = shapes.data();
    for (std::size_t left = shapes.size(); left > 1; left -= left / 2)
      shape += shape[left / 2 - 1].size < size ? left / 2 : 0;
    return shape->size < size ? nullptr : shape;
  }
  const Shape& shape_of(std::uint32_t block) const {
    const Shape* shape = shapes.data();
    for (std::size_t left = shapes.size(); left > 1; left -= left / 2)
      shape += shape[left / 2].first <= block ? left / 2 : 0;
    return *shape;
  }

  std::deque<SizeClass> classes;  // by size; a deque, because classes do not move
  std::vector<Shape> shapes;      // of the classes, by size
  std::uint32_t blocks;
  std::vector<std::atomic<std::uint64_t>> states;
  std::vector<std::atomic<std::uint64_t>> links;  // of the free-lists
  std::array<ReadyBlocks::Slot, ReadyBlocksRules::slots> slots;
  ReadyBlocks ready;
  std::vector<std::atomic<std::uint32_t>> gate_links;  // of Gate::incoming and Gate::oldest; a block is in one of them
  std::vector<std::unique_ptr<device::Event>> events;  // of gated releases, one per block; empty without a context
  std::vector<Gate> gates;
  std::atomic<std::uint64_t> double_releases{0}, stale_handles{0}, foreign_pointers{0};
  LatencyHistogram acquire_latency, wait_time;
};

// ---- blocks ---------------------------------------------------------------------------------------------------------

PinnedBlock& PinnedBlock::operator=(PinnedBlock&& other) noexcept {
  if (this == &other) return *this;
  PinnedBlock old(std::move(*this));
  pool_ = std::exchange(other.pool_, nullptr);
  block_ = other.block_;
  generation_ = other.generation_;
  data_ = other.data_;
  size_ = other.size_;
  return *this;
}

PinnedBlock::~PinnedBlock() {
  if (pool_ == nullptr) return;
  PinnedMemoryPool& pool = *std::exchange(pool_, nullptr);
  try {
    pool.release(handle());
  } catch (const std::exception& error) {
    pool.note_misuse("a block's destructor", error.what());
  }
}

StreamBlock& StreamBlock::operator=(StreamBlock&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  block_ = std::move(other.block_);
  stream_ = other.stream_;
  ticket_ = other.ticket_;
  pool_ = other.pool_;
  return *this;
}

StreamBlock::~StreamBlock() { give_back(); }

void StreamBlock::give_back() noexcept {
  if (!block_) return;
  try {
    pool_->release(std::move(block_), *stream_);
  } catch (const std::exception& error) {
    pool_->note_misuse("the destructor of a stream's block", error.what());
  }
}

void StreamBlock::copy_to_device(device::Buffer& destination, Bytes offset, Bytes size) {
  if (size > block_.size())
    throw Error(ErrorCode::bad_input,
                fmt::format("cannot copy {} from a block of {}", format_bytes(size), format_bytes(block_.size())));
  stream_->copy_to_device(destination, offset, block_.bytes().first(size.count));
}

void StreamBlock::copy_to_host(const device::Buffer& source, Bytes offset, Bytes size) {
  if (size > block_.size())
    throw Error(ErrorCode::bad_input,
                fmt::format("cannot copy {} into a block of {}", format_bytes(size), format_bytes(block_.size())));
  stream_->copy_to_host(block_.bytes().first(size.count), source, offset);
}

PinnedBlock StreamBlock::to_host() && {
  if (ticket_ != nullptr) ticket_->synchronize();
  ticket_ = nullptr;
  return std::move(block_);
}

// ---- construction ---------------------------------------------------------------------------------------------------

std::vector<PoolClass> stepped_classes(Bytes smallest, Bytes largest, std::uint32_t count) {
  if (smallest.count == 0 || largest < smallest)
    throw Error(ErrorCode::bad_input, "classes of a pool: the smallest must be positive and not above the largest");
  std::vector<PoolClass> classes;
  std::uint64_t octave = page_size;
  while (octave * 2 <= smallest.count) octave *= 2;
  for (bool last = false; !last; octave *= 2) {
    for (std::uint64_t step = 4; step < 8 && !last; ++step) {
      const std::uint64_t size = whole_pages(octave / 4 * step);
      if (size < smallest.count || (!classes.empty() && classes.back().size.count == size)) continue;
      classes.push_back({Bytes{size}, count});
      last = size >= largest.count;
    }
  }
  return classes;
}

PinnedMemoryPool::PinnedMemoryPool(HostMemory& source, PoolConfig config) : config_(std::move(config)) {
  auto& classes = config_.classes;
  if (classes.empty() || classes.size() > most_classes)
    throw Error(ErrorCode::bad_input,
                fmt::format("a pool has 1 to {} classes of blocks, not {}", most_classes, classes.size()));
  std::uint64_t blocks = 0, bytes = 0;
  for (auto& each : classes) {
    if (each.count == 0 || each.count >= ReadyBlocks::none)
      throw Error(ErrorCode::bad_input, fmt::format("the class of {} has {} blocks; it may have 1 to {}",
                                                    format_bytes(each.size), each.count, ReadyBlocks::none - 1));
    // Also keeps rounding to pages from passing the end of the numbers.
    if (each.size.count > std::min(config_.budget.count, ~std::uint64_t{0} >> 1))
      throw Error(ErrorCode::bad_input, fmt::format("blocks of {} exceed the budget of {} of pinned memory",
                                                    format_bytes(each.size), format_bytes(config_.budget)));
    each.size = Bytes{whole_pages(each.size.count)};
    blocks += each.count;
    const std::uint64_t room = config_.budget.count - bytes;
    if (each.size.count > room / each.count)
      throw Error(ErrorCode::bad_input,
                  fmt::format("{} blocks of {} do not fit into the budget of {} of pinned memory; "
                              "{} bytes of it are left",
                              each.count, format_bytes(each.size), format_bytes(config_.budget), room));
    bytes += each.size.count * each.count;
  }
  if (blocks >= ReadyBlocks::none)
    throw Error(ErrorCode::bad_input, fmt::format("a pool of {} blocks: too many", blocks));
  std::sort(classes.begin(), classes.end(), [](const auto& a, const auto& b) { return a.size < b.size; });
  for (std::size_t i = 1; i < classes.size(); ++i)
    if (classes[i].size == classes[i - 1].size)
      throw Error(ErrorCode::bad_input,
                  fmt::format("two classes of a pool hold blocks of {}", format_bytes(classes[i].size)));
  if (config_.max_streams < 1) throw Error(ErrorCode::bad_input, "a pool must serve one stream at least: max_streams");

  capacity_ = Bytes{bytes};
  side_ = std::make_unique<Side>(static_cast<std::uint32_t>(blocks), static_cast<std::size_t>(config_.max_streams));
  if (config_.context != nullptr)
    for (std::uint64_t i = 0; i < blocks; ++i) side_->events.push_back(config_.context->create_ordering_event());
  region_ = source.reserve(capacity_);
  base_ = region_->bytes().data();
  std::uint32_t first = 0;
  std::byte* begin = base_;
  for (const auto& each : classes) {
    auto& size_class =
        side_->classes.emplace_back(each.size.count, first, each.count, begin, side_->links.data() + first);
    side_->shapes.push_back({each.size.count, first, each.count, begin, &size_class});
    // Pushed last to first, so that the lowest addresses are used first and stay hot.
    for (std::uint32_t i = each.count; i-- > 0;) side_->ready.put(size_class.ready, first + i);
    first += each.count;
    begin += each.size.count * each.count;
  }
}

namespace {

// Keeps what a copy engine may still write to for the rest of the process: memory that stays in use does less harm than
// another allocation at the same address. Kept and not dropped, so that leak checkers see it reachable.
void abandon(std::unique_ptr<HostRegion> region, std::vector<std::unique_ptr<device::Event>> events) noexcept {
  struct Kept {
    std::unique_ptr<HostRegion> region;
    std::vector<std::unique_ptr<device::Event>> events;
    Kept* next;
  };
  static std::atomic<Kept*> first{nullptr};
  auto* const kept = new (std::nothrow) Kept{std::move(region), std::move(events), nullptr};
  if (kept == nullptr) {
    static_cast<void>(region.release());
    for (auto& event : events) static_cast<void>(event.release());
    return;
  }
  kept->next = first.load(std::memory_order_relaxed);
  while (!first.compare_exchange_weak(kept->next, kept, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

}  // namespace

PinnedMemoryPool::~PinnedMemoryPool() {
  try {
    const bool opened = wait_for_gates(std::chrono::steady_clock::now() + config_.close_deadline);
    bool quarantined = false;
    for (const auto& leak : leaks()) {
      quarantined = quarantined || state_of(side_->word_of(leak.handle.block)) == state_quarantined;
      log_to(config_.log, LogLevel::warning,
             fmt::format("pinned pool: block {} ({}) was {} when the pool was destroyed", leak.handle.block,
                         format_bytes(leak.size), leak.state));
    }
    if (opened && !quarantined) return;
    abandon(std::move(region_), std::move(side_->events));
    log_to(
        config_.log, LogLevel::error,
        fmt::format("pinned pool: {} stay mapped, because device work on them has not ended", format_bytes(capacity_)));
  } catch (const std::exception&) {
    // Nothing is lost but the report.
  }
}

// ---- acquire --------------------------------------------------------------------------------------------------------

PinnedMemoryPool::SizeClass& PinnedMemoryPool::class_for(Bytes size) const {
  if (const Shape* const shape = side_->shape_for(size.count)) return *shape->rest;
  throw Error(ErrorCode::bad_input, fmt::format("no block of {}: the largest class of this pool has {}",
                                                format_bytes(size), format_bytes(Bytes{side_->shapes.back().size})));
}

PinnedMemoryPool::SizeClass& PinnedMemoryPool::class_of(std::uint32_t block) const {
  return *side_->shape_of(block).rest;
}

std::optional<PinnedBlock> PinnedMemoryPool::make_block(const SizeClass& size_class, std::uint32_t block,
                                                        std::uint64_t generation) {
  std::byte* const data = size_class.base + static_cast<std::size_t>(block - size_class.ready.first) * size_class.size;
  return std::optional<PinnedBlock>(std::in_place, PinnedBlock::Key{}, *this, block, generation, data, size_class.size);
}

std::optional<PinnedBlock> PinnedMemoryPool::take(SizeClass& size_class) {
  ReadyBlocks& ready = side_->ready;
  const ReadyBlocks::Slot* const own = ready.slot_of(this_thread());
  const auto guess =
      own == nullptr ? ReadyBlocks::Taken{} : ready.own_block(size_class.ready.first, size_class.ready.count, *own);
  // Numbers that change with every acquisition anyway choose the ones that are timed.
  const bool timed = (guess ? guess.generation : size_class.ready.list.pops()) % timed_every == 0;
  const auto begin = timed ? std::chrono::steady_clock::now() : std::chrono::steady_clock::time_point{};
  auto taken = guess;
  if (!guess || !ready.take_own(guess)) taken = ready.take_listed(size_class.ready);
  if (timed && taken) [[unlikely]]
    side_->acquire_latency.add(std::chrono::steady_clock::now() - begin);
  if (!taken) return std::nullopt;
  return make_block(size_class, taken.block, taken.generation);
}

// Here and in release() lies what most calls need and no more, and the block is made where the caller gets it: an
// atomic read-modify-write waits for every store before it, and a copy of a handle that was just written stalls on x86
// (its parts are stored apart and loaded together). With a copy the pair took half as long again.
std::optional<PinnedBlock> PinnedMemoryPool::try_acquire(Bytes size) {
  ReadyBlocks& ready = side_->ready;
  if (const Shape* const shape = side_->shape_for(size.count)) [[likely]]
    if (const auto* const own = ready.likely_slot(this_thread())) [[likely]]
      if (const auto guess = ready.own_block(shape->first, shape->count, *own);
          guess && guess.generation % timed_every != 0 && ready.take_own(guess)) [[likely]]
        return std::optional<PinnedBlock>(std::in_place, PinnedBlock::Key{}, *this, guess.block, guess.generation,
                                          shape->base + std::size_t{guess.block - shape->first} * shape->size,
                                          shape->size);
  return try_acquire_slowly(size);
}

std::optional<PinnedBlock> PinnedMemoryPool::try_acquire_slowly(Bytes size) {
  SizeClass& size_class = class_for(size);
  std::optional<PinnedBlock> block = take(size_class);  // returned from where it is: copies of it stall
  if (block) [[likely]]
    return block;
  size_class.misses.fetch_add(1, std::memory_order_relaxed);
  if (side_->events.empty()) return block;
  drain();
  block = take(size_class);
  return block;
}

std::optional<PinnedBlock> PinnedMemoryPool::acquire_until(Bytes size, std::chrono::steady_clock::time_point deadline) {
  if (auto block = try_acquire(size)) return block;
  SizeClass& size_class = class_for(size);
  const auto begin = std::chrono::steady_clock::now();
  size_class.waits.fetch_add(1, std::memory_order_relaxed);
  // From here on every release sees a waiter, or its block is seen by the look that follows.
  size_class.waiters.fetch_add(1, std::memory_order_seq_cst);
  side_->ready.enter_wait();
  struct Leave {
    SizeClass& each;
    ReadyBlocks& ready;
    ~Leave() {
      ready.leave_wait();
      each.waiters.fetch_sub(1, std::memory_order_relaxed);
    }
  } leave{size_class, side_->ready};
  for (;;) {
    std::uint64_t seen = 0;
    {
      const std::lock_guard lock(size_class.mutex);
      seen = size_class.epoch;
    }
    drain();
    auto block = take(size_class);
    const auto now = std::chrono::steady_clock::now();
    if (block || now >= deadline) {
      side_->wait_time.add(now - begin);
      return block;
    }
    const bool gates = std::any_of(side_->gates.begin(), side_->gates.end(),
                                   [](const Gate& gate) { return gate.pending.load(std::memory_order_acquire) > 0; });
    auto until = deadline;
    if (gates && deadline - now > gate_poll) until = now + gate_poll;
    std::unique_lock lock(size_class.mutex);
    const auto changed = [&] { return size_class.epoch != seen; };
    if (until == std::chrono::steady_clock::time_point::max())
      size_class.freed.wait(lock, changed);
    else
      size_class.freed.wait_until(lock, until, changed);
  }
}

PinnedBlock PinnedMemoryPool::acquire(Bytes size) {
  return *acquire_until(size, std::chrono::steady_clock::time_point::max());
}

// ---- release --------------------------------------------------------------------------------------------------------

Error PinnedMemoryPool::refuse(BlockHandle handle) {
  const std::uint64_t word = side_->word_of(handle.block);
  const Bytes size{class_of(handle.block).size};
  if (generation_of(word) != handle.generation) {
    side_->stale_handles.fetch_add(1, std::memory_order_relaxed);
    return Error(
        ErrorCode::conflict,
        fmt::format("stale handle: block {} ({}) is at acquisition {}, the handle names acquisition {}; it was "
                    "released and taken again meanwhile",
                    handle.block, format_bytes(size), generation_of(word), handle.generation));
  }
  side_->double_releases.fetch_add(1, std::memory_order_relaxed);
  return Error(ErrorCode::conflict, fmt::format("double release: block {} ({}) is {} already", handle.block,
                                                format_bytes(size), name_of(state_of(word))));
}

void PinnedMemoryPool::check_range(BlockHandle handle) {
  if (handle.block < side_->blocks) [[likely]]
    return;
  side_->foreign_pointers.fetch_add(1, std::memory_order_relaxed);
  throw Error(ErrorCode::bad_input, fmt::format("foreign handle: this pool has {} blocks, the handle names block {}",
                                                side_->blocks, handle.block));
}

void PinnedMemoryPool::change_state(BlockHandle handle, std::uint8_t to) {
  check_range(handle);
  if (!side_->ready.change_state(handle.block, handle.generation, to)) throw refuse(handle);
}

// The owner of a block in a state that no other thread changes.
void PinnedMemoryPool::set_state(std::uint32_t block, std::uint64_t generation, std::uint8_t to) {
  side_->ready.state(block).store(pack_state(generation, to), std::memory_order_release);
}

void PinnedMemoryPool::wake(std::uint32_t block) {
  SizeClass& size_class = class_of(block);
  if (size_class.waiters.load(std::memory_order_acquire) == 0) return;
  {
    const std::lock_guard lock(size_class.mutex);
    ++size_class.epoch;
  }
  size_class.freed.notify_one();
}

void PinnedMemoryPool::make_free(std::uint32_t block) {
  side_->ready.put(class_of(block).ready, block);
  if (side_->ready.someone_waits()) wake(block);
}

void PinnedMemoryPool::release(BlockHandle handle) {
  ReadyBlocks& ready = side_->ready;
  if (handle.block < side_->blocks) [[likely]]
    if (const auto* const own = ready.likely_slot(this_thread())) [[likely]]
      if (ready.give_own(handle.block, handle.generation, *own)) [[likely]] {
        if (ready.someone_waits()) [[unlikely]]
          wake(handle.block);
        return;
      }
  release_slowly(handle);
}

void PinnedMemoryPool::release_slowly(BlockHandle handle) {
  check_range(handle);
  ReadyBlocks& ready = side_->ready;
  const auto lists = [&](std::uint32_t block) -> ReadyBlocks::Class& { return class_of(block).ready; };
  if (!ready.give(handle.block, handle.generation, ready.slot_of(this_thread()), lists)) throw refuse(handle);
  if (ready.someone_waits()) wake(handle.block);
}

void PinnedMemoryPool::release(PinnedBlock&& block) {
  if (!block) throw Error(ErrorCode::bad_input, "an empty block cannot be released");
  if (block.pool_ != this) {
    side_->foreign_pointers.fetch_add(1, std::memory_order_relaxed);
    throw Error(ErrorCode::bad_input, "foreign pointer: this block belongs to another pool");
  }
  release(block.detach());
}

BlockHandle PinnedMemoryPool::handle_of(std::byte* pointer) {
  const auto foreign = [&](std::string text) {
    side_->foreign_pointers.fetch_add(1, std::memory_order_relaxed);
    return Error(ErrorCode::bad_input, "foreign pointer: " + std::move(text));
  };
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  const auto begin = reinterpret_cast<std::uintptr_t>(base_);
  if (address < begin || address >= begin + capacity_.count)
    throw foreign(fmt::format("{} lies outside this pool", static_cast<const void*>(pointer)));
  const auto after =
      std::upper_bound(side_->classes.begin(), side_->classes.end(), pointer,
                       [](const std::byte* wanted, const SizeClass& each) { return wanted < each.base; });
  const SizeClass& size_class = *std::prev(after);
  const auto offset = static_cast<std::size_t>(pointer - size_class.base);
  if (offset % size_class.size != 0)
    throw foreign(fmt::format("{} points {} bytes into a block of {}, not at its beginning",
                              static_cast<const void*>(pointer), offset % size_class.size,
                              format_bytes(Bytes{size_class.size})));
  const auto block = size_class.ready.first + static_cast<std::uint32_t>(offset / size_class.size);
  return {block, generation_of(side_->word_of(block))};
}

void PinnedMemoryPool::release(std::byte* pointer) { release(handle_of(pointer)); }

void PinnedMemoryPool::quarantine_block(std::uint32_t block, std::string_view why) noexcept {
  set_state(block, generation_of(side_->word_of(block)), state_quarantined);
  try {
    log_to(config_.log, LogLevel::warning,
           fmt::format("pinned pool: block {} ({}) is quarantined: {}", block,
                       format_bytes(Bytes{class_of(block).size}), why));
  } catch (...) {
    // A sink that throws must not keep the blocks after this one from being dealt with.
  }
}

void PinnedMemoryPool::quarantine(PinnedBlock&& block) {
  if (!block || block.pool_ != this)
    throw Error(ErrorCode::bad_input, "foreign pointer: this block is not of this pool");
  const BlockHandle handle = block.detach();
  change_state(handle, state_quarantined);
  quarantine_block(handle.block, "its device work cannot be proven finished");
}

// ---- gates ----------------------------------------------------------------------------------------------------------

// A stream that dies and another that gets its address share a gate. That is harmless: only the oldest event is asked
// for, so a block may wait longer than it must, never shorter.
PinnedMemoryPool::Gate& PinnedMemoryPool::gate_for(const device::Stream& stream) {
  for (Gate& gate : side_->gates)
    if (gate.stream.load(std::memory_order_acquire) == &stream) return gate;
  for (Gate& gate : side_->gates) {
    const device::Stream* expected = nullptr;
    if (gate.stream.compare_exchange_strong(expected, &stream, std::memory_order_acq_rel) || expected == &stream)
      return gate;
  }
  // All are named: one without pending blocks is no longer needed by its stream.
  for (Gate& gate : side_->gates) {
    const device::Stream* owner = gate.stream.load(std::memory_order_acquire);
    if (gate.pending.load(std::memory_order_acquire) == 0 &&
        gate.stream.compare_exchange_strong(owner, &stream, std::memory_order_acq_rel))
      return gate;
  }
  throw Error(
      ErrorCode::conflict,
      fmt::format("blocks are pending on {} streams already; raise PoolConfig::max_streams", side_->gates.size()));
}

void PinnedMemoryPool::release(PinnedBlock&& block, device::Stream& stream) {
  if (!block || block.pool_ != this)
    throw Error(ErrorCode::bad_input, "foreign pointer: this block is not of this pool");
  if (side_->events.empty())
    throw Error(ErrorCode::unsupported,
                "this pool has no device context, so a stream cannot gate a release: set PoolConfig::context");
  Gate& gate = gate_for(stream);
  const BlockHandle handle = block.detach();
  change_state(handle, state_pending);
  try {
    stream.record(*side_->events[handle.block]);
  } catch (const Error& error) {
    quarantine_block(handle.block, error.message());
    throw;
  } catch (...) {
    quarantine_block(handle.block, "no event could be recorded behind its device work");
    throw;
  }
  gate.pending.fetch_add(1, std::memory_order_acq_rel);
  std::uint32_t newest = gate.incoming.load(std::memory_order_relaxed);
  do {
    side_->gate_links[handle.block].store(newest, std::memory_order_relaxed);
  } while (
      !gate.incoming.compare_exchange_weak(newest, handle.block, std::memory_order_release, std::memory_order_relaxed));
  if (gate.releases.fetch_add(1, std::memory_order_relaxed) % drain_every == drain_every - 1) drain(gate, drain_batch);
}

void PinnedMemoryPool::release(StreamBlock&& block) { release(std::move(block.block_), *block.stream_); }

// The caller holds gate.draining. Allocates nothing and cannot fail.
void PinnedMemoryPool::take_over_incoming(Gate& gate) noexcept {
  auto& links = side_->gate_links;
  std::uint32_t block = gate.incoming.exchange(ReadyBlocks::none, std::memory_order_acquire);
  if (block == ReadyBlocks::none) return;
  const std::uint32_t newest = block;
  // Newest first as they come, oldest first as they are kept.
  std::uint32_t oldest = ReadyBlocks::none;
  while (block != ReadyBlocks::none) {
    const std::uint32_t older = links[block].exchange(oldest, std::memory_order_relaxed);
    oldest = std::exchange(block, older);
  }
  if (gate.oldest == ReadyBlocks::none) {
    gate.oldest = oldest;
  } else {
    links[gate.newest].store(oldest, std::memory_order_relaxed);
  }
  gate.newest = newest;
}

// The caller holds gate.draining, and `before` is the block before it in the queue, or none for the oldest.
void PinnedMemoryPool::take_out(Gate& gate, std::uint32_t block, std::uint32_t before) noexcept {
  auto& links = side_->gate_links;
  const std::uint32_t after = links[block].load(std::memory_order_relaxed);
  if (before == ReadyBlocks::none) {
    gate.oldest = after;
  } else {
    links[before].store(after, std::memory_order_relaxed);
  }
  if (gate.newest == block) gate.newest = before;
  gate.pending.fetch_sub(1, std::memory_order_acq_rel);
}

bool PinnedMemoryPool::drain(Gate& gate, std::size_t most) {
  if (gate.pending.load(std::memory_order_acquire) == 0) return true;
  const std::unique_lock lock(gate.draining, std::try_to_lock);
  if (!lock) return false;  // somebody is at it
  take_over_incoming(gate);
  for (; most > 0 && gate.oldest != ReadyBlocks::none; --most) {
    const std::uint32_t block = gate.oldest;
    try {
      if (!side_->events[block]->done()) return true;
    } catch (const Error& error) {
      // The driver cannot tell whether the copies have ended, now or ever.
      while (gate.oldest != ReadyBlocks::none) {
        const std::uint32_t unknown = gate.oldest;
        take_out(gate, unknown, ReadyBlocks::none);
        quarantine_block(unknown, error.message());
      }
      return true;
    }
    take_out(gate, block, ReadyBlocks::none);
    set_state(block, generation_of(side_->word_of(block)), state_free);
    make_free(block);
  }
  return true;
}

void PinnedMemoryPool::drain() {
  for (Gate& gate : side_->gates) drain(gate, drain_batch);
}

bool PinnedMemoryPool::wait_for_gates(std::chrono::steady_clock::time_point deadline) {
  for (std::uint64_t round = 0;; ++round) {
    bool open = true;
    for (Gate& gate : side_->gates) {
      drain(gate, side_->blocks);
      open = open && gate.pending.load(std::memory_order_acquire) == 0;
    }
    if (open) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    // Most gates open within microseconds; a long copy is not worth a core.
    if (round < 1000)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(gate_poll);
  }
}

std::optional<StreamBlock> PinnedMemoryPool::take_pending(Gate& gate, SizeClass& size_class, device::Stream& stream) {
  if (gate.pending.load(std::memory_order_acquire) == 0) return std::nullopt;
  const std::lock_guard lock(gate.draining);
  take_over_incoming(gate);
  std::uint32_t block = gate.oldest, before = ReadyBlocks::none;
  while (block != ReadyBlocks::none && &class_of(block) != &size_class)
    before = std::exchange(block, side_->gate_links[block].load(std::memory_order_relaxed));
  if (block == ReadyBlocks::none) return std::nullopt;
  device::Event* const event = side_->events[block].get();
  // Also in the stream that gated it, where the order is there already: the gate may hold blocks of a stream that had
  // this one's address before.
  stream.wait(*event);
  take_out(gate, block, before);
  const std::uint64_t generation = generation_of(side_->word_of(block)) + 1;
  set_state(block, generation, state_used);
  return StreamBlock(*make_block(size_class, block, generation), stream, event, *this);
}

std::optional<StreamBlock> PinnedMemoryPool::acquire_on(Bytes size, device::Stream& stream) {
  SizeClass& size_class = class_for(size);
  if (side_->events.empty())
    throw Error(ErrorCode::unsupported,
                "this pool has no device context, so blocks cannot follow a stream: set PoolConfig::context");
  if (auto block = take(size_class)) return StreamBlock(std::move(*block), stream, nullptr, *this);
  size_class.misses.fetch_add(1, std::memory_order_relaxed);
  for (Gate& gate : side_->gates)
    if (gate.stream.load(std::memory_order_acquire) == &stream)
      if (auto block = take_pending(gate, size_class, stream)) return block;
  for (Gate& gate : side_->gates)
    if (auto block = take_pending(gate, size_class, stream)) return block;
  return std::nullopt;
}

// ---- reports --------------------------------------------------------------------------------------------------------

PoolStats PinnedMemoryPool::stats() const {
  PoolStats result;
  result.capacity = capacity_;
  result.budget = config_.budget;
  for (const SizeClass& each : side_->classes) {
    PoolClassStats& stats = result.classes.emplace_back();
    stats.size = Bytes{each.size};
    stats.count = each.ready.count;
    for (std::uint32_t block = each.ready.first; block < each.ready.first + each.ready.count; ++block) {
      const std::uint64_t word = side_->word_of(block);
      stats.acquired += generation_of(word);
      stats.in_use += state_of(word) == state_used;
      stats.pending += state_of(word) == state_pending;
      stats.quarantined += state_of(word) == state_quarantined;
    }
    stats.high_water = each.ready.most_taken.load(std::memory_order_relaxed);
    stats.misses = each.misses.load(std::memory_order_relaxed);
    stats.waits = each.waits.load(std::memory_order_relaxed);
    result.in_use = result.in_use + stats.size * (stats.count - stats.free());
    result.high_water = result.high_water + stats.size * stats.high_water;
  }
  result.double_releases = side_->double_releases.load(std::memory_order_relaxed);
  result.stale_handles = side_->stale_handles.load(std::memory_order_relaxed);
  result.foreign_pointers = side_->foreign_pointers.load(std::memory_order_relaxed);
  result.acquire_latency = side_->acquire_latency.snapshot();
  result.wait_time = side_->wait_time.snapshot();
  return result;
}

std::vector<Leak> PinnedMemoryPool::leaks() const {
  std::vector<Leak> result;
  for (std::uint32_t block = 0; block < side_->blocks; ++block) {
    const std::uint64_t word = side_->word_of(block);
    if (state_of(word) == state_free || state_of(word) == state_kept) continue;
    result.push_back({{block, generation_of(word)}, Bytes{class_of(block).size}, name_of(state_of(word))});
  }
  return result;
}

void PinnedMemoryPool::note_misuse(const char* where, const char* what) const noexcept {
  try {
    log_to(config_.log, LogLevel::error, fmt::format("pinned pool: in {}: {}", where, what));
  } catch (...) {
    // A sink that throws must not end the program.
  }
}

}  // namespace warpwright::memory
