#include <warpwright/base/error.hpp>
#include <warpwright/testing/virtual_clock.hpp>

namespace warpwright::test {

Nanoseconds VirtualClock::now() const {
  const std::lock_guard lock(mutex_);
  const Nanoseconds time = now_;
  now_ += tick_;
  return time;
}

void VirtualClock::set_tick(Nanoseconds tick) {
  if (tick < Nanoseconds{0}) throw Error(ErrorCode::bad_input, "a virtual clock cannot tick backwards");
  const std::lock_guard lock(mutex_);
  tick_ = tick;
}

void VirtualClock::advance(Nanoseconds duration) {
  if (duration < Nanoseconds{0}) throw Error(ErrorCode::bad_input, "a virtual clock cannot go back");
  const std::lock_guard lock(mutex_);
  now_ += duration;
}

void VirtualClock::set(Nanoseconds time) {
  const std::lock_guard lock(mutex_);
  if (time < now_) throw Error(ErrorCode::bad_input, "a virtual clock cannot go back");
  now_ = time;
}

}  // namespace warpwright::test
