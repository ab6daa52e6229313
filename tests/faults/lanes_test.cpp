// Several devices in one pool: what happens to one of them is nothing to the others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/execution/lanes.hpp>
#include <warpwright/sim/backend.hpp>
#include <warpwright/spec/read.hpp>

namespace warpwright::execution {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t right = 0, crash = 5, hang = 6, device_fault = 7;

// Each worker process has a simulated device of its own, so two lanes on sim:0 are two devices.
class TwoLanes : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.executable = WORKER_EXECUTABLE;
    options_.compile_workers = 1;
    options_.use_cache = false;
    options_.run_deadline = Nanoseconds(2e9);
    options_.max_device_failures = 2;
    pool_ = make_lane_pool({device_, device_}, problem_, clock_, options_);
    pool_->start();
  }
  // Compiled once for each fault: a binary runs on every lane.
  RunTask task(std::uint64_t id, std::int64_t fault) {
    auto found = compiled_.find(fault);
    if (found == compiled_.end()) {
      CompileTask compile;
      compile.configuration = problem_.baseline_configuration();
      compile.configuration.set("block_x", std::int64_t{128});
      compile.configuration.set("fault", fault);
      RunTask run;
      run.configuration = compile.configuration;
      while (!pool_->can_compile()) pool_->wait(Nanoseconds(60e9));
      pool_->compile(std::move(compile));
      std::optional<Completion> completion;
      while (!completion) completion = pool_->wait(Nanoseconds(60e9));
      CompileDone done = std::get<CompileDone>(*std::move(completion));
      EXPECT_EQ(done.status, TrialStatus::ok) << done.message;
      run.binary = std::move(done.binary);
      found = compiled_.emplace(fault, std::move(run)).first;
    }
    RunTask run = found->second;
    run.id = id;
    return run;
  }
  RunDone next() {
    for (;;) {
      auto completion = pool_->wait(Nanoseconds(60e9));
      if (completion) return std::get<RunDone>(*std::move(completion));
    }
  }
  RunDone run(std::size_t lane, std::uint64_t id, std::int64_t fault) {
    while (!pool_->lane(lane).can_run) pool_->wait(Nanoseconds(60e9));
    pool_->run_on(lane, task(id, fault));
    return next();
  }
  // With a run in wait behind the last failure.
  void lose(std::size_t lane) {
    EXPECT_EQ(run(lane, 100, device_fault).result.status, TrialStatus::device_fault);
    while (!pool_->lane(lane).can_run) pool_->wait(Nanoseconds(60e9));
    RunTask last = task(101, device_fault), behind = task(102, right);
    pool_->run_on(lane, std::move(last));
    ASSERT_TRUE(pool_->lane(lane).can_queue_run);
    pool_->run_on(lane, std::move(behind));
    const RunDone failed = next();
    EXPECT_EQ(failed.id, 101u);
    EXPECT_EQ(failed.result.status, TrialStatus::device_fault);
  }

  const std::unique_ptr<device::Backend> backend_ = sim::make_backend();
  const DeviceInfo device_ = device::find_device(*backend_, DeviceId::parse("sim:0"));
  const Problem problem_ = spec::read(SIMULATED_SPECIFICATION).for_device(device_, Configuration{});
  const SteadyClock clock_{};
  WorkerPoolOptions options_;
  std::unique_ptr<LanePool> pool_;
  std::map<std::int64_t, RunTask> compiled_;
};

TEST_F(TwoLanes, RunsGoToTheLaneAskedFor) {
  ASSERT_EQ(pool_->lanes(), 2u);
  RunTask first = task(1, right), second = task(2, right), third = task(3, right);
  second.timing.incumbent = measure::Incumbent{Nanoseconds(1e9), Nanoseconds(1e9), 0.1};
  pool_->run_on(1, std::move(first));
  EXPECT_TRUE(pool_->lane(0).can_run);
  EXPECT_FALSE(pool_->lane(0).can_queue_run);
  EXPECT_FALSE(pool_->lane(1).can_run);
  EXPECT_TRUE(pool_->lane(1).can_queue_run);
  EXPECT_TRUE(pool_->can_run()) << "that asks for lane 0";
  pool_->run_on(1, std::move(second));
  EXPECT_FALSE(pool_->lane(1).can_queue_run) << "each has room for one behind the one under way";
  pool_->run_on(0, std::move(third));
  std::set<std::uint64_t> ended;
  while (ended.size() < 3) {
    const RunDone done = next();
    EXPECT_EQ(done.result.status, TrialStatus::ok) << done.result.message;
    ended.insert(done.id);
    EXPECT_FALSE(done.id == 2 && !ended.contains(1)) << "a lane keeps the order of its runs";
  }
  EXPECT_FALSE(pool_->lane(0).incumbent);
  ASSERT_TRUE(pool_->lane(1).incumbent) << "which is of this device";
  EXPECT_EQ(pool_->lane(1).incumbent->median, Nanoseconds(1e9));
}

TEST_F(TwoLanes, AWorkerThatIsLostIsReplacedWhileTheOtherLaneWorks) {
  pool_->run_on(0, task(1, hang));
  std::uint64_t beside = 0;
  for (bool hangs = true; hangs;) {
    if (pool_->lane(1).can_run) pool_->run_on(1, task(10 + beside, right));
    const auto completion = pool_->wait(Nanoseconds(60e9));
    if (!completion) continue;
    const RunDone& done = std::get<RunDone>(*completion);
    if (done.id == 1) {
      EXPECT_EQ(done.result.status, TrialStatus::timed_out) << done.result.message;
      hangs = false;
    } else {
      EXPECT_EQ(done.result.status, TrialStatus::ok) << done.result.message;
      ++beside;
    }
  }
  EXPECT_GT(beside, 2u);
  EXPECT_EQ(pool_->lane(0).restarts, 1u);
  EXPECT_EQ(pool_->lane(0).failures, 1);
  EXPECT_EQ(pool_->lane(1).restarts, 0u);
  EXPECT_EQ(pool_->lane(1).failures, 0);
  EXPECT_GT(pool_->lane(0).restart_time.count(), 0);
  EXPECT_EQ(pool_->restart_time(), pool_->lane(0).restart_time);
}

TEST_F(TwoLanes, ALaneThatLosesItsDeviceDoesNotStopTheOther) {
  for (const std::size_t bad : {std::size_t{0}, std::size_t{1}}) {
    SetUp();
    const std::size_t good = 1 - bad;
    lose(bad);
    while (!pool_->lane(bad).lost) EXPECT_FALSE(pool_->wait(Nanoseconds(60e9)));
    EXPECT_THAT(*pool_->lane(bad).lost, HasSubstr("the device failed 2 times without a good run in between"));
    EXPECT_FALSE(pool_->lane(bad).can_run);
    EXPECT_FALSE(pool_->lane(good).lost);
    const auto back = pool_->take_back(bad);
    ASSERT_TRUE(back) << "the run that never began";
    EXPECT_EQ(back->id, 102u);
    EXPECT_FALSE(pool_->take_back(bad)) << "once";
    EXPECT_FALSE(pool_->take_back(good));
    pool_->run_on(good, *back);
    EXPECT_EQ(next().result.status, TrialStatus::ok);
    EXPECT_EQ(run(good, 3, crash).result.status, TrialStatus::crashed);
    EXPECT_EQ(run(good, 4, right).result.status, TrialStatus::ok);
    EXPECT_EQ(pool_->lane(good).restarts, 1u);
  }
}

TEST_F(TwoLanes, WithTheLastLaneThePoolEnds) {
  lose(0);
  lose(1);
  try {
    for (int i = 0; i < 100; ++i) pool_->wait(Nanoseconds(1e9));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::device);
    EXPECT_THAT(error.what(), HasSubstr("everything measured so far is kept"));
  }
}

TEST_F(TwoLanes, InterleavedTasksGoToTheLaneAskedForToo) {
  InterleaveTask interleave;
  const RunTask candidate = task(1, right);
  interleave.id = 7;
  interleave.configurations = {candidate.configuration, candidate.configuration};
  interleave.binaries = {candidate.binary, candidate.binary};
  interleave.rounds = 2;
  pool_->interleave_on(1, std::move(interleave));
  EXPECT_TRUE(pool_->lane(0).can_run);
  EXPECT_FALSE(pool_->lane(1).can_run);
  EXPECT_FALSE(pool_->lane(1).can_queue_run);
  std::optional<Completion> completion;
  while (!completion) completion = pool_->wait(Nanoseconds(60e9));
  const InterleaveDone& done = std::get<InterleaveDone>(*completion);
  EXPECT_EQ(done.id, 7u);
  EXPECT_EQ(done.samples.size(), 2u);
}

TEST_F(TwoLanes, DevicesMustBeAlike) {
  DeviceInfo other = device_;
  other.name = "another model";
  EXPECT_THROW(make_lane_pool({device_, other}, problem_, clock_, options_), Error);
  EXPECT_THROW(make_lane_pool({}, problem_, clock_, options_), Error);
  EXPECT_THROW(pool_->lane(2), Error);
  EXPECT_THROW(pool_->run_on(2, {}), Error);
}

}  // namespace
}  // namespace warpwright::execution
