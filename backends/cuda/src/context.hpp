// Contexts and memory. Everything made from a context shares its PrimaryContext, so that no destructor touches a
// context that is gone.
#pragma once

#include <memory>

#include <warpwright/device/context.hpp>

#include "driver.hpp"

namespace warpwright::cuda {

// One retained primary context. Thread-safe.
class PrimaryContext {
 public:
  // Throws Error(device, out_of_memory or unavailable).
  PrimaryContext(std::shared_ptr<const CudaDriver> driver, abi::Device device, DeviceInfo info);
  ~PrimaryContext();
  PrimaryContext(const PrimaryContext&) = delete;
  PrimaryContext& operator=(const PrimaryContext&) = delete;

  const CudaDriver& driver() const noexcept { return *driver_; }
  const abi::Functions& api() const noexcept { return driver_->api(); }
  abi::ContextHandle handle() const noexcept { return handle_; }
  const DeviceInfo& info() const noexcept { return info_; }

 private:
  std::shared_ptr<const CudaDriver> driver_;
  abi::Device device_;
  abi::ContextHandle handle_ = nullptr;
  DeviceInfo info_;
};
using PrimaryContextPtr = std::shared_ptr<const PrimaryContext>;

// Makes a context current on this thread while it lives. Asking the driver which one is current is a thread-local read
// of its own, and unlike a flag of ours it sees what other code did in between.
class CurrentContext {
 public:
  // Throws Error(device) if the driver refuses.
  explicit CurrentContext(const PrimaryContext& context);
  // For destructors: on failure the calls that follow fail too, and are ignored.
  CurrentContext(const PrimaryContext& context, std::nothrow_t) noexcept;
  ~CurrentContext();
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;

 private:
  abi::Result enter() noexcept;

  const PrimaryContext& context_;
  abi::ContextHandle previous_ = nullptr;
  bool restore_ = false;
};

// Device memory, owned, or a view of a module's variable that keeps the module loaded.
class CudaBuffer final : public device::Buffer {
 public:
  CudaBuffer(PrimaryContextPtr context, Bytes size);
  CudaBuffer(PrimaryContextPtr context, abi::DevicePointer pointer, Bytes size, std::shared_ptr<const void> owner);
  ~CudaBuffer() override;
  CudaBuffer(const CudaBuffer&) = delete;
  CudaBuffer& operator=(const CudaBuffer&) = delete;

  Bytes size() const override { return size_; }
  // By reference, because a launch wants the address of the argument.
  const abi::DevicePointer& pointer() const noexcept { return pointer_; }
  const PrimaryContext& context() const noexcept { return *context_; }

  // `buffer` as one of ours in `context`; throws Error(bad_input) saying what it is instead.
  static const CudaBuffer& of(const device::Buffer& buffer, const PrimaryContext& context);

 private:
  PrimaryContextPtr context_;
  abi::DevicePointer pointer_ = 0;
  Bytes size_;
  std::shared_ptr<const void> owner_;
  bool owned_;
};

class CudaPinnedBuffer final : public device::PinnedBuffer {
 public:
  CudaPinnedBuffer(PrimaryContextPtr context, Bytes size);
  ~CudaPinnedBuffer() override;
  CudaPinnedBuffer(const CudaPinnedBuffer&) = delete;
  CudaPinnedBuffer& operator=(const CudaPinnedBuffer&) = delete;

  std::byte* data() override { return data_; }
  const std::byte* data() const override { return data_; }
  Bytes size() const override { return size_; }

 private:
  PrimaryContextPtr context_;
  void* pointer_ = nullptr;    // as the driver gave it
  std::byte* data_ = nullptr;  // its first page boundary
  Bytes size_;
};

// Memory of the caller's, pinned while this lives.
class CudaRegistration final : public device::PinnedBuffer {
 public:
  CudaRegistration(PrimaryContextPtr context, std::span<std::byte> memory);
  ~CudaRegistration() override;
  CudaRegistration(const CudaRegistration&) = delete;
  CudaRegistration& operator=(const CudaRegistration&) = delete;

  std::byte* data() override { return memory_.data(); }
  const std::byte* data() const override { return memory_.data(); }
  Bytes size() const override { return Bytes{memory_.size()}; }

 private:
  PrimaryContextPtr context_;
  std::span<std::byte> memory_;
};

class CudaContext final : public device::Context {
 public:
  explicit CudaContext(PrimaryContextPtr primary) : primary_(std::move(primary)) {}

  const DeviceInfo& device() const override { return primary_->info(); }
  std::unique_ptr<device::Buffer> allocate(Bytes size) override;
  std::unique_ptr<device::PinnedBuffer> allocate_pinned(Bytes size) override;
  std::unique_ptr<device::Stream> create_stream() override;
  std::unique_ptr<device::Event> create_event() override;
  std::unique_ptr<device::Event> create_ordering_event() override;
  std::unique_ptr<device::PinnedBuffer> pin_host_memory(std::span<std::byte> memory) override;
  std::unique_ptr<device::Module> load(const Binary& binary) override;
  std::unique_ptr<device::Graph> record_graph(device::Stream& stream, const std::function<void()>& body) override;
  std::optional<device::MemoryUse> memory_use() const override;
  void reset_persisting_cache() override;
  std::unique_ptr<device::Buffer> view(device::Buffer& whole, Bytes offset, Bytes size) override;
  void synchronize() override;

 private:
  PrimaryContextPtr primary_;
  bool can_reset_persisting_ = true;
};

}  // namespace warpwright::cuda
