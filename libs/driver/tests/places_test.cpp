#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <warpwright/driver/places.hpp>

#include "error_of.hpp"
#include "support.hpp"

namespace warpwright::driver {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

namespace fs = std::filesystem;

Variables variables(std::map<std::string, std::string> values) { return Variables(std::move(values)); }

TEST(Variables, AreThoseOfAnEnvironment) {
  const char* const environment[] = {"HOME=/h", "EMPTY=", "PATH=/a=b", "HOME=/second", "no_value", nullptr};
  const Variables read(environment);
  EXPECT_EQ(read.value("HOME"), "/h");
  EXPECT_EQ(read.value("PATH"), "/a=b");
  EXPECT_TRUE(read.has("EMPTY"));
  EXPECT_EQ(read.value("EMPTY"), "");
  EXPECT_FALSE(read.has("no_value"));
  EXPECT_EQ(Variables(nullptr).value("HOME"), "");
}

TEST(Places, FollowTheBaseDirectories) {
  const Places home(variables({{"HOME", "/h"}, {"XDG_CACHE_HOME", "relative"}}));
  EXPECT_EQ(home.profiles_file(), "/h/.local/share/warpwright/profiles.sqlite");
  EXPECT_EQ(home.cache_folder(), "/h/.cache/warpwright");
  const std::string session = home.new_session_folder("a kernel/b").string();
  EXPECT_THAT(session, StartsWith("/h/.local/state/warpwright/sessions/a_kernel_b-"));
  const Places chosen(variables({{"XDG_DATA_HOME", "/d"}, {"XDG_CACHE_HOME", "/c"}, {"TMPDIR", "/t"}}));
  EXPECT_EQ(chosen.profiles_file(), "/d/warpwright/profiles.sqlite");
  EXPECT_EQ(chosen.cache_folder(), "/c/warpwright");
  EXPECT_THAT(chosen.folders_for_temporary_files(), ElementsAre("/tmp", "/var/tmp", "/t"));
}

TEST(Places, WithoutAHomeTheErrorNamesTheCallersOptions) {
  OptionNames names;
  names.profiles = "--profiles";
  const Places places(variables({}), names);
  EXPECT_THAT(refusal([&] { static_cast<void>(places.profiles_file()); }),
              AllOf(HasSubstr("neither XDG_DATA_HOME nor HOME is set"),
                    HasSubstr("--profiles, workers.cache_folder and session")));
}

// Where the user's folders cannot be used, the work goes on in a temporary one: caches go with the places, the rest
// stays.
TEST(Places, StandInForFoldersThatCannotBeUsed) {
  const TemporaryFolder folder(fs::temp_directory_path());
  fs::path cache, session;
  std::vector<std::string> warnings;
  const LogSink log = [&](LogLevel level, std::string_view text) {
    EXPECT_EQ(level, LogLevel::warning);
    warnings.emplace_back(text);
  };
  {
    Places places(variables({{"HOME", "/proc/1/no"}, {"TMPDIR", folder.path().string()}}));
    cache = places.usable_cache_folder("", log);
    EXPECT_EQ(places.usable_cache_folder("", log), cache);
    session = places.usable_session_folder("k", log);
    const auto profiles = places.usable_profiles_file(log);
    const auto variable = places.variable_for_driver_caches(log);
    ASSERT_TRUE(variable.has_value());
    EXPECT_EQ(variable->first, "POCL_CACHE_DIR");
    for (const fs::path& path : {cache, session, profiles, fs::path(variable->second)})
      EXPECT_THAT(path.string(), StartsWith(folder.path().string() + "/warpwright-"));
    struct stat found {};
    ASSERT_EQ(::stat((cache / "binaries").c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0700u);
    fs::create_directories(session);
  }
  EXPECT_FALSE(fs::exists(cache));
  EXPECT_TRUE(fs::exists(session));
  ASSERT_EQ(warnings.size(), 3u);  // of the cache once
  EXPECT_THAT(warnings[0], HasSubstr("name a folder with workers.cache_folder"));
  EXPECT_THAT(warnings[1], HasSubstr("name a folder with session"));
  EXPECT_THAT(warnings[2], HasSubstr("name a file with profiles"));
}

TEST(Places, ACacheThatOthersCouldWriteToIsRefused) {
  const TemporaryFolder folder(fs::temp_directory_path());
  const fs::path open = folder.path() / "open";
  fs::create_directory(open);
  ASSERT_EQ(::chmod(open.c_str(), 0777), 0);
  Places places(variables({}));
  EXPECT_THAT(refusal([&] { places.usable_cache_folder(open.string(), {}); }), StartsWith("workers.cache_folder: "));
}

TEST(Places, DriversWithAUsableCacheKeepIt) {
  const TemporaryFolder folder(fs::temp_directory_path());
  for (const char* name : {"POCL_CACHE_DIR", "XDG_CACHE_HOME", "HOME"}) {
    Places places(variables({{name, folder.path().string()}}));
    EXPECT_FALSE(places.variable_for_driver_caches({}).has_value()) << name;
  }
  EXPECT_FALSE(Places(variables({})).variable_for_driver_caches({}).has_value());
}

TEST(FindWorker, LooksBesideTheProgramAndInLibexec) {
  const TemporaryFolder folder(fs::temp_directory_path());
  const fs::path program = folder.path() / "bin" / "program";
  EXPECT_THAT(message_of(ErrorCode::not_found, [&] { static_cast<void>(find_worker(program)); }),
              AllOf(HasSubstr((folder.path() / "bin" / "warpwright-worker").string()),
                    HasSubstr((folder.path() / "libexec/warpwright/warpwright-worker").string())));
  for (const char* place : {"libexec/warpwright", "bin"}) {
    const fs::path worker = folder.path() / place / "warpwright-worker";
    fs::create_directories(worker.parent_path());
    write_file_atomically(worker, "#!/bin/sh\n");
    ASSERT_EQ(::chmod(worker.c_str(), 0755), 0);
    EXPECT_EQ(find_worker(program), worker);
  }
}

}  // namespace
}  // namespace warpwright::driver
