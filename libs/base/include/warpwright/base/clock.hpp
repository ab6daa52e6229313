// Time is injected, so that everything that waits or measures can be driven by a virtual clock in tests.
#pragma once

#include <warpwright/base/units.hpp>

namespace warpwright {

// Monotonic. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Time since an arbitrary fixed point.
  virtual Nanoseconds now() const = 0;
};

// CLOCK_MONOTONIC through std::chrono::steady_clock.
class SteadyClock final : public Clock {
 public:
  Nanoseconds now() const override;
};

}  // namespace warpwright
