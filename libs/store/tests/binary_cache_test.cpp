#include <chrono>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>

#include <warpwright/base/hash.hpp>
#include <warpwright/device/compiler.hpp>
#include <warpwright/store/binary_cache.hpp>

#include "store_test_support.hpp"

namespace warpwright::store::test {
namespace {

using namespace std::chrono_literals;

Binary binary(std::string image) {
  Binary result;
  result.backend = "cuda";
  result.target = "sm_90a";
  result.format = "cubin";
  result.image = std::move(image);
  result.symbols = {{"gemm<4>", "_Z4gemmILi4EEvv"}};
  result.log = "registers: 40 \xFF";
  result.resources = {full_resources()};
  return result;
}

std::string key_of(int number) { return content_hash(std::to_string(number)); }

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

void expect_same(const std::optional<Binary>& found, const Binary& expected) {
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->backend, expected.backend);
  EXPECT_EQ(found->target, expected.target);
  EXPECT_EQ(found->format, expected.format);
  EXPECT_EQ(found->image, expected.image);
  EXPECT_EQ(found->symbols, expected.symbols);
  EXPECT_EQ(found->log, expected.log);
  ASSERT_EQ(found->resources.size(), expected.resources.size());
  for (std::size_t i = 0; i < expected.resources.size(); ++i)
    EXPECT_TRUE(same(found->resources[i], expected.resources[i]));
}

TEST(BinaryCache, KeepsEverything) {
  const TemporaryFolder folder;
  const Binary kept =
      binary(std::string("\0\x7F"
                         "ELF\n\xFF",
                         7));
  {
    const BinaryCache cache(folder / "deep" / "cache");
    EXPECT_FALSE(cache.find(key_of(1)).has_value());
    EXPECT_TRUE(cache.put(key_of(1), kept));
    EXPECT_TRUE(cache.put(key_of(2), binary("")));
  }
  const BinaryCache cache(folder / "deep" / "cache");
  expect_same(cache.find(key_of(1)), kept);
  expect_same(cache.find(key_of(2)), binary(""));
  EXPECT_FALSE(cache.find(key_of(3)).has_value());
  EXPECT_EQ(cache.folder(), folder / "deep" / "cache");
}

TEST(BinaryCache, ReplacesAnEntry) {
  const TemporaryFolder folder;
  const BinaryCache cache(folder.path());
  EXPECT_TRUE(cache.put(key_of(1), binary("old")));
  EXPECT_TRUE(cache.put(key_of(1), binary("new")));
  expect_same(cache.find(key_of(1)), binary("new"));
  EXPECT_EQ(files_in(folder.path()).size(), 1u) << "no temporary file is left";
}

TEST(BinaryCache, AKeyCannotLeaveTheFolder) {
  const TemporaryFolder folder;
  const BinaryCache cache(folder / "cache");
  for (const char* key : {"../escaped", "/tmp/escaped", "", ".", "a b", "UPPER"}) {
    EXPECT_TRUE(cache.put(key, binary(key))) << key;
    expect_same(cache.find(key), binary(key));
  }
  EXPECT_EQ(files_in(folder.path()).size(), 1u);
  EXPECT_EQ(files_in(folder / "cache").size(), 6u);
}

class FakeCompiler final : public device::Compiler {
 public:
  std::string version() const override { return version_; }
  std::string target() const override { return target_; }
  bool needs_device() const override { return false; }
  Binary compile(const device::CompileJob&) override { return {}; }
  std::string version_ = "FakeC 1.0", target_ = "sm_90";
};

// An edit of the source, an include, a flag, the definitions, the compiler or the target misses; what did not change
// hits.
TEST(BinaryCache, AnyChangeOfTheJobMisses) {
  const TemporaryFolder folder;
  const BinaryCache cache(folder.path());
  FakeCompiler compiler;
  device::CompileJob job;
  job.source = "kernel";
  job.file_name = "a.cu";
  job.options = {"-O3"};
  job.defines = {{"block_x", "32"}};
  job.entries = {"gemm"};
  const std::string key = device::cache_key(job, compiler);
  ASSERT_TRUE(cache.put(key, binary("32")));
  const auto misses = [&](auto change) {
    device::CompileJob changed = job;
    FakeCompiler other = compiler;
    change(changed, other);
    return !cache.find(device::cache_key(changed, other)).has_value();
  };
  EXPECT_TRUE(misses([](auto& each, auto&) { each.source += " "; }));
  EXPECT_TRUE(misses([](auto& each, auto&) { each.options.push_back("-use_fast_math"); }));
  EXPECT_TRUE(misses([](auto& each, auto&) { each.include_folders.push_back("include"); }));
  EXPECT_TRUE(misses([](auto& each, auto&) { each.defines[0].second = "64"; }));
  EXPECT_TRUE(misses([](auto& each, auto&) { each.entries = {"gemm2"}; }));
  EXPECT_TRUE(misses([](auto&, auto& other) { other.version_ = "FakeC 1.1"; }));
  EXPECT_TRUE(misses([](auto&, auto& other) { other.target_ = "sm_80"; }));
  EXPECT_FALSE(misses([](auto&, auto&) {}));
}

// Changing one value in a parameter's list compiles that one anew; the binaries of the others are still there.
TEST(BinaryCache, OneChangedConfigurationKeepsTheOthers) {
  const TemporaryFolder folder;
  const BinaryCache cache(folder.path());
  const FakeCompiler compiler;
  const auto key = [&](int block) {
    device::CompileJob job;
    job.source = "kernel";
    job.defines = {{"block_x", std::to_string(block)}};
    job.entries = {"gemm"};
    return device::cache_key(job, compiler);
  };
  for (const int block : {32, 64, 128}) ASSERT_TRUE(cache.put(key(block), binary(std::to_string(block))));
  EXPECT_FALSE(cache.find(key(96)).has_value());
  expect_same(cache.find(key(32)), binary("32"));
  expect_same(cache.find(key(128)), binary("128"));
}

// Whatever byte is damaged, and wherever the file is cut, the entry is absent and gone.
TEST(BinaryCache, DamagedEntriesAreAbsentAndRemoved) {
  const TemporaryFolder folder;
  const BinaryCache cache(folder.path());
  ASSERT_TRUE(cache.put(key_of(1), binary("image of the kernel")));
  const auto file = files_in(folder.path()).at(0);
  const std::string whole = read_text_file(file);
  for (std::size_t i = 0; i < whole.size(); i += 3) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    write_text_file(file, damaged);
    EXPECT_FALSE(cache.find(key_of(1)).has_value()) << "byte " << i;
    EXPECT_FALSE(std::filesystem::exists(file)) << "byte " << i;
    write_text_file(file, whole.substr(0, i));
    EXPECT_FALSE(cache.find(key_of(1)).has_value()) << "cut at " << i;
    EXPECT_FALSE(std::filesystem::exists(file)) << "cut at " << i;
  }
  write_text_file(file, whole + "x");
  EXPECT_FALSE(cache.find(key_of(1)).has_value());
  write_text_file(file, whole);
  expect_same(cache.find(key_of(1)), binary("image of the kernel"));
}

TEST(BinaryCache, AnEntryUnderAnotherNameIsNotBelieved) {
  const TemporaryFolder folder;
  const BinaryCache cache(folder.path());
  ASSERT_TRUE(cache.put(key_of(1), binary("one")));
  const auto file = files_in(folder.path()).at(0);
  std::filesystem::rename(file, folder.path() / (key_of(2) + file.extension().string()));
  EXPECT_FALSE(cache.find(key_of(2)).has_value());
}

TEST(BinaryCache, TheLeastRecentlyUsedGoes) {
  const TemporaryFolder folder;
  const std::string image(10'000, 'x');
  const BinaryCache cache(folder.path(), Bytes{55'000});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(cache.put(key_of(i), binary(image)));
  // Make the ages plain: entry 0 is the oldest, and then it is used.
  const auto now = std::filesystem::file_time_type::clock::now();
  for (int i = 0; i < 5; ++i)
    std::filesystem::last_write_time(folder.path() / (key_of(i) + ".bin1"), now - std::chrono::hours(10 - i));
  ASSERT_TRUE(cache.find(key_of(0)).has_value());
  ASSERT_TRUE(cache.put(key_of(5), binary(image)));
  EXPECT_TRUE(cache.find(key_of(0)).has_value()) << "used a moment ago";
  EXPECT_TRUE(cache.find(key_of(5)).has_value()) << "just put";
  EXPECT_FALSE(cache.find(key_of(1)).has_value());
  EXPECT_TRUE(cache.find(key_of(4)).has_value());
  std::uintmax_t total = 0;
  for (const auto& file : files_in(folder.path())) total += std::filesystem::file_size(file);
  EXPECT_LE(total, 55'000u);
}

TEST(BinaryCache, UseWithinAMomentIsOrdered) {
  const TemporaryFolder folder;
  const std::string image(10'000, 'x');
  const BinaryCache cache(folder.path(), Bytes{45'000});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(cache.put(key_of(i), binary(image)));
  ASSERT_TRUE(cache.find(key_of(0)).has_value());
  ASSERT_TRUE(cache.put(key_of(4), binary(image)));
  EXPECT_TRUE(cache.find(key_of(0)).has_value());
  EXPECT_FALSE(cache.find(key_of(1)).has_value());
}

TEST(BinaryCache, TheLimitHoldsForWhatOthersPut) {
  const TemporaryFolder folder;
  const std::string image(10'000, 'x');
  const BinaryCache theirs(folder.path(), Bytes{std::uint64_t{1} << 30});
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(theirs.put(key_of(i), binary(image)));
  const BinaryCache ours(folder.path(), Bytes{50'000});
  ASSERT_TRUE(ours.put(key_of(100), binary(image)));
  EXPECT_LE(files_in(folder.path()).size(), 4u);
  EXPECT_TRUE(ours.find(key_of(100)).has_value());
}

TEST(BinaryCache, AnEntryLargerThanTheLimitIsNotKept) {
  const TemporaryFolder folder;
  const BinaryCache cache(folder.path(), Bytes{1000});
  EXPECT_FALSE(cache.put(key_of(1), binary(std::string(2000, 'x'))));
  EXPECT_TRUE(files_in(folder.path()).empty());
}

TEST(BinaryCache, RemovesWhatKilledWritersLeft) {
  const TemporaryFolder folder;
  const auto old_file = folder.path() / (key_of(1) + ".bin1.writing-abc123");
  const auto new_file = folder.path() / (key_of(2) + ".bin1.writing-def456");
  write_text_file(old_file, "half");
  write_text_file(new_file, "half");
  std::filesystem::last_write_time(old_file, std::filesystem::file_time_type::clock::now() - 2h);
  const BinaryCache cache(folder.path());
  ASSERT_TRUE(cache.put(key_of(3), binary("x")));
  EXPECT_FALSE(std::filesystem::exists(old_file));
  EXPECT_TRUE(std::filesystem::exists(new_file)) << "its writer may be alive";
}

TEST(BinaryCache, FilesOfOthersStay) {
  const TemporaryFolder folder;
  write_text_file(folder / "README", std::string(5000, 'x'));
  const BinaryCache cache(folder.path(), Bytes{1500});
  for (int i = 0; i < 5; ++i) cache.put(key_of(i), binary("x"));
  EXPECT_TRUE(std::filesystem::exists(folder / "README"));
}

TEST(BinaryCache, AnUnusableFolderIsAnErrorWhenMade) {
  const TemporaryFolder folder;
  write_text_file(folder / "plain", "x");
  error_of(ErrorCode::not_found, [&] { BinaryCache{folder / "plain"}; });
  error_of(ErrorCode::not_found, [&] { BinaryCache{folder / "plain" / "below"}; });
}

TEST(BinaryCache, TheFolderIsTheOwnersAloneAndFilesKeepTheUmask) {
  const TemporaryFolder folder;
  const mode_t before = ::umask(077);
  const BinaryCache cache(folder / "new");
  ASSERT_TRUE(cache.put(key_of(1), binary("x")));
  ::umask(before);
  const auto mode = [](const std::filesystem::path& path) {
    return static_cast<unsigned>(std::filesystem::status(path).permissions());
  };
  EXPECT_EQ(mode(folder / "new"), 0700u);
  for (const auto& entry : std::filesystem::directory_iterator(folder / "new")) EXPECT_EQ(mode(entry.path()), 0600u);
  std::filesystem::permissions(folder / "new", std::filesystem::perms(0770));
  const std::string refusal = error_of(ErrorCode::bad_input, [&] { BinaryCache{folder / "new"}; });
  EXPECT_THAT(refusal, ::testing::HasSubstr("may be written to by others"));
  EXPECT_THAT(refusal, ::testing::HasSubstr((folder / "new").string()));
}

// Where nothing can be created, even by the superuser, whom permissions do not stop.
TEST(BinaryCache, AnUnwritableFolderOnlySaysFalse) {
  const BinaryCache cache("/proc/self/fdinfo");
  EXPECT_FALSE(cache.put(key_of(1), binary("x")));
  EXPECT_FALSE(cache.find(key_of(1)).has_value());
}

TEST(BinaryCache, AFolderThatVanishesOnlySaysFalse) {
  const TemporaryFolder folder;
  const BinaryCache cache(folder / "cache");
  ASSERT_TRUE(cache.put(key_of(1), binary("x")));
  std::filesystem::remove_all(folder / "cache");
  EXPECT_FALSE(cache.put(key_of(1), binary("x")));
  EXPECT_FALSE(cache.find(key_of(1)).has_value());
}

TEST(BinaryCache, AFullDiskOnlySaysFalse) {
  const TemporaryFolder folder;
  const BinaryCache cache(folder.path());
  const auto before_handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  rlimit limit = before;
  limit.rlim_cur = 500;
  ::setrlimit(RLIMIT_FSIZE, &limit);
  const bool kept = cache.put(key_of(1), binary(std::string(5000, 'x')));
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, before_handler);
  EXPECT_FALSE(kept);
  EXPECT_TRUE(files_in(folder.path()).empty()) << "no half-written file is left";
}

// Threads that put, find, damage and evict the same few entries: every find is whole or absent.
TEST(BinaryCache, ThreadsShareIt) {
  const TemporaryFolder folder;
  const BinaryCache cache(folder.path(), Bytes{40'000});
  const auto image = [](int number) {
    return std::string(static_cast<std::size_t>(3000 + number), static_cast<char>('a' + number));
  };
  std::atomic<int> found{0}, wrong{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        const BinaryCache copy = cache;
        for (int i = 0; i < 100; ++i) {
          const int number = (i * 7 + t) % 16;
          copy.put(key_of(number), binary(image(number)));
          const int wanted = (i * 5 + t) % 16;
          if (const auto read = copy.find(key_of(wanted))) {
            ++found;
            if (read->image != image(wanted)) ++wrong;
          }
          if (i % 25 == 0) {
            std::error_code ignored;
            std::filesystem::resize_file(folder.path() / (key_of(number) + ".bin1"), 100, ignored);
          }
        }
      });
    }
  }
  EXPECT_GT(found.load(), 0);
  EXPECT_EQ(wrong.load(), 0);
}

}  // namespace
}  // namespace warpwright::store::test
