// Every file of the corpora, and so every input that once broke a parser, through the function that the fuzzer calls.
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include <warpwright/base/files.hpp>
#include <warpwright/base/rng.hpp>

#include "fuzz.hpp"

namespace {

struct Corpus {
  const char* folder;
  void (*entry)(std::string_view);
};

class Replay : public testing::TestWithParam<Corpus> {};

TEST_P(Replay, EveryFileOfTheCorpusIsHandled) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(WARPWRIGHT_CORPUS) / GetParam().folder)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  EXPECT_GE(files.size(), 5u);
  for (const auto& file : files) {
    SCOPED_TRACE(file);
    const std::string bytes = warpwright::read_file(file);
    EXPECT_NO_THROW(GetParam().entry(bytes));
    // Cut anywhere, it is still only text.
    for (std::size_t part = 1; part < 8; ++part)
      EXPECT_NO_THROW(GetParam().entry(bytes.substr(0, bytes.size() * part / 8)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Corpora, Replay,
    testing::Values(Corpus{"expression", warpwright::fuzz::expression}, Corpus{"space", warpwright::fuzz::space},
                    Corpus{"toml", warpwright::fuzz::toml}, Corpus{"t1", warpwright::fuzz::t1},
                    Corpus{"cubin", warpwright::fuzz::cubin}, Corpus{"recorded", warpwright::fuzz::recorded},
                    Corpus{"profiles", warpwright::fuzz::profiles}, Corpus{"journal", warpwright::fuzz::journal},
                    Corpus{"npy", warpwright::fuzz::npy}, Corpus{"source", warpwright::fuzz::source},
                    Corpus{"messages", warpwright::fuzz::messages},
                    Corpus{"binary_cache", warpwright::fuzz::binary_cache},
                    Corpus{"session", warpwright::fuzz::session}, Corpus{"contract", warpwright::fuzz::contract}),
    [](const auto& param_info) { return std::string(param_info.param.folder); });

// Hostile geometry and sizes: every byte is a choice of a specification, so random bytes are random specifications.
TEST(Sessions, OfAThousandHostileSpecificationsEndInOrder) {
  warpwright::Rng rng(13);
  for (int i = 0; i < 1600; ++i) {  // some are refused as specifications
    std::string bytes;
    for (int byte = 0; byte < 96; ++byte) bytes += static_cast<char>(rng.below(256));
    SCOPED_TRACE(i);
    EXPECT_NO_THROW(warpwright::fuzz::session(bytes));
  }
  const warpwright::fuzz::SessionCounts& counts = warpwright::fuzz::session_counts();
  std::string text = std::to_string(counts.sessions) + " sessions, " + std::to_string(counts.refused) + " refused, " +
                     std::to_string(counts.unjudged) + " without a reference;";
  for (const auto& [status, count] : counts.outcomes) text += " " + status + " " + std::to_string(count);
  RecordProperty("counts", text);
  // Hostile, and not so hostile that nothing is left to be tuned.
  EXPECT_GE(counts.sessions, 1000u) << text;
  for (const char* status : {"ok", "pruned", "not_finite", "compile_failed", "resource_exceeded"})
    EXPECT_GE(counts.outcomes.count(status) == 0 ? 0u : counts.outcomes.at(status), 20u) << text;
}

// Text of every repeatable form, four times as long: linear work grows by 4, quadratic by 16. Processor time, the best
// of several runs; below a millisecond the clock says too little to judge.
TEST(Growth, OfExpressionsIsNotQuadratic) {
  struct Form {
    const char* before;
    const char* part;
    const char* after;
  };
  const Form forms[] = {{"a", " + a", ""},
                        {"a", " and a", ""},
                        {"a", " or 0", ""},
                        {"1", " < a", ""},
                        {"a", " * (a)", ""},
                        {"[a", ", a", "]"},
                        {"max(a", ", a", ")"},
                        {"a in [1", ", 2", "]"},
                        {"", "not ", "a"},
                        {"'", "xyz ", "' == a"},
                        {"1", " if a else 1", ""},
                        {"a", " % 7 // 3", ""},
                        {"len([[1]", " + [[1]]", "])"},
                        {"a", "\t\t \t", ""},
                        {"2", "**1", ""},
                        {"", "(", "a"},
                        {"", "-", "a"}};
  const auto cost = [](const Form& form, std::size_t length) {
    std::string text = form.before;
    while (text.size() < length) text += form.part;
    text += form.after;
    double best = 1e9;
    for (int run = 0; run < 5; ++run) {
      const std::clock_t begin = std::clock();
      warpwright::fuzz::expression(text);
      best = std::min(best, static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
    }
    return best;
  };
  for (const Form& form : forms) {
    const double small = cost(form, 15'000), large = cost(form, 60'000);
    EXPECT_LT(large, std::max(9 * small, 0.01))
        << form.before << form.part << form.after << ": " << small << " s, then " << large;
  }
}

}  // namespace
