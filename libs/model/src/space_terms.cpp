#include "space_terms.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

namespace warpwright::detail {

// ---- sets
// ----------------------------------------------------------------------------------------------------------------

bool NumberSet::empty() const {
  return std::all_of(words_.begin(), words_.end(), [](std::uint64_t word) { return word == 0; });
}
bool NumberSet::subset_of(const NumberSet& other) const {
  for (std::size_t i = 0; i < words_.size(); ++i) {
    if ((words_[i] & ~other.words_[i]) != 0) return false;
  }
  return true;
}
bool NumberSet::intersects(const NumberSet& other) const {
  for (std::size_t i = 0; i < words_.size(); ++i) {
    if ((words_[i] & other.words_[i]) != 0) return true;
  }
  return false;
}
NumberSet& NumberSet::operator|=(const NumberSet& other) {
  for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  return *this;
}
NumberSet& NumberSet::operator&=(const NumberSet& other) {
  for (std::size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
  return *this;
}
NumberSet NumberSet::complement_within(const NumberSet& all) const {
  NumberSet rest = all;
  for (std::size_t i = 0; i < words_.size(); ++i) rest.words_[i] &= ~words_[i];
  return rest;
}
std::size_t NumberSet::count() const {
  std::size_t sum = 0;
  for (const auto word : words_) sum += static_cast<std::size_t>(std::popcount(word));
  return sum;
}
std::uint64_t NumberSet::hash() const {
  std::uint64_t h = 0x9E3779B97F4A7C15u;
  for (const auto word : words_) h = (h ^ word) * 0xD6E8FEB86659FD93u + (h >> 29);
  return h;
}

// ---- evaluation
// ----------------------------------------------------------------------------------------------------------

namespace {

// Integers up to here are doubles exactly, and no sum or product of two bounds wraps unnoticed.
constexpr std::int64_t exact_in_double = std::int64_t{1} << 53;
constexpr std::size_t longest_code = 1000;
constexpr std::int64_t largest_integer = std::int64_t{1} << 62;

std::int64_t floor_quotient(std::int64_t x, std::int64_t y) {
  if (y == 0) return 0;
  const std::int64_t quotient = x / y;
  return quotient - (quotient * y != x && (x < 0) != (y < 0) ? 1 : 0);
}
std::int64_t floor_remainder(std::int64_t x, std::int64_t y) {
  if (y == 0) return 0;
  const std::int64_t rest = x % y;
  return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}
double real_remainder(double x, double y) {
  if (y == 0) return 0;
  const double rest = std::fmod(x, y);
  return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

}  // namespace

std::int64_t apply(TermOp op, bool real_operands, std::int64_t a, std::int64_t b, std::int64_t c) {
  switch (op) {
    case TermOp::constant:
    case TermOp::variable:
    case TermOp::position:
      return a;
    case TermOp::add:
      return real_operands ? bits(real(a) + real(b)) : a + b;
    case TermOp::subtract:
      return real_operands ? bits(real(a) - real(b)) : a - b;
    case TermOp::multiply:
      return real_operands ? bits(real(a) * real(b)) : a * b;
    case TermOp::floor_divide:
      return floor_quotient(a, b);
    case TermOp::modulo:
      return real_operands ? bits(real_remainder(real(a), real(b))) : floor_remainder(a, b);
    case TermOp::divide:
      return bits(real(b) == 0 ? 0.0 : real(a) / real(b));
    case TermOp::less:
      return (real_operands ? real(a) < real(b) : a < b) ? 1 : 0;
    case TermOp::less_equal:
      return (real_operands ? real(a) <= real(b) : a <= b) ? 1 : 0;
    case TermOp::equal:
      return (real_operands ? real(a) == real(b) : a == b) ? 1 : 0;
    case TermOp::logical_and:
      return a & b;
    case TermOp::logical_or:
      return a | b;
    case TermOp::logical_not:
      return a ^ 1;
    case TermOp::select:
      return a != 0 ? b : c;
    case TermOp::minimum:
      return real_operands ? (real(b) < real(a) ? b : a) : std::min(a, b);
    case TermOp::maximum:
      return real_operands ? (real(b) > real(a) ? b : a) : std::max(a, b);
    case TermOp::bit_and:
      return a & b;
    case TermOp::bit_or:
      return a | b;
    case TermOp::bit_xor:
      return a ^ b;
    case TermOp::gcd:
      return std::gcd(a, b);
    case TermOp::to_real:
      return bits(static_cast<double>(a));
  }
  return 0;
}

// ---- construction
// --------------------------------------------------------------------------------------------------------

std::size_t Terms::KeyHash::operator()(const Key& key) const noexcept {
  std::uint64_t h = static_cast<std::uint64_t>(key.op) * 31 + static_cast<std::uint64_t>(key.type);
  for (const auto part : {static_cast<std::int64_t>(key.a), static_cast<std::int64_t>(key.b),
                          static_cast<std::int64_t>(key.c), key.value})
    h = (h ^ static_cast<std::uint64_t>(part)) * 0x9E3779B97F4A7C15u + (h >> 31);
  return static_cast<std::size_t>(h);
}

Terms::Terms(std::vector<TermDomain> domains) : domains_(std::move(domains)) {}

TermId Terms::intern(Term term) {
  const Key key{term.op, term.type, term.a, term.b, term.c, term.value};
  const auto [known, is_new] = known_.try_emplace(key, static_cast<TermId>(terms_.size()));
  if (is_new) terms_.push_back(std::move(term));
  return known->second;
}

TermId Terms::constant(TermType type, std::int64_t value_bits) {
  Term term;
  term.type = type;
  term.value = value_bits;
  term.low = term.high = type == TermType::real ? 0 : value_bits;
  term.real_low = term.real_high = type == TermType::real ? real(value_bits) : 0;
  term.variables = NumberSet(domains_.size());
  monotony(term);
  return intern(std::move(term));
}

TermId Terms::variable(std::size_t number) {
  const TermDomain& domain = domains_[number];
  if (domain.values.size() == 1) return constant(*domain.type, domain.values.front());
  Term term;
  term.op = TermOp::variable;
  term.type = *domain.type;
  term.value = static_cast<std::int64_t>(number);
  if (term.type == TermType::real) {
    term.real_low = term.real_high = real(domain.values.front());
    for (const auto value : domain.values) {
      term.real_low = std::min(term.real_low, real(value));
      term.real_high = std::max(term.real_high, real(value));
    }
  } else {
    const auto [low, high] = std::minmax_element(domain.values.begin(), domain.values.end());
    term.low = *low;
    term.high = *high;
  }
  term.variables = NumberSet(domains_.size());
  term.variables.insert(number);
  monotony(term);
  return intern(std::move(term));
}

TermId Terms::position(std::size_t number) {
  Term term;
  term.op = TermOp::position;
  term.value = static_cast<std::int64_t>(number);
  term.high = static_cast<std::int64_t>(domains_[number].values.size()) - 1;
  term.variables = NumberSet(domains_.size());
  term.variables.insert(number);
  monotony(term);
  return intern(std::move(term));
}

// Interval of the result; false where it may leave the range in which integers are exact.
bool Terms::bounds(Term& term) const {
  const auto& x = (*this)[term.a];
  const Term none;
  const auto& y = term.b == no_term ? none : (*this)[term.b];
  if (term.type == TermType::boolean) {
    term.low = 0;
    term.high = 1;
    const bool separate =
        term.real_operands ? x.real_high < y.real_low || y.real_high < x.real_low : x.high < y.low || y.high < x.low;
    switch (term.op) {
      case TermOp::less:
        if (term.real_operands ? x.real_high < y.real_low : x.high < y.low) term.low = 1;
        if (term.real_operands ? x.real_low >= y.real_high : x.low >= y.high) term.high = 0;
        break;
      case TermOp::less_equal:
        if (term.real_operands ? x.real_high <= y.real_low : x.high <= y.low) term.low = 1;
        if (term.real_operands ? x.real_low > y.real_high : x.low > y.high) term.high = 0;
        break;
      case TermOp::equal:
        if (separate) term.high = 0;
        break;
      case TermOp::logical_and:
        term.low = std::min(x.low, y.low);
        term.high = std::min(x.high, y.high);
        break;
      case TermOp::logical_or:
        term.low = std::max(x.low, y.low);
        term.high = std::max(x.high, y.high);
        break;
      case TermOp::logical_not:
        term.low = 1 - x.high;
        term.high = 1 - x.low;
        break;
      default:
        break;
    }
    return true;
  }
  if (term.type == TermType::real) {
    const auto four = [&](auto operation) {
      const double corners[4] = {operation(x.real_low, y.real_low), operation(x.real_low, y.real_high),
                                 operation(x.real_high, y.real_low), operation(x.real_high, y.real_high)};
      term.real_low = *std::min_element(corners, corners + 4);
      term.real_high = *std::max_element(corners, corners + 4);
    };
    switch (term.op) {
      case TermOp::to_real:
        if (x.low < -exact_in_double || x.high > exact_in_double) return false;
        term.real_low = static_cast<double>(x.low);
        term.real_high = static_cast<double>(x.high);
        break;
      case TermOp::add:
        term.real_low = x.real_low + y.real_low;
        term.real_high = x.real_high + y.real_high;
        break;
      case TermOp::subtract:
        term.real_low = x.real_low - y.real_high;
        term.real_high = x.real_high - y.real_low;
        break;
      case TermOp::multiply:
        four([](double p, double q) { return p * q; });
        break;
      case TermOp::divide:
        if (y.real_low > 0 || y.real_high < 0) {
          four([](double p, double q) { return p / q; });
        } else {  // close to zero it is as large as the smallest divisor allows, which the interval does not tell
          term.real_low = -1e300;
          term.real_high = 1e300;
        }
        break;
      case TermOp::modulo: {
        const double size = std::max(std::fabs(y.real_low), std::fabs(y.real_high));
        term.real_low = y.real_low < 0 ? -size : 0;
        term.real_high = y.real_high > 0 ? size : 0;
        break;
      }
      case TermOp::minimum:
        term.real_low = std::min(x.real_low, y.real_low);
        term.real_high = std::min(x.real_high, y.real_high);
        break;
      case TermOp::maximum:
        term.real_low = std::max(x.real_low, y.real_low);
        term.real_high = std::max(x.real_high, y.real_high);
        break;
      case TermOp::select:
        term.real_low = std::min(y.real_low, (*this)[term.c].real_low);
        term.real_high = std::max(y.real_high, (*this)[term.c].real_high);
        break;
      default:
        return false;
    }
    return std::isfinite(term.real_low) && std::isfinite(term.real_high);
  }
  using Long = long double;  // 64 bits of mantissa: bounds up to 2^124 keep their order, which is all that is asked
  const auto four = [&](auto operation) {
    const Long corners[4] = {operation(x.low, y.low), operation(x.low, y.high), operation(x.high, y.low),
                             operation(x.high, y.high)};
    const Long low = *std::min_element(corners, corners + 4), high = *std::max_element(corners, corners + 4);
    if (low < -static_cast<Long>(largest_integer) || high > static_cast<Long>(largest_integer)) return false;
    term.low = static_cast<std::int64_t>(low);
    term.high = static_cast<std::int64_t>(high);
    return true;
  };
  switch (term.op) {
    case TermOp::add:
      return four([](std::int64_t p, std::int64_t q) { return static_cast<Long>(p) + static_cast<Long>(q); });
    case TermOp::subtract:
      return four([](std::int64_t p, std::int64_t q) { return static_cast<Long>(p) - static_cast<Long>(q); });
    case TermOp::multiply:
      return four([](std::int64_t p, std::int64_t q) { return static_cast<Long>(p) * static_cast<Long>(q); });
    case TermOp::floor_divide: {
      if (y.low > 0)
        return four([](std::int64_t p, std::int64_t q) { return static_cast<Long>(floor_quotient(p, q)); });
      const std::int64_t size = std::max(std::abs(x.low), std::abs(x.high));
      term.low = -size - 1;
      term.high = size;
      return size < largest_integer;
    }
    case TermOp::modulo:
      term.low = y.low < 0 ? y.low + 1 : 0;
      term.high = y.high > 0 ? y.high - 1 : 0;
      if (x.low >= 0 && y.low > 0) term.high = std::min(term.high, x.high);
      return true;
    case TermOp::minimum:
      term.low = std::min(x.low, y.low);
      term.high = std::min(x.high, y.high);
      return true;
    case TermOp::maximum:
      term.low = std::max(x.low, y.low);
      term.high = std::max(x.high, y.high);
      return true;
    case TermOp::select:
      term.low = std::min(y.low, (*this)[term.c].low);
      term.high = std::max(y.high, (*this)[term.c].high);
      return true;
    case TermOp::bit_and:
    case TermOp::bit_or:
    case TermOp::bit_xor: {
      if (x.low < 0 || y.low < 0) return false;
      const auto mask =
          static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(std::max(x.high, y.high)) + 1) - 1);
      term.low = 0;
      term.high = term.op == TermOp::bit_and ? std::min(x.high, y.high) : mask;
      return true;
    }
    case TermOp::gcd:
      term.low = 0;
      term.high = std::max({std::abs(x.low), std::abs(x.high), std::abs(y.low), std::abs(y.high)});
      return true;
    default:
      return false;
  }
}

void Terms::monotony(Term& term) const {
  NumberSet all(domains_.size());
  for (std::size_t i = 0; i < domains_.size(); ++i) all.insert(i);
  term.not_decreasing = term.not_increasing = term.variables.complement_within(all);
  const auto same = [&](const Term& x, const Term& y) {
    NumberSet up = x.not_decreasing, down = x.not_increasing;
    up &= y.not_decreasing;
    down &= y.not_increasing;
    term.not_decreasing |= up;
    term.not_increasing |= down;
  };
  const auto opposite = [&](const Term& x, const Term& y) {
    NumberSet up = x.not_decreasing, down = x.not_increasing;
    up &= y.not_increasing;
    down &= y.not_decreasing;
    term.not_decreasing |= up;
    term.not_increasing |= down;
  };
  const auto low = [](const Term& x) { return x.type == TermType::real ? x.real_low : static_cast<double>(x.low); };
  switch (term.op) {
    case TermOp::constant:
    case TermOp::position:
    case TermOp::modulo:
    case TermOp::equal:
    case TermOp::select:
    case TermOp::bit_and:
    case TermOp::bit_or:
    case TermOp::bit_xor:
    case TermOp::gcd:
      return;
    case TermOp::variable:
      term.not_decreasing.insert(static_cast<std::size_t>(term.value));
      return;
    case TermOp::to_real:
      term.not_decreasing = (*this)[term.a].not_decreasing;
      term.not_increasing = (*this)[term.a].not_increasing;
      return;
    case TermOp::logical_not:
      term.not_decreasing = (*this)[term.a].not_increasing;
      term.not_increasing = (*this)[term.a].not_decreasing;
      return;
    default:
      break;
  }
  const Term& x = (*this)[term.a];
  const Term& y = (*this)[term.b];
  switch (term.op) {
    case TermOp::add:
    case TermOp::minimum:
    case TermOp::maximum:
    case TermOp::logical_and:
    case TermOp::logical_or:
      same(x, y);
      break;
    case TermOp::subtract:
      opposite(x, y);
      break;
    case TermOp::multiply:
      if (low(x) >= 0 && low(y) >= 0) same(x, y);
      break;
    case TermOp::floor_divide:
    case TermOp::divide:
      if (low(x) >= 0 && low(y) > 0) opposite(x, y);
      break;
    case TermOp::less:
    case TermOp::less_equal:
      opposite(y, x);
      break;
    default:
      break;
  }
}

TermId Terms::negated(TermId id) {
  if ((*this)[id].op == TermOp::logical_not) return (*this)[id].a;
  return make(TermOp::logical_not, id);
}

// Folds constants and the few identities of truth values that guards need; no_term where a result may not be exact.
TermId Terms::make(TermOp op, TermId a, TermId b, TermId c) {
  if (a == no_term || (b == no_term && op != TermOp::logical_not && op != TermOp::to_real)) return no_term;
  const TermType type_a = (*this)[a].type;
  if (op == TermOp::logical_and || op == TermOp::logical_or) {
    const bool is_and = op == TermOp::logical_and;
    if ((is_and ? is_false(a) : is_true(a)) || a == b) return a;
    if (is_and ? is_true(a) : is_false(a)) return b;
    if (is_and ? is_false(b) : is_true(b)) return b;
    if (is_and ? is_true(b) : is_false(b)) return a;
    const auto& x = (*this)[a];
    const auto& y = (*this)[b];
    if ((x.op == TermOp::logical_not && x.a == b) || (y.op == TermOp::logical_not && y.a == a))
      return constant(TermType::boolean, is_and ? 0 : 1);
    if (b < a) std::swap(a, b);
  }
  Term term;
  term.op = op;
  term.a = a;
  term.b = b;
  term.c = c;
  switch (op) {
    case TermOp::less:
    case TermOp::less_equal:
    case TermOp::equal:
    case TermOp::logical_and:
    case TermOp::logical_or:
    case TermOp::logical_not:
      term.type = TermType::boolean;
      break;
    case TermOp::to_real:
    case TermOp::divide:
      term.type = TermType::real;
      break;
    case TermOp::select:
      term.type = (*this)[b].type;
      break;
    default:
      term.type = type_a == TermType::real ? TermType::real : TermType::integer;
  }
  term.real_operands = op != TermOp::select && type_a == TermType::real;
  const auto fixed = [&](TermId id) { return id == no_term || (*this)[id].op == TermOp::constant; };
  const auto value = [&](TermId id) { return id == no_term ? 0 : (*this)[id].value; };
  if (!bounds(term)) return no_term;
  if (fixed(a) && fixed(b) && fixed(c))
    return constant(term.type, apply(op, term.real_operands, value(a), value(b), value(c)));
  if (term.type == TermType::boolean && term.low == term.high) return constant(TermType::boolean, term.low);
  if (op == TermOp::select && fixed(a)) return value(a) != 0 ? b : c;
  term.variables = (*this)[a].variables;
  if (b != no_term) term.variables |= (*this)[b].variables;
  if (c != no_term) term.variables |= (*this)[c].variables;
  monotony(term);
  return intern(std::move(term));
}

TermId Terms::substitute(TermId id, const std::vector<std::optional<std::int64_t>>& values) {
  std::unordered_map<TermId, TermId> done;  // sub-terms are shared: each is replaced once
  return substitute(id, values, done);
}

TermId Terms::substitute(TermId id, const std::vector<std::optional<std::int64_t>>& values,
                         std::unordered_map<TermId, TermId>& done) {
  const Term& term = (*this)[id];
  if (term.op == TermOp::variable) {
    const auto& value = values[static_cast<std::size_t>(term.value)];
    return value ? constant(term.type, *value) : id;
  }
  if (term.a == no_term) return id;
  if (const auto known = done.find(id); known != done.end()) return known->second;
  const TermOp op = term.op;
  const TermId old[3] = {term.a, term.b, term.c};  // terms_ grows below
  TermId operands[3];
  for (int i = 0; i < 3; ++i) {
    operands[i] = old[i] == no_term ? no_term : substitute(old[i], values, done);
    if (old[i] != no_term && operands[i] == no_term) return done[id] = no_term;
  }
  const bool same = std::equal(operands, operands + 3, old);
  return done[id] = same ? id : make(op, operands[0], operands[1], operands[2]);
}

void Terms::conjuncts(TermId id, std::vector<TermId>& out) const {
  const Term& term = (*this)[id];
  if (term.op == TermOp::logical_and) {
    conjuncts(term.a, out);
    conjuncts(term.b, out);
  } else if (std::find(out.begin(), out.end(), id) == out.end()) {
    out.push_back(id);
  }
}

bool Terms::always_true(TermId id) const {
  const Term& term = (*this)[id];
  return term.type == TermType::boolean && term.low == 1;
}

// ---- from postfix code
// ---------------------------------------------------------------------------------------------------

class TermCompiler {
 public:
  TermCompiler(Terms& terms, const ExpressionTree& tree, const std::vector<std::int32_t>& parameter_of_name,
               const std::vector<Cell>& constants)
      : terms_(terms), tree_(tree), parameter_of_name_(parameter_of_name), constants_(constants) {}

  std::optional<Terms::Outcome> run() {
    // Terms are walked by recursion; conditions of this length are written by machines, and the machine takes them.
    if (tree_.code.size() > longest_code) return std::nullopt;
    Entry result = region(0, tree_.code.size(), {});
    if (!possible_) return std::nullopt;
    const TermId value = truth(result);
    if (!possible_ || value == no_term) return std::nullopt;
    TermId error = result.error;
    if (error != no_term && terms_.is_false(error)) error = no_term;
    return Terms::Outcome{value, error};
  }

 private:
  struct Entry {
    TermId value = no_term;
    TermId error = no_term;
    bool truth_only = false;         // `3 and x`: only its truth is known here
    const CellList* list = nullptr;  // a constant list, for `in`
  };
  using Stack = std::vector<Entry>;

  Entry refuse() {
    possible_ = false;
    return {};
  }
  Entry checked(Entry entry) { return entry.value == no_term && entry.list == nullptr ? refuse() : entry; }

  TermId either(TermId a, TermId b) {
    if (a == no_term) return b;
    if (b == no_term) return a;
    return terms_.make(TermOp::logical_or, a, b);
  }
  TermId only_where(TermId guard, TermId error) {
    return error == no_term ? no_term : terms_.make(TermOp::logical_and, guard, error);
  }

  TermId truth(const Entry& entry) {
    if (entry.value == no_term || entry.list != nullptr) return refuse().value;
    const TermType type = terms_[entry.value].type;
    if (type == TermType::boolean) return entry.value;
    return terms_.negated(terms_.make(TermOp::equal, entry.value, terms_.constant(type, 0)));
  }

  // Arithmetic knows integers and reals: booleans are 0 and 1.
  TermId to_type(TermId id, TermType type) {
    if (type != TermType::real || id == no_term || terms_[id].type == TermType::real) return id;
    return terms_.make(TermOp::to_real, id);
  }

  Entry of_cell(const Cell& cell) {
    switch (cell.kind) {
      case Cell::Kind::integer:
        if (cell.i > largest_integer || cell.i < -largest_integer) return refuse();
        return {terms_.constant(TermType::integer, cell.i)};
      case Cell::Kind::boolean:
        return {terms_.constant(TermType::boolean, cell.i)};
      case Cell::Kind::real:
        return std::isfinite(cell.d) ? Entry{terms_.constant(TermType::real, bits(cell.d))} : refuse();
      case Cell::Kind::list: {
        Entry entry;
        entry.list = cell.l;
        return entry;
      }
      default:
        return refuse();
    }
  }

  Entry name(std::int32_t index) {
    const std::int32_t parameter = parameter_of_name_[static_cast<std::size_t>(index)];
    if (parameter < 0) return of_cell(constants_[static_cast<std::size_t>(index)]);
    const auto& domain = terms_.domains()[static_cast<std::size_t>(parameter)];
    if (!domain.type) return refuse();
    const TermId id = terms_.variable(static_cast<std::size_t>(parameter));
    const Term& term = terms_[id];
    if (term.low < -largest_integer || term.high > largest_integer) return refuse();
    return {id};
  }

  bool usable(const Entry& entry) const { return entry.value != no_term && entry.list == nullptr && !entry.truth_only; }

  Entry arithmetic(TermOp op, const Entry& x, const Entry& y) {
    if (!usable(x) || !usable(y)) return refuse();
    const bool is_real =
        op == TermOp::divide || terms_[x.value].type == TermType::real || terms_[y.value].type == TermType::real;
    const bool integers_only = op == TermOp::floor_divide || op == TermOp::bit_and || op == TermOp::bit_or ||
                               op == TermOp::bit_xor || op == TermOp::gcd;
    if (is_real && integers_only) return refuse();
    // Python keeps & | ^ of two booleans boolean; as numbers they are the same.
    const TermType type = is_real ? TermType::real : TermType::integer;
    const TermId a = to_type(x.value, type), b = to_type(y.value, type);
    TermId error = either(x.error, y.error);
    if (op == TermOp::divide || op == TermOp::floor_divide || op == TermOp::modulo) {
      // Asked of the operand itself: a guard in the text compares that with an integer.
      const TermType own = terms_[y.value].type;
      const TermId zero = equal(y.value, terms_.constant(own == TermType::boolean ? TermType::integer : own, 0));
      if (zero == no_term) return refuse();
      if (!terms_.is_false(zero)) error = either(error, zero);
    }
    return checked({terms_.make(op, a, b), error});
  }

  TermId equal(TermId a, TermId b) {
    if (a == no_term || b == no_term) return no_term;
    if (terms_[a].type == TermType::real || terms_[b].type == TermType::real) {
      a = to_type(a, TermType::real);
      b = to_type(b, TermType::real);
    }
    if (b < a) std::swap(a, b);
    return terms_.make(TermOp::equal, a, b);
  }

  Entry compare(Op op, const Entry& x, const Entry& y) {
    if (op == Op::in || op == Op::not_in) {
      if (!usable(x) || y.list == nullptr || y.list->size() > 64) return refuse();
      TermId any = terms_.constant(TermType::boolean, 0);
      for (const Cell& cell : *y.list) {
        if (!cell.is_number()) {
          if (cell.kind == Cell::Kind::string || cell.kind == Cell::Kind::none) continue;  // no number equals it
          return refuse();
        }
        const Entry element = of_cell(cell);
        if (!possible_) return {};
        any = terms_.make(TermOp::logical_or, any, equal(x.value, element.value));
        if (any == no_term) return refuse();
      }
      return {op == Op::in ? any : terms_.negated(any), either(x.error, y.error)};
    }
    if (!usable(x) || !usable(y)) return refuse();
    const TermId error = either(x.error, y.error);
    if (op == Op::equal || op == Op::not_equal) {
      const TermId same = equal(x.value, y.value);
      if (same == no_term) return refuse();
      return {op == Op::equal ? same : terms_.negated(same), error};
    }
    const bool is_real = terms_[x.value].type == TermType::real || terms_[y.value].type == TermType::real;
    TermId a = to_type(x.value, is_real ? TermType::real : TermType::integer);
    TermId b = to_type(y.value, is_real ? TermType::real : TermType::integer);
    if (op == Op::greater || op == Op::greater_equal) std::swap(a, b);
    const bool strict = op == Op::less || op == Op::greater;
    return checked({terms_.make(strict ? TermOp::less : TermOp::less_equal, a, b), error});
  }

  // Python's `and` and `or` yield an operand; its truth is what these terms say.
  Entry logical(bool is_and, const Entry& x, const Entry& y) {
    if (x.list != nullptr || y.list != nullptr) return refuse();
    const TermId a = truth(x), b = truth(y);
    if (!possible_) return {};
    Entry entry;
    entry.value = terms_.make(is_and ? TermOp::logical_and : TermOp::logical_or, a, b);
    entry.error = either(x.error, only_where(is_and ? a : terms_.negated(a), y.error));
    const auto boolean = [&](const Entry& e) { return !e.truth_only && terms_[e.value].type == TermType::boolean; };
    entry.truth_only = !boolean(x) || !boolean(y);
    return entry;
  }

  Entry call(Function function, const Entry* arguments, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      if (!usable(arguments[i])) return refuse();
    }
    const auto is_whole = [&](const Entry& e) { return terms_[e.value].type != TermType::real; };
    const auto as_integer = [&](const Entry& e) {
      return Entry{terms_[e.value].type == TermType::boolean
                       ? terms_.make(TermOp::add, e.value, terms_.constant(TermType::integer, 0))
                       : e.value,
                   e.error};
    };
    switch (function) {
      case Function::min:
      case Function::max: {
        if (count < 2) return refuse();
        // Python returns the operand itself, of its own type: mixed types stay with the machine.
        for (std::size_t i = 1; i < count; ++i) {
          if (terms_[arguments[i].value].type != terms_[arguments[0].value].type) return refuse();
        }
        Entry result = arguments[0];
        for (std::size_t i = 1; i < count; ++i) {
          result = arithmetic(function == Function::min ? TermOp::minimum : TermOp::maximum, result, arguments[i]);
          if (!possible_) return {};
        }
        return result;
      }
      case Function::abs: {
        const Entry zero{terms_.constant(is_whole(arguments[0]) ? TermType::integer : TermType::real, 0)};
        const Entry negative = arithmetic(TermOp::subtract, zero, arguments[0]);
        return possible_ ? arithmetic(TermOp::maximum, as_integer(arguments[0]), negative) : negative;
      }
      case Function::to_int:
      case Function::ceil:
      case Function::floor:
        return is_whole(arguments[0]) ? as_integer(arguments[0]) : refuse();
      case Function::to_bool:
        return {truth(arguments[0]), arguments[0].error};
      case Function::to_float:
        return checked({to_type(arguments[0].value, TermType::real), arguments[0].error});
      case Function::gcd: {
        if (count < 2) return refuse();
        Entry result = arguments[0];
        for (std::size_t i = 1; i < count; ++i) {
          result = arithmetic(TermOp::gcd, result, arguments[i]);
          if (!possible_) return {};
        }
        return result;
      }
      default:
        return refuse();
    }
  }

  // The code of [begin, end), which leaves one more value than `stack` had.
  Entry region(std::size_t begin, std::size_t end, Stack stack) {
    const auto pop = [&] {
      Entry entry = stack.back();
      stack.pop_back();
      return entry;
    };
    for (std::size_t at = begin; at < end && possible_;) {
      const Instruction& instruction = tree_.code[at++];
      switch (instruction.op) {
        case Op::constant:
          stack.push_back(of_cell(tree_.constants[static_cast<std::size_t>(instruction.a)]));
          break;
        case Op::name:
          stack.push_back(name(instruction.a));
          break;
        case Op::add:
        case Op::subtract:
        case Op::multiply:
        case Op::divide:
        case Op::floor_divide:
        case Op::modulo:
        case Op::bit_or:
        case Op::bit_xor:
        case Op::bit_and: {
          const Entry y = pop(), x = pop();
          stack.push_back(arithmetic(operation(instruction.op), x, y));
          break;
        }
        case Op::negative: {
          const Entry x = pop();
          if (!usable(x)) return refuse();
          const TermType type = terms_[x.value].type == TermType::real ? TermType::real : TermType::integer;
          stack.push_back(arithmetic(TermOp::subtract, Entry{terms_.constant(type, 0)}, x));
          break;
        }
        case Op::positive:
          if (!usable(stack.back())) return refuse();
          break;
        case Op::logical_not: {
          const Entry x = pop();
          const TermId value = truth(x);
          if (!possible_) return {};
          stack.push_back({terms_.negated(value), x.error});
          break;
        }
        case Op::less:
        case Op::less_equal:
        case Op::greater:
        case Op::greater_equal:
        case Op::equal:
        case Op::not_equal:
        case Op::in:
        case Op::not_in: {
          const Entry y = pop(), x = pop();
          stack.push_back(compare(instruction.op, x, y));
          break;
        }
        case Op::chain: {  // x < y < ...: y is compared again in what follows
          const Entry y = pop(), x = pop();
          const Entry first = compare(static_cast<Op>(instruction.sub), x, y);
          if (!possible_) return {};
          const auto target = static_cast<std::size_t>(instruction.a);
          const Entry rest = region(at, target, {y});
          if (!possible_) return {};
          stack.push_back(logical(true, first, rest));
          at = target;
          break;
        }
        case Op::or_jump:
        case Op::and_jump: {
          const Entry x = pop();
          const auto target = static_cast<std::size_t>(instruction.a);
          const Entry y = region(at, target, {});
          if (!possible_) return {};
          stack.push_back(logical(instruction.op == Op::and_jump, x, y));
          at = target;
          break;
        }
        case Op::jump_if_false: {  // the branch taken ends with a jump over the other one
          const Entry condition = pop();
          const auto other = static_cast<std::size_t>(instruction.a);
          if (other == 0 || other <= at || tree_.code[other - 1].op != Op::jump) return refuse();
          const auto target = static_cast<std::size_t>(tree_.code[other - 1].a);
          if (target < other) return refuse();
          const Entry x = region(at, other - 1, {}), y = possible_ ? region(other, target, {}) : Entry{};
          const TermId chosen = possible_ ? truth(condition) : no_term;
          if (!possible_ || !usable(x) || !usable(y) || terms_[x.value].type != terms_[y.value].type) return refuse();
          const TermId errors = either(only_where(chosen, x.error), only_where(terms_.negated(chosen), y.error));
          stack.push_back(
              checked({terms_.make(TermOp::select, chosen, x.value, y.value), either(condition.error, errors)}));
          at = target;
          break;
        }
        case Op::call: {
          const auto count = static_cast<std::size_t>(instruction.a);
          const Entry value =
              call(static_cast<Function>(instruction.sub), stack.data() + (stack.size() - count), count);
          stack.resize(stack.size() - count);
          stack.push_back(value);
          break;
        }
        default:
          return refuse();
      }
    }
    return possible_ && !stack.empty() ? stack.back() : refuse();
  }

  static TermOp operation(Op op) {
    switch (op) {
      case Op::add:
        return TermOp::add;
      case Op::subtract:
        return TermOp::subtract;
      case Op::multiply:
        return TermOp::multiply;
      case Op::divide:
        return TermOp::divide;
      case Op::floor_divide:
        return TermOp::floor_divide;
      case Op::modulo:
        return TermOp::modulo;
      case Op::bit_or:
        return TermOp::bit_or;
      case Op::bit_xor:
        return TermOp::bit_xor;
      default:
        return TermOp::bit_and;
    }
  }

  Terms& terms_;
  const ExpressionTree& tree_;
  const std::vector<std::int32_t>& parameter_of_name_;
  const std::vector<Cell>& constants_;
  bool possible_ = true;
};

std::optional<Terms::Outcome> Terms::compile(const ExpressionTree& tree,
                                             const std::vector<std::int32_t>& parameter_of_name,
                                             const std::vector<Cell>& constants) {
  return TermCompiler(*this, tree, parameter_of_name, constants).run();
}

}  // namespace warpwright::detail
