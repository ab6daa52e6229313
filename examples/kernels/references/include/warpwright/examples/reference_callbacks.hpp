// The CPU references in the shape a Problem wants: a ReferenceCallback for each example, by the name of its kernel.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <warpwright/model/problem.hpp>

namespace warpwright::examples {

// "vector_add", "reduction", ...: the nine examples, in the order of examples/kernels/README.md.
const std::vector<std::string>& kernel_names();

// Computes the outputs of the example named `kernel` (one of kernel_names(), "faulty" or "fatal") from its inputs; the
// problem's argument and dimension names are those of examples/kernels/NAME/NAME.toml. Throws Error(not_found) listing
// the names for another one; the callback throws Error(bad_input) for missing buffers or dimensions. Thread-safe.
ReferenceCallback reference_callback(std::string_view kernel);

}  // namespace warpwright::examples
