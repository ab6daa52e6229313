#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/execution/confinement.hpp>
#include <warpwright/store/json.hpp>

#include "backends.hpp"
#include "command.hpp"

namespace warpwright::app {
namespace {

using store::Json;

Json backend_json(const device::Backend& backend, const device::ProbeResult& probe) {
  Json components = Json::array();
  for (const auto& component : probe.components)
    components.push_back({{"name", component.name},
                          {"present", component.present},
                          {"required", component.required},
                          {"detail", component.detail},
                          {"remedy", component.remedy}});
  Json devices = Json::array();
  for (const auto& device : backend.devices()) devices.push_back(store::to_json(device));
  return {{"name", backend.name()},
          {"usable", probe.usable},
          {"reason", probe.reason},
          {"remedy", probe.remedy},
          {"components", std::move(components)},
          {"devices", std::move(devices)}};
}

template <class T>
std::string or_unknown(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : std::string("unknown");
}

std::string or_unknown(const std::optional<Bytes>& value) { return value ? format_bytes(*value) : "unknown"; }

void print_device(const DeviceInfo& device, std::FILE* out) {
  fmt::print(out, "  {}  {} ({}, {})\n", device.id.to_string(), device.name, to_string(device.kind),
             device.architecture);
  const auto line = [&](const char* name, const std::string& text) { fmt::print(out, "    {:<20} {}\n", name, text); };
  line("driver", device.driver.empty() ? "unknown" : device.driver);
  line("compiler", device.toolkit.empty() ? "unknown" : device.toolkit);
  line("multiprocessors", fmt::format("{}{}", device.multiprocessors,
                                      device.clock_mhz ? fmt::format(" at up to {} MHz", *device.clock_mhz) : ""));
  line("threads per block", fmt::format("{} ({} x {} x {})", device.max_threads_per_block, device.max_block[0],
                                        device.max_block[1], device.max_block[2]));
  line("shared memory",
       fmt::format(
           "{} per block{}, {} per multiprocessor", format_bytes(device.shared_per_block),
           device.shared_per_block_optin ? " (" + format_bytes(*device.shared_per_block_optin) + " with opt-in)" : "",
           or_unknown(device.shared_per_multiprocessor)));
  line("registers", fmt::format("{} per block, {} per multiprocessor", or_unknown(device.registers_per_block),
                                or_unknown(device.registers_per_multiprocessor)));
  line("memory",
       fmt::format("{}, last-level cache {}{}", format_bytes(device.global_memory), or_unknown(device.l2_cache),
                   device.l2_cache_source.empty() ? "" : " (" + device.l2_cache_source + ")"));
  std::string features;
  const auto add = [&](bool there, const char* name) {
    if (there) features += (features.empty() ? "" : ", ") + std::string(name);
  };
  add(device.supports_float64, "float64");
  add(device.supports_float16, "float16");
  add(device.supports_cooperative_launch, "cooperative launch");
  add(device.supports_clusters, "clusters");
  add(device.supports_graphs, "graphs");
  if (device.offers_images())
    add(true, fmt::format("images of {} x {}", device.max_image[0], device.max_image[1]).c_str());
  line("features", features.empty() ? "none" : features);
}

void print_backend(const device::Backend& backend, const device::ProbeResult& probe, std::FILE* out) {
  fmt::print(out, "{}: {}\n", backend.name(), probe.usable ? "usable" : "not usable: " + probe.reason);
  if (!probe.usable && !probe.remedy.empty()) fmt::print(out, "  remedy: {}\n", probe.remedy);
  for (const auto& component : probe.components) {
    if (component.present) {
      fmt::print(out, "  {}: {}\n", component.name, component.detail);
    } else {
      fmt::print(out, "  {}: missing{}: {}\n", component.name, component.required ? "" : " (optional)",
                 component.detail);
      if (!component.remedy.empty()) fmt::print(out, "    remedy: {}\n", component.remedy);
    }
  }
  for (const auto& device : backend.devices()) print_device(device, out);
}

struct DevicesArguments {
  std::string device;
  bool json = false;
};

// What a recorded space has to say for itself in the place of a device.
void describe_recording(const execution::ReplayDevice& recording, const DevicesArguments& arguments, std::FILE* out) {
  const RecordedSpace& recorded = recording.recorded();
  const std::size_t valid = recorded.count(TrialStatus::ok);
  std::optional<double> best;
  for (const auto& trial : recorded.trials)
    if (trial.status == TrialStatus::ok && trial.objective)
      best = std::min(best.value_or(*trial.objective), *trial.objective);
  if (arguments.json) {
    Json entry{{"file", arguments.device.substr(std::string("replay:").size())},
               {"kernel", recorded.kernel},
               {"recorded_on", recorded.device},
               {"problem_size", recorded.problem_size},
               {"configurations", recorded.trials.size()},
               {"valid", valid},
               {"best_ms", best ? Json(*best) : Json(nullptr)}};
    fmt::print(
        out, "{}\n",
        Json{{"schema_version", 1}, {"device", store::to_json(recording.device())}, {"recording", std::move(entry)}}
            .dump(2));
    return;
  }
  fmt::print(out, "{}  {} ({})\n", recording.device().id.to_string(), recording.device().name,
             to_string(recording.device().kind));
  fmt::print(out, "  kernel          {}\n", recorded.kernel.empty() ? "unknown" : recorded.kernel);
  fmt::print(out, "  problem size    {}\n", recorded.problem_size.empty() ? "unknown" : recorded.problem_size);
  fmt::print(out, "  configurations  {}, {} of them valid\n", recorded.trials.size(), valid);
  if (best) fmt::print(out, "  best time       {}\n", format_duration(Milliseconds(*best)));
}

int describe_device(const DevicesArguments& arguments, const Console& console) {
  if (driver::names_recording(arguments.device)) {
    driver::ProblemRequest request;
    request.device = arguments.device;
    describe_recording(*driver::open_recording(request, console.places->names()), arguments, console.out);
    return exit_success;
  }
  const DeviceInfo device = make_backends(console).describe(DeviceId::parse(arguments.device));
  if (arguments.json)
    fmt::print(console.out, "{}\n", Json{{"schema_version", 1}, {"device", store::to_json(device)}}.dump(2));
  else
    print_device(device, console.out);
  return exit_success;
}

}  // namespace

void add_devices_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command = app.add_subcommand("devices", "List every device of every backend, and what is missing");
  auto arguments = std::make_shared<DevicesArguments>();
  command->add_option("--device", arguments->device, "Only this one, e.g. cuda:0; replay:FILE is a recorded space")
      ->type_name("ID");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->callback([arguments, console, &exit_code] {
    if (!arguments->device.empty()) {
      exit_code = describe_device(*arguments, console);
      return;
    }
    const auto backends = make_backends(console);
    Json list = Json::array();
    for (const auto& backend : backends.all()) {
      const auto probe = backend->probe();
      if (arguments->json)
        list.push_back(backend_json(*backend, probe));
      else
        print_backend(*backend, probe, console.out);
    }
    const execution::ConfinementSupport support = execution::confinement_support();
    if (arguments->json)
      fmt::print(console.out, "{}\n",
                 Json{{"schema_version", 1},
                      {"backends", std::move(list)},
                      {"confinement",
                       {{"no_new_privileges", support.no_new_privileges},
                        {"landlock", support.landlock > 0 ? Json(support.landlock) : Json(nullptr)}}}}
                     .dump(2));
    else
      fmt::print(console.out, "confinement of workers: {}\n", support.describe());
    exit_code = exit_success;
  });
}

}  // namespace warpwright::app
