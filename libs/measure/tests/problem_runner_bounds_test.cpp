// Writes and reads outside buffers, elements that were never written, and answers that are wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "problem_runner_fixture.hpp"

namespace warpwright::measure {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RunnerBounds : public Runner {};

TEST_F(RunnerBounds, PartialWritesFailEvenAfterARightConfigurationRan) {
  const auto runner = make_runner();
  EXPECT_EQ(run(*runner, bug(none)).status, TrialStatus::ok);
  const RunResult result = run(*runner, bug(half_written));
  EXPECT_NE(result.status, TrialStatus::ok);
  ASSERT_TRUE(result.mismatch);
  EXPECT_EQ(result.mismatch->index, 500u);
  EXPECT_EQ(result.mismatch->wrong, 500u);
  EXPECT_THAT(result.message, AllOf(HasSubstr("output 'y'"), HasSubstr("never written")));
  EXPECT_THAT(result.samples, IsEmpty());
  EXPECT_EQ(run(*runner, bug(none)).status, TrialStatus::ok);
}

TEST_F(RunnerBounds, OneElementPastTheEndIsCaught) {
  const RunResult result = run(bug(past_the_end));
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, AllOf(HasSubstr("'y'"), HasSubstr("0 bytes past the end")));
  EXPECT_THAT(result.samples, IsEmpty());
  EXPECT_EQ(run(bug(far_past)).status, TrialStatus::out_of_bounds);
}

TEST_F(RunnerBounds, OneElementBeforeTheBeginningIsCaught) {
  host.kernels["twice"] = [this](const Call& call) {
    twice(call);
    call.data<float>(1)[-1] = 7;
  };
  RunResult result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, AllOf(HasSubstr("before the beginning of 'y'"), HasSubstr("before the first element")));
  EXPECT_THAT(result.samples, IsEmpty());
  host.kernels["twice"] = [this](const Call& call) {
    twice(call);
    call.data<std::byte>(1)[-4096] = std::byte{1};
  };
  result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, AllOf(HasSubstr("1 of the 4096 bytes before it"), HasSubstr("nearest 4096 bytes")));
}

TEST_F(RunnerBounds, WritingTheGuardPatternItselfPastTheEndIsCaughtToo) {
  host.kernels["twice"] = [this](const Call& call) {
    twice(call);
    call.data<std::uint8_t>(1)[n * 4] = 0xA5;
  };
  EXPECT_EQ(run(bug(none)).status, TrialStatus::out_of_bounds);
}

TEST_F(RunnerBounds, WritingAroundAnInputIsCaughtToo) {
  host.kernels["twice"] = [this](const Call& call) {
    twice(call);
    call.data<float>(0)[n] = 1;
  };
  RunResult result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, HasSubstr("behind the end of 'x'"));
  host.kernels["twice"] = [this](const Call& call) {
    twice(call);
    call.data<float>(0)[-1] = 1;
  };
  result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, HasSubstr("before the beginning of 'x'"));
}

// Whatever a kernel without `if (i < n)` does to its elements, it is seen at the first verification.
TEST_F(RunnerBounds, AKernelThatGoesOnBehindTheEndIsCaughtWhateverItComputes) {
  problem.arguments[1].access = Access::inout;
  problem.arguments.push_back(buffer_argument("z", DataType::float32, Access::in, "n", FillUniform{-1, 1, 5}));
  problem.launches[0].args = {"x", "y", "z"};
  std::get<ReferenceKernel>(problem.reference).launches = {make_launch("reference", {"x", "y", "z"})};
  using Element = std::function<float(float x, float y, float z)>;
  const std::vector<Element> kernels{
      [](float x, float y, float) { return y + x; },     [](float x, float, float) { return x; },
      [](float, float y, float) { return 2 * y; },       [](float x, float y, float z) { return x * z + y; },
      [](float, float, float z) { return z; },           [](float x, float y, float z) { return y - x - z; },
      [](float x, float y, float) { return y + 0 * x; }, [](float x, float y, float) { return std::max(x, y); }};
  for (std::size_t k = 0; k < kernels.size(); ++k) {
    SCOPED_TRACE(k);
    const auto body = [&](int count) {
      return [&, count](const Call& call) {
        ++runs;
        for (int i = 0; i < count; ++i)
          call.data<float>(1)[i] = kernels[k](call.data<float>(0)[i], call.data<float>(1)[i], call.data<float>(2)[i]);
      };
    };
    host.kernels["reference"] = body(n);
    host.kernels["twice"] = body(n);
    EXPECT_EQ(run(bug(none)).status, TrialStatus::ok);
    host.kernels["twice"] = body(n + 24);
    const auto runner = make_runner();
    runs = 0;
    const RunResult result = run(*runner, bug(none));
    EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
    EXPECT_THAT(result.message, HasSubstr("wrote behind the end of 'y'"));
    EXPECT_EQ(runs, 1);
  }
}

TEST_F(RunnerBounds, ReadsOutsideABufferThatShowAreOutOfBounds) {
  const auto with_element = [this](int argument, int element) {
    host.kernels["twice"] = [=, this](const Call& call) {
      twice(call);
      call.data<float>(1)[n - 1] += call.data<float>(argument)[element];
    };
    return run(bug(none));
  };
  for (const int element : {n, n + 1023}) {
    const RunResult result = with_element(0, element);
    EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
    EXPECT_THAT(result.message, AllOf(HasSubstr("reads behind the end of 'x': element 999 of output 'y' is nan, and"),
                                      HasSubstr("with other bytes there; it should be")));
    ASSERT_TRUE(result.mismatch);
    EXPECT_EQ(result.mismatch->index, 999u);
    EXPECT_THAT(result.samples, IsEmpty());
  }
  EXPECT_THAT(with_element(0, -1).message, HasSubstr("reads before the beginning of 'x'"));
  EXPECT_THAT(with_element(1, n).message, HasSubstr("reads behind the end of 'y'"));
  EXPECT_EQ(with_element(1, -1024).status, TrialStatus::out_of_bounds);
}

TEST_F(RunnerBounds, ReadsOutsideThatAMaximumHidesShowAfterTiming) {
  host.kernels["twice"] = [this](const Call& call) {
    twice(call);
    const float beyond = call.data<float>(0)[n];
    if (beyond > call.data<float>(1)[0]) call.data<float>(1)[0] = beyond;  // false for NaN
  };
  const RunResult result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, HasSubstr("reads behind the end of 'x'"));
  EXPECT_THAT(result.samples, IsEmpty());
}

TEST_F(RunnerBounds, ReadsOutsideIntegersAreOutOfBounds) {
  problem.arguments = {buffer_argument("x", DataType::int32, Access::in, "n", FillIota{0, 1}),
                       buffer_argument("y", DataType::int32, Access::out, "1")};
  problem.outputs = {{"y", 0, 0, {}}};
  const auto sum = [](int count) {
    return [=](const Call& call) {
      std::uint32_t total = 0;
      for (int i = 0; i < count; ++i) total += call.data<std::uint32_t>(0)[i];
      call.data<std::uint32_t>(1)[0] = total;
    };
  };
  host.kernels["twice_naive"] = sum(n);
  host.kernels["twice"] = sum(n);
  EXPECT_EQ(run(bug(none)).status, TrialStatus::ok);
  host.kernels["twice"] = sum(n + 1);
  const RunResult result = run(bug(none));
  EXPECT_EQ(result.status, TrialStatus::out_of_bounds);
  EXPECT_THAT(result.message, HasSubstr("reads behind the end of 'x'"));
}

// What changes from run to run of itself is not blamed on the guard zones.
TEST_F(RunnerBounds, AKernelThatIsWrongNowAndThenDoesNotReadOutside) {
  int seen = 0;
  for (const int period : {2, 3}) {
    for (int phase = 0; phase < period; ++phase) {
      host.kernels["twice"] = [=, this](const Call& call) {
        twice(call);
        if (runs % period == phase) call.data<float>(1)[3] = 99;
      };
      const auto runner = make_runner();
      runs = 0;
      const TrialStatus status = run(*runner, bug(none)).status;
      EXPECT_NE(status, TrialStatus::out_of_bounds) << "period " << period << ", phase " << phase;
      seen += status == TrialStatus::ok ? 0 : 1;
    }
  }
  EXPECT_GE(seen, 4);  // of five: one of three phases is right whenever its outputs are looked at
}

TEST_F(RunnerBounds, NanOutputIsNotFiniteAndOneWrongElementIsFound) {
  EXPECT_EQ(run(bug(all_nan)).status, TrialStatus::not_finite);
  const RunResult result = run(bug(one_wrong));
  EXPECT_EQ(result.status, TrialStatus::wrong_result);
  EXPECT_EQ(result.mismatch->index, 17u);
  EXPECT_EQ(result.mismatch->found, "99");
  EXPECT_THAT(result.samples, IsEmpty());
}

TEST_F(RunnerBounds, IntegerOutputsThatLookLikePoisonAreVerifiedTwice) {
  // Every byte value occurs among the right ones, so each pattern alone would hide some unwritten element.
  int skipped = -1;
  host.kernels["bytes"] = [&](const Call& call) {
    for (int i = 0; i < 256; ++i) {
      if (i != skipped) call.data<std::uint8_t>(0)[i] = static_cast<std::uint8_t>(i);
    }
  };
  problem.arguments = {buffer_argument("y", DataType::uint8, Access::out, "256")};
  problem.launches = {make_launch("bytes", {"y"})};
  problem.outputs = {{"y", 0, 0, {}}};
  problem.reference = ReferenceCallback{[](const Configuration&, HostBuffers& buffers) {
    for (int i = 0; i < 256; ++i) buffers.at("y")[static_cast<std::size_t>(i)] = static_cast<std::byte>(i);
  }};
  const auto runner = make_runner();
  EXPECT_EQ(run(*runner, bug(none)).status, TrialStatus::ok);
  for (skipped = 0; skipped < 256; ++skipped) {
    EXPECT_EQ(run(*runner, bug(none)).status, TrialStatus::wrong_result) << skipped;
  }
}

TEST_F(RunnerBounds, WithoutAReferenceOnlyTheGuardsSpeak) {
  problem.reference = {};
  const auto runner = make_runner();
  EXPECT_FALSE(runner->has_reference());
  EXPECT_EQ(runner->reference_description(), "none");
  EXPECT_EQ(run(*runner, bug(one_wrong)).status, TrialStatus::ok);
  EXPECT_EQ(run(*runner, bug(past_the_end)).status, TrialStatus::out_of_bounds);
}

}  // namespace
}  // namespace warpwright::measure
