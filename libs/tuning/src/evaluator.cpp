#include "evaluator.hpp"

#include <ctime>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <warpwright/model/device_info.hpp>

namespace warpwright::tuning {

std::string utc_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

std::vector<double> counts_of(const std::vector<Nanoseconds>& samples) {
  std::vector<double> counts;
  counts.reserve(samples.size());
  for (const auto sample : samples) counts.push_back(sample.count());
  return counts;
}

int comparison_rounds(int wanted, Nanoseconds one_round) {
  constexpr Nanoseconds longest{5e9};
  constexpr int fewest = 5;
  const double affordable = longest / std::max(one_round, Nanoseconds(1));
  return std::max(fewest, affordable < wanted ? static_cast<int>(affordable) : wanted);
}

std::optional<std::string> unlaunchable_reason(const Problem& problem, const Configuration& configuration,
                                               const DeviceInfo& device) {
  const Scope scope = problem.scope(configuration);
  for (const auto& launch : problem.launches)
    if (auto reason = exceeds_limits(evaluate_geometry(launch, scope), device)) return reason;
  return std::nullopt;
}

}  // namespace warpwright::tuning
