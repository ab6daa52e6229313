// Which block of the pinned pool is whose: the part of acquire and release that must be lock-free.
//
// Why not the free-list alone: it costs a compare-and-swap for each pop and each push, on one cache line for all
// threads, and the release needs a third one on the block's own word to find misuse. Here that third one does the whole
// work where it can. Every block has a word {generation:56, state:8}, and that word alone decides who owns the block. A
// released block becomes `kept` by the compare-and-swap of its word; where it lies is only hinted, in a slot that
// belongs to the releasing thread. The same thread takes it again by the compare-and-swap of the same word: two atomic
// read-modify-writes for the pair, on lines that no other thread touches. A thread has one slot, so it keeps one block;
// further ones go to the free-list of their class, at one more for each way.
//
// Nothing is held hostage: who finds the free-list empty takes the kept blocks of all other threads, whatever these do
// or do not, because a slot is only a hint and the word is the truth. (That is what magazines of private blocks lack:
// with them a pool fails with free memory.)
//
// Rules that the proofs rest on (tests/model_check.cpp compiles this header, and rejects it without the comparison of
// states, with hints over kept blocks, with one look, and with weaker orders; tests/ready_blocks_test.cpp shows a lost
// block where the hint comes after the state):
// - Words never repeat: taking raises the generation, releasing changes the state. So a release by a handle succeeds
//   once, and a thief and an owner cannot both win.
// - Only the owner of a slot writes its hint, and only while the block hinted there is not kept. So every kept block is
//   hinted by the slot of the thread that kept it. A thread's slot outlives it and what it hints at can be taken by
//   all; a later thread with the same name goes on with it.
// - The hint is written before the block becomes kept, so that a thread which is suspended anywhere leaves no kept
//   block that others cannot find.
// - A miss is reported only after two equal looks at the free-list and all slots. Hints carry a version, the head a
//   tag, words do not repeat: so nothing was ready at the moment between the two looks, and misses are linearizable.
// - Who is going to sleep first raises `waiting` and then looks; who releases first makes the block ready and then
//   reads `waiting`. All four are sequentially consistent, so one of them sees the other. The compare-and-swap of the
//   release is that store, so this costs a load.
//
// The most blocks that were ever taken at once needs no counter either: links of the free-list hold its depth, and a
// pop that would leave fewer than ever before is made only after no kept block was found. Without concurrency the mark
// is exact, kept blocks notwithstanding.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <warpwright/memory/free_list.hpp>

namespace warpwright::memory {

enum BlockState : std::uint8_t { state_free, state_used, state_pending, state_quarantined, state_kept };

// {generation:56, state:8}
constexpr std::uint64_t pack_state(std::uint64_t generation, std::uint8_t state) { return generation << 8 | state; }
constexpr std::uint8_t state_of(std::uint64_t word) { return static_cast<std::uint8_t>(word); }
constexpr std::uint64_t generation_of(std::uint64_t word) { return word >> 8; }

// Orders and rules of the protocol; the model checker replaces single members. Sequentially consistent throughout: the
// argument about waiting and the one about misses need one order of all of them, and compare-and-swaps and loads of
// that order cost no more than weaker ones on x86.
struct ReadyBlocksRules : FreeListRules {
  static constexpr std::memory_order push_success = std::memory_order_seq_cst;
  static constexpr std::memory_order pop_load = std::memory_order_seq_cst;
  static constexpr std::memory_order pop_success = std::memory_order_seq_cst;
  static constexpr std::memory_order pop_failure = std::memory_order_seq_cst;
  static constexpr std::memory_order keep = std::memory_order_seq_cst;
  static constexpr std::memory_order take_kept = std::memory_order_seq_cst;
  static constexpr std::memory_order hint = std::memory_order_seq_cst;
  static constexpr std::memory_order read_waiting = std::memory_order_seq_cst;
  static constexpr unsigned slots = 64;
  static constexpr bool hint_only_over_taken = true;
  static constexpr bool hint_before_keep = true;
  static constexpr bool versioned_hints = true;
  static constexpr bool look_twice = true;
  static constexpr bool compare_states = true;
};

// Thread-safe and lock-free. A slot is used by one thread at a time, and not from a signal handler that interrupted
// that thread's own call.
template <class Atomics = StandardAtomics, class Rules = ReadyBlocksRules>
class BasicReadyBlocks {
 public:
  template <class T>
  using Atomic = typename Atomics::template Atomic<T>;
  using List = BasicFreeList<Atomics, Rules>;
  static constexpr std::uint32_t none = List::none;

  // Two cache lines, because processors fetch them in pairs.
  struct alignas(128) Slot {
    Slot() {
      Atomics::store(owner, std::uintptr_t{0}, std::memory_order_relaxed);
      Atomics::store(hint, std::uint64_t{none}, std::memory_order_relaxed);
    }
    Atomic<std::uintptr_t> owner;
    Atomic<std::uint64_t> hint;  // {version:40, block:24}
  };

  // Blocks of one size: `count` of them from `first`.
  struct alignas(64) Class {
    Class(std::uint32_t first_block, std::uint32_t block_count, Atomic<std::uint64_t>* links)
        : list(links), first(first_block), count(block_count) {
      Atomics::store(most_taken, std::uint64_t{0}, std::memory_order_relaxed);
    }
    List list;
    alignas(64) std::uint32_t first;
    std::uint32_t count;
    // Most blocks that were neither in the list nor found kept.
    Atomic<std::uint64_t> most_taken;
  };

  struct Taken {
    std::uint32_t block = none;
    std::uint64_t generation = 0;
    explicit operator bool() const { return block != none; }
  };

  // Entries of the array of states for `blocks` blocks.
  static std::size_t state_count(std::uint32_t blocks) { return std::size_t{8} * lines_for(blocks); }

  // Both arrays are not owned and must outlive this; `states` has state_count(blocks) entries, all 0, `slots` has
  // Rules::slots.
  BasicReadyBlocks(Atomic<std::uint64_t>* states, std::uint32_t blocks, Slot* slots)
      : states_(states),
        line_mask_(lines_for(blocks) - 1),
        line_shift_(static_cast<unsigned>(std::countr_zero(lines_for(blocks)))),
        slots_(slots) {
    Atomics::store(waiting_, std::uint64_t{0}, std::memory_order_relaxed);
    Atomics::store(claimed_, std::uint64_t{0}, std::memory_order_relaxed);
  }
  BasicReadyBlocks(const BasicReadyBlocks&) = delete;
  BasicReadyBlocks& operator=(const BasicReadyBlocks&) = delete;

  // Neighbours lie on different lines: blocks that are used at the same time mostly have neighbouring numbers.
  Atomic<std::uint64_t>& state(std::uint32_t block) const {
    return states_[(block & line_mask_) << 3 | block >> line_shift_];
  }

  // The slot of a thread, named by a number that no other thread has while it lives and that is not 0. Claims one at
  // the first call; null if none is left nearby, which costs the thread its kept block and nothing else.
  Slot* slot_of(std::uintptr_t thread) {
    Slot* const likely = likely_slot(thread);
    return likely != nullptr ? likely : find_slot(thread);
  }
  // The same for most threads that have one; null for others.
  Slot* likely_slot(std::uintptr_t thread) const {
    Slot& slot = slots_[place_of(thread)];
    return Atomics::load(slot.owner, std::memory_order_relaxed) == thread ? &slot : nullptr;
  }

  // The fast path of take(): the block in the thread's own slot. own_block() says which, with the generation that
  // taking it gives, or none; take_own() takes it unless others were faster.
  Taken own_block(std::uint32_t first, std::uint32_t count, const Slot& own) const {
    const std::uint32_t block = block_of(Atomics::load(own.hint, std::memory_order_relaxed));
    if (block - first >= count) return {};
    const std::uint64_t word = Atomics::load(state(block), std::memory_order_relaxed);
    return state_of(word) == state_kept ? Taken{block, generation_of(word) + 1} : Taken{};
  }
  bool take_own(Taken guess) {
    std::uint64_t word = pack_state(guess.generation - 1, state_kept);
    return Atomics::compare_exchange_strong(state(guess.block), word, pack_state(guess.generation, state_used),
                                            Rules::take_kept, std::memory_order_relaxed);
  }
  // The fast path of give(): for a block that the thread's own slot hints at. False if it does not, or if the handle is
  // wrong: give() tells.
  bool give_own(std::uint32_t block, std::uint64_t generation, const Slot& own) {
    return block_of(Atomics::load(own.hint, std::memory_order_relaxed)) == block &&
           change_state(block, generation, state_kept);
  }

  // A ready block of the class, which is the caller's from then on. None only if there was a moment of the call in
  // which none was ready.
  Taken take(Class& each, const Slot* own) {
    if (own != nullptr)
      if (const Taken guess = own_block(each.first, each.count, *own); guess && take_own(guess)) return guess;
    return take_listed(each);
  }
  // The same for who knows that the own slot has none.
  Taken take_listed(Class& each) {
    const auto record = static_cast<std::uint32_t>(Atomics::load(each.most_taken, std::memory_order_relaxed));
    const auto popped = each.list.pop_above(each.count - record);
    if (popped.index != none) return claim(each.first + popped.index);
    return take_anywhere(each);
  }

  // Makes a taken block ready, if `generation` is its present owner's; false, and nothing changed, otherwise.
  // `class_of(block)` is asked if the block goes to its list.
  template <class ClassOf>
  bool give(std::uint32_t block, std::uint64_t generation, Slot* own, ClassOf&& class_of) {
    if (own == nullptr || !has_room(*own, block)) {
      if (!change_state(block, generation, state_free)) return false;
      put(class_of(block), block);
      return true;
    }
    if constexpr (Rules::hint_before_keep) set_hint(*own, block);
    const bool mine = change_state(block, generation, state_kept);
    if constexpr (!Rules::hint_before_keep) {
      between_steps();
      set_hint(*own, block);
    }
    return mine;
  }

  // From `used` at this generation to another state; false if the block was not in that state.
  bool change_state(std::uint32_t block, std::uint64_t generation, std::uint8_t to) {
    std::uint64_t word = pack_state(generation, state_used);
    if constexpr (!Rules::compare_states) {
      if (Atomics::load(state(block), std::memory_order_acquire) != word) return false;
      Atomics::store(state(block), pack_state(generation, to), Rules::keep);
      return true;
    }
    return Atomics::compare_exchange_strong(state(block), word, pack_state(generation, to), Rules::keep,
                                            std::memory_order_relaxed);
  }

  // Lists a block that nobody owns and whose state is `free`.
  void put(Class& each, std::uint32_t block) { each.list.push(block - each.first); }

  // Before a last look and sleeping; leave() after it.
  void enter_wait() { Atomics::fetch_add(waiting_, std::uint64_t{1}, std::memory_order_seq_cst); }
  void leave_wait() { Atomics::fetch_add(waiting_, ~std::uint64_t{0}, std::memory_order_seq_cst); }
  // After give() or put(): whether somebody may be asleep who had not seen the block.
  bool someone_waits() const { return Atomics::load(waiting_, Rules::read_waiting) != 0; }

 private:
  static constexpr unsigned probes = 4;
  // What a slot says: its hint, and the word of the block there (0 for a block of another class).
  struct Look {
    std::uint64_t hint, word;
    bool operator==(const Look&) const = default;
  };
  static_assert(Rules::slots <= 64 && std::has_single_bit(Rules::slots));

  static std::uint32_t lines_for(std::uint32_t blocks) { return std::bit_ceil((blocks + 7) / 8); }
  static std::uint32_t block_of(std::uint64_t hint) { return static_cast<std::uint32_t>(hint) & none; }
  // Tests suspend or interrupt a thread here.
  static void between_steps() {
    if constexpr (requires { Rules::between_steps(); }) Rules::between_steps();
  }

  // Fibonacci hashing: addresses of threads' stacks differ in their middle bits.
  static unsigned place_of(std::uintptr_t thread) {
    return static_cast<unsigned>(std::uint64_t{thread} * 0x9e3779b97f4a7c15u >> 32) % Rules::slots;
  }

  Slot* find_slot(std::uintptr_t thread) {
    for (unsigned probe = 0; probe < probes; ++probe) {
      const unsigned at = (place_of(thread) + probe) % Rules::slots;
      std::uintptr_t owner = Atomics::load(slots_[at].owner, std::memory_order_relaxed);
      if (owner == thread) return &slots_[at];
      if (owner != 0 || !Atomics::compare_exchange_strong(slots_[at].owner, owner, thread, std::memory_order_acq_rel,
                                                          std::memory_order_relaxed))
        continue;
      // Before the first hint, so that who looks at all claimed slots looks at this one.
      std::uint64_t claimed = Atomics::load(claimed_, std::memory_order_relaxed);
      while (!Atomics::compare_exchange(claimed_, claimed, claimed | std::uint64_t{1} << at, std::memory_order_seq_cst,
                                        std::memory_order_relaxed)) {
      }
      return &slots_[at];
    }
    return nullptr;
  }

  // Whether the slot may hint at `block`: it does already, or what it hints at has been taken. Only this thread can
  // make the hinted block kept in the belief that this slot hints at it, so the answer does not change meanwhile.
  bool has_room(const Slot& own, std::uint32_t block) const {
    if constexpr (!Rules::hint_only_over_taken) return true;
    const std::uint32_t hinted = block_of(Atomics::load(own.hint, std::memory_order_relaxed));
    return hinted == block || hinted == none ||
           state_of(Atomics::load(state(hinted), std::memory_order_relaxed)) != state_kept;
  }

  void set_hint(Slot& own, std::uint32_t block) {
    const std::uint64_t hint = Atomics::load(own.hint, std::memory_order_relaxed);
    if (block_of(hint) == block) return;  // the store costs as much as a compare-and-swap
    const std::uint64_t version = Rules::versioned_hints ? (hint >> List::index_bits) + 1 : 0;
    Atomics::store(own.hint, version << List::index_bits | block, Rules::hint);
    between_steps();
  }

  // The caller has popped it. A plain store is enough: nobody changes the word of a free block but its owner.
  Taken claim(std::uint32_t block) {
    const std::uint64_t generation = generation_of(Atomics::load(state(block), std::memory_order_relaxed)) + 1;
    Atomics::store(state(block), pack_state(generation, state_used), std::memory_order_relaxed);
    return {block, generation};
  }

  // Takes a kept block of any thread; otherwise pops, even if that leaves fewer in the list than ever.
  Taken take_anywhere(Class& each) {
    std::array<Look, Rules::slots> looks;
    for (;;) {
      const std::uint64_t claimed = Atomics::load(claimed_, std::memory_order_seq_cst);
      for (std::uint64_t left = claimed; left != 0; left &= left - 1) {
        const auto at = static_cast<unsigned>(std::countr_zero(left));
        looks[at] = look(each, at);
        while (state_of(looks[at].word) == state_kept) {
          const std::uint32_t block = block_of(looks[at].hint);
          const Taken guess{block, generation_of(looks[at].word) + 1};
          if (take_own(guess)) return guess;
          looks[at] = look(each, at);
        }
      }
      between_steps();
      const auto popped = each.list.pop_above(0);
      if (popped.index != none) {
        raise_to(each.most_taken, each.count - popped.left);
        return claim(each.first + popped.index);
      }
      if constexpr (!Rules::look_twice) return {};
      between_steps();
      bool same = Atomics::load(claimed_, std::memory_order_seq_cst) == claimed;
      for (std::uint64_t left = claimed; same && left != 0; left &= left - 1) {
        const auto at = static_cast<unsigned>(std::countr_zero(left));
        same = look(each, at) == looks[at];
      }
      if (same && each.list.head() == popped.head) return {};
      // Another thread has made a step meanwhile.
    }
  }

  Look look(const Class& each, unsigned at) const {
    const std::uint64_t hint = Atomics::load(slots_[at].hint, std::memory_order_seq_cst);
    const std::uint32_t block = block_of(hint);
    if (block - each.first >= each.count) return {hint, 0};
    return {hint, Atomics::load(state(block), std::memory_order_seq_cst)};
  }

  static void raise_to(Atomic<std::uint64_t>& mark, std::uint64_t value) {
    std::uint64_t seen = Atomics::load(mark, std::memory_order_relaxed);
    while (seen < value &&
           !Atomics::compare_exchange(mark, seen, value, std::memory_order_relaxed, std::memory_order_relaxed)) {
    }
  }

  Atomic<std::uint64_t>* states_;
  std::uint32_t line_mask_;
  unsigned line_shift_;
  Slot* slots_;
  // Both change rarely and are read by every operation.
  alignas(128) Atomic<std::uint64_t> waiting_;
  Atomic<std::uint64_t> claimed_;
};

using ReadyBlocks = BasicReadyBlocks<>;
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free);

}  // namespace warpwright::memory
