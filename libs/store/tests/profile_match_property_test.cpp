#include <algorithm>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <warpwright/store/profile_database.hpp>

#include "store_test_support.hpp"

namespace warpwright::store::test {
namespace {

TuningProfile profile(std::int64_t id, ProfileKey key) {
  TuningProfile result;
  result.id = id;
  result.key = std::move(key);
  result.median = Nanoseconds{1000};
  return result;
}

std::vector<std::int64_t> ids(const std::vector<ProfileMatch>& matches) {
  std::vector<std::int64_t> result;
  for (const ProfileMatch& match : matches) result.push_back(match.profile.id);
  return result;
}

rc::Gen<ProfileKey> any_key() {
  return rc::gen::exec([] {
    ProfileKey key =
        sample_key({{"x", std::int64_t{*rc::gen::inRange(1, 5)}}, {"y", std::int64_t{*rc::gen::inRange(1, 5)}}});
    key.device = *rc::gen::element<std::string>("A", "B", "C");
    key.architecture = *rc::gen::element<std::string>("1", "2");
    key.device_kind = key.device == "A" ? "gpu" : "cpu";
    key.toolkit = *rc::gen::element<std::string>("t1", "t2");
    key.driver = *rc::gen::element<std::string>("d1", "d2");
    key.cache_mode = *rc::gen::element<std::string>("cold", "warm");
    return key;
  });
}

// The order of the candidates plays no part, the first of a wider policy is at least as good, and an equal key is
// first.
RC_GTEST_PROP(RankProfilesProperty, IsATotalOrder, ()) {
  const ProfileKey wanted = *any_key();
  std::vector<TuningProfile> candidates;
  for (std::int64_t id = 1; id <= 8; ++id) candidates.push_back(profile(id, *any_key()));
  const auto nearest = ids(rank_profiles(wanted, candidates, MatchPolicy::nearest));
  RC_ASSERT(nearest.size() == static_cast<std::size_t>(std::count_if(
                                  candidates.begin(), candidates.end(), [&](const TuningProfile& candidate) {
                                    return candidate.key.device_kind == wanted.device_kind;
                                  })));
  std::vector<TuningProfile> reversed(candidates.rbegin(), candidates.rend());
  RC_ASSERT(ids(rank_profiles(wanted, reversed, MatchPolicy::nearest)) == nearest);
  const auto device = ids(rank_profiles(wanted, candidates, MatchPolicy::device));
  RC_ASSERT(std::equal(device.begin(), device.end(), nearest.begin()));
  const auto exact = ids(rank_profiles(wanted, candidates, MatchPolicy::exact));
  RC_ASSERT(exact.size() <= device.size());
  RC_ASSERT(std::equal(exact.begin(), exact.end(), device.begin()));
  candidates.push_back(profile(99, wanted));
  RC_ASSERT(rank_profiles(wanted, candidates, MatchPolicy::nearest).front().quality == "exact");
}

}  // namespace
}  // namespace warpwright::store::test
