#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <unordered_map>

#include <warpwright/base/error.hpp>
#include <warpwright/base/json_nesting.hpp>
#include <warpwright/store/interchange.hpp>

#include "json_reader.hpp"
#include "recorded_reader.hpp"

namespace warpwright::store {
namespace detail {
namespace {

struct FailureWord {
  std::string_view word;
  TrialStatus status;
};
// Read: first match by word. Written: first match by status, else RuntimeFailedConfig.
constexpr std::array<FailureWord, 4> failure_words = {{{"CompilationFailedConfig", TrialStatus::compile_failed},
                                                       {"RuntimeFailedConfig", TrialStatus::launch_failed},
                                                       {"InvalidConfig", TrialStatus::pruned},
                                                       {"ErrorConfig", TrialStatus::launch_failed}}};

std::optional<TrialStatus> failure_status(const Json& json) {
  if (!json.is_string()) return std::nullopt;
  const auto& text = json.get_ref<const std::string&>();
  for (const auto& [word, status] : failure_words)
    if (text == word) return status;
  return std::nullopt;
}

class CacheReader {
 public:
  CacheReader(std::string_view text, std::string name) : text_(text), name_(std::move(name)) {}

  RecordedSpace read() {
    Document document =
        stream_document(text_, name_, [&](const std::string& key, const Json& value) { entry(key, value); });
    if (!parameters_known_) read_header(document.header);
    if (!parameters_known_)
      fail("key 'tune_params' is missing: this is neither Kernel Tuner's cache file nor T4 results");
    for (auto& [key, value] : pending_) row(key, value);
    read_rest(document.header);
    if (!document.broken.empty()) salvage(document);
    if (space_.trials.empty()) fail("it holds no usable configuration" + first_problem());
    return std::move(space_);
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    InputPosition position;
    position.file = name_;
    throw Error(ErrorCode::bad_input, message, position);
  }
  std::string first_problem() const {
    if (space_.problems.empty()) return {};
    return fmt::format("; {} rows are not usable, the first because {}", space_.problems.size(),
                       space_.problems.front().reason);
  }

  // Lists of values usually come before the entries. Entries before the header wait.
  void entry(const std::string& key, const Json& value) { pending_.emplace_back(key, value); }

  void read_header(const Json& header) {
    const auto lists = header.find("tune_params");
    if (lists == header.end() || !lists->is_object()) return;
    std::vector<std::string> order;
    if (const auto keys = header.find("tune_params_keys"); keys != header.end() && keys->is_array()) {
      for (const Json& key : *keys)
        if (key.is_string()) order.push_back(key.get<std::string>());
    } else {
      for (const auto& [key, list] : lists->items()) order.push_back(key);
    }
    for (const std::string& parameter : order) {
      const auto list = lists->find(parameter);
      if (list == lists->end() || !list->is_array() || list->empty())
        fail("key 'tune_params." + parameter + "' must be a list of values");
      if (!columns_.emplace(parameter, indexes_.size()).second)
        fail("key 'tune_params_keys' names '" + parameter + "' twice");
      ValueIndex index;
      for (const Json& item : *list) {
        const auto value = read_parameter_value(item);
        if (!value) fail("key 'tune_params." + parameter + "' holds " + dump(item) + ", which is no value");
        if (!index.add(*value)) problem(0, "value " + to_literal(*value) + " of '" + parameter + "' is listed twice");
      }
      Parameter made;
      made.name = parameter;
      made.values = index.values();
      made.ordered = is_ordered(made.values);
      space_.parameters.push_back(std::move(made));
      indexes_.push_back(std::move(index));
    }
    if (indexes_.empty()) fail("key 'tune_params' lists no parameter");
    if (const auto objective = header.find("objective"); objective != header.end()) {
      if (objective->is_string()) space_.objective = objective->get<std::string>(), old_encoding_ = true;
      if (objective->is_array() && !objective->empty() && objective->front().is_string())
        space_.objective = objective->front().get<std::string>();
      if (objective->is_array() && objective->size() > 1)
        problem(0, "it has several objectives; '" + space_.objective + "' is used, the others are kept as metrics");
    }
    space_.minimise = is_minimised(space_.objective);
    if (const auto higher = header.find("objective_higher_is_better"); higher != header.end() && higher->is_boolean())
      space_.minimise = !higher->get<bool>();
    parameters_known_ = true;
  }

  void read_rest(const Json& header) {
    for (const auto& [key, value] : header.items()) {
      if (key == "device_name" && value.is_string())
        space_.device = value.get<std::string>();
      else if (key == "kernel_name" && value.is_string())
        space_.kernel = value.get<std::string>();
      else if (key == "problem_size")
        space_.problem_size = dump(value);
      else if (key == "objective" && old_encoding_)
        space_.header.push_back({key, dump(value), {}});
      else if (key != "tune_params" && key != "tune_params_keys" && key != "cache" && key != "objective")
        space_.header.push_back({key, dump(value), {}});
    }
  }

  void problem(std::size_t line, std::string reason) { space_.problems.push_back({line, std::move(reason)}); }
  void bad_row(const std::string& key, const std::string& reason) {
    const std::size_t place = text_.find('"' + key + "\":");
    problem(place == std::string_view::npos ? 0 : line_of(text_, place), "entry '" + key + "': " + reason);
  }

  void row(const std::string& key, const Json& entry) {
    if (!entry.is_object()) return bad_row(key, "it is no object");
    RecordedTrial trial;
    trial.values.assign(indexes_.size(), UINT32_MAX);
    std::optional<TrialStatus> failure, exact;
    std::optional<double> objective;
    for (const auto& [name, value] : entry.items()) {
      if (const auto column = columns_.find(name); column != columns_.end()) {
        const auto read = read_parameter_value(value);
        const auto position = read ? indexes_[column->second].find(*read) : std::nullopt;
        if (!position) return bad_row(key, "value " + dump(value) + " of '" + name + "' is not in its list");
        trial.values[column->second] = *position;
      } else if (name == "__error__" || name == space_.objective) {
        if (const auto status = failure_status(value)) {
          failure = status;
          if (value == "ErrorConfig") trial.message = "ErrorConfig";
        } else if (name == "__error__") {
          failure = TrialStatus::launch_failed;
          trial.message = value.is_string() ? value.get<std::string>() : dump(value);
        } else {
          objective = read_number(value);
          if (!objective) return bad_row(key, "'" + name + "' is " + dump(value) + ", neither a number nor a failure");
        }
      } else if (!known_field(name, value, trial, exact)) {
        trial.other.push_back({name, dump(value), {}});
      }
    }
    if (const auto missing = std::find(trial.values.begin(), trial.values.end(), UINT32_MAX);
        missing != trial.values.end())
      return bad_row(key, "parameter '" +
                              space_.parameters[static_cast<std::size_t>(missing - trial.values.begin())].name +
                              "' is missing");
    if (!failure && !objective) return bad_row(key, "'" + space_.objective + "' is missing");
    trial.status = exact ? *exact : failure ? *failure : TrialStatus::ok;
    if (trial.status == TrialStatus::ok && (!objective || !std::isfinite(*objective))) {
      trial.status = TrialStatus::not_finite;
      trial.message = "'" + space_.objective + "' is not finite";
    }
    if (trial.status == TrialStatus::ok) trial.objective = objective;
    // As Kernel Tuner reads it: a run that went on appends what it measured again.
    const auto [place, is_new] = rows_.place(trial.values);
    if (is_new) {
      space_.trials.push_back(std::move(trial));
    } else {
      space_.trials[place] = std::move(trial);
      bad_row(key, "its configuration comes again later, and the last counts");
    }
  }

  // Fields with a meaning of their own.
  bool known_field(const std::string& name, const Json& value, RecordedTrial& trial,
                   std::optional<TrialStatus>& exact) {
    if (name == "times" && value.is_array()) {
      std::vector<Milliseconds> samples;
      for (const Json& item : value) {
        const auto number = read_number(item);
        if (!number) return false;
        samples.emplace_back(*number);
      }
      trial.samples = std::move(samples);
      return true;
    }
    const auto cost = [&](std::optional<Milliseconds>& phase) {
      const auto number = read_number(value);
      if (number) phase = Milliseconds(*number);
      return number.has_value();
    };
    if (name == "compile_time") return cost(trial.costs.compile);
    if (name == "verification_time") return cost(trial.costs.verify);
    if (name == "benchmark_time") return cost(trial.costs.benchmark);
    if (name == "framework_time") return cost(trial.costs.framework);
    if (name == "strategy_time") return cost(trial.costs.strategy);
    if (!value.is_string()) return false;
    if (name == "timestamp") return trial.timestamp = value.get<std::string>(), true;
    if (name == "warpwright_message") return trial.message = value.get<std::string>(), true;
    if (name == "warpwright_status") return (exact = parse_trial_status(value.get<std::string>())).has_value();
    return false;
  }

  // A killed run leaves no closing braces and maybe half a line. Anything else that is broken costs its own line:
  // entries are one line each.
  void salvage(const Document& document) {
    if (document.cut_off) {
      problem(document.broken_line, "the file ends here without its closing braces; what comes before is kept");
      return;
    }
    problem(document.broken_line, document.broken);
    std::size_t begin = 0;
    for (std::size_t line = 1; line < document.broken_line + 1 && begin != std::string_view::npos; ++line)
      begin = text_.find('\n', begin == 0 && line == 1 ? 0 : begin + 1);
    for (std::size_t line = document.broken_line + 1; begin != std::string_view::npos; ++line) {
      const std::size_t end = text_.find('\n', begin + 1);
      std::string_view body = text_.substr(begin + 1, end == std::string_view::npos ? end : end - begin - 1);
      begin = end;
      while (!body.empty() && (body.back() == ',' || body.back() == ' ' || body.back() == '\r')) body.remove_suffix(1);
      if (body.empty() || body.front() != '"') continue;
      const Json parsed = json_nested_too_deep(body) ? Json(Json::value_t::discarded)
                                                     : Json::parse("{" + std::string(body) + "}", nullptr, false);
      if (parsed.is_discarded())
        problem(line, "this entry is not readable");
      else
        for (const auto& [key, value] : parsed.items()) row(key, value);
    }
  }

  std::string_view text_;
  std::string name_;
  RecordedSpace space_;
  std::vector<ValueIndex> indexes_;
  std::unordered_map<std::string, std::size_t> columns_;
  std::vector<std::pair<std::string, Json>> pending_;
  RowSet rows_;
  bool parameters_known_ = false, old_encoding_ = false;
};

}  // namespace

RecordedSpace parse_kernel_tuner(std::string_view text, const std::string& name) {
  return CacheReader(text, name).read();
}

}  // namespace detail

// ---- writing --------------------------------------------------------------------------------------------------------
namespace {

// As Python's str() writes it: what Kernel Tuner joins to a key.
std::string python_text(const Value& value) {
  if (const bool* truth = std::get_if<bool>(&value)) return *truth ? "True" : "False";
  return to_string(value);
}

std::string quoted_text(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string number_text(double number) {
  if (std::isfinite(number)) return Json(number).dump();
  return std::isnan(number) ? "\"NaN\"" : number > 0 ? "\"Infinity\"" : "\"-Infinity\"";
}

std::string_view failure_word(const RecordedTrial& trial) {
  if (trial.message == "ErrorConfig") return "ErrorConfig";
  for (const auto& [word, status] : detail::failure_words)
    if (trial.status == status) return word;
  return "RuntimeFailedConfig";
}

// Whether reading the word gives the status back.
bool word_tells_status(const RecordedTrial& trial) {
  return std::any_of(detail::failure_words.begin(), detail::failure_words.end(),
                     [&](const auto& known) { return known.status == trial.status; });
}

// Names that mean something of their own in an entry.
bool is_reserved(const RecordedSpace& space, const std::string& name) {
  static constexpr std::array<std::string_view, 11> reserved = {
      "__error__",     "times",          "compile_time", "verification_time", "benchmark_time",
      "strategy_time", "framework_time", "timestamp",    "warpwright_status", "warpwright_message",
      "time"};
  return name == space.objective || std::find(reserved.begin(), reserved.end(), name) != reserved.end();
}

void append_entry(const RecordedSpace& space, const RecordedTrial& trial, bool old_encoding, std::string& text) {
  std::string key;
  for (std::size_t p = 0; p < space.parameters.size(); ++p)
    key += (p == 0 ? "" : ",") + python_text(space.parameters[p].values.at(trial.values.at(p)));
  text += "\n" + quoted_text(key) + ": {";
  bool first = true;
  const auto field = [&](const std::string& name, const std::string& json) {
    text += (first ? "" : ", ") + quoted_text(name) + ": " + json;
    first = false;
  };
  for (std::size_t p = 0; p < space.parameters.size(); ++p)
    field(space.parameters[p].name, detail::write_parameter_value(space.parameters[p].values[trial.values[p]])
                                        .dump(-1, ' ', false, Json::error_handler_t::replace));
  if (trial.objective)
    field(space.objective, number_text(*trial.objective));
  else if (old_encoding)
    field(space.objective, "\"" + std::string(failure_word(trial)) + "\"");
  else
    field("__error__", "\"" + std::string(failure_word(trial)) + "\"");
  if (!trial.samples.empty()) {
    std::string list;
    for (const Milliseconds sample : trial.samples) list += (list.empty() ? "" : ", ") + number_text(sample.count());
    field("times", "[" + list + "]");
  }
  const auto cost = [&](const char* name, const std::optional<Milliseconds>& phase) {
    if (phase) field(name, number_text(phase->count()));
  };
  cost("compile_time", trial.costs.compile);
  cost("verification_time", trial.costs.verify);
  cost("benchmark_time", trial.costs.benchmark);
  cost("strategy_time", trial.costs.strategy);
  cost("framework_time", trial.costs.framework);
  for (const RecordedField& other : trial.other) {
    // "time" is an ordinary metric where another objective is tuned for.
    const bool taken = is_reserved(space, other.name) && !(other.name == "time" && space.objective != "time");
    field(taken ? "measured_" + other.name : other.name, other.json);
  }
  if (!trial.objective && !word_tells_status(trial))
    field("warpwright_status", "\"" + std::string(to_string(trial.status)) + "\"");
  if (!trial.message.empty() && trial.message != "ErrorConfig") field("warpwright_message", quoted_text(trial.message));
  if (!trial.timestamp.empty()) field("timestamp", quoted_text(trial.timestamp));
  text += "},";
}

}  // namespace

std::string kernel_tuner_cache(const RecordedSpace& space, const KernelTunerOptions& options) {
  using Encoding = KernelTunerOptions::Encoding;
  const bool was_old = std::any_of(space.header.begin(), space.header.end(),
                                   [](const RecordedField& field) { return field.name == "objective"; });
  const bool old_encoding = options.encoding == Encoding::old || (options.encoding == Encoding::as_read && was_old);
  for (const Parameter& parameter : space.parameters)
    if (is_reserved(space, parameter.name))
      throw Error(ErrorCode::bad_input,
                  "parameter '" + parameter.name +
                      "' has the name of a field of Kernel Tuner's cache files, which cannot hold it");
  // Written line by line as Kernel Tuner does (an empty indent, one line an entry): its reader of unfinished files
  // counts on that.
  std::string text = "{\n";
  text += "\"device_name\": " + quoted_text(space.device) + ",\n";
  text += "\"kernel_name\": " + quoted_text(space.kernel) + ",\n";
  text += "\"problem_size\": " + (space.problem_size.empty() ? "\"\"" : space.problem_size) + ",\n";
  Json keys = Json::array(), lists = Json::object();
  for (const Parameter& parameter : space.parameters) {
    keys.push_back(parameter.name);
    Json list = Json::array();
    for (const Value& value : parameter.values) list.push_back(detail::write_parameter_value(value));
    lists[parameter.name] = std::move(list);
  }
  const auto lines = [](const Json& json) { return json.dump(0, ' ', false, Json::error_handler_t::replace); };
  text += "\"tune_params_keys\": " + lines(keys) + ",\n";
  text += "\"tune_params\": " + lines(lists) + ",\n";
  const std::string objective = quoted_text(space.objective);
  text += "\"objective\": " + (old_encoding ? objective : "[\n" + objective + "\n]") + ",\n";
  bool says_direction = false;
  for (const RecordedField& field : space.header) {
    if (field.name == "objective") continue;
    says_direction |= field.name == "objective_higher_is_better";
    text += quoted_text(field.name) + ": " + field.json + ",\n";
  }
  if (!says_direction && space.minimise != detail::is_minimised(space.objective))
    text += std::string("\"objective_higher_is_better\": ") + (space.minimise ? "false" : "true") + ",\n";
  text += "\"cache\": {";
  for (const RecordedTrial& trial : space.trials) append_entry(space, trial, old_encoding, text);
  if (!space.trials.empty()) text.pop_back();  // the comma after the last entry
  text += "}\n}\n";
  return text;
}

}  // namespace warpwright::store
