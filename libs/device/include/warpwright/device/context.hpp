// An open device: memory, streams, events, modules, launches. Interfaces only; each backend implements them and all
// pass the contract suite in <warpwright/testing/device_contract.hpp>.
//
// Rules for every implementation:
//  - Handles are owned by the caller and must die before their Context. Destructors never throw.
//  - A call that fails throws Error with the native code and name. ErrorCode::launch and out_of_memory leave the
//  context
//    usable; ErrorCode::device means it is lost.
//  - A Context and everything made from it belong to one thread at a time, except that different Streams may be used by
//    different threads.
//  - Copies and launches are asynchronous with respect to the host and ordered within their stream.
//  - A range outside its buffer, or a handle of another backend, is Error(bad_input) and enqueues nothing. Ranges of no
//    bytes are legal everywhere and do nothing; a buffer of no bytes is legal too.
//  - A geometry the device cannot run (non-positive or too large, too much shared memory) is Error(launch); a wrong
//    number or size of arguments is Error(bad_input) where the driver can tell.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/device/compiler.hpp>
#include <warpwright/model/device_info.hpp>
#include <warpwright/model/image.hpp>

namespace warpwright::device {

// Device memory. Contents are undefined after allocation.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual Bytes size() const = 0;
};

// A two-dimensional image on the device (OpenCL only). Contents are undefined after creation.
class Image {
 public:
  virtual ~Image() = default;
  virtual const ImageShape& shape() const = 0;
};

// How kernels read images, as an argument (OpenCL only).
class Sampler {
 public:
  virtual ~Sampler() = default;
};

// What kernels do with an image: a device may have formats that they only read.
enum class ImageUse {
  read,
  write  // written by some kernels, and read by others
};
std::string_view to_string(ImageUse use) noexcept;

// Host memory the device's copy engines can reach directly. Page-aligned.
class PinnedBuffer {
 public:
  virtual ~PinnedBuffer() = default;
  virtual std::byte* data() = 0;
  virtual const std::byte* data() const = 0;
  virtual Bytes size() const = 0;
  std::span<std::byte> bytes() { return {data(), static_cast<std::size_t>(size().count)}; }
};

// A point in a stream.
class Event {
 public:
  virtual ~Event() = default;
  virtual bool done() const = 0;  // true for an event that was never recorded
  virtual void synchronize() = 0;
  // Device time between the end of the work before `start` (or the start of the first work after it, where the backend
  // can tell) and the end of the work before this event. Both must be recorded and done; throws Error(conflict)
  // otherwise.
  virtual Nanoseconds elapsed_since(const Event& start) const = 0;
};

// An argument by value: a scalar, a vector or a structure of at most `capacity` bytes.
struct ScalarArgument {
  static constexpr std::size_t capacity = 128;
  std::array<std::byte, capacity> bytes{};
  std::size_t size = 0;

  template <class T>
  requires(std::is_trivially_copyable_v<T> && sizeof(T) <= capacity) static ScalarArgument of(const T& value) {
    ScalarArgument argument;
    argument.size = sizeof(T);
    std::memcpy(argument.bytes.data(), &value, sizeof(T));
    return argument;
  }
};
// A pointer to __local memory of each block, which OpenCL passes as an argument. CUDA has no such parameter: there the
// launch is Error(unsupported).
struct LocalMemory {
  Bytes size;
};
// Buffers, images and samplers are not owned and must outlive the launch's execution. Where the backend offers no
// images a launch that passes one or a sampler is Error(unsupported).
using KernelArgument = std::variant<const Buffer*, ScalarArgument, LocalMemory, const Image*, const Sampler*>;

struct LaunchConfig {
  std::array<std::int64_t, 3> grid{1, 1, 1};   // blocks
  std::array<std::int64_t, 3> block{1, 1, 1};  // threads
  // CUDA: size of `extern __shared__`, opted in automatically up to the device's limit. OpenCL: if positive, a __local
  // argument of this size is passed after the last one.
  Bytes dynamic_shared{};
  bool cooperative = false;
  std::array<std::int64_t, 3> cluster{1, 1, 1};
};

// A kernel of a loaded module.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual const std::string& name() const = 0;
  // As the driver reports it for this device.
  virtual KernelResources resources() const = 0;
  // In order; nullopt where neither compiler nor driver tells.
  virtual std::optional<std::vector<KernelParameter>> parameters() const { return std::nullopt; }
  // The only block the kernel may be launched with (reqd_work_group_size, __block_size__); nullopt where it may have
  // any, or nobody tells.
  virtual std::optional<std::array<std::int64_t, 3>> required_block() const { return std::nullopt; }
  // Blocks per SM the driver predicts; nullopt where it has no such query.
  virtual std::optional<int> max_active_blocks(std::int64_t threads_per_block, Bytes dynamic_shared) const = 0;
  // Clusters of `config` that the driver says can run at a time on the whole device: a prediction, no promise. nullopt
  // where it has no such query. Throws Error(launch) saying why for a cluster that the device cannot place.
  virtual std::optional<int> max_active_clusters(const LaunchConfig& config) const {
    static_cast<void>(config);
    return std::nullopt;
  }
};

// A binary loaded into a context.
class Module {
 public:
  virtual ~Module() = default;
  // `entry` as given in CompileJob::entries. Throws Error(not_found) listing the kernels the module has, if known.
  virtual std::unique_ptr<Kernel> kernel(const std::string& entry) = 0;
  // A view of a module-scope __constant__ or __device__ variable, valid while the module lives; null if there is none
  // or the backend has no symbols (OpenCL).
  virtual std::unique_ptr<Buffer> symbol(const std::string& name) = 0;
};

// Work recorded once and launched many times.
class Graph {
 public:
  virtual ~Graph() = default;
};

// A queue of device work.
class Stream {
 public:
  virtual ~Stream() = default;
  // `source` must stay valid and unchanged until the copy has ended; asynchronous in fact only for pinned memory.
  virtual void copy_to_device(Buffer& destination, Bytes offset, std::span<const std::byte> source) = 0;
  virtual void copy_to_host(std::span<std::byte> destination, const Buffer& source, Bytes offset) = 0;
  // Ranges of one buffer that overlap are Error(bad_input): no driver promises an order of the bytes.
  virtual void copy_on_device(Buffer& destination, Bytes destination_offset, const Buffer& source, Bytes source_offset,
                              Bytes size) = 0;
  // Fills [offset, offset+size) with one byte.
  virtual void fill(Buffer& destination, Bytes offset, Bytes size, std::uint8_t value) = 0;
  // All pixels of an image from, or to, the bytes of a buffer that begin at `offset`: row behind row, without gaps.
  // Throw Error(unsupported) where the backend offers no images.
  virtual void copy_to_image(Image& destination, const Buffer& source, Bytes offset);
  virtual void copy_from_image(Buffer& destination, Bytes offset, const Image& source);
  // Throws Error(launch) if the driver refuses it; the reason is in the message.
  virtual void launch(const Kernel& kernel, const LaunchConfig& config, std::span<const KernelArgument> arguments) = 0;
  virtual void launch(const Graph& graph) = 0;
  virtual void record(Event& event) = 0;
  // Later work of this stream waits for `event`.
  virtual void wait(const Event& event) = 0;
  virtual bool idle() const = 0;
  // Blocks until everything enqueued has ended; throws Error(device) if any of it failed.
  virtual void synchronize() = 0;
};

struct MemoryUse {
  Bytes free, total;
};

// What OpenCL asks of the beginning of a part of a buffer, on every device known (at most 128 bytes on GPUs and PoCL; a
// page leaves room).
inline constexpr Bytes view_alignment{4096};

class Context {
 public:
  virtual ~Context() = default;
  virtual const DeviceInfo& device() const = 0;
  virtual std::unique_ptr<Buffer> allocate(Bytes size) = 0;
  virtual std::unique_ptr<PinnedBuffer> allocate_pinned(Bytes size) = 0;
  virtual std::unique_ptr<Stream> create_stream() = 0;
  virtual std::unique_ptr<Event> create_event() = 0;
  // An event that orders and tells done, but may refuse elapsed_since() with Error(conflict). Where drivers stamp
  // timing events, recording and asking one costs microseconds; this one does not pay for that. By default
  // create_event().
  virtual std::unique_ptr<Event> create_ordering_event();
  // Pins host memory of the caller's, which must begin on a page, be mapped, and outlive the result; the result's
  // destructor unpins it. Throws Error(unsupported) where the backend cannot, Error(out_of_memory) where the system
  // refuses, Error(bad_input) for memory that does not begin on a page.
  virtual std::unique_ptr<PinnedBuffer> pin_host_memory(std::span<std::byte> memory);
  // Throws Error(device or bad_input) if the image is not for this device.
  virtual std::unique_ptr<Module> load(const Binary& binary) = 0;
  // Records what `body` enqueues on `stream` without running it. Throws Error(unsupported) unless supports_graphs.
  virtual std::unique_ptr<Graph> record_graph(Stream& stream, const std::function<void()>& body) = 0;
  virtual std::optional<MemoryUse> memory_use() const = 0;
  // Makes cache lines that kernels have marked to persist ordinary ones, where the driver can; otherwise does nothing.
  // The host may wait for the device.
  virtual void reset_persisting_cache() {}
  // The bytes [offset, offset + size) of `whole` as a buffer of their own, valid while `whole` lives; nothing is
  // copied. `offset` must be a multiple of view_alignment. Throws Error(bad_input) for a range outside `whole` or an
  // odd offset.
  virtual std::unique_ptr<Buffer> view(Buffer& whole, Bytes offset, Bytes size) = 0;
  // The formats, of those that ImageFormat can tell, that images of this use may have; empty where device() offers no
  // images.
  virtual std::vector<ImageFormat> image_formats(ImageUse use) const;
  // Throws Error(bad_input) for a shape without pixels, Error(unsupported) where device() offers no images, for a
  // format that is not among image_formats() and for more pixels than it allows, saying what it has.
  virtual std::unique_ptr<Image> create_image(const ImageShape& shape, ImageUse use);
  virtual std::unique_ptr<Sampler> create_sampler(const SamplerSettings& settings);
  // Waits for all streams.
  virtual void synchronize() = 0;
};

}  // namespace warpwright::device
