// What the tests of PerformanceTuner share: two made-up workloads, a clock, a folder.
#pragma once

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdexcept>
#include <string>

#include <warpwright/base/error.hpp>
#include <warpwright/tuning/performance_tuner.hpp>

namespace warpwright {

using namespace std::chrono_literals;
class ManualClock final : public Clock {
 public:
  Nanoseconds now() const override { return now_; }
  void advance(Nanoseconds time) { now_ += time; }

 private:
  Nanoseconds now_{1e9};
};

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "warpwright-performance-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

template <class F>
std::string error_of(ErrorCode code, F&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return {};
}

// A valley with its floor at 512 threads.
inline Nanoseconds valley(const KernelConfig& config) {
  return Nanoseconds(1000 * (1 + std::abs(std::log2(static_cast<double>(config.block_size.x)) - 9)));
}

inline ConfigurationSpace small_space() {
  ConfigurationSpace space;
  space.parameters.resize(2);
  space.parameters[0].name = "tile";
  space.parameters[0].values = {std::int64_t{1}, std::int64_t{2}, std::int64_t{4}, std::int64_t{8}};
  space.parameters[1].name = "layout";
  space.parameters[1].values = {std::string("row"), std::string("column")};
  return space;
}

inline double small_time(const Configuration& c) {
  return 100 + std::abs(*as_number(c.at("tile")) - 4) * 10 + (c.at("layout") == Value(std::string("row")) ? 5 : 0);
}

inline std::size_t count(const PerformanceMetrics& metrics, TrialStatus status) {
  return metrics.by_status[static_cast<std::size_t>(status)];
}

}  // namespace warpwright
