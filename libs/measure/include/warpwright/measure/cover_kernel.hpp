// Keeping the device busy while the host enqueues, where launches take the host longer than the device needs for them.
//
// Method: one block of one thread goes through a chain of dependent arithmetic in registers, as many steps as its
// calibration says fill the time asked for. What is enqueued behind it has all been handed over when it ends, so that
// the device runs it back to back. It reads and writes no memory, so caches stay as they are (a flush, the other way to
// keep a device busy, empties them). NVBench's blocking kernel, which spins on a flag of the host until the host is
// done, was rejected: it hangs where anything that the host calls waits for the device, as a full queue does. This one
// always ends, and whether it was long enough is seen afterwards.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include <warpwright/base/log.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/device/compiler.hpp>
#include <warpwright/device/context.hpp>

namespace warpwright::measure {

// One thread only. `context` and `compiler` must outlive the object.
class CoverKernel {
 public:
  // No cover is longer, whatever is asked for: a device that also drives a display stays usable.
  static constexpr Nanoseconds longest{50e6};

  // Does nothing yet: most sessions need no cover.
  CoverKernel(device::Context& context, device::Compiler& compiler, LogSink log = {});
  ~CoverKernel();
  CoverKernel(const CoverKernel&) = delete;
  CoverKernel& operator=(const CoverKernel&) = delete;

  // Whether covers can be enqueued. The first call compiles, runs and calibrates the kernel, which takes some
  // milliseconds beside the compiler, and waits; where that fails the log gets one warning, and the answer stays false.
  // Throws Error(device) when the context is lost.
  bool ready(device::Stream& stream);

  // Enqueues about `length` of device time, at most `longest`. ready() must have been true.
  void enqueue(device::Stream& stream, Nanoseconds length);
  // What the last cover enqueued took on the device: the clock may have changed since the calibration.
  void measured(Nanoseconds duration);

 private:
  void prepare(device::Stream& stream);
  void run(device::Stream& stream, std::uint32_t steps);

  device::Context& context_;
  device::Compiler& compiler_;
  LogSink log_;
  std::unique_ptr<device::Module> module_;
  std::unique_ptr<device::Kernel> kernel_;
  std::unique_ptr<device::Buffer> sink_;
  std::optional<bool> ready_;
  double calibrated_step_ns_ = 0, step_ns_ = 0;  // device time of one step
  std::uint32_t last_steps_ = 0;
};

}  // namespace warpwright::measure
