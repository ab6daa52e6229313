// One step of the solver: binds one parameter in every state and finds the states behind it.
#pragma once

#include <cstdint>
#include <vector>

#include "space_solver.hpp"

namespace warpwright::detail {

// Distinct tuples of 64-bit numbers, numbered in the order in which they came.
class StateTable {
 public:
  explicit StateTable(std::size_t stride) { start(stride); }
  // One state, its slots to be filled in.
  void start(std::size_t stride);
  // Forgets all states.
  void clear(std::size_t stride);
  std::uint32_t intern(const std::int64_t* tuple);
  std::size_t size() const { return count_; }
  std::size_t stride() const { return stride_; }
  std::vector<std::int64_t>& slots() { return slots_; }
  const std::vector<std::int64_t>& slots() const { return slots_; }

 private:
  void grow();
  std::size_t stride_ = 0, count_ = 0;
  std::vector<std::int64_t> slots_;
  std::vector<std::uint32_t> places_;  // open addressing: state + 1, or 0
};

// Straight-line code over registers, each one number for a state or one number for each value of the parameter: the
// conditions that this parameter finishes, the refutations of others, then the slots of the next states.
class LayerProgram {
 public:
  LayerProgram(GroupSolver& solver, std::size_t variable, const NumberSet& bound, const NumberSet& extended,
               const std::vector<TermId>& slots, const std::vector<TermId>& next_slots, bool may_fail);

  // Replaces `states` by those of the next layer. False when more than `max_edges` edges are needed.
  bool run(StateTable& states, LayeredGraph::Layer& layer, std::uint64_t max_edges);
  std::uint64_t evaluations() const { return evaluations_; }

 private:
  struct Register {
    std::size_t offset = 0;
    bool is_array = false;
    bool is_preset = false;  // does not depend on the state
    bool is_small = false;   // an integer of 0 to 2^32 - 1: divided with 32 bits, which is several times faster
  };
  struct Instruction {
    TermOp op;
    bool real_operands = false, small = false;
    std::size_t to = 0, a = 0, b = 0, c = 0;
  };
  struct Step {                       // a check, or (last) the slots
    std::size_t first = 0, last = 0;  // instructions
    std::size_t value = 0, error = 0;
    bool has_error = false;
    const Condition* opaque = nullptr;
    std::uint32_t constraint = 0;
  };
  struct Lookup {  // a value from the position that a slot holds
    std::size_t to = 0, from = 0, variable = 0;
  };

  std::size_t add_register(bool is_array);
  std::size_t compile(TermId id);
  void finish_step(Step step, std::size_t first);
  void execute(const Instruction& instruction);
  std::int64_t* data(std::size_t reg) { return memory_.data() + registers_[reg].offset; }
  void test_opaque(const Step& step);

  GroupSolver& solver_;
  std::size_t variable_;
  std::size_t values_;  // of the parameter
  bool may_fail_;
  NumberSet bound_;
  const std::vector<TermId>& slots_;
  std::vector<Register> registers_;
  std::vector<std::int64_t> memory_;
  std::vector<std::int64_t> register_of_term_;  // -1: none yet
  std::vector<std::size_t> slot_registers_, next_registers_;
  std::vector<Instruction> code_;
  std::vector<Lookup> lookups_;
  std::vector<Step> steps_;
  std::vector<std::uint8_t> accepted_;
  std::vector<std::uint32_t> failed_;                              // constraint that cannot be evaluated, of each value
  std::vector<std::pair<std::size_t, std::size_t>> opaque_slots_;  // parameter of the group, register of its position
  std::optional<Conditions::Assignment> assignment_;
  std::uint64_t evaluations_ = 0;
};

}  // namespace warpwright::detail
