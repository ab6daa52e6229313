// Runs the free-list, and the protocol of ready blocks over it, under the Relacy race detector (D. Vyukov): every
// interleaving and every value that weak memory lets a load return are candidates, drawn at random with a fixed seed.
// What is shipped must pass; each mutant must fail.
//
//   model_check CASE    exit status 0 if the checker says of CASE what it must say

// The headers first, Relacy last: it redefines words of the standard library as macros.
// clang-format off
#include <warpwright/memory/ready_blocks.hpp>

#include <cstdio>
#include <cstring>
#include <ostream>

#include <relacy/relacy.hpp>
// clang-format on

#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst

namespace {

using warpwright::memory::BasicFreeList;
using warpwright::memory::BasicReadyBlocks;
using warpwright::memory::FreeListRules;
using warpwright::memory::ReadyBlocksRules;

constexpr rl::memory_order model_order(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return rl::mo_relaxed;
    case std::memory_order_acquire:
      return rl::mo_acquire;
    case std::memory_order_release:
      return rl::mo_release;
    case std::memory_order_acq_rel:
      return rl::mo_acq_rel;
    default:
      return rl::mo_seq_cst;
  }
}

struct ModelAtomics {
  template <class T>
  using Atomic = rl::atomic<T>;
  template <class T>
  static T load(const rl::atomic<T>& atomic, std::memory_order order) {
    return atomic.load(model_order(order), $);
  }
  template <class T>
  static void store(rl::atomic<T>& atomic, T value, std::memory_order order) {
    atomic.store(value, model_order(order), $);
  }
  template <class T>
  static bool compare_exchange(rl::atomic<T>& atomic, T& expected, T desired, std::memory_order success,
                               std::memory_order failure) {
    return atomic.compare_exchange_weak(expected, desired, model_order(success), $, model_order(failure), $);
  }
  template <class T>
  static bool compare_exchange_strong(rl::atomic<T>& atomic, T& expected, T desired, std::memory_order success,
                                      std::memory_order failure) {
    return atomic.compare_exchange_strong(expected, desired, model_order(success), $, model_order(failure), $);
  }
  template <class T>
  static T fetch_add(rl::atomic<T>& atomic, T value, std::memory_order order) {
    return atomic.fetch_add(value, model_order(order), $);
  }
};

struct WithoutTag : FreeListRules {
  static constexpr unsigned tag_bits = 0;
};
struct RelaxedPush : FreeListRules {
  static constexpr std::memory_order push_success = std::memory_order_relaxed;
};
struct RelaxedPop : FreeListRules {
  static constexpr std::memory_order pop_load = std::memory_order_relaxed;
  static constexpr std::memory_order pop_success = std::memory_order_relaxed;
  static constexpr std::memory_order pop_failure = std::memory_order_relaxed;
};
struct RelaxedPopFailure : FreeListRules {
  static constexpr std::memory_order pop_failure = std::memory_order_relaxed;
};

// Three threads take a block, write to it (a plain variable, so that a second owner or a missing happens-before is a
// race), and give it back; the first takes two and gives them back in the other order, which is what an ABA needs.
template <class Rules>
struct Model : rl::test_suite<Model<Rules>, 3> {
  static constexpr unsigned blocks = 3;
  using List = BasicFreeList<ModelAtomics, Rules>;

  rl::atomic<std::uint64_t> links[blocks];
  rl::var<int> payload[blocks];
  List list{links};

  void before() {
    for (unsigned i = 0; i < blocks; ++i) {
      links[i].store(std::uint64_t{0}, rl::mo_relaxed, $);
      payload[i]($) = 0;
    }
    for (unsigned i = 0; i < blocks; ++i) list.push(i);
  }

  void use(std::uint32_t index) {
    RL_ASSERT(index < blocks);
    payload[index]($) = payload[index]($) + 1;
  }

  void thread(unsigned number) {
    for (int round = 0; round < 2; ++round) {
      const std::uint32_t first = list.pop();
      if (first == List::none) continue;
      use(first);
      const std::uint32_t second = number == 0 ? list.pop() : List::none;
      if (second != List::none) use(second);
      list.push(first);
      if (second != List::none) list.push(second);
    }
  }

  void after() {
    bool seen[blocks] = {};
    for (unsigned i = 0; i < blocks; ++i) {
      const std::uint32_t index = list.pop();
      RL_ASSERT(index < blocks && !seen[index]);
      seen[index] = true;
    }
    RL_ASSERT(list.pop() == List::none);
  }
};

// ---- ready blocks

struct ReadyRules : ReadyBlocksRules {
  static constexpr unsigned slots = 4;
};
struct RelaxedKeep : ReadyRules {
  static constexpr std::memory_order keep = std::memory_order_relaxed;
};
struct RelaxedTakeKept : ReadyRules {
  static constexpr std::memory_order take_kept = std::memory_order_relaxed;
};
struct HintOverKept : ReadyRules {
  static constexpr bool hint_only_over_taken = false;
};
struct OneLook : ReadyRules {
  static constexpr bool look_twice = false;
};
struct UncomparedStates : ReadyRules {
  static constexpr bool compare_states = false;
};
struct RelaxedReadWaiting : ReadyRules {
  static constexpr std::memory_order read_waiting = std::memory_order_relaxed;
};
struct KeepBeforeReadWaiting : ReadyRules {
  static constexpr std::memory_order keep = std::memory_order_acq_rel;
  static constexpr std::memory_order push_success = std::memory_order_release;
};

template <class Rules, unsigned count>
struct Pool {
  using Ready = BasicReadyBlocks<ModelAtomics, Rules>;

  rl::atomic<std::uint64_t> states[8];
  rl::atomic<std::uint64_t> links[count];
  typename Ready::Slot slots[Rules::slots];
  rl::var<int> payload[count];
  typename Ready::Class all{0, count, links};
  Ready ready{states, count, slots};

  void open() {
    for (auto& state : states) state.store(std::uint64_t{0}, rl::mo_relaxed, $);
    for (auto& link : links) link.store(std::uint64_t{0}, rl::mo_relaxed, $);
    for (auto& each : payload) each($) = 0;
    for (unsigned i = 0; i < count; ++i) ready.put(all, i);
  }
  typename Ready::Slot* slot(unsigned thread) { return ready.slot_of(thread + 1); }
  void use(std::uint32_t block) {
    RL_ASSERT(block < count);
    payload[block]($) = payload[block]($) + 1;
  }
  bool give(const typename Ready::Taken& taken, typename Ready::Slot* own) {
    return ready.give(
        taken.block, taken.generation, own, [this](std::uint32_t) -> auto& { return all; });
  }
  void all_are_there() {
    bool seen[count] = {};
    for (unsigned i = 0; i < count; ++i) {
      const auto taken = ready.take(all, nullptr);
      RL_ASSERT(taken && !seen[taken.block]);
      seen[taken.block] = true;
      use(taken.block);
    }
    RL_ASSERT(!ready.take(all, nullptr));
    RL_ASSERT(all.most_taken.load(rl::mo_relaxed, $) <= count);
  }
};

// As many blocks as the threads hold together at most, so a thread that gets none has been told a falsehood. Two
// threads have slots; the first takes two blocks, of which its slot can hint at one.
template <class Rules>
struct Ownership : rl::test_suite<Ownership<Rules>, 3> {
  Pool<Rules, 4> pool;

  void before() { pool.open(); }
  void thread(unsigned number) {
    auto* const own = number == 2 ? nullptr : pool.slot(number);
    for (int round = 0; round < 2; ++round) {
      const auto first = pool.ready.take(pool.all, own);
      RL_ASSERT(first);
      pool.use(first.block);
      if (number == 0) {
        const auto second = pool.ready.take(pool.all, own);
        RL_ASSERT(second);
        pool.use(second.block);
        RL_ASSERT(pool.give(second, own));
      }
      RL_ASSERT(pool.give(first, own));
    }
  }
  void after() { pool.all_are_there(); }
};

// The second thread takes its kept block only after the first has given one back. So one of two is ready at any moment,
// and the third, which looks for one, must not miss it wherever it looks first.
template <class Rules>
struct Misses : rl::test_suite<Misses<Rules>, 3> {
  Pool<Rules, 2> pool;
  typename Pool<Rules, 2>::Ready::Taken held;
  rl::atomic<int> given;

  void before() {
    pool.open();
    given.store(0, rl::mo_relaxed, $);
    held = pool.ready.take(pool.all, pool.slot(0));
    const auto kept = pool.ready.take(pool.all, pool.slot(1));
    RL_ASSERT(held && kept && pool.give(kept, pool.slot(1)));
  }
  void thread(unsigned number) {
    if (number == 0) {
      RL_ASSERT(pool.give(held, pool.slot(0)));
      given.store(1, rl::mo_seq_cst, $);
    } else if (number == 2 || given.load(rl::mo_seq_cst, $) == 1) {
      const auto taken = pool.ready.take(pool.all, number == 1 ? pool.slot(1) : nullptr);
      RL_ASSERT(taken);
      pool.use(taken.block);
      if (number == 2)
        RL_ASSERT(pool.give(taken, nullptr));
      else
        last = taken;
    }
  }
  void after() {
    if (last) RL_ASSERT(pool.give(last, nullptr));
    pool.all_are_there();
  }
  typename Pool<Rules, 2>::Ready::Taken last;
};

// Two threads release by one handle, while a third takes and gives back.
template <class Rules>
struct Misuse : rl::test_suite<Misuse<Rules>, 3> {
  Pool<Rules, 1> pool;
  typename Pool<Rules, 1>::Ready::Taken handle;
  bool succeeded[2] = {};

  void before() {
    pool.open();
    handle = pool.ready.take(pool.all, nullptr);
  }
  void thread(unsigned number) {
    auto* const own = number == 0 ? nullptr : pool.slot(number);
    if (number < 2) {
      succeeded[number] = pool.give(handle, own);
    } else if (const auto taken = pool.ready.take(pool.all, own)) {
      pool.use(taken.block);
      RL_ASSERT(pool.give(taken, own));
    }
  }
  void after() {
    RL_ASSERT(succeeded[0] != succeeded[1]);
    pool.all_are_there();
  }
};

// One gives the only block back, to its slot or to the list; the other says that it waits, and looks. One of them must
// learn of the other.
template <class Rules>
struct Waiting : rl::test_suite<Waiting<Rules>, 2> {
  Pool<Rules, 1> pool;
  typename Pool<Rules, 1>::Ready::Taken handle;
  bool got = false, woken = false;

  void before() {
    pool.open();
    handle = pool.ready.take(pool.all, nullptr);
  }
  void thread(unsigned number) {
    if (number == 0) {
      auto* const own = rl::rand(2) == 0 ? nullptr : pool.slot(0);
      RL_ASSERT(pool.give(handle, own));
      woken = pool.ready.someone_waits();
    } else {
      auto* const own = pool.slot(1);
      pool.ready.enter_wait();
      if (const auto taken = pool.ready.take(pool.all, own)) {
        got = true;
        RL_ASSERT(pool.give(taken, own));
      }
    }
  }
  void after() {
    RL_ASSERT(got || woken);
    pool.all_are_there();
  }
};

template <class Suite>
int check(bool must_pass, rl::iteration_t iterations = 300000) {
  rl::test_params parameters;
  parameters.iteration_count = iterations;
  std::ostream nowhere(nullptr);  // the history of a failing run is long, and expected of mutants
  if (!must_pass) {
    parameters.output_stream = &nowhere;
    parameters.progress_stream = &nowhere;
  }
  const bool passed = rl::simulate<Suite>(parameters);
  std::printf("%s after %llu interleavings: %s\n", passed ? "no error" : "rejected",
              static_cast<unsigned long long>(passed ? iterations : parameters.stop_iteration),
              passed ? "the model passes" : rl::test_result_str(parameters.test_result));
  return passed == must_pass ? 0 : 1;
}

struct Case {
  const char* name;
  int (*run)();
};

const Case cases[] = {
    {"shipped", [] { return check<Model<FreeListRules>>(true); }},
    {"without_tag", [] { return check<Model<WithoutTag>>(false); }},
    {"relaxed_push", [] { return check<Model<RelaxedPush>>(false); }},
    {"relaxed_pop", [] { return check<Model<RelaxedPop>>(false); }},
    {"relaxed_pop_failure", [] { return check<Model<RelaxedPopFailure>>(false); }},
    {"ownership", [] { return check<Ownership<ReadyRules>>(true); }},
    {"ownership_relaxed_keep", [] { return check<Ownership<RelaxedKeep>>(false); }},
    {"ownership_relaxed_take_kept", [] { return check<Ownership<RelaxedTakeKept>>(false); }},
    {"ownership_hint_over_kept", [] { return check<Ownership<HintOverKept>>(false); }},
    {"misses", [] { return check<Misses<ReadyRules>>(true); }},
    {"misses_one_look", [] { return check<Misses<OneLook>>(false); }},
    {"misuse", [] { return check<Misuse<ReadyRules>>(true); }},
    {"misuse_uncompared_states", [] { return check<Misuse<UncomparedStates>>(false); }},
    {"waiting", [] { return check<Waiting<ReadyRules>>(true); }},
    {"waiting_relaxed_read", [] { return check<Waiting<RelaxedReadWaiting>>(false); }},
    {"waiting_weaker_keep", [] { return check<Waiting<KeepBeforeReadWaiting>>(false); }},
};

}  // namespace

int main(int argc, char** argv) {
  for (const Case& each : cases)
    if (argc == 2 && std::strcmp(argv[1], each.name) == 0) return each.run();
  std::fprintf(stderr, "usage: model_check CASE, one of:");
  for (const Case& each : cases) std::fprintf(stderr, " %s", each.name);
  std::fprintf(stderr, "\n");
  return 2;
}
