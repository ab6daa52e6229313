// The free-list of the pinned pool: a Treiber stack of indices (R. K. Treiber, IBM RJ 5118, 1986) whose head carries a
// tag.
//
// Why indices and a tag: one 64-bit word {tag:40, index:24} is compared and swapped, so that a head which was popped
// and pushed back meanwhile (ABA) differs in its tag; 16-byte atomics are library calls on g++ and not lock-free. A tag
// of 40 bits wraps after three hours of one thread stalled inside its compare-and-swap at 100 million operations a
// second. Links lie in a side array and never in the blocks: a copy engine may write there, and touching them would
// cost transfers. Links are atomics because a stale reader may read one while its owner rewrites it; what it read is
// thrown away when its compare-and-swap fails. Beside the next index a link holds how many indices lie from it to the
// bottom: so a pop knows, without a counter that every operation would have to change, how many are left.
//
// Memory orders: push releases and pop acquires, on success and on failure (the retry follows the link of the index
// that it read). The head is changed by read-modify-writes only, so every push heads a release sequence, and who pops
// an index sees everything that the thread wrote which pushed it. Weaker orders and the missing tag are rejected by the
// model checker in tests/model_check.cpp, which compiles this very header: atomics and orders are template parameters
// for that reason.
//
// Rejected: bitmaps for small classes (as fast on two threads, and a second structure to prove), bounded queues with a
// sequence per cell (not lock-free: a stalled thread blocks its cell).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace warpwright::memory {

// Orders and tag width of the free-list; the model checker replaces single members.
struct FreeListRules {
  static constexpr std::memory_order push_load = std::memory_order_acquire;
  static constexpr std::memory_order push_success = std::memory_order_release;
  static constexpr std::memory_order pop_load = std::memory_order_acquire;
  static constexpr std::memory_order pop_success = std::memory_order_acquire;
  static constexpr std::memory_order pop_failure = std::memory_order_acquire;
  static constexpr unsigned tag_bits = 40;
};

// How the free-list reaches its atomics.
struct StandardAtomics {
  template <class T>
  using Atomic = std::atomic<T>;
  template <class T>
  static T load(const std::atomic<T>& atomic, std::memory_order order) {
    return atomic.load(order);
  }
  template <class T>
  static void store(std::atomic<T>& atomic, T value, std::memory_order order) {
    atomic.store(value, order);
  }
  template <class T>
  static bool compare_exchange(std::atomic<T>& atomic, T& expected, T desired, std::memory_order success,
                               std::memory_order failure) {
    return atomic.compare_exchange_weak(expected, desired, success, failure);
  }
  // Fails only if the value differs.
  template <class T>
  static bool compare_exchange_strong(std::atomic<T>& atomic, T& expected, T desired, std::memory_order success,
                                      std::memory_order failure) {
    return atomic.compare_exchange_strong(expected, desired, success, failure);
  }
  template <class T>
  static T fetch_add(std::atomic<T>& atomic, T value, std::memory_order order) {
    return atomic.fetch_add(value, order);
  }
};

// Thread-safe and lock-free: some thread always completes its push or pop, whatever happens to the others.
template <class Atomics = StandardAtomics, class Rules = FreeListRules>
class BasicFreeList {
 public:
  template <class T>
  using Atomic = typename Atomics::template Atomic<T>;

  static constexpr unsigned index_bits = 24;
  // No index; also the greatest number of indices.
  static constexpr std::uint32_t none = (std::uint32_t{1} << index_bits) - 1;
  static_assert(Rules::tag_bits <= 64 - index_bits);

  // Of a pop.
  struct Popped {
    std::uint32_t index;  // `none` if nothing was popped
    std::uint32_t left;   // how many are in the list after it
    std::uint64_t head;   // the head that was seen; differs after a pop, and after a push that no pop has taken back
  };

  // `links` is an array with one entry per index, not owned; it must outlive the list. Starts empty.
  explicit BasicFreeList(Atomic<std::uint64_t>* links) : links_(links) {
    Atomics::store(head_, pack(0, none), std::memory_order_relaxed);
  }
  BasicFreeList(const BasicFreeList&) = delete;
  BasicFreeList& operator=(const BasicFreeList&) = delete;

  // The caller owns `index` and gives it away.
  void push(std::uint32_t index) {
    std::uint64_t head = Atomics::load(head_, Rules::push_load);
    for (;;) {
      const std::uint32_t next = index_of(head);
      const std::uint64_t below = next == none ? 0 : Atomics::load(links_[next], std::memory_order_relaxed) >> 32;
      Atomics::store(links_[index], (below + 1) << 32 | next, std::memory_order_relaxed);
      if (Atomics::compare_exchange(head_, head, pack(tag_of(head), index), Rules::push_success, Rules::push_load))
        return;
    }
  }

  // The index pushed last, which the caller owns from then on; `none` if there is none.
  std::uint32_t pop() { return pop_above(0).index; }

  // Pops only if more than `floor` indices are in the list.
  Popped pop_above(std::uint32_t floor) {
    std::uint64_t head = Atomics::load(head_, Rules::pop_load);
    for (;;) {
      const std::uint32_t index = index_of(head);
      if (index == none) return {none, 0, head};
      const std::uint64_t link = Atomics::load(links_[index], std::memory_order_relaxed);
      between_load_and_swap();
      const auto depth = static_cast<std::uint32_t>(link >> 32);
      if (depth <= floor) return {none, depth, head};
      if (Atomics::compare_exchange(head_, head, pack(tag_of(head) + 1, static_cast<std::uint32_t>(link)),
                                    Rules::pop_success, Rules::pop_failure))
        return {index, depth - 1, head};
    }
  }

  // What Popped::head would be now.
  std::uint64_t head() const { return Atomics::load(head_, Rules::pop_load); }
  bool empty() const { return index_of(Atomics::load(head_, std::memory_order_relaxed)) == none; }
  // Pops so far, modulo 2^tag_bits: a number that changes with every pop and costs nothing.
  std::uint64_t pops() const { return tag_of(Atomics::load(head_, std::memory_order_relaxed)); }

 private:
  static constexpr std::uint64_t tag_mask = Rules::tag_bits == 0 ? 0 : ~std::uint64_t{0} >> (64 - Rules::tag_bits % 65);
  static std::uint64_t pack(std::uint64_t tag, std::uint32_t index) { return (tag & tag_mask) << index_bits | index; }
  static std::uint32_t index_of(std::uint64_t head) { return static_cast<std::uint32_t>(head) & none; }
  static std::uint64_t tag_of(std::uint64_t head) { return head >> index_bits; }
  // Tests widen the window of an ABA here.
  static void between_load_and_swap() {
    if constexpr (requires { Rules::between_load_and_swap(); }) Rules::between_load_and_swap();
  }

  Atomic<std::uint64_t> head_;
  Atomic<std::uint64_t>* links_;
};

using FreeList = BasicFreeList<>;
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);

}  // namespace warpwright::memory
