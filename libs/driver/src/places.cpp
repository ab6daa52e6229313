#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/driver/places.hpp>

namespace warpwright::driver {
namespace {

namespace fs = std::filesystem;

// Less room than this is a full disk: one kernel of PoCL takes about 100 KiB, a session of a thousand trials some MiB.
constexpr Bytes least_room{std::uint64_t{16} << 20};

std::string file_name_part(std::string text) {
  for (char& c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_') c = '_';
  return text;
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

Variables::Variables(const char* const* environment) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const std::string_view entry = *environment;
    const std::size_t equals = entry.find('=');
    // Of a name that stands there twice the first counts, as for getenv().
    if (equals != std::string_view::npos && equals > 0)
      values_.emplace(std::string(entry.substr(0, equals)), std::string(entry.substr(equals + 1)));
  }
}

std::string Variables::value(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::string() : found->second;
}

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

Places::Places(Variables variables, OptionNames names) : variables_(std::move(variables)), names_(std::move(names)) {}

Places::~Places() {
  if (temporary_.empty()) return;
  std::error_code ignored;
  fs::remove_all(temporary_ / "cache", ignored);
  fs::remove(temporary_, ignored);  // stays where a session or a database is in it
}

fs::path Places::base_folder(const char* variable, const char* below_home) const {
  // The specification says to ignore relative paths.
  if (const std::string value = variables_.value(variable); !value.empty() && value[0] == '/')
    return fs::path(value) / "warpwright";
  const std::string home = variables_.value("HOME");
  if (home.empty())
    throw Error(ErrorCode::bad_input,
                fmt::format("neither {} nor HOME is set, so there is no place for files; set one, or "
                            "name the places with {}, {} and {}",
                            variable, names_.profiles, names_.cache_folder, names_.session));
  return fs::path(home) / below_home / "warpwright";
}

fs::path Places::profiles_file() const { return base_folder("XDG_DATA_HOME", ".local/share") / "profiles.sqlite"; }

fs::path Places::cache_folder() const { return base_folder("XDG_CACHE_HOME", ".cache"); }

fs::path Places::new_session_folder(const std::string& kernel) const {
  // Homes are shared between hosts, where second and process id may agree.
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') host = {'h', 'o', 's', 't'};
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  std::array<char, 32> second{};
  std::strftime(second.data(), second.size(), "%Y%m%d-%H%M%S", &local);
  return base_folder("XDG_STATE_HOME", ".local/state") / "sessions" /
         fmt::format("{}-{}-{}-{}", file_name_part(kernel), second.data(), file_name_part(host.data()), ::getpid());
}

const fs::path& Places::temporary_folder() {
  if (!temporary_.empty()) return temporary_;
  const std::string chosen = variables_.value("TMPDIR");
  std::string name = (fs::path(chosen.empty() ? "/tmp" : chosen) / "warpwright-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw Error(ErrorCode::io,
                fmt::format("cannot make a temporary folder '{}': {}; set TMPDIR to a folder that can be "
                            "written to",
                            name, std::strerror(errno)));
  temporary_ = name;
  return temporary_;
}

fs::path Places::temporary_cache() { return temporary_folder() / "cache"; }

void Places::tell_of_cache(const std::string& place, const std::string& reason, const std::string& cure,
                           const LogSink& log) {
  if (std::exchange(told_of_cache_, true)) return;
  log_to(log, LogLevel::warning,
         fmt::format("{} cannot be used ({}): compiled kernels are kept in '{}' until this run ends{}", place, reason,
                     temporary_cache().string(), cure));
}

fs::path Places::usable_cache_folder(const std::string& given, const LogSink& log) {
  Place place = given.empty() ? place_of("the user's cache folder", [&] { return cache_folder(); })
                              : place_of("", [&] { return fs::absolute(given); });
  if (place.reason.empty()) {
    try {
      make_cache_folder(place.path);
      return place.path;
    } catch (Error& error) {
      // A folder that others could put programs into is no trouble of the machine's, which would pass.
      if (!given.empty() && error.code() == ErrorCode::bad_input)
        throw Error(ErrorCode::bad_input, names_.cache_folder + ": " + std::string(error.what()));
      place.reason = error.what();
    }
  }
  tell_of_cache(place.name, place.reason, given.empty() ? "; name a folder with " + names_.cache_folder : "", log);
  make_cache_folder(temporary_cache());
  return temporary_cache();
}

fs::path Places::usable_session_folder(const std::string& kernel, const LogSink& log) {
  Place place = place_of("the user's state folder", [&] { return new_session_folder(kernel); });
  if (place.reason.empty()) return place.path;
  const fs::path folder = temporary_folder() / "session";
  log_to(log, LogLevel::warning,
         fmt::format("{} cannot be used ({}): the session is kept in '{}'; name a folder with {}", place.name,
                     place.reason, folder.string(), names_.session));
  return folder;
}

fs::path Places::usable_profiles_file(const LogSink& log) {
  Place place = place_of("the user's data folder", [&] { return profiles_file().parent_path(); });
  if (place.reason.empty()) {
    std::error_code status;
    fs::create_directories(place.path, status);
    if (!status) return profiles_file();
    place.reason = status.message();
  }
  const fs::path file = temporary_folder() / "profiles.sqlite";
  log_to(log, LogLevel::warning,
         fmt::format("{} cannot be used ({}): the winner is stored in '{}'; name a file with {}", place.name,
                     place.reason, file.string(), names_.profiles));
  return file;
}

std::optional<std::pair<std::string, std::string>> Places::variable_for_driver_caches(const LogSink& log) {
  // Where PoCL looks, in this order.
  fs::path folder = variables_.value("POCL_CACHE_DIR");
  if (const std::string cache = variables_.value("XDG_CACHE_HOME"); folder.empty() && !cache.empty())
    folder = fs::path(cache) / "pocl";
  if (const std::string home = variables_.value("HOME"); folder.empty() && !home.empty())
    folder = fs::path(home) / ".cache" / "pocl";
  if (folder.empty()) return std::nullopt;
  const auto reason = why_unusable(folder);
  if (!reason) return std::nullopt;
  try {
    tell_of_cache("'" + folder.string() + "'", *reason, "", log);
    const fs::path instead = temporary_cache() / "drivers";
    make_private_folder(temporary_cache());
    make_private_folder(instead);
    return std::pair{std::string("POCL_CACHE_DIR"), instead.string()};
  } catch (const Error& error) {
    // Other drivers need no cache: what cannot go on says so itself.
    log_to(log, LogLevel::warning, error.what());
    return std::nullopt;
  }
}

std::vector<fs::path> Places::folders_for_temporary_files() const {
  std::vector<fs::path> folders{"/tmp", "/var/tmp"};
  if (const std::string chosen = variables_.value("TMPDIR"); !chosen.empty()) folders.emplace_back(chosen);
  return folders;
}

fs::path find_worker(const fs::path& program) {
  const auto folder = program.parent_path();
  const std::array candidates{folder / "warpwright-worker",
                              folder.parent_path() / "libexec" / "warpwright" / "warpwright-worker"};
  for (const auto& candidate : candidates)
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  throw Error(ErrorCode::not_found, fmt::format("the worker program is missing: neither '{}' nor '{}' exists; install "
                                                "warpwright again, or build the target warpwright-worker",
                                                candidates[0].string(), candidates[1].string()));
}

}  // namespace warpwright::driver
