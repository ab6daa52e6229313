// S5, the quantum analogue: what its kernels should compute, in double precision and written to be read beside the
// formulas. 5A is a state-vector simulation of a circuit with two-qubit gates; 5B moves a wave over the coupling graph
// by the Chebyshev expansion of the propagator (Tal-Ezer and Kosloff, J. Chem. Phys. 81 (1984) 3967), which needs
// products of the Hamiltonian with a vector only and, unlike a Taylor series, has an error that is uniform over the
// spectrum. A sum of exp(-i dt H_ij) H_ij psi_j over sites, which looks like a propagator, is not unitary: it was
// rejected.
//
// All functions are thread-safe (they keep nothing), return new values and change no argument, so a gate never reads
// what it has written. Units: phases in rad, energies and the hopping strength in rad/s (hbar = 1), times in s.
#pragma once

#include <complex>
#include <cstddef>
#include <span>
#include <vector>

#include "workloads/common/matrix.hpp"

namespace warpwright::workloads::quantum {

using Amplitude = std::complex<double>;
// Amplitudes by basis state (5A: 2^q of them, qubit k is bit k of the index; 5B: one for each of the n sites).
using State = std::vector<Amplitude>;

// ---- 5A: gates and the circuit. `qubit` and `control`, `target` count from 0; Error(bad_input) outside the state, for
// a state whose size is no power of two, and for a control that is its own target.

// |0...0> of 1 to 24 qubits.
State ground_state(int qubits);
// [[cos a/2, -i sin a/2], [-i sin a/2, cos a/2]] and diag(e^{-ia/2}, e^{ia/2}); angles in rad.
State rx(const State& psi, int qubit, double angle);
State rz(const State& psi, int qubit, double angle);
// (u + v)/sqrt 2, (u - v)/sqrt 2 on the pairs of amplitudes that differ in the qubit.
State hadamard(const State& psi, int qubit);
// Changes the sign where both qubits are 1.
State cz(const State& psi, int first, int second);
// Flips `target` where `control` is 1.
State cnot(const State& psi, int control, int target);
// The unitary transform psi'_k = N^{-1/2} sum_j e^{+-2 pi i jk/N} psi_j, + for the forward one; any size N.
State fourier(const State& psi);
State inverse_fourier(const State& psi);

struct Circuit {
  int qubits = 10;
  int layers = 4;
};
// From |0...0>, for every layer l: RX(pi/2) and RZ(theta_{(l q + k) mod n}) on each qubit k, then CZ(k, k+1) for
// k = 0 .. q-2. theta: n phases, n >= 1.
State run_circuit(std::span<const double> theta, const Circuit& circuit = {});

// ---- 5B: Chebyshev propagation over the coupling graph.

struct Propagation {
  double hopping = 200;  // Jh in rad/s, above 0
  double dt = 0.01;      // s; below 0 goes backward
  int terms = 16;        // n_c, at least 1: 16 leaves 1.5e-13 of the norm in double precision, 10 leave 9e-7
};
// n^{-1/2} e^{i theta}.
State prepare(std::span<const double> theta);
// Ham psi = -Jh C^s psi / d with C^s = (C + C^T)/2 and d its largest row sum; 0 where d = 0, as nothing is coupled.
// coupling: n x n, entries >= 0; psi: n. Error(bad_input) for sizes that do not fit.
State apply_hamiltonian(const Matrix& coupling, double hopping, const State& psi);
// psi' = e^{-i Ham dt} psi = sum_{k < n_c} (2 - [k = 0]) (-i)^k BesJ_k(Jh dt) T_k(Ham/Jh) psi.
State propagate(const Matrix& coupling, const State& psi, const Propagation& propagation = {});
// <psi| Ham |psi>, in rad/s.
double energy(const Matrix& coupling, double hopping, const State& psi);

// ---- What a frame reads of a state.

// sum |psi_i|^2.
double squared_norm(const State& psi);
// |psi_i|^2.
std::vector<double> probabilities(const State& psi);
// arg psi_i in (-pi, pi]; 0 where |psi_i| < 1e-6, since a phase means nothing there.
std::vector<double> phases(const State& psi);
// 1 - |wrap(phi_i - phi_j)| / pi for each pair of phases in rad: n x n, in [0, 1]. O(n^2): made on request only.
Matrix coherence_map(std::span<const double> phi);

}  // namespace warpwright::workloads::quantum
