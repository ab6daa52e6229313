// Flags of the commands that compile and run: deadlines, caches, number of compilers.
#pragma once

#include <string>

#include <warpwright/driver/workers.hpp>
#include <warpwright/measure/timing.hpp>

#include "command.hpp"

namespace warpwright::app {

struct WorkerArguments {
  std::string compile_deadline = "20s";
  std::string run_deadline = "10s";
  std::string startup_deadline = "2m";
  std::string compile_memory = "4GiB";
  int jobs = 0;
  bool no_cache = false;
  std::string cache_folder;
  bool allow_commands = false;
  bool no_confinement = false;
  void add_to(CLI::App& command);
  // With the worker that belongs to this program. Throws Error(bad_input) naming the flag, Error(not_found) where there
  // is no worker.
  driver::WorkerRequest request() const;
  // Makes the cache folder.
  execution::WorkerPoolOptions options(const Console& console) const;
};

struct TimingArguments {
  std::string cache_mode = "cold";
  bool launch_times = false;
  int min_samples = 5;
  int max_samples = 30;
  void add_to(CLI::App& command);
  // Throws Error(bad_input) naming the flag.
  measure::TimingOptions options() const;
};

}  // namespace warpwright::app
