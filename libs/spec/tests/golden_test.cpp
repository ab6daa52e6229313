// Every specification in tests/golden/bad_specs must fail with exactly the message beside it. The messages are part of
// the interface: somebody reads them at a moment when nothing else helps. WARPWRIGHT_UPDATE_GOLDEN=1 rewrites them.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/spec/read.hpp>

namespace {

using warpwright::Error;
using warpwright::ErrorCode;

const std::filesystem::path folder = WARPWRIGHT_GOLDEN_FOLDER;

std::vector<std::string> specifications() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto extension = entry.path().extension();
    if (extension == ".toml" || extension == ".json") names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class BadSpecification : public testing::TestWithParam<std::string> {
 protected:
  // Messages show the file as it was named, so it is named without a folder.
  void SetUp() override { std::filesystem::current_path(folder); }
};

TEST_P(BadSpecification, FailsWithTheMessageBesideIt) {
  const std::filesystem::path file = GetParam();
  std::string found;
  try {
    warpwright::spec::read(file).build_space();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    found = error.what();
  }
  ASSERT_FALSE(found.empty()) << file << " was accepted";
  EXPECT_THAT(found, testing::StartsWith(file.string() + ":"));
  const std::filesystem::path expected_file = std::filesystem::path(file).replace_extension(".expected");
  const char* update = std::getenv("WARPWRIGHT_UPDATE_GOLDEN");
  if (update && std::string(update) == "1") warpwright::write_file_atomically(expected_file, found + "\n");
  EXPECT_EQ(warpwright::read_file(expected_file), found + "\n");
}

INSTANTIATE_TEST_SUITE_P(All, BadSpecification, testing::ValuesIn(specifications()), [](const auto& param_info) {
  std::string name = param_info.param;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

TEST(BadSpecifications, AreManyAndEachHasItsMessage) {
  EXPECT_GE(specifications().size(), 40u);
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".expected") continue;
    const auto stem = entry.path().stem().string();
    const auto names = specifications();
    EXPECT_TRUE(std::count(names.begin(), names.end(), stem + ".toml") +
                    std::count(names.begin(), names.end(), stem + ".json") ==
                1)
        << stem << ".expected belongs to no specification";
  }
}

}  // namespace
