#include <fmt/format.h>
#include <memory>

#include <warpwright/base/error.hpp>
#include <warpwright/search/search_algorithm.hpp>
#include <warpwright/store/journal.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/tuning/session.hpp>

#include "backends.hpp"
#include "command.hpp"
#include "places.hpp"
#include "progress_line.hpp"
#include "replay_argument.hpp"
#include "starting_points.hpp"
#include "stop_signal.hpp"
#include "tune_report.hpp"
#include "winner_storage.hpp"
#include "worker_arguments.hpp"

namespace warpwright::app {
namespace {

// Without a budget a large space would run for days; this one is announced.
constexpr Nanoseconds default_time_limit{600e9};

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

tuning::SessionOptions session_options(const TuneArguments& arguments, const ChosenProblem& chosen,
                                       const Console& console) {
  tuning::SessionOptions options;
  options.strategy = arguments.strategy;
  options.strategy_settings.seed = arguments.seed;
  for (const auto& text : arguments.strategy_options) {
    auto [name, value] = parse_assignment(text, "--strategy-option");
    options.strategy_settings.options[name] = std::move(value);
  }
  if (arguments.max_evaluations > 0) options.max_evaluations = arguments.max_evaluations;
  if (!arguments.time_limit.empty()) options.time_limit = parse_duration(arguments.time_limit, "--time-limit");
  if (!options.max_evaluations && !options.time_limit) {
    options.time_limit = default_time_limit;
    if (!arguments.quiet)
      fmt::print(console.err, "no budget given: stopping after {}{}; set --max-evaluations or --time-limit\n",
                 format_duration(default_time_limit),
                 names_recording(arguments.problem.device) ? " of recorded time" : "");
  }
  options.timing = arguments.timing.options();
  options.racing = !arguments.no_racing;
  options.clock = arguments.clock == "boost" ? tuning::ClockState::boost : tuning::ClockState::sustained;
  if (arguments.resume && arguments.session.empty())
    throw Error(ErrorCode::bad_input, "--resume needs --session DIR, the folder of the session to go on with");
  if (arguments.no_session && !arguments.session.empty())
    throw Error(ErrorCode::bad_input, "--no-session and --session contradict each other; give one of them");
  if (!arguments.session.empty())
    options.session_folder = std::filesystem::absolute(arguments.session);
  else if (!arguments.no_session)
    options.session_folder = usable_session_folder(chosen.problem.name, console.log(arguments.quiet));
  options.resume = arguments.resume;
  if (arguments.resume && !arguments.seed_given) {
    if (const auto before = store::Journal::header(*options.session_folder))
      options.strategy_settings.seed = before->seed;
  }
  const std::string& specification = arguments.problem.specification;
  store::Json details{
      {"specification", specification.empty() ? std::string() : std::filesystem::absolute(specification).string()},
      {"version", WARPWRIGHT_VERSION},
      {"problem", store::to_json(chosen.problem.dimensions)}};
  if (names_recording(arguments.problem.device)) details["device"] = arguments.problem.device;
  options.journal_details = store::text_of(details);
  options.log = console.log(arguments.quiet);
  return options;
}

// What a user who pressed Ctrl-C must know: what there is, and what was not done with it.
void tell_of_interruption(const tuning::SessionRecord& result, const std::optional<WinnerStorage>& storage,
                          const tuning::SessionOptions& options, const Console& console) {
  if (result.evaluations == 0) {
    fmt::print(console.err, "interrupted: nothing was measured\n");
    return;
  }
  if (!result.best || !storage) return;
  fmt::print(console.err, "interrupted: the best so far was not stored in '{}'; {}\n", storage->file.string(),
             options.session_folder
                 ? "the same command with --session " + options.session_folder->string() +
                       " --resume goes on, and stores the winner at its end"
                 : std::string("let the command run to its end, which a smaller --time-limit makes earlier"));
}

int tune(const TuneArguments& arguments, const Console& console) {
  const SteadyClock steady;
  const Nanoseconds begin = steady.now();
  const auto backends = make_backends(console.log(arguments.quiet));
  const auto strategies = StrategyRegistry::with_defaults();
  const auto recording = open_recording(arguments.problem);
  const ChosenProblem chosen = choose_problem(arguments.problem, backends, recording.get());
  if (!arguments.quiet)
    for (const auto& note : chosen.notes) fmt::print(console.err, "{}\n", note);
  const auto solved = recording ? nullptr : chosen.problem.build_space();
  const Space& space = recording ? recording->space() : *solved;
  tuning::SessionOptions options = session_options(arguments, chosen, console);
  StartingPoints start = read_starting_points(arguments.start_from, chosen.problem, space);
  options.strategy_settings.initial = std::move(start.indices);
  if (!arguments.quiet)
    for (const std::string& note : start.notes) fmt::print(console.err, "{}\n", note);
  // A misspelt strategy is an error before anything is opened or created.
  if (options.strategy != "auto") strategies.create(options.strategy, space, options.strategy_settings);
  std::optional<WinnerStorage> storage =
      open_winner_storage(arguments.profiles, arguments.no_profile, console.log(arguments.quiet));

  if (!arguments.quiet)
    fmt::print(console.err, "tuning {} on {} ({}): {} valid configurations\n", chosen.problem.name, chosen.device.name,
               chosen.device.id.to_string(), space.size());
  ProgressLine progress(console.err, arguments.quiet);
  options.progress = [&](const tuning::Progress& now) { progress.update(now); };
  options.log = [&](LogLevel level, std::string_view text) {
    if (level == LogLevel::error || (level != LogLevel::debug && !arguments.quiet)) progress.note(std::string(text));
  };
  const StopSignal stop;
  options.stop = stop.flag();
  std::unique_ptr<execution::Evaluation> pool;
  if (!recording) {
    execution::WorkerPoolOptions pool_options = arguments.workers.options(console, arguments.quiet);
    pool_options.stop = stop.flag();
    pool_options.cache = options.timing.cache;
    pool_options.log = options.log;
    pool = execution::make_worker_pool(chosen.device, chosen.problem, steady, std::move(pool_options));
    options.time_before = steady.now() - begin;
  }
  tuning::SessionRecord result;
  try {
    result = tuning::run_session(chosen.problem, space, strategies, recording ? recording->evaluation() : *pool,
                                 recording ? recording->clock() : steady, options);
  } catch (Error& error) {
    progress.finish();
    if (error.code() == ErrorCode::interrupted)
      throw Error(ErrorCode::interrupted, "interrupted before anything was measured");
    if (error.code() == ErrorCode::conflict && !options.resume && options.session_folder)
      throw Error(
          ErrorCode::conflict,
          "'" + options.session_folder->string() +
              "' already holds a session: add --resume to go on with it, or name another folder with --session");
    const bool users_doing = error.code() == ErrorCode::conflict || error.code() == ErrorCode::bad_input;
    if (options.session_folder && !users_doing &&
        std::filesystem::exists(*options.session_folder / store::Journal::file_name))
      error.add_context("tuning; what was measured is kept in " + options.session_folder->string() +
                        ", and the same command with --session and --resume goes on");
    throw;
  }
  progress.finish();
  // The report for people has its own; JSON has them too, for programs.
  if (arguments.json && !arguments.quiet)
    for (const auto& warning : result.warnings) fmt::print(console.err, "warning: {}\n", warning);

  TuneReport report{result, options.session_folder, std::nullopt, std::nullopt};
  bool stored = true;
  if (storage && !result.interrupted) {
    if (auto profile = tuning::make_profile(chosen.problem, result, options.timing.cache)) {
      if (recording)
        profile->provenance = "replay of " + arguments.problem.device.substr(std::string("replay:").size());
      // A disk that is full by now must not cost the report.
      try {
        report.profile_id = storage->database.put(*profile);
        report.profiles_file = storage->file;
      } catch (const Error& error) {
        stored = false;
        fmt::print(console.err, "error: the winner was not stored: {}{}\n", error.what(),
                   options.session_folder ? "; repair that, then run the same command with --session " +
                                                options.session_folder->string() + " --resume"
                                          : "");
      }
    }
  }
  if (arguments.json)
    fmt::print(console.out, "{}\n", tune_json(report).dump(2));
  else
    print_tune_report(report, arguments.rows, console.out);
  if (result.interrupted) {
    tell_of_interruption(result, storage, options, console);
    return exit_interrupted;
  }
  return result.best && stored ? exit_success : exit_failure;
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
