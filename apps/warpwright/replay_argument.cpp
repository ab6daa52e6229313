#include "replay_argument.hpp"

#include <fmt/format.h>
#include <optional>
#include <string_view>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/hash.hpp>
#include <warpwright/spec/read.hpp>
#include <warpwright/store/interchange.hpp>

namespace warpwright::app {
namespace {

constexpr std::string_view prefix = "replay:";

}  // namespace

bool names_recording(const std::string& device) { return device.rfind(prefix, 0) == 0; }

std::unique_ptr<execution::ReplayDevice> open_recording(const ProblemArguments& arguments) {
  if (!names_recording(arguments.device)) return nullptr;
  const std::string file = arguments.device.substr(prefix.size());
  if (file.empty())
    throw Error(ErrorCode::bad_input,
                "--device replay: names no file; write replay:FILE, a Kernel Tuner cache or T4 file");
  RecordedSpace recorded = store::read_recorded(file);
  std::optional<Problem> specification;
  if (!arguments.specification.empty()) {
    // Sizes for classes of devices do not apply: a recording is of one size, whatever it was measured on.
    Configuration overrides;
    for (const auto& text : arguments.dimensions) {
      auto [name, value] = parse_assignment(text, "--problem");
      overrides.set(name, std::move(value));
    }
    DeviceInfo device;
    device.id = {execution::ReplayDevice::backend, {0}};
    device.kind = DeviceKind::simulated;
    specification = spec::read(arguments.specification).for_device(device, overrides);
  } else if (!arguments.dimensions.empty()) {
    throw Error(ErrorCode::bad_input,
                "--problem needs a specification: without one the recording has its own problem size");
  }
  const std::string identity = content_hash(read_file(file));
  return std::make_unique<execution::ReplayDevice>(std::move(recorded), identity, file,
                                                   specification ? &*specification : nullptr);
}

ChosenProblem choose_problem(const ProblemArguments& arguments, const device::BackendRegistry& backends,
                             const execution::ReplayDevice* recording) {
  if (recording == nullptr) return choose_problem(arguments, backends);
  ChosenProblem chosen{recording->problem(), recording->device(), recording->notes()};
  for (const auto& warning : chosen.problem.warnings) chosen.notes.push_back("warning: " + warning);
  for (const auto& problem : recording->recorded().problems)
    chosen.notes.push_back(fmt::format("warning: {}{}: {}", arguments.device.substr(prefix.size()),
                                       problem.line > 0 ? fmt::format(":{}", problem.line) : "", problem.reason));
  return chosen;
}

}  // namespace warpwright::app
