// What `warpwright tune` does, in one call: for programs that have no command line to parse (a Python module, a rank of
// an MPI job, a report). A request is plain data; what a library does not take for itself (backends, places, the
// program's variables, a flag to stop by, where messages go) comes with the call.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <warpwright/base/log.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/driver/places.hpp>
#include <warpwright/driver/problem.hpp>
#include <warpwright/driver/workers.hpp>
#include <warpwright/measure/timing.hpp>
#include <warpwright/model/space.hpp>
#include <warpwright/model/value.hpp>
#include <warpwright/store/session_record.hpp>
#include <warpwright/tuning/session.hpp>

namespace warpwright::driver {

struct TuneRequest {
  ProblemRequest problem;
  WorkerRequest workers;  // not looked at for a recording
  measure::TimingOptions timing;

  std::string strategy = "auto";
  std::map<std::string, Value> strategy_options;
  std::optional<std::uint64_t> seed;             // absent: that of the session that is gone on with, else 0
  std::optional<std::uint64_t> max_evaluations;  // unique configurations
  std::optional<Nanoseconds> time_limit;         // 10 minutes where neither is given
  std::vector<std::string> start_from;           // see read_starting_points()
  bool racing = true;
  tuning::ClockState clock = tuning::ClockState::sustained;  // what decides where the power limit is reached

  bool keep_session = true;
  std::string session;  // folder; empty: a new one in the user's state folder
  bool resume = false;  // go on with the one in `session`

  bool store_winner = true;
  std::string profiles;  // file of the profile database; empty: the user's
};

// All is known, and the search begins.
struct Start {
  const Problem& problem;
  const DeviceInfo& device;
  const Space& space;
};

// What the program lends. The references and the flag must outlive the call.
struct Surroundings {
  const device::BackendRegistry& backends;
  Places& places;
  LogSink log;
  const std::atomic<bool>* stop = nullptr;  // set by another thread or a signal handler: end soon, keep everything
  std::function<void(const Start&)> started;
  std::function<void(const tuning::Progress&)> progress;
};

struct TuneResult {
  store::SessionRecord record;
  std::optional<std::filesystem::path> session_folder;  // absent where no session was kept
  std::optional<std::filesystem::path> profiles_file;   // with profile_id: where the winner is
  std::optional<std::int64_t> profile_id;
  // The database of a winner that was not stored there: what kept it out, or empty where the session was interrupted.
  std::optional<std::filesystem::path> unused_profiles_file;
  std::string why_not_stored;
};

// Runs a session to its end; blocks until then. One thread: workers die with it. A winner that cannot be stored is no
// error, so that what was measured is not lost. Throws Error(bad_input, not_found, unsupported) for a request that
// cannot be met, before anything is measured; Error(conflict) for a session folder that holds another session,
// Error(interrupted) where it was stopped before anything was measured, and what tuning::run_session() throws.
TuneResult tune_with_places(const TuneRequest& request, const Surroundings& surroundings);

// The same for whoever wants the record alone. That the winner was not stored is one of its warnings then.
store::SessionRecord tune(const TuneRequest& request, const Surroundings& surroundings);

// What `warpwright tune --json` prints (docs/json.md): one object, indented by so many blanks a level; -1: on one line.
std::string tune_json(const TuneResult& result, int indent = 2);

}  // namespace warpwright::driver
