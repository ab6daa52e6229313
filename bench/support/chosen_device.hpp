// The device of a program of bench/ that runs kernels.
#pragma once

#include <string>

#include <warpwright/base/error.hpp>

#include "backends.hpp"

namespace warpwright::bench {

// That of `id`, or the best of the machine where `id` is empty. Throws Error(unavailable) where there is none.
inline DeviceInfo chosen_device(const device::BackendRegistry& backends, const std::string& id) {
  if (!id.empty()) return backends.describe(DeviceId::parse(id));
  if (const auto best = backends.best_device()) return *best;
  throw Error(ErrorCode::unavailable, "no device; 'warpwright devices' says why");
}

}  // namespace warpwright::bench
