// Host data of kernel arguments: seeded generation, npy files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include <warpwright/model/problem.hpp>

namespace warpwright::measure {

// `elements` scalars (components included) of `type`, as raw bytes. Same seed, same bytes, on every platform. `salt`
// gives fresh data of the same distribution (0 = the specification's own; constants, iota and files are never salted).
// More elements of the same seed begin with the same ones, unless they are put in order. The fill must be resolved().
// Integers: uniform over [low, high] inclusive; normal rounds to nearest and saturates. Throws Error(bad_input) for a
// value the type cannot hold (0.5 or 300 for uint8, 1e39 for float32) and for a file of another type or length,
// Error(out_of_memory) with the size.
std::vector<std::byte> generate(const Fill& fill, DataType type, std::uint64_t elements, std::uint64_t salt = 0);

// NumPy's format, versions 1 and 2, C order, little-endian, of the element types of DataType. NumPy has no bfloat16 of
// its own: it is written as '<V2', as the ml_dtypes package does, and an argument of that type also takes a uint16
// file. numpy.bool reads as uint8. Throws Error naming file and reason: not_found, io, bad_input (everything malformed,
// checked against the file's size before memory is reserved), out_of_memory.
struct NpyArray {
  DataType type = DataType::float32;
  std::vector<std::uint64_t> shape;
  std::vector<std::byte> data;
};
NpyArray read_npy(const std::filesystem::path& file);
void write_npy(const std::filesystem::path& file, const NpyArray& array);

}  // namespace warpwright::measure
