// Configurations as text on the command line: "block_x=32,layout=row".
#pragma once

#include <string>
#include <vector>

#include <warpwright/model/configuration.hpp>

namespace warpwright::app {

// Throws Error(bad_input) naming the flag for a part that is no NAME=VALUE, and for a name that is not among `names`
// ("did you mean"); no `names` allow any. Some or all parameters may be named.
Configuration parse_configuration(const std::string& text, const std::string& flag,
                                  const std::vector<std::string>& names);

}  // namespace warpwright::app
