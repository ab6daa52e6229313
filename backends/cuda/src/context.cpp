#include "context.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include <warpwright/device/checks.hpp>

#include "module.hpp"
#include "stream.hpp"

namespace warpwright::cuda {

namespace {

constexpr std::size_t page_size = 4096;

}  // namespace

PrimaryContext::PrimaryContext(std::shared_ptr<const CudaDriver> driver, abi::Device device, DeviceInfo info)
    : driver_(std::move(driver)), device_(device), info_(std::move(info)) {
  const abi::Result result = api().primary_context_retain(&handle_, device_);
  if (result != abi::success) {
    throw driver_->error(result, Call::general, "open " + info_.id.to_string() + " (" + info_.name + ")");
  }
}

PrimaryContext::~PrimaryContext() {
  // A released context must not stay current here: its handle may come to name another one.
  abi::ContextHandle current = nullptr;
  if (api().context_get_current(&current) == abi::success && current == handle_) api().context_set_current(nullptr);
  api().primary_context_release(device_);
}

CurrentContext::CurrentContext(const PrimaryContext& context) : context_(context) {
  context_.driver().check(enter(), "make the device's context current");
}

CurrentContext::CurrentContext(const PrimaryContext& context, std::nothrow_t) noexcept : context_(context) { enter(); }

abi::Result CurrentContext::enter() noexcept {
  const abi::Result result = context_.api().context_get_current(&previous_);
  if (result == abi::success && previous_ == context_.handle()) return abi::success;
  const abi::Result changed = context_.api().context_set_current(context_.handle());
  restore_ = changed == abi::success && result == abi::success && previous_ != nullptr;
  return changed;
}

CurrentContext::~CurrentContext() {
  if (restore_) context_.api().context_set_current(previous_);
}

CudaBuffer::CudaBuffer(PrimaryContextPtr context, Bytes size)
    : context_(std::move(context)), size_(size), owned_(true) {
  const CurrentContext current(*context_);
  // The driver refuses 0 bytes; an empty buffer is legal here.
  const abi::Result result = context_->api().memory_allocate(&pointer_, std::max<std::uint64_t>(size_.count, 1));
  if (result == abi::success) return;
  std::string action = "allocate " + format_bytes(size_) + " of device memory";
  std::size_t free = 0, total = 0;
  if (result == abi::out_of_memory && context_->api().memory_get_info(&free, &total) == abi::success) {
    action += " (" + format_bytes(Bytes{free}) + " of " + format_bytes(Bytes{total}) + " are free)";
  }
  context_->driver().fail(result, Call::allocate, action);
}

CudaBuffer::CudaBuffer(PrimaryContextPtr context, abi::DevicePointer pointer, Bytes size,
                       std::shared_ptr<const void> owner)
    : context_(std::move(context)), pointer_(pointer), size_(size), owner_(std::move(owner)), owned_(false) {}

CudaBuffer::~CudaBuffer() {
  if (!owned_) return;
  const CurrentContext current(*context_, std::nothrow);
  context_->api().memory_free(pointer_);
}

const CudaBuffer& CudaBuffer::of(const device::Buffer& buffer, const PrimaryContext& context) {
  const auto* ours = dynamic_cast<const CudaBuffer*>(&buffer);
  if (ours == nullptr) throw Error(ErrorCode::bad_input, "the buffer is not one of the cuda backend");
  if (ours->context_->handle() != context.handle()) {
    throw Error(ErrorCode::bad_input, "the buffer belongs to " + ours->context_->info().id.to_string() +
                                          ", the stream to " + context.info().id.to_string());
  }
  return *ours;
}

CudaPinnedBuffer::CudaPinnedBuffer(PrimaryContextPtr context, Bytes size) : context_(std::move(context)), size_(size) {
  const CurrentContext current(*context_);
  // The driver packs small blocks: a page more leaves room to begin on one.
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t bytes = size_.count > most - page_size ? most : size_.count + page_size - 1;
  const abi::Result result = context_->api().host_allocate(&pointer_, bytes, abi::host_alloc_portable);
  if (result != abi::success) {
    context_->driver().fail(result, Call::allocate, "allocate " + format_bytes(size_) + " of pinned host memory");
  }
  void* aligned = pointer_;
  std::size_t room = bytes;
  data_ = static_cast<std::byte*>(std::align(page_size, size_.count, aligned, room));
}

CudaPinnedBuffer::~CudaPinnedBuffer() {
  const CurrentContext current(*context_, std::nothrow);
  context_->api().host_free(pointer_);
}

CudaRegistration::CudaRegistration(PrimaryContextPtr context, std::span<std::byte> memory)
    : context_(std::move(context)), memory_(memory) {
  const abi::Functions& api = context_->api();
  if (api.host_register == nullptr || api.host_unregister == nullptr) {
    throw Error(ErrorCode::unsupported,
                "the CUDA driver cannot pin memory that the program allocated; install a newer one");
  }
  if (reinterpret_cast<std::uintptr_t>(memory_.data()) % page_size != 0) {
    throw Error(ErrorCode::bad_input, "memory to pin must begin on a page");
  }
  const CurrentContext current(*context_);
  const abi::Result result = api.host_register(memory_.data(), memory_.size(), abi::host_register_portable);
  if (result != abi::success) {
    context_->driver().fail(result, Call::allocate, "pin " + format_bytes(Bytes{memory_.size()}) + " of host memory");
  }
}

CudaRegistration::~CudaRegistration() {
  const CurrentContext current(*context_, std::nothrow);
  context_->api().host_unregister(memory_.data());
}

std::unique_ptr<device::Buffer> CudaContext::allocate(Bytes size) {
  return std::make_unique<CudaBuffer>(primary_, size);
}

std::unique_ptr<device::Buffer> CudaContext::view(device::Buffer& whole, Bytes offset, Bytes size) {
  const CudaBuffer& buffer = CudaBuffer::of(whole, *primary_);
  device::check_view(offset, size, buffer.size());
  return std::make_unique<CudaBuffer>(primary_, buffer.pointer() + offset.count, size, nullptr);
}

std::unique_ptr<device::PinnedBuffer> CudaContext::allocate_pinned(Bytes size) {
  return std::make_unique<CudaPinnedBuffer>(primary_, size);
}

std::unique_ptr<device::Stream> CudaContext::create_stream() { return std::make_unique<CudaStream>(primary_); }

std::unique_ptr<device::Event> CudaContext::create_event() { return std::make_unique<CudaEvent>(primary_); }

std::unique_ptr<device::Event> CudaContext::create_ordering_event() {
  return std::make_unique<CudaEvent>(primary_, abi::event_disable_timing);
}

std::unique_ptr<device::PinnedBuffer> CudaContext::pin_host_memory(std::span<std::byte> memory) {
  return std::make_unique<CudaRegistration>(primary_, memory);
}

std::unique_ptr<device::Module> CudaContext::load(const Binary& binary) {
  return std::make_unique<CudaModule>(primary_, binary);
}

std::unique_ptr<device::Graph> CudaContext::record_graph(device::Stream& stream, const std::function<void()>& body) {
  if (!primary_->driver().has_graphs()) {
    throw Error(ErrorCode::unsupported, "the CUDA driver cannot record graphs: install a newer driver");
  }
  return std::make_unique<CudaGraph>(CudaStream::of(stream, *primary_), body);
}

std::optional<device::MemoryUse> CudaContext::memory_use() const {
  const CurrentContext current(*primary_);
  std::size_t free = 0, total = 0;
  primary_->driver().check(primary_->api().memory_get_info(&free, &total), "ask how much device memory is free");
  return device::MemoryUse{Bytes{free}, Bytes{total}};
}

void CudaContext::reset_persisting_cache() {
  const auto reset = primary_->api().context_reset_persisting_l2;
  if (reset == nullptr || !can_reset_persisting_) return;
  const CurrentContext current(*primary_);
  const abi::Result result = reset();
  // Devices before compute capability 8.0 have no such lines.
  if (result == abi::not_supported) {
    can_reset_persisting_ = false;
    return;
  }
  primary_->driver().check(result, "make persisting lines of the cache ordinary ones");
}

void CudaContext::synchronize() {
  const CurrentContext current(*primary_);
  primary_->driver().check(primary_->api().context_synchronize(), "wait for the device");
}

}  // namespace warpwright::cuda
