// Worker processes under a clock that jumps: no deadline counts a time in which nobody worked.
#include <gtest/gtest.h>
#include <random>

#include <warpwright/sim/backend.hpp>
#include <warpwright/spec/read.hpp>
#include <warpwright/tuning/session.hpp>
#include <warpwright/tuning/worker.hpp>

namespace warpwright::tuning {
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
  SessionOptions options;
  options.strategy = "exhaustive";
  options.max_evaluations = 20;
  const SessionResult result =
      run_session(problem, *space, StrategyRegistry::with_defaults(), evaluation, clock, options);
  EXPECT_GT(evaluation.jumps, 40);
  ASSERT_EQ(result.trials.size(), 20u);
  for (const auto& trial : result.trials) {
    const bool well = to_string(*trial.configuration.find("fault")) == "0";
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

}  // namespace
}  // namespace warpwright::tuning
