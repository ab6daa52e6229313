// Profiles in memory, by name, for programs that read them often from many threads while tuning goes on; written
// through to a profile database, so that the next process has them too.
//
// A look-up by name hashes, locks and counts a reference. A ProfileHandle is resolved once: a read is one atomic load
// of the slot's current profile and a comparison with the one the handle has pinned. Only after a new profile was
// published does the handle pin that one: hazard pointers (Michael 2004), one for each handle. Readers take no lock and
// allocate nothing; what they point to is freed by a later publication or with the slot. std::atomic<std::shared_ptr>
// was rejected: libstdc++ implements it with a lock bit, in which ThreadSanitizer finds a race, and every read would
// write to a cache line that all readers share.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <warpwright/model/occupancy.hpp>
#include <warpwright/store/profile_database.hpp>

namespace warpwright {

using store::TuningProfile;

// Immutable.
struct CachedProfile {
  TuningProfile profile;
  // Of profiles of the simple form of PerformanceTuner: how to launch the winner.
  std::optional<KernelConfig> kernel;
  std::uint64_t publication = 0;  // grows with every profile that a cache takes in
};

namespace detail {

struct ProfileSlot;

// One hazard pointer, on a cache line of its own.
struct alignas(64) ProfilePin {
  std::atomic<const CachedProfile*> pinned{nullptr};
};

struct ProfileSlotHead {
  alignas(64) std::atomic<const CachedProfile*> current{nullptr};
};

}  // namespace detail

// Always the newest profile of one name (and problem size), or none yet. One thread only: give every thread its own
// copy. Copies and the handle itself may outlive the cache; they keep the last profile.
class ProfileHandle {
 public:
  ProfileHandle() = default;  // reads null
  ProfileHandle(const ProfileHandle& other);
  ProfileHandle& operator=(const ProfileHandle& other);
  ProfileHandle(ProfileHandle&& other) noexcept;
  ProfileHandle& operator=(ProfileHandle&& other) noexcept;
  ~ProfileHandle();

  // Null while there is no profile. The profile stays as it is and where it is until the next call of read() on this
  // handle. Lock-free: a read repeats only if another profile was published while it pinned one. Allocates nothing.
  const CachedProfile* read() noexcept {
    const CachedProfile* const newest = head_ == nullptr ? nullptr : head_->current.load(std::memory_order_acquire);
    return newest == mine_ ? newest : pin_newest();
  }

 private:
  friend class ProfileCache;
  explicit ProfileHandle(std::shared_ptr<detail::ProfileSlot> slot);
  const CachedProfile* pin_newest() noexcept;
  void attach();
  void detach() noexcept;

  const CachedProfile* mine_ = nullptr;
  const detail::ProfileSlotHead* head_ = nullptr;
  std::unique_ptr<detail::ProfilePin> pin_;
  std::shared_ptr<detail::ProfileSlot> slot_;
};

struct ProfileCacheOptions {
  // Memory only if absent. Profiles that are in it at construction are there from the start.
  std::optional<std::filesystem::path> database;
  // What profiles are for; kernel and dimensions are not used. Source hash, data types and backend must agree.
  store::ProfileKey identity;
  // How far the device may be from identity.device: see store::MatchPolicy. `exact` asks for the same size, too.
  store::MatchPolicy match = store::MatchPolicy::device;
};

// Thread-safe.
class ProfileCache {
 public:
  // Throws what store::ProfileDatabase throws.
  explicit ProfileCache(ProfileCacheOptions options);
  ~ProfileCache();
  ProfileCache(const ProfileCache&) = delete;
  ProfileCache& operator=(const ProfileCache&) = delete;

  // The newest of this name, whatever its size (of the nearest device where match allows several); null if there is
  // none.
  std::shared_ptr<const CachedProfile> find(std::string_view name) const;
  // The one whose problem size is nearest.
  std::shared_ptr<const CachedProfile> find(std::string_view name, const Configuration& dimensions) const;

  // The same, resolved once and kept up to date. Where there is no profile yet, the handle waits for the first.
  ProfileHandle handle(std::string_view name);
  ProfileHandle handle(std::string_view name, const Configuration& dimensions);

  // Writes a profile to the database and takes it in, replacing one with an equal key; returns its id (0 without a
  // database). Readers have it even if the database throws. Throws Error(bad_input) for a profile without a name or a
  // positive median.
  std::int64_t put(const TuningProfile& profile);

  // Takes in what other processes wrote to the database. False without one, or if it is as it was when it was read.
  bool reload();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace warpwright
