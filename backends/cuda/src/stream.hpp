// Streams, events and graphs.
#pragma once

#include <atomic>
#include <functional>

#include <warpwright/device/context.hpp>

#include "context.hpp"

namespace warpwright::cuda {

class CudaEvent final : public device::Event {
 public:
  explicit CudaEvent(PrimaryContextPtr context, unsigned flags = abi::event_default);
  ~CudaEvent() override;
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;

  bool done() const override;
  void synchronize() override;
  Nanoseconds elapsed_since(const device::Event& start) const override;

  abi::EventHandle handle() const noexcept { return handle_; }
  // Set by the stream that records it; atomic because the recording stream may be used by another thread.
  void mark_recorded() noexcept { recorded_ = true; }

  static const CudaEvent& of(const device::Event& event);

 private:
  PrimaryContextPtr context_;
  abi::EventHandle handle_ = nullptr;
  std::atomic<bool> recorded_ = false;
};

// Non-blocking with respect to the legacy default stream, so that other CUDA code of the process does not serialise it.
class CudaStream final : public device::Stream {
 public:
  explicit CudaStream(PrimaryContextPtr context);
  ~CudaStream() override;
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

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

  abi::StreamHandle handle() const noexcept { return handle_; }
  const PrimaryContextPtr& context() const noexcept { return context_; }

  // `stream` as one of ours in `context`; throws Error(bad_input) otherwise.
  static CudaStream& of(device::Stream& stream, const PrimaryContext& context);

 private:
  PrimaryContextPtr context_;
  abi::StreamHandle handle_ = nullptr;
};

// Recorded by stream capture and instantiated at once.
class CudaGraph final : public device::Graph {
 public:
  CudaGraph(CudaStream& stream, const std::function<void()>& body);
  ~CudaGraph() override;
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  abi::GraphExecHandle handle() const noexcept { return handle_; }
  const PrimaryContext& context() const noexcept { return *context_; }

 private:
  PrimaryContextPtr context_;
  abi::GraphExecHandle handle_ = nullptr;
};

}  // namespace warpwright::cuda
