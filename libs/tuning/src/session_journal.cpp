#include "session_journal.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <unordered_map>
#include <utility>

#include <warpwright/measure/timing.hpp>
#include <warpwright/runtime/identity.hpp>
#include <warpwright/store/json.hpp>

namespace warpwright::tuning {
namespace {

store::Json sampling_of(const SessionOptions& options) {
  const measure::TimingOptions& timing = options.timing;
  store::Json strategy_options = store::Json::object();
  for (const auto& [name, value] : options.strategy_settings.options) strategy_options[name] = store::to_json(value);
  return {{"warmup", timing.warmup},
          {"min_samples", timing.min_samples},
          {"max_samples", timing.max_samples},
          {"target_precision", timing.target_precision},
          {"time_budget_ns", timing.time_budget.count()},
          {"racing", options.racing},
          {"strategy_options", std::move(strategy_options)}};
}

store::JournalHeader header_of(const Problem& problem, const EvaluationInfo& evaluation, const std::string& strategy,
                               const SessionOptions& options) {
  store::JournalHeader header;
  header.kernel = problem.name;
  header.problem_hash = runtime::problem_hash(problem, evaluation.device.id.backend);
  header.source_hash = runtime::source_hash(problem, evaluation.device.id.backend);
  header.dimensions = problem.dimensions;
  header.device = evaluation.device.name;
  header.device_id = evaluation.device.id.to_string();
  header.cache_mode = std::string(measure::to_string(options.timing.cache));
  header.toolkit = evaluation.compiler;
  header.driver = evaluation.device.driver;
  header.sampling = store::text_of(sampling_of(options));
  header.strategy = strategy;
  header.seed = options.strategy_settings.seed;
  header.details = options.journal_details;
  return header;
}

// Of a configuration that was recorded twice the last record counts, at the place of the first. Sessions of earlier
// versions, resumed, measured some again and gave ordinals twice: of these the later get new ones behind all others.
std::vector<Trial> kept_trials(std::vector<Trial> recorded, const Space& space, std::vector<std::string>& warnings) {
  std::vector<Trial> kept;
  std::unordered_map<std::uint64_t, std::size_t> place_of;
  std::size_t foreign = 0;
  for (Trial& trial : recorded) {
    const auto index = space.index_of(trial.configuration);
    if (!index) {
      ++foreign;
      continue;
    }
    const auto [place, is_new] = place_of.emplace(*index, kept.size());
    if (is_new) {
      kept.push_back(std::move(trial));
    } else {
      trial.ordinal = kept[place->second].ordinal;
      kept[place->second] = std::move(trial);
    }
  }
  if (foreign > 0)
    warnings.push_back(fmt::format("{} trial{} of the journal {} no configuration of this space and left out", foreign,
                                   foreign == 1 ? "" : "s", foreign == 1 ? "is" : "are"));
  std::set<std::uint64_t> ordinals;
  std::uint64_t highest = 0;
  for (const Trial& trial : kept) highest = std::max(highest, trial.ordinal);
  for (Trial& trial : kept)
    if (!ordinals.insert(trial.ordinal).second) trial.ordinal = ++highest;
  std::stable_sort(kept.begin(), kept.end(), [](const Trial& a, const Trial& b) { return a.ordinal < b.ordinal; });
  return kept;
}

}  // namespace

std::string session_strategy(const Space& space, const SessionOptions& options) {
  if (options.strategy != "auto") return options.strategy;
  if (options.resume && options.session_folder) {
    if (const auto header = store::Journal::header(*options.session_folder)) return header->strategy;
  }
  const bool covers = options.max_evaluations ? *options.max_evaluations >= space.size() : !options.time_limit;
  return covers ? "exhaustive" : "auto";
}

SessionJournal open_session_journal(const Problem& problem, const Space& space, const EvaluationInfo& evaluation,
                                    const std::string& strategy, const SessionOptions& options) {
  SessionJournal session;
  if (!options.session_folder) return session;
  const store::JournalHeader header = header_of(problem, evaluation, strategy, options);
  if (!options.resume) {
    session.journal.emplace(store::Journal::create(*options.session_folder, header));
    return session;
  }
  auto [journal, contents] = store::Journal::resume(*options.session_folder, header);
  session.journal.emplace(std::move(journal));
  for (const auto& difference : store::header_warnings(contents.header, header))
    session.warnings.push_back("the session was begun with another " + difference +
                               "; what it measured before is compared with what is measured now");
  for (const auto& line : contents.damage)
    session.warnings.push_back("the journal is damaged, " + line + "; what it recorded is measured again");
  if (contents.torn_last_line)
    session.warnings.emplace_back(
        "the journal's last line was cut off when the session was killed; that trial runs again");
  session.kept = kept_trials(std::move(contents.trials), space, session.warnings);
  const store::Json notes = store::parse(store::read_notes(*options.session_folder), "the notes");
  if (notes.contains("baseline")) session.baseline = store::trial_from_json(notes.at("baseline"));
  return session;
}

}  // namespace warpwright::tuning
