// Every moment of a session's wall time belongs to exactly one part, so the parts add up to the total by construction.
#pragma once

#include <algorithm>
#include <utility>

#include <warpwright/base/clock.hpp>
#include <warpwright/tuning/session.hpp>

namespace warpwright::tuning {

// One thread only.
class TimeAccount {
 public:
  // beside_compilers: the tuner works while the device has nothing to do and compilers are at work. settle() says what
  // that was.
  enum class Part { startup, compile_wait, device, tuner, beside_compilers, finish };

  TimeAccount(const Clock& clock, Nanoseconds time_before) : clock_(clock), last_(clock.now()) {
    times_.startup = time_before;
  }

  // From now on time belongs to `part`; returns the part before.
  Part enter(Part part) {
    charge();
    return std::exchange(part_, part);
  }

  // The device has ended a task: splits the time spent in `device` by what it reported. What it did not report is the
  // cost of talking to it. `restarted` is the time that went into replacing a worker meanwhile.
  enum class Next {
    held_up,   // the next task could have begun earlier: that cost is the tuner's
    running,   // it is busy with the next task already, and what is left may be time of that one
    compiling  // nothing is ready for it: settle() says whether the cost delayed anything
  };
  void device_done(Nanoseconds copy, Nanoseconds verify, Nanoseconds measure, Nanoseconds restarted,
                   Next next = Next::held_up) {
    charge();
    const auto take = [&](Nanoseconds wanted) {
      const Nanoseconds taken = std::clamp(wanted, Nanoseconds{}, device_);
      device_ -= taken;
      return taken;
    };
    times_.startup += take(restarted);
    times_.copy += take(copy);
    times_.verify += take(verify);
    times_.measure += take(measure);
    if (next == Next::held_up) times_.tuner += take(device_);
    if (next == Next::compiling) beside_compilers_ += take(device_);
  }

  // Whether a compiler had something for the device before the tuner was ready to take it.
  void settle(bool kept_waiting) {
    charge();
    (kept_waiting ? times_.tuner : times_.compile_wait) += std::exchange(beside_compilers_, Nanoseconds{});
  }

  SessionTimes finish() {
    settle(true);
    times_.tuner += std::exchange(device_, Nanoseconds{});
    times_.total = times_.startup + times_.compile_wait + times_.copy + times_.verify + times_.measure + times_.tuner +
                   times_.finish;
    return times_;
  }

  SessionTimes& times() { return times_; }

 private:
  void charge() {
    const Nanoseconds now = clock_.now();
    const Nanoseconds spent = now - last_;
    last_ = now;
    switch (part_) {
      case Part::startup:
        times_.startup += spent;
        break;
      case Part::compile_wait:
        times_.compile_wait += spent;
        break;
      case Part::device:
        device_ += spent;
        break;
      case Part::tuner:
        times_.tuner += spent;
        break;
      case Part::beside_compilers:
        beside_compilers_ += spent;
        break;
      case Part::finish:
        times_.finish += spent;
        break;
    }
  }

  const Clock& clock_;
  SessionTimes times_;
  Nanoseconds device_{};            // not yet split
  Nanoseconds beside_compilers_{};  // not yet settled
  Nanoseconds last_;
  Part part_ = Part::startup;
};

}  // namespace warpwright::tuning
