#include "../src/device_lane.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <warpwright/base/error.hpp>

namespace warpwright::execution {
namespace {

using ::testing::HasSubstr;

// A pool without processes: its workers are idle as soon as they are started.
class FakeHost final : public LaneHost {
 public:
  Nanoseconds now() const override { return time; }
  Nanoseconds look() override { return time; }
  void give(WorkerSlot& worker, std::uint64_t id, const Message& message, Nanoseconds limit) override {
    worker.state = WorkerSlot::State::busy;
    worker.task = id;
    worker.begin = time;
    worker.deadline = time + limit;
    given.push_back(message);
  }
  void start_again(WorkerSlot& worker) override {
    ++starts;
    worker.state = WorkerSlot::State::starting;
  }
  void complete(Completion completion) override { completions.push_back(std::move(completion)); }
  void lane_changed() override { ++changes; }
  void lane_lost(const std::string& why) override { lost.push_back(why); }

  Nanoseconds time{};
  std::vector<Message> given;
  std::vector<Completion> completions;
  std::vector<std::string> lost;
  int starts = 0, changes = 0;
};

class DeviceLaneTest : public ::testing::Test {
 protected:
  DeviceLaneTest() {
    options_.max_device_failures = 3;
    options_.run_deadline = Nanoseconds(10e9);
    options_.startup_deadline = Nanoseconds(100e9);
    lane_.on_ready({}, false);
  }
  static RunTask task(std::uint64_t id) {
    RunTask task;
    task.id = id;
    return task;
  }
  static RunDone done(std::uint64_t id, TrialStatus status = TrialStatus::ok) {
    RunDone done;
    done.id = id;
    done.result.status = status;
    return done;
  }
  // The worker is lost with this task, and the next one comes up a second later.
  void fail(std::uint64_t id) {
    lane_.run(task(id));
    lane_.on_worker_lost(TrialStatus::crashed, "it crashed");
    if (lane_.lost()) return;
    host_.time += Nanoseconds(1e9);
    lane_.on_ready({}, true);
  }
  const RunDone& last() const { return std::get<RunDone>(host_.completions.back()); }

  WorkerPoolOptions options_;
  FakeHost host_;
  DeviceLane lane_{DeviceInfo{}, options_, host_};
};

TEST_F(DeviceLaneTest, ARunIsGivenAndItsResultTold) {
  EXPECT_TRUE(lane_.can_run());
  lane_.run(task(1));
  EXPECT_FALSE(lane_.can_run());
  EXPECT_EQ(host_.given.at(0).head.at("id"), 1);
  EXPECT_EQ(lane_.worker().deadline, options_.run_deadline);
  lane_.on_ran(done(1));
  EXPECT_EQ(last().id, 1u);
  EXPECT_TRUE(lane_.can_run());
  EXPECT_EQ(lane_.status().restarts, 0u);
}

TEST_F(DeviceLaneTest, ATaskHasItsOwnDeadline) {
  RunTask tight = task(1);
  tight.deadline = Nanoseconds(2e9);
  lane_.run(std::move(tight));
  EXPECT_EQ(lane_.worker().deadline, Nanoseconds(2e9));
  lane_.on_ran(done(1));
  RunTask fresh = task(2);
  fresh.input_salt = 7;
  lane_.run(std::move(fresh));
  EXPECT_EQ(lane_.worker().deadline, options_.run_deadline + options_.startup_deadline) << "it computes a reference";
}

TEST_F(DeviceLaneTest, TheResultOfAnotherTaskIsNone) {
  lane_.run(task(1));
  EXPECT_THROW(lane_.on_ran(done(2)), Error);
  EXPECT_THROW(lane_.on_interleaved({}), Error);
  EXPECT_TRUE(host_.completions.empty());
}

// Who is told of a failure would give the next run to a device that is not back.
TEST_F(DeviceLaneTest, AFailureIsToldWhenTheDeviceIsBack) {
  lane_.run(task(1));
  host_.time = Nanoseconds(3e9);
  lane_.on_worker_lost(TrialStatus::timed_out, "it hangs");
  EXPECT_TRUE(host_.completions.empty());
  EXPECT_EQ(host_.starts, 1);
  EXPECT_FALSE(lane_.can_run());
  host_.time = Nanoseconds(5e9);
  lane_.on_ready({}, true);
  EXPECT_EQ(last().result.status, TrialStatus::timed_out);
  EXPECT_EQ(last().result.measure, Nanoseconds(3e9));
  EXPECT_EQ(host_.changes, 1);
  EXPECT_TRUE(lane_.can_run());
  const LaneStatus status = lane_.status();
  EXPECT_EQ(status.failures, 1);
  EXPECT_EQ(status.restarts, 1u);
  EXPECT_EQ(status.restart_time, Nanoseconds(2e9));
}

TEST_F(DeviceLaneTest, FailuresWithoutAGoodRunEndTheLane) {
  for (std::uint64_t id = 1; id <= 3; ++id) {
    EXPECT_FALSE(lane_.lost());
    fail(id);
  }
  ASSERT_TRUE(lane_.lost());
  EXPECT_EQ(host_.lost,
            (std::vector<std::string>{"the device failed 3 times without a good run in between: it crashed"}));
  EXPECT_EQ(lane_.status().lost, host_.lost.front());
  EXPECT_EQ(last().id, 3u) << "what it did before is told";
  EXPECT_EQ(host_.completions.size(), 3u);
  EXPECT_FALSE(lane_.can_run());
  lane_.give_up("again");
  EXPECT_EQ(host_.lost.size(), 1u);
}

TEST_F(DeviceLaneTest, AGoodRunInBetweenEndsTheStreak) {
  for (std::uint64_t id = 1; id < 20; id += 2) {
    fail(id);
    lane_.run(task(id + 1));
    lane_.on_ran(done(id + 1, TrialStatus::censored));
    EXPECT_EQ(lane_.status().failures, 0);
  }
  EXPECT_FALSE(lane_.lost());
}

// A region of bad configurations is no bad device.
TEST_F(DeviceLaneTest, WhatWasRightBeforeTellsABadDeviceFromBadConfigurations) {
  lane_.run(task(1));
  lane_.on_ran(done(1));
  for (std::uint64_t id = 2; id <= 4; ++id) fail(id);
  EXPECT_FALSE(lane_.can_run()) << "it is being proved";
  EXPECT_EQ(host_.given.back().head.at("id"), proof_id);
  EXPECT_EQ(last().id, 3u) << "the last failure is not told yet";
  lane_.on_ran(done(proof_id));
  EXPECT_EQ(last().id, 4u);
  EXPECT_EQ(last().result.status, TrialStatus::crashed);
  EXPECT_TRUE(lane_.can_run());
  EXPECT_FALSE(lane_.lost());
  for (std::uint64_t id = 5; id <= 7; ++id) fail(id);
  lane_.on_ran(done(proof_id, TrialStatus::wrong_result));
  ASSERT_TRUE(lane_.lost());
  EXPECT_THAT(host_.lost.at(0), HasSubstr("and then also with a configuration that was right before"));
  EXPECT_EQ(last().id, 7u);
}

TEST_F(DeviceLaneTest, AProofThatFailsEndsTheLane) {
  lane_.run(task(1));
  lane_.on_ran(done(1));
  for (std::uint64_t id = 2; id <= 4; ++id) fail(id);
  lane_.on_worker_lost(TrialStatus::crashed, "it crashed again");
  ASSERT_TRUE(lane_.lost());
  EXPECT_THAT(host_.lost.at(0),
              HasSubstr("the last time with a configuration that was right before: it crashed again"));
  EXPECT_EQ(last().id, 4u) << "not the proof, which nobody asked for";
}

TEST_F(DeviceLaneTest, AnInterleavedTaskFailsAsOne) {
  InterleaveTask interleave;
  interleave.id = 8;
  lane_.interleave(std::move(interleave));
  lane_.on_worker_lost(TrialStatus::crashed, "it crashed");
  lane_.on_ready({}, true);
  EXPECT_EQ(std::get<InterleaveDone>(host_.completions.back()).id, 8u);
}

TEST_F(DeviceLaneTest, KeepsTheIncumbentOfItsRaces) {
  EXPECT_FALSE(lane_.status().incumbent);
  RunTask racing = task(1);
  racing.timing.incumbent = measure::Incumbent{Nanoseconds(10), Nanoseconds(11), 0.5};
  lane_.run(std::move(racing));
  lane_.on_ran(done(1));
  lane_.run(task(2));
  lane_.on_worker_lost(TrialStatus::crashed, "");
  lane_.on_ready({}, true);
  ASSERT_TRUE(lane_.status().incumbent) << "it is the device's, not the worker's";
  EXPECT_EQ(lane_.status().incumbent->median, Nanoseconds(10));
}

TEST_F(DeviceLaneTest, CollectsTheReadingsOfItsRuns) {
  const auto run = [&](std::uint64_t id, std::optional<int> clock, std::optional<int> temperature,
                       std::vector<std::string> throttling) {
    lane_.run(task(id));
    RunDone ran = done(id);
    ran.result.conditions.sm_clock_mhz = clock;
    ran.result.conditions.temperature_celsius = temperature;
    ran.result.conditions.throttling = std::move(throttling);
    lane_.on_ran(std::move(ran));
  };
  run(1, {}, {}, {});
  EXPECT_EQ(lane_.status().telemetry.readings, 0u);
  run(2, 1500, 60, {});
  run(3, 1980, {}, {"power cap"});
  run(4, 1700, 55, {});
  const LaneTelemetry telemetry = lane_.status().telemetry;
  EXPECT_EQ(telemetry.readings, 3u);
  EXPECT_EQ(telemetry.throttled, 1u);
  EXPECT_EQ(telemetry.sm_clock_mhz, 1700);
  EXPECT_EQ(telemetry.lowest_sm_clock_mhz, 1500);
  EXPECT_EQ(telemetry.highest_sm_clock_mhz, 1980);
  EXPECT_EQ(telemetry.temperature_celsius, 55);
  EXPECT_EQ(telemetry.highest_temperature_celsius, 60);
  EXPECT_TRUE(telemetry.throttling.empty());
  EXPECT_FALSE(telemetry.power_limited);
  InterleaveTask sustained;
  sustained.id = 5;
  sustained.sustained.emplace();
  lane_.interleave(std::move(sustained));
  InterleaveDone watched;
  watched.id = 5;
  watched.power_limited = true;
  lane_.on_interleaved(std::move(watched));
  EXPECT_EQ(lane_.status().telemetry.power_limited, true);
}

TEST_F(DeviceLaneTest, ATimeInWhichNobodyWorkedIsForgiven) {
  lane_.run(task(1));
  host_.time = Nanoseconds(3600e9);
  lane_.forgive(Nanoseconds(3599e9), host_.time);
  EXPECT_EQ(lane_.worker().begin, Nanoseconds(3599e9));
  EXPECT_EQ(lane_.worker().deadline, Nanoseconds(3609e9));
}

}  // namespace
}  // namespace warpwright::execution
