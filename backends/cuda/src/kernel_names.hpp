// The names of kernels as people write them: C++ names of symbols, and the kernel that a name means.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace warpwright::cuda {

// What a symbol is called in C++.
struct KernelName {
  std::string symbol;
  std::string signature;  // "ns::f<4, float>(float*)"; the symbol where it is no C++ function
  std::string name;       // "ns::f<4, float>"; the symbol where it is no C++ function
};
KernelName kernel_name(const std::string& symbol);

// The position of the kernel that `entry` means, see find_kernel(). `where` is what has them ("the source"). Throws
// Error(bad_input).
std::size_t resolve_entry(const std::string& entry, const std::vector<KernelName>& kernels, const std::string& where);

}  // namespace warpwright::cuda
