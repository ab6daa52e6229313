// The free-list: order, the tag, progress, linearizability. Weak memory is the model checker's (model_check.cpp).
#include <algorithm>
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
#include <warpwright/memory/free_list.hpp>

namespace warpwright::memory {
namespace {

template <class Rules>
struct List {
  explicit List(std::uint32_t blocks) : links(blocks), list(links.data()) {
    for (std::uint32_t i = blocks; i-- > 0;) list.push(i);
  }
  std::vector<std::atomic<std::uint64_t>> links;
  BasicFreeList<StandardAtomics, Rules> list;
};

TEST(FreeList, GivesBackWhatWasPushedLast) {
  List<FreeListRules> few(3);
  EXPECT_EQ(few.list.pop(), 0u);
  EXPECT_EQ(few.list.pop(), 1u);
  few.list.push(0);
  EXPECT_EQ(few.list.pop(), 0u);
  EXPECT_EQ(few.list.pop(), 2u);
  EXPECT_TRUE(few.list.empty());
  EXPECT_EQ(few.list.pop(), FreeList::none);
  EXPECT_EQ(few.list.pops(), 4u);
}

// Called between reading the head and swapping it; empty unless a test sets it.
thread_local std::function<void()> interruption;

template <unsigned bits>
struct Interrupted : FreeListRules {
  static constexpr unsigned tag_bits = bits;
  static void between_load_and_swap() {
    if (!interruption) return;
    const auto once = std::exchange(interruption, nullptr);
    once();
  }
};

// While one pop stands between its load and its swap, others take index 0 and 1, keep 1, and give 0 back after as many
// pops as make the tag what it was, if it has few bits.
template <unsigned bits>
bool one_owner_each() {
  List<Interrupted<bits>> three(3);
  std::uint32_t kept = FreeList::none;
  interruption = [&] {
    const std::uint32_t zero = three.list.pop();
    kept = three.list.pop();
    three.list.push(zero);
    // Two pops so far; up to 16 the head is popped and pushed back.
    for (int pops = 2; pops < 16; ++pops) three.list.push(three.list.pop());
  };
  std::vector<std::uint32_t> owned{three.list.pop()};
  owned.push_back(kept);
  for (std::uint32_t next = three.list.pop(); next != FreeList::none && owned.size() < 6; next = three.list.pop())
    owned.push_back(next);
  return owned.size() == 3 && std::set(owned.begin(), owned.end()).size() == 3;
}

TEST(FreeList, ATagOfFourBitsIsFooledAndFortyAreNot) {
  EXPECT_FALSE(one_owner_each<4>())
      << "the tag came round, so the swap must have succeeded with a link that is out of date";
  EXPECT_TRUE(one_owner_each<40>());
}

TEST(FreeList, OthersProgressWhileAThreadStandsInsideAnOperation) {
  List<Interrupted<40>> pool(4);
  std::latch inside(1), resume(1);
  std::uint32_t late = FreeList::none;
  std::jthread suspended([&] {
    interruption = [&] {
      inside.count_down();
      resume.wait();
    };
    late = pool.list.pop();
  });
  inside.wait();
  std::vector<std::jthread> others;
  std::atomic<int> done{0};
  for (int i = 0; i < 2; ++i)
    others.emplace_back([&] {
      for (int round = 0; round < 100000; ++round) {
        const std::uint32_t index = pool.list.pop();
        ASSERT_NE(index, FreeList::none);
        pool.list.push(index);
      }
      ++done;
    });
  others.clear();
  EXPECT_EQ(done, 2);
  resume.count_down();
  suspended.join();
  std::set<std::uint32_t> all{late};
  for (std::uint32_t next = pool.list.pop(); next != FreeList::none; next = pool.list.pop()) all.insert(next);
  EXPECT_EQ(all.size(), 4u);
}

TEST(FreeList, NeverTwoOwners) {
  constexpr std::uint32_t blocks = 6;
  constexpr int threads = 4;
  List<FreeListRules> pool(blocks);
  std::vector<std::atomic<int>> owner(blocks);
  std::vector<std::uint64_t> payload(blocks, 0);  // plain: TSan sees a second owner or a missing order
  std::atomic<int> wrong{0};
  std::atomic<std::uint64_t> taken{0};
  {
    std::vector<std::jthread> workers;
    for (int t = 0; t < threads; ++t)
      workers.emplace_back([&, t] {
        Rng rng(static_cast<std::uint64_t>(t));
        std::uint64_t mine = 0;
        for (int round = 0; round < 50000; ++round) {
          std::vector<std::uint32_t> held;
          for (std::uint64_t n = rng.below(3) + 1; n > 0; --n) {
            const std::uint32_t index = pool.list.pop();
            if (index == FreeList::none) break;
            if (owner[index].exchange(1) != 0) ++wrong;
            ++payload[index];
            ++mine;
            held.push_back(index);
          }
          if (rng.below(64) == 0) std::this_thread::yield();
          for (const std::uint32_t index : held) {
            owner[index].store(0);
            pool.list.push(index);
          }
        }
        taken += mine;
      });
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(std::accumulate(payload.begin(), payload.end(), std::uint64_t{0}), taken);
}

// ---- linearizability (J. Wing, C. Gong 1993)
// ---------------------------------------------------------------------------

struct Operation {
  bool is_pop = false;
  std::uint32_t index = 0;  // pushed, or popped (`none` allowed)
  std::uint64_t invoked = 0, returned = 0;
};

// Whether some order of the operations that respects real time is a history of a sequential stack.
bool linearizable(const std::vector<std::vector<Operation>>& threads, std::vector<std::size_t>& at,
                  std::vector<std::uint32_t>& stack,
                  std::set<std::pair<std::vector<std::size_t>, std::vector<std::uint32_t>>>& seen) {
  if (!seen.emplace(at, stack).second) return false;
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
    if (next.is_pop) {
      const std::uint32_t top = stack.empty() ? FreeList::none : stack.back();
      if (top != next.index) continue;
      if (top != FreeList::none) stack.pop_back();
    } else {
      stack.push_back(next.index);
    }
    ++at[t];
    if (linearizable(threads, at, stack, seen)) return true;
    --at[t];
    if (!next.is_pop)
      stack.pop_back();
    else if (next.index != FreeList::none)
      stack.push_back(next.index);
  }
  return false;
}

bool linearizable(const std::vector<std::vector<Operation>>& threads, std::vector<std::uint32_t> stack) {
  std::vector<std::size_t> at(threads.size(), 0);
  std::set<std::pair<std::vector<std::size_t>, std::vector<std::uint32_t>>> seen;
  return linearizable(threads, at, stack, seen);
}

TEST(FreeList, TheCheckerOfHistoriesRejectsWrongOnes) {
  const Operation pop0{true, 0, 0, 1}, again{true, 0, 2, 3}, none{true, FreeList::none, 2, 3};
  EXPECT_TRUE(linearizable({{pop0}, {none}}, {0}));
  EXPECT_FALSE(linearizable({{pop0}, {again}}, {0})) << "popped twice";
  EXPECT_FALSE(linearizable({{pop0}, {none}}, {1, 0})) << "empty, although one was left";
  const Operation push1{false, 1, 4, 5}, early{true, 1, 0, 3};
  EXPECT_FALSE(linearizable({{push1}, {early}}, {})) << "popped before it was pushed";
}

TEST(FreeList, SmallHistoriesAreLinearizable) {
  constexpr std::size_t threads = 3, operations = 6;
  for (int history = 0; history < 500; ++history) {
    constexpr std::uint32_t blocks = 3;
    List<FreeListRules> pool(blocks);
    std::atomic<std::uint64_t> stamp{1};
    std::vector<std::vector<Operation>> record(threads);
    std::latch start(threads);
    {
      std::vector<std::jthread> workers;
      for (std::size_t t = 0; t < threads; ++t)
        workers.emplace_back([&, t] {
          Rng rng(derive_seed(static_cast<std::uint64_t>(history), t));
          std::vector<std::uint32_t> held;
          record[t].reserve(operations);
          start.arrive_and_wait();
          for (std::size_t n = 0; n < operations; ++n) {
            Operation operation;
            operation.is_pop = held.empty() || rng.below(2) == 0;
            if (!operation.is_pop) operation.index = held.back();
            operation.invoked = stamp.fetch_add(1);
            if (operation.is_pop)
              operation.index = pool.list.pop();
            else
              pool.list.push(operation.index);
            operation.returned = stamp.fetch_add(1);
            if (!operation.is_pop)
              held.pop_back();
            else if (operation.index != FreeList::none)
              held.push_back(operation.index);
            record[t].push_back(operation);
          }
        });
    }
    ASSERT_TRUE(linearizable(record, {2, 1, 0})) << "history " << history;
  }
}

}  // namespace
}  // namespace warpwright::memory
