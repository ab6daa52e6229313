// What only a real GPU can show, beyond the contract that every backend keeps.
#include "gpu.hpp"

#include <gmock/gmock.h>
#include <numeric>

namespace warpwright::cuda {
namespace {

using device::KernelArgument;
using device::ScalarArgument;
using ::testing::HasSubstr;

const char* const source = R"(
extern "C" __global__ void add(float* c, const float* a, const float* b, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}
extern "C" __global__ void reverse_shared(int* data) {
  extern __shared__ int tile[];
  const int n = blockDim.x;
  for (int i = threadIdx.x; i < n; i += blockDim.x) tile[i] = data[i];
  __syncthreads();
  data[threadIdx.x] = tile[n - 1 - threadIdx.x];
}
extern "C" __global__ void fill_shared(int* result, int words) {
  extern __shared__ int tile[];
  for (int i = threadIdx.x; i < words; i += blockDim.x) tile[i] = i;
  __syncthreads();
  if (threadIdx.x == 0) *result = tile[words - 1];
}
extern "C" __global__ void __launch_bounds__(128) bounded(int* data) { data[threadIdx.x] = 1; }
__constant__ int coefficients[4];
extern "C" __global__ void constants(int* data) { data[threadIdx.x] = coefficients[threadIdx.x % 4]; }
extern "C" __global__ void spin(long long cycles, int* out) {
  const long long start = clock64();
  while (clock64() - start < cycles) {}
  if (threadIdx.x == 1025) *out = 1;
}
template <int N> __global__ void scaled(int* data) { data[threadIdx.x] = N * (int)threadIdx.x; }
)";

class CudaGpu : public GpuTest {};

TEST_F(CudaGpu, DeviceInfoIsPlausible) {
  const DeviceInfo& info = context->device();
  EXPECT_EQ(info.warp_size, 32);
  EXPECT_GE(info.multiprocessors, 1);
  EXPECT_GE(info.shared_limit().count, 49152u);
  EXPECT_GT(info.global_memory.count, std::uint64_t{1} << 28);
  EXPECT_THAT(info.architecture, ::testing::MatchesRegex("sm_[0-9]+"));
  EXPECT_THAT(info.uuid, ::testing::MatchesRegex("(GPU|MIG)-[0-9a-f-]+"));
  EXPECT_THAT(info.pci_bus_id, ::testing::MatchesRegex("[0-9a-f]+:[0-9a-f]+:[0-9a-f]+.[0-9]"));
  EXPECT_THAT(info.toolkit, ::testing::StartsWith("NVRTC "));
  EXPECT_TRUE(info.supports_graphs);
  // The published limits of one architecture.
  if (info.architecture == "sm_90") {
    EXPECT_EQ(compiler->target(), "sm_90a");
    EXPECT_EQ(info.shared_limit(), Bytes{227 * 1024});
    EXPECT_EQ(info.shared_per_multiprocessor, Bytes{228 * 1024});
    EXPECT_EQ(info.reserved_shared_per_block, Bytes{1024});
    EXPECT_EQ(info.max_threads_per_multiprocessor, 2048);
    EXPECT_EQ(info.max_blocks_per_multiprocessor, 32);
    EXPECT_TRUE(info.supports_clusters);
  }
  RecordProperty("device", info.name);
  RecordProperty("driver", info.driver);
}

TEST_F(CudaGpu, AddsVectorsAndTellsTheTime) {
  const int n = 1 << 20;
  std::vector<float> a(n), b(n);
  std::iota(a.begin(), a.end(), 0.0f);
  std::iota(b.begin(), b.end(), 100.0f);
  const auto da = upload(a), db = upload(b);
  const auto dc = context->allocate(Bytes{n * sizeof(float)});
  const auto module = context->load(compile(source, {"add"}));
  const auto kernel = module->kernel("add");
  const auto start = context->create_event(), end = context->create_event();
  const KernelArgument arguments[] = {dc.get(), da.get(), db.get(), ScalarArgument::of(n)};
  stream->record(*start);
  stream->launch(*kernel, geometry((n + 255) / 256, 256), arguments);
  stream->record(*end);
  const auto c = download<float>(*dc);
  for (int i = 0; i < n; i += 1000) EXPECT_EQ(c[static_cast<std::size_t>(i)], 2.0f * static_cast<float>(i) + 100.0f);
  EXPECT_TRUE(end->done());
  EXPECT_GT(end->elapsed_since(*start).count(), 0);
  EXPECT_LT(end->elapsed_since(*start).count(), 1e9);
}

TEST_F(CudaGpu, CompilerAndDriverAgreeOnResources) {
  const auto binary = compile(source, {"add", "bounded", "constants", "scaled<3>"});
  const auto module = context->load(binary);
  for (const auto& compiled : binary.resources) {
    const auto loaded = module->kernel(compiled.entry)->resources();
    EXPECT_EQ(loaded.registers_per_thread, compiled.registers_per_thread) << compiled.entry;
    EXPECT_EQ(loaded.static_shared, compiled.static_shared) << compiled.entry;
    EXPECT_EQ(loaded.local_per_thread, compiled.local_per_thread) << compiled.entry;
  }
  EXPECT_EQ(module->kernel("bounded")->resources().max_threads_per_block, 128);
  const auto data = context->allocate(Bytes{32 * sizeof(int)});
  const KernelArgument arguments[] = {data.get()};
  stream->launch(*module->kernel("scaled<3>"), geometry(1, 32), arguments);
  EXPECT_EQ(download<int>(*data)[31], 93);
}

TEST_F(CudaGpu, DynamicSharedMemoryUpToTheLimitAndNotBeyond) {
  const auto module = context->load(compile(source, {"fill_shared"}));
  const auto kernel = module->kernel("fill_shared");
  const auto result = upload(std::vector<int>{-1});
  const std::uint64_t limit = context->device().shared_limit().count;
  for (const std::uint64_t bytes : {std::uint64_t{1024}, std::uint64_t{65536}, limit}) {
    if (bytes > limit) continue;
    const int words = static_cast<int>(bytes / sizeof(int));
    const KernelArgument arguments[] = {result.get(), ScalarArgument::of(words)};
    stream->launch(*kernel, geometry(1, 256, bytes), arguments);
    EXPECT_EQ(download<int>(*result)[0], words - 1) << bytes;
    EXPECT_GE(kernel->max_active_blocks(256, Bytes{bytes}).value_or(1), 1) << bytes;
  }
  const KernelArgument arguments[] = {result.get(), ScalarArgument::of(1)};
  const Error error = error_of([&] { stream->launch(*kernel, geometry(1, 256, limit + 4), arguments); });
  EXPECT_EQ(error.code(), ErrorCode::launch);
  EXPECT_THAT(error.what(), HasSubstr(std::to_string(limit)));
  EXPECT_EQ(kernel->max_active_blocks(256, Bytes{limit + 4}), 0);
  stream->launch(*kernel, geometry(1, 256, 1024), arguments);
  stream->synchronize();
}

TEST_F(CudaGpu, RefusedLaunchesLeaveTheContextUsable) {
  const auto module = context->load(compile(source, {"bounded"}));
  const auto kernel = module->kernel("bounded");
  const auto data = context->allocate(Bytes{1024 * sizeof(int)});
  const KernelArgument arguments[] = {data.get()};
  const Error error = error_of([&] { stream->launch(*kernel, geometry(1, 256), arguments); });
  EXPECT_EQ(error.code(), ErrorCode::launch) << error.what();
  EXPECT_THAT(error.what(), HasSubstr("allows at most 128"));
  ASSERT_TRUE(error.native().has_value());
  RecordProperty("refused_with", error.native()->name);
  EXPECT_EQ(kernel->max_active_blocks(256, Bytes{0}), 0);
  device::LaunchConfig tall = geometry(1, 32);
  tall.grid = {1, 70000, 1};
  EXPECT_EQ(error_of([&] { stream->launch(*kernel, tall, arguments); }).code(), ErrorCode::launch);
  stream->launch(*kernel, geometry(1, 128), arguments);
  stream->synchronize();
  EXPECT_EQ(download<int>(*data)[127], 1);
}

TEST_F(CudaGpu, WrongArgumentsAreFoundBeforeTheLaunch) {
  const auto module = context->load(compile(source, {"add"}));
  const auto kernel = module->kernel("add");
  const auto data = context->allocate(Bytes{64});
  const KernelArgument arguments[] = {data.get(), data.get(), data.get(), ScalarArgument::of(1.0)};
  try {
    stream->launch(*kernel, geometry(1, 32), arguments);
    // Only drivers before CUDA 12.4 do not tell; a double in place of an int is harmless there.
    stream->synchronize();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_THAT(error.what(), HasSubstr("argument 3"));
  }
}

TEST_F(CudaGpu, SymbolsOfConstantMemory) {
  const auto module = context->load(compile(source, {"constants"}));
  const auto symbol = module->symbol("coefficients");
  ASSERT_NE(symbol, nullptr);
  EXPECT_EQ(symbol->size(), Bytes{16});
  const int values[] = {3, 1, 4, 1};
  stream->copy_to_device(*symbol, Bytes{0}, std::as_bytes(std::span(values)));
  const auto data = context->allocate(Bytes{8 * sizeof(int)});
  const KernelArgument arguments[] = {data.get()};
  stream->launch(*module->kernel("constants"), geometry(1, 8), arguments);
  EXPECT_EQ(download<int>(*data), (std::vector<int>{3, 1, 4, 1, 3, 1, 4, 1}));
  EXPECT_EQ(module->symbol("no_such_variable"), nullptr);
}

TEST_F(CudaGpu, GraphsRepeatWhatWasRecorded) {
  const auto module = context->load(compile("extern \"C\" __global__ void count(int* n) { *n += 1; }", {"count"}));
  const auto kernel = module->kernel("count");
  const auto n = upload(std::vector<int>{0});
  const KernelArgument arguments[] = {n.get()};
  const auto graph = context->record_graph(*stream, [&] {
    for (int i = 0; i < 10; ++i) stream->launch(*kernel, geometry(1, 1), arguments);
  });
  EXPECT_EQ(download<int>(*n)[0], 0) << "recording runs nothing";
  for (int i = 0; i < 5; ++i) stream->launch(*graph);
  EXPECT_EQ(download<int>(*n)[0], 50);
  EXPECT_EQ(error_of([&] { context->record_graph(*stream, [&] { stream->synchronize(); }); }).code(),
            ErrorCode::conflict);
  stream->launch(*kernel, geometry(1, 1), arguments);
  EXPECT_EQ(download<int>(*n)[0], 51);
}

TEST_F(CudaGpu, CooperativeLaunches) {
  const auto module = context->load(compile(source, {"spin"}));
  const auto kernel = module->kernel("spin");
  const auto out = upload(std::vector<int>{0});
  const KernelArgument arguments[] = {ScalarArgument::of(1000LL), out.get()};
  auto config = geometry(context->device().multiprocessors, 64);
  config.cooperative = true;
  if (!context->device().supports_cooperative_launch) GTEST_SKIP() << "the device has no cooperative launches";
  stream->launch(*kernel, config, arguments);
  stream->synchronize();
  config.grid = {1 << 20, 1, 1};
  const Error error = error_of([&] { stream->launch(*kernel, config, arguments); });
  EXPECT_EQ(error.code(), ErrorCode::launch) << error.what();
  config.grid = {1, 1, 1};
  stream->launch(*kernel, config, arguments);
  stream->synchronize();
}

TEST_F(CudaGpu, Clusters) {
  if (!context->device().supports_clusters) GTEST_SKIP() << "the device has no thread block clusters";
  const auto module =
      context->load(compile("extern \"C\" __global__ void rank(unsigned* out) {\n"
                            "  unsigned r, n;\n"
                            "  asm volatile(\"mov.u32 %0, %%cluster_ctarank;\" : \"=r\"(r));\n"
                            "  asm volatile(\"mov.u32 %0, %%cluster_nctarank;\" : \"=r\"(n));\n"
                            "  out[blockIdx.x] = n * 100 + r;\n"
                            "}",
                            {"rank"}));
  const auto kernel = module->kernel("rank");
  const auto out = context->allocate(Bytes{16 * sizeof(unsigned)});
  const KernelArgument arguments[] = {out.get()};
  auto config = geometry(16, 32);
  config.cluster = {4, 1, 1};
  stream->launch(*kernel, config, arguments);
  auto ranks = download<unsigned>(*out);
  EXPECT_EQ(ranks[0], 400u);
  EXPECT_EQ(ranks[7], 403u);
  config.cluster = {3, 1, 1};
  const Error error = error_of([&] { stream->launch(*kernel, config, arguments); });
  EXPECT_EQ(error.code(), ErrorCode::launch) << error.what();
  EXPECT_THAT(error.what(), HasSubstr("multiple of the cluster"));
  // More than the portable size: either the GPU can place it or it says so; the context survives.
  config.cluster = {16, 1, 1};
  try {
    stream->launch(*kernel, config, arguments);
    ranks = download<unsigned>(*out);
    EXPECT_EQ(ranks[15], 1615u);
  } catch (const Error& refused) {
    EXPECT_EQ(refused.code(), ErrorCode::launch) << refused.what();
  }
  config.cluster = {2, 1, 1};
  stream->launch(*kernel, config, arguments);
  EXPECT_EQ(download<unsigned>(*out)[1], 201u);
}

// ptxas accepts more than 48 KB of static shared memory for targets with an "a", and an H100 with driver 580 runs it
// (measured). Whatever another driver makes of it, it must be a result or a refusal.
TEST_F(CudaGpu, LargeStaticSharedMemoryIsRunOrRefused) {
  Binary binary;
  try {
    binary = compile(
        "extern \"C\" __global__ void big(int* a) { __shared__ int t[16384];\n"
        "for (int i = threadIdx.x; i < 16384; i += blockDim.x) t[i] = i; __syncthreads();\n"
        "a[threadIdx.x] = t[16383 - threadIdx.x]; }",
        {"big"});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::compile);
    RecordProperty("static_64_kb", "refused by the compiler");
    return;
  }
  const auto data = context->allocate(Bytes{32 * sizeof(int)});
  const KernelArgument arguments[] = {data.get()};
  try {
    const auto module = context->load(binary);
    stream->launch(*module->kernel("big"), geometry(1, 32), arguments);
    EXPECT_EQ(download<int>(*data)[0], 16383);
    RecordProperty("static_64_kb", "runs");
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == ErrorCode::launch || error.code() == ErrorCode::bad_input) << error.what();
    RecordProperty("static_64_kb", error.what());
  }
  stream->synchronize();
}

TEST_F(CudaGpu, ModulesAreUnloaded) {
  const auto binary = compile(source, {"add"});
  context->load(binary)->kernel("add");
  const auto before = context->memory_use();
  for (int i = 0; i < 2000; ++i) context->load(binary)->kernel("add");
  const auto after = context->memory_use();
  const auto grown = before->free.count - std::min(before->free.count, after->free.count);
  EXPECT_LT(grown, std::uint64_t{32} << 20);
}

TEST_F(CudaGpu, ABinaryOfAnotherArchitectureIsRefused) {
  const std::string other = context->device().architecture == "sm_80" ? "sm_90" : "sm_80";
  device::CompileJob job;
  job.source = source;
  job.entries = {"add"};
  const auto binary = make_nvrtc_compiler(other)->compile(job);
  const Error error = error_of([&] { context->load(binary); });
  EXPECT_EQ(error.code(), ErrorCode::bad_input) << error.what();
  EXPECT_THAT(error.what(), HasSubstr(other));
  context->load(compile(source, {"add"}))->kernel("add");
}

TEST_F(CudaGpu, StreamsAndEventsOrderWork) {
  const auto module = context->load(compile(source, {"spin"}));
  const auto kernel = module->kernel("spin");
  const auto out = upload(std::vector<int>{0});
  const auto other = context->create_stream();
  const auto event = context->create_event();
  const KernelArgument arguments[] = {ScalarArgument::of(100'000'000LL), out.get()};  // about 50 ms
  stream->launch(*kernel, geometry(1, 32), arguments);
  stream->record(*event);
  EXPECT_FALSE(event->done());
  EXPECT_FALSE(stream->idle());
  EXPECT_TRUE(other->idle()) << "another stream is not held up";
  other->wait(*event);
  other->fill(*out, Bytes{0}, Bytes{4}, 1);
  EXPECT_FALSE(other->idle());
  const auto later = context->create_event();
  stream->record(*later);
  EXPECT_EQ(error_of([&] { later->elapsed_since(*event); }).code(), ErrorCode::conflict);
  other->synchronize();
  EXPECT_TRUE(event->done());
  context->synchronize();
  EXPECT_EQ(download<int>(*out)[0], 0x01010101);
}

TEST_F(CudaGpu, TelemetryReadsClocks) {
  const auto telemetry = backend->telemetry(context->device());
  if (telemetry == nullptr) GTEST_SKIP() << "NVML is not there";
  const auto sample = telemetry->sample();
  EXPECT_TRUE(sample.sm_clock_mhz.has_value());
  EXPECT_TRUE(sample.temperature_celsius.has_value());
  if (sample.sm_clock_mhz) {
    EXPECT_GT(*sample.sm_clock_mhz, 50);
  }
  if (sample.temperature_celsius) {
    EXPECT_GT(*sample.temperature_celsius, 5);
    EXPECT_LT(*sample.temperature_celsius, 120);
  }
  for (const auto& words : telemetry->throttling(sample)) RecordProperty("throttled", words);
}

}  // namespace
}  // namespace warpwright::cuda
