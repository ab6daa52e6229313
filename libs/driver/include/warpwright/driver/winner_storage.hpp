// The profile database that a winner is stored in.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <warpwright/base/log.hpp>
#include <warpwright/driver/places.hpp>
#include <warpwright/store/profile_database.hpp>

namespace warpwright::driver {

struct WinnerStorage {
  std::filesystem::path file;
  store::ProfileDatabase database;
};

// nullopt unless `store_winner`; `profiles` is a file, or empty for the user's. Opened before anything is measured: a
// database that cannot be written to is an error now, not after an hour. Throws Error(bad_input) where a file is named
// and nothing is to be stored, or the file cannot be written to, and as ProfileDatabase does.
std::optional<WinnerStorage> open_winner_storage(const std::string& profiles, bool store_winner, Places& places,
                                                 const LogSink& log);

}  // namespace warpwright::driver
