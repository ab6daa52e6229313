#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/validate/load.hpp>
#include <warpwright/validate/verdict.hpp>

#include "virtual_load.hpp"

namespace warpwright::validate {
namespace {

using test::contract_of;
using test::count_above;
using test::VirtualLoadClock;

constexpr Nanoseconds ms{1e6};
constexpr Nanoseconds never{std::numeric_limits<double>::infinity()};

TEST(Schedule, OfOneSeedIsAlwaysTheSameAndOfEachRepeatAnother) {
  Contract contract = contract_of(LoadKind::poisson, 100, 1000, ms);
  const Schedule first = make_schedule(contract, 0);
  EXPECT_EQ(first.arrivals, make_schedule(contract, 0).arrivals);
  EXPECT_NE(first.arrivals, make_schedule(contract, 1).arrivals);
  contract.seed = 2;
  EXPECT_NE(first.arrivals, make_schedule(contract, 0).arrivals);
}

TEST(Schedule, OfPoissonHasExponentialGaps) {
  Contract contract = contract_of(LoadKind::poisson, 1000, 100'000, ms);
  const Schedule schedule = make_schedule(contract, 0);
  ASSERT_EQ(schedule.counted(), 100'000u);
  EXPECT_TRUE(std::is_sorted(schedule.arrivals.begin(), schedule.arrivals.end()));
  double sum = 0, squares = 0;
  std::size_t longer = 0;
  for (std::size_t i = 1; i < schedule.arrivals.size(); ++i) {
    const double gap = (schedule.arrivals[i] - schedule.arrivals[i - 1]) / ms;
    sum += gap;
    squares += gap * gap;
    longer += gap > 1 ? 1 : 0;
  }
  const double n = 99'999, mean = sum / n;
  EXPECT_NEAR(mean, 1, 0.015);
  EXPECT_NEAR(squares / n - mean * mean, 1, 0.05) << "variance of an exponential distribution is its mean squared";
  EXPECT_NEAR(static_cast<double>(longer) / n, std::exp(-1.0), 0.008);
}

TEST(Schedule, HasWarmUpMinimalDurationAndMinimalNumber) {
  Contract contract = contract_of(LoadKind::constant, 100, 50, ms);
  contract.run.warmup = Seconds{1};
  Schedule schedule = make_schedule(contract, 0);
  EXPECT_EQ(schedule.warmup, 100u);
  EXPECT_EQ(schedule.counted(), 50u);
  EXPECT_EQ(schedule.arrivals[100], Nanoseconds(Seconds{1}));
  contract.run.min_duration = Seconds{2};
  schedule = make_schedule(contract, 0);
  EXPECT_EQ(schedule.counted(), 201u) << "the last at or after three seconds";
  contract.load.kind = LoadKind::trace;
  contract.load.trace = {0 * ms, 999 * ms, 1000 * ms, 5000 * ms};
  schedule = make_schedule(contract, 0);
  EXPECT_EQ(schedule.warmup, 2u);
  EXPECT_EQ(schedule.counted(), 2u);
  contract.load.kind = LoadKind::closed;
  EXPECT_TRUE(make_schedule(contract, 0).arrivals.empty());
}

// A server that takes 1 ms and once stalls for a second.
Service stalling(VirtualLoadClock& clock) {
  return [&clock](Request& request) {
    clock.advance(request.number() == 3000 ? 1000 * ms : ms);
    return true;
  };
}

TEST(LoadRun, ClosedLoopHidesAStallThatTheOpenLoopShows) {
  // 10,000 requests at 100 a second, or as fast as the answers come: both 1 ms each and one stall of 1 s.
  const Nanoseconds limit = 50 * ms;
  VirtualLoadClock clock;
  const Contract closed = contract_of(LoadKind::closed, 0, 10'000, limit);
  const LatencyRun hidden = run_load(closed, 0, stalling(clock), clock);
  EXPECT_EQ(hidden.requests(), 10'000u);
  EXPECT_EQ(count_above(hidden.stages[0].samples, limit), 1u);
  const Verdict praised = judge(closed, {hidden});
  EXPECT_EQ(praised.outcome, Outcome::pass);
  EXPECT_THAT(praised.notes, testing::Contains(testing::HasSubstr("closed loop")));

  const Contract open = contract_of(LoadKind::constant, 100, 10'000, limit);
  const LatencyRun shown = run_load(open, 0, stalling(clock), clock);
  // During the stall 100 requests were due, and the queue shrinks by 9 ms with each that is served.
  EXPECT_NEAR(static_cast<double>(count_above(shown.stages[0].samples, limit)), 950.0 / 9, 2);
  EXPECT_NEAR(shown.stages[0].samples[3000] / ms, 1000, 1e-6);
  EXPECT_NEAR(shown.stages[0].samples[3001] / ms, 991, 1e-3);
  EXPECT_NE(judge(open, {shown}).outcome, Outcome::pass);
  EXPECT_LT(*std::max_element(shown.lateness.begin(), shown.lateness.end()), Nanoseconds{1})
      << "the wait for the server is no lateness of the generator";
}

TEST(LoadRun, WhoPausesTheWholeProcessDoesNotPass) {
  // As SIGSTOP does: time goes on while the generator waits, and nothing is served.
  class PausedClock final : public LoadClock {
   public:
    Nanoseconds now() const override { return now_; }
    void wait_until(Nanoseconds time) override { now_ = std::max(now_, ++waits_ == 500 ? time + 1500 * ms : time); }

   private:
    Nanoseconds now_{0};
    int waits_ = 0;
  } clock;
  const Contract contract = contract_of(LoadKind::constant, 100, 2010, 5 * ms);
  const LatencyRun run = run_load(
      contract, 0, [](Request&) { return true; }, clock);
  EXPECT_EQ(count_above(run.stages[0].samples, 5 * ms), 150u);
  EXPECT_EQ(judge(contract, {run}).outcome, Outcome::fail);
  EXPECT_NEAR(*std::max_element(run.lateness.begin(), run.lateness.end()) / ms, 1500, 1);
}

TEST(LoadRun, ALateGeneratorMakesTheRunInvalid) {
  VirtualLoadClock clock;
  clock.oversleep = Nanoseconds{60e3};
  const Contract contract = contract_of(LoadKind::poisson, 10, 459, 5 * ms);
  const LatencyRun run = run_load(
      contract, 0, [](Request&) { return true; }, clock);
  const RunVerdict verdict = judge_run(contract, run);
  EXPECT_EQ(verdict.outcome, Outcome::invalid);
  EXPECT_EQ(verdict.limits[0].outcome, Outcome::pass);
  EXPECT_NEAR(verdict.lateness_p99->count(), 60e3, 1);
  ASSERT_EQ(verdict.invalid.size(), 1u);
  EXPECT_THAT(verdict.invalid[0], testing::HasSubstr("generator itself was late"));
}

TEST(LoadRun, CountsFailedRequestsAsLateAndKeepsTheFirstMessage) {
  VirtualLoadClock clock;
  Contract contract = contract_of(LoadKind::constant, 100, 1000, 5 * ms);
  contract.run.warmup = Seconds{1};
  const Service service = [](Request& request) {
    if (request.number() == 150) throw std::runtime_error("no answer");
    return request.number() != 7 && request.number() != 200;
  };
  const LatencyRun run = run_load(contract, 0, service, clock);
  EXPECT_EQ(run.failed, 2u) << "the failure in the warm-up is not counted";
  EXPECT_EQ(count_above(run.stages[0].samples, Seconds{1e6}), 2u);
  EXPECT_EQ(run.stages[0].samples[50], never);
  EXPECT_EQ(run.first_failure, "no answer");
  EXPECT_EQ(judge_run(contract, run).outcome, Outcome::invalid);
  contract.validity.errors_max = 2;
  EXPECT_EQ(judge_run(contract, run).outcome, Outcome::pass) << "2 late of 1000 pass";
}

TEST(LoadRun, AClosedLoopDoesNotCountFailuresOfItsWarmUpEither) {
  VirtualLoadClock clock;
  Contract contract = contract_of(LoadKind::closed, 100, 1000, 5 * ms);
  contract.run.warmup = Seconds{1};
  const LatencyRun run = run_load(
      contract, 0,
      [&](Request& request) {
        clock.advance(ms);
        return request.number() != 7;  // within the first second, which has 1000 requests
      },
      clock);
  EXPECT_EQ(run.failed, 0u);
  EXPECT_EQ(count_above(run.stages[0].samples, Seconds{1e6}), 0u);
}

TEST(LoadRun, DropsWhatArrivesBeyondTheOutstandingOnes) {
  VirtualLoadClock clock;
  Contract contract = contract_of(LoadKind::constant, 100, 1000, 50 * ms);
  contract.load.max_outstanding = 4;
  const LatencyRun run = run_load(
      contract, 0,
      [&](Request& request) {
        clock.advance(request.number() == 500 ? 1000 * ms : ms);
        return true;
      },
      clock);
  // The stalled one and three that wait for it; then those that arrive until it ends are dropped.
  EXPECT_EQ(run.dropped, 96u);
  EXPECT_EQ(count_above(run.stages[0].samples, 1001 * ms), 96u) << "dropped ones are late without end";
  EXPECT_TRUE(run.complete);
}

TEST(LoadRun, EndsAtItsMaximalDurationAndCountsTheRestAsLate) {
  VirtualLoadClock clock;
  Contract contract = contract_of(LoadKind::constant, 100, 1000, 50 * ms);
  contract.run.max_duration = Seconds{20};
  const LatencyRun run = run_load(
      contract, 0,
      [&](Request&) {
        clock.advance(100 * ms);
        return true;
      },
      clock);
  EXPECT_EQ(run.requests(), 1000u);
  EXPECT_NEAR(static_cast<double>(run.unserved), 800, 2);
  EXPECT_LT(run.elapsed, Seconds{20.2});
  EXPECT_EQ(judge(contract, {run}).outcome, Outcome::fail);
}

TEST(LoadRun, ReportsStagesAndMissingOnes) {
  VirtualLoadClock clock;
  Contract contract = contract_of(LoadKind::constant, 10, 500, 50 * ms);
  contract.limits.push_back({"copy", Percentile::percent(99), 2 * ms});
  contract.limits.push_back({"kernel", Percentile::percent(50), 4 * ms});
  contract.validity.stage_sum_gap = 0.05;
  const auto service = [&](bool all) {
    return [&clock, all](Request& request) {
      request.stage("copy", ms);
      clock.advance(5 * ms);
      request.stage("copy", ms / 2);
      if (all || request.number() % 2 == 0) request.stage("kernel", request.number() == 9 ? ms : 3.5 * ms);
      return true;
    };
  };
  const LatencyRun run = run_load(contract, 0, service(true), clock);
  EXPECT_EQ(run.stages[1].samples[3], 1.5 * ms);
  EXPECT_EQ(run.stages[2].samples[3], 3.5 * ms);
  EXPECT_EQ(run.without_stage, 0u);
  EXPECT_EQ(run.stage_sum_off, 1u);
  EXPECT_EQ(judge_run(contract, run).outcome, Outcome::invalid);
  contract.validity.stage_sum_gap.reset();
  const LatencyRun part = run_load(contract, 0, service(false), clock);
  EXPECT_EQ(part.without_stage, 250u);
  EXPECT_THAT(judge_run(contract, part).invalid,
              testing::ElementsAre(testing::HasSubstr("did not report every stage")));
  const LatencyRun wrong = run_load(
      contract, 0,
      [](Request& request) {
        request.stage("e2e", ms);
        return true;
      },
      clock);
  EXPECT_EQ(wrong.failed, 500u);
  EXPECT_THAT(wrong.first_failure, testing::HasSubstr("'e2e' is no stage"));
}

TEST(LoadRun, StopsWhenAskedAndKeepsWhatItHas) {
  VirtualLoadClock clock;
  const Contract contract = contract_of(LoadKind::constant, 100, 1000, 5 * ms);
  const Nanoseconds start = clock.now();
  const LatencyRun run = run_load(
      contract, 0, [](Request&) { return true; }, clock, [&] { return clock.now() - start > Seconds{8}; });
  EXPECT_NEAR(static_cast<double>(run.requests()), 800, 3);
  EXPECT_FALSE(run.complete);
  const Verdict verdict = judge(contract, {run});
  EXPECT_EQ(verdict.outcome, Outcome::inconclusive) << "although none of 800 was late";
  EXPECT_EQ(verdict.runs[0].limits[0].outcome, Outcome::pass);
}

TEST(LoadRun, EndsAtALookThatDecides) {
  VirtualLoadClock clock;
  Contract contract = contract_of(LoadKind::constant, 1000, 8000, 5 * ms);
  contract.stats.looks = 4;
  const LatencyRun good = run_load(
      contract, 0, [](Request&) { return true; }, clock);
  EXPECT_EQ(good.requests(), 2000u);
  EXPECT_TRUE(good.complete);
  EXPECT_EQ(judge(contract, {good}).outcome, Outcome::pass);
  const LatencyRun bad = run_load(
      contract, 0,
      [&](Request& request) {
        if (request.number() % 20 == 0) clock.advance(6 * ms);
        return true;
      },
      clock);
  EXPECT_EQ(bad.requests(), 2000u);
  EXPECT_EQ(judge(contract, {bad}).outcome, Outcome::fail);
  // At exactly the limit nothing decides.
  const LatencyRun neither = run_load(
      contract, 0,
      [&](Request& request) {
        if (request.number() % 100 == 0) clock.advance(5.5 * ms);
        return true;
      },
      clock);
  EXPECT_EQ(neither.requests(), 8000u);
  EXPECT_EQ(judge(contract, {neither}).outcome, Outcome::inconclusive);
}

TEST(LoadRun, OfSeveralWorkersServesEachRequestOnce) {
  SteadyLoadClock clock;
  Contract contract = contract_of(LoadKind::poisson, 2000, 600, 500 * ms);
  contract.load.workers = 4;
  contract.load.max_outstanding = 500;
  contract.stats.looks = 2;
  std::vector<std::atomic<int>> served(1000);
  const Service service = [&](Request& request) {
    ++served[request.number()];
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    return true;
  };
  const LatencyRun run = run_load(contract, 0, service, clock);
  EXPECT_TRUE(run.complete);
  EXPECT_GE(run.requests(), 300u);
  EXPECT_LE(run.requests(), 600u);
  for (const auto& count : served) EXPECT_LE(count.load(), 1);
  for (const Nanoseconds sample : run.stages[0].samples) EXPECT_GE(sample, 0.2 * ms);
  contract.load.kind = LoadKind::closed;
  contract.load.max_outstanding = 0;
  const LatencyRun closed = run_load(
      contract, 0, [](Request&) { return true; }, clock);
  EXPECT_EQ(closed.requests(), 600u);
}

TEST(LoadRun, AClockThatFailsEndsTheRunOfEveryWorker) {
  class BrokenClock final : public LoadClock {
   public:
    Nanoseconds now() const override { return Nanoseconds{0}; }
    void wait_until(Nanoseconds) override { throw Error(ErrorCode::internal, "broken"); }
  } clock;
  Contract contract = contract_of(LoadKind::constant, 100, 600, 500 * ms);
  contract.load.workers = 3;
  EXPECT_THROW(run_load(
                   contract, 0, [](Request&) { return true; }, clock),
               Error);
}

// What the generator itself costs. How late it is depends on what else this machine does, so only that it is measured
// is required here; the numbers are in the test's output.
TEST(LoadRun, OfANullServerSaysWhatTheGeneratorAdds) {
  SteadyLoadClock clock;
  const Contract contract = contract_of(LoadKind::constant, 2000, 1000, 5 * ms);
  const LatencyRun run = run_load(
      contract, 0, [](Request&) { return true; }, clock);
  const RunVerdict verdict = judge_run(contract, run);
  ASSERT_EQ(run.lateness.size(), 1000u);
  EXPECT_GE(*verdict.lateness_p50, Nanoseconds{0});
  // With nothing to serve a latency is the generator's lateness, the wait for the one before, and two readings of the
  // clock.
  EXPECT_GE(*verdict.limits[0].sample, Nanoseconds{0});
  EXPECT_LT(*verdict.lateness_p50, 5 * ms);
  RecordProperty("lateness_p50_ns", std::to_string(verdict.lateness_p50->count()));
  RecordProperty("lateness_p99_ns", std::to_string(verdict.lateness_p99->count()));
  RecordProperty("latency_p99_ns", std::to_string(verdict.limits[0].sample->count()));
}

TEST(SteadyLoadClock, WaitsAtLeastUntilTheTime) {
  SteadyLoadClock clock;
  for (const double microseconds : {-5.0, 20.0, 700.0}) {
    const Nanoseconds until = clock.now() + Nanoseconds{microseconds * 1e3};
    clock.wait_until(until);
    EXPECT_GE(clock.now(), until);
  }
}

}  // namespace
}  // namespace warpwright::validate
