// S6B, the choice of a policy by expected free energy: what its kernels should compute, in double precision and written
// to be read beside the formulas (Friston et al. 2007; Da Costa et al., J. Math. Psychol. 99 (2020) 102447; Parr,
// Pezzulo and Friston, Active Inference, 2022). From the posterior of S6A every policy is rolled out over H chained
// steps: control, evolution under a drive of slow modes, prediction, sensing. The control within the roll-out is
// -gn phi; a constant -gn mu over-corrects from the second step on and was rejected. Sensing lowers the variance, so
// that policies differ in what they learn; with the default numbers that information dominates G.
//
// Evolution is exact (the Ornstein-Uhlenbeck step in closed form), or made of NS Euler sub-steps, or of these with
// noise (sampled). Results are equal within one of them only; sub-steps converge to the exact one to first order in
// 1/NS.
//
// What is random is drawn from `draws`, whose stage is Stage::inference. All functions are thread-safe and keep
// nothing. Sizes: n windows, m sensors, n_a modes, P policies, H steps; vectors have n values unless said otherwise.
// Times in s, rates in 1/s, G and its parts in nats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "workloads/common/matrix.hpp"
#include "workloads/common/random.hpp"
#include "workloads/inference/oracle.hpp"

namespace warpwright::workloads::policy {

// ---- Policies.

enum class Sensing {
  uniform,  // evenly spread windows
  adaptive  // the windows of largest variance
};

struct Policy {
  double gain = 1;          // gn
  std::size_t windows = 0;  // n_s of them are sensed, at most n; 0 senses nothing
  Sensing mode = Sensing::uniform;
};

// The five of the specification.
std::vector<Policy> default_policies();

enum class Evolution { exact, sub_stepped, sampled };

// What C_w in the drive is.
enum class Drive {
  coupled,  // C with rows normalised to sum 1; a row of zeros stays one
  identity  // a cheap preset: neighbours do not matter
};

struct Settings {
  std::vector<Policy> policies = default_policies();
  std::size_t horizon = 3;  // H
  double duration = 0.01;   // D_h of a step, s
  Evolution evolution = Evolution::exact;
  std::size_t sub_steps = 100;  // NS
  Drive drive = Drive::coupled;
  std::size_t modes = 100;          // n_a
  double mode_rate = 0.1;           // lam, 1/s
  double mode_variance = 1e-2;      // c
  double relaxation = 10;           // gw, 1/s
  double diffusion = 0.1;           // D, 1/s; the stationary variance is v_s = D/gw
  double preference_precision = 1;  // pc
  double preferred = 1;             // o*; equal to o_0, or the preference would ask for a signal
};

// ---- The parts of a roll-out.

// Indices of the sensed windows, ascending. uniform: floor((j + 0.5) n/n_s), j < n_s. adaptive: the n_s windows of
// largest variance, ties to the lower index. The set is fixed for a frame. Error(bad_input) for more windows than there
// are.
std::vector<std::size_t> sensed_windows(const Policy& policy, std::span<const double> variance);

// s_i = sum over sensed windows of 1 at the window and 0.09 (= 0.3^2, the shape of J) at both neighbours; n values.
std::vector<double> sensing_strengths(std::span<const std::size_t> sensed, std::size_t n);

// Modes before the first frame, a ~ N(0, c): the set-up draw of stage 6, array 0; n_a values.
std::vector<double> initial_modes(const Draws& draws, const Settings& settings);

// a <- e^{-lam D_h} a + sqrt(c (1 - e^{-2 lam D_h})) xi, n_a values; xi of (frame, step of the horizon). Exact for a
// step of any length, so that a stays N(0, c).
std::vector<double> advance_modes(std::span<const double> modes, const Draws& draws, std::uint32_t frame,
                                  std::uint32_t step, const Settings& settings);

// (A a)_i = a_k + 0.3 (a_{k-1} + a_{k+1}), k = floor(i n_a/n), modes outside the range left out; n values.
std::vector<double> spread_modes(std::span<const double> modes, std::size_t n);

// C_w sin(A a). coupling: n x n (not read for Drive::identity).
std::vector<double> drive(const Matrix& coupling, std::span<const double> modes, std::size_t n, Drive kind);

// Mean and variance of the state.
struct Belief {
  std::vector<double> phi, variance;
};

// u = -gn phi; phi <- phi + u. Once in a step of the horizon, whatever the number of sub-steps. Returns u.
std::vector<double> control(Belief& belief, double gain);

// Step 3 of a roll-out: relaxation under a drive that is constant over D_h. exact:
//   phi <- e^{-gw D_h} phi + (1 - e^{-gw D_h})/gw drive,  var <- v_s + (var - v_s) e^{-2 gw D_h};
// sub_stepped, NS times with hs = D_h/NS:
//   phi += hs (drive - gw phi),  var <- (1 - gw hs)^2 var + 2 D hs;
// sampled adds sqrt(2 D hs) xi to phi, xi of (frame, step NS + sub-step, 1 + policy). Error(bad_input) if gw hs >= 1,
// which would wipe out the state.
Belief evolve(const Belief& belief, std::span<const double> driven, const Draws& draws, std::uint32_t frame,
              std::size_t step, std::size_t policy, const Settings& settings);

// var_i <- 1/(1/var_i + po s_i).
std::vector<double> sense(std::span<const double> variance, std::span<const double> strengths, double precision);

// I_h = 0.5 sum_i ln(before_i/after_i), nats, at least 0.
double information_gain(std::span<const double> before, std::span<const double> after);

// ---- The choice.

struct Step {
  double risk = 0;         // 0.5 pc |o_hat - o*|^2
  double ambiguity = 0;    // 0.5 pc tr(Sig_h), with the variance before sensing
  double constant = 0;     // (m/2) ln(2 pi/pc)
  double information = 0;  // I_h
};

struct Outcome {
  double value = 0;                   // G = sum over steps of risk + ambiguity + constant - information
  std::vector<Step> steps;            // H
  std::vector<double> first_control;  // u of the first step
  Belief belief;                      // after the last step
};

struct Choice {
  std::size_t chosen = 0;         // argmin G, the first of equals
  std::vector<double> control;    // the first u of the chosen policy: the output of S6
  std::vector<Outcome> outcomes;  // one for each policy
  std::vector<double> modes;      // a after the first step, kept for the next frame; n_a
};

// Rolls out all policies from the posterior (mean and variance, n each) of S6A. coupling: n x n, the C of S3. modes:
// n_a values of the frame before. All policies see the same modes. Error(bad_input) for sizes that do not fit and for
// settings that are not positive.
Choice choose(const inference::Model& model, const Matrix& coupling, std::span<const double> mean,
              std::span<const double> variance, std::span<const double> modes, const Draws& draws, std::uint32_t frame,
              const Settings& settings = {});

// Variant: the probabilities exp(-beta G) / sum exp(-beta G), P values.
std::vector<double> softmax(std::span<const Outcome> outcomes, double beta = 1);

// ---- Orbit of the telescope: optional, affects nothing else.

inline constexpr double earth_gravity = 3.986004418e14;  // mu_E, m^3/s^2
inline constexpr double orbit_radius = 6.771e6;          // r_0, m

struct Orbit {
  double x = orbit_radius, y = 0;  // m
  double vx = 0, vy = 0;           // m/s
};
// At r_0 with the speed of the circle, sqrt(mu_E/r_0); its period is 92.4 min.
Orbit circular_orbit();
// One step of velocity Verlet (Verlet 1967, Swope et al. 1982), whose energy does not drift; seconds: 60 in a frame.
Orbit advance(const Orbit& orbit, double seconds = 60);
// Kinetic plus potential energy by mass, J/kg.
double energy(const Orbit& orbit);

}  // namespace warpwright::workloads::policy
