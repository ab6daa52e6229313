// The frame: what all stages S1 to S8 together should compute, in double precision. It holds no formula of a stage;
// each is the stage's own oracle. What is decided here is what flows from one into the next:
//
//   x -> S1 -> bits -> ring buffer -> S2 -> flow -> S3 -> C
//   theta, v, C -> S4 -> theta -> S5 (C) -> |psi|^2, arg psi
//   |psi|^2 -> observation -> S6A -> mu, var -> S6B (C, modes) -> u -> S7 (mu) -> u_out, mu'
//   theta, arg psi, mu', C -> S8 -> al, which is theta of the next frame
//
// What was wrong elsewhere and is tested here: the ring buffer gets the first n bits of R; C is passed on, and is
// all-to-all until the ring buffer is full; S6A starts at the prior mean in each frame; mu after S7 feeds S8 only.
//
// Phases in rad, velocities in rad/s, information in bits, free energies in nats. All functions are thread-safe and
// keep nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "workloads/common/history.hpp"
#include "workloads/common/matrix.hpp"
#include "workloads/common/sizes.hpp"
#include "workloads/inference/oracle.hpp"
#include "workloads/oscillators/oracle.hpp"
#include "workloads/policy/oracle.hpp"
#include "workloads/quantum/oracle.hpp"
#include "workloads/reservoir/oracle.hpp"
#include "workloads/synchronisation/oracle.hpp"
#include "workloads/transfer_entropy/oracle.hpp"

namespace warpwright::workloads::frame {

// Frames of the causal proxy.
inline constexpr std::size_t proxy_frames = 50;
// Samples of the transfer entropy look so many frames ahead.
inline constexpr std::size_t flow_lag = 1;

// The numbers of the stages that a caller may choose; defaults are those of the specification.
struct Settings {
  std::uint32_t seed = 1;
  // S2 and S3 run every so many frames (k), at least 1, counted from the first frame with a full ring buffer.
  std::size_t flow_period = 1;
  double coupling_rate = 0.1;  // eta
  double strength = 4.0;       // K
  double noise = 0.01;         // nu of the reservoir
  // Every frame makes the same number of iterations, so that its time and its results do not depend on where rounding
  // lets it stop; F changes by less than 1e-4 nats after 8.
  inference::Settings inference = {.kappa = 0.01, .tolerance = -1.0, .iterations = 10};
};

// What does not change from frame to frame.
struct Model {
  Sizes sizes;
  Settings settings;
  reservoir::SparseMatrix input_weights, recurrent;  // R x n, R x R
  reservoir::Parameters reservoir;
  oscillators::Underdamped oscillators;
  std::vector<double> frequencies;  // omega of S4, n, rad/s
  std::size_t steps = 0;            // of S4 in a frame
  quantum::Propagation propagation;
  inference::Model inference;
  policy::Settings policy;
  synchronisation::Frequencies bridge;
  synchronisation::Settings synchronisation;
};

// Draws weights and frequencies of the seed. Throws Error(bad_input) for sizes that check() refuses, for a batch other
// than 1 and bins other than 2 (a bit is what S1 makes), and for a flow period of 0. O(R^2 + R n) draws.
Model make_model(const Sizes& sizes, const Settings& settings = {});

// What one frame leaves to the next.
struct State {
  explicit State(const Sizes& sizes) : history(sizes.history, sizes.oscillators) {}

  std::uint32_t frame = 0;               // number of the next frame
  std::vector<double> units;             // rs, R
  std::vector<double> thresholds;        // running medians, n
  History history;                       // ring buffer, T_h x n
  Matrix coupling;                       // C, n x n
  bool coupled = false;                  // whether C was made of flow: the first time it is taken as a whole
  std::size_t coupling_age = 0;          // frames since then; 0: C is of the last frame. 0 as long as not coupled
  std::vector<double> phases;            // theta, n, in (-pi, pi]
  std::vector<double> velocities;        // v, n
  std::vector<double> modes;             // a, n_a
  std::vector<double> order_a, order_b;  // r_a and r_b of the last frames, at most proxy_frames, oldest first
};

// Before the first frame: reservoir and medians at 0, C all-to-all, the rest drawn from the seed.
State initial_state(const Model& model);

// What each stage makes of one frame.
struct Outputs {
  // S1
  std::vector<double> units;       // rs, R
  std::vector<double> margins;     // |rs_i - th_i| of the first n: how clearly each bit was decided
  std::vector<std::uint8_t> bits;  // n
  std::vector<double> thresholds;  // n
  // S2, S3
  std::optional<transfer_entropy::Flow> flow;  // in frames in which S2 runs
  Matrix coupling;                             // C, as the later stages see it
  std::size_t coupling_age = 0;
  // S4
  std::vector<double> phases, velocities;
  oscillators::OrderParameter order;
  double potential = 0;           // U
  double kinetic = 0;             // sum v^2 / 2
  std::vector<double> heats;      // of each rotor to the bath in this frame
  double heat = 0;                // Q, their sum
  double entropy_production = 0;  // sigma = Q / (T dt), 1/s
  // S5
  std::vector<double> probabilities;  // |psi_i|^2
  std::vector<double> wave_phases;    // arg psi_i
  // S6
  std::vector<double> observation;  // m
  inference::Result inference;
  policy::Choice choice;
  // S7
  std::vector<double> output;  // u_out, n: what leaves the frame
  std::vector<double> mean;    // mu after S7, n
  // S8
  synchronisation::Populations populations;
  synchronisation::Order agreement;  // rho, r_a, r_b
  double information = 0;            // bits
  synchronisation::CausalProxy proxy;
};

// Sites whose amplitude is smaller than this part of the largest have no phase worth comparing: a rounding error of the
// large amplitudes, 1e-6 of them in single precision, turns it by more than the limit of 1e-4.
inline constexpr double least_amplitude = 1e-2;

// What an implementation has decided in the frame that it is compared in. Where the margin of a decision is within
// `margin` (relative to the largest magnitude of what is compared) its decision is taken over: rounding may turn it,
// and everything behind it. A decision with a larger margin is the oracle's.
struct Decisions {
  std::vector<std::uint8_t> bits;  // n; empty: none are taken over
  std::optional<std::size_t> policy;
  double margin = 0;
  std::vector<double> wave_phases;  // n, of which those below least_amplitude are taken over; empty: none are
};

// One frame. x: n values. Throws Error(bad_input) for another number of values and for one that is not finite.
Outputs advance(const Model& model, State& state, std::span<const double> x, const Decisions& decisions = {});

// The input of a demonstration frame: a wave that travels over the windows, and noise; n values in [0, 1]. A function
// of seed, frame and n.
std::vector<float> example_input(std::size_t n, std::uint32_t seed, std::uint32_t frame);

}  // namespace warpwright::workloads::frame
