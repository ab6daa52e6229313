// Internal.
#pragma once

#include <memory>

#include "context.hpp"

namespace warpwright::sim {

std::unique_ptr<device::Compiler> make_compiler(std::shared_ptr<const World> world, const DeviceInfo& info);

}  // namespace warpwright::sim
