#include "worker_process.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <warpwright/base/error.hpp>

#include "socket_transport.hpp"

namespace warpwright::execution {

WorkerProcess WorkerProcess::start(const std::filesystem::path& executable,
                                   const std::vector<std::pair<std::string, std::string>>& environment) {
  if (::access(executable.c_str(), X_OK) != 0)
    throw Error(ErrorCode::not_found, "the worker program '" + executable.string() + "' cannot be executed",
                last_native_error());
  std::array<int, 2> sockets{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0)
    throw Error(ErrorCode::io, "cannot create a socket pair for a worker", last_native_error());
  Descriptor ours(sockets[0]);
  const Descriptor theirs(sockets[1]);
  Descriptor doorbell(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!doorbell) throw Error(ErrorCode::io, "cannot create an event descriptor for a worker", last_native_error());
  Descriptor error_file(::memfd_create("warpwright-worker-stderr", MFD_CLOEXEC));

  // Kernels may print: their output is not ours to mix into results. Ctrl-C reaches the coordinator alone, and helpers
  // that the compiler starts die with the worker, which has a group of its own.
  ProcessOptions options;
  options.program = executable;
  options.arguments = {std::to_string(channel_descriptor)};
  options.environment = environment;
  options.descriptors = {{theirs.value(), channel_descriptor}, {doorbell.value(), doorbell_descriptor}};
  if (error_file) options.descriptors.emplace_back(error_file.value(), STDERR_FILENO);
  try {
    Process process = Process::start(options);
    auto transport = std::make_unique<SocketTransport>(std::move(ours), "the worker process", -1, std::move(doorbell));
    return WorkerProcess(std::move(process), MessageChannel(std::move(transport)), std::move(error_file));
  } catch (const Error& error) {
    throw Error(ErrorCode::io, "cannot start the worker program '" + executable.string() + "'",
                error.native().value_or(NativeError{}));
  }
}

WorkerProcess::~WorkerProcess() {
  try {
    end();
  } catch (...) {  // a string that cannot be allocated must not end the program
  }
}

std::string WorkerProcess::end() {
  if (!process_) return "not running";
  // A worker that died by itself has a status worth telling; give a closing one a moment before killing it.
  std::optional<ProcessEnd> ended = process_->wait(Nanoseconds{channel_.peer_gone() ? 500e6 : 0});
  if (ended)
    process_->kill_group();  // what it started
  else
    ended = process_->end();
  process_.reset();
  std::string text = ended ? ended->describe() : "does not end";
  const std::string line = last_error_line();
  if (!line.empty()) text += ": " + line;
  return text;
}

std::string WorkerProcess::last_error_line() const {
  if (!error_file_) return {};
  constexpr off_t tail = 2048;
  const off_t size = ::lseek(error_file_.value(), 0, SEEK_END);
  if (size <= 0) return {};
  std::string text(static_cast<std::size_t>(std::min(size, tail)), '\0');
  const ssize_t got = ::pread(error_file_.value(), text.data(), text.size(), std::max<off_t>(0, size - tail));
  if (got <= 0) return {};
  text.resize(static_cast<std::size_t>(got));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  const std::size_t newline = text.rfind('\n');
  return newline == std::string::npos ? text : text.substr(newline + 1);
}

}  // namespace warpwright::execution
