#include <algorithm>
#include <limits>

#include <warpwright/base/error.hpp>
#include <warpwright/search/replay.hpp>

namespace warpwright {

Replay::Replay(std::shared_ptr<const RecordedSpace> recorded, std::string name)
    : recorded_(std::move(recorded)),
      space_(make_listed_space(*recorded_)),
      outcomes_(recorded_->trials.size()),
      name_(name.empty() ? recorded_->kernel + "/" + recorded_->device : std::move(name)) {
  for (std::uint64_t i = 0; i < outcomes_.size(); ++i) {
    const RecordedTrial& from = trial(i);
    outcomes_[i].status = from.status;
    if (from.objective) outcomes_[i].objective = recorded_->minimise ? *from.objective : -*from.objective;
    outcomes_[i].cost = from.costs.total();
  }
}

Run ReplayResult::run(const Replay& replay, bool with_own_time) const {
  Run run;
  run.reserve(steps.size());
  RunStep state;
  for (const ReplayStep& step : steps) {
    state.elapsed += step.charged + (with_own_time ? step.own : Seconds{});
    const SearchOutcome& outcome = replay.outcome(step.index);
    if (outcome.objective && (!state.has_best || *outcome.objective < state.best)) {
      state.has_best = true;
      state.best = *outcome.objective;
    }
    run.push_back(state);
  }
  return run;
}

ReplayResult replay(const Replay& replay, SearchAlgorithm& strategy, const ReplayOptions& options) {
  ReplayResult result;
  const std::uint64_t size = replay.space().size();
  const std::uint64_t most = options.budget.evaluations ? std::min(*options.budget.evaluations, size) : size;
  const Seconds limit =
      options.budget.cost ? Seconds(*options.budget.cost) : Seconds(std::numeric_limits<double>::infinity());
  std::vector<bool> asked(size);
  if (options.budget.evaluations) result.steps.reserve(most);
  Seconds charged{};
  const auto now = [&] { return options.clock == nullptr ? Seconds{} : Seconds(options.clock->now()); };
  Seconds last = now();
  while (result.steps.size() < most && charged < limit) {
    const std::size_t wanted = std::min<std::size_t>(options.batch, most - result.steps.size());
    const std::vector<std::uint64_t> batch = strategy.ask(wanted);
    if (batch.empty()) {
      result.ended = true;
      break;
    }
    const std::size_t first = result.steps.size();
    for (const std::uint64_t index : batch) {
      if (index >= size || asked[index])
        throw Error(ErrorCode::internal, "the strategy asked for configuration " + std::to_string(index) +
                                             (index >= size ? ", which is outside the space" : " twice"));
      asked[index] = true;
      const SearchOutcome& outcome = replay.outcome(index);
      strategy.tell(index, outcome);
      const Seconds cost(outcome.cost);
      charged += cost;
      result.steps.push_back({index, cost, Seconds{}});
    }
    if (options.clock != nullptr) {
      const Seconds end = now();
      const Seconds share = (end - last) / static_cast<double>(batch.size());
      for (std::size_t i = first; i < result.steps.size(); ++i) result.steps[i].own = share;
      last = end;
    }
  }
  return result;
}

}  // namespace warpwright
