#include "tune_report.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <vector>

#include <warpwright/measure/plausibility.hpp>

#include "interval_text.hpp"
#include "text_table.hpp"

namespace warpwright::app {
namespace {

using store::ClockState;
using store::Finalist;
using store::SessionRecord;

std::string percent(Nanoseconds part, Nanoseconds whole) {
  return whole.count() > 0 ? fmt::format("{:.1f} %", 100 * (part / whole)) : "0 %";
}

// What a row of the table of finalists has of one configuration.
struct FinalRow {
  std::string label;
  const Configuration& configuration;
  Nanoseconds median{}, spread{};
  std::optional<double> speedup;
  const std::map<std::string, double>& metrics;
  const Finalist* finalist = nullptr;
};

std::vector<std::string> cells_of(const FinalRow& row, const SessionRecord& record) {
  std::vector<std::string> cells{row.label, format_duration(row.median), "+- " + format_duration(row.spread / 2),
                                 row.speedup ? fmt::format("{:.2f}x", *row.speedup) : "-"};
  for (const std::string& name : record.metrics) {
    const auto found = row.metrics.find(name);
    cells.push_back(found == row.metrics.end() ? "-" : fmt::format("{:.4g}", found->second));
  }
  if (record.power_limited) {
    for (const auto member : {&Finalist::boost, &Finalist::sustained})
      cells.push_back(row.finalist != nullptr && row.finalist->*member ? format_duration(*(row.finalist->*member))
                                                                       : "-");
  }
  cells.push_back(row.configuration.describe());
  return cells;
}

void print_table(const SessionRecord& record, int rows, std::FILE* out) {
  std::vector<TextTable::Column> columns{
      {"", Align::right}, {"median", Align::right}, {"spread", Align::right}, {"speed-up", Align::right}};
  for (const std::string& name : record.metrics) columns.push_back({name, Align::right});
  if (record.power_limited) {
    columns.push_back({"boost", Align::right});
    columns.push_back({"sustained", Align::right});
  }
  columns.push_back({"configuration"});
  TextTable table(columns);
  const auto speedup_of = [&](Nanoseconds median) {
    return record.baseline_median ? std::optional(*record.baseline_median / median) : std::nullopt;
  };
  int shown = 0;
  for (const Finalist& finalist : record.finalists) {
    if (shown == rows) break;
    table.add(cells_of({std::to_string(++shown), finalist.configuration, finalist.median, finalist.spread,
                        finalist.speedup ? finalist.speedup : speedup_of(finalist.median), finalist.metrics, &finalist},
                       record));
  }
  if (record.finalists.empty()) {
    std::vector<const Trial*> ranked;
    for (const Trial& trial : record.trials)
      if (measure::can_win(trial)) ranked.push_back(&trial);
    std::stable_sort(ranked.begin(), ranked.end(), [](auto* a, auto* b) { return *a->median < *b->median; });
    for (const Trial* trial : ranked) {
      if (shown == rows) break;
      table.add(cells_of({std::to_string(++shown), trial->configuration, *trial->median, trial->spread,
                          speedup_of(*trial->median), trial->metrics},
                         record));
    }
  }
  if (record.baseline_median && record.baseline)
    table.add(cells_of({"baseline", record.baseline->configuration, *record.baseline_median, record.baseline->spread,
                        speedup_of(*record.baseline_median), record.baseline_metrics},
                       record));
  table.print(out, 2);
}

}  // namespace

void print_outcome(const SessionRecord& record, int rows, std::FILE* out) {
  if (!record.best) {
    fmt::print(out, "No configuration gave a correct result.\n");
    for (const Trial& trial : record.trials)
      if (!trial.ok() && !trial.message.empty()) {
        fmt::print(out, "  for example {}: {}: {}\n", trial.configuration.describe(), to_string(trial.status),
                   trial.message);
        break;
      }
    return;
  }
  print_table(record, rows, out);
  if (record.comparison)
    fmt::print(out,
               "  (fresh samples, finalists and baseline interleaved in one run: {} of each chose the winner, these "
               "times are of the other {}; spread is half the interquartile range)\n",
               record.comparison->choosing_rounds, record.comparison->reported_rounds);
  if (record.power_limited)
    fmt::print(out,
               "  The fastest reaches the power limit: boost is the time in short bursts, sustained the one when the "
               "clock has settled\n  back to back. The {} times decide (--clock {} lets the others).\n",
               to_string(record.clock),
               to_string(record.clock == ClockState::boost ? ClockState::sustained : ClockState::boost));
  if (record.ties.size() > 1)
    fmt::print(out, "  A tie: {} of them cannot be told from the winner, or {} slower by less than 1 % only.\n",
               record.ties.size() - 1, record.ties.size() == 2 ? "is" : "are");
  fmt::print(out, "\nWinner: {}\n", record.best->describe());
  if (record.speedup)
    fmt::print(out, "  {:.2f}x faster than the baseline{}\n", *record.speedup,
               record.speedup_interval ? " (" + interval_text(*record.speedup_interval) + ")" : "");
  fmt::print(out, "  {}\n", record.verification);
}

void print_times(const SessionRecord& record, std::FILE* out) {
  const auto& times = record.times;
  fmt::print(out, "\nTime: {} in all\n", format_duration(times.total));
  TextTable table({{"part"}, {"time", Align::right}, {"share", Align::right}, {""}});
  const auto part = [&](const char* name, Nanoseconds time, const std::string& note = {}) {
    table.add({name, format_duration(time), percent(time, times.total), note});
  };
  part("start-up", times.startup);
  part("compile wait", times.compile_wait, format_duration(times.compile_cpu) + " of CPU time in all compilers");
  part("copy", times.copy);
  part("verify", times.verify);
  part("measure", times.measure);
  part("tuner", times.tuner, fmt::format("{:.3f} ms a configuration", record.tuner_per_evaluation().count() / 1e6));
  part("finish", times.finish, "final comparison and second verification");
  table.print(out, 2);
}

void print_tune_report(const driver::TuneResult& report, int rows, std::FILE* out) {
  const SessionRecord& record = report.record;
  fmt::print(out, "\n{} on {} ({})\n", record.kernel, record.evaluation.device.name,
             record.evaluation.device.id.to_string());
  fmt::print(out, "  problem     {}\n", record.dimensions.describe());
  fmt::print(out, "  evaluated   {} of {} configurations ({}, seed {}; stopped: {}){}\n", record.evaluations,
             record.space_size, record.strategy, record.seed, record.stop_reason,
             record.resumed_from > 0 ? fmt::format(", {} kept from before", record.resumed_from) : "");
  std::string failures;
  for (int i = 0; i < trial_status_count; ++i) {
    const auto status = static_cast<TrialStatus>(i);
    const auto count = record.by_status[static_cast<std::size_t>(i)];
    if (status != TrialStatus::ok && status != TrialStatus::censored && count > 0)
      failures += fmt::format("{}{} {}", failures.empty() ? "" : ", ", count, to_string(status));
  }
  if (!failures.empty()) fmt::print(out, "  failed      {}\n", failures);
  if (const auto censored = record.by_status[static_cast<std::size_t>(TrialStatus::censored)]; censored > 0)
    fmt::print(out, "  censored    {} stopped early, clearly slower than the best at that time\n", censored);
  fmt::print(out, "\n");
  print_outcome(record, rows, out);
  if (!record.warnings.empty()) fmt::print(out, "\n");
  for (const auto& warning : record.warnings) fmt::print(out, "warning: {}\n", warning);
  print_times(record, out);
  if (report.profile_id)
    fmt::print(out, "\nProfile {} stored in {}\n", *report.profile_id, report.profiles_file->string());
  if (report.session_folder) {
    fmt::print(out, "{}Session kept in {}\n", report.profile_id ? "" : "\n", report.session_folder->string());
    if (record.interrupted)
      fmt::print(out, "Interrupted: add --session {} --resume to the same command to go on.\n",
                 report.session_folder->string());
  }
}

}  // namespace warpwright::app
