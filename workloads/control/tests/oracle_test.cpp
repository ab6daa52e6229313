// S7 against the contraction of its error.
#include "workloads/control/oracle.hpp"

#include <cstddef>
#include <gtest/gtest.h>
#include <vector>

#include <warpwright/base/error.hpp>

namespace warpwright::workloads::control {
namespace {

TEST(Control, InNumbers) {
  const std::vector<double> u{0.5, -1, 0}, target{1, 2, -3}, mean{0.2, 4, -3};
  const auto result = apply(u, target, mean);
  const std::vector<double> output{0.5 + 0.7 * 0.8, -1 - 0.7 * 2, 0};
  ASSERT_EQ(result.output.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(result.output[i], output[i], 1e-15);
    EXPECT_NEAR(result.mean[i], mean[i] + 0.1 * output[i], 1e-15);
  }
}

// With u = 0 the error x* - mu shrinks by 1 - eta_c g_c = 0.93; the wrong sign of the gain lets it grow by 1.07.
TEST(Control, ErrorContracts) {
  const std::vector<double> u(4, 0.0), target{1, -2, 0.5, 0};
  std::vector<double> mean{3, 1, 0.4, -7};
  for (int application = 0; application < 20; ++application) {
    const auto result = apply(u, target, mean);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR((target[i] - result.mean[i]) / (target[i] - mean[i]), 0.93, 1e-12);
    }
    mean = result.mean;
  }
}

TEST(Control, ContractionFollowsGainAndRate) {
  const std::vector<double> zero{0}, mean{2};
  EXPECT_NEAR(apply(zero, {}, mean, {.gain = 0.5, .rate = 0.3}).mean[0], 2 * (1 - 0.15), 1e-15);
  EXPECT_NEAR(apply(zero, {}, mean, {.gain = 1, .rate = 1}).mean[0], 0, 1e-15);
  EXPECT_EQ(apply(zero, {}, mean, {.gain = 0}).mean[0], 2);
}

TEST(Control, NoTargetIsZero) {
  const std::vector<double> u{0.3, 0}, mean{-1, 5}, zero{0, 0};
  EXPECT_EQ(apply(u, {}, mean).output, apply(u, zero, mean).output);
  EXPECT_EQ(apply(u, {}, mean).mean, apply(u, zero, mean).mean);
}

TEST(Control, AtTheTargetOnlyThePolicyActs) {
  const std::vector<double> u{0.3, -0.2}, mean{1, 2};
  EXPECT_EQ(apply(u, mean, mean).output, u);
}

TEST(Control, SizesMustAgree) {
  const std::vector<double> two(2), three(3);
  EXPECT_THROW(apply(two, {}, three), Error);
  EXPECT_THROW(apply(two, three, two), Error);
}

}  // namespace
}  // namespace warpwright::workloads::control
