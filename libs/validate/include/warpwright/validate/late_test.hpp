// What a count of late requests proves about a percentile, exactly.
//
// "p99 <= 5 ms" says: at most 1 % of all requests take longer than 5 ms. A run sees n requests, t of them late, and t
// is binomial if the requests are independent. So the question is decided by counts and one-sided binomial tails, never
// by a percentile of the sample, which is within the limit half of the time when the true percentile lies just on it.
//   pass: P(Bin(n, tail + tolerance) <= t) <= 1 - confidence     so few late ones would be rare if the limit were
//   broken fail: P(Bin(n, tail) >= t) < (1 - confidence) / limits       so many late ones would be rare if the limit
//   held
// The first is the early stopping of MLPerf's LoadGen and, without tolerance, says that the Clopper-Pearson upper bound
// of the share of late requests is below the tail. Several limits that must all hold need no correction for passing (a
// false pass of all needs a false pass of the broken one), and Bonferroni's for failing. A test that is repeated as the
// run grows is a different test; see LookPlan.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <warpwright/base/histogram.hpp>

namespace warpwright::validate {

enum class Outcome { pass, fail, inconclusive, invalid };
// "PASS", "FAIL", "INCONCLUSIVE", "INVALID"
std::string_view to_string(Outcome outcome) noexcept;
// Of several that must all hold: INVALID beats all, then FAIL, then INCONCLUSIVE.
Outcome worst_of(Outcome first, Outcome second) noexcept;

// Bounds of the true share of late requests, each one-sided at the confidence of the test (Clopper-Pearson).
struct ShareBounds {
  double low = 0, high = 1;
};

// Ranks from the largest sample: the true percentile lies between the `deep`-th and the `shallow`-th largest of n, each
// end missed with at most half of 1 - confidence. nullopt where n samples bound it on neither or one side only.
struct RankInterval {
  std::optional<std::uint64_t> shallow, deep;
};

// Immutable, thread-safe.
class LateTest {
 public:
  struct Options {
    double confidence = 0.99;  // in (0.5, 1)
    double tolerance = 0;  // added to the allowed share of late requests when passing; below `share of the percentile`
    std::uint64_t limits = 1;  // how many limits are tested together, at least 1
  };
  // Throws Error(bad_input) for p100 (no number of requests proves it) and for options out of range.
  explicit LateTest(Percentile percentile);
  LateTest(Percentile percentile, const Options& options);

  Percentile percentile() const { return percentile_; }
  const Options& options() const { return options_; }

  // pass, fail or inconclusive. `late` is at most `requests`, here and below, else Error(bad_input).
  Outcome judge(std::uint64_t requests, std::uint64_t late) const;
  bool passes(std::uint64_t requests, std::uint64_t late) const;
  bool fails(std::uint64_t requests, std::uint64_t late) const;

  // The smallest number of requests that passes with so many late ones.
  std::uint64_t requests_to_pass(std::uint64_t late) const;
  // "needs m more if none is late": 0 where the run passes.
  std::uint64_t more_to_pass(std::uint64_t requests, std::uint64_t late) const;
  // The largest number of late requests that passes; nullopt where even none is too many for so few requests.
  std::optional<std::uint64_t> most_late_to_pass(std::uint64_t requests) const;
  // The smallest number of late requests that fails; nullopt where even all would not do.
  std::optional<std::uint64_t> least_late_to_fail(std::uint64_t requests) const;

  // The upper confidence bound of the percentile is the sample of this rank from the largest: the smallest limit that
  // would have passed. nullopt where the run is too short to bound it.
  std::optional<std::uint64_t> bound_rank(std::uint64_t requests) const;

  ShareBounds bounds(std::uint64_t requests, std::uint64_t late) const;
  RankInterval rank_interval(std::uint64_t requests, double confidence = 0.95) const;

 private:
  Percentile percentile_;
  Options options_;
  double alpha_ = 0;
  double passing_share_ = 0;
};

// When a run may be judged. "Run more and test again" is no test at its confidence any more: at a true share of exactly
// 1 % it passes 7 % of all runs instead of 1 %. So either there is one look at a number of requests that was fixed
// before, or a number of looks is fixed before and each spends an equal part of 1 - confidence (Bonferroni: exact for
// any dependence between looks, as here, where every look contains those before it). Immutable value type.
struct LookPlan {
  std::uint64_t looks = 1;
  std::uint64_t requests = 0;  // of each look: the i-th (from 1) is taken after i * requests

  // The confidence at which each look is tested. Throws Error(bad_input) for no looks.
  double look_confidence(double confidence) const;
};

}  // namespace warpwright::validate
