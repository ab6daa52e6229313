// A tuned kernel inside an application: looks its configuration up by problem size, compiles it (or takes the cached
// binary), and launches it on the application's own buffers and streams.
//
// An application must not fail because of what somebody tuned elsewhere: a profile whose configuration does not
// compile, fit or load here is passed over for the next best, and at last for the default configuration; Selection says
// so. What is prepared for a size is kept, the least recently used first to go, and chosen anew when the profile
// database has changed. That is noticed by the database's version, one number, read now and then and not at every
// launch: a query costs as much as a launch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include <warpwright/base/clock.hpp>
#include <warpwright/base/log.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/measure/timing.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/store/binary_cache.hpp>
#include <warpwright/store/profile_database.hpp>

namespace warpwright::runtime {

struct TunedKernelOptions {
  // How far a profile may be from what is asked: see store::MatchPolicy.
  store::MatchPolicy match = store::MatchPolicy::nearest;
  measure::CacheMode cache_mode = measure::CacheMode::cold;
  std::optional<std::filesystem::path> binary_cache;  // no cache on disk if absent
  LogSink log;                                        // gets each warning of a Selection once
  // Sizes that are kept ready (a loaded module each), at least 1. One more drops the one that was used longest ago,
  // which waits for the device and compiles again when it is asked for (or takes the cached binary).
  std::size_t max_prepared = 64;
  // Time until a call looks again whether the profile database has changed; 0: every call looks.
  Nanoseconds profile_check{1e9};
  const Clock* clock = nullptr;  // must outlive the kernel; default: the steady clock
};

// Where the results of a configuration were compared with a reference when it was tuned.
enum class Verified { nowhere, at_other_sizes, at_this_size };

// A profile that matched and could not be used on this device at this size.
struct RejectedProfile {
  std::int64_t id = 0;
  Configuration configuration;
  std::string reason;
};

// What is used for one problem size, and how good the match is.
struct Selection {
  Configuration configuration;
  bool tuned = false;  // false: the specification's baseline, because no profile matches or none of them can be used
  std::optional<std::int64_t> profile_id;  // of the profile that is used
  // "exact", what differs from the request, or why nothing matched ("2 profiles are of another version of the source").
  std::string quality;
  Verified verified = Verified::nowhere;
  std::vector<RejectedProfile> rejected;  // nearer ones, nearest first
  std::vector<std::string> warnings;
  bool binary_from_cache = false;
};

// One thread only; context, backend and profiles must outlive it, and the device must be done with its launches when it
// is destroyed.
class TunedKernel {
 public:
  // `problem` as read from its specification (or built); dimensions of the device's class are applied here. Throws
  // Error(bad_input) if it has no source for the device's backend, or for max_prepared = 0.
  TunedKernel(const Problem& problem, const device::Backend& backend, device::Context& context,
              const store::ProfileDatabase& profiles, TunedKernelOptions options = {});
  ~TunedKernel();

  // The configuration for a problem size (dimensions not named keep their defaults); looked up and compiled at the
  // first call for each size, and after the database has changed. Where it finds another configuration then, it waits
  // for the device before it drops the old one. Throws what compiling, loading and fitting the default configuration
  // throws (Error(compile / bad_input / ...)), and what reading the database throws.
  Selection select(const Configuration& dimensions);

  // Enqueues every launch of the problem on `stream`. `buffers` by argument name, as large as the specification says
  // for these dimensions; constants are given as buffers too, and images in `images`. Scratch that is not given is the
  // tuned kernel's own, one buffer for all launches of a size: such launches must not run at a time. Scalars are taken
  // from the specification's values and dimensions. Throws as select() does, Error(bad_input) naming a missing or too
  // small buffer and an image of another shape, Error(launch) when the driver refuses.
  void launch(device::Stream& stream, const Configuration& dimensions,
              const std::map<std::string, device::Buffer*>& buffers,
              const std::map<std::string, device::Image*>& images = {});

  // Sizes that are ready now; at most TunedKernelOptions::max_prepared.
  std::size_t prepared_count() const { return prepared_.size(); }

 private:
  struct Prepared;
  Prepared& prepare(const Configuration& dimensions);
  std::unique_ptr<Prepared> choose(const Configuration& dimensions, Prepared* present);
  static void describe(Selection& selection, const store::ProfileMatch& match, const Configuration& dimensions);
  std::optional<std::string> try_configuration(Prepared& prepared, const Configuration& configuration);
  void tell(const Selection& selection);
  void look_for_new_profiles();

  Problem problem_;
  const device::Backend& backend_;
  device::Context& context_;
  const store::ProfileDatabase& profiles_;
  TunedKernelOptions options_;
  std::unique_ptr<Clock> own_clock_;  // where the caller gave none
  const Clock& clock_;
  std::optional<store::BinaryCache> cache_;
  std::unique_ptr<device::Compiler> compiler_;
  std::map<std::string, std::unique_ptr<Prepared>> prepared_;  // by described dimensions
  std::uint64_t uses_ = 0;                                     // numbers the calls, for the order of use
  std::uint64_t epoch_ = 0;                                    // grows when the database has changed
  std::int64_t profiles_version_ = 0;                          // of the database in this epoch
  Nanoseconds next_check_{};
  std::unordered_set<std::string> told_;
};

}  // namespace warpwright::runtime
