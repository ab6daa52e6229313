// Tuning results that last: an SQLite database (WAL), safe for several processes at once, found again by what decides a
// measurement and, where nothing fits exactly, by what is nearest. Method of nearness: a lexicographic order (device,
// architecture, problem size, ...) rather than one weighted sum, so that it can be explained in a sentence; sizes
// compare by the logarithm of each dimension, because 1024x1024 and 1x1048576 have the same volume and nothing else in
// common.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/units.hpp>
#include <warpwright/model/configuration.hpp>
#include <warpwright/model/statistics.hpp>
#include <warpwright/store/json_text.hpp>

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
  std::string device_kind;   // "gpu", "cpu"; must match, see rank_profiles()
  Configuration dimensions;  // problem size
  std::string toolkit;
  std::string driver;
  std::string cache_mode;  // "cold" or "warm"
};

// Two profiles have equal keys (and the later one replaces the earlier) if all of this agrees but device_kind;
// dimensions compare by name, in any order. A new driver or toolkit therefore adds a profile and keeps the old one.

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
  // How many times as fast as the baseline, as the final comparison measured it: median of the paired ratios, and its
  // interval. Absent in profiles without such a comparison.
  std::optional<PairedRatio> paired_speedup;
  std::uint64_t evaluations = 0;
  std::string strategy;
  std::uint64_t seed = 0;
  std::string verification;  // as RunResult's reference description, "re-verified ..." included
  std::string created_at;    // UTC, ISO 8601
  std::string provenance = "warpwright";
  JsonText details;  // anything else worth keeping, usually an object

  // That of the paired ratios where it is known, else baseline time by tuned time; nullopt without a baseline.
  std::optional<double> speedup() const;
};

// exact: same device model, dimensions, toolkit and cache mode. device: same device model, nearest dimensions.
// nearest: any device of the same backend, same architecture before others. All: same backend.
enum class MatchPolicy { exact, device, nearest };
std::string_view to_string(MatchPolicy policy) noexcept;
std::optional<MatchPolicy> parse_match_policy(std::string_view text);

struct ProfileMatch {
  TuningProfile profile;
  bool same_device = false, same_architecture = false, same_dimensions = false;
  bool same_toolkit = false, same_driver = false, same_cache_mode = false;
  // Euclidean distance of log2(size) per dimension; a dimension that only one side has, or that differs without being a
  // positive number on both sides, counts 64, more than any two sizes can differ.
  double dimension_distance = 0;
  // "exact", or what differs, stored "for" wanted: "size 2048x2048 for 2048x2047 (distance 0.001); driver 580.1 for
  // 575.3"
  std::string quality;
  std::vector<std::string> warnings;  // a changed driver or toolkit, on the same device model
};

// Order of candidates for `wanted`, nearest first, under a policy. Pure. Rank: device model, architecture, dimension
// distance, cache mode, toolkit, driver, then newest. Left out are profiles whose must-match part, backend or kind of
// device differs (what is fastest on a CPU says nothing about a GPU, though OpenCL serves both), and those that the
// policy does not allow. Where one side does not know its kind, only the same device model is of the same kind.
std::vector<ProfileMatch> rank_profiles(const ProfileKey& wanted, std::vector<TuningProfile> candidates,
                                        MatchPolicy policy);

// Thread-compatible; several processes may use one file, which must lie on a file system that processes share memory
// over (a local disk). A writer that finds the file busy waits for up to 30 s, then throws Error(timeout).
class ProfileDatabase {
 public:
  // Opens, or creates a file in a folder that is there; migrates older schemas. Where the file or its folder cannot be
  // written to it is opened as open_read_only() does, and writable() is false. Throws Error(not_found) for a folder
  // that is not there, Error(bad_input) for an empty file or a path that cannot be used, Error(corrupted) for a file
  // that is no profile database (neither is ever written to), Error(unsupported) for a newer schema, saying which
  // version wrote it, and Error(io); each names the file. Every member below throws Error(io) and Error(corrupted) as
  // well.
  explicit ProfileDatabase(const std::filesystem::path& file);
  // Writes nothing, not even the files of a write-ahead log, and creates nothing: a file on a read-only disk will do.
  // If there is no log of a writer beside it, it is read as it is now, and what is stored later is not seen. Throws as
  // the constructor does, Error(not_found) for a file that is not there, and Error(unsupported) for an older schema.
  static ProfileDatabase open_read_only(const std::filesystem::path& file);
  ~ProfileDatabase();
  ProfileDatabase(ProfileDatabase&&) noexcept;
  ProfileDatabase& operator=(ProfileDatabase&&) noexcept;
  // Whether put(), remove() and import_json() can work; otherwise they throw Error(bad_input).
  bool writable() const;

  // Replaces the profile with an equal key, if any, and keeps its id; returns the id (profile.id is not read). Durable
  // when it returns. Throws Error(bad_input) for a profile without a kernel name or whose median is no positive number.
  std::int64_t put(const TuningProfile& profile);
  std::optional<TuningProfile> get(std::int64_t id) const;
  // All, or those of one kernel; by kernel, device, then id.
  std::vector<TuningProfile> list(const std::string& kernel = {}) const;
  // False if there is no such profile.
  bool remove(std::int64_t id);
  // The first of rank_profiles() over everything stored.
  std::optional<ProfileMatch> find(const ProfileKey& wanted, MatchPolicy policy) const;
  // All of them, nearest first: for who cannot use the first.
  std::vector<ProfileMatch> find_all(const ProfileKey& wanted, MatchPolicy policy) const;
  // Profiles of this kernel whose source hash differs from `wanted`: to say "the source changed since it was tuned".
  std::size_t count_stale(const ProfileKey& wanted) const;
  // Changes whenever any process writes; for readers that hold a snapshot. Comparable only between calls on one object.
  std::int64_t version() const;

  // Import and export as JSON ({"schema_version": 1, "profiles": [...]}). Import returns how many were new, or newer by
  // created_at than the stored profile of the same key; ids are assigned anew. It imports all or nothing: a damaged
  // profile throws Error(corrupted) naming it and the key, e.g. "key 'profiles[2].median_ns' is missing".
  JsonText export_json(const std::string& kernel = {}) const;
  std::size_t import_json(const JsonText& text);

 private:
  struct State;
  explicit ProfileDatabase(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace warpwright::store
