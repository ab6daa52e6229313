#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <warpwright/base/error.hpp>
#include <warpwright/model/recorded_space.hpp>

namespace warpwright {

Milliseconds RecordedCosts::total() const {
  Milliseconds sum{};
  for (const auto& phase : {compile, benchmark, framework, strategy, verify}) {
    if (phase && std::isfinite(phase->count())) sum += *phase;
  }
  return sum;
}

Configuration RecordedSpace::configuration(const RecordedTrial& trial) const {
  std::vector<Configuration::Entry> entries;
  entries.reserve(parameters.size());
  for (std::size_t p = 0; p < parameters.size(); ++p)
    entries.emplace_back(parameters[p].name, parameters[p].values.at(trial.values.at(p)));
  return Configuration(std::move(entries));
}

std::size_t RecordedSpace::count(TrialStatus status) const {
  return static_cast<std::size_t>(
      std::count_if(trials.begin(), trials.end(), [&](const RecordedTrial& trial) { return trial.status == status; }));
}

ListedSpace::ListedSpace(std::vector<Parameter> parameters, const std::vector<std::vector<std::uint32_t>>& rows)
    : parameters_(std::move(parameters)), order_(rows.size()) {
  if (rows.empty()) throw Error(ErrorCode::bad_input, "a recorded space needs at least one configuration");
  for (std::size_t r = 0; r < rows.size(); ++r) {
    bool fits = rows[r].size() == parameters_.size();
    for (std::size_t p = 0; fits && p < parameters_.size(); ++p) fits = rows[r][p] < parameters_[p].values.size();
    if (!fits) throw Error(ErrorCode::bad_input, "row " + std::to_string(r) + " does not fit the parameters");
  }
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) { return rows[a] < rows[b]; });
  table_.reserve(rows.size() * parameters_.size());
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const auto& row = rows[order_[i]];
    table_.insert(table_.end(), row.begin(), row.end());
    if (i > 0 && rows[order_[i - 1]] == row)
      throw Error(ErrorCode::bad_input, "configuration " + at(i).describe() + " is recorded twice");
  }
}

Configuration ListedSpace::at(std::uint64_t index) const {
  if (index >= size()) {
    throw Error(ErrorCode::not_found, "index " + std::to_string(index) + " is outside the space of " +
                                          std::to_string(size()) + " configurations");
  }
  std::vector<Configuration::Entry> entries;
  entries.reserve(parameters_.size());
  const std::uint32_t* values = row(index);
  for (std::size_t p = 0; p < parameters_.size(); ++p)
    entries.emplace_back(parameters_[p].name, parameters_[p].values[values[p]]);
  return Configuration(std::move(entries));
}

void ListedSpace::read_choice(std::uint64_t index, std::span<std::uint32_t> choice) const {
  std::copy_n(row(index), parameters_.size(), choice.begin());
}

std::optional<std::uint64_t> ListedSpace::find_choice(std::span<const std::uint32_t> choice) const {
  const std::size_t width = parameters_.size();
  const std::uint32_t* wanted = choice.data();
  std::uint64_t low = 0, high = size();
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    const std::uint32_t* candidate = row(middle);
    if (std::lexicographical_compare(candidate, candidate + width, wanted, wanted + width))
      low = middle + 1;
    else
      high = middle;
  }
  if (low == size() || !std::equal(wanted, wanted + width, row(low))) return std::nullopt;
  return low;
}

namespace {

// Branch and bound over the sorted rows, which are a tree: rows with equal first values are neighbours in the table.
class NearestRow {
 public:
  NearestRow(const ListedSpace& space, std::span<const std::uint32_t> wanted) : space_(space), wanted_(wanted) {
    for (const Parameter& parameter : space.parameters()) ordered_.push_back(is_ordered(parameter));
  }
  std::uint64_t find() {
    descend(0, space_.size(), 0, 0);
    return best_;
  }

 private:
  struct Branch {
    std::uint64_t distance, begin, end;
  };

  // The rows [begin, end) agree in the parameters before `p` and are `distance` away in these.
  void descend(std::uint64_t begin, std::uint64_t end, std::size_t p, std::uint64_t distance) {
    if (p == wanted_.size()) {
      if (distance < least_ || begin < best_) best_ = begin;
      least_ = distance;
      return;
    }
    std::vector<Branch> branches;
    for (std::uint64_t at = begin; at < end;) {
      const std::uint32_t value = space_.row(at)[p];
      std::uint64_t low = at + 1, high = end;
      while (low < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        if (space_.row(middle)[p] == value)
          low = middle + 1;
        else
          high = middle;
      }
      const std::uint64_t apart = value > wanted_[p] ? value - wanted_[p] : wanted_[p] - value;
      branches.push_back({distance + (ordered_[p] ? apart : std::min<std::uint64_t>(apart, 1)), at, low});
      at = low;
    }
    std::stable_sort(branches.begin(), branches.end(),
                     [](const Branch& a, const Branch& b) { return a.distance < b.distance; });
    for (const Branch& branch : branches) {
      // Of equals the first by index.
      if (branch.distance > least_ || (branch.distance == least_ && branch.begin >= best_)) continue;
      descend(branch.begin, branch.end, p + 1, branch.distance);
    }
  }

  const ListedSpace& space_;
  std::span<const std::uint32_t> wanted_;
  std::vector<bool> ordered_;
  std::uint64_t least_ = std::numeric_limits<std::uint64_t>::max(), best_ = 0;
};

}  // namespace

std::uint64_t ListedSpace::nearest(std::span<const std::uint32_t> choice) const {
  return NearestRow(*this, choice).find();
}

std::optional<std::uint64_t> ListedSpace::index_of(const Configuration& configuration) const {
  if (configuration.size() != parameters_.size()) return std::nullopt;
  std::vector<std::uint32_t> wanted;
  for (const Parameter& parameter : parameters_) {
    const Value* value = configuration.find(parameter.name);
    if (value == nullptr) return std::nullopt;
    const auto place = std::find_if(parameter.values.begin(), parameter.values.end(),
                                    [&](const Value& listed) { return python_equal(listed, *value); });
    if (place == parameter.values.end()) return std::nullopt;
    wanted.push_back(static_cast<std::uint32_t>(place - parameter.values.begin()));
  }
  return find_choice(wanted);
}

std::shared_ptr<const ListedSpace> make_listed_space(const RecordedSpace& recorded) {
  std::vector<std::vector<std::uint32_t>> rows;
  rows.reserve(recorded.trials.size());
  for (const RecordedTrial& trial : recorded.trials) rows.push_back(trial.values);
  return std::make_shared<const ListedSpace>(recorded.parameters, rows);
}

}  // namespace warpwright
