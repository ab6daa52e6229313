// Contexts, streams, modules and launches on a fake driver: what they do, what they say, and that any call may fail.
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>

#include "backend_impl.hpp"
#include "cubin_builder.hpp"
#include "error_of.hpp"
#include "fake_driver.hpp"

namespace warpwright::cuda {
namespace {

using device::KernelArgument;
using device::LaunchConfig;
using device::ScalarArgument;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::unique_ptr<device::Backend> backend_on(const FakeDriver& fake) {
  Loaders loaders{[functions = fake.functions()] { return std::make_shared<const CudaDriver>(functions); },
                  []() -> std::shared_ptr<const Nvrtc> { throw Unavailable("no NVRTC in this test", "none"); },
                  []() -> std::shared_ptr<const Nvml> { throw Unavailable("no NVML in this test", "none"); }};
  return make_backend(Options{}, std::move(loaders));
}

Binary example_binary() {
  CubinBuilder builder;
  builder.kernels.push_back({"gemm"});
  builder.kernels.push_back({"_Z5scalePf"});
  Binary binary;
  binary.backend = "cuda";
  binary.target = "sm_90a";
  binary.format = "cubin";
  binary.image = builder.build();
  binary.symbols = {{"gemm", "gemm"}, {"scale", "_Z5scalePf"}};
  return binary;
}

LaunchConfig geometry(std::int64_t blocks, std::int64_t threads, std::uint64_t shared = 0) {
  LaunchConfig config;
  config.grid = {blocks, 1, 1};
  config.block = {threads, 1, 1};
  config.dynamic_shared = Bytes{shared};
  return config;
}

class CudaContextTest : public ::testing::Test {
 protected:
  void open() {
    backend = backend_on(fake);
    context = backend->open(DeviceId{"cuda", {0}});
  }
  void open_kernel() {
    open();
    stream = context->create_stream();
    buffer = context->allocate(Bytes{256});
    module = context->load(example_binary());
    kernel = module->kernel("gemm");
  }
  void launch(const LaunchConfig& config) {
    const KernelArgument arguments[] = {buffer.get(), ScalarArgument::of(7)};
    stream->launch(*kernel, config, arguments);
  }
  void TearDown() override {
    kernel.reset();
    module.reset();
    buffer.reset();
    stream.reset();
    context.reset();
    EXPECT_THAT(fake.live, IsEmpty());
    EXPECT_EQ(fake.retained, 0);
    EXPECT_THAT(fake.misuses, IsEmpty());
  }

  FakeDriver fake;
  std::unique_ptr<device::Backend> backend;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<device::Stream> stream;
  std::unique_ptr<device::Buffer> buffer;
  std::unique_ptr<device::Module> module;
  std::unique_ptr<device::Kernel> kernel;
};

TEST_F(CudaContextTest, AViewIsAPartOfItsBufferAndFreesNothing) {
  open();
  stream = context->create_stream();
  const auto whole = context->allocate(Bytes{8192});
  std::vector<std::byte> found(8192, std::byte{9});
  stream->fill(*whole, Bytes{0}, Bytes{8192}, 1);
  {
    const auto part = context->view(*whole, Bytes{4096}, Bytes{100});
    EXPECT_EQ(part->size(), Bytes{100});
    stream->fill(*part, Bytes{0}, Bytes{100}, 2);
  }
  EXPECT_THAT(fake.names, Not(Contains("cuMemFree_v2")));
  stream->copy_to_host(found, *whole, Bytes{0});
  stream->synchronize();
  std::vector<std::byte> expected(8192, std::byte{1});
  std::fill_n(expected.begin() + 4096, 100, std::byte{2});
  EXPECT_EQ(found, expected);
  EXPECT_EQ(error_of([&] { context->view(*whole, Bytes{4096}, Bytes{4097}); }).code(), ErrorCode::bad_input);
}

TEST_F(CudaContextTest, PinsMemoryOfTheProgram) {
  open();
  alignas(4096) static std::byte memory[8192];
  {
    const auto pinned = context->pin_host_memory(memory);
    EXPECT_EQ(pinned->data(), memory);
    EXPECT_EQ(pinned->size(), Bytes{8192});
    EXPECT_EQ(fake.registered.count(memory), 1u);
  }
  EXPECT_THAT(fake.registered, IsEmpty());
  const Error error = error_of([&] { context->pin_host_memory(std::span(memory).subspan(16)); });
  EXPECT_EQ(error.code(), ErrorCode::bad_input);
  fake.failing_function = "cuMemHostRegister_v2";
  fake.failure = abi::out_of_memory;
  EXPECT_EQ(error_of([&] { context->pin_host_memory(memory); }).code(), ErrorCode::out_of_memory);
}

TEST_F(CudaContextTest, OrderingEventsAreMadeWithoutTiming) {
  open();
  const auto event = context->create_ordering_event();
  EXPECT_EQ(fake.ordering_events, 1);
  stream = context->create_stream();
  stream->record(*event);
  EXPECT_TRUE(event->done());
}

TEST_F(CudaContextTest, DescribesTheDevice) {
  open();
  const DeviceInfo& info = context->device();
  EXPECT_EQ(info.id.to_string(), "cuda:0");
  EXPECT_EQ(info.name, "Fake H100 0");
  EXPECT_EQ(info.architecture, "sm_90");
  EXPECT_EQ(info.driver, "CUDA driver API 13.0");
  EXPECT_EQ(info.uuid, "GPU-00112233-4455-6677-8899-aabbccddeeff");
  EXPECT_EQ(info.pci_bus_id, "0000:3b:00.0");
  EXPECT_EQ(info.multiprocessors, 132);
  EXPECT_EQ(info.warp_size, 32);
  EXPECT_EQ(info.max_threads_per_block, 1024);
  EXPECT_THAT(info.max_block, ElementsAre(1024, 1024, 64));
  EXPECT_THAT(info.max_grid, ElementsAre(2147483647, 65535, 65535));
  EXPECT_EQ(info.shared_per_block, Bytes{49152});
  EXPECT_EQ(info.shared_limit(), Bytes{232448});
  EXPECT_EQ(info.shared_per_multiprocessor, Bytes{233472});
  EXPECT_EQ(info.reserved_shared_per_block, Bytes{1024});
  EXPECT_EQ(info.registers_per_block, 65536);
  EXPECT_EQ(info.max_threads_per_multiprocessor, 2048);
  EXPECT_EQ(info.max_blocks_per_multiprocessor, 32);
  EXPECT_EQ(info.global_memory, Bytes{std::uint64_t{80} << 30});
  EXPECT_EQ(info.constant_memory, Bytes{65536});
  EXPECT_EQ(info.l2_cache, Bytes{52428800});
  EXPECT_EQ(info.clock_mhz, 1980);
  EXPECT_EQ(info.memory_clock_mhz, 2619);
  EXPECT_EQ(info.memory_bus_bits, 5120);
  EXPECT_EQ(info.copy_engines, 3);
  EXPECT_TRUE(info.supports_cooperative_launch && info.supports_clusters && info.supports_graphs);
  EXPECT_TRUE(info.supports_float16 && info.supports_float64);
}

TEST_F(CudaContextTest, AttributesTheDriverHidesAreAbsent) {
  for (const auto attribute : {abi::clock_rate_khz, abi::memory_clock_rate_khz, abi::cluster_launch, abi::l2_cache_size,
                               abi::max_shared_memory_per_block_optin}) {
    fake.attributes.erase(attribute);
  }
  fake.attributes[abi::compute_capability_major] = 5;
  open();
  const DeviceInfo& info = context->device();
  EXPECT_FALSE(info.clock_mhz);
  EXPECT_FALSE(info.memory_clock_mhz);
  EXPECT_FALSE(info.l2_cache);
  EXPECT_FALSE(info.supports_clusters);
  EXPECT_FALSE(info.supports_float16);
  EXPECT_EQ(info.shared_limit(), Bytes{49152});
}

TEST_F(CudaContextTest, UnknownDevicesAreNamedWithTheKnownOnes) {
  backend = backend_on(fake);
  EXPECT_EQ(backend->devices().size(), 2u);
  for (const char* id : {"cuda:2", "cuda:0:1", "opencl:0"}) {
    const Error error = error_of([&] { backend->open(DeviceId::parse(id)); });
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_THAT(error.what(), HasSubstr(id));
    EXPECT_THAT(error.what(), HasSubstr("cuda:0 (Fake H100 0), cuda:1 (Fake H100 1)"));
  }
}

TEST_F(CudaContextTest, CopiesFillsAndChecksRanges) {
  open();
  stream = context->create_stream();
  buffer = context->allocate(Bytes{16});
  const auto pinned = context->allocate_pinned(Bytes{16});
  EXPECT_EQ(pinned->bytes().size(), 16u);
  for (std::size_t i = 0; i < 16; ++i) pinned->data()[i] = static_cast<std::byte>(i);
  stream->copy_to_device(*buffer, Bytes{0}, pinned->bytes());
  stream->fill(*buffer, Bytes{4}, Bytes{2}, 0xee);
  stream->copy_on_device(*buffer, Bytes{12}, *buffer, Bytes{0}, Bytes{4});
  std::vector<std::byte> back(14);
  stream->copy_to_host(back, *buffer, Bytes{2});
  stream->synchronize();
  const unsigned char expected[] = {2, 3, 0xee, 0xee, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3};
  EXPECT_EQ(std::memcmp(back.data(), expected, sizeof expected), 0);
  EXPECT_TRUE(stream->idle());

  const std::size_t calls = fake.names.size();
  for (const std::function<void()>& beyond : std::initializer_list<std::function<void()>>{
           [&] { stream->copy_to_device(*buffer, Bytes{1}, pinned->bytes()); },
           [&] { stream->copy_to_host(back, *buffer, Bytes{3}); },
           [&] { stream->fill(*buffer, Bytes{~std::uint64_t{0}}, Bytes{2}, 0); },
           [&] { stream->copy_on_device(*buffer, Bytes{9}, *buffer, Bytes{0}, Bytes{8}); }}) {
    EXPECT_EQ(error_of(beyond).code(), ErrorCode::bad_input);
  }
  stream->copy_to_device(*buffer, Bytes{16}, {});
  EXPECT_EQ(fake.names.size(), calls) << "nothing reached the driver";
}

TEST_F(CudaContextTest, AllocationFailureSaysHowMuchIsFree) {
  open();
  const Error error = error_of([&] { context->allocate(Bytes{std::uint64_t{1} << 40}); });
  EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
  EXPECT_THAT(error.what(), HasSubstr("are free"));
  EXPECT_EQ(error.native()->code, 2);
  EXPECT_EQ(error.native()->name, "CUDA_ERROR_OUT_OF_MEMORY");
  const auto use = context->memory_use();
  EXPECT_EQ(use->total, Bytes{std::uint64_t{80} << 30});
}

TEST_F(CudaContextTest, EmptyBuffersAreLegalAndPinnedOnesBeginOnAPage) {
  open();
  stream = context->create_stream();
  buffer = context->allocate(Bytes{0});
  EXPECT_EQ(buffer->size(), Bytes{0});
  stream->fill(*buffer, Bytes{0}, Bytes{0}, 1);
  EXPECT_EQ(error_of([&] { stream->fill(*buffer, Bytes{0}, Bytes{1}, 1); }).code(), ErrorCode::bad_input);
  for (const std::uint64_t size : {0, 1, 4096, 5000}) {
    const auto pinned = context->allocate_pinned(Bytes{size});
    EXPECT_EQ(pinned->size(), Bytes{size});
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pinned->data()) % 4096, 0u);
    std::memset(pinned->data(), 1, size);
  }
  EXPECT_EQ(error_of([&] { context->allocate_pinned(Bytes{~std::uint64_t{0}}); }).code(), ErrorCode::out_of_memory);
}

TEST_F(CudaContextTest, EventsTellDeviceTime) {
  open();
  stream = context->create_stream();
  const auto start = context->create_event();
  const auto end = context->create_event();
  EXPECT_TRUE(start->done());
  EXPECT_THAT(error_of([&] { end->elapsed_since(*start); }).what(), HasSubstr("first was never recorded"));
  stream->record(*start);
  EXPECT_THAT(error_of([&] { end->elapsed_since(*start); }).what(), HasSubstr("second was never recorded"));
  stream->record(*end);
  fake.event_ready = false;
  EXPECT_FALSE(end->done());
  EXPECT_EQ(error_of([&] { end->elapsed_since(*start); }).code(), ErrorCode::conflict);
  fake.event_ready = true;
  stream->wait(*end);
  end->synchronize();
  EXPECT_DOUBLE_EQ(end->elapsed_since(*start).count(), 1.5e6);
}

TEST_F(CudaContextTest, LaunchPassesGeometryAndArguments) {
  open_kernel();
  LaunchConfig config;
  config.grid = {3, 4, 5};
  config.block = {32, 2, 1};
  config.dynamic_shared = Bytes{2048};
  launch(config);
  ASSERT_EQ(fake.launches.size(), 1u);
  const auto& seen = fake.launches[0];
  EXPECT_EQ(seen.function, "gemm");
  EXPECT_THAT(seen.grid, ElementsAre(3, 4, 5));
  EXPECT_THAT(seen.block, ElementsAre(32, 2, 1));
  EXPECT_EQ(seen.shared, 2048u);
  EXPECT_EQ(fake.permissions, 0) << "below 48 KB no opt-in is needed";
  ASSERT_EQ(seen.arguments.size(), 2u);
  int number = 0;
  std::memcpy(&number, seen.arguments[1].data(), sizeof number);
  EXPECT_EQ(number, 7);
  abi::DevicePointer pointer = 0;
  std::memcpy(&pointer, seen.arguments[0].data(), sizeof pointer);
  EXPECT_TRUE(fake.device_range(pointer, 256));
}

TEST_F(CudaContextTest, KernelsTellTheSizesOfTheirParameters) {
  fake.parameter_sizes = {8, 4, 2};
  open_kernel();
  const auto parameters = kernel->parameters();
  ASSERT_TRUE(parameters);
  ASSERT_EQ(parameters->size(), 3u);
  EXPECT_EQ((*parameters)[2].size, Bytes{2});
  EXPECT_EQ((*parameters)[0].kind, KernelParameter::Kind::unknown);
}

TEST_F(CudaContextTest, MoreThan32ArgumentsArePassed) {
  fake.parameter_sizes.assign(40, 4);
  open_kernel();
  std::vector<KernelArgument> arguments;
  for (int i = 0; i < 40; ++i) arguments.emplace_back(ScalarArgument::of(i));
  stream->launch(*kernel, geometry(1, 32), arguments);
  ASSERT_EQ(fake.launches.size(), 1u);
  for (int i = 0; i < 40; ++i) {
    int number = -1;
    std::memcpy(&number, fake.launches[0].arguments[static_cast<std::size_t>(i)].data(), sizeof number);
    EXPECT_EQ(number, i);
  }
}

TEST_F(CudaContextTest, WrongArgumentsNeverReachTheDriver) {
  open_kernel();
  const KernelArgument few[] = {buffer.get()};
  const Error missing = error_of([&] { stream->launch(*kernel, geometry(1, 32), few); });
  EXPECT_EQ(missing.code(), ErrorCode::bad_input);
  EXPECT_THAT(missing.what(), HasSubstr("'gemm' takes 2 arguments, 1 were given"));
  const KernelArgument wide[] = {buffer.get(), ScalarArgument::of(7.0)};
  EXPECT_THAT(error_of([&] { stream->launch(*kernel, geometry(1, 32), wide); }).what(),
              HasSubstr("argument 1 of kernel 'gemm' has 4 bytes, 8 were given"));
  const KernelArgument null[] = {static_cast<const device::Buffer*>(nullptr), ScalarArgument::of(7)};
  EXPECT_THAT(error_of([&] { stream->launch(*kernel, geometry(1, 32), null); }).what(), HasSubstr("null buffer"));
  EXPECT_THAT(fake.launches, IsEmpty());
}

TEST_F(CudaContextTest, DynamicSharedMemoryIsPermittedOnceAndOnlyRaised) {
  open_kernel();
  launch(geometry(1, 32, 65536));
  launch(geometry(1, 32, 65536));
  launch(geometry(1, 32, 60000));
  EXPECT_EQ(fake.permissions, 1);
  EXPECT_EQ(fake.permitted_dynamic_shared, 65536);
  // Another handle of the same function knows what the first one did.
  const auto again = module->kernel("gemm");
  EXPECT_EQ(again->max_active_blocks(128, Bytes{65536}), 16);
  EXPECT_EQ(fake.permissions, 1);
  launch(geometry(1, 32, 232448 - 1000));
  EXPECT_EQ(fake.permissions, 2);
  EXPECT_EQ(fake.launches.size(), 4u);
  // 48 KB together with the 1000 static bytes.
  const Error error = error_of([&] { launch(geometry(1, 32, 232448 - 999)); });
  EXPECT_EQ(error.code(), ErrorCode::launch);
  EXPECT_THAT(error.what(), HasSubstr("needs 232449 bytes"));
  EXPECT_THAT(error.what(), HasSubstr("at most 232448"));
  EXPECT_EQ(again->max_active_blocks(128, Bytes{300000}), 0) << "what cannot be launched has no active block";
}

TEST_F(CudaContextTest, StaticAndDynamicTogetherNeedThePermission) {
  open_kernel();
  launch(geometry(1, 32, 49152 - 1000));
  EXPECT_EQ(fake.permissions, 0);
  launch(geometry(1, 32, 49152 - 999));
  EXPECT_EQ(fake.permissions, 1);
}

TEST_F(CudaContextTest, RefusedLaunchesSayWhyAndHarmNothing) {
  open_kernel();
  const Error threads = error_of([&] { launch(geometry(1, 512)); });
  EXPECT_EQ(threads.code(), ErrorCode::launch);
  EXPECT_EQ(threads.native()->code, 701);
  EXPECT_THAT(threads.what(), HasSubstr("'gemm' with grid (1,1,1) and block (512,1,1)"));
  EXPECT_THAT(threads.what(), HasSubstr("512 threads, this kernel allows at most 256 (it uses 40 registers"));
  for (const auto& config : {geometry(0, 32), geometry(1, 0), geometry(-1, 32), geometry(1, 2048),
                             geometry(std::int64_t{1} << 32, 32), geometry(1, (std::int64_t{1} << 32) + 32)}) {
    EXPECT_EQ(error_of([&] { launch(config); }).code(), ErrorCode::launch);
  }
  EXPECT_EQ(error_of([&] { launch(geometry(1, 32, (std::uint64_t{1} << 32) + 1)); }).code(), ErrorCode::launch);
  EXPECT_THAT(fake.launches, IsEmpty());
  launch(geometry(1, 256));
  EXPECT_EQ(fake.launches.size(), 1u);
}

TEST_F(CudaContextTest, ClustersAndCooperativeLaunches) {
  open_kernel();
  LaunchConfig config = geometry(32, 32);
  config.cluster = {4, 1, 1};
  launch(config);
  EXPECT_THAT(fake.launches.back().cluster, ElementsAre(4, 1, 1));
  EXPECT_FALSE(fake.launches.back().cooperative);
  EXPECT_FALSE(fake.large_clusters);
  config.cluster = {16, 1, 1};
  config.cooperative = true;
  launch(config);
  EXPECT_THAT(fake.launches.back().cluster, ElementsAre(16, 1, 1));
  EXPECT_TRUE(fake.launches.back().cooperative);
  EXPECT_TRUE(fake.large_clusters);
  config.cluster = {5, 1, 1};
  const Error error = error_of([&] { launch(config); });
  EXPECT_EQ(error.code(), ErrorCode::launch);
  EXPECT_THAT(error.what(), HasSubstr("32 blocks in x are not a multiple of the cluster's 5"));
}

TEST_F(CudaContextTest, TheDriverTellsHowManyClustersFit) {
  open_kernel();
  LaunchConfig config = geometry(32, 32);
  config.cluster = {4, 1, 1};
  EXPECT_EQ(kernel->max_active_clusters(config), 33);
  EXPECT_FALSE(fake.large_clusters);
  config.cluster = {4, 4, 1};
  config.grid = {32, 4, 1};
  EXPECT_EQ(kernel->max_active_clusters(config), 8);
  EXPECT_TRUE(fake.large_clusters) << "more than 8 blocks need an opt-in";
  config.cluster = {32, 1, 1};
  const Error refused = error_of([&] { kernel->max_active_clusters(config); });
  EXPECT_EQ(refused.code(), ErrorCode::launch);
  EXPECT_THAT(refused.what(), HasSubstr("in clusters of (32,1,1)"));
  config.cluster = {5, 1, 1};
  EXPECT_EQ(error_of([&] { kernel->max_active_clusters(config); }).code(), ErrorCode::launch);
  EXPECT_THAT(fake.launches, IsEmpty());
}

TEST_F(CudaContextTest, OldDriversAndDevicesLackFeatures) {
  fake.attributes.erase(abi::cluster_launch);
  abi::Functions functions = fake.functions();
  functions.launch_kernel_ex = nullptr;
  functions.function_get_parameter = nullptr;
  functions.max_active_blocks = nullptr;
  functions.max_active_clusters = nullptr;
  functions.graph_instantiate = nullptr;
  functions.device_get_uuid = nullptr;
  Loaders loaders{[functions] { return std::make_shared<const CudaDriver>(functions); },
                  []() -> std::shared_ptr<const Nvrtc> { throw Unavailable("none", "none"); },
                  []() -> std::shared_ptr<const Nvml> { throw Unavailable("none", "none"); }};
  backend = make_backend(Options{}, std::move(loaders));
  context = backend->open(DeviceId{"cuda", {1}});
  EXPECT_FALSE(context->device().supports_graphs);
  EXPECT_EQ(context->device().uuid, "");
  stream = context->create_stream();
  module = context->load(example_binary());
  kernel = module->kernel("gemm");
  buffer = context->allocate(Bytes{4});
  EXPECT_FALSE(kernel->max_active_blocks(128, Bytes{0}));
  EXPECT_FALSE(kernel->max_active_clusters(geometry(32, 32)));
  LaunchConfig config = geometry(32, 32);
  config.cluster = {2, 1, 1};
  EXPECT_EQ(error_of([&] { launch(config); }).code(), ErrorCode::unsupported);
  config.cluster = {1, 1, 1};
  config.cooperative = true;
  launch(config);
  EXPECT_TRUE(fake.launches.back().cooperative);
  EXPECT_EQ(error_of([&] { context->record_graph(*stream, [] {}); }).code(), ErrorCode::unsupported);
}

TEST_F(CudaContextTest, ModulesFindKernelsByEntryAndListThem) {
  open();
  module = context->load(example_binary());
  kernel = module->kernel("scale");
  EXPECT_EQ(kernel->name(), "scale");
  const KernelResources resources = kernel->resources();
  EXPECT_EQ(resources.entry, "scale");
  EXPECT_EQ(resources.registers_per_thread, 40);
  EXPECT_EQ(resources.static_shared, Bytes{1000});
  EXPECT_EQ(resources.local_per_thread, Bytes{16});
  EXPECT_EQ(resources.constant, Bytes{400});
  EXPECT_EQ(resources.max_threads_per_block, 256);
  EXPECT_EQ(kernel->max_active_blocks(257, Bytes{0}), 0);
  EXPECT_EQ(error_of([&] { kernel->max_active_blocks(0, Bytes{0}); }).code(), ErrorCode::bad_input);
  const Error error = error_of([&] { module->kernel("gem"); });
  EXPECT_EQ(error.code(), ErrorCode::not_found);
  EXPECT_THAT(error.what(), HasSubstr("did you mean 'gemm'"));
  EXPECT_THAT(error.what(), HasSubstr("it has 'gemm', 'scale'"));
  EXPECT_EQ(module->symbol("nothing"), nullptr);
  auto symbol = module->symbol("coefficients");
  ASSERT_NE(symbol, nullptr);
  EXPECT_EQ(symbol->size(), Bytes{64});
  // The module stays loaded for the kernel and the view.
  module.reset();
  EXPECT_EQ(fake.created["module"], 1);
  EXPECT_FALSE(fake.live.empty());
  stream = context->create_stream();
  stream->fill(*symbol, Bytes{0}, Bytes{64}, 1);
}

TEST_F(CudaContextTest, ImagesThatAreNoCubinsNeverReachTheDriver) {
  open();
  Binary binary = example_binary();
  binary.image.resize(100);
  Error error = error_of([&] { context->load(binary); });
  EXPECT_EQ(error.code(), ErrorCode::bad_input);
  EXPECT_THAT(error.what(), HasSubstr("damaged"));
  binary = example_binary();
  binary.backend = "opencl";
  EXPECT_THAT(error_of([&] { context->load(binary); }).what(), HasSubstr("'opencl'"));
  binary = example_binary();
  binary.format = "ptx";
  EXPECT_THAT(error_of([&] { context->load(binary); }).what(), HasSubstr("'ptx'"));
  EXPECT_EQ(fake.created["module"], 0);

  fake.failing_function = "cuModuleLoadDataEx";
  fake.failure = abi::no_binary_for_gpu;
  fake.jit_log = true;
  error = error_of([&] { context->load(example_binary()); });
  EXPECT_EQ(error.code(), ErrorCode::bad_input);
  EXPECT_THAT(error.what(), HasSubstr("compiled for sm_90a on Fake H100 0 (sm_90, driver for CUDA 13.0)"));
  EXPECT_THAT(error.what(), HasSubstr("words of the linker"));
}

TEST_F(CudaContextTest, GraphsAreRecordedOnceAndLaunchedOften) {
  open_kernel();
  auto graph = context->record_graph(*stream, [&] {
    launch(geometry(1, 32));
    EXPECT_TRUE(fake.capturing);
  });
  EXPECT_FALSE(fake.capturing);
  stream->launch(*graph);
  stream->launch(*graph);
  graph.reset();
  // The first failure is reported and the stream leaves the capture.
  const Error error = error_of([&] { context->record_graph(*stream, [&] { launch(geometry(1, 512)); }); });
  EXPECT_EQ(error.code(), ErrorCode::launch);
  EXPECT_FALSE(fake.capturing);
  EXPECT_EQ(error_of([&] { context->record_graph(*stream, [&] { stream->synchronize(); }); }).code(),
            ErrorCode::conflict);
  EXPECT_FALSE(fake.capturing);
}

struct ForeignBuffer : device::Buffer {
  Bytes size() const override { return Bytes{8}; }
};

TEST_F(CudaContextTest, ObjectsOfOtherBackendsAndDevicesAreRefused) {
  open_kernel();
  ForeignBuffer foreign;
  EXPECT_EQ(error_of([&] { stream->fill(foreign, Bytes{0}, Bytes{1}, 0); }).code(), ErrorCode::bad_input);
  const KernelArgument arguments[] = {&foreign, ScalarArgument::of(7)};
  EXPECT_EQ(error_of([&] { stream->launch(*kernel, geometry(1, 32), arguments); }).code(), ErrorCode::bad_input);
}

TEST_F(CudaContextTest, AnotherContextThatWasCurrentIsRestored) {
  const auto api = fake.functions();
  open();
  const auto own = fake.create("context");
  ASSERT_EQ(api.context_set_current(static_cast<abi::ContextHandle>(own)), abi::success);
  buffer = context->allocate(Bytes{16});
  abi::ContextHandle current = nullptr;
  api.context_get_current(&current);
  EXPECT_EQ(static_cast<void*>(current), own);
  buffer.reset();
  api.context_get_current(&current);
  EXPECT_EQ(static_cast<void*>(current), own);
  api.context_set_current(nullptr);
  fake.live.erase(own);
}

TEST(CudaErrors, CodesAreClassified) {
  using enum ErrorCode;
  const struct {
    int result;
    Call call;
    ErrorCode code;
  } cases[] = {{1, Call::launch, launch},         {701, Call::launch, launch},      {720, Call::launch, launch},
               {912, Call::launch, launch},       {801, Call::launch, launch},      {2, Call::launch, out_of_memory},
               {2, Call::general, out_of_memory}, {700, Call::launch, device},      {700, Call::general, device},
               {702, Call::general, device},      {710, Call::general, device},     {714, Call::general, device},
               {715, Call::general, device},      {716, Call::general, device},     {717, Call::general, device},
               {718, Call::general, device},      {719, Call::launch, device},      {214, Call::general, device},
               {220, Call::general, device},      {46, Call::general, device},      {999, Call::launch, device},
               {4, Call::general, device},        {709, Call::general, device},     {201, Call::general, device},
               {31337, Call::general, device},    {31337, Call::launch, device},    {1, Call::general, bad_input},
               {400, Call::general, bad_input},   {209, Call::load, bad_input},     {200, Call::load, bad_input},
               {218, Call::load, bad_input},      {222, Call::load, bad_input},     {500, Call::general, not_found},
               {100, Call::general, unavailable}, {34, Call::general, unavailable}, {803, Call::general, unavailable},
               {900, Call::general, conflict},    {906, Call::general, conflict},   {600, Call::general, conflict},
               {801, Call::general, unsupported}, {909, Call::general, timeout},    {701, Call::general, launch}};
  for (const auto& c : cases) {
    EXPECT_EQ(classify(static_cast<abi::Result>(c.result), c.call), c.code)
        << c.result << " " << static_cast<int>(c.call);
  }
}

TEST(CudaErrors, NumbersWithoutANameAreStillReported) {
  FakeDriver fake;
  const CudaDriver driver(fake.functions());
  const Error error = driver.error(static_cast<abi::Result>(31337), Call::general, "dance");
  EXPECT_THAT(error.what(), HasSubstr("unknown error"));
  EXPECT_EQ(error.native()->code, 31337);
}

// Every call of the driver that a session makes.
void session(const FakeDriver& fake) {
  const auto backend = backend_on(fake);
  const auto context = backend->open(DeviceId{"cuda", {0}});
  const auto stream = context->create_stream();
  const auto buffer = context->allocate(Bytes{64});
  const auto pinned = context->allocate_pinned(Bytes{64});
  alignas(4096) static std::byte memory[4096];
  const auto registered = context->pin_host_memory(memory);
  const auto ordering = context->create_ordering_event();
  const auto start = context->create_event();
  const auto end = context->create_event();
  const auto module = context->load(example_binary());
  const auto kernel = module->kernel("gemm");
  const auto other = module->kernel("scale");
  const auto symbol = module->symbol("coefficients");
  kernel->resources();
  kernel->max_active_blocks(128, Bytes{50000});
  const KernelArgument arguments[] = {buffer.get(), ScalarArgument::of(1)};
  stream->copy_to_device(*buffer, Bytes{0}, pinned->bytes());
  stream->fill(*buffer, Bytes{0}, Bytes{8}, 0);
  if (symbol != nullptr) stream->copy_on_device(*buffer, Bytes{0}, *symbol, Bytes{0}, Bytes{8});
  stream->record(*start);
  stream->launch(*kernel, geometry(1, 32), arguments);
  stream->launch(*kernel, geometry(1, 32, 100000), arguments);
  LaunchConfig clustered = geometry(32, 32);
  clustered.cluster = {16, 1, 1};
  kernel->max_active_clusters(clustered);
  stream->launch(*other, clustered, arguments);
  const auto graph = context->record_graph(*stream, [&] { stream->launch(*kernel, geometry(1, 32), arguments); });
  stream->launch(*graph);
  stream->record(*end);
  stream->wait(*end);
  stream->copy_to_host(pinned->bytes(), *buffer, Bytes{0});
  stream->idle();
  stream->synchronize();
  end->done();
  end->synchronize();
  end->elapsed_since(*start);
  context->memory_use();
  context->reset_persisting_cache();
  context->synchronize();
}

TEST(CudaFailures, AnyCallMayFailWithoutALeakOrACrash) {
  int total = 0;
  std::vector<std::string> names;
  {
    FakeDriver fake;
    session(fake);
    total = fake.calls;
    names = fake.names;
    EXPECT_THAT(fake.live, IsEmpty());
    EXPECT_THAT(fake.misuses, IsEmpty());
    // The session reaches every function of the table but the fall-back for cooperative launches.
    std::set<std::string> reached(fake.names.begin(), fake.names.end());
    abi::Functions functions;
    abi::for_each_function(functions, [&](auto&, const std::string symbol, abi::Need) {
      if (symbol == "cuGetErrorName" || symbol == "cuGetErrorString" || symbol == "cuLaunchCooperativeKernel") return;
      EXPECT_TRUE(reached.contains(symbol)) << symbol;
    });
  }
  ASSERT_GT(total, 100);
  int reported = 0;
  for (const abi::Result failure : {abi::out_of_memory, abi::invalid_value, abi::illegal_address, abi::unknown,
                                    abi::not_found, abi::launch_out_of_resources, abi::not_ready}) {
    for (const bool sticky : {false, true}) {
      for (int call = 0; call < total; ++call) {
        const std::string name = names.at(static_cast<std::size_t>(call));
        FakeDriver fake;
        fake.failing_call = call;
        fake.failure = failure;
        fake.sticky = sticky;
        try {
          session(fake);
        } catch (const Error& error) {
          ++reported;
          EXPECT_NE(error.code(), ErrorCode::internal);
          if (failure == abi::illegal_address || failure == abi::unknown) {
            // A driver that does not start, for whatever reason, is unavailable; everything later is a lost device.
            EXPECT_TRUE(error.code() == ErrorCode::device || error.code() == ErrorCode::unavailable) << error.what();
            ASSERT_TRUE(error.native().has_value()) << error.what();
            EXPECT_EQ(error.native()->code, failure);
          }
        }
        EXPECT_THAT(fake.live, IsEmpty()) << name << " " << failure;
        EXPECT_THAT(fake.misuses, IsEmpty()) << name << " " << failure;
        EXPECT_EQ(fake.retained, 0);
        EXPECT_FALSE(fake.capturing) << name;
      }
    }
  }
  EXPECT_GT(reported, total);
}

}  // namespace
}  // namespace warpwright::cuda
