// An Evaluation whose outcomes are computed from the configuration and whose time is virtual: sessions without devices.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/execution/evaluation.hpp>

namespace warpwright::tuning {

// Advances only when told to.
class ManualClock final : public Clock {
 public:
  Nanoseconds now() const override { return now_; }
  void advance(Nanoseconds time) { now_ += time; }

 private:
  Nanoseconds now_{1e9};
};

struct FakeOutcome {
  TrialStatus compile_status = TrialStatus::ok;
  TrialStatus status = TrialStatus::ok;
  double time_ns = 1000;
  double drift = 0;      // relative growth over the samples
  Nanoseconds longer{};  // that measuring takes
  std::vector<std::string> throttling;
  std::vector<KernelResources> resources = {};  // of the binary
  bool specification_mistake = false;
};

class FakeEvaluation final : public execution::Evaluation {
 public:
  using Model = std::function<FakeOutcome(const Configuration&)>;
  FakeEvaluation(ManualClock& clock, Model model) : clock_(clock), model_(std::move(model)) {
    info.device.id = {"sim", {0}};
    info.device.name = "fake";
    info.device.kind = DeviceKind::simulated;
    info.device.max_threads_per_block = 256;
    info.device.max_block = {256, 256, 64};
    info.device.shared_per_block = Bytes{48 * 1024};
    info.reference = "fake reference";
    info.has_reference = true;
  }

  EvaluationInfo start() override {
    clock_.advance(start_time);
    return info;
  }
  bool can_compile() const override { return compiles_.size() < compile_slots; }
  std::size_t compiling() const { return compiles_.size(); }
  std::size_t waiting_runs() const { return runs_.size(); }
  bool can_run() const override { return runs_.empty(); }
  bool can_queue_run() const override { return queues_runs && runs_.size() == 1; }
  bool compiles_while_running() const override { return overlap; }
  void compile(execution::CompileTask task) override {
    compiled.push_back(task.configuration);
    compiles_.push_back(std::move(task));
  }
  void run(execution::RunTask task) override {
    if (task.input_salt != 0) {
      if (!task.reference_only) verified_again.push_back(task.configuration);
    } else {
      ran.push_back(task.configuration);
      incumbents.push_back(task.timing.incumbent);
      deadlines.push_back(task.deadline);
    }
    runs_.emplace_back(std::move(task));
    most_given = std::max(most_given, runs_.size());
  }
  void interleave(execution::InterleaveTask task) override {
    if (!task.sustained) interleaved.push_back(task.configurations);
    runs_.emplace_back(std::move(task));
  }

  std::optional<execution::Completion> wait(Nanoseconds timeout) override {
    // Work takes its time: a mere look finds nothing.
    if (timeout.count() <= 0) return std::nullopt;
    if (on_wait) on_wait();
    // A device that has a queue is one that compilers get ahead of.
    if (!runs_.empty() && !(can_queue_run() && !compiles_.empty())) {
      const auto task = std::move(runs_.front());
      runs_.pop_front();
      if (const auto* run_task = std::get_if<execution::RunTask>(&task)) return finish_run(*run_task);
      return finish_interleave(std::get<execution::InterleaveTask>(task));
    }
    if (!compiles_.empty()) {
      const execution::CompileTask task = std::move(compiles_.front());
      compiles_.pop_front();
      clock_.advance(compile_time);
      execution::CompileDone done;
      done.id = task.id;
      done.status = model_(task.configuration).compile_status;
      if (done.status != TrialStatus::ok)
        done.message = "does not compile";
      else
        done.binary.resources = model_(task.configuration).resources;
      done.wall = compile_time;
      done.cpu = compile_time * 2;
      return done;
    }
    clock_.advance(timeout);
    return std::nullopt;
  }
  Nanoseconds restart_time() const override { return restarts; }

  EvaluationInfo info;
  std::size_t compile_slots = 1;
  bool overlap = true;
  bool queues_runs = false;
  std::optional<int> sm_clock_mhz;  // where there is telemetry
  std::size_t most_given = 0;       // runs that the device had at the same time
  Nanoseconds start_time{5e6}, compile_time{2e6}, restarts{};
  std::function<void()> on_wait;
  // What becomes of a run at fresh inputs or, with dimensions, at another size.
  std::function<TrialStatus(const Configuration&, const Configuration& dimensions)> again =
      [](const Configuration&, const Configuration&) { return TrialStatus::ok; };
  // Why the reference fails at another size or at fresh inputs.
  std::function<std::optional<std::string>(const Configuration& dimensions)> reference_failure =
      [](const Configuration&) { return std::nullopt; };
  std::vector<Configuration> compiled, ran, verified_again;   // the last with fresh inputs or at another size
  std::vector<Configuration> references;                      // dimensions of fresh problems that were asked for
  std::vector<std::optional<measure::Incumbent>> incumbents;  // of each run, as are these
  std::vector<Nanoseconds> deadlines;
  // Sample `round` of a configuration in the final comparison, as a factor of its time.
  std::function<double(const Configuration&, int round)> final_noise = [](const Configuration&, int) { return 1.0; };
  std::vector<std::vector<Configuration>> interleaved;
  // The time at the power limit, as a factor; empty: nothing reaches it.
  std::function<double(const Configuration&)> at_power_limit;
  std::vector<std::vector<Configuration>> sustained;  // of each comparison at the power limit
  std::vector<Nanoseconds> estimates;                 // of the last one

 private:
  execution::RunDone finish_run(const execution::RunTask& task) {
    execution::RunDone done;
    done.id = task.id;
    if (task.input_salt != 0) {
      references.push_back(task.dimensions);
      done.reference_failure = reference_failure(task.dimensions);
    }
    if (task.reference_only || done.reference_failure) return done;
    const FakeOutcome outcome = model_(task.configuration);
    done.result.status = outcome.status;
    if (task.input_salt != 0 && outcome.status == TrialStatus::ok)
      done.result.status = again(task.configuration, task.dimensions);
    if (done.result.status != TrialStatus::ok) done.result.message = "failed on purpose";
    done.result.specification_mistake = outcome.specification_mistake;
    done.result.conditions.sm_clock_mhz = sm_clock_mhz;
    done.result.copy = Nanoseconds(1e5);
    done.result.verify = Nanoseconds(2e5);
    done.result.measure = Nanoseconds(3e5);
    done.result.measure += outcome.longer;
    clock_.advance(Nanoseconds(6.1e5) + outcome.longer);  // 10 us that no phase accounts for
    for (int i = 0; i < task.timing.min_samples; ++i) {
      done.result.samples.emplace_back(outcome.time_ns * (1 + outcome.drift * i / task.timing.min_samples) + i % 3);
      if (task.timing.incumbent && measure::hopeless(done.result.samples, *task.timing.incumbent)) {
        done.result.status = TrialStatus::censored;
        done.result.message = "clearly slower";
        break;
      }
    }
    done.result.conditions.throttling = outcome.throttling;
    return done;
  }
  execution::InterleaveDone finish_interleave(const execution::InterleaveTask& task) {
    execution::InterleaveDone done;
    done.id = task.id;
    clock_.advance(Nanoseconds(1e6));
    if (task.sustained) {
      sustained.push_back(task.configurations);
      estimates = task.estimates;
      done.power_limited = at_power_limit.operator bool();
      for (std::size_t i = 0; done.power_limited && i < task.configurations.size(); ++i)
        done.samples.emplace_back(
            static_cast<std::size_t>(task.sustained->rounds),
            Nanoseconds(model_(task.configurations[i]).time_ns * at_power_limit(task.configurations[i])));
      return done;
    }
    for (const auto& configuration : task.configurations) {
      auto& samples = done.samples.emplace_back();
      for (int round = 0; round < task.rounds; ++round)
        samples.emplace_back(model_(configuration).time_ns * final_noise(configuration, round));
    }
    return done;
  }

  ManualClock& clock_;
  Model model_;
  std::deque<execution::CompileTask> compiles_;
  std::deque<std::variant<execution::RunTask, execution::InterleaveTask>> runs_;
};

}  // namespace warpwright::tuning
