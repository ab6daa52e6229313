// What the contract suite cannot ask of every backend: OpenCL's own rules, on the devices of this machine.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <thread>

#include <warpwright/base/error.hpp>
#include <warpwright/opencl/backend.hpp>

namespace warpwright::opencl {
namespace {

using testing::HasSubstr;

device::CompileJob job_of(std::string source, std::vector<std::string> entries) {
  device::CompileJob job;
  job.source = std::move(source);
  job.file_name = "kernels/example.cl";
  job.entries = std::move(entries);
  return job;
}

constexpr const char* saxpy_source = R"(
__kernel void saxpy(__global float* y, __global const float* x, float a, int n) {
  int i = get_global_id(0);
  if (i < n) y[i] = a * x[i] + y[i];
}
__kernel void spin(__global float* y, int rounds) {
  int i = get_global_id(0);
  float v = y[i];
  for (int r = 0; r < rounds; ++r) v = v * 0.999f + 0.5f;
  y[i] = v;
}
__kernel void shared_sum(__global int* out, __local int* scratch) {
  int t = get_local_id(0);
  scratch[t] = t;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (t == 0) {
    int s = 0;
    for (int i = 0; i < get_local_size(0); ++i) s += scratch[i];
    out[0] = s;
  }
}
)";

class OpenclDevice : public testing::Test {
 protected:
  void SetUp() override {
    backend_ = make_backend();
    const device::ProbeResult probe = backend_->probe();
    if (!probe.usable) {
      const char* required = std::getenv("WARPWRIGHT_REQUIRE_DEVICE");
      if (required != nullptr && std::string(required) == "opencl") FAIL() << probe.reason << "; " << probe.remedy;
      GTEST_SKIP() << probe.reason << "; " << probe.remedy;
    }
    info_ = backend_->devices().front();
    context_ = backend_->open(info_.id);
    compiler_ = backend_->compiler(info_);
    stream_ = context_->create_stream();
  }

  std::unique_ptr<device::Module> build(const std::vector<std::string>& entries) {
    return context_->load(compiler_->compile(job_of(saxpy_source, entries)));
  }

  std::unique_ptr<device::Backend> backend_;
  DeviceInfo info_;
  std::unique_ptr<device::Context> context_;
  std::unique_ptr<device::Compiler> compiler_;
  std::unique_ptr<device::Stream> stream_;
};

TEST_F(OpenclDevice, ComputesSaxpy) {
  constexpr int n = 1000;
  std::vector<float> x(n), y(n, 1.0f);
  std::iota(x.begin(), x.end(), 0.0f);
  auto device_x = context_->allocate(Bytes{n * sizeof(float)});
  auto device_y = context_->allocate(Bytes{n * sizeof(float)});
  auto module = build({"saxpy"});
  auto kernel = module->kernel("saxpy");
  stream_->copy_to_device(*device_x, Bytes{}, std::as_bytes(std::span(x)));
  stream_->copy_to_device(*device_y, Bytes{}, std::as_bytes(std::span(y)));
  device::LaunchConfig config;
  config.block = {64, 1, 1};
  config.grid = {(n + 63) / 64, 1, 1};
  const std::vector<device::KernelArgument> arguments{device_y.get(), device_x.get(), device::ScalarArgument::of(2.0f),
                                                      device::ScalarArgument::of(n)};
  stream_->launch(*kernel, config, arguments);
  stream_->copy_to_host(std::as_writable_bytes(std::span(y)), *device_y, Bytes{});
  stream_->synchronize();
  for (int i = 0; i < n; ++i) ASSERT_EQ(y[i], 2.0f * static_cast<float>(i) + 1.0f) << i;
}

TEST_F(OpenclDevice, FindsHeadersInFoldersWithBlanks) {
  const auto folder = std::filesystem::temp_directory_path() / "warpwright opencl test" / "in 'c'";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "h.h") << "#define ADDED 1.0f\n";
  device::CompileJob job = job_of("#include <h.h>\n__kernel void f(__global float* x) { x[0] += ADDED; }\n", {"f"});
  job.include_folders = {folder};
  EXPECT_NO_THROW(compiler_->compile(job));
  std::ofstream(folder / "h.h") << "#error not this way\n";
  try {
    compiler_->compile(job);
    ADD_FAILURE() << "compiled";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("not this way"));
  }
  std::filesystem::remove_all(folder.parent_path());
}

TEST_F(OpenclDevice, DescribesItself) {
  EXPECT_EQ(info_.id.backend, "opencl");
  EXPECT_EQ(info_.id.ordinals.size(), 2u);
  EXPECT_THAT(info_.toolkit, testing::StartsWith("OpenCL C 1.2 "));
  EXPECT_FALSE(info_.supports_graphs);
  EXPECT_TRUE(compiler_->needs_device());
  EXPECT_THAT(compiler_->version(), HasSubstr(info_.driver));
  EXPECT_EQ(backend_->telemetry(info_), nullptr);
}

TEST_F(OpenclDevice, CompilerMessagesNameFileAndLine) {
  // The preamble must not shift the lines of messages.
  device::CompileJob broken = job_of("__kernel void f(__global int* x) {\n  x[0] = 1;\n  x[0] = oops;\n}\n", {});
  broken.defines = {{"A", "1"}, {"B", "2"}, {"C", "3"}};
  try {
    compiler_->compile(broken);
    FAIL() << "compiled";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::compile);
    // NVIDIA's compiler ignores #line: its messages count lines from the top of what it was given, and ours says so.
    if (context_->device().vendor.find("NVIDIA") != std::string::npos) {
      EXPECT_THAT(error.message(), HasSubstr("kernels/example.cl"));
    } else {
      EXPECT_THAT(error.message(), HasSubstr("kernels/example.cl:3"));
    }
    ASSERT_TRUE(error.native().has_value());
    EXPECT_EQ(error.native()->name, "CL_BUILD_PROGRAM_FAILURE");
  }
}

TEST_F(OpenclDevice, ElapsedTimeLeavesTheLaunchOut) {
  auto module = build({"spin"});
  auto kernel = module->kernel("spin");
  auto buffer = context_->allocate(Bytes{64 * sizeof(float)});
  stream_->fill(*buffer, Bytes{}, buffer->size(), 0);
  device::LaunchConfig config;
  config.block = {64, 1, 1};
  const auto launch = [&](int rounds) {
    const std::vector<device::KernelArgument> arguments{buffer.get(), device::ScalarArgument::of(rounds)};
    stream_->launch(*kernel, config, arguments);
  };
  launch(1);
  stream_->synchronize();
  auto start = context_->create_event(), stop = context_->create_event();
  stream_->record(*start);
  // A host that is busy between the event and the launch: no part of the kernel's time.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  launch(10);
  stream_->record(*stop);
  stream_->synchronize();
  EXPECT_GT(stop->elapsed_since(*start), Nanoseconds{0});
  EXPECT_LT(stop->elapsed_since(*start), Nanoseconds{150e6});
}

TEST_F(OpenclDevice, LocalMemoryIsATrailingArgument) {
  auto module = build({"shared_sum", "saxpy"});
  auto kernel = module->kernel("shared_sum");
  auto out = context_->allocate(Bytes{sizeof(int)});
  device::LaunchConfig config;
  config.block = {32, 1, 1};
  const std::vector<device::KernelArgument> arguments{out.get()};
  try {
    stream_->launch(*kernel, config, arguments);
    FAIL() << "launched without local memory";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    EXPECT_THAT(error.what(), HasSubstr("dynamic shared memory is 0"));
  }
  config.dynamic_shared = Bytes{32 * sizeof(int)};
  stream_->launch(*kernel, config, arguments);
  int sum = 0;
  stream_->copy_to_host(std::as_writable_bytes(std::span(&sum, 1)), *out, Bytes{});
  stream_->synchronize();
  EXPECT_EQ(sum, 31 * 32 / 2);
}

TEST_F(OpenclDevice, LanguageStandardCanBeChosen) {
  device::CompileJob job = job_of("__kernel void f(__global int* x) { x[0] = __OPENCL_C_VERSION__; }", {"f"});
  auto out = context_->allocate(Bytes{sizeof(int)});
  const auto version = [&] {
    auto module = context_->load(compiler_->compile(job));
    auto kernel = module->kernel("f");
    const std::vector<device::KernelArgument> arguments{out.get()};
    stream_->launch(*kernel, {}, arguments);
    int value = 0;
    stream_->copy_to_host(std::as_writable_bytes(std::span(&value, 1)), *out, Bytes{});
    stream_->synchronize();
    return value;
  };
  EXPECT_EQ(version(), 120);
  job.options = {"-cl-std=CL1.1"};
  EXPECT_EQ(version(), 110);
}

// Drivers stop their threads in exit handlers; what the program still holds by then must not matter.
TEST(OpenclExitDeathTest, ExitWithOpenHandlesIsClean) {
  auto backend = make_backend();
  if (!backend->probe().usable) GTEST_SKIP() << backend->probe().reason;
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        auto own = make_backend();
        const DeviceInfo info = own->devices().front();
        auto context = own->open(info.id);
        auto stream = context->create_stream();
        auto pinned = context->allocate_pinned(Bytes{4096});
        auto buffer = context->allocate(Bytes{4096});
        stream->copy_to_device(*buffer, Bytes{}, pinned->bytes());
        auto module = context->load(own->compiler(info)->compile(job_of(saxpy_source, {"saxpy"})));
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(OpenclLoader, AMissingLibraryIsAnAnswer) {
  auto backend = make_backend("libNoSuchOpenCL.so.1");
  const device::ProbeResult probe = backend->probe();
  EXPECT_FALSE(probe.usable);
  EXPECT_THAT(probe.reason, HasSubstr("libNoSuchOpenCL.so.1"));
  EXPECT_THAT(probe.remedy, HasSubstr("ocl-icd-libopencl1"));
  ASSERT_EQ(probe.components.size(), 3u);
  for (const auto& component : probe.components) {
    EXPECT_FALSE(component.present);
    EXPECT_FALSE(component.remedy.empty());
  }
  EXPECT_TRUE(backend->devices().empty());
  try {
    static_cast<void>(backend->open({"opencl", {0, 0}}));
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_THAT(error.what(), HasSubstr("ocl-icd-libopencl1"));
  }
}

TEST(OpenclLoader, ALibraryThatIsNoOpenclIsAnAnswer) {
  // Every Linux has it, and it exports no OpenCL.
  const device::ProbeResult probe = make_backend("libdl.so.2")->probe();
  EXPECT_FALSE(probe.usable);
  EXPECT_THAT(probe.reason, HasSubstr("clGetPlatformIDs"));
}

}  // namespace
}  // namespace warpwright::opencl
