// Does the tasks of evaluation.hpp in this process: the inside of a worker, and the evaluation of library users who
// want no worker processes (then a kernel that hangs or crashes takes the program with it).
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include <warpwright/base/clock.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/execution/evaluation.hpp>
#include <warpwright/measure/problem_runner.hpp>
#include <warpwright/store/binary_cache.hpp>

namespace warpwright::execution {

struct EvaluatorOptions {
  std::optional<std::filesystem::path> cache_folder;  // no caching if absent
  bool allow_commands = false;
  // Cold: what flushes the cache is made when the device is opened. Warm: only when a cold sample is asked for.
  measure::CacheMode cache = measure::CacheMode::cold;
  Bytes compile_memory{};  // the limit this process was given, for messages; 0: none
  LogSink log;
};

// Compiles and, where the compiler works at the first launch (OpenCL on a CPU), launches once. One thread only.
class CompileStation {
 public:
  // Tells that the part of a compilation with this name has begun: "first launch", after the building.
  using PhaseCallback = std::function<void(const char*)>;
  // `backend` and `clock` must outlive the station. `problem` has the device's dimensions.
  CompileStation(const device::Backend& backend, const DeviceInfo& device, Problem problem, const Clock& clock,
                 EvaluatorOptions options);
  ~CompileStation();
  // Never throws for what the source or configuration did. Throws Error(device) when a first launch loses the context.
  CompileDone compile(const CompileTask& task, const PhaseCallback& phase = {});
  const device::Compiler& compiler() const { return *compiler_; }

 private:
  TrialStatus first_launch(const CompileTask& task, CompileDone& done);
  std::string memory_hint() const;

  const device::Backend& backend_;
  DeviceInfo device_;
  Problem problem_;
  const Clock& clock_;
  EvaluatorOptions options_;
  std::unique_ptr<device::Compiler> compiler_;
  std::optional<store::BinaryCache> cache_;
  std::unique_ptr<device::Context> context_;  // only for first launches
  std::unique_ptr<measure::ProblemRunner> runner_;
};

// Owns the open device and runs binaries on it. One thread only.
class DeviceStation {
 public:
  // Throws what opening the device, CacheFlusher and ProblemRunner throw.
  DeviceStation(const device::Backend& backend, const DeviceId& id, Problem problem, const Clock& clock,
                EvaluatorOptions options);
  ~DeviceStation();
  EvaluationInfo info() const;
  // Throws Error(device) when the context is lost; everything else is a status.
  RunDone run(const RunTask& task);
  InterleaveDone interleave(const InterleaveTask& task);

 private:
  measure::ProblemRunner& fresh_runner(const RunTask& task);
  // Whether the power limit holds the clock down; nullopt where nothing tells.
  std::optional<bool> power_limited();

  Problem problem_;
  const Clock& clock_;
  EvaluatorOptions options_;
  std::unique_ptr<device::Context> context_;
  std::unique_ptr<device::Compiler> compiler_;
  std::unique_ptr<device::Telemetry> telemetry_;  // null where there is none
  std::shared_ptr<measure::CacheFlusher> flusher_;
  std::unique_ptr<measure::ProblemRunner> runner_;
  std::unique_ptr<measure::ProblemRunner>
      fresh_;  // of another size or other inputs; only between tasks that ask for it
  std::uint64_t fresh_salt_ = 0;
  Configuration fresh_dimensions_;
};

// Evaluation in this process; compile tasks and runs happen inside wait().
class LocalEvaluation final : public Evaluation {
 public:
  LocalEvaluation(const device::Backend& backend, DeviceInfo device, Problem problem, const Clock& clock,
                  EvaluatorOptions options = {});
  EvaluationInfo start() override;
  bool can_compile() const override { return compiles_.empty(); }
  bool can_run() const override { return runs_.empty(); }
  bool compiles_while_running() const override { return false; }
  void compile(CompileTask task) override { compiles_.push_back(std::move(task)); }
  void run(RunTask task) override { runs_.emplace_back(std::move(task)); }
  void interleave(InterleaveTask task) override { runs_.emplace_back(std::move(task)); }
  std::optional<Completion> wait(Nanoseconds timeout) override;
  Nanoseconds restart_time() const override { return {}; }

 private:
  const device::Backend& backend_;
  DeviceInfo device_;
  Problem problem_;
  const Clock& clock_;
  EvaluatorOptions options_;
  std::unique_ptr<CompileStation> compiler_;
  std::unique_ptr<DeviceStation> station_;
  std::deque<CompileTask> compiles_;
  std::deque<std::variant<RunTask, InterleaveTask>> runs_;
};

}  // namespace warpwright::execution
