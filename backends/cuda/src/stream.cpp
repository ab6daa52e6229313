#include "stream.hpp"

#include <new>
#include <string>
#include <utility>

#include <warpwright/device/checks.hpp>

#include "launch.hpp"

namespace warpwright::cuda {

CudaEvent::CudaEvent(PrimaryContextPtr context, unsigned flags) : context_(std::move(context)) {
  const CurrentContext current(*context_);
  context_->driver().check(context_->api().event_create(&handle_, flags), "create an event");
}

CudaEvent::~CudaEvent() {
  const CurrentContext current(*context_, std::nothrow);
  context_->api().event_destroy(handle_);
}

const CudaEvent& CudaEvent::of(const device::Event& event) {
  const auto* ours = dynamic_cast<const CudaEvent*>(&event);
  if (ours == nullptr) throw Error(ErrorCode::bad_input, "the event is not one of the cuda backend");
  return *ours;
}

bool CudaEvent::done() const {
  const CurrentContext current(*context_);
  const abi::Result result = context_->api().event_query(handle_);
  if (result == abi::not_ready) return false;
  context_->driver().check(result, "query an event");
  return true;
}

void CudaEvent::synchronize() {
  const CurrentContext current(*context_);
  context_->driver().check(context_->api().event_synchronize(handle_), "wait for an event");
}

Nanoseconds CudaEvent::elapsed_since(const device::Event& start) const {
  const CudaEvent& first = of(start);
  if (!first.recorded_ || !recorded_) {
    throw Error(ErrorCode::conflict, std::string("cannot tell the time between two events: the ") +
                                         (first.recorded_ ? "second" : "first") + " was never recorded");
  }
  const CurrentContext current(*context_);
  float milliseconds = 0;
  const abi::Result result = context_->api().event_elapsed_time(&milliseconds, first.handle_, handle_);
  if (result == abi::not_ready) {
    throw Error(ErrorCode::conflict, "cannot tell the time between two events before both are done: synchronize first",
                context_->driver().native(result));
  }
  if (result == abi::invalid_handle) {
    throw Error(ErrorCode::conflict,
                "cannot tell the time between two events of different devices, inside a graph, or made without timing",
                context_->driver().native(result));
  }
  context_->driver().check(result, "tell the time between two events");
  return Nanoseconds{static_cast<double>(milliseconds) * 1e6};
}

CudaStream::CudaStream(PrimaryContextPtr context) : context_(std::move(context)) {
  const CurrentContext current(*context_);
  context_->driver().check(context_->api().stream_create(&handle_, abi::stream_non_blocking), "create a stream");
}

CudaStream::~CudaStream() {
  const CurrentContext current(*context_, std::nothrow);
  context_->api().stream_destroy(handle_);
}

CudaStream& CudaStream::of(device::Stream& stream, const PrimaryContext& context) {
  auto* ours = dynamic_cast<CudaStream*>(&stream);
  if (ours == nullptr) throw Error(ErrorCode::bad_input, "the stream is not one of the cuda backend");
  if (ours->context_->handle() != context.handle()) {
    throw Error(ErrorCode::bad_input, "the stream belongs to another device, " + ours->context_->info().id.to_string());
  }
  return *ours;
}

void CudaStream::copy_to_device(device::Buffer& destination, Bytes offset, std::span<const std::byte> source) {
  const CudaBuffer& to = CudaBuffer::of(destination, *context_);
  device::check_range("copy to device", offset, Bytes{source.size()}, to.size());
  if (source.empty()) return;
  const CurrentContext current(*context_);
  context_->driver().check(
      context_->api().copy_to_device_async(to.pointer() + offset.count, source.data(), source.size(), handle_),
      "copy to the device");
}

void CudaStream::copy_to_host(std::span<std::byte> destination, const device::Buffer& source, Bytes offset) {
  const CudaBuffer& from = CudaBuffer::of(source, *context_);
  device::check_range("copy to host", offset, Bytes{destination.size()}, from.size());
  if (destination.empty()) return;
  const CurrentContext current(*context_);
  context_->driver().check(context_->api().copy_to_host_async(destination.data(), from.pointer() + offset.count,
                                                              destination.size(), handle_),
                           "copy from the device");
}

void CudaStream::copy_on_device(device::Buffer& destination, Bytes destination_offset, const device::Buffer& source,
                                Bytes source_offset, Bytes size) {
  const CudaBuffer& to = CudaBuffer::of(destination, *context_);
  const CudaBuffer& from = CudaBuffer::of(source, *context_);
  device::check_device_copy(destination, destination_offset, source, source_offset, size);
  if (size.count == 0) return;
  const CurrentContext current(*context_);
  context_->driver().check(
      context_->api().copy_on_device_async(to.pointer() + destination_offset.count,
                                           from.pointer() + source_offset.count, size.count, handle_),
      "copy on the device");
}

void CudaStream::fill(device::Buffer& destination, Bytes offset, Bytes size, std::uint8_t value) {
  const CudaBuffer& to = CudaBuffer::of(destination, *context_);
  device::check_range("fill", offset, size, to.size());
  if (size.count == 0) return;
  const CurrentContext current(*context_);
  context_->driver().check(context_->api().fill_async(to.pointer() + offset.count, value, size.count, handle_),
                           "fill device memory");
}

void CudaStream::launch(const device::Kernel& kernel, const device::LaunchConfig& config,
                        std::span<const device::KernelArgument> arguments) {
  launch_kernel(*this, CudaKernel::of(kernel, *context_), config, arguments);
}

void CudaStream::launch(const device::Graph& graph) {
  const auto* ours = dynamic_cast<const CudaGraph*>(&graph);
  if (ours == nullptr) throw Error(ErrorCode::bad_input, "the graph is not one of the cuda backend");
  if (ours->context().handle() != context_->handle()) {
    throw Error(ErrorCode::bad_input, "the graph belongs to another device, " + ours->context().info().id.to_string());
  }
  const CurrentContext current(*context_);
  context_->driver().check(context_->api().graph_launch(ours->handle(), handle_), "launch a graph", Call::launch);
}

void CudaStream::record(device::Event& event) {
  auto* ours = dynamic_cast<CudaEvent*>(&event);
  if (ours == nullptr) throw Error(ErrorCode::bad_input, "the event is not one of the cuda backend");
  const CurrentContext current(*context_);
  context_->driver().check(context_->api().event_record(ours->handle(), handle_), "record an event");
  ours->mark_recorded();
}

void CudaStream::wait(const device::Event& event) {
  const CudaEvent& ours = CudaEvent::of(event);
  const CurrentContext current(*context_);
  context_->driver().check(context_->api().stream_wait_event(handle_, ours.handle(), 0),
                           "make a stream wait for an event");
}

bool CudaStream::idle() const {
  const CurrentContext current(*context_);
  const abi::Result result = context_->api().stream_query(handle_);
  if (result == abi::not_ready) return false;
  context_->driver().check(result, "query a stream");
  return true;
}

void CudaStream::synchronize() {
  const CurrentContext current(*context_);
  context_->driver().check(context_->api().stream_synchronize(handle_), "wait for a stream");
}

CudaGraph::CudaGraph(CudaStream& stream, const std::function<void()>& body) : context_(stream.context()) {
  const abi::Functions& api = context_->api();
  const CurrentContext current(*context_);
  // Relaxed, because the driver may have to load a kernel lazily at its first launch, which stricter modes forbid.
  context_->driver().check(api.stream_begin_capture(stream.handle(), abi::capture_relaxed), "begin recording a graph");

  // The template graph; the executable one is a copy.
  struct Template {
    const abi::Functions& functions;
    abi::GraphHandle handle = nullptr;
    ~Template() {
      if (handle != nullptr) functions.graph_destroy(handle);
    }
  } recorded{api};
  try {
    body();
  } catch (...) {
    // The stream must leave capture mode whatever happened; the first failure is the one to report.
    api.stream_end_capture(stream.handle(), &recorded.handle);
    throw;
  }
  context_->driver().check(api.stream_end_capture(stream.handle(), &recorded.handle), "end recording a graph");
  if (recorded.handle == nullptr) {
    throw Error(ErrorCode::conflict, "cannot end recording a graph: the work enqueued made the recording invalid");
  }
  context_->driver().check(api.graph_instantiate(&handle_, recorded.handle, 0), "instantiate a graph");
}

CudaGraph::~CudaGraph() {
  const CurrentContext current(*context_, std::nothrow);
  context_->api().graph_exec_destroy(handle_);
}

}  // namespace warpwright::cuda
