// Our calculation against NVIDIA's own, field by field, on millions of configurations. NVIDIA's header is used from an
// installed CUDA toolkit and is no part of this project. Its rules differ between releases; the table follows the
// newest one, and what an older header says otherwise is put into the table's row before comparing.
#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <limits>

#include <warpwright/base/rng.hpp>
#include <warpwright/model/occupancy_model.hpp>

#if WARPWRIGHT_TEST_CUDA_RELEASE
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <cuda_occupancy.h>
#pragma GCC diagnostic pop
#endif

namespace warpwright {
namespace {

#if WARPWRIGHT_TEST_CUDA_RELEASE

constexpr int none = std::numeric_limits<int>::max();

// CUDART_VERSION of the header's release: 13050 for 13.5.
constexpr int release = WARPWRIGHT_TEST_CUDA_RELEASE;
constexpr bool has_virtual_resources = release >= 13000;

bool header_knows(const std::string& architecture) {
  if (architecture == "sm_107") return release >= 13040;
  if (architecture == "sm_110") return release >= 13000;
  return true;
}

std::vector<std::string> compared_architectures() {
  std::vector<std::string> names;
  for (const auto& name : known_architectures())
    if (header_knows(name)) names.push_back(name);
  return names;
}

GpuProperties row_for_header(const std::string& architecture) {
  GpuProperties gpu = architecture_properties(architecture);
  if (architecture == "sm_103" && release < 13030) gpu.barriers_per_sm = 64;
  return gpu;
}

cudaOccDeviceProp properties_of(const GpuProperties& gpu) {
  cudaOccDeviceProp device;
  device.computeMajor = gpu.compute_major;
  device.computeMinor = gpu.compute_minor;
  device.maxThreadsPerBlock = gpu.max_threads_per_block;
  device.maxThreadsPerMultiprocessor = gpu.max_warps_per_sm * gpu.warp_size;
  device.regsPerBlock = gpu.registers_per_block;
  device.regsPerMultiprocessor = gpu.registers_per_sm;
  device.warpSize = gpu.warp_size;
  device.sharedMemPerBlock = gpu.shared_per_block.count;
  device.sharedMemPerMultiprocessor = gpu.shared_per_sm.count;
  device.numSms = gpu.sm_count.value_or(1);
  device.sharedMemPerBlockOptin = gpu.shared_per_block_optin.count;
  device.reservedSharedMemPerBlock = gpu.reserved_shared_per_block.count;
  return device;
}

cudaOccFuncAttributes function_of(const GpuProperties& gpu, const KernelConfig& config) {
  cudaOccFuncAttributes function;
  function.maxThreadsPerBlock = config.max_threads_per_block.value_or(none);
  function.numRegs = config.registers_per_thread;
  function.sharedSizeBytes = config.static_shared_memory.count;
  function.partitionedGCConfig = static_cast<cudaOccPartitionedGCConfig>(config.caching);
  function.shmemLimitConfig = config.shared_opt_in ? FUNC_SHMEM_LIMIT_OPTIN : FUNC_SHMEM_LIMIT_DEFAULT;
  // The header knows no default; ours is what the device allows beside the static memory.
  const std::uint64_t most = std::max(gpu.shared_per_block_optin, gpu.shared_per_block).count;
  const std::uint64_t rest = most - std::min(most, config.static_shared_memory.count);
  function.maxDynamicSharedSizeBytes = config.max_dynamic_shared.value_or(Bytes{rest}).count;
  function.numBlockBarriers = config.barriers;
#if WARPWRIGHT_TEST_CUDA_RELEASE >= 13000
  function.virtualResourceCount = config.virtual_resources;
#endif
  return function;
}

cudaOccDeviceState state_of(const KernelConfig& config) {
  cudaOccDeviceState state;
  state.carveoutConfig = config.carveout_percent.value_or(-1);
  return state;
}

std::string describe(const GpuProperties& gpu, const KernelConfig& c) {
  return gpu.name + ": " + std::to_string(c.block_size.x) + " threads, " + std::to_string(c.registers_per_thread) +
         " registers, static " + std::to_string(c.static_shared_memory.count) + ", dynamic " +
         std::to_string(c.shared_memory.count) + ", permitted " +
         (c.max_dynamic_shared ? std::to_string(c.max_dynamic_shared->count) : "-") +
         (c.shared_opt_in ? " opt-in" : "") + ", carve-out " + std::to_string(c.carveout_percent.value_or(-1)) +
         ", barriers " + std::to_string(c.barriers) + ", virtual " + std::to_string(c.virtual_resources) +
         ", caching " + std::string(to_string(c.caching));
}

// True if all fields agree.
bool agree(const GpuProperties& gpu, const OccupancyModel& model, const cudaOccDeviceProp& device,
           const KernelConfig& config) {
  const OccupancyInfo ours = calculate_occupancy(gpu, config);
  if (model.calculate(config) != ours) {
    ADD_FAILURE() << describe(gpu, config) << ": OccupancyModel differs";
    return false;
  }
  const cudaOccFuncAttributes function = function_of(gpu, config);
  const cudaOccDeviceState state = state_of(config);
  cudaOccResult theirs{};
  const auto status = cudaOccMaxActiveBlocksPerMultiprocessor(
      &theirs, &device, &function, &state, static_cast<int>(config.block_size.x), config.shared_memory.count);
  if (status != CUDA_OCC_SUCCESS) {
    ADD_FAILURE() << describe(gpu, config) << ": the header answers with error " << status;
    return false;
  }
  // The header takes its set of factors before barriers come in and does not clear it when they lower the result: it
  // then names factors that no longer limit. The same rule is applied to our limits before comparing.
  const auto& limits = ours.limits;
  const int registers = limits.registers.value_or(none), shared = limits.shared_memory.value_or(none);
  const int barriers = limits.barriers.value_or(none), virtual_resources = limits.virtual_resources.value_or(none);
  const int first = std::min({limits.warps, limits.blocks, registers, shared, virtual_resources});
  unsigned factors = 0;
  if (limits.warps == first) factors |= OCC_LIMIT_WARPS;
  if (registers == first) factors |= OCC_LIMIT_REGISTERS;
  if (shared == first) factors |= OCC_LIMIT_SHARED_MEMORY;
  if (limits.blocks == first) factors |= OCC_LIMIT_BLOCKS;
#if WARPWRIGHT_TEST_CUDA_RELEASE >= 13000
  if (virtual_resources == first) factors |= OCC_LIMIT_VIRTUAL_RESOURCES;
  const int their_virtual = theirs.blockLimitVirtual;
#else
  const int their_virtual = none;
#endif
  if (barriers != none && barriers <= first) factors |= OCC_LIMIT_BARRIERS;
  if (theirs.limitingFactors != factors) {
    ADD_FAILURE() << describe(gpu, config) << ": factors " << theirs.limitingFactors << ", ours "
                  << ours.limiting_factors.to_string();
    return false;
  }
  // And ours are exactly the limits that equal the result.
  for (int i = 0; i < occupancy_resource_count; ++i) {
    const auto resource = static_cast<OccupancyResource>(i);
    if (ours.limiting_factors.contains(resource) != (limits.of(resource).value_or(none) == ours.blocks_per_sm)) {
      ADD_FAILURE() << describe(gpu, config) << ": " << to_string(resource);
      return false;
    }
  }
  const bool same = theirs.activeBlocksPerMultiprocessor == ours.blocks_per_sm &&
                    theirs.blockLimitWarps == limits.warps && theirs.blockLimitBlocks == limits.blocks &&
                    theirs.blockLimitRegs == registers && theirs.blockLimitSharedMem == shared &&
                    theirs.blockLimitBarriers == barriers && their_virtual == virtual_resources &&
                    theirs.allocatedRegistersPerBlock == ours.registers_allocated_per_block &&
                    theirs.allocatedSharedMemPerBlock == ours.shared_allocated_per_block.count &&
                    theirs.partitionedGCConfig == static_cast<cudaOccPartitionedGCConfig>(ours.caching) &&
                    ours.launchable() == (theirs.activeBlocksPerMultiprocessor > 0);
  if (!same)
    ADD_FAILURE() << describe(gpu, config) << ": blocks " << theirs.activeBlocksPerMultiprocessor << " ours "
                  << ours.blocks_per_sm << ", warps " << theirs.blockLimitWarps << " ours " << limits.warps
                  << ", registers " << theirs.blockLimitRegs << " ours " << registers << ", shared "
                  << theirs.blockLimitSharedMem << " ours " << shared << ", barriers " << theirs.blockLimitBarriers
                  << " ours " << barriers << ", virtual " << their_virtual << " ours " << virtual_resources
                  << ", allocated registers " << theirs.allocatedRegistersPerBlock << " ours "
                  << ours.registers_allocated_per_block << ", allocated shared " << theirs.allocatedSharedMemPerBlock
                  << " ours " << ours.shared_allocated_per_block.count << ", caching " << theirs.partitionedGCConfig
                  << " ours " << static_cast<int>(ours.caching);
  return same;
}

// Sizes around every edge: units, carve-outs, caps.
std::uint64_t random_bytes(Rng& rng) {
  switch (rng.below(4)) {
    case 0:
      return 0;
    case 1:
      return rng.below(2048);
    case 2:
      return rng.below(240) * 1024 + rng.below(257) - std::min<std::uint64_t>(128, rng.below(129));
    default:
      return rng.below(250 * 1024);
  }
}

KernelConfig random_config(Rng& rng, bool wide_block = true) {
  KernelConfig config;
  const auto threads = wide_block ? 1 + rng.below(1056) : 32 * (1 + rng.below(33));
  config.block_size = Dim3{static_cast<std::int64_t>(threads)};
  // 256 registers a thread are the header's limit from 7.0 on; no instruction can name more than 255.
  config.registers_per_thread = static_cast<int>(rng.below(256));
  if (rng.below(200) == 0) config.registers_per_thread = 257 + static_cast<int>(rng.below(100));
  const std::uint64_t fixed = random_bytes(rng);
  config.static_shared_memory = Bytes{fixed > (std::uint64_t{1} << 60) ? 0 : fixed};
  const std::uint64_t dynamic = random_bytes(rng);
  config.shared_memory = Bytes{dynamic > (std::uint64_t{1} << 60) ? 0 : dynamic};
  config.shared_opt_in = rng.below(3) != 0;
  // The header knows no default; the one of the function attribute is chosen here as often as others.
  switch (rng.below(3)) {
    case 0:
      config.max_dynamic_shared = config.shared_memory;
      break;
    case 1:
      config.max_dynamic_shared = Bytes{rng.below(240 * 1024)};
      break;
    default:
      config.max_dynamic_shared =
          Bytes{config.static_shared_memory.count > 49152 ? 0 : 49152 - config.static_shared_memory.count};
  }
  if (rng.below(2) == 0) config.carveout_percent = static_cast<int>(rng.below(101));
  config.barriers = rng.below(2) == 0 ? 0 : static_cast<int>(rng.below(17));
  if (rng.below(50) == 0) config.barriers = static_cast<int>(rng.below(80));
  config.virtual_resources = rng.below(4) != 0 || !has_virtual_resources ? 0 : static_cast<int>(rng.below(160));
  config.caching = static_cast<GlobalCaching>(rng.below(3));
  return config;
}

class Oracle : public testing::TestWithParam<std::string> {};

TEST_P(Oracle, AgreesOnEveryBlockAndRegisterCount) {
  const GpuProperties gpu = row_for_header(GetParam());
  const OccupancyModel model(gpu);
  const cudaOccDeviceProp device = properties_of(gpu);
  KernelConfig config;
  for (int threads = 1; threads <= 1056; ++threads)
    for (int registers = 0; registers <= 255; ++registers) {
      config.block_size = Dim3{threads};
      config.registers_per_thread = registers;
      ASSERT_TRUE(agree(gpu, model, device, config));
    }
}

TEST_P(Oracle, AgreesOnRandomConfigurations) {
  const GpuProperties gpu = row_for_header(GetParam());
  const OccupancyModel model(gpu);
  const cudaOccDeviceProp device = properties_of(gpu);
  Rng rng(static_cast<std::uint64_t>(gpu.compute_major * 10 + gpu.compute_minor));
  constexpr int cases = 1'000'000;
  int launchable = 0;
  for (int i = 0; i < cases; ++i) {
    const KernelConfig config = random_config(rng);
    ASSERT_TRUE(agree(gpu, model, device, config)) << "case " << i;
    // The same without what OccupancyModel leaves to the general calculation.
    KernelConfig usual = config;
    usual.shared_opt_in = true;
    usual.max_dynamic_shared.reset();
    usual.caching = GlobalCaching::off;
    usual.virtual_resources = 0;
    ASSERT_TRUE(agree(gpu, model, device, usual)) << "case " << i;
    launchable += model.calculate(config).launchable() ? 1 : 0;
  }
  // A generator that only made refusals, or none, would prove little.
  EXPECT_GT(launchable, cases / 50);
  EXPECT_LT(launchable, cases * 9 / 10);
}

TEST_P(Oracle, AgreesOnTheBestBlockSize) {
  GpuProperties gpu = row_for_header(GetParam());
  gpu.sm_count = 37;
  const OccupancyModel model(gpu);
  const cudaOccDeviceProp device = properties_of(gpu);
  Rng rng(99);
  for (int i = 0; i < 20'000; ++i) {
    KernelConfig config = random_config(rng);
    config.registers_per_thread = std::min(config.registers_per_thread, 255);
    if (rng.below(2) == 0) config.max_threads_per_block = static_cast<int>(1 + rng.below(1024));
    const auto function = function_of(gpu, config);
    const auto state = state_of(config);
    int grid = 0, size = 0;
    ASSERT_EQ(
        cudaOccMaxPotentialOccupancyBlockSize(&grid, &size, &device, &function, &state, config.shared_memory.count),
        CUDA_OCC_SUCCESS);
    const BlockSizeAnswer answer = best_block_size(gpu, config);
    ASSERT_EQ(answer.block_size, size) << describe(gpu, config);
    ASSERT_EQ(answer.min_grid.value_or(0), grid) << describe(gpu, config);
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, Oracle, testing::ValuesIn(compared_architectures()),
                         [](const auto& parameter) { return parameter.param; });

// Before 13.1 the header's own answer to "how much dynamic memory for N blocks" forgets the reserve, and its forward
// calculation contradicts it. Ours holds.
TEST(OracleDefects, AvailableDynamicMemoryForgetsTheReserve) {
  const GpuProperties gpu = architecture_properties("sm_90");
  const auto device = properties_of(gpu);
  KernelConfig config;
  config.registers_per_thread = 32;
  config.max_dynamic_shared = Bytes{232448};
  auto function = function_of(gpu, config);
  const auto state = state_of(config);
  std::size_t answer = 0;
  ASSERT_EQ(cudaOccAvailableDynamicSMemPerBlock(&answer, &device, &function, &state, 2, 256), CUDA_OCC_SUCCESS);
  const bool forgets = release < 13010;
  EXPECT_EQ(answer, forgets ? 116736u : 115712u);
  cudaOccResult result{};
  ASSERT_EQ(cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &function, &state, 256, answer),
            CUDA_OCC_SUCCESS);
  EXPECT_EQ(result.activeBlocksPerMultiprocessor, forgets ? 1 : 2);
  EXPECT_EQ(max_dynamic_shared_for(gpu, config, 2), Bytes{115712});
}

#else

TEST(Oracle, ComparesWithNvidiasHeader) {
  GTEST_SKIP() << "cuda_occupancy.h was not found when this was built: install a CUDA toolkit's headers "
                  "(cuda-cudart-dev), or set CUDA_HOME, and configure again";
}

#endif

}  // namespace
}  // namespace warpwright
