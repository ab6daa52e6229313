// In what a session of kernels and one of callables differ.
#pragma once

#include <functional>
#include <optional>

#include <warpwright/base/units.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright::tuning {

// The defaults are those of kernels.
struct SessionRules {
  // False: what is asked for goes to the device at once.
  bool compiles = true;
  // The baseline is the first trial, and the budget counts what was measured: the baseline too, and nothing that was
  // pruned.
  bool count_measured = false;
  // What one more sample of a trial takes.
  std::function<Nanoseconds(const Trial&)> sample_cost = [](const Trial& trial) { return *trial.median; };
  // The share of the session's time that the final comparison may take where that is longer than 5 s; it has fewer
  // rounds then, and there is none if only three would fit. Absent: comparison_rounds().
  std::optional<double> comparison_share{};
};

}  // namespace warpwright::tuning
