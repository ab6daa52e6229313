// The steps of a session in any order, without an evaluation, a thread or a clock; and sessions that get slices of
// time.
#include "../src/session_core.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>
#include <utility>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>

#include "session_fixture.hpp"

namespace warpwright::tuning {
namespace {

class SessionCoreTest : public SessionTest {
 protected:
  // Drives a core with made-up completions: any task that is under way may end next, after any time, and the core may
  // be asked and told that nothing ended as often as one likes.
  class Driver {
   public:
    Driver(SessionCoreTest& test, std::uint64_t seed, const SessionOptions& options)
        : rng_(seed),
          core(
              test.problem_, *test.space_, test.problem_.baseline_configuration(),
              [&](const StrategySettings& settings) {
                return StrategyRegistry::with_defaults().create("exhaustive", *test.space_, settings);
              },
              options, Nanoseconds{}) {
      compilers_ = 1 + rng_.below(5);
      places_ = 1 + rng_.below(2);
      SessionRecord& record = core.log().record();
      record.seed = seed;
      record.evaluation = FakeEvaluation(test.clock_, model).info;
      core.begin(moment(), rng_.below(2) == 0 ? TrialSchedule::Sharing::beside : TrialSchedule::Sharing::alternating);
    }

    void step() {
      now_ += Nanoseconds(1e5 * rng_.uniform());
      if (rng_.below(3) > 0) {
        if (auto task = core.next(moment())) begin(*std::move(task));
      } else if (const std::size_t all = compiling_.size() + running_.size(); all > 0 && rng_.below(3) > 0) {
        end(rng_.below(all));
      } else {
        core.tell(moment(), std::nullopt);
      }
    }

    Moment moment() const {
      return {now_, {compiling_.size() < compilers_, running_.empty(), running_.size() == 1 && places_ == 2}, {}, stop};
    }

    bool stop = false;
    std::set<std::pair<std::size_t, std::uint64_t>> ids;  // by kind of task
    std::size_t given = 0;

   private:
    Rng rng_;
    std::size_t compilers_ = 1, places_ = 1;
    Nanoseconds now_{};
    std::vector<execution::CompileTask> compiling_;
    std::vector<Task> running_;

    void begin(Task task) {
      ++given;
      const std::uint64_t id = std::visit([](const auto& any) { return any.id; }, task);
      EXPECT_TRUE(ids.emplace(task.index(), id).second) << "an id twice";
      if (auto* compile = std::get_if<execution::CompileTask>(&task)) {
        ASSERT_LT(compiling_.size(), compilers_);
        compiling_.push_back(std::move(*compile));
      } else {
        ASSERT_LT(running_.size(), std::holds_alternative<execution::RunTask>(task) ? places_ : 1);
        running_.push_back(std::move(task));
      }
    }

    void end(std::size_t which) {
      if (which < compiling_.size()) {
        const execution::CompileTask task = compiling_[which];
        compiling_.erase(compiling_.begin() + static_cast<std::ptrdiff_t>(which));
        execution::CompileDone done;
        done.id = task.id;
        done.status = model(task.configuration).compile_status;
        done.wall = done.cpu = Nanoseconds(1e6);
        core.tell(moment(), std::move(done));
        return;
      }
      const Task task = std::move(running_.front());
      running_.erase(running_.begin());
      if (const auto* run = std::get_if<execution::RunTask>(&task)) {
        execution::RunDone done;
        done.id = run->id;
        if (!run->reference_only) {
          const FakeOutcome outcome = model(run->configuration);
          done.result.status = outcome.status;
          done.result.samples.assign(5, Nanoseconds(outcome.time_ns));
          done.result.measure = Nanoseconds(1e5);
        }
        core.tell(moment(), std::move(done));
        return;
      }
      const auto& interleave = std::get<execution::InterleaveTask>(task);
      execution::InterleaveDone done;
      done.id = interleave.id;
      for (const Configuration& configuration : interleave.configurations)
        done.samples.emplace_back(static_cast<std::size_t>(interleave.rounds),
                                  Nanoseconds(model(configuration).time_ns));
      core.tell(moment(), std::move(done));
    }

   public:
    SessionCore core;
  };
};

TEST_F(SessionCoreTest, AnyOrderOfStepsFindsTheSame) {
  problem_.verify_sizes = {Configuration{{"n", std::int64_t{512}}}};
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    SessionOptions options;
    options.racing = false;
    Driver driver(*this, seed, options);
    for (int steps = 0; !driver.core.over(); ++steps) {
      ASSERT_LT(steps, 20000) << "the session does not come to its end";
      driver.step();
    }
    EXPECT_FALSE(driver.core.next(driver.moment()));
    driver.core.close(driver.moment());
    const SessionRecord& record = driver.core.log().record();
    EXPECT_EQ(record.stop_reason, "space exhausted");
    ASSERT_EQ(record.trials.size(), 20u);
    for (std::size_t i = 0; i < 20; ++i) {
      EXPECT_EQ(record.trials[i].ordinal, i);
      EXPECT_EQ(record.trials[i].configuration, space_->at(i));
    }
    ASSERT_TRUE(record.best);
    EXPECT_EQ(record.best->describe(), "block=64, items=3");
    EXPECT_NEAR(*record.speedup, 1.52, 1e-9);
    EXPECT_EQ(record.verified_sizes.size(), 1u);
    const SessionTimes& times = record.times;
    EXPECT_NEAR(
        (times.startup + times.compile_wait + times.copy + times.verify + times.measure + times.tuner + times.finish)
            .count(),
        times.total.count(), 1);
  }
}

TEST_F(SessionCoreTest, AStopAtAnyStepEndsWithWhatIsKnown) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    SessionOptions options;
    options.racing = false;
    Driver driver(*this, seed, options);
    for (std::uint64_t steps = 0; !driver.core.over(); ++steps) {
      ASSERT_LT(steps, 20000u);
      driver.stop = driver.stop || steps >= seed * 2;
      driver.step();
    }
    driver.core.close(driver.moment());
    const SessionRecord& record = driver.core.log().record();
    EXPECT_EQ(record.interrupted, record.stop_reason == "interrupted");
    const bool any = std::any_of(record.trials.begin(), record.trials.end(), [](const Trial& t) { return t.ok(); });
    EXPECT_EQ(record.best.has_value(), any);
  }
}

TEST_F(SessionCoreTest, AnInterruptedSessionHasTheBestOfTheSearch) {
  Driver driver(*this, 5, {});
  while (driver.core.log().record().trials.size() < 3) driver.step();
  driver.core.interrupt(driver.moment());
  EXPECT_TRUE(driver.core.over());
  const std::size_t given = driver.given;
  for (int i = 0; i < 100; ++i) driver.step();
  EXPECT_EQ(driver.given, given) << "nothing begins any more";
  driver.core.close(driver.moment());
  EXPECT_TRUE(driver.core.log().record().interrupted);
  EXPECT_TRUE(driver.core.log().record().best);
}

// ---- slices of time -------------------------------------------------------------------------------------------------

TEST_F(SessionCoreTest, SlicesComeToTheSameEnd) {
  const SessionRecord whole = run({});
  FakeEvaluation evaluation(clock_, model);
  const StrategyRegistry strategies = StrategyRegistry::with_defaults();
  Session session(problem_, *space_, strategies, evaluation, clock_, {});
  const Nanoseconds slice(3e6);
  int slices = 1;
  while (!session.advance(clock_.now() + slice)) ++slices;
  EXPECT_GT(slices, 10);
  const SessionRecord sliced = session.finish();
  ASSERT_EQ(sliced.trials.size(), whole.trials.size());
  for (std::size_t i = 0; i < whole.trials.size(); ++i) {
    EXPECT_EQ(sliced.trials[i].configuration, whole.trials[i].configuration);
    EXPECT_EQ(sliced.trials[i].status, whole.trials[i].status);
  }
  EXPECT_EQ(sliced.best, whole.best);
  EXPECT_EQ(sliced.speedup, whole.speedup);
}

TEST_F(SessionCoreTest, ASliceTakesNoLongerThanOneTaskMore) {
  FakeEvaluation evaluation(clock_, model);  // of 2 ms at most
  const StrategyRegistry strategies = StrategyRegistry::with_defaults();
  Session session(problem_, *space_, strategies, evaluation, clock_, {});
  session.advance(clock_.now());  // opens the evaluation
  for (bool over = false; !over;) {
    const Nanoseconds until = clock_.now() + Nanoseconds(1e6);
    over = session.advance(until);
    EXPECT_LT((clock_.now() - until).count(), 2.1e6);
  }
}

TEST_F(SessionCoreTest, ASessionThatIsNotAtItsEndIsAnInterruptedOne) {
  FakeEvaluation evaluation(clock_, model);
  const StrategyRegistry strategies = StrategyRegistry::with_defaults();
  SessionOptions options;
  options.session_folder = folder_;
  Session session(problem_, *space_, strategies, evaluation, clock_, options);
  EXPECT_FALSE(session.advance(clock_.now() + Nanoseconds(30e6)));
  const SessionRecord record = session.finish();
  EXPECT_TRUE(record.interrupted);
  EXPECT_TRUE(record.best);
  EXPECT_GT(record.trials.size(), 2u);
  options.resume = true;
  const SessionRecord resumed = run(options);
  EXPECT_EQ(resumed.resumed_from, record.trials.size());
  EXPECT_EQ(resumed.trials.size(), 20u);
}

TEST_F(SessionCoreTest, AnUnknownStrategyIsAnErrorBeforeAnythingIsOpened) {
  FakeEvaluation evaluation(clock_, model);
  const StrategyRegistry strategies = StrategyRegistry::with_defaults();
  SessionOptions options;
  options.strategy = "randm";
  const Nanoseconds before = clock_.now();
  EXPECT_THROW(Session(problem_, *space_, strategies, evaluation, clock_, options), Error);
  EXPECT_EQ(clock_.now(), before);
}

}  // namespace
}  // namespace warpwright::tuning
