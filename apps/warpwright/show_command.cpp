#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <memory>
#include <utility>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/plausibility.hpp>
#include <warpwright/store/journal.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/store/session_record.hpp>

#include "command.hpp"
#include "configuration_argument.hpp"
#include "text_table.hpp"
#include "tune_report.hpp"

namespace warpwright::app {
namespace {

struct ShowArguments {
  std::string session;
  std::string configuration;
  int trial = -1;
  int rows = 10;
  bool json = false;
};

// "block_x=32,layout=row" against a trial: every named value must be equal.
bool matches(const Configuration& configuration, const Configuration& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& entry) {
    const Value* value = configuration.find(entry.first);
    return value != nullptr && python_equal(*value, entry.second);
  });
}

void print_trial(const Trial& trial, std::FILE* out) {
  fmt::print(out, "trial {}: {}\n", trial.ordinal, trial.configuration.describe());
  fmt::print(out, "  status     {}{}\n", to_string(trial.status), trial.message.empty() ? "" : ": " + trial.message);
  if (trial.bound)
    fmt::print(out, "  time       at least {}\n", format_duration(*trial.bound));
  else if (trial.median)
    fmt::print(out, "  time       median {}, interquartile range {}\n", format_duration(*trial.median),
               format_duration(trial.spread));
  if (!trial.samples.empty()) {
    std::string samples;
    for (const auto sample : trial.samples) samples += (samples.empty() ? "" : ", ") + format_duration(sample);
    fmt::print(out, "  samples    {}\n", samples);
  }
  const auto& conditions = trial.conditions;
  if (conditions.sm_clock_mhz || conditions.temperature_celsius)
    fmt::print(
        out, "  device     {}{}{}\n", conditions.sm_clock_mhz ? fmt::format("{} MHz", *conditions.sm_clock_mhz) : "",
        conditions.sm_clock_mhz && conditions.temperature_celsius ? ", " : "",
        conditions.temperature_celsius ? fmt::format("{} degrees Celsius", *conditions.temperature_celsius) : "");
  if (conditions.flushed_cache)
    fmt::print(out, "  cache      flushed as one of {} ({})\n", format_bytes(*conditions.flushed_cache),
               conditions.flushed_cache_source);
  if (!conditions.marks.empty()) fmt::print(out, "  marks      {}\n", fmt::join(conditions.marks, ", "));
  if (!conditions.impossible.empty()) fmt::print(out, "  impossible {}\n", conditions.impossible);
  if (!conditions.throttling.empty()) fmt::print(out, "  throttled  {}\n", fmt::join(conditions.throttling, ", "));
  if (conditions.drift)
    fmt::print(out, "  drift      {:+.1f} % from the first to the last sample\n", 100 * *conditions.drift);
  for (const auto& [name, value] : trial.metrics) fmt::print(out, "  {:<10} {:.6g}\n", name, value);
  for (const auto& entry : trial.resources) {
    std::string text;
    const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
    if (entry.registers_per_thread) add(fmt::format("{} registers a thread", *entry.registers_per_thread));
    if (entry.static_shared) add(format_bytes(*entry.static_shared) + " static shared");
    if (entry.dynamic_shared) add(format_bytes(*entry.dynamic_shared) + " dynamic shared");
    if (entry.local_per_thread) add(format_bytes(*entry.local_per_thread) + " local a thread");
    if (entry.constant) add(format_bytes(*entry.constant) + " constant");
    if (entry.max_threads_per_block) add(fmt::format("at most {} threads a block", *entry.max_threads_per_block));
    if (entry.barriers) add(fmt::format("{} barriers", *entry.barriers));
    if (entry.spill_stores && entry.spill_stores->count > 0)
      add(format_bytes(*entry.spill_stores) + " spilled a thread");
    fmt::print(out, "  resources  {}: {}\n", entry.entry, text.empty() ? "unknown" : text);
  }
  for (const auto& launch : trial.launch_times)
    fmt::print(out, "  launch     {}: {}{}\n", launch.entry, format_duration(launch.time),
               launch.launches == 1 ? std::string() : fmt::format(" in {} launches", launch.launches));
  for (const auto& launch : trial.occupancy)
    fmt::print(out, "  occupancy  {}: {:.3g} %, {} blocks and {} of {} warps per SM, limited by {}\n", launch.entry,
               launch.occupancy() * 100, launch.blocks_per_sm, launch.active_warps_per_sm, launch.max_warps_per_sm,
               fmt::join(launch.limiting_factors, ", "));
  if (trial.mismatch)
    fmt::print(out, "  wrong      {}[{}] is {}, expected {}; {} of {} elements differ\n", trial.mismatch->argument,
               trial.mismatch->index, trial.mismatch->found, trial.mismatch->expected, trial.mismatch->wrong,
               trial.mismatch->total);
  const auto& times = trial.times;
  fmt::print(out, "  spent      compile {}{}, copy {}, verify {}, measure {}\n", format_duration(times.compile_wall),
             trial.binary_from_cache ? " (from the cache)" : "", format_duration(times.copy),
             format_duration(times.verify), format_duration(times.measure));
  fmt::print(out, "  finished   {}\n", trial.finished_at);
  if (!trial.log.empty()) fmt::print(out, "  compiler log:\n{}\n", trial.log);
}

void print_summary(const store::SessionRecord& record, int rows, std::FILE* out) {
  const DeviceInfo& device = record.evaluation.device;
  fmt::print(out, "{} on {} ({}), strategy {}, seed {}\n", record.kernel, device.name, device.id.to_string(),
             record.strategy, record.seed);
  fmt::print(out, "{} trials:", record.trials.size());
  for (int i = 0; i < trial_status_count; ++i)
    if (const auto count = record.by_status[static_cast<std::size_t>(i)]; count > 0)
      fmt::print(out, " {} {}", count, to_string(static_cast<TrialStatus>(i)));
  fmt::print(out, "\n");
  if (!record.stop_reason.empty())
    fmt::print(out, "stopped: {}\n", record.stop_reason);
  else
    fmt::print(out, "not finished: go on with the same 'warpwright tune' command and --resume\n");
  std::vector<const Trial*> ranked;
  for (const auto& trial : record.trials)
    if (measure::can_win(trial) && trial.median) ranked.push_back(&trial);
  std::stable_sort(ranked.begin(), ranked.end(), [](auto* a, auto* b) { return *a->median < *b->median; });
  TextTable table({{"trial", Align::right}, {"median", Align::right}, {"samples", Align::right}, {"configuration"}});
  int left = rows;
  for (const auto* trial : ranked) {
    if (left-- <= 0) break;
    table.add({std::to_string(trial->ordinal), format_duration(*trial->median), std::to_string(trial->samples.size()),
               trial->configuration.describe()});
  }
  if (!table.empty()) table.print(out, 2);
  if (!record.complete) return;
  fmt::print(out, "\n");
  print_outcome(record, rows, out);
  print_times(record, out);
}

int show(const ShowArguments& arguments, const Console& console) {
  store::JournalContents journal = store::Journal::read(arguments.session);
  const store::JournalHeader header = journal.header;
  const store::SessionRecord record = store::read_session(arguments.session, std::move(journal));
  for (const auto& warning : record.warnings) fmt::print(console.err, "warning: {}\n", warning);
  const bool selects = !arguments.configuration.empty() || arguments.trial >= 0;
  if (!selects) {
    if (!arguments.json) {
      print_summary(record, arguments.rows, console.out);
      return exit_success;
    }
    store::Json trials = store::Json::array();
    for (const auto& trial : record.trials) trials.push_back(store::to_json(trial));
    fmt::print(console.out, "{}\n",
               store::Json{{"schema_version", 1},
                           {"kernel", header.kernel},
                           {"device", header.device},
                           {"device_id", header.device_id},
                           {"strategy", header.strategy},
                           {"seed", header.seed},
                           {"details", store::parse(header.details, "the journal's details")},
                           {"notes", store::parse(store::read_notes(arguments.session), "the notes")},
                           {"record", record.complete ? store::to_json(record) : store::Json(nullptr)},
                           {"trials", std::move(trials)}}
                   .dump(2));
    return exit_success;
  }
  Configuration wanted;
  if (!arguments.configuration.empty()) {
    std::vector<std::string> names;
    if (!record.trials.empty())
      for (const auto& entry : record.trials.front().configuration) names.push_back(entry.first);
    wanted = parse_configuration(arguments.configuration, "--config", names);
  }
  std::vector<const Trial*> found;
  for (const auto& trial : record.trials)
    if (matches(trial.configuration, wanted) &&
        (arguments.trial < 0 || trial.ordinal == static_cast<std::uint64_t>(arguments.trial)))
      found.push_back(&trial);
  if (found.empty())
    throw Error(ErrorCode::not_found,
                fmt::format("the session has {} trials, but none with {}", record.trials.size(),
                            arguments.trial >= 0 ? fmt::format("--trial {}", arguments.trial) : wanted.describe()));
  if (arguments.json) {
    store::Json list = store::Json::array();
    for (const auto* trial : found) list.push_back(store::to_json(*trial));
    fmt::print(console.out, "{}\n", store::Json{{"schema_version", 1}, {"trials", std::move(list)}}.dump(2));
    return exit_success;
  }
  for (const auto* trial : found) print_trial(*trial, console.out);
  return exit_success;
}

}  // namespace

void add_show_command(CLI::App& app, const Console& console, int& exit_code) {
  CLI::App* command =
      app.add_subcommand("show", "Show a session, or one trial with its log, samples and first wrong element");
  auto arguments = std::make_shared<ShowArguments>();
  command->add_option("session", arguments->session, "Folder of the session")->required()->type_name("SESSION");
  command->add_option("--config", arguments->configuration, "Show the trials with these values, e.g. block_x=32,tile=2")
      ->type_name("NAME=VALUE,...");
  command->add_option("--trial", arguments->trial, "Show the trial with this number")
      ->type_name("N")
      ->check(at_least(0));
  command->add_option("--rows", arguments->rows, "Trials in the table (default 10)")
      ->type_name("N")
      ->check(at_least(1));
  command->add_flag("--json", arguments->json, "Print JSON");
  command->callback([arguments, console, &exit_code] { exit_code = show(*arguments, console); });
}

}  // namespace warpwright::app
