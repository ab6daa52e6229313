#include "context.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>
#include <warpwright/device/checks.hpp>

#include "backend.hpp"

namespace warpwright::opencl {

namespace {

constexpr std::size_t page = 4096;  // the smallest page of every Linux machine this runs on

OwnedQueue create_queue(const ContextState& state) {
  abi::Int status = abi::success;
  OwnedQueue queue(state.api, state.api->create_command_queue(state.context.get(), state.found.device,
                                                              abi::queue_profiling_enable, &status));
  check(status, Stage::allocate, "clCreateCommandQueue", "create a stream");
  return queue;
}

class OpenclStream final : public device::Stream {
 public:
  explicit OpenclStream(std::shared_ptr<StreamState> state) : state_(std::move(state)) {}
  OpenclStream(const OpenclStream&) = delete;
  OpenclStream& operator=(const OpenclStream&) = delete;
  // Host memory of copies in flight may be freed right after: wait, whatever the outcome.
  ~OpenclStream() override { static_cast<void>(state_->api().finish(state_->queue())); }

  void copy_to_device(device::Buffer& destination, Bytes offset, std::span<const std::byte> source) override {
    auto& buffer = ours<DeviceBuffer>(destination, "buffer");
    device::check_range("copy to device", offset, Bytes{source.size()}, buffer.size());
    if (source.empty()) return;
    abi::Event event = nullptr;
    check(state_->api().enqueue_write_buffer(state_->queue(), buffer.handle(), abi::no, offset.count, source.size(),
                                             source.data(), 0, nullptr, &event),
          Stage::copy, "clEnqueueWriteBuffer", "copy to the device");
    state_->append(event, StreamState::Command::work);
  }

  void copy_to_host(std::span<std::byte> destination, const device::Buffer& source, Bytes offset) override {
    const auto& buffer = ours<const DeviceBuffer>(source, "buffer");
    device::check_range("copy to host", offset, Bytes{destination.size()}, buffer.size());
    if (destination.empty()) return;
    abi::Event event = nullptr;
    check(state_->api().enqueue_read_buffer(state_->queue(), buffer.handle(), abi::no, offset.count, destination.size(),
                                            destination.data(), 0, nullptr, &event),
          Stage::copy, "clEnqueueReadBuffer", "copy to the host");
    state_->append(event, StreamState::Command::work);
  }

  void copy_on_device(device::Buffer& destination, Bytes destination_offset, const device::Buffer& source,
                      Bytes source_offset, Bytes size) override {
    auto& to = ours<DeviceBuffer>(destination, "buffer");
    const auto& from = ours<const DeviceBuffer>(source, "buffer");
    device::check_device_copy(to, destination_offset, from, source_offset, size);
    if (size.count == 0) return;
    abi::Event event = nullptr;
    check(state_->api().enqueue_copy_buffer(state_->queue(), from.handle(), to.handle(), source_offset.count,
                                            destination_offset.count, size.count, 0, nullptr, &event),
          Stage::copy, "clEnqueueCopyBuffer", "copy on the device");
    state_->append(event, StreamState::Command::work);
  }

  void fill(device::Buffer& destination, Bytes offset, Bytes size, std::uint8_t value) override {
    auto& buffer = ours<DeviceBuffer>(destination, "buffer");
    device::check_range("fill", offset, size, buffer.size());
    if (size.count == 0) return;
    std::array<std::uint8_t, 16> pattern;
    pattern.fill(value);
    // Offset and size must be multiples of the pattern, and drivers store one pattern per work item: the widest that
    // fits.
    const std::size_t width = (offset.count | size.count) % 16 == 0 ? 16 : (offset.count | size.count) % 4 == 0 ? 4 : 1;
    abi::Event event = nullptr;
    check(state_->api().enqueue_fill_buffer(state_->queue(), buffer.handle(), pattern.data(), width, offset.count,
                                            size.count, 0, nullptr, &event),
          Stage::copy, "clEnqueueFillBuffer", "fill a buffer");
    state_->append(event, StreamState::Command::work);
  }

  void copy_to_image(device::Image& destination, const device::Buffer& source, Bytes offset) override {
    state_->append(enqueue_copy_to_image(*state_, ours<DeviceImage>(destination, "image"),
                                         ours<const DeviceBuffer>(source, "buffer"), offset),
                   StreamState::Command::work);
  }

  void copy_from_image(device::Buffer& destination, Bytes offset, const device::Image& source) override {
    state_->append(enqueue_copy_from_image(*state_, ours<DeviceBuffer>(destination, "buffer"), offset,
                                           ours<const DeviceImage>(source, "image")),
                   StreamState::Command::work);
  }

  void launch(const device::Kernel& kernel, const device::LaunchConfig& config,
              std::span<const device::KernelArgument> arguments) override {
    state_->append(enqueue_launch(*state_, kernel, config, arguments), StreamState::Command::work);
  }

  void launch(const device::Graph&) override {
    throw Error(ErrorCode::unsupported, "OpenCL has no graphs; launch the kernels one by one");
  }

  void record(device::Event& event) override { ours<MarkEvent>(event, "event").set(state_->mark()); }

  void wait(const device::Event& event) override {
    const SharedEvent last = ours<const MarkEvent>(event, "event").last();
    if (last == nullptr) return;  // never recorded: nothing to wait for, as in CUDA
    const abi::Event awaited = last->get();
    abi::Event barrier = nullptr;
    check(state_->api().enqueue_barrier_with_wait_list(state_->queue(), 1, &awaited, &barrier), Stage::copy,
          "clEnqueueBarrierWithWaitList", "make a stream wait");
    state_->append(barrier, StreamState::Command::bookkeeping);
  }

  bool idle() const override { return state_->idle(); }
  void synchronize() override { state_->finish(); }

 private:
  std::shared_ptr<StreamState> state_;
};

class OpenclContext final : public device::Context {
 public:
  explicit OpenclContext(std::shared_ptr<ContextState> state) : state_(std::move(state)) {}

  const DeviceInfo& device() const override { return state_->found.info; }

  std::unique_ptr<device::Buffer> allocate(Bytes size) override {
    // OpenCL has no buffers of no bytes.
    OwnedMem memory = create_buffer(std::max<std::uint64_t>(1, size.count), abi::mem_read_write, size);
    return std::make_unique<DeviceBuffer>(state_, std::move(memory), size);
  }

  std::unique_ptr<device::Buffer> view(device::Buffer& whole, Bytes offset, Bytes size) override {
    const auto& buffer = ours<DeviceBuffer>(whole, "buffer");
    device::check_view(offset, size, buffer.size());
    const abi::BufferRegion region{offset.count, size.count};
    abi::Int status = abi::success;
    OwnedMem memory(state_->api, state_->api->create_sub_buffer(buffer.handle(), abi::mem_read_write,
                                                                abi::buffer_create_type_region, &region, &status));
    check(status, Stage::allocate, "clCreateSubBuffer", "view a part of a buffer");
    return std::make_unique<DeviceBuffer>(state_, std::move(memory), size);
  }

  std::unique_ptr<device::PinnedBuffer> allocate_pinned(Bytes size) override {
    if (size.count > SIZE_MAX - page)
      throw Error(ErrorCode::out_of_memory, "cannot allocate " + format_bytes(size) + " of pinned memory");
    // A page more than asked for, because CPU drivers align to a cache line only.
    const std::size_t room = size.count + page;
    OwnedMem memory = create_buffer(room, abi::mem_read_write | abi::mem_alloc_host_ptr, size);
    abi::Int status = abi::success;
    void* mapped =
        state_->api->enqueue_map_buffer(state_->utility.get(), memory.get(), abi::yes, abi::map_read | abi::map_write,
                                        0, room, 0, nullptr, nullptr, &status);
    if (status == abi::success && mapped == nullptr) status = abi::map_failure;
    check(status, Stage::allocate, "clEnqueueMapBuffer",
          fmt::format("allocate {} of pinned memory", format_bytes(size)));
    const std::size_t misaligned = reinterpret_cast<std::uintptr_t>(mapped) % page;
    std::byte* data = static_cast<std::byte*>(mapped) + (misaligned == 0 ? 0 : page - misaligned);
    return std::make_unique<HostBuffer>(state_, std::move(memory), mapped, data, size);
  }

  std::unique_ptr<device::Stream> create_stream() override {
    auto stream = std::make_shared<StreamState>(state_, create_queue(*state_));
    const std::lock_guard lock(state_->mutex);
    std::erase_if(state_->streams, [](const auto& weak) { return weak.expired(); });
    state_->streams.push_back(stream);
    return std::make_unique<OpenclStream>(std::move(stream));
  }

  std::unique_ptr<device::Event> create_event() override { return std::make_unique<MarkEvent>(state_); }

  std::unique_ptr<device::Module> load(const Binary& binary) override { return load_module(state_, binary); }

  std::unique_ptr<device::Graph> record_graph(device::Stream&, const std::function<void()>&) override {
    throw Error(ErrorCode::unsupported, "OpenCL has no graphs; launch the kernels one by one");
  }

  std::optional<device::MemoryUse> memory_use() const override {
    // Core OpenCL cannot tell; AMD's drivers can.
    if (!state_->found.amd_attributes) return std::nullopt;
    const auto free = device_value<std::array<std::size_t, 2>>(*state_->api, state_->found.device,
                                                               abi::device_global_free_memory_amd);
    if (!free) return std::nullopt;
    return device::MemoryUse{Bytes{(*free)[0] * std::uint64_t{1024}}, state_->found.info.global_memory};
  }

  std::vector<ImageFormat> image_formats(device::ImageUse use) const override {
    return supported_formats(*state_, use);
  }

  std::unique_ptr<device::Image> create_image(const ImageShape& shape, device::ImageUse use) override {
    return make_image(state_, shape, use);
  }

  std::unique_ptr<device::Sampler> create_sampler(const SamplerSettings& settings) override {
    return make_sampler(state_, settings);
  }

  void synchronize() override {
    std::vector<std::shared_ptr<StreamState>> streams;
    {
      const std::lock_guard lock(state_->mutex);
      for (const auto& weak : state_->streams)
        if (auto stream = weak.lock()) streams.push_back(std::move(stream));
    }
    for (const auto& stream : streams) stream->finish();
  }

 private:
  OwnedMem create_buffer(std::size_t bytes, abi::Bitfield flags, Bytes wanted) {
    abi::Int status = abi::success;
    OwnedMem memory(state_->api, state_->api->create_buffer(state_->context.get(), flags, bytes, nullptr, &status));
    if (status == abi::success) return memory;
    std::string what = "allocate " + format_bytes(wanted);
    // The usual reason, and not what one expects of a device with more memory than that.
    const auto limit = device_value<abi::Ulong>(*state_->api, state_->found.device, abi::device_max_mem_alloc_size);
    if (limit && bytes > *limit) what += fmt::format(" (one buffer may have {} at most)", format_bytes(Bytes{*limit}));
    check(status, Stage::allocate, "clCreateBuffer", what);
    return memory;
  }

  std::shared_ptr<ContextState> state_;
};

}  // namespace

void throw_foreign(std::string_view what) {
  throw Error(ErrorCode::bad_input, fmt::format("this {} was made by another backend than 'opencl'", what));
}

HostBuffer::~HostBuffer() {
  // A failure here means the context is lost; then the driver frees the memory with it.
  const Api& api = *state_->api;
  static_cast<void>(api.enqueue_unmap_mem_object(state_->utility.get(), memory_.get(), mapped_, 0, nullptr, nullptr));
  static_cast<void>(api.finish(state_->utility.get()));
}

std::unique_ptr<device::Context> open_context(std::shared_ptr<const Api> api, FoundDevice found) {
  auto state = std::make_shared<ContextState>();
  const std::string name = found.info.id.to_string();
  abi::Int status = abi::success;
  const abi::Device device = found.device;
  state->api = std::move(api);
  state->found = std::move(found);
  state->context = OwnedContext(state->api, state->api->create_context(nullptr, 1, &device, nullptr, nullptr, &status));
  check(status, Stage::open, "clCreateContext", "open device " + name);
  state->utility = create_queue(*state);
  return std::make_unique<OpenclContext>(std::move(state));
}

}  // namespace warpwright::opencl
