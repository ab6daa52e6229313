// Whatever device this machine has, in one call: for programs that do not care which backend it comes from.
//
// The other libraries know no backend by name; a program registers those it wants. This library is that registration
// for programs that want them all, and so the only one that links all of them. Drivers are opened at run time: linking
// it needs none.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <type_traits>

#include <warpwright/cuda/backend.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/device/context.hpp>
#include <warpwright/opencl/backend.hpp>

namespace warpwright::devices {

// cuda, opencl and sim, in this order. Opens nothing yet. `cuda` and `opencl` say where to look for files beyond the
// usual places: a library reads neither CUDA_HOME nor PATH.
device::BackendRegistry all_backends(cuda::Options cuda = {}, const opencl::Options& opencl = {});

// An open device with a stream. Move-only; buffers, kernels and streams made from it must not outlive it. One thread at
// a time, as its context.
class OpenDevice {
 public:
  // `info.kind` says what it is: without a GPU the best device is this CPU.
  const DeviceInfo& info() const;
  const device::Backend& backend() const;
  device::Context& context() { return *context_; }
  device::Stream& stream() { return *stream_; }

  // Memory for `count` elements, not initialised. Throws Error(bad_input) for 0 elements, Error(out_of_memory).
  template <class T>
  std::unique_ptr<device::Buffer> allocate(std::size_t count) {
    return allocate_bytes(count, sizeof(T));
  }
  // A buffer of its size with a copy of `values`, which are not needed afterwards: it waits for the stream.
  template <class T>
  std::unique_ptr<device::Buffer> upload(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>, "a device gets the bytes of a value and nothing else of it");
    auto buffer = allocate<T>(values.size());
    copy_in(*buffer, std::as_bytes(values));
    return buffer;
  }
  // The first `values.size()` elements of a buffer, after everything that the stream was given before; waits for that.
  // Throws Error(bad_input) where the buffer is shorter.
  template <class T>
  void download(const device::Buffer& buffer, std::span<T> values) {
    static_assert(std::is_trivially_copyable_v<T>, "a device gives the bytes of a value and nothing else of it");
    copy_out(buffer, std::as_writable_bytes(values));
  }

 private:
  friend OpenDevice open_best_device(cuda::Options cuda);
  friend OpenDevice open_device(const std::string& id, cuda::Options cuda);
  OpenDevice(device::BackendRegistry backends, const DeviceId& id);
  std::unique_ptr<device::Buffer> allocate_bytes(std::size_t count, std::size_t size);
  void copy_in(device::Buffer& buffer, std::span<const std::byte> bytes);
  void copy_out(const device::Buffer& buffer, std::span<std::byte> bytes);

  device::BackendRegistry backends_;
  std::unique_ptr<device::Context> context_;
  std::unique_ptr<device::Stream> stream_;
};

// The device to use when none is named: a CUDA GPU, another GPU, an accelerator, then the CPU through OpenCL; never a
// simulated one. Throws Error(unavailable) saying of every backend what is missing and how to get it, and what opening
// the device throws.
OpenDevice open_best_device(cuda::Options cuda = {});

// "cuda:0", "opencl:1:0", "sim:0". Throws Error(bad_input) for what is no id, Error(not_found) for a device that is not
// there, Error(unavailable) for a backend without its driver.
OpenDevice open_device(const std::string& id, cuda::Options cuda = {});

}  // namespace warpwright::devices
