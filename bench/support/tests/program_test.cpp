#include "program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>

#include "error_of.hpp"

namespace warpwright::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Flags : public ::testing::Test {
 protected:
  void read(std::vector<std::string> words) {
    std::vector<char*> pointers{program_.data()};
    for (std::string& word : words) pointers.push_back(word.data());
    read_flags(static_cast<int>(pointers.size()), pointers.data(),
               {{"--name", text_to(name_)},
                {"--rounds", number_to(rounds_)},
                {"--bytes", number_to(bytes_)},
                {"--threads", [&](const std::string& value) { threads_ = numbers_of(value); }}},
               "bench_this.cpp");
  }
  std::string refusal(std::vector<std::string> words) {
    return warpwright::refusal([&] { read(std::move(words)); });
  }

  std::string program_ = "bench_this", name_ = "none";
  int rounds_ = 3;
  std::uint64_t bytes_ = 0;
  std::vector<int> threads_;
};

TEST_F(Flags, GetTheirValues) {
  read({"--bytes", "5000000000", "--name", "a b", "--threads", "1,2,16"});
  EXPECT_EQ(bytes_, 5'000'000'000u);
  EXPECT_EQ(name_, "a b");
  EXPECT_EQ(rounds_, 3) << "what is not given stays";
  EXPECT_THAT(threads_, ElementsAre(1, 2, 16));
}

TEST_F(Flags, RefuseWhatTheyCannotTake) {
  EXPECT_THAT(refusal({"--round", "3"}), HasSubstr("unknown flag --round; see the head of bench_this.cpp"));
  EXPECT_THAT(refusal({"--name", "a", "--rounds"}), HasSubstr("--rounds needs a value"));
  for (const char* number : {"", "three", "3 ", "3.5", "99999999999"})
    EXPECT_THAT(refusal({"--rounds", number}), HasSubstr("--rounds: '" + std::string(number) + "' is no number"))
        << number;
  EXPECT_THAT(refusal({"--bytes", "-1"}), HasSubstr("--bytes: '-1'"));
  EXPECT_THAT(refusal({"--threads", ""}), HasSubstr("--threads: ''"));
  EXPECT_THAT(refusal({"--threads", "1,x"}), HasSubstr("--threads: '1,x'"));
  EXPECT_EQ(rounds_, 3);
}

TEST(Program, BadInputAndFailuresEndWithCodesOfTheirOwn) {
  EXPECT_EQ(run_program([] { return 7; }), 7);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(run_program([]() -> int { throw Error(ErrorCode::bad_input, "no such flag"); }), 2);
  EXPECT_EQ(run_program([]() -> int { throw Error(ErrorCode::not_found, "no such file"); }), 2);
  EXPECT_EQ(run_program([]() -> int { throw Error(ErrorCode::unavailable, "no device"); }), 1);
  EXPECT_EQ(run_program([]() -> int { throw std::runtime_error("something else"); }), 1);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "error: no such flag\nerror: no such file\nerror: no device\nerror: something else\n");
}

TEST(Program, AReportThatCannotBeWrittenIsAnError) {
  EXPECT_NO_THROW(write_report("", "{}"));
  EXPECT_THAT(error_of([] { write_report("/nowhere/at/all.json", "{}"); }).what(), HasSubstr("/nowhere/at/all.json"));
}

}  // namespace
}  // namespace warpwright::bench
