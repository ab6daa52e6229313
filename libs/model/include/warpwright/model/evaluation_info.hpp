// What is known of a device, a compiler and a reference before the first configuration is evaluated.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <warpwright/model/device_info.hpp>

namespace warpwright {

// What is worth knowing of an expected output before anything is compared with it.
struct ReferenceOutput {
  std::string argument;
  std::uint64_t elements = 0;
  std::uint64_t nan = 0;           // only NaN counts as right there
  std::uint64_t passing_zero = 0;  // not 0, and yet 0 would be within the tolerance
  double largest = 0;              // the largest finite magnitude
};

struct EvaluationInfo {
  DeviceInfo device;
  std::string compiler;   // version
  std::string target;     // what it compiles for
  std::string reference;  // ProblemRunner::reference_description()
  bool has_reference = false;
  std::vector<ReferenceOutput> reference_outputs;
  // Why nothing is verified, where that is for another reason than a missing reference.
  std::string unverified;
};

}  // namespace warpwright
