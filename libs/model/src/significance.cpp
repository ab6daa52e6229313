#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include <warpwright/model/significance.hpp>

namespace warpwright {

double student_t_tail(double t, double degrees) {
  if (std::isinf(t)) return t > 0 ? 0 : 1;
  return boost::math::cdf(boost::math::complement(boost::math::students_t(degrees), t));
}

double student_t_quantile(double probability, double degrees) {
  if (probability <= 0 || probability >= 1)
    return std::copysign(std::numeric_limits<double>::infinity(), probability - 0.5);
  return boost::math::quantile(boost::math::students_t(degrees), probability);
}

double sign_test(std::span<const double> differences) {
  const std::size_t n = differences.size();
  const auto above =
      static_cast<std::size_t>(std::count_if(differences.begin(), differences.end(), [](double x) { return x > 0; }));
  // Sum of the binomial terms above..n of 2^-n; logarithms, because 2^-n leaves the doubles at 1075.
  double log_term = -static_cast<double>(n) * std::log(2.0);
  double tail = 0;
  for (std::size_t k = n;; --k) {
    tail += std::exp(log_term);
    if (k == above || k == 0) break;
    log_term += std::log(static_cast<double>(k)) - std::log(static_cast<double>(n - k + 1));
  }
  return std::min(tail, 1.0);
}

double t_test(std::span<const double> differences) {
  const auto n = static_cast<double>(differences.size());
  if (differences.size() < 2) return 1;
  const double mean = std::accumulate(differences.begin(), differences.end(), 0.0) / n;
  double squares = 0;
  for (const double x : differences) squares += (x - mean) * (x - mean);
  const double error = std::sqrt(squares / (n - 1) / n);
  if (!(error > 0)) return mean > 0 ? 0 : 1;
  return student_t_tail(mean / error, n - 1);
}

std::vector<bool> holm(std::span<const double> p_values, double family_error) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p_values[a] < p_values[b]; });
  std::vector<bool> rejected(p_values.size(), false);
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (!(p_values[order[i]] <= family_error / static_cast<double>(order.size() - i))) break;
    rejected[order[i]] = true;
  }
  return rejected;
}

}  // namespace warpwright
