// Every configuration of the whole problems that the tests of the command line tune (tests/cli/data/problems), on an
// OpenCL device: read, compiled stage by stage, verified, timed launch by launch.
#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/error.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/measure/problem_runner.hpp>
#include <warpwright/opencl/backend.hpp>
#include <warpwright/spec/read.hpp>

namespace warpwright::measure {
namespace {

class WholeProblem : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    backend = opencl::make_backend();
    const device::ProbeResult probe = backend->probe();
    if (!probe.usable) {
      const char* required = std::getenv("WARPWRIGHT_REQUIRE_DEVICE");
      if (required != nullptr && std::string(required).find("opencl") != std::string::npos) FAIL() << probe.reason;
      GTEST_SKIP() << "no OpenCL device: " << probe.reason << " " << probe.remedy;
    }
    context = backend->open(backend->devices().front().id);
    compiler = backend->compiler(context->device());
  }
  RunResult run(ProblemRunner& runner, const Configuration& configuration) {
    const device::Binary binary =
        compile_configuration(runner.problem(), configuration, context->device(),
                              [&](const device::CompileJob& job) { return compiler->compile(job); });
    TimingOptions timing;
    timing.min_samples = timing.max_samples = 2;
    timing.launch_times = true;
    return runner.run(configuration, binary, timing);
  }

  std::unique_ptr<device::Backend> backend;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<device::Compiler> compiler;
  SteadyClock clock;
};

TEST_P(WholeProblem, IsRightInEveryConfigurationAndAtItsOtherSizes) {
  const Problem problem =
      spec::read(std::filesystem::path(WARPWRIGHT_PROBLEMS_FOLDER) / (std::string(GetParam()) + ".toml"))
          .for_device(context->device());
  std::vector<Problem> sizes{problem};
  for (const Configuration& size : problem.verify_sizes) sizes.push_back(problem.with_dimensions(size));
  for (const Problem& sized : sizes) {
    const auto space = sized.build_space();
    ASSERT_GT(space->size(), 0U);
    ProblemRunner runner(*context, *compiler, sized, clock, {});
    runner.compute_reference();
    for (std::uint64_t i = 0; i < space->size(); ++i) {
      const Configuration configuration = space->at(i);
      const RunResult result = run(runner, configuration);
      ASSERT_EQ(result.status, TrialStatus::ok) << configuration.describe() << ": " << result.message;
      ASSERT_FALSE(result.launch_times.empty());
      for (const LaunchTime& launch : result.launch_times) EXPECT_GE(launch.time.count(), 0) << launch.entry;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(OpenCl, WholeProblem, ::testing::Values("rounds", "matvec", "reverse"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace warpwright::measure
