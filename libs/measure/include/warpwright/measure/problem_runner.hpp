// Runs configurations of one problem on one open device: owns the buffers, restores inputs, poisons outputs, launches,
// verifies and times. Used inside the device worker and, by library users, in their own process.
#pragma once

#include <warpwright/base/clock.hpp>
#include <warpwright/base/log.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/measure/timing.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/model/trial.hpp>

#include <functional>
#include <memory>
#include <vector>

namespace warpwright::measure {

struct RunnerOptions {
  // Fresh inputs of the same distributions (0 = the specification's own).
  std::uint64_t input_salt = 0;
  bool allow_commands = false;
  LogSink log;
};

// What became of one configuration on the device; everything of Trial that the device side knows.
struct RunResult {
  TrialStatus status = TrialStatus::ok;
  std::vector<Nanoseconds> samples;
  std::string message;
  std::optional<Mismatch> mismatch;
  std::vector<KernelResources> resources;
  Nanoseconds copy{}, verify{}, measure{};  // wall time
};

// One thread only. The problem's dimensions must already be those of the device (Problem::for_device).
class ProblemRunner {
 public:
  // Generates inputs and allocates buffers (outputs get a guard zone of 4 KiB behind them). Throws Error(out_of_memory)
  // with the sizes asked for, Error(bad_input) for bad sizes. `context`, `compiler` and `clock` must outlive the runner.
  ProblemRunner(device::Context& context, device::Compiler& compiler, Problem problem, const Clock& clock,
                RunnerOptions options = {});
  ~ProblemRunner();

  // Computes the expected outputs. Throws Error(compile / launch / device / bad_input) if the reference itself fails.
  // Without a reference in the problem this does nothing and verification is skipped.
  void compute_reference();
  bool has_reference() const;
  // "kernel (independent)", "configuration (not independent)", "none", ...
  std::string reference_description() const;

  // One untimed run of the real geometry, for devices whose compiler works at the first launch (PoCL).
  RunResult run_once(const Configuration& configuration, const device::Binary& binary);

  // Restore, poison, launch, verify, then time. Never throws for what the configuration did: launch refusals, wrong
  // results and the like are statuses. Throws Error(device) when the context is lost.
  RunResult run(const Configuration& configuration, const device::Binary& binary, const TimingOptions& timing);

  // Rounds of one cold sample of each, in a fresh seeded order each round, so that drift hits all alike.
  // Result [i][r] belongs to candidates[i]. No verification.
  struct Candidate {
    Configuration configuration;
    const device::Binary* binary;
  };
  std::vector<std::vector<Nanoseconds>> run_interleaved(const std::vector<Candidate>& candidates, int rounds,
                                                        CacheMode cache, std::uint64_t seed);

  const Problem& problem() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace warpwright::measure
