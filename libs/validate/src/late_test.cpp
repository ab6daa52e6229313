#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <cmath>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>
#include <warpwright/validate/late_test.hpp>

namespace warpwright::validate {
namespace {

using Binomial = boost::math::binomial_distribution<double>;

// More requests than any run has; the trial counts of the distribution are doubles, which are whole up to here.
constexpr std::uint64_t most_requests = std::uint64_t{1} << 53;

// Confidences are written as decimals: 1 - 0.99 in doubles is not the double nearest to 0.01.
double one_minus(double share) { return std::round((1 - share) * 1e12) / 1e12; }

// P(Bin(n, share) <= t)
double at_most(std::uint64_t n, std::uint64_t t, double share) {
  if (t >= n) return 1;
  return boost::math::cdf(Binomial(static_cast<double>(n), share), static_cast<double>(t));
}

// P(Bin(n, share) >= t); the complement, because 1 - cdf has no digits left where it is small.
double at_least(std::uint64_t n, std::uint64_t t, double share) {
  if (t == 0) return 1;
  if (t > n) return 0;
  return boost::math::cdf(boost::math::complement(Binomial(static_cast<double>(n), share), static_cast<double>(t - 1)));
}

// The smallest number in [low, high] for which `holds` is true, which must be false up to it and true from it on;
// nullopt if there is none.
template <typename Holds>
std::optional<std::uint64_t> first_that(std::uint64_t low, std::uint64_t high, const Holds& holds) {
  if (low > high || !holds(high)) return std::nullopt;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    if (holds(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

void check_counts(std::uint64_t requests, std::uint64_t late) {
  if (late > requests || requests > most_requests) {
    throw Error(ErrorCode::bad_input, fmt::format("{} late of {} requests: not a result of a run", late, requests));
  }
}

}  // namespace

std::string_view to_string(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::pass:
      return "PASS";
    case Outcome::fail:
      return "FAIL";
    case Outcome::inconclusive:
      return "INCONCLUSIVE";
    case Outcome::invalid:
      return "INVALID";
  }
  return "INVALID";
}

Outcome worst_of(Outcome first, Outcome second) noexcept {
  for (const Outcome outcome : {Outcome::invalid, Outcome::fail, Outcome::inconclusive}) {
    if (first == outcome || second == outcome) return outcome;
  }
  return Outcome::pass;
}

LateTest::LateTest(Percentile percentile) : LateTest(percentile, Options{}) {}

LateTest::LateTest(Percentile percentile, const Options& options)
    : percentile_(percentile), options_(options), alpha_(one_minus(options.confidence)) {
  if (percentile.tail() <= 0) {
    throw Error(ErrorCode::bad_input, "no number of requests proves that none is ever late: p100 cannot be tested");
  }
  if (!(options.confidence > 0.5) || !(options.confidence < 1) || !(alpha_ > 0)) {
    throw Error(ErrorCode::bad_input,
                fmt::format("the confidence must lie between 0.5 and 1, such as 0.99; found {}", options.confidence));
  }
  if (!(options.tolerance >= 0) || !(options.tolerance < percentile.share())) {
    throw Error(ErrorCode::bad_input, fmt::format("the tolerance must be at least 0 and less than {}; found {}",
                                                  percentile.share(), options.tolerance));
  }
  if (options.limits == 0) throw Error(ErrorCode::bad_input, "a test has at least one limit");
  passing_share_ = percentile.tail() + options.tolerance;
}

bool LateTest::passes(std::uint64_t requests, std::uint64_t late) const {
  check_counts(requests, late);
  return at_most(requests, late, passing_share_) <= alpha_;
}

bool LateTest::fails(std::uint64_t requests, std::uint64_t late) const {
  check_counts(requests, late);
  return at_least(requests, late, percentile_.tail()) < alpha_ / static_cast<double>(options_.limits);
}

Outcome LateTest::judge(std::uint64_t requests, std::uint64_t late) const {
  // With a tolerance both can be true: the limit is broken, but by less than is tolerated.
  if (passes(requests, late)) return Outcome::pass;
  return fails(requests, late) ? Outcome::fail : Outcome::inconclusive;
}

std::uint64_t LateTest::requests_to_pass(std::uint64_t late) const {
  std::uint64_t high = late + 1;
  while (high < most_requests && !passes(high, late)) high *= 2;
  const auto found = first_that(late, std::min(high, most_requests), [&](std::uint64_t n) { return passes(n, late); });
  if (!found) throw Error(ErrorCode::bad_input, fmt::format("no run is long enough to pass with {} late", late));
  return *found;
}

std::uint64_t LateTest::more_to_pass(std::uint64_t requests, std::uint64_t late) const {
  return passes(requests, late) ? 0 : requests_to_pass(late) - requests;
}

std::optional<std::uint64_t> LateTest::most_late_to_pass(std::uint64_t requests) const {
  // All late never passes, so there is a first that does not.
  const auto first = first_that(0, requests, [&](std::uint64_t t) { return !passes(requests, t); });
  return *first == 0 ? std::nullopt : std::optional(*first - 1);
}

std::optional<std::uint64_t> LateTest::least_late_to_fail(std::uint64_t requests) const {
  return first_that(0, requests, [&](std::uint64_t t) { return fails(requests, t); });
}

std::optional<std::uint64_t> LateTest::bound_rank(std::uint64_t requests) const {
  const auto late = most_late_to_pass(requests);
  return late ? std::optional(*late + 1) : std::nullopt;
}

ShareBounds LateTest::bounds(std::uint64_t requests, std::uint64_t late) const {
  check_counts(requests, late);
  ShareBounds found;
  if (requests == 0) return found;
  const auto n = static_cast<double>(requests), t = static_cast<double>(late);
  if (late > 0) found.low = Binomial::find_lower_bound_on_p(n, t, alpha_);
  if (late < requests) found.high = Binomial::find_upper_bound_on_p(n, t, alpha_);
  return found;
}

RankInterval LateTest::rank_interval(std::uint64_t requests, double confidence) const {
  const double half = one_minus(confidence) / 2, tail = percentile_.tail();
  RankInterval found;
  // The r-th largest is below the percentile only if fewer than r samples are above it, and above it only if r are.
  const auto first = first_that(0, requests, [&](std::uint64_t t) { return at_most(requests, t, tail) > half; });
  if (first && *first > 0) found.shallow = *first;
  found.deep = first_that(1, requests, [&](std::uint64_t r) { return at_least(requests, r, tail) <= half; });
  return found;
}

double LookPlan::look_confidence(double confidence) const {
  if (looks == 0) throw Error(ErrorCode::bad_input, "a run has at least one look");
  return 1 - one_minus(confidence) / static_cast<double>(looks);
}

}  // namespace warpwright::validate
