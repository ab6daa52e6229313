// The profile database that a command stores its winner in.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <warpwright/base/log.hpp>
#include <warpwright/store/profile_database.hpp>

namespace warpwright::app {

struct WinnerStorage {
  std::filesystem::path file;
  store::ProfileDatabase database;
};

// `profiles` and `none` are --profiles and --no-profile; nullopt with the latter. Opened before anything is measured: a
// database that cannot be written to is an error now, not after an hour. Throws Error(bad_input) where both flags are
// given or the file cannot be written to, and as ProfileDatabase does.
std::optional<WinnerStorage> open_winner_storage(const std::string& profiles, bool none, const LogSink& log);

}  // namespace warpwright::app
