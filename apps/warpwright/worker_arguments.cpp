#include "worker_arguments.hpp"

#include <cstdlib>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>

#include "backends.hpp"
#include "paths.hpp"
#include "places.hpp"

namespace warpwright::app {

void WorkerArguments::add_to(CLI::App& command) {
  command.add_option("--compile-deadline", compile_deadline, "Longest compilation of one configuration (default 20s)")
      ->type_name("TIME");
  command
      .add_option("--run-deadline", run_deadline,
                  "Longest verification and measurement of one configuration (default 10s)")
      ->type_name("TIME");
  command
      .add_option("--startup-deadline", startup_deadline,
                  "Longest opening of the device with the reference computed (default 2m)")
      ->type_name("TIME");
  command
      .add_option(
          "--compile-memory", compile_memory,
          "Memory of a compile worker, e.g. 4GiB, or 'none'; not where the compiler needs the device (default 4GiB)")
      ->type_name("SIZE");
  command.add_option("--jobs", jobs, "Compile workers (default: all cores it may use but one; all on a CPU device)")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command.add_flag("--no-cache", no_cache, "Do not use the cache of compiled binaries");
  command.add_option("--cache-dir", cache_folder, "Folder of the binary cache (default: the user's cache folder)")
      ->type_name("DIR");
  command.add_flag("--no-confinement", no_confinement,
                   "Let workers write wherever you may; else to caches, temporary files and devices alone");
  command.add_flag("--allow-commands", allow_commands, "Run the command of a [reference] that names one");
}

execution::WorkerPoolOptions WorkerArguments::options(const Console& console, bool quiet) const {
  execution::WorkerPoolOptions options;
  options.executable = worker_executable();
  options.compile_workers = jobs;
  options.compile_deadline = parse_duration(compile_deadline, "--compile-deadline");
  options.run_deadline = parse_duration(run_deadline, "--run-deadline");
  options.startup_deadline = parse_duration(startup_deadline, "--startup-deadline");
  options.compile_memory = compile_memory == "none" ? Bytes{} : parse_bytes(compile_memory, "--compile-memory");
  if (no_cache && !cache_folder.empty())
    throw Error(ErrorCode::bad_input, "--no-cache and --cache-dir contradict each other; give one of them");
  options.log = console.log(quiet);
  options.cache_folder = usable_cache_folder(cache_folder, options.log);
  if (std::getenv("CUDA_CACHE_PATH") == nullptr)
    options.environment.emplace_back("CUDA_CACHE_PATH", (options.cache_folder / "cuda").string());
  options.environment.emplace_back(header_cache_variable, options.cache_folder.string());
  if (!no_confinement) {
    options.confined_to = folders_for_temporary_files();
    options.confined_to->push_back(options.cache_folder);
    // What drivers are told to write to: the cache of compiled kernels, and the pipes to a server that shares a GPU.
    for (const char* variable : {"CUDA_CACHE_PATH", "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"})
      if (const char* folder = std::getenv(variable); folder != nullptr && folder[0] == '/')
        options.confined_to->emplace_back(folder);
  }
  options.use_cache = !no_cache;
  options.allow_commands = allow_commands;
  return options;
}

void TimingArguments::add_to(CLI::App& command) {
  command
      .add_option("--cache", cache_mode, "Time with a flushed (cold) or a filled (warm) device cache (default cold)")
      ->type_name("cold|warm")
      ->check(CLI::IsMember({"cold", "warm"}));
  command.add_option("--min-samples", min_samples, "Fewest timed runs of a configuration (default 5)")->type_name("N");
  command.add_option("--max-samples", max_samples, "Most timed runs of a configuration (default 30)")->type_name("N");
  command.add_flag("--launch-times", launch_times, "Time each launch of a configuration as well, in runs of their own");
}

measure::TimingOptions TimingArguments::options() const {
  if (min_samples < 1)
    throw Error(ErrorCode::bad_input, fmt::format("--min-samples {}: must be at least 1", min_samples));
  if (max_samples < min_samples)
    throw Error(ErrorCode::bad_input,
                fmt::format("--max-samples {}: must be at least --min-samples ({})", max_samples, min_samples));
  measure::TimingOptions options;
  options.cache = cache_mode == "warm" ? measure::CacheMode::warm : measure::CacheMode::cold;
  options.min_samples = min_samples;
  options.max_samples = max_samples;
  options.launch_times = launch_times;
  return options;
}

}  // namespace warpwright::app
