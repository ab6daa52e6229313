// What the results of an Evaluation mean for a configuration: its trial, its metrics, its rank.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <warpwright/execution/evaluation.hpp>
#include <warpwright/model/statistics.hpp>

#include "task_batch.hpp"

namespace warpwright::tuning {

// Now, UTC, ISO 8601.
std::string utc_now();
// Takes away every time: they belong to a right and useful result only.
void forget_times(Trial& trial);
std::vector<double> counts_of(std::span<const Nanoseconds> samples);
// Why the device does not allow the geometry of a configuration; nullopt where it does.
std::optional<std::string> unlaunchable_reason(const Problem& problem, const Configuration& configuration,
                                               const DeviceInfo& device);

// Thread-compatible; holds a reference to the problem.
class Evaluator {
 public:
  Evaluator(const Problem& problem, const measure::TimingOptions& timing) : problem_(problem), timing_(timing) {}

  // A binary whose launch would have 0 blocks per SM of `device` goes no further.
  void apply(const execution::CompileDone& done, Trial& trial, const DeviceInfo& device) const;
  void apply(execution::RunDone done, Trial& trial, const DeviceInfo& device) const;

  struct MetricValues {
    std::map<std::string, double> values;     // those that are finite numbers
    std::optional<std::string> no_objective;  // why the objective is not among them
  };
  MetricValues metrics(const Configuration& configuration, Nanoseconds time) const;

  // To be minimised; infinity where it cannot be computed.
  double objective(const Configuration& configuration, Nanoseconds time) const;

  // Why the configuration cannot take so little on the device; empty if it can.
  std::string impossible(const Configuration& configuration, const DeviceInfo& device, Nanoseconds time) const;

  // Compiles and runs one configuration outside the search, and tells what came of it and what it compiled to. What the
  // last task of the batch throws is Error(bad_input) if it shows that the launches do not fit the kernels: so would
  // every other one. `device` and the batch must outlive that.
  using Then = std::function<void(Trial trial, Binary binary)>;
  void evaluate_alone(TaskBatch& batch, const Configuration& configuration, const DeviceInfo& device, Then then) const;
  // The same from there on where it is compiled, or nothing is: runs the trial's configuration.
  void run_alone(TaskBatch& batch, Trial trial, Binary binary, const DeviceInfo& device, Then then) const;

 private:
  const Problem& problem_;
  measure::TimingOptions timing_;
};

}  // namespace warpwright::tuning
