#include <algorithm>
#include <array>
#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/cover_kernel.hpp>

#include "helper_kernel.hpp"

namespace warpwright::measure {
namespace {

constexpr const char* cover_entry = "warpwright_cover";

// CUDA C++ and OpenCL C. Marsaglia's xorshift never comes to 0 from another value, so that nothing is ever stored,
// which no compiler can know, nor can it shorten the chain.
constexpr const char* cover_source = R"(
#ifdef WARPWRIGHT_HELPER_OPENCL
#define KERNEL __kernel void
#define GLOBAL __global
#else
#define KERNEL extern "C" __global__ void
#define GLOBAL
#endif

KERNEL warpwright_cover(GLOBAL unsigned int* sink, unsigned int seed, unsigned int steps) {
  unsigned int x = seed;
  for (unsigned int i = 0; i < steps; ++i) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
  }
  if (x == 0) *sink = x;
}
)";
// The simulated device's own notation; six dependent instructions of 4 cycles each at its clock.
constexpr const char* simulated_cover = R"(
[kernels.warpwright_cover]
behaviour = "nothing"
arguments = ["uint32* sink", "uint32 seed", "uint32 steps"]
cost_ns = "2000 + 12 * steps"
)";

constexpr std::uint32_t cover_seed = 2463534242;
// A calibration begins with some 10 us and ends when it is long against a launch and the timer's resolution.
constexpr std::uint32_t first_steps = 1024, most_calibration_steps = 1 << 24;
constexpr Nanoseconds calibration_span{200e3};
// A step is at least three instructions that wait for one another: what takes less was not run, or was timed wrongly.
constexpr double least_step_ns = 1;
// Between the lowest and the highest clock of a device. Bounds what a wrong time of a cover can do to the next.
constexpr double most_clock_change = 8;

}  // namespace

CoverKernel::CoverKernel(device::Context& context, device::Compiler& compiler, LogSink log)
    : context_(context), compiler_(compiler), log_(std::move(log)) {}

CoverKernel::~CoverKernel() = default;

bool CoverKernel::ready(device::Stream& stream) {
  if (ready_) return *ready_;
  try {
    prepare(stream);
    ready_ = true;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::device) throw;
    ready_ = false;
    log_to(
        log_, LogLevel::warning,
        std::string("the kernel that keeps the device busy while launches are enqueued cannot be made; runs that are "
                    "shorter than their launch are measured at the rate of the host's launches, and marked "
                    "launch_bound: ") +
            error.what());
  }
  return *ready_;
}

void CoverKernel::prepare(device::Stream& stream) {
  HelperKernel helper =
      load_helper_kernel(context_, compiler_, {"cover", cover_entry, cover_source, simulated_cover, {}});
  module_ = std::move(helper.module);
  kernel_ = std::move(helper.kernel);
  sink_ = context_.allocate(Bytes{sizeof(std::uint32_t)});
  // What drivers make late is made by the first run.
  run(stream, 1);
  stream.synchronize();
  const auto begin = context_.create_event();
  const auto end = context_.create_event();
  for (std::uint32_t steps = first_steps; steps <= most_calibration_steps; steps *= 4) {
    // The shortest of three: what else runs on the device only makes it longer.
    Nanoseconds time{};
    for (int i = 0; i < 3; ++i) {
      stream.record(*begin);
      run(stream, steps);
      stream.record(*end);
      end->synchronize();
      const Nanoseconds once = end->elapsed_since(*begin);
      if (i == 0 || once < time) time = once;
    }
    step_ns_ = calibrated_step_ns_ = time.count() / steps;
    if (time >= calibration_span && step_ns_ >= least_step_ns) return;
  }
  throw Error(ErrorCode::unsupported, "its time does not grow with its steps");
}

void CoverKernel::run(device::Stream& stream, std::uint32_t steps) {
  const std::array<device::KernelArgument, 3> arguments{sink_.get(), device::ScalarArgument::of(cover_seed),
                                                        device::ScalarArgument::of(steps)};
  stream.launch(*kernel_, {}, arguments);
}

void CoverKernel::enqueue(device::Stream& stream, Nanoseconds length) {
  if (!ready_.value_or(false)) throw Error(ErrorCode::internal, "a cover was asked for that is not ready");
  // At most 400 million.
  last_steps_ = static_cast<std::uint32_t>(std::max(1.0, std::min(length, longest).count() / step_ns_));
  run(stream, last_steps_);
}

void CoverKernel::measured(Nanoseconds duration) {
  if (last_steps_ == 0) return;
  step_ns_ = std::clamp(duration.count() / last_steps_, calibrated_step_ns_ / most_clock_change,
                        calibrated_step_ns_ * most_clock_change);
}

}  // namespace warpwright::measure
