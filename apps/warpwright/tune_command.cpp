#include <fmt/format.h>
#include <memory>
#include <optional>

#include <warpwright/driver/tune.hpp>

#include "backends.hpp"
#include "command.hpp"
#include "progress_line.hpp"
#include "stop_signal.hpp"
#include "tune_report.hpp"
#include "worker_arguments.hpp"

namespace warpwright::app {
namespace {

struct TuneArguments {
  ProblemArguments problem;
  WorkerArguments workers;
  TimingArguments timing;
  std::string strategy = "auto";
  std::vector<std::string> strategy_options, start_from;
  std::uint64_t seed = 0;
  bool seed_given = false;
  std::uint64_t max_evaluations = 0;
  std::string time_limit;
  std::string session;
  bool no_session = false;
  bool resume = false;
  std::string profiles;
  bool no_profile = false;
  int rows = 5;
  bool json = false;
  bool quiet = false;
  std::string clock = "sustained";
  bool no_racing = false;
};

driver::TuneRequest request_of(const TuneArguments& arguments) {
  driver::TuneRequest request;
  request.problem = arguments.problem.request();
  // A recording needs no workers, and none is looked for.
  if (!driver::names_recording(request.problem.device)) request.workers = arguments.workers.request();
  request.timing = arguments.timing.options();
  request.strategy = arguments.strategy;
  for (const auto& text : arguments.strategy_options) {
    auto [name, value] = parse_assignment(text, "--strategy-option");
    request.strategy_options[name] = std::move(value);
  }
  if (arguments.seed_given) request.seed = arguments.seed;
  if (arguments.max_evaluations > 0) request.max_evaluations = arguments.max_evaluations;
  if (!arguments.time_limit.empty()) request.time_limit = parse_duration(arguments.time_limit, "--time-limit");
  request.start_from = arguments.start_from;
  request.racing = !arguments.no_racing;
  request.clock = arguments.clock == "boost" ? tuning::ClockState::boost : tuning::ClockState::sustained;
  request.keep_session = !arguments.no_session;
  request.session = arguments.session;
  request.resume = arguments.resume;
  request.store_winner = !arguments.no_profile;
  request.profiles = arguments.profiles;
  return request;
}

// What a user who pressed Ctrl-C must know: what there is, and what was not done with it.
void tell_of_interruption(const driver::TuneResult& result, const Console& console) {
  if (result.record.evaluations == 0) {
    fmt::print(console.err, "interrupted: nothing was measured\n");
    return;
  }
  if (!result.record.best || !result.unused_profiles_file) return;
  fmt::print(console.err, "interrupted: the best so far was not stored in '{}'; {}\n",
             result.unused_profiles_file->string(),
             result.session_folder
                 ? "the same command with --session " + result.session_folder->string() +
                       " --resume goes on, and stores the winner at its end"
                 : std::string("let the command run to its end, which a smaller --time-limit makes earlier"));
}

int tune(const TuneArguments& arguments, const Console& console) {
  const auto backends = make_backends(console, arguments.quiet);
  std::optional<ProgressLine> progress;
  std::optional<StopSignal> stop;
  driver::Surroundings around{backends, *console.places, {}, StopSignal::flag(), {}, {}};
  around.log = [&, before = console.log(arguments.quiet)](LogLevel level, std::string_view text) {
    if (!progress)
      before(level, text);
    else if (level == LogLevel::error || (level != LogLevel::debug && !arguments.quiet))
      progress->note(std::string(text));
  };
  around.started = [&](const driver::Start& start) {
    if (!arguments.quiet)
      fmt::print(console.err, "tuning {} on {} ({}): {} valid configurations\n", start.problem.name, start.device.name,
                 start.device.id.to_string(), start.space.size());
    progress.emplace(console.err, arguments.quiet);
    stop.emplace();
  };
  around.progress = [&](const tuning::Progress& now) { progress->update(now); };
  const driver::TuneResult result = driver::tune_with_places(request_of(arguments), around);
  progress->finish();
  // The report for people has its own; JSON has them too, for programs.
  if (arguments.json && !arguments.quiet)
    for (const auto& warning : result.record.warnings) fmt::print(console.err, "warning: {}\n", warning);
  const bool stored = result.why_not_stored.empty();
  if (!stored)
    fmt::print(console.err, "error: the winner was not stored: {}{}\n", result.why_not_stored,
               result.session_folder ? "; repair that, then run the same command with --session " +
                                           result.session_folder->string() + " --resume"
                                     : "");
  if (arguments.json)
    fmt::print(console.out, "{}\n", driver::tune_json(result));
  else
    print_tune_report(result, arguments.rows, console.out);
  if (result.record.interrupted) {
    tell_of_interruption(result, console);
    return exit_interrupted;
  }
  return result.record.best && stored ? exit_success : exit_failure;
}

}  // namespace

void add_tune_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command = app.add_subcommand("tune", "Find the fastest correct configuration of a kernel and store it");
  auto arguments = std::make_shared<TuneArguments>();
  arguments->problem.add_to(*command, true);
  command
      ->add_option("--strategy", arguments->strategy,
                   "Search strategy (default auto); 'warpwright strategies' lists them")
      ->type_name("NAME");
  command
      ->add_option("--strategy-option", arguments->strategy_options,
                   "Option of the strategy; may be given several times")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command
      ->add_option("--start-from", arguments->start_from,
                   "First try the best of a session, a recorded space or a profile database (another device or size)")
      ->type_name("PATH")
      ->allow_extra_args(false);
  const CLI::Option* seed = command->add_option("--seed", arguments->seed, "Seed of everything random (default 0)")
                                ->type_name("N")
                                ->check(at_least(0));
  command->add_option("--max-evaluations", arguments->max_evaluations, "Stop after this many configurations")
      ->type_name("N")
      ->check(at_least(1));
  command->add_option("--time-limit", arguments->time_limit, "Stop after this time, e.g. 90s or 10m")
      ->type_name("TIME");
  command
      ->add_option("--session", arguments->session,
                   "Folder of the journal (default: a new one in the user's state folder)")
      ->type_name("DIR");
  command->add_flag("--no-session", arguments->no_session, "Keep no journal");
  command->add_flag("--resume", arguments->resume, "Go on with the session in --session; nothing is measured twice");
  command->add_option("--profiles", arguments->profiles, "Profile database (default: in the user's data folder)")
      ->type_name("FILE");
  command->add_flag("--no-profile", arguments->no_profile, "Do not store the winner");
  command->add_option("--rows", arguments->rows, "Configurations in the final table (default 5)")
      ->type_name("N")
      ->check(at_least(1));
  command
      ->add_option(
          "--clock", arguments->clock,
          "What decides where the fastest finalist reaches the power limit: sustained times (default) or boost")
      ->check(CLI::IsMember({"boost", "sustained"}));
  command->add_flag("--no-racing", arguments->no_racing,
                    "Take all samples of configurations that are clearly slower than the best so far, too");
  arguments->timing.add_to(*command);
  arguments->workers.add_to(*command);
  command->add_flag("--json", arguments->json, "Print JSON");
  command->add_flag("--quiet", arguments->quiet, "No progress on standard error");
  command->callback([arguments, console, seed, &exit_code] {
    arguments->seed_given = seed->count() > 0;
    exit_code = tune(*arguments, console);
  });
}

}  // namespace warpwright::app
