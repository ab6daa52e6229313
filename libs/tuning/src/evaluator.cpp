#include "evaluator.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <fmt/format.h>
#include <limits>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/launch_occupancy.hpp>
#include <warpwright/measure/launch_sequence.hpp>
#include <warpwright/measure/plausibility.hpp>
#include <warpwright/model/device_info.hpp>

namespace warpwright::tuning {

std::string utc_now() {
  // Not by fmt/chrono.h, which takes the compiler longer than the rest of this file.
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

void forget_times(Trial& trial) {
  trial.samples.clear();
  trial.launch_times.clear();
  trial.median.reset();
  trial.bound.reset();
  trial.spread = {};
  trial.metrics.clear();
}

std::vector<double> counts_of(std::span<const Nanoseconds> samples) {
  std::vector<double> counts;
  counts.reserve(samples.size());
  for (const auto sample : samples) counts.push_back(sample.count());
  return counts;
}

std::optional<std::string> unlaunchable_reason(const Problem& problem, const Configuration& configuration,
                                               const DeviceInfo& device) {
  if (problem.launches.empty()) return std::nullopt;
  return measure::evaluate_geometries(problem.launches, problem.scope(configuration), device).refused;
}

void Evaluator::apply(const execution::CompileDone& done, Trial& trial, const DeviceInfo& device) const {
  trial.times.compile_wall = done.wall;
  trial.times.compile_cpu = done.cpu;
  trial.binary_from_cache = done.from_cache;
  trial.log = done.log;
  trial.resources = done.binary.resources;
  trial.status = done.status;
  trial.message = done.message;
  if (trial.status != TrialStatus::ok) return;
  measure::OccupancyCheck check = measure::check_occupancy(problem_, trial.configuration, trial.resources, device);
  trial.occupancy = std::move(check.launches);
  if (!check.refusal) return;
  trial.status = TrialStatus::resource_exceeded;
  trial.message = *std::move(check.refusal);
}

void Evaluator::apply(execution::RunDone done, Trial& trial, const DeviceInfo& device) const {
  trial.status = done.result.status;
  trial.message = std::move(done.result.message);
  trial.mismatch = std::move(done.result.mismatch);
  if (!done.result.resources.empty())
    trial.resources = measure::merge_resources(std::move(done.result.resources), trial.resources);
  trial.times.copy = done.result.copy;
  trial.times.verify = done.result.verify;
  trial.times.measure = done.result.measure;
  trial.samples = std::move(done.result.samples);
  // A time belongs to a correct result only.
  if (trial.status != TrialStatus::ok && trial.status != TrialStatus::censored) trial.samples.clear();
  if (trial.samples.empty()) return;
  const std::vector<double> samples = counts_of(trial.samples);
  trial.median = Nanoseconds(median(samples));
  trial.spread = Nanoseconds(interquartile_range(samples));
  if (trial.status == TrialStatus::censored)
    trial.bound = *std::min_element(trial.samples.begin(), trial.samples.end());
  trial.launch_times = std::move(done.result.launch_times);
  trial.conditions = std::move(done.result.conditions);
  trial.conditions.drift = trend(samples);
  trial.conditions.impossible = impossible(trial.configuration, device, *trial.median);
  MetricValues computed = metrics(trial.configuration, *trial.median);
  trial.metrics = std::move(computed.values);
  if (!computed.no_objective) return;
  // Nothing to rank it by: right, and of no use.
  trial.status = TrialStatus::not_finite;
  trial.message = *std::move(computed.no_objective);
  forget_times(trial);
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

std::string Evaluator::impossible(const Configuration& configuration, const DeviceInfo& device,
                                  Nanoseconds time) const {
  return measure::impossible_time(problem_, configuration, device, timing_.cache, time).value_or("");
}

void Evaluator::evaluate_alone(TaskBatch& batch, const Configuration& configuration, const DeviceInfo& device,
                               Then then) const {
  Trial begun;
  begun.configuration = configuration;
  const auto finish = [then](Trial trial, Binary binary) {
    trial.finished_at = utc_now();
    then(std::move(trial), std::move(binary));
  };
  if (auto reason = unlaunchable_reason(problem_, configuration, device)) {
    begun.status = TrialStatus::pruned;
    begun.message = *std::move(reason);
    return finish(std::move(begun), {});
  }
  const auto compiled = [=, this, &batch, &device](TaskBatch::Results results) {
    auto& done = std::get<execution::CompileDone>(results.front());
    if (done.specification_mistake) throw Error(ErrorCode::bad_input, done.message);
    Trial trial = begun;
    apply(done, trial, device);
    if (trial.status != TrialStatus::ok) return finish(std::move(trial), std::move(done.binary));
    run_alone(batch, std::move(trial), std::move(done.binary), device, then);
  };
  batch.begin({execution::CompileTask{0, configuration, {}}}, TimeAccount::Part::compile_wait, compiled);
}

void Evaluator::run_alone(TaskBatch& batch, Trial trial, Binary binary, const DeviceInfo& device, Then then) const {
  execution::RunTask task;
  task.configuration = trial.configuration;
  task.binary = binary;
  task.timing = timing_;
  const auto ran = [=, this, &device](TaskBatch::Results results) {
    auto& done = std::get<execution::RunDone>(results.front());
    if (done.result.specification_mistake) throw Error(ErrorCode::bad_input, done.result.message);
    Trial measured = trial;
    apply(std::move(done), measured, device);
    measured.finished_at = utc_now();
    then(std::move(measured), binary);
  };
  batch.begin({std::move(task)}, TimeAccount::Part::device, ran);
}

}  // namespace warpwright::tuning
