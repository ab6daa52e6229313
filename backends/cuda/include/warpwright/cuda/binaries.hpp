// GPU binaries in files, read without a device: what the kernels of a cubin need, and the cubins in a container
// (fatbin, program, shared library, static library). Whose compiler made them does not matter: CUDA 12.6 to 13.5,
// Triton, cuda-tile, CUTLASS DSL, Warp and numba write the same format. It is not published; docs/occupancy.md says
// what of it was verified, and with which versions.
//
// All functions are thread-safe and never read outside the bytes that they are given.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/model/trial.hpp>

namespace warpwright::cuda {

// What a binary tells of a kernel beyond its resources. KernelResources::entry is the symbol, mangled for C++
// functions.
struct KernelDescription : KernelResources {
  std::string name;            // "ns::f<4, float>" of "_ZN2ns1fILi4EfEEvPT0_": without return type and parameters
  bool needs_cluster = false;  // a launch must name a cluster, and the binary does not say which
  bool grid_counts_clusters = false;   // the grid of a launch counts clusters, not blocks
  bool untold_shared = false;          // may use shared memory whose size only the launch tells
  std::uint64_t shared_alignment = 0;  // bytes that static shared memory was rounded up to
  std::optional<int> register_limit;   // registers of a thread that the compiler was bound to
  bool reassigns_registers = false;    // setmaxnreg: warps give registers to each other
  Bytes shared_spills{};               // spilled registers in static shared memory, per block
};

// What a cubin tells of its kernels. Spilled bytes are not in the file, only in the compiler's log.
struct CubinDescription {
  std::string architecture;  // "sm_90", also of a binary for sm_90a
  std::string target;        // "sm_90a": what it was compiled for
  std::vector<KernelDescription> kernels;
};
// Throws Error(corrupted) saying what is wrong with the bytes, Error(unsupported) for a relocatable object.
CubinDescription describe_cubin(std::string_view image);

// The kernel that `entry` names: by its symbol, else by its C++ name with or without parameters, template arguments,
// namespaces (unnamed ones need not be written). Throws Error(bad_input) where none or more than one fits, with what
// there is (at most 20 names) and the closest of them.
const KernelDescription& find_kernel(const CubinDescription& description, const std::string& entry);
// The same among the kernels of several binaries; the position in `kernels`.
std::size_t find_kernel(const std::vector<const KernelDescription*>& kernels, const std::string& entry);
// "'a', 'b' and 30 others": the first 20 at most.
std::string kernel_list(const std::vector<std::string>& names);

enum class BinaryCompression : std::uint8_t { none, lz4, zstd };

// One binary of a container, not read yet: its bytes lie in the container's.
struct ContainedBinary {
  enum class Kind : std::uint8_t {
    cubin,
    ptx,
    intermediate,
    other
  };  // intermediate: for link-time optimisation (-dlto)
  Kind kind = Kind::cubin;
  std::string target;  // "sm_90a", as the container says
  std::string member;  // of an archive: the object file
  BinaryCompression compression = BinaryCompression::none;
  std::string_view stored;
  std::uint64_t size = 0;  // uncompressed
};

enum class FileFormat { unknown, cubin, fatbin, host_program, archive };
// By the first bytes.
FileFormat file_format(std::string_view bytes);

// The binaries of a fatbin, of a program or shared library of the host, or of a static library, in their order; none
// where it holds none. Throws Error(corrupted) for a container that is damaged, Error(unsupported) for a thin archive.
std::vector<ContainedBinary> list_binaries(std::string_view container);

// The bytes of a contained binary, uncompressed: its own, or in `storage`. Throws Error(unavailable) naming the package
// where the library that uncompresses it is not installed, Error(corrupted) where it does not uncompress.
std::string_view binary_bytes(const ContainedBinary& binary, std::string& storage);

}  // namespace warpwright::cuda
