#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include <warpwright/model/space.hpp>

#include "space_conditions.hpp"
#include "value_order.hpp"

namespace warpwright {

std::string_view to_string(ParameterRole role) noexcept {
  switch (role) {
    case ParameterRole::define:
      return "define";
    case ParameterRole::template_argument:
      return "template";
    case ParameterRole::option:
      return "option";
    case ParameterRole::block:
      return "block";
  }
  return "unknown";
}

Constraint Constraint::parse(std::string text, InputPosition position) {
  Constraint constraint;
  try {
    constraint.expression = Expression::parse(text);
  } catch (const Error& error) {
    if (position.describe().empty()) throw;
    throw Error(error.code(), error.message(), position);
  }
  constraint.text = std::move(text);
  constraint.position = std::move(position);
  return constraint;
}

Constraint Constraint::from(std::string name, std::function<bool(const Configuration&)> callable) {
  Constraint constraint;
  constraint.text = std::move(name);
  constraint.callable = std::move(callable);
  return constraint;
}

double Space::cartesian_size() const {
  double size = 1;
  for (const auto& parameter : parameters()) size *= static_cast<double>(parameter.values.size());
  return size;
}

Configuration Space::defaults() const {
  Configuration configuration;
  for (const auto& parameter : parameters()) {
    configuration.set(parameter.name, parameter.default_value.value_or(parameter.values.front()));
  }
  return configuration;
}

namespace {

using detail::ConditionGroup;
using detail::Conditions;

// The solutions of one group of parameters as a sorted table: a row per solution, per parameter the index of its value
// in as many big-endian bytes as the largest index needs, so that rows compare as plain bytes.
class SolutionTable {
 public:
  SolutionTable(const ConditionGroup& group, const std::vector<Parameter>& parameters) {
    for (const std::size_t p : group.parameters) {
      const std::size_t largest = parameters[p].values.size() - 1;
      const std::uint8_t width = largest < 0x100 ? 1 : largest < 0x10000 ? 2 : 4;
      columns_.push_back({stride_, width});
      stride_ += width;
    }
  }

  std::uint64_t size() const { return rows_; }
  std::size_t columns() const { return columns_.size(); }

  void append(const ConditionGroup& group, const std::vector<std::uint32_t>& choice) {
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const std::uint32_t value = choice[group.parameters[c]];
      for (int byte = columns_[c].width - 1; byte >= 0; --byte)
        bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * byte)));
    }
    ++rows_;
  }
  void finish(bool sorted) {
    if (!sorted) sort();
    bytes_.shrink_to_fit();
  }

  std::uint32_t value(std::uint64_t row, std::size_t column) const {
    const std::uint8_t* at = bytes_.data() + row * stride_ + columns_[column].offset;
    std::uint32_t result = 0;
    for (int byte = 0; byte < columns_[column].width; ++byte) result = result << 8 | at[byte];
    return result;
  }

  // The rows of [low, high) whose column holds `value`, where all earlier columns are equal throughout.
  std::pair<std::uint64_t, std::uint64_t> equal_range(std::uint64_t low, std::uint64_t high, std::size_t column,
                                                      std::uint32_t wanted) const {
    const auto first_not = [&](auto before) {
      std::uint64_t from = low, count = high - low;
      while (count > 0) {
        const std::uint64_t half = count / 2;
        if (before(value(from + half, column))) {
          from += half + 1;
          count -= half + 1;
        } else {
          count = half;
        }
      }
      return from;
    };
    return {first_not([&](std::uint32_t v) { return v < wanted; }),
            first_not([&](std::uint32_t v) { return v <= wanted; })};
  }

 private:
  void sort() {
    if (stride_ <= 8) {  // most tables: the rows are numbers
      std::vector<std::uint64_t> keys(rows_, 0);
      for (std::uint64_t row = 0; row < rows_; ++row) {
        for (std::size_t byte = 0; byte < stride_; ++byte) keys[row] = keys[row] << 8 | bytes_[row * stride_ + byte];
      }
      std::sort(keys.begin(), keys.end());
      for (std::uint64_t row = 0; row < rows_; ++row) {
        for (std::size_t byte = stride_; byte-- > 0; keys[row] >>= 8) {
          bytes_[row * stride_ + byte] = static_cast<std::uint8_t>(keys[row]);
        }
      }
      return;
    }
    std::vector<const std::uint8_t*> rows;
    rows.reserve(rows_);
    for (std::uint64_t row = 0; row < rows_; ++row) rows.push_back(bytes_.data() + row * stride_);
    std::sort(rows.begin(), rows.end(),
              [this](const std::uint8_t* a, const std::uint8_t* b) { return std::memcmp(a, b, stride_) < 0; });
    std::vector<std::uint8_t> sorted;
    sorted.reserve(bytes_.size());
    for (const std::uint8_t* row : rows) sorted.insert(sorted.end(), row, row + stride_);
    bytes_ = std::move(sorted);
  }

  struct Column {
    std::size_t offset;
    std::uint8_t width;
  };
  std::vector<Column> columns_;
  std::size_t stride_ = 0;
  std::vector<std::uint8_t> bytes_;
  std::uint64_t rows_ = 0;
};

// Groups of parameters that share no constraint multiply; the index is lexicographic in declared order although their
// parameters interleave. Under a prefix of choices each group keeps the range of rows that fit, and the number of
// configurations that begin with this prefix is the product of the lengths of these ranges.
class TableSpace final : public Space {
 public:
  TableSpace(std::vector<Parameter> parameters, std::vector<Constraint> constraints, const SpaceOptions& options);

  std::uint64_t size() const override { return size_; }
  Configuration at(std::uint64_t index) const override;
  std::optional<std::uint64_t> index_of(const Configuration& configuration) const override;
  const std::vector<Parameter>& parameters() const override { return parameters_; }
  const std::vector<Constraint>& constraints() const override { return constraints_; }

 private:
  struct Place {
    std::size_t table = 0, column = 0;
  };
  struct Range {
    std::uint64_t low = 0, high = 0;
    std::uint64_t count() const { return high - low; }
  };

  void check_parameters();
  void solve(const SpaceOptions& options);
  std::vector<Range> full_ranges() const;
  std::optional<std::uint32_t> value_index(std::size_t parameter, const Value& value) const;

  std::vector<Parameter> parameters_;
  std::vector<Constraint> constraints_;
  std::vector<std::vector<std::uint32_t>> sorted_values_;  // of each parameter, value indices by value_less
  std::vector<SolutionTable> tables_;
  std::vector<Place> places_;  // of each parameter
  std::uint64_t size_ = 1;
};

TableSpace::TableSpace(std::vector<Parameter> parameters, std::vector<Constraint> constraints,
                       const SpaceOptions& options)
    : parameters_(std::move(parameters)), constraints_(std::move(constraints)) {
  check_parameters();
  solve(options);
}

void TableSpace::check_parameters() {
  if (parameters_.empty()) throw Error(ErrorCode::bad_input, "a space needs at least one parameter");
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    const Parameter& parameter = parameters_[p];
    const auto refuse = [&](const std::string& what) { throw Error(ErrorCode::bad_input, what, parameter.position); };
    if (parameter.name.empty()) refuse("a parameter has an empty name");
    for (std::size_t q = 0; q < p; ++q) {
      if (parameters_[q].name == parameter.name) refuse("parameter '" + parameter.name + "' is declared twice");
    }
    if (parameter.values.empty()) refuse("parameter '" + parameter.name + "' has no values");
    if (parameter.values.size() > 0xFFFFFFFFu) refuse("parameter '" + parameter.name + "' has more than 2^32 values");
    for (const auto& value : parameter.values) {
      const auto* real = std::get_if<double>(&value);
      if (real != nullptr && std::isnan(*real))
        refuse("parameter '" + parameter.name + "' has a value that is not a number (NaN)");
    }
    auto& sorted = sorted_values_.emplace_back(parameter.values.size());
    std::iota(sorted.begin(), sorted.end(), std::uint32_t{0});
    std::stable_sort(sorted.begin(), sorted.end(), [&](std::uint32_t a, std::uint32_t b) {
      return detail::value_less(parameter.values[a], parameter.values[b]);
    });
    for (std::size_t i = 1; i < sorted.size(); ++i) {
      const Value& first = parameter.values[sorted[i - 1]];
      const Value& second = parameter.values[sorted[i]];
      if (!python_equal(first, second)) continue;
      const std::string both =
          to_literal(first) == to_literal(second) ? "twice" : "and its equal " + to_literal(second);
      refuse("parameter '" + parameter.name + "' lists the value " + to_literal(first) + " " + both);
    }
    if (parameter.default_value && !value_index(p, *parameter.default_value)) {
      std::string known;
      for (std::size_t i = 0; i < parameter.values.size() && i < 20; ++i)
        known += (i > 0 ? ", " : "") + to_literal(parameter.values[i]);
      if (parameter.values.size() > 20) known += ", ...";
      refuse("the default " + to_literal(*parameter.default_value) + " of parameter '" + parameter.name +
             "' is not among its values: " + known);
    }
  }
}

std::optional<std::uint32_t> TableSpace::value_index(std::size_t parameter, const Value& value) const {
  const auto& values = parameters_[parameter].values;
  const auto& sorted = sorted_values_[parameter];
  const auto found = std::lower_bound(sorted.begin(), sorted.end(), value, [&](std::uint32_t i, const Value& wanted) {
    return detail::value_less(values[i], wanted);
  });
  if (found == sorted.end() || !python_equal(values[*found], value)) return std::nullopt;
  return *found;
}

void TableSpace::solve(const SpaceOptions& options) {
  const Conditions conditions(parameters_, constraints_, options.constants);
  const auto groups = detail::connected_groups(conditions);
  const auto too_large = [&] {
    throw Error(ErrorCode::bad_input,
                "the space has more than " + std::to_string(options.max_size) +
                    " configurations to hold in memory; more constraints or fewer values are needed");
  };

  struct Undecided {
    const detail::Condition* condition;
    Conditions::Assignment assignment;
    const ConditionGroup* group;
  };
  std::optional<Undecided> error;
  Conditions::Assignment first_solution(conditions);
  places_.resize(parameters_.size());
  std::uint64_t stored = 0;
  for (const auto& group : groups) {
    SolutionTable table(group, parameters_);
    detail::GroupSearch search(conditions, group);
    if (stored + search.free_size() > static_cast<double>(options.max_size)) too_large();
    bool failed = false;
    search.run([&](const Conditions::Assignment& assignment, const std::vector<const detail::Condition*>& errors) {
      if (table.size() == 0) {
        for (const std::size_t p : group.parameters) first_solution.set(conditions, p, assignment.choice()[p]);
      }
      if (!errors.empty()) {
        failed = true;
        if (!error) {
          const auto earlier = [](const auto* a, const auto* b) { return a->constraint < b->constraint; };
          error = Undecided{*std::min_element(errors.begin(), errors.end(), earlier), assignment, &group};
        }
        return false;
      }
      if (++stored > options.max_size) too_large();
      table.append(group, assignment.choice());
      return true;
    });
    if (table.size() == 0 && !failed) detail::throw_empty_space(conditions, group);
    if (group.parameters.empty()) continue;
    for (std::size_t c = 0; c < group.parameters.size(); ++c) places_[group.parameters[c]] = {tables_.size(), c};
    if (!failed && __builtin_mul_overflow(size_, table.size(), &size_)) {
      throw Error(ErrorCode::bad_input, "the space has more than 2^64 configurations; fewer values are needed");
    }
    table.finish(search.in_declared_order());
    tables_.push_back(std::move(table));
  }
  if (!error) return;

  // Everything else accepts the configuration: the failed evaluation would decide, so it stops.
  for (const std::size_t p : error->group->parameters) first_solution.set(conditions, p, error->assignment.choice()[p]);
  const Constraint& constraint = constraints_[error->condition->constraint];
  throw Error(ErrorCode::bad_input,
              "constraint '" + detail::excerpt(constraint.text) + "' cannot be evaluated for the configuration " +
                  conditions.configuration(first_solution).describe() + ": " +
                  conditions.failure(*error->condition, first_solution),
              constraint.position);
}

std::vector<TableSpace::Range> TableSpace::full_ranges() const {
  std::vector<Range> ranges;
  ranges.reserve(tables_.size());
  for (const auto& table : tables_) ranges.push_back({0, table.size()});
  return ranges;
}

Configuration TableSpace::at(std::uint64_t index) const {
  if (index >= size_) {
    throw Error(ErrorCode::not_found, "index " + std::to_string(index) + " is outside the space of " +
                                          std::to_string(size_) + " configurations");
  }
  std::vector<Configuration::Entry> entries;
  entries.reserve(parameters_.size());
  auto ranges = full_ranges();
  std::uint64_t total = size_, rest = index;
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    const auto [t, column] = places_[p];
    const SolutionTable& table = tables_[t];
    Range& range = ranges[t];
    const std::uint64_t others = total / range.count();
    const std::uint64_t row = range.low + rest / others;
    const std::uint32_t value = table.value(row, column);
    if (range.count() > 1) {
      // A group's only parameter, or its last, has one row per value: no search is needed.
      const bool last = column + 1 == table.columns();
      const auto [low, high] = last ? std::pair{row, row + 1} : table.equal_range(range.low, range.high, column, value);
      rest -= (low - range.low) * others;
      range = {low, high};
      total = others * range.count();
    }
    entries.emplace_back(parameters_[p].name, parameters_[p].values[value]);
  }
  return Configuration(std::move(entries));
}

std::optional<std::uint64_t> TableSpace::index_of(const Configuration& configuration) const {
  if (configuration.size() != parameters_.size()) return std::nullopt;
  auto ranges = full_ranges();
  std::uint64_t total = size_, index = 0;
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    const auto& entry = *(configuration.begin() + static_cast<std::ptrdiff_t>(p));  // usually in declared order
    const Value* value = entry.first == parameters_[p].name ? &entry.second : configuration.find(parameters_[p].name);
    if (value == nullptr) return std::nullopt;
    const auto wanted = value_index(p, *value);
    if (!wanted) return std::nullopt;
    const auto [t, column] = places_[p];
    Range& range = ranges[t];
    const auto [low, high] = tables_[t].equal_range(range.low, range.high, column, *wanted);
    if (low == high) return std::nullopt;
    const std::uint64_t others = total / range.count();
    index += (low - range.low) * others;
    range = {low, high};
    total = others * range.count();
  }
  return index;
}

}  // namespace

std::unique_ptr<Space> build_space(std::vector<Parameter> parameters, std::vector<Constraint> constraints,
                                   const SpaceOptions& options) {
  return std::make_unique<TableSpace>(std::move(parameters), std::move(constraints), options);
}

}  // namespace warpwright
