// What is tuned and on what: a specification and a device that it suits, or a recorded space in the place of both.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <warpwright/base/log.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/driver/names.hpp>
#include <warpwright/execution/replay_device.hpp>
#include <warpwright/model/configuration.hpp>
#include <warpwright/model/device_info.hpp>
#include <warpwright/model/problem.hpp>

namespace warpwright::driver {

struct ProblemRequest {
  std::string specification;  // path of a TOML or T1 file; only a recording does without
  // "cuda:0", "opencl:1:0", "sim:0"; "replay:FILE" is a recorded space. Empty: the best GPU, else another accelerator,
  // else this CPU.
  std::string device;
  Configuration dimensions;  // what to set of the specification's dimensions and constants
};

// For people: no GPU was found, warnings of the reader.
struct Note {
  LogLevel level = LogLevel::info;
  std::string text;
};

struct ChosenProblem {
  Problem problem;  // with the device's dimensions
  DeviceInfo device;
  std::vector<Note> notes;
};

bool names_recording(const std::string& device);

// Null where the device is no recording. Reads the recording and, where one is given, the specification. Throws
// Error(bad_input, not_found, unsupported) naming the file and what disagrees.
std::unique_ptr<execution::ReplayDevice> open_recording(const ProblemRequest& request, const OptionNames& names);

// Reads the specification and asks the backends for the device; opens none. Throws Error(bad_input) for a
// specification that this device cannot run (also for a recording), Error(unavailable) where there is no device, and
// what spec::read() throws.
ChosenProblem choose_problem(const ProblemRequest& request, const device::BackendRegistry& backends,
                             const OptionNames& names);
// The recording's problem where there is one.
ChosenProblem choose_problem(const ProblemRequest& request, const device::BackendRegistry& backends,
                             const OptionNames& names, const execution::ReplayDevice* recording);

}  // namespace warpwright::driver
