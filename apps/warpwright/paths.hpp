// Where the command keeps things, after the XDG base directory specification, and where it finds its worker.
#pragma once

#include <filesystem>
#include <string>

namespace warpwright::app {

std::filesystem::path default_profiles_file();  // $XDG_DATA_HOME/warpwright/profiles.sqlite
std::filesystem::path default_cache_folder();   // $XDG_CACHE_HOME/warpwright
// $XDG_STATE_HOME/warpwright/sessions/KERNEL-YYYYMMDD-HHMMSS-HOST-PID
std::filesystem::path new_session_folder(const std::string& kernel);
// warpwright-worker of this installation or build tree; throws Error(not_found) that says where it looked.
std::filesystem::path worker_executable();

}  // namespace warpwright::app
