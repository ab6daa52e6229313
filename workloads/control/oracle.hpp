// S7, control: what its kernel should compute, in double precision. A proportional correction toward the set point x*
// is added to the policy's control u, and the estimate follows what is sent out. The sign matters: u - g_c (x* - mu)
// drives away from the target, which the contraction of the error by 1 - eta_c g_c = 0.93 with u = 0 tells apart.
#pragma once

#include <span>
#include <vector>

namespace warpwright::workloads::control {

struct Settings {
  double gain = 0.7;  // g_c, 1
  double rate = 0.1;  // eta_c, 1
};

struct Result {
  std::vector<double> output;  // u_out = u + g_c (x* - mu), n
  std::vector<double> mean;    // mu + eta_c u_out, n; feeds S8 only, since S6A starts anew in every frame
};

// u, target (x*) and mean (mu): n values each in the units of the estimate; an empty target stands for x* = 0.
// Error(bad_input) for spans of different sizes. Thread-safe.
Result apply(std::span<const double> u, std::span<const double> target, std::span<const double> mean,
             const Settings& settings = {});

}  // namespace warpwright::workloads::control
