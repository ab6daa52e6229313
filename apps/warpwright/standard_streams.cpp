#include "standard_streams.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <string>
#include <unistd.h>

#include <warpwright/base/descriptor.hpp>

#include "command.hpp"

namespace warpwright::app {
namespace {

// Writes to a pipe that nobody reads end in SIGPIPE, which would end the program: kept off this thread meanwhile.
class WithoutPipeSignal {
 public:
  WithoutPipeSignal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutPipeSignal() {
    const timespec no_wait{};
    if (!was_pending_) sigtimedwait(&pipe_, nullptr, &no_wait);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutPipeSignal(const WithoutPipeSignal&) = delete;
  WithoutPipeSignal& operator=(const WithoutPipeSignal&) = delete;

 private:
  sigset_t pipe_, before_;
  bool was_pending_ = false;
};

ssize_t write_message(void*, const char* text, std::size_t size) {
  const WithoutPipeSignal guard;
  static_cast<void>(write_all(STDERR_FILENO, {text, size}));  // nobody is left to be told of a failure
  return static_cast<ssize_t>(size);
}

std::string name_of_output() {
  std::error_code status;
  const auto target = std::filesystem::read_symlink("/proc/self/fd/1", status);
  if (status || target.string().rfind("/", 0) != 0) return "standard output";
  return "standard output, '" + target.string() + "'";
}

bool is_closed_output() {
  const int flags = ::fcntl(STDOUT_FILENO, F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY;
}

}  // namespace

void open_missing_descriptors() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one, as those below are open by now.
    Descriptor opened(::open("/dev/null", descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY));
    if (opened.value() == descriptor)
      opened.release();
    else if (opened)
      ::dup2(opened.value(), descriptor);
  }
}

std::FILE* message_stream() {
  static std::FILE* const stream = [] {
    cookie_io_functions_t functions{};
    functions.write = write_message;
    std::FILE* opened = ::fopencookie(nullptr, "w", functions);
    if (opened == nullptr) return stderr;
    std::setvbuf(opened, nullptr, _IONBF, 0);
    return opened;
  }();
  return stream;
}

int descriptor_of(std::FILE* stream) {
  const int descriptor = ::fileno(stream);
  return descriptor >= 0 ? descriptor : STDERR_FILENO;
}

int finish_output(int exit_code, std::FILE* err) {
  bool lost = std::ferror(stdout) != 0;
  int reason = 0;
  if (std::fflush(stdout) != 0) {
    lost = true;
    reason = errno;
  }
  // Network file systems tell of a full disk only when a descriptor is closed.
  if (const int copy = ::dup(STDOUT_FILENO); copy >= 0 && ::close(copy) != 0 && errno != EINTR) {
    lost = true;
    reason = errno;
  }
  if (!lost) return exit_code;
  // A write that failed while the command ran has left no reason; one more tells.
  if (reason == 0 && ::write(STDOUT_FILENO, "\n", 1) < 0) reason = errno;
  if (is_closed_output())
    fmt::print(err, "error: the output is lost: standard output is closed\n");
  else
    fmt::print(err, "error: the output is lost: {} cannot be written to{}\n", name_of_output(),
               reason == 0 ? std::string() : fmt::format(" ({})", std::strerror(reason)));
  return exit_code == exit_success ? exit_failure : exit_code;
}

}  // namespace warpwright::app
