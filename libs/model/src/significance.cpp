#include <algorithm>
#include <cmath>
#include <limits>
#include <math.h>
#include <numeric>

#include <warpwright/model/significance.hpp>

namespace warpwright {
namespace {

// lgamma() without its global variable, which threads would share.
double log_gamma(double x) {
  int sign = 0;
  return ::lgamma_r(x, &sign);
}

// The regularised incomplete beta function I_x(a, b) by its continued fraction (Abramowitz and Stegun 26.5.8),
// evaluated by Lentz's method; it converges fast below the mean of the distribution, and the symmetry of I serves
// above.
double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(b, a, 1 - x);
  constexpr double tiny = 1e-300;
  const auto away_from_zero = [](double value) { return std::abs(value) < tiny ? tiny : value; };
  double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), fraction = d;
  for (int m = 1; m < 100000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double change = 1;
    for (const double term : {even, odd}) {
      d = 1 / away_from_zero(1 + term * d);
      c = away_from_zero(1 + term / c);
      change = c * d;
      fraction *= change;
    }
    if (std::abs(change - 1) < std::numeric_limits<double>::epsilon()) break;
  }
  const double log_front =
      log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * std::log(x) + b * std::log1p(-x) - std::log(a);
  return std::exp(log_front) * fraction;
}

}  // namespace

double student_t_tail(double t, double degrees) {
  if (std::isinf(t)) return t > 0 ? 0 : 1;
  const double beyond = incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t)) / 2;
  return t > 0 ? beyond : 1 - beyond;
}

double student_t_quantile(double probability, double degrees) {
  if (probability < 0.5) return -student_t_quantile(1 - probability, degrees);
  if (probability == 0.5) return 0;
  if (probability >= 1) return std::numeric_limits<double>::infinity();
  const double tail = 1 - probability;
  double low = 0, high = 1;
  while (student_t_tail(high, degrees) > tail) high *= 2;
  for (;;) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return high;
    (student_t_tail(middle, degrees) > tail ? low : high) = middle;
  }
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
