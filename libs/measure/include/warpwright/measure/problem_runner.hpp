// Runs configurations of one problem on one open device: owns the buffers, restores inputs, poisons outputs, launches,
// verifies and times. Used inside the device worker and, by library users, in their own process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/log.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/measure/sustained.hpp>
#include <warpwright/measure/timing.hpp>
#include <warpwright/measure/verify.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright::measure {

// Where outputs are compared with the reference. `automatic`: on GPUs with double arithmetic on the device, elsewhere
// on the host. The device only decides what is surely right; everything else is judged on the host, so both agree.
enum class CompareOn { automatic, host, device };

struct RunnerOptions {
  // Fresh inputs of the same distributions (0 = the specification's own).
  std::uint64_t input_salt = 0;
  // Whether a ReferenceCommand may run, for how long, and where its files go.
  bool allow_commands = false;
  Seconds command_deadline{600};
  std::filesystem::path scratch_folder = "/tmp";
  CompareOn compare_on = CompareOn::automatic;
  // What makes caches cold, shared by the runners of one context; null: the runner makes its own for its first cold
  // sample.
  std::shared_ptr<CacheFlusher> flusher = nullptr;
  // A simulated device's own clock was given, not the wall's.
  bool clock_is_devices = false;
  // Memory of the host that buffers and expected results may take; asked of the system if absent.
  std::optional<Bytes> host_memory = std::nullopt;
  LogSink log;
};

// What became of one configuration on the device; everything of Trial that the device side knows.
struct RunResult {
  TrialStatus status = TrialStatus::ok;
  std::vector<Nanoseconds> samples;      // empty unless the status is ok or censored
  std::vector<LaunchTime> launch_times;  // where TimingOptions asks for them and there are samples
  std::string message;                   // one line: why it is not
  std::optional<Mismatch> mismatch;
  std::vector<KernelResources> resources;
  // The message is a mistake of the specification that the first configuration shows (the launch does not fit the
  // kernel's parameter list, or a value cannot be passed), and no property of the configuration.
  bool specification_mistake = false;
  Conditions conditions;  // how the samples were taken; the device's state is filled in by whoever has telemetry
  // Wall time; the three add up to the whole call. Loading and every transfer count as copy.
  Nanoseconds copy{}, verify{}, measure{};
};

// One thread only. The problem's dimensions must already be those of the device (Problem::for_device).
class ProblemRunner {
 public:
  // Generates inputs and allocates buffers at the sizes of the baseline configuration, with guard zones of 4 KiB before
  // and behind each. Inputs are also kept pristine, on the device where it has room. A fill with
  // seed 0 gets a seed of its argument's position, so that two arguments do not hold the same data. Throws
  // Error(out_of_memory) with the sizes asked for where device or host lacks the memory, Error(bad_input) for bad sizes
  // and for an output whose size depends on a parameter. `context`, `compiler` and `clock` must outlive the runner.
  ProblemRunner(device::Context& context, device::Compiler& compiler, Problem problem, const Clock& clock,
                RunnerOptions options = {});
  ~ProblemRunner();

  // Computes the expected outputs. Throws Error(compile / launch / device / bad_input) if the reference itself fails or
  // leaves elements of an output unwritten, Error(bad_input) for a command that is not allowed or fails, Error(timeout)
  // if it does not end, Error(unsupported) for npy files with salted inputs.
  // A command gets its inputs as {dir}/NAME.npy, "{dir}" and "{dimension}" replaced in its words, runs in the folder of
  // the specification, and leaves each output as {dir}/NAME.npy. Without a reference in the problem this does nothing,
  // and of verification only the guard zones remain.
  void compute_reference();
  // Whether the problem has a reference (computed or not).
  bool has_reference() const;
  // What compute_reference() found out about each output; empty before it and without a reference.
  const std::vector<ReferenceOutput>& reference_outputs() const;
  // "kernel (independent)", "configuration (not independent)", "none", ... A reference kernel of the same source file
  // may share the mistakes of what it judges, and is not called independent.
  std::string reference_description() const;

  // One untimed run of the real geometry, for devices whose compiler works at the first launch (PoCL).
  RunResult run_once(const Configuration& configuration, const Binary& binary);

  // Restore, poison, launch, verify, time, and look at the outputs once more. Against timing.incumbent a verified but
  // hopelessly slow configuration is `censored` after its verifying run or a few samples. Never throws for what the
  // configuration did: launch refusals, wrong results and the like are statuses. Throws Error(device) when the context
  // is lost, Error(conflict) if the problem has a reference that was not computed, and what CacheFlusher's constructor
  // throws.
  RunResult run(const Configuration& configuration, const Binary& binary, const TimingOptions& timing);

  // Rounds of one sample of each, in a fresh seeded order each round, so that drift hits all alike. No verification.
  // With `with_reference` the reference kernel takes its turn in each round, as the last series of the result; throws
  // Error(unsupported) where the reference is no kernel, Error(conflict) where it was not computed.
  // Throws what loading and launching throw.
  struct Candidate {
    Configuration configuration;
    const Binary* binary;
  };
  struct Interleaved {
    std::vector<std::vector<Nanoseconds>> samples;  // [candidate][round]
    std::vector<std::vector<std::string>> marks;    // of each candidate: WorkTimer::marks()
  };
  Interleaved run_interleaved(const std::vector<Candidate>& candidates, int rounds, CacheMode cache, std::uint64_t seed,
                              bool with_reference = false);

  // The candidates at the power limit: sustained.hpp. estimates[i] is the time of a run of candidates[i], the least one
  // first. Cold runs are flushed before each where that is short against a run (largest_flush_share). No verification.
  // Throws what loading and launching throw.
  SustainedTimes run_sustained(const std::vector<Candidate>& candidates, const std::vector<Nanoseconds>& estimates,
                               CacheMode cache, const std::function<std::optional<bool>()>& power_limited,
                               const SustainedOptions& options);

  const Problem& problem() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace warpwright::measure
