// Places to keep things in, looked at before they are used: where the user's own folders cannot be written to or are
// full, a temporary folder takes their place with a warning, instead of a driver's message about something else later.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/log.hpp>

namespace warpwright::app {

// Why nothing can be made at `path` ("Permission denied", "only 2 MiB are free"); nullopt where it can. Leaves
// nothing behind.
std::optional<std::string> why_unusable(const std::filesystem::path& path);

// Of the binary cache and the drivers' caches, made with mode 0700: `given`, the value of --cache-dir, or the user's
// cache folder where that is empty, with the parts binaries, pocl and cuda; with a warning, a temporary one where that
// cannot be used. Throws Error(bad_input) naming the flag where others could put programs into the folder that was
// given.
std::filesystem::path usable_cache_folder(const std::string& given, const LogSink& log);
// Of a new session; a temporary one is kept. Makes nothing in the user's state folder.
std::filesystem::path usable_session_folder(const std::string& kernel, const LogSink& log);
// The user's profile database, whose folder is made, or one in a temporary folder that is kept.
std::filesystem::path usable_profiles_file(const LogSink& log);

// Gives PoCL, which does not start without its cache, another place for that where its own cannot be used. Before a
// driver is opened in this process.
void prepare_driver_caches(const LogSink& log);

// What programs expect to be able to write to for files that nobody keeps.
std::vector<std::filesystem::path> folders_for_temporary_files();

// At the end of the program: caches in a temporary folder are of no use to the next run.
void remove_temporary_caches();

}  // namespace warpwright::app
