// Which step of a search is next, without a strategy, an evaluation or time.
#include "../src/trial_schedule.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <vector>

#include <warpwright/base/rng.hpp>

namespace warpwright::tuning {
namespace {

constexpr Room all_room{true, true, true};
constexpr Nanoseconds millisecond{1e6};

std::uint64_t begin(TrialSchedule& schedule) {
  TrialSchedule::Item item;
  item.index = 100 + schedule.asked();
  item.trial.ordinal = schedule.ask();
  const std::uint64_t ordinal = item.trial.ordinal;
  schedule.compile(std::move(item));
  return ordinal;
}

TEST(TrialSchedule, AConfigurationGoesFromTheCompilerToTheDevice) {
  TrialSchedule schedule(std::nullopt);
  EXPECT_TRUE(schedule.empty());
  EXPECT_FALSE(schedule.wants_run(all_room));
  const std::uint64_t first = begin(schedule);
  EXPECT_EQ(schedule.compiling(), 1u);
  EXPECT_FALSE(schedule.wants_run(all_room)) << "it is not compiled";
  ASSERT_NE(schedule.compiled(first, millisecond), nullptr);
  EXPECT_EQ(schedule.compiling(), 0u);
  EXPECT_FALSE(schedule.waiting()) << "whether it can run is for others to say";
  schedule.make_ready(first);
  EXPECT_TRUE(schedule.waiting());
  EXPECT_FALSE(schedule.wants_run({true, false, true})) << "an idle device takes no second run";
  ASSERT_TRUE(schedule.wants_run(all_room));
  EXPECT_EQ(schedule.run().index, 100u);
  EXPECT_FALSE(schedule.device_idle());
  ASSERT_NE(schedule.ran(first, millisecond), nullptr);
  EXPECT_TRUE(schedule.device_idle());
  EXPECT_EQ(schedule.remove(first).trial.ordinal, first);
  EXPECT_TRUE(schedule.empty());
}

TEST(TrialSchedule, TheBudgetCountsWhatWasKeptAndOrdinalsAreFree) {
  TrialSchedule schedule(4);
  schedule.keep(1);
  schedule.keep(2);
  EXPECT_EQ(schedule.ask(), 0u);
  EXPECT_TRUE(schedule.may_ask());
  EXPECT_EQ(schedule.ask(), 3u);
  EXPECT_FALSE(schedule.may_ask());
  EXPECT_TRUE(schedule.budget_spent());
  TrialSchedule endless(std::nullopt);
  EXPECT_TRUE(endless.may_ask());
  endless.end();
  EXPECT_FALSE(endless.may_ask());
  EXPECT_FALSE(endless.budget_spent());
}

TEST(TrialSchedule, NoMoreIsUnderWayThanKeepsTheDeviceBusy) {
  TrialSchedule schedule(std::nullopt);
  // A device that takes twice as long as a compiler: 2 x 1/2, and three.
  const std::uint64_t first = begin(schedule);
  schedule.compiled(first, millisecond);
  schedule.make_ready(first);
  schedule.run();
  schedule.ran(first, millisecond * 2);
  schedule.remove(first);
  std::size_t under_way = 0;
  while (schedule.wants_more(all_room)) {
    begin(schedule);
    ++under_way;
  }
  EXPECT_EQ(under_way, 4u);
  EXPECT_FALSE(schedule.wants_more({false, true, true}));
}

TEST(TrialSchedule, NothingIsQueuedBehindALongRun) {
  TrialSchedule schedule(std::nullopt);
  for (const Nanoseconds time : {millisecond, Nanoseconds(2e9)}) {
    std::vector<std::uint64_t> three{begin(schedule), begin(schedule), begin(schedule)};
    for (const std::uint64_t ordinal : three) {
      schedule.compiled(ordinal, millisecond);
      schedule.make_ready(ordinal);
    }
    schedule.run();
    schedule.ran(three[0], time);
    ASSERT_TRUE(schedule.wants_run(all_room));
    schedule.run();
    EXPECT_EQ(schedule.wants_run(all_room), time == millisecond);
    schedule.run();
    schedule.ran(three[1], time);
    schedule.ran(three[2], time);
    for (const std::uint64_t ordinal : three) schedule.remove(ordinal);
  }
}

TEST(TrialSchedule, ACpuCompilesABatchAndThenMeasuresIt) {
  TrialSchedule schedule(std::nullopt, TrialSchedule::Sharing::alternating);
  std::vector<std::uint64_t> batch;
  while (schedule.wants_more(all_room) && batch.size() < 100) {
    batch.push_back(begin(schedule));
    schedule.compiled(batch.back(), millisecond);
    schedule.make_ready(batch.back());
  }
  EXPECT_EQ(batch.size(), 8u);
  const std::uint64_t late = begin(schedule);
  EXPECT_FALSE(schedule.wants_run(all_room)) << "one is being compiled";
  schedule.compiled(late, millisecond);
  schedule.skip_device();
  schedule.remove(late);
  ASSERT_TRUE(schedule.wants_run(all_room));
  schedule.run();
  EXPECT_FALSE(schedule.wants_more(all_room)) << "the device is measuring";
}

TEST(TrialSchedule, AfterItsEndNothingBeginsAndWhatWasDroppedIsNoItem) {
  TrialSchedule schedule(std::nullopt);
  const std::uint64_t compiling = begin(schedule), ready = begin(schedule);
  schedule.compiled(ready, millisecond);
  schedule.make_ready(ready);
  schedule.close();
  EXPECT_FALSE(schedule.wants_run(all_room));
  schedule.drop();
  EXPECT_TRUE(schedule.empty());
  EXPECT_EQ(schedule.compiled(compiling, millisecond), nullptr);
}

TEST(TrialSchedule, WithoutCompilersOneFollowsTheOther) {
  TrialSchedule schedule(3, TrialSchedule::Sharing::direct);
  constexpr Room room{false, true, false};
  for (std::uint64_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(schedule.wants_more(room));
    ASSERT_TRUE(schedule.may_ask());
    TrialSchedule::Item item;
    item.trial.ordinal = schedule.ask();
    schedule.make_ready(std::move(item));
    EXPECT_FALSE(schedule.wants_more(room));
    ASSERT_TRUE(schedule.wants_run(room));
    EXPECT_EQ(schedule.run().trial.ordinal, i);
    schedule.ran(i, millisecond);
    schedule.remove(i);
    if (i == 1) schedule.refund();  // it was worth nothing
  }
  EXPECT_FALSE(schedule.may_ask());
}

// Whatever the order in which compilers and the device end: nothing is lost, nothing runs twice, and the device never
// has more than it has room for.
TEST(TrialSchedule, AnyOrderOfStepsRunsEverythingOnce) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const auto sharing = rng.below(2) == 0 ? TrialSchedule::Sharing::beside : TrialSchedule::Sharing::alternating;
    const std::size_t compilers = 1 + rng.below(6), places = 1 + rng.below(2);
    TrialSchedule schedule(60, sharing);
    std::vector<std::uint64_t> compiling, running;
    std::set<std::uint64_t> ended;
    while (schedule.may_ask() || !schedule.empty()) {
      const Room room{compiling.size() < compilers, running.empty(), running.size() == 1 && places == 2};
      if (schedule.wants_run(room)) {
        const TrialSchedule::Item& item = schedule.run();
        running.push_back(item.trial.ordinal);
        ASSERT_LE(running.size(), places);
        if (sharing == TrialSchedule::Sharing::alternating) {
          ASSERT_TRUE(compiling.empty());
        }
      } else if (schedule.may_ask() && schedule.wants_more(room) && rng.below(4) > 0) {
        compiling.push_back(begin(schedule));
      } else if (!compiling.empty() && (running.empty() || rng.below(2) == 0)) {
        const auto at = compiling.begin() + static_cast<std::ptrdiff_t>(rng.below(compiling.size()));
        const std::uint64_t ordinal = *at;
        compiling.erase(at);
        ASSERT_NE(schedule.compiled(ordinal, millisecond * (1 + rng.uniform())), nullptr);
        if (rng.below(5) > 0) {
          schedule.make_ready(ordinal);
        } else {
          schedule.skip_device();
          schedule.remove(ordinal);
          ASSERT_TRUE(ended.insert(ordinal).second);
        }
      } else if (!running.empty()) {
        const std::uint64_t ordinal = running.front();
        running.erase(running.begin());
        ASSERT_NE(schedule.ran(ordinal, millisecond * rng.uniform()), nullptr);
        schedule.remove(ordinal);
        ASSERT_TRUE(ended.insert(ordinal).second);
      } else {
        ASSERT_TRUE(schedule.may_ask() && schedule.wants_more(room)) << "nothing can go on";
      }
    }
    EXPECT_EQ(ended.size(), 60u);
    EXPECT_TRUE(schedule.device_idle());
  }
}

}  // namespace
}  // namespace warpwright::tuning
