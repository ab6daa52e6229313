// Whose the time of a session is, when a device and compilers work side by side.
#include "../src/time_account.hpp"

#include <gtest/gtest.h>

#include "fake_evaluation.hpp"

namespace warpwright::tuning {
namespace {

TEST(TimeAccount, WorkBesideCompilersIsWaitingUnlessItKeptOneWaiting) {
  ManualClock clock;
  TimeAccount account(clock, {});
  account.enter(TimeAccount::Part::beside_compilers);
  clock.advance(Nanoseconds(100));
  account.settle(false);
  clock.advance(Nanoseconds(20));
  account.settle(true);
  clock.advance(Nanoseconds(3));
  const SessionTimes times = account.finish();
  EXPECT_EQ(times.compile_wait.count(), 100);
  EXPECT_EQ(times.tuner.count(), 23) << "what nobody settled is the tuner's";
  EXPECT_EQ(times.total.count(), 123);
}

// 20 of talking to the device delay nothing while it would have waited for compilers anyway.
TEST(TimeAccount, TalkingToADeviceWithNothingToDoIsWaitingUnlessItKeptACompilerWaiting) {
  for (const bool kept_waiting : {false, true}) {
    ManualClock clock;
    TimeAccount account(clock, {});
    account.enter(TimeAccount::Part::device);
    clock.advance(Nanoseconds(120));
    account.device_done(Nanoseconds(10), Nanoseconds(20), Nanoseconds(70), {}, TimeAccount::Next::compiling);
    account.enter(TimeAccount::Part::beside_compilers);
    account.settle(kept_waiting);
    const SessionTimes times = account.finish();
    EXPECT_EQ(times.tuner.count(), kept_waiting ? 20 : 0);
    EXPECT_EQ(times.compile_wait.count(), kept_waiting ? 0 : 20);
  }
}

TEST(TimeAccount, WhatIsLeftOfOneRunMayBeOfTheNext) {
  ManualClock clock;
  TimeAccount account(clock, {});
  account.enter(TimeAccount::Part::device);
  // The first result of 100 is seen 30 late, when the second run of 100 has begun; between both lay 5.
  clock.advance(Nanoseconds(130));
  account.device_done(Nanoseconds(10), Nanoseconds(20), Nanoseconds(70), {}, TimeAccount::Next::running);
  clock.advance(Nanoseconds(75));
  account.device_done(Nanoseconds(10), Nanoseconds(20), Nanoseconds(70), {}, TimeAccount::Next::held_up);
  const SessionTimes times = account.finish();
  EXPECT_EQ(times.measure.count(), 140);
  EXPECT_EQ(times.tuner.count(), 5);
}

}  // namespace
}  // namespace warpwright::tuning
