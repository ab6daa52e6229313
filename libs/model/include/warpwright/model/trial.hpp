// The record of one configuration: whatever happened, it is data.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/model/configuration.hpp>

namespace warpwright {

// The one status vocabulary of the project.
enum class TrialStatus {
  ok,
  censored,  // stopped early as clearly slower; the time is a lower bound
  pruned,    // never launched: geometry or occupancy cannot fit the device
  compile_failed,
  compile_timed_out,
  resource_exceeded,  // the binary or launch needs more than the device has
  launch_failed,      // refused by the driver for another reason
  timed_out,          // ran into the run deadline
  crashed,            // the worker process died
  device_fault,       // illegal address, ECC, lost device
  wrong_result,
  not_finite,     // NaN or infinity where the reference has none
  out_of_bounds,  // wrote outside its buffers, or read there and used it
  nondeterministic
};
inline constexpr int trial_status_count = 14;
std::string_view to_string(TrialStatus status) noexcept;
std::optional<TrialStatus> parse_trial_status(std::string_view text);

// What the binary needs; absent where the compiler or driver does not tell.
struct KernelResources {
  std::string entry;
  std::optional<int> registers_per_thread;
  std::optional<Bytes> static_shared;
  std::optional<Bytes> dynamic_shared;
  std::optional<Bytes> local_per_thread;  // stack and spills
  std::optional<Bytes> constant;
  std::optional<int> max_threads_per_block;
  std::optional<int> barriers;  // named barriers of a block
  std::optional<Bytes> spill_stores,
      spill_loads;  // per thread, of registers that did not fit; part of local_per_thread
  // What every launch must have, in each dimension; absent where the launch chooses.
  std::optional<std::array<std::int64_t, 3>> required_block;    // threads of a block
  std::optional<std::array<std::int64_t, 3>> required_cluster;  // blocks of a cluster
  std::optional<int> max_cluster_blocks;                        // most blocks of a cluster that a launch may ask for
};

// What one launch of a configuration does to a multiprocessor: calculate_occupancy() with the resources of its binary.
struct LaunchOccupancy {
  std::string entry;
  int blocks_per_sm = 0;  // 0: the launch would fail
  int active_warps_per_sm = 0, max_warps_per_sm = 0;
  std::vector<std::string> limiting_factors;  // "registers", ...
  double occupancy() const {
    return max_warps_per_sm == 0 ? 0 : static_cast<double>(active_warps_per_sm) / max_warps_per_sm;
  }
};

// The first element that differs, and how many do.
struct Mismatch {
  std::string argument;
  std::uint64_t index = 0;
  std::string expected, found;  // printed with full precision
  std::uint64_t wrong = 0, total = 0;
};

// Where the time of a trial went. compile_cpu may overlap other trials; the others are wall time of the device worker.
struct TrialTimes {
  Nanoseconds compile_wall{}, compile_cpu{}, copy{}, verify{}, measure{};
};

// What one launch of a configuration takes of a run: device time between events before and after it, over all of its
// repeats; the median of a few runs of their own, which no sample contains. A launch that is left out has none.
struct LaunchTime {
  std::string entry;          // "stage/entry" where the launch belongs to a stage
  std::int64_t launches = 0;  // repeats
  Nanoseconds time{};
};

// The device while it was timed; absent where there is no telemetry. Nothing here is changed by measuring.
struct Conditions {
  std::optional<int> sm_clock_mhz, temperature_celsius;
  std::vector<std::string> throttling;  // words for what held the clock down; empty if nothing did
  // Change of the time from the first to the last sample, relative to the median, where it is no chance (trend()).
  std::optional<double> drift;
  // Cold samples only: the size of the last-level cache that the flush assumed, and who said so: as
  // DeviceInfo::l2_cache_source, or "measured", or "assumed".
  std::optional<Bytes> flushed_cache;
  std::string flushed_cache_source;
  // Words for how the samples came about where a reader should know (timing_marks in measure/timing.hpp); else empty.
  std::vector<std::string> marks;
  // Why the time cannot be true of this device, in one sentence; empty if nothing speaks against it. Such a trial is
  // never best.
  std::string impossible;
};

struct Trial {
  std::uint64_t ordinal = 0;  // position in the session, from 0
  Configuration configuration;
  TrialStatus status = TrialStatus::ok;
  std::vector<Nanoseconds> samples;   // every timed run, in order
  std::optional<Nanoseconds> median;  // of samples; absent unless status is ok or censored
  std::optional<Nanoseconds> bound;   // censored only: the least time it takes, the smallest sample
  Nanoseconds spread{};               // interquartile range of samples
  std::map<std::string, double> metrics;
  std::string message;  // one line: why the status is not ok
  std::string log;      // the compiler's log, possibly long
  std::vector<KernelResources> resources;
  std::vector<LaunchOccupancy> occupancy;  // of each launch, in order; empty where it is not known
  std::vector<LaunchTime> launch_times;    // of each launch that ran, in order; empty where they were not asked for
  std::optional<Mismatch> mismatch;
  Conditions conditions;
  TrialTimes times;
  bool binary_from_cache = false;
  std::string finished_at;  // UTC, ISO 8601
  // When it ended, since the start of the run of the session that measured it; absent where no session did.
  std::optional<Nanoseconds> since_start;

  bool ok() const { return status == TrialStatus::ok; }
};

}  // namespace warpwright
