// Runs the free-list under the Relacy race detector (D. Vyukov): every interleaving and every value that weak memory
// lets a load return are candidates, drawn at random with a fixed seed. The list as shipped must pass; each mutant must
// fail.
//
//   model_check CASE    exit status 0 if the checker says of CASE what it must say

// The free-list first, Relacy last: it redefines words of the standard library as macros.
// clang-format off
#include <warpwright/memory/free_list.hpp>

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
using warpwright::memory::FreeListRules;

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

  rl::atomic<std::uint32_t> links[blocks];
  rl::var<int> payload[blocks];
  List list{links};

  void before() {
    for (unsigned i = 0; i < blocks; ++i) {
      links[i].store(0U, rl::mo_relaxed, $);
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

template <class Rules>
int check(bool must_pass, rl::iteration_t iterations) {
  rl::test_params parameters;
  parameters.iteration_count = iterations;
  std::ostream nowhere(nullptr);  // the history of a failing run is long, and expected of mutants
  if (!must_pass) {
    parameters.output_stream = &nowhere;
    parameters.progress_stream = &nowhere;
  }
  const bool passed = rl::simulate<Model<Rules>>(parameters);
  std::printf("%s after %llu interleavings: %s\n", passed ? "no error" : "rejected",
              static_cast<unsigned long long>(passed ? iterations : parameters.stop_iteration),
              passed ? "the model passes" : rl::test_result_str(parameters.test_result));
  return passed == must_pass ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const char* name = argc == 2 ? argv[1] : "";
  if (std::strcmp(name, "shipped") == 0) return check<FreeListRules>(true, 300000);
  if (std::strcmp(name, "without_tag") == 0) return check<WithoutTag>(false, 300000);
  if (std::strcmp(name, "relaxed_push") == 0) return check<RelaxedPush>(false, 300000);
  if (std::strcmp(name, "relaxed_pop") == 0) return check<RelaxedPop>(false, 300000);
  if (std::strcmp(name, "relaxed_pop_failure") == 0) return check<RelaxedPopFailure>(false, 300000);
  std::fprintf(stderr, "usage: model_check shipped|without_tag|relaxed_push|relaxed_pop|relaxed_pop_failure\n");
  return 2;
}
