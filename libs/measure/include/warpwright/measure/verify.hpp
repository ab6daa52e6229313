// Right or wrong: dtype-aware comparison of outputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <warpwright/model/data_type.hpp>
#include <warpwright/model/evaluation_info.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright::measure {

// ok, wrong_result or not_finite, with the first wrong element and the number of wrong ones.
struct Comparison {
  TrialStatus status = TrialStatus::ok;
  std::optional<Mismatch> mismatch;
};

// How far a right element may be from the expected one. Each of the three is enough.
struct Tolerance {
  double rtol = 0, atol = 0;  // |found - expected| <= atol + rtol * |expected|
  std::uint32_t ulp = 0;      // so many steps between neighbouring values of the type lie between them
  double anywhere = 0;        // |found - expected| <= anywhere: of a norm-wise tolerance, scaled by the expected output

  // That of `output`, whose whole expected data decide the scale of a norm-wise tolerance.
  static Tolerance of(const Output& output, std::span<const std::byte> expected, DataType type);
};

// An element passes if both are NaN, both are the same infinity, or both are finite and within `tolerance`, in double
// (integers: the exact difference). not_finite if any element is NaN or infinite where the reference has another value;
// else wrong_result if any differs. `argument` goes into the mismatch. The mismatch names the first element that fails
// for either reason. Throws Error(bad_input) for a negative or infinite tolerance, Error(internal) if the spans differ
// in size.
Comparison compare(std::span<const std::byte> expected, std::span<const std::byte> found, DataType type,
                   const Tolerance& tolerance, const std::string& argument);

// The elements of `data` as another type, rounded to nearest: what a right result of that type would be. Integers out
// of range saturate.
std::vector<std::byte> converted(std::span<const std::byte> data, DataType from, DataType to);

// What a sum of elements of `type` is compared as: float64, or int64 for integers.
DataType sum_type(DataType type) noexcept;
// The sum as one element of sum_type(type): of floats in double, compensated; of integers modulo 2^64.
std::vector<std::byte> sum_of(std::span<const std::byte> data, DataType type);

// What is worth knowing of it before anything is compared with it.
ReferenceOutput describe_expected(std::span<const std::byte> expected, DataType type, const Tolerance& tolerance,
                                  const std::string& argument);
// What a person should be told of these outputs, one sentence each: NaN that counts as right, and tolerances that a
// kernel of zeros passes at one element in a hundred or more.
std::vector<std::string> warnings_about(const std::vector<ReferenceOutput>& outputs);

}  // namespace warpwright::measure
