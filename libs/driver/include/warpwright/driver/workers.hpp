// The worker processes of a session, as a program asks for them.
#pragma once

#include <filesystem>
#include <string>

#include <warpwright/base/log.hpp>
#include <warpwright/base/units.hpp>
#include <warpwright/driver/places.hpp>
#include <warpwright/execution/worker.hpp>

namespace warpwright::driver {

struct WorkerRequest {
  std::filesystem::path executable;  // warpwright-worker; find_worker() knows the usual places
  int compile_workers = 0;           // 0: all processors it may use but one; all where the device is a CPU
  Nanoseconds compile_deadline{20e9};
  Nanoseconds run_deadline{10e9};
  Nanoseconds startup_deadline{120e9};
  Bytes compile_memory{std::uint64_t{4} << 30};  // 0: no limit
  bool use_cache = true;
  std::string cache_folder;     // empty: the user's
  bool confined = true;         // workers write to caches, temporary files and devices alone
  bool allow_commands = false;  // run the command of a [reference] that names one
};

// Names, for a worker, the folder of the headers that NVRTC brings: it may write to its cache folder alone.
inline constexpr const char* header_cache_variable = "WARPWRIGHT_HEADER_CACHE";

// Makes the cache folder; `cache` and `stop` of the result are the caller's to set. Throws Error(bad_input) for
// contradictions and for an executable that is not named, and as Places::usable_cache_folder() does.
execution::WorkerPoolOptions worker_pool_options(const WorkerRequest& request, Places& places, const LogSink& log);

}  // namespace warpwright::driver
