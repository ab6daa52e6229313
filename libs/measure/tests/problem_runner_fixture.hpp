// What tests of ProblemRunner share: a problem on the host device whose parameter selects what goes wrong.
#pragma once

#include <functional>
#include <gtest/gtest.h>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/problem_runner.hpp>

#include "host_device.hpp"
#include "problems.hpp"

namespace warpwright::measure {

using testing::buffer_argument;
using testing::Call;
using testing::Host;
using testing::HostCompiler;
using testing::HostContext;
using testing::integer;
using testing::make_launch;
using testing::make_parameter;
using testing::StepClock;

inline constexpr int n = 1000;

inline Configuration bug(int number) { return {{"bug", integer(number)}}; }

// y = 2x, with what can go wrong selected by the parameter "bug".
enum Bug {
  none,
  half_written,
  past_the_end,
  all_nan,
  one_wrong,
  far_past,
  refused,
  refused_resources,
  sometimes_wrong,
  faulty
};

class Runner : public ::testing::Test {
 protected:
  Runner() : context(host), compiler(host) {
    host.kernels["twice"] = [this](const Call& call) { twice(call); };
    host.kernels["twice_naive"] = [](const Call& call) {
      for (int i = 0; i < call.scalar<std::int32_t>(2); ++i) call.data<float>(1)[i] = 2 * call.data<float>(0)[i];
    };
    problem.name = "twice";
    problem.source.dialect = SourceText{"twice.kernel", "source"};
    problem.dimensions = {{"n", integer(n)}};
    problem.parameters = {make_parameter("bug", {integer(0), integer(1), integer(2), integer(3), integer(4), integer(5),
                                                 integer(6), integer(7), integer(8), integer(9)})};
    problem.arguments = {buffer_argument("x", DataType::float32, Access::in, "n", FillUniform{-1, 1, 3}),
                         buffer_argument("y", DataType::float32, Access::out, "n")};
    problem.launches = {make_launch("twice", {"x", "y", "n"})};
    problem.outputs = {{"y", 1e-6, 0, {}}};
    ReferenceKernel reference;
    reference.launches = {make_launch("twice_naive", {"x", "y", "n"})};
    problem.reference = reference;
    timing.min_samples = timing.max_samples = 5;
  }

  void twice(const Call& call) {
    const int which = call.define("bug"), size = call.scalar<std::int32_t>(2);
    const float* x = call.data<float>(0);
    float* y = call.data<float>(1);
    ++runs;
    if (which == refused)
      throw Error(ErrorCode::launch, "invalid argument", NativeError{1, "CUDA_ERROR_INVALID_VALUE"});
    if (which == refused_resources) {
      throw Error(ErrorCode::launch, "refused", NativeError{701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"});
    }
    if (which == faulty) throw Error(ErrorCode::device, "illegal address");
    for (int i = 0; i < (which == half_written ? size / 2 : size); ++i) {
      y[i] = which == all_nan ? std::numeric_limits<float>::quiet_NaN() : 2 * x[i];
    }
    if (which == past_the_end) y[size] = 0;
    if (which == far_past) call.data<std::byte>(1)[size * 4 + 4095] = std::byte{1};
    if (which == one_wrong) y[17] = 99;
    if (which == sometimes_wrong && runs == wrong_run) y[3] = 99;
  }

  std::unique_ptr<ProblemRunner> make_runner(RunnerOptions options = {}) {
    options.log = [this](LogLevel level, std::string_view text) {
      if (level >= LogLevel::warning) warnings.emplace_back(text);
    };
    auto runner = std::make_unique<ProblemRunner>(context, compiler, problem, clock, options);
    runner->compute_reference();
    return runner;
  }
  RunResult run(ProblemRunner& runner, const Configuration& configuration) {
    const Binary binary = compiler.compile(kernel_job(runner.problem(), configuration, host.info));
    return runner.run(configuration, binary, timing);
  }
  // Of a fresh runner, for one configuration.
  RunResult run(const Configuration& configuration) { return run(*make_runner(), configuration); }
  std::string error_of(ErrorCode code, const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      EXPECT_EQ(to_string(error.code()), to_string(code)) << error.what();
      return error.what();
    }
    return "no error";
  }

  Host host;
  HostContext context;
  HostCompiler compiler;
  StepClock clock;
  Problem problem;
  TimingOptions timing;
  int runs = 0, wrong_run = 0;
  std::vector<std::string> warnings;
};

}  // namespace warpwright::measure
