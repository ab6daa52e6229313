// The finalists at the power limit. Short bursts measure the clock of a boost; where the fastest finalist reaches the
// limit of the device's power when it runs back to back, all of them are timed there as well (measure/sustained.hpp),
// and the session's option says which times decide.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <warpwright/tuning/session.hpp>

#include "evaluator.hpp"

namespace warpwright::tuning {

// How many measured blocks each of so many candidates gets: 12, fewer where they would take longer than 20 s, at least
// 6.
int sustained_rounds(std::size_t candidates, Nanoseconds block);

// What was measured at the power limit, one time a round.
struct SustainedTimes {
  std::vector<std::vector<Nanoseconds>> finalists;   // [finalist] of the first ones, which took part
  std::optional<std::vector<Nanoseconds>> baseline;  // absent without a baseline
};

// One comparison. Thread-compatible; holds references to what it is given.
class SustainedComparison {
 public:
  // The binary of a finalist or of the baseline; null where there is none.
  using BinaryOf = std::function<const Binary*(const Configuration&)>;

  SustainedComparison(const SessionOptions& options, SessionRecord& result) : options_(options), result_(result) {}

  // After the final comparison: the task that times its eight fastest finalists and the baseline at the power limit, if
  // the fastest reaches it; nullopt where there is nothing to time.
  std::optional<execution::InterleaveTask> task(const BinaryOf& binary_of);
  // The times; nullopt where power does not limit the fastest or nothing could be measured, of which there is a
  // warning.
  std::optional<SustainedTimes> times(execution::InterleaveDone done);

 private:
  struct Candidate {
    Configuration configuration;
    Nanoseconds boost{};
    std::optional<std::size_t> finalist;
  };

  const SessionOptions& options_;
  SessionRecord& result_;
  std::vector<Candidate> candidates_;  // by their time in short bursts, so that the fastest is probed
  std::size_t taking_part_ = 0;        // finalists
};

}  // namespace warpwright::tuning
