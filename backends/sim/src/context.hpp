// An open simulated device. Internal.
#pragma once

#include <atomic>
#include <exception>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/device/context.hpp>
#include <warpwright/sim/backend.hpp>

#include "program.hpp"
#include "timeline.hpp"

namespace warpwright::sim {

// Shared by the backend, its compilers and its contexts; immutable.
struct World {
  Options options;
  std::map<std::string, Behaviour> behaviours;
  std::vector<DeviceInfo> devices;
};

// Everything of a context, guarded by `mutex`: streams may be used by different threads.
// How much of the last-level cache is dirty, for Options::write_back_per_mebibyte. Not thread-safe.
class DirtyLines {
 public:
  DirtyLines(Bytes cache, Nanoseconds per_mebibyte);
  // `bytes` pass through the cache; leaves them dirty if they are written. The time that writing back what they evict
  // takes, in nanoseconds.
  double touch(double bytes, bool written);

 private:
  double cache_, cost_;  // bytes; nanoseconds a byte
  double dirty_ = 0;
};

class DeviceState {
 public:
  DeviceState(std::shared_ptr<const World> world, const DeviceInfo& info);

  const Options& options() const { return world->options; }

  // Begins a call of the host: costs it time, checks that the context lives, applies scripted faults. Returns true if
  // what the call enqueues shall never end.
  bool enter(Fault::Call call);
  void check_alive() const;
  // Lets the host wait until `reached`. Sleeps for ever, in real time, if that never happens: whoever waits for a
  // kernel that hangs must hang too, or deadlines and watchdogs could not be tested.
  void wait_until(std::unique_lock<std::mutex>& lock, const std::function<bool()>& reached);
  void lose(std::string why);

  std::shared_ptr<const World> world;
  DeviceInfo info;
  std::mutex mutex;
  Timeline timeline;
  Rng noise;
  DirtyLines dirty_lines;
  std::atomic<std::uint64_t> used{0};              // bytes; atomic, because the last launch to end may free them
  std::map<const std::byte*, std::size_t> pinned;  // begin and size of each pinned allocation
  std::map<int, std::exception_ptr> failures;      // of a stream's commands, thrown when it is waited for

 private:
  std::map<Fault::Call, int> calls_;
  std::string lost_;  // why; empty while the context lives
};

// The bytes of a device allocation. They exist only once they differ: until then all have one value, so that a buffer
// used to flush a cache costs nothing.
class Storage {
 public:
  // Counts `size` against the device's memory. The caller holds the state's mutex.
  Storage(std::shared_ptr<DeviceState> state, Bytes size);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  Bytes size() const { return size_; }
  const DeviceState* owner() const { return state_.get(); }
  std::span<std::byte> bytes();
  void fill(std::size_t offset, std::size_t count, std::byte value);

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::shared_ptr<DeviceState> state_;
  Bytes size_;
  std::byte value_;  // of every byte while there is no data_
  std::unique_ptr<std::byte[], Free> data_;
};

class SimBuffer final : public device::Buffer {
 public:
  SimBuffer(std::shared_ptr<DeviceState> state, std::shared_ptr<Storage> storage)
      : state_(std::move(state)), storage_(std::move(storage)), size_(storage_->size()) {}
  SimBuffer(const SimBuffer& whole, Bytes offset, Bytes size)
      : state_(whole.state_), storage_(whole.storage_), offset_(whole.offset_ + offset), size_(size) {}
  ~SimBuffer() override;
  SimBuffer(const SimBuffer&) = delete;
  SimBuffer& operator=(const SimBuffer&) = delete;
  Bytes size() const override { return size_; }
  const std::shared_ptr<Storage>& storage() const { return storage_; }
  Bytes offset() const { return offset_; }  // of its first byte in the storage; 0 but for views

 private:
  std::shared_ptr<DeviceState> state_;
  std::shared_ptr<Storage> storage_;
  Bytes offset_{};
  Bytes size_;
};

// Where an event was recorded: the last work of its stream before it, and the first after it.
struct Mark {
  int stream = 0;
  std::shared_ptr<const Stamp> at;    // of the event itself
  std::shared_ptr<const Stamp> last;  // null: there was no work before
  std::shared_ptr<const Stamp> next;
  // The end of the work before the event, or its own moment.
  double end() const { return last != nullptr ? last->end : at->end; }
};

class SimEvent final : public device::Event {
 public:
  explicit SimEvent(std::shared_ptr<DeviceState> state) : state_(std::move(state)) {}
  bool done() const override;
  void synchronize() override;
  Nanoseconds elapsed_since(const device::Event& start) const override;

  const std::shared_ptr<DeviceState>& state() const { return state_; }
  std::shared_ptr<Mark> mark;  // null: never recorded

 private:
  std::shared_ptr<DeviceState> state_;
};

// A command still to be made for a stream: graphs make it once per launch.
using CommandMaker = std::function<Command(DeviceState& state, int stream)>;

class SimGraph final : public device::Graph {
 public:
  SimGraph(std::shared_ptr<DeviceState> state, std::vector<CommandMaker> makers)
      : state_(std::move(state)), makers_(std::move(makers)) {}
  const std::shared_ptr<DeviceState>& state() const { return state_; }
  const std::vector<CommandMaker>& makers() const { return makers_; }

 private:
  std::shared_ptr<DeviceState> state_;
  std::vector<CommandMaker> makers_;
};

class SimStream final : public device::Stream {
 public:
  explicit SimStream(std::shared_ptr<DeviceState> state);
  ~SimStream() override;
  SimStream(const SimStream&) = delete;
  SimStream& operator=(const SimStream&) = delete;

  void copy_to_device(device::Buffer& destination, Bytes offset, std::span<const std::byte> source) override;
  void copy_to_host(std::span<std::byte> destination, const device::Buffer& source, Bytes offset) override;
  void copy_on_device(device::Buffer& destination, Bytes destination_offset, const device::Buffer& source,
                      Bytes source_offset, Bytes size) override;
  void fill(device::Buffer& destination, Bytes offset, Bytes size, std::uint8_t value) override;
  void launch(const device::Kernel& kernel, const device::LaunchConfig& config,
              std::span<const device::KernelArgument> arguments) override;
  void launch(const device::Graph& graph) override;
  void record(device::Event& event) override;
  void wait(const device::Event& event) override;
  bool idle() const override;
  void synchronize() override;

  // For record_graph(): from begin on, work is kept instead of enqueued.
  void begin_capture();
  std::vector<CommandMaker> end_capture();
  const std::shared_ptr<DeviceState>& state() const { return state_; }

 private:
  // Null where the work goes into a graph.
  std::shared_ptr<Stamp> enqueue(const CommandMaker& maker, bool never_ends);
  void submit(Command command);
  void refuse_in_capture(const char* what) const;
  const SimBuffer& own(const device::Buffer& buffer) const;

  std::shared_ptr<DeviceState> state_;
  int id_ = 0;
  std::shared_ptr<const Stamp> last_work_;
  std::vector<std::weak_ptr<Mark>> waiting_;  // marks that have no `next` yet
  std::optional<std::vector<CommandMaker>> capture_;
};

std::unique_ptr<device::Context> open_context(std::shared_ptr<const World> world, const DeviceInfo& info);
std::unique_ptr<device::Module> load_module(const std::shared_ptr<DeviceState>& state, const Binary& binary);
// Checks the launch and returns what makes its command. The caller holds the state's mutex and has entered the call.
CommandMaker prepare_launch(const std::shared_ptr<DeviceState>& state, const device::Kernel& kernel,
                            const device::LaunchConfig& config, std::span<const device::KernelArgument> arguments);

// A hook of a command of `stream` that keeps what `body` throws for whoever waits for the stream.
std::function<void()> guarded(DeviceState& state, int stream, std::function<void()> body);

// Throws Error(conflict) if the buffer was destroyed; `what` names the work that uses it.
std::shared_ptr<Storage> lock_storage(const std::weak_ptr<Storage>& weak, std::string_view what);

[[noreturn]] void throw_foreign(std::string_view what);

// The implementation behind an interface; throws Error(bad_input) for an object of another backend.
template <class Implementation, class Interface>
Implementation& ours(Interface& object, std::string_view what) {
  auto* implementation = dynamic_cast<Implementation*>(&object);
  if (implementation == nullptr) throw_foreign(what);
  return *implementation;
}

// Blocks that fit on one multiprocessor; 0 if the kernel cannot run.
int blocks_per_multiprocessor(const DeviceInfo& info, const KernelResources& resources, std::int64_t threads,
                              Bytes dynamic_shared);

}  // namespace warpwright::sim
