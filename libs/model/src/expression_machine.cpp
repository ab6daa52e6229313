#include <algorithm>
#include <limits>

#include "expression_operations.hpp"

namespace warpwright::detail {

bool run(const ExpressionTree& tree, std::size_t begin, std::size_t end, const NameSource& names, Arena& arena,
         Cell& result, Failure& failure) {
  // Nearly every constraint fits; the others pay for an allocation.
  constexpr std::int32_t usual_frame = 48;
  Cell usual[usual_frame];
  std::vector<Cell> large;
  Cell* frame = usual;
  if (tree.frame_size > usual_frame) {
    large.resize(static_cast<std::size_t>(tree.frame_size));
    frame = large.data();
  }
  Cell* top = frame + tree.locals;  // one past the last operand
  Operations operations(arena, failure);

  const Instruction* const code = tree.code.data();
  for (std::size_t at = begin; at < end;) {
    const Instruction& instruction = code[at++];
    const auto stop = [&] {
      failure.instruction = static_cast<std::int32_t>(&instruction - code);
      failure.op = instruction.op == Op::chain ? static_cast<Op>(instruction.sub) : instruction.op;
      failure.function = static_cast<Function>(instruction.sub);
      return false;
    };
    switch (instruction.op) {
      case Op::constant:
        *top++ = tree.constants[static_cast<std::size_t>(instruction.a)];
        break;
      case Op::name:
        *top++ = names.load(instruction.a);
        break;
      case Op::local:
        *top++ = frame[instruction.a];
        break;

      case Op::add:
      case Op::subtract:
      case Op::multiply:
      case Op::floor_divide:
      case Op::modulo: {
        Cell& x = top[-2];
        const Cell& y = top[-1];
        if (x.kind == Cell::Kind::integer && y.kind == Cell::Kind::integer) {
          if (!operations.integer_arithmetic(instruction.op, x.i, y.i, x.i)) return stop();
        } else if (!operations.binary(instruction.op, x, y, x)) {
          return stop();
        }
        --top;
        break;
      }
      case Op::divide:
      case Op::power:
      case Op::bit_or:
      case Op::bit_xor:
      case Op::bit_and:
      case Op::shift_left:
      case Op::shift_right:
        if (!operations.binary(instruction.op, top[-2], top[-1], top[-2])) return stop();
        --top;
        break;
      case Op::negative:
      case Op::positive:
      case Op::invert:
        if (!operations.unary(instruction.op, top[-1], top[-1])) return stop();
        break;
      case Op::logical_not:
        top[-1] = Cell::boolean(!truthy(top[-1]));
        break;

      case Op::less:
      case Op::less_equal:
      case Op::greater:
      case Op::greater_equal:
      case Op::equal:
      case Op::not_equal:
      case Op::in:
      case Op::not_in: {
        bool holds = false;
        if (!operations.compare(instruction.op, top[-2], top[-1], holds)) return stop();
        --top;
        top[-1] = Cell::boolean(holds);
        break;
      }
      case Op::chain: {
        bool holds = false;
        if (!operations.compare(static_cast<Op>(instruction.sub), top[-2], top[-1], holds)) return stop();
        --top;
        if (holds) {
          top[-1] = top[0];
        } else {
          top[-1] = Cell::boolean(false);
          at = static_cast<std::size_t>(instruction.a);
        }
        break;
      }

      case Op::jump:
        at = static_cast<std::size_t>(instruction.a);
        break;
      case Op::jump_if_false:
        if (!truthy(*--top)) at = static_cast<std::size_t>(instruction.a);
        break;
      case Op::or_jump:
        if (truthy(top[-1]))
          at = static_cast<std::size_t>(instruction.a);
        else
          --top;
        break;
      case Op::and_jump:
        if (!truthy(top[-1]))
          at = static_cast<std::size_t>(instruction.a);
        else
          --top;
        break;

      case Op::make_list: {
        Cell list = Cell::none();
        if (!operations.make_list(top - instruction.a, static_cast<std::size_t>(instruction.a), list)) return stop();
        top -= instruction.a;
        *top++ = list;
        break;
      }
      case Op::index:
        if (!operations.index(top[-2], top[-1], top[-2])) return stop();
        --top;
        break;
      case Op::call: {
        Cell value = Cell::none();
        const auto count = static_cast<std::size_t>(instruction.a);
        if (!operations.call(static_cast<Function>(instruction.sub), top - instruction.a, count, value)) return stop();
        top -= instruction.a;
        *top++ = value;
        break;
      }

      case Op::list_begin:
        if (!arena.charge_elements(0)) return failure.reason = FailureReason::too_much_work, stop();
        frame[instruction.a] = Cell::list(arena.make_list());
        break;
      case Op::list_append: {
        // The list was made by list_begin of this very run and is not shared yet.
        auto* list = const_cast<CellList*>(frame[instruction.a].l);
        if (list->size() >= max_list_size) return failure.reason = FailureReason::too_long, stop();
        if (!arena.charge(4)) return failure.reason = FailureReason::too_much_work, stop();
        list->push_back(*--top);
        break;
      }
      case Op::loop_begin:
        if (!operations.elements(*--top, frame[instruction.a])) return stop();
        frame[instruction.a + 1] = Cell::integer(0);
        break;
      case Op::loop_next: {
        const CellList& list = *frame[instruction.a].l;
        auto& position = frame[instruction.a + 1].i;
        if (static_cast<std::size_t>(position) == list.size()) {
          at = static_cast<std::size_t>(instruction.b);
          break;
        }
        // A step costs what its body costs.
        const std::size_t body = static_cast<std::size_t>(instruction.b) - at;
        if (!arena.charge(1 + body / 8)) return failure.reason = FailureReason::too_much_work, stop();
        frame[instruction.a + 2] = list[static_cast<std::size_t>(position++)];
        break;
      }
    }
  }
  result = top[-1];
  return true;
}

}  // namespace warpwright::detail
