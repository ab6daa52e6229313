// `warpwright export`: a session or a recorded space in the format of another tuner.
#include <filesystem>
#include <fmt/format.h>
#include <memory>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/spec/read.hpp>
#include <warpwright/store/interchange.hpp>
#include <warpwright/store/journal.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/store/session_record.hpp>

#include "command.hpp"

namespace warpwright::app {
namespace {

struct ExportArguments {
  std::string input, format = "kernel-tuner", output, specification;
  bool old_failures = false, json = false;
};

RecordedSpace load(const ExportArguments& arguments) {
  if (!std::filesystem::is_directory(arguments.input)) {
    if (!arguments.specification.empty())
      throw Error(ErrorCode::bad_input, "--spec is for session folders; a recorded file lists its own parameters");
    return store::read_recorded(arguments.input);
  }
  const store::JournalContents journal = store::Journal::read(arguments.input);
  // A session that came to its end recorded what it was asked for; of others the specification tells, or the trials.
  const store::SessionRecord record = store::read_session(arguments.input, journal);
  std::vector<Parameter> parameters = record.parameters;
  Objective objective = record.objective;
  if (!arguments.specification.empty()) {
    const Problem problem = spec::read(arguments.specification);
    parameters = problem.parameters;
    objective = problem.objective;
  }
  return store::recorded_from_journal(journal, std::move(parameters), objective.metric, objective.minimise);
}

void write(const std::filesystem::path& file, const std::string& text) {
  write_file_atomically(file, file.extension() == ".gz" ? store::gzip(text) : text);
}

int export_space(const ExportArguments& arguments, const Console& console) {
  const bool t4 = arguments.format == "t4";
  if (!t4 && arguments.format != "kernel-tuner")
    throw Error(ErrorCode::bad_input, "--format '" + arguments.format + "' is unknown; write kernel-tuner or t4");
  const RecordedSpace space = load(arguments);
  store::KernelTunerOptions options;
  if (arguments.old_failures) options.encoding = store::KernelTunerOptions::Encoding::old;
  const std::string text = t4 ? store::t4_results(space) : store::kernel_tuner_cache(space, options);
  for (const RecordedProblem& problem : space.problems)
    fmt::print(console.err, "warning: {}{}\n", problem.line > 0 ? fmt::format("line {}: ", problem.line) : "",
               problem.reason);
  if (arguments.output.empty()) {
    fmt::print(console.out, "{}", text);
    return exit_success;
  }
  write(arguments.output, text);
  const std::string metadata = store::metadata_path(arguments.output).string();
  if (t4) write(metadata, store::t4_metadata(space, std::filesystem::path(arguments.output).filename().string()));
  const std::size_t valid = space.count(TrialStatus::ok);
  if (arguments.json) {
    store::Json report{{"schema_version", 1},
                       {"output", arguments.output},
                       {"kernel", space.kernel},
                       {"device", space.device},
                       {"configurations", space.trials.size()},
                       {"valid", valid},
                       {"left_out", space.problems.size()}};
    if (t4) report["metadata"] = metadata;
    fmt::print(console.out, "{}\n", report.dump(2));
  } else {
    fmt::print(console.out, "{} on {}: {} configurations, {} valid, written to {}{}\n", space.kernel, space.device,
               space.trials.size(), valid, arguments.output, t4 ? " and " + metadata : "");
  }
  return exit_success;
}

}  // namespace

void add_export_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "export", "Write a session or a recorded space in the format of Kernel Tuner's cache files or of T4");
  auto arguments = std::make_shared<ExportArguments>();
  command->add_option("INPUT", arguments->input, "Session folder, Kernel Tuner cache file or T4 results (.gz too)")
      ->required()
      ->check(CLI::ExistingPath);
  command->add_option("--format", arguments->format, "kernel-tuner (default) or t4")->type_name("FORMAT");
  command->add_option("--output", arguments->output, "File to write, compressed if it ends in .gz (default: print)")
      ->type_name("FILE");
  command
      ->add_option("--spec", arguments->specification,
                   "Specification of the session: its lists of values, their order and the objective")
      ->type_name("FILE");
  command->add_flag("--old-failures", arguments->old_failures,
                    "Failures in the objective's place, as Kernel Tuner wrote them before 1.4.0");
  command->add_flag("--json", arguments->json, "Print JSON about what was written (with --output)");
  command->callback([arguments, console, &exit_code] { exit_code = export_space(*arguments, console); });
}

}  // namespace warpwright::app
