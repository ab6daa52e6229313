#include "paths.hpp"

#include <array>
#include <cctype>
#include <cstdlib>
#include <ctime>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <warpwright/base/error.hpp>

namespace warpwright::app {
namespace {

std::filesystem::path base_folder(const char* variable, const char* below_home) {
  const char* value = std::getenv(variable);
  // The specification says to ignore relative paths.
  if (value != nullptr && value[0] == '/') return std::filesystem::path(value) / "warpwright";
  const char* home = std::getenv("HOME");
  if (home == nullptr || home[0] == '\0')
    throw Error(ErrorCode::bad_input,
                fmt::format("neither {} nor HOME is set, so there is no place for files; set one, or "
                            "name the places with --profiles, --cache-dir and --session",
                            variable));
  return std::filesystem::path(home) / below_home / "warpwright";
}

std::string file_name_part(std::string text) {
  for (char& c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_') c = '_';
  return text;
}

}  // namespace

std::filesystem::path default_profiles_file() {
  return base_folder("XDG_DATA_HOME", ".local/share") / "profiles.sqlite";
}

std::filesystem::path default_cache_folder() { return base_folder("XDG_CACHE_HOME", ".cache"); }

std::filesystem::path new_session_folder(const std::string& kernel) {
  // Homes are shared between hosts, where second and process id may agree.
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') host = {'h', 'o', 's', 't'};
  return base_folder("XDG_STATE_HOME", ".local/state") / "sessions" /
         fmt::format("{}-{:%Y%m%d-%H%M%S}-{}-{}", file_name_part(kernel), fmt::localtime(std::time(nullptr)),
                     file_name_part(host.data()), ::getpid());
}

std::filesystem::path worker_executable() {
  std::error_code status;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", status);
  const auto folder = self.parent_path();
  const std::array candidates{folder / "warpwright-worker",
                              folder.parent_path() / "libexec" / "warpwright" / "warpwright-worker"};
  for (const auto& candidate : candidates)
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  throw Error(ErrorCode::not_found, fmt::format("the worker program is missing: neither '{}' nor '{}' exists; install "
                                                "warpwright again, or build the target warpwright-worker",
                                                candidates[0].string(), candidates[1].string()));
}

}  // namespace warpwright::app
