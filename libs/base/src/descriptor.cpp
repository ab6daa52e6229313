#include <cerrno>
#include <system_error>
#include <unistd.h>

#include <warpwright/base/descriptor.hpp>

namespace warpwright {

void Descriptor::reset(int value) noexcept {
  const int before = std::exchange(value_, value);
  if (before < 0) return;
  const int kept = errno;
  ::close(before);  // also where it says EINTR: Linux has closed it then
  errno = kept;
}

WriteOutcome write_all(int descriptor, std::string_view bytes) noexcept {
  WriteOutcome outcome;
  while (outcome.written < bytes.size()) {
    const ssize_t put = ::write(descriptor, bytes.data() + outcome.written, bytes.size() - outcome.written);
    if (put > 0) {
      outcome.written += static_cast<std::size_t>(put);
    } else if (put == 0 || errno != EINTR) {
      outcome.error = put == 0 ? ENOSPC : errno;
      break;
    }
  }
  return outcome;
}

NativeError native_error(int code) { return {code, std::generic_category().message(code)}; }

NativeError last_native_error() { return native_error(errno); }

}  // namespace warpwright
