// The comparison against a direct transcription of its rule, on values chosen to be awkward.
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <warpwright/base/rng.hpp>
#include <warpwright/measure/verify.hpp>

#include "problems.hpp"

namespace warpwright::measure {
namespace {

using testing::bytes_of;

__extension__ using Wide = __int128;

template <class T>
T awkward(Rng& rng) {
  using limits = std::numeric_limits<T>;
  switch (rng.below(10)) {
    case 0:
      return limits::quiet_NaN();
    case 1:
      return limits::infinity();
    case 2:
      return -limits::infinity();
    case 3:
      return limits::max();
    case 4:
      return limits::lowest();
    case 5:
      return limits::denorm_min();
    case 6:
      return T{0};
    default:
      return static_cast<T>(rng.normal());
  }
}

template <class T>
bool passes(T expected, T found, double rtol, double atol) {
  if (std::isnan(expected) || std::isnan(found)) return std::isnan(expected) && std::isnan(found);
  if (std::isinf(expected) || std::isinf(found)) return expected == found;
  const auto e = static_cast<long double>(expected), f = static_cast<long double>(found);
  return std::abs(f - e) <= static_cast<long double>(atol) + static_cast<long double>(rtol) * std::abs(e);
}

template <class T>
void agrees_with_the_rule(DataType type) {
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  const auto size = *rc::gen::inRange<std::size_t>(1, 9000);
  Rng rng(seed);
  const bool tame = rng.below(2) == 0;
  std::vector<T> expected(size), found(size);
  for (std::size_t i = 0; i < size; ++i) {
    expected[i] = tame ? static_cast<T>(rng.normal()) : awkward<T>(rng);
    found[i] = rng.below(tame ? 5000 : 4) == 0 ? awkward<T>(rng) : expected[i];
  }
  // Powers of two, so that the limit itself is exact.
  const double rtol = rng.below(2) == 0 ? 0 : 0x1p-10, atol = rng.below(2) == 0 ? 0 : 0x1p-5;
  std::uint64_t wrong = 0, first = 0;
  bool not_finite = false;
  for (std::size_t i = 0; i < size; ++i) {
    if (passes(expected[i], found[i], rtol, atol)) continue;
    if (wrong++ == 0) first = i;
    not_finite = not_finite || !std::isfinite(found[i]);
  }
  const Comparison result = compare(bytes_of(expected), bytes_of(found), type, Tolerance{rtol, atol}, "x");
  RC_ASSERT(result.mismatch.has_value() == (wrong > 0));
  RC_ASSERT(result.status == (wrong == 0   ? TrialStatus::ok
                              : not_finite ? TrialStatus::not_finite
                                           : TrialStatus::wrong_result));
  if (wrong > 0) {
    RC_ASSERT(result.mismatch->wrong == wrong);
    RC_ASSERT(result.mismatch->index == first);
    RC_ASSERT(result.mismatch->total == size);
  }
}

RC_GTEST_PROP(CompareProperty, FloatsFollowTheRule, ()) { agrees_with_the_rule<float>(DataType::float32); }
RC_GTEST_PROP(CompareProperty, DoublesFollowTheRule, ()) { agrees_with_the_rule<double>(DataType::float64); }

RC_GTEST_PROP(CompareProperty, IntegersFollowTheRule, (std::vector<std::pair<std::int64_t, std::int64_t>> pairs)) {
  const auto atol = *rc::gen::inRange<std::uint64_t>(0, 1000);
  std::vector<std::int64_t> expected, found;
  std::uint64_t wrong = 0;
  for (const auto& [a, b] : pairs) {
    expected.push_back(a);
    found.push_back(b);
    const Wide difference = static_cast<Wide>(a) - b;
    wrong += (difference < 0 ? -difference : difference) > atol ? 1 : 0;
  }
  const Comparison result =
      compare(bytes_of(expected), bytes_of(found), DataType::int64, Tolerance{0, static_cast<double>(atol)}, "x");
  RC_ASSERT((result.mismatch ? result.mismatch->wrong : 0) == wrong);
}

}  // namespace
}  // namespace warpwright::measure
