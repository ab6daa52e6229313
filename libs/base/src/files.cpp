#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include <warpwright/base/descriptor.hpp>
#include <warpwright/base/error.hpp>
#include <warpwright/base/files.hpp>

namespace warpwright {
namespace {

// `path`, with the reason that the operating system gave.
Error path_error(const std::string& what, const std::filesystem::path& path, int native) {
  std::string text = "cannot " + what + " '" + path.string() + "'";
  std::error_code status;
  if (native == ENOENT && path.has_parent_path() && !std::filesystem::exists(path.parent_path(), status))
    text += ": there is no folder '" + path.parent_path().string() + "'";
  return Error(path_error_code(native), text, native_error(native));
}

// A stream's path leads to what the process has open already, which must not be replaced under it.
bool names_stream(const std::filesystem::path& path) {
  const std::string text = path.lexically_normal().string();
  return text.rfind("/dev/", 0) == 0 || text.rfind("/proc/", 0) == 0;
}

// Beside `path`, new, with the mode that the umask leaves; mkstemp() would give 0600.
Descriptor create_beside(const std::filesystem::path& path, std::string& name) {
  for (unsigned attempt = 0;; ++attempt) {
    name = path.string() + "." + std::to_string(::getpid()) + "-" + std::to_string(attempt);
    Descriptor file(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (file || errno != EEXIST || attempt == 1000) return file;
  }
}

}  // namespace

ErrorCode path_error_code(int native) noexcept {
  switch (native) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::not_found;
    case EACCES:
    case EPERM:
    case EROFS:
    case EISDIR:
    case EEXIST:
    case ENAMETOOLONG:
    case ELOOP:
    case ETXTBSY:
      return ErrorCode::bad_input;
    default:
      return ErrorCode::io;
  }
}

std::string read_file(const std::filesystem::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw path_error("open", path, errno);
  std::string bytes;
  struct stat status {};
  if (::fstat(file.value(), &status) == 0 && status.st_size > 0)
    bytes.reserve(static_cast<std::size_t>(status.st_size));
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = ::read(file.value(), buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EINTR) continue;
      throw path_error("read", path, errno);
    }
    if (got == 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(got));
  }
}

void write_file_atomically(const std::filesystem::path& path, std::string_view bytes) {
  struct stat before {};
  const bool replaces = ::stat(path.c_str(), &before) == 0;
  if (replaces && S_ISDIR(before.st_mode)) throw path_error("write", path, EISDIR);
  if (replaces && (!S_ISREG(before.st_mode) || names_stream(path))) {
    const Descriptor stream(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    if (!stream) throw path_error("open", path, errno);
    if (const WriteOutcome outcome = write_all(stream.value(), bytes); !outcome)
      throw path_error("write", path, outcome.error);
    return;
  }
  std::error_code unresolved;
  const std::filesystem::path real = std::filesystem::canonical(path, unresolved);
  const std::filesystem::path& target = unresolved ? path : real;
  std::string temporary;
  const Descriptor file = create_beside(target, temporary);
  if (!file) throw path_error("write", path, errno);
  const auto fail = [&](const char* what, int native) {
    ::unlink(temporary.c_str());
    return path_error(what, path, native);
  };
  if (const WriteOutcome outcome = write_all(file.value(), bytes); !outcome) throw fail("write", outcome.error);
  if (replaces && ::fchmod(file.value(), before.st_mode & 07777) != 0) throw fail("set the mode of", errno);
  if (::fsync(file.value()) != 0) throw fail("flush", errno);
  if (::rename(temporary.c_str(), target.c_str()) != 0) throw fail("rename to", errno);
}

void make_private_folder(const std::filesystem::path& folder) {
  std::error_code status;
  if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), status);
  if (status) throw path_error("create", folder, status.value());
  if (::mkdir(folder.c_str(), 0700) == 0) return;
  const int failure = errno;
  struct stat found {};
  if (::stat(folder.c_str(), &found) != 0) throw path_error("create", folder, failure);
  if (!S_ISDIR(found.st_mode)) throw path_error("create", folder, ENOTDIR);
  const std::string name = "'" + folder.string() + "'";
  if (found.st_uid != ::geteuid())
    throw Error(ErrorCode::bad_input, name + " belongs to user " + std::to_string(found.st_uid) +
                                          ", who could put programs into it that would run as you; name a folder of "
                                          "your own");
  if ((found.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    throw Error(ErrorCode::bad_input,
                name +
                    " may be written to by others, who could put programs into it that would run as you; remove it, "
                    "or 'chmod 700' it if you trust what it holds");
}

}  // namespace warpwright
