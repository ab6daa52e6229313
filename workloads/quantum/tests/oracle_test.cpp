// S5 against closed forms. What is shared with the oracle is the definition of the gates; circuits and propagators have
// their own formulas here.
#include "workloads/quantum/oracle.hpp"

#include <cmath>
#include <complex>
#include <cstddef>
#include <gtest/gtest.h>
#include <numbers>
#include <vector>

#include <warpwright/base/error.hpp>

#include "workloads/common/error_measure.hpp"
#include "workloads/common/matrix.hpp"
#include "workloads/common/random.hpp"

namespace warpwright::workloads::quantum {
namespace {

using std::numbers::pi;

constexpr Amplitude one_i{0, 1};

std::vector<double> random_phases(std::size_t n, std::uint32_t array) {
  std::vector<double> theta(n);
  Draws(11, Stage::quantum).uniforms(setup_frame, array, theta);
  for (double& angle : theta) angle *= 2 * pi;
  return theta;
}

// Normalised, with amplitudes of different sizes.
State random_state(std::size_t n, std::uint32_t array) {
  std::vector<double> parts(2 * n);
  Draws(12, Stage::quantum).normals(setup_frame, array, parts);
  State psi(n);
  for (std::size_t i = 0; i < n; ++i) psi[i] = {parts[2 * i], parts[2 * i + 1]};
  const double norm = std::sqrt(squared_norm(psi));
  for (Amplitude& amplitude : psi) amplitude /= norm;
  return psi;
}

// Not symmetric, zero diagonal.
Matrix random_coupling(std::size_t n, std::uint32_t array) {
  Matrix coupling(n, n);
  const Draws draws(13, Stage::quantum);
  for (std::size_t i = 0; i < n; ++i) {
    draws.uniforms(array, static_cast<std::uint32_t>(i), coupling.row(i));
    coupling(i, i) = 0;
  }
  return coupling;
}

Matrix all_to_all(std::size_t n) {
  Matrix coupling(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) coupling(i, j) = i == j ? 0 : 1;
  }
  return coupling;
}

Matrix ring(std::size_t n) {
  Matrix coupling(n, n);
  for (std::size_t i = 0; i < n; ++i) coupling(i, (i + 1) % n) = coupling((i + 1) % n, i) = 1;
  return coupling;
}

State basis_state(std::size_t size, std::size_t index) {
  State psi(size);
  psi[index] = 1;
  return psi;
}

double distance(const State& a, const State& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

Amplitude overlap(const State& a, const State& b) {
  Amplitude sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::conj(a[i]) * b[i];
  return sum;
}

// ---- 5A.

TEST(QuantumGates, HaveTheirMatrices) {
  const double a = 0.7, c = std::cos(a / 2), s = std::sin(a / 2), h = std::sqrt(0.5);
  const State zero{1, 0}, one{0, 1};
  EXPECT_LT(distance(rx(zero, 0, a), {c, -one_i * s}), 1e-15);
  EXPECT_LT(distance(rx(one, 0, a), {-one_i * s, c}), 1e-15);
  EXPECT_LT(distance(rz(zero, 0, a), {Amplitude(c, -s), 0}), 1e-15);
  EXPECT_LT(distance(rz(one, 0, a), {0, Amplitude(c, s)}), 1e-15);
  EXPECT_LT(distance(hadamard(zero, 0), {h, h}), 1e-15);
  EXPECT_LT(distance(hadamard(one, 0), {h, -h}), 1e-15);
}

TEST(QuantumGates, RotationsAreGroupsOfOneParameter) {
  const State psi = random_state(16, 0);
  for (int qubit = 0; qubit < 4; ++qubit) {
    EXPECT_LT(distance(rx(rx(psi, qubit, 0.4), qubit, 0.5), rx(psi, qubit, 0.9)), 1e-15);
    EXPECT_LT(distance(rz(rz(psi, qubit, 0.4), qubit, -0.4), psi), 1e-15);
    // A whole turn changes the sign of a spin one half.
    State turned = rx(psi, qubit, 2 * pi);
    for (Amplitude& amplitude : turned) amplitude = -amplitude;
    EXPECT_LT(distance(turned, psi), 1e-15);
  }
}

TEST(QuantumGates, KeepAnglesBetweenStates) {
  const State a = random_state(32, 1), b = random_state(32, 2);
  const Amplitude before = overlap(a, b);
  for (int qubit = 0; qubit < 5; ++qubit) {
    const int other = (qubit + 2) % 5;
    EXPECT_LT(std::abs(overlap(rx(a, qubit, 1.1), rx(b, qubit, 1.1)) - before), 1e-15);
    EXPECT_LT(std::abs(overlap(rz(a, qubit, 1.1), rz(b, qubit, 1.1)) - before), 1e-15);
    EXPECT_LT(std::abs(overlap(hadamard(a, qubit), hadamard(b, qubit)) - before), 1e-15);
    EXPECT_LT(std::abs(overlap(cz(a, qubit, other), cz(b, qubit, other)) - before), 1e-15);
    EXPECT_LT(std::abs(overlap(cnot(a, qubit, other), cnot(b, qubit, other)) - before), 1e-15);
  }
}

TEST(QuantumGates, HadamardTwiceIsNothing) {
  const State psi = random_state(64, 3);
  for (int qubit = 0; qubit < 6; ++qubit) {
    EXPECT_LT(distance(hadamard(hadamard(psi, qubit), qubit), psi), 1e-15);
    EXPECT_GT(distance(hadamard(psi, qubit), psi), 1e-2);
  }
}

TEST(QuantumGates, CnotTruthTable) {
  for (int control = 0; control < 3; ++control) {
    for (int target = 0; target < 3; ++target) {
      if (control == target) continue;
      for (std::size_t index = 0; index < 8; ++index) {
        const std::size_t flipped = (index >> control & 1) != 0 ? index ^ (std::size_t{1} << target) : index;
        EXPECT_EQ(cnot(basis_state(8, index), control, target), basis_state(8, flipped))
            << control << " -> " << target << ", " << index;
      }
    }
  }
}

TEST(QuantumGates, CnotIsCzBetweenHadamards) {
  const State psi = random_state(16, 4);
  EXPECT_LT(distance(cnot(psi, 2, 0), hadamard(cz(hadamard(psi, 0), 2, 0), 0)), 1e-15);
  EXPECT_EQ(cz(psi, 1, 3), cz(psi, 3, 1));
}

TEST(QuantumGates, MakeABellState) {
  const State bell = cnot(hadamard(ground_state(2), 0), 0, 1);
  EXPECT_LT(distance(bell, {std::sqrt(0.5), 0, 0, std::sqrt(0.5)}), 1e-15);
}

TEST(QuantumGates, SayWhatTheyCannotDo) {
  EXPECT_THROW(rx(State(6), 0, 1), Error) << "no power of two";
  EXPECT_THROW(rx(State{}, 0, 1), Error);
  EXPECT_THROW(hadamard(ground_state(3), 3), Error);
  EXPECT_THROW(hadamard(ground_state(3), -1), Error);
  EXPECT_THROW(cnot(ground_state(3), 1, 1), Error);
  EXPECT_THROW(cz(ground_state(3), 0, 5), Error);
  EXPECT_THROW(ground_state(0), Error);
  EXPECT_THROW(ground_state(25), Error);
  EXPECT_THROW(run_circuit({}, {}), Error);
}

TEST(QuantumFourier, OfADeltaIsFlat) {
  for (const std::size_t size : {8u, 12u}) {
    const State flat = fourier(basis_state(size, 0));
    for (const Amplitude& amplitude : flat) {
      EXPECT_LT(std::abs(amplitude - 1 / std::sqrt(static_cast<double>(size))), 1e-15);
    }
    // A delta elsewhere has the same probabilities and phases that wind.
    const State wound = fourier(basis_state(size, 3));
    for (std::size_t k = 0; k < size; ++k) {
      const double angle = 2 * pi * 3 * static_cast<double>(k) / static_cast<double>(size);
      EXPECT_LT(std::abs(wound[k] - std::polar(1 / std::sqrt(static_cast<double>(size)), angle)), 1e-14);
    }
  }
}

TEST(QuantumFourier, InverseAndNorm) {
  const State psi = random_state(256, 5);
  EXPECT_NEAR(squared_norm(fourier(psi)), 1, 1e-12);
  EXPECT_NEAR(squared_norm(inverse_fourier(psi)), 1, 1e-12);
  EXPECT_LT(distance(inverse_fourier(fourier(psi)), psi), 1e-13);
  // Twice forward reflects the index.
  const State twice = fourier(fourier(psi));
  for (std::size_t i = 0; i < psi.size(); ++i) EXPECT_LT(std::abs(twice[i] - psi[(256 - i) % 256]), 1e-13);
}

// After one layer every qubit is (e^{-it/2}, -i e^{it/2})/sqrt 2, and each pair of neighbouring ones changes the sign.
TEST(QuantumCircuit, OneLayerInClosedForm) {
  const int qubits = 5;
  const auto theta = random_phases(7, 0);
  const State psi = run_circuit(theta, {.qubits = qubits, .layers = 1});
  for (std::size_t index = 0; index < psi.size(); ++index) {
    Amplitude expected = std::pow(2.0, -0.5 * qubits);
    for (int k = 0; k < qubits; ++k) {
      const double half = theta[static_cast<std::size_t>(k)] / 2;
      expected *= (index >> k & 1) != 0 ? -one_i * std::polar(1.0, half) : std::polar(1.0, -half);
      if (k + 1 < qubits && (index >> k & 3) == 3) expected = -expected;
    }
    EXPECT_LT(std::abs(psi[index] - expected), 1e-15) << index;
  }
}

// All layers by their whole matrix: sign_i prod_k M_k[bit k of i][bit k of j]. With 7 phases for 3 x 4 gates they
// repeat.
TEST(QuantumCircuit, AllLayersByTheirWholeMatrix) {
  const std::size_t qubits = 3, size = 8;
  const auto theta = random_phases(7, 1);
  State expected = basis_state(size, 0);
  for (std::size_t layer = 0; layer < 4; ++layer) {
    State next(size);
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j < size; ++j) {
        Amplitude entry = 1;
        for (std::size_t k = 0; k < qubits; ++k) {
          const bool row = (i >> k & 1) != 0, column = (j >> k & 1) != 0;
          const double half = theta[(layer * qubits + k) % theta.size()] / 2;
          entry *= std::polar(1.0, row ? half : -half) * (row == column ? Amplitude(1) : -one_i) * std::sqrt(0.5);
        }
        const bool odd = ((i & 3) == 3) != ((i >> 1 & 3) == 3);
        next[i] += (odd ? -entry : entry) * expected[j];
      }
    }
    expected = next;
  }
  EXPECT_LT(distance(run_circuit(theta, {.qubits = 3}), expected), 1e-14);
}

TEST(QuantumCircuit, NormOfTenQubitsAndWhatItReads) {
  auto theta = random_phases(900, 2);
  const State psi = run_circuit(theta);
  ASSERT_EQ(psi.size(), 1024u);
  EXPECT_NEAR(squared_norm(psi), 1, 1e-12);
  theta[39] += 0.1;  // the last phase that is read: RZ of the last qubit changes phases only
  const State moved = run_circuit(theta);
  EXPECT_GT(distance(moved, psi), 1e-3);
  const auto p = probabilities(psi), q = probabilities(moved);
  for (std::size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(p[i], q[i], 1e-15);
  theta[29] += 0.1;  // one layer before, probabilities change
  const auto r = probabilities(run_circuit(theta));
  EXPECT_GT(relative_max_error<double>(r, p), 1e-3);
  theta[40] += 1;
  EXPECT_EQ(probabilities(run_circuit(theta)), r) << "four layers of ten qubits read 40 phases";
}

// ---- 5B.

TEST(QuantumPropagation, PreparedStateIsFlatWithThePhasesOfTheta) {
  const auto theta = random_phases(50, 3);
  const State psi = prepare(theta);
  EXPECT_NEAR(squared_norm(psi), 1, 1e-14);
  for (const double p : probabilities(psi)) EXPECT_NEAR(p, 0.02, 1e-15);
  EXPECT_LT(phase_error<double>(phases(psi), theta), 1e-15);
}

// C = 11^T - 1, d = n - 1: the uniform state has energy -Jh, all that is orthogonal to it +Jh/(n - 1).
TEST(QuantumPropagation, AllToAllInClosedForm) {
  for (const std::size_t n : {2u, 3u, 40u}) {
    const State psi = random_state(n, 6);
    const Propagation propagation{.hopping = 150, .dt = 0.013, .terms = 20};
    Amplitude mean = 0;
    for (const Amplitude& amplitude : psi) mean += amplitude / static_cast<double>(n);
    const double z = propagation.hopping * propagation.dt;
    State expected(n);
    for (std::size_t i = 0; i < n; ++i) {
      expected[i] = std::polar(1.0, z) * mean + std::polar(1.0, -z / static_cast<double>(n - 1)) * (psi[i] - mean);
    }
    EXPECT_LT(distance(propagate(all_to_all(n), psi, propagation), expected), 1e-13) << n;
  }
}

// On a ring Ham/Jh has eigenvalues -cos k: a delta spreads as i^x BesJ_x(Jh dt), as long as it does not meet itself.
TEST(QuantumPropagation, RingSpreadsAsBesselFunctions) {
  const std::size_t n = 61;
  const State psi = propagate(ring(n), basis_state(n, 30), {});
  Amplitude power = 1;
  for (std::size_t x = 0; x <= 30; ++x) {
    const Amplitude expected = power * std::cyl_bessel_j(static_cast<double>(x), 2.0);
    EXPECT_LT(std::abs(psi[30 + x] - expected), 1e-13) << x;
    EXPECT_LT(std::abs(psi[30 - x] - expected), 1e-13) << x;
    power *= one_i;
  }
}

// The row sums of C^s differ here, so that d is the largest of them and no other.
TEST(QuantumPropagation, StarInClosedForm) {
  const std::size_t n = 10;  // centre 0, nine leaves; d = 9, spectrum of C: +-3 and 0
  Matrix star(n, n);
  for (std::size_t leaf = 1; leaf < n; ++leaf) star(leaf, 0) = star(0, leaf) = 1;
  const State psi = propagate(star, basis_state(n, 0), {});
  const double angle = 2.0 * 3 / 9;
  EXPECT_LT(std::abs(psi[0] - std::cos(angle)), 1e-13);
  for (std::size_t leaf = 1; leaf < n; ++leaf) EXPECT_LT(std::abs(psi[leaf] - one_i * std::sin(angle) / 3.0), 1e-13);
}

TEST(QuantumPropagation, HamiltonianIsMinusTheScaledSymmetricCoupling) {
  Matrix coupling(3, 3);
  coupling(0, 1) = 1;  // C^s: 1/2 between 0 and 1, 1/4 between 1 and 2; d = 3/4
  coupling(2, 1) = 0.5;
  const State moved = apply_hamiltonian(coupling, 6, {1, one_i, 2});
  EXPECT_LT(distance(moved, {-4.0 * one_i, -4.0 - 4.0, -2.0 * one_i}), 1e-14);
  EXPECT_NEAR(energy(coupling, 6, {1, one_i, 2}), 0, 1e-14);
  EXPECT_NEAR(energy(coupling, 6, {1, 1, 2}), 2 * (-4 - 4), 1e-13);
}

TEST(QuantumPropagation, NormAndEnergyOfAFrameAreKept) {
  const std::size_t n = 300;
  const Matrix coupling = random_coupling(n, 0);
  const State psi = prepare(random_phases(n, 4));
  const State after = propagate(coupling, psi, {});
  EXPECT_NEAR(squared_norm(after), 1, 1e-12);
  EXPECT_NEAR(energy(coupling, 200, after), energy(coupling, 200, psi), 1e-10);
  EXPECT_GT(distance(after, psi), 1e-3);
  // Probabilities and relative phases both change, which scaling all amplitudes alike cannot do.
  EXPECT_GT(relative_max_error<double>(probabilities(after), probabilities(psi)), 0.05);
}

TEST(QuantumPropagation, StatesOfDifferentSizesKeepTheirNorm) {
  const Matrix coupling = random_coupling(100, 1);
  State psi = random_state(100, 7);
  const double before = energy(coupling, 200, psi);
  for (int frame = 0; frame < 20; ++frame) psi = propagate(coupling, psi, {});
  EXPECT_NEAR(squared_norm(psi), 1, 1e-11);
  EXPECT_NEAR(energy(coupling, 200, psi), before, 1e-9);
}

TEST(QuantumPropagation, BackwardUndoesForward) {
  const Matrix coupling = random_coupling(120, 2);
  const State psi = random_state(120, 8);
  const State after = propagate(coupling, psi, {});
  EXPECT_LT(distance(propagate(coupling, after, {.dt = -0.01}), psi), 1e-12);
  // Two halves are the whole, and time can be turned by conjugation.
  EXPECT_LT(distance(propagate(coupling, propagate(coupling, psi, {.dt = 0.005}), {.dt = 0.005}), after), 1e-12);
  State conjugate(after.size());
  for (std::size_t i = 0; i < after.size(); ++i) conjugate[i] = std::conj(after[i]);
  State returned = propagate(coupling, conjugate, {});
  for (Amplitude& amplitude : returned) amplitude = std::conj(amplitude);
  EXPECT_LT(distance(returned, psi), 1e-12);
}

TEST(QuantumPropagation, StepsOfNoTimeAndOfLongTime) {
  const Matrix coupling = random_coupling(30, 3);
  const State psi = random_state(30, 9);
  EXPECT_LT(distance(propagate(coupling, psi, {.dt = 0}), psi), 1e-15);
  // Ten frames at once need more terms than Jh dt = 20.
  State by_frames = psi;
  for (int frame = 0; frame < 10; ++frame) by_frames = propagate(coupling, by_frames, {});
  EXPECT_LT(distance(propagate(coupling, psi, {.dt = 0.1, .terms = 50}), by_frames), 1e-11);
}

// What 2 sum_{k >= n_c} |BesJ_k(2)| leaves: 1.5e-13 of the norm in double precision, 9e-7 with the ten terms of fp32.
TEST(QuantumPropagation, TermsThatAreLeftOut) {
  const std::size_t n = 200;
  const Matrix coupling = ring(n);
  const State psi = random_state(n, 10);
  const State exact = propagate(coupling, psi, {.terms = 30});
  EXPECT_NEAR(squared_norm(exact), 1, 1e-13);
  EXPECT_LT(distance(propagate(coupling, psi, {}), exact), 1e-12);
  double left = 0, worst = 0;
  for (int k = 10; k < 30; ++k) left += 2 * std::cyl_bessel_j(static_cast<double>(k), 2.0);
  for (std::uint32_t array = 0; array < 10; ++array) {
    const State short_series = propagate(coupling, random_state(n, 20 + array), {.terms = 10});
    worst = std::max(worst, std::abs(std::sqrt(squared_norm(short_series)) - 1));
  }
  EXPECT_LT(worst, 5e-6) << "the limit of fp32";
  EXPECT_LT(worst, left);
  EXPECT_GT(worst, 1e-9) << "ten terms leave something";
  // At the edge of the spectrum, where the uniform state is, T_k = +-1 and nothing averages.
  const State edge = propagate(coupling, prepare(std::vector<double>(n, 0.0)), {.terms = 10});
  EXPECT_NEAR(std::abs(std::sqrt(squared_norm(edge)) - 1), 0, 9e-7);
}

TEST(QuantumPropagation, UncoupledSitesStayAndTheTransposeIsTheSame) {
  const State psi = random_state(20, 11);
  EXPECT_LT(distance(propagate(Matrix(20, 20), psi, {}), psi), 1e-12);
  const Matrix coupling = random_coupling(20, 4);
  Matrix transpose(20, 20);
  for (std::size_t i = 0; i < 20; ++i) {
    for (std::size_t j = 0; j < 20; ++j) transpose(j, i) = coupling(i, j);
  }
  EXPECT_EQ(propagate(coupling, psi, {}), propagate(transpose, psi, {}));
}

TEST(QuantumPropagation, SaysWhatItCannotDo) {
  const State psi = random_state(4, 12);
  EXPECT_THROW(propagate(Matrix(3, 3), psi, {}), Error);
  EXPECT_THROW(propagate(Matrix(4, 3), psi, {}), Error);
  EXPECT_THROW(propagate(Matrix(4, 4), psi, {.hopping = 0}), Error);
  EXPECT_THROW(propagate(Matrix(4, 4), psi, {.terms = 0}), Error);
  EXPECT_THROW(energy(Matrix(3, 3), 200, psi), Error);
}

// ---- What is read.

TEST(QuantumOutputs, PhasesOfSmallAmplitudesAreZero) {
  const State psi{std::polar(0.6, 2.0), std::polar(0.9e-6, 2.0), std::polar(1.1e-6, 2.0), -0.8};
  const auto phi = phases(psi);
  EXPECT_NEAR(phi[0], 2, 1e-15);
  EXPECT_EQ(phi[1], 0);
  EXPECT_NEAR(phi[2], 2, 1e-15);
  EXPECT_EQ(phi[3], pi);
  EXPECT_EQ(phases({Amplitude(-1.0, -0.0)})[0], pi) << "into (-pi, pi]";
  const auto p = probabilities(psi);
  EXPECT_NEAR(p[0], 0.36, 1e-15);
  EXPECT_NEAR(p[3], 0.64, 1e-15);
}

TEST(QuantumOutputs, CoherenceMap) {
  const Matrix map = coherence_map(std::vector<double>{0, pi / 2, pi, -0.9 * pi});
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(map(i, i), 1);
  EXPECT_NEAR(map(0, 1), 0.5, 1e-15);
  EXPECT_NEAR(map(0, 2), 0, 1e-15);
  EXPECT_NEAR(map(2, 3), 0.9, 1e-15) << "over the seam";
  EXPECT_EQ(map(1, 3), map(3, 1));
}

}  // namespace
}  // namespace warpwright::workloads::quantum
