// Times that cannot be: below what the bytes or operations that a specification counts take on the device at best.
//
// A metric named as a rate ("GB/s", "TFLOP/s") whose value falls with the time as 1 / time says how many bytes or
// operations a run has. Bounds are those of the hardware and nothing tighter, because a time is only called impossible
// where it is: the bandwidth of the memory for the bytes that must cross it, the 128 bytes a clock that a
// multiprocessor of NVIDIA's can load for all of them, the tensor cores' rate for operations. Data that fits into the
// last-level cache need not cross the memory: of the bytes counted, at most the buffers' own sizes must (what is
// counted beyond was read again), less what the cache can hold before a run (warm) and still hold after it (dirty
// lines).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <warpwright/measure/timing.hpp>
#include <warpwright/model/device_info.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright::measure {

// What a metric's name says that it counts, and the factor to one: "GB/s" is 1e9 bytes, "GiB/s" 2^30 bytes, "TFLOP/s"
// and "TFLOPS" 1e12 operations, "B/s" and "FLOP/s" 1. nullopt for other names.
struct RateUnit {
  enum class Quantity { bytes, operations } quantity = Quantity::bytes;
  double factor = 1;
};
std::optional<RateUnit> parse_rate(std::string_view metric);

// Upper bounds of a device, absent where it does not tell enough. Per nanosecond.
struct PeakRates {
  std::optional<double> memory_bytes;  // memory clock x bus width x 2
  std::optional<double> loaded_bytes;  // NVIDIA: multiprocessors x 128 bytes x clock
  // NVIDIA: the fastest arithmetic there is for elements of 16 bits, and of 8 bits and less. A kernel may compute
  // in a narrower type than its arguments have.
  std::optional<double> operations_16_bit, operations_8_bit;
};
PeakRates peak_rates(const DeviceInfo& device);

// Why a run of `configuration` cannot have taken only `time`, in one sentence that names metric, rate and bound;
// nullopt if it can, or if nothing is known against it. Errors in metrics are nobody's here. Pure.
std::optional<std::string> impossible_time(const Problem& problem, const Configuration& configuration,
                                           const DeviceInfo& device, CacheMode cache, Nanoseconds time);

// Whether a trial may be called best: correct, and its time can be.
inline bool can_win(const Trial& trial) { return trial.ok() && trial.conditions.impossible.empty(); }

}  // namespace warpwright::measure
