#include "cuobjdump.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>
#include <warpwright/cuda/backend.hpp>

#include "backends.hpp"

extern char** environ;

namespace warpwright::app {
namespace {

// A folder that is removed with what is in it.
class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "warpwright-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error(ErrorCode::io, "cannot make a temporary folder " + name);
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// cuobjdump of the toolkits, else of PATH; runs in `folder`, its output goes to a file there.
void run_cuobjdump(const std::string& file, const std::string& why, const std::filesystem::path& folder) {
  std::string program = "cuobjdump";
  auto toolkits = cuda_options().toolkit_folders;
  toolkits.emplace_back("/usr/local/cuda");
  for (const auto& toolkit : toolkits)
    if (access((toolkit / "bin/cuobjdump").c_str(), X_OK) == 0) {
      program = toolkit / "bin/cuobjdump";
      break;
    }
  const std::string input = std::filesystem::absolute(file).string();
  const std::string log = (folder / "log").string();
  std::vector<std::string> words = {program, "-xelf", "all", input};
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, program.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0)
    throw Error(
        ErrorCode::unavailable,
        fmt::format("--kernel '{}': {}; NVIDIA's cuobjdump could take it apart, and was not found in PATH or a "
                    "CUDA toolkit: install the package cuda-cuobjdump-13-0 (apt) or nvidia-cuda-cuobjdump (pip), "
                    "or give a .cubin",
                    file, why));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw Error(ErrorCode::bad_input, fmt::format("--kernel '{}': cuobjdump refuses it: {}", file, read_file(log)));
}

}  // namespace

std::vector<std::string> extract_with_cuobjdump(const std::string& file, const std::string& why) {
  const Scratch scratch;
  run_cuobjdump(file, why, scratch.path());
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path()))
    if (entry.path().extension() == ".cubin") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> images;
  for (const auto& path : paths) images.push_back(read_file(path));
  return images;
}

}  // namespace warpwright::app
