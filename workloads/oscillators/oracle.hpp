// S4: a network of oscillators that are coupled, driven and in touch with a heat bath.
//
// Phases th_i with F_i = (K/n) sum_j C_ij sin(th_j - th_i) (Kuramoto; Acebron et al., Rev. Mod. Phys. 77 (2005) 137).
//   4A overdamped:   d th = (omega_i + F_i) dt + sqrt(2 D) dW.
//   4B underdamped:  d th = v dt, dv = (Om_i + F_i - gamma v) dt + sqrt(2 gamma T) dW with the torque Om_i = gamma
//   omega_i,
//                    so that a free rotor turns at omega_i. This is the version of the frame.
//   4C springs:      F_i = -s sum_j C_ij (x_i - x_j) - k x_i, integrated as 4B.
// Underdamped motion by BAOAB (Leimkuhler and Matthews 2013): its temperature is right at any step that is stable,
// where Euler-Maruyama's is T / (1 - gamma h / 2). Heat and work by Sekimoto (1998), entropy production by Seifert (PRL
// 95 (2005) 040602). Natural units: k_B = 1, mass 1; time in s, phases in rad, frequencies in rad/s.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "workloads/common/matrix.hpp"
#include "workloads/common/random.hpp"

namespace warpwright::workloads::oscillators {

// Writes the force on each oscillator at these n phases or positions; both spans have n elements.
using Force = std::function<void(std::span<const double> positions, std::span<double> force)>;

// What the sum over neighbours is divided by.
enum class Normaliser {
  oscillators,  // K / n: the default
  row_sum,      // K / sum_j C_ij: the effective K does not depend on the scale of C; a row of zeros has no force
  none          // s itself in place of K / n: the strong preset, s = 0.5
};

// F of an n x n coupling, by pairs. Copies the coupling. Throws Error(bad_input) if it is empty or not square.
Force coupling_force(const Matrix& coupling, double strength, Normaliser normaliser = Normaliser::oscillators);

// F of n oscillators that are all coupled to each other (C_ij = 1 for i != j), in O(n) by the order parameter.
Force all_to_all_force(std::size_t n, double strength);

// 4C: springs of stiffness s C_ij between the oscillators and k to 0. Copies the coupling; errors as of
// coupling_force().
Force spring_force(const Matrix& coupling, double spring, double anchor = 1.0);

// U = -(K/2n) sum_ij C_ij cos(th_j - th_i): each pair counts once. The potential of F if C is symmetric.
double coupling_energy(const Matrix& coupling, double strength, std::span<const double> phases);

// U = (s/4) sum_ij C_ij (x_i - x_j)^2 + (k/2) sum x_i^2. The potential of 4C if C is symmetric.
double spring_energy(const Matrix& coupling, double spring, double anchor, std::span<const double> positions);

// r e^{i psi} = mean of e^{i th}; r in [0, 1], psi in (-pi, pi].
struct OrderParameter {
  double r = 0.0;
  double psi = 0.0;
};
OrderParameter order_parameter(std::span<const double> phases);

// Om_i = gamma omega_i.
std::vector<double> torques(std::span<const double> frequencies, double friction);

// 4A, one step of Euler and Maruyama, whose strong order is 1 here because the noise is additive; or of Heun, whose two
// slopes share the noise. `normals`: n standard normals. Phases are not wrapped.
struct Overdamped {
  double time_step = 1e-3;  // h, s
  double diffusion = 0.5;   // D, rad^2/s
};
void euler_maruyama_step(std::span<double> phases, const Force& force, std::span<const double> frequencies,
                         const Overdamped& parameters, std::span<const double> normals);
void heun_step(std::span<double> phases, const Force& force, std::span<const double> frequencies,
               const Overdamped& parameters, std::span<const double> normals);

// 4B and 4C.
struct Underdamped {
  double time_step = 1e-3;   // h, s
  double friction = 0.1;     // gamma, 1/s
  double temperature = 1.0;  // T
};

// n rotors. `force` is torque plus F at the phases; step() needs it and leaves it up to date.
struct State {
  std::vector<double> phases;      // th, or x of 4C; not wrapped
  std::vector<double> velocities;  // v
  std::vector<double> force;       // Om + F
  std::vector<double> heat;        // Q of each rotor to the bath since the start
  std::vector<double> work;        // W of each torque since the start, Om_i times the angle turned
};

// A state at rest in its books: heat and work are 0, the force is evaluated. Throws Error(bad_input) if sizes differ.
State start(std::vector<double> phases, std::vector<double> velocities, const Force& force,
            std::span<const double> torque);

// Initial state of a seed: th uniform on [0, 2 pi) (array 0), v ~ N(0, T) (array 1); frequencies normal with mean 1 and
// standard deviation 0.1 rad/s (array 2).
std::vector<double> initial_phases(std::size_t n, const Draws& draws);
std::vector<double> initial_velocities(std::size_t n, double temperature, const Draws& draws);
std::vector<double> natural_frequencies(std::size_t n, const Draws& draws);

// One step of BAOAB with one evaluation of the force. `normals`: n standard normals.
void step(State& state, const Force& force, std::span<const double> torque, const Underdamped& parameters,
          std::span<const double> normals);

double kinetic_energy(const State& state);  // sum v^2 / 2
double total_heat(const State& state);      // Q
double total_work(const State& state);      // W

// sigma = Q / (T t): of all rotors, 1/s.
double entropy_production_rate(const State& state, double temperature, double elapsed_seconds);

// Steps in a frame: max(1, round(dt / h)).
std::size_t steps_per_frame(double frame_seconds, double time_step);

// `steps` steps of frame `frame`, normals from draws (frame, step, rotor); then the phases are wrapped to (-pi, pi], so
// it is for 4B: the positions of 4C are no angles and go by step().
void run_frame(State& state, const Force& force, std::span<const double> torque, const Underdamped& parameters,
               std::size_t steps, const Draws& draws, std::uint32_t frame);

}  // namespace warpwright::workloads::oscillators
