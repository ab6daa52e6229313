#include <fmt/format.h>

#include <warpwright/base/error.hpp>
#include <warpwright/driver/workers.hpp>

namespace warpwright::driver {

execution::WorkerPoolOptions worker_pool_options(const WorkerRequest& request, Places& places, const LogSink& log) {
  const OptionNames& names = places.names();
  if (request.executable.empty())
    throw Error(ErrorCode::bad_input,
                names.worker + " is missing: name the program warpwright-worker of this installation");
  if (!request.use_cache && !request.cache_folder.empty())
    throw Error(ErrorCode::bad_input,
                fmt::format("{} and {} contradict each other; give one of them", names.no_cache, names.cache_folder));
  execution::WorkerPoolOptions options;
  options.executable = request.executable;
  options.compile_workers = request.compile_workers;
  options.compile_deadline = request.compile_deadline;
  options.run_deadline = request.run_deadline;
  options.startup_deadline = request.startup_deadline;
  options.compile_memory = request.compile_memory;
  options.log = log;
  options.cache_folder = places.usable_cache_folder(request.cache_folder, log);
  const Variables& variables = places.variables();
  if (!variables.has("CUDA_CACHE_PATH"))
    options.environment.emplace_back("CUDA_CACHE_PATH", (options.cache_folder / "cuda").string());
  options.environment.emplace_back(header_cache_variable, options.cache_folder.string());
  if (request.confined) {
    options.confined_to = places.folders_for_temporary_files();
    options.confined_to->push_back(options.cache_folder);
    // What drivers are told to write to: the cache of compiled kernels, and the pipes to a server that shares a GPU.
    for (const char* variable : {"CUDA_CACHE_PATH", "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"})
      if (const std::string folder = variables.value(variable); !folder.empty() && folder[0] == '/')
        options.confined_to->emplace_back(folder);
  }
  options.use_cache = request.use_cache;
  options.allow_commands = request.allow_commands;
  return options;
}

}  // namespace warpwright::driver
