// How the threads of a session stand towards each other where there are fewer cores than work. What the system refuses
// is done without.
#pragma once

#include <sys/types.h>

namespace warpwright::execution {

// While it lives the thread that made it is a batch thread, if it was an ordinary one: it is woken without preempting
// who woke it. That is a worker with something better to do than to wait for its answer to be read.
class DeferringThread {
 public:
  DeferringThread();
  ~DeferringThread();
  DeferringThread(const DeferringThread&) = delete;
  DeferringThread& operator=(const DeferringThread&) = delete;

 private:
  pid_t thread_ = 0;  // 0: nothing to restore
};

// Compilers leave no core free. The coordinator, which works for microseconds at a time, is not preempted by the
// compiler that it has just woken, and where the device worker works beside compilers it need not queue behind them.
void stand_back_as_compiler(bool beside_device);

}  // namespace warpwright::execution
