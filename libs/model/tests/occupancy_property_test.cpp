// Laws that hold for every configuration on every architecture.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <warpwright/model/occupancy_model.hpp>

namespace warpwright {
namespace {

GpuProperties any_gpu() {
  GpuProperties gpu = architecture_properties(*rc::gen::elementOf(known_architectures()));
  gpu.sm_count = *rc::gen::inRange(1, 200);
  return gpu;
}

// Sizes are drawn so that most configurations can be launched.
KernelConfig any_config() {
  KernelConfig config;
  config.block_size = Dim3{*rc::gen::inRange(1, 1030)};
  config.registers_per_thread =
      *rc::gen::weightedOneOf<int>({{4, rc::gen::inRange(0, 64)}, {1, rc::gen::inRange(64, 258)}});
  const auto bytes = [](int most) { return Bytes{static_cast<std::uint64_t>(*rc::gen::inRange(0, most))}; };
  config.static_shared_memory = bytes(*rc::gen::element(1, 4096, 50000));
  config.shared_memory = bytes(*rc::gen::element(1, 20000, 240 * 1024));
  config.shared_opt_in = *rc::gen::element(true, true, false);
  if (*rc::gen::element(true, false, false)) config.max_dynamic_shared = bytes(240 * 1024);
  if (*rc::gen::arbitrary<bool>()) config.carveout_percent = *rc::gen::inRange(0, 101);
  config.barriers = *rc::gen::inRange(0, 18);
  config.caching = static_cast<GlobalCaching>(*rc::gen::inRange(0, 3));
  if (*rc::gen::element(true, false)) config.grid_size = Dim3{*rc::gen::inRange(1, 100000)};
  return config;
}

// Case "a carve-out too small for a block is raised": a larger block may then get a larger carve-out, but never more
// blocks.
RC_GTEST_PROP(OccupancyLaws, NeverRisesWithMoreOfAnything, ()) {
  const GpuProperties gpu = any_gpu();
  const KernelConfig config = any_config();
  const int before = calculate_occupancy(gpu, config).blocks_per_sm;
  KernelConfig more = config;
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      more.registers_per_thread += *rc::gen::inRange(1, 64);
      break;
    case 1:
      more.shared_memory = more.shared_memory + Bytes{static_cast<std::uint64_t>(*rc::gen::inRange(1, 40000))};
      break;
    case 2:
      // With the permitted dynamic memory fixed: its default shrinks as static memory grows.
      more.static_shared_memory =
          more.static_shared_memory + Bytes{static_cast<std::uint64_t>(*rc::gen::inRange(1, 40000))};
      RC_PRE(!config.max_dynamic_shared.has_value());
      break;
    default:
      more.barriers += *rc::gen::inRange(1, 20);
  }
  // Without registers there is no register limit at all, and partitioned caching that gives way frees the warps.
  RC_PRE(!gpu.partitioned_caching || config.caching != GlobalCaching::on);
  RC_ASSERT(calculate_occupancy(gpu, more).blocks_per_sm <= before);
}

RC_GTEST_PROP(OccupancyLaws, NaiveIsNeverBelowExact, ()) {
  const GpuProperties gpu = any_gpu();
  const KernelConfig config = any_config();
  RC_ASSERT(naive_blocks_per_sm(gpu, config) >= calculate_occupancy(gpu, config).blocks_per_sm);
}

RC_GTEST_PROP(OccupancyLaws, ResultIsConsistent, ()) {
  const GpuProperties gpu = any_gpu();
  const KernelConfig config = any_config();
  const OccupancyInfo info = calculate_occupancy(gpu, config);
  RC_ASSERT(info.occupancy >= 0.0);
  RC_ASSERT(info.occupancy <= 1.0);
  RC_ASSERT(info.launchable() == (info.blocks_per_sm > 0));
  RC_ASSERT(refusal_reason(gpu, config, info).empty() == info.launchable());
  for (int i = 0; i < occupancy_resource_count; ++i) {
    const auto resource = static_cast<OccupancyResource>(i);
    const auto limit = info.limits.of(resource);
    RC_ASSERT(info.limiting_factors.contains(resource) == (limit.has_value() && *limit == info.blocks_per_sm));
    if (limit) RC_ASSERT(*limit >= info.blocks_per_sm);
  }
  if (info.launchable()) RC_ASSERT(!info.limiting_factors.empty());
  if (info.launchable()) {
    RC_ASSERT(info.blocks_per_sm * static_cast<std::int64_t>(info.shared_allocated_per_block.count) <=
              static_cast<std::int64_t>(info.shared_capacity_per_sm.count));
    RC_ASSERT(info.blocks_per_sm * info.registers_allocated_per_block <= gpu.registers_per_sm);
  }
  RC_ASSERT(info.waves.has_value() == (config.grid_size.has_value() && info.launchable()));
  if (info.waves) {
    RC_ASSERT(*info.waves > 0);
    RC_ASSERT(*info.tail_efficiency > 0);
    RC_ASSERT(*info.tail_efficiency <= 1);
  }
}

RC_GTEST_PROP(OccupancyLaws, ModelOfADeviceAnswersTheSame, ()) {
  GpuProperties gpu = any_gpu();
  // Also a device whose driver reports what the table does not say.
  if (*rc::gen::element(true, false))
    gpu.shared_per_sm = Bytes{static_cast<std::uint64_t>(*rc::gen::inRange(0, 300)) * 1024};
  if (*rc::gen::element(true, false, false)) gpu.max_warps_per_sm = *rc::gen::inRange(1, 70);
  if (*rc::gen::element(true, false, false)) gpu.registers_per_block = *rc::gen::inRange(0, 70000);
  const OccupancyModel model(gpu);
  for (int i = 0; i < 10; ++i) {
    KernelConfig config = any_config();
    if (*rc::gen::element(true, false)) {
      config.caching = GlobalCaching::off;
      config.max_dynamic_shared.reset();
      config.shared_opt_in = true;
    }
    if (*rc::gen::element(true, false)) config.block_size.y = *rc::gen::inRange(1, 5);
    if (*rc::gen::element(true, false)) config.block_size.z = *rc::gen::inRange(1, 70);
    if (*rc::gen::element(true, false)) config.max_threads_per_block = *rc::gen::inRange(1, 1100);
    RC_ASSERT(model.calculate(config) == calculate_occupancy(gpu, config));
  }
}

RC_GTEST_PROP(OccupancyLaws, SuggestionsReallyRaiseIt, ()) {
  const GpuProperties gpu = any_gpu();
  const KernelConfig config = any_config();
  const double before = calculate_occupancy(gpu, config).occupancy;
  for (const auto& suggestion : suggest_occupancy(gpu, config)) {
    RC_ASSERT(!suggestion.changes.empty());
    RC_ASSERT(suggestion.occupancy_before == before);
    RC_ASSERT(suggestion.occupancy_after > before);
    RC_ASSERT(calculate_occupancy(gpu, suggestion.config).occupancy == suggestion.occupancy_after);
    RC_ASSERT(suggestion.describe().find(" -> ") != std::string::npos);
  }
}

// A cut is the least one: one register, byte or barrier more and it does not help.
RC_GTEST_PROP(OccupancyLaws, SuggestedCutsAreTheLeast, ()) {
  const GpuProperties gpu = any_gpu();
  const KernelConfig config = any_config();
  const OccupancyInfo before = calculate_occupancy(gpu, config);
  for (const auto& suggestion : suggest_occupancy(gpu, config)) {
    for (const auto& change : suggestion.changes) {
      KernelConfig less = suggestion.config;
      if (change.what == OccupancyChange::What::registers_per_thread)
        ++less.registers_per_thread;
      else if (change.what == OccupancyChange::What::barriers)
        ++less.barriers;
      else if (change.what == OccupancyChange::What::shared_memory) {
        if (less.shared_memory.count > 0 || less.static_shared_memory == config.static_shared_memory)
          less.shared_memory = less.shared_memory + Bytes{1};
        else
          less.static_shared_memory = less.static_shared_memory + Bytes{1};
      } else
        continue;
      RC_ASSERT(calculate_occupancy(gpu, less).blocks_per_sm <= before.blocks_per_sm);
    }
  }
}

// The forward calculation agrees at the answer, and refuses one byte more.
RC_GTEST_PROP(OccupancyLaws, MaxDynamicSharedIsTheLargest, ()) {
  const GpuProperties gpu = any_gpu();
  KernelConfig config = any_config();
  config.block_size = Dim3{32};
  config.registers_per_thread = 16;
  config.barriers = 0;
  config.caching = GlobalCaching::off;
  const int blocks = *rc::gen::inRange(1, gpu.max_blocks_per_sm + 1);
  const auto blocks_at = [&](std::uint64_t dynamic) {
    config.shared_memory = Bytes{dynamic};
    return calculate_occupancy(gpu, config).limits.shared_memory.value_or(gpu.max_blocks_per_sm);
  };
  const auto answer = max_dynamic_shared_for(gpu, config, blocks);
  if (answer) {
    RC_ASSERT(blocks_at(answer->count) >= blocks);
    RC_ASSERT(blocks_at(answer->count + 1) < blocks);
  } else {
    RC_ASSERT(blocks_at(0) < blocks);
  }
}

RC_GTEST_PROP(OccupancyLaws, BestBlockSizeIsBestOfAll, ()) {
  const GpuProperties gpu = any_gpu();
  KernelConfig config = any_config();
  if (*rc::gen::arbitrary<bool>()) config.max_threads_per_block = *rc::gen::inRange(1, 1025);
  const BlockSizeAnswer answer = best_block_size(gpu, config);
  int most = 0;
  for (int size = 32; size <= 1024; size += 32) {
    config.block_size = Dim3{size};
    most = std::max(most, size * calculate_occupancy(gpu, config).blocks_per_sm);
  }
  RC_ASSERT(answer.block_size * answer.blocks_per_sm >= most);
}

}  // namespace
}  // namespace warpwright
