#include "read_ahead.hpp"

#include <array>
#include <cstdint>
#include <exception>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <warpwright/base/error.hpp>

namespace warpwright::execution {

ReadAhead::ReadAhead(MessageChannel& channel) : channel_(channel), wake_(::eventfd(0, EFD_CLOEXEC)) {
  if (!wake_) throw Error(ErrorCode::io, "cannot create an event descriptor for reading ahead", last_native_error());
  thread_ = std::thread([this] { read(); });
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  const std::uint64_t once = 1;
  static_cast<void>(!::write(wake_.value(), &once, sizeof once));
  thread_.join();
}

void ReadAhead::allow(bool allowed) {
  {
    const std::lock_guard lock(mutex_);
    allowed_ = allowed;
  }
  if (allowed) changed_.notify_one();
}

void ReadAhead::read() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    lock.unlock();
    const auto news = channel_.news();
    std::array<pollfd, 3> items{{news[0], news[1], {wake_.value(), POLLIN, 0}}};
    ::poll(items.data(), items.size(), -1);
    lock.lock();
    // What comes while the working thread waits is its own; then this one has nothing to do before the next Period.
    changed_.wait(lock, [&] { return ending_ || (allowed_ && !ended_); });
    if (ending_) return;
    try {
      ended_ = !channel_.read_available();
    } catch (const std::exception&) {
      ended_ = true;  // the working thread meets the same when it comes to receive it
    }
  }
}

}  // namespace warpwright::execution
