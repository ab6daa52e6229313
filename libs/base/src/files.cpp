#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>

namespace warpwright {
namespace {

NativeError last_errno() {
  const int code = errno;
  return {code, std::strerror(code)};
}

// Closes on scope exit; the descriptor is ours.
struct Descriptor {
  int value = -1;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.value < 0)
    throw Error(errno == ENOENT ? ErrorCode::not_found : ErrorCode::io, "cannot open '" + path.string() + "'",
                last_errno());
  std::string bytes;
  struct stat status {};
  if (::fstat(file.value, &status) == 0 && status.st_size > 0) bytes.reserve(static_cast<std::size_t>(status.st_size));
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = ::read(file.value, buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EINTR) continue;
      throw Error(ErrorCode::io, "cannot read '" + path.string() + "'", last_errno());
    }
    if (got == 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(got));
  }
}

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  if (path.has_parent_path()) {
    std::error_code status;
    std::filesystem::create_directories(path.parent_path(), status);
    if (status)
      throw Error(ErrorCode::io, "cannot create folder '" + path.parent_path().string() + "'",
                  NativeError{status.value(), status.message()});
  }
  std::string temporary = path.string() + ".XXXXXX";
  Descriptor file{::mkstemp(temporary.data())};
  if (file.value < 0) throw Error(ErrorCode::io, "cannot create a file beside '" + path.string() + "'", last_errno());
  const auto fail = [&](const char* what) {
    const NativeError native = last_errno();
    ::unlink(temporary.c_str());
    return Error(ErrorCode::io, std::string("cannot ") + what + " '" + path.string() + "'", native);
  };
  const char* next = bytes.data();
  std::size_t left = bytes.size();
  while (left > 0) {
    const ssize_t put = ::write(file.value, next, left);
    if (put < 0) {
      if (errno == EINTR) continue;
      throw fail("write");
    }
    next += put;
    left -= static_cast<std::size_t>(put);
  }
  if (::fchmod(file.value, 0644) != 0) throw fail("set the mode of");
  if (::fsync(file.value) != 0) throw fail("flush");
  if (::rename(temporary.c_str(), path.c_str()) != 0) throw fail("rename to");
}

}  // namespace warpwright
