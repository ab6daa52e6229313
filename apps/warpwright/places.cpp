#include "places.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/units.hpp>

#include "paths.hpp"

namespace warpwright::app {
namespace {

namespace fs = std::filesystem;

// Less room than this is a full disk: one kernel of PoCL takes about 100 KiB, a session of a thousand trials some MiB.
constexpr Bytes least_room{std::uint64_t{16} << 20};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// Of this run, made when it is needed first. The end of the program has to find it.
struct TemporaryPlace {
  fs::path folder;
  bool told_of_cache = false;
};
TemporaryPlace temporary;

const fs::path& temporary_folder() {
  if (!temporary.folder.empty()) return temporary.folder;
  const std::string chosen = variable("TMPDIR");
  std::string name = (fs::path(chosen.empty() ? "/tmp" : chosen) / "warpwright-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw Error(ErrorCode::io,
                fmt::format("cannot make a temporary folder '{}': {}; set TMPDIR to a folder that can be "
                            "written to",
                            name, std::strerror(errno)));
  temporary.folder = name;
  return temporary.folder;
}

fs::path temporary_cache() { return temporary_folder() / "cache"; }

void tell_of_cache(const std::string& place, const std::string& reason, const char* cure, const LogSink& log) {
  if (std::exchange(temporary.told_of_cache, true)) return;
  log_to(log, LogLevel::warning,
         fmt::format("{} cannot be used ({}): compiled kernels are kept in '{}' until this run ends{}", place, reason,
                     temporary_cache().string(), cure));
}

// `place` of the user's, or the reason why there is none.
struct Place {
  fs::path path;
  std::string name, reason;
};

template <class Function>
Place place_of(const char* what, Function&& path) {
  Place place;
  place.name = what;
  try {
    place.path = path();
    place.name = "'" + place.path.string() + "'";
    if (const auto reason = why_unusable(place.path)) place.reason = *reason;
  } catch (const Error& error) {  // HOME is not set
    place.reason = error.message();
  }
  return place;
}

// With a part for each compiler that keeps something: what is run lies below folders that only their owner may write
// to.
void make_cache_folder(const fs::path& folder) {
  make_private_folder(folder);
  for (const char* part : {"binaries", "pocl", "cuda"}) make_private_folder(folder / part);
}

}  // namespace

std::optional<std::string> why_unusable(const fs::path& path) {
  std::error_code status;
  fs::path there = fs::absolute(path, status);
  struct stat found {};
  while (::stat(there.c_str(), &found) != 0) {
    if (errno != ENOENT || !there.has_relative_path()) return std::strerror(errno);
    there = there.parent_path();
  }
  if (!S_ISDIR(found.st_mode)) return fmt::format("'{}' is no folder", there.string());
  if (::faccessat(AT_FDCWD, there.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
    return fmt::format("'{}': {}", there.string(), std::strerror(errno));
  // To the superuser everything is permitted, and still nothing can be made in some places: only trying tells.
  if (::geteuid() == 0) {
    std::string name = (there / ".warpwright-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return fmt::format("'{}': {}", there.string(), std::strerror(errno));
    ::rmdir(name.c_str());
  }
  struct statvfs disk {};
  if (::statvfs(there.c_str(), &disk) != 0 || disk.f_blocks == 0) return std::nullopt;  // it does not count its room
  const Bytes room{static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize};
  if (room.count < least_room.count) return fmt::format("only {} are free in '{}'", format_bytes(room), there.string());
  if (disk.f_files > 0 && disk.f_favail == 0)
    return fmt::format("the disk of '{}' has no room for another file", there.string());
  return std::nullopt;
}

fs::path usable_cache_folder(const std::string& given, const LogSink& log) {
  Place place = given.empty() ? place_of("the user's cache folder", default_cache_folder)
                              : place_of("", [&] { return fs::absolute(given); });
  if (place.reason.empty()) {
    try {
      make_cache_folder(place.path);
      return place.path;
    } catch (Error& error) {
      // A folder that others could put programs into is no trouble of the machine's, which would pass.
      if (!given.empty() && error.code() == ErrorCode::bad_input)
        throw Error(ErrorCode::bad_input, "--cache-dir: " + std::string(error.what()));
      place.reason = error.what();
    }
  }
  tell_of_cache(place.name, place.reason, given.empty() ? "; name a folder with --cache-dir" : "", log);
  make_cache_folder(temporary_cache());
  return temporary_cache();
}

fs::path usable_session_folder(const std::string& kernel, const LogSink& log) {
  Place place = place_of("the user's state folder", [&] { return new_session_folder(kernel); });
  if (place.reason.empty()) return place.path;
  const fs::path folder = temporary_folder() / "session";
  log_to(log, LogLevel::warning,
         fmt::format("{} cannot be used ({}): the session is kept in '{}'; name a folder with --session", place.name,
                     place.reason, folder.string()));
  return folder;
}

fs::path usable_profiles_file(const LogSink& log) {
  Place place = place_of("the user's data folder", [] { return default_profiles_file().parent_path(); });
  if (place.reason.empty()) {
    std::error_code status;
    fs::create_directories(place.path, status);
    if (!status) return default_profiles_file();
    place.reason = status.message();
  }
  const fs::path file = temporary_folder() / "profiles.sqlite";
  log_to(log, LogLevel::warning,
         fmt::format("{} cannot be used ({}): the winner is stored in '{}'; name a file with --profiles", place.name,
                     place.reason, file.string()));
  return file;
}

void prepare_driver_caches(const LogSink& log) {
  // Where PoCL looks, in this order.
  fs::path folder = variable("POCL_CACHE_DIR");
  if (folder.empty() && !variable("XDG_CACHE_HOME").empty()) folder = fs::path(variable("XDG_CACHE_HOME")) / "pocl";
  if (folder.empty() && !variable("HOME").empty()) folder = fs::path(variable("HOME")) / ".cache" / "pocl";
  if (folder.empty()) return;
  const auto reason = why_unusable(folder);
  if (!reason) return;
  try {
    tell_of_cache("'" + folder.string() + "'", *reason, "", log);
    const fs::path instead = temporary_cache() / "drivers";
    make_private_folder(temporary_cache());
    make_private_folder(instead);
    ::setenv("POCL_CACHE_DIR", instead.c_str(), 1);
  } catch (const Error& error) {
    // Other drivers need no cache: what cannot go on says so itself.
    log_to(log, LogLevel::warning, error.what());
  }
}

std::vector<fs::path> folders_for_temporary_files() {
  std::vector<fs::path> folders{"/tmp", "/var/tmp"};
  if (const std::string chosen = variable("TMPDIR"); !chosen.empty()) folders.emplace_back(chosen);
  return folders;
}

void remove_temporary_caches() {
  if (temporary.folder.empty()) return;
  std::error_code ignored;
  fs::remove_all(temporary_cache(), ignored);
  fs::remove(temporary.folder, ignored);  // stays where a session or a database is in it
}

}  // namespace warpwright::app
