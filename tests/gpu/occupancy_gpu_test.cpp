// The occupancy calculation against the driver of a real GPU: its own query, its answer to launches, and blocks that
// meet on the device. With WARPWRIGHT_OCCUPANCY_REPORT=FILE the counts are written there as JSON.
#include <algorithm>
#include <filesystem>
#include <future>
#include <gmock/gmock.h>
#include <map>

#include <warpwright/base/files.hpp>
#include <warpwright/cuda/binaries.hpp>
#include <warpwright/measure/kernel_job.hpp>
#include <warpwright/spec/read.hpp>
#include <warpwright/store/json.hpp>
#include <warpwright/tuning/kernel_tuner.hpp>

#include "gpu.hpp"

namespace warpwright::cuda {
namespace {

using device::KernelArgument;
using device::ScalarArgument;
using store::Json;

// One translation unit with every combination of static shared memory and barriers; registers follow from
// -maxrregcount, because the kernel keeps more values alive than any limit allows. Nothing of it runs when n is 0.
constexpr int static_sizes[] = {0, 1000, 16384, 49152};
constexpr int barrier_counts[] = {1, 7, 16};

std::string name_of(int bytes, int barriers) { return "k_" + std::to_string(bytes) + "_" + std::to_string(barriers); }

std::string variants_source() {
  std::string source = R"(
__device__ __forceinline__ void heavy(float* a, int n) {
  float x[224];
#pragma unroll
  for (int i = 0; i < 224; ++i) x[i] = a[i * 32 + threadIdx.x];
  for (int k = 0; k < n; ++k) {
    const float f = a[k];
#pragma unroll
    for (int i = 0; i < 224; ++i) x[i] = x[i] * x[(i + 7) % 224] + f;
  }
#pragma unroll
  for (int i = 0; i < 224; ++i) a[i * 32 + threadIdx.x] = x[i];
}
)";
  for (const int bytes : static_sizes)
    for (const int barriers : barrier_counts) {
      source += "extern \"C\" __global__ void " + name_of(bytes, barriers) +
                "(float* a, int n) {\n  if (n == 0) return;\n  heavy(a, n);\n";
      if (bytes > 0)
        source += "  __shared__ char s[" + std::to_string(bytes) + "];\n  s[(threadIdx.x * 7 + n) % " +
                  std::to_string(bytes) + "] = (char)n;\n";
      source += "  __syncthreads();\n";
      if (barriers > 1) source += "  asm volatile(\"bar.sync " + std::to_string(barriers - 1) + ", 32;\");\n";
      if (bytes > 0) source += "  a[threadIdx.x] += s[(threadIdx.x * 3 + n) % " + std::to_string(bytes) + "];\n";
      source += "}\n";
    }
  return source;
}

class OccupancyOnGpu : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    if (context == nullptr) return;
    const auto gpu = device_properties(context->device());
    if (!gpu) GTEST_SKIP() << unknown_occupancy_reason(context->device());
    tuner.emplace(KernelTuner::for_device(context->device()));
    for (const auto& note : gpu->notes) ADD_FAILURE() << "table and driver differ: " << note;
  }

  // Everything of a launch that decides occupancy, from what the driver says of the kernel; barriers only the binary
  // tells.
  static KernelConfig question(const KernelResources& driver, const KernelResources& compiled, std::int64_t threads,
                               std::uint64_t dynamic) {
    KernelConfig config;
    config.block_size = Dim3{threads};
    config.shared_memory = Bytes{dynamic};
    config = config.with_resources(compiled).with_resources(driver);
    return config;
  }

  static void report(const std::string& key, Json value) {
    const char* file = std::getenv("WARPWRIGHT_OCCUPANCY_REPORT");
    if (file == nullptr) return;
    Json whole = std::filesystem::exists(file) ? Json::parse(read_file(file)) : Json::object();
    whole[key] = std::move(value);
    write_file_atomically(file, whole.dump(2) + "\n");
  }
  Json device_json() const {
    const DeviceInfo& info = context->device();
    return Json{
        {"name", info.name}, {"architecture", info.architecture}, {"driver", info.driver}, {"toolkit", info.toolkit}};
  }

  std::optional<KernelTuner> tuner;
};

TEST_F(OccupancyOnGpu, BlocksPerSmAreThoseOfTheDriver) {
  const std::string source = variants_source();
  std::vector<std::string> entries;
  for (const int bytes : static_sizes)
    for (const int barriers : barrier_counts) entries.push_back(name_of(bytes, barriers));
  const std::int64_t blocks[] = {1,   32,  33,  64,  96,  100, 128, 160, 192,  250,
                                 256, 288, 320, 384, 512, 576, 640, 768, 1000, 1024};
  const std::uint64_t dynamic_sizes[] = {0, 1000, 8192, 30000, 60000, 115712, 115713, 183000};
  std::uint64_t cases = 0, differences = 0, zero = 0, launches = 0, refused = 0;
  std::map<int, int> registers_seen;
  const auto data = context->allocate(Bytes{1 << 20});
  const KernelArgument arguments[] = {data.get(), ScalarArgument::of(0)};
  // Compiling takes most of the time of this test.
  std::vector<std::future<Binary>> binaries;
  for (const int most : {24, 32, 40, 48, 56, 64, 72, 80, 96, 104, 128, 152, 168, 200, 224, 255}) {
    device::CompileJob job;
    job.source = source;
    job.file_name = "variants.cu";
    job.entries = entries;
    job.options = {"-maxrregcount=" + std::to_string(most)};
    binaries.push_back(std::async(std::launch::async, [this, job = std::move(job)] {
      return backend->compiler(context->device())->compile(job);
    }));
  }
  for (auto& compiling : binaries) {
    const Binary binary = compiling.get();
    const auto module = context->load(binary);
    for (const auto& compiled : binary.resources) {
      const auto kernel = module->kernel(compiled.entry);
      const KernelResources driver = kernel->resources();
      EXPECT_EQ(driver.registers_per_thread, compiled.registers_per_thread) << compiled.entry;
      EXPECT_EQ(driver.static_shared, compiled.static_shared) << compiled.entry;
      EXPECT_EQ(driver.local_per_thread, compiled.local_per_thread) << compiled.entry;
      ++registers_seen[*driver.registers_per_thread];
      for (const std::int64_t threads : blocks)
        for (const std::uint64_t dynamic : dynamic_sizes) {
          const KernelConfig config = question(driver, compiled, threads, dynamic);
          const OccupancyInfo ours = tuner->calculate_occupancy(config);
          const auto theirs = kernel->max_active_blocks(threads, Bytes{dynamic});
          ASSERT_TRUE(theirs) << "the driver has no occupancy query";
          ++cases;
          zero += *theirs == 0 ? 1u : 0u;
          if (*theirs != ours.blocks_per_sm) {
            ++differences;
            if (differences <= 20)
              ADD_FAILURE() << compiled.entry << ": " << threads << " threads, " << config.registers_per_thread
                            << " registers, " << config.static_shared_memory.count << " + " << dynamic << " bytes, "
                            << config.barriers << " barriers: the driver says " << *theirs << ", ours is "
                            << ours.blocks_per_sm << " (warps " << ours.limits.warps << ", registers "
                            << ours.limits.registers.value_or(-1) << ", shared "
                            << ours.limits.shared_memory.value_or(-1) << ", barriers "
                            << ours.limits.barriers.value_or(-1) << ") " << tuner->refusal_reason(config);
          }
          // A launch succeeds exactly where the calculation has a block.
          device::LaunchConfig launch = geometry(1, threads, dynamic);
          bool ran = true;
          try {
            stream->launch(*kernel, launch, arguments);
          } catch (const Error& error) {
            ASSERT_EQ(error.code(), ErrorCode::launch) << error.what();
            ran = false;
          }
          ++launches;
          refused += ran ? 0u : 1u;
          EXPECT_EQ(ran, ours.launchable()) << compiled.entry << ": " << threads << " threads, " << dynamic
                                            << " bytes of dynamic shared memory: " << tuner->refusal_reason(config);
        }
      stream->synchronize();
    }
  }
  EXPECT_GE(cases, 3000u);
  EXPECT_GE(registers_seen.size(), 10u) << "the kernels were to differ in registers";
  EXPECT_GT(refused, 0u);
  EXPECT_EQ(differences, 0u);
  Json registers = Json::array();
  for (const auto& [count, kernels] : registers_seen) registers.push_back(count);
  RecordProperty("cases", std::to_string(cases));
  RecordProperty("differences", std::to_string(differences));
  report("device", device_json());
  report("blocks_per_sm", {{"oracle", "cuOccupancyMaxActiveBlocksPerMultiprocessor"},
                           {"cases", cases},
                           {"differences", differences},
                           {"cases_with_0_blocks", zero},
                           {"launches", launches},
                           {"launches_refused", refused},
                           {"registers_per_thread", std::move(registers)}});
}

// 9 warps of 224 registers are refused by the driver itself, although 64 K registers would seem enough: the worked case
// of the launch check.
TEST_F(OccupancyOnGpu, TheDriverRefusesWhatTheLaunchCheckRefuses) {
  const char* source = R"(
extern "C" __global__ void wide(float* a, int n) {
  if (n == 0) return;
  float x[224];
#pragma unroll
  for (int i = 0; i < 224; ++i) x[i] = a[i * 32 + threadIdx.x];
  for (int k = 0; k < n; ++k) {
#pragma unroll
    for (int i = 0; i < 224; ++i) x[i] = x[i] * x[(i + 7) % 224] + a[k];
  }
#pragma unroll
  for (int i = 0; i < 224; ++i) a[i * 32 + threadIdx.x] = x[i];
}
)";
  device::CompileJob job;
  job.source = source;
  job.file_name = "wide.cu";
  job.entries = {"wide"};
  job.options = {"-maxrregcount=224"};
  const auto binary = compiler->compile(job);
  const int registers = binary.resources.at(0).registers_per_thread.value_or(0);
  if (registers <= 216) GTEST_SKIP() << "the compiler found a way with " << registers << " registers";
  const auto module = context->load(binary);
  const auto kernel = module->kernel("wide");
  KernelConfig config{288, 1, Bytes{0}, registers};
  EXPECT_EQ(tuner->calculate_occupancy(config).refusal, LaunchRefusal::registers_per_block);
  EXPECT_GE(naive_blocks_per_sm(tuner->properties(), config), 1) << "by the naive formula it would fit";
  const auto data = context->allocate(Bytes{1 << 20});
  const KernelArgument arguments[] = {data.get(), ScalarArgument::of(0)};
  const Error error = error_of([&] { stream->launch(*kernel, geometry(1, 288), arguments); });
  EXPECT_EQ(error.code(), ErrorCode::launch);
  ASSERT_TRUE(error.native()) << error.what();
  report("launch_check", {{"threads", 288}, {"registers", registers}, {"driver", error.native()->name}});
  stream->launch(*kernel, geometry(1, 256), arguments);
  stream->synchronize();
}

// As many blocks as reported are on the device at the same time: each waits until all have come.
const char* const meeting_source = R"(
extern "C" __global__ void meet(unsigned* arrived, unsigned* missed, unsigned all, long long patience) {
  extern __shared__ int room[];
  if (threadIdx.x == 0) {
    if (patience == 1) room[0] = 1;
    atomicAdd(arrived, 1u);
    const long long start = clock64();
    while (atomicAdd(arrived, 0u) < all) {
      if (clock64() - start > patience) {
        atomicAdd(missed, 1u);
        break;
      }
    }
  }
}
)";
constexpr long long patience_cycles = 1'000'000'000;  // about half a second

TEST_F(OccupancyOnGpu, TheBlocksOfAWaveMeet) {
  const auto binary = compile(meeting_source, {"meet"});
  const auto module = context->load(binary);
  const auto kernel = module->kernel("meet");
  Json rows = Json::array();
  for (const std::int64_t threads : {64, 256, 1024})
    for (const std::uint64_t dynamic : {std::uint64_t{0}, std::uint64_t{40000}, std::uint64_t{98000}}) {
      if (dynamic > context->device().shared_limit().count) continue;
      const KernelConfig config = question(kernel->resources(), binary.resources.at(0), threads, dynamic);
      const OccupancyInfo info = tuner->calculate_occupancy(config);
      const auto all = static_cast<unsigned>(info.blocks_per_sm * *tuner->properties().sm_count);
      const auto counters = upload(std::vector<unsigned>{0, 0});
      const auto missed = upload(std::vector<unsigned>{0});
      const KernelArgument arguments[] = {counters.get(), missed.get(), ScalarArgument::of(all),
                                          ScalarArgument::of(patience_cycles)};
      stream->launch(*kernel, geometry(all, threads, dynamic), arguments);
      EXPECT_EQ(download<unsigned>(*missed)[0], 0u)
          << threads << " threads, " << dynamic << " bytes, " << all << " blocks";
      EXPECT_EQ(download<unsigned>(*counters)[0], all);
      rows.push_back({{"threads", threads},
                      {"dynamic_shared_bytes", dynamic},
                      {"blocks", all},
                      {"missed", download<unsigned>(*missed)[0]}});
    }
  report("residency", std::move(rows));
}

TEST_F(OccupancyOnGpu, ReportedClustersMeetAndIllegalOnesAreRefused) {
  if (!context->device().supports_clusters) GTEST_SKIP() << context->device().name << " has no clusters";
  const auto binary = compile(meeting_source, {"meet"});
  const auto module = context->load(binary);
  const auto kernel = module->kernel("meet");
  Json rows = Json::array();
  for (const std::int64_t size : {1, 2, 4, 8, 16}) {
    // A block large enough that few share an SM, so that the cluster's place decides.
    device::LaunchConfig launch = geometry(size, 1024, 0);
    launch.cluster = {size, 1, 1};
    std::optional<int> clusters;
    try {
      clusters = kernel->max_active_clusters(launch);
    } catch (const Error& error) {
      EXPECT_GT(size, 8) << error.what();
      EXPECT_EQ(error.code(), ErrorCode::launch);
      rows.push_back({{"cluster", size}, {"refused", error.message()}});
      continue;
    }
    ASSERT_TRUE(clusters);
    EXPECT_GT(*clusters, 0) << size;
    const auto all = static_cast<unsigned>(*clusters * size);
    const auto arrived = upload(std::vector<unsigned>{0});
    const auto missed = upload(std::vector<unsigned>{0});
    const KernelArgument arguments[] = {arrived.get(), missed.get(), ScalarArgument::of(all),
                                        ScalarArgument::of(patience_cycles)};
    launch.grid = {all, 1, 1};
    stream->launch(*kernel, launch, arguments);
    EXPECT_EQ(download<unsigned>(*missed)[0], 0u) << *clusters << " clusters of " << size;
    EXPECT_EQ(download<unsigned>(*arrived)[0], all);
    rows.push_back({{"cluster", size}, {"active_clusters", *clusters}, {"missed", download<unsigned>(*missed)[0]}});
    EXPECT_TRUE(tuner
                    ->calculate_occupancy([&] {
                      KernelConfig config{1024};
                      config.cluster_size = Dim3{size};
                      return config;
                    }())
                    .clusters_unknown == (size > 1))
        << "without the driver nothing is claimed";
  }
  for (const std::int64_t size : {17, 32}) {
    device::LaunchConfig launch = geometry(size, 128, 0);
    launch.cluster = {size, 1, 1};
    // The driver's own query answers with a number here; the launch is refused.
    const Error refusal = error_of([&] { kernel->max_active_clusters(launch); });
    EXPECT_EQ(refusal.code(), ErrorCode::launch) << refusal.what();
    const auto arrived = upload(std::vector<unsigned>{0});
    const KernelArgument arguments[] = {arrived.get(), arrived.get(), ScalarArgument::of(1u),
                                        ScalarArgument::of(patience_cycles)};
    const Error error = error_of([&] { stream->launch(*kernel, launch, arguments); });
    EXPECT_EQ(error.code(), ErrorCode::launch) << error.what();
    rows.push_back({{"cluster", size}, {"refused", error.message()}});
  }
  report("clusters", std::move(rows));
}

// Resources read from the binary without a device equal those of the driver for the same binary, and so does occupancy.
TEST_F(OccupancyOnGpu, ExampleKernelsHaveTheResourcesTheirBinariesTell) {
  Json rows = Json::array();
  for (const auto& folder : std::filesystem::directory_iterator(WARPWRIGHT_EXAMPLES)) {
    const auto file = folder.path() / (folder.path().filename().string() + ".toml");
    if (!std::filesystem::exists(file)) continue;
    SCOPED_TRACE(file.string());
    const Problem problem = spec::read(file).for_device(context->device());
    if (problem.source.find("cuda") == nullptr) continue;
    const Configuration baseline = problem.baseline_configuration();
    const auto binary = compiler->compile(measure::kernel_job(problem, baseline, context->device()));
    const CubinDescription told = describe_cubin(binary.image);
    const auto module = context->load(binary);
    const auto names = measure::entry_names(problem, baseline);
    for (std::size_t i = 0; i < problem.launches.size(); ++i) {
      const auto kernel = module->kernel(names[i]);
      const KernelResources driver = kernel->resources();
      const KernelResources& ours = find_kernel(told, binary.symbols.at(names[i]));
      EXPECT_EQ(ours.registers_per_thread, driver.registers_per_thread) << names[i];
      EXPECT_EQ(ours.static_shared, driver.static_shared) << names[i];
      EXPECT_EQ(ours.local_per_thread, driver.local_per_thread) << names[i];
      const LaunchGeometry shape = evaluate_geometry(problem.launches[i], problem.scope(baseline));
      KernelConfig config;
      config.block_size = Dim3(shape.block);
      config.shared_memory = shape.dynamic_shared;
      const int blocks = tuner->calculate_occupancy(config.with_resources(ours)).blocks_per_sm;
      EXPECT_EQ(blocks, kernel->max_active_blocks(config.block_size.count(), shape.dynamic_shared)) << names[i];
      rows.push_back({{"kernel", problem.name},
                      {"entry", names[i]},
                      {"registers", *driver.registers_per_thread},
                      {"static_shared_bytes", driver.static_shared.value_or(Bytes{}).count},
                      {"blocks_per_sm", blocks}});
    }
  }
  EXPECT_GE(rows.size(), 9u);
  report("example_kernels", std::move(rows));
}

}  // namespace
}  // namespace warpwright::cuda
