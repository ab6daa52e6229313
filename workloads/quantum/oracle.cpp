#include "workloads/quantum/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include <warpwright/base/error.hpp>

#include "workloads/common/error_measure.hpp"
#include "workloads/common/matrix.hpp"

namespace warpwright::workloads::quantum {
namespace {

using std::numbers::pi;

constexpr Amplitude imaginary_unit{0, 1};

// The bit of the qubit in an index, after checking that the state has that qubit.
std::size_t bit_of(const State& psi, int qubit) {
  const std::size_t size = psi.size();
  if (size == 0 || (size & (size - 1)) != 0)
    throw Error(ErrorCode::bad_input,
                "a state of qubits has a power of two of amplitudes, not " + std::to_string(size));
  if (qubit < 0 || qubit >= 62 || (std::size_t{1} << qubit) >= size)
    throw Error(ErrorCode::bad_input,
                "qubit " + std::to_string(qubit) + " is not in a state of " + std::to_string(size) + " amplitudes");
  return std::size_t{1} << qubit;
}

void check_pair(int first, int second) {
  if (first == second)
    throw Error(ErrorCode::bad_input,
                "a gate on two qubits needs two different ones, not qubit " + std::to_string(first) + " twice");
}

// The matrix [[m00, m01], [m10, m11]] on one qubit.
State one_qubit_gate(const State& psi, int qubit, Amplitude m00, Amplitude m01, Amplitude m10, Amplitude m11) {
  const std::size_t bit = bit_of(psi, qubit);
  State result(psi.size());
  for (std::size_t index = 0; index < psi.size(); ++index) {
    if ((index & bit) != 0) continue;
    const Amplitude u = psi[index], v = psi[index | bit];
    result[index] = m00 * u + m01 * v;
    result[index | bit] = m10 * u + m11 * v;
  }
  return result;
}

State fourier_with_sign(const State& psi, double sign) {
  const std::size_t size = psi.size();
  const double scale = 1 / std::sqrt(static_cast<double>(size));
  State result(size);
  for (std::size_t k = 0; k < size; ++k) {
    Amplitude sum = 0;
    for (std::size_t j = 0; j < size; ++j)
      // jk is taken modulo N first, so that the angle keeps its digits.
      sum += std::polar(1.0, sign * 2 * pi * static_cast<double>(j * k % size) / static_cast<double>(size)) * psi[j];
    result[k] = scale * sum;
  }
  return result;
}

// C^s = (C + C^T)/2.
Matrix symmetric_part(const Matrix& coupling, std::size_t n) {
  if (coupling.rows() != n || coupling.columns() != n) {
    throw Error(ErrorCode::bad_input, "the coupling of " + std::to_string(n) +
                                          " sites must be square of that size, not " + std::to_string(coupling.rows()) +
                                          " x " + std::to_string(coupling.columns()));
  }
  Matrix result(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) result(i, j) = (coupling(i, j) + coupling(j, i)) / 2;
  }
  return result;
}

double largest_row_sum(const Matrix& matrix) {
  double largest = 0;
  for (std::size_t i = 0; i < matrix.rows(); ++i) {
    double sum = 0;
    for (const double entry : matrix.row(i)) sum += entry;
    largest = std::max(largest, sum);
  }
  return largest;
}

// Ham/Jh psi = -C^s psi / d.
State scaled_hamiltonian(const Matrix& symmetric, double d, const State& psi) {
  const std::size_t n = psi.size();
  State result(n);
  if (d <= 0) return result;
  for (std::size_t i = 0; i < n; ++i) {
    Amplitude sum = 0;
    for (std::size_t j = 0; j < n; ++j) sum += symmetric(i, j) * psi[j];
    result[i] = -sum / d;
  }
  return result;
}

}  // namespace

State ground_state(int qubits) {
  if (qubits < 1 || qubits > 24)
    throw Error(ErrorCode::bad_input, "a circuit has 1 to 24 qubits, not " + std::to_string(qubits));
  State psi(std::size_t{1} << qubits);
  psi[0] = 1;
  return psi;
}

State rx(const State& psi, int qubit, double angle) {
  const double c = std::cos(angle / 2), s = std::sin(angle / 2);
  return one_qubit_gate(psi, qubit, c, -imaginary_unit * s, -imaginary_unit * s, c);
}

State rz(const State& psi, int qubit, double angle) {
  return one_qubit_gate(psi, qubit, std::polar(1.0, -angle / 2), 0, 0, std::polar(1.0, angle / 2));
}

State hadamard(const State& psi, int qubit) {
  const double h = 1 / std::numbers::sqrt2;
  return one_qubit_gate(psi, qubit, h, h, h, -h);
}

State cz(const State& psi, int first, int second) {
  check_pair(first, second);
  const std::size_t both = bit_of(psi, first) | bit_of(psi, second);
  State result = psi;
  for (std::size_t index = 0; index < psi.size(); ++index)
    if ((index & both) == both) result[index] = -psi[index];
  return result;
}

State cnot(const State& psi, int control, int target) {
  check_pair(control, target);
  const std::size_t control_bit = bit_of(psi, control), target_bit = bit_of(psi, target);
  State result = psi;
  for (std::size_t index = 0; index < psi.size(); ++index)
    if ((index & control_bit) != 0) result[index ^ target_bit] = psi[index];
  return result;
}

State fourier(const State& psi) { return fourier_with_sign(psi, 1); }

State inverse_fourier(const State& psi) { return fourier_with_sign(psi, -1); }

State run_circuit(std::span<const double> theta, const Circuit& circuit) {
  if (theta.empty()) throw Error(ErrorCode::bad_input, "the circuit needs at least one phase theta");
  State psi = ground_state(circuit.qubits);
  const auto q = static_cast<std::size_t>(circuit.qubits);
  for (int layer = 0; layer < circuit.layers; ++layer) {
    for (int k = 0; k < circuit.qubits; ++k) {
      psi = rx(psi, k, pi / 2);
      psi = rz(psi, k, theta[(static_cast<std::size_t>(layer) * q + static_cast<std::size_t>(k)) % theta.size()]);
    }
    for (int k = 0; k + 1 < circuit.qubits; ++k) psi = cz(psi, k, k + 1);
  }
  return psi;
}

State prepare(std::span<const double> theta) {
  State psi(theta.size());
  for (std::size_t i = 0; i < theta.size(); ++i)
    psi[i] = std::polar(1 / std::sqrt(static_cast<double>(theta.size())), theta[i]);
  return psi;
}

State apply_hamiltonian(const Matrix& coupling, double hopping, const State& psi) {
  const auto symmetric = symmetric_part(coupling, psi.size());
  State result = scaled_hamiltonian(symmetric, largest_row_sum(symmetric), psi);
  for (Amplitude& amplitude : result) amplitude *= hopping;
  return result;
}

State propagate(const Matrix& coupling, const State& psi, const Propagation& propagation) {
  if (!(propagation.hopping > 0) || propagation.terms < 1)
    throw Error(ErrorCode::bad_input, "the propagation needs a hopping strength above 0 and at least one term");
  const std::size_t n = psi.size();
  const auto symmetric = symmetric_part(coupling, n);
  const double d = largest_row_sum(symmetric);
  // BesJ_k(-z) = (-1)^k BesJ_k(z): going backward changes -i into i.
  const double z = propagation.hopping * std::abs(propagation.dt);
  const Amplitude phase = propagation.dt < 0 ? imaginary_unit : -imaginary_unit;

  State previous;       // T_{k-1}
  State current = psi;  // T_k
  State result(n);
  Amplitude power = 1;  // (-i)^k
  for (int k = 0; k < propagation.terms; ++k) {
    const double factor = k == 0 ? 1 : 2;  // 2 - [k = 0]
    const Amplitude weight = factor * power * std::cyl_bessel_j(static_cast<double>(k), z);
    for (std::size_t i = 0; i < n; ++i) result[i] += weight * current[i];
    State next = scaled_hamiltonian(symmetric, d, current);
    if (k > 0)  // T_1 = Ham/Jh; T_{k+1} = 2 Ham/Jh T_k - T_{k-1}
      for (std::size_t i = 0; i < n; ++i) next[i] = 2.0 * next[i] - previous[i];
    previous = current;
    current = next;
    power *= phase;
  }
  return result;
}

double energy(const Matrix& coupling, double hopping, const State& psi) {
  const State moved = apply_hamiltonian(coupling, hopping, psi);
  double sum = 0;
  for (std::size_t i = 0; i < psi.size(); ++i) sum += (std::conj(psi[i]) * moved[i]).real();
  return sum;
}

double squared_norm(const State& psi) {
  double sum = 0;
  for (const Amplitude& amplitude : psi) sum += std::norm(amplitude);
  return sum;
}

std::vector<double> probabilities(const State& psi) {
  std::vector<double> result(psi.size());
  for (std::size_t i = 0; i < psi.size(); ++i) result[i] = std::norm(psi[i]);
  return result;
}

std::vector<double> phases(const State& psi) {
  std::vector<double> result(psi.size());
  for (std::size_t i = 0; i < psi.size(); ++i) result[i] = std::abs(psi[i]) < 1e-6 ? 0 : wrap_phase(std::arg(psi[i]));
  return result;
}

Matrix coherence_map(std::span<const double> phi) {
  const std::size_t n = phi.size();
  Matrix result(n, n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) result(i, j) = 1 - std::abs(wrap_phase(phi[i] - phi[j])) / pi;
  return result;
}

}  // namespace warpwright::workloads::quantum
