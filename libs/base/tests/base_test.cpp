#include <array>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
    EXPECT_EQ(error.code(), ErrorCode::io);
    EXPECT_THAT(error.what(), HasSubstr("/proc/warpwright"));
  }
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
