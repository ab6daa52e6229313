#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <warpwright/base/files.hpp>
#include <warpwright/base/process.hpp>

extern char** environ;

namespace warpwright {
namespace {

constexpr Nanoseconds kill_patience{10e9};

std::vector<std::string> child_environment(const std::vector<std::pair<std::string, std::string>>& additions) {
  std::vector<std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    if (std::none_of(additions.begin(), additions.end(), [&](const auto& addition) { return addition.first == name; }))
      variables.emplace_back(text);
  }
  for (const auto& [name, value] : additions) variables.push_back(name + "=" + value);
  return variables;
}

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

enum class Step : int { folder, output, descriptors, program };
// What the new process tells when it cannot become the program.
struct Failure {
  Step step;
  int error;
};

struct Start {
  const char* program;
  char* const* arguments;
  char* const* environment;
  const char* folder;  // empty: none
  const char* output;  // empty: none
  const std::vector<std::pair<int, int>>& descriptors;
  std::vector<int>& copies;  // room for as many
  int first_free;            // above all numbers that the program gets
  int report;                // closed by exec
  int death_signal;
  pid_t parent;
};

[[noreturn]] void give_up(const Start& start, Step step) {
  const Failure failure{step, errno};
  static_cast<void>(!::write(start.report, &failure, sizeof failure));
  ::_exit(127);
}

// Above all numbers that the program gets: there none stands in the way of another, and exec closes it.
int open_above(const Start& start, const char* file, int flags) {
  const int low = ::open(file, flags | O_CLOEXEC, 0600);
  return low < 0 ? low : ::fcntl(low, F_DUPFD_CLOEXEC, start.first_free);
}

// In the new process, which shares its parent's memory until it becomes another program: system calls only.
[[noreturn]] void become(const Start& start) {
  if (start.death_signal != 0) {
    ::prctl(PR_SET_PDEATHSIG, start.death_signal);
    if (::getppid() != start.parent) ::_exit(127);  // it died before that call
  }
  ::setpgid(0, 0);
  // Handlers would run in the parent's memory, and a shell cannot trap what was ignored when it started.
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &standard, nullptr);
  // Copies first: a number that the program gets may be that of an original.
  for (std::size_t i = 0; i < start.descriptors.size(); ++i) {
    start.copies[i] = ::fcntl(start.descriptors[i].first, F_DUPFD_CLOEXEC, start.first_free);
    if (start.copies[i] < 0) give_up(start, Step::descriptors);
  }
  const int null = open_above(start, "/dev/null", O_RDWR);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0) give_up(start, Step::output);
  int output = null;
  if (start.output[0] != '\0') {
    output = open_above(start, start.output, O_WRONLY | O_CREAT | O_TRUNC);
    if (output < 0 || ::dup2(output, STDERR_FILENO) < 0) give_up(start, Step::output);
  }
  if (::dup2(output, STDOUT_FILENO) < 0) give_up(start, Step::output);
  for (std::size_t i = 0; i < start.descriptors.size(); ++i)
    if (::dup2(start.copies[i], start.descriptors[i].second) < 0) give_up(start, Step::descriptors);
  if (start.folder[0] != '\0' && ::chdir(start.folder) != 0) give_up(start, Step::folder);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvpe(start.program, start.arguments, start.environment);
  give_up(start, Step::program);
}

// Alone in a function: what lives across vfork() is shared with the new process.
[[gnu::noinline]] pid_t start_process(const Start& start) {
  const pid_t child = ::vfork();
  if (child == 0) become(start);
  return child;
}

Error start_error(const ProcessOptions& options, Failure failure) {
  const NativeError native = native_error(failure.error);
  const std::string what = "cannot start '" + options.program.string() + "'";
  switch (failure.step) {
    case Step::folder:
      return Error(path_error_code(failure.error), what + " in the folder '" + options.folder.string() + "'", native);
    case Step::output:
      return Error(path_error_code(failure.error), what + " with its output in '" + options.output.string() + "'",
                   native);
    case Step::program:
      if (failure.error == ENOENT || failure.error == ENOTDIR || failure.error == EACCES)
        return Error(ErrorCode::not_found, what, native);
      break;
    case Step::descriptors:
      break;
  }
  return Error(ErrorCode::io, what, native);
}

}  // namespace

std::string ProcessEnd::describe() const {
  if (exit_code) return "exited with status " + std::to_string(*exit_code);
  if (!signal) return "ended in an unknown way";
  const char* name = sigabbrev_np(*signal);
  return "killed by SIG" + (name != nullptr ? std::string(name) : std::to_string(*signal));
}

Process::Process(pid_t pid) : pid_(pid), handle_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}

Process Process::start(const ProcessOptions& options) {
  std::vector<std::string> words{options.program.string()};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  std::vector<std::string> variables = child_environment(options.environment);
  const std::vector<char*> arguments = pointers_to(words), environment = pointers_to(variables);
  const std::string folder = options.folder.string(), output = options.output.string();
  std::vector<int> copies(options.descriptors.size());
  int first_free = STDERR_FILENO + 1;
  for (const auto& [ours, theirs] : options.descriptors) first_free = std::max(first_free, theirs + 1);

  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw Error(ErrorCode::io, "cannot start '" + words[0] + "'", last_native_error());
  const Descriptor told(ends[0]);
  Descriptor report(ends[1]);
  // The program may get the number of the pipe's end.
  report.reset(::fcntl(report.value(), F_DUPFD_CLOEXEC, first_free));
  if (!report) throw Error(ErrorCode::io, "cannot start '" + words[0] + "'", last_native_error());

  // No handler of this process may run in the new one.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  const pid_t child =
      start_process({words[0].c_str(), arguments.data(), environment.data(), folder.c_str(), output.c_str(),
                     options.descriptors, copies, first_free, report.value(), options.death_signal, ::getpid()});
  const int refused = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) throw Error(ErrorCode::io, "cannot start '" + words[0] + "'", native_error(refused));

  Process process(child);
  report.reset();
  Failure failure{};
  ssize_t got = 0;
  while ((got = ::read(told.value(), &failure, sizeof failure)) < 0 && errno == EINTR) {
  }
  if (got == static_cast<ssize_t>(sizeof failure)) {
    process.wait();
    throw start_error(options, failure);
  }
  return process;
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      handle_(std::move(other.handle_)),
      end_(std::move(other.end_)),
      given_up_(other.given_up_) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(handle_, other.handle_);
  std::swap(end_, other.end_);
  std::swap(given_up_, other.given_up_);
  return *this;
}

Process::~Process() {
  if (pid_ < 0 || end_ || given_up_) return;
  try {
    end();
  } catch (...) {  // nobody is left to be told
  }
}

std::optional<ProcessEnd> Process::wait(std::optional<Nanoseconds> timeout) {
  using Steady = std::chrono::steady_clock;
  // Real time, whatever clock the caller measures with: the other process lives in it.
  const Steady::time_point begin = Steady::now();
  for (int pause_ms = 1; !end_; pause_ms = std::min(2 * pause_ms, 20)) {
    if (pid_ < 0) return std::nullopt;
    int status = 0;
    const pid_t reaped = ::waitpid(pid_, &status, WNOHANG);
    if (reaped == pid_) {
      end_.emplace();
      if (WIFEXITED(status)) end_->exit_code = WEXITSTATUS(status);
      if (WIFSIGNALED(status)) end_->signal = WTERMSIG(status);
      break;
    }
    if (reaped < 0 && errno == ECHILD) {  // who ignores SIGCHLD is not told how it ended
      end_.emplace();
      break;
    }
    if (reaped < 0 && errno != EINTR)
      throw Error(ErrorCode::io, "cannot wait for process " + std::to_string(pid_), last_native_error());
    double left_ms = -1;
    if (timeout) {
      left_ms = std::chrono::duration<double, std::milli>(*timeout - Nanoseconds(Steady::now() - begin)).count();
      if (left_ms <= 0) return std::nullopt;
      left_ms = std::min(std::ceil(left_ms), 1e9);
    }
    if (handle_) {
      pollfd item{handle_.value(), POLLIN, 0};
      ::poll(&item, 1, static_cast<int>(left_ms));
    } else {
      ::poll(nullptr, 0, timeout ? std::min(pause_ms, static_cast<int>(left_ms)) : pause_ms);
    }
  }
  return end_;
}

std::optional<ProcessEnd> Process::end() {
  kill_group();
  const auto ended = wait(kill_patience);
  given_up_ = !ended;
  return ended;
}

void Process::kill_group() noexcept {
  if (pid_ <= 0) return;
  ::kill(-pid_, SIGKILL);
  if (!end_) ::kill(pid_, SIGKILL);
}

}  // namespace warpwright
