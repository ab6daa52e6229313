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

// Thread-compatible; holds references to what it is given. Device time is charged to the part `finish`.
class SustainedComparison {
 public:
  // The binary of a finalist or of the baseline; null where there is none.
  using BinaryOf = std::function<const Binary*(const Configuration&)>;

  SustainedComparison(const SessionOptions& options, Evaluator& evaluator, BinaryOf binary_of)
      : options_(options), evaluator_(evaluator), binary_of_(std::move(binary_of)) {}

  // After the final comparison, whose result is not changed but for warnings: the times of the eight fastest finalists
  // and the baseline where power limits the fastest; nullopt where it does not or nothing could be measured. Throws
  // Error(interrupted) when the session is told to stop.
  std::optional<SustainedTimes> run(SessionRecord& result);

 private:
  const SessionOptions& options_;
  Evaluator& evaluator_;
  BinaryOf binary_of_;
};

}  // namespace warpwright::tuning
