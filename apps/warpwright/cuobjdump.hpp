// NVIDIA's cuobjdump, for containers that this program cannot take apart itself.
#pragma once

#include <string>
#include <vector>

namespace warpwright::app {

// The cubins in `file`. `why` says why they are not read without cuobjdump. Throws Error(unavailable) naming the
// package where it is not installed, Error(bad_input) with its words where it refuses the file.
std::vector<std::string> extract_with_cuobjdump(const std::string& file, const std::string& why);

}  // namespace warpwright::app
