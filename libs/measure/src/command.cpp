#include "command.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>

namespace warpwright::measure {
namespace {

std::string system_message(int error) { return std::system_category().message(error); }

// posix_spawn's argument structs, destroyed whatever happens.
struct SpawnActions {
  posix_spawn_file_actions_t value;
  SpawnActions() { posix_spawn_file_actions_init(&value); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&value); }
};
struct SpawnAttributes {
  posix_spawnattr_t value;
  SpawnAttributes() { posix_spawnattr_init(&value); }
  ~SpawnAttributes() { posix_spawnattr_destroy(&value); }
};

std::string last_words(const std::filesystem::path& log) {
  constexpr std::size_t longest = 2000;
  try {
    std::string text = read_file(log);
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    if (text.size() > longest) text = "..." + text.substr(text.size() - longest);
    return text.empty() ? "it printed nothing" : "it printed: " + text;
  } catch (const Error&) {
    return "it printed nothing";
  }
}

}  // namespace

TemporaryFolder::TemporaryFolder(const std::filesystem::path& parent) {
  std::string name = (parent / "warpwright-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw Error(ErrorCode::io,
                fmt::format("cannot create a folder in '{}': {}", parent.string(), system_message(errno)));
  }
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void run_command(const std::vector<std::string>& command, const std::filesystem::path& folder,
                 const std::filesystem::path& log, Seconds deadline) {
  if (command.empty()) throw Error(ErrorCode::bad_input, "the command of the reference is empty");
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  SpawnActions actions;
  const std::string log_name = std::filesystem::absolute(log).string();
  posix_spawn_file_actions_addopen(&actions.value, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions.value, STDOUT_FILENO, log_name.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions.value, STDOUT_FILENO, STDERR_FILENO);
  if (!folder.empty()) posix_spawn_file_actions_addchdir_np(&actions.value, folder.c_str());
  SpawnAttributes attributes;
  // A group of its own, so that the deadline also reaches what a shell script started.
  posix_spawnattr_setflags(&attributes.value, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes.value, 0);

  pid_t child = 0;
  if (const int error =
          ::posix_spawnp(&child, arguments[0], &actions.value, &attributes.value, arguments.data(), environ);
      error != 0) {
    throw Error(ErrorCode::not_found, fmt::format("cannot start '{}': {}", command[0], system_message(error)));
  }
  // Real time, whatever clock the measurements use: the child lives in it.
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::steady_clock::duration>(deadline);
  int status = 0;
  for (int wait_ms = 1;; wait_ms = std::min(2 * wait_ms, 20)) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) break;
    if (ended < 0 && errno != EINTR) {
      throw Error(ErrorCode::io, fmt::format("cannot wait for '{}': {}", command[0], system_message(errno)));
    }
    if (std::chrono::steady_clock::now() >= end) {
      ::kill(-child, SIGKILL);
      ::waitpid(child, &status, 0);
      throw Error(ErrorCode::timeout, fmt::format("command '{}' did not end within {}; {}", command[0],
                                                  format_duration(deadline), last_words(log)));
    }
    ::poll(nullptr, 0, wait_ms);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  const std::string how = WIFSIGNALED(status) ? fmt::format("was killed by signal {}", WTERMSIG(status))
                                              : fmt::format("ended with exit code {}", WEXITSTATUS(status));
  throw Error(ErrorCode::bad_input, fmt::format("command '{}' {}; {}", command[0], how, last_words(log)));
}

}  // namespace warpwright::measure
