// What tests of whole sessions share: a problem of twenty configurations, what each of them does, and a session over
// it.
#pragma once

#include <cmath>
#include <filesystem>
#include <gtest/gtest.h>
#include <memory>
#include <string>

#include <warpwright/tuning/session.hpp>

#include "fake_evaluation.hpp"

namespace warpwright::tuning {

inline std::int64_t value_of(const Configuration& configuration, const char* name) {
  return std::get<std::int64_t>(configuration.at(name));
}

inline Problem small_problem() {
  Problem problem;
  problem.name = "fake";
  problem.source.dialect = SourceText{"fake.kernel", "kernel"};
  problem.dimensions.set("n", std::int64_t{1024});
  problem.parameters = {{"block",
                         {std::int64_t{32}, std::int64_t{64}, std::int64_t{128}, std::int64_t{512}},
                         {},
                         ParameterRole::define,
                         true,
                         {}},
                        {"items",
                         {std::int64_t{1}, std::int64_t{2}, std::int64_t{3}, std::int64_t{4}, std::int64_t{5}},
                         {},
                         ParameterRole::define,
                         true,
                         {}}};
  Launch launch;
  launch.entry = "fake";
  launch.block = {Expression::parse("block")};
  launch.grid = {Expression::parse("ceil_div(n, block * items)")};
  problem.launches = {launch};
  return problem;
}

// Fastest at block 64, items 3; items 4 gives a wrong result that would be fastest of all, items 5 does not compile.
inline FakeOutcome model(const Configuration& configuration) {
  FakeOutcome outcome;
  const auto block = value_of(configuration, "block");
  const auto items = value_of(configuration, "items");
  outcome.time_ns =
      1000.0 + 10.0 * std::abs(static_cast<double>(block - 64)) + 100.0 * std::abs(static_cast<double>(items - 3));
  if (items == 4) {
    outcome.status = TrialStatus::wrong_result;
    outcome.time_ns = 1;
  }
  if (items == 5) outcome.compile_status = TrialStatus::compile_failed;
  return outcome;
}

class SessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("warpwright-session-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  SessionRecord run(const SessionOptions& options, FakeEvaluation& evaluation) {
    return run_session(problem_, *space_, StrategyRegistry::with_defaults(), evaluation, clock_, options);
  }
  SessionRecord run(const SessionOptions& options) {
    FakeEvaluation evaluation(clock_, model);
    return run(options, evaluation);
  }

  Problem problem_ = small_problem();
  std::unique_ptr<Space> space_ = problem_.build_space();
  ManualClock clock_;
  std::filesystem::path folder_;
};

}  // namespace warpwright::tuning
