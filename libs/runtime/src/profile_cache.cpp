#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <warpwright/base/error.hpp>
#include <warpwright/runtime/profile_cache.hpp>
#include <warpwright/store/kernel_config_json.hpp>

#include "writer_first_mutex.hpp"

namespace warpwright {
namespace detail {

using Profile = std::shared_ptr<const CachedProfile>;

struct ProfileSlot {
  ProfileSlotHead head;
  std::optional<Configuration> dimensions;  // absent: the newest of any size

  std::mutex mutex;  // of what follows; never taken by read()
  std::vector<const ProfilePin*> pins;
  Profile owner;                 // of head.current
  std::vector<Profile> retired;  // replaced, but pinned when they were

  void publish(Profile next) {
    const std::lock_guard lock(mutex);
    if (next == owner) return;
    if (owner) retired.push_back(std::move(owner));
    owner = std::move(next);
    // Sequentially consistent like the stores of the pins: either this thread sees a pin, or the one who pins sees the
    // new profile and tries again.
    head.current.store(owner.get(), std::memory_order_seq_cst);
    std::erase_if(retired, [&](const Profile& old) {
      return std::none_of(pins.begin(), pins.end(), [&](const ProfilePin* pin) {
        return pin->pinned.load(std::memory_order_seq_cst) == old.get();
      });
    });
  }
};

}  // namespace detail

// ---- handles
// ---------------------------------------------------------------------------------------------------------

ProfileHandle::ProfileHandle(std::shared_ptr<detail::ProfileSlot> slot) : slot_(std::move(slot)) { attach(); }

ProfileHandle::ProfileHandle(const ProfileHandle& other) : slot_(other.slot_) { attach(); }

ProfileHandle& ProfileHandle::operator=(const ProfileHandle& other) {
  if (this != &other) *this = ProfileHandle(other);
  return *this;
}

ProfileHandle::ProfileHandle(ProfileHandle&& other) noexcept
    : mine_(std::exchange(other.mine_, nullptr)),
      head_(std::exchange(other.head_, nullptr)),
      pin_(std::move(other.pin_)),
      slot_(std::move(other.slot_)) {}

ProfileHandle& ProfileHandle::operator=(ProfileHandle&& other) noexcept {
  if (this == &other) return *this;
  detach();
  mine_ = std::exchange(other.mine_, nullptr);
  head_ = std::exchange(other.head_, nullptr);
  pin_ = std::move(other.pin_);
  slot_ = std::move(other.slot_);
  return *this;
}

ProfileHandle::~ProfileHandle() { detach(); }

void ProfileHandle::attach() {
  if (!slot_) return;
  pin_ = std::make_unique<detail::ProfilePin>();
  head_ = &slot_->head;
  const std::lock_guard lock(slot_->mutex);
  slot_->pins.push_back(pin_.get());
}

void ProfileHandle::detach() noexcept {
  if (!slot_) return;
  {
    const std::lock_guard lock(slot_->mutex);
    std::erase(slot_->pins, pin_.get());
  }
  mine_ = nullptr;
  head_ = nullptr;
  slot_.reset();
  pin_.reset();
}

const CachedProfile* ProfileHandle::pin_newest() noexcept {
  const CachedProfile* newest = head_->current.load(std::memory_order_acquire);
  for (;;) {
    pin_->pinned.store(newest, std::memory_order_seq_cst);
    const CachedProfile* const now = head_->current.load(std::memory_order_seq_cst);
    if (now == newest) break;
    newest = now;
  }
  return mine_ = newest;
}

// ---- the cache
// ---------------------------------------------------------------------------------------------------------

struct ProfileCache::State {
  using Profile = detail::Profile;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  struct Entry {
    std::vector<Profile> profiles;  // in the order of publication
    Profile newest;
    std::map<std::string, std::shared_ptr<detail::ProfileSlot>> slots;  // by described dimensions; "" for any size
  };

  explicit State(ProfileCacheOptions given) : options(std::move(given)) {
    if (!options.database) return;
    database.emplace(*options.database);
    load();
  }

  // What a profile of `name` is wanted for; any size is as good where none is given.
  store::ProfileKey wanted(std::string_view name, const Configuration& dimensions) const {
    store::ProfileKey key = options.identity;
    key.kernel = std::string(name);
    key.dimensions = dimensions;
    return key;
  }

  std::optional<store::ProfileMatch> match(std::string_view name, const Configuration& dimensions,
                                           const TuningProfile& candidate) const {
    auto matches = store::rank_profiles(wanted(name, dimensions), {candidate}, options.match);
    if (matches.empty()) return std::nullopt;
    return std::move(matches.front());
  }

  Profile newest_of(std::string_view name, const Entry& entry) const {
    Profile best;
    std::pair<int, int> best_rank;
    for (const Profile& candidate : entry.profiles) {
      const auto found = match(name, candidate->profile.key.dimensions, candidate->profile);
      if (!found) continue;
      const std::pair<int, int> rank(!found->same_device, !found->same_architecture);
      if (!best || rank <= best_rank) {
        best = candidate;
        best_rank = rank;
      }
    }
    return best;
  }

  Profile nearest_of(std::string_view name, const Entry& entry, const Configuration& dimensions) const {
    Profile best;
    std::tuple<int, int, double> best_rank;
    for (const Profile& candidate : entry.profiles) {
      const auto found = match(name, dimensions, candidate->profile);
      if (!found) continue;
      const std::tuple rank(!found->same_device, !found->same_architecture, found->dimension_distance);
      if (!best || rank <= best_rank) {
        best = candidate;
        best_rank = rank;
      }
    }
    return best;
  }

  // Under the exclusive lock.
  Entry& entry_of(std::string_view name) {
    const auto found = entries.find(name);
    return found != entries.end() ? found->second : entries.try_emplace(std::string(name)).first->second;
  }

  static bool same_key(const store::ProfileKey& a, const store::ProfileKey& b) {
    const auto parts = [](const store::ProfileKey& key) {
      return std::tie(key.kernel, key.source_hash, key.data_types, key.backend, key.device, key.architecture,
                      key.toolkit, key.driver, key.cache_mode);
    };
    if (parts(a) != parts(b) || a.dimensions.size() != b.dimensions.size()) return false;
    return std::all_of(a.dimensions.begin(), a.dimensions.end(), [&](const Configuration::Entry& dimension) {
      const Value* const other = b.dimensions.find(dimension.first);
      return other != nullptr && python_equal(*other, dimension.second);
    });
  }

  Profile cached(const TuningProfile& profile) {
    CachedProfile made;
    made.profile = profile;
    made.kernel = store::kernel_config_of(store::parse(profile.details, "the profile's details"));
    made.publication = ++publications;
    return std::make_shared<const CachedProfile>(std::move(made));
  }

  void take_in(Entry& entry, const TuningProfile& profile) {
    std::erase_if(entry.profiles, [&](const Profile& old) { return same_key(old->profile.key, profile.key); });
    entry.profiles.push_back(cached(profile));
  }

  void publish(const std::string& name, Entry& entry) {
    entry.newest = newest_of(name, entry);
    for (auto& [key, slot] : entry.slots)
      slot->publish(slot->dimensions ? nearest_of(name, entry, *slot->dimensions) : entry.newest);
  }

  // Only what could ever match is kept: the database may hold the profiles of many programs.
  void load() {
    auto all = database->list();
    version = database->version();
    std::erase_if(all, [&](const TuningProfile& profile) {
      const store::ProfileKey& key = profile.key;
      return key.source_hash != options.identity.source_hash || key.data_types != options.identity.data_types ||
             key.backend != options.identity.backend;
    });
    std::stable_sort(all.begin(), all.end(), [](const TuningProfile& a, const TuningProfile& b) {
      return a.created_at != b.created_at ? a.created_at < b.created_at : a.id < b.id;
    });
    for (auto& [name, entry] : entries) {
      // What the database refused to take stays.
      std::erase_if(entry.profiles, [](const Profile& profile) { return profile->profile.id != 0; });
    }
    for (const TuningProfile& profile : all) take_in(entry_of(profile.key.kernel), profile);
    for (auto& [name, entry] : entries) publish(name, entry);
  }

  ProfileHandle resolve(std::string_view name, std::optional<Configuration> dimensions) {
    const std::lock_guard lock(mutex);
    Entry& entry = entry_of(name);
    auto& slot = entry.slots[dimensions ? "size " + dimensions->describe() : std::string()];
    if (!slot) {
      slot = std::make_shared<detail::ProfileSlot>();
      slot->dimensions = std::move(dimensions);
      slot->publish(slot->dimensions ? nearest_of(name, entry, *slot->dimensions) : entry.newest);
    }
    return ProfileHandle(slot);
  }

  const ProfileCacheOptions options;
  std::mutex database_mutex;  // taken before `mutex` where both are needed
  std::optional<store::ProfileDatabase> database;
  std::int64_t version = 0;  // of the database when it was read last
  mutable detail::WriterFirstMutex mutex;
  std::unordered_map<std::string, Entry, Hash, std::equal_to<>> entries;
  std::uint64_t publications = 0;
};

ProfileCache::ProfileCache(ProfileCacheOptions options) : state_(std::make_unique<State>(std::move(options))) {}
ProfileCache::~ProfileCache() = default;

std::shared_ptr<const CachedProfile> ProfileCache::find(std::string_view name) const {
  const std::shared_lock lock(state_->mutex);
  const auto found = state_->entries.find(name);
  return found == state_->entries.end() ? nullptr : found->second.newest;
}

std::shared_ptr<const CachedProfile> ProfileCache::find(std::string_view name, const Configuration& dimensions) const {
  const std::shared_lock lock(state_->mutex);
  const auto found = state_->entries.find(name);
  return found == state_->entries.end() ? nullptr : state_->nearest_of(name, found->second, dimensions);
}

ProfileHandle ProfileCache::handle(std::string_view name) { return state_->resolve(name, std::nullopt); }

ProfileHandle ProfileCache::handle(std::string_view name, const Configuration& dimensions) {
  return state_->resolve(name, dimensions);
}

std::int64_t ProfileCache::put(const TuningProfile& profile) {
  if (profile.key.kernel.empty()) throw Error(ErrorCode::bad_input, "a profile needs a name to be found by");
  if (!std::isfinite(profile.median.count()) || profile.median.count() <= 0)
    throw Error(ErrorCode::bad_input, "the profile of '" + profile.key.kernel + "' has no positive median time");
  const auto publish = [&](const TuningProfile& made) {
    const std::lock_guard lock(state_->mutex);
    State::Entry& entry = state_->entry_of(made.key.kernel);
    state_->take_in(entry, made);
    state_->publish(made.key.kernel, entry);
  };
  TuningProfile made = profile;
  made.id = 0;
  if (!state_->database) {
    publish(made);
    return 0;
  }
  const std::lock_guard lock(state_->database_mutex);
  try {
    made.id = state_->database->put(made);
  } catch (...) {
    publish(made);
    throw;
  }
  publish(made);
  return made.id;
}

bool ProfileCache::reload() {
  if (!state_->database) return false;
  const std::lock_guard database_lock(state_->database_mutex);
  if (state_->database->version() == state_->version) return false;
  const std::lock_guard lock(state_->mutex);
  state_->load();
  return true;
}

}  // namespace warpwright
