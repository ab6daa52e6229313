#include <algorithm>
#include <cstdint>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/validate/verdict.hpp>

#include "virtual_load.hpp"

namespace warpwright::validate {
namespace {

using test::contract_of;
using test::VirtualLoadClock;

constexpr Nanoseconds ms{1e6};

// `late` of `requests` took 9 ms, the others 1 ms.
LatencyRun run_of(std::uint64_t requests, std::uint64_t late, std::uint64_t repeat = 0) {
  LatencyRun run;
  run.repeat = repeat;
  run.stages = {{std::string(whole_request), std::vector<Nanoseconds>(requests, ms)}};
  std::fill_n(run.stages[0].samples.begin(), late, 9 * ms);
  run.lateness.assign(requests, Nanoseconds{1000});
  run.complete = true;
  return run;
}

Contract contract_with(std::uint64_t repeats) {
  Contract contract = contract_of(LoadKind::constant, 100, 1000, 5 * ms);
  contract.run.repeats = repeats;
  return contract;
}

TEST(Verdict, IsThatOfTheCounts) {
  const Contract contract = contract_with(1);
  EXPECT_EQ(judge(contract, {run_of(1000, 2)}).outcome, Outcome::pass);
  EXPECT_EQ(judge(contract, {run_of(1000, 3)}).outcome, Outcome::inconclusive);
  EXPECT_EQ(judge(contract, {run_of(1000, 18)}).outcome, Outcome::inconclusive);
  EXPECT_EQ(judge(contract, {run_of(1000, 19)}).outcome, Outcome::fail);
  EXPECT_EQ(judge(contract, {run_of(0, 0)}).outcome, Outcome::inconclusive);
}

TEST(Verdict, TakesALatencyOfExactlyTheLimitAsKept) {
  const Contract contract = contract_with(1);
  LatencyRun run = run_of(1000, 0);
  run.stages[0].samples.assign(1000, 5 * ms);
  EXPECT_EQ(judge_run(contract, run).limits[0].late, 0u);
}

TEST(Verdict, SaysWhatIsKnownOfThePercentile) {
  const LimitVerdict found = judge_run(contract_with(1), run_of(1000, 3)).limits[0];
  EXPECT_EQ(found.late, 3u);
  EXPECT_EQ(found.sample, ms);
  EXPECT_EQ(found.bound, 9 * ms) << "2 late ones pass, so the third largest bounds p99";
  EXPECT_EQ(found.low, ms);
  EXPECT_EQ(found.high, ms) << "the 4th largest";
  EXPECT_EQ(found.most_late_to_pass, 2u);
  EXPECT_EQ(found.more_to_pass, LateTest(Percentile::percent(99)).requests_to_pass(3) - 1000);
  EXPECT_LT(found.share.low, 0.003);
  EXPECT_GT(found.share.high, 0.01);
}

TEST(Verdict, NeedsAllRepeats) {
  const Contract contract = contract_with(3);
  EXPECT_EQ(judge(contract, {run_of(1000, 2), run_of(1000, 0, 1), run_of(1000, 1, 2)}).outcome, Outcome::pass);
  EXPECT_EQ(judge(contract, {run_of(1000, 2), run_of(1000, 3, 1), run_of(1000, 1, 2)}).outcome, Outcome::inconclusive);
  EXPECT_EQ(judge(contract, {run_of(1000, 2), run_of(1000, 3, 1), run_of(1000, 30, 2)}).outcome, Outcome::fail);
  EXPECT_EQ(judge(contract, {run_of(1000, 0), run_of(1000, 0, 1)}).outcome, Outcome::inconclusive);
  EXPECT_EQ(judge(contract, {}).outcome, Outcome::inconclusive);
}

TEST(Verdict, IsInvalidBeforeAllElse) {
  const Contract contract = contract_with(1);
  LatencyRun failed = run_of(1000, 500);
  failed.failed = 1;
  EXPECT_EQ(judge(contract, {failed}).outcome, Outcome::invalid);
  LatencyRun late = run_of(1000, 0);
  std::fill_n(late.lateness.begin(), 11, Nanoseconds{51e3});
  EXPECT_EQ(judge(contract, {late}).outcome, Outcome::invalid);
  late.lateness[0] = Nanoseconds{0};
  EXPECT_EQ(judge(contract, {late}).outcome, Outcome::pass) << "10 of 1000 are the p99";
}

TEST(Verdict, OfEveryRequestFailsWithOneAndIsNeverProved) {
  Contract contract = contract_with(1);
  contract.limits.push_back({"e2e", std::nullopt, 8 * ms});
  EXPECT_EQ(judge(contract, {run_of(1000, 1)}).outcome, Outcome::fail);
  const Verdict verdict = judge(contract, {run_of(1000, 0)});
  EXPECT_EQ(verdict.outcome, Outcome::pass);
  EXPECT_THAT(verdict.notes, testing::Contains(testing::HasSubstr("no number of requests proves it")));
}

TEST(Verdict, RefusesARunOfAnotherContract) {
  Contract contract = contract_with(1);
  contract.limits.push_back({"copy", Percentile::percent(99), ms});
  EXPECT_THROW(judge(contract, {run_of(1000, 0)}), Error);
}

TEST(Validate, RunsAllRepeatsWithSeedsOfTheirOwn) {
  VirtualLoadClock clock;
  std::vector<std::uint64_t> seen;
  ValidateOptions options;
  options.on_run = [&](const RunVerdict& run) { seen.push_back(run.seed); };
  const Verdict verdict = validate(
      contract_with(3), [](Request&) { return true; }, clock, options);
  EXPECT_EQ(verdict.outcome, Outcome::pass);
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_NE(seen[0], seen[1]);
  Contract too_few = contract_with(1);
  too_few.run.min_requests = 100;
  EXPECT_THROW(validate(
                   too_few, [](Request&) { return true; }, clock),
               Error);
}

TEST(Validate, QuickCanFailAndNeverPasses) {
  VirtualLoadClock clock;
  const Contract contract = contract_with(3);
  const Verdict good =
      validate(contract, [](Request&) { return true; }, clock, {.quick = true, .stop_asked = {}, .on_run = {}});
  EXPECT_EQ(good.outcome, Outcome::inconclusive);
  ASSERT_EQ(good.runs.size(), 1u);
  EXPECT_EQ(good.runs[0].limits[0].outcome, Outcome::pass);
  EXPECT_LE(good.runs[0].elapsed, Seconds{7});
  const Service slow = [&](Request&) {
    clock.advance(6 * ms);
    return true;
  };
  EXPECT_EQ(validate(contract, slow, clock, {.quick = true, .stop_asked = {}, .on_run = {}}).outcome, Outcome::fail);
}

TEST(Validate, StoppedBetweenRunsIsInconclusive) {
  VirtualLoadClock clock;
  int runs = 0;
  ValidateOptions options;
  options.on_run = [&](const RunVerdict&) { ++runs; };
  options.stop_asked = [&] { return runs == 2; };
  const Verdict verdict = validate(
      contract_with(3), [](Request&) { return true; }, clock, options);
  EXPECT_EQ(verdict.runs.size(), 2u);
  EXPECT_EQ(verdict.outcome, Outcome::inconclusive);
}

TEST(VerdictText, SaysCountsBoundsAndWhatIsMissing) {
  const std::string text = to_text(judge(contract_with(1), {run_of(1000, 3)}));
  EXPECT_THAT(text, testing::HasSubstr("INCONCLUSIVE: contract 'test'"));
  EXPECT_THAT(text, testing::HasSubstr("3 of 1000 later (at most 2 pass)"));
  const std::uint64_t more = LateTest(Percentile::percent(99)).requests_to_pass(3) - 1000;
  EXPECT_THAT(text, testing::HasSubstr("needs " + std::to_string(more) + " more if none is late"));
}

TEST(VerdictJson, HasEveryNumberThatDecided) {
  LatencyRun run = run_of(1000, 2);
  run.stages[0].samples[0] = Nanoseconds{std::numeric_limits<double>::infinity()};
  Contract contract = contract_with(1);
  contract.limits.push_back({"e2e", std::nullopt, 100 * ms});
  const auto json = nlohmann::json::parse(to_json_text(judge(contract, {run})));
  EXPECT_EQ(json["verdict"], "FAIL");
  EXPECT_EQ(json["clock"], "scheduled");
  EXPECT_EQ(json["load"]["kind"], "constant");
  const auto& found = json["runs"][0];
  EXPECT_EQ(found["generator_lateness_us"]["p99"], 1.0);
  EXPECT_EQ(found["limits"][0]["n"], 1000);
  EXPECT_EQ(found["limits"][0]["t"], 2);
  EXPECT_EQ(found["limits"][0]["verdict"], "PASS");
  EXPECT_EQ(found["limits"][0]["limit_us"], 5000.0);
  EXPECT_EQ(found["limits"][0]["estimate_us"], 1000.0);
  EXPECT_EQ(found["limits"][1]["percentile"], "max");
  EXPECT_TRUE(found["limits"][1]["estimate_us"].is_null()) << "it never ended";
  EXPECT_TRUE(found["limits"][1]["more_to_pass"].is_null());
  EXPECT_EQ(found["histograms"]["e2e"]["total"], 1000);
  EXPECT_EQ(found["histograms"]["e2e"]["above"], 1);
  EXPECT_EQ(found["histograms"]["e2e"]["buckets_ns"].size(), 2u);
  const auto empty = nlohmann::json::parse(to_json_text(judge(contract_with(1), {run_of(0, 0)})));
  EXPECT_TRUE(empty["runs"][0]["limits"][0]["estimate_us"].is_null());
  EXPECT_TRUE(empty["runs"][0]["histograms"]["e2e"]["p99_us"].is_null());
  EXPECT_TRUE(empty["runs"][0]["generator_lateness_us"]["p99"].is_null());
}

TEST(ExitCode, IsOneForEachOutcome) {
  EXPECT_EQ(exit_code(Outcome::pass), 0);
  EXPECT_EQ(exit_code(Outcome::fail), 1);
  EXPECT_EQ(exit_code(Outcome::inconclusive), 3);
  EXPECT_EQ(exit_code(Outcome::invalid), 4);
}

}  // namespace
}  // namespace warpwright::validate
