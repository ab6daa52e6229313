// The case and the fixture of the contract suite; see device_contract.hpp.
#pragma once

#include <array>
#include <cstdlib>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/device/backend.hpp>

namespace warpwright::test {

// What the suite needs to know of a backend.
struct DeviceContractCase {
  std::string name;  // letters and digits: part of the tests' names
  std::function<std::unique_ptr<device::Backend>()> backend;
  // nullopt: the backend's first device, or a skip with its reason if it has none.
  std::optional<DeviceId> device;
  std::string file_name;      // of the sources, in compiler messages
  std::string source;         // the kernels described in contract/sources.hpp
  std::string broken_source;  // does not compile, because of ...
  std::string broken_word;    // ... this word, which the compiler's log names
  // Bytes of the symbol contract_table; false where the backend has no symbols.
  bool has_symbols = false;
  // The driver can tell a wrong number of arguments.
  bool checks_arguments = true;
};

inline std::ostream& operator<<(std::ostream& out, const DeviceContractCase& value) { return out << value.name; }
inline std::string contract_name(const ::testing::TestParamInfo<DeviceContractCase>& info) { return info.param.name; }

// The Error that `call` throws; a test failure and an internal error if it throws none.
template <class Call>
Error error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "threw something else than Error: " << error.what();
    return Error(ErrorCode::internal, error.what());
  }
  ADD_FAILURE() << "threw nothing";
  return Error(ErrorCode::internal, "nothing was thrown");
}

// A program compiled and loaded, with one of its kernels.
struct LoadedKernel {
  std::unique_ptr<device::Module> module;
  std::unique_ptr<device::Kernel> kernel;
};

class DeviceContract : public ::testing::TestWithParam<DeviceContractCase> {
 public:
  using Defines = std::vector<std::pair<std::string, std::string>>;
  using Arguments = std::vector<device::KernelArgument>;

 protected:
  void SetUp() override {
    backend_ = GetParam().backend();
    const device::ProbeResult probe = backend_->probe();
    if (!probe.usable) {
      const char* required = std::getenv("WARPWRIGHT_REQUIRE_DEVICE");
      const std::string why =
          backend_->name() + ": " + probe.reason + (probe.remedy.empty() ? "" : "; " + probe.remedy);
      if (required != nullptr && backend_->name() == required) FAIL() << why;
      GTEST_SKIP() << why;
    }
    ASSERT_FALSE(backend_->devices().empty()) << "a usable backend has a device";
    id_ = GetParam().device.value_or(backend_->devices().front().id);
    context_ = backend_->open(id_);
    info_ = context_->device();
    compiler_ = backend_->compiler(info_);
    stream_ = context_->create_stream();
  }

  device::CompileJob job(std::string source, Defines defines = {},
                         std::vector<std::string> entries = {"contract_add"}) const {
    device::CompileJob result;
    result.source = std::move(source);
    result.file_name = GetParam().file_name;
    result.defines = std::move(defines);
    result.entries = std::move(entries);
    return result;
  }
  Binary compile(const std::string& entry, Defines defines = {}) {
    return compiler_->compile(job(GetParam().source, std::move(defines), {entry}));
  }
  LoadedKernel load(const std::string& entry, Defines defines = {}) {
    LoadedKernel loaded;
    loaded.module = context_->load(compile(entry, std::move(defines)));
    loaded.kernel = loaded.module->kernel(entry);
    return loaded;
  }

  static device::LaunchConfig linear(std::int64_t blocks, std::int64_t threads) {
    device::LaunchConfig config;
    config.grid = {blocks, 1, 1};
    config.block = {threads, 1, 1};
    return config;
  }
  static device::ScalarArgument scalar(int value) { return device::ScalarArgument::of(value); }

  template <class T>
  std::unique_ptr<device::Buffer> upload(const std::vector<T>& values) {
    auto buffer = context_->allocate(Bytes{values.size() * sizeof(T)});
    stream_->copy_to_device(*buffer, Bytes{}, std::as_bytes(std::span(values)));
    stream_->synchronize();
    return buffer;
  }
  template <class T>
  std::vector<T> download(const device::Buffer& buffer) {
    stream_->synchronize();
    std::vector<T> values(static_cast<std::size_t>(buffer.size().count) / sizeof(T));
    stream_->copy_to_host(std::as_writable_bytes(std::span(values)), buffer, Bytes{});
    stream_->synchronize();
    return values;
  }

  // A launch, a copy and the right answer: that the context is not lost.
  void expect_usable() {
    auto fill = load("contract_fill");
    auto out = upload(std::vector<int>(4, 0));
    stream_->launch(*fill.kernel, linear(1, 4), Arguments{out.get(), scalar(9), scalar(4)});
    EXPECT_EQ(download<int>(*out), std::vector<int>(4, 9));
  }

  // What contract_spin makes of `value`.
  static int spun(int value, int rounds) {
    auto x = static_cast<unsigned>(value);
    for (int r = 0; r < rounds; ++r) x = 5u * x + 1u;
    return static_cast<int>(x + 1u);
  }

  std::unique_ptr<device::Backend> backend_;
  DeviceId id_;
  std::unique_ptr<device::Context> context_;
  DeviceInfo info_;
  std::unique_ptr<device::Compiler> compiler_;
  std::unique_ptr<device::Stream> stream_;
};

// A program may include the suite and find no case at run time.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceContract);

// A buffer of no backend: every call must refuse it.
class ForeignBuffer final : public device::Buffer {
 public:
  Bytes size() const override { return Bytes{64}; }
};

}  // namespace warpwright::test
