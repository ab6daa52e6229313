#include <algorithm>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/store/interchange.hpp>

#include "recorded_reader.hpp"

namespace warpwright::store {

RecordedSpace parse_recorded(std::string_view text, const std::string& name) {
  // Python writes NaN and Infinity as bare words; only then a second copy of the text is worth its while.
  const bool special = text.find("NaN") != std::string_view::npos || text.find("Infinity") != std::string_view::npos;
  const std::string quoted = special ? detail::quote_special_numbers(text) : std::string();
  const std::string_view body = special ? std::string_view(quoted) : text;
  RecordedSpace space =
      detail::holds_results(body) ? detail::parse_t4(body, name) : detail::parse_kernel_tuner(body, name);
  if (space.device.empty()) {
    std::filesystem::path stem = std::filesystem::path(name).filename();
    if (stem.extension() == ".gz") stem.replace_extension();
    if (stem.extension() == ".json") stem.replace_extension();
    space.device = stem.string();
  }
  return space;
}

RecordedSpace read_recorded(const std::filesystem::path& file) {
  std::string bytes = read_file(file);
  if (is_gzip(bytes)) bytes = gunzip(bytes, file.string());
  RecordedSpace space = parse_recorded(bytes, file.string());
  if (const auto metadata = metadata_path(file); space.kernel.empty() && std::filesystem::exists(metadata))
    apply_t4_metadata(space, read_file(metadata), metadata.string());
  // Results alone name no kernel; the folder is the best guess there is, as in KERNEL/DEVICE.json.gz.
  if (space.kernel.empty()) space.kernel = std::filesystem::absolute(file).parent_path().filename().string();
  return space;
}

RecordedSpace recorded_from_journal(const JournalContents& journal, std::vector<Parameter> parameters,
                                    const std::string& objective, bool minimise) {
  RecordedSpace space;
  space.kernel = journal.header.kernel;
  space.device = journal.header.device;
  space.objective = objective;
  space.minimise = minimise;
  const Json details = parse(journal.header.details, "the journal's details");
  if (details.contains("problem") && details.at("problem").is_object()) {
    Json size = Json::array();
    for (const auto& [name, value] : details.at("problem").items()) size.push_back(value);
    space.problem_size = size.dump();
  }
  if (journal.trials.empty())
    throw Error(ErrorCode::bad_input, "the session holds no trial: there is nothing to export");
  std::vector<detail::ValueIndex> indexes;
  if (parameters.empty()) {
    for (const auto& [name, value] : journal.trials.front().configuration) {
      detail::ValueIndex seen;
      for (const Trial& trial : journal.trials)
        if (const Value* found = trial.configuration.find(name)) seen.add(*found);
      Parameter parameter;
      parameter.name = name;
      parameter.values = detail::in_natural_order(seen.values());
      parameter.ordered = detail::is_ordered(parameter.values);
      parameters.push_back(std::move(parameter));
    }
  }
  for (const Parameter& parameter : parameters) {
    indexes.emplace_back();
    for (const Value& value : parameter.values) indexes.back().add(value);
  }
  space.parameters = std::move(parameters);
  detail::RowSet rows;
  for (const Trial& trial : journal.trials) {
    RecordedTrial recorded;
    std::string reason;
    for (std::size_t p = 0; p < space.parameters.size() && reason.empty(); ++p) {
      const Value* value = trial.configuration.find(space.parameters[p].name);
      const auto position = value == nullptr ? std::nullopt : indexes[p].find(*value);
      if (position)
        recorded.values.push_back(*position);
      else
        reason = "parameter '" + space.parameters[p].name + "' has no such value";
    }
    if (reason.empty() && !rows.insert(recorded.values)) reason = "it is there already";
    if (!reason.empty()) {
      space.problems.push_back({0, "trial " + std::to_string(trial.ordinal) + ": " + reason});
      continue;
    }
    recorded.status = trial.status;
    for (const Nanoseconds sample : trial.samples) recorded.samples.push_back(sample);
    if (trial.ok() && objective == "time" && trial.median)
      recorded.objective = Milliseconds(*trial.median).count();
    else if (const auto metric = trial.metrics.find(objective); trial.ok() && metric != trial.metrics.end())
      recorded.objective = metric->second;
    if (trial.ok() && !recorded.objective) {
      space.problems.push_back({0, "trial " + std::to_string(trial.ordinal) + ": it has no '" + objective + "'"});
      continue;
    }
    for (const auto& [name, value] : trial.metrics)
      if (name != objective) recorded.other.push_back({name, Json(value).dump(), ""});
    recorded.costs.compile = trial.times.compile_wall;
    recorded.costs.verify = trial.times.verify + trial.times.copy;
    recorded.costs.benchmark = trial.times.measure;
    recorded.timestamp = trial.finished_at;
    recorded.message = trial.message;
    space.trials.push_back(std::move(recorded));
  }
  return space;
}

}  // namespace warpwright::store
