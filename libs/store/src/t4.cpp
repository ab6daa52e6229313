#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <unordered_map>

#include <warpwright/base/error.hpp>
#include <warpwright/base/json_nesting.hpp>
#include <warpwright/store/interchange.hpp>

#include "json_reader.hpp"
#include "recorded_reader.hpp"

namespace warpwright::store {
namespace {

constexpr const char* schema = "1.0.0";
// What results have no field of their own for: kept as measurements, so that nothing is lost.
constexpr const char* status_measurement = "warpwright_status";
constexpr const char* message_measurement = "warpwright_message";
// Kernel Tuner has it, empty, in every failed entry: no metric, and 'invalidity' says what went wrong.
constexpr const char* error_measurement = "__error__";

struct InvalidityWord {
  std::string_view word;
  TrialStatus status;
};
// Read: first match by word. Written: first match by status, else "runtime".
constexpr std::array<InvalidityWord, 9> invalidity_words = {{{"correct", TrialStatus::ok},
                                                             {"compile", TrialStatus::compile_failed},
                                                             {"runtime", TrialStatus::launch_failed},
                                                             {"constraints", TrialStatus::pruned},
                                                             {"timeout", TrialStatus::timed_out},
                                                             {"correctness", TrialStatus::wrong_result},
                                                             {"compile", TrialStatus::compile_timed_out},
                                                             {"correctness", TrialStatus::not_finite},
                                                             {"correctness", TrialStatus::out_of_bounds}}};

Json parsed(const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  return json.is_discarded() ? Json(text) : json;
}

class T4Reader {
 public:
  T4Reader(std::string_view text, std::string name) : text_(text), name_(std::move(name)) {}

  RecordedSpace read() {
    const detail::Document document =
        detail::stream_document(text_, name_, [&](const std::string&, const Json& value) { row(++ordinal_, value); });
    for (const auto& [key, value] : document.header.items())
      if (key != "results" && key != "schema_version") space_.header.push_back({key, detail::dump(value), {}});
    if (!document.broken.empty())
      space_.problems.push_back({document.broken_line, document.cut_off
                                                           ? "the file ends here; the results before are kept"
                                                           : document.broken + "; the results before are kept"});
    if (space_.trials.empty()) {
      InputPosition position;
      position.file = name_;
      throw Error(ErrorCode::bad_input,
                  space_.problems.empty() ? "it holds no result"
                                          : fmt::format("it holds no usable result: {} are not, the first because {}",
                                                        space_.problems.size(), space_.problems.front().reason),
                  position);
    }
    settle_values();
    settle_units(document.header);
    return std::move(space_);
  }

 private:
  void bad_row(std::size_t ordinal, const std::string& reason) {
    space_.problems.push_back({0, fmt::format("results[{}]: {}", ordinal - 1, reason)});
  }

  void row(std::size_t ordinal, const Json& entry) {
    if (!entry.is_object()) return bad_row(ordinal, "it is no object");
    const auto configuration = entry.find("configuration");
    if (configuration == entry.end() || !configuration->is_object() || configuration->empty())
      return bad_row(ordinal, "'configuration' is missing");
    RecordedTrial trial;
    std::string reason = read_configuration(*configuration, trial);
    if (reason.empty()) reason = read_outcome(entry, trial);
    if (!reason.empty()) return bad_row(ordinal, reason);
    if (!rows_.insert(trial.values)) return bad_row(ordinal, "its configuration is there already");
    space_.trials.push_back(std::move(trial));
    own_unit_.push_back(has_own_unit_);
  }

  std::string read_configuration(const Json& configuration, RecordedTrial& trial) {
    if (space_.parameters.empty()) {
      for (const auto& [name, value] : configuration.items()) {
        if (!columns_.emplace(name, columns_.size()).second) return "'" + name + "' is there twice";
        Parameter parameter;
        parameter.name = name;
        space_.parameters.push_back(std::move(parameter));
        indexes_.emplace_back();
      }
    }
    if (configuration.size() != columns_.size()) return "its configuration has other parameters than the first";
    std::vector<std::optional<Value>> values(columns_.size());
    for (const auto& [name, value] : configuration.items()) {
      const auto column = columns_.find(name);
      if (column == columns_.end()) return "its configuration has the parameter '" + name + "', the first has not";
      values[column->second] = detail::read_parameter_value(value);
      if (!values[column->second]) return "'" + name + "' is " + detail::dump(value) + ", which is no value";
    }
    for (std::size_t p = 0; p < values.size(); ++p) {
      if (!values[p]) return "its configuration names a parameter twice";
      indexes_[p].add(*values[p]);
      trial.values.push_back(*indexes_[p].find(*values[p]));
    }
    return {};
  }

  std::string read_outcome(const Json& entry, RecordedTrial& trial) {
    if (const auto objectives = entry.find("objectives"); space_.trials.empty() && objectives != entry.end() &&
                                                          objectives->is_array() && !objectives->empty() &&
                                                          objectives->front().is_string()) {
      space_.objective = objectives->front().get<std::string>();
      space_.minimise = detail::is_minimised(space_.objective);
    }
    const auto invalidity = entry.find("invalidity");
    if (invalidity == entry.end() || !invalidity->is_string()) return "'invalidity' is missing";
    const auto word = std::find_if(invalidity_words.begin(), invalidity_words.end(),
                                   [&](const InvalidityWord& known) { return *invalidity == std::string(known.word); });
    if (word == invalidity_words.end())
      return "'invalidity' is " + detail::dump(*invalidity) +
             "; known are correct, compile, runtime, constraints, timeout, correctness";
    trial.status = word->status;
    if (const auto times = entry.find("times"); times != entry.end() && times->is_object()) read_times(*times, trial);
    if (const auto stamp = entry.find("timestamp"); stamp != entry.end() && stamp->is_string())
      trial.timestamp = stamp->get<std::string>();
    std::optional<double> objective;
    has_own_unit_ = false;
    if (const auto list = entry.find("measurements"); list != entry.end() && list->is_array()) {
      for (const Json& measurement : *list) read_measurement(measurement, trial, objective);
    }
    for (const auto& [name, value] : entry.items()) {
      if (name != "configuration" && name != "times" && name != "invalidity" && name != "timestamp" &&
          name != "measurements" && name != "objectives" && name != "correctness")
        trial.other.push_back({name, detail::dump(value), "-"});
    }
    if (trial.status != TrialStatus::ok) return {};
    if (!objective) return "it is correct, but '" + space_.objective + "' is not among its measurements";
    if (std::isfinite(*objective))
      trial.objective = objective;
    else
      trial.status = TrialStatus::not_finite;
    return {};
  }

  // The file says what its times are in, perhaps only at its end; the objective may say so itself.
  void settle_units(const Json& header) {
    const auto metadata = header.find("metadata");
    std::string unit;
    if (metadata != header.end() && metadata->is_object() && metadata->contains("timeunit") &&
        metadata->at("timeunit").is_string())
      unit = metadata->at("timeunit").get<std::string>();
    const auto given = detail::milliseconds_in(unit);
    if (!unit.empty() && !given)
      space_.problems.push_back(
          {0, "'timeunit' is '" + unit + "', no unit of time; its times are read as milliseconds"});
    const double scale = given.value_or(1);
    const auto convert = [&](std::optional<Milliseconds>& cost) {
      if (cost && scale != 1) *cost *= scale;
    };
    for (std::size_t i = 0; i < space_.trials.size(); ++i) {
      RecordedTrial& trial = space_.trials[i];
      for (auto* cost : {&trial.costs.compile, &trial.costs.benchmark, &trial.costs.framework, &trial.costs.strategy,
                         &trial.costs.verify})
        convert(*cost);
      if (scale != 1)
        for (Milliseconds& sample : trial.samples) sample *= scale;
      if (trial.objective && !own_unit_[i] && space_.objective_is_time()) *trial.objective *= scale;
    }
    if (space_.objective_is_time()) space_.minimise = true;
    if (!unknown_unit_.empty())
      space_.problems.push_back(
          {0, "the unit of '" + space_.objective + "' is '" + unknown_unit_ + "', no unit of time; it is read as " +
                  (unit.empty() || !given ? std::string("milliseconds") : "'timeunit' says, " + unit)});
  }

  void read_times(const Json& times, RecordedTrial& trial) {
    for (const auto& [name, value] : times.items()) {
      const auto number = detail::read_number(value);
      if (name == "runtimes" && value.is_array()) {
        for (const Json& sample : value)
          if (const auto time = detail::read_number(sample)) trial.samples.emplace_back(*time);
      } else if (!number) {
        continue;
      } else if (name == "compilation" || name == "compilation_time") {
        trial.costs.compile = Milliseconds(*number);
      } else if (name == "benchmark") {
        trial.costs.benchmark = Milliseconds(*number);
      } else if (name == "framework") {
        trial.costs.framework = Milliseconds(*number);
      } else if (name == "search_algorithm") {
        trial.costs.strategy = Milliseconds(*number);
      } else if (name == "validation") {
        trial.costs.verify = Milliseconds(*number);
      }
    }
  }

  void read_measurement(const Json& measurement, RecordedTrial& trial, std::optional<double>& objective) {
    if (!measurement.is_object() || !measurement.contains("name") || !measurement.contains("value")) return;
    const Json& name = measurement.at("name");
    const Json& value = measurement.at("value");
    if (!name.is_string()) return;
    if (name == space_.objective) {
      objective = detail::read_number(value);
      read_unit(measurement, objective);
    } else if (name == status_measurement && value.is_string()) {
      if (const auto status = parse_trial_status(value.get<std::string>());
          status && (*status == TrialStatus::ok) == (trial.status == TrialStatus::ok))
        trial.status = *status;
    } else if (name == message_measurement && value.is_string()) {
      trial.message = value.get<std::string>();
    } else if (name != error_measurement) {
      const auto unit = measurement.find("unit");
      trial.other.push_back({name.get<std::string>(), detail::dump(value),
                             unit != measurement.end() && unit->is_string() ? unit->get<std::string>() : ""});
    }
  }

  // Whatever its name, an objective in a unit of time is a time, and times are in milliseconds.
  void read_unit(const Json& measurement, std::optional<double>& objective) {
    const auto unit = measurement.find("unit");
    if (!objective || unit == measurement.end() || !unit->is_string() || unit->get<std::string>().empty()) return;
    if (const auto scale = detail::milliseconds_in(unit->get<std::string>())) {
      if (*scale != 1) *objective *= *scale;
      has_own_unit_ = true;
      space_.has_unit_of_time = true;
    } else if (space_.objective == "time") {
      unknown_unit_ = unit->get<std::string>();
    }
  }

  // The format lists no values: those that occur, numbers ascending.
  void settle_values() {
    for (std::size_t p = 0; p < indexes_.size(); ++p) {
      space_.parameters[p].values = detail::in_natural_order(indexes_[p].values());
      space_.parameters[p].ordered = detail::is_ordered(space_.parameters[p].values);
      detail::ValueIndex sorted;
      for (const Value& value : space_.parameters[p].values) sorted.add(value);
      std::vector<std::uint32_t> moved;
      for (const Value& value : indexes_[p].values()) moved.push_back(*sorted.find(value));
      for (RecordedTrial& trial : space_.trials) trial.values[p] = moved[trial.values[p]];
    }
  }

  std::string_view text_;
  std::string name_;
  RecordedSpace space_;
  std::vector<detail::ValueIndex> indexes_;
  std::unordered_map<std::string, std::size_t> columns_;
  detail::RowSet rows_;
  std::size_t ordinal_ = 0;
  bool has_own_unit_ = false;   // of the objective of the row that is read
  std::vector<bool> own_unit_;  // of every trial
  std::string unknown_unit_;    // of "time"
};

Json number_json(double number) {
  if (std::isfinite(number)) return number;
  return std::isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity";
}

Json result_json(const RecordedSpace& space, const RecordedTrial& trial) {
  Json result;
  result["timestamp"] = trial.timestamp;
  Json& configuration = result["configuration"] = Json::object();
  for (std::size_t p = 0; p < space.parameters.size(); ++p)
    configuration[space.parameters[p].name] =
        detail::write_parameter_value(space.parameters[p].values.at(trial.values.at(p)));
  result["objectives"] = Json::array({space.objective});
  Json& times = result["times"] = Json::object();
  const auto cost = [&](const char* name, const std::optional<Milliseconds>& phase) {
    if (phase) times[name] = number_json(phase->count());
  };
  cost("compilation", trial.costs.compile);
  cost("benchmark", trial.costs.benchmark);
  cost("framework", trial.costs.framework);
  cost("search_algorithm", trial.costs.strategy);
  cost("validation", trial.costs.verify);
  if (!trial.samples.empty()) {
    Json& samples = times["runtimes"] = Json::array();
    for (const Milliseconds sample : trial.samples) samples.push_back(number_json(sample.count()));
  }
  const auto word = std::find_if(invalidity_words.begin(), invalidity_words.end(),
                                 [&](const InvalidityWord& known) { return known.status == trial.status; });
  const std::string_view invalidity = word == invalidity_words.end() ? "runtime" : word->word;
  result["invalidity"] = invalidity;
  result["correctness"] = invalidity == "correctness" ? 0 : 1;
  Json measurements = Json::array();
  if (trial.objective)
    measurements.push_back({{"name", space.objective},
                            {"value", number_json(*trial.objective)},
                            {"unit", space.objective_is_time() ? "ms" : ""}});
  // The first word of its kind says the status by itself.
  const auto first = std::find_if(invalidity_words.begin(), invalidity_words.end(),
                                  [&](const InvalidityWord& known) { return known.word == invalidity; });
  if (first->status != trial.status)
    measurements.push_back(
        {{"name", status_measurement}, {"value", std::string(to_string(trial.status))}, {"unit", ""}});
  if (!trial.message.empty())
    measurements.push_back({{"name", message_measurement}, {"value", trial.message}, {"unit", ""}});
  for (const RecordedField& other : trial.other) {
    Json value = parsed(other.json);
    if (other.unit == "-")
      result[other.name] = std::move(value);  // a field of the result, as it was read
    else
      measurements.push_back({{"name", other.name}, {"value", std::move(value)}, {"unit", other.unit}});
  }
  result["measurements"] = std::move(measurements);
  return result;
}

}  // namespace

RecordedSpace detail::parse_t4(std::string_view text, const std::string& name) { return T4Reader(text, name).read(); }

std::string t4_results(const RecordedSpace& space) {
  Json json;
  json["schema_version"] = schema;
  json["metadata"] = {{"timeunit", "milliseconds"}};
  Json& results = json["results"] = Json::array();
  for (const RecordedTrial& trial : space.trials) results.push_back(result_json(space, trial));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string t4_metadata(const RecordedSpace& space, const std::string& results_file) {
  Json ours{{"results", results_file}, {"device", space.device}, {"kernel", space.kernel}};
  ours["problem_size"] = space.problem_size.empty() ? Json() : parsed(space.problem_size);
  ours["objective"] = space.objective;
  ours["minimise"] = space.minimise;
  Json& parameters = ours["parameters"] = Json::object();
  for (const Parameter& parameter : space.parameters) {
    Json& list = parameters[parameter.name] = Json::array();
    for (const Value& value : parameter.values) list.push_back(detail::write_parameter_value(value));
  }
  Json json;
  json["schema_version"] = schema;
  json["metadata"] = {{"zenodo", Json::object()},
                      {"hardware", {{"hardware_description", Json::array({space.device})}}},
                      {"environment", {{"device_query", Json::object()}, {"requirements", Json::array()}}},
                      {"warpwright", std::move(ours)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::filesystem::path metadata_path(const std::filesystem::path& results) {
  std::filesystem::path stem = results;
  if (stem.extension() == ".gz") stem.replace_extension();
  if (stem.extension() == ".json") stem.replace_extension();
  return stem.string() + "_metadata.json";
}

void apply_t4_metadata(RecordedSpace& space, std::string_view text, const std::string& name) {
  const auto fail = [&](const std::string& message) {
    InputPosition position;
    position.file = name;
    throw Error(ErrorCode::bad_input, message, position);
  };
  if (json_nested_too_deep(text)) fail(fmt::format("nested deeper than {} levels", most_json_levels));
  const Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object() || !json.contains("metadata") || !json.at("metadata").is_object())
    fail("this is no T4 metadata: expected an object with the key 'metadata'");
  const Json& metadata = json.at("metadata");
  if (!metadata.contains("warpwright") || !metadata.at("warpwright").is_object()) return;  // another tool's
  const Json& ours = metadata.at("warpwright");
  const auto take = [&](const char* key, std::string& into) {
    if (ours.contains(key) && ours.at(key).is_string()) into = ours.at(key).get<std::string>();
  };
  take("device", space.device);
  take("kernel", space.kernel);
  take("objective", space.objective);
  if (ours.contains("minimise") && ours.at("minimise").is_boolean()) space.minimise = ours.at("minimise").get<bool>();
  if (ours.contains("problem_size") && !ours.at("problem_size").is_null())
    space.problem_size = detail::dump(ours.at("problem_size"));
  if (!ours.contains("parameters")) return;
  const Json& lists = ours.at("parameters");
  if (!lists.is_object() || lists.size() != space.parameters.size())
    fail("its parameters are not those of the results");
  std::vector<Parameter> parameters;
  std::vector<std::size_t> source;
  std::vector<std::vector<std::uint32_t>> moved;
  for (const auto& [parameter, list] : lists.items()) {
    const auto old = std::find_if(space.parameters.begin(), space.parameters.end(),
                                  [&, wanted = &parameter](const Parameter& p) { return p.name == *wanted; });
    if (old == space.parameters.end() || !list.is_array())
      fail("key 'metadata.warpwright.parameters." + parameter + "' is not a list of values of a parameter");
    detail::ValueIndex index;
    for (const Json& item : list) {
      const auto value = detail::read_parameter_value(item);
      if (!value || !index.add(*value)) fail("parameter '" + parameter + "' lists " + detail::dump(item) + " wrongly");
    }
    std::vector<std::uint32_t> positions;
    for (const Value& value : old->values) {
      const auto position = index.find(value);
      if (!position) fail("parameter '" + parameter + "' does not list " + to_literal(value) + ", which occurs");
      positions.push_back(*position);
    }
    Parameter made;
    made.name = parameter;
    made.values = index.values();
    made.ordered = detail::is_ordered(made.values);
    parameters.push_back(std::move(made));
    source.push_back(static_cast<std::size_t>(old - space.parameters.begin()));
    moved.push_back(std::move(positions));
  }
  for (RecordedTrial& trial : space.trials) {
    std::vector<std::uint32_t> values;
    for (std::size_t p = 0; p < source.size(); ++p) values.push_back(moved[p][trial.values[source[p]]]);
    trial.values = std::move(values);
  }
  space.parameters = std::move(parameters);
}

}  // namespace warpwright::store
