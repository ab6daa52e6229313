// Ownership of OpenCL objects.
#pragma once

#include <memory>
#include <utility>

#include "api.hpp"

namespace warpwright::opencl {

// Owns one reference to an OpenCL object and keeps the function table alive. Move-only; the destructor ignores the
// status of the release, because nothing can be done about it and destructors do not throw.
template <class Handle, auto Release>
class Owned {
 public:
  Owned() = default;
  Owned(std::shared_ptr<const Api> api, Handle handle) : api_(std::move(api)), handle_(handle) {}
  Owned(Owned&& other) noexcept : api_(std::move(other.api_)), handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(api_, other.api_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_ != nullptr) static_cast<void>((api_.get()->*Release)(handle_));
  }

  Handle get() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  std::shared_ptr<const Api> api_;
  Handle handle_ = nullptr;
};

using OwnedContext = Owned<abi::Context, &Api::release_context>;
using OwnedQueue = Owned<abi::Queue, &Api::release_command_queue>;
using OwnedMem = Owned<abi::Mem, &Api::release_mem_object>;
using OwnedSampler = Owned<abi::Sampler, &Api::release_sampler>;
using OwnedProgram = Owned<abi::Program, &Api::release_program>;
using OwnedKernel = Owned<abi::Kernel, &Api::release_kernel>;
using OwnedEvent = Owned<abi::Event, &Api::release_event>;
// Events are shared by the stream that made them and every warpwright Event that marks them.
using SharedEvent = std::shared_ptr<const OwnedEvent>;

}  // namespace warpwright::opencl
