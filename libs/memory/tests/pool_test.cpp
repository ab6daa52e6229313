// The pinned pool: verbs, errors, gates, waiting, counting. On ordinary memory and on the simulated device.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <latch>
#include <mutex>
#include <new>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <warpwright/base/rng.hpp>
#include <warpwright/memory/pinned_memory_pool.hpp>
#include <warpwright/memory/pool_resource.hpp>
#include <warpwright/sim/backend.hpp>

#include "counting_new.hpp"
#include "error_of.hpp"

namespace warpwright::memory {
namespace {

using std::chrono::steady_clock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr Bytes kibi{1024};
constexpr Bytes mebi{1 << 20};

PoolConfig two_classes(std::uint32_t small = 4, std::uint32_t large = 2) {
  PoolConfig config;
  config.classes = {{mebi, large}, {kibi * 64, small}};
  config.budget = Bytes{mebi.count * large + kibi.count * 64 * small};
  return config;
}

PinnedMemoryPool ordinary_pool(PoolConfig config = two_classes()) {
  return PinnedMemoryPool(*ordinary_memory(), std::move(config));
}

TEST(PinnedPool, TakesTheSmallestClassThatHolds) {
  auto pool = ordinary_pool();
  const auto small = pool.try_acquire(Bytes{1});
  const auto large = pool.try_acquire(kibi * 64 + Bytes{1});
  ASSERT_TRUE(small && large);
  EXPECT_EQ(small->size(), kibi * 64);
  EXPECT_EQ(large->size(), mebi);
  for (const auto* block : {&*small, &*large}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block->data()) % page_size, 0u);
    std::ranges::fill(block->bytes(), std::byte{1});
  }
  EXPECT_EQ(error_of([&] { pool.try_acquire(mebi + Bytes{1}); }).code(), ErrorCode::bad_input);
  const PoolStats stats = pool.stats();
  EXPECT_EQ(stats.in_use, mebi + kibi * 64);
  EXPECT_EQ(stats.high_water, mebi + kibi * 64);
  EXPECT_EQ(stats.capacity, stats.budget);
  EXPECT_EQ(stats.classes.front().free(), 3u);
}

TEST(PinnedPool, AnExhaustedClassDoesNotTakeLargerBlocks) {
  auto pool = ordinary_pool(two_classes(1, 1));
  const auto only = pool.try_acquire(kibi);
  EXPECT_TRUE(only);
  EXPECT_FALSE(pool.try_acquire(kibi));
  EXPECT_EQ(pool.stats().classes.front().misses, 1u);
}

TEST(PinnedPool, ConfigurationsThatCannotBeAreRefused) {
  const auto refused = [](std::vector<PoolClass> classes, Bytes budget) {
    PoolConfig config;
    config.classes = std::move(classes);
    config.budget = budget;
    const Error error = error_of([&] { ordinary_pool(config); });
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.message();
  };
  EXPECT_THAT(refused({}, mebi), HasSubstr("1 to 64 classes"));
  EXPECT_THAT(refused({{mebi, 0}}, mebi), HasSubstr("0 blocks"));
  EXPECT_THAT(refused({{mebi, 1 << 24}}, mebi), HasSubstr("it may have 1 to"));
  EXPECT_THAT(refused({{mebi, 1}, {kibi * 4, 1}}, mebi), HasSubstr("do not fit into the budget"));
  EXPECT_THAT(refused({{mebi, 1}}, kibi), HasSubstr("exceed the budget"));
  EXPECT_THAT(refused({{mebi, 1}, {mebi - Bytes{5}, 1}}, mebi * 4), HasSubstr("two classes"));
  EXPECT_THAT(refused({{Bytes{~std::uint64_t{0} - 10}, 2}}, Bytes{~std::uint64_t{0}}), HasSubstr("exceed the budget"));
}

TEST(PinnedPool, SteppedClassesWasteAQuarterAtMost) {
  const auto classes = stepped_classes(kibi * 4, mebi * 64, 1);
  EXPECT_EQ(classes.front().size, kibi * 4);
  EXPECT_EQ(classes.back().size, mebi * 64);
  for (std::uint64_t wanted = 16 * 1024 + 1; wanted <= mebi.count * 64; wanted += wanted / 37) {
    const auto found = std::ranges::find_if(classes, [&](const PoolClass& each) { return each.size.count >= wanted; });
    ASSERT_NE(found, classes.end());
    EXPECT_LE(static_cast<double>(found->size.count - wanted), 0.25 * static_cast<double>(wanted)) << wanted;
  }
  EXPECT_EQ(error_of([] { stepped_classes(mebi, kibi, 1); }).code(), ErrorCode::bad_input);
}

TEST(PinnedPool, DoubleReleasesStaleHandlesAndForeignPointersAreNamed) {
  auto pool = ordinary_pool(two_classes(1, 1));
  auto block = *pool.try_acquire(kibi);
  std::byte* const data = block.data();
  const BlockHandle handle = block.detach();
  pool.release(handle);
  const Error twice = error_of([&] { pool.release(handle); });
  EXPECT_EQ(twice.code(), ErrorCode::conflict);
  EXPECT_THAT(twice.message(), HasSubstr("double release: block 0 (64 KiB) is free already"));
  EXPECT_THAT(error_of([&] { pool.release(data); }).message(), HasSubstr("double release"));

  auto again = *pool.try_acquire(kibi);
  EXPECT_EQ(again.data(), data);
  const Error stale = error_of([&] { pool.release(handle); });
  EXPECT_EQ(stale.code(), ErrorCode::conflict);
  EXPECT_THAT(stale.message(), HasSubstr("stale handle"));
  EXPECT_THAT(stale.message(), HasSubstr("at acquisition 2, the handle names acquisition 1"));

  std::byte elsewhere{};
  EXPECT_THAT(error_of([&] { pool.release(&elsewhere); }).message(), HasSubstr("outside this pool"));
  EXPECT_THAT(error_of([&] { pool.release(data + 16); }).message(),
              HasSubstr("points 16 bytes into a block of 64 KiB"));
  EXPECT_THAT(error_of([&] { pool.release(BlockHandle{77, 1}); }).message(), HasSubstr("foreign handle"));
  auto other_pool = ordinary_pool();
  auto other = *other_pool.try_acquire(kibi);
  EXPECT_THAT(error_of([&] { pool.release(std::move(other)); }).message(), HasSubstr("another pool"));
  EXPECT_TRUE(other) << "a refused block stays with its owner";
  EXPECT_EQ(error_of([&] { pool.release(PinnedBlock()); }).code(), ErrorCode::bad_input);

  const PoolStats stats = pool.stats();
  EXPECT_EQ(stats.double_releases, 2u);
  EXPECT_EQ(stats.stale_handles, 1u);
  EXPECT_EQ(stats.foreign_pointers, 4u);
  EXPECT_EQ(stats.classes.front().in_use, 1u) << "nothing of that freed the block";
}

TEST(PinnedPool, DestructorsReleaseAndReportWhatTheyCannot) {
  std::vector<std::string> lines;
  PoolConfig config = two_classes();
  config.log = [&](LogLevel, std::string_view text) { lines.emplace_back(text); };
  {
    auto pool = ordinary_pool(config);
    {
      const auto block = pool.try_acquire(kibi);
      pool.release(block->handle());  // behind the owner's back
    }
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_THAT(lines.front(), HasSubstr("double release"));
    auto leaked = *pool.try_acquire(mebi);
    leaked.detach();
    ASSERT_EQ(pool.leaks().size(), 1u);
    EXPECT_EQ(pool.leaks().front().state, "in use");
    auto moved = *pool.try_acquire(kibi);
    moved = *pool.try_acquire(kibi);
    EXPECT_EQ(pool.stats().classes.front().in_use, 1u) << "assignment releases what was there";
  }
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines.back(), HasSubstr("block 4 (1 MiB) was in use when the pool was destroyed"));
}

TEST(PinnedPool, AHitAllocatesNothingAndCallsNoDriver) {
  const auto backend = sim::make_backend();
  const auto context = backend->open({"sim", {0}});
  const auto clock = sim::virtual_clock(*context);
  PoolConfig config = two_classes();
  config.context = context.get();
  PinnedMemoryPool pool(*driver_memory(*context), config);
  { const auto warm = pool.try_acquire(kibi); }
  const std::uint64_t before = test::allocations();
  const Nanoseconds at = clock->now();
  for (int i = 0; i < 1000000; ++i) {
    const auto block = pool.try_acquire(kibi);
    if (!block) FAIL();
  }
  EXPECT_EQ(test::allocations() - before, 0u);
  EXPECT_EQ(clock->now(), at) << "every call of the simulated driver takes virtual time";
  EXPECT_EQ(pool.stats().classes.front().acquired, 1000001u);
  EXPECT_NEAR(static_cast<double>(pool.stats().acquire_latency.total()), 1000001.0 / 64, 2);
}

// ---- waiting
// ------------------------------------------------------------------------------------------------------------

TEST(PinnedPool, ADeadlinePasses) {
  auto pool = ordinary_pool(two_classes(1, 1));
  const auto only = pool.acquire(kibi);
  const auto begin = steady_clock::now();
  EXPECT_FALSE(pool.acquire_until(kibi, begin + 20ms));
  EXPECT_GE(steady_clock::now() - begin, 20ms);
  const PoolStats stats = pool.stats();
  EXPECT_EQ(stats.classes.front().waits, 1u);
  EXPECT_GE(stats.wait_time.percentile(Percentile::percent(100)), Nanoseconds{20e6});
}

TEST(PinnedPool, NoWakeUpIsLost) {
  // One block, handed to and fro: a lost wake-up stops both for ever.
  auto pool = ordinary_pool(two_classes(1, 1));
  constexpr int rounds = 333334;  // a million hand-overs
  std::uint64_t shared = 0;       // plain: TSan sees a missing order
  {
    std::vector<std::jthread> workers;
    for (int t = 0; t < 3; ++t)
      workers.emplace_back([&] {
        for (int i = 0; i < rounds; ++i) {
          const auto block = pool.acquire(kibi);
          ++shared;
        }
      });
  }
  EXPECT_EQ(shared, 3u * rounds);
  EXPECT_EQ(pool.stats().in_use, Bytes{});
}

TEST(PinnedPool, ABlockThatAnIdleThreadReleasedIsForAll) {
  auto pool = ordinary_pool(two_classes(1, 1));
  std::latch released(1), finish(1);
  std::jthread idle([&] {
    { const auto block = pool.acquire(kibi); }
    released.count_down();
    finish.wait();
  });
  released.wait();
  EXPECT_TRUE(pool.try_acquire(kibi));
  EXPECT_EQ(pool.stats().classes.front().high_water, 1u) << "never two at once";
  EXPECT_TRUE(pool.leaks().empty());
  finish.count_down();
}

TEST(PinnedPool, OfTwoThreadsThatReleaseTheSameOneIsTold) {
  auto pool = ordinary_pool(two_classes(2, 1));
  for (int round = 0; round < 2000; ++round) {
    const BlockHandle handle = pool.try_acquire(kibi)->detach();
    std::atomic<int> refused{0};
    std::latch start(2);
    const auto release = [&] {
      start.arrive_and_wait();
      try {
        pool.release(handle);
      } catch (const Error&) {
        ++refused;
      }
    };
    {
      const std::jthread other(release);
      release();
    }
    ASSERT_EQ(refused, 1);
  }
  const PoolStats stats = pool.stats();
  EXPECT_EQ(stats.double_releases + stats.stale_handles, 2000u);
  EXPECT_EQ(stats.in_use, Bytes{});
  EXPECT_EQ(stats.classes.front().high_water, 1u);
}

TEST(PinnedPool, ManyThreadsNeverShareABlock) {
  auto pool = ordinary_pool(two_classes(5, 3));
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> workers;
    for (int t = 0; t < 4; ++t)
      workers.emplace_back([&, t] {
        Rng rng(static_cast<std::uint64_t>(t) + 1);
        std::vector<PinnedBlock> held;
        for (int i = 0; i < 20000; ++i) {
          const auto turn = rng.below(8);
          if (turn < 4) {
            auto block = pool.try_acquire(turn == 0 ? mebi : kibi);
            if (!block) continue;
            const auto mark = static_cast<std::byte>(t + 1);
            block->bytes().front() = block->bytes().back() = mark;
            held.push_back(std::move(*block));
          } else if (!held.empty()) {
            const auto at = rng.below(held.size());
            const auto mark = static_cast<std::byte>(t + 1);
            if (held[at].bytes().front() != mark || held[at].bytes().back() != mark) ++wrong;
            held.erase(held.begin() + static_cast<std::ptrdiff_t>(at));
          }
        }
      });
  }
  EXPECT_EQ(wrong, 0);
  const PoolStats stats = pool.stats();
  EXPECT_EQ(stats.in_use, Bytes{});
  for (const auto& each : stats.classes) EXPECT_LE(each.high_water, each.count);
}

// ---- gates, on the simulated device
// ----------------------------------------------------------------------------------

class GatedPool : public ::testing::Test {
 protected:
  void open(std::uint32_t count, sim::Options options = {}) {
    pool.reset();
    backend = sim::make_backend(std::move(options));
    context = backend->open({"sim", {0}});
    clock = sim::virtual_clock(*context);
    stream = context->create_stream();
    buffer = context->allocate(mebi);
    PoolConfig config;
    config.classes = {{mebi, count}};
    config.budget = Bytes{mebi.count * count};
    config.context = context.get();
    config.log = [this](LogLevel, std::string_view text) { lines.emplace_back(text); };
    config.close_deadline = 5ms;
    pool.emplace(*driver_memory(*context), config);
  }
  void upload(const PinnedBlock& block) { stream->copy_to_device(*buffer, Bytes{}, block.bytes()); }

  std::unique_ptr<device::Backend> backend;
  std::unique_ptr<device::Context> context;
  std::unique_ptr<Clock> clock;
  std::unique_ptr<device::Stream> stream;
  std::unique_ptr<device::Buffer> buffer;
  std::vector<std::string> lines;
  std::optional<PinnedMemoryPool> pool;
};

TEST_F(GatedPool, ABlockIsNotHandedOutWhileACopyReadsIt) {
  open(1);
  auto block = *pool->try_acquire(mebi);
  std::ranges::fill(block.bytes(), std::byte{9});
  upload(block);
  const Nanoseconds enqueued = clock->now();
  pool->release(std::move(block), *stream);
  EXPECT_FALSE(pool->try_acquire(mebi));
  EXPECT_EQ(pool->stats().classes.front().pending, 1u);
  EXPECT_EQ(pool->stats().in_use, mebi);
  auto next = pool->acquire(mebi);
  // 1 MiB at 55 GB/s: before that nobody may write.
  EXPECT_GE(clock->now() - enqueued, Nanoseconds{19000});
  std::ranges::fill(next.bytes(), std::byte{1});
  std::vector<std::byte> back(mebi.count);
  stream->copy_to_host(back, *buffer, Bytes{});
  stream->synchronize();  // throws if the source had changed while it was being copied
  EXPECT_TRUE(std::ranges::all_of(back, [](std::byte value) { return value == std::byte{9}; }));
}

TEST_F(GatedPool, WithoutTheGateTheSameProgramIsWrong) {
  open(1);
  auto block = *pool->try_acquire(mebi);
  upload(block);
  pool->release(std::move(block));  // the wrong verb
  auto next = *pool->try_acquire(mebi);
  std::ranges::fill(next.bytes(), std::byte{1});
  EXPECT_THAT(error_of([&] { stream->synchronize(); }).message(), HasSubstr("changed while it was being copied"));
}

TEST_F(GatedPool, AStreamMayTakeABlockThatTheCpuMayNot) {
  open(1);
  const auto other = context->create_stream();
  const auto second = context->allocate(mebi);
  auto block = *pool->try_acquire(mebi);
  std::ranges::fill(block.bytes(), std::byte{3});
  upload(block);
  pool->release(std::move(block), *stream);
  auto ordered = pool->acquire_on(mebi, *other);
  ASSERT_TRUE(ordered);
  EXPECT_FALSE(ordered->host_ready());
  EXPECT_EQ(ordered->size(), mebi);
  // The other stream writes into the block only after the upload has read it.
  ordered->copy_to_host(*buffer, Bytes{}, mebi);
  ordered->copy_to_device(*second, Bytes{}, mebi);
  other->synchronize();
  stream->synchronize();
  auto on_host = std::move(*ordered).to_host();
  EXPECT_TRUE(std::ranges::all_of(on_host.bytes(), [](std::byte value) { return value == std::byte{3}; }));
  EXPECT_EQ(error_of([&] {
              auto fresh = pool->acquire_on(mebi, *other);
              EXPECT_FALSE(fresh);
              pool->release(std::move(on_host));
              fresh = pool->acquire_on(mebi, *other);
              fresh->copy_to_device(*second, Bytes{}, mebi + Bytes{1});
            }).code(),
            ErrorCode::bad_input);
  EXPECT_EQ(pool->stats().classes.front().pending, 1u) << "a stream's block is gated when it goes";
  pool->wait_for_gates();
  EXPECT_EQ(pool->stats().in_use, Bytes{});
}

TEST_F(GatedPool, ManyGatesOpenInOrderAndNothingIsAllocatedByTheHits) {
  open(8);
  std::vector<std::unique_ptr<device::Stream>> streams;
  for (int i = 0; i < 3; ++i) streams.push_back(context->create_stream());
  for (int i = 0; i < 200; ++i) {
    auto block = pool->acquire(mebi);
    streams[static_cast<std::size_t>(i) % 3]->copy_to_device(*buffer, Bytes{}, block.bytes());
    pool->release(std::move(block), *streams[static_cast<std::size_t>(i) % 3]);
    const PoolClassStats stats = pool->stats().classes.front();
    EXPECT_EQ(stats.free() + stats.in_use + stats.pending + stats.quarantined, 8u);
  }
  pool->wait_for_gates();
  EXPECT_EQ(pool->stats().classes.front().free(), 8u);
}

TEST_F(GatedPool, WithoutMemoryNoBlockBetweenTheListsIsLost) {
  constexpr std::uint32_t count = 12;  // below the number of releases after which one looks at the gates itself
  open(count);
  const auto other = context->create_stream();
  for (int round = 0; round < 3; ++round) {
    for (std::uint32_t i = 0; i < count; ++i) {
      auto block = *pool->try_acquire(mebi);
      upload(block);
      pool->release(std::move(block), *stream);
      // One out of the middle of those taken over, and back as the newest. In the first round nothing was taken over
      // when memory ends.
      if (round > 0 && i == count / 2) {
        auto ordered = pool->acquire_on(Bytes{1}, *other);
        ASSERT_TRUE(ordered);
        auto on_host = std::move(*ordered).to_host();
        upload(on_host);
        pool->release(std::move(on_host), *stream);
      }
    }
    stream->synchronize();
    {
      const test::NoMemory none;
      EXPECT_NO_THROW(pool->drain());
    }
    EXPECT_TRUE(pool->wait_for_gates(steady_clock::now() + 5s));
    EXPECT_EQ(pool->stats().classes.front().free(), count) << "round " << round;
    EXPECT_TRUE(pool->leaks().empty());
  }
}

TEST_F(GatedPool, ABlockWhoseEventCannotBeRecordedForWantOfMemoryIsQuarantined) {
  open(2);
  auto block = *pool->try_acquire(mebi);
  upload(block);
  {
    const test::NoMemory none;
    EXPECT_THROW(pool->release(std::move(block), *stream), std::bad_alloc);
  }
  EXPECT_TRUE(pool->wait_for_gates(steady_clock::now() + 5s)) << "no gate waits for what was never gated";
  const PoolClassStats stats = pool->stats().classes.front();
  EXPECT_EQ(stats.quarantined, 1u);
  EXPECT_EQ(stats.pending, 0u);
}

TEST_F(GatedPool, ALostDeviceQuarantines) {
  sim::Options options;
  options.faults = {{sim::Fault::Call::fill, 1, false, ErrorCode::device}};
  open(3, options);
  auto first = *pool->try_acquire(mebi);
  upload(first);
  pool->release(std::move(first), *stream);
  EXPECT_EQ(error_of([&] { stream->fill(*buffer, Bytes{}, mebi, 0); }).code(), ErrorCode::device);
  auto second = *pool->try_acquire(mebi);
  EXPECT_EQ(error_of([&] { pool->release(std::move(second), *stream); }).code(), ErrorCode::device);
  pool->wait_for_gates();
  const PoolClassStats stats = pool->stats().classes.front();
  EXPECT_EQ(stats.quarantined, 2u);
  EXPECT_EQ(stats.free(), 1u);
  EXPECT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines.front(), HasSubstr("is quarantined: "));
  auto third = *pool->try_acquire(mebi);
  pool->quarantine(std::move(third));
  EXPECT_FALSE(pool->try_acquire(mebi)) << "nothing of that is handed out again";
  EXPECT_EQ(pool->leaks().size(), 3u);
  pool.reset();
  EXPECT_THAT(lines.back(), HasSubstr("stay mapped, because device work on them has not ended"));
}

TEST_F(GatedPool, AnEventThatNeverEndsHoldsItsBlockOnly) {
  sim::Options options;
  options.faults = {{sim::Fault::Call::copy_to_device, 1, false, ErrorCode::timeout}};
  open(2, options);
  auto stuck = *pool->try_acquire(mebi);
  upload(stuck);
  pool->release(std::move(stuck), *stream);
  const auto other = context->create_stream();
  for (int i = 0; i < 5; ++i) {
    auto block = pool->acquire(mebi);
    pool->release(std::move(block), *other);
  }
  auto free = pool->acquire(mebi);
  EXPECT_FALSE(pool->acquire_until(mebi, steady_clock::now() + 2ms));
  EXPECT_EQ(pool->stats().classes.front().pending, 1u);
  pool->release(std::move(free));
  EXPECT_FALSE(pool->wait_for_gates(steady_clock::now() + 1ms));
  pool.reset();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines.back(), HasSubstr("stay mapped, because device work on them has not ended"));
}

TEST(PinnedPool, StreamsNeedAContext) {
  const auto backend = sim::make_backend();
  const auto context = backend->open({"sim", {0}});
  const auto stream = context->create_stream();
  auto pool = ordinary_pool();
  EXPECT_EQ(error_of([&] { pool.acquire_on(kibi, *stream); }).code(), ErrorCode::unsupported);
  auto block = *pool.try_acquire(kibi);
  EXPECT_EQ(error_of([&] { pool.release(std::move(block), *stream); }).code(), ErrorCode::unsupported);
  EXPECT_TRUE(block);
}

// ---- sources of memory ----------------------------------------------------------------------------------------------

TEST(HostMemory, RegisteredMemoryFallsBackToTheDriver) {
  sim::Options options;
  options.faults = {{sim::Fault::Call::pin_host_memory, 2, false, ErrorCode::out_of_memory},
                    {sim::Fault::Call::pin_host_memory, 3, false, ErrorCode::device}};
  const auto backend = sim::make_backend(options);
  const auto context = backend->open({"sim", {0}});
  HostMemoryOptions wishes;
  wishes.numa_node = 100000;  // there is none of that number
  const auto source = registered_memory(*context, wishes);
  const auto good = source->reserve(mebi * 4);
  EXPECT_TRUE(good->report().pinned);
  EXPECT_TRUE(good->report().registered);
  EXPECT_THAT(good->report().fallback, HasSubstr("not bound to NUMA node 100000"));
  EXPECT_GT(good->report().touch, Nanoseconds{0});
  const auto second = source->reserve(mebi);
  EXPECT_TRUE(second->report().pinned);
  EXPECT_FALSE(second->report().registered);
  EXPECT_THAT(second->report().fallback, HasSubstr("allocated by the driver: scripted fault"));
  EXPECT_EQ(error_of([&] { source->reserve(mebi); }).code(), ErrorCode::device);
}

TEST(HostMemory, ImpossibleSizesAreOutOfMemory) {
  EXPECT_EQ(error_of([] { ordinary_memory()->reserve(Bytes{std::uint64_t{1} << 62}); }).code(),
            ErrorCode::out_of_memory);
}

TEST(HostMemory, UnknownDevicesHaveNoNode) {
  EXPECT_EQ(numa_node_of(""), std::nullopt);
  EXPECT_EQ(numa_node_of("../../../etc"), std::nullopt);
  EXPECT_EQ(numa_node_of("ffff:ff:1f.7"), std::nullopt);
}

// libstdc++ declares the argument never null, and containers pass null all the same.
__attribute__((noinline, no_sanitize("nonnull-attribute"))) void give_nothing_back(std::pmr::memory_resource& resource,
                                                                                   std::size_t bytes) {
  static void* volatile nothing = nullptr;
  resource.deallocate(nothing, bytes);
}

TEST(PoolResource, ContainersLiveInThePool) {
  auto pool = ordinary_pool(two_classes(2, 1));
  PoolResource resource(pool);
  {
    std::pmr::vector<int> numbers(1000, 7, &resource);
    EXPECT_EQ(pool.stats().classes.front().in_use, 1u);
    EXPECT_EQ(std::accumulate(numbers.begin(), numbers.end(), 0), 7000);
    EXPECT_THROW(std::pmr::vector<std::byte>(mebi.count * 2, &resource), std::bad_alloc);
    EXPECT_THROW(static_cast<void>(resource.allocate(8, 8192)), std::bad_alloc);
    std::pmr::memory_resource& any = resource;
    for (const std::size_t alignment : {0, 3, 24, 4095})
      EXPECT_THROW(static_cast<void>(any.allocate(8, alignment)), std::bad_alloc) << alignment;
    EXPECT_EQ(pool.stats().classes.front().in_use, 1u) << "what is refused takes no block";
    EXPECT_NO_THROW(give_nothing_back(any, 0));
    EXPECT_NO_THROW(give_nothing_back(any, 8));
    EXPECT_EQ(pool.stats().foreign_pointers, 0u);
  }
  EXPECT_EQ(pool.stats().in_use, Bytes{});
  PoolResource same(pool);
  EXPECT_EQ(resource, same);
}

TEST(LatencyHistogram, PercentilesAreWithinAStep) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 1000; ++i) histogram.add(Nanoseconds{static_cast<double>(i)});
  const LatencySnapshot snapshot = histogram.snapshot();
  EXPECT_EQ(snapshot.total(), 1000u);
  for (const double percent : {1.0, 50.0, 99.0, 100.0}) {
    const double exact = 10 * percent;
    const auto found = snapshot.percentile(Percentile::percent(percent));
    ASSERT_TRUE(found);
    EXPECT_GE(found->count(), exact * 0.999);
    EXPECT_LE(found->count(), exact * 1.125);
  }
  EXPECT_EQ(LatencySnapshot().percentile(Percentile::percent(50)), std::nullopt);
}

TEST(LatencyHistogram, CountsWhatIsTooLongAsTheLongest) {
  LatencyHistogram histogram;
  histogram.add(Nanoseconds{1e30});
  histogram.add(Nanoseconds{-1});
  const LatencySnapshot snapshot = histogram.snapshot();
  EXPECT_EQ(snapshot.counts.back(), 1u);
  EXPECT_EQ(snapshot.counts.front(), 1u);
}

}  // namespace
}  // namespace warpwright::memory
