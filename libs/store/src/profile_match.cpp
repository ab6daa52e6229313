// Which stored profile serves a wish best. Pure: the database only collects the candidates.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <tuple>

#include <warpwright/store/profile_database.hpp>

namespace warpwright::store {
namespace {

// Squared distance of a dimension that only one side has, or whose values cannot be compared: farther than any two
// 64-bit sizes can be (log2 of their ratio is below 64).
constexpr double incomparable = 64.0 * 64.0;

struct DimensionDistance {
  double squared = 0;
  bool comparable = true;  // every dimension had a logarithm on both sides, or was equal
};

double add_dimension(const Value& a, const Value& b, bool& comparable) {
  if (python_equal(a, b)) return 0;
  const bool booleans = std::holds_alternative<bool>(a) || std::holds_alternative<bool>(b);
  const auto x = as_number(a), y = as_number(b);
  if (!booleans && x && y && *x > 0 && *y > 0 && std::isfinite(*x) && std::isfinite(*y)) {
    const double logarithm = std::log2(*x) - std::log2(*y);
    return logarithm * logarithm;
  }
  comparable = false;
  return incomparable;
}

DimensionDistance distance(const Configuration& wanted, const Configuration& stored) {
  DimensionDistance result;
  for (const auto& [name, value] : wanted) {
    const Value* other = stored.find(name);
    if (other == nullptr) {
      result.squared += incomparable;
      result.comparable = false;
    } else {
      result.squared += add_dimension(value, *other, result.comparable);
    }
  }
  for (const auto& [name, value] : stored) {
    if (wanted.find(name) != nullptr) continue;
    result.squared += incomparable;
    result.comparable = false;
  }
  return result;
}

// "2048x2048x2047" if that says it all: the same names on both sides in the same order, one to three whole numbers.
std::optional<std::string> size_text(const Configuration& dimensions, const Configuration& other) {
  if (dimensions.empty() || dimensions.size() > 3 || dimensions.size() != other.size()) return std::nullopt;
  std::string text;
  auto counterpart = other.begin();
  for (const auto& [name, value] : dimensions) {
    if (counterpart->first != name || !std::holds_alternative<std::int64_t>(value)) return std::nullopt;
    ++counterpart;
    text += (text.empty() ? "" : "x") + warpwright::to_string(value);
  }
  return text;
}

std::string dimension_text(const Configuration& wanted, const Configuration& stored) {
  const auto ours = size_text(stored, wanted), theirs = size_text(wanted, stored);
  if (ours && theirs) return "size " + *ours + " for " + *theirs;
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  for (const auto& [name, value] : wanted) {
    const Value* other = stored.find(name);
    if (other == nullptr) {
      add("no '" + name + "' for " + name + " = " + to_literal(value));
    } else if (!python_equal(value, *other)) {
      add(name + " = " + to_literal(*other) + " for " + to_literal(value));
    }
  }
  for (const auto& [name, value] : stored)
    if (wanted.find(name) == nullptr) add(name + " = " + to_literal(value) + " where none is wanted");
  return text;
}

std::string distance_text(double distance) {
  if (distance < 0.001) return "below 0.001";
  return distance < 1 ? fmt::format("{:.3f}", distance) : fmt::format("{:.1f}", distance);
}

std::string or_unknown(const std::string& text) { return text.empty() ? "unknown" : text; }

std::string quality_text(const ProfileKey& wanted, const ProfileMatch& match, bool comparable) {
  const ProfileKey& stored = match.profile.key;
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : "; ") + part; };
  if (!match.same_device) {
    if (match.same_architecture) {
      add(fmt::format("device {} for {} (both {})", or_unknown(stored.device), or_unknown(wanted.device),
                      stored.architecture));
    } else {
      add(fmt::format("device {} ({}) for {} ({})", or_unknown(stored.device), or_unknown(stored.architecture),
                      or_unknown(wanted.device), or_unknown(wanted.architecture)));
    }
  }
  if (!match.same_dimensions) {
    std::string part = dimension_text(wanted.dimensions, stored.dimensions);
    // The distance of sizes that cannot be compared is only a rank.
    if (comparable) part += " (distance " + distance_text(match.dimension_distance) + ")";
    add(part);
  }
  if (!match.same_cache_mode)
    add(fmt::format("measured with a {} cache for {}", or_unknown(stored.cache_mode), or_unknown(wanted.cache_mode)));
  if (!match.same_toolkit)
    add(fmt::format("toolkit {} for {}", or_unknown(stored.toolkit), or_unknown(wanted.toolkit)));
  if (!match.same_driver) add(fmt::format("driver {} for {}", or_unknown(stored.driver), or_unknown(wanted.driver)));
  return text.empty() ? "exact" : text;
}

ProfileMatch compare(const ProfileKey& wanted, TuningProfile profile) {
  ProfileMatch match;
  match.profile = std::move(profile);
  const ProfileKey& stored = match.profile.key;
  match.same_device = stored.device == wanted.device;
  match.same_architecture =
      match.same_device || (!stored.architecture.empty() && stored.architecture == wanted.architecture);
  match.same_toolkit = stored.toolkit == wanted.toolkit;
  match.same_driver = stored.driver == wanted.driver;
  match.same_cache_mode = stored.cache_mode == wanted.cache_mode;
  const DimensionDistance apart = distance(wanted.dimensions, stored.dimensions);
  match.same_dimensions = apart.squared == 0;
  match.dimension_distance = std::sqrt(apart.squared);
  match.quality = quality_text(wanted, match, apart.comparable);
  const auto changed = [&](std::string_view what, const std::string& before, const std::string& now) {
    match.warnings.push_back(
        fmt::format("the {} changed since this profile was measured: {} then, {} now; tune again to "
                    "be sure that its configuration is still the fastest",
                    what, or_unknown(before), or_unknown(now)));
  };
  // On another device these differ anyway, and say nothing of a change.
  if (match.same_device && !match.same_toolkit) changed("toolkit", stored.toolkit, wanted.toolkit);
  if (match.same_device && !match.same_driver) changed("driver", stored.driver, wanted.driver);
  return match;
}

// Some profiles do not know the kind of their device; a device model is of one kind.
bool same_kind(const ProfileKey& wanted, const ProfileKey& stored) {
  if (!wanted.device_kind.empty() && !stored.device_kind.empty()) return stored.device_kind == wanted.device_kind;
  return (wanted.device_kind.empty() && stored.device_kind.empty()) ||
         (!stored.device.empty() && stored.device == wanted.device);
}

bool answers(const ProfileKey& wanted, const ProfileKey& stored) {
  return same_kind(wanted, stored) && stored.kernel == wanted.kernel && stored.source_hash == wanted.source_hash &&
         stored.data_types == wanted.data_types && stored.backend == wanted.backend;
}

bool allowed(const ProfileMatch& match, MatchPolicy policy) {
  switch (policy) {
    case MatchPolicy::exact:
      return match.same_device && match.same_dimensions && match.same_toolkit && match.same_cache_mode;
    case MatchPolicy::device:
      return match.same_device;
    case MatchPolicy::nearest:
      return true;
  }
  return false;
}

}  // namespace

std::string_view to_string(MatchPolicy policy) noexcept {
  switch (policy) {
    case MatchPolicy::exact:
      return "exact";
    case MatchPolicy::device:
      return "device";
    case MatchPolicy::nearest:
      return "nearest";
  }
  return "unknown";
}

std::optional<MatchPolicy> parse_match_policy(std::string_view text) {
  for (const MatchPolicy policy : {MatchPolicy::exact, MatchPolicy::device, MatchPolicy::nearest})
    if (to_string(policy) == text) return policy;
  return std::nullopt;
}

std::optional<double> TuningProfile::speedup() const {
  if (paired_speedup) return paired_speedup->median;
  if (!baseline_median || !(median.count() > 0)) return std::nullopt;
  return *baseline_median / median;
}

std::vector<ProfileMatch> rank_profiles(const ProfileKey& wanted, std::vector<TuningProfile> candidates,
                                        MatchPolicy policy) {
  std::vector<ProfileMatch> matches;
  for (TuningProfile& candidate : candidates) {
    if (!answers(wanted, candidate.key)) continue;
    ProfileMatch match = compare(wanted, std::move(candidate));
    if (allowed(match, policy)) matches.push_back(std::move(match));
  }
  const auto rank = [&](const ProfileMatch& match) {
    return std::tuple(!match.same_device, !match.same_architecture, match.dimension_distance, !match.same_cache_mode,
                      !match.same_toolkit, !match.same_driver);
  };
  std::sort(matches.begin(), matches.end(), [&](const ProfileMatch& a, const ProfileMatch& b) {
    const auto left = rank(a), right = rank(b);
    if (left != right) return left < right;
    if (a.profile.created_at != b.profile.created_at) return a.profile.created_at > b.profile.created_at;
    return a.profile.id > b.profile.id;
  });
  return matches;
}

}  // namespace warpwright::store
