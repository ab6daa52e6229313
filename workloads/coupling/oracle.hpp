// S3: the coupling between windows, made of the information that flows between them.
//
// C_new,ij = TE_ij / max TE with a zero diagonal; C <- (1 - eta) C + eta C_new. Where nothing flows (max < 1e-10)
// everything is coupled to everything: the identity would mean no interaction at all. Flow is bias-corrected transfer
// entropy in bits, (i, j) = TE(j -> i); coupling has no unit and lies in [0, 1].
#pragma once

#include <cstddef>

#include "workloads/common/matrix.hpp"

namespace warpwright::workloads::coupling {

// n x n ones with a zero diagonal: what holds until the ring buffer is full, and where nothing flows. Throws
// Error(bad_input) for n = 0.
Matrix all_to_all(std::size_t n);

// C_new of a flow, which is also the first coupling. The diagonal of the flow is not read. Throws Error(bad_input) if
// the flow is empty or not square, or an element is negative or not finite.
Matrix normalised(const Matrix& flow);

// C <- (1 - eta) C + eta C_new with eta from 0 to 1. Errors as of normalised(), for a coupling of another size, and for
// another eta.
void update(Matrix& coupling, const Matrix& flow, double eta = 0.1);

// The variant with a gate in bits (0.1 to 0.3): C <- min(1, C + 0.1 TE) where TE > gate, and 0.9 C elsewhere. Errors as
// of update().
void update_gated(Matrix& coupling, const Matrix& flow, double gate);

// C^s = (C + C^T) / 2, for equilibrium tests and the quantum analogue: an asymmetric coupling has no potential. Throws
// Error(bad_input) if C is empty or not square.
Matrix symmetric(const Matrix& coupling);

}  // namespace warpwright::workloads::coupling
