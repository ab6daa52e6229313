// Reads what this backend needs from a cubin: an ELF64 file whose kernels are FUNC symbols with the entry flag, each in
// a section ".text.NAME". The attributes in ".nv.info" are undocumented; the ones read here were verified against ptxas
// reports and cuobjdump for CUDA 12.6 to 13.5 (tests/compiler_test.cpp and tests/binaries repeat that) and are only
// used where the compiler's log does not tell.
//
// There are two layouts. CUDA 12 up to compute capability 9.0 (ABI 7) keeps barriers in the flags of ".text.NAME" and
// the architecture in the first byte of e_flags; CUDA 13, and 12.9 from 10.0 on (ABI 8), keep barriers in an attribute
// and the architecture in the second byte.
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
  std::optional<Bytes> stack;                // per thread; absent where recursion leaves it open
  std::optional<int> max_threads_per_block;  // from __launch_bounds__
  Bytes static_shared{};                     // without what the driver reserves
  int barriers = 0;                          // named barriers of a block
  // The only block and cluster a launch may have (.reqntid, .reqnctapercluster), and the most blocks of a cluster.
  std::optional<std::array<std::int64_t, 3>> required_block, required_cluster;
  std::optional<int> max_cluster_blocks;
  bool needs_cluster = false;          // the launch must name a cluster, of whatever size
  bool grid_counts_clusters = false;   // the grid of a launch counts clusters, not blocks
  bool untold_shared = false;          // refers to shared memory and has none of its own: dynamic, sized by the launch
  std::uint64_t shared_alignment = 0;  // bytes, of its shared memory; 0 where it has no section for it
  std::optional<int> register_limit;   // what the compiler was bound to; absent without a bound
  bool reassigns_registers = false;    // setmaxnreg
  Bytes shared_spills{};               // part of static_shared that holds spilled registers
  // In bytes, in order; nullopt where there are none or they are not listed.
  std::optional<std::vector<std::size_t>> parameter_sizes;
};

struct Cubin {
  std::vector<CubinKernel> kernels;  // in the order of the symbol table
  Bytes constant;                    // the __constant__ variables of the program
  int compute = 0;                   // what it was compiled for: 90 for sm_90 and sm_90a
  std::string variant;               // "a", "f" or empty: of "sm_90a"
};

// Every offset and count is checked against the image's size: throws Error(corrupted) saying what is wrong, never reads
// outside. Throws Error(unsupported) for a relocatable object, whose kernels are not final.
Cubin read_cubin(std::string_view image);

}  // namespace warpwright::cuda
