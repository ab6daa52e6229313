// Reads what this backend needs from a cubin: an ELF64 file whose kernels are FUNC symbols with the entry flag, each in
// a section ".text.NAME". The attributes in ".nv.info" are undocumented; the ones read here were verified against ptxas
// reports (tests/compiler_test.cpp repeats that) and are only used where the compiler's log does not tell.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/units.hpp>

namespace warpwright::cuda {

struct CubinKernel {
  std::string symbol;
  std::optional<int> registers;
  std::optional<Bytes> stack;                // per thread
  std::optional<int> max_threads_per_block;  // from __launch_bounds__
  Bytes static_shared{};                     // without what the driver reserves
  // The only block it may be launched with, from __block_size__ or .reqntid.
  std::optional<std::array<std::int64_t, 3>> required_block;
  // In bytes, in order; nullopt where there are none or they are not listed.
  std::optional<std::vector<std::size_t>> parameter_sizes;
  int barriers = 0;  // named barriers of a block
};

struct Cubin {
  std::vector<CubinKernel> kernels;  // in the order of the symbol table
  Bytes constant;                    // the __constant__ variables of the program
  int compute = 0;                   // what it was compiled for: 90 for sm_90 and sm_90a
};

// Every offset is checked against the image's size: throws Error(corrupted) saying what is wrong, never reads outside.
Cubin read_cubin(std::string_view image);

}  // namespace warpwright::cuda
