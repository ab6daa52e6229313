#include "worker_arguments.hpp"

#include <filesystem>
#include <fmt/format.h>

#include <warpwright/base/error.hpp>

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

driver::WorkerRequest WorkerArguments::request() const {
  driver::WorkerRequest request;
  std::error_code status;
  request.executable = driver::find_worker(std::filesystem::read_symlink("/proc/self/exe", status));
  request.compile_workers = jobs;
  request.compile_deadline = parse_duration(compile_deadline, "--compile-deadline");
  request.run_deadline = parse_duration(run_deadline, "--run-deadline");
  request.startup_deadline = parse_duration(startup_deadline, "--startup-deadline");
  request.compile_memory = compile_memory == "none" ? Bytes{} : parse_bytes(compile_memory, "--compile-memory");
  request.use_cache = !no_cache;
  request.cache_folder = cache_folder;
  request.confined = !no_confinement;
  request.allow_commands = allow_commands;
  return request;
}

execution::WorkerPoolOptions WorkerArguments::options(const Console& console) const {
  return driver::worker_pool_options(request(), *console.places, console.log());
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
