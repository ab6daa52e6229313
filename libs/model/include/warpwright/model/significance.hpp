// Tests that tell a difference from chance. A sign test asks nothing of the noise, so it holds for timing samples with
// their outliers and long tails; with a handful of samples it cannot decide anything, and a t test, which believes in
// normal noise, has to do. The families of tests that arise when many candidates are compared with one are Holm's.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace warpwright {

// One-sided sign test: how probable it is that so many of the differences are above 0 where their median is 0 or below.
// Exact, for noise of any shape; differences of 0 count as not above. 1 for no differences. The smallest answer for n
// differences is 2^-n.
double sign_test(std::span<const double> differences);

// One-sided Student t test of the same question for the mean of normally distributed differences. Differences without
// any spread decide it alone: 0 where they are positive, else 1. 1 for fewer than two of them.
double t_test(std::span<const double> differences);

// Student's t distribution with `degrees` > 0 degrees of freedom: the probability of more than `t`, and the value that
// is not exceeded with `probability` (in [0, 1]; infinite at its ends). By Boost.Math, whose headers take the compiler
// so long that one source of ours includes them.
double student_t_tail(double t, double degrees);
double student_t_quantile(double probability, double degrees);

// Holm's step-down procedure (Holm, A simple sequentially rejective multiple test procedure, 1979): which hypotheses of
// a family are rejected so that the probability of rejecting any true one is `family_error` at most, whatever their
// dependence. In the order of `p_values`.
std::vector<bool> holm(std::span<const double> p_values, double family_error);

}  // namespace warpwright
