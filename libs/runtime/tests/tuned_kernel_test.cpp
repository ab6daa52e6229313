// TunedKernel on the simulated device: which profile serves, what comes of one that cannot, and what is kept.
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include <warpwright/execution/local_evaluator.hpp>
#include <warpwright/runtime/identity.hpp>
#include <warpwright/runtime/tuned_kernel.hpp>
#include <warpwright/sim/backend.hpp>
#include <warpwright/spec/problem_builder.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/tuning/session.hpp>

#include "error_of.hpp"

namespace warpwright::runtime {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// One configuration does not compile, and one takes so many registers that no block of it fits.
constexpr const char* source = R"(
[kernels.add]
behaviour = "vector_add"
registers = "255 if mode == 2 else 32"
compile_error_if = "mode == 1"
elements = "n"
)";

class ManualClock final : public Clock {
 public:
  Nanoseconds now() const override { return time; }
  Nanoseconds time{1e9};
};

class TunedKernelTest : public ::testing::Test {
 protected:
  TunedKernelTest()
      : folder_(std::filesystem::temp_directory_path() /
                ("warpwright-tuned-" + std::to_string(reinterpret_cast<std::uintptr_t>(this)))),
        profiles((std::filesystem::create_directories(folder_), folder_ / "profiles.sqlite")),
        backend(sim::make_backend()),
        context(backend->open(DeviceId::parse("sim:0"))),
        stream(context->create_stream()) {
    options.log = [this](LogLevel, std::string_view text) { told.emplace_back(text); };
    options.clock = &clock;
  }
  ~TunedKernelTest() override { std::filesystem::remove_all(folder_); }

  static Problem problem() {
    return spec::ProblemBuilder("add")
        .source_text(source, "sim")
        .dimension("n", std::int64_t{1000})
        .parameter("block_x", {std::int64_t{32}, std::int64_t{128}, std::int64_t{1024}}, {}, ParameterRole::block)
        .parameter("mode", {std::int64_t{0}, std::int64_t{1}, std::int64_t{2}})
        .output("c", DataType::float32, "n", 0, 0)
        .input("a", DataType::float32, "n")
        .input("b", DataType::float32, "n")
        .launch("add", {"block_x"}, {"ceil_div(n, block_x)"}, {"c", "a", "b", "n"})
        .build();
  }
  static Configuration configuration(std::int64_t block_x, std::int64_t mode) {
    return {{"block_x", block_x}, {"mode", mode}};
  }
  static Configuration size(std::int64_t n) { return {{"n", n}}; }

  store::TuningProfile profile(Configuration winner, std::int64_t n) {
    const Problem sized = problem().for_device(context->device(), size(n));
    store::TuningProfile made;
    made.key = profile_key(sized, context->device(), measure::CacheMode::cold);
    made.configuration = std::move(winner);
    made.median = Nanoseconds{1000};
    made.verification = "verified against kernel (independent); re-verified: yes, on fresh inputs";
    made.created_at = "2026-11-22T18:00:00Z";
    return made;
  }
  std::unique_ptr<TunedKernel> kernel() {
    return std::make_unique<TunedKernel>(problem(), *backend, *context, profiles, options);
  }
  // Adds on the device; whether every element is right.
  bool adds(TunedKernel& tuned, std::int64_t n) {
    const Bytes bytes{static_cast<std::uint64_t>(n) * sizeof(float)};
    const auto a = context->allocate(bytes), b = context->allocate(bytes), c = context->allocate(bytes);
    std::vector<float> values(static_cast<std::size_t>(n), 1.5F), sums(values.size());
    for (auto* input : {a.get(), b.get()}) stream->copy_to_device(*input, Bytes{}, std::as_bytes(std::span(values)));
    tuned.launch(*stream, size(n), {{"a", a.get()}, {"b", b.get()}, {"c", c.get()}});
    stream->copy_to_host(std::as_writable_bytes(std::span(sums)), *c, Bytes{});
    stream->synchronize();
    return std::all_of(sums.begin(), sums.end(), [](float sum) { return sum == 3.0F; });
  }

 private:
  std::filesystem::path folder_;

 protected:
  store::ProfileDatabase profiles;
  std::unique_ptr<device::Backend> backend;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<device::Stream> stream;
  ManualClock clock;
  TunedKernelOptions options;
  std::vector<std::string> told;
};

TEST_F(TunedKernelTest, TheProfileOfTheSizeServes) {
  const auto id = profiles.put(profile(configuration(128, 0), 1000));
  profiles.put(profile(configuration(1024, 0), 100'000));
  const auto tuned = kernel();
  const Selection selection = tuned->select(size(1000));
  EXPECT_TRUE(selection.tuned);
  EXPECT_EQ(selection.profile_id, id);
  EXPECT_EQ(selection.quality, "exact");
  EXPECT_EQ(selection.configuration, configuration(128, 0));
  EXPECT_EQ(selection.verified, Verified::at_this_size);
  EXPECT_THAT(selection.warnings, IsEmpty());
  EXPECT_THAT(selection.rejected, IsEmpty());
  EXPECT_TRUE(adds(*tuned, 1000));
  EXPECT_EQ(tuned->select(size(90'000)).configuration, configuration(1024, 0));
  EXPECT_TRUE(adds(*tuned, 90'000));
}

TEST_F(TunedKernelTest, AProfileOfAnotherKindOfDeviceDoesNotServe) {
  auto of_a_processor = profile(configuration(1024, 0), 1000);
  of_a_processor.key.device = "pthread-epyc";
  of_a_processor.key.device_kind = "cpu";
  profiles.put(of_a_processor);
  const Selection selection = kernel()->select(size(1000));
  EXPECT_FALSE(selection.tuned);
  EXPECT_EQ(selection.profile_id, std::nullopt);
  EXPECT_EQ(selection.configuration, configuration(32, 0));
  EXPECT_THAT(told, ElementsAre(HasSubstr("'add' is not tuned for this device and size (none under the policy "
                                          "'nearest'): using the default configuration")));
}

TEST_F(TunedKernelTest, WhatDoesNotCompileOrFitGivesWayToTheNextBest) {
  const auto broken = profiles.put(profile(configuration(32, 1), 1000));
  const auto greedy = profiles.put(profile(configuration(1024, 2), 1010));
  const auto good = profiles.put(profile(configuration(128, 0), 4000));
  const auto tuned = kernel();
  const Selection selection = tuned->select(size(1000));
  EXPECT_TRUE(selection.tuned);
  EXPECT_EQ(selection.profile_id, good);
  EXPECT_EQ(selection.configuration, configuration(128, 0));
  ASSERT_EQ(selection.rejected.size(), 2u);
  EXPECT_EQ(selection.rejected[0].id, broken);
  EXPECT_EQ(selection.rejected[0].configuration, configuration(32, 1));
  EXPECT_EQ(selection.rejected[1].id, greedy);
  EXPECT_THAT(selection.rejected[1].reason, HasSubstr("registers"));
  EXPECT_THAT(told,
              Contains(HasSubstr("profile " + std::to_string(broken) + " (block_x=32, mode=1) cannot be used here: ")));
  EXPECT_THAT(
      told, Contains(HasSubstr("profile " + std::to_string(greedy) + " (block_x=1024, mode=2) cannot be used here: ")));
  EXPECT_TRUE(adds(*tuned, 1000));
}

TEST_F(TunedKernelTest, WhereNoneCanBeUsedTheDefaultServes) {
  profiles.put(profile(configuration(32, 1), 1000));
  profiles.put(profile(configuration(1024, 2), 2000));
  const auto tuned = kernel();
  const Selection selection = tuned->select(size(1000));
  EXPECT_FALSE(selection.tuned);
  EXPECT_EQ(selection.configuration, configuration(32, 0));
  EXPECT_EQ(selection.quality, "none of 2 that can be used here");
  EXPECT_EQ(selection.rejected.size(), 2u);
  EXPECT_TRUE(adds(*tuned, 1000));
}

// What a database of many refused profiles may cost an application is bounded.
TEST_F(TunedKernelTest, TheSameRefusedConfigurationIsTriedOnce) {
  for (std::int64_t n = 1000; n < 1050; ++n) profiles.put(profile(configuration(32, 1), n));
  const auto good = profiles.put(profile(configuration(128, 0), 100'000));
  const Selection selection = kernel()->select(size(1000));
  EXPECT_EQ(selection.profile_id, good);
  EXPECT_EQ(selection.rejected.size(), 1u);
}

TEST_F(TunedKernelTest, ALostDeviceIsNoReasonToTryAnother) {
  sim::Options simulated;
  simulated.faults = {{sim::Fault::Call::load, 1, false, ErrorCode::device}};
  backend = sim::make_backend(simulated);
  stream.reset();
  context = backend->open(DeviceId::parse("sim:0"));
  profiles.put(profile(configuration(128, 0), 1000));
  profiles.put(profile(configuration(32, 0), 2000));
  EXPECT_EQ(error_of([&] { kernel()->select(size(1000)); }).code(), ErrorCode::device);
}

TEST_F(TunedKernelTest, UnverifiedProfilesAndSizesAreToldOnce) {
  auto unverified = profile(configuration(128, 0), 1000);
  unverified.verification = "not verified: the specification has no [reference]";
  const auto first = profiles.put(unverified);
  auto verified = profile(configuration(1024, 0), 1 << 20);
  verified.details = store::text_of({{verified_sizes_key, {store::to_json(size(900'000)), "no size"}}});
  const auto second = profiles.put(verified);
  options.max_prepared = 1;  // every size is prepared again
  const auto tuned = kernel();
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(tuned->select(size(1000)).verified, Verified::nowhere);
    EXPECT_EQ(tuned->select(size(1 << 20)).verified, Verified::at_this_size);
    EXPECT_EQ(tuned->select(size(900'000)).verified, Verified::at_this_size);
    const Selection elsewhere = tuned->select(size(1'000'003));
    EXPECT_EQ(elsewhere.verified, Verified::at_other_sizes);
    EXPECT_EQ(elsewhere.warnings.size(), 1u);
  }
  EXPECT_THAT(told,
              ElementsAre(HasSubstr("profile " + std::to_string(first) + " was never verified (not verified: the"),
                          HasSubstr("profile " + std::to_string(second) +
                                    " was verified at other sizes (n=1048576), not at n=1000003")));
}

// From the session that verified the winner to the launch that asks.
TEST_F(TunedKernelTest, SizesThatASessionVerifiedAreKnown) {
  const Problem tuned_problem =
      spec::ProblemBuilder("add")
          .source_text(std::string(source) + "[kernels.reference]\nbehaviour = 'vector_add'\n", "sim")
          .dimension("n", std::int64_t{1000})
          .parameter("block_x", {std::int64_t{32}, std::int64_t{128}})
          .parameter("mode", {std::int64_t{0}})
          .output("c", DataType::float32, "n", 0, 0)
          .input("a", DataType::float32, "n")
          .input("b", DataType::float32, "n")
          .launch("add", {"block_x"}, {"ceil_div(n, block_x)"}, {"c", "a", "b", "n"})
          .reference_entry("reference", {"32"}, {"ceil_div(n, 32)"})
          .verify_size(size(77))
          .build();
  const SteadyClock steady;
  execution::LocalEvaluation evaluation(*backend, context->device(), tuned_problem, steady, {});
  tuning::SessionOptions session;
  session.strategy = "exhaustive";
  const auto space = tuned_problem.build_space();
  const tuning::SessionRecord result =
      tuning::run_session(tuned_problem, *space, StrategyRegistry::with_defaults(), evaluation, steady, session);
  EXPECT_THAT(result.verified_sizes, ElementsAre(size(77)));
  profiles.put(tuning::make_profile(tuned_problem, result, measure::CacheMode::cold).value());
  TunedKernel tuned(tuned_problem, *backend, *context, profiles, options);
  EXPECT_EQ(tuned.select(size(1000)).verified, Verified::at_this_size);
  EXPECT_EQ(tuned.select(size(77)).verified, Verified::at_this_size);
  EXPECT_EQ(tuned.select(size(78)).verified, Verified::at_other_sizes);
}

TEST_F(TunedKernelTest, NewerProfilesAreSeen) {
  const auto tuned = kernel();
  EXPECT_FALSE(tuned->select(size(1000)).tuned);
  EXPECT_TRUE(adds(*tuned, 1000));
  const auto first = profiles.put(profile(configuration(128, 0), 1000));
  EXPECT_FALSE(tuned->select(size(1000)).tuned) << "looked at a moment ago";
  clock.time += options.profile_check;
  EXPECT_EQ(tuned->select(size(1000)).profile_id, first);
  EXPECT_TRUE(adds(*tuned, 1000));
  // The same key with another winner keeps its id.
  EXPECT_EQ(profiles.put(profile(configuration(1024, 0), 1000)), first);
  clock.time += options.profile_check;
  EXPECT_TRUE(adds(*tuned, 1000));
  EXPECT_EQ(tuned->select(size(1000)).configuration, configuration(1024, 0));
  // And one of another size changes nothing here.
  const auto loads = told.size();
  profiles.put(profile(configuration(32, 0), 50'000));
  clock.time += options.profile_check;
  EXPECT_EQ(tuned->select(size(1000)).configuration, configuration(1024, 0));
  EXPECT_EQ(told.size(), loads);
  // The same winner, now of another profile: nothing is loaded again, and what is said of it is up to date.
  auto unverified = profile(configuration(1024, 0), 1000);
  unverified.verification.clear();
  EXPECT_EQ(profiles.put(unverified), first);
  EXPECT_EQ(tuned->select(size(1000)).verified, Verified::at_this_size);
  clock.time += options.profile_check;
  EXPECT_EQ(tuned->select(size(1000)).verified, Verified::nowhere);
  EXPECT_EQ(tuned->prepared_count(), 1u);
  EXPECT_THAT(told.back(), HasSubstr("was never verified"));
  // What is taken away is no longer used.
  ASSERT_TRUE(profiles.remove(first));
  clock.time += options.profile_check;
  EXPECT_EQ(tuned->select(size(1000)).configuration, configuration(32, 0));
  EXPECT_TRUE(adds(*tuned, 1000));
}

TEST_F(TunedKernelTest, WithoutAnIntervalEveryCallLooks) {
  options.profile_check = Nanoseconds{0};
  const auto tuned = kernel();
  EXPECT_FALSE(tuned->select(size(1000)).tuned);
  profiles.put(profile(configuration(128, 0), 1000));
  EXPECT_TRUE(tuned->select(size(1000)).tuned);
}

TEST_F(TunedKernelTest, OnlySoManySizesAreKeptReady) {
  profiles.put(profile(configuration(128, 0), 1000));
  options.max_prepared = 3;
  const auto tuned = kernel();
  for (std::int64_t n = 1000; n < 1100; ++n) {
    EXPECT_TRUE(adds(*tuned, n));
    EXPECT_TRUE(adds(*tuned, 1000)) << "in use all the time";
    EXPECT_LE(tuned->prepared_count(), 3u);
  }
  EXPECT_EQ(tuned->prepared_count(), 3u);
  // The one used longest ago went first; a size that fails takes no place.
  EXPECT_EQ(error_of([&] { tuned->select(size(-1)); }).code(), ErrorCode::bad_input);
  EXPECT_EQ(tuned->prepared_count(), 3u);
}

// A size is dropped while its launch is still under way on a stream of the application's.
TEST_F(TunedKernelTest, ADroppedSizeIsNotTakenFromUnderTheDevice) {
  options.max_prepared = 1;
  const auto tuned = kernel();
  const std::int64_t n = 1 << 20;
  const Bytes bytes{n * sizeof(float)};
  const auto a = context->allocate(bytes), b = context->allocate(bytes), c = context->allocate(bytes);
  std::vector<float> sums(static_cast<std::size_t>(n));
  stream->fill(*a, Bytes{}, bytes, 0);
  stream->fill(*b, Bytes{}, bytes, 0);
  stream->fill(*c, Bytes{}, bytes, 0xff);
  tuned->launch(*stream, size(n), {{"a", a.get()}, {"b", b.get()}, {"c", c.get()}});
  tuned->select(size(5));
  EXPECT_TRUE(stream->idle());
  stream->copy_to_host(std::as_writable_bytes(std::span(sums)), *c, Bytes{});
  stream->synchronize();
  EXPECT_THAT(sums, Not(Contains(Not(0.0F))));
}

TEST_F(TunedKernelTest, NothingToKeepIsRefused) {
  options.max_prepared = 0;
  EXPECT_THAT(refusal([&] { kernel(); }), HasSubstr("max_prepared is 0"));
}

}  // namespace
}  // namespace warpwright::runtime
