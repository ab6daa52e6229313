#include <algorithm>
#include <cstring>

#include <warpwright/base/hash.hpp>
#include <warpwright/device/checks.hpp>

#include "context.hpp"

namespace warpwright::sim {

namespace {

constexpr std::byte poison_byte{0xDB};  // in the destination of a copy that has not ended

std::string checksum(std::span<const std::byte> bytes) {
  return content_hash({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// The ends of a copy. They are asked for when it starts and again when it ends: buffers make their bytes late.
using Source = std::function<std::span<const std::byte>()>;
using Destination = std::function<std::span<std::byte>()>;

void move_bytes(Command& command, DeviceState& state, int stream, std::string_view what, const Source& source,
                const Destination& destination) {
  if (!state.options().move_bytes) return;
  auto before = std::make_shared<std::string>();
  command.on_start = guarded(state, stream, [=] {
    *before = checksum(source());
    std::ranges::fill(destination(), poison_byte);
  });
  command.on_end = guarded(state, stream, [=] {
    const auto from = source();
    if (checksum(from) != *before)
      throw Error(ErrorCode::conflict, std::string(what) + ": the source changed while it was being copied");
    std::memcpy(destination().data(), from.data(), from.size());
  });
}

// A range of a buffer that may be gone by then.
Destination range_of(const SimBuffer& buffer, Bytes offset, std::size_t size, std::string_view what) {
  return [weak = std::weak_ptr(buffer.storage()), begin = buffer.offset() + offset, size, what] {
    return lock_storage(weak, what)->bytes().subspan(static_cast<std::size_t>(begin.count), size);
  };
}

bool is_pinned(const DeviceState& state, std::span<const std::byte> memory) {
  auto above = state.pinned.upper_bound(memory.data());
  if (above == state.pinned.begin()) return false;
  const auto& [begin, size] = *--above;
  return memory.data() + memory.size() <= begin + size;
}

}  // namespace

SimStream::SimStream(std::shared_ptr<DeviceState> state) : state_(std::move(state)) {
  const std::lock_guard lock(state_->mutex);
  id_ = state_->timeline.add_stream();
}

// Host memory of copies in flight may be freed right after, so they end here; work that never ends is dropped.
SimStream::~SimStream() {
  const std::lock_guard lock(state_->mutex);
  state_->timeline.run_until([&] { return state_->timeline.empty(id_); });
  state_->timeline.remove_stream(id_);
  state_->failures.erase(id_);
}

const SimBuffer& SimStream::own(const device::Buffer& buffer) const {
  const auto& mine = ours<const SimBuffer>(buffer, "buffer");
  if (mine.storage()->owner() != state_.get())
    throw Error(ErrorCode::bad_input, "this buffer belongs to another context");
  return mine;
}

std::shared_ptr<Stamp> SimStream::enqueue(const CommandMaker& maker, bool never_ends) {
  if (capture_) {
    capture_->push_back(maker);
    return nullptr;
  }
  Command command = maker(*state_, id_);
  command.never_ends = command.never_ends || never_ends;
  auto stamp = command.stamp;
  submit(std::move(command));
  return stamp;
}

void SimStream::submit(Command command) {
  if (command.engine != Engine::none && !command.bookkeeping) {
    for (const auto& weak : waiting_)
      if (const auto mark = weak.lock()) mark->next = command.stamp;
    waiting_.clear();
    last_work_ = command.stamp;
  }
  state_->timeline.submit(id_, std::move(command));
}

void SimStream::refuse_in_capture(const char* what) const {
  if (capture_) throw Error(ErrorCode::conflict, std::string("cannot ") + what + " while a graph is recorded");
}

void SimStream::copy_to_device(device::Buffer& destination, Bytes offset, std::span<const std::byte> source) {
  constexpr std::string_view what = "copy to device";
  std::unique_lock lock(state_->mutex);
  const auto& buffer = own(destination);
  device::check_range(what, offset, Bytes{source.size()}, buffer.size());
  const bool never_ends = state_->enter(Fault::Call::copy_to_device);
  if (source.empty()) return;
  const Options& options = state_->options();
  const bool pinned = is_pinned(*state_, source);
  const double rate = pinned ? options.to_device_rate : options.pageable_to_device_rate;
  const Destination target = range_of(buffer, offset, source.size(), what);
  const auto stamp = enqueue(
      [=](DeviceState& state, int stream) {
        Command command;
        command.engine = Engine::to_device;
        command.duration = state.options().copy_latency.count() + static_cast<double>(source.size()) / rate;
        move_bytes(
            command, state, stream, what, [source] { return source; }, target);
        return command;
      },
      never_ends);
  if (!pinned && stamp != nullptr) state_->wait_until(lock, [&] { return stamp->ended; });
}

void SimStream::copy_to_host(std::span<std::byte> destination, const device::Buffer& source, Bytes offset) {
  constexpr std::string_view what = "copy to host";
  std::unique_lock lock(state_->mutex);
  const auto& buffer = own(source);
  device::check_range(what, offset, Bytes{destination.size()}, buffer.size());
  const bool never_ends = state_->enter(Fault::Call::copy_to_host);
  if (destination.empty()) return;
  const Options& options = state_->options();
  const bool pinned = is_pinned(*state_, destination);
  const double rate = pinned ? options.to_host_rate : options.pageable_to_host_rate;
  const Destination from = range_of(buffer, offset, destination.size(), what);
  const auto stamp = enqueue(
      [=](DeviceState& state, int stream) {
        Command command;
        // A device with one copy engine moves one way at a time.
        command.engine = state.info.copy_engines.value_or(2) < 2 ? Engine::to_device : Engine::to_host;
        command.duration = state.options().copy_latency.count() + static_cast<double>(destination.size()) / rate;
        move_bytes(
            command, state, stream, what, [from] { return std::span<const std::byte>(from()); },
            [destination] { return destination; });
        return command;
      },
      never_ends);
  if (!pinned && stamp != nullptr) state_->wait_until(lock, [&] { return stamp->ended; });
}

void SimStream::copy_on_device(device::Buffer& destination, Bytes destination_offset, const device::Buffer& source,
                               Bytes source_offset, Bytes size) {
  constexpr std::string_view what = "copy on device";
  const std::lock_guard lock(state_->mutex);
  const auto& to = own(destination);
  const auto& from = own(source);
  device::check_device_copy(destination, destination_offset, source, source_offset, size);
  const bool never_ends = state_->enter(Fault::Call::copy_on_device);
  if (size.count == 0) return;
  const Destination target = range_of(to, destination_offset, size.count, what);
  const Destination origin = range_of(from, source_offset, size.count, what);
  enqueue(
      [=](DeviceState& state, int stream) {
        Command command;
        command.engine = Engine::compute;
        // The rate counts what is read and what is written.
        command.duration =
            state.options().copy_latency.count() + 2 * static_cast<double>(size.count) / state.options().device_rate;
        state.dirty_lines.touch(static_cast<double>(size.count), true);
        move_bytes(
            command, state, stream, what, [origin] { return std::span<const std::byte>(origin()); }, target);
        return command;
      },
      never_ends);
}

void SimStream::fill(device::Buffer& destination, Bytes offset, Bytes size, std::uint8_t value) {
  const std::lock_guard lock(state_->mutex);
  const auto& buffer = own(destination);
  device::check_range("fill", offset, size, buffer.size());
  const bool never_ends = state_->enter(Fault::Call::fill);
  if (size.count == 0) return;
  enqueue(
      [=, weak = std::weak_ptr(buffer.storage()), begin = buffer.offset() + offset](DeviceState& state, int stream) {
        Command command;
        command.engine = Engine::compute;
        command.duration =
            state.options().copy_latency.count() + static_cast<double>(size.count) / state.options().device_rate;
        state.dirty_lines.touch(static_cast<double>(size.count), true);
        if (state.options().move_bytes)
          command.on_end = guarded(state, stream, [=] {
            lock_storage(weak, "fill")->fill(begin.count, size.count, static_cast<std::byte>(value));
          });
        return command;
      },
      never_ends);
}

void SimStream::launch(const device::Kernel& kernel, const device::LaunchConfig& config,
                       std::span<const device::KernelArgument> arguments) {
  const std::lock_guard lock(state_->mutex);
  const bool never_ends = state_->enter(Fault::Call::launch);
  const CommandMaker work = prepare_launch(state_, kernel, config, arguments);
  if (const double between = state_->options().between_launches.count(); between > 0 && !capture_) {
    Command command;
    command.engine = Engine::compute;
    command.duration = between;
    command.bookkeeping = true;
    submit(std::move(command));
  }
  enqueue(work, never_ends);
}

void SimStream::launch(const device::Graph& graph) {
  const auto& ready = ours<const SimGraph>(graph, "graph");
  const std::lock_guard lock(state_->mutex);
  if (ready.state() != state_) throw Error(ErrorCode::bad_input, "this graph belongs to another context");
  refuse_in_capture("launch a graph");
  const bool never_ends = state_->enter(Fault::Call::launch);
  for (const auto& maker : ready.makers()) enqueue(maker, never_ends);
}

void SimStream::record(device::Event& event) {
  auto& target = ours<SimEvent>(event, "event");
  const std::lock_guard lock(state_->mutex);
  if (target.state() != state_) throw Error(ErrorCode::bad_input, "this event belongs to another context");
  refuse_in_capture("record an event");
  const bool never_ends = state_->enter(Fault::Call::record);
  Command command;
  command.never_ends = never_ends;
  target.mark = std::make_shared<Mark>(Mark{id_, command.stamp, last_work_, nullptr});
  if (waiting_.size() >= 64) std::erase_if(waiting_, [](const auto& weak) { return weak.expired(); });
  waiting_.push_back(target.mark);
  submit(std::move(command));
}

void SimStream::wait(const device::Event& event) {
  const auto& source = ours<const SimEvent>(event, "event");
  const std::lock_guard lock(state_->mutex);
  if (source.state() != state_) throw Error(ErrorCode::bad_input, "this event belongs to another context");
  refuse_in_capture("wait for an event");
  const bool never_ends = state_->enter(Fault::Call::wait);
  if (source.mark == nullptr && !never_ends) return;
  Command command;
  command.never_ends = never_ends;
  if (source.mark != nullptr) command.after = source.mark->at;
  submit(std::move(command));
}

bool SimStream::idle() const {
  const std::lock_guard lock(state_->mutex);
  state_->check_alive();
  // Asking costs time like every call, so that polling gets somewhere.
  state_->timeline.advance(state_->timeline.now() + state_->options().host_call.count());
  return state_->timeline.empty(id_);
}

void SimStream::synchronize() {
  std::unique_lock lock(state_->mutex);
  refuse_in_capture("wait for the stream");
  state_->enter(Fault::Call::synchronize);
  state_->wait_until(lock, [&] { return state_->timeline.empty(id_); });
  state_->check_alive();
  const auto failure = state_->failures.find(id_);
  if (failure == state_->failures.end()) return;
  const std::exception_ptr error = failure->second;
  state_->failures.erase(failure);
  std::rethrow_exception(error);
}

void SimStream::begin_capture() {
  const std::lock_guard lock(state_->mutex);
  refuse_in_capture("record another graph");
  capture_.emplace();
}

std::vector<CommandMaker> SimStream::end_capture() {
  const std::lock_guard lock(state_->mutex);
  std::vector<CommandMaker> makers = std::move(*capture_);
  capture_.reset();
  return makers;
}

std::function<void()> guarded(DeviceState& state, int stream, std::function<void()> body) {
  return [&state, stream, body = std::move(body)] {
    try {
      body();
    } catch (...) {
      state.failures.try_emplace(stream, std::current_exception());
    }
  };
}

std::shared_ptr<Storage> lock_storage(const std::weak_ptr<Storage>& weak, std::string_view what) {
  if (auto storage = weak.lock()) return storage;
  throw Error(ErrorCode::conflict,
              std::string(what) + ": a buffer was destroyed before the work that uses it had ended");
}

}  // namespace warpwright::sim
