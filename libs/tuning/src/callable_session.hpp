// The session of PerformanceTuner, the same for both forms: a space of configurations and a callable that measures one.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/tuning/performance_tuner.hpp>

namespace warpwright::detail {

struct CallableSession {
  const Space& space;
  Configuration baseline;
  double work = 1;  // of one run
  ConfigurationEvaluator evaluator;
  // Why a configuration is not worth a call; nullopt where it is.
  std::function<std::optional<std::string>(const Configuration&)> prune;
  std::vector<std::uint64_t> first;  // asked before anything else, after the baseline
};

// Everything but the profile.
PerformanceMetrics run(const CallableSession& session, const TuningSessionOptions& options,
                       const StrategyRegistry& strategies, const Clock& clock);

}  // namespace warpwright::detail
