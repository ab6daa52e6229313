// Worker processes: compilers and the device live in children of the tuning process, so that a kernel that hangs, crashes or
// poisons its context costs one configuration, not the session. A worker is a separate executable started with posix_spawn
// (a forked copy of a process with a CUDA context or threads is unusable); messages are framed JSON plus binary payload over
// a socket pair; a worker dies with its coordinator.
#pragma once

#include <warpwright/base/log.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/tuning/evaluation.hpp>
#include <warpwright/tuning/local_evaluator.hpp>

#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

namespace warpwright::tuning {

// The body of the worker executable: serves requests on the inherited descriptor until the coordinator closes it.
// Returns the exit status of the process.
int worker_main(const device::BackendRegistry& backends, int descriptor);

struct WorkerPoolOptions {
  std::filesystem::path executable;  // warpwright-worker
  int compile_workers = 0;           // 0: all cores but one (at least one); all cores where the device is a CPU
  Nanoseconds compile_deadline{20e9};
  Nanoseconds run_deadline{10e9};
  Nanoseconds startup_deadline{120e9};  // opening the device, computing the reference
  // Consecutive device failures without a good run in between after which the session ends.
  int max_device_failures = 5;
  std::filesystem::path cache_folder;  // binary cache; also the home of PoCL's own cache
  bool use_cache = true;
  bool allow_commands = false;
  std::vector<std::pair<std::string, std::string>> environment;  // additions for the workers
  LogSink log;
};

// Evaluation by worker processes: N compilers and one device. One thread only; workers die with that thread.
std::unique_ptr<Evaluation> make_worker_pool(DeviceInfo device, Problem problem, const Clock& clock,
                                             WorkerPoolOptions options);

}  // namespace warpwright::tuning
