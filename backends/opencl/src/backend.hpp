// The backend over any function table: what tests build on functions that fail on demand.
#pragma once

#include <memory>

#include <warpwright/device/backend.hpp>
#include <warpwright/opencl/backend.hpp>

#include "api.hpp"
#include "device_query.hpp"

namespace warpwright::opencl {

// `api` is never null.
std::unique_ptr<device::Backend> make_backend(std::shared_ptr<const Api> api, const Options& options = {});

std::unique_ptr<device::Context> open_context(std::shared_ptr<const Api> api, FoundDevice found);
std::unique_ptr<device::Compiler> make_compiler(std::shared_ptr<const Api> api, FoundDevice found);

}  // namespace warpwright::opencl
