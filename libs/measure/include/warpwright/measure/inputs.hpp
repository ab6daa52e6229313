// Host data of kernel arguments: seeded generation, npy files.
#pragma once

#include <warpwright/model/problem.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

namespace warpwright::measure {

// `elements` scalars (components included) of `type`, as raw bytes. Same seed, same bytes, on every platform. `salt` gives
// fresh data of the same distribution (0 = the specification's own). Integers: uniform over [low, high] inclusive.
// Throws Error(bad_input) for an npy file of another type or length.
std::vector<std::byte> generate(const Fill& fill, DataType type, std::uint64_t elements, std::uint64_t salt = 0);

// NumPy's format, versions 1 and 2, C order, little-endian, of the element types of DataType. Throws Error naming file and
// reason.
struct NpyArray {
  DataType type = DataType::float32;
  std::vector<std::uint64_t> shape;
  std::vector<std::byte> data;
};
NpyArray read_npy(const std::filesystem::path& file);
void write_npy(const std::filesystem::path& file, const NpyArray& array);

}  // namespace warpwright::measure
