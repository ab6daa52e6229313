#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>

#include <warpwright/base/error.hpp>
#include <warpwright/driver/starting_points.hpp>
#include <warpwright/store/interchange.hpp>
#include <warpwright/store/journal.hpp>
#include <warpwright/store/profile_database.hpp>

namespace warpwright::driver {
namespace {

constexpr std::size_t most_of_one_source = 5;

bool is_database(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string head(15, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  return head == "SQLite format 3";
}

std::vector<Configuration> best_of(const RecordedSpace& recorded) {
  std::vector<const RecordedTrial*> valid;
  for (const RecordedTrial& trial : recorded.trials)
    if (trial.status == TrialStatus::ok && trial.objective) valid.push_back(&trial);
  std::stable_sort(valid.begin(), valid.end(), [&](const RecordedTrial* a, const RecordedTrial* b) {
    return recorded.minimise ? *a->objective < *b->objective : *a->objective > *b->objective;
  });
  std::vector<Configuration> best;
  for (std::size_t i = 0; i < std::min(most_of_one_source, valid.size()); ++i)
    best.push_back(recorded.configuration(*valid[i]));
  return best;
}

std::vector<Configuration> configurations_of(const std::string& source, const Problem& problem,
                                             const OptionNames& names) {
  if (std::filesystem::is_directory(source))
    return best_of(store::recorded_from_journal(store::Journal::read(source), {}, problem.objective.metric,
                                                problem.objective.minimise));
  if (!std::filesystem::exists(source))
    throw Error(ErrorCode::not_found, names.start_from + ": there is no file or folder '" + source + "'");
  if (!is_database(source)) return best_of(store::read_recorded(source));
  std::vector<Configuration> all;
  const auto database = store::ProfileDatabase::open_read_only(source);
  for (const auto& profile : database.list(problem.name)) all.push_back(profile.configuration);
  return all;
}

// What of it this space has; nullopt if that is nothing.
std::optional<Configuration> known_part(const Configuration& configuration, const Space& space) {
  std::vector<Configuration::Entry> entries;
  for (const Parameter& parameter : space.parameters())
    if (const Value* value = configuration.find(parameter.name)) entries.emplace_back(parameter.name, *value);
  if (entries.empty()) return std::nullopt;
  return Configuration(std::move(entries));
}

}  // namespace

StartingPoints read_starting_points(const std::vector<std::string>& sources, const Problem& problem, const Space& space,
                                    const OptionNames& names) {
  StartingPoints points;
  for (const std::string& source : sources) {
    std::size_t taken = 0, moved = 0;
    for (const Configuration& configuration : configurations_of(source, problem, names)) {
      const auto known = known_part(configuration, space);
      if (!known) continue;
      const auto exact = space.index_of(*known);
      const std::uint64_t index = exact ? *exact : space.repair(*known);
      ++taken;
      if (!exact) ++moved;
      if (std::find(points.indices.begin(), points.indices.end(), index) == points.indices.end())
        points.indices.push_back(index);
    }
    if (taken == 0)
      throw Error(ErrorCode::bad_input, names.start_from + " '" + source +
                                            "': holds no valid configuration of kernel '" + problem.name +
                                            "' with a parameter that it has now");
    points.notes.push_back(fmt::format("starting from {}: {} configuration{}{}", source, taken, taken == 1 ? "" : "s",
                                       moved == 0 ? "" : fmt::format(", {} moved to the nearest valid", moved)));
  }
  return points;
}

}  // namespace warpwright::driver
