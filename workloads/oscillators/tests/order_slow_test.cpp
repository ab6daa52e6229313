// The order parameters of the specification at its sizes and tolerance: identical oscillators, all coupled to each
// other.
#include <cstddef>
#include <cstdint>
#include <gtest/gtest.h>
#include <vector>

#include "ensemble.hpp"
#include "workloads/oscillators/oracle.hpp"

namespace warpwright::workloads::oscillators {
namespace {

using namespace testing;

TEST(OrderSlow, OverdampedWithNoise) {
  for (const double strength : {1.5, 2.0, 3.0}) {
    const double r = mean_order_overdamped(900, strength, Overdamped{0.01, 0.5}, 40000, 10000, 1);
    EXPECT_NEAR(r, order_of_identical_oscillators(strength, 0.5), 0.005) << "K = " << strength;
  }
}

TEST(OrderSlow, UnderdampedAtEquilibrium) {
  // Without torque the phases of 4B have the distribution of 4A with D = T.
  const std::size_t n = 900;
  const Underdamped parameters{0.02, 0.5, 1.0};
  const Draws draws(2, Stage::oscillators);
  const Force force = all_to_all_force(n, 4.0);
  const std::vector<double> none(n, 0.0);
  State state = start(initial_phases(n, draws), initial_velocities(n, 1.0, draws), force, none);
  std::vector<double> normals(n);
  double order = 0.0;
  double square = 0.0;
  double heat_before = 0.0;
  const std::size_t dropped = 5000;
  const std::size_t steps = 20000;
  for (std::size_t m = 0; m < steps; ++m) {
    draws.normals(0, static_cast<std::uint32_t>(m), normals);
    step(state, force, none, parameters, normals);
    if (m + 1 == dropped) heat_before = total_heat(state);
    if (m < dropped) continue;
    order += order_parameter(state.phases).r;
    square += 2.0 * kinetic_energy(state) / static_cast<double>(n);
  }
  const double samples = static_cast<double>(steps - dropped);
  EXPECT_NEAR(order / samples, order_of_identical_oscillators(4.0, 1.0), 0.005);
  EXPECT_NEAR(square / samples, 1.0, 0.01);
  const double elapsed = samples * parameters.time_step;
  EXPECT_NEAR((total_heat(state) - heat_before) / elapsed / static_cast<double>(n), 0.0, 1e-3);
}

}  // namespace
}  // namespace warpwright::workloads::oscillators
