// Running a strategy on a recorded space: what each configuration gave and cost was measured once, so a search of hours
// takes milliseconds, and any two strategies can be compared on the same ground.
// Charged is what the record says (compile, verification, benchmark, framework), each configuration once. The
// strategy's own time is really measured and kept apart: it moves the axis of time of a score, never the budget, so
// that equal seeds give equal proposals on every machine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/model/recorded_space.hpp>
#include <warpwright/search/scoring.hpp>
#include <warpwright/search/search_algorithm.hpp>

namespace warpwright {

// A recorded space made ready: outcomes and costs by index. Immutable, thread-safe.
class Replay {
 public:
  // `name` is for reports; empty: "kernel/device" of the record.
  explicit Replay(std::shared_ptr<const RecordedSpace> recorded, std::string name = {});

  const RecordedSpace& recorded() const { return *recorded_; }
  const Space& space() const { return *space_; }
  const SearchOutcome& outcome(std::uint64_t index) const { return outcomes_[index]; }
  const RecordedTrial& trial(std::uint64_t index) const { return recorded_->trials[space_->listed_at(index)]; }
  const std::string& name() const { return name_; }

 private:
  std::shared_ptr<const RecordedSpace> recorded_;
  std::shared_ptr<const ListedSpace> space_;
  std::vector<SearchOutcome> outcomes_;
  std::string name_;
};

struct ReplayStep {
  std::uint64_t index = 0;
  Seconds charged{};  // recorded cost of this step
  Seconds own{};      // time that the strategy took for it
};

struct ReplayResult {
  std::vector<ReplayStep> steps;
  bool ended = false;  // the strategy had no more questions
  // Time and best so far after every step; with the strategy's own time or without.
  Run run(const Replay& replay, bool with_own_time) const;
};

struct ReplayOptions {
  SearchBudget budget;           // stops when either is used up; the step that crosses the limit of cost is kept
  std::size_t batch = 1;         // questions asked at once
  const Clock* clock = nullptr;  // measures the strategy's own time; none: not measured
};

// Throws Error(internal) when the strategy asks a configuration twice or outside the space.
ReplayResult replay(const Replay& replay, SearchAlgorithm& strategy, const ReplayOptions& options);

}  // namespace warpwright
