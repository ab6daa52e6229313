#include <fmt/format.h>
#include <memory>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/driver/starting_points.hpp>
#include <warpwright/driver/tune.hpp>
#include <warpwright/driver/winner_storage.hpp>
#include <warpwright/search/search_algorithm.hpp>
#include <warpwright/store/journal.hpp>
#include <warpwright/store/json.hpp>

namespace warpwright::driver {
namespace {

// Without a budget a large space would run for days; this one is announced.
constexpr Nanoseconds default_time_limit{600e9};

std::optional<std::filesystem::path> folder_of_session(const TuneRequest& request, const std::string& kernel,
                                                       const Surroundings& around) {
  const OptionNames& names = around.places.names();
  if (request.resume && request.session.empty())
    throw Error(ErrorCode::bad_input,
                fmt::format("{} needs {} DIR, the folder of the session to go on with", names.resume, names.session));
  if (!request.keep_session && !request.session.empty())
    throw Error(ErrorCode::bad_input,
                fmt::format("{} and {} contradict each other; give one of them", names.no_session, names.session));
  if (!request.session.empty()) return std::filesystem::absolute(request.session);
  if (!request.keep_session) return std::nullopt;
  return around.places.usable_session_folder(kernel, around.log);
}

tuning::SessionOptions session_options(const TuneRequest& request, const ChosenProblem& chosen,
                                       const Surroundings& around) {
  const OptionNames& names = around.places.names();
  const bool replays = names_recording(request.problem.device);
  tuning::SessionOptions options;
  options.strategy = request.strategy;
  options.strategy_settings.seed = request.seed.value_or(0);
  options.strategy_settings.options = request.strategy_options;
  options.max_evaluations = request.max_evaluations;
  options.time_limit = request.time_limit;
  if (!options.max_evaluations && !options.time_limit) {
    options.time_limit = default_time_limit;
    log_to(around.log, LogLevel::info,
           fmt::format("no budget given: stopping after {}{}; set {} or {}", format_duration(default_time_limit),
                       replays ? " of recorded time" : "", names.max_evaluations, names.time_limit));
  }
  options.timing = request.timing;
  options.racing = request.racing;
  options.clock = request.clock;
  options.session_folder = folder_of_session(request, chosen.problem.name, around);
  options.resume = request.resume;
  if (request.resume && !request.seed) {
    if (const auto before = store::Journal::header(*options.session_folder))
      options.strategy_settings.seed = before->seed;
  }
  const std::string& specification = request.problem.specification;
  store::Json details{
      {"specification", specification.empty() ? std::string() : std::filesystem::absolute(specification).string()},
      {"version", WARPWRIGHT_VERSION},
      {"problem", store::to_json(chosen.problem.dimensions)}};
  if (replays) details["device"] = request.problem.device;
  options.journal_details = store::text_of(details);
  options.log = around.log;
  options.progress = around.progress;
  options.stop = around.stop;
  return options;
}

// Says of an error of a session what the caller can do about it.
[[noreturn]] void explain(Error& error, const tuning::SessionOptions& options, const OptionNames& names) {
  if (error.code() == ErrorCode::interrupted)
    throw Error(ErrorCode::interrupted, "interrupted before anything was measured");
  if (error.code() == ErrorCode::conflict && !options.resume && options.session_folder)
    throw Error(ErrorCode::conflict,
                fmt::format("'{}' already holds a session: add {} to go on with it, or name another folder with {}",
                            options.session_folder->string(), names.resume, names.session));
  const bool users_doing = error.code() == ErrorCode::conflict || error.code() == ErrorCode::bad_input;
  if (options.session_folder && !users_doing &&
      std::filesystem::exists(*options.session_folder / store::Journal::file_name))
    error.add_context(
        fmt::format("tuning; what was measured is kept in {}, and the same command with {} and {} goes on",
                    options.session_folder->string(), names.session, names.resume));
  throw;
}

void store_winner(const TuneRequest& request, const Problem& problem, WinnerStorage& storage, TuneResult& result) {
  result.unused_profiles_file = storage.file;
  if (result.record.interrupted) return;
  auto profile = tuning::make_profile(problem, result.record, request.timing.cache);
  if (!profile) return;
  if (names_recording(request.problem.device))
    profile->provenance = "replay of " + request.problem.device.substr(std::string("replay:").size());
  // A disk that is full by now must not cost the record.
  try {
    result.profile_id = storage.database.put(*profile);
    result.profiles_file = std::exchange(result.unused_profiles_file, std::nullopt);
  } catch (const Error& error) {
    result.why_not_stored = error.what();
  }
}

}  // namespace

TuneResult tune_with_places(const TuneRequest& request, const Surroundings& around) {
  const SteadyClock steady;
  const Nanoseconds begin = steady.now();
  const OptionNames& names = around.places.names();
  const auto strategies = StrategyRegistry::with_defaults();
  const auto recording = open_recording(request.problem, names);
  const ChosenProblem chosen = choose_problem(request.problem, around.backends, names, recording.get());
  for (const Note& note : chosen.notes) log_to(around.log, note.level, note.text);
  const auto solved = recording ? nullptr : chosen.problem.build_space();
  const Space& space = recording ? recording->space() : *solved;
  tuning::SessionOptions options = session_options(request, chosen, around);
  StartingPoints start = read_starting_points(request.start_from, chosen.problem, space, names);
  options.strategy_settings.initial = std::move(start.indices);
  for (const std::string& note : start.notes) log_to(around.log, LogLevel::info, note);
  // A misspelt strategy is an error before anything is opened or created.
  if (options.strategy != "auto") strategies.create(options.strategy, space, options.strategy_settings);
  std::optional<WinnerStorage> storage =
      open_winner_storage(request.profiles, request.store_winner, around.places, around.log);

  execution::WorkerPoolOptions pool_options;
  if (!recording) pool_options = worker_pool_options(request.workers, around.places, around.log);

  if (around.started) around.started({chosen.problem, chosen.device, space});
  std::unique_ptr<execution::Evaluation> pool;
  if (!recording) {
    pool_options.stop = around.stop;
    pool_options.cache = options.timing.cache;
    pool = execution::make_worker_pool(chosen.device, chosen.problem, steady, std::move(pool_options));
    options.time_before = steady.now() - begin;
  }
  TuneResult result;
  result.session_folder = options.session_folder;
  try {
    result.record = tuning::run_session(chosen.problem, space, strategies, recording ? recording->evaluation() : *pool,
                                        recording ? recording->clock() : steady, options);
  } catch (Error& error) {
    explain(error, options, names);
  }
  if (storage) store_winner(request, chosen.problem, *storage, result);
  return result;
}

store::SessionRecord tune(const TuneRequest& request, const Surroundings& around) {
  TuneResult result = tune_with_places(request, around);
  if (!result.why_not_stored.empty())
    result.record.warnings.push_back("the winner was not stored: " + result.why_not_stored);
  return std::move(result.record);
}

std::string tune_json(const TuneResult& result, int indent) {
  store::Json json = store::to_json(result.record);
  json["schema_version"] = 1;
  store::Json trials = store::Json::array();
  for (const Trial& trial : result.record.trials) {
    store::Json entry = store::to_json(trial);
    entry.erase("log");  // `warpwright show` has it
    trials.push_back(std::move(entry));
  }
  json["trials"] = std::move(trials);
  json["session"] = result.session_folder ? store::Json(result.session_folder->string()) : store::Json(nullptr);
  json["profiles_file"] = result.profiles_file ? store::Json(result.profiles_file->string()) : store::Json(nullptr);
  json["profile_id"] = result.profile_id ? store::Json(*result.profile_id) : store::Json(nullptr);
  return json.dump(indent);
}

}  // namespace warpwright::driver
