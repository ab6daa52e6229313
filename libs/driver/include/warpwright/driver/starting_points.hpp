// Configurations that did well before, on another device or at another size, as the first questions of a search.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <warpwright/driver/names.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/model/space.hpp>

namespace warpwright::driver {

struct StartingPoints {
  std::vector<std::uint64_t> indices;  // of the space, best source first, each once
  std::vector<std::string> notes;      // what was taken from where, for people
};

// `sources`: session folders, recorded spaces (Kernel Tuner cache files, T4 results) and profile databases, of which
// the profiles of the problem's kernel count. Of a session or a recorded space the best five are taken. Configurations
// that are not in the space (other lists of values, other constraints) become the nearest that are; parameters that
// this kernel does not have are left out. Throws Error(not_found) for a source that is not there, Error(bad_input) for
// one that holds no usable configuration.
StartingPoints read_starting_points(const std::vector<std::string>& sources, const Problem& problem, const Space& space,
                                    const OptionNames& names);

}  // namespace warpwright::driver
