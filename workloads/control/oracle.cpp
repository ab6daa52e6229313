#include "workloads/control/oracle.hpp"

#include <cstddef>
#include <span>

#include <warpwright/base/error.hpp>

namespace warpwright::workloads::control {

Result apply(std::span<const double> u, std::span<const double> target, std::span<const double> mean,
             const Settings& settings) {
  const std::size_t n = u.size();
  if (mean.size() != n || (!target.empty() && target.size() != n))
    throw Error(ErrorCode::bad_input, "control, target and mean must have one size (an empty target stands for 0)");
  Result result;
  result.output.resize(n);
  result.mean.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double x_star = target.empty() ? 0 : target[i];
    result.output[i] = u[i] + settings.gain * (x_star - mean[i]);
    result.mean[i] = mean[i] + settings.rate * result.output[i];
  }
  return result;
}

}  // namespace warpwright::workloads::control
