#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <gtest/gtest.h>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/base/rng.hpp>
#include <warpwright/validate/late_test.hpp>

namespace warpwright::validate {
namespace {

LateTest test_of(double percent, double confidence = 0.99, std::uint64_t limits = 1, double tolerance = 0) {
  return {Percentile::percent(percent), {.confidence = confidence, .tolerance = tolerance, .limits = limits}};
}

TEST(LateTest, NeedsThePublishedNumbersOfRequests) {
  struct Row {
    double percent, confidence;
    std::array<std::uint64_t, 8> requests;
  };
  constexpr std::array<std::uint64_t, 8> late{0, 1, 2, 5, 10, 20, 50, 100};
  const std::vector<Row> rows{
      {90, 0.99, {44, 64, 81, 127, 197, 325, 681, 1246}},
      {95, 0.99, {90, 130, 165, 259, 398, 656, 1372, 2504}},
      {99, 0.95, {299, 473, 628, 1049, 1693, 2902, 6323, 11799}},
      {99, 0.99, {459, 662, 838, 1307, 2010, 3304, 6898, 12571}},
      {99.9, 0.95, {2995, 4742, 6294, 10511, 16959, 29058, 63281, 118071}},
      {99.9, 0.99, {4603, 6636, 8403, 13105, 20140, 33097, 69058, 125826}},
      {99.99, 0.99, {46050, 66381, 84057, 131081, 201442, 331025, 690663, 1258374}},
  };
  for (const Row& row : rows) {
    const LateTest test = test_of(row.percent, row.confidence);
    for (std::size_t i = 0; i < late.size(); ++i) {
      EXPECT_EQ(test.requests_to_pass(late[i]), row.requests[i]) << row.percent << " " << row.confidence;
      EXPECT_TRUE(test.passes(row.requests[i], late[i]));
      EXPECT_FALSE(test.passes(row.requests[i] - 1, late[i]));
    }
    const double exact = std::ceil(std::log(1 - row.confidence) / std::log(row.percent / 100));
    EXPECT_EQ(static_cast<double>(test.requests_to_pass(0)), exact);
  }
}

TEST(LateTest, HasThePublishedBoundaries) {
  struct Row {
    std::uint64_t requests;
    double percent;
    std::uint64_t pass, fail, fail_of_three;
  };
  for (const Row& row : {Row{1000, 99, 2, 19, 20}, Row{10'000, 99, 77, 125, 129}, Row{33'097, 99.9, 20, 48, 51},
                         Row{120'000, 99.9, 94, 147, 152}}) {
    const LateTest one = test_of(row.percent), three = test_of(row.percent, 0.99, 3);
    EXPECT_EQ(one.most_late_to_pass(row.requests), row.pass);
    EXPECT_EQ(three.most_late_to_pass(row.requests), row.pass) << "passing needs no correction";
    EXPECT_EQ(one.least_late_to_fail(row.requests), row.fail);
    EXPECT_EQ(three.least_late_to_fail(row.requests), row.fail_of_three);
    EXPECT_EQ(one.judge(row.requests, row.pass), Outcome::pass);
    EXPECT_EQ(one.judge(row.requests, row.pass + 1), Outcome::inconclusive);
    EXPECT_EQ(one.judge(row.requests, row.fail - 1), Outcome::inconclusive);
    EXPECT_EQ(one.judge(row.requests, row.fail), Outcome::fail);
    EXPECT_EQ(three.judge(row.requests, row.fail), Outcome::inconclusive);
    EXPECT_EQ(three.judge(row.requests, row.fail_of_three), Outcome::fail);
  }
  EXPECT_EQ(test_of(99.9).more_to_pass(33'097, 25), 6'204u);
  EXPECT_EQ(test_of(99.9).more_to_pass(4'603, 1), 2'033u);
  EXPECT_EQ(test_of(99.9).more_to_pass(4'603, 0), 0u);
}

TEST(LateTest, BoundsAPercentileByTheSmallestLimitThatWouldPass) {
  EXPECT_EQ(test_of(99).bound_rank(458), std::nullopt);
  EXPECT_EQ(test_of(99).bound_rank(459), 1u);
  EXPECT_EQ(test_of(99).bound_rank(10'000), 78u) << "77 late ones pass, so the limit may be the 78th largest";
}

TEST(LateTest, HasThePublishedOrderStatisticIntervals) {
  const RankInterval many = test_of(99).rank_interval(10'000);
  EXPECT_EQ(many.shallow, 81u);
  EXPECT_EQ(many.deep, 121u);
  const RankInterval few = test_of(99).rank_interval(1'000);
  EXPECT_EQ(few.shallow, 4u);
  EXPECT_EQ(few.deep, 18u);
  EXPECT_EQ(test_of(99).rank_interval(100).shallow, std::nullopt) << "100 samples do not bound p99 from above";
  EXPECT_EQ(test_of(99).rank_interval(0).deep, std::nullopt);
}

TEST(LateTest, SharesOfLateRequestsAreBoundedAsTheVerdictSays) {
  const LateTest test = test_of(99);
  for (const std::uint64_t late : {0u, 1u, 60u, 76u, 77u, 78u, 100u, 124u, 125u, 200u, 10'000u}) {
    const ShareBounds bounds = test.bounds(10'000, late);
    EXPECT_LE(bounds.low, static_cast<double>(late) / 10'000);
    EXPECT_GE(bounds.high, static_cast<double>(late) / 10'000);
    EXPECT_EQ(bounds.high <= 0.01, test.passes(10'000, late)) << late;
    EXPECT_EQ(bounds.low > 0.01, test.fails(10'000, late)) << late;
  }
  EXPECT_EQ(test.bounds(0, 0).low, 0);
  EXPECT_EQ(test.bounds(0, 0).high, 1);
}

TEST(LateTest, DecidesAtTheEdgesOfItsCounts) {
  const LateTest test = test_of(99);
  EXPECT_EQ(test.judge(0, 0), Outcome::inconclusive);
  EXPECT_EQ(test.judge(1, 1), Outcome::inconclusive) << "1 % is not below 1 %";
  EXPECT_EQ(test.judge(2, 2), Outcome::fail);
  EXPECT_EQ(test.most_late_to_pass(0), std::nullopt);
  EXPECT_EQ(test.least_late_to_fail(0), std::nullopt);
  EXPECT_EQ(test.least_late_to_fail(1), std::nullopt);
  EXPECT_THROW(test.judge(1, 2), Error);
  EXPECT_EQ(test_of(99.9999).requests_to_pass(0), 4'605'168u);
}

TEST(LateTest, ToleranceMovesOnlyWhatPasses) {
  const LateTest tolerant = test_of(99, 0.99, 1, 0.005);
  EXPECT_EQ(tolerant.least_late_to_fail(10'000), test_of(99).least_late_to_fail(10'000));
  EXPECT_EQ(tolerant.requests_to_pass(0), test_of(98.5).requests_to_pass(0));
}

TEST(LateTest, RefusesWhatCannotBeTested) {
  EXPECT_THROW(LateTest(Percentile::percent(100)), Error);
  for (const double confidence : {0.5, 1.0, 1.5, -1.0, std::nan("")}) EXPECT_THROW(test_of(99, confidence), Error);
  EXPECT_THROW(test_of(99, 0.99, 0), Error);
  EXPECT_THROW(test_of(99, 0.99, 1, -0.1), Error);
  EXPECT_THROW(test_of(99, 0.99, 1, 0.99), Error);
}

TEST(Outcome, InvalidBeatsFailBeatsInconclusiveBeatsPass) {
  constexpr std::array order{Outcome::pass, Outcome::inconclusive, Outcome::fail, Outcome::invalid};
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (std::size_t j = 0; j < order.size(); ++j) EXPECT_EQ(worst_of(order[i], order[j]), order[std::max(i, j)]);
  }
  EXPECT_EQ(to_string(Outcome::inconclusive), "INCONCLUSIVE");
}

// ---- Simulated runs whose true share of late requests is exactly the limit: every PASS is false
// -----------------------

constexpr std::uint64_t simulated_runs = 20'000;
constexpr double limit_share = 0.01;

// The number of requests up to and with the next late one, which saves drawing each of them.
std::uint64_t gap(Rng& rng) {
  return 1 + static_cast<std::uint64_t>(std::log1p(-rng.uniform()) / std::log1p(-limit_share));
}

// Late ones among `requests`.
std::uint64_t late_of(Rng& rng, std::uint64_t requests) {
  std::uint64_t late = 0;
  for (std::uint64_t at = gap(rng); at <= requests; at += gap(rng)) ++late;
  return late;
}

// With 20,000 runs a procedure whose rate of false passes is at most 1 % shows more than this with a chance of 1 %.
std::uint64_t most_false_passes() {
  const LateTest of_the_test = test_of(99);
  return *of_the_test.least_late_to_fail(simulated_runs) - 1;
}

TEST(LateTest, PassesAtMostOneInAHundredRunsAtTheLimit) {
  for (const std::uint64_t requests : {662u, 2'010u, 10'000u}) {
    Rng rng(derive_seed(1, requests));
    const auto most_late = test_of(99).most_late_to_pass(requests);
    std::uint64_t passed = 0;
    for (std::uint64_t run = 0; run < simulated_runs; ++run) passed += late_of(rng, requests) <= *most_late ? 1 : 0;
    EXPECT_LE(passed, most_false_passes()) << requests;
    EXPECT_GT(passed, simulated_runs / 500) << "it is a test at 99 % and not at much more";
  }
}

TEST(LateTest, TestingAgainAfterMoreRequestsBreaksIt) {
  const LateTest test = test_of(99);
  std::array<std::uint64_t, 61> needed{};
  for (std::uint64_t late = 0; late < needed.size(); ++late) needed[late] = test.requests_to_pass(late);
  Rng rng(2);
  std::uint64_t passed = 0;
  for (std::uint64_t run = 0; run < simulated_runs; ++run) {
    // "Run m more if none is late, test again", until it passes or 60 requests were late.
    std::uint64_t next_late = gap(rng);
    for (const std::uint64_t requests : needed) {
      if (next_late > requests) {
        ++passed;
        break;
      }
      next_late += gap(rng);
    }
  }
  EXPECT_GT(passed, 5 * most_false_passes()) << "7.1 % were published";
  EXPECT_NEAR(static_cast<double>(passed) / simulated_runs, 0.071, 0.01);
}

TEST(LookPlan, SpendsTheErrorSoThatLookingMoreOftenStaysATest) {
  const LookPlan plan{.looks = 5, .requests = 2'000};
  const LateTest test = test_of(99, plan.look_confidence(0.99));
  EXPECT_NEAR(plan.look_confidence(0.99), 0.998, 1e-12);
  Rng rng(4);
  std::uint64_t passed = 0, passed_unspent = 0;
  for (std::uint64_t run = 0; run < simulated_runs; ++run) {
    std::uint64_t late = 0;
    bool spent = false, unspent = false;
    for (std::uint64_t look = 1; look <= plan.looks; ++look) {
      late += late_of(rng, plan.requests);
      static const LateTest same_each_time = test_of(99);
      spent = spent || test.passes(look * plan.requests, late);
      unspent = unspent || same_each_time.passes(look * plan.requests, late);
    }
    passed += spent ? 1 : 0;
    passed_unspent += unspent ? 1 : 0;
  }
  EXPECT_LE(passed, most_false_passes());
  EXPECT_GT(passed_unspent, most_false_passes()) << "looking five times at 99 % each is no test at 99 %";
  EXPECT_THROW(LookPlan{.looks = 0}.look_confidence(0.99), Error);
}

}  // namespace
}  // namespace warpwright::validate
