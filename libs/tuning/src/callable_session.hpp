// Sessions of callables: what a session asks of an evaluation, done by calls of a function in this process. Nothing is
// compiled, verified or kept in a journal; all else is as in every session.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/execution/evaluation.hpp>
#include <warpwright/tuning/performance_tuner.hpp>

#include "session_core.hpp"

namespace warpwright::detail {

// What is tuned: a space, and a function that measures one of its configurations.
struct Callable {
  const Space& space;
  Configuration baseline;
  double work = 1;  // of one run
  ConfigurationEvaluator evaluator;
  // Why a configuration is not worth a call; nullopt where it is.
  std::function<std::optional<std::string>(const Configuration&)> prune;
  std::vector<std::uint64_t> first;  // asked before anything else, after the baseline
};

// A run is so many calls, of which the first are not used. Each wait() makes one call. One thread only.
class CallableEvaluation final : public execution::Evaluation {
 public:
  CallableEvaluation(const Callable& callable, int warmup, int samples, const Clock& clock)
      : callable_(callable), warmup_(warmup), samples_(samples), clock_(clock) {}

  std::uint64_t calls() const { return calls_; }
  std::uint64_t configurations() const { return configurations_; }  // that were called to the end, or failed

  EvaluationInfo start() override { return {}; }
  bool can_compile() const override { return false; }
  bool can_run() const override { return std::holds_alternative<std::monostate>(task_); }
  bool compiles_while_running() const override { return true; }
  void compile(execution::CompileTask) override;
  void run(execution::RunTask task) override;
  void interleave(execution::InterleaveTask task) override;
  // Throws Error(interrupted) where the callable does.
  std::optional<execution::Completion> wait(Nanoseconds timeout) override;
  Nanoseconds restart_time() const override { return {}; }

 private:
  struct Call {
    TrialStatus status = TrialStatus::ok;
    Nanoseconds time{};
    std::string message;
  };
  struct Run {
    execution::RunTask task;
    Nanoseconds begin{};
    int made = 0;
    execution::RunDone done;
  };
  struct Turns {
    execution::InterleaveTask task;
    Rng rng;
    std::vector<std::size_t> order;  // of this round
    std::size_t at = 0;              // in it
    int round = 0;
    execution::InterleaveDone done;
  };

  Call judge(const EvaluatorResult& result) const;
  Call call(const Configuration& configuration);
  bool advance(Run& run);
  bool advance(Turns& turns);

  const Callable& callable_;
  const int warmup_, samples_;
  const Clock& clock_;
  std::variant<std::monostate, Run, Turns> task_;
  std::uint64_t calls_ = 0, configurations_ = 0;
};

// One session. One thread only; holds references to all it is given.
class CallableSession {
 public:
  CallableSession(const Callable& callable, const TuningSessionOptions& options, const StrategyRegistry& strategies,
                  const Clock& clock);
  // As tuning::Session; a slice is exceeded by one call at most.
  bool advance(std::optional<Nanoseconds> until = std::nullopt);
  // Everything but the profile.
  PerformanceMetrics finish();

 private:
  std::unique_ptr<SearchAlgorithm> make_algorithm(const StrategySettings& settings) const;

  const Callable& callable_;
  const TuningSessionOptions& options_;
  const StrategyRegistry& strategies_;
  const Clock& clock_;
  const Nanoseconds begin_;
  const tuning::SessionOptions session_options_;
  const std::string strategy_;
  const Problem problem_;  // of what a session asks of one, the parameters
  CallableEvaluation evaluation_;
  tuning::SessionCore core_;
  bool begun_ = false;
  std::atomic<bool> stop_{false};
  std::stop_callback<std::function<void()>> on_stop_;
};

}  // namespace warpwright::detail
