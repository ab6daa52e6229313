#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <warpwright/base/device_id.hpp>
#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/hash.hpp>
#include <warpwright/base/json_nesting.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/base/units.hpp>

namespace warpwright {
namespace {

using ::testing::HasSubstr;

TEST(Error, ComposesPositionMessageNativeAndContexts) {
  Error positioned(ErrorCode::bad_input, "found 3", InputPosition{"a.toml", 4, 2, "kernel.name"});
  EXPECT_STREQ(positioned.what(), "a.toml:4:2: key 'kernel.name': found 3");
  Error native(ErrorCode::launch, "refused", NativeError{701, "OUT_OF_RESOURCES"});
  native.add_context("launching 'gemm'").add_context("measuring");
  EXPECT_STREQ(native.what(), "refused (OUT_OF_RESOURCES, code 701); while launching 'gemm'; while measuring");
  EXPECT_EQ(native.native()->code, 701);
  EXPECT_EQ(to_string(native.code()), "launch");
}

TEST(ClosestMatch, FindsTransposedAndMisspeltWordsOnly) {
  const std::vector<std::string> words{"parameters", "problem", "launch"};
  EXPECT_EQ(closest_match("paramters", words), "parameters");
  EXPECT_EQ(closest_match("luanch", words), "launch");
  EXPECT_EQ(closest_match("xyz", words), std::nullopt);
}

TEST(Rng, KnownSequenceAndRange) {
  // The first outputs of xoshiro256** seeded by SplitMix64(0), computed with the authors' public-domain C code.
  Rng rng(0);
  EXPECT_EQ(rng.next(), 0x99EC5F36CB75F2B4ull);
  Rng a(7), b(7), c(8);
  EXPECT_EQ(a.next(), b.next());
  EXPECT_NE(a.next(), c.next());
  for (int i = 0; i < 1000; ++i) {
    EXPECT_LT(a.below(3), 3u);
    const double u = a.uniform();
    EXPECT_TRUE(u >= 0 && u < 1);
  }
  EXPECT_EQ(a.below(0), 0u);
  EXPECT_NE(derive_seed(1, 0), derive_seed(1, 1));
}

TEST(Rng, BelowIsUniform) {
  Rng rng(42);
  std::array<int, 5> counts{};
  for (int i = 0; i < 50000; ++i) ++counts[rng.below(5)];
  double chi_square = 0;
  for (const int count : counts) chi_square += (count - 10000.0) * (count - 10000.0) / 10000.0;
  EXPECT_LT(chi_square, 23.5);  // 99.99 % quantile with 4 degrees of freedom
}

TEST(Rng, NormalHasUnitVariance) {
  Rng rng(3);
  double sum = 0, squares = 0;
  constexpr int n = 100000;
  for (int i = 0; i < n; ++i) {
    const double x = rng.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / n, 0, 0.02);
  EXPECT_NEAR(squares / n, 1, 0.03);
}

TEST(ContentHash, IsStableAndLengthPrefixed) {
  EXPECT_EQ(content_hash("abc"), content_hash("abc"));
  EXPECT_NE(ContentHash{}.add("ab").add("c").hex(), ContentHash{}.add("a").add("bc").hex());
  EXPECT_EQ(content_hash("").size(), 32u);
}

TEST(DeviceId, ParsesAndExplains) {
  EXPECT_EQ(DeviceId::parse("cuda:0").to_string(), "cuda:0");
  EXPECT_EQ(DeviceId::parse("opencl:1:2").ordinals, (std::vector<int>{1, 2}));
  for (const char* bad : {"", "cuda", "cuda:", "cuda:x", "cuda:-1", ":0", "cuda:0:"}) {
    try {
      DeviceId::parse(bad);
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      EXPECT_THAT(error.what(), HasSubstr("warpwright devices"));
    }
  }
}

TEST(Files, RoundTripAndMissing) {
  const auto folder = std::filesystem::temp_directory_path() / "warpwright-base-test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder / "deep");
  write_file_atomically(folder / "deep" / "a.bin", std::string("x\0y", 3));
  EXPECT_EQ(read_file(folder / "deep" / "a.bin"), std::string("x\0y", 3));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "deep"), {}), 1) << "no temporary file remains";
  try {
    read_file(folder / "absent");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_THAT(error.what(), HasSubstr("absent"));
  }
  std::filesystem::remove_all(folder);
}

TEST(Files, UnwritableFolderIsNamed) {
  try {
    write_file_atomically("/proc/warpwright/a", "x");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_THAT(error.what(), HasSubstr("/proc/warpwright"));
  }
}

class FilesIn : public ::testing::Test {
 protected:
  FilesIn() {
    std::string name = (std::filesystem::temp_directory_path() / "warpwright-files-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) folder_ = name;
  }
  ~FilesIn() override { std::filesystem::remove_all(folder_); }
  static mode_t mode_of(const std::filesystem::path& path) {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 07777;
  }
  std::filesystem::path folder_;
};

TEST_F(FilesIn, MakesNoFolder) {
  try {
    write_file_atomically(folder_ / "misspelt" / "deep" / "a.json", "x");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_THAT(error.what(), HasSubstr("there is no folder '" + (folder_ / "misspelt" / "deep").string()));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(FilesIn, TheUmaskDecidesTheModeOfANewFileAndAReplacedOneKeepsIts) {
  const mode_t before = ::umask(027);
  write_file_atomically(folder_ / "new", "x");
  ::umask(before);
  EXPECT_EQ(mode_of(folder_ / "new"), 0640u);
  ASSERT_EQ(::chmod((folder_ / "new").c_str(), 0604), 0);
  write_file_atomically(folder_ / "new", "y");
  EXPECT_EQ(mode_of(folder_ / "new"), 0604u);
  EXPECT_EQ(read_file(folder_ / "new"), "y");
}

TEST_F(FilesIn, ALinkStaysAndAPipeIsWrittenTo) {
  write_file_atomically(folder_ / "target", "old");
  std::filesystem::create_symlink("target", folder_ / "link");
  write_file_atomically(folder_ / "link", "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder_ / "link"));
  EXPECT_EQ(read_file(folder_ / "target"), "new");
  // Kept open to read, so that the writer does not wait.
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  const int pipe = ::open((folder_ / "pipe").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(pipe, 0);
  write_file_atomically(folder_ / "pipe", "word");
  char word[4] = {};
  EXPECT_EQ(::read(pipe, word, sizeof word), 4);
  EXPECT_EQ(std::string(word, 4), "word");
  ::close(pipe);
  EXPECT_TRUE(std::filesystem::is_fifo(folder_ / "pipe"));
}

TEST_F(FilesIn, AFolderIsNoFile) {
  for (const bool writes : {false, true}) {
    try {
      writes ? write_file_atomically(folder_, "x") : static_cast<void>(read_file(folder_));
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_input);
      EXPECT_THAT(error.what(), HasSubstr(folder_.string()));
    }
  }
}

TEST_F(FilesIn, AFullDiskIsNoMistakeOfTheUser) {
  try {
    write_file_atomically("/dev/full", "x");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::io);
    EXPECT_THAT(error.what(), HasSubstr("/dev/full"));
  }
}

TEST_F(FilesIn, PrivateFoldersAreTheOwnersAlone) {
  make_private_folder(folder_ / "a" / "b");
  EXPECT_EQ(mode_of(folder_ / "a" / "b"), 0700u);
  make_private_folder(folder_ / "a" / "b");
  ASSERT_EQ(::chmod((folder_ / "a" / "b").c_str(), 0755), 0);
  make_private_folder(folder_ / "a" / "b");  // others may look
  const auto refusal = [&](const std::filesystem::path& folder) -> std::string {
    try {
      make_private_folder(folder);
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::bad_input || error.code() == ErrorCode::not_found) << error.what();
      return error.what();
    }
    return "accepted";
  };
  for (const mode_t mode : {mode_t{0775}, mode_t{0757}, mode_t{01777}}) {
    ASSERT_EQ(::chmod((folder_ / "a" / "b").c_str(), mode), 0);
    EXPECT_THAT(refusal(folder_ / "a" / "b"), HasSubstr("chmod 700"));
  }
  ASSERT_EQ(::chmod((folder_ / "a" / "b").c_str(), 0700), 0);
  if (::chown((folder_ / "a" / "b").c_str(), 65534, 65534) == 0 && ::geteuid() != 65534) {
    EXPECT_THAT(refusal(folder_ / "a" / "b"), HasSubstr("belongs to user 65534"));
  }
  write_file_atomically(folder_ / "file", "x");
  EXPECT_THAT(refusal(folder_ / "file"), HasSubstr((folder_ / "file").string()));
  EXPECT_THAT(refusal(folder_ / "file" / "below"), HasSubstr("below"));
}

TEST(JsonNesting, FindsTheFirstBracketThatIsTooDeep) {
  const std::string open(most_json_levels, '['), close(most_json_levels, ']');
  EXPECT_EQ(json_nested_too_deep(open + close), std::nullopt);
  EXPECT_EQ(json_nested_too_deep(open + "{"), most_json_levels);
  EXPECT_EQ(json_nested_too_deep(open + close + "[" + open), 2 * most_json_levels + most_json_levels);
  // Brackets in strings are text, also behind an escaped quote.
  EXPECT_EQ(json_nested_too_deep(open + "\"[{\\\"[\"" + close), std::nullopt);
  EXPECT_EQ(json_nested_too_deep("]]]" + open), std::nullopt);
  EXPECT_EQ(json_nested_too_deep("\"" + open + open), std::nullopt);
}

TEST(Units, AreReadable) {
  EXPECT_EQ(format_duration(Nanoseconds(0.5)), "0.50 ns");
  EXPECT_EQ(format_duration(Nanoseconds(1234)), "1.23 us");
  EXPECT_EQ(format_duration(Nanoseconds(12.34e6)), "12.3 ms");
  EXPECT_EQ(format_duration(Nanoseconds(300e9)), "5 min 0 s");
  EXPECT_EQ(format_bytes(Bytes(512)), "512 B");
  EXPECT_EQ(format_bytes(Bytes(49152)), "48 KiB");
  EXPECT_EQ(format_bytes(Bytes(1536 * 1024)), "1.50 MiB");
}

}  // namespace
}  // namespace warpwright
