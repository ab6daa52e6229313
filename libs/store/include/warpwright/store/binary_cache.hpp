// Compiled binaries on disk, content-addressed by device::cache_key. Safe for several processes at once and against
// being killed at any moment: files appear by rename and carry a checksum. Least recently used entries go first; a use
// is recorded as the file's modification time, because access times are often switched off.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <warpwright/model/binary.hpp>

namespace warpwright::store {

// Thread-safe. Copies share one bookkeeping.
class BinaryCache {
 public:
  // Makes the folder with mode 0700, or takes one that only its owner may write to: what lies in it is run. Least
  // recently used entries go when the whole exceeds `limit`. Throws Error(bad_input) for a folder that others could
  // write to, and as make_private_folder() does.
  explicit BinaryCache(std::filesystem::path folder, Bytes limit = Bytes{std::uint64_t{2} << 30});
  // nullopt if absent, unreadable or damaged (a damaged entry is removed).
  std::optional<Binary> find(const std::string& key) const;
  // Replaces an entry of that key. Never throws for a full or read-only disk, nor for an entry larger than the limit:
  // caching is an aid; returns false then.
  bool put(const std::string& key, const Binary& binary) const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  Bytes limit_;
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace warpwright::store
