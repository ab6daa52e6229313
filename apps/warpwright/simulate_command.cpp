// `warpwright simulate`: strategies on recorded spaces, with their scores and a random control beside them.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <optional>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/search/strategy_score.hpp>
#include <warpwright/store/interchange.hpp>
#include <warpwright/store/json.hpp>

#include "command.hpp"
#include "text_table.hpp"

namespace warpwright::app {
namespace {

using store::Json;

constexpr const char* control = "random";

struct SimulateArguments {
  std::vector<std::string> files, strategies, options;
  std::uint64_t repeats = 25, seed = 0, batch = 1;
  std::string budget, traces;
  bool score = false, json = false, quiet = false;
};

struct LoadedSpace {
  std::unique_ptr<Replay> replay;
  std::unique_ptr<SpaceScorer> scorer;  // none where the space is too small for a score, or holds no costs
  std::string no_score;                 // why
};

// "folder/file" without extensions: how collections of recorded spaces name kernel and device.
std::string label_of(const std::filesystem::path& file) {
  std::filesystem::path stem = file.filename();
  if (stem.extension() == ".gz") stem.replace_extension();
  if (stem.extension() == ".json") stem.replace_extension();
  return (std::filesystem::absolute(file).parent_path().filename() / stem).string();
}

LoadedSpace load(const std::string& file, bool needs_score, bool quiet, const Console& console) {
  auto recorded = std::make_shared<RecordedSpace>(store::read_recorded(file));
  for (const RecordedProblem& problem : recorded->problems) {
    if (quiet) break;
    fmt::print(console.err, "warning: {}{}: {}\n", file, problem.line > 0 ? fmt::format(":{}", problem.line) : "",
               problem.reason);
  }
  LoadedSpace loaded;
  try {
    loaded.scorer = std::make_unique<SpaceScorer>(*recorded);
  } catch (const Error& error) {
    if (needs_score) throw;
    loaded.no_score = error.message();
  }
  loaded.replay = std::make_unique<Replay>(std::move(recorded), label_of(file));
  return loaded;
}

// A number is evaluations, a number with a unit is recorded time.
SearchBudget parse_budget(const std::string& text) {
  SearchBudget budget;
  if (text.empty()) return budget;
  if (text.find_first_not_of("0123456789") == std::string::npos) {
    const Value count = parse_value(text);
    const auto evaluations = as_integer(count);
    if (!evaluations || *evaluations < 1)
      throw Error(ErrorCode::bad_input, "--budget '" + text + "': write a positive number of evaluations, or a time");
    budget.evaluations = static_cast<std::uint64_t>(*evaluations);
  } else {
    budget.cost = parse_duration(text, "--budget");
  }
  return budget;
}

std::vector<std::string> chosen_strategies(const std::vector<std::string>& words) {
  std::vector<std::string> names;
  for (const std::string& word : words) {
    for (std::size_t begin = 0; begin <= word.size();) {
      const std::size_t end = std::min(word.find(',', begin), word.size());
      const std::string name = word.substr(begin, end - begin);
      if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
      begin = end + 1;
    }
  }
  if (names.empty()) names.emplace_back("auto");
  if (std::find(names.begin(), names.end(), control) == names.end()) names.emplace_back(control);
  return names;
}

void write_trace(std::ofstream& out, const Replay& replay, const std::string& strategy, std::size_t repeat,
                 const ReplayResult& result) {
  const RecordedSpace& recorded = replay.recorded();
  for (std::size_t step = 0; step < result.steps.size(); ++step) {
    const ReplayStep& taken = result.steps[step];
    const RecordedTrial& trial = replay.trial(taken.index);
    Json line{{"space", replay.name()}, {"strategy", strategy}, {"repeat", repeat}, {"step", step}};
    line["configuration"] = store::to_json(recorded.configuration(trial));
    line["charged_seconds"] = taken.charged.count();
    line["own_seconds"] = taken.own.count();
    line["status"] = std::string(to_string(trial.status));
    if (trial.objective) line["objective"] = *trial.objective;
    out << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  }
}

// The best of the record, to be minimised; nullopt without a valid configuration.
std::optional<double> best_of(const Replay& space) {
  std::optional<double> best;
  for (const RecordedTrial& trial : space.recorded().trials) {
    if (!trial.objective) continue;
    const double value = space.recorded().minimise ? *trial.objective : -*trial.objective;
    if (!best || value < *best) best = value;
  }
  return best;
}

// Runs where there can be no score: how many found the best, within the budget or half of the space.
SpaceScore run_without_score(const Replay& space, const MakeStrategy& make, const ScoringOptions& options) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  SpaceScore result;
  result.score = result.score_without_own_time = result.plain = none;
  result.run_scores.assign(options.repeats, none);
  ReplayOptions replay_options;
  replay_options.batch = options.batch;
  replay_options.clock = options.clock;
  replay_options.budget = options.budget;
  if (!replay_options.budget.cost && !replay_options.budget.evaluations)
    replay_options.budget.evaluations = (space.space().size() + 1) / 2;
  const std::optional<double> best = best_of(space);
  std::size_t found = 0;
  for (std::size_t repeat = 0; repeat < options.repeats; ++repeat) {
    StrategySettings settings;
    settings.seed = derive_seed(options.seed, repeat);
    settings.budget = replay_options.budget;
    const auto strategy = make(space.space(), settings);
    const ReplayResult run = replay(space, *strategy, replay_options);
    for (const ReplayStep& step : run.steps) result.own_time += step.own;
    result.total_evaluations += run.steps.size();
    found += std::any_of(run.steps.begin(), run.steps.end(), [&](const ReplayStep& step) {
      const auto& objective = space.trial(step.index).objective;
      return objective && best && (space.recorded().minimise ? *objective : -*objective) == *best;
    });
    if (options.after_run) options.after_run(repeat, run);
  }
  result.evaluations = static_cast<double>(result.total_evaluations) / static_cast<double>(options.repeats);
  result.found_target = static_cast<double>(found) / static_cast<double>(options.repeats);
  return result;
}

AggregateScore no_aggregate(std::size_t repeats) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  AggregateScore total;
  total.score = total.deviation = total.score_without_own_time = total.plain = none;
  total.run_scores.assign(repeats, none);
  return total;
}

struct StrategyResult {
  std::string name;
  std::vector<SpaceScore> spaces;
  AggregateScore total;
};

Json interval_json(const PairedDifference& difference) {
  return {{"mean", difference.mean}, {"low", difference.low}, {"high", difference.high}};
}

double evaluations_per_second(const std::vector<SpaceScore>& spaces) {
  double evaluations = 0, seconds = 0;
  for (const SpaceScore& space : spaces) {
    evaluations += static_cast<double>(space.total_evaluations);
    seconds += space.own_time.count();
  }
  return seconds > 0 ? evaluations / seconds : 0;
}

Json report_json(const SimulateArguments& arguments, const std::vector<LoadedSpace>& spaces,
                 const std::vector<StrategyResult>& results) {
  Json json{{"schema_version", 1},    {"version", WARPWRIGHT_VERSION}, {"repeats", arguments.repeats},
            {"seed", arguments.seed}, {"batch", arguments.batch},      {"control", control}};
  if (!arguments.budget.empty()) json["budget"] = arguments.budget;
  Json& about = json["spaces"] = Json::object();
  for (const LoadedSpace& space : spaces) {
    if (space.scorer == nullptr) {
      about[space.replay->name()] = {{"kernel", space.replay->recorded().kernel},
                                     {"device", space.replay->recorded().device},
                                     {"configurations", space.replay->space().size()},
                                     {"valid", space.replay->recorded().count(TrialStatus::ok)},
                                     {"no_score", space.no_score}};
      continue;
    }
    const SpaceScorer& scorer = *space.scorer;
    about[space.replay->name()] = {{"kernel", space.replay->recorded().kernel},
                                   {"device", space.replay->recorded().device},
                                   {"configurations", space.replay->space().size()},
                                   {"valid", scorer.valid()},
                                   {"optimum", scorer.optimum()},
                                   {"median", scorer.median()},
                                   {"target", scorer.stop().target},
                                   {"target_evaluations", scorer.stop().evaluations},
                                   {"target_seconds", scorer.stop().time.count()},
                                   {"configurations_within_target", scorer.count_within(scorer.stop().target)}};
  }
  const StrategyResult& random = *std::find_if(results.begin(), results.end(),
                                               [](const StrategyResult& result) { return result.name == control; });
  Json scores = Json::object(), details = Json::object();
  for (const StrategyResult& result : results) {
    Json entry = Json::object(), by_space = Json::object(), details_by_space = Json::object();
    entry["score"] = result.total.score;
    entry["error"] = result.total.deviation;
    entry["score_without_own_time"] = result.total.score_without_own_time;
    entry["score_plain_fit"] = result.total.plain;
    entry["mean_of_runs"] = mean_of(result.total.run_scores);
    entry["evaluations_per_second"] = evaluations_per_second(result.spaces);
    entry["against_control"] = interval_json(paired_difference(result.total.run_scores, random.total.run_scores));
    entry["against_first"] =
        interval_json(paired_difference(result.total.run_scores, results.front().total.run_scores));
    for (std::size_t i = 0; i < spaces.size(); ++i) {
      const SpaceScore& space = result.spaces[i];
      const std::string& name = spaces[i].replay->name();
      by_space[name] = space.score;
      details_by_space[name] = {
          {"score", space.score},
          {"score_without_own_time", space.score_without_own_time},
          {"score_plain_fit", space.plain},
          {"mean_of_runs", mean_of(space.run_scores)},
          {"against_control", interval_json(paired_difference(space.run_scores, random.spaces[i].run_scores))},
          {"evaluations", space.evaluations},
          {"reached_target", space.found_target},
          {"repeated_runs", space.reruns},
          {"own_seconds", space.own_time.count()}};
    }
    entry["spaces"] = std::move(by_space);
    scores[result.name] = std::move(entry);
    details[result.name] = std::move(details_by_space);
  }
  json["scores"] = std::move(scores);
  json["details"] = std::move(details);
  return json;
}

void print_report(const SimulateArguments& arguments, const std::vector<LoadedSpace>& spaces,
                  const std::vector<StrategyResult>& results, std::FILE* out) {
  const StrategyResult& random = *std::find_if(results.begin(), results.end(),
                                               [](const StrategyResult& result) { return result.name == control; });
  if (arguments.score) {
    std::vector<TextTable::Column> columns{{"score", Align::left}};
    for (const StrategyResult& result : results) columns.push_back({result.name, Align::right});
    TextTable table(columns);
    const auto row = [&](const std::string& title, const auto& cell) {
      std::vector<std::string> cells{title};
      for (const StrategyResult& result : results) cells.push_back(cell(result));
      table.add(std::move(cells));
    };
    for (std::size_t i = 0; i < spaces.size(); ++i)
      row(spaces[i].replay->name(), [&](const StrategyResult& r) { return fmt::format("{:.3f}", r.spaces[i].score); });
    row("mean", [](const StrategyResult& r) { return fmt::format("{:.3f}", r.total.score); });
    row("without own time",
        [](const StrategyResult& r) { return fmt::format("{:.3f}", r.total.score_without_own_time); });
    table.print(out);
    fmt::print(out, "\nMean over {} paired runs of the difference to {}, 95 % interval:\n", arguments.repeats, control);
    for (const StrategyResult& result : results) {
      if (result.name == control) continue;
      const PairedDifference difference = paired_difference(result.total.run_scores, random.total.run_scores);
      fmt::print(out, "  {}: {:+.3f} [{:+.3f}, {:+.3f}]\n", result.name, difference.mean, difference.low,
                 difference.high);
    }
    return;
  }
  TextTable table({{"space", Align::left},
                   {"strategy", Align::left},
                   {"evaluations", Align::right},
                   {"reached 95 % target", Align::right}});
  for (std::size_t i = 0; i < spaces.size(); ++i)
    for (const StrategyResult& result : results)
      table.add({spaces[i].replay->name(), result.name, fmt::format("{:.1f}", result.spaces[i].evaluations),
                 fmt::format("{:.0f} %{}", 100 * result.spaces[i].found_target,
                             spaces[i].scorer == nullptr ? " (its best)" : "")});
  table.print(out);
  for (const LoadedSpace& space : spaces)
    if (space.scorer == nullptr)
      fmt::print(out, "{}: {}; shown is how many runs found its best\n", space.replay->name(), space.no_score);
}

int simulate(const SimulateArguments& arguments, const Console& console) {
  const auto strategies = StrategyRegistry::with_defaults();
  const std::vector<std::string> names = chosen_strategies(arguments.strategies);
  StrategySettings given;
  for (const std::string& option : arguments.options) {
    auto [name, value] = parse_assignment(option, "--strategy-option");
    given.options.insert_or_assign(std::move(name), std::move(value));
  }
  ScoringOptions options;
  const SteadyClock clock;
  options.repeats = arguments.repeats;
  options.seed = arguments.seed;
  options.batch = arguments.batch;
  options.clock = &clock;
  options.budget = parse_budget(arguments.budget);

  std::vector<LoadedSpace> spaces;
  for (const std::string& file : arguments.files) {
    spaces.push_back(load(file, arguments.score, arguments.quiet, console));
    for (std::size_t i = 0; i + 1 < spaces.size(); ++i)
      if (spaces[i].replay->name() == spaces.back().replay->name())
        throw Error(ErrorCode::bad_input, "two files are '" + spaces.back().replay->name() +
                                              "': reports name a space by its folder and file, so these must differ");
  }
  // A misspelt strategy or option is an error before anything runs.
  for (const std::string& name : names)
    if (name != control)
      strategies.create(name, spaces.front().replay->space(), given);
    else
      strategies.create(name, spaces.front().replay->space(), {});

  std::ofstream traces;
  if (!arguments.traces.empty()) {
    traces.open(arguments.traces, std::ios::binary);
    if (!traces)
      throw Error(path_error_code(errno), "--traces: cannot write '" + arguments.traces + "': " + std::strerror(errno));
  }
  std::vector<StrategyResult> results;
  for (const std::string& name : names) {
    StrategyResult result;
    result.name = name;
    for (const LoadedSpace& space : spaces) {
      if (!arguments.quiet) fmt::print(console.err, "{} on {} ...\n", name, space.replay->name());
      options.after_run = [&](std::size_t repeat, const ReplayResult& run) {
        if (traces.is_open()) write_trace(traces, *space.replay, name, repeat, run);
      };
      const auto make = [&](const Space& where, const StrategySettings& settings) {
        StrategySettings all = settings;
        if (name != control) all.options = given.options;
        return strategies.create(name, where, all);
      };
      result.spaces.push_back(space.scorer == nullptr ? run_without_score(*space.replay, make, options)
                                                      : score_strategy(*space.replay, *space.scorer, make, options));
    }
    const bool all_scored =
        std::all_of(spaces.begin(), spaces.end(), [](const LoadedSpace& space) { return space.scorer != nullptr; });
    result.total = all_scored ? aggregate(result.spaces) : no_aggregate(options.repeats);
    results.push_back(std::move(result));
  }
  if (traces.is_open()) {
    traces.close();
    if (!traces) throw Error(ErrorCode::io, "--traces: cannot write '" + arguments.traces + "'");
  }
  if (arguments.json)
    fmt::print(console.out, "{}\n", report_json(arguments, spaces, results).dump(2));
  else
    print_report(arguments, spaces, results, console.out);
  return exit_success;
}

}  // namespace

void add_simulate_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("simulate", "Run search strategies on recorded spaces, beside random search, and score them");
  auto arguments = std::make_shared<SimulateArguments>();
  command->add_option("RECORDED", arguments->files, "Kernel Tuner cache files or T4 results (.gz too)")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_option("--strategy", arguments->strategies, "Strategies, separated by commas (default auto)")
      ->type_name("NAME[,NAME]")
      ->allow_extra_args(false);
  command->add_option("--strategy-option", arguments->options, "Option of the strategies; may be given several times")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command->add_option("--repeats", arguments->repeats, "Runs of each strategy on each space (default 25)")
      ->type_name("N")
      ->check(at_least(1));
  command->add_option("--seed", arguments->seed, "Seed of everything random (default 0)")
      ->type_name("N")
      ->check(at_least(0));
  command->add_option("--batch", arguments->batch, "Configurations asked at once (default 1)")
      ->type_name("N")
      ->check(at_least(1));
  command
      ->add_option("--budget", arguments->budget,
                   "Of each run: evaluations (200) or recorded time (90s); default: what the score looks at")
      ->type_name("N|TIME");
  command->add_flag("--score", arguments->score, "Print the scores, by space and in all");
  command->add_option("--traces", arguments->traces, "Write every step of every run as a line of JSON")
      ->type_name("FILE");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->add_flag("--quiet", arguments->quiet, "No progress on standard error");
  command->callback([arguments, console, &exit_code] { exit_code = simulate(*arguments, console); });
}

}  // namespace warpwright::app
