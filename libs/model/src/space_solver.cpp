#include "space_solver.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <string_view>
#include <utility>

#include <warpwright/base/rng.hpp>

#include "space_layer.hpp"

namespace warpwright::detail {

GroupSolver::GroupSolver(const Conditions& conditions, const ConditionGroup& group)
    : conditions_(conditions), group_(group) {
  filter_domains();
  if (!rejected_) make_checks();
}

// Conditions without parameters and with one are applied before the search.
void GroupSolver::filter_domains() {
  Conditions::Assignment assignment(conditions_);
  for (const std::size_t p : group_.parameters) {
    auto& domain = domains_.emplace_back(conditions_.parameters()[p].values.size());
    std::iota(domain.begin(), domain.end(), std::uint32_t{0});
    value_errors_.emplace_back();
  }
  for (const Condition* condition : group_.conditions) {
    if (condition->parameters.empty()) {
      const Answer answer = conditions_.test(*condition, assignment);
      if (answer == Answer::no) rejected_ = true;
      if (answer == Answer::error)
        constant_error_ = std::min(constant_error_, static_cast<std::uint32_t>(condition->constraint));
      continue;
    }
    if (condition->parameters.size() > 1) {
      searched_.push_back(condition);
      continue;
    }
    const std::size_t parameter = condition->parameters.front();
    const auto own = std::lower_bound(group_.parameters.begin(), group_.parameters.end(), parameter);
    const auto variable = static_cast<std::size_t>(own - group_.parameters.begin());
    auto& domain = domains_[variable];
    auto& errors = value_errors_[variable];
    std::size_t kept = 0;
    for (std::size_t i = 0; i < domain.size(); ++i) {
      assignment.set(conditions_, parameter, domain[i]);
      const Answer answer = conditions_.test(*condition, assignment);
      if (answer == Answer::no) continue;
      if (answer == Answer::error && errors.empty()) errors.assign(domain.size(), LayeredGraph::no_condition);
      if (!errors.empty()) {
        errors[kept] = errors[i];
        if (answer == Answer::error)
          errors[kept] = std::min(errors[kept], static_cast<std::uint32_t>(condition->constraint));
      }
      domain[kept++] = domain[i];
    }
    domain.resize(kept);
    if (!errors.empty()) errors.resize(kept);
    if (domain.empty()) rejected_ = true;
  }
}

void GroupSolver::make_checks() {
  const std::size_t count = group_.parameters.size();
  std::vector<TermDomain> term_domains(count);
  for (std::size_t v = 0; v < count; ++v) {
    const auto& values = conditions_.parameters()[group_.parameters[v]].values;
    TermDomain& domain = term_domains[v];
    const std::size_t kind = values[domains_[v].front()].index();
    const bool is_uniform =
        std::all_of(domains_[v].begin(), domains_[v].end(), [&](std::uint32_t i) { return values[i].index() == kind; });
    lowest_.push_back(0);
    highest_.push_back(0);
    if (is_uniform && kind == 0) domain.type = TermType::integer;
    if (is_uniform && kind == 1) domain.type = TermType::real;
    if (is_uniform && kind == 2) domain.type = TermType::boolean;
    for (std::size_t i = 0; i < domains_[v].size(); ++i) {
      const Value& value = values[domains_[v][i]];
      if (domain.type == TermType::integer) domain.values.push_back(std::get<std::int64_t>(value));
      if (domain.type == TermType::boolean) domain.values.push_back(std::get<bool>(value) ? 1 : 0);
      if (domain.type == TermType::real) {
        const double number = std::get<double>(value);
        if (!std::isfinite(number)) domain.type.reset();
        domain.values.push_back(std::bit_cast<std::int64_t>(number));
      }
      if (!domain.type) break;
    }
    if (!domain.type) {
      domain.values.resize(domains_[v].size());
      std::iota(domain.values.begin(), domain.values.end(), std::int64_t{0});
      continue;
    }
    const auto less = [&](std::int64_t a, std::int64_t b) {
      return domain.type == TermType::real ? std::bit_cast<double>(a) < std::bit_cast<double>(b) : a < b;
    };
    const auto [low, high] = std::minmax_element(domain.values.begin(), domain.values.end(), less);
    lowest_.back() = *low;
    highest_.back() = *high;
  }
  terms_.emplace(std::move(term_domains));
  positions_.assign(count, no_term);

  for (const Condition* condition : searched_) {
    std::optional<Terms::Outcome> outcome;
    if (condition->tree) {
      std::vector<std::int32_t> parameter_of_name;
      std::vector<Cell> constants;
      for (const std::int32_t slot : condition->slots) {
        const auto own =
            std::lower_bound(group_.parameters.begin(), group_.parameters.end(), static_cast<std::size_t>(slot));
        const bool is_parameter = static_cast<std::size_t>(slot) < conditions_.parameters().size();
        parameter_of_name.push_back(is_parameter ? static_cast<std::int32_t>(own - group_.parameters.begin()) : -1);
        constants.push_back(is_parameter ? Cell::none() : conditions_.constant(static_cast<std::size_t>(slot)));
      }
      outcome = terms_->compile(*condition->tree, parameter_of_name, constants);
    }
    if (!outcome) {
      Check check;
      check.condition = condition;
      check.variables = NumberSet(count);
      for (const std::size_t p : condition->parameters) {
        const auto own = std::lower_bound(group_.parameters.begin(), group_.parameters.end(), p);
        const auto variable = static_cast<std::size_t>(own - group_.parameters.begin());
        check.variables.insert(variable);
        positions_[variable] = terms_->position(variable);
      }
      checks_.push_back(std::move(check));
      continue;
    }
    std::vector<TermId> parts;
    if (outcome->error == no_term) {
      terms_->conjuncts(outcome->value, parts);
    } else {
      parts.push_back(outcome->value);
    }
    for (const TermId part : parts) {
      if (terms_->is_false(part) && outcome->error == no_term) rejected_ = true;
      if (terms_->always_true(part) && outcome->error == no_term) continue;
      Check check;
      check.value = part;
      check.error = outcome->error;
      check.condition = condition;
      check.variables = (*terms_)[part].variables;
      if (check.error != no_term) check.variables |= (*terms_)[check.error].variables;
      const auto same = [&](const Check& other) { return other.value == part && other.error == check.error; };
      // A duplicate says nothing new, unless its failure is another constraint's.
      if (check.error == no_term && std::any_of(checks_.begin(), checks_.end(), same)) continue;
      if (check.variables.empty()) {  // folded to a constant, failure included
        if (check.error != no_term && terms_->is_true(check.error)) {
          constant_error_ = std::min(constant_error_, static_cast<std::uint32_t>(condition->constraint));
        } else if (terms_->is_false(part)) {
          rejected_ = true;
        }
        continue;
      }
      checks_.push_back(std::move(check));
    }
  }
  for (auto& check : checks_) check.selectivity = sample_selectivity(check);
}

// ---- the order
// -----------------------------------------------------------------------------------------------------------

namespace {

class TermEvaluator {
 public:
  TermEvaluator(const Terms& terms, const std::vector<std::int64_t>& values)
      : terms_(terms), values_(values), done_(terms.size(), false), results_(terms.size(), 0) {}
  std::int64_t operator()(TermId id) {
    const auto index = static_cast<std::size_t>(id);
    if (done_[index]) return results_[index];
    const Term& term = terms_[id];
    std::int64_t result = term.value;
    if (term.op == TermOp::variable || term.op == TermOp::position) {
      result = values_[static_cast<std::size_t>(term.value)];
    } else if (term.op != TermOp::constant) {
      result = apply(term.op, term.real_operands, (*this)(term.a), term.b == no_term ? 0 : (*this)(term.b),
                     term.c == no_term ? 0 : (*this)(term.c));
    }
    done_[index] = true;
    return results_[index] = result;
  }

 private:
  const Terms& terms_;
  const std::vector<std::int64_t>& values_;
  std::vector<bool> done_;
  std::vector<std::int64_t> results_;
};

}  // namespace

namespace {

std::uint64_t seed_of(std::string_view name) {  // FNV-1a
  std::uint64_t h = 0xCBF29CE484222325u;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return h;
}

}  // namespace

// The draws depend on the names of the parameters only.
double GroupSolver::sample_selectivity(const Check& check) {
  if (check.value == no_term) return 0.5;
  constexpr int draws = 48;
  const std::size_t count = group_.parameters.size();
  std::vector<Rng> rngs;
  std::vector<std::size_t> read;
  for (std::size_t v = 0; v < count; ++v) {
    if (!check.variables.contains(v)) continue;
    read.push_back(v);
    rngs.emplace_back(seed_of(conditions_.parameters()[group_.parameters[v]].name));
  }
  std::vector<std::int64_t> values(count, 0);
  int accepted = 0;
  for (int i = 0; i < draws; ++i) {
    for (std::size_t k = 0; k < read.size(); ++k) {
      const auto& domain = terms_->domains()[read[k]].values;
      values[read[k]] = domain[rngs[k].below(domain.size())];
    }
    TermEvaluator evaluate(*terms_, values);
    if (evaluate(check.value) != 0 || (check.error != no_term && evaluate(check.error) != 0)) ++accepted;
  }
  return (accepted + 0.5) / (draws + 1.0);
}

double GroupSolver::distinct(TermId id) const {
  const Term& term = (*terms_)[id];
  if (term.op == TermOp::constant) return 1;
  double product = 1;
  for (std::size_t v = 0; v < domains_.size(); ++v) {
    if (term.variables.contains(v)) product *= static_cast<double>(domains_[v].size());
  }
  if (term.op == TermOp::variable || term.op == TermOp::position) return product;
  if (term.type == TermType::boolean) return 2;
  double parts = distinct(term.a);
  if (term.b != no_term) parts *= distinct(term.b);
  if (term.c != no_term) parts *= distinct(term.c);
  double result = std::min(product, parts);
  if (term.type == TermType::integer)
    result = std::min(result, static_cast<double>(term.high) - static_cast<double>(term.low) + 1);
  // Products and sums of small lists meet often; that they do not keep all combinations apart is what merging lives on.
  if (term.b != no_term && result > 8) result = std::pow(result, 0.9);
  return result;
}

void GroupSolver::cut(TermId id, const NumberSet& bound, std::vector<TermId>& out) const {
  const Term& term = (*terms_)[id];
  if (term.op == TermOp::constant) return;
  if (term.variables.subset_of(bound)) {
    if (std::find(out.begin(), out.end(), id) == out.end()) out.push_back(id);
    return;
  }
  for (const TermId operand : {term.a, term.b, term.c}) {
    if (operand != no_term && (*terms_)[operand].variables.intersects(bound)) cut(operand, bound, out);
  }
}

// The sub-terms whose values a state has to remember once `bound` is bound.
void GroupSolver::cut(const NumberSet& bound, std::vector<TermId>& out) const {
  for (const Check& check : checks_) {
    if (!check.variables.intersects(bound) || check.variables.subset_of(bound)) continue;
    if (check.value == no_term) {
      for (std::size_t v = 0; v < domains_.size(); ++v) {
        if (!check.variables.contains(v) || !bound.contains(v)) continue;
        const TermId id = positions_[v];
        if (std::find(out.begin(), out.end(), id) == out.end()) out.push_back(id);
      }
      continue;
    }
    cut(check.value, bound, out);
    if (check.error != no_term) cut(check.error, bound, out);
  }
  // What one slot says, another need not repeat.
  const auto leaf = [&](TermId id) {
    return (*terms_)[id].op == TermOp::variable || (*terms_)[id].op == TermOp::position;
  };
  NumberSet known(domains_.size());
  for (const TermId id : out) {
    if (leaf(id)) known |= (*terms_)[id].variables;
  }
  std::erase_if(out, [&](TermId id) { return !leaf(id) && (*terms_)[id].variables.subset_of(known); });
}

double GroupSolver::states(const NumberSet& bound) const {
  std::vector<TermId> slots;
  cut(bound, slots);
  double product = 1;
  NumberSet support(domains_.size());
  for (const TermId slot : slots) {
    product *= distinct(slot);
    support |= (*terms_)[slot].variables;
  }
  // Two bounds: the distinct values of what is remembered, and the assignments that finished conditions leave of what
  // it was computed from. Rejections thin out the latter only: a sum keeps its values when few of its terms' pairs are
  // left.
  double assignments = 1;
  NumberSet counted = support;
  for (const Check& check : checks_) {
    if (!check.variables.subset_of(bound) || !check.variables.intersects(support)) continue;
    assignments *= check.selectivity;
    counted |= check.variables;
  }
  for (std::size_t v = 0; v < domains_.size(); ++v) {
    if (counted.contains(v)) assignments *= static_cast<double>(domains_[v].size());
  }
  return std::max(std::min(product, assignments), 1.0);
}

struct GroupSolver::Beam {
  NumberSet bound;
  std::vector<std::size_t> order;
  double cost = 0, states = 1;
};

std::vector<std::size_t> GroupSolver::choose_order() {
  const std::size_t count = group_.parameters.size();
  std::vector<std::size_t> by_name(count);
  std::iota(by_name.begin(), by_name.end(), std::size_t{0});
  const auto name = [&](std::size_t v) -> const std::string& {
    return conditions_.parameters()[group_.parameters[v]].name;
  };
  std::sort(by_name.begin(), by_name.end(), [&](std::size_t a, std::size_t b) { return name(a) < name(b); });
  if (count == 1) return {0};
  // A beam search over sets of bound parameters: which order led to a set does not matter for what follows.
  const std::size_t width = count <= 12 ? 12 : 4;
  std::vector<Beam> beams(1);
  beams.front().bound = NumberSet(count);
  for (std::size_t depth = 0; depth < count; ++depth) {
    std::vector<Beam> next;
    for (const Beam& beam : beams) {
      for (const std::size_t v : by_name) {
        if (beam.bound.contains(v)) continue;
        NumberSet bound = beam.bound;
        bound.insert(v);
        const double cost = beam.cost + beam.states * (static_cast<double>(domains_[v].size()) + 2);
        const auto same =
            std::find_if(next.begin(), next.end(), [&](const Beam& other) { return other.bound == bound; });
        if (same != next.end()) {
          if (cost < same->cost) {
            same->cost = cost;
            same->order = beam.order;
            same->order.push_back(v);
          }
          continue;
        }
        Beam longer{bound, beam.order, cost, states(bound)};
        longer.order.push_back(v);
        next.push_back(std::move(longer));
      }
    }
    // A state made costs more than a value tried.
    const auto score = [](const Beam& beam) { return beam.cost + 4 * beam.states; };
    std::stable_sort(next.begin(), next.end(), [&](const Beam& a, const Beam& b) { return score(a) < score(b); });
    if (next.size() > width) next.resize(width);
    for (Beam& beam : next) beam.cost += 4 * beam.states;
    beams = std::move(next);
  }
  return beams.front().order;
}

// ---- the graph
// -----------------------------------------------------------------------------------------------------------

// The check with all parameters that are neither bound at their most favourable values; nullopt where it is not known
// which these are, or where the answer is always yes.
std::optional<TermId> GroupSolver::refutation(const Check& check, const NumberSet& bound) {
  if (check.value == no_term || check.error != no_term) return std::nullopt;
  std::vector<std::optional<std::int64_t>> values(domains_.size());
  const Term& term = (*terms_)[check.value];
  for (std::size_t v = 0; v < domains_.size(); ++v) {
    if (!check.variables.contains(v) || bound.contains(v)) continue;
    if (term.not_decreasing.contains(v)) {
      values[v] = highest_[v];
    } else if (term.not_increasing.contains(v)) {
      values[v] = lowest_[v];
    } else {
      return std::nullopt;
    }
  }
  const TermId id = terms_->substitute(check.value, values);
  if (id == no_term || terms_->always_true(id)) return std::nullopt;
  return id;
}

std::optional<LayeredGraph> GroupSolver::expand(const std::vector<std::size_t>& order, std::uint64_t max_edges) {
  LayeredGraph graph;
  if (rejected_) return graph;
  const std::size_t count = group_.parameters.size();
  NumberSet bound(count);
  StateTable states(0);
  const bool may_fail =
      constant_error_ != LayeredGraph::no_condition ||
      std::any_of(checks_.begin(), checks_.end(),
                  [](const Check& check) { return check.value == no_term || check.error != no_term; }) ||
      std::any_of(value_errors_.begin(), value_errors_.end(), [](const auto& errors) { return !errors.empty(); });
  states.start(may_fail ? 1 : 0);
  if (may_fail) states.slots().assign(1, static_cast<std::int64_t>(constant_error_));
  std::vector<TermId> slots;
  std::uint64_t edges = 0;
  for (const std::size_t variable : order) {
    NumberSet extended = bound;
    extended.insert(variable);
    std::vector<TermId> next_slots;
    cut(extended, next_slots);
    LayerProgram program(*this, variable, bound, extended, slots, next_slots, may_fail);
    LayeredGraph::Layer& layer = graph.layers.emplace_back();
    layer.variable = variable;
    if (!program.run(states, layer, max_edges - edges)) return std::nullopt;
    edges += layer.value.size();
    evaluations_ += program.evaluations();
    bound = extended;
    slots = std::move(next_slots);
  }
  for (std::size_t i = 0; i < states.size(); ++i) {
    graph.terminals.push_back(may_fail ? static_cast<std::uint32_t>(states.slots()[i]) : LayeredGraph::no_condition);
  }
  return graph;
}

}  // namespace warpwright::detail
