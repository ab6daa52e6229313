#include "interval_text.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace warpwright::app {

std::string interval_text(const Interval& interval) {
  constexpr int most_decimals = 4;
  const double width = interval.high - interval.low;
  const int decimals =
      width > 0 ? std::clamp(static_cast<int>(std::ceil(0.5 - std::log10(width))), 2, most_decimals) : 2;
  return fmt::format("{:.3g} % interval {:.{}f} to {:.{}f}", 100 * interval.confidence, interval.low, decimals,
                     interval.high, decimals);
}

}  // namespace warpwright::app
