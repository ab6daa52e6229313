// Evaluating configurations as plain data in, plain data out: the same tasks work in this process, in worker processes,
// and under a fake. Two kinds of places do the work: compilers (several, ahead of the device) and the device (one).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/measure/problem_runner.hpp>
#include <warpwright/measure/timing.hpp>
#include <warpwright/model/binary.hpp>
#include <warpwright/model/evaluation_info.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright::execution {

struct CompileTask {
  std::uint64_t id = 0;
  Configuration configuration;
  Configuration dimensions;  // overrides of the problem's dimensions; usually empty
};

struct CompileDone {
  std::uint64_t id = 0;
  TrialStatus status =
      TrialStatus::ok;  // ok, compile_failed, compile_timed_out, crashed, or what the first launch showed
  Binary binary;        // when ok
  std::string message, log;
  bool specification_mistake = false;  // as in RunResult
  bool from_cache = false;
  Nanoseconds wall{}, cpu{};
};

struct RunTask {
  std::uint64_t id = 0;
  Configuration configuration;
  Binary binary;
  measure::TimingOptions timing;
  Configuration dimensions;      // overrides; with input_salt they ask for a fresh problem
  std::uint64_t input_salt = 0;  // fresh inputs when not 0
  Nanoseconds deadline{};        // tighter than the evaluation's own where it is not 0
  // Compute the reference of the fresh problem and launch nothing: configuration and binary may be empty.
  bool reference_only = false;
};

struct RunDone {
  std::uint64_t id = 0;
  measure::RunResult result;
  // Of a fresh problem: why its reference could not be computed. The configuration was not launched then.
  std::optional<std::string> reference_failure = std::nullopt;
};

struct InterleaveTask {
  std::uint64_t id = 0;
  std::vector<Configuration> configurations;
  std::vector<Binary> binaries;
  int rounds = 10;
  measure::CacheMode cache = measure::CacheMode::cold;
  std::uint64_t seed = 0;
  // The problem's reference kernel takes its turns too, as the last series of samples; not with `sustained`.
  bool with_reference = false;
  // Instead of rounds of single samples: ProblemRunner::run_sustained() with these estimates, the least one first.
  std::optional<measure::SustainedOptions> sustained;
  std::vector<Nanoseconds> estimates;
};

struct InterleaveDone {
  std::uint64_t id = 0;
  TrialStatus status = TrialStatus::ok;
  std::vector<std::vector<Nanoseconds>> samples;  // [candidate][round]
  // Of each candidate, as Conditions::marks; empty where samples are not taken by the timing protocol.
  std::vector<std::vector<std::string>> marks;
  // Of each candidate, why its samples end where they do, if it is not for the last round. Empty where candidates fail
  // together only, as they do in workers.
  struct Failure {
    TrialStatus status = TrialStatus::ok;
    std::string message;
  };
  std::vector<std::optional<Failure>> failures;
  // Of a sustained task: whether power held the clock down. If not, there are no samples.
  bool power_limited = false;
  std::string message;
};

using Completion = std::variant<CompileDone, RunDone, InterleaveDone>;

// One thread only. Tasks are started by compile(), run() and interleave(), and end as completions from wait().
class Evaluation {
 public:
  virtual ~Evaluation() = default;
  // Opens everything, computes the reference. Throws Error when the device, the compiler or the reference fails.
  virtual EvaluationInfo start() = 0;
  virtual bool can_compile() const = 0;
  // The device takes one run or interleave task at a time.
  virtual bool can_run() const = 0;
  // A run is under way and the device takes another one behind it, so that it goes on without a word from here.
  virtual bool can_queue_run() const { return false; }
  // False where the device is the CPU: compiling would disturb measuring, so the caller alternates them.
  virtual bool compiles_while_running() const = 0;
  virtual void compile(CompileTask task) = 0;
  virtual void run(RunTask task) = 0;
  virtual void interleave(InterleaveTask task) = 0;
  // The next completion, or nullopt after `timeout`, when a signal interrupted the wait, or when a worker came back and
  // can_compile() or can_run() may have changed. Throws Error(device) when the device fails again and again; what was
  // completed before is given first.
  virtual std::optional<Completion> wait(Nanoseconds timeout) = 0;
  // Time spent replacing device workers since start(); part of "startup" in the account of a session.
  virtual Nanoseconds restart_time() const = 0;
};

}  // namespace warpwright::execution
