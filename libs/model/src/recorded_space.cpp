#include <algorithm>
#include <cmath>
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

std::uint64_t ListedSpace::nearest(std::span<const std::uint32_t> choice) const {
  const std::size_t width = parameters_.size();
  std::vector<std::uint32_t> graded(width);
  for (std::size_t p = 0; p < width; ++p) graded[p] = is_ordered(parameters_[p]) ? ~0U : 1U;
  std::uint64_t best = 0, least = std::numeric_limits<std::uint64_t>::max();
  for (std::uint64_t i = 0; i < size() && least > 0; ++i) {
    const std::uint32_t* there = row(i);
    std::uint64_t distance = 0;
    for (std::size_t p = 0; p < width && distance < least; ++p) {
      const std::uint32_t apart = there[p] > choice[p] ? there[p] - choice[p] : choice[p] - there[p];
      distance += std::min(apart, graded[p]);
    }
    if (distance < least) {
      least = distance;
      best = i;
    }
  }
  return best;
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
