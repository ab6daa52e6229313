#include <fmt/format.h>

#include <warpwright/base/error.hpp>
#include <warpwright/driver/winner_storage.hpp>

namespace warpwright::driver {

std::optional<WinnerStorage> open_winner_storage(const std::string& profiles, bool store_winner, Places& places,
                                                 const LogSink& log) {
  const OptionNames& names = places.names();
  if (!store_winner && !profiles.empty())
    throw Error(ErrorCode::bad_input,
                fmt::format("{} and {} contradict each other; give one of them", names.no_profile, names.profiles));
  if (!store_winner) return std::nullopt;
  const std::filesystem::path file =
      profiles.empty() ? places.usable_profiles_file(log) : std::filesystem::absolute(profiles);
  WinnerStorage storage{file, store::ProfileDatabase(file)};
  if (!storage.database.writable())
    throw Error(ErrorCode::bad_input, fmt::format("the profile database '{}' cannot be written to, so the winner could "
                                                  "not be stored; name another one with {}, or give {}",
                                                  file.string(), names.profiles, names.no_profile));
  return storage;
}

}  // namespace warpwright::driver
