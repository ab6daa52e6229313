// S6A, active inference on a linear Gaussian model: what its kernels should compute, in double precision and written to
// be read beside the formulas. The hidden state phi (one value per window) is seen through m sensors,
//   o = o_0 + J phi + eps,  eps ~ N(0, 1/po),  phi ~ N(mu_p, 1/pp),
// and its posterior is approximated by a Gaussian with a diagonal covariance whose mean climbs the gradient of the
// variational free energy F (Friston et al., NeuroImage 34 (2007) 220; Friston, Nat. Rev. Neurosci. 11 (2010) 127).
// The step kappa is fixed: a step that adapts beyond 2/L diverges, and a warm start keeps components outside the range
// of J^T, which decay by 0.999 per iteration only; so every frame starts at mu_p.
//
// All functions are thread-safe and keep nothing. Sizes: n windows, m sensors; vectors of n or m values, J is m x n.
// F is in nats; precisions are inverse variances of what they belong to.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "workloads/common/matrix.hpp"

namespace warpwright::workloads::inference {

struct Model {
  std::size_t windows = 900;         // n
  std::size_t sensors = 100;         // m, at most n
  double offset = 1;                 // o_0: what a sensor shows without a signal
  double observation_precision = 0;  // po, the photon count by default; see the constructor
  double prior_mean = 0;             // mu_p
  double prior_precision = 0.1;      // pp

  Model();
};

// Photons that a source of this magnitude leaves in a telescope of 1 m^2 in 0.01 s at an efficiency of 0.9:
// 1e7 * 10^(-mag/2.5) /s/m^2 * 1 m^2 * 0.01 s * 0.9; 56.786 at magnitude 8. It is the precision po of an observation.
double photon_count(double magnitude);

// c_k = floor((k + 0.5) n/m): sensors cover the whole range evenly.
std::size_t sensor_centre(std::size_t sensor, std::size_t windows, std::size_t sensors);

// J: row k is 1 at c_k and 0.3 at c_k - 1 and c_k + 1, which are dropped outside the range. m x n.
Matrix observation_matrix(const Model& model);

// o_k = mean of n p_i over the block of sites floor(k n/m) .. floor((k+1) n/m) - 1: m values, all 1 for the uniform
// state. probabilities: n values whose sum is 1, from S5.
std::vector<double> observe(std::span<const double> probabilities, std::size_t sensors);

// po (o - o_0 - J mu), m values: the prediction error, weighted once.
std::vector<double> weighted_error(const Model& model, const Matrix& matrix, std::span<const double> observation,
                                   std::span<const double> mean);

// One iteration, mu + kappa [J^T e - pp (mu - mu_p)], n values. Any kappa: it is infer() that refuses what diverges.
std::vector<double> iterate(const Model& model, const Matrix& matrix, std::span<const double> observation,
                            std::span<const double> mean, double kappa);

// var_i = 1/(pp + po sum_k J_ki^2), n values.
std::vector<double> variances(const Model& model, const Matrix& matrix);

// KL(q || prior) = 0.5 sum_i [pp (var_i + (mu_i - mu_p)^2) - 1 - ln(pp var_i)], at least 0.
double divergence_from_prior(const Model& model, std::span<const double> mean, std::span<const double> variance);

// F = 0.5 po |o - o_0 - J mu|^2 + 0.5 po sum_ki J_ki^2 var_i + (m/2) ln(2 pi/po) + divergence_from_prior.
double free_energy(const Model& model, const Matrix& matrix, std::span<const double> observation,
                   std::span<const double> mean, std::span<const double> variance);

// L, above which the curvature of F does not rise: po times the largest row sum of J J^T (1.18 where rows do not
// overlap, that is for n/m >= 3) plus pp. An iteration converges where kappa < 2/L.
double curvature_bound(const Model& model, const Matrix& matrix);

struct Settings {
  double kappa = 0.01;
  double tolerance = 1e-4;  // nats; below 0 all iterations are made, which is how results are compared
  int iterations = 100;     // at most
};

struct Result {
  std::vector<double> mean;           // mu, n
  std::vector<double> variance;       // n
  std::vector<double> free_energies;  // F at the start and after each iteration, nats
  int iterations = 0;
};

// Iterates from mu = mu_p until |dF| < tolerance. observation: m values. Error(bad_input) for wrong sizes, precisions
// that are not above 0, and a kappa that is not below 2/L.
Result infer(const Model& model, std::span<const double> observation, const Settings& settings = {});

}  // namespace warpwright::workloads::inference
