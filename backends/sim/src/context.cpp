#include "context.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <new>
#include <thread>

#include <warpwright/device/checks.hpp>

namespace warpwright::sim {

namespace {

constexpr std::size_t page = 4096;
// Of fresh memory: as a float32 about -1.2e-12 and absurd as an index, so that what was never written is seen.
constexpr std::byte fresh_byte{0xAB};

class SimPinned final : public device::PinnedBuffer {
 public:
  SimPinned(std::shared_ptr<DeviceState> state, Bytes size) : state_(std::move(state)), size_(size) {
    const std::size_t pages = size.count / page + 1;
    data_ = static_cast<std::byte*>(::operator new (pages* page, std::align_val_t{page}));
    std::memset(data_, static_cast<int>(fresh_byte), pages * page);
    state_->pinned[data_] = size.count;
  }
  ~SimPinned() override {
    {
      const std::lock_guard lock(state_->mutex);
      state_->pinned.erase(data_);
    }
    ::operator delete (data_, std::align_val_t{page});
  }
  SimPinned(const SimPinned&) = delete;
  SimPinned& operator=(const SimPinned&) = delete;
  std::byte* data() override { return data_; }
  const std::byte* data() const override { return data_; }
  Bytes size() const override { return size_; }

 private:
  std::shared_ptr<DeviceState> state_;
  Bytes size_;
  std::byte* data_ = nullptr;
};

// Memory of the caller's.
class SimRegistration final : public device::PinnedBuffer {
 public:
  SimRegistration(std::shared_ptr<DeviceState> state, std::span<std::byte> memory)
      : state_(std::move(state)), memory_(memory) {
    if (reinterpret_cast<std::uintptr_t>(memory.data()) % page != 0)
      throw Error(ErrorCode::bad_input, "memory to pin must begin on a page");
    if (!state_->pinned.emplace(memory.data(), memory.size()).second)
      throw Error(ErrorCode::bad_input, "this memory is pinned already");
  }
  ~SimRegistration() override {
    const std::lock_guard lock(state_->mutex);
    state_->pinned.erase(memory_.data());
  }
  SimRegistration(const SimRegistration&) = delete;
  SimRegistration& operator=(const SimRegistration&) = delete;
  std::byte* data() override { return memory_.data(); }
  const std::byte* data() const override { return memory_.data(); }
  Bytes size() const override { return Bytes{memory_.size()}; }

 private:
  std::shared_ptr<DeviceState> state_;
  std::span<std::byte> memory_;
};

class SimContext final : public device::Context {
 public:
  explicit SimContext(std::shared_ptr<DeviceState> state) : state_(std::move(state)) {}

  const DeviceInfo& device() const override { return state_->info; }

  std::unique_ptr<device::Buffer> allocate(Bytes size) override {
    const std::lock_guard lock(state_->mutex);
    state_->enter(Fault::Call::allocate);
    return std::make_unique<SimBuffer>(state_, std::make_shared<Storage>(state_, size));
  }

  std::unique_ptr<device::Buffer> view(device::Buffer& whole, Bytes offset, Bytes size) override {
    const auto& mine = ours<const SimBuffer>(whole, "buffer");
    device::check_view(offset, size, mine.size());
    const std::lock_guard lock(state_->mutex);
    if (mine.storage()->owner() != state_.get())
      throw Error(ErrorCode::bad_input, "this buffer belongs to another context");
    return std::make_unique<SimBuffer>(mine, offset, size);
  }

  std::unique_ptr<device::PinnedBuffer> allocate_pinned(Bytes size) override {
    const std::lock_guard lock(state_->mutex);
    state_->enter(Fault::Call::allocate_pinned);
    const double mebibytes = static_cast<double>(size.count) / (1 << 20);
    state_->timeline.advance(state_->timeline.now() + mebibytes * state_->options().pin_per_mebibyte.count());
    try {
      return std::make_unique<SimPinned>(state_, size);
    } catch (const std::bad_alloc&) {
      throw Error(ErrorCode::out_of_memory, "cannot allocate " + format_bytes(size) + " of pinned memory");
    }
  }

  std::unique_ptr<device::PinnedBuffer> pin_host_memory(std::span<std::byte> memory) override {
    const std::lock_guard lock(state_->mutex);
    state_->enter(Fault::Call::pin_host_memory);
    const double mebibytes = static_cast<double>(memory.size()) / (1 << 20);
    state_->timeline.advance(state_->timeline.now() + mebibytes * state_->options().register_per_mebibyte.count());
    return std::make_unique<SimRegistration>(state_, memory);
  }

  std::unique_ptr<device::Stream> create_stream() override { return std::make_unique<SimStream>(state_); }
  std::unique_ptr<device::Event> create_event() override { return std::make_unique<SimEvent>(state_); }

  std::unique_ptr<device::Module> load(const Binary& binary) override {
    const std::lock_guard lock(state_->mutex);
    state_->enter(Fault::Call::load);
    return load_module(state_, binary);
  }

  std::unique_ptr<device::Graph> record_graph(device::Stream& stream, const std::function<void()>& body) override {
    auto& target = ours<SimStream>(stream, "stream");
    if (target.state() != state_) throw Error(ErrorCode::bad_input, "this stream belongs to another context");
    {
      const std::lock_guard lock(state_->mutex);
      state_->enter(Fault::Call::record_graph);
    }
    target.begin_capture();
    try {
      body();
    } catch (...) {
      target.end_capture();
      throw;
    }
    return std::make_unique<SimGraph>(state_, target.end_capture());
  }

  std::optional<device::MemoryUse> memory_use() const override {
    const std::lock_guard lock(state_->mutex);
    return device::MemoryUse{state_->info.global_memory - Bytes{state_->used}, state_->info.global_memory};
  }

  void synchronize() override {
    std::unique_lock lock(state_->mutex);
    state_->enter(Fault::Call::synchronize);
    state_->wait_until(lock, [&] { return state_->timeline.idle(); });
    state_->check_alive();
    if (state_->failures.empty()) return;
    const std::exception_ptr failure = state_->failures.begin()->second;
    state_->failures.clear();
    std::rethrow_exception(failure);
  }

  const std::shared_ptr<DeviceState>& state() const { return state_; }

 private:
  std::shared_ptr<DeviceState> state_;
};

class VirtualClock final : public Clock {
 public:
  explicit VirtualClock(std::shared_ptr<DeviceState> state) : state_(std::move(state)) {}
  Nanoseconds now() const override {
    const std::lock_guard lock(state_->mutex);
    return Nanoseconds{state_->timeline.now()};
  }

 private:
  std::shared_ptr<DeviceState> state_;
};

const char* name_of(Fault::Call call) {
  switch (call) {
    case Fault::Call::allocate:
      return "allocate";
    case Fault::Call::allocate_pinned:
      return "allocate_pinned";
    case Fault::Call::pin_host_memory:
      return "pin_host_memory";
    case Fault::Call::load:
      return "load";
    case Fault::Call::record_graph:
      return "record_graph";
    case Fault::Call::copy_to_device:
      return "copy_to_device";
    case Fault::Call::copy_to_host:
      return "copy_to_host";
    case Fault::Call::copy_on_device:
      return "copy_on_device";
    case Fault::Call::fill:
      return "fill";
    case Fault::Call::launch:
      return "launch";
    case Fault::Call::record:
      return "record";
    case Fault::Call::wait:
      return "wait";
    case Fault::Call::synchronize:
      return "synchronize";
  }
  return "call";
}

}  // namespace

void throw_foreign(std::string_view what) {
  throw Error(ErrorCode::bad_input, fmt::format("this {} was made by another backend than 'sim'", what));
}

// ---- DirtyLines -----------------------------------------------------------------------------------------------------

DirtyLines::DirtyLines(Bytes cache, Nanoseconds per_mebibyte)
    : cache_(static_cast<double>(cache.count)), cost_(per_mebibyte.count() / (1 << 20)) {}

double DirtyLines::touch(double bytes, bool written) {
  if (cache_ == 0 || cost_ == 0) return 0;
  const double replaced = 1 - std::exp(-bytes / cache_);
  const double evicted = dirty_ * replaced;
  dirty_ -= evicted;
  if (written) dirty_ += cache_ * replaced;
  return evicted * cost_;
}

// ---- DeviceState ----------------------------------------------------------------------------------------------------

DeviceState::DeviceState(std::shared_ptr<const World> world_of_device, const DeviceInfo& device)
    : world(std::move(world_of_device)),
      info(device),
      timeline(world->options.duplex_factor),
      noise(derive_seed(world->options.seed, static_cast<std::uint64_t>(device.id.ordinals.front()))),
      dirty_lines(device.l2_cache.value_or(Bytes{}), world->options.write_back_per_mebibyte) {}

bool DeviceState::enter(Fault::Call call) {
  check_alive();
  timeline.advance(timeline.now() + options().host_call.count());
  check_alive();  // a kernel may have faulted meanwhile
  const int number = ++calls_[call];
  bool never_ends = false;
  for (const Fault& fault : options().faults) {
    if (fault.call != call || number < fault.nth || (number > fault.nth && !fault.repeat)) continue;
    if (fault.code == ErrorCode::timeout) {
      never_ends = true;
      continue;
    }
    const std::string message = fmt::format("scripted fault: {} number {} failed", name_of(call), number);
    if (fault.code == ErrorCode::device) lose(message);
    throw Error(fault.code, message);
  }
  return never_ends;
}

void DeviceState::check_alive() const {
  if (!lost_.empty()) throw Error(ErrorCode::device, "the context of " + info.id.to_string() + " is lost: " + lost_);
}

void DeviceState::lose(std::string why) {
  if (lost_.empty()) lost_ = std::move(why);
}

void DeviceState::wait_until(std::unique_lock<std::mutex>& lock, const std::function<bool()>& reached) {
  const bool ended = timeline.run_until([&] { return reached() || !lost_.empty(); });
  if (ended) return;
  lock.unlock();
  // The virtual clock has nothing left that could end the wait: as with a real device that hangs, only a deadline does.
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

// ---- memory ---------------------------------------------------------------------------------------------------------

void Storage::Free::operator()(std::byte* memory) const { ::operator delete[](memory, std::align_val_t{page}); }

Storage::Storage(std::shared_ptr<DeviceState> state, Bytes size)
    : state_(std::move(state)), size_(size), value_(fresh_byte) {
  const Bytes free = state_->info.global_memory - Bytes{state_->used};
  if (size > free)
    throw Error(ErrorCode::out_of_memory,
                fmt::format("cannot allocate {} on {}: {} of {} are free", format_bytes(size),
                            state_->info.id.to_string(), format_bytes(free), format_bytes(state_->info.global_memory)));
  state_->used += size.count;
}

Storage::~Storage() { state_->used -= size_.count; }

std::span<std::byte> Storage::bytes() {
  if (data_ == nullptr && size_.count > 0) {
    void* memory = ::operator new[](size_.count, std::align_val_t{page}, std::nothrow);
    if (memory == nullptr)
      throw Error(ErrorCode::out_of_memory, "this machine has no " + format_bytes(size_) + " for a simulated buffer");
    std::memset(memory, static_cast<int>(value_), size_.count);
    data_.reset(static_cast<std::byte*>(memory));
  }
  return {data_.get(), static_cast<std::size_t>(size_.count)};
}

void Storage::fill(std::size_t offset, std::size_t count, std::byte value) {
  if (offset == 0 && count == size_.count) {
    data_.reset();
    value_ = value;
  } else {
    std::ranges::fill(bytes().subspan(offset, count), value);
  }
}

// Under the mutex, so that no command of another thread is using the bytes.
SimBuffer::~SimBuffer() {
  const std::lock_guard lock(state_->mutex);
  storage_.reset();
}

// ---- events ---------------------------------------------------------------------------------------------------------

bool SimEvent::done() const {
  const std::lock_guard lock(state_->mutex);
  if (mark == nullptr) return true;
  // Asking costs time like every call, so that polling gets somewhere. A lost context ends everything.
  state_->timeline.advance(state_->timeline.now() + state_->options().host_call.count());
  state_->check_alive();
  return mark->at->ended;
}

void SimEvent::synchronize() {
  std::unique_lock lock(state_->mutex);
  if (mark == nullptr) return;
  state_->check_alive();
  const auto at = mark->at;
  state_->wait_until(lock, [&] { return at->ended; });
  state_->check_alive();
}

Nanoseconds SimEvent::elapsed_since(const device::Event& start) const {
  const auto& from = ours<const SimEvent>(start, "event");
  if (from.state_ != state_) throw Error(ErrorCode::bad_input, "elapsed time: the events belong to different contexts");
  const std::lock_guard lock(state_->mutex);
  if (from.mark == nullptr) throw Error(ErrorCode::conflict, "elapsed time: the start event was never recorded");
  if (mark == nullptr) throw Error(ErrorCode::conflict, "elapsed time: the stop event was never recorded");
  if (!from.mark->at->ended || !mark->at->ended)
    throw Error(ErrorCode::conflict, "elapsed time: the work before the event has not ended; synchronize it first");
  if (mark->stream == from.mark->stream && mark->last == from.mark->last)
    return Nanoseconds{0};  // nothing ran in between
  // From the first work after the start event, unless that lies after the stop event.
  const auto& next = from.mark->next;
  const double stop = mark->end();
  const double begin = next != nullptr && next->started && next->start <= stop ? next->start : from.mark->end();
  return Nanoseconds{std::max(0.0, stop - begin)};
}

// ---- context --------------------------------------------------------------------------------------------------------

std::unique_ptr<device::Context> open_context(std::shared_ptr<const World> world, const DeviceInfo& info) {
  return std::make_unique<SimContext>(std::make_shared<DeviceState>(std::move(world), info));
}

std::unique_ptr<Clock> virtual_clock(device::Context& context) {
  return std::make_unique<VirtualClock>(ours<SimContext>(context, "context").state());
}

}  // namespace warpwright::sim
