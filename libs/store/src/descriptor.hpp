// An owned file descriptor and the last operating system error. Private to this library.
#pragma once

#include <cerrno>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <warpwright/base/error.hpp>

namespace warpwright::store::detail {

class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      close();
      value_ = std::exchange(other.value_, -1);
    }
    return *this;
  }
  int value() const { return value_; }
  explicit operator bool() const { return value_ >= 0; }

 private:
  void close() {
    if (value_ >= 0) ::close(value_);
    value_ = -1;
  }
  int value_;
};

inline NativeError native_error(int code) { return {code, std::generic_category().message(code)}; }
inline NativeError last_native_error() { return native_error(errno); }

}  // namespace warpwright::store::detail
