// Worker processes: compilers and the device live in children of the tuning process, so that a kernel that hangs,
// crashes or poisons its context costs one configuration, not the session. A worker is a separate executable started
// with posix_spawn (a forked copy of a process with a CUDA context or threads is unusable); messages are framed JSON
// plus binary payload over a socket pair; a worker dies with its coordinator.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <warpwright/base/log.hpp>
#include <warpwright/device/backend.hpp>
#include <warpwright/execution/evaluation.hpp>
#include <warpwright/execution/local_evaluator.hpp>

namespace warpwright::execution {

// The body of the worker executable: serves requests on the inherited descriptor until the coordinator closes it.
// Returns the exit status of the process. The descriptor after the channel's (3), 4, is an eventfd that it rings for
// each message.
int worker_main(const device::BackendRegistry& backends, int descriptor);

struct WorkerPoolOptions {
  std::filesystem::path executable;  // warpwright-worker
  int compile_workers = 0;           // 0: available_processors() but one (at least one); all where the device is a CPU
  Nanoseconds compile_deadline{20e9};
  Nanoseconds run_deadline{10e9};
  Nanoseconds startup_deadline{120e9};  // opening the device, computing the reference
  // Address space that a compile worker may use beyond what it has when it starts; 0: no limit. Compilers that need an
  // open device (OpenCL) have no limit: a driver reserves huge ranges of addresses.
  Bytes compile_memory{std::uint64_t{4} << 30};
  // After this many failures of the device worker in a row, a configuration that was right before is run again: if it
  // fails too, or if there is none, the session ends. So a region of bad configurations is not taken for a bad device.
  int max_device_failures = 5;
  std::filesystem::path cache_folder;  // binary cache; also the home of PoCL's own cache
  bool use_cache = true;
  bool allow_commands = false;
  measure::CacheMode cache = measure::CacheMode::cold;           // as EvaluatorOptions::cache
  std::vector<std::pair<std::string, std::string>> environment;  // additions for the workers
  // Where workers may write to, beside devices and shared memory: cache folders and those of temporary files;
  // everything else is closed to them where the kernel can do that (confinement.hpp). nullopt: workers are not
  // confined. A worker that runs the command of a [reference] never is: that is the user's own program.
  std::optional<std::vector<std::filesystem::path>> confined_to;
  LogSink log;
  const std::atomic<bool>* stop = nullptr;  // looked at while workers start: start() then throws Error(interrupted)
};

// Evaluation by worker processes: N compilers and one device. One thread only; workers die with that thread.
std::unique_ptr<Evaluation> make_worker_pool(DeviceInfo device, Problem problem, const Clock& clock,
                                             WorkerPoolOptions options);

}  // namespace warpwright::execution
