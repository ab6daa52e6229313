#include <array>
#include <cmath>
#include <fmt/format.h>

#include <warpwright/base/units.hpp>

namespace warpwright {
namespace {

// Three significant digits without an exponent.
std::string three_digits(double value) {
  const double magnitude = std::abs(value);
  if (magnitude >= 99.95 || magnitude == 0) return fmt::format("{:.0f}", value);
  if (magnitude >= 9.995) return fmt::format("{:.1f}", value);
  return fmt::format("{:.2f}", value);
}

}  // namespace

std::string format_duration(Nanoseconds duration) {
  const double ns = duration.count();
  if (!std::isfinite(ns)) return "unknown";
  const double magnitude = std::abs(ns);
  if (magnitude < 999.5) return three_digits(ns) + " ns";
  if (magnitude < 999.5e3) return three_digits(ns / 1e3) + " us";
  if (magnitude < 999.5e6) return three_digits(ns / 1e6) + " ms";
  if (magnitude < 119.5e9) return three_digits(ns / 1e9) + " s";
  const auto total = static_cast<long long>(std::llround(ns / 1e9));
  if (total < 7200) return fmt::format("{} min {} s", total / 60, total % 60);
  return fmt::format("{} h {} min", total / 3600, total % 3600 / 60);
}

std::string format_bytes(Bytes bytes) {
  constexpr std::array<const char*, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes.count);
  std::size_t unit = 0;
  while (value >= 1023.5 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes.count);
  if (value == std::floor(value)) return fmt::format("{:.0f} {}", value, units[unit]);
  return fmt::format("{} {}", three_digits(value), units[unit]);
}

}  // namespace warpwright
