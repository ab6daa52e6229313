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

std::optional<execution::InterleaveTask> SustainedComparison::task(const BinaryOf& binary_of) {
  if (result_.finalists.empty()) return std::nullopt;
  taking_part_ = std::min(result_.finalists.size(), most_finalists);
  bool has_baseline = false;
  for (std::size_t i = 0; i < taking_part_; ++i) {
    const Finalist& finalist = result_.finalists[i];
    candidates_.push_back({finalist.configuration, finalist.median, i});
    has_baseline = has_baseline || (result_.baseline && result_.baseline->configuration == finalist.configuration);
  }
  // For the speed-up.
  if (!has_baseline && result_.baseline && result_.baseline->ok() && result_.baseline_median)
    candidates_.push_back({result_.baseline->configuration, *result_.baseline_median, std::nullopt});
  std::stable_sort(candidates_.begin(), candidates_.end(),
                   [](const Candidate& a, const Candidate& b) { return a.boost < b.boost; });

  execution::InterleaveTask task;
  task.cache = options_.timing.cache;
  task.sustained = options_.sustained;
  task.sustained->seed = derive_seed(result_.seed, 2);
  task.sustained->rounds = sustained_rounds(candidates_.size(), task.sustained->block);
  for (const Candidate& candidate : candidates_) {
    const Binary* binary = binary_of(candidate.configuration);
    if (binary == nullptr) return std::nullopt;
    task.configurations.push_back(candidate.configuration);
    task.binaries.push_back(*binary);
    task.estimates.push_back(candidate.boost);
  }
  return task;
}

std::optional<SustainedTimes> SustainedComparison::times(execution::InterleaveDone done) {
  if (done.status != TrialStatus::ok) {
    result_.warnings.push_back("no comparison at the power limit: " + done.message);
    return std::nullopt;
  }
  if (!done.power_limited) return std::nullopt;
  SustainedTimes times;
  times.finalists.resize(taking_part_);
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    if (result_.baseline && candidates_[i].configuration == result_.baseline->configuration)
      times.baseline = done.samples.at(i);
    if (candidates_[i].finalist) times.finalists[*candidates_[i].finalist] = std::move(done.samples.at(i));
  }
  return times;
}

}  // namespace warpwright::tuning
