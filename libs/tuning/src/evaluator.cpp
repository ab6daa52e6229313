#include "evaluator.hpp"

#include <cmath>
#include <ctime>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <limits>

#include <warpwright/measure/launch_sequence.hpp>
#include <warpwright/model/device_info.hpp>

namespace warpwright::tuning {

std::string utc_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

std::vector<double> counts_of(std::span<const Nanoseconds> samples) {
  std::vector<double> counts;
  counts.reserve(samples.size());
  for (const auto sample : samples) counts.push_back(sample.count());
  return counts;
}

std::optional<std::string> unlaunchable_reason(const Problem& problem, const Configuration& configuration,
                                               const DeviceInfo& device) {
  return measure::evaluate_geometries(problem.launches, problem.scope(configuration), device).refused;
}

Evaluator::MetricValues Evaluator::metrics(const Configuration& configuration, Nanoseconds time) const {
  MetricValues result;
  if (problem_.metrics.empty()) return result;
  Scope scope = problem_.scope(configuration);
  scope.set("time_ns", ExpressionValue(time.count()));
  for (const auto& metric : problem_.metrics) {
    std::string failure;
    try {
      const double value = scope.number(metric.expression, "metric '" + metric.name + "'");
      if (std::isfinite(value)) {
        result.values[metric.name] = value;
        continue;
      }
      failure = fmt::format("metric '{}' is {}", metric.name, to_literal(Value(value)));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::bad_input) throw;
      failure = error.what();
    }
    if (metric.name == problem_.objective.metric) result.no_objective = failure + ", and it is the objective";
  }
  return result;
}

double Evaluator::objective(const Configuration& configuration, Nanoseconds time) const {
  double value = time.count();
  if (problem_.objective.metric != "time") {
    const MetricValues computed = metrics(configuration, time);
    const auto found = computed.values.find(problem_.objective.metric);
    if (found == computed.values.end()) return std::numeric_limits<double>::infinity();
    value = found->second;
  }
  return problem_.objective.minimise ? value : -value;
}

}  // namespace warpwright::tuning
