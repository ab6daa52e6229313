// Every contract in tests/golden/bad_contracts must fail with exactly the message beside it.
// WARPWRIGHT_UPDATE_GOLDEN=1 rewrites them.
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/validate/contract.hpp>

namespace {

using warpwright::Error;
using warpwright::ErrorCode;

const std::filesystem::path folder = WARPWRIGHT_GOLDEN_FOLDER;

std::vector<std::string> stems_of(const std::string& extension) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == extension) names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class BadContract : public testing::TestWithParam<std::string> {
 protected:
  // Messages show the file as it was named, so it is named without a folder.
  void SetUp() override { std::filesystem::current_path(folder); }
};

TEST_P(BadContract, FailsWithTheMessageBesideIt) {
  std::string found;
  try {
    warpwright::validate::read_contract(GetParam() + ".toml");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    ASSERT_TRUE(error.position());
    EXPECT_GT(error.position()->line, 0u) << "names the line";
    found = error.what();
  }
  ASSERT_FALSE(found.empty()) << "was accepted";
  const std::filesystem::path expected = GetParam() + ".expected";
  const char* update = std::getenv("WARPWRIGHT_UPDATE_GOLDEN");
  if (update && std::string(update) == "1") warpwright::write_file_atomically(expected, found + "\n");
  EXPECT_EQ(warpwright::read_file(expected), found + "\n");
}

INSTANTIATE_TEST_SUITE_P(All, BadContract, testing::ValuesIn(stems_of(".toml")),
                         [](const auto& param_info) { return param_info.param; });

TEST(BadContracts, AreManyAndEachHasItsMessage) {
  EXPECT_GE(stems_of(".toml").size(), 60u);
  EXPECT_EQ(stems_of(".toml"), stems_of(".expected"));
}

}  // namespace
