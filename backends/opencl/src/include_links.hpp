// Folders of headers whose paths cannot be an option: the options of clBuildProgram are one string, and drivers
// disagree about quotes in it (PoCL 3.1 takes them as part of the path). Such a folder gets a symbolic link with a
// plain name.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace warpwright::opencl {

// Thread-compatible.
class IncludeLinks {
 public:
  // Links are made in `place`, which is created for this user alone.
  explicit IncludeLinks(std::filesystem::path place);
  // `folder`, or a link to it if its path has blanks, quotes or backslashes. The link stays: others may compile with
  // it. Throws Error(io) where there is no place for it.
  std::string plain(const std::filesystem::path& folder);
  // `log` with the folders themselves where the compiler named links.
  std::string with_folders(std::string log) const;

 private:
  std::filesystem::path place_;
  std::vector<std::pair<std::string, std::string>> links_;  // link, folder
};

// In /tmp, by user.
std::filesystem::path default_place_of_links();

}  // namespace warpwright::opencl
