#include "device_lane.hpp"

#include <algorithm>
#include <utility>

#include <warpwright/base/error.hpp>

#include "task_json.hpp"

namespace warpwright::execution {
namespace {

// A run at another size computes a reference of its own first.
bool is_fresh(const RunTask& task) { return !task.dimensions.empty() || task.input_salt != 0; }

}  // namespace

DeviceLane::DeviceLane(DeviceInfo device, const WorkerPoolOptions& options, LaneHost& host)
    : device_(std::move(device)), options_(options), host_(host) {
  worker_.lane = this;
}

LaneStatus DeviceLane::status() const {
  LaneStatus status;
  status.info = info_;
  status.can_run = can_run();
  status.can_queue_run = can_queue_run();
  status.lost = lost_;
  status.failures = failures_;
  status.restarts = restarts_;
  status.restart_time = restart_time_;
  status.incumbent = incumbent_;
  status.telemetry = telemetry_;
  return status;
}

bool DeviceLane::can_queue_run() const {
  return worker_.state == WorkerSlot::State::busy && worker_.process && worker_.task != proof_id && !interleaving_ &&
         !queued_ && !worker_.process->channel().has_unsent();
}

void DeviceLane::run(RunTask task) {
  if (task.timing.incumbent) incumbent_ = task.timing.incumbent;
  if (can_queue_run()) {
    try {
      worker_.process->channel().post(to_message(task));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::bad_input) throw;
      // The worker is gone. What is read from its channel says so, and the next one gets the task.
    }
    queued_ = std::move(task);
    return;
  }
  interleaving_ = false;
  const Nanoseconds deadline = deadline_of(task);
  host_.give(worker_, task.id, to_message(task), deadline);
  remember(std::move(task));
}

void DeviceLane::interleave(InterleaveTask task) {
  interleaving_ = true;
  watches_power_ = task.sustained.has_value();
  // A round of one configuration is one sample of a run, and a whole run with up to 30 of them kept to its deadline.
  const double series = static_cast<double>(task.configurations.size() + (task.with_reference ? 1 : 0));
  const double samples = series * std::max(1.0, task.rounds / 30.0);
  Nanoseconds deadline = options_.run_deadline * std::max(1.0, samples);
  // Blocks have a fixed length, and end after the run under way.
  if (task.sustained)
    deadline += 2 * (task.sustained->probe + task.sustained->settle +
                     task.sustained->block * task.sustained->rounds * static_cast<double>(task.configurations.size()));
  host_.give(worker_, task.id, to_message(task), deadline);
}

std::optional<RunTask> DeviceLane::take_back() {
  if (!lost_) return std::nullopt;
  return std::exchange(queued_, std::nullopt);
}

Nanoseconds DeviceLane::deadline_of(const RunTask& task) const {
  Nanoseconds deadline = options_.run_deadline;
  if (task.deadline.count() > 0) deadline = std::min(deadline, task.deadline);
  return is_fresh(task) ? deadline + options_.startup_deadline : deadline;
}

void DeviceLane::remember(RunTask task) {
  if (!is_fresh(task)) last_run_ = std::move(task);
}

// The worker has ended a run and goes on with the one that waits in its channel.
void DeviceLane::begin_queued() {
  if (!queued_) return;
  RunTask task = *std::exchange(queued_, std::nullopt);
  worker_.state = WorkerSlot::State::busy;
  worker_.task = task.id;
  worker_.begin = host_.look();
  worker_.deadline = worker_.begin + deadline_of(task);
  remember(std::move(task));
}

void DeviceLane::check_id(std::uint64_t id) const {
  if (id != worker_.task) throw Error(ErrorCode::corrupted, "the result of another task");
}

void DeviceLane::finish(std::uint64_t id) {
  check_id(id);
  worker_.state = WorkerSlot::State::idle;
}

void DeviceLane::on_ready(EvaluationInfo info, bool pool_started) {
  info_ = std::move(info);
  worker_.state = WorkerSlot::State::idle;
  worker_.attempts = 0;
  if (!pool_started) return;
  ++restarts_;
  if (failures_ >= options_.max_device_failures)
    prove();
  else
    is_back();
}

void DeviceLane::on_ran(RunDone done) {
  const bool right = done.result.status == TrialStatus::ok || done.result.status == TrialStatus::censored;
  if (worker_.task == proof_id) {
    check_id(done.id);
    on_proved(done.result, right);
    return;
  }
  if (right) {
    failures_ = 0;
    if (last_run_ && last_run_->id == done.id) right_run_ = std::move(last_run_);
  }
  finish(done.id);
  take_reading(done.result);
  host_.complete(std::move(done));
  begin_queued();
}

void DeviceLane::on_interleaved(InterleaveDone done) {
  failures_ = 0;
  finish(done.id);
  if (watches_power_ && done.status == TrialStatus::ok) telemetry_.power_limited = done.power_limited;
  host_.complete(std::move(done));
}

void DeviceLane::on_proved(const measure::RunResult& result, bool right) {
  if (!right) {
    give_up(failed_text() + ", and then also with a configuration that was right before: " + result.message);
    return;
  }
  failures_ = 0;
  is_back();
}

// The device works again: the outcome of the run that failed on it may be told.
void DeviceLane::is_back() {
  worker_.state = WorkerSlot::State::idle;
  restart_time_ += host_.now() - restart_begin_;
  if (held_) host_.complete(*std::exchange(held_, std::nullopt));
  host_.lane_changed();
  // The task behind the one that failed was lost with the worker.
  if (queued_) run(*std::exchange(queued_, std::nullopt));
}

// Runs what was right before, to tell a bad device from bad configurations.
void DeviceLane::prove() {
  RunTask task = *right_run_;
  task.id = proof_id;
  task.deadline = {};
  interleaving_ = false;
  host_.give(worker_, proof_id, to_message(task), options_.run_deadline);
}

void DeviceLane::on_worker_lost(TrialStatus status, const std::string& text) {
  const bool had_task = worker_.state == WorkerSlot::State::busy;
  worker_.end();
  restart_begin_ = host_.look();
  ++failures_;
  if (had_task && worker_.task == proof_id) {
    give_up(failed_text() + ", the last time with a configuration that was right before: " + text);
    return;
  }
  if (had_task) held_ = failed_task(status, text);
  if (failures_ >= options_.max_device_failures && !right_run_) {
    give_up(failed_text() + ": " + text);
    return;
  }
  host_.start_again(worker_);
}

void DeviceLane::give_up(const std::string& why) {
  if (lost_) return;
  worker_.end();
  if (held_) host_.complete(*std::exchange(held_, std::nullopt));
  lost_ = why;
  host_.lane_lost(why);
}

void DeviceLane::forgive(Nanoseconds jump, Nanoseconds now) {
  worker_.forgive(jump, now);
  restart_begin_ = std::min(restart_begin_ + jump, now);
}

void DeviceLane::take_reading(const measure::RunResult& result) {
  const Conditions& now = result.conditions;
  if (!now.sm_clock_mhz && !now.temperature_celsius && now.throttling.empty()) return;
  ++telemetry_.readings;
  if (!now.throttling.empty()) ++telemetry_.throttled;
  telemetry_.throttling = now.throttling;
  if (now.sm_clock_mhz) {
    const int clock = *now.sm_clock_mhz;
    telemetry_.sm_clock_mhz = clock;
    telemetry_.lowest_sm_clock_mhz = std::min(clock, telemetry_.lowest_sm_clock_mhz.value_or(clock));
    telemetry_.highest_sm_clock_mhz = std::max(clock, telemetry_.highest_sm_clock_mhz.value_or(clock));
  }
  if (now.temperature_celsius) {
    const int temperature = *now.temperature_celsius;
    telemetry_.temperature_celsius = temperature;
    telemetry_.highest_temperature_celsius =
        std::max(temperature, telemetry_.highest_temperature_celsius.value_or(temperature));
  }
}

std::string DeviceLane::failed_text() const {
  return "the device failed " + std::to_string(failures_) + " times without a good run in between";
}

Completion DeviceLane::failed_task(TrialStatus status, const std::string& text) {
  if (interleaving_) {
    InterleaveDone done;
    done.id = worker_.task;
    done.status = status;
    done.message = text;
    return done;
  }
  RunDone done;
  done.id = worker_.task;
  done.result.status = status;
  done.result.message = text;
  done.result.measure = host_.now() - worker_.begin;
  return done;
}

}  // namespace warpwright::execution
