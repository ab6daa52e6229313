// Ctrl-C and SIGTERM end a session in order; a second one ends the program at once.
#pragma once

#include <atomic>

namespace warpwright::app {

// Installs the handlers on construction and restores the old ones on destruction. One at a time.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  // The same for every one of them; false before the first.
  static const std::atomic<bool>* flag();
};

}  // namespace warpwright::app
