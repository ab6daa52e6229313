// Logarithm of the expected improvement, as a table: it is asked for thousands of times a question. Private to this
// library.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace warpwright::detail {

// log(E[max(0, X)] / s) for X normal with mean u*s and deviation s, as a table over u.
class LogImprovement {
 public:
  LogImprovement() {
    for (std::size_t i = 0; i < table_.size(); ++i)
      table_[i] = static_cast<float>(exact(low + step * static_cast<double>(i)));
  }
  float operator()(float u) const {
    const float at = std::clamp((u - static_cast<float>(low)) * static_cast<float>(1 / step), 0.0F,
                                static_cast<float>(table_.size()) - 1.001F);
    const auto i = static_cast<std::size_t>(at);
    const float part = at - static_cast<float>(i);
    // Below the table the logarithm falls like -u*u/2.
    const float beyond = std::min(0.0F, u - static_cast<float>(low));
    return table_[i] + part * (table_[i + 1] - table_[i]) - 0.5F * beyond * beyond + beyond * static_cast<float>(-low);
  }

 private:
  static double exact(double u) {
    const double density = std::exp(-0.5 * u * u) / std::sqrt(2 * 3.14159265358979323846);
    const double value = u * 0.5 * std::erfc(-u / std::sqrt(2.0)) + density;
    if (value > 1e-280 && u > -20) return std::log(value);
    return -0.5 * u * u - 2 * std::log(-u) - 0.919;
  }
  static constexpr double low = -10, step = 0.02;
  std::array<float, 801> table_{};  // to +6
};

// Fast and the same on every machine; relative error below 1e-4 is far finer than the model.
inline float fast_log(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const int exponent = static_cast<int>(bits >> 23) - 127;
  const float m = std::bit_cast<float>((bits & 0x7fffffU) | 0x3f800000U) - 1.5F;
  // Taylor series of log at 1.5, four terms.
  const float q = m * (1.0F / 1.5F);
  const float series = q * (1.0F - q * (0.5F - q * (0.33333333F - q * (0.25F - q * 0.2F))));
  return static_cast<float>(exponent) * 0.69314718F + 0.40546511F + series;
}

}  // namespace warpwright::detail
