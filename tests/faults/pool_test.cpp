// Worker processes under a clock that jumps: no deadline counts a time in which nobody worked.
#include <gtest/gtest.h>
#include <random>

#include <warpwright/execution/worker.hpp>
#include <warpwright/sim/backend.hpp>
#include <warpwright/spec/read.hpp>
#include <warpwright/tuning/session.hpp>

namespace warpwright::execution {
namespace {

class JumpingClock final : public Clock {
 public:
  Nanoseconds now() const override { return steady_.now() + offset_; }
  void jump(Nanoseconds by) { offset_ += by; }

 private:
  SteadyClock steady_;
  Nanoseconds offset_{1e15};
};

// Lets the clock jump before every wait.
class JumpingEvaluation final : public Evaluation {
 public:
  JumpingEvaluation(std::unique_ptr<Evaluation> inner, JumpingClock& clock) : inner_(std::move(inner)), clock_(clock) {}
  EvaluationInfo start() override { return inner_->start(); }
  bool can_compile() const override { return inner_->can_compile(); }
  bool can_run() const override { return inner_->can_run(); }
  bool compiles_while_running() const override { return inner_->compiles_while_running(); }
  void compile(CompileTask task) override { inner_->compile(std::move(task)); }
  void run(RunTask task) override { inner_->run(std::move(task)); }
  void interleave(InterleaveTask task) override { inner_->interleave(std::move(task)); }
  std::optional<Completion> wait(Nanoseconds timeout) override {
    const bool forward = std::bernoulli_distribution(0.5)(random_);
    clock_.jump(Nanoseconds(forward ? 3600e9 : -3500e9));
    ++jumps;
    return inner_->wait(timeout);
  }
  Nanoseconds restart_time() const override { return inner_->restart_time(); }

  int jumps = 0;

 private:
  std::unique_ptr<Evaluation> inner_;
  JumpingClock& clock_;
  std::mt19937 random_{20261122};
};

TEST(WorkerPool, NoDeadlineCountsATimeInWhichNobodyWorked) {
  const auto backend = sim::make_backend();
  const DeviceInfo device = device::find_device(*backend, DeviceId::parse("sim:0"));
  const Problem problem = spec::read(SIMULATED_SPECIFICATION).for_device(device, Configuration{});
  const auto space = problem.build_space();
  JumpingClock clock;
  WorkerPoolOptions pool;
  pool.executable = WORKER_EXECUTABLE;
  pool.compile_workers = 1;
  pool.use_cache = false;
  JumpingEvaluation evaluation(make_worker_pool(device, problem, clock, pool), clock);
  tuning::SessionOptions options;
  options.strategy = "exhaustive";
  options.max_evaluations = 20;
  const tuning::SessionRecord result =
      tuning::run_session(problem, *space, StrategyRegistry::with_defaults(), evaluation, clock, options);
  EXPECT_GT(evaluation.jumps, 40);
  ASSERT_EQ(result.trials.size(), 20u);
  for (const auto& trial : result.trials) {
    const bool well = warpwright::to_string(*trial.configuration.find("fault")) == "0";
    const bool late = trial.status == TrialStatus::timed_out || trial.status == TrialStatus::compile_timed_out;
    if (well) {
      EXPECT_FALSE(late) << trial.message;
    }
  }
  EXPECT_TRUE(result.best.has_value());
}

// Messages of one worker end a wait early; that takes nothing from the time of the others.
TEST(WorkerPool, AMessageOfOneWorkerDoesNotBringTheDeadlineOfAnotherNearer) {
  const auto backend = sim::make_backend();
  const DeviceInfo device = device::find_device(*backend, DeviceId::parse("sim:0"));
  const Problem problem = spec::read(SIMULATED_SPECIFICATION).for_device(device, Configuration{});
  const SteadyClock clock;
  WorkerPoolOptions options;
  options.executable = WORKER_EXECUTABLE;
  options.compile_workers = 4;
  options.use_cache = false;
  const auto pool = make_worker_pool(device, problem, clock, options);
  pool->start();
  constexpr std::uint64_t tasks = 40;
  std::uint64_t started = 0, ended = 0;
  while (ended < tasks) {
    while (started < tasks && pool->can_compile()) {
      CompileTask task;
      task.id = ++started;
      task.configuration = problem.baseline_configuration();
      pool->compile(std::move(task));
    }
    const auto completion = pool->wait(Nanoseconds(60e9));
    if (!completion) continue;
    ++ended;
    const CompileDone& done = std::get<CompileDone>(*completion);
    EXPECT_EQ(done.status, TrialStatus::ok) << done.id << ": " << done.message;
  }
}

class QueuedRuns : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.executable = WORKER_EXECUTABLE;
    options_.compile_workers = 1;
    options_.use_cache = false;
    options_.run_deadline = Nanoseconds(2e9);
    pool_ = make_worker_pool(device_, problem_, clock_, options_);
    pool_->start();
  }
  RunTask task(std::uint64_t id, std::int64_t fault) {
    CompileTask compile;
    compile.id = id;
    compile.configuration = problem_.baseline_configuration();
    compile.configuration.set("block_x", std::int64_t{128});
    compile.configuration.set("fault", fault);
    RunTask run;
    run.id = id;
    run.configuration = compile.configuration;
    while (!pool_->can_compile()) pool_->wait(Nanoseconds(60e9));
    pool_->compile(std::move(compile));
    CompileDone done = next<CompileDone>();
    EXPECT_EQ(done.status, TrialStatus::ok) << done.message;
    run.binary = std::move(done.binary);
    return run;
  }
  template <class Done>
  Done next() {
    for (;;) {
      auto completion = pool_->wait(Nanoseconds(60e9));
      if (!completion) continue;
      return std::get<Done>(std::move(*completion));
    }
  }

  const std::unique_ptr<device::Backend> backend_ = sim::make_backend();
  const DeviceInfo device_ = device::find_device(*backend_, DeviceId::parse("sim:0"));
  const Problem problem_ = spec::read(SIMULATED_SPECIFICATION).for_device(device_, Configuration{});
  const SteadyClock clock_{};
  WorkerPoolOptions options_;
  std::unique_ptr<Evaluation> pool_;
};

constexpr std::int64_t right = 0, crash = 5, hang = 6, device_fault = 7;

TEST_F(QueuedRuns, OneWaitsBehindTheOneUnderWay) {
  RunTask first = task(1, right), second = task(2, right), third = task(3, right);
  EXPECT_FALSE(pool_->can_queue_run()) << "nothing is under way";
  pool_->run(std::move(first));
  EXPECT_FALSE(pool_->can_run());
  EXPECT_TRUE(pool_->can_queue_run());
  pool_->run(std::move(second));
  EXPECT_FALSE(pool_->can_queue_run()) << "there is room for one";
  EXPECT_EQ(next<RunDone>().id, 1u);
  EXPECT_TRUE(pool_->can_run() || pool_->can_queue_run());
  pool_->run(std::move(third));
  for (const std::uint64_t id : {2u, 3u}) {
    const RunDone done = next<RunDone>();
    EXPECT_EQ(done.id, id);
    EXPECT_EQ(done.result.status, TrialStatus::ok) << done.result.message;
  }
  EXPECT_TRUE(pool_->can_run());
}

// What ends the worker is the outcome of the run that did it; the one behind it runs on the next worker.
TEST_F(QueuedRuns, TheOneBehindAFailureRunsOnTheNextWorker) {
  for (const auto& [fault, status] : {std::pair{crash, TrialStatus::crashed},
                                      {hang, TrialStatus::timed_out},
                                      {device_fault, TrialStatus::device_fault}}) {
    RunTask bad = task(10, fault), good = task(11, right);
    pool_->run(std::move(bad));
    pool_->run(std::move(good));
    const RunDone failed = next<RunDone>();
    EXPECT_EQ(failed.id, 10u);
    EXPECT_EQ(failed.result.status, status) << failed.result.message;
    const RunDone done = next<RunDone>();
    EXPECT_EQ(done.id, 11u);
    EXPECT_EQ(done.result.status, TrialStatus::ok) << done.result.message;
  }
}

TEST_F(QueuedRuns, EachFailsOnItsOwn) {
  RunTask first = task(1, crash), second = task(2, hang);
  pool_->run(std::move(first));
  pool_->run(std::move(second));
  EXPECT_EQ(next<RunDone>().result.status, TrialStatus::crashed);
  EXPECT_EQ(next<RunDone>().result.status, TrialStatus::timed_out);
  RunTask third = task(3, right);
  pool_->run(std::move(third));
  EXPECT_EQ(next<RunDone>().result.status, TrialStatus::ok);
}

// A worker that hangs does not read. The task behind, larger than the socket's buffer, must not keep its deadline from
// being seen.
TEST_F(QueuedRuns, ALargeTaskBehindAHangDoesNotHoldUpTheDeadline) {
  RunTask bad = task(1, hang), good = task(2, right);
  good.binary.image += "\n#" + std::string(4'000'000, 'x') + "\n";
  pool_->run(std::move(bad));
  const Nanoseconds begin = clock_.now();
  pool_->run(std::move(good));
  EXPECT_LT((clock_.now() - begin).count(), 1e9) << "posting does not wait";
  EXPECT_EQ(next<RunDone>().result.status, TrialStatus::timed_out);
  EXPECT_LT((clock_.now() - begin).count(), 20e9);
  const RunDone done = next<RunDone>();
  EXPECT_EQ(done.id, 2u);
  EXPECT_EQ(done.result.status, TrialStatus::ok) << done.result.message;
}

TEST_F(QueuedRuns, ALargeTaskBehindAGoodRunIsSentPieceByPiece) {
  RunTask first = task(1, right), second = task(2, right);
  second.binary.image += "\n#" + std::string(4'000'000, 'x') + "\n";
  pool_->run(std::move(first));
  pool_->run(std::move(second));
  EXPECT_EQ(next<RunDone>().id, 1u);
  const RunDone done = next<RunDone>();
  EXPECT_EQ(done.id, 2u);
  EXPECT_EQ(done.result.status, TrialStatus::ok) << done.result.message;
}

}  // namespace
}  // namespace warpwright::execution
