// Where programs keep things, after the XDG base directory specification, looked at before they are used: where the
// user's own folders cannot be written to or are full, a temporary folder takes their place with a warning, instead of
// a driver's message about something else later.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <warpwright/base/log.hpp>
#include <warpwright/driver/names.hpp>

namespace warpwright::driver {

// The environment of a process as a value: libraries read none, so the program hands over what it has. Thread-safe
// once made.
class Variables {
 public:
  Variables() = default;
  explicit Variables(std::map<std::string, std::string> values) : values_(std::move(values)) {}
  // "NAME=VALUE" strings with a null pointer behind the last, as `environ` has them. Copied.
  explicit Variables(const char* const* environment);
  // Empty where the variable is not set.
  std::string value(const std::string& name) const;
  bool has(const std::string& name) const { return values_.count(name) > 0; }

 private:
  std::map<std::string, std::string> values_;
};

// Why nothing can be made at `path` ("Permission denied", "only 2 MiB are free"); nullopt where it can. Leaves
// nothing behind.
std::optional<std::string> why_unusable(const std::filesystem::path& path);

// One for a program, which must outlive what is kept in its places. One thread at a time.
class Places {
 public:
  explicit Places(Variables variables, OptionNames names = {});
  // Removes caches in a temporary folder, which are of no use to the next run; sessions and databases there are kept.
  ~Places();
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;

  const Variables& variables() const { return variables_; }
  const OptionNames& names() const { return names_; }

  // ---- the user's own, whether they can be used or not; throw Error(bad_input) where neither the variable nor HOME is
  // set
  std::filesystem::path profiles_file() const;  // $XDG_DATA_HOME/warpwright/profiles.sqlite
  std::filesystem::path cache_folder() const;   // $XDG_CACHE_HOME/warpwright
  // $XDG_STATE_HOME/warpwright/sessions/KERNEL-YYYYMMDD-HHMMSS-HOST-PID
  std::filesystem::path new_session_folder(const std::string& kernel) const;

  // ---- what can be used; throw Error(io) where no temporary folder can be made either
  // Of the binary cache and the drivers' caches, made with mode 0700: `given`, or the user's cache folder where that is
  // empty, with the parts binaries, pocl and cuda; with a warning, a temporary one where that cannot be used. Throws
  // Error(bad_input) where others could put programs into the folder that was given.
  std::filesystem::path usable_cache_folder(const std::string& given, const LogSink& log);
  // Of a new session; a temporary one is kept. Makes nothing in the user's state folder.
  std::filesystem::path usable_session_folder(const std::string& kernel, const LogSink& log);
  // The user's profile database, whose folder is made, or one in a temporary folder that is kept.
  std::filesystem::path usable_profiles_file(const LogSink& log);

  // PoCL does not start without its cache. Where that cannot be used: the environment variable that gives it another
  // place, which the program sets before a driver is opened in its process. nullopt where all is well.
  std::optional<std::pair<std::string, std::string>> variable_for_driver_caches(const LogSink& log);

  // What programs expect to be able to write to for files that nobody keeps.
  std::vector<std::filesystem::path> folders_for_temporary_files() const;

 private:
  std::filesystem::path base_folder(const char* variable, const char* below_home) const;
  const std::filesystem::path& temporary_folder();
  std::filesystem::path temporary_cache();
  void tell_of_cache(const std::string& place, const std::string& reason, const std::string& cure, const LogSink& log);

  Variables variables_;
  OptionNames names_;
  std::filesystem::path temporary_;  // made when it is needed first
  bool told_of_cache_ = false;
};

// warpwright-worker beside `program` (a build tree) or in ../libexec/warpwright (an installation). Throws
// Error(not_found) that says where it looked.
std::filesystem::path find_worker(const std::filesystem::path& program);

}  // namespace warpwright::driver
