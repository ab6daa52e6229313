// A folder for files that nobody needs afterwards.
#pragma once

#include <filesystem>

namespace warpwright {

// A fresh folder, mode 0700, removed with everything in it by the destructor. Throws Error(io).
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::filesystem::path& parent);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace warpwright
