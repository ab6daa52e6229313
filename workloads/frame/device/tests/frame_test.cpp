// The frame on a device: against its oracle, its state, and what is refused. Runs on OpenCL (PoCL where there is no
// GPU) or CUDA, whichever the program is compiled for.
#include "workloads/frame/device/frame.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/temporary_folder.hpp>
#include <warpwright/measure/inputs.hpp>

#include "workloads/common/sizes.hpp"
#include "workloads/frame/device/comparison.hpp"
#include "workloads/frame/device/dump.hpp"
#include "workloads/frame/device/measurement.hpp"

#ifdef WARPWRIGHT_TEST_CUDA
#include <warpwright/cuda/backend.hpp>
#else
#include <warpwright/opencl/backend.hpp>
#endif

namespace warpwright::workloads {
namespace {

template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
    return error.what();
  }
  return "";
}

TEST(FrameSizes, ThatAreNoFrameAreRefusedByName) {
  EXPECT_THAT(message_of([] { require_frame_fits(0, 1, Bytes{}); }), testing::HasSubstr("n must be at least 9, not 0"));
  EXPECT_THAT(message_of([] { require_frame_fits(8, 1, Bytes{}); }), testing::HasSubstr("at least 9, not 8"));
  EXPECT_THAT(message_of([] { require_frame_fits(64, 2, Bytes{}); }), testing::HasSubstr("must be 1, not 2"));
  EXPECT_THAT(message_of([] { require_frame_fits(8192, 1, Bytes{std::uint64_t{1} << 30}); }),
              testing::AllOf(testing::HasSubstr("n = 8192"), testing::HasSubstr("1 GiB of this device")));
  EXPECT_THAT(message_of([] { require_frame_fits(1000000, 1, Bytes{}); }), testing::HasSubstr("at most 463"));
  EXPECT_EQ(message_of([] { require_frame_fits(900, 1, Bytes{std::uint64_t{1} << 30}); }), "");
}

TEST(FrameInputs, RecordedOnesGoRoundAndMustBeWholeAndFinite) {
  const FrameInput input = recorded_inputs({1, 2, 3, 4}, 2, "--input 'x.npy'");
  EXPECT_THAT(input(0), testing::ElementsAre(1, 2));
  EXPECT_THAT(input(3), testing::ElementsAre(3, 4));
  EXPECT_THAT(message_of([] {
                recorded_inputs({1, 2, 3}, 2, "--input 'x.npy'");
              }),
              testing::HasSubstr("--input 'x.npy' has 3 values, which are not frames of n = 2"));
  EXPECT_THAT(message_of([] {
                recorded_inputs({1, 2, 3, std::numeric_limits<float>::quiet_NaN()}, 2, "--input 'x.npy'");
              }),
              testing::HasSubstr("--input 'x.npy': value 1 of frame 1 is nan"));
}

class FrameOnDevice : public testing::Test {
 protected:
  static constexpr std::size_t n = 64;

  void SetUp() override {
#ifdef WARPWRIGHT_TEST_CUDA
    const std::string name = "cuda";
    backend_ = cuda::make_backend();
#else
    const std::string name = "opencl";
    backend_ = opencl::make_backend();
#endif
    const device::ProbeResult probe = backend_->probe();
    if (!probe.usable) {
      const char* required = std::getenv("WARPWRIGHT_REQUIRE_DEVICE");
      if (required != nullptr && name == required) FAIL() << "required device: " << probe.reason;
      GTEST_SKIP() << probe.reason;
    }
    context_ = backend_->open(backend_->devices().front().id);
    profiles_ = std::make_unique<store::ProfileDatabase>(folder_.path() / "profiles.sqlite");
  }

  // One cache of binaries for all tests of this program.
  std::unique_ptr<Frame> make(frame::Settings settings = {}, std::size_t history = 12,
                              const std::filesystem::path& specifications = WARPWRIGHT_WORKLOADS) {
    static const TemporaryFolder cache(std::filesystem::temp_directory_path());
    Sizes sizes = scaled_sizes(n, 1);
    sizes.reservoir_units = 100;
    sizes.history = history;
    FrameOptions options;
    options.specifications = specifications;
    options.settings = settings;
    options.binary_cache = cache.path() / "binaries";
    options.log = [this](LogLevel, std::string_view text) { log_ += std::string(text) + "\n"; };
    return std::make_unique<Frame>(*backend_, *context_, *profiles_, sizes, std::move(options));
  }

  TemporaryFolder folder_{std::filesystem::temp_directory_path()};
  std::unique_ptr<device::Backend> backend_;
  std::unique_ptr<device::Context> context_;
  std::unique_ptr<store::ProfileDatabase> profiles_;
  std::string log_;
};

TEST_F(FrameOnDevice, EveryStageAgreesWithTheOracle) {
  const auto frame = make();
  const FrameVerdict verdict = check_frame(*frame, example_inputs(frame->model()));
  EXPECT_THAT(verdict.frames, testing::ElementsAre(0, 11, 12));
  EXPECT_TRUE(verdict.passed());
  std::vector<std::string> stages;
  for (const OutputVerdict& output : verdict.outputs) {
    EXPECT_TRUE(output.passed()) << output.stage << " " << output.output << ": " << output.error;
    if (std::ranges::find(stages, output.stage) == stages.end()) stages.push_back(output.stage);
  }
  EXPECT_THAT(stages, testing::UnorderedElementsAre("S1", "S2", "S3", "S4", "S5", "S6A", "S6B", "S7", "S8", "summary"));
  // That the stages run their defaults is said once, for all of them.
  EXPECT_THAT(log_,
              testing::HasSubstr("no profile for S1, S2, S3, S4, S5, S6A, S6B, S7, S8: default configurations run"));
  EXPECT_EQ(std::ranges::count(log_, '\n'), 1);
}

// A frame as it is run, with a graph where there is one, gives what the frame stage by stage gives.
TEST_F(FrameOnDevice, WholeFramesAndStagesGiveTheSame) {
  const auto whole = make();
  const auto staged = make();
  const auto timed = make();
  const FrameInput input = example_inputs(whole->model());
  for (std::uint32_t f = 0; f < 16; ++f) {
    const std::vector<float> x = input(f);
    const FrameOutput a = whole->run(x);
    const FrameOutput b = staged->run_by_stage(x, {});
    EXPECT_EQ(a.frame, f);
    ASSERT_THAT(std::vector(a.output.begin(), a.output.end()), testing::ElementsAreArray(b.output));
    ASSERT_THAT(std::vector(a.summary.begin(), a.summary.end()), testing::ElementsAreArray(b.summary));
    EXPECT_EQ(a.coupling_age, b.coupling_age);
    EXPECT_EQ(a.coupling_age.has_value(), f >= 11);
    const std::vector<Nanoseconds> times = timed->time_stages(x);
    EXPECT_EQ(times.size(), timed->stages().size());
  }
  EXPECT_EQ(whole->state().phases, timed->state().phases);
  EXPECT_EQ(whole->state().coupling, timed->state().coupling);
}

TEST_F(FrameOnDevice, StateIsWhatTheNextFrameNeeds) {
  const auto first = make();
  const auto second = make();
  const FrameInput input = example_inputs(first->model());
  for (std::uint32_t f = 0; f < 14; ++f) first->run(input(f));
  const frame::State between = first->state();
  EXPECT_EQ(between.frame, 14U);
  EXPECT_TRUE(between.history.full());
  EXPECT_TRUE(between.coupled);
  EXPECT_EQ(between.order_a.size(), 14U);
  second->set_state(between);
  for (std::uint32_t f = 14; f < 17; ++f) {
    const std::vector<float> x = input(f);
    const FrameOutput a = first->run(x);
    const FrameOutput b = second->run(x);
    EXPECT_THAT(std::vector(a.output.begin(), a.output.end()), testing::ElementsAreArray(b.output));
    EXPECT_THAT(std::vector(a.summary.begin(), a.summary.end()), testing::ElementsAreArray(b.summary));
  }
  frame::State other = between;
  other.phases.pop_back();
  EXPECT_THAT(message_of([&] { second->set_state(other); }), testing::HasSubstr("not that of a frame of n = 64"));
}

TEST_F(FrameOnDevice, InputChangesOutput) {
  const auto a = make();
  const auto b = make();
  const FrameInput input = example_inputs(a->model());
  bool differ = false;
  for (std::uint32_t f = 0; f < 20; ++f) {
    std::vector<float> x = input(f);
    const FrameOutput one = a->run(x);
    for (float& value : x) value = -3.0F * value;
    const FrameOutput other = b->run(x);
    differ = differ || !std::ranges::equal(one.output, other.output);
  }
  EXPECT_TRUE(differ);
}

TEST_F(FrameOnDevice, FlowRunsEveryKthFrame) {
  const auto frame = make({.flow_period = 3});
  const FrameInput input = example_inputs(frame->model());
  std::vector<std::size_t> ages;
  for (std::uint32_t f = 0; f < 17; ++f) {
    const FrameOutput output = frame->run(input(f));
    if (output.coupling_age) ages.push_back(*output.coupling_age);
  }
  EXPECT_THAT(ages, testing::ElementsAre(0, 1, 2, 0, 1, 2));
}

TEST_F(FrameOnDevice, InputThatIsNoneIsRefusedAndRunsNoFrame) {
  const auto frame = make();
  std::vector<float> x(n, 0.5F);
  EXPECT_THAT(message_of([&] { frame->run(std::span(x).first(63)); }),
              testing::HasSubstr("64 values, one for each window, not 63"));
  x[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(message_of([&] { frame->run(x); }), testing::HasSubstr("x[7] is nan"));
  std::ranges::copy(x, frame->input().begin());
  EXPECT_THAT(message_of([&] { frame->run(); }), testing::HasSubstr("x[7] is nan"));
  EXPECT_EQ(frame->state().frame, 0U);
}

TEST_F(FrameOnDevice, TimesAddUp) {
  const auto frame = make();
  const SteadyClock clock;
  const FrameTimes times = measure_frames(*frame, example_inputs(frame->model()), 20, 15, clock);
  EXPECT_EQ(times.frames, 20U);
  EXPECT_EQ(times.flow_frames, 20U);
  EXPECT_EQ(times.last_frame, 34U);
  EXPECT_LE(times.p50, times.p99);
  EXPECT_LE(times.p99, times.max);
  EXPECT_GT(times.p50.count(), 0);
  ASSERT_EQ(times.stages.size(), frame->stages().size());
  EXPECT_EQ(times.stages.front().stage, "upload");
  EXPECT_EQ(times.stages.back().stage, "download");
  Nanoseconds sum{};
  for (const StageTime& stage : times.stages) sum += stage.mean;
  EXPECT_DOUBLE_EQ(sum.count(), times.stages_sum.count());
  EXPECT_EQ(frame->uploaded_per_frame().count, 4096 + 4 * n);
  EXPECT_THAT(message_of([&] { measure_frames(*frame, example_inputs(frame->model()), 0, 0, clock); }),
              testing::HasSubstr("at least one frame"));
}

TEST_F(FrameOnDevice, DumpHoldsWhatAFrameDid) {
  const auto frame = make();
  const FrameInput input = example_inputs(frame->model());
  for (std::uint32_t f = 0; f < 13; ++f) frame->run(input(f));
  const FrameVerdict verdict = dump_frame(*frame, input, folder_.path() / "dump");
  EXPECT_TRUE(verdict.passed());
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "dump" / "manifest.json"));
  const measure::NpyArray coupling = measure::read_npy(folder_.path() / "dump" / "S3-coupling.npy");
  EXPECT_THAT(coupling.shape, testing::ElementsAre(n, n));
  const measure::NpyArray x = measure::read_npy(folder_.path() / "dump" / "input-x.npy");
  EXPECT_EQ(std::memcmp(x.data.data(), input(13).data(), x.data.size()), 0);
  const measure::NpyArray history = measure::read_npy(folder_.path() / "dump" / "state-history.npy");
  EXPECT_THAT(history.shape, testing::ElementsAre(12U, n));
}

// A comparison that nothing can fail would be worth nothing: a frame that begins with another state than the oracle is
// told.
// One sign of one kernel the other way round: its output is wrong, and said to be.
TEST_F(FrameOnDevice, AWrongKernelIsFound) {
  const std::filesystem::path wrong = folder_.path() / "workloads";
  std::filesystem::copy(WARPWRIGHT_WORKLOADS, wrong, std::filesystem::copy_options::recursive);
  std::string text = read_file(wrong / "control" / "tuned.kernel");
  const std::string right = "WW_FMA(gain, target - mean, u)";
  ASSERT_NE(text.find(right), std::string::npos);
  text.replace(text.find(right), right.size(), "WW_FMA(-gain, target - mean, u)");
  std::ofstream(wrong / "control" / "tuned.kernel") << text;
  const auto frame = make({}, 12, wrong);
  const FrameVerdict verdict = check_frame(*frame, example_inputs(frame->model()));
  EXPECT_FALSE(verdict.passed());
  for (const OutputVerdict& output : verdict.outputs) {
    if (output.stage == "S7" && output.output == "output") {
      EXPECT_FALSE(output.passed());
    } else if (output.stage != "S7" && output.stage != "S8" && output.stage != "summary") {
      EXPECT_TRUE(output.passed()) << output.stage << " " << output.output;
    }
  }
}

}  // namespace
}  // namespace warpwright::workloads
