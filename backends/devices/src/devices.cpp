#include <fmt/format.h>
#include <limits>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/devices/devices.hpp>
#include <warpwright/sim/backend.hpp>

namespace warpwright::devices {

device::BackendRegistry all_backends(cuda::Options cuda, const opencl::Options& opencl) {
  device::BackendRegistry backends;
  backends.add(cuda::make_backend(std::move(cuda)));
  backends.add(opencl::make_backend(opencl));
  backends.add(sim::make_backend());
  return backends;
}

OpenDevice::OpenDevice(device::BackendRegistry backends, const DeviceId& id)
    : backends_(std::move(backends)), context_(backends_.find(id).open(id)), stream_(context_->create_stream()) {}

const DeviceInfo& OpenDevice::info() const { return context_->device(); }

const device::Backend& OpenDevice::backend() const { return backends_.find(info().id); }

std::unique_ptr<device::Buffer> OpenDevice::allocate_bytes(std::size_t count, std::size_t size) {
  if (count == 0) throw Error(ErrorCode::bad_input, "a buffer of 0 elements was asked for; it must have 1 at least");
  if (count > std::numeric_limits<std::uint64_t>::max() / size)
    throw Error(ErrorCode::out_of_memory, fmt::format("no device has memory for {} elements of {} bytes", count, size));
  return context_->allocate(Bytes{count * size});
}

void OpenDevice::copy_in(device::Buffer& buffer, std::span<const std::byte> bytes) {
  stream_->copy_to_device(buffer, Bytes{}, bytes);
  stream_->synchronize();
}

void OpenDevice::copy_out(const device::Buffer& buffer, std::span<std::byte> bytes) {
  if (bytes.size() > buffer.size().count)
    throw Error(ErrorCode::bad_input,
                fmt::format("{} bytes were asked of a buffer that has {}", bytes.size(), buffer.size().count));
  if (bytes.empty()) return;
  stream_->copy_to_host(bytes, buffer, Bytes{});
  stream_->synchronize();
}

OpenDevice open_best_device(cuda::Options cuda) {
  device::BackendRegistry backends = all_backends(std::move(cuda));
  if (const auto best = backends.best_device()) return OpenDevice(std::move(backends), best->id);
  std::string missing;
  for (const auto& backend : backends.all()) {
    if (backend->name() == "sim") continue;
    const device::ProbeResult probe = backend->probe();
    missing += fmt::format("; {}: {}{}", backend->name(), probe.reason.empty() ? "it has no device" : probe.reason,
                           probe.remedy.empty() ? "" : " (" + probe.remedy + ")");
  }
  throw Error(ErrorCode::unavailable, "this machine has no device to compute on" + missing);
}

OpenDevice open_device(const std::string& id, cuda::Options cuda) {
  return OpenDevice(all_backends(std::move(cuda)), DeviceId::parse(id));
}

}  // namespace warpwright::devices
