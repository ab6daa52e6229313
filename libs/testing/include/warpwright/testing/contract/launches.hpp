// Contract: launches, their geometry and what a device refuses.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <warpwright/testing/contract/fixture.hpp>

namespace warpwright::test {

TEST_P(DeviceContract, AddsVectorsWithAScalarArgument) {
  constexpr int n = 1000;
  std::vector<float> a, b, expected;
  for (int i = 0; i < n; ++i) {
    a.push_back(static_cast<float>(i));
    b.push_back(static_cast<float>(2 * i));
    expected.push_back(static_cast<float>(3 * i));
  }
  auto add = load("contract_add");
  auto device_a = upload(a), device_b = upload(b), device_c = upload(std::vector<float>(n, -1));
  stream_->launch(*add.kernel, linear((n + 63) / 64, 64),
                  Arguments{device_c.get(), device_a.get(), device_b.get(), scalar(n)});
  EXPECT_EQ(download<float>(*device_c), expected);
}

TEST_P(DeviceContract, PassesConstantTables) {
  auto kernel = load("contract_constant");
  const std::vector<float> values{1, 2, 4, 8};
  auto table = upload(values), out = upload(std::vector<float>(9, 0));
  stream_->launch(*kernel.kernel, linear(1, 32), Arguments{out.get(), table.get(), scalar(9)});
  EXPECT_EQ(download<float>(*out), (std::vector<float>{1, 2, 4, 8, 1, 2, 4, 8, 1}));
}

TEST_P(DeviceContract, LaunchesInOneTwoAndThreeDimensions) {
  auto kernel = load("contract_index");
  struct Shape {
    std::array<int, 3> size;
    std::array<std::int64_t, 3> block;
  };
  for (const Shape& shape : {Shape{{100, 1, 1}, {32, 1, 1}}, Shape{{20, 30, 1}, {16, 4, 1}},
                             Shape{{5, 6, 7}, {4, 2, 4}}, Shape{{1, 1, 9}, {1, 1, 8}}, Shape{{3, 11, 1}, {1, 8, 1}}}) {
    const auto [nx, ny, nz] = shape.size;
    std::vector<int> expected;
    for (int z = 0; z < nz; ++z)
      for (int y = 0; y < ny; ++y)
        for (int x = 0; x < nx; ++x) expected.push_back(x + 1000 * y + 1000000 * z);
    auto out = upload(std::vector<int>(expected.size(), -1));
    device::LaunchConfig config;
    config.block = shape.block;
    for (std::size_t d = 0; d < 3; ++d) config.grid[d] = (shape.size[d] + shape.block[d] - 1) / shape.block[d];
    stream_->launch(*kernel.kernel, config, Arguments{out.get(), scalar(nx), scalar(ny), scalar(nz)});
    EXPECT_EQ(download<int>(*out), expected) << nx << " x " << ny << " x " << nz;
  }
}

TEST_P(DeviceContract, GuardedKernelsStayWithinBounds) {
  auto fill = load("contract_fill");
  auto out = upload(std::vector<int>(128, 7));
  stream_->launch(*fill.kernel, linear(4, 32), Arguments{out.get(), scalar(1), scalar(100)});
  const auto found = download<int>(*out);
  EXPECT_EQ(std::count(found.begin(), found.begin() + 100, 1), 100);
  EXPECT_EQ(std::count(found.begin() + 100, found.end(), 7), 28);
}

TEST_P(DeviceContract, TheLargestBlockRuns) {
  auto fill = load("contract_fill");
  const auto limit = std::min(info_.max_block[0], info_.max_threads_per_block);
  const auto threads = std::min<std::int64_t>(limit, fill.kernel->resources().max_threads_per_block.value_or(limit));
  auto out = upload(std::vector<int>(static_cast<std::size_t>(threads), 0));
  stream_->launch(*fill.kernel, linear(1, threads), Arguments{out.get(), scalar(5), scalar(static_cast<int>(threads))});
  EXPECT_EQ(download<int>(*out), std::vector<int>(static_cast<std::size_t>(threads), 5));
}

TEST_P(DeviceContract, ABlockTooLargeIsRefusedAndHarmless) {
  auto fill = load("contract_fill");
  auto out = upload(std::vector<int>(8, 0));
  const Arguments arguments{out.get(), scalar(5), scalar(8)};
  std::vector<device::LaunchConfig> refused{linear(1, info_.max_threads_per_block + 1),
                                            linear(1, std::int64_t{1} << 40)};
  device::LaunchConfig flat;
  flat.block = {info_.max_block[0], 2, 1};
  if (info_.max_block[0] * 2 > info_.max_threads_per_block) refused.push_back(flat);
  device::LaunchConfig deep;
  deep.block = {1, 1, info_.max_block[2] + 1};
  refused.push_back(deep);
  for (const auto& config : refused) {
    const Error error = error_of([&] { stream_->launch(*fill.kernel, config, arguments); });
    EXPECT_EQ(error.code(), ErrorCode::launch) << error.what();
    EXPECT_THAT(error.what(), ::testing::HasSubstr("contract_fill"));
  }
  EXPECT_EQ(download<int>(*out), std::vector<int>(8, 0));
  stream_->launch(*fill.kernel, linear(1, 8), arguments);
  EXPECT_EQ(download<int>(*out), std::vector<int>(8, 5));
}

TEST_P(DeviceContract, EmptyGeometryIsRefused) {
  auto fill = load("contract_fill");
  auto out = upload(std::vector<int>(8, 0));
  const Arguments arguments{out.get(), scalar(5), scalar(8)};
  for (std::size_t d = 0; d < 3; ++d) {
    for (const std::int64_t extent : {std::int64_t{0}, std::int64_t{-1}}) {
      auto grid = linear(1, 8), block = linear(1, 8);
      grid.grid[d] = extent;
      block.block[d] = extent;
      EXPECT_EQ(error_of([&] { stream_->launch(*fill.kernel, grid, arguments); }).code(), ErrorCode::launch);
      EXPECT_EQ(error_of([&] { stream_->launch(*fill.kernel, block, arguments); }).code(), ErrorCode::launch);
    }
  }
  EXPECT_EQ(download<int>(*out), std::vector<int>(8, 0));
  expect_usable();
}

TEST_P(DeviceContract, WrongArgumentsAreRefused) {
  if (!GetParam().checks_arguments) GTEST_SKIP() << "this driver cannot tell";
  auto fill = load("contract_fill");
  auto out = upload(std::vector<int>(8, 0));
  for (const Arguments& arguments :
       {Arguments{}, Arguments{out.get(), scalar(5)}, Arguments{out.get(), scalar(5), scalar(8), scalar(1)},
        Arguments{out.get(), scalar(5), device::ScalarArgument::of(std::int8_t{8})}}) {
    const Error error = error_of([&] { stream_->launch(*fill.kernel, linear(1, 8), arguments); });
    EXPECT_EQ(error.code(), ErrorCode::bad_input) << arguments.size() << " arguments: " << error.what();
  }
  EXPECT_EQ(download<int>(*out), std::vector<int>(8, 0));
  expect_usable();
}

TEST_P(DeviceContract, DynamicSharedMemoryUpToTheLimit) {
  auto shared = load("contract_shared");
  const Bytes fixed = shared.kernel->resources().static_shared.value_or(Bytes{});
  const Bytes limit{(info_.shared_limit() - fixed).count / 4 * 4};
  constexpr int threads = 32;
  // Small, large and small again: an opt-in must not be lost or needed twice. 48 KiB is where it begins on NVIDIA.
  std::vector<Bytes> sizes{Bytes{256}, limit, Bytes{512}};
  for (const Bytes size : {Bytes{48 << 10}, Bytes{64 << 10}})
    if (size < limit) sizes.push_back(size);
  for (const Bytes size : sizes) {
    const int words = static_cast<int>(size.count / 4);
    auto out = upload(std::vector<int>(threads, -1));
    auto config = linear(1, threads);
    config.dynamic_shared = size;
    stream_->launch(*shared.kernel, config, Arguments{out.get(), scalar(words)});
    std::vector<int> expected(threads, 0);
    for (int i = 0; i < words; ++i) {
      auto& sum = expected[static_cast<std::size_t>(i % threads)];
      sum = static_cast<int>(static_cast<unsigned>(sum) + static_cast<unsigned>(words - 1 - i));
    }
    ASSERT_EQ(download<int>(*out), expected) << size.count << " bytes";
  }
}

TEST_P(DeviceContract, TooMuchDynamicSharedMemoryIsRefusedAndHarmless) {
  auto shared = load("contract_shared");
  const Bytes fixed = shared.kernel->resources().static_shared.value_or(Bytes{});
  auto out = upload(std::vector<int>(32, -1));
  for (const Bytes excess : {Bytes{1}, Bytes{1 << 20}, Bytes{std::uint64_t{1} << 40}}) {
    auto config = linear(1, 32);
    config.dynamic_shared = info_.shared_limit() - fixed + excess;
    const Error error = error_of([&] { stream_->launch(*shared.kernel, config, Arguments{out.get(), scalar(64)}); });
    EXPECT_EQ(error.code(), ErrorCode::launch) << error.what();
  }
  EXPECT_EQ(download<int>(*out), std::vector<int>(32, -1));
  expect_usable();
}

TEST_P(DeviceContract, MissingFeaturesAreSaidSo) {
  auto fill = load("contract_fill");
  auto out = upload(std::vector<int>(8, 0));
  const Arguments arguments{out.get(), scalar(5), scalar(8)};
  auto cooperative = linear(1, 8), clustered = linear(2, 8);
  cooperative.cooperative = true;
  clustered.cluster = {2, 1, 1};
  for (const auto& [config, supported] :
       {std::pair{cooperative, info_.supports_cooperative_launch}, std::pair{clustered, info_.supports_clusters}}) {
    if (supported) {
      stream_->launch(*fill.kernel, config, arguments);
      EXPECT_EQ(download<int>(*out), std::vector<int>(8, 5));
    } else {
      const auto& refused = config;
      EXPECT_EQ(error_of([&] { stream_->launch(*fill.kernel, refused, arguments); }).code(), ErrorCode::unsupported);
    }
  }
  expect_usable();
}

}  // namespace warpwright::test
