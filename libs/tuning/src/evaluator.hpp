// Single configurations through an Evaluation, one task at a time: what a session does outside its search, and what the
// commands that measure a few given configurations do. Waiting is charged to a part of the caller's time account.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/execution/evaluation.hpp>
#include <warpwright/measure/launch_occupancy.hpp>
#include <warpwright/measure/plausibility.hpp>
#include <warpwright/model/statistics.hpp>

#include "time_account.hpp"

namespace warpwright::tuning {

// Longest wait between looks at the stop flag and the time limit.
inline constexpr Nanoseconds poll_interval{200e6};
// Task ids outside the search lie above those of trials, which are ordinals.
inline constexpr std::uint64_t first_extra_id = std::uint64_t{1} << 62;

// Now, UTC, ISO 8601.
std::string utc_now();
std::vector<double> counts_of(std::span<const Nanoseconds> samples);
// Why the device does not allow the geometry of a configuration; nullopt where it does.
std::optional<std::string> unlaunchable_reason(const Problem& problem, const Configuration& configuration,
                                               const DeviceInfo& device);

// What of a problem a run needs at hand, and the pieces of a session that both run_session and check_baseline use.
class Evaluator {
 public:
  using Part = TimeAccount::Part;

  Evaluator(const Problem& problem, execution::Evaluation& evaluation, const measure::TimingOptions& timing,
            TimeAccount& account)
      : problem_(problem), evaluation_(evaluation), timing_(timing), account_(account) {}

  // A binary whose launch would have 0 blocks per SM of `device` goes no further.
  void apply(const execution::CompileDone& done, Trial& trial, const DeviceInfo& device) const {
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

  void apply(execution::RunDone done, Trial& trial, const DeviceInfo& device) const {
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
    trial.samples.clear();
    trial.launch_times.clear();
    trial.median.reset();
    trial.bound.reset();
    trial.spread = {};
    trial.metrics.clear();
  }

  struct MetricValues {
    std::map<std::string, double> values;     // those that are finite numbers
    std::optional<std::string> no_objective;  // why the objective is not among them
  };
  MetricValues metrics(const Configuration& configuration, Nanoseconds time) const;

  // To be minimised; infinity where it cannot be computed.
  double objective(const Configuration& configuration, Nanoseconds time) const;

  // Why the configuration cannot take so little on the device; empty if it can.
  std::string impossible(const Configuration& configuration, const DeviceInfo& device, Nanoseconds time) const {
    return measure::impossible_time(problem_, configuration, device, timing_.cache, time).value_or("");
  }

  Nanoseconds restarted_since_last() {
    const Nanoseconds total = evaluation_.restart_time();
    return total - std::exchange(restarts_seen_, total);
  }

  // Waits for the one task in flight; `part` is what the waiting is charged to.
  template <class Done>
  Done await(Part part, const std::atomic<bool>* stop = nullptr) {
    const Part before = account_.enter(part);
    for (;;) {
      auto completion = evaluation_.wait(poll_interval);
      if (completion) {
        account_.enter(before);
        if (auto* done = std::get_if<Done>(&*completion)) return std::move(*done);
        continue;  // a task of the search that was given up
      }
      if (stop != nullptr && stop->load()) throw Error(ErrorCode::interrupted, "interrupted");
    }
  }

  execution::CompileDone compile_now(execution::CompileTask task, Part part, const std::atomic<bool>* stop) {
    while (!evaluation_.can_compile()) evaluation_.wait(poll_interval);
    const std::uint64_t id = task.id;
    evaluation_.compile(std::move(task));
    for (;;) {
      execution::CompileDone done = await<execution::CompileDone>(part, stop);
      account_.times().compile_cpu += done.cpu;
      if (done.id == id) return done;
    }
  }

  execution::RunDone run_now(execution::RunTask task, Part part, const std::atomic<bool>* stop) {
    while (!evaluation_.can_run()) evaluation_.wait(poll_interval);
    const std::uint64_t id = task.id;
    evaluation_.run(std::move(task));
    for (;;) {
      execution::RunDone done = await<execution::RunDone>(part, stop);
      if (done.id == id) return done;
    }
  }

  // Compiles as many at a time as there are compilers. In the order of the tasks, whose ids are set here.
  std::vector<execution::CompileDone> compile_all(std::vector<execution::CompileTask> tasks, Part part,
                                                  const std::atomic<bool>* stop) {
    std::vector<execution::CompileDone> done(tasks.size());
    const std::uint64_t first = next_id_;
    next_id_ += tasks.size();
    for (std::size_t given = 0, ended = 0; ended < tasks.size();) {
      if (given < tasks.size() && evaluation_.can_compile()) {
        tasks[given].id = first + given;
        evaluation_.compile(std::move(tasks[given++]));
        continue;
      }
      if (given == ended) {  // the compilers are starting
        evaluation_.wait(poll_interval);
        if (stop != nullptr && stop->load()) throw Error(ErrorCode::interrupted, "interrupted");
        continue;
      }
      execution::CompileDone one = await<execution::CompileDone>(part, stop);
      account_.times().compile_cpu += one.cpu;
      if (one.id < first || one.id >= first + tasks.size()) continue;
      const std::uint64_t at = one.id - first;
      done[at] = std::move(one);
      ++ended;
    }
    return done;
  }

  // Ids for tasks outside the search, each given once.
  std::uint64_t next_id() { return next_id_++; }

  execution::InterleaveDone interleave_now(execution::InterleaveTask task, Part part, const std::atomic<bool>* stop) {
    while (!evaluation_.can_run()) evaluation_.wait(poll_interval);
    evaluation_.interleave(std::move(task));
    return await<execution::InterleaveDone>(part, stop);
  }

  // Compiles and runs one configuration outside the search. `binary` gets what it compiled to, if that is wanted.
  // Throws Error(bad_input) if it shows that the launches do not fit the kernels: so would every other one.
  Trial evaluate_alone(const Configuration& configuration, const DeviceInfo& device, const std::atomic<bool>* stop,
                       Binary* binary = nullptr) {
    Trial trial;
    trial.configuration = configuration;
    if (auto reason = unlaunchable_reason(problem_, configuration, device)) {
      trial.status = TrialStatus::pruned;
      trial.message = *reason;
    } else {
      execution::CompileDone compiled = compile_now({next_id(), configuration, {}}, Part::compile_wait, stop);
      if (compiled.specification_mistake) throw Error(ErrorCode::bad_input, compiled.message);
      apply(compiled, trial, device);
      if (binary != nullptr) *binary = compiled.binary;
      if (trial.status == TrialStatus::ok) {
        execution::RunTask task;
        task.id = next_id();
        task.configuration = configuration;
        task.binary = std::move(compiled.binary);
        task.timing = timing_;
        execution::RunDone ran = run_now(std::move(task), Part::device, stop);
        account_.device_done(ran.result.copy, ran.result.verify, ran.result.measure, restarted_since_last());
        if (ran.result.specification_mistake) throw Error(ErrorCode::bad_input, ran.result.message);
        apply(std::move(ran), trial, device);
      }
    }
    trial.finished_at = utc_now();
    return trial;
  }

 private:
  const Problem& problem_;
  execution::Evaluation& evaluation_;
  measure::TimingOptions timing_;
  TimeAccount& account_;
  Nanoseconds restarts_seen_{};
  std::uint64_t next_id_ = first_extra_id;
};

}  // namespace warpwright::tuning
