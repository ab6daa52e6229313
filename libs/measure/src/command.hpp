// Running an external program with a deadline.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <warpwright/base/units.hpp>

namespace warpwright::measure {

// Runs `command` (searched in PATH) in `folder` (empty: where this process runs) with standard input from /dev/null and
// standard output and error going to `log`. Throws Error(not_found) if it cannot be started, Error(bad_input) with its
// last words if it fails, Error(timeout) after killing it and all it started. All of that is killed as well when the
// calling thread dies meanwhile, for whatever reason.
void run_command(const std::vector<std::string>& command, const std::filesystem::path& folder,
                 const std::filesystem::path& log, Seconds deadline);

}  // namespace warpwright::measure
