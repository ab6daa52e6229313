// A tuned kernel inside an application: looks its configuration up by problem size, compiles it (or takes the cached
// binary), and launches it on the application's own buffers and streams.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/log.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/measure/timing.hpp>
#include <warpwright/model/problem.hpp>
#include <warpwright/store/binary_cache.hpp>
#include <warpwright/store/profile_database.hpp>

namespace warpwright::tuning {

struct TunedKernelOptions {
  // How far a profile may be from what is asked: see store::MatchPolicy.
  store::MatchPolicy match = store::MatchPolicy::nearest;
  measure::CacheMode cache_mode = measure::CacheMode::cold;
  std::optional<std::filesystem::path> binary_cache;  // no cache on disk if absent
  LogSink log;                                        // gets the warnings of Selection once per size
};

// What is used for one problem size, and how good the match is.
struct Selection {
  Configuration configuration;
  bool tuned = false;  // false: the specification's baseline, because no profile matches
  // "exact", what differs from the request, or why nothing matched ("2 profiles are of another version of the source").
  std::string quality;
  std::vector<std::string> warnings;
  bool binary_from_cache = false;
};

// One thread only; the context must outlive it.
class TunedKernel {
 public:
  // `problem` as read from its specification (or built); dimensions of the device's class are applied here. Throws
  // Error(bad_input) if it has no source for the device's backend.
  TunedKernel(const Problem& problem, const device::Backend& backend, device::Context& context,
              const store::ProfileDatabase& profiles, TunedKernelOptions options = {});
  ~TunedKernel();

  // The configuration for a problem size (dimensions not named keep their defaults); looked up and compiled at the
  // first call for each size. Throws Error(compile / bad_input) if the configuration does not compile.
  const Selection& select(const Configuration& dimensions);

  // Enqueues every launch of the problem on `stream`. `buffers` by argument name, as large as the specification says
  // for these dimensions; constants are given as buffers too. Scalars are taken from the specification's values and
  // dimensions. Throws Error(bad_input) naming a missing or too small buffer, Error(launch) when the driver refuses.
  void launch(device::Stream& stream, const Configuration& dimensions,
              const std::map<std::string, device::Buffer*>& buffers);

 private:
  struct Prepared;
  Prepared& prepare(const Configuration& dimensions);

  Problem problem_;
  const device::Backend& backend_;
  device::Context& context_;
  const store::ProfileDatabase& profiles_;
  TunedKernelOptions options_;
  std::optional<store::BinaryCache> cache_;
  std::unique_ptr<device::Compiler> compiler_;
  std::map<std::string, std::unique_ptr<Prepared>> prepared_;  // by described dimensions
};

}  // namespace warpwright::tuning
