// Every file of the corpora, and so every input that once broke a parser, through the function that the fuzzer calls.
#include "fuzz.hpp"

#include <warpwright/base/files.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace {

struct Corpus {
  const char* folder;
  void (*entry)(std::string_view);
};

class Replay : public testing::TestWithParam<Corpus> {};

TEST_P(Replay, EveryFileOfTheCorpusIsHandled) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(WARPWRIGHT_CORPUS) / GetParam().folder)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  EXPECT_GE(files.size(), 5u);
  for (const auto& file : files) {
    SCOPED_TRACE(file);
    const std::string bytes = warpwright::read_file(file);
    EXPECT_NO_THROW(GetParam().entry(bytes));
    // Cut anywhere, it is still only text.
    for (std::size_t part = 1; part < 8; ++part) EXPECT_NO_THROW(GetParam().entry(bytes.substr(0, bytes.size() * part / 8)));
  }
}

INSTANTIATE_TEST_SUITE_P(Corpora, Replay,
                         testing::Values(Corpus{"expression", warpwright::fuzz::expression},
                                         Corpus{"toml", warpwright::fuzz::toml}, Corpus{"t1", warpwright::fuzz::t1}, Corpus{"cubin", warpwright::fuzz::cubin},
                                         Corpus{"recorded", warpwright::fuzz::recorded}),
                         [](const auto& param_info) { return std::string(param_info.param.folder); });

}  // namespace
