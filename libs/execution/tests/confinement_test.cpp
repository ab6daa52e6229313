#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#if __has_include(<linux/landlock.h>)
#include <linux/landlock.h>
#define WARPWRIGHT_HAS_LANDLOCK_HEADER 1
#endif

#include <warpwright/execution/confinement.hpp>

#include "landlock_abi.hpp"

namespace warpwright::execution {
namespace {

namespace fs = std::filesystem;

bool can_write(const fs::path& file) {
  std::ofstream out(file, std::ios::app);
  return static_cast<bool>(out << "x" << std::flush);
}

// A confinement lasts as long as its process: each check has a child of its own, whose exit status is the answer.
template <class Function>
int in_child(Function&& check) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(check());
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

class ConfinementTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (confinement_support().landlock == 0) GTEST_SKIP() << "this kernel has no Landlock of version 2 or later";
    std::string name = (fs::temp_directory_path() / "warpwright-confinement-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    for (const char* folder : {"inside", "outside"}) fs::create_directory(root_ / folder);
    can_write(root_ / "outside" / "old");
  }
  void TearDown() override {
    if (!root_.empty()) fs::remove_all(root_);
  }
  fs::path root_;
};

TEST_F(ConfinementTest, NothingOutsideCanBeWritten) {
  ASSERT_TRUE(can_write(root_ / "outside" / "old"));
  const int wrong = in_child([&] {
    const ConfinementSupport done = confine_this_thread({root_ / "inside", root_ / "absent"});
    if (!done.no_new_privileges || done.landlock == 0) return 1;
    if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 2;
    std::error_code status;
    if (can_write(root_ / "outside" / "new")) return 3;
    if (can_write(root_ / "outside" / "old")) return 4;
    if (fs::remove(root_ / "outside" / "old", status)) return 5;
    if (fs::create_directory(root_ / "outside" / "folder", status)) return 6;
    if (::truncate((root_ / "outside" / "old").c_str(), 0) == 0 && done.landlock >= 3) return 7;
    if (!can_write(root_ / "inside" / "a")) return 8;
    fs::rename(root_ / "inside" / "a", root_ / "outside" / "a", status);
    if (!status) return 9;
    fs::create_symlink(root_ / "outside", root_ / "inside" / "way");
    if (can_write(root_ / "inside" / "way" / "new")) return 10;
    return 0;
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_FALSE(fs::exists(root_ / "outside" / "new"));
  EXPECT_EQ(fs::file_size(root_ / "outside" / "old"), 2u);
}

TEST_F(ConfinementTest, WhatIsStartedLaterIsConfinedToo) {
  const std::string write = "echo x > '" + (root_ / "outside" / "new").string() + "'";
  const std::string allowed = "echo x > '" + (root_ / "inside" / "new").string() + "'";
  const int wrong = in_child([&] {
    confine_this_thread({root_ / "inside"});
    if (std::system((write + " 2>/dev/null").c_str()) == 0) return 1;
    if (std::system(allowed.c_str()) != 0) return 2;
    return 0;
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_FALSE(fs::exists(root_ / "outside" / "new"));
}

TEST_F(ConfinementTest, CachesDriversAndCompilersGoOn) {
  const int wrong = in_child([&] {
    confine_this_thread({root_ / "inside"});
    std::error_code status;
    // A cache entry is made in one folder and moved to another.
    fs::create_directories(root_ / "inside" / "tmp");
    fs::create_directories(root_ / "inside" / "kernels" / "ab");
    can_write(root_ / "inside" / "tmp" / "entry");
    fs::rename(root_ / "inside" / "tmp" / "entry", root_ / "inside" / "kernels" / "ab" / "entry", status);
    if (status) return 1;
    if (!can_write("/dev/null")) return 2;
    const std::string shared = "/dev/shm/warpwright-test-" + std::to_string(::getpid());
    if (fs::is_directory("/dev/shm")) {
      if (!can_write(shared)) return 3;
      if (!fs::remove(shared, status)) return 4;
    }
    std::ofstream name("/proc/self/task/" + std::to_string(::gettid()) + "/comm");
    if (!(name << "renamed" << std::flush)) return 5;
    if (::access((root_ / "outside" / "old").c_str(), R_OK) != 0 || !std::ifstream(root_ / "outside" / "old")) return 6;
    const int opened = ::open("/dev/null", O_RDWR);
    if (opened < 0) return 7;
    return 0;
  });
  EXPECT_EQ(wrong, 0);
}

TEST(Confinement, SaysWhatTheKernelHas) {
  const ConfinementSupport support = confinement_support();
  EXPECT_TRUE(support.no_new_privileges);
  EXPECT_TRUE(support.landlock == 0 || support.landlock >= landlock::least_version);
  EXPECT_EQ(ConfinementSupport({true, 3}).describe(), "no new privileges, Landlock 3");
  EXPECT_NE(ConfinementSupport({true, 0}).describe().find("no Landlock"), std::string::npos);
}

#ifdef WARPWRIGHT_HAS_LANDLOCK_HEADER
TEST(Confinement, DeclarationsAgreeWithTheSystemsHeader) {
  EXPECT_EQ(landlock::write_file, LANDLOCK_ACCESS_FS_WRITE_FILE);
  EXPECT_EQ(landlock::remove_folder, LANDLOCK_ACCESS_FS_REMOVE_DIR);
  EXPECT_EQ(landlock::remove_file, LANDLOCK_ACCESS_FS_REMOVE_FILE);
  EXPECT_EQ(landlock::make_character, LANDLOCK_ACCESS_FS_MAKE_CHAR);
  EXPECT_EQ(landlock::make_folder, LANDLOCK_ACCESS_FS_MAKE_DIR);
  EXPECT_EQ(landlock::make_file, LANDLOCK_ACCESS_FS_MAKE_REG);
  EXPECT_EQ(landlock::make_socket, LANDLOCK_ACCESS_FS_MAKE_SOCK);
  EXPECT_EQ(landlock::make_fifo, LANDLOCK_ACCESS_FS_MAKE_FIFO);
  EXPECT_EQ(landlock::make_block, LANDLOCK_ACCESS_FS_MAKE_BLOCK);
  EXPECT_EQ(landlock::make_symlink, LANDLOCK_ACCESS_FS_MAKE_SYM);
#ifdef LANDLOCK_ACCESS_FS_REFER
  EXPECT_EQ(landlock::refer, LANDLOCK_ACCESS_FS_REFER);
#endif
#ifdef LANDLOCK_ACCESS_FS_TRUNCATE
  EXPECT_EQ(landlock::truncate, LANDLOCK_ACCESS_FS_TRUNCATE);
#endif
  EXPECT_EQ(landlock::path_beneath, LANDLOCK_RULE_PATH_BENEATH);
  EXPECT_EQ(landlock::ask_version, LANDLOCK_CREATE_RULESET_VERSION);
  EXPECT_EQ(sizeof(landlock::PathBeneath), sizeof(landlock_path_beneath_attr));
}
#endif

}  // namespace
}  // namespace warpwright::execution
