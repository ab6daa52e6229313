// `warpwright occupancy --all`: every kernel of a file in one table.
#pragma once

#include <cstdio>
#include <optional>
#include <string>

#include <warpwright/store/json.hpp>

#include "kernel_file.hpp"
#include "occupancy_arguments.hpp"

namespace warpwright::app {

// What each kernel needs and its occupancy: with its required block, else with `block` ("256"), else with its best one.
// The flags of `arguments` go over what the file says. Throws as list_kernels().
void print_all_kernels(const OccupancyArguments& arguments, const std::string& block, bool as_json,
                       const device::BackendRegistry& backends, std::FILE* out, std::FILE* err);

}  // namespace warpwright::app
