// How far a result is from the oracle's, and how far it may be.
//
// The largest difference relative to the largest reference value: a single small element may carry an error of the size
// that rounding of the large ones explains, and a result of zeros is far from any reference. Rejected: an absolute
// tolerance (1e-10 accepts anything where the quantity is 1e-22) and an error per element relative to itself (fails at
// zeros). A value that is not finite is infinitely far.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <span>
#include <string>

#include <warpwright/base/error.hpp>

namespace warpwright::workloads {

// The arithmetic of a kernel; sets how far it may be from the oracle, which is in fp64.
enum class Precision { fp64, fp32, tf32, bf16 };

// Largest permitted relative_max_error or phase_error of one frame from an identical state. Longer runs diverge
// chaotically and are not compared value by value.
constexpr double error_limit(Precision precision) noexcept {
  switch (precision) {
    case Precision::fp64:
      return 1e-10;
    case Precision::fp32:
      return 1e-4;
    case Precision::tf32:
    case Precision::bf16:
      return 1e-2;
  }
  return 0.0;
}

// Largest permitted absolute difference of transfer entropy in bits; counts must be equal.
inline constexpr double transfer_entropy_limit = 1e-5;

// Into (-pi, pi].
inline double wrap_phase(double angle) noexcept {
  const double wrapped = std::remainder(angle, 2.0 * std::numbers::pi);
  return wrapped <= -std::numbers::pi ? wrapped + 2.0 * std::numbers::pi : wrapped;
}

namespace detail {

inline void require_same_size(std::size_t values, std::size_t reference) {
  if (values != reference) {
    throw Error(ErrorCode::bad_input, "a result of " + std::to_string(values) +
                                          " values cannot be compared with a reference of " +
                                          std::to_string(reference));
  }
  if (values == 0) throw Error(ErrorCode::bad_input, "a comparison of no values would pass whatever was computed");
}

}  // namespace detail

// max|x - ref| / max(max|ref|, 1e-30); infinity if a value is not finite. Throws Error(bad_input) if the sizes differ
// or are 0. Real: float or double.
template <class Real>
double relative_max_error(std::span<const Real> values, std::span<const double> reference) {
  detail::require_same_size(values.size(), reference.size());
  double difference = 0.0;
  double largest = 1e-30;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double value = static_cast<double>(values[i]);
    if (!std::isfinite(value) || !std::isfinite(reference[i])) return std::numeric_limits<double>::infinity();
    difference = std::fmax(difference, std::fabs(value - reference[i]));
    largest = std::fmax(largest, std::fabs(reference[i]));
  }
  return difference / largest;
}

// max|wrap(x - ref)| / pi for phases in rad, from 0 to 1; infinity and errors as above.
template <class Real>
double phase_error(std::span<const Real> values, std::span<const double> reference) {
  detail::require_same_size(values.size(), reference.size());
  double difference = 0.0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double value = static_cast<double>(values[i]);
    if (!std::isfinite(value) || !std::isfinite(reference[i])) return std::numeric_limits<double>::infinity();
    difference = std::fmax(difference, std::fabs(wrap_phase(value - reference[i])));
  }
  return difference / std::numbers::pi;
}

}  // namespace warpwright::workloads
