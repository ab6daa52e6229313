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
  const NativeError native = last_native_error();
  const bool full = native.code == ENOSPC || native.code == EDQUOT || native.code == ENOMEM;
  throw Error(full ? ErrorCode::out_of_memory : ErrorCode::io,
              "cannot " + what + " shared memory '" + path.string() + "': " + native.name, native);
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

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// At the beginning of a file that was just opened.
void write(int descriptor, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  if (::ftruncate(descriptor, 0) != 0) failed("empty", path);
  const WriteOutcome outcome = write_all(descriptor, text_of(bytes));
  if (outcome) return;
  errno = outcome.error;
  failed("write", path);
}

}  // namespace

void SharedInput::take(std::span<const std::byte> bytes) {
  ContentHash hash;
  hash.add(text_of(bytes));
  file_ = shared_folder() / ("warpwright-input-" + hash.hex() + "-" + std::to_string(::geteuid()));
  for (int attempt = 0; attempt < attempts; ++attempt) {
    descriptor_.reset(::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!descriptor_) failed("open", file_);
    const int descriptor = descriptor_.value();
    try {
      // Nobody uses it: it is new, or was left by a program that was killed, perhaps half-written.
      if (lock(descriptor, LOCK_EX | LOCK_NB) && is_ours(descriptor) && !holds(descriptor, bytes))
        write(descriptor, bytes, file_);
      // From an exclusive lock to a shared one there is a moment without, in which its remover may have come.
      if (!lock(descriptor, LOCK_SH)) failed("lock", file_);
    } catch (...) {
      release();
      throw;
    }
    if (is_ours(descriptor) && holds(descriptor, bytes)) return;
  }
  descriptor_.reset();
  throw Error(ErrorCode::io, "shared memory '" + file_.string() +
                                 "' is another user's, or is changed by another program all the time; remove it");
}

void SharedInput::release() noexcept {
  if (!descriptor_) return;
  // The last one that uses it removes it.
  if (lock(descriptor_.value(), LOCK_EX | LOCK_NB) && is_ours(descriptor_.value())) ::unlink(file_.c_str());
  descriptor_.reset();
}

SharedInput::~SharedInput() { release(); }

SharedInput::SharedInput(SharedInput&&) noexcept = default;

SharedInput& SharedInput::operator=(SharedInput&& other) noexcept {
  if (this == &other) return *this;
  release();
  file_ = std::move(other.file_);
  descriptor_ = std::move(other.descriptor_);
  size_ = other.size_;
  return *this;
}

}  // namespace warpwright::spec
