#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <warpwright/measure/plausibility.hpp>

#include "problems.hpp"

namespace warpwright::measure {
namespace {

using testing::buffer_argument;
using ::testing::HasSubstr;
using testing::integer;

constexpr std::uint64_t mebibyte = 1 << 20;

DeviceInfo h200() {
  DeviceInfo device;
  device.kind = DeviceKind::gpu;
  device.architecture = "sm_90";
  device.multiprocessors = 132;
  device.clock_mhz = 1980;
  device.memory_clock_mhz = 3201;
  device.memory_bus_bits = 6144;
  device.l2_cache = Bytes{60 * mebibyte};
  return device;
}

// y = x of n floats.
Problem copying(std::int64_t n, const std::string& metric = "GB/s", const std::string& expression = "8 * n / time_ns") {
  Problem problem;
  problem.name = "copy";
  problem.dimensions = {{"n", integer(n)}};
  problem.arguments = {buffer_argument("x", DataType::float32, Access::in, "n", FillUniform{-1, 1, 1}),
                       buffer_argument("y", DataType::float32, Access::out, "n")};
  problem.metrics = {{metric, Expression::parse(expression)}};
  return problem;
}

bool possible(const Problem& problem, double microseconds, CacheMode cache = CacheMode::cold,
              const DeviceInfo& device = h200()) {
  return !impossible_time(problem, {}, device, cache, Nanoseconds{microseconds * 1e3});
}

TEST(ParseRate, KnowsNamesOfRates) {
  const auto factor = [](std::string_view name) { return parse_rate(name).value().factor; };
  EXPECT_EQ(factor("GB/s"), 1e9);
  EXPECT_EQ(factor("kB/s"), 1e3);
  EXPECT_EQ(factor("B/s"), 1);
  EXPECT_EQ(factor("GiB/s"), 1024.0 * 1024 * 1024);
  EXPECT_EQ(factor("TFLOP/s"), 1e12);
  EXPECT_EQ(factor("GFLOPS"), 1e9);
  EXPECT_EQ(parse_rate("GB/s")->quantity, RateUnit::Quantity::bytes);
  EXPECT_EQ(parse_rate("GFLOP/s")->quantity, RateUnit::Quantity::operations);
  for (const char* other : {"Gtests/s", "time", "iB/s", "XB/s", "GGB/s", "", "s", "GB", "efficiency"})
    EXPECT_FALSE(parse_rate(other)) << other;
}

TEST(PeakRates, FollowFromClocksAndWidths) {
  const PeakRates peaks = peak_rates(h200());
  EXPECT_NEAR(*peaks.memory_bytes, 4917, 1);  // GB/s; sold as 4.8 TB/s
  EXPECT_NEAR(*peaks.loaded_bytes, 33454, 1);
  EXPECT_NEAR(*peaks.operations_16_bit, 2'140'999, 1000);  // GFLOP/s, with sparsity; sold as 1,979 TFLOP/s at 1.83 GHz
  DeviceInfo other = h200();
  other.architecture = "gfx942";
  EXPECT_TRUE(peak_rates(other).memory_bytes);
  EXPECT_FALSE(peak_rates(other).loaded_bytes);
  other.memory_bus_bits.reset();
  EXPECT_FALSE(peak_rates(other).memory_bytes);
  other = h200();
  other.architecture = "sm_999";
  EXPECT_FALSE(peak_rates(other).operations_16_bit);
}

TEST(ImpossibleTime, BytesBeyondTheCacheCrossTheMemory) {
  // 512 MiB in all, of which 60 may stay in the cache: 474 MB at 4.917 TB/s take 96 us.
  const Problem problem = copying(64 << 20);
  EXPECT_TRUE(possible(problem, 135)) << "what a good copy takes";
  EXPECT_TRUE(possible(problem, 95));
  EXPECT_FALSE(possible(problem, 85));
  const auto why = impossible_time(problem, {}, h200(), CacheMode::cold, Nanoseconds{50e3});
  EXPECT_THAT(why.value_or(""), HasSubstr("50.0 us would be 1.074e+04 'GB/s'"));
  EXPECT_THAT(why.value_or(""), HasSubstr("memory's bandwidth of 4917 GB/s"));
}

TEST(ImpossibleTime, DataThatFitsIntoTheCacheNeedNotCrossTheMemory) {
  // 20 MiB took 8.8 us cold on an H200 and less warm.
  const Problem fits = copying((20 * mebibyte) / 8);
  EXPECT_TRUE(possible(fits, 5, CacheMode::warm));
  EXPECT_TRUE(possible(fits, 5, CacheMode::cold)) << "writes may stay in the cache";
  EXPECT_FALSE(possible(fits, 0.3, CacheMode::warm)) << "20 MiB at 33 TB/s take 0.63 us";
  // Twice the cache: warm runs may find it full before and leave it dirty after.
  const Problem twice = copying((120 * mebibyte) / 8);
  EXPECT_TRUE(possible(twice, 8, CacheMode::warm));
  EXPECT_FALSE(possible(twice, 8, CacheMode::cold));
}

TEST(ImpossibleTime, BytesThatAreReadAgainCountAgainstTheLoadRateOnly) {
  // A thousand passes over 8 MiB: no memory bandwidth, but each byte is loaded each time.
  const Problem passes = copying(mebibyte, "GB/s", "8 * n * 1000 / time_ns");
  EXPECT_TRUE(possible(passes, 400));
  EXPECT_FALSE(possible(passes, 200));
}

TEST(ImpossibleTime, OperationsAreBoundedByTheFastestArithmetic) {
  // 1.1e12 operations: 0.51 ms at 2,141 TFLOP/s.
  const Problem gemm = copying(8192, "GFLOP/s", "2 * n * n * n / time_ns");
  EXPECT_TRUE(possible(gemm, 1367)) << "bf16 on an H200";
  EXPECT_TRUE(possible(gemm, 520));
  EXPECT_FALSE(possible(gemm, 400));
  Problem narrow = gemm;
  narrow.arguments[0].type = DataType::int8;
  EXPECT_TRUE(possible(narrow, 400));
  EXPECT_FALSE(possible(narrow, 200));
}

TEST(ImpossibleTime, SaysNothingWhereNothingIsKnown) {
  const Problem problem = copying(64 << 20);
  DeviceInfo device = h200();
  device.memory_clock_mhz.reset();
  EXPECT_TRUE(possible(problem, 20, CacheMode::cold, device)) << "only the load rate is left";
  device.kind = DeviceKind::cpu;
  EXPECT_TRUE(possible(problem, 0.001, CacheMode::cold, device));
  device = h200();
  device.l2_cache.reset();
  EXPECT_TRUE(possible(problem, 50, CacheMode::cold, device)) << "an unknown cache may hold all";
  EXPECT_TRUE(possible(copying(64 << 20, "Gitems/s", "n / time_ns"), 0.001));
  EXPECT_TRUE(possible(copying(64 << 20, "GB/s", "8 * n"), 0.001)) << "no rate in time";
  EXPECT_TRUE(possible(copying(64 << 20, "GB/s", "8 * n / unknown / time_ns"), 0.001));
}

TEST(CanWin, NeedsACorrectResultAndAPossibleTime) {
  Trial trial;
  EXPECT_TRUE(can_win(trial));
  trial.conditions.impossible = "0.1 us would be ...";
  EXPECT_FALSE(can_win(trial));
  trial.conditions.impossible.clear();
  trial.status = TrialStatus::censored;
  EXPECT_FALSE(can_win(trial));
}

}  // namespace
}  // namespace warpwright::measure
