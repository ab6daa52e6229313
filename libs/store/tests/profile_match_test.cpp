#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/store/profile_database.hpp>

#include "store_test_support.hpp"

namespace warpwright::store::test {
namespace {

using ::testing::HasSubstr;

Configuration size(std::int64_t x, std::int64_t y) { return {{"x", x}, {"y", y}}; }
Configuration size(std::int64_t x, std::int64_t y, std::int64_t z) { return {{"x", x}, {"y", y}, {"z", z}}; }

TuningProfile profile(std::int64_t id, ProfileKey key) {
  TuningProfile result;
  result.id = id;
  result.key = std::move(key);
  result.median = Nanoseconds{1000};
  result.created_at = "2026-11-22T18:00:00Z";
  return result;
}

std::vector<std::int64_t> ids(const std::vector<ProfileMatch>& matches) {
  std::vector<std::int64_t> result;
  for (const ProfileMatch& match : matches) result.push_back(match.profile.id);
  return result;
}

ProfileMatch best(const ProfileKey& wanted, std::vector<TuningProfile> candidates,
                  MatchPolicy policy = MatchPolicy::nearest) {
  auto matches = rank_profiles(wanted, std::move(candidates), policy);
  if (matches.empty()) throw std::runtime_error("no match");
  return matches.front();
}

TEST(MatchPolicyNames, RoundTrip) {
  for (const MatchPolicy policy : {MatchPolicy::exact, MatchPolicy::device, MatchPolicy::nearest})
    EXPECT_EQ(parse_match_policy(to_string(policy)), policy);
  EXPECT_FALSE(parse_match_policy("closest").has_value());
}

TEST(Speedup, NeedsABaseline) {
  TuningProfile each = full_profile();
  each.median = Nanoseconds{100};
  each.baseline_median = Nanoseconds{320};
  each.paired_speedup = PairedRatio{3.1, {3.0, 3.3, 0.95}};
  EXPECT_DOUBLE_EQ(each.speedup().value(), 3.1) << "as it was measured";
  each.paired_speedup.reset();
  EXPECT_DOUBLE_EQ(each.speedup().value(), 3.2);
  each.baseline_median.reset();
  EXPECT_FALSE(each.speedup().has_value());
}

// An edited source, include or flag, and other types, must never be answered from an old profile.
TEST(RankProfiles, WhatMustMatchMustMatch) {
  const ProfileKey wanted = sample_key(size(64, 64));
  for (const auto field :
       {&ProfileKey::kernel, &ProfileKey::source_hash, &ProfileKey::data_types, &ProfileKey::backend}) {
    ProfileKey key = wanted;
    key.*field = "other";
    for (const MatchPolicy policy : {MatchPolicy::exact, MatchPolicy::device, MatchPolicy::nearest})
      EXPECT_TRUE(rank_profiles(wanted, {profile(1, key)}, policy).empty());
  }
}

// 2048x2048x2047 is nearest to 2048^3, not to a size of nearer volume and another shape.
TEST(RankProfiles, SizesCompareByDimensionNotByVolume) {
  const auto match = best(sample_key(size(2048, 2048, 2047)), {profile(1, sample_key(size(1, 1048576, 8190))),
                                                               profile(2, sample_key(size(2048, 2048, 2048))),
                                                               profile(3, sample_key(size(1, 1048576, 1)))});
  EXPECT_EQ(match.profile.id, 2);
  EXPECT_NEAR(match.dimension_distance, std::log2(2048.0 / 2047), 1e-12);
  EXPECT_EQ(match.quality, "size 2048x2048x2048 for 2048x2048x2047 (distance below 0.001)");
  EXPECT_FALSE(match.same_dimensions);
}

TEST(RankProfiles, SquareIsNotALine) {
  const auto match = best(sample_key(size(1024, 1024)), {profile(1, sample_key(size(1, 1048576)))});
  EXPECT_FALSE(match.same_dimensions);
  EXPECT_NEAR(match.dimension_distance, std::sqrt(200.0), 1e-12);
  EXPECT_EQ(match.quality, "size 1x1048576 for 1024x1024 (distance 14.1)");
  EXPECT_TRUE(
      rank_profiles(sample_key(size(1024, 1024)), {profile(1, sample_key(size(1, 1048576)))}, MatchPolicy::exact)
          .empty());
}

// No product is ever formed, so sizes whose volume exceeds 64 bits compare as well as small ones.
TEST(RankProfiles, HugeSizesDoNotOverflow) {
  const std::int64_t huge = std::int64_t{1} << 62;
  EXPECT_EQ(best(sample_key(size(huge, huge, huge)),
                 {profile(1, sample_key(size(1, 1, 1))), profile(2, sample_key(size(huge, huge, huge / 2)))})
                .profile.id,
            2);
}

// Size A, then size B: each launch size has its own answer.
TEST(RankProfiles, SelectsAgainForAnotherSize) {
  const std::vector<TuningProfile> stored = {profile(1, sample_key(size(128, 128))),
                                             profile(2, sample_key(size(4096, 4096)))};
  EXPECT_EQ(best(sample_key(size(100, 130)), stored).profile.id, 1);
  EXPECT_EQ(best(sample_key(size(5000, 4000)), stored).profile.id, 2);
  EXPECT_EQ(best(sample_key(size(100, 130)), stored).profile.id, 1);
}

// For an RTX 4500, an RTX 4000 comes before a device of another architecture, whatever the other has going for it.
TEST(RankProfiles, SameArchitectureBeforeAnother) {
  ProfileKey wanted = sample_key(size(2048, 2048));
  wanted.device = "NVIDIA RTX 4500";
  ProfileKey other_architecture = wanted;
  other_architecture.device = "NVIDIA A100";
  other_architecture.architecture = "sm_80";
  ProfileKey sibling = sample_key(size(1024, 2048));
  sibling.driver = "575.3";
  sibling.toolkit = "NVRTC 12.4";
  sibling.cache_mode = "warm";
  const auto matches =
      rank_profiles(wanted, {profile(1, other_architecture), profile(2, sibling)}, MatchPolicy::nearest);
  EXPECT_EQ(ids(matches), (std::vector<std::int64_t>{2, 1}));
  EXPECT_FALSE(matches[0].same_device);
  EXPECT_TRUE(matches[0].same_architecture);
  EXPECT_EQ(matches[0].quality,
            "device NVIDIA RTX 4000 for NVIDIA RTX 4500 (both sm_89); size 1024x2048 for 2048x2048 (distance 1.0); "
            "measured with a warm cache for cold; toolkit NVRTC 12.4 for NVRTC 13.0; driver 575.3 for 580.1");
  EXPECT_TRUE(matches[0].warnings.empty()) << "another device's driver is no change";
  EXPECT_EQ(matches[1].quality, "device NVIDIA A100 (sm_80) for NVIDIA RTX 4500 (sm_89)");
  EXPECT_TRUE(rank_profiles(wanted, {profile(2, sibling)}, MatchPolicy::device).empty());
}

// OpenCL serves CPUs and GPUs, and devices of every kind may report the same version as their architecture.
TEST(RankProfiles, AKindOfDeviceIsServedByItsOwnKindOnly) {
  ProfileKey wanted = sample_key(size(64, 64));
  wanted.backend = "opencl";
  wanted.architecture = "OpenCL 3.0";
  ProfileKey processor = wanted;
  processor.device = "pthread-epyc";
  processor.device_kind = "cpu";
  ProfileKey other_gpu = wanted;
  other_gpu.device = "gfx90a";
  other_gpu.architecture = "OpenCL 2.0";
  other_gpu.dimensions = size(1, 1);
  EXPECT_EQ(ids(rank_profiles(wanted, {profile(1, processor), profile(2, other_gpu)}, MatchPolicy::nearest)),
            (std::vector<std::int64_t>{2}));
  processor.device = wanted.device;  // even under one name
  for (const MatchPolicy policy : {MatchPolicy::exact, MatchPolicy::device, MatchPolicy::nearest}) {
    EXPECT_TRUE(rank_profiles(wanted, {profile(1, processor)}, policy).empty()) << to_string(policy);
    EXPECT_TRUE(rank_profiles(processor, {profile(1, wanted)}, policy).empty()) << to_string(policy);
  }
}

// Whoever wrote a profile without the kind of its device: a model is of one kind, and nothing else tells it.
TEST(RankProfiles, AnUnknownKindServesItsOwnModelOnly) {
  const ProfileKey wanted = sample_key(size(64, 64));
  ProfileKey same_model = wanted;
  same_model.device_kind = "";
  ProfileKey other_model = same_model;
  other_model.device = "NVIDIA RTX 4500";
  EXPECT_EQ(ids(rank_profiles(wanted, {profile(1, other_model), profile(2, same_model)}, MatchPolicy::nearest)),
            (std::vector<std::int64_t>{2}));
  EXPECT_EQ(ids(rank_profiles(same_model, {profile(1, wanted)}, MatchPolicy::exact)), (std::vector<std::int64_t>{1}));
  EXPECT_TRUE(rank_profiles(other_model, {profile(1, wanted)}, MatchPolicy::nearest).empty());
  ProfileKey nameless = same_model;
  nameless.device = "";
  ProfileKey nameless_gpu = wanted;
  nameless_gpu.device = "";
  EXPECT_TRUE(rank_profiles(nameless_gpu, {profile(1, nameless)}, MatchPolicy::nearest).empty());
  EXPECT_EQ(rank_profiles(nameless, {profile(1, nameless)}, MatchPolicy::nearest).size(), 1u);
}

// Each step of the documented order decides when everything before it is equal, against all that comes after it.
TEST(RankProfiles, FollowsTheDocumentedOrder) {
  const ProfileKey wanted = sample_key(size(1024, 1024));
  const auto changed = [&](int from) {
    // Everything from step `from` on is worse than wanted.
    ProfileKey key = wanted;
    if (from <= 0) key.device = "another device";
    if (from <= 1 && from > 0) key.device = wanted.device;
    if (from <= 2) key.dimensions = size(1024, 512);
    if (from <= 3) key.cache_mode = "warm";
    if (from <= 4) key.toolkit = "NVRTC 12.4";
    if (from <= 5) key.driver = "575.3";
    return key;
  };
  ProfileKey device_only = wanted;
  device_only.device = "another device";
  ProfileKey size_only = wanted;
  size_only.dimensions = size(1024, 512);
  ProfileKey cache_only = wanted;
  cache_only.cache_mode = "warm";
  ProfileKey toolkit_only = wanted;
  toolkit_only.toolkit = "NVRTC 12.4";
  const auto first = [&](const ProfileKey& better, const ProfileKey& worse) {
    return best(wanted, {profile(2, worse), profile(1, better)}).profile.id == 1;
  };
  EXPECT_TRUE(first(changed(2), device_only)) << "device before size, cache, toolkit and driver";
  EXPECT_TRUE(first(changed(3), size_only)) << "size before cache, toolkit and driver";
  EXPECT_TRUE(first(changed(4), cache_only)) << "cache before toolkit and driver";
  EXPECT_TRUE(first(changed(5), toolkit_only)) << "toolkit before driver";
  TuningProfile old_but_exact = profile(1, wanted);
  old_but_exact.created_at = "2020-01-01T00:00:00Z";
  EXPECT_EQ(best(wanted, {profile(2, changed(5)), old_but_exact}).profile.id, 1) << "driver before age";
  TuningProfile older = profile(3, wanted);
  older.created_at = "2020-01-01T00:00:00Z";
  EXPECT_EQ(best(wanted, {older, profile(2, wanted)}).profile.id, 2) << "newest";
  EXPECT_EQ(best(wanted, {profile(4, wanted), profile(5, wanted)}).profile.id, 5) << "then the later id";
}

TEST(RankProfiles, ExactSaysSoAndToleratesADriver) {
  const ProfileKey wanted = sample_key(size(64, 64));
  const auto match = best(wanted, {profile(1, wanted)}, MatchPolicy::exact);
  EXPECT_EQ(match.quality, "exact");
  EXPECT_TRUE(match.same_device && match.same_architecture && match.same_dimensions && match.same_toolkit &&
              match.same_driver && match.same_cache_mode);
  EXPECT_TRUE(match.warnings.empty());
  ProfileKey old_driver = wanted;
  old_driver.driver = "575.3";
  const auto changed = best(wanted, {profile(1, old_driver)}, MatchPolicy::exact);
  EXPECT_EQ(changed.quality, "driver 575.3 for 580.1");
  ASSERT_EQ(changed.warnings.size(), 1u);
  EXPECT_THAT(changed.warnings[0],
              HasSubstr("the driver changed since this profile was measured: 575.3 then, 580.1 now"));
  for (const auto field : {&ProfileKey::toolkit, &ProfileKey::cache_mode, &ProfileKey::device}) {
    ProfileKey key = wanted;
    key.*field = "other";
    EXPECT_TRUE(rank_profiles(wanted, {profile(1, key)}, MatchPolicy::exact).empty());
  }
}

TEST(RankProfiles, AChangedToolkitWarns) {
  ProfileKey wanted = sample_key({});
  ProfileKey stored = wanted;
  stored.toolkit = "";
  const auto match = best(wanted, {profile(1, stored)}, MatchPolicy::device);
  EXPECT_EQ(match.quality, "toolkit unknown for NVRTC 13.0");
  ASSERT_EQ(match.warnings.size(), 1u);
  EXPECT_THAT(match.warnings[0], HasSubstr("the toolkit changed"));
}

TEST(RankProfiles, DimensionsCompareByNameAndValue) {
  const ProfileKey wanted = sample_key({{"x", std::int64_t{8}}, {"y", std::int64_t{4}}});
  const auto match = best(wanted, {profile(1, sample_key({{"y", 4.0}, {"x", std::int64_t{8}}}))}, MatchPolicy::exact);
  EXPECT_TRUE(match.same_dimensions);
  EXPECT_EQ(match.quality, "exact");
}

TEST(RankProfiles, IncomparableDimensionsAreFar) {
  const ProfileKey wanted = sample_key({{"n", std::int64_t{1024}}, {"layout", std::string("row")}});
  const ProfileKey huge = sample_key({{"n", std::int64_t{1} << 62}, {"layout", std::string("row")}});
  const ProfileKey other = sample_key({{"n", std::int64_t{1024}}, {"layout", std::string("column")}});
  const ProfileKey missing = sample_key({{"n", std::int64_t{1024}}});
  const auto matches =
      rank_profiles(wanted, {profile(3, missing), profile(2, other), profile(1, huge)}, MatchPolicy::nearest);
  EXPECT_EQ(ids(matches).front(), 1);
  EXPECT_EQ(matches[0].quality, "n = 4611686018427387904 for 1024 (distance 52.0)");
  EXPECT_EQ(best(wanted, {profile(2, other)}).quality, "layout = 'column' for 'row'");
  EXPECT_EQ(best(wanted, {profile(3, missing)}).quality, "no 'layout' for layout = 'row'");
  EXPECT_EQ(best(missing, {profile(3, wanted)}).quality, "layout = 'row' where none is wanted");
  EXPECT_DOUBLE_EQ(best(wanted, {profile(2, other)}).dimension_distance, 64);
  const ProfileKey zero = sample_key({{"n", std::int64_t{0}}, {"layout", std::string("row")}});
  EXPECT_DOUBLE_EQ(best(wanted, {profile(4, zero)}).dimension_distance, 64);
  EXPECT_TRUE(best(zero, {profile(4, zero)}).same_dimensions);
}

}  // namespace
}  // namespace warpwright::store::test
