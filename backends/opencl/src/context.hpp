// An open OpenCL device and what lives in it. Internal.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include <warpwright/device/context.hpp>

#include "device_query.hpp"
#include "handles.hpp"

namespace warpwright::opencl {

class StreamState;

// Shared by the context and everything made from it, so that no order of destruction is wrong for the driver.
struct ContextState {
  std::shared_ptr<const Api> api;
  FoundDevice found;
  OwnedContext context;
  OwnedQueue utility;  // maps and unmaps pinned memory
  std::mutex mutex;    // guards `streams`
  std::vector<std::weak_ptr<StreamState>> streams;
};

class DeviceBuffer final : public device::Buffer {
 public:
  DeviceBuffer(std::shared_ptr<ContextState> state, OwnedMem memory, Bytes size)
      : state_(std::move(state)), memory_(std::move(memory)), size_(size) {}
  Bytes size() const override { return size_; }
  abi::Mem handle() const { return memory_.get(); }

 private:
  std::shared_ptr<ContextState> state_;
  OwnedMem memory_;
  Bytes size_;
};

class DeviceImage final : public device::Image {
 public:
  DeviceImage(std::shared_ptr<ContextState> state, OwnedMem memory, const ImageShape& shape)
      : state_(std::move(state)), memory_(std::move(memory)), shape_(shape) {}
  const ImageShape& shape() const override { return shape_; }
  abi::Mem handle() const { return memory_.get(); }

 private:
  std::shared_ptr<ContextState> state_;
  OwnedMem memory_;
  ImageShape shape_;
};

class DeviceSampler final : public device::Sampler {
 public:
  DeviceSampler(std::shared_ptr<ContextState> state, OwnedSampler sampler)
      : state_(std::move(state)), sampler_(std::move(sampler)) {}
  abi::Sampler handle() const { return sampler_.get(); }

 private:
  std::shared_ptr<ContextState> state_;
  OwnedSampler sampler_;
};

// Those of the context's 2-D images that the model can tell, in its order.
std::vector<ImageFormat> supported_formats(const ContextState& state, device::ImageUse use);
std::unique_ptr<device::Image> make_image(const std::shared_ptr<ContextState>& state, const ImageShape& shape,
                                          device::ImageUse use);
std::unique_ptr<device::Sampler> make_sampler(const std::shared_ptr<ContextState>& state,
                                              const SamplerSettings& settings);

class HostBuffer final : public device::PinnedBuffer {
 public:
  HostBuffer(std::shared_ptr<ContextState> state, OwnedMem memory, void* mapped, std::byte* data, Bytes size)
      : state_(std::move(state)), memory_(std::move(memory)), mapped_(mapped), data_(data), size_(size) {}
  ~HostBuffer() override;
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;
  std::byte* data() override { return data_; }
  const std::byte* data() const override { return data_; }
  Bytes size() const override { return size_; }

 private:
  std::shared_ptr<ContextState> state_;
  OwnedMem memory_;
  void* mapped_;
  std::byte* data_;
  Bytes size_;
};

// Where an Event was recorded: the last command before it and, once there is one, the first piece of work after it.
// OpenCL has no event of its own for "now" whose time excludes the launch that follows; commands carry their start and
// end.
struct Mark {
  std::mutex mutex;  // the stream sets `next` while another thread may ask for the time
  SharedEvent last;
  SharedEvent next;
};

class MarkEvent final : public device::Event {
 public:
  explicit MarkEvent(std::shared_ptr<ContextState> state) : state_(std::move(state)) {}
  bool done() const override;
  void synchronize() override;
  Nanoseconds elapsed_since(const device::Event& start) const override;

  void set(std::shared_ptr<Mark> mark) { mark_ = std::move(mark); }
  // Null if it was never recorded.
  SharedEvent last() const;

 private:
  std::shared_ptr<ContextState> state_;
  std::shared_ptr<Mark> mark_;  // null: never recorded
};

// The queue of a stream and what is known about its commands. `append` and `finish` may be called by different threads.
class StreamState {
 public:
  StreamState(std::shared_ptr<ContextState> state, OwnedQueue queue)
      : state_(std::move(state)), queue_(std::move(queue)) {}

  abi::Queue queue() const { return queue_.get(); }
  const Api& api() const { return *state_->api; }
  const std::shared_ptr<ContextState>& context() const { return state_; }

  enum class Command { work, bookkeeping };
  // Takes over the event of a command just enqueued.
  void append(abi::Event event, Command command);
  std::shared_ptr<Mark> mark();
  bool idle();
  void finish();

 private:
  void drop_finished();

  std::shared_ptr<ContextState> state_;
  OwnedQueue queue_;
  std::mutex mutex_;
  SharedEvent last_;
  std::vector<std::weak_ptr<Mark>> waiting_;  // marks that have no `next` yet
  std::deque<SharedEvent> unfinished_;        // since the last finish(), to see a failure of any command
  std::size_t look_at_ = 64;                  // how many of them before finished ones are dropped
  bool failed_ = false;
};

// Execution status of a command: positive while it waits or runs, 0 when complete, negative if it failed.
abi::Int execution_status(const Api& api, abi::Event event);

// All pixels of an image; the event of the command is returned.
abi::Event enqueue_copy_to_image(const StreamState& stream, const DeviceImage& destination, const DeviceBuffer& source,
                                 Bytes offset);
abi::Event enqueue_copy_from_image(const StreamState& stream, const DeviceBuffer& destination, Bytes offset,
                                   const DeviceImage& source);

std::unique_ptr<device::Module> load_module(const std::shared_ptr<ContextState>& state, const Binary& binary);
// Sets the arguments and enqueues; the event of the command is returned.
abi::Event enqueue_launch(const StreamState& stream, const device::Kernel& kernel, const device::LaunchConfig& config,
                          std::span<const device::KernelArgument> arguments);

[[noreturn]] void throw_foreign(std::string_view what);

// The implementation behind an interface; throws Error(bad_input) for an object of another backend.
template <class Implementation, class Interface>
Implementation& ours(Interface& object, std::string_view what) {
  auto* implementation = dynamic_cast<Implementation*>(&object);
  if (implementation == nullptr) throw_foreign(what);
  return *implementation;
}

}  // namespace warpwright::opencl
