#include "memory_limit.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <warpwright/base/descriptor.hpp>
#include <warpwright/base/error.hpp>

namespace warpwright::execution {
namespace {

// A signal handler can reach nothing but static storage.
std::atomic<bool> allocation_failed{false};
std::uint64_t size_before = 0, size_limit = 0;
int report_descriptor = -1;
std::string report_frame;  // written once, before the handlers are installed

// Address space in use; only calls that a signal handler may make. 0 if the system does not tell.
std::uint64_t address_space() noexcept {
  const Descriptor file(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  if (!file) return 0;
  std::array<char, 64> text{};
  const ssize_t got = ::read(file.value(), text.data(), text.size() - 1);
  std::uint64_t pages = 0;
  for (ssize_t i = 0; i < got; ++i) {
    const char c = text[static_cast<std::size_t>(i)];
    if (c < '0' || c > '9') break;
    pages = pages * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

bool out_of_memory() noexcept {
  if (allocation_failed) return true;
  // A failed malloc leaves no trace; a process that used three quarters of its budget most likely met one.
  return size_limit > 0 && address_space() > size_before + (size_limit - size_before) / 4 * 3;
}

void on_fatal_signal(int signal) {
  if (out_of_memory() && report_descriptor >= 0)
    static_cast<void>(::send(report_descriptor, report_frame.data(), report_frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  ::sigaction(signal, &standard, nullptr);
  ::raise(signal);  // delivered when this handler returns
}

void on_failed_new() {
  allocation_failed = true;
  throw std::bad_alloc();
}

}  // namespace

void limit_memory(Bytes budget) {
  size_before = address_space();
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0) limit = {RLIM_INFINITY, RLIM_INFINITY};
  const std::uint64_t room = RLIM_INFINITY - size_before;
  size_limit = size_before + std::min(budget.count, room);
  limit.rlim_cur = std::min<rlim_t>(size_limit, limit.rlim_max);
  if (::setrlimit(RLIMIT_AS, &limit) != 0) {
    const int code = errno;
    throw Error(ErrorCode::io, "cannot limit the memory of a compile worker to " + format_bytes(budget),
                NativeError{code, std::strerror(code)});
  }
  size_limit = limit.rlim_cur;
}

void report_out_of_memory(int descriptor, std::string frame) {
  report_descriptor = descriptor;
  report_frame = std::move(frame);
  std::set_new_handler(on_failed_new);
  // A stack of its own, so that a stack that overflowed does not stop the report.
  static std::array<char, 1 << 16> handler_stack;
  stack_t stack{};
  stack.ss_sp = handler_stack.data();
  stack.ss_size = handler_stack.size();
  ::sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_handler = on_fatal_signal;
  action.sa_flags = SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS}) ::sigaction(signal, &action, nullptr);
}

void forget_failed_allocations() noexcept { allocation_failed = false; }

}  // namespace warpwright::execution
