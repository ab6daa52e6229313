// What the simulated device promises beyond the contract of every backend: exact times, chosen faults, strict limits.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <warpwright/base/error.hpp>
#include <warpwright/sim/backend.hpp>

#include "error_of.hpp"

namespace warpwright::sim {
namespace {

using device::KernelArgument;
using device::LaunchConfig;
using device::ScalarArgument;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* add_source = R"(
[kernels.vector_add]
cost_ns = "1000 + n"
)";

// A context with a stream, and the shortest way to run one kernel.
class Session {
 public:
  explicit Session(Options options = {}) : backend(make_backend(std::move(options))) {
    context = backend->open({"sim", {0}});
    compiler = backend->compiler(context->device());
    stream = context->create_stream();
  }

  Binary compile(const std::string& source, std::vector<std::pair<std::string, std::string>> defines = {}) {
    device::CompileJob job;
    job.source = source;
    job.file_name = "kernels.toml";
    job.defines = std::move(defines);
    return compiler->compile(job);
  }
  device::Kernel& load(const std::string& source, const std::string& entry,
                       std::vector<std::pair<std::string, std::string>> defines = {}) {
    module = context->load(compile(source, std::move(defines)));
    kernel = module->kernel(entry);
    return *kernel;
  }
  template <class T>
  std::unique_ptr<device::Buffer> upload(const std::vector<T>& values) {
    auto buffer = context->allocate(Bytes{values.size() * sizeof(T)});
    stream->copy_to_device(*buffer, Bytes{}, std::as_bytes(std::span(values)));
    return buffer;
  }
  template <class T>
  std::vector<T> download(const device::Buffer& buffer) {
    std::vector<T> values(buffer.size().count / sizeof(T));
    stream->copy_to_host(std::as_writable_bytes(std::span(values)), buffer, Bytes{});
    stream->synchronize();
    return values;
  }

  std::unique_ptr<device::Backend> backend;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<device::Compiler> compiler;
  std::unique_ptr<device::Stream> stream;
  std::unique_ptr<device::Module> module;
  std::unique_ptr<device::Kernel> kernel;
};

// c = a + b with n = 8 in buffers of 12 elements; c is 7 everywhere before.
std::vector<float> add_with(Session& session, const std::string& source) {
  const std::vector<float> a{0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0}, b(12, 10.0f), c(12, 7.0f);
  auto device_a = session.upload(a), device_b = session.upload(b), device_c = session.upload(c);
  auto& kernel = session.load(source, "vector_add");
  const std::vector<KernelArgument> arguments{device_c.get(), device_a.get(), device_b.get(), ScalarArgument::of(8)};
  session.stream->launch(kernel, {}, arguments);
  return session.download<float>(*device_c);
}

TEST(SimBackend, RunsABuiltInBehaviour) {
  Session session;
  EXPECT_EQ(add_with(session, add_source), (std::vector<float>{10, 11, 12, 13, 14, 15, 16, 17, 7, 7, 7, 7}));
}

TEST(SimBackend, DefaultsLookLikeAnH100) {
  auto backend = make_backend();
  EXPECT_TRUE(backend->probe().usable);
  ASSERT_EQ(backend->devices().size(), 1u);
  const DeviceInfo info = backend->devices().front();
  EXPECT_EQ(info.id.to_string(), "sim:0");
  EXPECT_EQ(info.kind, DeviceKind::simulated);
  EXPECT_EQ(info.multiprocessors, 132);
  EXPECT_EQ(info.shared_limit(), Bytes{227 << 10});
  EXPECT_FALSE(backend->compiler(info)->needs_device());
  EXPECT_EQ(backend->telemetry(info), nullptr);
  Options options;
  options.devices = 3;
  EXPECT_EQ(make_backend(std::move(options))->devices()[2].id.to_string(), "sim:2");
}

TEST(SimBackend, NonsenseOptionsAreRefused) {
  const auto refused = [](auto change) {
    Options options;
    change(options);
    return error_of([&] { static_cast<void>(make_backend(std::move(options))); }).code() == ErrorCode::bad_input;
  };
  EXPECT_TRUE(refused([](Options& o) { o.devices = 0; }));
  EXPECT_TRUE(refused([](Options& o) { o.duplex_factor = 1.5; }));
  EXPECT_TRUE(refused([](Options& o) { o.duplex_factor = 0; }));
  EXPECT_TRUE(refused([](Options& o) { o.to_host_rate = -1; }));
  EXPECT_TRUE(refused([](Options& o) { o.host_call = Nanoseconds{0}; }));
  EXPECT_TRUE(refused([](Options& o) { o.behaviours["empty"] = {}; }));
}

TEST(SimBackend, TelemetryIsWhatTheCallerGives) {
  Options options;
  options.telemetry = [] {
    device::TelemetrySample sample;
    sample.sm_clock_mhz = 1755;
    sample.throttle_reasons = 0x4 | 0x20;
    return sample;
  };
  auto backend = make_backend(std::move(options));
  auto telemetry = backend->telemetry(backend->devices().front());
  ASSERT_NE(telemetry, nullptr);
  EXPECT_EQ(telemetry->sample().sm_clock_mhz, 1755);
  EXPECT_THAT(telemetry->throttling(telemetry->sample()), testing::ElementsAre("power cap", "thermal slowdown"));
  EXPECT_THAT(telemetry->throttling({}), testing::IsEmpty());
}

// ---- the language
// -----------------------------------------------------------------------------------------------------

std::string compile_log(const std::string& source, std::vector<std::pair<std::string, std::string>> defines = {}) {
  Session session;
  const Error error = error_of([&] { session.compile(source, std::move(defines)); });
  EXPECT_EQ(error.code(), ErrorCode::compile);
  return error.message();
}

TEST(SimSource, MistakesNamePlaceAndRemedy) {
  EXPECT_THAT(compile_log("[kernels.x\n"), AllOf(HasSubstr("kernels.toml:1:"), HasSubstr("error:"), HasSubstr("TOML")));
  EXPECT_THAT(compile_log(""), HasSubstr("there is no kernel"));
  EXPECT_THAT(compile_log("[kernls.vector_add]\n"), HasSubstr("unknown table 'kernls'"));
  EXPECT_THAT(compile_log("[kernels.vector_add]\ncost_n = 1\n"),
              AllOf(HasSubstr("kernels.toml:2:"), HasSubstr("unknown key 'cost_n'; did you mean 'cost_ns'?")));
  EXPECT_THAT(compile_log("[kernels.f]\nbehaviour = \"vector_ad\"\n"), HasSubstr("did you mean 'vector_add'?"));
  EXPECT_THAT(compile_log("[kernels.copy]\ncost_ns = \"1 +\"\n"),
              AllOf(HasSubstr("kernels.toml:2:"), HasSubstr("'cost_ns'")));
  EXPECT_THAT(compile_log("[kernels.copy]\ncost_ns = \"1 + block\"\n"), HasSubstr("'cost_ns' uses 'block'"));
  EXPECT_THAT(compile_log("[kernels.copy]\nregisters = \"BLOCK_X\"\n"), HasSubstr("which is no definition"));
  EXPECT_THAT(compile_log("[kernels.copy]\nregisters = \"tile - 8\"\n", {{"tile", "4"}}), HasSubstr("registers"));
  EXPECT_THAT(compile_log("[kernels.copy]\ncost_ns = []\n"), HasSubstr("must be a number, a boolean or an expression"));
  EXPECT_THAT(compile_log("[kernels.copy]\narguments = [\"float33* y\"]\n"), HasSubstr("declares no argument"));
  EXPECT_THAT(compile_log("[kernels.copy]\narguments = 3\n"), HasSubstr("must be an array"));
  EXPECT_THAT(compile_log("[kernels.copy]\noutput = \"n\"\n"),
              HasSubstr("must name a buffer among its arguments (y, x)"));
  EXPECT_THAT(compile_log("[kernels.copy]\nout_of_bounds_if = true\n"), HasSubstr("needs 'elements'"));
  EXPECT_THAT(compile_log("[kernels]\ncopy = 3\n"), HasSubstr("must be a table"));
  EXPECT_THAT(compile_log("kernels = 3\n"), HasSubstr("one table per kernel"));
  EXPECT_THAT(compile_log("[symbols]\ns = -1\n[kernels.copy]\n"), HasSubstr("size in bytes"));
  EXPECT_THAT(compile_log("symbols = 1\n[kernels.copy]\n"), HasSubstr("'symbols' must be a table"));
  EXPECT_THAT(compile_log("[warpwright_job]\n[kernels.copy]\n"), HasSubstr("is taken"));
  // All mistakes of a text, one line each.
  EXPECT_THAT(compile_log("[kernels.copy]\na = 1\nb = 2\n"), AllOf(HasSubstr("'a'"), HasSubstr("\nkernels.toml:3:")));
}

TEST(SimSource, OptionsAreRefused) {
  Session session;
  device::CompileJob job;
  job.source = add_source;
  job.options = {"-O3"};
  EXPECT_THAT(error_of([&] { session.compiler->compile(job); }).message(), HasSubstr("no options, not '-O3'"));
}

TEST(SimSource, OtherKernelsOfTheTextNeedNotMatchTheDefinitions) {
  Session session;
  device::CompileJob job;
  job.source = "[kernels.copy]\n[kernels.scale]\nregisters = \"tile\"\n";
  job.entries = {"copy"};
  auto module = session.context->load(session.compiler->compile(job));
  EXPECT_EQ(module->kernel("copy")->name(), "copy");
}

TEST(SimSource, ResourcesFollowTheDefinitions) {
  Session session;
  const std::string source = "[kernels.copy]\nregisters = \"16 + 2 * items\"\nstatic_shared = \"tile * tile * 4\"\n";
  auto& kernel = session.load(source, "copy", {{"items", "60"}, {"tile", "32"}});
  const KernelResources resources = kernel.resources();
  EXPECT_EQ(resources.registers_per_thread, 136);
  EXPECT_EQ(resources.static_shared, Bytes{4096});
  // 136 registers: 18 units of 256 a warp, 12 warps (3 of 4 warp slots of 16384 registers); 3 * 128 threads.
  EXPECT_EQ(resources.max_threads_per_block, 384);
  EXPECT_EQ(kernel.max_active_blocks(128, Bytes{}), 3);
  EXPECT_EQ(kernel.max_active_blocks(512, Bytes{}), 0);
  EXPECT_EQ(kernel.max_active_blocks(32, Bytes{100 << 10}), 2);
  const Error error = error_of([&] {
    LaunchConfig config;
    config.block = {512, 1, 1};
    session.stream->launch(kernel, config, {});
  });
  EXPECT_EQ(error.code(), ErrorCode::launch);
  EXPECT_THAT(error.what(), HasSubstr("too many resources requested: 512 threads with 136 registers"));
}

TEST(SimSource, LimitsOfClustersAndCooperativeGrids) {
  Session session;
  auto& kernel = session.load("[kernels.nothing]\n", "nothing");
  const auto refused = [&](LaunchConfig config) {
    return error_of([&] { session.stream->launch(kernel, config, {}); });
  };
  LaunchConfig config;
  config.grid = {6, 1, 1};
  config.cluster = {4, 1, 1};
  EXPECT_THAT(refused(config).what(), HasSubstr("grid 6 is no multiple of cluster 4"));
  config.grid = config.cluster = {16, 1, 1};
  EXPECT_THAT(refused(config).what(), HasSubstr("8 blocks"));
  config.cluster = {1, 1, 1};
  config.cooperative = true;
  config.block = {1024, 1, 1};
  config.grid = {132 * 2, 1, 1};
  session.stream->launch(kernel, config, {});
  config.grid = {132 * 2 + 1, 1, 1};
  EXPECT_THAT(refused(config).what(), HasSubstr("a cooperative grid may have 264 blocks"));
}

TEST(SimSource, StaticSharedMemoryHasNoOptIn) {
  Session session;
  auto& kernel = session.load("[kernels.nothing]\nstatic_shared = 50000\n", "nothing");
  EXPECT_EQ(error_of([&] { session.stream->launch(kernel, {}, {}); }).code(), ErrorCode::launch);
}

// ---- time
// -------------------------------------------------------------------------------------------------------------

Nanoseconds time_of(Session& session, const device::Kernel& kernel, const LaunchConfig& config,
                    const std::vector<KernelArgument>& arguments) {
  auto start = session.context->create_event(), stop = session.context->create_event();
  session.stream->record(*start);
  session.stream->launch(kernel, config, arguments);
  session.stream->record(*stop);
  session.stream->synchronize();
  return stop->elapsed_since(*start);
}

TEST(SimTime, CostIsTheExpressionExactly) {
  Session session;
  const std::string source = "[kernels.copy]\ncost_ns = \"2000 + n / (BLOCK_X * items) + 10 * GRID_Y + SHARED\"\n";
  auto& kernel = session.load(source, "copy", {{"items", "4"}});
  auto x = session.upload(std::vector<float>(1024)), y = session.upload(std::vector<float>(1024));
  LaunchConfig config;
  config.block = {32, 1, 1};
  config.grid = {1, 3, 1};
  config.dynamic_shared = Bytes{64};
  EXPECT_DOUBLE_EQ(time_of(session, kernel, config, {y.get(), x.get(), ScalarArgument::of(1024)}).count(),
                   2000 + 8 + 30 + 64);
}

TEST(SimTime, KernelsShorterThanAHostCallAreTimedExactly) {
  Session session;
  auto& kernel = session.load("[kernels.nothing]\ncost_ns = 120\n", "nothing");
  EXPECT_DOUBLE_EQ(time_of(session, kernel, {}, {}).count(), 120);
  auto start = session.context->create_event(), stop = session.context->create_event();
  session.stream->record(*start);
  session.stream->record(*stop);
  session.stream->synchronize();
  EXPECT_DOUBLE_EQ(stop->elapsed_since(*start).count(), 0);
}

TEST(SimTime, NoiseIsSeeded) {
  const auto times = [](std::uint64_t seed, const char* noise) {
    Options options;
    options.seed = seed;
    Session session(std::move(options));
    auto& kernel = session.load(std::string("[kernels.nothing]\ncost_ns = 1e6\nnoise = ") + noise + "\n", "nothing");
    std::vector<double> result;
    for (int i = 0; i < 400; ++i) result.push_back(time_of(session, kernel, {}, {}).count());
    return result;
  };
  EXPECT_EQ(times(1, "0.05"), times(1, "0.05"));
  EXPECT_NE(times(1, "0.05"), times(2, "0.05"));
  EXPECT_EQ(times(1, "0"), std::vector<double>(400, 1e6));
  double sum = 0, squares = 0;
  for (const double time : times(3, "0.05")) {
    const double log = std::log(time / 1e6);
    sum += log;
    squares += log * log;
  }
  // Mean and deviation of the logarithm; bounds of four standard errors.
  EXPECT_NEAR(sum / 400, 0, 0.01);
  EXPECT_NEAR(std::sqrt(squares / 400), 0.05, 0.0071);
}

TEST(SimTime, NothingWaitsInRealTime) {
  Session session;
  auto& kernel = session.load("[kernels.nothing]\ncost_ns = \"3600 * 10**9\"\n", "nothing");
  const auto begin = std::chrono::steady_clock::now();
  auto clock = virtual_clock(*session.context);
  session.stream->launch(kernel, {}, {});
  EXPECT_FALSE(session.stream->idle());
  EXPECT_LT(clock->now(), Nanoseconds{1e6});
  session.stream->synchronize();
  EXPECT_GE(clock->now(), Nanoseconds{3600e9});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST(SimTime, PinnedCopiesRunBesideTheHostAndOthersBlockIt) {
  Session session;
  auto clock = virtual_clock(*session.context);
  auto buffer = session.context->allocate(Bytes{1 << 20});
  auto pinned = session.context->allocate_pinned(Bytes{1 << 20});
  const double before = clock->now().count();
  session.stream->copy_to_device(*buffer, Bytes{}, pinned->bytes());
  EXPECT_DOUBLE_EQ(clock->now().count() - before, 1000);  // one call
  session.stream->synchronize();
  // The call, then the copy; the second call falls into the copy.
  EXPECT_NEAR(clock->now().count() - before, 1000 + 2500 + (1 << 20) / 55.05, 1e-3);
  std::vector<std::byte> pageable(1 << 20);
  const double then = clock->now().count();
  session.stream->copy_to_device(*buffer, Bytes{}, pageable);
  EXPECT_NEAR(clock->now().count() - then, 1000 + 2500 + (1 << 20) / 7.6, 1e-3);
  EXPECT_TRUE(session.stream->idle());
  // A range that leaves the pinned buffer is not pinned.
  EXPECT_GE(clock->now().count(), (1 << 20) / 7.6);
}

TEST(SimTime, PinningCostsHostTime) {
  Session session;
  auto clock = virtual_clock(*session.context);
  const double before = clock->now().count();
  auto pinned = session.context->allocate_pinned(Bytes{4 << 20});
  EXPECT_DOUBLE_EQ(clock->now().count() - before, 1000 + 4 * 580e3);
}

// n chunks through copy in, kernel, copy out, over three streams with one buffer per chunk: as fast as the edges allow.
// Returns how much faster than one after the other.
double pipeline_speed_up(int chunks, double beta, int engines) {
  constexpr double stage = 1e6;
  Options options;
  options.duplex_factor = beta;
  options.copy_latency = Nanoseconds{0};
  options.host_call = Nanoseconds{1e-3};
  options.move_bytes = false;
  options.to_device_rate = options.to_host_rate = 1;
  options.pin_per_mebibyte = Nanoseconds{0};
  options.device.copy_engines = engines;
  Session session(std::move(options));
  auto& kernel = session.load("[kernels.nothing]\ncost_ns = 1e6\n", "nothing");
  auto in = session.context->create_stream(), work = session.context->create_stream(),
       out = session.context->create_stream();
  auto pinned = session.context->allocate_pinned(Bytes{static_cast<std::uint64_t>(stage)});
  std::vector<std::unique_ptr<device::Buffer>> buffers;
  std::vector<std::unique_ptr<device::Event>> events;
  auto clock = virtual_clock(*session.context);
  const double before = clock->now().count();
  for (int i = 0; i < chunks; ++i) {
    buffers.push_back(session.context->allocate(Bytes{static_cast<std::uint64_t>(stage)}));
    events.push_back(session.context->create_event());
    auto computed = session.context->create_event();
    in->copy_to_device(*buffers.back(), Bytes{}, pinned->bytes());
    in->record(*events.back());
    work->wait(*events.back());
    work->launch(kernel, {}, {});
    work->record(*computed);
    out->wait(*computed);
    out->copy_to_host(pinned->bytes(), *buffers.back(), Bytes{});
  }
  session.context->synchronize();
  return 3 * stage * chunks / (clock->now().count() - before);
}

// Balanced stages: 3 n / (n + 2) with full duplex; with the factor 0.82 the values of an independent event simulation,
// and in the limit 3 / (2 - 0.82); with one copy engine at most 1.5.
TEST(SimTime, PipelinesOverlapAsTheFormulasSay) {
  EXPECT_NEAR(pipeline_speed_up(4, 1, 3), 2.0, 1e-3);
  EXPECT_NEAR(pipeline_speed_up(10, 1, 3), 2.5, 1e-3);
  EXPECT_NEAR(pipeline_speed_up(30, 1, 2), 2.8125, 1e-3);
  EXPECT_NEAR(pipeline_speed_up(4, 0.82, 3), 1.878, 1e-3);
  EXPECT_NEAR(pipeline_speed_up(10, 0.82, 3), 2.227, 1e-3);
  EXPECT_NEAR(pipeline_speed_up(16, 0.82, 3), 2.335, 1e-3);
  EXPECT_NEAR(pipeline_speed_up(30, 0.82, 3), 2.428, 1e-3);
  EXPECT_NEAR(pipeline_speed_up(100, 0.82, 3), 2.507, 1e-3);
  EXPECT_NEAR(pipeline_speed_up(100, 0.82, 1), 1.5, 0.02);
}

TEST(SimTime, CostOnlyModeMovesNoBytes) {
  Options options;
  options.move_bytes = false;
  Session session(std::move(options));
  // More than this machine has.
  auto huge = session.context->allocate(Bytes{std::uint64_t{60} << 30}), c = session.context->allocate(Bytes{4096});
  session.stream->fill(*huge, Bytes{1}, Bytes{std::uint64_t{50} << 30}, 1);
  auto& kernel = session.load(add_source, "vector_add");
  EXPECT_DOUBLE_EQ(time_of(session, kernel, {}, {c.get(), huge.get(), huge.get(), ScalarArgument::of(1000)}).count(),
                   2000);
}

// ---- bytes
// ------------------------------------------------------------------------------------------------------------

TEST(SimBytes, AMissingWaitGivesWrongBytesEveryTime) {
  Session session;
  auto pinned = session.context->allocate_pinned(Bytes{4096});
  std::ranges::fill(pinned->bytes(), std::byte{1});
  auto buffer = session.upload(std::vector<std::uint8_t>(4096, 9));
  session.stream->synchronize();
  session.stream->copy_to_host(pinned->bytes(), *buffer, Bytes{});
  EXPECT_EQ(pinned->bytes()[0], std::byte{0xDB}) << "being copied";
  session.stream->synchronize();
  EXPECT_EQ(pinned->bytes()[0], std::byte{9});
}

TEST(SimBytes, ASourceThatChangesWhileItIsCopiedIsAnError) {
  Session session;
  auto pinned = session.context->allocate_pinned(Bytes{1 << 20});
  auto buffer = session.context->allocate(Bytes{1 << 20});
  session.stream->copy_to_device(*buffer, Bytes{}, pinned->bytes());
  pinned->bytes()[77] ^= std::byte{1};
  const Error error = error_of([&] { session.stream->synchronize(); });
  EXPECT_EQ(error.code(), ErrorCode::conflict);
  EXPECT_THAT(error.what(), HasSubstr("the source changed while it was being copied"));
  session.stream->synchronize();  // said once
}

TEST(SimBytes, ABufferDestroyedTooEarlyIsAnError) {
  Session session;
  auto pinned = session.context->allocate_pinned(Bytes{1 << 20});
  auto buffer = session.context->allocate(Bytes{1 << 20});
  session.stream->copy_to_device(*buffer, Bytes{}, pinned->bytes());
  buffer.reset();
  EXPECT_THAT(error_of([&] { session.context->synchronize(); }).what(), HasSubstr("was destroyed before"));
}

TEST(SimBytes, ContextsDoNotMix) {
  Session session;
  auto other = session.backend->open({"sim", {0}});
  auto buffer = other->allocate(Bytes{8});
  std::vector<std::byte> host(8);
  EXPECT_EQ(error_of([&] { session.stream->copy_to_host(host, *buffer, Bytes{}); }).code(), ErrorCode::bad_input);
  auto event = other->create_event();
  EXPECT_EQ(error_of([&] { session.stream->record(*event); }).code(), ErrorCode::bad_input);
  auto& kernel = session.load("[kernels.nothing]\n", "nothing");
  EXPECT_EQ(error_of([&] { other->create_stream()->launch(kernel, {}, {}); }).code(), ErrorCode::bad_input);
}

TEST(SimBytes, BuiltInBehavioursOfOtherTypes) {
  Session session;
  auto& sum =
      session.load("[kernels.reduce_sum]\narguments = [\"int64* out\", \"int64* x\", \"int32 n\"]\n", "reduce_sum");
  auto x = session.upload(std::vector<std::int64_t>{1, 2, 3, -10}), out = session.upload(std::vector<std::int64_t>(1));
  session.stream->launch(sum, {}, std::vector<KernelArgument>{out.get(), x.get(), ScalarArgument::of(4)});
  EXPECT_EQ(session.download<std::int64_t>(*out).front(), -4);

  auto& transpose = session.load("[kernels.transpose]\n", "transpose");
  auto in = session.upload(std::vector<float>{1, 2, 3, 4, 5, 6}), turned = session.upload(std::vector<float>(6));
  session.stream->launch(
      transpose, {}, std::vector<KernelArgument>{turned.get(), in.get(), ScalarArgument::of(3), ScalarArgument::of(2)});
  EXPECT_EQ(session.download<float>(*turned), (std::vector<float>{1, 4, 2, 5, 3, 6}));

  auto& stencil = session.load("[kernels.stencil5]\n", "stencil5");
  session.stream->launch(
      stencil, {}, std::vector<KernelArgument>{turned.get(), in.get(), ScalarArgument::of(3), ScalarArgument::of(2)});
  EXPECT_FLOAT_EQ(session.download<float>(*turned)[1], (2 + 1 + 3 + 2 + 5) / 5.0f);

  auto& matmul = session.load("[kernels.matmul]\n", "matmul");
  auto c = session.upload(std::vector<float>(4));
  session.stream->launch(matmul, {},
                         std::vector<KernelArgument>{c.get(), in.get(), in.get(), ScalarArgument::of(2),
                                                     ScalarArgument::of(2), ScalarArgument::of(3)});
  // (1 2 3; 4 5 6) times (1 2; 3 4; 5 6)
  EXPECT_EQ(session.download<float>(*c), (std::vector<float>{22, 28, 49, 64}));

  auto& saxpy = session.load("[kernels.saxpy]\n", "saxpy");
  auto y = session.upload(std::vector<float>(6, 1));
  session.stream->launch(
      saxpy, {}, std::vector<KernelArgument>{y.get(), in.get(), ScalarArgument::of(2.0f), ScalarArgument::of(6)});
  EXPECT_EQ(session.download<float>(*y), (std::vector<float>{3, 5, 7, 9, 11, 13}));
}

TEST(SimBytes, ArgumentsThatDoNotFitAreSaidWhenWaited) {
  Session session;
  auto& copy = session.load("[kernels.copy]\n", "copy");
  auto small = session.upload(std::vector<float>(4)), large = session.upload(std::vector<float>(8));
  session.stream->launch(copy, {}, std::vector<KernelArgument>{small.get(), large.get(), ScalarArgument::of(8)});
  const Error error = error_of([&] { session.stream->synchronize(); });
  EXPECT_EQ(error.code(), ErrorCode::bad_input);
  EXPECT_THAT(error.what(), HasSubstr("argument 0 has 4 elements, the kernel uses 8"));
}

// ---- faults
// -----------------------------------------------------------------------------------------------------------

TEST(SimFaults, DamageOfTheOutput) {
  const auto with = [](const std::string& fault) {
    Session session;
    return add_with(session, std::string(add_source) + "elements = \"n\"\n" + fault + "\n");
  };
  const std::vector<float> right{10, 11, 12, 13, 14, 15, 16, 17, 7, 7, 7, 7};
  EXPECT_EQ(with(""), right);
  EXPECT_EQ(with("wrong_if = \"BLOCK_X > 1\""), right) << "the condition does not hold";
  auto expected = right;
  expected[4] = 28;
  EXPECT_EQ(with("wrong_if = true"), expected);
  expected = right;
  std::fill(expected.begin() + 4, expected.begin() + 8, 7.0f);
  EXPECT_EQ(with("partial_if = \"BLOCK_X == 1\""), expected);
  const auto nan = with("nan_if = true");
  EXPECT_TRUE(std::isnan(nan[2]));
  const auto outside = with("out_of_bounds_if = true");
  EXPECT_TRUE(std::equal(right.begin(), right.begin() + 8, outside.begin()));
  EXPECT_NE(outside[8], 7);
  EXPECT_EQ(outside[9], 7);
}

TEST(SimFaults, NondeterministicKernelsDifferEverySecondTime) {
  Session session;
  auto& kernel = session.load("[kernels.copy]\nnondeterministic_if = true\n", "copy");
  auto x = session.upload(std::vector<float>(4, 5)), y = session.upload(std::vector<float>(4));
  std::vector<std::vector<float>> results;
  for (int i = 0; i < 4; ++i) {
    session.stream->launch(kernel, {}, std::vector<KernelArgument>{y.get(), x.get(), ScalarArgument::of(4)});
    results.push_back(session.download<float>(*y));
  }
  EXPECT_EQ(results[0], std::vector<float>(4, 5));
  EXPECT_NE(results[1], results[0]);
  EXPECT_EQ(results[2], results[0]);
  EXPECT_EQ(results[3], results[1]);
}

TEST(SimFaults, WritingOutsideTheAllocationLosesTheContext) {
  Session session;
  auto& kernel = session.load("[kernels.copy]\nelements = \"n\"\nout_of_bounds_if = true\n", "copy");
  auto x = session.upload(std::vector<float>(4)), y = session.upload(std::vector<float>(4));
  session.stream->launch(kernel, {}, std::vector<KernelArgument>{y.get(), x.get(), ScalarArgument::of(4)});
  const Error error = error_of([&] { session.stream->synchronize(); });
  EXPECT_EQ(error.code(), ErrorCode::device);
  EXPECT_THAT(error.what(), HasSubstr("illegal address"));
}

TEST(SimFaults, RefusedLaunchesAndDeviceFaults) {
  Session session;
  auto& refused = session.load("[kernels.nothing]\nlaunch_refused_if = \"GRID_X > 4\"\n", "nothing");
  LaunchConfig config;
  config.grid = {5, 1, 1};
  EXPECT_EQ(error_of([&] { session.stream->launch(refused, config, {}); }).code(), ErrorCode::launch);
  session.stream->launch(refused, {}, {});
  session.stream->synchronize();

  auto& faulty = session.load("[kernels.nothing]\ndevice_fault_if = \"fault == 1\"\n", "nothing", {{"fault", "1"}});
  session.stream->launch(faulty, {}, {});
  EXPECT_EQ(error_of([&] { session.stream->synchronize(); }).code(), ErrorCode::device);
  // For good, for this context; another one is not concerned.
  EXPECT_EQ(error_of([&] { static_cast<void>(session.context->allocate(Bytes{1})); }).code(), ErrorCode::device);
  EXPECT_NE(session.backend->open({"sim", {0}})->allocate(Bytes{1}), nullptr);
}

TEST(SimFaults, CompileErrorsAndTime) {
  Session session;
  const std::string source = "[kernels.copy]\ncompile_error_if = \"tile == 3\"\ncompile_ms = 30\n";
  EXPECT_THAT(error_of([&] {
                session.compile(source, {{"tile", "3"}});
              }).message(),
              HasSubstr("refused by 'compile_error_if'"));
  const auto begin = std::chrono::steady_clock::now();
  session.compile(source, {{"tile", "4"}});
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(30));
}

TEST(SimFaultsDeathTest, Crashes) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        Session session;
        session.compile("[kernels.copy]\ncrash_compile_if = true\n");
      },
      testing::KilledBySignal(SIGABRT), "");
  EXPECT_EXIT(
      {
        Session session;
        session.stream->launch(session.load("[kernels.nothing]\ncrash_if = true\n", "nothing"), {}, {});
      },
      testing::KilledBySignal(SIGABRT), "");
}

// A hang is real: the process must be killed by somebody, here by an alarm.
TEST(SimFaultsDeathTest, Hangs) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        Session session;
        alarm(1);
        session.stream->launch(session.load("[kernels.nothing]\nhang_if = true\n", "nothing"), {}, {});
        session.stream->synchronize();
      },
      testing::KilledBySignal(SIGALRM), "");
  EXPECT_EXIT(
      {
        Session session;
        alarm(1);
        session.compile("[kernels.nothing]\nhang_compile_if = true\n");
      },
      testing::KilledBySignal(SIGALRM), "");
}

TEST(SimFaults, AHangingKernelDoesNotBlockItsDestruction) {
  Session session;
  session.stream->launch(session.load("[kernels.nothing]\nhang_if = true\n", "nothing"), {}, {});
  auto event = session.context->create_event();
  session.stream->record(*event);
  for (int i = 0; i < 1000; ++i) ASSERT_FALSE(event->done());
  EXPECT_FALSE(session.stream->idle());
}

TEST(SimFaults, ScriptedCallsFail) {
  using Call = Fault::Call;
  const auto with = [](Fault fault) {
    Options options;
    options.faults = {fault};
    return options;
  };
  {
    Session session(with({Call::allocate, 2, false, ErrorCode::out_of_memory}));
    auto first = session.context->allocate(Bytes{8});
    const Error error = error_of([&] { static_cast<void>(session.context->allocate(Bytes{8})); });
    EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
    EXPECT_THAT(error.what(), HasSubstr("allocate number 2"));
    EXPECT_NE(session.context->allocate(Bytes{8}), nullptr);
  }
  {
    Session session(with({Call::launch, 1, true, ErrorCode::launch}));
    auto& kernel = session.load("[kernels.nothing]\n", "nothing");
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(error_of([&] { session.stream->launch(kernel, {}, {}); }).code(), ErrorCode::launch);
  }
  {
    Session session(with({Call::copy_to_host, 1, false, ErrorCode::device}));
    auto buffer = session.upload(std::vector<int>{1});
    EXPECT_EQ(error_of([&] { session.download<int>(*buffer); }).code(), ErrorCode::device);
    EXPECT_EQ(error_of([&] { session.stream->synchronize(); }).code(), ErrorCode::device);
  }
  {
    // An event that never completes.
    Session session(with({Call::record, 1, false, ErrorCode::timeout}));
    auto event = session.context->create_event();
    session.stream->record(*event);
    for (int i = 0; i < 100; ++i) ASSERT_FALSE(event->done());
  }
}

TEST(SimGraph, WhatCannotBeRecordedIsRefused) {
  Session session;
  auto event = session.context->create_event();
  for (const auto& body : std::vector<std::function<void()>>{[&] { session.stream->synchronize(); },
                                                             [&] { session.stream->record(*event); },
                                                             [&] { session.stream->wait(*event); }}) {
    EXPECT_EQ(error_of([&] { static_cast<void>(session.context->record_graph(*session.stream, body)); }).code(),
              ErrorCode::conflict);
  }
  session.stream->synchronize();
}

TEST(SimGraph, OutlivesTheKernelsItWasRecordedFrom) {
  Session session;
  auto buffer = session.upload(std::vector<float>(4, 1));
  std::unique_ptr<device::Graph> graph;
  {
    auto& kernel = session.load("[kernels.scale]\ncost_ns = 500\n", "scale");
    graph = session.context->record_graph(*session.stream, [&] {
      session.stream->launch(
          kernel, {},
          std::vector<KernelArgument>{buffer.get(), buffer.get(), ScalarArgument::of(2.0f), ScalarArgument::of(4)});
    });
    session.kernel.reset();
    session.module.reset();
  }
  auto start = session.context->create_event(), stop = session.context->create_event();
  session.stream->record(*start);
  session.stream->launch(*graph);
  session.stream->launch(*graph);
  session.stream->record(*stop);
  EXPECT_EQ(session.download<float>(*buffer), std::vector<float>(4, 4));
  // Two launches of 500; the host needs 1000 until the second.
  EXPECT_NEAR(stop->elapsed_since(*start).count(), 1500, 1e-6);
}

}  // namespace
}  // namespace warpwright::sim
