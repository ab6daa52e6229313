// An owned file descriptor, writing to one, and what the operating system says went wrong.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

#include <warpwright/base/error.hpp>

namespace warpwright {

// Closed by its destructor. Move-only, thread-compatible.
class Descriptor {
 public:
  // Takes what open(), socket() and the like returned; a negative number is no descriptor.
  explicit Descriptor(int value = -1) noexcept : value_(value) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : value_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }

  int value() const noexcept { return value_; }
  explicit operator bool() const noexcept { return value_ >= 0; }
  // Gives it up without closing it.
  int release() noexcept { return std::exchange(value_, -1); }
  // Closes it and takes another one. Keeps errno.
  void reset(int value = -1) noexcept;

 private:
  int value_;
};

// What became of write_all().
struct WriteOutcome {
  std::size_t written = 0;  // bytes
  int error = 0;            // errno; 0 if everything was written
  explicit operator bool() const noexcept { return error == 0; }
};
// Writes all of `bytes`, going on after partial writes and after signals. A write of nothing counts as a full disk
// (ENOSPC). Blocks as write() does; on a descriptor that does not block it ends with EAGAIN where there is no room.
// Only calls that a signal handler may make.
WriteOutcome write_all(int descriptor, std::string_view bytes) noexcept;

// An error number with its text, as Error takes it.
NativeError native_error(int code);
// That of errno. Call it before anything else can change that.
NativeError last_native_error();

}  // namespace warpwright
