// What a session does at the same time: compilers, the device, the search that asks ahead; and whose the time is.
#include <algorithm>
#include <atomic>
#include <gtest/gtest.h>
#include <set>

#include "session_fixture.hpp"

namespace warpwright::tuning {
namespace {

class SessionScheduling : public SessionTest {};

TEST_F(SessionScheduling, TimePartsAddUpToTheTotal) {
  SessionOptions options;
  options.time_before = Nanoseconds(7e6);
  const Nanoseconds begin = clock_.now();
  const SessionRecord result = run(options);
  const auto& times = result.times;
  EXPECT_NEAR((clock_.now() - begin + options.time_before).count(), times.total.count(), 1);
  EXPECT_NEAR(times.startup.count(), 12e6, 1);
  // 10 runs with the baseline, which is one of them: 9 ok and 3 wrong.
  EXPECT_NEAR(times.copy.count(), 12 * 1e5, 1);
  EXPECT_NEAR(times.verify.count(), 12 * 2e5, 1);
  EXPECT_NEAR(times.measure.count(), 12 * 3e5, 1);
  EXPECT_GT(times.compile_wait.count(), 0);
  EXPECT_GT(times.compile_cpu.count(), 0);
  EXPECT_GT(times.finish.count(), 0);
}

TEST_F(SessionScheduling, TheNextRunWaitsAtTheDevice) {
  FakeEvaluation plain(clock_, model), queueing(clock_, model);
  plain.compile_slots = queueing.compile_slots = 8;
  queueing.queues_runs = true;
  const SessionRecord alone = run({}, plain);
  const SessionRecord result = run({}, queueing);
  EXPECT_EQ(plain.most_given, 1u);
  EXPECT_EQ(queueing.most_given, 2u);
  ASSERT_EQ(result.trials.size(), alone.trials.size());
  for (std::size_t i = 0; i < alone.trials.size(); ++i) {
    EXPECT_EQ(result.trials[i].configuration, alone.trials[i].configuration);
    EXPECT_EQ(result.trials[i].status, alone.trials[i].status);
  }
  EXPECT_EQ(result.best, alone.best);
  const auto& times = result.times;
  EXPECT_NEAR(times.measure.count(), alone.times.measure.count(), 1) << "what a run took is its own";
  const Nanoseconds parts =
      times.startup + times.compile_wait + times.copy + times.verify + times.measure + times.tuner + times.finish;
  EXPECT_NEAR(parts.count(), times.total.count(), 1);
}

TEST_F(SessionScheduling, NoMoreIsUnderWayThanKeepsTheDeviceBusy) {
  const auto most_under_way = [&](Nanoseconds compile_time, Nanoseconds longer, std::size_t runs_before) {
    FakeEvaluation evaluation(clock_, [&](const Configuration& configuration) {
      FakeOutcome outcome = model(configuration);
      outcome.longer = longer;
      return outcome;
    });
    evaluation.compile_slots = 8;
    evaluation.compile_time = compile_time;
    std::size_t most = 0;
    evaluation.on_wait = [&] {
      if (evaluation.ran.size() >= runs_before)
        most = std::max(most, evaluation.compiling() + evaluation.waiting_runs());
    };
    EXPECT_EQ(run({}, evaluation).evaluations, 20u);
    return most;
  };
  // The baseline and those that began before anything was known of how long they take come first.
  EXPECT_LE(most_under_way(Nanoseconds(1e5), Nanoseconds(5e6), 6), 5u) << "a slow device: one at it, four to come";
  EXPECT_GE(most_under_way(Nanoseconds(1e8), Nanoseconds(1e4), 3), 8u) << "slow compilers: all of them work";
}

TEST_F(SessionScheduling, NothingIsQueuedBehindALongRun) {
  FakeEvaluation evaluation(clock_, [](const Configuration& configuration) {
    FakeOutcome outcome = model(configuration);
    outcome.longer = Nanoseconds(2e9);
    return outcome;
  });
  evaluation.compile_slots = 8;
  evaluation.queues_runs = true;
  // Before the first result nothing is known of how long they take.
  std::size_t given = 0;
  evaluation.on_wait = [&] {
    if (evaluation.ran.size() > 4) given = std::max(given, evaluation.waiting_runs());
  };
  run({}, evaluation);
  EXPECT_EQ(given, 1u);
}

TEST_F(SessionScheduling, AStopEndsWithWhatTheDeviceWasGiven) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.compile_slots = 8;
  evaluation.queues_runs = true;
  std::atomic<bool> stop{false};
  std::size_t given = 0;
  evaluation.on_wait = [&] {
    if (evaluation.waiting_runs() == 2 && evaluation.compiling() > 2 && !stop.exchange(true))
      given = evaluation.ran.size();
  };
  SessionOptions options;
  options.stop = &stop;
  const SessionRecord result = run(options, evaluation);
  EXPECT_TRUE(result.interrupted);
  EXPECT_EQ(evaluation.waiting_runs(), 0u);
  EXPECT_GT(given, 0u);
  EXPECT_EQ(evaluation.ran.size(), given) << "nothing was begun after the stop";
  // Every run has its record; the baseline ran by itself.
  std::size_t recorded = 0;
  for (const auto& trial : result.trials)
    if (trial.times.measure.count() > 0) ++recorded;
  EXPECT_GE(recorded + 1, evaluation.ran.size());
}

TEST_F(SessionScheduling, RestartsOfWorkersCountAsStartUp) {
  FakeEvaluation evaluation(clock_, model);
  int waits = 0;
  evaluation.on_wait = [&] {
    if (++waits == 4) {  // during a run
      clock_.advance(Nanoseconds(3e6));
      evaluation.restarts += Nanoseconds(3e6);
    }
  };
  const SessionRecord result = run({}, evaluation);
  EXPECT_NEAR(result.times.startup.count(), 8e6, 1);
}

TEST_F(SessionScheduling, SameSeedSameOrderWhateverTheParallelism) {
  SessionOptions options;
  options.strategy = "random";
  options.strategy_settings.seed = 7;
  options.max_evaluations = 12;
  const SessionRecord sequential = run(options);
  FakeEvaluation parallel(clock_, model);
  parallel.compile_slots = 4;
  const SessionRecord overlapped = run(options, parallel);
  ASSERT_EQ(sequential.trials.size(), overlapped.trials.size());
  for (std::size_t i = 0; i < sequential.trials.size(); ++i) {
    EXPECT_EQ(sequential.trials[i].configuration, overlapped.trials[i].configuration);
    EXPECT_EQ(sequential.trials[i].ordinal, i);
  }
}

TEST_F(SessionScheduling, CpuDevicesAlternateCompilingAndRunning) {
  FakeEvaluation evaluation(clock_, model);
  evaluation.overlap = false;
  evaluation.compile_slots = 4;
  bool overlapped = false, compiled_in_parallel = false;
  evaluation.on_wait = [&] {
    overlapped = overlapped || (evaluation.compiling() > 0 && !evaluation.can_run());
    compiled_in_parallel = compiled_in_parallel || evaluation.compiling() > 1;
  };
  const SessionRecord result = run({}, evaluation);
  EXPECT_EQ(result.evaluations, 20u);
  EXPECT_FALSE(overlapped);
  EXPECT_TRUE(compiled_in_parallel);
}

// Exhaustive search that tells what it was asked for and has heard nothing of yet.
class ObservedSearch final : public SearchAlgorithm {
 public:
  ObservedSearch(const Space& space, std::set<std::uint64_t>& outstanding)
      : inner_(make_exhaustive(space)), outstanding_(outstanding) {}
  std::vector<std::uint64_t> ask(std::size_t count) override {
    auto indices = inner_->ask(count);
    outstanding_.insert(indices.begin(), indices.end());
    return indices;
  }
  void tell(std::uint64_t index, const SearchOutcome& outcome) override {
    outstanding_.erase(index);
    inner_->tell(index, outcome);
  }

 private:
  std::unique_ptr<SearchAlgorithm> inner_;
  std::set<std::uint64_t>& outstanding_;
};

class AskingAhead : public SessionTest {
 protected:
  AskingAhead() {
    strategies_.add({"observed", "shows its open questions", {}, false},
                    [this](const Space& space, const StrategySettings&) {
                      return std::make_unique<ObservedSearch>(space, outstanding_);
                    });
    options_.strategy = "observed";
    evaluation_.compile_slots = 2;
  }
  SessionRecord run_observed() { return run_session(problem_, *space_, strategies_, evaluation_, clock_, options_); }
  // Configurations that were asked for and given to no compiler yet.
  std::size_t ahead() const {
    return static_cast<std::size_t>(std::count_if(outstanding_.begin(), outstanding_.end(), [&](std::uint64_t index) {
      const auto& compiled = evaluation_.compiled;
      return std::find(compiled.begin(), compiled.end(), space_->at(index)) == compiled.end();
    }));
  }

  StrategyRegistry strategies_ = StrategyRegistry::with_defaults();
  std::set<std::uint64_t> outstanding_;
  SessionOptions options_;
  FakeEvaluation evaluation_{clock_, model};
};

TEST_F(AskingAhead, TheNextConfigurationIsThereWhenACompilerIsFree) {
  std::size_t times = 0, most = 0;
  evaluation_.on_wait = [&] {
    most = std::max(most, ahead());
    times += ahead();
  };
  EXPECT_EQ(run_observed().evaluations, 20u);
  EXPECT_EQ(most, 1u);
  EXPECT_GT(times, 5u);
  EXPECT_TRUE(outstanding_.empty());
}

TEST_F(AskingAhead, NotWhereResultsComeFirstOrTheDeviceIsDisturbed) {
  evaluation_.overlap = false;
  std::size_t while_compiling = 0, while_running = 0, most = 0;
  evaluation_.on_wait = [&] {
    most = std::max(most, ahead());
    (evaluation_.waiting_runs() == 0 ? while_compiling : while_running) += ahead();
  };
  EXPECT_EQ(run_observed().evaluations, 20u);
  EXPECT_EQ(most, 1u);
  EXPECT_GT(while_compiling, 2u);
  EXPECT_EQ(while_running, 0u);
}

TEST_F(AskingAhead, NotWhereOneConfigurationFollowsTheOther) {
  evaluation_.compile_slots = 1;
  evaluation_.on_wait = [&] {
    if (evaluation_.compiling() > 0 && evaluation_.can_run()) {
      EXPECT_EQ(ahead(), 0u);
    }
  };
  options_.max_evaluations = 3;
  EXPECT_EQ(run_observed().evaluations, 3u);
}

TEST_F(AskingAhead, NothingBeyondTheBudget) {
  options_.max_evaluations = 7;
  EXPECT_EQ(run_observed().evaluations, 7u);
  EXPECT_TRUE(outstanding_.empty());
}

}  // namespace
}  // namespace warpwright::tuning
