// S8, synchronisation across domains: what its kernels should compute, in double precision and written to be read
// beside the formulas. Two Kuramoto populations, al (the phases theta of S4) and be (arg psi of S5), pull within
// themselves through the coupling C and across one to one (Acebron et al., Rev. Mod. Phys. 77 (2005) 137); a symmetric
// channel says how much of the estimate's distribution gets across, and the iteration of Blahut and Arimoto (1972) how
// much could. The coupling across is what lets rho rise at all, and C is that of S3: the identity couples nothing to
// anything.
//
// All functions are thread-safe and keep nothing. Phases in rad, frequencies in rad/s, times in s; vectors have n
// values, matrices n x n entries.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "workloads/common/matrix.hpp"
#include "workloads/common/random.hpp"

namespace warpwright::workloads::synchronisation {

// ---- Populations.

struct Settings {
  double within = 5;   // K_1 in rad/s, divided by n
  double across = 5;   // K_x in rad/s
  double step = 0.01;  // h in s
  int steps = 3;       // Euler steps in a frame
};

struct Frequencies {
  std::vector<double> a, b;  // omega of al and be, rad/s
};

struct Populations {
  std::vector<double> al, be;  // rad, in (-pi, pi]
};

// omega ~ U(1, 1.1): the set-up draws of Stage::synchronisation, array 0 for al and array 1 for be.
Frequencies natural_frequencies(const Draws& draws, std::size_t n);

// One explicit Euler step of
//   d al_i = [omega^a_i + (K_1/n) sum_j C_ij sin(al_j - al_i) + K_x sin(be_i - al_i)] dt
// and the same for be with al and be exchanged. Both read the phases before the step; the result is wrapped to (-pi,
// pi]. Error(bad_input) for sizes that do not fit.
Populations advance(const Matrix& coupling, const Frequencies& frequencies, const Populations& populations,
                    const Settings& settings = {});
// A frame: `steps` of them. Then theta <- al.
Populations frame(const Matrix& coupling, const Frequencies& frequencies, const Populations& populations,
                  const Settings& settings = {});

struct Order {
  double rho = 0;  // |mean e^{i (be - al)}|: how well the populations agree
  double r_a = 0;  // |mean e^{i al}|
  double r_b = 0;  // |mean e^{i be}|
};
// Error(bad_input) for empty populations and for sizes that differ.
Order order(const Populations& populations);

// ---- Channel. Distributions are p(x) >= 0 of sum 1; a channel is P(y|x) at (x, y).

// P(y|x) = 1 - error if x = y, else error/(n - 1). Error(bad_input) for n < 2 and an error outside [0, 1].
Matrix symmetric_channel(std::size_t n, double error = 0.1);
// p_x = |mu| / sum |mu|, uniform where that sum is 0.
std::vector<double> source_from_magnitudes(std::span<const double> mean);
// p_x = e^{mu} / sum e^{mu}.
std::vector<double> source_from_softmax(std::span<const double> mean);
// p_y = sum_x P(y|x) p_x: one pass, since each further one would bring it nearer to uniform.
std::vector<double> transmit(const Matrix& channel, std::span<const double> source);
// -sum p log2 p, in bits.
double entropy(std::span<const double> distribution);
// I = H(p_y) - sum_x p_x H(P(.|x)), in bits.
double mutual_information(const Matrix& channel, std::span<const double> source);

struct CapacityStep {
  std::vector<double> source;   // p_x e^{D_x} / Z
  double lower = 0, upper = 0;  // ln Z <= capacity <= max D_x, in nats
};
// One iteration of Blahut and Arimoto; D_x = KL(P(.|x) || p_y) in nats.
CapacityStep capacity_step(const Matrix& channel, std::span<const double> source);

struct Capacity {
  std::vector<double> source;  // that reaches it
  double nats = 0;             // the lower bound
  int iterations = 0;
};
// From the uniform source until upper - lower < tolerance (nats) or for `iterations`.
Capacity capacity(const Matrix& channel, double tolerance = 1e-9, int iterations = 10000);

// ---- Causal proxy.

struct CausalProxy {
  double a_to_b = 0, b_to_a = 0;  // bits
  double balance = 1;             // 1 - |f_ab - f_ba|/(f_ab + f_ba); 1 if both are 0
};
// A proxy and no measure of causality: it ignores the target's own past, so that what follows from a common rhythm
// counts. f_ab = -0.5 log2(1 - corr(r_a(t), r_b(t+1))^2) and f_ba likewise, over the frames given (50 in the pipeline,
// at least 3). A series that does not change (by more than 1e-12 of its mean) correlates with nothing; a correlation of
// 1 to the last digit is taken as 1 - 2^-52, which leaves f finite. Error(bad_input) for series of different lengths.
CausalProxy causal_proxy(std::span<const double> r_a, std::span<const double> r_b);

}  // namespace warpwright::workloads::synchronisation
