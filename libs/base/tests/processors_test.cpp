#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sched.h>
#include <string>
#include <thread>

#include <warpwright/base/processors.hpp>

namespace warpwright {
namespace {

class Processors : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("warpwright-processors-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  std::optional<double> limit(const std::string& groups) {
    write("groups", groups);
    return control_group_processors(folder_ / "groups", folder_ / "mount");
  }

  std::filesystem::path folder_;
};

TEST_F(Processors, AreThoseOfTheAffinityMask) {
  std::thread([] {
    cpu_set_t all, one;
    ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i)
      if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    EXPECT_LE(available_processors(), CPU_COUNT(&all));
    EXPECT_GE(available_processors(), 1);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(available_processors(), 1);
  }).join();
}

TEST_F(Processors, OfAControlGroupAreTheLeastOnItsWay) {
  EXPECT_FALSE(limit("0::/batch/job\n"));
  write("mount/batch/job/cpu.max", "max 100000\n");
  EXPECT_FALSE(limit("0::/batch/job\n"));
  write("mount/batch/cpu.max", "150000 100000\n");
  EXPECT_EQ(limit("0::/batch/job\n"), 1.5);
  write("mount/batch/job/cpu.max", "400000 100000\n");
  EXPECT_EQ(limit("0::/batch/job\n"), 1.5);
  write("mount/batch/job/cpu.max", "50000 100000\n");
  EXPECT_EQ(limit("0::/batch/job\n"), 0.5);
  // What a container sees: the name from outside, the group itself at the mount.
  write("mount/cpu.max", "200000 100000\n");
  EXPECT_EQ(limit("0::/docker/0123\n"), 2);
  EXPECT_EQ(limit("0::/../elsewhere\n"), 2);
  EXPECT_FALSE(limit("nonsense\n"));
}

TEST_F(Processors, OfTheFirstVersionOfControlGroupsToo) {
  const std::string groups = "12:memory:/batch\n4:cpu,cpuacct:/batch\n0::/batch\n";
  write("mount/cpu,cpuacct/batch/cpu.cfs_quota_us", "-1\n");
  write("mount/cpu,cpuacct/batch/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(limit(groups));
  write("mount/cpu,cpuacct/batch/cpu.cfs_quota_us", "300000\n");
  EXPECT_EQ(limit(groups), 3);
}

}  // namespace
}  // namespace warpwright
