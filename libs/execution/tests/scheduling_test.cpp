#include "../src/scheduling.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <sched.h>
#include <thread>

namespace warpwright::execution {
namespace {

int policy() { return ::sched_getscheduler(0); }

bool set_policy(int wanted) {
  const sched_param none{};
  return ::sched_setscheduler(0, wanted, &none) == 0;
}

// Each in a thread of its own, whose policy ends with it.
template <class Body>
void in_a_thread(Body body) {
  std::thread(body).join();
}

TEST(Scheduling, AThreadDefersWhileTheObjectLives) {
  in_a_thread([] {
    if (policy() != SCHED_OTHER) GTEST_SKIP() << "the test itself does not run with the ordinary policy";
    {
      const DeferringThread deferring;
      EXPECT_EQ(policy(), SCHED_BATCH);
    }
    EXPECT_EQ(policy(), SCHED_OTHER);
  });
}

TEST(Scheduling, AnotherThreadMayEndIt) {
  in_a_thread([] {
    if (policy() != SCHED_OTHER) GTEST_SKIP() << "the test itself does not run with the ordinary policy";
    auto deferring = std::make_unique<DeferringThread>();
    std::thread([&] { deferring.reset(); }).join();
    EXPECT_EQ(policy(), SCHED_OTHER);
  });
}

TEST(Scheduling, WhatSomebodyChoseIsLeftAlone) {
  in_a_thread([] {
    if (!set_policy(SCHED_IDLE)) GTEST_SKIP() << "the system does not allow SCHED_IDLE";
    {
      const DeferringThread deferring;
      EXPECT_EQ(policy(), SCHED_IDLE);
    }
    EXPECT_EQ(policy(), SCHED_IDLE);
  });
}

}  // namespace
}  // namespace warpwright::execution
