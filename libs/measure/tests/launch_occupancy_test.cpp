#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include <warpwright/measure/launch_occupancy.hpp>

#include "problems.hpp"

namespace warpwright::measure {
namespace {

using ::testing::HasSubstr;

DeviceInfo h200() {
  DeviceInfo device;
  device.id.backend = "cuda";
  device.kind = DeviceKind::gpu;
  device.architecture = "sm_90";
  device.multiprocessors = 132;
  return device;
}

// One launch of 256 threads per block.
OccupancyCheck check(std::int64_t blocks, bool cooperative, Bytes shared, const DeviceInfo& device = h200()) {
  Problem problem;
  problem.name = "k";
  Launch launch;
  launch.entry = "k";
  launch.block = {Expression::parse("256")};
  launch.grid = {Expression::parse(std::to_string(blocks))};
  launch.cooperative = cooperative;
  problem.launches = {launch};
  KernelResources needs;
  needs.entry = "k";
  needs.registers_per_thread = 32;
  needs.static_shared = shared;
  return check_occupancy(problem, {}, {needs}, device);
}

TEST(LaunchOccupancy, ACooperativeGridMustBeOnTheDeviceAllAtOnce) {
  // 100 KiB per block: two blocks for each multiprocessor.
  const Bytes shared{100 << 10};
  const OccupancyCheck fitting = check(264, true, shared);
  ASSERT_EQ(fitting.launches.size(), 1U);
  EXPECT_EQ(fitting.launches[0].blocks_per_sm, 2);
  EXPECT_FALSE(fitting.refusal);
  const OccupancyCheck larger = check(265, true, shared);
  ASSERT_TRUE(larger.refusal);
  EXPECT_THAT(
      *larger.refusal,
      HasSubstr("kernel 'k' cannot be launched: its cooperative grid has 265 blocks, the device holds 264 at once "
                "(2 on each of 132 multiprocessors)"));
  EXPECT_FALSE(check(265, false, shared).refusal) << "other grids take turns";
}

TEST(LaunchOccupancy, SaysNothingOfAGridWhereTheNumberOfMultiprocessorsIsUnknown) {
  DeviceInfo device = h200();
  device.multiprocessors = 0;
  EXPECT_FALSE(check(100000, true, Bytes{}, device).refusal);
}

TEST(LaunchOccupancy, ABlockThatFitsNowhereIsTheFirstReason) {
  const OccupancyCheck nowhere = check(1, true, Bytes{300 << 10});
  ASSERT_TRUE(nowhere.refusal);
  EXPECT_THAT(*nowhere.refusal, Not(HasSubstr("cooperative")));
}

}  // namespace
}  // namespace warpwright::measure
