#include <atomic>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/process.hpp>
#include <warpwright/driver/tune.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/store/profile_database.hpp>

#include "error_of.hpp"
#include "support.hpp"

namespace warpwright::driver {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TuneRequest request_for(const Surrounded& user) {
  TuneRequest request;
  request.problem.specification = user.specification;
  request.problem.device = "sim:0";
  request.workers.executable = WARPWRIGHT_TEST_WORKER;
  request.workers.compile_workers = 1;
  request.max_evaluations = 12;
  return request;
}

// What `warpwright tune --json` prints for this user.
store::Json printed_by_the_command(const Surrounded& user, std::vector<std::string> arguments) {
  ProcessOptions options;
  options.program = WARPWRIGHT_TEST_COMMAND;
  options.arguments = {"tune", "--json", "--quiet", "--no-session"};
  options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
  options.environment = {{"HOME", user.home.path().string()}, {"XDG_CACHE_HOME", ""}, {"XDG_DATA_HOME", ""}};
  options.output = user.home.path() / "printed.json";
  const auto end = Process::start(options).wait();
  EXPECT_TRUE(end && end->succeeded()) << (end ? end->describe() : "");
  return store::Json::parse(read_file(options.output));
}

// The simulated device's clock is a sum of doubles: a time taken from it has other last digits later on.
void round_numbers(store::Json& json) {
  if (json.is_number_float()) json = std::round(json.get<double>() * 1e3) / 1e3;
  if (json.is_structured())
    for (store::Json& part : json) round_numbers(part);
}

// Without what differs from run to run: dates, real time, and what the run before left in the cache.
store::Json lasting(store::Json json) {
  for (const char* key : {"began_at", "finished_at", "time", "tuner_ms_per_evaluation", "profile_id"}) json.erase(key);
  const auto strip = [](store::Json& trial) {
    for (const char* key : {"times", "since_start_ns", "finished_at", "binary_from_cache"}) trial.erase(key);
  };
  for (store::Json& trial : json.at("trials")) strip(trial);
  strip(json.at("baseline"));
  round_numbers(json);
  return json;
}

// As a patch from the one to the other.
std::string differences(const TuneResult& result, const store::Json& printed) {
  return store::Json::diff(lasting(store::Json::parse(tune_json(result))), lasting(printed)).dump();
}

TEST(Tune, ARequestGivesTheRecordThatTheCommandPrints) {
  Surrounded user;
  TuneRequest request = request_for(user);
  request.keep_session = false;
  request.racing = false;  // whom a configuration races with depends on who was compiled first
  const TuneResult result = tune_with_places(request, user.lend());
  ASSERT_TRUE(result.record.best.has_value());
  EXPECT_EQ(result.record.best->at("x"), Value(std::int64_t{16}));
  EXPECT_EQ(result.record.best->at("y"), Value(std::int64_t{2}));
  EXPECT_EQ(result.record.evaluations, 12u);
  EXPECT_EQ(result.profiles_file, user.places.profiles_file());
  EXPECT_FALSE(result.unused_profiles_file.has_value());
  ASSERT_TRUE(result.profile_id.has_value());
  const auto database = store::ProfileDatabase::open_read_only(*result.profiles_file);
  EXPECT_EQ(database.list("steps").size(), 1u);
  const store::Json printed = printed_by_the_command(
      user, {user.specification, "--device", "sim:0", "--max-evaluations", "12", "--jobs", "1", "--no-racing"});
  EXPECT_EQ(differences(result, printed), "[]");
}

TEST(Tune, ARecordingNeedsNoWorker) {
  Surrounded user;
  TuneRequest request;
  request.problem.device = "replay:" WARPWRIGHT_TEST_RECORDED "/vector_add/nvidia-h100-80gb-hbm3.json.gz";
  request.max_evaluations = 30;
  request.seed = 3;
  request.keep_session = false;
  const TuneResult result = tune_with_places(request, user.lend());
  ASSERT_TRUE(result.record.best.has_value());
  const store::Json printed =
      printed_by_the_command(user, {"--device", request.problem.device, "--max-evaluations", "30", "--seed", "3"});
  EXPECT_EQ(differences(result, printed), "[]");
}

// A session is kept in the user's folder, tells what it does, and goes on where it ended.
TEST(Tune, KeepsASessionAndGoesOn) {
  Surrounded user;
  TuneRequest request = request_for(user);
  request.max_evaluations = 4;
  request.seed = 7;
  request.strategy = "random";
  request.store_winner = false;
  Surroundings around = user.lend();
  int starts = 0, steps = 0;
  around.started = [&](const Start& start) {
    ++starts;
    EXPECT_EQ(start.space.size(), 12u);
    EXPECT_EQ(start.device.id.to_string(), "sim:0");
  };
  around.progress = [&](const tuning::Progress&) { ++steps; };
  const TuneResult first = tune_with_places(request, around);
  EXPECT_EQ(starts, 1);
  EXPECT_GE(steps, 4);
  ASSERT_TRUE(first.session_folder.has_value());
  EXPECT_THAT(first.session_folder->string(), StartsWith(user.home.path().string()));
  EXPECT_FALSE(first.profile_id || first.profiles_file || first.unused_profiles_file);

  request.session = first.session_folder->string();
  EXPECT_THAT(message_of(ErrorCode::conflict, [&] { tune(request, around); }),
              HasSubstr("already holds a session: add resume to go on with it"));
  request.resume = true;
  request.seed.reset();
  request.max_evaluations = 8;
  const store::SessionRecord second = tune(request, around);
  EXPECT_EQ(second.seed, 7u);
  EXPECT_EQ(second.resumed_from, 4u);
  EXPECT_EQ(second.evaluations, 8u);
}

TEST(Tune, StopsWhenItIsTold) {
  Surrounded user;
  TuneRequest request = request_for(user);
  Surroundings around = user.lend();
  std::atomic<bool> stop{false};
  around.stop = &stop;
  around.progress = [&](const tuning::Progress& now) { stop = now.evaluations >= 2; };
  const TuneResult result = tune_with_places(request, around);
  EXPECT_TRUE(result.record.interrupted);
  EXPECT_LT(result.record.evaluations, 12u);
  EXPECT_FALSE(result.profile_id.has_value());
  EXPECT_EQ(result.unused_profiles_file, user.places.profiles_file());
  stop = true;
  EXPECT_EQ(error_of([&] { tune(request, around); }).code(), ErrorCode::interrupted);
}

TEST(Tune, RequestsThatContradictThemselvesAreRefused) {
  Surrounded user;
  const auto refused = [&](auto change) {
    TuneRequest request = request_for(user);
    change(request);
    return refusal([&] { tune(request, user.lend()); });
  };
  EXPECT_THAT(refused([](TuneRequest& request) { request.resume = true; }), StartsWith("resume needs session DIR"));
  EXPECT_THAT(refused([](TuneRequest& request) {
                request.keep_session = false;
                request.session = "s";
              }),
              StartsWith("keep_session = false and session contradict each other"));
  EXPECT_THAT(refused([](TuneRequest& request) { request.strategy = "guess"; }), HasSubstr("guess"));
  EXPECT_THAT(refused([](TuneRequest& request) { request.workers.executable.clear(); }),
              StartsWith("workers.executable is missing"));
  user.messages.clear();
  refused([](TuneRequest& request) {
    request.max_evaluations.reset();
    request.strategy = "guess";
  });
  EXPECT_THAT(user.messages, Contains(HasSubstr("no budget given: stopping after")));
}

}  // namespace
}  // namespace warpwright::driver
