// The backend with its libraries, separate from how they are found, so that tests can give their own.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include <warpwright/cuda/backend.hpp>

#include "driver.hpp"
#include "nvml.hpp"
#include "nvrtc.hpp"
#include "unavailable.hpp"

namespace warpwright::cuda {

// A library that is opened when first needed. A failure is remembered: it is an answer too, and asking again is slow.
// Thread-safe.
template <class Library>
class Lazy {
 public:
  using Loader = std::function<std::shared_ptr<const Library>()>;
  explicit Lazy(Loader loader) : loader_(std::move(loader)) {}

  // Throws the Unavailable of the loader.
  std::shared_ptr<const Library> get() const {
    const std::lock_guard lock(mutex_);
    if (failure_) throw *failure_;
    if (!library_) {
      try {
        library_ = loader_();
      } catch (const Unavailable& error) {
        failure_ = error;
        throw;
      }
    }
    return library_;
  }

 private:
  Loader loader_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Library> library_;
  mutable std::optional<Unavailable> failure_;
};

struct Loaders {
  Lazy<CudaDriver>::Loader driver;
  Lazy<Nvrtc>::Loader nvrtc;
  Lazy<Nvml>::Loader nvml;
};

std::unique_ptr<device::Backend> make_backend(Options options, Loaders loaders);

}  // namespace warpwright::cuda
