// An unroll factor of 0 means "say nothing to the compiler", as in Kernel Tuner. NVRTC ignores the pragma then, with a
// warning for each; Clang, which is behind most OpenCL drivers, refuses to compile it. So it has to go before.
#pragma once

#include <string>
#include <string_view>

namespace warpwright::measure {

// `source` without its `#pragma unroll NAME` directives (also with parentheses around NAME). Lines keep their numbers,
// and what follows the name on its line stays.
std::string without_unroll_pragmas(std::string_view source, std::string_view name);

}  // namespace warpwright::measure
