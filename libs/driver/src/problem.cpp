#include <fmt/format.h>
#include <optional>
#include <string_view>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/hash.hpp>
#include <warpwright/driver/problem.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/spec/read.hpp>
#include <warpwright/store/interchange.hpp>

namespace warpwright::driver {
namespace {

constexpr std::string_view replay_prefix = "replay:";

DeviceInfo best_device(const device::BackendRegistry& backends, std::vector<Note>& notes) {
  const auto best = backends.best_device();
  if (!best) {
    std::string reasons;
    for (const auto& backend : backends.all()) {
      const auto probe = backend->probe();
      if (!probe.usable) reasons += "\n  " + backend->name() + ": " + probe.reason + "; " + probe.remedy;
    }
    throw Error(ErrorCode::unavailable, "no device to tune on:" + reasons);
  }
  if (best->kind == DeviceKind::cpu)
    notes.push_back(
        {LogLevel::info, "no GPU found: tuning for this CPU (" + best->name + ", " + best->id.to_string() + ")"});
  return *best;
}

// Every launch needs a source for the device's backend.
void require_sources(const ChosenProblem& chosen, const ProblemRequest& request, const OptionNames& names) {
  const std::string& backend = chosen.device.id.backend;
  std::vector<std::string> stages;
  for (const Launch& launch : chosen.problem.launches) stages.push_back(launch.stage);
  if (chosen.problem.stages.empty()) stages = {""};
  for (const std::string& name_of_stage : stages) {
    if (chosen.problem.find_source(name_of_stage, backend) != nullptr) continue;
    const Stage* stage = chosen.problem.find_stage(name_of_stage);
    const bool own = stage != nullptr && !stage->source.by_backend.empty();
    std::vector<std::string> known;
    for (const auto& [name, source] : (own ? stage->source : chosen.problem.source).by_backend) known.push_back(name);
    const std::string what = own ? fmt::format("stage '{}' of '{}'", name_of_stage, request.specification)
                                 : fmt::format("'{}'", request.specification);
    throw Error(
        ErrorCode::bad_input,
        fmt::format("{} has kernel source for {} and none for {} devices; choose another device with "
                    "{}, or give a source for {} ({} source)",
                    what, fmt::join(known, ", "), backend, names.device, backend, own ? "[[stage]]" : "[kernel]"));
  }
}

}  // namespace

bool names_recording(const std::string& device) { return device.rfind(replay_prefix, 0) == 0; }

std::unique_ptr<execution::ReplayDevice> open_recording(const ProblemRequest& request, const OptionNames& names) {
  if (!names_recording(request.device)) return nullptr;
  const std::string file = request.device.substr(replay_prefix.size());
  if (file.empty())
    throw Error(ErrorCode::bad_input,
                names.device + " replay: names no file; write replay:FILE, a Kernel Tuner cache or T4 file");
  RecordedSpace recorded = store::read_recorded(file);
  std::optional<Problem> specification;
  if (!request.specification.empty()) {
    // Sizes for classes of devices do not apply: a recording is of one size, whatever it was measured on.
    DeviceInfo device;
    device.id = {execution::ReplayDevice::backend, {0}};
    device.kind = DeviceKind::simulated;
    specification = spec::read(request.specification).for_device(device, request.dimensions);
  } else if (!request.dimensions.empty()) {
    throw Error(ErrorCode::bad_input,
                names.dimensions + " needs a specification: without one the recording has its own problem size");
  }
  const std::string identity = content_hash(read_file(file));
  return std::make_unique<execution::ReplayDevice>(std::move(recorded), identity, file,
                                                   specification ? &*specification : nullptr);
}

ChosenProblem choose_problem(const ProblemRequest& request, const device::BackendRegistry& backends,
                             const OptionNames& names) {
  if (request.specification.empty())
    throw Error(ErrorCode::bad_input, fmt::format("{} is missing: name a specification (only {} replay:FILE works "
                                                  "without one)",
                                                  names.specification, names.device));
  if (names_recording(request.device))
    throw Error(ErrorCode::bad_input,
                fmt::format("{} {}: a recording can neither compile nor run", names.device, request.device));
  const Problem base = spec::read(request.specification);
  if (!base.obstacles.empty())
    throw Error(ErrorCode::bad_input,
                fmt::format("'{}' has no kernel that can be run; its space can be searched on recorded results with "
                            "{} replay:FILE. What is in the way:\n  {}",
                            request.specification, names.device, fmt::join(base.obstacles, "\n  ")));
  ChosenProblem chosen;
  chosen.device =
      request.device.empty() ? best_device(backends, chosen.notes) : backends.describe(DeviceId::parse(request.device));
  for (const auto& component : backends.find(chosen.device.id).probe().components)
    if (component.required && !component.present)
      chosen.notes.push_back({LogLevel::warning, component.name + ": " + component.detail + "; " + component.remedy});
  chosen.problem = base.for_device(chosen.device, request.dimensions);
  for (const auto& warning : chosen.problem.warnings) chosen.notes.push_back({LogLevel::warning, warning});
  measure::require_images(chosen.problem, chosen.device);
  require_sources(chosen, request, names);
  return chosen;
}

ChosenProblem choose_problem(const ProblemRequest& request, const device::BackendRegistry& backends,
                             const OptionNames& names, const execution::ReplayDevice* recording) {
  if (recording == nullptr) return choose_problem(request, backends, names);
  ChosenProblem chosen{recording->problem(), recording->device(), {}};
  for (const auto& note : recording->notes()) chosen.notes.push_back({LogLevel::info, note});
  for (const auto& warning : chosen.problem.warnings) chosen.notes.push_back({LogLevel::warning, warning});
  for (const auto& problem : recording->recorded().problems)
    chosen.notes.push_back(
        {LogLevel::warning, fmt::format("{}{}: {}", request.device.substr(replay_prefix.size()),
                                        problem.line > 0 ? fmt::format(":{}", problem.line) : "", problem.reason)});
  return chosen;
}

}  // namespace warpwright::driver
