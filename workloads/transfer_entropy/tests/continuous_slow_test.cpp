// The nearest-neighbour estimator at the size of the specification: one run scatters by 0.023 bit, so the mean of eight
// seeds is compared.
#include <cmath>
#include <cstdint>
#include <gtest/gtest.h>
#include <vector>

#include "workloads/common/random.hpp"
#include "workloads/transfer_entropy/oracle.hpp"

namespace warpwright::workloads::transfer_entropy {
namespace {

TEST(ContinuousSlow, MeanOfEightSeedsOfALinearProcess) {
  const double a = 0.5;
  const double c = 0.8;
  const double sd = 0.6;
  const std::size_t length = 4097;
  double sum = 0.0;
  for (std::uint32_t seed = 1; seed <= 8; ++seed) {
    std::vector<double> x(length);
    std::vector<double> y(length);
    std::vector<double> eta(length);
    const Draws draws(seed, Stage::transfer_entropy);
    draws.normals(setup_frame, 0, x);
    draws.normals(setup_frame, 1, eta);
    for (std::size_t t = 0; t + 1 < length; ++t) y[t + 1] = a * y[t] + c * x[t] + sd * eta[t];
    sum += continuous(x, y, 1);
  }
  EXPECT_NEAR(0.5 * std::log2(1.0 + c * c / (sd * sd)), 0.7370, 5e-5);
  EXPECT_NEAR(sum / 8.0, 0.7370, 0.02);
}

}  // namespace
}  // namespace warpwright::workloads::transfer_entropy
