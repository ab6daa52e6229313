#include "sustained_comparison.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <warpwright/base/rng.hpp>

namespace warpwright::tuning {
namespace {

constexpr std::size_t most_finalists = 8;

}  // namespace

int sustained_rounds(std::size_t candidates, Nanoseconds block) {
  constexpr Nanoseconds longest{20e9};
  constexpr double most = 12, fewest = 6;
  const Nanoseconds round = std::max(block, Nanoseconds{1}) * static_cast<double>(std::max<std::size_t>(1, candidates));
  return static_cast<int>(std::clamp(longest / round, fewest, most));
}

std::optional<SustainedTimes> SustainedComparison::run(SessionRecord& result) {
  if (result.finalists.empty()) return std::nullopt;
  // Those that take part by their time in short bursts, so that the fastest is probed; the baseline for the speed-up.
  struct Candidate {
    Configuration configuration;
    Nanoseconds boost{};
    std::optional<std::size_t> finalist;
  };
  std::vector<Candidate> candidates;
  const std::size_t taking_part = std::min(result.finalists.size(), most_finalists);
  bool has_baseline = false;
  for (std::size_t i = 0; i < taking_part; ++i) {
    const Finalist& finalist = result.finalists[i];
    candidates.push_back({finalist.configuration, finalist.median, i});
    has_baseline = has_baseline || (result.baseline && result.baseline->configuration == finalist.configuration);
  }
  if (!has_baseline && result.baseline && result.baseline->ok() && result.baseline_median)
    candidates.push_back({result.baseline->configuration, *result.baseline_median, std::nullopt});
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.boost < b.boost; });

  execution::InterleaveTask task;
  task.id = evaluator_.next_id();
  task.cache = options_.timing.cache;
  task.sustained = options_.sustained;
  task.sustained->seed = derive_seed(result.seed, 2);
  task.sustained->rounds = sustained_rounds(candidates.size(), task.sustained->block);
  for (const Candidate& candidate : candidates) {
    const Binary* binary = binary_of_(candidate.configuration);
    if (binary == nullptr) continue;
    task.configurations.push_back(candidate.configuration);
    task.binaries.push_back(*binary);
    task.estimates.push_back(candidate.boost);
  }
  if (task.configurations.size() != candidates.size()) return std::nullopt;
  execution::InterleaveDone done = evaluator_.interleave_now(std::move(task), TimeAccount::Part::finish, options_.stop);
  if (done.status != TrialStatus::ok) {
    result.warnings.push_back("no comparison at the power limit: " + done.message);
    return std::nullopt;
  }
  if (!done.power_limited) return std::nullopt;

  SustainedTimes times;
  times.finalists.resize(taking_part);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (result.baseline && candidates[i].configuration == result.baseline->configuration)
      times.baseline = done.samples.at(i);
    if (candidates[i].finalist) times.finalists[*candidates[i].finalist] = std::move(done.samples.at(i));
  }
  return times;
}

}  // namespace warpwright::tuning
