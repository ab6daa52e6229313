// The protocol of ready blocks: slots, thieves, misses, the mark, threads that stand still. Weak memory is the model
// checker's (model_check.cpp).
#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <gtest/gtest.h>
#include <latch>
#include <memory>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include <warpwright/base/rng.hpp>
#include <warpwright/memory/ready_blocks.hpp>

namespace warpwright::memory {
namespace {

template <class Rules>
struct Pool {
  using Ready = BasicReadyBlocks<StandardAtomics, Rules>;
  using Slot = typename Ready::Slot;
  using Taken = typename Ready::Taken;

  explicit Pool(std::uint32_t count)
      : states(Ready::state_count(count)),
        links(count),
        all(0, count, links.data()),
        ready(states.data(), count, slots.data()) {
    for (std::uint32_t i = count; i-- > 0;) ready.put(all, i);
  }
  Slot* slot(std::uintptr_t thread) { return ready.slot_of(thread); }
  Taken take(Slot* own) { return ready.take(all, own); }
  bool give(const Taken& taken, Slot* own) {
    return ready.give(
        taken.block, taken.generation, own, [this](std::uint32_t) -> auto& { return all; });
  }
  std::uint64_t most_taken() const { return all.most_taken.load(); }

  std::vector<std::atomic<std::uint64_t>> states, links;
  std::array<Slot, Rules::slots> slots;
  typename Ready::Class all;
  Ready ready;
};

TEST(ReadyBlocks, AThreadGetsBackWhatItGave) {
  Pool<ReadyBlocksRules> pool(4);
  auto* const mine = pool.slot(1);
  auto* const other = pool.slot(2);
  ASSERT_TRUE(mine != nullptr && other != nullptr && mine != other);
  EXPECT_EQ(pool.slot(1), mine);
  const auto first = pool.take(mine);
  EXPECT_EQ(first.block, 0u);
  EXPECT_EQ(first.generation, 1u);
  EXPECT_TRUE(pool.give(first, mine));
  EXPECT_FALSE(pool.give(first, mine)) << "a double release";
  EXPECT_FALSE(pool.give(first, other));
  const auto again = pool.take(mine);
  EXPECT_EQ(again.block, 0u);
  EXPECT_EQ(again.generation, 2u);
  EXPECT_FALSE(pool.give(first, mine)) << "a stale handle";
  EXPECT_TRUE(pool.give(again, nullptr));
}

TEST(ReadyBlocks, WhatIdleThreadsKeepIsForAll) {
  constexpr std::uint32_t blocks = 100;
  Pool<ReadyBlocksRules> pool(blocks);
  // More threads than slots; every one takes a block and gives it back, and does nothing any more.
  std::vector<Pool<ReadyBlocksRules>::Taken> taken;
  for (std::uintptr_t thread = 1; thread <= blocks; ++thread) taken.push_back(pool.take(pool.slot(thread)));
  std::size_t without_slot = 0;
  for (std::uintptr_t thread = 1; thread <= blocks; ++thread) {
    without_slot += pool.slot(thread) == nullptr;
    EXPECT_TRUE(pool.give(taken[thread - 1], pool.slot(thread)));
  }
  EXPECT_GE(without_slot, blocks - ReadyBlocksRules::slots);
  std::set<std::uint32_t> seen;
  for (std::uint32_t i = 0; i < blocks; ++i) seen.insert(pool.take(nullptr).block);
  EXPECT_EQ(seen.size(), blocks);
  EXPECT_FALSE(seen.contains(pool.ready.none));
  EXPECT_FALSE(pool.take(nullptr));
}

TEST(ReadyBlocks, InSequenceMissesAndTheMarkAreExact) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    const auto blocks = static_cast<std::uint32_t>(rng.below(6) + 1);
    Pool<ReadyBlocksRules> pool(blocks);
    std::vector<Pool<ReadyBlocksRules>::Taken> held;
    std::size_t most = 0;
    for (int step = 0; step < 300; ++step) {
      // Four threads with slots and one without, one after the other.
      const auto thread = rng.below(5);
      auto* const own = thread == 0 ? nullptr : pool.slot(thread);
      if (rng.below(2) == 0) {
        const auto taken = pool.take(own);
        ASSERT_EQ(static_cast<bool>(taken), held.size() < blocks) << "seed " << seed << " step " << step;
        if (taken) held.push_back(taken);
        most = std::max(most, held.size());
      } else if (!held.empty()) {
        const auto at = static_cast<std::ptrdiff_t>(rng.below(held.size()));
        ASSERT_TRUE(pool.give(held[static_cast<std::size_t>(at)], own));
        held.erase(held.begin() + at);
      }
      ASSERT_EQ(pool.most_taken(), most) << "seed " << seed << " step " << step;
    }
  }
}

// Called between the steps of an operation; empty unless a test sets it.
thread_local std::function<void()> interruption;

struct Interrupted : ReadyBlocksRules {
  static void between_steps() {
    if (!interruption) return;
    const auto once = std::exchange(interruption, nullptr);
    once();
  }
  static void between_load_and_swap() { between_steps(); }
};
struct HintAfterKeep : Interrupted {
  static constexpr bool hint_before_keep = false;
};

// How many blocks others get, of `count`, while a thread stands between two steps of giving one back.
template <class Rules>
std::uint32_t got_by_others(std::uint32_t count) {
  Pool<Rules> pool(count);
  const auto block = pool.take(nullptr);
  std::uint32_t got = 0;
  std::latch inside(1), resume(1);
  std::jthread suspended([&] {
    interruption = [&] {
      inside.count_down();
      resume.wait();
    };
    EXPECT_TRUE(pool.give(block, pool.slot(1)));
  });
  inside.wait();
  while (pool.take(nullptr)) ++got;
  resume.count_down();
  return got;
}

TEST(ReadyBlocks, AThreadThatStandsInsideARelease) {
  EXPECT_EQ(got_by_others<Interrupted>(4), 3u) << "its own block is not yet released";
  // The same step the wrong way round: the block is released, and nobody can find it.
  Pool<HintAfterKeep> wrong(1);
  const auto block = wrong.take(nullptr);
  bool lost = false;
  interruption = [&] {
    const auto word = wrong.ready.state(block.block).load();
    lost = state_of(word) == state_kept && !wrong.take(nullptr);
  };
  EXPECT_TRUE(wrong.give(block, wrong.slot(1)));
  EXPECT_TRUE(lost);
}

TEST(ReadyBlocks, OthersProgressWhileAThreadStandsInsideAnAcquisition) {
  Pool<Interrupted> pool(3);
  std::latch inside(1), resume(1);
  Pool<Interrupted>::Taken late;
  std::jthread suspended([&] {
    interruption = [&] {
      inside.count_down();
      resume.wait();
    };
    late = pool.take(pool.slot(1));
  });
  inside.wait();
  std::vector<std::jthread> others;
  std::atomic<int> done{0};
  for (std::uintptr_t thread = 2; thread < 4; ++thread)
    others.emplace_back([&, thread] {
      auto* const own = pool.slot(thread);
      for (int round = 0; round < 100000; ++round) {
        const auto taken = pool.take(own);
        ASSERT_TRUE(taken);
        ASSERT_TRUE(pool.give(taken, own));
      }
      ++done;
    });
  others.clear();
  EXPECT_EQ(done, 2);
  resume.count_down();
  suspended.join();
  EXPECT_TRUE(late);
}

TEST(ReadyBlocks, AMissNeedsAMomentWithoutABlock) {
  // Between the looks of one thread at two slots, a block moves from the slot it will look at to the one it has seen.
  Pool<Interrupted> pool(2);
  auto* low = pool.slot(1);
  auto* high = pool.slot(2);
  if (low > high) std::swap(low, high);
  const auto held = pool.take(low);
  auto kept = pool.take(high);
  interruption = [&] { EXPECT_TRUE(pool.give(held, low)); };
  // Both are taken now; the interruption comes after the look at both slots.
  const auto found = pool.take(nullptr);
  EXPECT_TRUE(found);
  EXPECT_EQ(found.block, held.block);
  EXPECT_TRUE(pool.give(kept, high));
}

TEST(ReadyBlocks, NeverTwoOwners) {
  constexpr std::uint32_t blocks = 6;
  constexpr int threads = 4;
  Pool<ReadyBlocksRules> pool(blocks);
  std::vector<std::atomic<int>> owner(blocks);
  std::vector<std::uint64_t> payload(blocks, 0);  // plain: TSan sees a second owner or a missing order
  std::atomic<int> wrong{0};
  std::atomic<std::uint64_t> total{0};
  {
    std::vector<std::jthread> workers;
    for (int t = 0; t < threads; ++t)
      workers.emplace_back([&, t] {
        Rng rng(static_cast<std::uint64_t>(t));
        auto* const own = t == 0 ? nullptr : pool.slot(static_cast<std::uintptr_t>(t));
        std::uint64_t mine = 0;
        for (int round = 0; round < 50000; ++round) {
          std::vector<Pool<ReadyBlocksRules>::Taken> held;
          for (std::uint64_t n = rng.below(3) + 1; n > 0; --n) {
            const auto taken = pool.take(own);
            if (!taken) break;
            if (owner[taken.block].exchange(1) != 0) ++wrong;
            ++payload[taken.block];
            ++mine;
            held.push_back(taken);
          }
          if (rng.below(64) == 0) std::this_thread::yield();
          for (const auto& taken : held) {
            owner[taken.block].store(0);
            if (!pool.give(taken, own)) ++wrong;
          }
        }
        total += mine;
      });
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(std::accumulate(payload.begin(), payload.end(), std::uint64_t{0}), total);
  EXPECT_LE(pool.most_taken(), blocks);
}

// ---- linearizability (J. Wing, C. Gong 1993): any block may be given, and none only if there is none

struct Operation {
  bool is_take = false;
  std::uint32_t block = 0;  // given, or taken (`none` allowed)
  std::uint64_t invoked = 0, returned = 0;
};

bool linearizable(const std::vector<std::vector<Operation>>& threads, std::vector<std::size_t>& at, std::uint32_t ready,
                  std::set<std::pair<std::vector<std::size_t>, std::uint32_t>>& seen) {
  if (!seen.emplace(at, ready).second) return false;
  bool all_done = true;
  std::uint64_t earliest_return = ~std::uint64_t{0};
  for (std::size_t t = 0; t < threads.size(); ++t) {
    if (at[t] == threads[t].size()) continue;
    all_done = false;
    earliest_return = std::min(earliest_return, threads[t][at[t]].returned);
  }
  if (all_done) return true;
  for (std::size_t t = 0; t < threads.size(); ++t) {
    if (at[t] == threads[t].size()) continue;
    const Operation& next = threads[t][at[t]];
    if (next.invoked > earliest_return) continue;  // another had returned before this one began
    const bool none = next.block == ReadyBlocks::none;
    const std::uint32_t bit = none ? 0 : 1u << next.block;
    if (next.is_take ? (none ? ready != 0 : (ready & bit) == 0) : (ready & bit) != 0) continue;
    ++at[t];
    if (linearizable(threads, at, ready ^ bit, seen)) return true;
    --at[t];
  }
  return false;
}

bool linearizable(const std::vector<std::vector<Operation>>& threads, std::uint32_t ready) {
  std::vector<std::size_t> at(threads.size(), 0);
  std::set<std::pair<std::vector<std::size_t>, std::uint32_t>> seen;
  return linearizable(threads, at, ready, seen);
}

TEST(ReadyBlocks, TheCheckerOfHistoriesRejectsWrongOnes) {
  const Operation take0{true, 0, 0, 1}, again{true, 0, 2, 3}, none{true, ReadyBlocks::none, 2, 3};
  EXPECT_TRUE(linearizable({{take0}, {none}}, 1));
  EXPECT_FALSE(linearizable({{take0}, {again}}, 1)) << "taken twice";
  EXPECT_FALSE(linearizable({{take0}, {none}}, 3)) << "a miss, although one was left";
  const Operation give1{false, 1, 4, 5}, early{true, 1, 0, 3};
  EXPECT_FALSE(linearizable({{give1}, {early}}, 0)) << "taken before it was given";
}

TEST(ReadyBlocks, SmallHistoriesAreLinearizable) {
  constexpr std::size_t threads = 3, operations = 6;
  for (int history = 0; history < 500; ++history) {
    Pool<ReadyBlocksRules> pool(2);
    std::atomic<std::uint64_t> stamp{1};
    std::vector<std::vector<Operation>> record(threads);
    std::latch start(threads);
    {
      std::vector<std::jthread> workers;
      for (std::size_t t = 0; t < threads; ++t)
        workers.emplace_back([&, t] {
          Rng rng(derive_seed(static_cast<std::uint64_t>(history), t));
          auto* const own = pool.slot(t + 1);
          std::vector<Pool<ReadyBlocksRules>::Taken> held;
          record[t].reserve(operations);
          start.arrive_and_wait();
          for (std::size_t n = 0; n < operations; ++n) {
            Operation operation;
            operation.is_take = held.empty() || rng.below(2) == 0;
            operation.invoked = stamp.fetch_add(1);
            if (operation.is_take) {
              const auto taken = pool.take(own);
              operation.block = taken.block;
              if (taken) held.push_back(taken);
            } else {
              operation.block = held.back().block;
              ASSERT_TRUE(pool.give(held.back(), own));
              held.pop_back();
            }
            operation.returned = stamp.fetch_add(1);
            record[t].push_back(operation);
          }
        });
    }
    ASSERT_TRUE(linearizable(record, 3)) << "history " << history;
  }
}

}  // namespace
}  // namespace warpwright::memory
