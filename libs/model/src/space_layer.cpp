#include "space_layer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

namespace warpwright::detail {

// ---- states
// --------------------------------------------------------------------------------------------------------------

namespace {

std::uint64_t mix(const std::int64_t* tuple, std::size_t stride) {
  std::uint64_t h = 0x9E3779B97F4A7C15u;
  for (std::size_t i = 0; i < stride; ++i) {
    h = (h ^ static_cast<std::uint64_t>(tuple[i])) * 0xBF58476D1CE4E5B9u;
    h ^= h >> 32;
  }
  return h;
}

}  // namespace

void StateTable::clear(std::size_t stride) {
  stride_ = stride;
  count_ = 0;
  slots_.clear();
  places_.assign(64, 0);
}

void StateTable::start(std::size_t stride) {
  clear(stride);
  count_ = 1;
}

void StateTable::grow() {
  places_.assign(places_.size() * 4, 0);
  const std::size_t mask = places_.size() - 1;
  for (std::size_t i = 0; i < count_; ++i) {
    std::size_t place = mix(slots_.data() + i * stride_, stride_) & mask;
    while (places_[place] != 0) place = (place + 1) & mask;
    places_[place] = static_cast<std::uint32_t>(i + 1);
  }
}

std::uint32_t StateTable::intern(const std::int64_t* tuple) {
  if (stride_ == 0) {
    count_ = 1;
    return 0;
  }
  const std::size_t mask = places_.size() - 1;
  std::size_t place = mix(tuple, stride_) & mask;
  for (; places_[place] != 0; place = (place + 1) & mask) {
    const std::size_t known = places_[place] - 1;
    if (std::equal(tuple, tuple + stride_, slots_.data() + known * stride_)) return static_cast<std::uint32_t>(known);
  }
  places_[place] = static_cast<std::uint32_t>(++count_);
  slots_.insert(slots_.end(), tuple, tuple + stride_);
  if (count_ * 2 > places_.size()) grow();
  return static_cast<std::uint32_t>(count_ - 1);
}

// ---- compiling
// -----------------------------------------------------------------------------------------------------------

LayerProgram::LayerProgram(GroupSolver& solver, std::size_t variable, const NumberSet& bound, const NumberSet& extended,
                           const std::vector<TermId>& slots, const std::vector<TermId>& next_slots, bool may_fail)
    : solver_(solver),
      variable_(variable),
      values_(solver.domains_[variable].size()),
      may_fail_(may_fail),
      bound_(bound),
      slots_(slots) {
  // Refutations first: making their terms may add to the graph.
  std::vector<std::pair<TermId, std::uint32_t>> tests;
  std::vector<const GroupSolver::Check*> finished;
  for (const auto& check : solver_.checks_) {
    if (!check.variables.contains(variable)) continue;
    if (check.variables.subset_of(extended)) {
      finished.push_back(&check);
    } else if (const auto id = solver_.refutation(check, extended)) {
      tests.emplace_back(*id, 0);
    }
  }
  register_of_term_.assign(solver_.terms_->size(), -1);
  for (const TermId slot : slots) {
    const std::size_t reg = add_register(false);
    const Term& term = (*solver_.terms_)[slot];
    registers_[reg].is_small = term.type != TermType::real && term.low >= 0 && term.high <= 0xFFFFFFFF;
    register_of_term_[static_cast<std::size_t>(slot)] = static_cast<std::int64_t>(reg);
    slot_registers_.push_back(reg);
  }
  std::stable_sort(finished.begin(), finished.end(), [](const auto* a, const auto* b) {
    return (a->value != no_term) > (b->value != no_term);  // what the machine has to do comes last
  });
  const auto typed_check = [&](TermId value, TermId error, std::uint32_t constraint) {
    Step step;
    const std::size_t first = code_.size();
    step.value = compile(value);
    step.constraint = constraint;
    if (error != no_term) {
      step.error = compile(error);
      step.has_error = true;
    }
    finish_step(step, first);
  };
  for (const auto* check : finished) {
    if (check->value != no_term)
      typed_check(check->value, check->error, static_cast<std::uint32_t>(check->condition->constraint));
  }
  for (const auto& [id, constraint] : tests) typed_check(id, no_term, constraint);
  bool any_opaque = false;
  for (const auto* check : finished) {
    if (check->value != no_term) continue;
    Step step;
    step.opaque = check->condition;
    step.constraint = static_cast<std::uint32_t>(check->condition->constraint);
    any_opaque = true;
    const std::size_t first = code_.size();
    for (std::size_t v = 0; v < solver_.domains_.size(); ++v) {
      if (v == variable_ || !check->variables.contains(v)) continue;
      opaque_slots_.emplace_back(v, compile(solver_.terms_->position(v)));
    }
    finish_step(step, first);
  }
  if (any_opaque) assignment_.emplace(solver_.conditions_);
  std::sort(opaque_slots_.begin(), opaque_slots_.end());
  opaque_slots_.erase(std::unique(opaque_slots_.begin(), opaque_slots_.end()), opaque_slots_.end());
  Step last;
  const std::size_t first = code_.size();
  for (const TermId slot : next_slots) next_registers_.push_back(compile(slot));
  finish_step(last, first);
  accepted_.resize(values_);
  failed_.resize(may_fail ? values_ : 0);
}

void LayerProgram::finish_step(Step step, std::size_t first) {
  step.first = first;
  step.last = code_.size();
  steps_.push_back(step);
}

std::size_t LayerProgram::add_register(bool is_array) {
  Register reg;
  reg.offset = memory_.size();
  reg.is_array = is_array;
  memory_.resize(memory_.size() + (is_array ? values_ : 1), 0);
  registers_.push_back(reg);
  return registers_.size() - 1;
}

std::size_t LayerProgram::compile(TermId id) {
  const auto index = static_cast<std::size_t>(id);
  if (register_of_term_[index] >= 0) return static_cast<std::size_t>(register_of_term_[index]);
  const Term& term = (*solver_.terms_)[id];
  std::size_t reg = 0;
  if (term.op == TermOp::constant) {
    reg = add_register(false);
    registers_[reg].is_preset = true;
    *data(reg) = term.value;
  } else if (term.op == TermOp::variable || term.op == TermOp::position) {
    const auto number = static_cast<std::size_t>(term.value);
    if (number == variable_) {
      reg = add_register(true);
      registers_[reg].is_preset = true;
      if (term.op == TermOp::variable) {
        std::copy_n(solver_.terms_->domains()[number].values.begin(), values_, data(reg));
      } else {
        std::iota(data(reg), data(reg) + values_, std::int64_t{0});
      }
    } else {  // bound: its position is a slot
      const std::size_t from = compile(solver_.terms_->position(number));
      reg = add_register(false);
      lookups_.push_back({reg, from, number});
    }
  } else {
    Instruction instruction;
    instruction.op = term.op;
    instruction.real_operands = term.real_operands;
    instruction.a = compile(term.a);
    instruction.b = term.b == no_term ? instruction.a : compile(term.b);
    instruction.c = term.c == no_term ? instruction.a : compile(term.c);
    const Register a = registers_[instruction.a], b = registers_[instruction.b], c = registers_[instruction.c];
    instruction.small = a.is_small && b.is_small;
    reg = add_register(a.is_array || b.is_array || c.is_array);
    instruction.to = reg;
    if (a.is_preset && b.is_preset && c.is_preset) {
      execute(instruction);
      registers_[reg].is_preset = true;
    } else {
      code_.push_back(instruction);
    }
  }
  registers_[reg].is_small = term.type != TermType::real && term.low >= 0 && term.high <= 0xFFFFFFFF;
  register_of_term_[index] = static_cast<std::int64_t>(reg);
  return reg;
}

// ---- running
// -------------------------------------------------------------------------------------------------------------

namespace {

template <typename Operation>
void each(std::int64_t* to, const std::int64_t* a, bool array_a, const std::int64_t* b, bool array_b, std::size_t count,
          Operation operation) {
  if (array_a && array_b) {
    for (std::size_t i = 0; i < count; ++i) to[i] = operation(a[i], b[i]);
  } else if (array_a) {
    const std::int64_t y = *b;
    for (std::size_t i = 0; i < count; ++i) to[i] = operation(a[i], y);
  } else {
    const std::int64_t x = *a;
    for (std::size_t i = 0; i < count; ++i) to[i] = operation(x, b[i]);
  }
}

}  // namespace

void LayerProgram::execute(const Instruction& instruction) {
  const Register a = registers_[instruction.a], b = registers_[instruction.b];
  std::int64_t* to = data(instruction.to);
  const std::int64_t* x = data(instruction.a);
  const std::int64_t* y = data(instruction.b);
  const bool is_array = registers_[instruction.to].is_array;
  const std::size_t count = is_array ? values_ : 1;
  const bool array_a = a.is_array || !is_array, array_b = b.is_array;
  const auto loop = [&](auto operation) { each(to, x, array_a, y, array_b, count, operation); };
  using I = std::int64_t;
  switch (instruction.op) {
    case TermOp::add:
      if (instruction.real_operands) return loop([](I p, I q) { return bits(real(p) + real(q)); });
      return loop([](I p, I q) { return p + q; });
    case TermOp::subtract:
      if (instruction.real_operands) return loop([](I p, I q) { return bits(real(p) - real(q)); });
      return loop([](I p, I q) { return p - q; });
    case TermOp::multiply:
      if (instruction.real_operands) return loop([](I p, I q) { return bits(real(p) * real(q)); });
      return loop([](I p, I q) { return p * q; });
    case TermOp::less:
      if (instruction.real_operands) return loop([](I p, I q) { return I{real(p) < real(q)}; });
      return loop([](I p, I q) { return I{p < q}; });
    case TermOp::less_equal:
      if (instruction.real_operands) return loop([](I p, I q) { return I{real(p) <= real(q)}; });
      return loop([](I p, I q) { return I{p <= q}; });
    case TermOp::equal:
      if (instruction.real_operands) return loop([](I p, I q) { return I{real(p) == real(q)}; });
      return loop([](I p, I q) { return I{p == q}; });
    case TermOp::logical_and:
      return loop([](I p, I q) { return p & q; });
    case TermOp::logical_or:
      return loop([](I p, I q) { return p | q; });
    case TermOp::modulo:
      if (!instruction.small) break;
      return loop([](I p, I q) {
        return q == 0 ? I{0} : static_cast<I>(static_cast<std::uint32_t>(p) % static_cast<std::uint32_t>(q));
      });
    case TermOp::floor_divide:
      if (!instruction.small) break;
      return loop([](I p, I q) {
        return q == 0 ? I{0} : static_cast<I>(static_cast<std::uint32_t>(p) / static_cast<std::uint32_t>(q));
      });
    default:
      break;
  }
  const std::int64_t* z = data(instruction.c);
  const std::size_t step_a = a.is_array ? 1 : 0, step_b = b.is_array ? 1 : 0,
                    step_c = registers_[instruction.c].is_array ? 1 : 0;
  for (std::size_t i = 0; i < count; ++i)
    to[i] = apply(instruction.op, instruction.real_operands, x[i * step_a], y[i * step_b], z[i * step_c]);
}

// Asks the machine, or a callable, about each value that is still accepted.
void LayerProgram::test_opaque(const Step& step) {
  for (std::size_t i = 0; i < values_; ++i) {
    if (accepted_[i] == 0) continue;
    assignment_->set(solver_.conditions_, solver_.group_.parameters[variable_], solver_.domains_[variable_][i]);
    const Answer answer = solver_.conditions_.test(*step.opaque, *assignment_);
    if (answer == Answer::no) accepted_[i] = 0;
    if (answer == Answer::error) failed_[i] = std::min(failed_[i], step.constraint);
  }
}

bool LayerProgram::run(StateTable& states, LayeredGraph::Layer& layer, std::uint64_t max_edges) {
  const std::size_t stride = slots_.size() + (may_fail_ ? 1 : 0);
  const std::size_t next_stride = next_registers_.size() + (may_fail_ ? 1 : 0);
  StateTable next(next_stride);
  next.clear(next_stride);
  const auto& value_errors = solver_.value_errors_[variable_];
  std::vector<std::int64_t> tuple(next_stride);
  struct Source {
    const std::int64_t* from;
    std::size_t step;
  };
  std::vector<Source> sources;
  for (const std::size_t reg : next_registers_)
    sources.push_back({data(reg), registers_[reg].is_array ? std::size_t{1} : std::size_t{0}});

  layer.first.reserve(states.size() + 1);
  for (std::size_t s = 0; s < states.size(); ++s) {
    layer.first.push_back(static_cast<std::uint32_t>(layer.value.size()));
    const std::int64_t* state = states.slots().data() + s * stride;
    for (std::size_t i = 0; i < slot_registers_.size(); ++i) *data(slot_registers_[i]) = state[i];
    for (const Lookup& lookup : lookups_) {
      const auto position = static_cast<std::size_t>(*data(lookup.from));
      *data(lookup.to) = solver_.terms_->domains()[lookup.variable].values[position];
    }
    if (assignment_) {
      for (const auto& [v, reg] : opaque_slots_) {
        const auto position = static_cast<std::size_t>(*data(reg));
        assignment_->set(solver_.conditions_, solver_.group_.parameters[v], solver_.domains_[v][position]);
      }
    }
    evaluations_ += values_;
    std::fill(accepted_.begin(), accepted_.end(), std::uint8_t{1});
    if (may_fail_) {
      const auto inherited = static_cast<std::uint32_t>(state[slots_.size()]);
      for (std::size_t i = 0; i < values_; ++i)
        failed_[i] = value_errors.empty() ? inherited : std::min(inherited, value_errors[i]);
    }
    bool any = true;
    for (const Step& step : steps_) {
      for (std::size_t i = step.first; i < step.last; ++i) execute(code_[i]);
      if (&step == &steps_.back()) break;
      if (step.opaque != nullptr) {
        test_opaque(step);
      } else {
        const std::int64_t* value = data(step.value);
        const std::size_t step_value = registers_[step.value].is_array ? 1 : 0;
        if (step.has_error) {
          const std::int64_t* error = data(step.error);
          const std::size_t step_error = registers_[step.error].is_array ? 1 : 0;
          for (std::size_t i = 0; i < values_; ++i) {
            if (error[i * step_error] != 0) {
              failed_[i] = std::min(failed_[i], step.constraint);
            } else if (value[i * step_value] == 0) {
              accepted_[i] = 0;
            }
          }
        } else {
          for (std::size_t i = 0; i < values_; ++i)
            accepted_[i] = static_cast<std::uint8_t>(accepted_[i] & value[i * step_value]);
        }
      }
      any = std::memchr(accepted_.data(), 1, values_) != nullptr;
      if (!any) break;
    }
    if (!any) continue;
    for (std::size_t i = 0; i < values_; ++i) {
      if (accepted_[i] == 0) continue;
      for (std::size_t k = 0; k < sources.size(); ++k) tuple[k] = sources[k].from[i * sources[k].step];
      if (may_fail_) tuple[sources.size()] = static_cast<std::int64_t>(failed_[i]);
      layer.value.push_back(static_cast<std::uint32_t>(i));
      layer.child.push_back(next.intern(tuple.data()));
    }
    if (layer.value.size() > max_edges || next.size() >= 0x7FFFFFFF) return false;
  }
  layer.first.push_back(static_cast<std::uint32_t>(layer.value.size()));
  states = std::move(next);
  return true;
}

}  // namespace warpwright::detail
