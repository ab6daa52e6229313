#include "include_links.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/hash.hpp>

namespace warpwright::opencl {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& folder, const std::string& why, int error) {
  Error refusal(ErrorCode::io, "include folder '" + folder.string() +
                                   "' has blanks or quotes in its path, which OpenCL's options cannot carry, and " +
                                   why + "; move the folder");
  if (error == 0) throw refusal;
  throw Error(ErrorCode::io, refusal.message(), NativeError{error, std::strerror(error)});
}

}  // namespace

IncludeLinks::IncludeLinks(std::filesystem::path place) : place_(std::move(place)) {}

std::string IncludeLinks::plain(const std::filesystem::path& folder) {
  const std::string path = folder.string();
  if (path.find_first_of(" \t\n\r\v\f\"'\\") == std::string::npos) return path;
  const std::string link = (place_ / content_hash(path).substr(0, 16)).string();
  const auto known = std::find_if(links_.begin(), links_.end(), [&](const auto& one) { return one.first == link; });
  if (known != links_.end()) return link;
  // Anybody may write into /tmp: a folder of somebody else could lead to other headers.
  if (::mkdir(place_.c_str(), 0700) != 0 && errno != EEXIST)
    refuse(folder, "'" + place_.string() + "', for a link to it, cannot be created", errno);
  struct stat status {};
  if (::lstat(place_.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() ||
      (status.st_mode & 022) != 0)
    refuse(folder, "'" + place_.string() + "', for a link to it, is no folder of this user alone", 0);
  if (::symlink(path.c_str(), link.c_str()) != 0 && errno != EEXIST)
    refuse(folder, "the link '" + link + "' to it cannot be made", errno);
  std::error_code error;
  if (std::filesystem::read_symlink(link, error) != folder)
    refuse(folder, "'" + link + "' is not the link to it that it should be", 0);
  links_.emplace_back(link, path);
  return link;
}

std::string IncludeLinks::with_folders(std::string log) const {
  for (const auto& [link, folder] : links_) {
    for (std::size_t at = log.find(link); at != std::string::npos; at = log.find(link, at + folder.size()))
      log.replace(at, link.size(), folder);
  }
  return log;
}

std::filesystem::path default_place_of_links() { return "/tmp/warpwright-include-" + std::to_string(::geteuid()); }

}  // namespace warpwright::opencl
