// What the contract suite cannot ask of every backend: OpenCL's own rules, on the devices of this machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/opencl/backend.hpp>

#include <cstdlib>
#include <numeric>

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

}  // namespace
}  // namespace warpwright::opencl
