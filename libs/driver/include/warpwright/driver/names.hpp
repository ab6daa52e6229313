// What a caller may change, as messages call it.
#pragma once

#include <string>

namespace warpwright::driver {

// The defaults are the members of TuneRequest. A program whose users know the same things by other names (flags,
// keyword arguments) says so, and every message and error of this library uses its names. Plain value.
struct OptionNames {
  std::string specification = "problem.specification";
  std::string device = "problem.device";
  std::string dimensions = "problem.dimensions";
  std::string start_from = "start_from";
  std::string max_evaluations = "max_evaluations";
  std::string time_limit = "time_limit";
  std::string session = "session";
  std::string no_session = "keep_session = false";
  std::string resume = "resume";
  std::string profiles = "profiles";
  std::string no_profile = "store_winner = false";
  std::string cache_folder = "workers.cache_folder";
  std::string no_cache = "workers.use_cache = false";
  std::string worker = "workers.executable";
};

}  // namespace warpwright::driver
