// One device of a pool: its worker, the run under way and the one behind it, and the judgement whether failures are the
// device's or the configurations'. It has no processes, sockets or clocks of its own: those are its host's, so that the
// judgement can be tested without them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <warpwright/execution/evaluation.hpp>
#include <warpwright/execution/lanes.hpp>
#include <warpwright/execution/worker.hpp>
#include <warpwright/measure/problem_runner.hpp>
#include <warpwright/measure/timing.hpp>

#include "message_channel.hpp"
#include "worker_slot.hpp"

namespace warpwright::execution {

// What a lane asks of the pool that it is a part of.
class LaneHost {
 public:
  virtual Nanoseconds now() const = 0;
  // As now(), after what passed while everything stood still is forgiven: for times that begin.
  virtual Nanoseconds look() = 0;
  // Gives an idle worker a task.
  virtual void give(WorkerSlot& worker, std::uint64_t id, const Message& message, Nanoseconds deadline) = 0;
  // Another process for the slot. What fails is reported as a failed start.
  virtual void start_again(WorkerSlot& worker) = 0;
  virtual void complete(Completion completion) = 0;
  // What the lane can take may have changed without a completion.
  virtual void lane_changed() = 0;
  // The lane takes no more tasks.
  virtual void lane_lost(const std::string& why) = 0;

 protected:
  ~LaneHost() = default;
};

// One thread only. `options` and `host` must outlive it.
class DeviceLane {
 public:
  DeviceLane(DeviceInfo device, const WorkerPoolOptions& options, LaneHost& host);
  DeviceLane(const DeviceLane&) = delete;
  DeviceLane& operator=(const DeviceLane&) = delete;

  const DeviceInfo& device() const { return device_; }
  WorkerSlot& worker() { return worker_; }
  const WorkerSlot& worker() const { return worker_; }
  bool lost() const { return lost_.has_value(); }
  Nanoseconds restart_time() const { return restart_time_; }
  LaneStatus status() const;

  bool can_run() const { return worker_.state == WorkerSlot::State::idle; }
  // Behind the run under way.
  bool can_queue_run() const;
  void run(RunTask task);
  void interleave(InterleaveTask task);
  std::optional<RunTask> take_back();

  // What the worker said, with the state in which it may say that. Throw Error(corrupted) for a result of another task.
  void on_ready(EvaluationInfo info, bool pool_started);
  void on_ran(RunDone done);
  void on_interleaved(InterleaveDone done);
  // The worker is over, and its task with it, if it had one.
  void on_worker_lost(TrialStatus status, const std::string& text);
  // Ends the lane. The outcome that was held back is told.
  void give_up(const std::string& why);
  void forgive(Nanoseconds jump, Nanoseconds now);

 private:
  Nanoseconds deadline_of(const RunTask& task) const;
  void remember(RunTask task);
  void begin_queued();
  void on_proved(const measure::RunResult& result, bool right);
  void is_back();
  void prove();
  void finish(std::uint64_t id);
  void check_id(std::uint64_t id) const;
  void take_reading(const measure::RunResult& result);
  std::string failed_text() const;
  Completion failed_task(TrialStatus status, const std::string& text);

  DeviceInfo device_;
  const WorkerPoolOptions& options_;
  LaneHost& host_;
  WorkerSlot worker_;
  EvaluationInfo info_;
  bool interleaving_ = false, watches_power_ = false;  // of the task under way
  std::optional<RunTask> queued_;                      // behind the one that the device is busy with
  std::optional<Completion> held_;                     // of the run that the device failed at, until it is back
  std::optional<RunTask> last_run_, right_run_;
  int failures_ = 0;
  std::optional<std::string> lost_;
  std::optional<measure::Incumbent> incumbent_;
  std::uint64_t restarts_ = 0;
  Nanoseconds restart_begin_{}, restart_time_{};
  LaneTelemetry telemetry_;
};

}  // namespace warpwright::execution
