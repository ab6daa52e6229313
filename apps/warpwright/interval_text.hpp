// Confidence intervals in reports, in one form.
#pragma once

#include <string>

#include <warpwright/model/statistics.hpp>

namespace warpwright::app {

// "95 % interval 1.98 to 2.03": as many decimals as tell its two ends apart, at least two.
std::string interval_text(const Interval& interval);

}  // namespace warpwright::app
