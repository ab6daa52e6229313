#include <fmt/format.h>
#include <memory>

#include <warpwright/base/error.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/tuning/session.hpp>

#include "backends.hpp"
#include "command.hpp"
#include "worker_arguments.hpp"

namespace warpwright::app {
namespace {

struct CheckArguments {
  ProblemArguments problem;
  WorkerArguments workers;
  bool json = false;
  bool launch_times = false;
};

int check(const CheckArguments& arguments, const Console& console) {
  const auto backends = make_backends(console);
  const driver::ProblemRequest request = arguments.problem.request();
  if (driver::names_recording(request.device))
    throw Error(ErrorCode::bad_input,
                "--device " + request.device +
                    ": a recording can neither compile nor run; 'tune', 'compare' and 'devices' take one");
  const driver::ChosenProblem chosen = driver::choose_problem(request, backends, console.places->names());
  print_notes(chosen.notes, console);
  const auto space = chosen.problem.build_space();
  const SteadyClock clock;
  const auto pool =
      execution::make_worker_pool(chosen.device, chosen.problem, clock, arguments.workers.options(console));
  measure::TimingOptions timing;
  timing.max_samples = timing.min_samples;
  timing.launch_times = arguments.launch_times;
  const tuning::CheckResult result = tuning::check_baseline(chosen.problem, *pool, clock, timing);
  const Trial& baseline = result.baseline;
  if (arguments.json) {
    store::Json json{{"schema_version", 1},
                     {"kernel", chosen.problem.name},
                     {"device", store::to_json(result.evaluation.device)},
                     {"problem", store::to_json(chosen.problem.dimensions)},
                     {"space", {{"size", space->size()}, {"cartesian", space->cartesian_size()}}},
                     {"reference", result.evaluation.reference},
                     {"reference_outputs", store::to_json(result.evaluation).at("reference_outputs")},
                     {"verified", baseline.ok() && result.evaluation.has_reference},
                     {"baseline", store::to_json(baseline)}};
    fmt::print(console.out, "{}\n", json.dump(2));
    return baseline.ok() ? exit_success : exit_failure;
  }
  fmt::print(console.out, "{}: {} valid configurations of {:.0f}\n", chosen.problem.name, space->size(),
             space->cartesian_size());
  fmt::print(console.out, "device:    {} ({})\n", result.evaluation.device.name,
             result.evaluation.device.id.to_string());
  fmt::print(console.out, "problem:   {}\n", chosen.problem.dimensions.describe());
  fmt::print(console.out, "baseline:  {}\n", baseline.configuration.describe());
  fmt::print(console.out, "reference: {}\n", result.evaluation.reference);
  for (const auto& output : result.evaluation.reference_outputs)
    if (output.passing_zero > 0)
      fmt::print(console.out, "output:    {}: {} of {} elements are so small that 0 would pass\n", output.argument,
                 output.passing_zero, output.elements);
  for (const auto& warning : measure::warnings_about(result.evaluation.reference_outputs))
    fmt::print(console.out, "warning:   {}\n", warning);
  for (const LaunchTime& launch : baseline.launch_times)
    fmt::print(console.out, "launch:    {}: {}{}\n", launch.entry, format_duration(launch.time),
               launch.launches == 1 ? std::string() : fmt::format(" in {} launches", launch.launches));
  if (baseline.ok()) {
    fmt::print(console.out, "result:    {}, median {} of {} samples\n",
               result.evaluation.has_reference ? "correct" : "not verified (no [reference])",
               format_duration(*baseline.median), baseline.samples.size());
    return exit_success;
  }
  fmt::print(console.out, "result:    {}: {}\n", to_string(baseline.status), baseline.message);
  if (baseline.mismatch)
    fmt::print(console.out, "           {}[{}] is {}, expected {}; {} of {} elements differ\n",
               baseline.mismatch->argument, baseline.mismatch->index, baseline.mismatch->found,
               baseline.mismatch->expected, baseline.mismatch->wrong, baseline.mismatch->total);
  if (!baseline.log.empty() && baseline.status == TrialStatus::compile_failed)
    fmt::print(console.out, "{}\n", baseline.log);
  return exit_failure;
}

}  // namespace

void add_check_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("check", "Read a specification, compile its baseline and verify it; tunes nothing");
  auto arguments = std::make_shared<CheckArguments>();
  arguments->problem.add_to(*command);
  arguments->workers.add_to(*command);
  command->add_flag("--launch-times", arguments->launch_times, "Time each launch of the baseline as well");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->callback([arguments, console, &exit_code] { exit_code = check(*arguments, console); });
}

}  // namespace warpwright::app
