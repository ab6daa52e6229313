// Sessions in this process on fake drivers: first one that records every driver call, then one for each of these calls,
// in which that call fails. Whatever fails, the session ends with an Error that says something or goes on with one
// failure more; nothing wrong wins, nothing is leaked, and no dead handle is used.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/cuda/backend.hpp>
#include <warpwright/execution/local_evaluator.hpp>
#include <warpwright/opencl/backend.hpp>
#include <warpwright/spec/read.hpp>
#include <warpwright/tuning/session.hpp>

#include "fault_state.hpp"

namespace warpwright {
namespace {

using faults::Action;
using faults::SharedState;

// The file that the fakes of this process map; made before any of them is opened.
SharedState& shared() {
  static SharedState* const mapped = [] {
    char path[] = "/tmp/warpwright-faults-XXXXXX";
    const int file = ::mkstemp(path);
    if (file < 0 || ::ftruncate(file, sizeof(SharedState)) != 0) std::abort();
    void* memory = ::mmap(nullptr, sizeof(SharedState), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) std::abort();
    auto* state = static_cast<SharedState*>(memory);
    state->magic = SharedState::magic_number;
    ::setenv("FAKE_DRIVER_STATE", path, 1);
    static const struct Remove {
      std::string file;
      ~Remove() { ::unlink(file.c_str()); }
    } remove{path};
    return state;
  }();
  return *mapped;
}

void arm(Action action, int code, const std::string& function, std::uint64_t ordinal) {
  SharedState& state = shared();
  state.action = action;
  state.code = code;
  state.ordinal = ordinal;
  std::memset(state.function, 0, sizeof(state.function));
  std::strncpy(state.function, function.c_str(), sizeof(state.function) - 1);
  state.fired = state.lost = state.total = state.leaks = state.misuses = 0;
  std::memset(state.first_misuse, 0, sizeof(state.first_misuse));
  ++state.generation;
  for (auto& call : state.calls) call.count = 0;
  for (auto& peak : state.peak) peak = 0;
}

struct Outcome {
  std::optional<tuning::SessionRecord> result;
  std::string error;
};

struct Device {
  std::string name, id;
  std::function<std::unique_ptr<device::Backend>()> backend;
  std::vector<int> codes;  // what drivers answer
};

Device cuda_device() {
  return {"cuda",
          "cuda:0",
          [] {
            cuda::Options options;
            const std::string folder = FAKE_CUDA_FOLDER;
            options.driver_library = folder + "/libcuda.so.1";
            options.nvrtc_library = folder + "/libnvrtc.so";
            options.nvml_library = folder + "/libnvidia-ml.so.1";
            return cuda::make_backend(options);
          },
          // invalid value, out of memory, invalid handle, illegal address, out of resources, launch failed, unknown
          {1, 2, 400, 700, 701, 719, 999}};
}

Device opencl_device() {
  return {"opencl",
          "opencl:0:0",
          [] { return opencl::make_backend(std::string(FAKE_OPENCL_FOLDER) + "/libOpenCL.so.1"); },
          // device not available, allocation failure, out of resources, invalid value, invalid context, illegal access
          {-2, -4, -5, -30, -34, -9999}};
}

// A whole session, from looking for the device to closing it.
Outcome run(const Device& tested) {
  Outcome outcome;
  try {
    const auto backend = tested.backend();
    const DeviceInfo found = device::find_device(*backend, DeviceId::parse(tested.id));
    const Problem problem =
        spec::read(std::string(FAULTS_SOURCE_FOLDER) + "/walk.toml").for_device(found, Configuration{});
    const auto space = problem.build_space();
    const SteadyClock clock;
    execution::LocalEvaluation evaluation(*backend, found, problem, clock);
    tuning::SessionOptions options;
    options.strategy = "exhaustive";
    options.max_evaluations = 1000;
    options.timing.min_samples = 2;
    options.timing.max_samples = 2;
    options.finalists = 2;
    options.final_rounds = 2;
    options.sustained.probe = Nanoseconds{1};  // as few launches as a probe can have
    outcome.result =
        tuning::run_session(problem, *space, StrategyRegistry::with_defaults(), evaluation, clock, options);
  } catch (const Error& error) {
    outcome.error = error.what();
    EXPECT_NE(outcome.error, "");
  }
  return outcome;
}

// Runs a session in which that call of `function` (of any, if empty) meets the fault. A session takes as many samples
// as its clock tells it to, so the last calls of one may not come in the next: then an earlier one meets it. Whether a
// graph is recorded at all depends on the clock too: a first call that does not come is waited for in some more
// sessions.
Outcome run_with_fault(const Device& tested, Action action, int code, const std::string& function,
                       std::uint64_t ordinal) {
  for (int first_calls = 0;;) {
    arm(action, code, function, ordinal);
    Outcome outcome = run(tested);
    if (shared().fired > 0) return outcome;
    if (ordinal > 1)
      ordinal = ordinal * 3 / 4;
    else if (++first_calls == 8)
      return outcome;
  }
}

std::string kind_of(const Trial& trial) { return to_string(*trial.configuration.find("kind")); }

// What must hold whatever happened; `failures`: configurations that may have another status than without the fault.
void check(const Outcome& outcome, std::size_t failures) {
  const SharedState& state = shared();
  EXPECT_EQ(state.misuses, 0u) << state.first_misuse;
  EXPECT_EQ(state.leaks, 0u);
  for (std::size_t kind = 0; kind < faults::kind_slots; ++kind) EXPECT_EQ(state.live[kind], 0u) << "kind " << kind;
  EXPECT_EQ(state.live_bytes, 0u);
  if (!outcome.result) return;
  const tuning::SessionRecord& result = *outcome.result;
  ASSERT_EQ(result.trials.size(), 12u);
  const std::map<std::string, TrialStatus> expected = {{"none", TrialStatus::ok},
                                                       {"compile_error", TrialStatus::compile_failed},
                                                       {"launch_refused", TrialStatus::resource_exceeded},
                                                       {"wrong_result", TrialStatus::wrong_result}};
  std::size_t differing = 0;
  std::set<std::string> seen;
  for (const auto& trial : result.trials) {
    EXPECT_TRUE(seen.insert(trial.configuration.describe()).second) << "a configuration was measured twice";
    if (trial.status != expected.at(kind_of(trial))) ++differing;
    EXPECT_EQ(trial.ok(), trial.median.has_value());
    if (trial.ok()) {
      EXPECT_EQ(kind_of(trial), "none") << "a wrong configuration counts as right";
    } else {
      EXPECT_NE(trial.message, "") << trial.configuration.describe();
    }
  }
  EXPECT_LE(differing, failures);
  ASSERT_TRUE(result.best.has_value());
  EXPECT_EQ(to_string(*result.best->find("kind")), "none");
}

// The whole walk takes about a minute and a half; a part of it, spread over the session, is enough for most days.
bool whole_walk() { return std::getenv("WARPWRIGHT_WHOLE_WALK") != nullptr; }

class Walk : public ::testing::TestWithParam<const char*> {
 protected:
  Device device() const { return GetParam() == std::string("cuda") ? cuda_device() : opencl_device(); }
};

TEST_P(Walk, NothingFailsUnasked) {
  arm(Action::none, 0, "", 0);
  const Outcome outcome = run(device());
  ASSERT_EQ(outcome.error, "");
  check(outcome, 0);
  // Best at 128 threads and 2 items: the fake's own cost.
  EXPECT_EQ(to_string(*outcome.result->best->find("block_x")), "128");
  EXPECT_EQ(to_string(*outcome.result->best->find("items")), "2");
  EXPECT_TRUE(outcome.result->reverified);
  EXPECT_GT(shared().total, 200u);
}

TEST_P(Walk, EachCallFailsOnce) {
  const Device faked = device();
  arm(Action::none, 0, "", 0);
  run(faked);
  const std::uint64_t calls = shared().total;
  ASSERT_GT(calls, 200u);
  std::size_t ended = 0;
  const std::uint64_t stride = whole_walk() ? 1 : std::max<std::uint64_t>(13, calls / 120);
  std::size_t points = 0;
  for (std::uint64_t ordinal = 1; ordinal <= calls; ordinal += stride, ++points) {
    const int code = faked.codes[ordinal % faked.codes.size()];
    SCOPED_TRACE("call " + std::to_string(ordinal) + " of " + std::to_string(calls) + " fails with " +
                 std::to_string(code));
    const Outcome outcome = run_with_fault(faked, Action::error, code, "", ordinal);
    ASSERT_EQ(shared().fired, 1u) << "the session took another course";
    // The configuration it hit, and the winner if it was the second verification.
    check(outcome, 2);
    if (!outcome.result) ++ended;
    if (HasFatalFailure()) return;
  }
  std::cout << "injection points: " << points << " of the " << calls << " driver calls of a session on " << faked.name
            << " failed one at a time: " << ended << " ended the session with a message, " << points - ended
            << " cost a configuration or nothing; 0 leaks\n";
}

// The first and the last call of each function with every answer, and the context gone after each of them.
TEST_P(Walk, EachFunctionFailsInEveryWay) {
  const Device faked = device();
  arm(Action::none, 0, "", 0);
  run(faked);
  std::vector<std::pair<std::string, std::uint64_t>> functions;
  for (const auto& call : shared().calls)
    if (call.count > 0) functions.emplace_back(call.name, call.count.load());
  ASSERT_GT(functions.size(), 20u);
  std::size_t points = 0, never_called = 0;
  for (const auto& [name, count] : functions)
    for (const std::uint64_t ordinal : std::set<std::uint64_t>{1, count}) {
      for (const Action action : {Action::error, Action::sticky, Action::lost})
        for (const int code : whole_walk() ? faked.codes : std::vector<int>{faked.codes[points % faked.codes.size()]}) {
          SCOPED_TRACE("call " + std::to_string(ordinal) + " of " + name + ", action " +
                       std::to_string(static_cast<int>(action)) + ", code " + std::to_string(code));
          const Outcome outcome = run_with_fault(faked, action, code, name, ordinal);
          if (shared().fired == 0) {
            check(outcome, 0);
            ++never_called;
            continue;
          }
          ASSERT_EQ(shared().fired, 1u);
          // A context that stays lost costs every configuration after it.
          if (action == Action::error)
            check(outcome, 2);
          else
            EXPECT_EQ(shared().misuses, 0u) << shared().first_misuse;
          ++points;
          for (const auto& live : shared().live) EXPECT_EQ(live, 0u);
          if (HasFailure()) return;
        }
    }
  // What only some sessions call is a few functions of graphs.
  EXPECT_LE(never_called, points / 10);
  std::cout << "injection points: " << points << " on " << faked.name << " (" << functions.size()
            << " functions, first and last call, once and for ever); 0 leaks\n";
}

// Modules are unloaded: what a configuration took is given back before the next one.
TEST_P(Walk, TenThousandConfigurationsDoNotGrow) {
  arm(Action::none, 0, "", 0);
  const Device faked = device();
  {
    const auto backend = faked.backend();
    const DeviceInfo found = device::find_device(*backend, DeviceId::parse(faked.id));
    const Problem problem =
        spec::read(std::string(FAULTS_SOURCE_FOLDER) + "/walk.toml").for_device(found, Configuration{});
    const auto space = problem.build_space();
    const SteadyClock clock;
    execution::CompileStation compiler(*backend, found, problem, clock, {});
    execution::DeviceStation station(*backend, found.id, problem, clock, {});
    std::vector<execution::RunTask> tasks;
    for (std::uint64_t i = 0; i < space->size(); ++i) {
      execution::CompileDone compiled = compiler.compile({i, space->at(i), {}});
      if (compiled.status != TrialStatus::ok) continue;
      execution::RunTask task{i, space->at(i), std::move(compiled.binary), {}, {}, 0};
      task.timing.min_samples = task.timing.max_samples = 1;
      tasks.push_back(std::move(task));
    }
    ASSERT_EQ(tasks.size(), 11u);
    const auto run_some = [&](int count) {
      for (int i = 0; i < count; ++i) station.run(tasks[static_cast<std::size_t>(i) % tasks.size()]);
    };
    run_some(50);
    const std::uint64_t bytes = shared().live_bytes, modules = shared().live[static_cast<int>(faults::Kind::module)];
    std::vector<std::uint64_t> peaks(std::begin(shared().peak), std::end(shared().peak));
    run_some(9950);
    // The cover may have been made meanwhile: one module, and four bytes.
    EXPECT_LE(shared().live_bytes - bytes, 4u);
    EXPECT_LE(shared().live[static_cast<int>(faults::Kind::module)] - modules, 1u);
    // A batch behind a cover needs a few events more than one without; what leaks needs thousands.
    for (std::size_t kind = 0; kind < peaks.size(); ++kind) EXPECT_LE(shared().peak[kind], peaks[kind] + 64) << kind;
    EXPECT_GE(shared().unloaded, 10'000u);
    // A configuration's, the reference's, the one that reads the cache clean, and the cover.
    EXPECT_LE(shared().peak[static_cast<int>(faults::Kind::module)], 4u);
  }
  for (const auto& live : shared().live) EXPECT_EQ(live, 0u);
}

INSTANTIATE_TEST_SUITE_P(Devices, Walk, ::testing::Values("cuda", "opencl"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace warpwright
