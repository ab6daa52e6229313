// Whether a transfer entropy is more than chance: by its distribution under no influence, and by shifted copies of the
// source, which keep the source's own statistics and lose what it says about the target.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "workloads/common/random.hpp"
#include "workloads/transfer_entropy/oracle.hpp"

namespace warpwright::workloads::transfer_entropy {

// B (B - 1)^2 degrees of freedom.
constexpr std::size_t degrees_of_freedom(std::size_t bins) noexcept { return bins * (bins - 1) * (bins - 1); }

// Probability of at least `raw` bits from `samples` samples without influence: 2 N ln2 TE is distributed as chi^2, if
// most of the bins^3 cells are occupied. Throws Error(bad_input) for fewer than 2 bins or no sample.
double chi_squared_p_value(double raw, std::size_t samples, std::size_t bins);

// (1 + #{TE of a surrogate >= TE}) / (1 + surrogates): surrogate k is the source, shifted in a circle by
// 1 + floor(u_k (length - 1)) samples with u_k = draws.uniform(frame, 0, k). Errors as of count(), and for no
// surrogate.
double surrogate_p_value(std::span<const std::uint8_t> source, std::span<const std::uint8_t> target, std::size_t bins,
                         std::size_t lag, std::size_t surrogates, const Draws& draws, std::uint32_t frame);

}  // namespace warpwright::workloads::transfer_entropy
