#include "worker_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include <warpwright/base/error.hpp>

extern char** environ;

namespace warpwright::execution {
namespace {

NativeError native_errno(int code) { return {code, std::strerror(code)}; }

// A killed process that the kernel cannot end at once (a driver call that does not return) is given this long.
constexpr int reap_timeout_ms = 10'000;

std::string describe_end(int status) {
  if (WIFEXITED(status)) return "exited with status " + std::to_string(WEXITSTATUS(status));
  if (WIFSIGNALED(status)) {
    const char* name = sigabbrev_np(WTERMSIG(status));
    return std::string("killed by SIG") + (name != nullptr ? name : std::to_string(WTERMSIG(status)));
  }
  return "ended in an unknown way";
}

std::vector<std::string> child_environment(const std::vector<std::pair<std::string, std::string>>& additions) {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    if (std::none_of(additions.begin(), additions.end(), [&](const auto& addition) { return addition.first == name; }))
      variables.emplace_back(text);
  }
  for (const auto& [name, value] : additions) variables.push_back(name + "=" + value);
  return variables;
}

struct SpawnActions {
  posix_spawn_file_actions_t files{};
  posix_spawnattr_t attributes{};
  SpawnActions() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnActions() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
};

}  // namespace

WorkerProcess WorkerProcess::start(const std::filesystem::path& executable,
                                   const std::vector<std::pair<std::string, std::string>>& environment) {
  if (::access(executable.c_str(), X_OK) != 0)
    throw Error(ErrorCode::not_found, "the worker program '" + executable.string() + "' cannot be executed",
                native_errno(errno));
  std::array<int, 2> sockets{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0)
    throw Error(ErrorCode::io, "cannot create a socket pair for a worker", native_errno(errno));
  MessageChannel ours(sockets[0]);
  const MessageChannel theirs(sockets[1]);
  // Above the descriptors that the child's copies get, or one copy could take the place of another's original.
  const int low = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  const int doorbell = low < 0 ? -1 : ::fcntl(low, F_DUPFD_CLOEXEC, doorbell_descriptor + 1);
  const int doorbell_error = errno;
  if (low >= 0) ::close(low);
  if (doorbell < 0)
    throw Error(ErrorCode::io, "cannot create an event descriptor for a worker", native_errno(doorbell_error));
  const int error_file = ::memfd_create("warpwright-worker-stderr", MFD_CLOEXEC);

  SpawnActions actions;
  posix_spawn_file_actions_addopen(&actions.files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  // Kernels may print: their output is not ours to mix into results.
  posix_spawn_file_actions_addopen(&actions.files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  if (error_file >= 0) posix_spawn_file_actions_adddup2(&actions.files, error_file, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions.files, sockets[1], channel_descriptor);
  posix_spawn_file_actions_adddup2(&actions.files, doorbell, doorbell_descriptor);
  // A group of its own: Ctrl-C reaches the coordinator alone, and helpers the compiler starts die with the worker.
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setpgroup(&actions.attributes, 0);
  posix_spawnattr_setsigmask(&actions.attributes, &none);
  posix_spawnattr_setsigdefault(&actions.attributes, &all);
  posix_spawnattr_setflags(&actions.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<std::string> variables = child_environment(environment);
  std::vector<char*> environment_pointers;
  for (auto& variable : variables) environment_pointers.push_back(variable.data());
  environment_pointers.push_back(nullptr);
  std::string program = executable.string();
  std::string descriptor = std::to_string(channel_descriptor);
  std::array<char*, 3> arguments{program.data(), descriptor.data(), nullptr};

  pid_t pid = -1;
  const int status = ::posix_spawn(&pid, program.c_str(), &actions.files, &actions.attributes, arguments.data(),
                                   environment_pointers.data());
  if (status != 0) {
    ::close(doorbell);
    if (error_file >= 0) ::close(error_file);
    throw Error(ErrorCode::io, "cannot start the worker program '" + program + "'", native_errno(status));
  }
  return WorkerProcess(pid, std::move(ours), doorbell, error_file);
}

WorkerProcess::WorkerProcess(WorkerProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      channel_(std::move(other.channel_)),
      doorbell_(std::exchange(other.doorbell_, -1)),
      error_file_(std::exchange(other.error_file_, -1)) {}

WorkerProcess& WorkerProcess::operator=(WorkerProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(channel_, other.channel_);
  std::swap(doorbell_, other.doorbell_);
  std::swap(error_file_, other.error_file_);
  return *this;
}

WorkerProcess::~WorkerProcess() {
  try {
    end();
  } catch (...) {  // a string that cannot be allocated must not end the program
  }
  if (doorbell_ >= 0) ::close(doorbell_);
  if (error_file_ >= 0) ::close(error_file_);
}

void WorkerProcess::quiet() {
  std::uint64_t rung = 0;
  static_cast<void>(!::read(doorbell_, &rung, sizeof rung));
}

std::string WorkerProcess::end() {
  if (pid_ < 0) return "not running";
  int status = 0;
  // A worker that died by itself has a status worth telling; give a closing one a moment before killing it.
  pid_t reaped = 0;
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  const auto wait_until_dead = [&](int timeout_ms) {
    pollfd item{pidfd, POLLIN, 0};
    return pidfd < 0 || ::poll(&item, 1, timeout_ms) > 0;
  };
  pollfd hung_up{channel_.descriptor(), POLLIN | POLLRDHUP, 0};
  const bool closing = ::poll(&hung_up, 1, 0) > 0 && (hung_up.revents & (POLLHUP | POLLRDHUP)) != 0;
  if (closing && pidfd >= 0) wait_until_dead(500);
  reaped = ::waitpid(pid_, &status, WNOHANG);
  if (reaped == 0) {
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    if (wait_until_dead(reap_timeout_ms)) reaped = ::waitpid(pid_, &status, 0);
  } else {
    ::kill(-pid_, SIGKILL);  // what it started
  }
  if (pidfd >= 0) ::close(pidfd);
  pid_ = -1;
  std::string text = reaped > 0 ? describe_end(status) : "does not end";
  const std::string line = last_error_line();
  if (!line.empty()) text += ": " + line;
  return text;
}

std::string WorkerProcess::last_error_line() const {
  if (error_file_ < 0) return {};
  constexpr off_t tail = 2048;
  const off_t size = ::lseek(error_file_, 0, SEEK_END);
  if (size <= 0) return {};
  std::string text(static_cast<std::size_t>(std::min(size, tail)), '\0');
  const ssize_t got = ::pread(error_file_, text.data(), text.size(), std::max<off_t>(0, size - tail));
  if (got <= 0) return {};
  text.resize(static_cast<std::size_t>(got));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  const std::size_t newline = text.rfind('\n');
  return newline == std::string::npos ? text : text.substr(newline + 1);
}

}  // namespace warpwright::execution
