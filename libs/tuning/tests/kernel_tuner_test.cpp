#include <algorithm>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/measure/launch_occupancy.hpp>
#include <warpwright/tuning/kernel_tuner.hpp>

#include "error_of.hpp"

namespace warpwright {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

DeviceInfo device(const char* architecture, const char* backend = "cuda") {
  DeviceInfo info;
  info.id = DeviceId{backend, {0}};
  info.name = "a device";
  info.architecture = architecture;
  info.multiprocessors = 132;
  info.shared_per_block = Bytes{49152};
  return info;
}

TEST(KernelTuner, CalculatesForAnArchitectureWithoutADevice) {
  const KernelTuner tuner = KernelTuner::for_architecture("sm_80");
  EXPECT_EQ(tuner.properties().max_warps_per_sm, 64);
  const KernelConfig config{256, std::nullopt, Bytes{0}, 33};
  const OccupancyInfo info = tuner.calculate_occupancy(config);
  EXPECT_EQ(info.blocks_per_sm, 6);
  EXPECT_DOUBLE_EQ(info.occupancy, 0.75);
  EXPECT_EQ(tuner.suggestions(config).front().describe(), "1 register fewer per thread: 75 % -> 100 %");
  EXPECT_THAT(tuner.refusal_reason(config), IsEmpty());
  EXPECT_THAT(tuner.refusal_reason(KernelConfig{2000}), HasSubstr("2000 threads"));
}

TEST(KernelTuner, BindsToADevice) {
  const KernelTuner tuner = KernelTuner::for_device(device("sm_90"));
  EXPECT_EQ(tuner.properties().sm_count, 132);
  EXPECT_TRUE(tuner.calculate_occupancy({256, 1056, Bytes{0}, 32}).waves);
  EXPECT_THAT(message_of(ErrorCode::unsupported, [] { KernelTuner::for_device(device("gfx90a", "opencl")); }),
              HasSubstr("told by no query of its driver"));
  EXPECT_THAT(message_of(ErrorCode::unsupported, [] { KernelTuner::for_device(device("sm_200")); }),
              HasSubstr("sm_200"));
  EXPECT_THAT(message_of(ErrorCode::bad_input, [] { KernelTuner::for_architecture("volta"); }), HasSubstr("sm_70"));
}

TEST(KernelTuner, OpenClOfNvidiaHasNoOptIn) {
  const KernelTuner tuner = KernelTuner::for_device(device("sm_90", "opencl"));
  EXPECT_EQ(tuner.properties().shared_per_block_optin, Bytes{49152});
  ASSERT_EQ(tuner.properties().notes.size(), 1u);
  EXPECT_THAT(tuner.properties().notes[0], HasSubstr("only CUDA has the opt-in"));
  EXPECT_FALSE(tuner.calculate_occupancy({256, std::nullopt, Bytes{60000}, 32}).launchable());
}

TEST(Recommend, RanksByTheShareOfUsefulSlots) {
  const KernelTuner tuner = KernelTuner::for_device(device("sm_90"));
  KernelConfig kernel;
  kernel.registers_per_thread = 40;  // 48 warps at most: 75 %
  RecommendOptions options;
  options.max_results = 100;
  const auto found = tuner.recommend({1 << 20}, kernel, options);
  ASSERT_FALSE(found.empty());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto& one = found[i];
    EXPECT_GE(one.occupancy.occupancy, 0.5);
    const auto threads = one.config.block_size.x;
    EXPECT_EQ(one.config.grid_size->x, ((1 << 20) + threads - 1) / threads);
    EXPECT_DOUBLE_EQ(one.lane_efficiency, double(1 << 20) / double(one.config.grid_size->x * threads));
    EXPECT_DOUBLE_EQ(one.score, one.occupancy.occupancy * *one.occupancy.tail_efficiency * one.lane_efficiency);
    if (i > 0) {
      EXPECT_LE(one.score, found[i - 1].score + 1e-3);
    }
  }
  options.max_results = 3;
  EXPECT_EQ(tuner.recommend({1 << 20}, kernel, options).size(), 3u);
}

TEST(Recommend, NothingElseIsBetter) {
  const KernelTuner tuner = KernelTuner::for_device(device("sm_90"));
  KernelConfig kernel;
  kernel.registers_per_thread = 56;
  kernel.static_shared_memory = Bytes{6000};
  RecommendOptions options;
  options.min_occupancy = 0;
  const auto best = tuner.recommend({777'777}, kernel, options).front();
  for (int threads = 32; threads <= 1024; threads += 32) {
    KernelConfig config = kernel;
    config.block_size = Dim3{threads};
    config.grid_size = Dim3{(777'777 + threads - 1) / threads};
    const OccupancyInfo info = tuner.calculate_occupancy(config);
    if (!info.launchable()) continue;
    const double lanes = 777'777.0 / static_cast<double>(config.grid_size->x * threads);
    EXPECT_LE(info.occupancy * *info.tail_efficiency * lanes, best.score + 1e-3) << threads;
  }
}

TEST(Recommend, ARequiredBlockIsTheOnlyOne) {
  const KernelTuner tuner = KernelTuner::for_architecture("sm_90");
  KernelConfig kernel;
  kernel.registers_per_thread = 32;
  kernel.required_block = Dim3(12, 12);
  kernel.required_cluster = kernel.cluster_size = Dim3(2, 3);
  RecommendOptions options;
  options.min_block = 512;
  const auto found = tuner.recommend({1'000'000}, kernel, options);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].config.block_size, Dim3(12, 12));
  // 1,000,000 / 144 = 6945 blocks, and 6948 are whole clusters of 6.
  EXPECT_EQ(*found[0].config.grid_size, Dim3(2316, 3));
  EXPECT_TRUE(found[0].occupancy.clusters_unknown);
  kernel.required_block = Dim3{2048};
  EXPECT_THAT(tuner.recommend({1000}, kernel, {}), IsEmpty());
}

TEST(Recommend, KeepsTheConstraints) {
  const KernelTuner tuner = KernelTuner::for_architecture("sm_90");
  RecommendOptions options;
  options.min_block = 100;
  options.max_block = 300;
  options.shared_per_thread = Bytes{64};
  options.max_results = 100;
  KernelConfig kernel;
  kernel.shared_memory = Bytes{1000};
  kernel.max_threads_per_block = 224;
  const auto found = tuner.recommend({1 << 20, 4}, kernel, options);
  ASSERT_EQ(found.size(), 4u);  // 128, 160, 192, 224
  for (const auto& one : found) {
    EXPECT_GE(one.config.block_size.x, 100);
    EXPECT_LE(one.config.block_size.x, 224);
    EXPECT_EQ(one.config.shared_memory.count, 1000u + 64u * static_cast<std::uint64_t>(one.config.block_size.x));
    EXPECT_EQ(one.config.grid_size->x, ((1 << 18) + one.config.block_size.x - 1) / one.config.block_size.x);
    EXPECT_FALSE(one.occupancy.waves) << "an architecture has no number of SMs";
  }
  options.min_occupancy = 1.0;
  kernel.registers_per_thread = 128;
  EXPECT_THAT(tuner.recommend({1 << 20, 4}, kernel, options), IsEmpty());
}

TEST(Recommend, GridStrideFillsTheDeviceOnce) {
  const KernelTuner tuner = KernelTuner::for_device(device("sm_90"));
  RecommendOptions options;
  options.grid_stride = true;
  KernelConfig kernel;
  kernel.registers_per_thread = 32;
  const auto best = tuner.recommend({1'000'000'000}, kernel, options).front();
  EXPECT_EQ(best.config.block_size.x, 256);
  EXPECT_EQ(best.config.grid_size->x, 8 * 132);
  EXPECT_DOUBLE_EQ(*best.occupancy.tail_efficiency, 1);
  EXPECT_GT(best.score, 0.999);
  // A small workload gets no more blocks than it needs.
  EXPECT_EQ(tuner.recommend({1000}, kernel, options).front().config.grid_size->count() *
                tuner.recommend({1000}, kernel, options).front().config.block_size.x / 1024,
            1);
  EXPECT_THAT(message_of(ErrorCode::unsupported,
                         [&] { KernelTuner::for_architecture("90").recommend({1000}, kernel, options); }),
              HasSubstr("name a device"));
}

TEST(Recommend, RefusesWhatIsNoQuestion) {
  const KernelTuner tuner = KernelTuner::for_architecture("sm_90");
  const auto error = [&](const Workload& workload, const std::function<void(RecommendOptions&)>& change) {
    RecommendOptions options;
    change(options);
    return message_of(ErrorCode::bad_input, [&] { tuner.recommend(workload, {}, options); });
  };
  EXPECT_THAT(error({0}, [](auto&) {}), HasSubstr("elements is 0"));
  EXPECT_THAT(error({1, 0}, [](auto&) {}), HasSubstr("elements_per_thread"));
  EXPECT_THAT(error({1}, [](auto& o) { o.min_occupancy = 1.5; }), HasSubstr("min_occupancy is 1.5"));
  EXPECT_THAT(error({1}, [](auto& o) { o.min_block = 0; }), HasSubstr("min_block"));
  EXPECT_THAT(error({1}, [](auto& o) { o.max_block = 16; }), HasSubstr("max_block 16"));
}

TEST(Sweep, CoversTheAxisAndTheCurrentPoint) {
  const KernelTuner tuner = KernelTuner::for_architecture("sm_90");
  KernelConfig config{100, std::nullopt, Bytes{1500}, 40};
  for (const auto& [axis, count, current] :
       {std::tuple{SweepAxis::block, 33u, 100}, {SweepAxis::registers, 255u, 40}, {SweepAxis::shared, 229u, 1500}}) {
    const auto points = tuner.sweep(config, axis);
    EXPECT_EQ(points.size(), count) << to_string(axis);
    EXPECT_TRUE(std::is_sorted(points.begin(), points.end(),
                               [](const SweepPoint& a, const SweepPoint& b) { return a.value < b.value; }));
    const auto found = std::find_if(points.begin(), points.end(),
                                    [value = current](const SweepPoint& point) { return point.value == value; });
    ASSERT_NE(found, points.end());
    EXPECT_EQ(found->occupancy.blocks_per_sm, tuner.calculate_occupancy(config).blocks_per_sm);
    if (axis == SweepAxis::block) continue;
    for (std::size_t i = 1; i < points.size(); ++i)
      EXPECT_LE(points[i].occupancy.blocks_per_sm, points[i - 1].occupancy.blocks_per_sm);
  }
}

TEST(MergeResources, KeepsWhatOnlyTheCompilerTells) {
  KernelResources driver, compiled;
  driver.entry = compiled.entry = "k";
  driver.registers_per_thread = 40;
  compiled.registers_per_thread = 41;
  compiled.barriers = 2;
  compiled.spill_stores = Bytes{8};
  compiled.spill_loads = Bytes{12};
  compiled.required_block = {64, 1, 1};
  KernelResources other;
  other.entry = "other";
  const auto merged = measure::merge_resources({driver, other}, {compiled});
  ASSERT_EQ(merged.size(), 2u);
  EXPECT_EQ(merged[0].registers_per_thread, 40);
  EXPECT_EQ(merged[0].barriers, 2);
  EXPECT_EQ(merged[0].spill_stores, Bytes{8});
  EXPECT_EQ(merged[0].spill_loads, Bytes{12});
  EXPECT_EQ(merged[0].required_block, compiled.required_block) << "no driver tells it";
  EXPECT_FALSE(merged[1].barriers);
}

}  // namespace
}  // namespace warpwright
