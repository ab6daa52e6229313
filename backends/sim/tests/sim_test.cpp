// What the simulated device promises beyond the contract of every backend: exact times, chosen faults, strict limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/base/error.hpp>
#include <warpwright/sim/backend.hpp>

#include <chrono>
#include <cmath>
#include <numeric>

namespace warpwright::sim {
namespace {

using device::KernelArgument;
using device::LaunchConfig;
using device::ScalarArgument;
using testing::AllOf;
using testing::HasSubstr;

template <class Call>
Error error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no Error was thrown";
  return Error(ErrorCode::internal, "no error");
}

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

  device::Binary compile(const std::string& source, std::vector<std::pair<std::string, std::string>> defines = {}) {
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

}  // namespace
}  // namespace warpwright::sim
