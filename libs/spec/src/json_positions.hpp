// Lines and columns of the values of a JSON text, by JSON pointer: nlohmann's parser keeps none.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "locations.hpp"

namespace warpwright::spec::detail {

// `text` must be valid JSON (already parsed by somebody else); anything else gives incomplete positions, never an
// error.
Locations locate_json(std::string_view text, std::string file_name);

// Line and column, both from 1, of the byte at `offset`.
std::pair<std::size_t, std::size_t> line_and_column(std::string_view text, std::size_t offset);

}  // namespace warpwright::spec::detail
