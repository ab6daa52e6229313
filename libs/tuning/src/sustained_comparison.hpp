// The finalists at the power limit. Short bursts measure the clock of a boost; where the fastest finalist reaches the
// limit of the device's power when it runs back to back, all of them are timed there as well (measure/sustained.hpp),
// and the session's option says which times decide.
#pragma once

#include <cstdint>
#include <vector>

#include <warpwright/tuning/session.hpp>

#include "evaluator.hpp"

namespace warpwright::tuning {

// How many measured blocks each of so many candidates gets: 12, fewer where they would take longer than 20 s, at least
// 6.
int sustained_rounds(std::size_t candidates, Nanoseconds block);

// Thread-compatible; holds references to what it is given. Device time is charged to the part `finish`.
class SustainedComparison {
 public:
  SustainedComparison(const SessionOptions& options, Evaluator& evaluator) : options_(options), evaluator_(evaluator) {}

  // After the final comparison. Where power limits the fastest finalist: sets power_limited, and boost and sustained of
  // the finalists that took part (the eight fastest); where sustained times decide, also everything that the final
  // comparison sets, from these: the first half of the rounds chooses, the second is what is reported. Otherwise the
  // result stays as it is. Throws Error(interrupted) when the session is told to stop.
  void run(SessionResult& result);

 private:
  void decide(SessionResult& result, std::vector<std::vector<Nanoseconds>> samples,
              const std::vector<Nanoseconds>* baseline) const;

  const SessionOptions& options_;
  Evaluator& evaluator_;
};

}  // namespace warpwright::tuning
