#include <algorithm>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "expression_syntax.hpp"

namespace warpwright::detail {
namespace {

// What a piece of code depends on: nothing, a comprehension variable (its local; the outermost counts), or a free name.
constexpr std::int32_t depends_on_nothing = std::numeric_limits<std::int32_t>::max();
constexpr std::int32_t depends_on_name = -1;

class Compiler {
 public:
  Compiler(const Syntax& syntax, ExpressionTree& tree) : syntax_(syntax), tree_(tree) {}

  void run(std::int32_t root) {
    generate(root);
    tree_.locals = locals_;
    tree_.frame_size = locals_ + max_depth_;
    order_names();
  }

 private:
  const Node& node(std::int32_t index) const { return syntax_.nodes[static_cast<std::size_t>(index)]; }
  std::int32_t here() const { return static_cast<std::int32_t>(tree_.code.size()); }

  // `effect` is the change of the operand stack's depth.
  std::size_t emit(const Instruction& instruction, Span span, int effect) {
    tree_.code.push_back(instruction);
    tree_.spans.push_back(span);
    depth_ += effect;
    max_depth_ = std::max(max_depth_, depth_);
    return tree_.code.size() - 1;
  }
  void emit_constant(Cell value, Span span) {
    tree_.constants.push_back(value);
    emit({Op::constant, 0, static_cast<std::int32_t>(tree_.constants.size()) - 1, 0}, span, 1);
  }

  // Returns the dependence of the code made. Left-leaning operator chains are walked, not recursed into: only they can
  // be deeper than the nesting the parser allows.
  std::int32_t generate(std::int32_t index) {
    const std::size_t start = tree_.code.size();
    std::vector<std::int32_t> spine;
    while (node(index).kind == NodeKind::binary) {
      spine.push_back(index);
      index = syntax_.children(node(index))[0];
    }
    std::int32_t dependence = fold(start, node(index).span, generate_simple(node(index)));
    for (auto it = spine.rbegin(); it != spine.rend(); ++it) {
      const Node& binary = node(*it);
      dependence = std::min(dependence, generate(syntax_.children(binary)[1]));
      emit({binary.op}, binary.span, -1);
      dependence = fold(start, binary.span, dependence);
    }
    return dependence;
  }

  std::int32_t generate_simple(const Node& current) {
    const auto children = syntax_.children(current);
    std::int32_t dependence = depends_on_nothing;
    switch (current.kind) {
      case NodeKind::constant:
        emit_constant(current.value, current.span);
        break;
      case NodeKind::name:
        return generate_name(current);
      case NodeKind::unary:
        dependence = generate(children[0]);
        emit({current.op}, current.span, 0);
        break;
      case NodeKind::logical: {
        std::vector<std::size_t> jumps;
        for (std::size_t i = 0; i < children.size(); ++i) {
          dependence = std::min(dependence, generate(children[i]));
          if (i + 1 < children.size()) jumps.push_back(emit({current.op}, current.span, -1));
        }
        for (const std::size_t jump : jumps) tree_.code[jump].a = here();
        break;
      }
      case NodeKind::comparison: {
        dependence = generate(children[0]);
        std::vector<std::size_t> jumps;
        for (std::size_t i = 1; i < children.size(); ++i) {
          dependence = std::min(dependence, generate(children[i]));
          const Op op = syntax_.comparison_ops[static_cast<std::size_t>(current.value.i) + i - 1];
          if (i + 1 == children.size()) {
            emit({op}, current.span, -1);
          } else {
            jumps.push_back(emit({Op::chain, static_cast<std::uint8_t>(op)}, current.span, -1));
          }
        }
        for (const std::size_t jump : jumps) tree_.code[jump].a = here();
        break;
      }
      case NodeKind::conditional: {
        dependence = generate(children[0]);
        const std::size_t to_else = emit({Op::jump_if_false}, current.span, -1);
        dependence = std::min(dependence, generate(children[1]));
        const std::size_t to_end = emit({Op::jump}, current.span, -1);
        tree_.code[to_else].a = here();
        dependence = std::min(dependence, generate(children[2]));
        tree_.code[to_end].a = here();
        break;
      }
      case NodeKind::list:
      case NodeKind::call: {
        const auto count = static_cast<std::int32_t>(children.size());
        for (const std::int32_t child : children) dependence = std::min(dependence, generate(child));
        emit({current.op, static_cast<std::uint8_t>(current.function), count, 0}, current.span, 1 - count);
        break;
      }
      case NodeKind::comprehension:
        return generate_comprehension(current);
      case NodeKind::binary:
        break;  // handled by generate()
    }
    return dependence;
  }

  std::int32_t generate_name(const Node& current) {
    const std::string_view name =
        std::string_view(tree_.text).substr(current.span.begin, current.span.end - current.span.begin);
    for (auto it = scope_.rbegin(); it != scope_.rend(); ++it) {
      if (it->first != name) continue;
      emit({Op::local, 0, it->second, 0}, current.span, 1);
      return it->second;
    }
    const auto [known, is_new] = slots_.try_emplace(name, static_cast<std::int32_t>(tree_.names.size()));
    const std::int32_t slot = known->second;
    if (is_new) {
      tree_.names.emplace_back(name);
      first_seen_.push_back(current.span.begin);
    }
    auto& first = first_seen_[static_cast<std::size_t>(slot)];
    first = std::min(first, current.span.begin);
    emit({Op::name, 0, slot, 0}, current.span, 1);
    return depends_on_name;
  }

  // Locals: the result, then for each "for" the list, the position in it, and the variable.
  std::int32_t generate_comprehension(const Node& current) {
    const auto children = syntax_.children(current);
    const std::int32_t base = next_local_;
    const std::size_t outer_scope = scope_.size();
    const auto take_locals = [&](std::int32_t count) {
      const std::int32_t first = next_local_;
      next_local_ += count;
      locals_ = std::max(locals_, next_local_);
      return first;
    };
    const std::int32_t result = take_locals(1);
    emit({Op::list_begin, 0, result, 0}, current.span, 0);
    std::int32_t dependence = depends_on_nothing;
    std::vector<std::size_t> heads;  // loop_next of each open loop
    for (std::size_t i = 1; i < children.size(); ++i) {
      const Clause& clause = syntax_.clauses[static_cast<std::size_t>(current.value.i) + i - 1];
      dependence = std::min(dependence, generate(children[i]));
      if (clause.variable.empty()) {
        emit({Op::jump_if_false, 0, static_cast<std::int32_t>(heads.back()), 0}, current.span, -1);
        continue;
      }
      const std::int32_t loop = take_locals(3);
      emit({Op::loop_begin, 0, loop, 0}, node(children[i]).span, -1);
      heads.push_back(emit({Op::loop_next, 0, loop, 0}, current.span, 0));
      scope_.emplace_back(clause.variable, loop + 2);
    }
    dependence = std::min(dependence, generate(children[0]));
    emit({Op::list_append, 0, result, 0}, current.span, -1);
    for (auto head = heads.rbegin(); head != heads.rend(); ++head) {
      emit({Op::jump, 0, static_cast<std::int32_t>(*head), 0}, current.span, 0);
      tree_.code[*head].b = here();
    }
    emit({Op::local, 0, result, 0}, current.span, 1);
    scope_.resize(outer_scope);
    next_local_ = base;
    return dependence >= base ? depends_on_nothing : dependence;
  }

  // Replaces code that depends on nothing by its result. What fails stays as it is, to fail when (and if) evaluated.
  std::int32_t fold(std::size_t start, Span span, std::int32_t dependence) {
    const bool is_constant = tree_.code.size() == start + 1 && tree_.code[start].op == Op::constant;
    if (dependence != depends_on_nothing || is_constant) return dependence;
    tree_.locals = locals_;
    tree_.frame_size = locals_ + max_depth_;
    Cell result = Cell::none();
    Failure failure;
    if (!detail::run(tree_, start, tree_.code.size(), {}, tree_.owned, result, failure)) return depends_on_name;
    tree_.code.resize(start);
    tree_.spans.resize(start);
    --depth_;
    emit_constant(result, span);
    return depends_on_nothing;
  }

  // Names were met in the order of evaluation; people expect the order of the text.
  void order_names() {
    std::vector<std::int32_t> order(tree_.names.size());
    std::iota(order.begin(), order.end(), 0);
    const auto seen = [&](std::int32_t i) { return first_seen_[static_cast<std::size_t>(i)]; };
    std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return seen(a) < seen(b); });
    std::vector<std::int32_t> new_slot(order.size());
    std::vector<std::string> names;
    for (std::size_t i = 0; i < order.size(); ++i) {
      new_slot[static_cast<std::size_t>(order[i])] = static_cast<std::int32_t>(i);
      names.push_back(tree_.names[static_cast<std::size_t>(order[i])]);
    }
    tree_.names = std::move(names);
    for (auto& instruction : tree_.code) {
      if (instruction.op == Op::name) instruction.a = new_slot[static_cast<std::size_t>(instruction.a)];
    }
  }

  const Syntax& syntax_;
  ExpressionTree& tree_;
  std::vector<std::pair<std::string_view, std::int32_t>> scope_;  // comprehension variables, innermost last
  std::unordered_map<std::string_view, std::int32_t> slots_;      // keys point into the text of the tree
  std::vector<std::uint32_t> first_seen_;
  std::int32_t next_local_ = 0, locals_ = 0, depth_ = 0, max_depth_ = 0;
};

}  // namespace

void compile(const Syntax& syntax, std::int32_t root, ExpressionTree& tree) { Compiler(syntax, tree).run(root); }

}  // namespace warpwright::detail
