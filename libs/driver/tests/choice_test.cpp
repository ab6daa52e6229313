#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/driver/problem.hpp>
#include <warpwright/driver/starting_points.hpp>
#include <warpwright/driver/winner_storage.hpp>
#include <warpwright/driver/workers.hpp>
#include <warpwright/execution/replay_device.hpp>

#include "error_of.hpp"
#include "support.hpp"

namespace warpwright::driver {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::StartsWith;

const std::string recorded_vector_add = WARPWRIGHT_TEST_RECORDED "/vector_add/nvidia-h100-80gb-hbm3.json.gz";

TEST(ChooseProblem, TakesDimensionsAndTheNamedDevice) {
  Surrounded user;
  ProblemRequest request{user.specification, "sim:0", Configuration({{"n", std::int64_t{512}}})};
  const ChosenProblem chosen = choose_problem(request, user.backends, {});
  EXPECT_EQ(chosen.problem.name, "steps");
  EXPECT_EQ(chosen.problem.dimensions.at("n"), Value(std::int64_t{512}));
  EXPECT_EQ(chosen.device.id.to_string(), "sim:0");
}

TEST(ChooseProblem, ErrorsNameTheCallersOptions) {
  Surrounded user;
  OptionNames names;
  names.specification = "SPEC";
  names.device = "--device";
  names.dimensions = "--problem";
  const auto refused = [&](const ProblemRequest& request) {
    return refusal([&] { choose_problem(request, user.backends, names); });
  };
  EXPECT_THAT(refused({}), StartsWith("SPEC is missing: name a specification (only --device replay:FILE"));
  EXPECT_THAT(refused({user.specification, "replay:x", {}}),
              HasSubstr("--device replay:x: a recording can neither compile nor run"));
  // A simulated device is never chosen by itself.
  EXPECT_THAT(message_of(ErrorCode::unavailable,
                         [&] {
                           choose_problem({user.specification, "", {}}, user.backends, names);
                         }),
              StartsWith("no device to tune on"));
  write_file_atomically(user.home.path() / "steps.cl", "kernel void vector_add() {}");
  std::string text = simulated_specification;
  for (std::size_t at; (at = text.find("sim = \"steps.sim.toml\"")) != std::string::npos;)
    text.replace(at, 22, "opencl = \"steps.cl\"");
  const std::string other = (user.home.path() / "other.toml").string();
  write_file_atomically(other, text);
  EXPECT_THAT(refused({other, "sim:0", {}}),
              AllOf(HasSubstr("has kernel source for opencl and none for sim devices"), HasSubstr("with --device")));
  EXPECT_THAT(refusal([&] { open_recording({"", "replay:", {}}, names); }), StartsWith("--device replay: names no"));
  EXPECT_THAT(refusal([&] {
                open_recording({"", "replay:" + recorded_vector_add, Configuration({{"n", std::int64_t{1}}})}, names);
              }),
              StartsWith("--problem needs a specification"));
}

TEST(ChooseProblem, ARecordingIsAProblemOfItsOwn) {
  Surrounded user;
  const ProblemRequest request{"", "replay:" + recorded_vector_add, {}};
  EXPECT_TRUE(names_recording(request.device));
  EXPECT_EQ(open_recording({user.specification, "sim:0", {}}, {}), nullptr);
  const auto recording = open_recording(request, {});
  ASSERT_NE(recording, nullptr);
  const ChosenProblem chosen = choose_problem(request, user.backends, {}, recording.get());
  EXPECT_EQ(chosen.problem.name, recording->problem().name);
  EXPECT_EQ(chosen.device.kind, DeviceKind::simulated);
}

TEST(StartingPoints, AreFoundInARecordingAndMissedByName) {
  Surrounded user;
  const ProblemRequest request{"", "replay:" + recorded_vector_add, {}};
  const auto recording = open_recording(request, {});
  const StartingPoints points =
      read_starting_points({recorded_vector_add}, recording->problem(), recording->space(), {});
  EXPECT_EQ(points.indices.size(), 5u);
  EXPECT_THAT(points.notes, ElementsAre(HasSubstr("5 configurations")));
  OptionNames names;
  names.start_from = "--start-from";
  EXPECT_THAT(message_of(ErrorCode::not_found,
                         [&] { read_starting_points({"/no/such"}, recording->problem(), recording->space(), names); }),
              StartsWith("--start-from: there is no file or folder '/no/such'"));
}

TEST(WorkerPoolOptions, ComeFromRequestAndVariables) {
  const TemporaryFolder folder(std::filesystem::temp_directory_path());
  Places places(Variables(
      std::map<std::string, std::string>{{"HOME", folder.path().string()}, {"CUDA_MPS_PIPE_DIRECTORY", "/pipes"}}));
  WorkerRequest request;
  EXPECT_THAT(refusal([&] { worker_pool_options(request, places, {}); }), StartsWith("workers.executable is missing"));
  request.executable = "/w";
  const auto options = worker_pool_options(request, places, {});
  const std::filesystem::path cache = folder.path() / ".cache/warpwright";
  EXPECT_EQ(options.cache_folder, cache);
  EXPECT_THAT(options.environment, Contains(Pair("CUDA_CACHE_PATH", (cache / "cuda").string())));
  EXPECT_THAT(options.environment, Contains(Pair(header_cache_variable, cache.string())));
  ASSERT_TRUE(options.confined_to.has_value());
  EXPECT_THAT(*options.confined_to, Contains(std::filesystem::path("/pipes")));
  request.confined = false;
  EXPECT_FALSE(worker_pool_options(request, places, {}).confined_to.has_value());
  request.use_cache = false;
  request.cache_folder = "c";
  EXPECT_THAT(refusal([&] { worker_pool_options(request, places, {}); }), HasSubstr("contradict each other"));
}

TEST(WinnerStorage, IsOpenedBeforeItIsNeeded) {
  const TemporaryFolder folder(std::filesystem::temp_directory_path());
  Places places(Variables(std::map<std::string, std::string>{{"HOME", folder.path().string()}}));
  EXPECT_FALSE(open_winner_storage("", false, places, {}).has_value());
  const auto storage = open_winner_storage("", true, places, {});
  ASSERT_TRUE(storage.has_value());
  EXPECT_EQ(storage->file, places.profiles_file());
  EXPECT_THAT(refusal([&] { open_winner_storage("p", false, places, {}); }),
              StartsWith("store_winner = false and profiles contradict each other"));
}

}  // namespace
}  // namespace warpwright::driver
