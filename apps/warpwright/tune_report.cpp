#include "tune_report.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <optional>

#include <warpwright/execution/evaluation_json.hpp>
#include <warpwright/measure/plausibility.hpp>
#include <warpwright/tuning/ranking.hpp>

#include "interval_text.hpp"
#include "text_table.hpp"

namespace warpwright::app {
namespace {

using store::Json;
using tuning::SessionResult;

double seconds(Nanoseconds time) { return time.count() / 1e9; }

double tuner_per_evaluation_ms(const SessionResult& result) {
  const auto now = result.evaluations - std::min(result.evaluations, result.resumed_from);
  return now == 0 ? 0 : result.times.tuner.count() / 1e6 / static_cast<double>(now);
}

Json failures_json(const SessionResult& result) {
  Json failures = Json::object();
  for (int i = 0; i < trial_status_count; ++i) {
    const auto status = static_cast<TrialStatus>(i);
    const auto count = result.by_status[static_cast<std::size_t>(i)];
    if (status != TrialStatus::ok && status != TrialStatus::censored && count > 0)
      failures[std::string(to_string(status))] = count;
  }
  return failures;
}

std::string percent(Nanoseconds part, Nanoseconds whole) {
  return whole.count() > 0 ? fmt::format("{:.1f} %", 100 * (part / whole)) : "0 %";
}

const Trial* find_trial(const SessionResult& result, const Configuration& configuration) {
  for (const auto& trial : result.trials)
    if (trial.configuration == configuration) return &trial;
  return nullptr;
}

}  // namespace

Json tune_json(const TuneReport& report) {
  const SessionResult& result = report.result;
  Json json{{"schema_version", 1},
            {"kernel", report.problem.name},
            {"specification", report.problem.file.string()},
            {"device", store::to_json(result.evaluation.device)},
            {"compiler", result.evaluation.compiler},
            {"target", result.evaluation.target},
            {"problem", store::to_json(report.problem.dimensions)},
            {"cache_mode", std::string(measure::to_string(report.cache))},
            {"strategy", result.strategy},
            {"seed", result.seed},
            {"space", {{"size", result.space_size}, {"cartesian", result.cartesian_size}}}};
  json["best"] = nullptr;
  if (result.best) {
    json["best"] = {{"configuration", store::to_json(*result.best)},
                    {"median_ns", result.best_median.count()},
                    {"spread_ns", result.best_spread.count()}};
    if (const Trial* trial = find_trial(result, *result.best)) {
      json["best"]["metrics"] = store::to_json(*trial).value("metrics", Json::object());
      json["best"]["search_median_ns"] = trial->median ? Json(trial->median->count()) : Json(nullptr);
    }
  }
  json["baseline"] = nullptr;
  if (result.baseline) {
    json["baseline"] = store::to_json(*result.baseline);
    if (result.baseline_median) json["baseline"]["median_ns"] = result.baseline_median->count();
  }
  json["speedup"] = result.speedup ? Json(*result.speedup) : Json(nullptr);
  json["speedup_interval"] = json["speedup_confidence"] = nullptr;
  if (const auto& interval = result.speedup_interval) {
    json["speedup_interval"] = {interval->low, interval->high};
    json["speedup_confidence"] = interval->confidence;
  }
  Json finalists = Json::array();
  for (const auto& finalist : result.finalists) {
    Json samples = Json::array();
    for (const auto sample : finalist.samples) samples.push_back(sample.count());
    finalists.push_back({{"configuration", store::to_json(finalist.configuration)},
                         {"median_ns", finalist.median.count()},
                         {"spread_ns", finalist.spread.count()},
                         {"ratio", finalist.ratio.median},
                         {"ratio_interval", {finalist.ratio.interval.low, finalist.ratio.interval.high}},
                         {"speedup", finalist.speedup ? Json(*finalist.speedup) : Json(nullptr)},
                         {"tie", finalist.tie},
                         {"samples", std::move(samples)}});
    if (finalist.boost) finalists.back()["boost_ns"] = finalist.boost->count();
    if (finalist.sustained) finalists.back()["sustained_ns"] = finalist.sustained->count();
  }
  json["final_comparison"] = nullptr;
  if (!result.finalists.empty()) {
    const std::size_t rounds = result.finalists.front().samples.size();
    const std::size_t chose = tuning::choosing_rounds(rounds);
    json["final_comparison"] = {{"choosing_rounds", chose},
                                {"reported_rounds", rounds - chose},
                                {"tie_method", tuning::tie_method},
                                {"family_error", tuning::ranking_family_error}};
  }
  json["power_limited"] = result.power_limited;
  json["clock"] = std::string(tuning::to_string(result.clock));
  json["finalists"] = std::move(finalists);
  Json ties = Json::array();
  for (const auto& tie : result.ties) ties.push_back(store::to_json(tie));
  json["ties"] = std::move(ties);
  json["verification"] = result.verification;
  json["reverified"] = result.reverified;
  json["reference_outputs"] = execution::to_json(result.evaluation.reference_outputs);
  json["evaluations"] = result.evaluations;
  json["resumed_from"] = result.resumed_from;
  json["failures"] = failures_json(result);
  json["censored"] = result.by_status[static_cast<std::size_t>(TrialStatus::censored)];
  json["stop_reason"] = result.stop_reason;
  json["interrupted"] = result.interrupted;
  const auto& times = result.times;
  json["time"] = {{"total_s", seconds(times.total)},
                  {"startup_s", seconds(times.startup)},
                  {"compile_wait_s", seconds(times.compile_wait)},
                  {"compile_cpu_s", seconds(times.compile_cpu)},
                  {"copy_s", seconds(times.copy)},
                  {"verify_s", seconds(times.verify)},
                  {"measure_s", seconds(times.measure)},
                  {"tuner_s", seconds(times.tuner)},
                  {"finish_s", seconds(times.finish)}};
  json["tuner_ms_per_evaluation"] = tuner_per_evaluation_ms(result);
  Json trials = Json::array();
  for (const auto& trial : result.trials) {
    Json entry = store::to_json(trial);
    entry.erase("log");  // `warpwright show` has it
    trials.push_back(std::move(entry));
  }
  json["trials"] = std::move(trials);
  json["warnings"] = result.warnings;
  json["session"] = report.session_folder ? Json(report.session_folder->string()) : Json(nullptr);
  json["profiles_file"] = report.profiles_file ? Json(report.profiles_file->string()) : Json(nullptr);
  json["profile_id"] = report.profile_id ? Json(*report.profile_id) : Json(nullptr);
  return json;
}

void print_tune_report(const TuneReport& report, int rows, std::FILE* out) {
  const SessionResult& result = report.result;
  fmt::print(out, "\n{} on {} ({})\n", report.problem.name, result.evaluation.device.name,
             result.evaluation.device.id.to_string());
  fmt::print(out, "  problem     {}\n", report.problem.dimensions.describe());
  fmt::print(out, "  evaluated   {} of {} configurations ({}, seed {}; stopped: {}){}\n", result.evaluations,
             result.space_size, result.strategy, result.seed, result.stop_reason,
             result.resumed_from > 0 ? fmt::format(", {} kept from before", result.resumed_from) : "");
  std::string failures;
  const Json counts = failures_json(result);
  for (const auto& [status, count] : counts.items())
    failures += fmt::format("{}{} {}", failures.empty() ? "" : ", ", count.get<std::uint64_t>(), status);
  if (!failures.empty()) fmt::print(out, "  failed      {}\n", failures);
  if (const auto censored = result.by_status[static_cast<std::size_t>(TrialStatus::censored)]; censored > 0)
    fmt::print(out, "  censored    {} stopped early, clearly slower than the best at that time\n", censored);
  fmt::print(out, "\n");

  if (!result.best) {
    fmt::print(out, "No configuration gave a correct result.\n");
    for (const auto& trial : result.trials)
      if (!trial.ok() && !trial.message.empty()) {
        fmt::print(out, "  for example {}: {}: {}\n", trial.configuration.describe(), to_string(trial.status),
                   trial.message);
        break;
      }
  } else {
    std::vector<TextTable::Column> columns{
        {"", Align::right}, {"median", Align::right}, {"spread", Align::right}, {"speed-up", Align::right}};
    const auto metric_names = [&] {
      std::vector<std::string> names;
      for (const auto& metric : report.problem.metrics) names.push_back(metric.name);
      return names;
    }();
    for (const auto& name : metric_names) columns.push_back({name, Align::right});
    if (result.power_limited) {
      columns.push_back({"boost", Align::right});
      columns.push_back({"sustained", Align::right});
    }
    columns.push_back({"configuration"});
    TextTable table(columns);
    const auto in_state = [&](const Configuration& configuration, auto member) -> std::string {
      for (const auto& finalist : result.finalists)
        if (finalist.configuration == configuration && finalist.*member) return format_duration(*(finalist.*member));
      return "-";
    };
    const auto row = [&](const std::string& label, const Configuration& configuration, Nanoseconds median,
                         Nanoseconds spread, std::optional<double> speedup = {}) {
      if (!speedup && result.baseline_median) speedup = *result.baseline_median / median;
      std::vector<std::string> cells{label, format_duration(median), "+- " + format_duration(spread / 2),
                                     speedup ? fmt::format("{:.2f}x", *speedup) : "-"};
      Scope scope = report.problem.scope(configuration);
      scope.set("time_ns", ExpressionValue(median.count()));
      for (const auto& metric : report.problem.metrics)
        cells.push_back(fmt::format("{:.4g}", scope.number(metric.expression, metric.name)));
      if (result.power_limited) {
        cells.push_back(in_state(configuration, &tuning::Finalist::boost));
        cells.push_back(in_state(configuration, &tuning::Finalist::sustained));
      }
      cells.push_back(configuration.describe());
      table.add(std::move(cells));
    };
    int shown = 0;
    if (!result.finalists.empty()) {
      for (const auto& finalist : result.finalists)
        if (shown < rows)
          row(std::to_string(++shown), finalist.configuration, finalist.median, finalist.spread, finalist.speedup);
    } else {
      std::vector<const Trial*> ranked;
      for (const auto& trial : result.trials)
        if (measure::can_win(trial)) ranked.push_back(&trial);
      std::stable_sort(ranked.begin(), ranked.end(), [](auto* a, auto* b) { return *a->median < *b->median; });
      for (const auto* trial : ranked)
        if (shown < rows) row(std::to_string(++shown), trial->configuration, *trial->median, trial->spread);
    }
    if (result.baseline_median && result.baseline)
      row("baseline", result.baseline->configuration, *result.baseline_median, result.baseline->spread);
    table.print(out, 2);
    if (!result.finalists.empty()) {
      const std::size_t rounds = result.finalists.front().samples.size();
      const std::size_t chose = tuning::choosing_rounds(rounds);
      fmt::print(out,
                 "  (fresh samples, finalists and baseline interleaved in one run: {} of each chose the winner, these "
                 "times are of the other {}; spread is half the interquartile range)\n",
                 chose, rounds - chose);
    }
    if (result.power_limited)
      fmt::print(out,
                 "  The fastest reaches the power limit: boost is the time in short bursts, sustained the one when the "
                 "clock has settled\n  back to back. The {} times decide (--clock {} lets the others).\n",
                 tuning::to_string(result.clock),
                 tuning::to_string(result.clock == tuning::ClockState::boost ? tuning::ClockState::sustained
                                                                             : tuning::ClockState::boost));
    if (result.ties.size() > 1)
      fmt::print(out, "  A tie: {} of them cannot be told from the winner, or {} slower by less than 1 % only.\n",
                 result.ties.size() - 1, result.ties.size() == 2 ? "is" : "are");
    fmt::print(out, "\nWinner: {}\n", result.best->describe());
    if (result.speedup)
      fmt::print(out, "  {:.2f}x faster than the baseline{}\n", *result.speedup,
                 result.speedup_interval ? " (" + interval_text(*result.speedup_interval) + ")" : "");
    fmt::print(out, "  {}\n", result.verification);
  }

  if (!result.warnings.empty()) fmt::print(out, "\n");
  for (const auto& warning : result.warnings) fmt::print(out, "warning: {}\n", warning);

  const auto& times = result.times;
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
  part("tuner", times.tuner, fmt::format("{:.3f} ms a configuration", tuner_per_evaluation_ms(result)));
  part("finish", times.finish, "final comparison and second verification");
  table.print(out, 2);

  if (report.profile_id)
    fmt::print(out, "\nProfile {} stored in {}\n", *report.profile_id, report.profiles_file->string());
  if (report.session_folder) {
    fmt::print(out, "{}Session kept in {}\n", report.profile_id ? "" : "\n", report.session_folder->string());
    if (result.interrupted)
      fmt::print(out, "Interrupted: add --session {} --resume to the same command to go on.\n",
                 report.session_folder->string());
  }
}

}  // namespace warpwright::app
