// "--device replay:FILE": a recorded space in the place of a device.
#pragma once

#include <memory>
#include <string>

#include <warpwright/execution/replay_device.hpp>

#include "command.hpp"

namespace warpwright::app {

bool names_recording(const std::string& device);

// Null where --device names no recording. Reads the recording and, where one is given, the specification; throws
// Error(bad_input, not_found, unsupported) naming the file and what disagrees.
std::unique_ptr<execution::ReplayDevice> open_recording(const ProblemArguments& arguments);

// What a command works on: the recording's problem, or that of a specification and a real device.
ChosenProblem choose_problem(const ProblemArguments& arguments, const device::BackendRegistry& backends,
                             const execution::ReplayDevice* recording);

}  // namespace warpwright::app
