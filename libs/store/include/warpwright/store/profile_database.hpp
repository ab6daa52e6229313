// Tuning results that last: an SQLite database (WAL), safe for several processes at once.
#pragma once

#include <warpwright/base/units.hpp>
#include <warpwright/model/configuration.hpp>
#include <warpwright/store/json.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace warpwright::store {

// What a profile is looked up by.
struct ProfileKey {
  // Must match.
  std::string kernel;
  std::string source_hash;  // source with includes, and options
  std::string data_types;
  // Ranked, nearest first.
  std::string backend;       // "cuda"
  std::string device;        // model name
  std::string architecture;  // "sm_90"
  std::string device_kind;   // "gpu", "cpu"
  Configuration dimensions;  // problem size
  std::string toolkit;
  std::string driver;
  std::string cache_mode;  // "cold" or "warm"
};

// One stored winner.
struct TuningProfile {
  std::int64_t id = 0;  // assigned by the database
  ProfileKey key;
  Configuration configuration;
  Nanoseconds median{};
  Nanoseconds spread{};
  int samples = 0;
  std::optional<Configuration> baseline;
  std::optional<Nanoseconds> baseline_median;
  std::uint64_t evaluations = 0;
  std::string strategy;
  std::uint64_t seed = 0;
  std::string verification;  // as RunResult's reference description, "re-verified ..." included
  std::string created_at;    // UTC, ISO 8601
  std::string provenance = "warpwright";
  Json details;              // anything else worth keeping

  std::optional<double> speedup() const;
};

// exact: same device model, dimensions, toolkit and cache mode. device: same device model, nearest dimensions.
// nearest: any device of the same backend, same architecture before others.
enum class MatchPolicy { exact, device, nearest };
std::string_view to_string(MatchPolicy policy) noexcept;
std::optional<MatchPolicy> parse_match_policy(std::string_view text);

struct ProfileMatch {
  TuningProfile profile;
  bool same_device = false, same_architecture = false, same_dimensions = false;
  bool same_toolkit = false, same_driver = false, same_cache_mode = false;
  double dimension_distance = 0;  // Euclidean distance of log2(size) per dimension
  // "exact", or what differs: "size 2048x2048 for 2048x2047 (distance 0.001); driver 580.1 for 575.3"
  std::string quality;
  std::vector<std::string> warnings;  // a changed driver or toolkit
};

// Order of candidates for `wanted`, nearest first, under a policy. Pure. Rank: device model, architecture, dimension
// distance, cache mode, toolkit, driver, then newest. Profiles whose must-match part differs are left out.
std::vector<ProfileMatch> rank_profiles(const ProfileKey& wanted, std::vector<TuningProfile> candidates, MatchPolicy policy);

// Thread-compatible; several processes may use one file.
class ProfileDatabase {
 public:
  // Opens or creates; migrates older schemas. Throws Error(io / corrupted) naming the file; a newer schema is an error
  // that says which version wrote it.
  explicit ProfileDatabase(const std::filesystem::path& file);
  ~ProfileDatabase();
  ProfileDatabase(ProfileDatabase&&) noexcept;
  ProfileDatabase& operator=(ProfileDatabase&&) noexcept;

  // Replaces the profile with an equal key, if any; returns the id.
  std::int64_t put(const TuningProfile& profile);
  std::optional<TuningProfile> get(std::int64_t id) const;
  std::vector<TuningProfile> list(const std::string& kernel = {}) const;
  bool remove(std::int64_t id);
  std::optional<ProfileMatch> find(const ProfileKey& wanted, MatchPolicy policy) const;
  // Profiles of this kernel whose source hash differs from `wanted`: to say "the source changed since it was tuned".
  std::size_t count_stale(const ProfileKey& wanted) const;
  // Changes whenever any process writes; for readers that hold a snapshot.
  std::int64_t version() const;

  // Import and export as JSON ({"schema_version": 1, "profiles": [...]}). Import returns how many were new or newer.
  Json export_json(const std::string& kernel = {}) const;
  std::size_t import_json(const Json& json);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Json to_json(const TuningProfile& profile);
TuningProfile profile_from_json(const Json& json);

}  // namespace warpwright::store
