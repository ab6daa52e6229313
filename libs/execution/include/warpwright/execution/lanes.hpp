// Several devices in one pool of workers. A lane is a device with its worker, what runs and waits on it, what its runs
// race against, and how it fares; compile workers serve all lanes. Which lane gets which run is the caller's to decide.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/execution/evaluation.hpp>
#include <warpwright/execution/worker.hpp>
#include <warpwright/measure/timing.hpp>

namespace warpwright::execution {

// The readings that came with the results of a lane since its start. A run brings one, taken right after its samples;
// an absent value was never read.
struct LaneTelemetry {
  std::uint64_t readings = 0;         // runs that brought any
  std::uint64_t throttled = 0;        // those whose clock was held down
  std::optional<bool> power_limited;  // as the last task that watches the power found it
  std::optional<int> sm_clock_mhz;    // the last one
  std::optional<int> lowest_sm_clock_mhz, highest_sm_clock_mhz;
  std::optional<int> temperature_celsius;  // the last one
  std::optional<int> highest_temperature_celsius;
  std::vector<std::string> throttling;  // of the last reading: words for what held the clock down
};

struct LaneStatus {
  EvaluationInfo info;
  bool can_run = false, can_queue_run = false;  // as Evaluation's
  // Why the lane takes no more tasks: its device failed again and again. What it did before was delivered.
  std::optional<std::string> lost;
  int failures = 0;                             // of the device's worker, in a row
  std::uint64_t restarts = 0;                   // workers that took the place of one that was lost
  Nanoseconds restart_time{};                   // as Evaluation's
  std::optional<measure::Incumbent> incumbent;  // that the last racing run of this lane was given
  LaneTelemetry telemetry;
};

// One thread only. The functions of Evaluation that take no lane mean lane 0, but: can_compile() and compile() are for
// all lanes; wait() tells of all lanes, and returns nullopt when one of them was lost, too; it throws Error(device)
// when the last one is; restart_time() is the sum of all.
class LanePool : public Evaluation {
 public:
  virtual std::size_t lanes() const = 0;
  // The functions below throw Error(bad_input) for a lane that is not there.
  virtual LaneStatus lane(std::size_t index) const = 0;
  // To be called when the lane's status says can_run, run_on() also when it says can_queue_run; else
  // Error(internal). Ids are unique among all lanes.
  virtual void run_on(std::size_t index, RunTask task) = 0;
  virtual void interleave_on(std::size_t index, InterleaveTask task) = 0;
  // Of a lane that was lost: the run that waited behind the one that it failed at, and never began. Gives it once.
  virtual std::optional<RunTask> take_back(std::size_t index) = 0;
};

// A pool with a lane for each device of `devices`, in their order. They must be alike (backend, kind, name,
// architecture), as a binary that is compiled for the first runs on all, and each a device of its own; else and for
// none Error(bad_input). `clock` must outlive the pool; workers die with the thread that calls.
std::unique_ptr<LanePool> make_lane_pool(std::vector<DeviceInfo> devices, Problem problem, const Clock& clock,
                                         WorkerPoolOptions options);

}  // namespace warpwright::execution
