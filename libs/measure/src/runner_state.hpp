// What a ProblemRunner owns; shared by the files that implement it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <warpwright/measure/launch_sequence.hpp>
#include <warpwright/measure/problem_runner.hpp>
#include <warpwright/measure/verify.hpp>

#include "argument_buffers.hpp"
#include "device_compare.hpp"

namespace warpwright::measure {

// Attributes every moment to one of the three wall times of a RunResult, so that they add up to the whole.
class PhaseTimer {
 public:
  PhaseTimer(const Clock& clock, RunResult& result) : clock_(clock), current_(&result.copy), since_(clock.now()) {}
  void enter(Nanoseconds& phase) {
    stop();
    current_ = &phase;
  }
  void stop() {
    const Nanoseconds now = clock_.now();
    *current_ += now - since_;
    since_ = now;
  }

 private:
  const Clock& clock_;
  Nanoseconds* current_;
  Nanoseconds since_;
};

struct ProblemRunner::State {
  State(device::Context& context_used, device::Compiler& compiler_used, Problem problem_used, const Clock& clock_used,
        RunnerOptions options_used);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // An output to compare, and the bytes to poison it with: a second one where some right values look like the first.
  struct ExpectedOutput {
    const Output* output = nullptr;
    std::size_t slot = 0;
    DataType type = DataType::float32;  // of the buffer while the reference was computed
    // What is compared: the elements of the range, or their sum as an element of sum_type(type).
    std::vector<std::byte> data;
    Tolerance tolerance;
    std::unique_ptr<device::Buffer> on_device;  // the same, where outputs are compared on the device
    std::vector<std::uint8_t> poisons;
  };

  // The part of its buffer that an output is compared in.
  struct OutputRange {
    Bytes begin, size;
  };

  // What a reference finds in outputs that nobody wrote yet, and outside its buffers.
  struct Surroundings {
    bool second_poison = false;
    GuardBytes guards = GuardBytes::first;
  };

  // problem_runner.cpp
  void check_problem() const;
  void fit_baseline();
  LaunchSequence make_sequence(const Configuration& configuration, const Binary& binary);
  void attempt(const Configuration& configuration, const Binary& binary, const TimingOptions* timing,
               std::optional<LaunchSequence>& sequence, RunResult& result, PhaseTimer& timer);
  RunResult run(const Configuration& configuration, const Binary& binary, const TimingOptions* timing);
  // The median of a few runs with events between the launches; set up as samples are.
  std::vector<LaunchTime> time_launches(LaunchSequence& sequence, CacheMode cache);
  // Whether the clock says anything about the device's time.
  bool compares_with_host() const;
  // Null for warm samples.
  CacheFlusher* flusher_for(CacheMode cache);
  // Null on CPU devices, whose cores enqueue.
  CoverKernel* cover_kernel() { return cover ? &*cover : nullptr; }
  // Waits for the stream; an error is only logged.
  void drain() noexcept;

  // verification.cpp
  // Enqueues restored inputs, poisoned outputs and armed guards; `pass` chooses among an output's poisons.
  void set_up(std::size_t pass, GuardBytes guards, const std::optional<GuardPlace>& except = {});
  // Looks at guards and outputs after a run; leaves status ok or fills in what is wrong.
  // Under the configuration of `scope`, whose sizes the buffers have. Throws Error(bad_input) where it is not inside.
  OutputRange range_of(const Output& output, std::size_t slot, const Scope& scope) const;
  // Of what lies in the range: itself, or the sum.
  std::vector<std::byte> judged(const Output& output, std::span<const std::byte> range, DataType type) const;
  bool outputs_right(LaunchSequence& sequence, GuardBytes guards, RunResult& result, PhaseTimer& timer);
  bool verify(LaunchSequence& sequence, RunResult& result, PhaseTimer& timer);
  void find_outside_read(LaunchSequence& sequence, std::size_t pass, GuardBytes guards, RunResult& result,
                         PhaseTimer& timer);

  // reference.cpp
  void compute_reference();
  // Of the reference kernel. Throws Error(unsupported) where the reference is none.
  LaunchSequence make_reference_sequence();
  HostBuffers reference_on_device(const Configuration& configuration, const std::vector<Launch>& launches,
                                  const std::vector<std::string>& entries, const Binary& binary, Surroundings around);
  HostBuffers reference_from_files(const ReferenceNpy& reference, const Scope& scope);
  HostBuffers reference_from_callback(const ReferenceCallback& reference, bool second, const Scope& scope);
  HostBuffers reference_from_command(const ReferenceCommand& reference, const Scope& scope);
  // The range of each output, cut from whole buffers.
  HostBuffers ranges_of(HostBuffers whole, const Scope& scope) const;
  // `outputs` hold the range of each output.
  void accept_reference(HostBuffers outputs);
  DataType type_of(const std::string& argument) const { return buffers->type(buffers->find(argument).value()); }
  std::optional<std::string> first_difference(const HostBuffers& one, const HostBuffers& other) const;
  bool may_depend_on_guards(const HostBuffers& outputs) const;
  void compare_on_device();

  device::Context& context;
  device::Compiler& compiler;
  const Problem problem;
  const Clock& clock;
  const RunnerOptions options;
  std::unique_ptr<device::Stream> stream;
  std::unique_ptr<device::Event> run_begin, run_end;
  Nanoseconds verified_run{};  // device time of the fastest verifying run of the last verify()
  std::shared_ptr<CacheFlusher> flusher;
  std::optional<CoverKernel> cover;
  std::optional<ArgumentBuffers> buffers;
  std::vector<ExpectedOutput> expected;
  std::vector<ReferenceOutput> described;    // of `expected`
  std::unique_ptr<DeviceComparer> comparer;  // null: outputs are compared on the host
  bool reference_ready = false;
  Binary reference_binary;  // of a reference kernel
};

}  // namespace warpwright::measure
