// A simulated device: the whole library runs and is tested on it, with exact times, chosen faults and no hardware.
//
// Method: a discrete-event simulation per context. Streams are queues over three engines (kernels and copies on the
// device, copies to the device, copies to the host); a command waits for its predecessor in its stream, for its engine,
// and for the events its stream waits for. Nothing waits in real time: the clock is virtual, each call of the host
// costs it a fixed time, and waiting sets it forward. Bytes move when the virtual clock says so and not before: the
// destination of a copy is poisoned when the copy starts and filled when it ends, and a source that changed in between
// is an error, so a missing synchronisation gives wrong bytes in every run in which it matters, not by luck. A copy to
// the device runs at `duplex_factor` of its own speed while a copy to the host is active, which is unaffected; kernels
// of different streams follow one another. Figures of the default device were measured on an H100 (PCIe 5.0).
//
// The "source" of a simulated kernel is TOML:
//
//   [symbols]                            # module-scope variables: name = bytes
//   coefficients = 64
//
//   [kernels.vector_add]                 # the entry
//   behaviour = "vector_add"             # what it does (see behaviour.hpp); by default the entry's own name
//   arguments = ["float32* c", "float32* a", "float32* b", "int32 n"]   # by default those of the behaviour
//   output = "c"                         # the buffer that the faults damage; by default the first
//   elements = "n"                       # of the output that the kernel writes; by default all of the buffer
//   cost_ns = "2000 + n / (BLOCK_X * items)"   # device time; default 1000
//   noise = 0.02                         # relative standard deviation of the cost (log-normal, seeded); default 0
//   registers = "16 + 2 * items"         # per thread; default 32
//   static_shared = "tile * tile * 4"    # bytes; default 0
//   compile_ms = 5                       # real time the compiler takes; default 0
//   compile_error_if = "tile == 3"       # the compiler refuses the source
//   hang_compile_if = ...                # the compiler never ends (in real time)
//   crash_compile_if = ...               # the process aborts while it compiles
//   launch_refused_if = ...              # Error(launch)
//   crash_if = ...                       # the process aborts while it launches
//   hang_if = ...                        # the kernel never ends; whoever waits for it waits for ever, in real time
//   device_fault_if = ...                # Error(device) when waited for; the context is lost
//   wrong_if = ...                       # one element of the output is off
//   nondeterministic_if = ...            # one element is off in every second launch
//   nan_if = ...                         # one element is NaN
//   partial_if = ...                     # the second half of the output is not written
//   out_of_bounds_if = ...               # the element behind the last one is overwritten
//
// Values are numbers or expressions (model/expression.hpp). `registers`, `static_shared` and the keys of compiling may
// name the job's definitions; the others also BLOCK_X to BLOCK_Z, GRID_X to GRID_Z, SHARED (dynamic bytes) and the
// declared scalar arguments. A mistake in the text is a compile error that names line and key.
//
// Limits are enforced as a driver does: threads, shared memory with opt-in, registers of a block, memory. Graphs,
// symbols, cooperative launches and clusters are supported. Pinned buffers are ordinary page-aligned memory.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/sim/behaviour.hpp>

namespace warpwright::sim {

// One scripted failure: the `nth` call of that kind in a context fails, or all from the `nth` on.
struct Fault {
  enum class Call {
    allocate,
    allocate_pinned,
    pin_host_memory,
    load,
    record_graph,
    copy_to_device,
    copy_to_host,
    copy_on_device,
    fill,
    launch,
    record,
    wait,
    synchronize
  };
  Call call = Call::launch;
  int nth = 1;
  bool repeat = false;
  // ErrorCode::device loses the context. ErrorCode::timeout does not throw: what the call enqueues never ends.
  ErrorCode code = ErrorCode::device;
};

// Shaped like an H100: 132 SMs, 1024 threads per block, 48 KiB of shared memory per block, 227 KiB with opt-in.
DeviceInfo default_device();

struct Options {
  int devices = 1;                       // sim:0, sim:1, ...
  DeviceInfo device = default_device();  // of each; the id is replaced
  // False: only times are simulated, buffers have no bytes, and memory of any size costs none.
  bool move_bytes = true;
  std::uint64_t seed = 1;       // of the noise
  Nanoseconds host_call{1000};  // host time of each call; 10 calls of a pipeline step took 10-12 us
  // Device time before each launch that belongs to no command: what drivers do there. NVIDIA's OpenCL takes 2.3 us more
  // between two kernels than CUDA does (H200). None within a graph.
  Nanoseconds between_launches{0};
  Nanoseconds copy_latency{2500};  // of each copy, beside its bytes
  // Bytes per nanosecond (GB/s). Copies from memory that is not pinned are slower and block the host.
  double to_device_rate = 55.05, to_host_rate = 55.16;
  double pageable_to_device_rate = 7.6, pageable_to_host_rate = 10.0;
  double device_rate = 2912;  // read plus written, on the device
  // What a launch pays for each MiB of dirty lines that it evicts from the last-level cache (info.l2_cache), on top of
  // its own cost; 0: dirty lines cost nothing. Fills and copies on the device leave lines dirty; replacement is random,
  // so that touching b bytes evicts a share of 1 - exp(-b / cache) of what was there; a launch touches all its buffers
  // once. With 160 ns this gives the extra times measured on an H200 after a flush that only writes (2.3, 6.0 and 8.4
  // us for readers of 20, 64 and 256 MiB) within 10 %.
  Nanoseconds write_back_per_mebibyte{0};
  double duplex_factor = 0.82;                  // see above; 1 = the directions do not disturb each other
  Nanoseconds pin_per_mebibyte{580e3};          // host time of allocate_pinned()
  Nanoseconds register_per_mebibyte{580e3};     // host time of pin_host_memory(); taken as dear as allocate_pinned()
  std::map<std::string, Behaviour> behaviours;  // beside the built-in ones, which they replace where names are equal
  std::vector<Fault> faults;
  // A factor on the cost of a launch, asked at each: a clock that something holds down. Empty: 1. The view has no
  // bytes. Called from one thread at a time.
  std::function<double(const LaunchView&)> slowdown;
  // What Telemetry::sample() gives; empty: the backend has no telemetry. Called from any thread.
  std::function<device::TelemetrySample()> telemetry;
};

std::unique_ptr<device::Backend> make_backend();
std::unique_ptr<device::Backend> make_backend(Options options);

// The virtual time of the host of a simulated context, which must outlive the clock. Reading it costs no time. Throws
// Error(bad_input) if `context` is not simulated.
std::unique_ptr<Clock> virtual_clock(device::Context& context);

}  // namespace warpwright::sim
