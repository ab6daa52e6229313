#include "winner_storage.hpp"

#include <warpwright/base/error.hpp>

#include "places.hpp"

namespace warpwright::app {

std::optional<WinnerStorage> open_winner_storage(const std::string& profiles, bool none, const LogSink& log) {
  if (none && !profiles.empty())
    throw Error(ErrorCode::bad_input, "--no-profile and --profiles contradict each other; give one of them");
  if (none) return std::nullopt;
  const std::filesystem::path file = profiles.empty() ? usable_profiles_file(log) : std::filesystem::absolute(profiles);
  WinnerStorage storage{file, store::ProfileDatabase(file)};
  if (!storage.database.writable())
    throw Error(ErrorCode::bad_input, "the profile database '" + file.string() +
                                          "' cannot be written to, so the winner could not be stored; name another one "
                                          "with --profiles, or give --no-profile");
  return storage;
}

}  // namespace warpwright::app
