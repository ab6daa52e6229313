#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/store/session_record.hpp>

#include "json_reader.hpp"

namespace warpwright::store {
namespace {

using detail::double_json;
using detail::ObjectReader;
using detail::text_json;
using detail::Where;

constexpr int record_schema = 1;
constexpr std::array all_clock_states{ClockState::boost, ClockState::sustained};

// ---- writing --------------------------------------------------------------------------------------------------------

Json seconds_json(Nanoseconds time) { return double_json(time.count() / 1e9); }

Json samples_json(const std::vector<Nanoseconds>& samples) {
  Json list = Json::array();
  for (const Nanoseconds sample : samples) list.push_back(double_json(sample.count()));
  return list;
}

Json metrics_json(const std::map<std::string, double>& metrics) {
  Json object = Json::object();
  for (const auto& [name, value] : metrics) object[name] = double_json(value);
  return object;
}

Json configurations_json(const std::vector<Configuration>& configurations) {
  Json list = Json::array();
  for (const Configuration& configuration : configurations) list.push_back(to_json(configuration));
  return list;
}

Json texts_json(const std::vector<std::string>& texts) {
  Json list = Json::array();
  for (const std::string& text : texts) list.push_back(text_json(text));
  return list;
}

Json interval_json(const Interval& interval) { return {double_json(interval.low), double_json(interval.high)}; }

Json finalist_json(const Finalist& finalist) {
  Json object{{"configuration", to_json(finalist.configuration)},
              {"median_ns", double_json(finalist.median.count())},
              {"spread_ns", double_json(finalist.spread.count())},
              {"ratio", double_json(finalist.ratio.median)},
              {"ratio_interval", interval_json(finalist.ratio.interval)},
              {"ratio_confidence", double_json(finalist.ratio.interval.confidence)},
              {"speedup", finalist.speedup ? double_json(*finalist.speedup) : Json(nullptr)},
              {"tie", finalist.tie},
              {"samples", samples_json(finalist.samples)}};
  if (!finalist.metrics.empty()) object["metrics"] = metrics_json(finalist.metrics);
  if (finalist.boost) object["boost_ns"] = double_json(finalist.boost->count());
  if (finalist.sustained) object["sustained_ns"] = double_json(finalist.sustained->count());
  if (!finalist.boost_samples.empty()) object["boost_samples"] = samples_json(finalist.boost_samples);
  return object;
}

// The times and metrics of the final comparison, where it took place; those of its trial beside them.
Json baseline_json(const SessionRecord& record) {
  if (!record.baseline) return nullptr;
  Json object = to_json(*record.baseline);
  object["search_median_ns"] = object["median_ns"];
  if (record.baseline_median) object["median_ns"] = double_json(record.baseline_median->count());
  if (!record.baseline_metrics.empty()) object["final_metrics"] = metrics_json(record.baseline_metrics);
  if (!record.baseline_samples.empty()) object["final_samples"] = samples_json(record.baseline_samples);
  return object;
}

Json best_json(const SessionRecord& record) {
  if (!record.best) return nullptr;
  Json object{{"configuration", to_json(*record.best)},
              {"median_ns", double_json(record.best_median.count())},
              {"spread_ns", double_json(record.best_spread.count())}};
  for (const Trial& trial : record.trials) {
    if (!(trial.configuration == *record.best)) continue;
    object["metrics"] = metrics_json(trial.metrics);
    object["search_median_ns"] = trial.median ? double_json(trial.median->count()) : Json(nullptr);
    break;
  }
  return object;
}

Json comparison_json(const std::optional<ComparisonMethod>& comparison) {
  if (!comparison) return nullptr;
  return {{"choosing_rounds", comparison->choosing_rounds},
          {"reported_rounds", comparison->reported_rounds},
          {"tie_method", text_json(comparison->tie_method)},
          {"family_error", double_json(comparison->family_error)}};
}

Json failures_json(const SessionRecord& record) {
  Json failures = Json::object();
  for (int i = 0; i < trial_status_count; ++i) {
    const auto status = static_cast<TrialStatus>(i);
    const std::uint64_t count = record.by_status[static_cast<std::size_t>(i)];
    if (status != TrialStatus::ok && status != TrialStatus::censored && count > 0)
      failures[std::string(to_string(status))] = count;
  }
  return failures;
}

Json times_json(const SessionTimes& times) {
  return {{"total_s", seconds_json(times.total)},
          {"startup_s", seconds_json(times.startup)},
          {"compile_wait_s", seconds_json(times.compile_wait)},
          {"compile_cpu_s", seconds_json(times.compile_cpu)},
          {"copy_s", seconds_json(times.copy)},
          {"verify_s", seconds_json(times.verify)},
          {"measure_s", seconds_json(times.measure)},
          {"tuner_s", seconds_json(times.tuner)},
          {"finish_s", seconds_json(times.finish)}};
}

Json host_json(const HostInfo& host) {
  return {{"name", text_json(host.name)},
          {"processor", text_json(host.processor)},
          {"architecture", text_json(host.architecture)},
          {"system", text_json(host.system)},
          {"processors", host.processors}};
}

// ---- reading --------------------------------------------------------------------------------------------------------

std::vector<Nanoseconds> read_samples(const Json& json, const Where& where) {
  return detail::read_list(json, where, detail::read_nanoseconds);
}

std::map<std::string, double> read_metrics(const ObjectReader& object, std::string_view key) {
  std::map<std::string, double> metrics;
  if (object.find(key) == nullptr) return metrics;
  for (auto& [name, value] : object.entries(key, detail::read_double)) metrics.emplace(std::move(name), value);
  return metrics;
}

Interval read_interval(const ObjectReader& object, std::string_view key, std::string_view confidence) {
  const auto ends = object.list(key, detail::read_double);
  if (ends.size() != 2) reject(*object.find(key), Where("session record"), "an interval of two numbers");
  return {ends[0], ends[1], object.number(confidence)};
}

Finalist read_finalist(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  Finalist finalist;
  finalist.configuration = object.get("configuration", detail::read_configuration);
  finalist.median = object.get("median_ns", detail::read_nanoseconds);
  finalist.spread = object.get("spread_ns", detail::read_nanoseconds);
  finalist.ratio = {object.number("ratio"), read_interval(object, "ratio_interval", "ratio_confidence")};
  finalist.speedup = object.maybe("speedup", detail::read_double);
  finalist.tie = object.boolean("tie");
  finalist.samples = object.get("samples", read_samples);
  finalist.boost = object.maybe("boost_ns", detail::read_nanoseconds);
  finalist.sustained = object.maybe("sustained_ns", detail::read_nanoseconds);
  if (auto samples = object.maybe("boost_samples", read_samples)) finalist.boost_samples = *std::move(samples);
  finalist.metrics = read_metrics(object, "metrics");
  return finalist;
}

ComparisonMethod read_comparison(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  return {object.integer<std::uint64_t>("choosing_rounds"), object.integer<std::uint64_t>("reported_rounds"),
          object.text("tie_method"), object.number("family_error")};
}

SessionTimes read_times(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  const auto time = [&](std::string_view key) { return Nanoseconds(object.number(key) * 1e9); };
  return {time("total_s"),  time("startup_s"), time("compile_wait_s"), time("compile_cpu_s"), time("copy_s"),
          time("verify_s"), time("measure_s"), time("tuner_s"),        time("finish_s")};
}

HostInfo read_host(const Json& json, const Where& where) {
  const ObjectReader object(json, where);
  return {object.text("name"), object.text("processor"), object.text("architecture"), object.text("system"),
          object.integer<int>("processors")};
}

void read_baseline(const Json& json, const Where& where, SessionRecord& record) {
  Trial baseline = detail::read_trial(json, where);
  const ObjectReader object(json, where);
  baseline.median = object.maybe("search_median_ns", detail::read_nanoseconds);
  record.baseline_metrics = read_metrics(object, "final_metrics");
  if (auto samples = object.maybe("final_samples", read_samples)) record.baseline_samples = *std::move(samples);
  record.baseline = std::move(baseline);
}

}  // namespace

std::string_view to_string(ClockState state) noexcept { return state == ClockState::boost ? "boost" : "sustained"; }

Nanoseconds SessionRecord::tuner_per_evaluation() const {
  const std::uint64_t now = evaluations - std::min(evaluations, resumed_from);
  return now == 0 ? Nanoseconds{} : times.tuner / static_cast<double>(now);
}

Json to_json(const SessionRecord& record) {
  Json json{{"schema_version", record_schema},
            {"kernel", text_json(record.kernel)},
            {"specification", text_json(record.specification)}};
  json.update(to_json(record.evaluation));
  json["problem"] = to_json(record.dimensions);
  Json& parameters = json["parameters"] = Json::array();
  for (const Parameter& parameter : record.parameters) parameters.push_back(detail::parameter_json(parameter));
  json["metrics"] = texts_json(record.metrics);
  json["objective"] = {{"metric", text_json(record.objective.metric)}, {"minimise", record.objective.minimise}};
  json["cache_mode"] = text_json(record.cache_mode);
  json["strategy"] = text_json(record.strategy);
  json["seed"] = record.seed;
  json["space"] = {{"size", record.space_size}, {"cartesian", double_json(record.cartesian_size)}};
  json["version"] = text_json(record.version);
  json["host"] = host_json(record.host);
  json["began_at"] = text_json(record.began_at);
  json["finished_at"] = text_json(record.finished_at);
  json["best"] = best_json(record);
  json["baseline"] = baseline_json(record);
  json["baseline_median_ns"] = record.baseline_median ? double_json(record.baseline_median->count()) : Json(nullptr);
  json["speedup"] = record.speedup ? double_json(*record.speedup) : Json(nullptr);
  json["speedup_interval"] = json["speedup_confidence"] = nullptr;
  if (const auto& interval = record.speedup_interval) {
    json["speedup_interval"] = interval_json(*interval);
    json["speedup_confidence"] = double_json(interval->confidence);
  }
  json["final_comparison"] = comparison_json(record.comparison);
  json["power_limited"] = record.power_limited;
  json["clock"] = to_string(record.clock);
  Json& finalists = json["finalists"] = Json::array();
  for (const Finalist& finalist : record.finalists) finalists.push_back(finalist_json(finalist));
  json["ties"] = configurations_json(record.ties);
  json["verification"] = text_json(record.verification);
  json["reverified"] = record.reverified;
  json["verified_sizes"] = configurations_json(record.verified_sizes);
  json["evaluations"] = record.evaluations;
  json["resumed_from"] = record.resumed_from;
  json["failures"] = failures_json(record);
  json["censored"] = record.by_status[static_cast<std::size_t>(TrialStatus::censored)];
  json["stop_reason"] = text_json(record.stop_reason);
  json["interrupted"] = record.interrupted;
  json["time"] = times_json(record.times);
  json["tuner_ms_per_evaluation"] = double_json(record.tuner_per_evaluation().count() / 1e6);
  json["warnings"] = texts_json(record.warnings);
  return json;
}

SessionRecord session_record_from_json(const Json& json) {
  const Where where("session record");
  const ObjectReader object(json, where);
  if (const int schema = object.integer<int>("schema_version"); schema > record_schema)
    throw Error(ErrorCode::unsupported,
                fmt::format("session record: it has schema {}; this version reads up to {}", schema, record_schema));
  SessionRecord record;
  record.kernel = object.text("kernel");
  record.specification = object.text("specification");
  record.evaluation = detail::read_evaluation_info(json, where);
  record.dimensions = object.get("problem", detail::read_configuration);
  record.parameters = object.list("parameters", detail::read_parameter);
  record.metrics = object.list("metrics", detail::read_text);
  record.objective = object.get("objective", [](const Json& value, const Where& here) {
    const ObjectReader objective(value, here);
    return Objective{objective.text("metric"), objective.boolean("minimise")};
  });
  record.cache_mode = object.text("cache_mode");
  record.strategy = object.text("strategy");
  record.seed = object.integer<std::uint64_t>("seed");
  object.get("space", [&](const Json& value, const Where& here) {
    const ObjectReader space(value, here);
    record.space_size = space.integer<std::uint64_t>("size");
    record.cartesian_size = space.number("cartesian");
    return true;
  });
  record.version = object.text("version");
  record.host = object.get("host", read_host);
  record.began_at = object.text("began_at");
  record.finished_at = object.text("finished_at");
  if (const Json* best = object.find("best")) {
    const Where here(where, "best");
    const ObjectReader reader(*best, here);
    record.best = reader.get("configuration", detail::read_configuration);
    record.best_median = reader.get("median_ns", detail::read_nanoseconds);
    record.best_spread = reader.get("spread_ns", detail::read_nanoseconds);
  }
  if (const Json* baseline = object.find("baseline")) {
    const Where here(where, "baseline");
    read_baseline(*baseline, here, record);
  }
  record.baseline_median = object.maybe("baseline_median_ns", detail::read_nanoseconds);
  record.speedup = object.maybe("speedup", detail::read_double);
  if (object.find("speedup_interval") != nullptr)
    record.speedup_interval = read_interval(object, "speedup_interval", "speedup_confidence");
  record.comparison = object.maybe("final_comparison", read_comparison);
  record.power_limited = object.boolean("power_limited");
  record.clock = object.get("clock", [](const Json& value, const Where& here) {
    return detail::read_enum<ClockState>(value, here, all_clock_states);
  });
  record.finalists = object.list("finalists", read_finalist);
  record.ties = object.list("ties", detail::read_configuration);
  record.verification = object.text("verification");
  record.reverified = object.boolean("reverified");
  record.verified_sizes = object.list("verified_sizes", detail::read_configuration);
  record.evaluations = object.integer<std::uint64_t>("evaluations");
  record.resumed_from = object.integer<std::uint64_t>("resumed_from");
  record.stop_reason = object.text("stop_reason");
  record.interrupted = object.boolean("interrupted");
  record.times = object.get("time", read_times);
  record.warnings = object.list("warnings", detail::read_text);
  return record;
}

void write_session_record(const std::filesystem::path& folder, const SessionRecord& record) {
  write_file_atomically(folder / SessionRecord::file_name, detail::dump(to_json(record), 1) + "\n");
}

namespace {

SessionRecord record_of_journal(const std::filesystem::path& folder, const JournalHeader& header) {
  SessionRecord record;
  record.complete = false;
  record.kernel = header.kernel;
  record.dimensions = header.dimensions;
  record.cache_mode = header.cache_mode;
  record.strategy = header.strategy;
  record.seed = header.seed;
  record.evaluation.device.name = header.device;
  if (!header.device_id.empty()) record.evaluation.device.id = DeviceId::parse(header.device_id);
  record.evaluation.device.driver = header.driver;
  record.evaluation.compiler = header.toolkit;
  const Json details = parse(header.details, "the journal's details");
  const auto text = [&](const char* key) {
    return details.is_object() && details.contains(key) && details.at(key).is_string()
               ? details.at(key).get<std::string>()
               : std::string();
  };
  record.specification = text("specification");
  record.version = text("version");
  const Json notes = parse(read_notes(folder), "the notes");
  if (notes.contains("baseline")) record.baseline = trial_from_json(notes.at("baseline"));
  if (notes.contains("summary")) record.stop_reason = notes.at("summary").value("stop_reason", std::string());
  return record;
}

}  // namespace

SessionRecord read_session(const std::filesystem::path& folder) { return read_session(folder, Journal::read(folder)); }

SessionRecord read_session(const std::filesystem::path& folder, JournalContents journal) {
  std::stable_sort(journal.trials.begin(), journal.trials.end(),
                   [](const Trial& a, const Trial& b) { return a.ordinal < b.ordinal; });
  SessionRecord record;
  record.complete = false;
  const std::filesystem::path file = folder / SessionRecord::file_name;
  if (std::error_code none; std::filesystem::exists(file, none)) {
    try {
      record = session_record_from_json(detail::parse(read_file(file), "session record"));
    } catch (Error& error) {
      error.add_context("reading '" + file.string() + "'");
      throw;
    }
    record.complete = record.evaluations == journal.trials.size();
  }
  if (!record.complete) record = record_of_journal(folder, journal.header);
  record.trials = std::move(journal.trials);
  record.evaluations = record.trials.size();
  for (const Trial& trial : record.trials) ++record.by_status[static_cast<std::size_t>(trial.status)];
  if (journal.torn_last_line) record.warnings.emplace_back("the last line of the journal was cut off; it is left out");
  for (const std::string& line : journal.damage) record.warnings.push_back("the journal is damaged, " + line);
  return record;
}

}  // namespace warpwright::store
