#include "workloads/transfer_entropy/significance.hpp"

#include <algorithm>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>

namespace warpwright::workloads::transfer_entropy {

double chi_squared_p_value(double raw, std::size_t samples, std::size_t bins) {
  if (bins < 2 || samples == 0) {
    throw Error(ErrorCode::bad_input, "significance needs at least 2 bins and one sample, not " + std::to_string(bins) +
                                          " and " + std::to_string(samples));
  }
  const double statistic = 2.0 * static_cast<double>(samples) * std::numbers::ln2 * std::max(0.0, raw);
  return boost::math::gamma_q(static_cast<double>(degrees_of_freedom(bins)) / 2.0, statistic / 2.0);
}

double surrogate_p_value(std::span<const std::uint8_t> source, std::span<const std::uint8_t> target, std::size_t bins,
                         std::size_t lag, std::size_t surrogates, const Draws& draws, std::uint32_t frame) {
  if (surrogates == 0) throw Error(ErrorCode::bad_input, "a p-value needs at least one surrogate, not 0");
  const double original = estimate(count(source, target, bins, lag)).raw;
  std::size_t as_large = 0;
  std::vector<std::uint8_t> shifted(source.size());
  for (std::size_t k = 0; k < surrogates; ++k) {
    const double u = draws.uniform(frame, 0, k);
    const auto shift = 1 + static_cast<std::ptrdiff_t>(std::floor(u * static_cast<double>(source.size() - 1)));
    std::rotate_copy(source.begin(), source.begin() + shift, source.end(), shifted.begin());
    if (estimate(count(shifted, target, bins, lag)).raw >= original) ++as_large;
  }
  return static_cast<double>(1 + as_large) / static_cast<double>(1 + surrogates);
}

}  // namespace warpwright::workloads::transfer_entropy
