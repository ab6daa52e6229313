// What tests on a real GPU share. Without one they skip with the reason; WARPWRIGHT_REQUIRE_DEVICE=cuda makes that a
// failure.
#pragma once

#include <cstdlib>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/cuda/backend.hpp>

namespace warpwright::cuda {

class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Options options;
    for (const char* name : {"CUDA_HOME", "CUDA_PATH"}) {
      if (const char* folder = std::getenv(name); folder != nullptr && *folder != 0) {
        options.toolkit_folders.emplace_back(folder);
      }
    }
    backend = make_backend(options);
    const auto probe = backend->probe();
    const char* required = std::getenv("WARPWRIGHT_REQUIRE_DEVICE");
    const bool must = required != nullptr && std::string(required).find("cuda") != std::string::npos;
    if (!probe.usable) {
      if (must) FAIL() << probe.reason << "; " << probe.remedy;
      GTEST_SKIP() << probe.reason;
    }
    for (const auto& component : probe.components) {
      if (component.name == "NVRTC" && !component.present) {
        if (must) FAIL() << component.detail;
        GTEST_SKIP() << component.detail;
      }
    }
    context = backend->open(DeviceId{"cuda", {0}});
    compiler = backend->compiler(context->device());
    stream = context->create_stream();
  }
  void TearDown() override {
    stream.reset();
    context.reset();
  }

  Binary compile(const std::string& source, std::vector<std::string> entries) {
    device::CompileJob job;
    job.source = source;
    job.file_name = "gpu_test.cu";
    job.entries = std::move(entries);
    return compiler->compile(job);
  }
  static Error error_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error;
    }
    ADD_FAILURE() << "no error";
    return Error(ErrorCode::internal, "no error");
  }
  static device::LaunchConfig geometry(std::int64_t blocks, std::int64_t threads, std::uint64_t shared = 0) {
    device::LaunchConfig config;
    config.grid = {blocks, 1, 1};
    config.block = {threads, 1, 1};
    config.dynamic_shared = Bytes{shared};
    return config;
  }
  template <class T>
  std::unique_ptr<device::Buffer> upload(const std::vector<T>& values) {
    auto buffer = context->allocate(Bytes{values.size() * sizeof(T)});
    stream->copy_to_device(*buffer, Bytes{0}, std::as_bytes(std::span(values)));
    stream->synchronize();
    return buffer;
  }
  template <class T>
  std::vector<T> download(const device::Buffer& buffer) {
    std::vector<T> values(buffer.size().count / sizeof(T));
    stream->copy_to_host(std::as_writable_bytes(std::span(values)), buffer, Bytes{0});
    stream->synchronize();
    return values;
  }

  std::unique_ptr<device::Backend> backend;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<device::Compiler> compiler;
  std::unique_ptr<device::Stream> stream;
};

}  // namespace warpwright::cuda
