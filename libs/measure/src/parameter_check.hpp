// Whether what a launch passes is what its kernel takes: number, kinds, element types and sizes, as far as compiler and
// driver tell of the kernel. Without this a mistake reaches the driver, which checks little: OpenCL takes an int for a
// float, and CUDA reads whatever lies behind a list that is too short.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <warpwright/device/context.hpp>

namespace warpwright::measure {

// Whether an image is one that kernels write.
enum class PassedImage { none, read, written };

// One argument of a launch.
struct PassedArgument {
  std::string name;
  bool buffer = false;
  bool dimension = false;  // a problem dimension, which has no type of its own
  DataType type = DataType::float32;
  int components = 1;
  Bytes size;              // of a scalar, or of local memory
  bool local = false;      // __local memory
  bool structure = false;  // its size is all that is known of its type
  PassedImage image = PassedImage::none;
  bool sampler = false;
};

// What is wrong with passing `passed` to `kernel`, and what would be right; nullopt where nothing is known against it.
// `local` is the __local memory that OpenCL passes behind the last argument (0: none).
std::optional<std::string> parameter_mismatch(const std::vector<KernelParameter>& parameters,
                                              const std::vector<PassedArgument>& passed, Bytes local,
                                              const std::string& kernel);

}  // namespace warpwright::measure
