// Neighbourhoods and repair of any space, and the vocabulary around them.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <warpwright/model/space.hpp>

namespace warpwright {
namespace {

constexpr std::array<std::string_view, 5> neighbourhood_names{"hamming", "hamming-adjacent", "strictly-adjacent",
                                                              "adjacent", "closest"};

// Distances from one choice, with what does not depend on the other side worked out once.
class GradedDistance {
 public:
  explicit GradedDistance(const std::vector<Parameter>& parameters) {
    for (const auto& parameter : parameters) ordered_.push_back(is_ordered(parameter));
  }
  bool ordered(std::size_t p) const { return ordered_[p]; }
  std::uint64_t operator()(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b) const {
    std::uint64_t sum = 0;
    for (std::size_t p = 0; p < ordered_.size(); ++p) sum += step(ordered_[p], a[p], b[p]);
    return sum;
  }

 private:
  static std::uint64_t step(bool ordered, std::uint32_t a, std::uint32_t b) {
    if (a == b) return 0;
    if (!ordered) return 1;
    return a < b ? b - a : a - b;
  }

  std::vector<bool> ordered_;
};

}  // namespace

std::string_view to_string(Neighbourhood kind) noexcept { return neighbourhood_names[static_cast<std::size_t>(kind)]; }

std::optional<Neighbourhood> parse_neighbourhood(std::string_view name) noexcept {
  for (std::size_t i = 0; i < neighbourhood_names.size(); ++i) {
    if (neighbourhood_names[i] == name) return static_cast<Neighbourhood>(i);
  }
  return std::nullopt;
}

bool is_ordered(const Parameter& parameter) {
  const auto number = [](const Value& value) {
    return std::holds_alternative<std::int64_t>(value) || std::holds_alternative<double>(value);
  };
  return parameter.ordered && std::all_of(parameter.values.begin(), parameter.values.end(), number);
}

void Space::read_choice(std::uint64_t index, std::span<std::uint32_t> choice) const {
  const auto positions = choice_of(at(index));
  if (!positions || positions->size() != choice.size())
    throw Error(ErrorCode::internal, "configuration " + std::to_string(index) + " does not fit the space's parameters");
  std::copy(positions->begin(), positions->end(), choice.begin());
}

std::optional<std::uint64_t> Space::find_choice(std::span<const std::uint32_t> choice) const {
  return index_of(configuration(choice));
}

Choice Space::choice_at(std::uint64_t index) const {
  Choice choice(parameters().size());
  read_choice(index, choice);
  return choice;
}

Configuration Space::configuration(std::span<const std::uint32_t> choice) const {
  const auto& all = parameters();
  if (choice.size() != all.size()) {
    throw Error(ErrorCode::bad_input, "a choice of " + std::to_string(choice.size()) +
                                          " positions does not fit a space of " + std::to_string(all.size()) +
                                          " parameters");
  }
  std::vector<Configuration::Entry> entries;
  entries.reserve(all.size());
  for (std::size_t p = 0; p < all.size(); ++p) {
    if (choice[p] >= all[p].values.size()) {
      throw Error(ErrorCode::bad_input, "parameter '" + all[p].name + "' has " + std::to_string(all[p].values.size()) +
                                            " values, there is none at position " + std::to_string(choice[p]));
    }
    entries.emplace_back(all[p].name, all[p].values[choice[p]]);
  }
  return Configuration(std::move(entries));
}

std::optional<Choice> Space::choice_of(const Configuration& configuration) const {
  const auto& all = parameters();
  if (configuration.size() != all.size()) return std::nullopt;
  Choice choice(all.size());
  for (std::size_t p = 0; p < all.size(); ++p) {
    const Value* value = configuration.find(all[p].name);
    if (value == nullptr) return std::nullopt;
    const auto known = std::find_if(all[p].values.begin(), all[p].values.end(),
                                    [&](const Value& declared) { return python_equal(declared, *value); });
    if (known == all[p].values.end()) return std::nullopt;
    choice[p] = static_cast<std::uint32_t>(known - all[p].values.begin());
  }
  return choice;
}

std::uint64_t Space::distance(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b) const {
  return GradedDistance(parameters())(a, b);
}

std::vector<std::uint32_t> Space::occurring(std::size_t parameter) const {
  std::vector<bool> seen(parameters().at(parameter).values.size(), false);
  Choice choice(parameters().size());
  for (std::uint64_t i = 0; i < size(); ++i) {
    read_choice(i, choice);
    seen[choice[parameter]] = true;
  }
  std::vector<std::uint32_t> positions;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (seen[i]) positions.push_back(static_cast<std::uint32_t>(i));
  }
  return positions;
}

std::vector<std::uint64_t> Space::neighbours(std::uint64_t index, Neighbourhood kind) const {
  const Choice center = choice_at(index);
  const GradedDistance graded(parameters());
  const auto& all = parameters();
  std::vector<std::uint64_t> found;
  if (kind == Neighbourhood::hamming || kind == Neighbourhood::hamming_adjacent) {
    Choice choice = center;
    const auto valid = [&](std::size_t p, std::size_t position) {
      choice[p] = static_cast<std::uint32_t>(position);
      const auto neighbour = find_choice(choice);
      if (neighbour) found.push_back(*neighbour);
      choice[p] = center[p];
      return neighbour.has_value();
    };
    for (std::size_t p = 0; p < all.size(); ++p) {
      const std::size_t own = center[p], count = all[p].values.size();
      const bool nearest_only = kind == Neighbourhood::hamming_adjacent && graded.ordered(p);
      for (std::size_t position = own; position-- > 0;) {
        if (valid(p, position) && nearest_only) break;
      }
      for (std::size_t position = own + 1; position < count; ++position) {
        if (valid(p, position) && nearest_only) break;
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  if (kind == Neighbourhood::closest) {
    std::uint64_t best = std::numeric_limits<std::uint64_t>::max();
    Choice other(all.size());
    for (std::uint64_t i = 0; i < size(); ++i) {
      if (i == index) continue;
      read_choice(i, other);
      const std::uint64_t d = graded(center, other);
      if (d < best) {
        best = d;
        found.clear();
      }
      if (d == best) found.push_back(i);
    }
    return found;
  }
  // Lowest and highest position that a neighbour may take.
  Choice low(all.size()), high(all.size());
  for (std::size_t p = 0; p < all.size(); ++p) {
    const auto last = static_cast<std::uint32_t>(all[p].values.size() - 1);
    const bool steps = kind == Neighbourhood::strictly_adjacent && graded.ordered(p);
    low[p] = steps ? center[p] - std::min(center[p], 1u) : 0;
    high[p] = steps ? std::min(center[p] + 1, last) : last;
  }
  Choice other(all.size());
  if (kind == Neighbourhood::adjacent) {
    for (std::uint64_t i = 0; i < size(); ++i) {
      read_choice(i, other);
      for (std::size_t p = 0; p < all.size(); ++p) {
        if (!graded.ordered(p)) continue;
        if (other[p] < center[p]) low[p] = std::max(low[p], other[p]);
        if (other[p] > center[p]) high[p] = std::min(high[p], other[p]);
      }
    }
  }
  for (std::uint64_t i = 0; i < size(); ++i) {
    if (i == index) continue;
    read_choice(i, other);
    bool inside = true;
    for (std::size_t p = 0; inside && p < all.size(); ++p) inside = low[p] <= other[p] && other[p] <= high[p];
    if (inside) found.push_back(i);
  }
  return found;
}

std::vector<Space::Near> Space::within(std::span<const std::uint32_t> choice, std::uint64_t distance,
                                       std::size_t limit) const {
  std::vector<Near> found;
  const GradedDistance graded(parameters());
  Choice other(parameters().size());
  for (std::uint64_t i = 0; i < size(); ++i) {
    read_choice(i, other);
    const std::uint64_t d = graded(choice, other);
    if (d > 0 && d <= distance) found.push_back({i, d});
  }
  std::stable_sort(found.begin(), found.end(), [](const Near& a, const Near& b) { return a.distance < b.distance; });
  if (found.size() > limit) found.resize(limit);
  return found;
}

std::uint64_t Space::nearest(std::span<const std::uint32_t> choice) const {
  const GradedDistance graded(parameters());
  std::uint64_t best = 0, best_distance = std::numeric_limits<std::uint64_t>::max();
  Choice other(parameters().size());
  for (std::uint64_t i = 0; i < size() && best_distance > 0; ++i) {
    read_choice(i, other);
    const std::uint64_t d = graded(choice, other);
    if (d < best_distance) {
      best = i;
      best_distance = d;
    }
  }
  return best;
}

std::uint64_t Space::repair(const Configuration& configuration) const {
  const auto& all = parameters();
  std::vector<std::string> names;
  for (const auto& parameter : all) names.push_back(parameter.name);
  for (const auto& entry : configuration) {
    if (std::find(names.begin(), names.end(), entry.first) != names.end()) continue;
    const auto close = closest_match(entry.first, names);
    throw Error(ErrorCode::bad_input,
                "the space has no parameter '" + entry.first + "'" + (close ? "; did you mean '" + *close + "'?" : ""));
  }
  Choice choice(all.size(), 0);
  for (std::size_t p = 0; p < all.size(); ++p) {
    const auto& values = all[p].values;
    const auto place = [&](const Value& wanted) -> std::optional<std::uint32_t> {
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (python_equal(values[i], wanted)) return static_cast<std::uint32_t>(i);
      }
      const auto target = as_number(wanted);
      if (!target || std::isnan(*target)) return std::nullopt;
      std::optional<std::uint32_t> best;
      double best_gap = std::numeric_limits<double>::infinity();
      for (std::size_t i = 0; i < values.size(); ++i) {
        const auto number = as_number(values[i]);
        if (!number) continue;
        const double gap = std::fabs(*number - *target);
        if (best && gap >= best_gap) continue;
        best_gap = gap;
        best = static_cast<std::uint32_t>(i);
      }
      return best;
    };
    const Value* given = configuration.find(all[p].name);
    auto position = given != nullptr ? place(*given) : std::nullopt;
    if (!position && all[p].default_value) position = place(*all[p].default_value);
    choice[p] = position.value_or(0);
  }
  return nearest(choice);
}

}  // namespace warpwright
