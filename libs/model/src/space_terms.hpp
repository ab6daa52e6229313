// Conditions as typed arithmetic without failures: what the solver evaluates instead of the general machine.
// An expression over parameters whose values are all integers, all floats or all booleans becomes a directed acyclic
// graph of terms with shared sub-terms. Intervals prove that no operation overflows; a division that may fail gets a
// second, boolean term that says where, so that short circuits keep their meaning (`b == 0 or a % b == 0`). What cannot
// be proven or has no operation here stays with the machine (the condition is then opaque to the solver).
// Each term knows its parameters and in which of them it is monotone: bounds propagation through sums, products,
// quotients and comparisons is then nothing but evaluating a term with the parameters that are still free at their most
// favourable values.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "expression_tree.hpp"

namespace warpwright::detail {

// A set of small numbers: the parameters of a group.
class NumberSet {
 public:
  NumberSet() = default;
  explicit NumberSet(std::size_t capacity) : words_((capacity + 63) / 64, 0) {}
  void insert(std::size_t i) { words_[i / 64] |= std::uint64_t{1} << (i % 64); }
  void erase(std::size_t i) { words_[i / 64] &= ~(std::uint64_t{1} << (i % 64)); }
  bool contains(std::size_t i) const { return (words_[i / 64] >> (i % 64) & 1) != 0; }
  bool empty() const;
  bool subset_of(const NumberSet& other) const;
  bool intersects(const NumberSet& other) const;
  NumberSet& operator|=(const NumberSet& other);
  NumberSet& operator&=(const NumberSet& other);
  NumberSet complement_within(const NumberSet& all) const;  // all without this
  std::size_t count() const;
  bool operator==(const NumberSet&) const = default;
  std::uint64_t hash() const;

 private:
  std::vector<std::uint64_t> words_;
};

// Values are 64 bits: an integer, a boolean as 0 or 1, or the bits of a double, as the type of the term says.
enum class TermType : std::uint8_t { boolean, integer, real };
enum class TermOp : std::uint8_t {
  constant,
  variable,  // the value of a parameter
  position,  // where the value stands in the parameter's domain: operand of opaque conditions
  add,
  subtract,
  multiply,
  floor_divide,  // total: by zero gives 0, and the error term tells
  modulo,
  divide,
  less,
  less_equal,
  equal,
  logical_and,
  logical_or,
  logical_not,
  select,  // a ? b : c
  minimum,
  maximum,
  bit_and,
  bit_or,
  bit_xor,
  gcd,
  to_real
};

using TermId = std::int32_t;
inline constexpr TermId no_term = -1;

struct Term {
  TermOp op = TermOp::constant;
  TermType type = TermType::integer;
  bool real_operands = false;
  TermId a = no_term, b = no_term, c = no_term;
  std::int64_t value = 0;                    // constant: the bits; variable and position: the number of the parameter
  std::int64_t low = 0, high = 0;            // of integers and booleans
  double real_low = 0, real_high = 0;        // of reals
  NumberSet variables;                       // parameters it reads
  NumberSet not_decreasing, not_increasing;  // parameters in which it is monotone; both where it does not read them
};

// Terms hold reals as their bits.
inline double real(std::int64_t bits) { return std::bit_cast<double>(bits); }
inline std::int64_t bits(double value) { return std::bit_cast<std::int64_t>(value); }

// Result of one operation.
std::int64_t apply(TermOp op, bool real_operands, std::int64_t a, std::int64_t b, std::int64_t c);

// The values a parameter can still take.
struct TermDomain {
  std::optional<TermType> type;      // none: mixed types or strings, usable by position only
  std::vector<std::int64_t> values;  // as the type says; positions where there is none
};

// The graph of the terms of one group of parameters. Thread-compatible.
class Terms {
 public:
  explicit Terms(std::vector<TermDomain> domains);

  struct Outcome {
    TermId value = no_term;  // boolean
    TermId error = no_term;  // boolean; no_term: it never fails
  };
  // The truth of an expression; nullopt if it has no place here. `parameter_of_name[i]` is the number in this group of
  // the tree's name i, or -1 for a constant, whose value is then constants[i].
  std::optional<Outcome> compile(const ExpressionTree& tree, const std::vector<std::int32_t>& parameter_of_name,
                                 const std::vector<Cell>& constants);
  TermId position(std::size_t variable);

  const Term& operator[](TermId id) const { return terms_[static_cast<std::size_t>(id)]; }
  std::size_t size() const { return terms_.size(); }
  const std::vector<TermDomain>& domains() const { return domains_; }

  // The term with the given parameters replaced by values (bits).
  TermId substitute(TermId id, const std::vector<std::optional<std::int64_t>>& values);
  // Splits conjunctions: the terms that must all be true.
  void conjuncts(TermId id, std::vector<TermId>& out) const;
  bool is_true(TermId id) const { return (*this)[id].op == TermOp::constant && (*this)[id].value != 0; }
  bool is_false(TermId id) const { return (*this)[id].op == TermOp::constant && (*this)[id].value == 0; }
  // True wherever the intervals say so.
  bool always_true(TermId id) const;

 private:
  friend class TermCompiler;
  TermId make(TermOp op, TermId a, TermId b = no_term, TermId c = no_term);
  TermId constant(TermType type, std::int64_t bits);
  TermId variable(std::size_t number);
  TermId intern(Term term);
  bool bounds(Term& term) const;  // false: may leave 64 bits
  void monotony(Term& term) const;
  TermId negated(TermId id);
  TermId substitute(TermId id, const std::vector<std::optional<std::int64_t>>& values,
                    std::unordered_map<TermId, TermId>& done);

  struct Key {
    TermOp op;
    TermType type;
    TermId a, b, c;
    std::int64_t value;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept;
  };
  std::vector<TermDomain> domains_;
  std::vector<Term> terms_;
  std::unordered_map<Key, TermId, KeyHash> known_;
};

}  // namespace warpwright::detail
