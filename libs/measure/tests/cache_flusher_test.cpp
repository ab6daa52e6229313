#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/measure/cache_flusher.hpp>

#include "host_device.hpp"

namespace warpwright::measure {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Host;
using testing::HostCompiler;
using testing::HostContext;

constexpr std::uint64_t mebibyte = 1 << 20;

struct Fixture {
  Fixture() : context(host), compiler(host), stream(context.create_stream()) {}
  CacheFlusher make(FlushMethod method = {}) { return {context, compiler, *stream, method, sink()}; }
  LogSink sink() {
    return [this](LogLevel level, std::string_view text) {
      if (level == LogLevel::warning) warnings.emplace_back(text);
    };
  }
  Host host;
  HostContext context;
  HostCompiler compiler;
  std::unique_ptr<device::Stream> stream;
  std::vector<std::string> warnings;
};

TEST(CacheFlusher, SizeFollowsTheLastLevelCacheAndIsBounded) {
  const auto sizes_for = [](DeviceKind kind, std::optional<Bytes> cache, Bytes memory = {}) {
    Fixture fixture;
    fixture.host.info.kind = kind;
    fixture.host.info.l2_cache = cache;
    fixture.host.info.global_memory = memory;
    const CacheFlusher flusher = fixture.make();
    return std::pair(flusher.size().count / mebibyte, flusher.cache_source());
  };
  EXPECT_EQ(sizes_for(DeviceKind::gpu, Bytes{50 * mebibyte}), (std::pair{std::uint64_t{100}, std::string("driver")}));
  EXPECT_EQ(sizes_for(DeviceKind::cpu, Bytes{500 * mebibyte}).first, 64u);
  EXPECT_EQ(sizes_for(DeviceKind::cpu, Bytes{16 * mebibyte}).first, 32u);
  EXPECT_EQ(sizes_for(DeviceKind::cpu, std::nullopt), (std::pair{std::uint64_t{64}, std::string("assumed")}));
  EXPECT_EQ(sizes_for(DeviceKind::gpu, Bytes{50 * mebibyte}, Bytes{160 * mebibyte}).first, 10u)
      << "a sixteenth of the memory each";
}

TEST(CacheFlusher, ItsSourceIsTheDevices) {
  Fixture fixture;
  fixture.host.info.l2_cache_source = "table";
  EXPECT_EQ(fixture.make().cache_source(), "table");
  EXPECT_EQ(fixture.make().cache(), Bytes{64 << 10});
}

TEST(CacheFlusher, WritesThenReadsAnotherBufferThatIsNeverWrittenAgain) {
  Fixture fixture;
  CacheFlusher flusher = fixture.make();
  EXPECT_EQ(fixture.host.count("allocate 131072"), 2);
  EXPECT_TRUE(flusher.cleans());
  fixture.host.info.kind = DeviceKind::cpu;
  fixture.host.operations.clear();
  flusher.flush(*fixture.stream);
  EXPECT_THAT(fixture.host.operations, ElementsAre("reset persisting", "fill 131072", "read 131072", "read 131072"));
  CacheFlusher on_cpu = fixture.make();
  fixture.host.operations.clear();
  on_cpu.flush(*fixture.stream);
  EXPECT_THAT(fixture.host.operations, ElementsAre("reset persisting", "fill 131072", "read 131072"));
  EXPECT_EQ(on_cpu.duration(), Nanoseconds{1000}) << "of one flush, by the device's clock";
}

TEST(CacheFlusher, TheReadGetsTheCleanBufferAndTheFillTheOther) {
  Fixture fixture;
  const std::byte* read = nullptr;
  bool zeros = false;
  fixture.host.kernels["warpwright_read_cache"] = [&](const testing::Call& call) {
    if (call.buffers[0].size() == 16) return;  // the try
    read = call.buffers[0].data();
    zeros = std::all_of(call.buffers[0].begin(), call.buffers[0].end(), [](std::byte b) { return b == std::byte{}; });
    EXPECT_EQ(call.scalar<std::uint64_t>(2) * 16, call.buffers[0].size());
  };
  CacheFlusher flusher = fixture.make();
  for (int i = 0; i < 3; ++i) {
    zeros = false;
    flusher.flush(*fixture.stream);
    EXPECT_NE(read, nullptr);
    EXPECT_TRUE(zeros) << "the buffer that is read was written";
  }
}

TEST(CacheFlusher, MethodsForComparison) {
  Fixture fixture;
  CacheFlusher write_only = fixture.make({true, 0});
  CacheFlusher read_only = fixture.make({false, 2});
  EXPECT_FALSE(write_only.cleans());
  fixture.host.operations.clear();
  write_only.flush(*fixture.stream);
  read_only.flush(*fixture.stream);
  EXPECT_THAT(fixture.host.operations, ElementsAre("reset persisting", "fill 131072", "read 131072", "read 131072"));
  EXPECT_TRUE(fixture.warnings.empty());
}

TEST(CacheFlusher, WithoutTheKernelItStillWritesAndSaysWhatThatMeans) {
  Fixture fixture;
  fixture.host.kernels["warpwright_read_cache"] = [](const testing::Call&) {
    throw Error(ErrorCode::launch, "out of resources");
  };
  CacheFlusher flusher = fixture.make();
  EXPECT_FALSE(flusher.cleans());
  ASSERT_EQ(fixture.warnings.size(), 1u);
  EXPECT_THAT(fixture.warnings[0], HasSubstr("out of resources"));
  fixture.host.operations.clear();
  flusher.flush(*fixture.stream);
  EXPECT_THAT(fixture.host.operations, ElementsAre("reset persisting", "fill 131072"));
}

TEST(CacheFlusher, ALostDeviceIsNoReasonToWriteOnly) {
  Fixture fixture;
  fixture.host.kernels["warpwright_read_cache"] = [](const testing::Call&) {
    throw Error(ErrorCode::device, "the context is lost");
  };
  EXPECT_THROW(fixture.make(), Error);
}

TEST(CacheFlusher, SaysWhatItNeedsWhereMemoryIsShort) {
  Fixture fixture;
  fixture.host.info.l2_cache = Bytes{50 * mebibyte};
  fixture.host.largest_allocation = mebibyte;
  try {
    fixture.make();
    FAIL() << "there was room";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
    EXPECT_THAT(error.what(), HasSubstr("two of 100 MiB each"));
    EXPECT_THAT(error.what(), HasSubstr("--cache warm"));
  }
}

TEST(CacheFlusher, AnUnknownCacheIsMeasured) {
  // A cache of 24 MiB: reads of more run at a third of the rate. Each read takes 2 us besides.
  Fixture fixture;
  fixture.host.info.kind = DeviceKind::gpu;
  fixture.host.info.l2_cache = std::nullopt;
  fixture.host.info.global_memory = Bytes{2048 * mebibyte};
  fixture.host.kernels["warpwright_read_cache"] = [&](const testing::Call& call) {
    const auto bytes = static_cast<double>(call.scalar<std::uint64_t>(2)) * 16;
    fixture.host.device_time += Nanoseconds{1500 + bytes / (bytes <= 24.0 * mebibyte ? 3000 : 1000)};
  };
  const CacheFlusher flusher = fixture.make();
  EXPECT_EQ(flusher.cache_source(), "measured");
  EXPECT_EQ(flusher.cache().count / mebibyte, 32u) << "at least what there is, at most twice";
}

TEST(CacheFlusher, WithoutAStepTheCacheIsAssumed) {
  Fixture fixture;
  fixture.host.info.kind = DeviceKind::gpu;
  fixture.host.info.l2_cache = std::nullopt;
  fixture.host.info.global_memory = Bytes{8192 * mebibyte};
  fixture.host.kernels["warpwright_read_cache"] = [&](const testing::Call& call) {
    fixture.host.device_time += Nanoseconds{static_cast<double>(call.scalar<std::uint64_t>(2)) * 16 / 1000};
  };
  const CacheFlusher flusher = fixture.make();
  EXPECT_EQ(flusher.cache_source(), "assumed");
  EXPECT_EQ(flusher.size().count / mebibyte, 256u);
}

TEST(SizeBeforeStep, IsTheLastSizeNearerToTheBestRate) {
  const auto sizes = [](std::initializer_list<std::uint64_t> list) {
    std::vector<Bytes> result;
    for (const auto size : list) result.push_back(Bytes{size});
    return result;
  };
  const auto step = [&](const std::vector<double>& rates) {
    return size_before_step(sizes({1, 2, 4, 8, 16, 32}), rates).count;
  };
  EXPECT_EQ(step({500, 900, 1000, 990, 300, 290}), 8u);
  EXPECT_EQ(step({500, 900, 1000, 700, 300, 290}), 8u) << "partly in the cache";
  EXPECT_EQ(step({500, 900, 1000, 400, 300, 290}), 4u);
  EXPECT_EQ(step({100, 200, 280, 290, 300, 290}), 0u) << "noise is no step";
  EXPECT_EQ(step({1000, 290, 290, 290, 290, 290}), 1u);
  EXPECT_EQ(step({0, 0, 0, 0, 0, 0}), 0u);
}

}  // namespace
}  // namespace warpwright::measure
