#include <atomic>
#include <cmath>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <latch>
#include <limits>
#include <stdexcept>
#include <thread>
#include <unistd.h>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/runtime/profile_cache.hpp>

namespace warpwright {
namespace {

ProfileCacheOptions options_of(std::optional<std::filesystem::path> database = {}) {
  ProfileCacheOptions options;
  options.database = std::move(database);
  options.identity.source_hash = "hash";
  options.identity.data_types = "callable";
  options.identity.backend = "host";
  options.identity.device = "CPU";
  return options;
}

TuningProfile profile(const std::string& name, double median, std::int64_t size = 1000) {
  TuningProfile made;
  made.key = options_of().identity;
  made.key.kernel = name;
  made.key.dimensions = Configuration{{"n", size}};
  made.configuration = Configuration{{"tile", std::isfinite(median) ? static_cast<std::int64_t>(median) : 0}};
  made.median = Nanoseconds(median);
  made.created_at = "2024-01-01T00:00:00Z";
  return made;
}

struct TemporaryFolder {
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "warpwright-cache-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

TEST(ProfileCache, FindsByNameAndSize) {
  ProfileCache cache(options_of());
  EXPECT_EQ(cache.find("a"), nullptr);
  EXPECT_EQ(cache.put(profile("a", 10, 1000)), 0);
  cache.put(profile("a", 20, 100000));
  cache.put(profile("b", 30));
  EXPECT_EQ(cache.find("a")->profile.median.count(), 20);
  EXPECT_EQ(cache.find("b")->profile.median.count(), 30);
  EXPECT_EQ(cache.find("a", Configuration{{"n", std::int64_t{2000}}})->profile.median.count(), 10);
  EXPECT_EQ(cache.find("a", Configuration{{"n", std::int64_t{1 << 20}}})->profile.median.count(), 20);
  EXPECT_EQ(cache.find("c", Configuration{}), nullptr);
  // An equal key replaces, and 1000.0 is 1000.
  TuningProfile again = profile("a", 11);
  again.key.dimensions = Configuration{{"n", 1000.0}};
  cache.put(again);
  EXPECT_EQ(cache.find("a", Configuration{{"n", std::int64_t{1000}}})->profile.median.count(), 11);
  EXPECT_EQ(cache.find("a")->profile.median.count(), 11);
  EXPECT_FALSE(cache.reload());
}

TEST(ProfileCache, RefusesProfilesThatCannotBeFoundOrMeanNothing) {
  ProfileCache cache(options_of());
  const auto refused = [&](const TuningProfile& bad) {
    try {
      cache.put(bad);
    } catch (const Error& error) {
      return error.code() == ErrorCode::bad_input;
    }
    return false;
  };
  EXPECT_TRUE(refused(profile("", 1)));
  EXPECT_TRUE(refused(profile("a", 0)));
  EXPECT_TRUE(refused(profile("a", std::numeric_limits<double>::quiet_NaN())));
  EXPECT_EQ(cache.find("a"), nullptr);
}

TEST(ProfileCache, OtherDevicesAnswerOnlyWhereTheyMay) {
  auto options = options_of();
  TuningProfile foreign = profile("a", 5);
  foreign.key.device = "another CPU";
  ProfileCache strict(options);
  strict.put(foreign);
  EXPECT_EQ(strict.find("a"), nullptr);
  options.match = store::MatchPolicy::nearest;
  ProfileCache lenient(options);
  lenient.put(profile("a", 7));
  lenient.put(foreign);
  EXPECT_EQ(lenient.find("a")->profile.median.count(), 7);  // the right device before the newer profile
  TuningProfile other_code = profile("b", 5);
  other_code.key.source_hash = "other";
  lenient.put(other_code);
  EXPECT_EQ(lenient.find("b"), nullptr);
}

TEST(ProfileCache, DatabaseIsWrittenThroughAndReadAgain) {
  const TemporaryFolder folder;
  const auto file = folder.path / "profiles.sqlite";
  ProfileCache first(options_of(file));
  EXPECT_GT(first.put(profile("a", 10)), 0);
  ProfileCache second(options_of(file));
  ASSERT_NE(second.find("a"), nullptr);
  EXPECT_EQ(second.find("a")->profile.median.count(), 10);
  auto handle = first.handle("b");
  EXPECT_EQ(handle.read(), nullptr);
  second.put(profile("b", 20));
  EXPECT_EQ(handle.read(), nullptr);
  EXPECT_TRUE(first.reload());
  ASSERT_NE(handle.read(), nullptr);
  EXPECT_EQ(handle.read()->profile.median.count(), 20);
  EXPECT_FALSE(first.reload());
  // What was removed elsewhere goes.
  store::ProfileDatabase database(file);
  EXPECT_TRUE(database.remove(handle.read()->profile.id));
  EXPECT_TRUE(first.reload());
  EXPECT_EQ(handle.read(), nullptr);
  EXPECT_EQ(first.find("b"), nullptr);
  EXPECT_NE(first.find("a"), nullptr);
}

TEST(ProfileHandle, FollowsWhatIsPublished) {
  ProfileHandle empty;
  EXPECT_EQ(empty.read(), nullptr);
  ProfileCache cache(options_of());
  ProfileHandle handle = cache.handle("a");
  EXPECT_EQ(handle.read(), nullptr);
  cache.put(profile("a", 1));
  const CachedProfile* const first = handle.read();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(handle.read(), first);
  ProfileHandle copy = handle;
  cache.put(profile("a", 2));
  EXPECT_EQ(first->profile.median.count(), 1);  // until the next read
  EXPECT_EQ(handle.read()->profile.median.count(), 2);
  EXPECT_GT(handle.read()->publication, 1u);
  EXPECT_EQ(copy.read()->profile.median.count(), 2);
  ProfileHandle moved = std::move(handle);
  cache.put(profile("a", 3));
  EXPECT_EQ(moved.read()->profile.median.count(), 3);
  handle = copy;
  EXPECT_EQ(handle.read()->profile.median.count(), 3);
  empty = std::move(copy);
  EXPECT_EQ(empty.read()->profile.median.count(), 3);
  cache.put(profile("b", 9));
  EXPECT_EQ(handle.read()->profile.median.count(), 3);
  moved = cache.handle("b");
  EXPECT_EQ(moved.read()->profile.median.count(), 9);
}

TEST(ProfileHandle, OfASizeFollowsTheNearest) {
  ProfileCache cache(options_of());
  ProfileHandle handle = cache.handle("a", Configuration{{"n", std::int64_t{4000}}});
  cache.put(profile("a", 1, 1 << 20));
  EXPECT_EQ(handle.read()->profile.median.count(), 1);
  cache.put(profile("a", 2, 4096));
  EXPECT_EQ(handle.read()->profile.median.count(), 2);
  cache.put(profile("a", 3, 1 << 30));
  EXPECT_EQ(handle.read()->profile.median.count(), 2);
}

TEST(ProfileHandle, OutlivesTheCache) {
  ProfileHandle handle;
  {
    ProfileCache cache(options_of());
    cache.put(profile("a", 1));
    handle = cache.handle("a");
  }
  ASSERT_NE(handle.read(), nullptr);
  EXPECT_EQ(handle.read()->profile.median.count(), 1);
  ProfileHandle copy = handle;
  EXPECT_EQ(copy.read(), handle.read());
}

// Readers on their own handles while one writes: what they see is whole, never goes back, and ends with the last.
TEST(ProfileHandle, ManyReadersWhileOneWrites) {
  constexpr int readers = 8, publications = 500;
  ProfileCache cache(options_of());
  ProfileHandle shared = cache.handle("a");
  std::latch start(readers + 1);
  std::vector<std::jthread> threads;
  std::atomic<int> finished{0};
  for (int r = 0; r < readers; ++r)
    threads.emplace_back([&, handle = shared, r]() mutable {
      start.arrive_and_wait();
      std::uint64_t last = 0;
      while (last < publications) {
        const CachedProfile* const now = handle.read();
        if (now == nullptr) continue;
        EXPECT_GE(now->publication, last);
        last = now->publication;
        EXPECT_EQ(*as_integer(now->profile.configuration.at("tile")), static_cast<std::int64_t>(last));
        if (r % 2 == 0 && last % 64 == 0) handle = ProfileHandle(shared);  // handles come and go
        EXPECT_TRUE(r != 1 || cache.find("a")->publication >= last);
      }
      ++finished;
    });
  start.arrive_and_wait();
  for (int i = 1; i <= publications; ++i) cache.put(profile("a", i));
  threads.clear();
  EXPECT_EQ(finished, readers);
}

// With a lock that prefers readers, the first put below never returns.
TEST(ProfileCache, LookUpsWithoutPauseKeepNoWriterOut) {
  ProfileCache cache(options_of());
  std::atomic<bool> stop{false};
  std::vector<std::jthread> readers;
  cache.put(profile("a", 1));
  for (int r = 0; r < 16; ++r)
    readers.emplace_back([&] {
      while (!stop) EXPECT_NE(cache.find("a"), nullptr);
    });
  for (int i = 2; i <= 50; ++i) cache.put(profile("a", i));
  stop = true;
  readers.clear();
  EXPECT_EQ(cache.find("a")->profile.median.count(), 50);
}

}  // namespace
}  // namespace warpwright
