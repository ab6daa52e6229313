// Compiled binaries on disk, content-addressed by device::cache_key. Safe for several processes at once and against being
// killed at any moment: files appear by rename and carry a checksum.
#pragma once

#include <warpwright/device/compiler.hpp>

#include <filesystem>
#include <optional>
#include <string>

namespace warpwright::store {

// Thread-safe.
class BinaryCache {
 public:
  // Creates the folder. Least recently used entries go when the whole exceeds `limit`. Throws Error(io).
  explicit BinaryCache(std::filesystem::path folder, Bytes limit = Bytes{std::uint64_t{2} << 30});
  // nullopt if absent or damaged (a damaged entry is removed).
  std::optional<device::Binary> find(const std::string& key) const;
  // Never throws for a full or read-only disk: caching is an aid; returns false then.
  bool put(const std::string& key, const device::Binary& binary) const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  Bytes limit_;
};

}  // namespace warpwright::store
