// Right or wrong: dtype-aware comparison of outputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <warpwright/model/data_type.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright::measure {

// ok, wrong_result or not_finite, with the first wrong element and the number of wrong ones.
struct Comparison {
  TrialStatus status = TrialStatus::ok;
  std::optional<Mismatch> mismatch;
};

// An element passes if both are NaN, both are the same infinity, or both are finite and
// |found - expected| <= atol + rtol * |expected| in double, or at most `ulp` steps between neighbouring values of the
// type lie between them (integers: exact difference against atol + rtol * |expected|). not_finite if any element is NaN
// or infinite where the reference has another value; else wrong_result if any differs. `argument` goes into the
// mismatch. The mismatch names the first element that fails for either reason. Throws Error(bad_input) for a negative
// or infinite tolerance, Error(internal) if the spans differ in size.
Comparison compare(std::span<const std::byte> expected, std::span<const std::byte> found, DataType type, double rtol,
                   double atol, const std::string& argument, std::uint32_t ulp = 0);

}  // namespace warpwright::measure
