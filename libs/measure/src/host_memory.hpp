// How much memory this process may still take before the system kills one.
#pragma once

#include <filesystem>
#include <optional>

#include <warpwright/base/units.hpp>

namespace warpwright::measure {

// The least of what the machine has left (with swap) and what the control groups of this process allow; nullopt where
// neither is told. Reads /proc and /sys below `root`.
std::optional<Bytes> available_host_memory(const std::filesystem::path& root = "/");

}  // namespace warpwright::measure
