#include "command.hpp"

#include <charconv>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/spec/read.hpp>

namespace warpwright::app {

LogSink Console::log(bool quiet) const {
  return [stream = err, quiet](LogLevel level, std::string_view text) {
    if (level == LogLevel::debug || (quiet && level != LogLevel::error)) return;
    const char* prefix = level == LogLevel::error ? "error: " : level == LogLevel::warning ? "warning: " : "";
    fmt::print(stream, "{}{}\n", prefix, text);
  };
}

void ProblemArguments::add_to(CLI::App& command, bool may_replay) {
  CLI::Option* file =
      command.add_option("specification", specification, "Specification of the kernel: TOML, or T1 JSON")
          ->type_name("SPEC");
  if (!may_replay) file->required();
  command
      .add_option("--device", device,
                  may_replay
                      ? "Device to use, e.g. cuda:0, or replay:FILE, a recorded space (default: the best GPU, else the "
                        "CPU)"
                      : "Device to use, e.g. cuda:0 or opencl:0:0 (default: the best GPU, else the CPU)")
      ->type_name("ID");
  command.add_option("--problem", dimensions, "Set a problem dimension or constant; may be given several times")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
}

ChosenProblem choose_problem(const ProblemArguments& arguments, const device::BackendRegistry& backends) {
  ChosenProblem chosen;
  if (arguments.specification.empty())
    throw Error(ErrorCode::bad_input,
                "SPEC is missing: name a specification (only --device replay:FILE works without one)");
  if (arguments.device.rfind("replay:", 0) == 0)
    throw Error(ErrorCode::bad_input,
                "--device " + arguments.device +
                    ": a recording can neither compile nor run; 'tune', 'compare' and 'devices' take one");
  const Problem base = spec::read(arguments.specification);
  if (!base.obstacles.empty())
    throw Error(ErrorCode::bad_input,
                fmt::format("'{}' has no kernel that can be run; its space can be searched on recorded results with "
                            "--device replay:FILE. What is in the way:\n  {}",
                            arguments.specification, fmt::join(base.obstacles, "\n  ")));
  Configuration overrides;
  for (const auto& text : arguments.dimensions) {
    auto [name, value] = parse_assignment(text, "--problem");
    overrides.set(name, std::move(value));
  }
  if (!arguments.device.empty()) {
    chosen.device = backends.describe(DeviceId::parse(arguments.device));
  } else {
    const auto best = backends.best_device();
    if (!best) {
      std::string reasons;
      for (const auto& backend : backends.all()) {
        const auto probe = backend->probe();
        if (!probe.usable) reasons += "\n  " + backend->name() + ": " + probe.reason + "; " + probe.remedy;
      }
      throw Error(ErrorCode::unavailable, "no device to tune on:" + reasons);
    }
    chosen.device = *best;
    if (best->kind == DeviceKind::cpu)
      chosen.notes.push_back("no GPU found: tuning for this CPU (" + best->name + ", " + best->id.to_string() + ")");
  }
  for (const auto& component : backends.find(chosen.device.id).probe().components)
    if (component.required && !component.present)
      chosen.notes.push_back("warning: " + component.name + ": " + component.detail + "; " + component.remedy);
  chosen.problem = base.for_device(chosen.device, overrides);
  for (const auto& warning : chosen.problem.warnings) chosen.notes.push_back("warning: " + warning);
  measure::require_images(chosen.problem, chosen.device);
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
    const std::string what = own ? fmt::format("stage '{}' of '{}'", name_of_stage, arguments.specification)
                                 : fmt::format("'{}'", arguments.specification);
    throw Error(ErrorCode::bad_input,
                fmt::format("{} has kernel source for {} and none for {} devices; choose another device with "
                            "--device, or give a source for {} ({} source)",
                            what, fmt::join(known, ", "), backend, backend, own ? "[[stage]]" : "[kernel]"));
  }
  return chosen;
}

std::pair<std::string, Value> parse_assignment(const std::string& text, const std::string& flag) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    throw Error(ErrorCode::bad_input, fmt::format("{} '{}': write NAME=VALUE, e.g. {} width=1024", flag, text, flag));
  return {text.substr(0, equals), parse_value(text.substr(equals + 1))};
}

Nanoseconds parse_duration(const std::string& text, const std::string& flag) {
  double number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  double scale = 0;
  if (unit == "s")
    scale = 1e9;
  else if (unit == "ms")
    scale = 1e6;
  else if (unit == "m" || unit == "min")
    scale = 60e9;
  else if (unit == "h")
    scale = 3600e9;
  if (status == std::errc{} && unit.empty() && number > 0)
    throw Error(ErrorCode::bad_input, fmt::format("{} '{}' has no unit; for seconds write {}s", flag, text, text));
  if (status != std::errc{} || scale == 0 || !(number > 0) || number * scale > 1e18)
    throw Error(ErrorCode::bad_input,
                fmt::format("{} '{}': write a positive time with a unit, e.g. 30s, 500ms, 10m or 1h", flag, text));
  return Nanoseconds(number * scale);
}

Bytes parse_bytes(const std::string& text, const std::string& flag) {
  double number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  constexpr std::pair<std::string_view, double> units[] = {
      {"B", 1}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
  double scale = 0;
  for (const auto& [name, factor] : units)
    if (unit == name) scale = factor;
  if (status == std::errc{} && unit.empty() && number > 0)
    throw Error(ErrorCode::bad_input,
                fmt::format("{} '{}' has no unit; for gibibytes write {}GiB, for bytes {}B", flag, text, text, text));
  if (status != std::errc{} || scale == 0 || !(number * scale >= 1) || number * scale > 1e18)
    throw Error(ErrorCode::bad_input,
                fmt::format("{} '{}': write a positive size with a unit, e.g. 512MiB, 4GiB or 2GB", flag, text));
  return Bytes{static_cast<std::uint64_t>(number * scale)};
}

CLI::Validator at_least(std::uint64_t minimum) {
  return CLI::Validator(
      [minimum](std::string& text) {
        std::uint64_t number = 0;
        const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (status == std::errc{} && end == text.data() + text.size() && number >= minimum) return std::string();
        return fmt::format("'{}' must be a whole number, at least {}", text, minimum);
      },
      "");
}

}  // namespace warpwright::app
