#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/model/occupancy_model.hpp>

#include "error_of.hpp"

namespace warpwright {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string message_of(const std::function<void()>& action, ErrorCode code) { return message_of(code, action); }

// ---- worked cases
// ------------------------------------------------------------------------------------------------------

struct Known {
  int number;
  const char* architecture;
  KernelConfig config;
  int naive, exact;
  int warps;
  std::optional<int> registers, shared;
  int blocks;
  std::optional<int> barriers;
  LaunchRefusal refusal = LaunchRefusal::none;
};

KernelConfig make(int threads, int registers, int static_bytes = 0, int dynamic_bytes = 0) {
  KernelConfig config;
  config.block_size = Dim3{threads};
  config.registers_per_thread = registers;
  config.static_shared_memory = Bytes{static_cast<std::uint64_t>(static_bytes)};
  config.shared_memory = Bytes{static_cast<std::uint64_t>(dynamic_bytes)};
  return config;
}

KernelConfig with(KernelConfig config, const std::function<void(KernelConfig&)>& change) {
  change(config);
  return config;
}

// The limits that ".../228/..." of the worked cases give for shared memory count the reserve of a block with none of
// its own: 228 KiB in blocks of 1 KiB. Where nothing is reserved and nothing used there is no limit.
std::vector<Known> known_answers() {
  return {
      {1, "sm_80", make(256, 33), 7, 6, 8, 6, 164, 32, {}},
      {2, "sm_80", make(96, 169), 4, 2, 21, 2, 164, 32, {}},
      {3, "sm_80", make(32, 88), 23, 20, 64, 20, 164, 32, {}},
      {4, "sm_80", make(288, 224), 1, 0, 7, 0, 164, 32, {}, LaunchRefusal::registers_per_block},
      {5, "sm_86", make(128, 32, 16384), 6, 5, 12, 16, 5, 16, {}},
      {6,
       "sm_90",
       with(make(256, 32, 0, 116736), [](auto& c) { c.max_dynamic_shared = c.shared_memory; }),
       2,
       1,
       8,
       8,
       1,
       32,
       {}},
      {7, "sm_80", with(make(128, 32, 20480), [](auto& c) { c.carveout_percent = 50; }), 8, 4, 16, 16, 4, 32, {}},
      {8, "sm_120", with(make(64, 32), [](auto& c) { c.barriers = 4; }), 24, 6, 24, 32, 100, 24, 6},
      {9, "sm_61", make(32, 16, 3100), 31, 29, 64, 128, 29, 32, {}},
      {10, "sm_90", with(make(64, 32), [](auto& c) { c.carveout_percent = 0; }), 32, 8, 32, 32, 8, 32, {}},
      {11,
       "sm_90",
       with(make(128, 32, 0, 61440), [](auto& c) { c.shared_opt_in = false; }),
       3,
       0,
       16,
       16,
       0,
       32,
       {},
       LaunchRefusal::shared_memory},
      {11,
       "sm_90",
       with(make(128, 32, 0, 61440), [](auto& c) { c.max_dynamic_shared = Bytes{49152}; }),
       3,
       0,
       16,
       16,
       0,
       32,
       {},
       LaunchRefusal::dynamic_shared_limit},
      {12, "sm_52", with(make(640, 32), [](auto& c) { c.caching = GlobalCaching::on; }), 3, 2, 2, 2, {}, 32, {}},
      {12, "sm_52", make(640, 32), 3, 3, 3, 3, {}, 32, {}},
      {13, "sm_60", make(576, 104), 1, 0, 3, 0, {}, 32, {}, LaunchRefusal::register_partition},
      {14, "sm_90", with(make(128, 32), [](auto& c) { c.barriers = 16; }), 16, 4, 16, 16, 228, 32, 4},
  };
}

TEST(Occupancy, KnownAnswers) {
  for (const Known& known : known_answers()) {
    SCOPED_TRACE("case " + std::to_string(known.number));
    const GpuProperties gpu = architecture_properties(known.architecture);
    const OccupancyInfo info = calculate_occupancy(gpu, known.config);
    EXPECT_EQ(naive_blocks_per_sm(gpu, known.config), known.naive);
    EXPECT_EQ(info.blocks_per_sm, known.exact);
    EXPECT_EQ(info.limits.warps, known.warps);
    EXPECT_EQ(info.limits.registers, known.registers);
    // Case 11 with the flag raised to 48 KiB: the header's limit is 0, and so is ours.
    EXPECT_EQ(info.limits.shared_memory, known.shared);
    EXPECT_EQ(info.limits.blocks, known.blocks);
    EXPECT_EQ(info.limits.barriers, known.barriers);
    EXPECT_EQ(info.refusal, known.refusal) << to_string(info.refusal);
    EXPECT_EQ(info.launchable(), known.exact > 0);
    EXPECT_EQ(refusal_reason(gpu, known.config, info).empty(), info.launchable());
    EXPECT_EQ(info.active_warps_per_sm, info.blocks_per_sm * info.warps_per_block);
    EXPECT_DOUBLE_EQ(info.occupancy, double(info.active_warps_per_sm) / gpu.max_warps_per_sm);
  }
}

TEST(Occupancy, LargestSharedMemoryForTwoBlocks) {
  const GpuProperties gpu = architecture_properties("9.0");
  EXPECT_EQ(calculate_occupancy(gpu, make(256, 32, 0, 115712)).blocks_per_sm, 2);
  EXPECT_EQ(calculate_occupancy(gpu, make(256, 32, 0, 115713)).blocks_per_sm, 1);
  EXPECT_EQ(max_dynamic_shared_for(gpu, make(256, 32), 2), Bytes{115712});
  EXPECT_EQ(max_dynamic_shared_for(gpu, make(256, 32, 200 * 1024), 2), std::nullopt);
  EXPECT_THAT(message_of([&] { max_dynamic_shared_for(gpu, make(256, 32), 0); }, ErrorCode::bad_input),
              HasSubstr("blocks"));
}

TEST(Occupancy, LimitingFactorsAreAllThatTie) {
  const GpuProperties gpu = architecture_properties("sm_90");
  EXPECT_THAT(calculate_occupancy(gpu, make(256, 32)).limiting_factors.list(),
              ElementsAre(OccupancyResource::warps, OccupancyResource::registers));
  EXPECT_EQ(calculate_occupancy(gpu, make(256, 32)).limiting_factors.to_string(), "warps, registers");
  EXPECT_THAT(calculate_occupancy(gpu, make(32, 16)).limiting_factors.list(), ElementsAre(OccupancyResource::blocks));
  // Barriers alone limit here; what limited before they came in does not any more.
  EXPECT_THAT(
      calculate_occupancy(architecture_properties("sm_120"), with(make(64, 32), [](auto& c) { c.barriers = 4; }))
          .limiting_factors.list(),
      ElementsAre(OccupancyResource::barriers));
  EXPECT_EQ(LimitingFactors{}.to_string(), "none");
}

TEST(Occupancy, AllocatedAmountsIncludeReserveAndRounding) {
  const OccupancyInfo info = calculate_occupancy(architecture_properties("sm_80"), make(96, 33, 100, 20));
  EXPECT_EQ(info.registers_allocated_per_block, 3 * 1280);
  EXPECT_EQ(info.shared_allocated_per_block, Bytes{1152});  // 1024 + 120, in units of 128
  EXPECT_EQ(info.shared_capacity_per_sm, Bytes{164 * 1024});
}

TEST(Occupancy, EveryRefusalSaysWhy) {
  const auto reason = [](const char* architecture, const KernelConfig& config, LaunchRefusal expected) {
    const GpuProperties gpu = architecture_properties(architecture);
    const OccupancyInfo info = calculate_occupancy(gpu, config);
    EXPECT_EQ(info.refusal, expected) << to_string(info.refusal);
    EXPECT_EQ(info.blocks_per_sm, 0);
    return refusal_reason(gpu, config, info);
  };
  EXPECT_THAT(reason("sm_90", make(1025, 0), LaunchRefusal::block_too_large),
              HasSubstr("1025 threads, sm_90 allows 1024"));
  EXPECT_THAT(reason("sm_90",
                     with(make(1, 0),
                          [](auto& c) {
                            c.block_size = Dim3{1, 1, 65};
                          }),
                     LaunchRefusal::block_shape),
              HasSubstr("1 x 1 x 65"));
  EXPECT_THAT(reason("sm_90",
                     with(make(1, 0),
                          [](auto& c) {
                            c.grid_size = Dim3{1, 65536};
                          }),
                     LaunchRefusal::grid_shape),
              HasSubstr("1 x 65536 x 1"));
  EXPECT_THAT(
      reason("sm_90", with(make(256, 0), [](auto& c) { c.max_threads_per_block = 128; }), LaunchRefusal::launch_bounds),
      HasSubstr("compiled for 128"));
  EXPECT_THAT(reason("sm_80", with(make(256, 0), [](auto& c) { c.cluster_size = Dim3{2}; }), LaunchRefusal::cluster),
              HasSubstr("9.0"));
  EXPECT_THAT(reason("sm_90",
                     with(make(256, 0),
                          [](auto& c) {
                            c.cluster_size = Dim3{2};
                            c.grid_size = Dim3{5};
                          }),
                     LaunchRefusal::cluster),
              HasSubstr("no multiple of the cluster of 2 x 1 x 1"));
  EXPECT_THAT(reason("sm_90", make(32, 256), LaunchRefusal::registers_per_thread), HasSubstr("256 registers"));
  EXPECT_THAT(reason("sm_80", make(288, 224), LaunchRefusal::registers_per_block), HasSubstr("86016"));
  EXPECT_THAT(reason("sm_60", make(576, 104), LaunchRefusal::register_partition), HasSubstr("6.1"));
  EXPECT_THAT(reason("sm_52", with(make(1024, 64), [](auto& c) { c.caching = GlobalCaching::strict; }),
                     LaunchRefusal::register_caching),
              HasSubstr("half an SM"));
  EXPECT_THAT(reason("sm_90", make(128, 32, 0, 232449), LaunchRefusal::shared_memory),
              HasSubstr("232449 bytes of shared memory (0 static, 232449 dynamic), sm_90 allows 232448"));
  EXPECT_THAT(reason("sm_90", with(make(128, 32, 0, 61440), [](auto& c) { c.shared_opt_in = false; }),
                     LaunchRefusal::shared_memory),
              HasSubstr("allows 49152 without opt-in and 232448 with it"));
  EXPECT_THAT(reason("sm_90", with(make(128, 32, 0, 2048), [](auto& c) { c.max_dynamic_shared = Bytes{1024}; }),
                     LaunchRefusal::dynamic_shared_limit),
              HasSubstr("permits 1024"));
  EXPECT_THAT(reason("sm_90", with(make(128, 32), [](auto& c) { c.barriers = 65; }), LaunchRefusal::barriers),
              HasSubstr("65 barriers"));
  EXPECT_THAT(reason("sm_100", with(make(128, 32), [](auto& c) { c.virtual_resources = 129; }),
                     LaunchRefusal::virtual_resources),
              HasSubstr("129"));
  // Sizes beyond every integer of the calculation are refused too, not wrapped around.
  EXPECT_THAT(reason("sm_90", with(make(1, 1), [](auto& c) { c.shared_memory = Bytes{~std::uint64_t{0}}; }),
                     LaunchRefusal::shared_memory),
              HasSubstr("18446744073709551615 dynamic"));
  EXPECT_THAT(reason("sm_90",
                     with(make(1, 1),
                          [](auto& c) {
                            c.block_size = Dim3{1LL << 40, 1LL << 40, 1};
                          }),
                     LaunchRefusal::block_too_large),
              HasSubstr("9223372036854775807"));
  EXPECT_EQ(calculate_occupancy(architecture_properties("sm_90"), make(32, std::numeric_limits<int>::max())).refusal,
            LaunchRefusal::registers_per_thread);
}

TEST(Occupancy, WhatIsNoQuestionIsAnError) {
  const GpuProperties gpu = architecture_properties("sm_90");
  const auto error = [&](const std::function<void(KernelConfig&)>& change) {
    return message_of([&] { calculate_occupancy(gpu, with(make(256, 32), change)); }, ErrorCode::bad_input);
  };
  EXPECT_THAT(error([](auto& c) { c.block_size = Dim3{0}; }), HasSubstr("block_size is 0; it must be at least 1"));
  EXPECT_THAT(error([](auto& c) { c.grid_size = Dim3{4, -2}; }), HasSubstr("grid_size is -2"));
  EXPECT_THAT(error([](auto& c) { c.cluster_size = Dim3{0}; }), HasSubstr("cluster_size"));
  EXPECT_THAT(error([](auto& c) { c.registers_per_thread = -1; }), HasSubstr("registers_per_thread is -1"));
  EXPECT_THAT(error([](auto& c) { c.barriers = -3; }), HasSubstr("barriers is -3"));
  EXPECT_THAT(error([](auto& c) { c.virtual_resources = -1; }), HasSubstr("virtual_resources"));
  EXPECT_THAT(error([](auto& c) { c.carveout_percent = 101; }),
              HasSubstr("carveout_percent is 101; it must be from 0 to 100"));
  EXPECT_THAT(error([](auto& c) { c.max_threads_per_block = 0; }), HasSubstr("max_threads_per_block"));
  EXPECT_THAT(error([](auto& c) { c.required_block = Dim3{0}; }), HasSubstr("required_block"));
  EXPECT_THAT(error([](auto& c) { c.required_cluster = Dim3(1, -1); }), HasSubstr("required_cluster"));
  EXPECT_THAT(error([](auto& c) { c.max_cluster_blocks = 0; }), HasSubstr("max_cluster_blocks"));
}

TEST(Occupancy, WavesAndTail) {
  GpuProperties gpu = architecture_properties("sm_90");
  KernelConfig config = make(256, 32);
  config.grid_size = Dim3{1109};
  EXPECT_FALSE(calculate_occupancy(gpu, config).waves) << "the number of SMs is unknown";
  gpu.sm_count = 132;
  const OccupancyInfo info = calculate_occupancy(gpu, config);  // 8 blocks on 132 SMs: 1056 at a time
  EXPECT_DOUBLE_EQ(*info.waves, 1109.0 / 1056);
  EXPECT_DOUBLE_EQ(*info.tail_efficiency, 1109.0 / 1056 / 2);
  config.grid_size = Dim3{1056, 2};
  EXPECT_DOUBLE_EQ(*calculate_occupancy(gpu, config).tail_efficiency, 1);
  config.cluster_size = Dim3{2};
  EXPECT_TRUE(calculate_occupancy(gpu, config).clusters_unknown);
  EXPECT_FALSE(calculate_occupancy(gpu, config).waves) << "only a driver knows how many clusters run at a time";
}

TEST(Occupancy, ResourcesOfABinaryReplaceWhatTheyTell) {
  KernelResources resources;
  resources.registers_per_thread = 40;
  resources.static_shared = Bytes{512};
  resources.barriers = 3;
  resources.max_threads_per_block = 256;
  KernelConfig config = make(128, 12, 0, 64).with_resources(resources);
  EXPECT_EQ(config.registers_per_thread, 40);
  EXPECT_EQ(config.static_shared_memory, Bytes{512});
  EXPECT_EQ(config.shared_memory, Bytes{64});
  EXPECT_EQ(config.barriers, 3);
  EXPECT_EQ(config.max_threads_per_block, 256);
  EXPECT_EQ(config.with_resources({}).registers_per_thread, 40);
}

TEST(Occupancy, ARequiredBlockIsTheOnlyOne) {
  const GpuProperties gpu = architecture_properties("sm_90");
  KernelResources resources;
  resources.registers_per_thread = 32;
  resources.required_block = {128, 2, 1};
  const KernelConfig kernel = KernelConfig{}.with_resources(resources);
  const auto other = calculate_occupancy(gpu, with(kernel, [](auto& c) { c.block_size = Dim3{256}; }));
  EXPECT_EQ(other.refusal, LaunchRefusal::required_block) << "as many threads, in another shape";
  EXPECT_EQ(other.blocks_per_sm, 0);
  EXPECT_THAT(refusal_reason(gpu, with(kernel, [](auto& c) { c.block_size = Dim3{256}; }), other),
              HasSubstr("256 x 1 x 1 threads, the kernel was compiled for blocks of 128 x 2 x 1 and no other"));
  const KernelConfig right = with(kernel, [](auto& c) { c.block_size = Dim3(128, 2); });
  EXPECT_EQ(calculate_occupancy(gpu, right).blocks_per_sm, 8);
  EXPECT_EQ(OccupancyModel(gpu).calculate(right), calculate_occupancy(gpu, right));
  EXPECT_EQ(OccupancyModel(gpu).calculate(kernel).refusal, LaunchRefusal::required_block);
  EXPECT_EQ(best_block_size(gpu, kernel).block_size, 256);
  EXPECT_EQ(best_block_size(gpu, kernel).blocks_per_sm, 8);
  EXPECT_EQ(best_block_size(gpu, with(kernel, [](auto& c) { c.required_block = Dim3{2048}; })).block_size, 0);
  for (const auto& suggestion : suggest_occupancy(gpu, with(right, [](auto& c) { c.registers_per_thread = 60; })))
    EXPECT_EQ(suggestion.config.block_size, right.block_size) << suggestion.describe();
}

TEST(Occupancy, RequiredSizesAreOptionalSizesOfThirtyTwoBits) {
  RequiredSize size;
  EXPECT_FALSE(size);
  EXPECT_EQ(std::optional<Dim3>(size), std::nullopt);
  size = Dim3(16, 12, 2);
  EXPECT_TRUE(size.has_value());
  EXPECT_EQ(*size, Dim3(16, 12, 2));
  EXPECT_EQ(std::optional<Dim3>(size), Dim3(16, 12, 2));
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                         most = std::numeric_limits<std::int64_t>::max();
  const RequiredSize beyond = Dim3(least, most, 1);
  EXPECT_TRUE(beyond.has_value()) << "the nearest sizes stand for those beyond 32 bits, and none of them for absent";
  EXPECT_EQ(*beyond, Dim3(-2147483647, 2147483647, 1));
  EXPECT_NE(beyond, RequiredSize());
}

// Searches copy and read configurations by the million; a member that is rarely used costs all of them.
TEST(Occupancy, ConfigurationsAreSmall) { EXPECT_LE(sizeof(KernelConfig), 184u); }

TEST(Occupancy, ModelAndRulesAgreeOnWhatOnlyOneOfThemLooksAt) {
  const GpuProperties gpu = architecture_properties("sm_90");
  const OccupancyModel model(gpu);
  const std::function<void(KernelConfig&)> changes[] = {[](auto& c) { c.grid_size = Dim3(2147483647, 65535, 65535); },
                                                        [](auto& c) { c.grid_size = Dim3{2147483648}; },
                                                        [](auto& c) { c.grid_size = Dim3(1, 65536); },
                                                        [](auto& c) { c.grid_size = Dim3(1, 1, 65536); },
                                                        [](auto& c) { c.max_cluster_blocks = 1; },
                                                        [](auto& c) { c.required_cluster = Dim3{1}; },
                                                        [](auto& c) { c.required_cluster = Dim3{2}; },
                                                        [](auto& c) { c.required_block = Dim3{256}; }};
  for (const auto& change : changes) {
    const KernelConfig config = with(make(256, 32), change);
    EXPECT_EQ(model.calculate(config), calculate_occupancy(gpu, config)) << &change - changes;
  }
  const std::function<void(KernelConfig&)> no_questions[] = {
      [](auto& c) { c.grid_size = Dim3{0}; }, [](auto& c) { c.max_cluster_blocks = 0; },
      [](auto& c) { c.required_block = Dim3{0}; }, [](auto& c) { c.required_cluster = Dim3(1, -1); }};
  for (const auto& change : no_questions)
    message_of([&] { model.calculate(with(make(256, 32), change)); }, ErrorCode::bad_input);
  message_of([&] { best_block_size(gpu, with(make(256, 32), no_questions[1])); }, ErrorCode::bad_input);
}

TEST(Occupancy, ClustersOfTheBinaryAreTakenAndOthersRefused) {
  const GpuProperties gpu = architecture_properties("sm_90");
  KernelResources resources;
  resources.required_cluster = {2, 1, 1};
  const KernelConfig kernel = make(128, 32).with_resources(resources);
  EXPECT_EQ(kernel.cluster_size, Dim3{2});
  EXPECT_TRUE(calculate_occupancy(gpu, kernel).clusters_unknown);
  const KernelConfig other = with(kernel, [](auto& c) { c.cluster_size = Dim3{4}; });
  EXPECT_EQ(calculate_occupancy(gpu, other).refusal, LaunchRefusal::required_cluster);
  EXPECT_THAT(refusal_reason(gpu, other, calculate_occupancy(gpu, other)),
              HasSubstr("4 x 1 x 1 blocks, the kernel was compiled for clusters of 2 x 1 x 1"));
  resources = {};
  resources.max_cluster_blocks = 4;
  const KernelConfig bounded = with(make(128, 32), [](auto& c) { c.cluster_size = Dim3(2, 4); });
  EXPECT_EQ(calculate_occupancy(gpu, bounded).refusal, LaunchRefusal::none);
  const KernelConfig beyond = bounded.with_resources(resources);
  EXPECT_EQ(calculate_occupancy(gpu, beyond).refusal, LaunchRefusal::required_cluster);
  EXPECT_THAT(refusal_reason(gpu, beyond, calculate_occupancy(gpu, beyond)), HasSubstr("8 blocks"));
  // A cluster of one block is no cluster, and is the only one where the binary says so.
  resources = {};
  resources.required_cluster = {1, 1, 1};
  EXPECT_FALSE(calculate_occupancy(gpu, make(128, 32).with_resources(resources)).clusters_unknown);
}

TEST(Occupancy, BestBlockSizeIsTheLargestOfThoseThatTie) {
  GpuProperties gpu = architecture_properties("sm_80");
  EXPECT_EQ(best_block_size(gpu, make(1, 32)).block_size, 1024);
  EXPECT_EQ(best_block_size(gpu, make(1, 32)).blocks_per_sm, 2);
  EXPECT_FALSE(best_block_size(gpu, make(1, 32)).min_grid);
  gpu.sm_count = 108;
  EXPECT_EQ(best_block_size(gpu, make(1, 32)).min_grid, 216);
  EXPECT_EQ(best_block_size(gpu, make(1, 33)).block_size, 768);  // 48 warps fit: 2 blocks of 24
  EXPECT_EQ(best_block_size(gpu, make(1, 32, 0, 1 << 20)).block_size, 0);
}

// ---- suggestions
// -------------------------------------------------------------------------------------------------------

std::vector<std::string> suggestions(const GpuProperties& gpu, const KernelConfig& config) {
  std::vector<std::string> texts;
  for (const auto& suggestion : suggest_occupancy(gpu, config)) texts.push_back(suggestion.describe());
  return texts;
}

TEST(Suggestions, NameTheLeastCut) {
  const GpuProperties gpu = architecture_properties("sm_80");
  EXPECT_THAT(suggestions(gpu, make(256, 33)), ElementsAre("1 register fewer per thread: 75 % -> 100 %"));
  EXPECT_THAT(suggestions(gpu, make(256, 43)), ElementsAre("3 registers fewer per thread: 62.5 % -> 75 %"));
  EXPECT_THAT(suggestions(gpu, make(288, 43)), ElementsAre("3 registers fewer per thread: 56.3 % -> 70.3 %",
                                                           "blocks of 256 threads instead of 288: 56.3 % -> 62.5 %"));
  EXPECT_THAT(suggestions(gpu, make(256, 32)), IsEmpty());
  // Both tie: neither alone would help.
  const auto both = suggestions(architecture_properties("sm_90"), make(256, 43, 0, 45000));
  ASSERT_FALSE(both.empty());
  EXPECT_THAT(both.front(), HasSubstr("3 registers fewer per thread and "));
  EXPECT_THAT(both.front(), HasSubstr("bytes of shared memory fewer per block: 62.5 % -> 75 %"));
}

TEST(Suggestions, KnowSettingsAndBlockSizes) {
  const GpuProperties gpu = architecture_properties("sm_90");
  EXPECT_THAT(suggestions(gpu, make(32, 16)), ElementsAre("blocks of 64 threads instead of 32: 50 % -> 100 %"));
  EXPECT_THAT(suggestions(gpu, with(make(128, 32, 0, 61440), [](auto& c) { c.shared_opt_in = false; })),
              testing::Contains("opting in to 61440 bytes of dynamic shared memory: 0 % -> 18.8 %"));
  EXPECT_THAT(suggestions(gpu, with(make(64, 32), [](auto& c) { c.carveout_percent = 0; })),
              testing::Contains("a carve-out of 8 % instead of 0 %: 25 % -> 100 %"));
  EXPECT_THAT(suggestions(architecture_properties("sm_120"), with(make(64, 32), [](auto& c) { c.barriers = 4; })),
              testing::Contains("1 barrier fewer per block: 25 % -> 33.3 %"));
  EXPECT_THAT(suggestions(gpu, make(2000, 16)), ElementsAre("blocks of 1024 threads instead of 2000: 0 % -> 100 %"));
}

// ---- architectures and devices
// -----------------------------------------------------------------------------------------

TEST(GpuPropertiesTest, EveryNameOfAnArchitecture) {
  for (const char* name : {"sm_90", "sm_90a", "90", "9.0", "compute_90"})
    EXPECT_EQ(architecture_properties(name).architecture, "sm_90") << name;
  EXPECT_EQ(architecture_properties("12.1").architecture, "sm_121");
  EXPECT_EQ(known_architectures().size(), 22u);
  EXPECT_EQ(known_architectures().front(), "sm_50");
  EXPECT_EQ(known_architectures().back(), "sm_121");
}

TEST(GpuPropertiesTest, RowsOfNewerReleases) {
  // Header of 13.3 and later: one set of barriers a block on 10.3.
  EXPECT_EQ(calculate_occupancy(architecture_properties("sm_103"), with(make(128, 32), [](auto& c) { c.barriers = 4; }))
                .blocks_per_sm,
            8);
  const GpuProperties gpu = architecture_properties("sm_107f");
  EXPECT_EQ(gpu.max_blocks_per_sm, 16);
  EXPECT_EQ(gpu.barriers_per_sm, 16);
  EXPECT_EQ(gpu.carveout_sizes().back(), 328u * 1024);
  // Each carve-out of the row answers, those above 256 KiB too.
  for (const std::uint32_t size : gpu.carveout_sizes()) {
    KernelConfig config = make(128, 32, 0, static_cast<int>(size == 0 ? 0 : size - 1024));
    config.carveout_percent = 0;
    if (size > 0 && size < 328 * 1024) {
      EXPECT_EQ(calculate_occupancy(gpu, config).shared_capacity_per_sm, Bytes{size});
    }
    EXPECT_EQ(OccupancyModel(gpu).calculate(config), calculate_occupancy(gpu, config)) << size;
  }
  KernelConfig largest = make(128, 32, 0, 327 * 1024);
  EXPECT_EQ(calculate_occupancy(gpu, largest).blocks_per_sm, 1);
  EXPECT_EQ(calculate_occupancy(gpu, largest).shared_capacity_per_sm, Bytes{328 * 1024});
  largest.shared_memory = Bytes{327 * 1024 + 1};
  EXPECT_EQ(calculate_occupancy(gpu, largest).refusal, LaunchRefusal::shared_memory);
}

TEST(GpuPropertiesTest, UnknownArchitecturesAreRefused) {
  EXPECT_THAT(message_of([] { architecture_properties("sm_13"); }, ErrorCode::unsupported), HasSubstr("sm_13"));
  EXPECT_THAT(message_of([] { architecture_properties("sm_91"); }, ErrorCode::unsupported),
              HasSubstr("there is one for sm_50, sm_52"));
  EXPECT_THAT(message_of([] { architecture_properties("sn_90"); }, ErrorCode::bad_input),
              HasSubstr("did you mean 'sm_90'?"));
  for (const char* text : {"", "hopper", "sm_", "-90", "9.", "9.0x", "9.10", "sm_90b", "sm_90aa", "9", "99999999999"})
    EXPECT_THAT(message_of([&] { architecture_properties(text); }, ErrorCode::bad_input), HasSubstr("write sm_90"))
        << text;
}

DeviceInfo h100() {
  DeviceInfo device;
  device.id = DeviceId{"cuda", {0}};
  device.name = "NVIDIA H100 80GB HBM3";
  device.architecture = "sm_90";
  device.multiprocessors = 132;
  device.warp_size = 32;
  device.max_threads_per_block = 1024;
  device.shared_per_block = Bytes{49152};
  device.shared_per_block_optin = Bytes{232448};
  device.shared_per_multiprocessor = Bytes{233472};
  device.reserved_shared_per_block = Bytes{1024};
  device.registers_per_block = 65536;
  device.registers_per_multiprocessor = 65536;
  device.max_threads_per_multiprocessor = 2048;
  device.max_blocks_per_multiprocessor = 32;
  return device;
}

TEST(GpuPropertiesTest, DriversValuesReplaceTheTables) {
  const auto same = device_properties(h100());
  ASSERT_TRUE(same);
  EXPECT_THAT(same->notes, IsEmpty());
  EXPECT_EQ(same->sm_count, 132);
  EXPECT_EQ(same->name, "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(same->provenance, "table and driver");
  DeviceInfo other = h100();
  other.max_blocks_per_multiprocessor = 24;
  other.shared_per_multiprocessor = Bytes{200 * 1024};
  const auto changed = device_properties(other);
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->max_blocks_per_sm, 24);
  ASSERT_EQ(changed->notes.size(), 2u);
  EXPECT_THAT(changed->notes[0], HasSubstr("blocks per SM: the driver reports 24, the table of sm_90 says 32"));
  EXPECT_THAT(changed->notes[1], HasSubstr("204800"));
  EXPECT_EQ(calculate_occupancy(*changed, make(32, 16)).blocks_per_sm, 24);
}

TEST(GpuPropertiesTest, ANewerDeviceIsCalculatedFromItsDriver) {
  DeviceInfo device = h100();
  device.architecture = "sm_130";
  device.max_blocks_per_multiprocessor = 20;
  device.shared_per_multiprocessor = Bytes{256 * 1024};
  const auto gpu = device_properties(device);
  ASSERT_TRUE(gpu);
  EXPECT_EQ(gpu->architecture, "sm_130");
  EXPECT_EQ(gpu->compute_major, 13);
  EXPECT_EQ(gpu->max_blocks_per_sm, 20);
  EXPECT_EQ(gpu->max_warps_per_sm, 64);
  EXPECT_EQ(gpu->shared_per_sm, Bytes{256 * 1024});
  EXPECT_EQ(gpu->provenance, "driver");
  ASSERT_EQ(gpu->notes.size(), 1u);
  EXPECT_THAT(gpu->notes[0], HasSubstr("no table knows sm_130"));
  EXPECT_THAT(gpu->notes[0], HasSubstr("those of sm_121"));
  EXPECT_EQ(calculate_occupancy(*gpu, make(32, 16)).blocks_per_sm, 20);
  EXPECT_EQ(OccupancyModel(*gpu).calculate(make(128, 40, 0, 9000)), calculate_occupancy(*gpu, make(128, 40, 0, 9000)));
  device.architecture = "sm_105";
  EXPECT_THAT(device_properties(device)->notes[0], HasSubstr("those of sm_103"));
}

TEST(GpuPropertiesTest, OtherDevicesHaveNone) {
  DeviceInfo device = h100();
  device.architecture = "sm_130";
  device.reserved_shared_per_block.reset();
  EXPECT_FALSE(device_properties(device)) << "what the driver does not tell is not made up";
  EXPECT_THAT(unknown_occupancy_reason(device), HasSubstr("no occupancy table for sm_130"));
  device = h100();
  device.architecture = "sm_30";
  EXPECT_FALSE(device_properties(device)) << "older than the table";
  device.architecture = "gfx90a";
  device.id = DeviceId{"opencl", {0, 0}};
  EXPECT_FALSE(device_properties(device));
  EXPECT_THAT(unknown_occupancy_reason(device), HasSubstr("are unknown"));
}

TEST(OccupancyWords, AreDistinctAndReadBack) {
  for (int i = 0; i < occupancy_resource_count; ++i) {
    const auto resource = static_cast<OccupancyResource>(i);
    EXPECT_EQ(parse_occupancy_resource(to_string(resource)), resource);
  }
  EXPECT_FALSE(parse_occupancy_resource("warp"));
  EXPECT_EQ(to_string(GlobalCaching::strict), "strict");
  EXPECT_EQ(to_string(LaunchRefusal::virtual_resources), "virtual_resources");
  EXPECT_EQ((Dim3{2, 3, 4}.to_string()), "2 x 3 x 4");
}

}  // namespace
}  // namespace warpwright
