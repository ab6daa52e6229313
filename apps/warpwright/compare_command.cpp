#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <memory>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/json_nesting.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/tuning/comparison.hpp>
#include <warpwright/tuning/ranking.hpp>

#include "backends.hpp"
#include "command.hpp"
#include "configuration_argument.hpp"
#include "stop_signal.hpp"
#include "text_table.hpp"
#include "worker_arguments.hpp"

namespace warpwright::app {
namespace {

struct CompareArguments {
  ProblemArguments problem;
  WorkerArguments workers;
  std::vector<std::string> configurations;
  std::vector<std::string> results;
  std::string cache_mode = "cold";
  int rounds = 50;
  std::uint64_t seed = 0;
  bool reference = false;
  bool json = false;
};

// The declared value that equals `value`, so that 1 and 1.0 mean what the specification wrote.
Value declared_value(const Parameter& parameter, const Value& value, const std::string& where) {
  for (const auto& declared : parameter.values)
    if (python_equal(declared, value)) return declared;
  std::vector<std::string> values;
  for (const auto& declared : parameter.values) values.push_back(to_string(declared));
  throw Error(ErrorCode::bad_input, fmt::format("{}: {} is not a value of parameter '{}'; its values are {}", where,
                                                to_string(value), parameter.name, fmt::join(values, ", ")));
}

// What is not named has the baseline's value.
Configuration completed(const Problem& problem, const Configuration& named, const std::string& where) {
  Configuration configuration;
  const Configuration baseline = problem.baseline_configuration();
  for (const auto& parameter : problem.parameters) {
    const Value* value = named.find(parameter.name);
    configuration.set(parameter.name,
                      value != nullptr ? declared_value(parameter, *value, where) : baseline.at(parameter.name));
  }
  return configuration;
}

Configuration winner_of(const Problem& problem, const std::string& file) {
  store::Json report;
  try {
    const std::string text = read_file(file);
    if (!json_nested_too_deep(text)) report = store::Json::parse(text);
  } catch (const store::Json::exception&) {
    throw Error(ErrorCode::bad_input, "--result " + file + ": not JSON; it takes what 'warpwright tune --json' prints");
  }
  if (!report.is_object() || !report.contains("best") || !report.contains("kernel"))
    throw Error(ErrorCode::bad_input, "--result " + file + ": not a report of 'warpwright tune --json'");
  if (report.at("kernel") != problem.name)
    throw Error(ErrorCode::bad_input,
                fmt::format("--result {}: it is a report of kernel {}, the specification is of '{}'", file,
                            report.at("kernel").dump(), problem.name));
  if (report.at("best").is_null())
    throw Error(ErrorCode::bad_input, "--result " + file + ": that session found no correct configuration");
  return completed(problem, store::configuration_from_json(report.at("best").at("configuration")), "--result " + file);
}

store::Json compare_json(const Problem& problem, const CompareArguments& arguments,
                         const tuning::ComparisonResult& result) {
  store::Json list = store::Json::array();
  for (const auto& entry : result.configurations) {
    store::Json item{{"configuration", store::to_json(entry.trial.configuration)},
                     {"status", std::string(to_string(entry.trial.status))},
                     {"message", entry.trial.message}};
    item["median_ns"] = nullptr;
    if (!entry.samples.empty()) {
      item["median_ns"] = entry.median.count();
      item["spread_ns"] = entry.spread.count();
      item["ratio"] = entry.ratio.median;
      item["ratio_interval"] = {entry.ratio.interval.low, entry.ratio.interval.high};
      item["tie"] = entry.tie;
      if (!entry.impossible.empty()) item["impossible"] = entry.impossible;
      if (!entry.marks.empty()) item["marks"] = entry.marks;
      for (const auto sample : entry.samples) item["samples"].push_back(sample.count());
    }
    list.push_back(std::move(item));
  }
  store::Json reference = nullptr;
  if (result.reference) {
    reference = {{"median_ns", result.reference->median.count()},
                 {"spread_ns", result.reference->spread.count()},
                 {"ratio", result.reference->ratio.median},
                 {"ratio_interval", {result.reference->ratio.interval.low, result.reference->ratio.interval.high}}};
    if (!result.reference->marks.empty()) reference["marks"] = result.reference->marks;
    for (const auto sample : result.reference->samples) reference["samples"].push_back(sample.count());
  }
  return {{"schema_version", 1},
          {"kernel", problem.name},
          {"device", store::to_json(result.evaluation.device)},
          {"compiler", result.evaluation.compiler},
          {"problem", store::to_json(problem.dimensions)},
          {"cache_mode", arguments.cache_mode},
          {"fastest", result.fastest ? store::Json(*result.fastest) : store::Json(nullptr)},
          {"reference", std::move(reference)},
          {"configurations", std::move(list)}};
}

void print_comparison(const Problem& problem, const tuning::ComparisonResult& result, std::FILE* out) {
  fmt::print(out, "{} on {} ({}), {}\n\n", problem.name, result.evaluation.device.name,
             result.evaluation.device.id.to_string(), problem.dimensions.describe());
  TextTable table({{"", Align::right},
                   {"median", Align::right},
                   {"spread", Align::right},
                   {"to the fastest", Align::right},
                   {"interval"},
                   {""},
                   {"configuration"}});
  bool launch_bound = false;
  for (std::size_t i = 0; i < result.configurations.size(); ++i) {
    const auto& entry = result.configurations[i];
    if (entry.samples.empty()) {
      table.add({std::to_string(i + 1), "", "", "", "", std::string(to_string(entry.trial.status)),
                 entry.trial.configuration.describe()});
      continue;
    }
    std::string verdict = !entry.impossible.empty() ? "impossible"
                          : result.fastest == i     ? "fastest"
                          : entry.tie               ? "tie"
                                                    : "slower";
    for (const std::string& mark : entry.marks) {
      verdict += ", " + mark;
      launch_bound = launch_bound || mark == measure::marks::launch_bound;
    }
    table.add({std::to_string(i + 1), format_duration(entry.median), "+- " + format_duration(entry.spread / 2),
               fmt::format("{:.4f}", entry.ratio.median),
               fmt::format("{:.4f} .. {:.4f}", entry.ratio.interval.low, entry.ratio.interval.high), std::move(verdict),
               entry.trial.configuration.describe()});
  }
  if (const auto& reference = result.reference) {
    std::string verdict = "reference";
    for (const std::string& mark : reference->marks) {
      verdict += ", " + mark;
      launch_bound = launch_bound || mark == measure::marks::launch_bound;
    }
    table.add({"", format_duration(reference->median), "+- " + format_duration(reference->spread / 2),
               fmt::format("{:.4f}", reference->ratio.median),
               fmt::format("{:.4f} .. {:.4f}", reference->ratio.interval.low, reference->ratio.interval.high),
               std::move(verdict), "the reference kernel"});
  }
  table.print(out, 2);
  for (const auto& entry : result.configurations)
    if (!entry.trial.ok() || !entry.impossible.empty())
      fmt::print(out, "  {}: {}\n", entry.trial.configuration.describe(),
                 entry.trial.ok() ? entry.impossible : entry.trial.message);
  if (launch_bound)
    fmt::print(out, "  (times marked launch_bound are bounded by the host's launches, not by the device)\n");
  if (result.fastest) {
    const std::size_t rounds = result.configurations[*result.fastest].samples.size();
    const std::size_t chose = tuning::choosing_rounds(rounds);
    fmt::print(
        out,
        "  ({} samples of each, interleaved in one run: the first {} chose the fastest, everything shown is of the "
        "other {}; ratios are medians of the ratios within a round, their intervals hold together at 95 %)\n",
        rounds, chose, rounds - chose);
  }
}

int compare(const CompareArguments& arguments, const Console& console) {
  const SteadyClock steady;
  const auto backends = make_backends(console);
  const driver::OptionNames& flags = console.places->names();
  const driver::ProblemRequest request = arguments.problem.request();
  const auto recording = driver::open_recording(request, flags);
  const driver::ChosenProblem chosen = driver::choose_problem(request, backends, flags, recording.get());
  const Clock& clock = recording ? recording->clock() : steady;
  print_notes(chosen.notes, console);
  std::vector<std::string> names;
  for (const auto& parameter : chosen.problem.parameters) names.push_back(parameter.name);
  std::vector<Configuration> configurations;
  for (const auto& text : arguments.configurations)
    configurations.push_back(text == "baseline"
                                 ? chosen.problem.baseline_configuration()
                                 : completed(chosen.problem, parse_configuration(text, "--config", names), "--config"));
  for (const auto& file : arguments.results) configurations.push_back(winner_of(chosen.problem, file));
  if (configurations.empty())
    throw Error(ErrorCode::bad_input,
                "nothing to compare: give --config NAME=VALUE,... or --result FILE, several times");

  tuning::ComparisonOptions options;
  options.cache = arguments.cache_mode == "warm" ? measure::CacheMode::warm : measure::CacheMode::cold;
  std::unique_ptr<execution::Evaluation> pool;
  if (!recording) {
    execution::WorkerPoolOptions pool_options = arguments.workers.options(console);
    pool_options.cache = options.cache;
    pool = execution::make_worker_pool(chosen.device, chosen.problem, clock, std::move(pool_options));
  }
  const StopSignal stop;
  options.rounds = arguments.rounds;
  options.seed = arguments.seed;
  options.with_reference = arguments.reference;
  options.stop = stop.flag();
  const auto result = tuning::compare_configurations(chosen.problem, recording ? recording->evaluation() : *pool, clock,
                                                     configurations, options);
  if (arguments.json)
    fmt::print(console.out, "{}\n", compare_json(chosen.problem, arguments, result).dump(2));
  else
    print_comparison(chosen.problem, result, console.out);
  const bool all_right = std::all_of(result.configurations.begin(), result.configurations.end(),
                                     [](const auto& entry) { return entry.trial.ok(); });
  return all_right ? exit_success : exit_failure;
}

}  // namespace

void add_compare_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "compare", "Verify given configurations and time them against each other, interleaved in one run");
  auto arguments = std::make_shared<CompareArguments>();
  arguments->problem.add_to(*command, true);
  command
      ->add_option(
          "--config", arguments->configurations,
          "A configuration; what is not named has the baseline's value, and 'baseline' is all of it. Repeat it")
      ->type_name("NAME=VALUE,...")
      ->allow_extra_args(false);
  command->add_option("--result", arguments->results, "The winner of a report of 'warpwright tune --json'. Repeat it")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command
      ->add_option("--cache", arguments->cache_mode,
                   "cold: flush the device's cache before each sample (default); warm")
      ->check(CLI::IsMember({"cold", "warm"}));
  command
      ->add_option("--rounds", arguments->rounds, "Samples of each (default 50; fewer where they would take over 5 s)")
      ->type_name("N")
      ->check(at_least(5));
  command->add_option("--seed", arguments->seed, "Seed of the order within each round (default 0)")
      ->type_name("N")
      ->check(at_least(0));
  command->add_flag("--reference", arguments->reference,
                    "Time the reference kernel of the specification in turns with them: the speed-up over it");
  arguments->workers.add_to(*command);
  command->add_flag("--json", arguments->json, "Print JSON");
  command->callback([arguments, console, &exit_code] { exit_code = compare(*arguments, console); });
}

}  // namespace warpwright::app
