#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <warpwright/base/error.hpp>
#include <warpwright/base/hash.hpp>
#include <warpwright/spec/shared_input.hpp>

namespace warpwright::spec {
namespace {

// Between opening a file and locking it another program may remove it; that it does so again and again is no chance.
constexpr int attempts = 100;

[[noreturn]] void failed(const std::string& what, const std::filesystem::path& path) {
  const int code = errno;
  const ErrorCode error = code == ENOSPC || code == EDQUOT || code == ENOMEM ? ErrorCode::out_of_memory : ErrorCode::io;
  throw Error(error, "cannot " + what + " shared memory '" + path.string() + "': " + std::strerror(code),
              NativeError{code, std::strerror(code)});
}

bool lock(int descriptor, int operation) {
  int result = 0;
  do {
    result = ::flock(descriptor, operation);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

std::filesystem::path shared_folder() {
  const std::filesystem::path memory = "/dev/shm";
  std::error_code ignored;
  if (std::filesystem::is_directory(memory, ignored) && ::access(memory.c_str(), W_OK) == 0) return memory;
  return std::filesystem::temp_directory_path();
}

// Whether the file is still there under its name, and this user's.
bool is_ours(int descriptor) {
  struct stat about {};
  return ::fstat(descriptor, &about) == 0 && about.st_nlink > 0 && about.st_uid == ::geteuid();
}

bool holds(int descriptor, std::span<const std::byte> bytes) {
  struct stat about {};
  if (::fstat(descriptor, &about) != 0 || about.st_size != static_cast<off_t>(bytes.size())) return false;
  if (bytes.empty()) return true;
  void* mapped = ::mmap(nullptr, bytes.size(), PROT_READ, MAP_SHARED, descriptor, 0);
  if (mapped == MAP_FAILED) return false;
  const bool equal = std::memcmp(mapped, bytes.data(), bytes.size()) == 0;
  ::munmap(mapped, bytes.size());
  return equal;
}

void write(int descriptor, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  if (::ftruncate(descriptor, 0) != 0) failed("empty", path);
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t count = ::pwrite(descriptor, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) failed("write", path);
    done += static_cast<std::size_t>(count);
  }
}

}  // namespace

SharedInput::SharedInput(std::span<const std::byte> bytes, Bytes) : size_(Bytes{bytes.size()}) {
  ContentHash hash;
  hash.add(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  take(shared_folder() / ("warpwright-input-" + hash.hex() + "-" + std::to_string(::geteuid())), bytes);
}

void SharedInput::take(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  for (int attempt = 0; attempt < attempts; ++attempt) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) failed("open", path);
    descriptor_ = descriptor;
    file_ = path;
    try {
      // Nobody uses it: it is new, or was left by a program that was killed, perhaps half-written.
      if (lock(descriptor, LOCK_EX | LOCK_NB) && is_ours(descriptor) && !holds(descriptor, bytes))
        write(descriptor, bytes, path);
      // From an exclusive lock to a shared one there is a moment without, in which its remover may have come.
      if (!lock(descriptor, LOCK_SH)) failed("lock", path);
    } catch (...) {
      release();
      throw;
    }
    if (is_ours(descriptor) && holds(descriptor, bytes)) return;
    ::close(descriptor);
    descriptor_ = -1;
  }
  throw Error(ErrorCode::io, "shared memory '" + path.string() +
                                 "' is another user's, or is changed by another program all the time; remove it");
}

void SharedInput::release() noexcept {
  if (descriptor_ < 0) return;
  // The last one that uses it removes it.
  if (lock(descriptor_, LOCK_EX | LOCK_NB) && is_ours(descriptor_)) ::unlink(file_.c_str());
  ::close(descriptor_);
  descriptor_ = -1;
}

SharedInput::~SharedInput() { release(); }

SharedInput::SharedInput(SharedInput&& other) noexcept
    : file_(std::move(other.file_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

SharedInput& SharedInput::operator=(SharedInput&& other) noexcept {
  if (this == &other) return *this;
  release();
  file_ = std::move(other.file_);
  descriptor_ = std::exchange(other.descriptor_, -1);
  size_ = other.size_;
  return *this;
}

}  // namespace warpwright::spec
