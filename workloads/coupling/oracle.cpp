#include "workloads/coupling/oracle.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include <warpwright/base/error.hpp>

namespace warpwright::workloads::coupling {
namespace {

constexpr double least_flow = 1e-10;  // bits; below it there is nothing to normalise

void require_square(const Matrix& matrix, const std::string& name) {
  if (matrix.rows() == 0 || matrix.rows() != matrix.columns()) {
    throw Error(ErrorCode::bad_input, name + " must be square and not empty, not " + std::to_string(matrix.rows()) +
                                          " x " + std::to_string(matrix.columns()));
  }
}

void require_flow(const Matrix& flow) {
  require_square(flow, "the flow");
  for (std::size_t i = 0; i < flow.rows(); ++i) {
    for (std::size_t j = 0; j < flow.columns(); ++j) {
      if (i != j && !(flow(i, j) >= 0.0 && std::isfinite(flow(i, j)))) {
        throw Error(ErrorCode::bad_input, "the flow from " + std::to_string(j) + " to " + std::to_string(i) +
                                              " must be finite and at least 0, not " + std::to_string(flow(i, j)));
      }
    }
  }
}

void require_same_shape(const Matrix& coupling, const Matrix& flow) {
  require_square(coupling, "the coupling");
  if (coupling.rows() != flow.rows()) {
    throw Error(ErrorCode::bad_input, "coupling and flow must have the same size, not " +
                                          std::to_string(coupling.rows()) + " and " + std::to_string(flow.rows()));
  }
}

}  // namespace

Matrix all_to_all(std::size_t n) {
  Matrix result(n, n);
  require_square(result, "a coupling");
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) result(i, j) = i == j ? 0.0 : 1.0;
  }
  return result;
}

Matrix normalised(const Matrix& flow) {
  require_flow(flow);
  const std::size_t n = flow.rows();
  double max = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      if (i != j) max = std::max(max, flow(i, j));
    }
  }
  if (max < least_flow) return all_to_all(n);
  Matrix result(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) result(i, j) = i == j ? 0.0 : flow(i, j) / max;
  }
  return result;
}

void update(Matrix& coupling, const Matrix& flow, double eta) {
  require_same_shape(coupling, flow);
  if (!(eta >= 0.0 && eta <= 1.0)) {
    throw Error(ErrorCode::bad_input, "eta must be from 0 to 1, not " + std::to_string(eta));
  }
  const Matrix fresh = normalised(flow);
  for (std::size_t i = 0; i < coupling.rows(); ++i) {
    for (std::size_t j = 0; j < coupling.columns(); ++j) {
      coupling(i, j) = (1.0 - eta) * coupling(i, j) + eta * fresh(i, j);
    }
  }
}

void update_gated(Matrix& coupling, const Matrix& flow, double gate) {
  require_same_shape(coupling, flow);
  require_flow(flow);
  if (!(gate >= 0.0)) throw Error(ErrorCode::bad_input, "the gate must be at least 0, not " + std::to_string(gate));
  for (std::size_t i = 0; i < coupling.rows(); ++i) {
    for (std::size_t j = 0; j < coupling.columns(); ++j) {
      if (i == j) continue;
      const double c = coupling(i, j);
      coupling(i, j) = flow(i, j) > gate ? std::min(1.0, c + 0.1 * flow(i, j)) : 0.9 * c;
    }
  }
}

Matrix symmetric(const Matrix& coupling) {
  require_square(coupling, "the coupling");
  const std::size_t n = coupling.rows();
  Matrix result(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) result(i, j) = (coupling(i, j) + coupling(j, i)) / 2.0;
  }
  return result;
}

}  // namespace warpwright::workloads::coupling
