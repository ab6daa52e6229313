// A clock that a test sets: whatever takes an injected Clock can be driven without waiting.
#pragma once

#include <mutex>

#include <warpwright/base/clock.hpp>

namespace warpwright::test {

// Thread-safe.
class VirtualClock final : public Clock {
 public:
  explicit VirtualClock(Nanoseconds start = Nanoseconds{0}) : now_(start) {}

  // Every reading is followed by a step of `tick`, so that loops which wait for a moment reach it.
  Nanoseconds now() const override;
  void set_tick(Nanoseconds tick);
  // Throws Error(bad_input) for a negative duration: clocks are monotonic.
  void advance(Nanoseconds duration);
  // Throws Error(bad_input) for a time before now().
  void set(Nanoseconds time);

 private:
  mutable std::mutex mutex_;
  mutable Nanoseconds now_;
  Nanoseconds tick_{0};
};

}  // namespace warpwright::test
