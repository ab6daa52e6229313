#include "command.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>

namespace warpwright::measure {
namespace {

std::string system_message(int error) { return std::system_category().message(error); }

// Runs the command and stays beside it, so that there is somebody to end all that the command has started when this
// process dies: the kernel's death signal reaches one process only. Ends as the command ended.
constexpr const char* keeper = R"(trap 'kill -KILL 0' TERM
"$@" &
wait $!
status=$?
trap - TERM
[ $status -gt 128 ] && kill -$((status - 128)) $$ 2>/dev/null
exit $status)";
// What a shell ends with where a command is not there or cannot be executed.
constexpr int exit_not_executable = 126, exit_not_found = 127;

struct Start {
  char* const* arguments;  // of the shell
  const char* log;
  const char* folder;  // empty: where this process runs
  pid_t parent;
};

// In the new process, which shares its parent's memory until it becomes another program: system calls only.
[[noreturn]] void become(const Start& start) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != start.parent) ::_exit(exit_not_executable);  // it died before that call
  // A group of its own, so that a signal reaches all that the command has started.
  ::setpgid(0, 0);
  ::signal(SIGTERM, SIG_DFL);  // a shell cannot trap what was ignored when it started
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int input = ::open("/dev/null", O_RDONLY);
  const int output = ::open(start.log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (input < 0 || output < 0 || ::dup2(input, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 ||
      ::dup2(output, STDERR_FILENO) < 0) {
    ::_exit(exit_not_executable);
  }
  // Lower numbers were free and have become what they stand for.
  if (input > STDERR_FILENO) ::close(input);
  if (output > STDERR_FILENO) ::close(output);
  if (start.folder[0] != '\0' && ::chdir(start.folder) != 0) ::_exit(exit_not_executable);
  ::execv("/bin/sh", start.arguments);
  ::_exit(exit_not_found);
}

// Not posix_spawn, which cannot ask for a death signal; not fork, which copies the page tables of a process that may
// have mapped a device.
pid_t start_process(const Start& start) {
  const pid_t child = ::vfork();
  if (child == 0) become(start);
  return child;
}

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
  std::vector<std::string> words{"sh", "-c", keeper, "sh"};
  words.insert(words.end(), command.begin(), command.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::string log_name = std::filesystem::absolute(log).string(), folder_name = folder.string();
  const pid_t child = start_process({arguments.data(), log_name.c_str(), folder_name.c_str(), ::getpid()});
  if (child < 0) {
    throw Error(ErrorCode::io, fmt::format("cannot start '{}': {}", command[0], system_message(errno)));
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
  if (WIFEXITED(status) && (WEXITSTATUS(status) == exit_not_found || WEXITSTATUS(status) == exit_not_executable)) {
    throw Error(ErrorCode::not_found, fmt::format("cannot start '{}'; {}", command[0], last_words(log)));
  }
  const std::string how = WIFSIGNALED(status) ? fmt::format("was killed by signal {}", WTERMSIG(status))
                                              : fmt::format("ended with exit code {}", WEXITSTATUS(status));
  throw Error(ErrorCode::bad_input, fmt::format("command '{}' {}; {}", command[0], how, last_words(log)));
}

}  // namespace warpwright::measure
